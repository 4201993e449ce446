// app.js: the chat page: which conversation is open, what was sent, what is being answered.
import { Gateway } from "/gateway.js";
import * as device from "/device.js";
import { t, localise, clockTime, ago } from "/text.js";
import { bubble, el, textOf, transcript } from "/view.js";

const $ = (id) => document.getElementById(id);
const log = $("log");
const input = $("input");
const MAIN = "agent:main:main";

let gateway = null;
let key = MAIN;          // open session
const runs = new Map();  // run id -> {session, bubble, sent?: params} of this page's view
const unsent = new Map(); // idempotency key -> chat.send params not yet acknowledged

// ---- token and address ---------------------------------------------------------------------------------

function takeToken() {
    const m = /^#token=([^&]+)/.exec(location.hash);
    if (m) {
        localStorage.setItem("tenaza.token", decodeURIComponent(m[1]));
        history.replaceState(null, "", "/#/s/" + encodeURIComponent(MAIN));
    }
    return localStorage.getItem("tenaza.token");
}

function keyFromAddress() {
    const m = /^#\/s\/(.+)$/.exec(location.hash);
    return m ? decodeURIComponent(m[1]) : MAIN;
}

function login(error = "") {
    $("app").dataset.state = "login";
    $("login").hidden = false;
    $("login-error").hidden = !error;
    $("login-error").textContent = error;
    $("token").focus();
}

// ---- connection ----------------------------------------------------------------------------------------

function start(token) {
    $("login").hidden = true;
    gateway?.close();
    gateway = new Gateway(token, { state: showState, hello: greeted, event: onEvent });
    gateway.start().catch((error) => login(String(error.message)));
}

function showState(name, error) {
    const lamp = $("lamp");
    $("app").dataset.state = name;
    lamp.dataset.state = name;
    lamp.querySelector("i").textContent = name === "connected" ? "●" : name === "connecting" ? "○" : "▲";
    lamp.querySelector("span").textContent = name === "connected" ? t.connected
        : name === "connecting" ? t.connecting : t.offlineSince(clockTime(Date.now()));
    if (name === "refused") {
        if (/token|AUTH/i.test(error?.details?.code ?? error?.message ?? "")) localStorage.removeItem("tenaza.token");
        login(error?.details?.code === "AUTH_TOKEN_MISMATCH" ? t.refused : error?.message ?? t.refused);
    }
}

async function greeted() {
    for (const params of unsent.values()) submit(params);
    gateway.request("sessions.subscribe").catch(() => {});
    showModel();
    await Promise.all([openSession(key, { keepScroll: true }), listSessions()]);
}

// Asked again while the gateway does not know yet, and after each answer, since a model may have been found.
let modelTimer = null;
async function showModel() {
    clearTimeout(modelTimer);
    const r = await gateway.request("models.list").catch(() => null);
    if (r && !r.models.length) modelTimer = setTimeout(showModel, 1000);
    const m = r?.models?.find((x) => x.current) ?? r?.models?.[0];
    const provider = m?.provider ?? "";
    $("model").hidden = !m;
    $("model").textContent = m ? `${provider}/${m.id}` : "";
    $("notice").hidden = provider !== "offline";
    $("notice").textContent = t.guide;
}

// ---- conversations -------------------------------------------------------------------------------------

const titleOf = (s) => s.label || s.displayName || s.derivedTitle || (s.key === MAIN ? t.mainSession : s.key.replace(/^agent:[^:]+:/, ""));

let listTimer = null;
function listSoon() {
    listTimer ??= setTimeout(() => {
        listTimer = null;
        listSessions();
    }, 300);
}

async function listSessions() {
    const r = await gateway.request("sessions.list", { limit: 100, includeDerivedTitles: true, includeLastMessage: true }).catch(() => null);
    if (!r) return;
    const rows = r.sessions.some((s) => s.key === key) ? r.sessions : [{ key, updatedAt: null }, ...r.sessions];
    $("sessions").replaceChildren(...rows.map((s) => {
        const a = el("a", { href: "#/s/" + encodeURIComponent(s.key) },
            el("span", { className: "name", textContent: titleOf(s) }),
            el("span", { className: "when", textContent: s.hasActiveRun ? "…" : s.updatedAt ? ago(s.updatedAt) : "" }),
            el("span", { className: "last", textContent: s.lastMessagePreview ?? "" }));
        if (s.key === key) a.setAttribute("aria-current", "page");
        return el("li", {}, a);
    }));
    const open = rows.find((s) => s.key === key);
    $("title").textContent = titleOf(open);
    document.title = `${titleOf(open)} · Tenaza`;
}

let loading = 0;
async function openSession(next, { keepScroll = false } = {}) {
    key = next;
    const mine = ++loading;
    const r = await gateway.request("chat.history", { sessionKey: key, limit: 200 }).catch(() => null);
    if (!r || mine !== loading) return;
    const atEnd = !keepScroll || nearEnd();
    transcript(log, r.messages);
    for (const [id, run] of runs) if (run.session !== key || run.ended) runs.delete(id);
    for (const p of r.pendingInputs?.items ?? []) appendUser(textOf(p.message ?? p) || p.text || "", t.queued);
    for (const [id, params] of unsent) if (params.sessionKey === key && !runs.has(id)) appendUser(params.message, t.queued);
    for (const run of runs.values()) log.append(run.bubble.node);
    if (r.inFlightRun) live(r.inFlightRun.runId, key).bubble.text(r.inFlightRun.text ?? "");
    if (!log.childElementCount) log.append(el("p", { className: "empty", textContent: t.empty }));
    chips(!r.messages.length);
    showBusy();
    if (atEnd) toEnd();
}

function chips(show) {
    $("chips").replaceChildren(...(show ? t.chips : []).map((text) => {
        const b = el("button", { type: "button", textContent: text });
        b.onclick = () => send(text);
        return b;
    }));
}

function newSession() {
    const id = Array.from(crypto.getRandomValues(new Uint8Array(4)), (b) => b.toString(16).padStart(2, "0")).join("");
    location.hash = "#/s/" + encodeURIComponent(`agent:main:chat-${id}`);
}

// ---- sending and answers -------------------------------------------------------------------------------

function appendUser(text, note = "") {
    log.querySelector(".empty")?.remove();
    const b = bubble("user");
    b.text(text);
    if (note) b.state(note, "queued");
    log.append(b.node);
    return b;
}

function send(text) {
    const message = text.trim();
    if (!message) return;
    const params = { sessionKey: key, message, idempotencyKey: crypto.randomUUID(), deliver: false };
    appendUser(message);
    chips(false);
    unsent.set(params.idempotencyKey, params);
    submit(params);
    toEnd();
}

// The key makes a repeat harmless, so what a broken connection left open is simply sent again.
async function submit(params) {
    const id = params.idempotencyKey;
    try {
        const r = await gateway.request("chat.send", params);
        unsent.delete(id);
        if (r.runId && r.status !== "ok") live(id, params.sessionKey);
        else settle();
    } catch (error) {
        if (error.code === "CLOSED") return;
        unsent.delete(id);
        const b = live(id, params.sessionKey).bubble;
        b.text(error.message);
        b.state(t.failed, "failed");
        finish(id);
    }
}

function live(runId, session) {
    let run = runs.get(runId);
    if (!run) {
        run = { session, bubble: bubble("assistant"), ended: false, frame: 0, pending: null };
        run.bubble.node.setAttribute("aria-busy", "true");
        run.bubble.state(t.thinking, "busy");
        runs.set(runId, run);
        if (session === key) log.append(run.bubble.node);
        showBusy();
    }
    return run;
}

// Markdown is drawn at most once a frame, however many deltas arrive.
function draw(run, text) {
    run.pending = text;
    run.frame ||= requestAnimationFrame(() => {
        const stick = nearEnd();
        run.frame = 0;
        run.bubble.text(run.pending);
        if (stick) toEnd();
    });
}

function finish(runId) {
    const run = runs.get(runId);
    if (!run) return;
    run.ended = true;
    run.bubble.node.removeAttribute("aria-busy");
    if (!run.bubble.value && !run.pending) run.bubble.node.remove();
    showBusy();
}

let settleTimer = null;
function settle() {
    clearTimeout(settleTimer);
    settleTimer = setTimeout(() => {
        if (![...runs.values()].some((r) => !r.ended && r.session === key)) openSession(key, { keepScroll: true });
        listSoon();
        showModel();
    }, 250);
}

function onChat(p) {
    if (p.state === "status") return;
    if (p.sessionKey !== key) {
        if (p.state !== "delta") listSoon();
        return;
    }
    const run = live(p.runId, p.sessionKey);
    const stick = nearEnd();
    const text = textOf(p.message);
    if (p.state === "delta") {
        draw(run, text || run.bubble.value + (p.deltaText ?? ""));
        return;
    }
    if (text) {
        cancelAnimationFrame(run.frame);
        run.bubble.text(text);
    }
    if (p.state === "error") {
        if (!run.bubble.value) run.bubble.text(p.errorMessage ?? t.failed);
        else log.append(el("p", { className: "system bad", textContent: p.errorMessage ?? t.failed }));
        run.bubble.state(t.failed, "failed");
    } else {
        run.bubble.state(p.state === "aborted" ? t.stopped : "", p.state === "aborted" ? "stopped" : "");
    }
    $("said").textContent = run.bubble.node.querySelector(".body").textContent.slice(0, 2000);
    finish(p.runId);
    if (stick) toEnd();
    if (p.state !== "error") settle();
    else listSoon();
}

function onEvent(name, payload) {
    if (name === "chat") onChat(payload);
    else if (name === "sessions.changed") listSoon();
}

function showBusy() {
    const busy = [...runs.values()].some((r) => !r.ended && r.session === key);
    $("stop").hidden = !busy;
    log.setAttribute("aria-busy", String(busy));
}

async function stop() {
    await gateway.request("chat.abort", { sessionKey: key }).catch(() => {});
}

// ---- scrolling, keys, wiring ---------------------------------------------------------------------------

const nearEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < 80;
function toEnd() {
    log.scrollTop = log.scrollHeight;
}

function grow() {
    input.style.height = "auto";
    input.style.height = Math.min(input.scrollHeight, innerHeight * 0.4) + "px";
}

function drawer(open) {
    $("app").classList.toggle("drawer", open);
    $("menu").setAttribute("aria-expanded", String(open));
    $("shade").hidden = !open;
    if (open) $("new").focus();
}

localise();
log.onscroll = () => ($("down").hidden = nearEnd());
$("down").onclick = toEnd;
$("new").onclick = newSession;
$("menu").onclick = () => drawer(!$("app").classList.contains("drawer"));
$("shade").onclick = () => drawer(false);
$("stop").onclick = stop;
input.oninput = grow;
input.onkeydown = (e) => {
    if (e.key === "Enter" && !e.shiftKey && !e.isComposing) {
        e.preventDefault();
        $("composer").requestSubmit();
    }
};
$("composer").onsubmit = (e) => {
    e.preventDefault();
    send(input.value);
    input.value = "";
    grow();
    input.focus();
};
$("login-form").onsubmit = (e) => {
    e.preventDefault();
    const token = $("token").value.trim();
    if (!token) return;
    localStorage.setItem("tenaza.token", token);
    $("token").value = "";
    start(token);
};
addEventListener("keydown", (e) => {
    if (e.key !== "Escape") return;
    if ($("app").classList.contains("drawer")) drawer(false);
    else if (!$("stop").hidden) stop();
});
addEventListener("hashchange", () => {
    if (location.hash.startsWith("#token=")) {
        start(takeToken());
        return;
    }
    drawer(false);
    openSession(keyFromAddress()).then(listSessions);
    input.focus();
});

const token = takeToken();
key = keyFromAddress();
if (!device.available()) login(t.insecure);
else if (token) start(token);
else login();
