// view.js: turns transcript rows and live text into DOM. Knows nothing of the connection.
// Markdown goes through marked and DOMPurify; nothing the model writes can fetch or run anything (the page's
// content security policy forbids it a second time).
import { t, clockTime } from "/text.js";

// The purify of Debian 12 (2.4.1, security update deb12u1) reads an undeclared variable `shadowNode` where it means the
// root of the document, and throws for any text with a tag in it. With this it goes on to its real checks, node by node.
globalThis.shadowNode ??= { __depth: 0 };

const CLEAN = { FORBID_TAGS: ["style", "form", "input", "button", "iframe", "img", "video", "audio"], FORBID_ATTR: ["style"] };

export function el(tag, props = {}, ...children) {
    const e = document.createElement(tag);
    for (const [k, v] of Object.entries(props)) {
        if (k in e) e[k] = v;
        else e.setAttribute(k, v);
    }
    e.append(...children);
    return e;
}

export function markdown(target, text) {
    const html = globalThis.marked.parse(text, { gfm: true, breaks: true, async: false });
    target.innerHTML = globalThis.DOMPurify.sanitize(html, CLEAN);
    for (const a of target.querySelectorAll("a")) {
        a.target = "_blank";
        a.rel = "noopener noreferrer";
    }
    for (const pre of target.querySelectorAll("pre")) {
        pre.tabIndex = 0;
        pre.append(copyButton(() => pre.querySelector("code")?.textContent ?? ""));
    }
}

function copyButton(text) {
    const b = el("button", { type: "button", className: "copy", textContent: t.copy });
    b.onclick = async () => {
        await navigator.clipboard.writeText(text());
        b.textContent = t.copied;
        setTimeout(() => (b.textContent = t.copy), 1500);
    };
    return b;
}

export function textOf(message) {
    if (!message) return "";
    if (typeof message.content === "string") return message.content;
    return (message.content ?? []).filter((b) => b.type === "text").map((b) => b.text).join("\n\n");
}

// One message bubble. role: user | assistant. Returns {node, text(s), state(word, kind)}.
export function bubble(role, { time = Date.now(), who = null } = {}) {
    const body = el("div", { className: "body" });
    const note = el("span", { className: "note" });
    const head = el("div", { className: "head" },
        el("span", { textContent: who ?? (role === "user" ? t.you : t.assistant) }),
        el("time", { textContent: clockTime(time), dateTime: new Date(time).toISOString() }), note);
    const node = el("article", { className: `message ${role}` }, head, body);
    let shown = null;
    return {
        node,
        text(s) {
            if (s === shown) return;
            shown = s;
            if (role === "user") body.textContent = s;
            else markdown(body, s);
        },
        get value() {
            return shown ?? "";
        },
        state(word, kind = "") {
            note.textContent = word;
            node.dataset.kind = kind;
        },
    };
}

function toolLine(call, result) {
    const d = el("details", { className: "tool" });
    const failed = result?.isError;
    d.append(el("summary", {}, `${failed ? "▲" : "●"} ${call.name}`));
    d.append(el("pre", { tabIndex: 0, textContent: JSON.stringify(call.arguments ?? {}, null, 2) }));
    if (result) d.append(el("pre", { tabIndex: 0, className: failed ? "bad" : "", textContent: textOf(result) }));
    return d;
}

// Draws a whole page of history into `log`.
export function transcript(log, messages) {
    const results = new Map(messages.filter((m) => m.role === "toolResult").map((m) => [m.toolCallId, m]));
    const nodes = [];
    for (const m of messages) {
        if (m.role === "toolResult") continue;
        if (m.role === "system") {
            const failed = m.__openclaw?.kind === "error";
            nodes.push(el("p", { className: failed ? "system bad" : "system", textContent: textOf(m) }));
            continue;
        }
        const text = textOf(m);
        for (const c of Array.isArray(m.content) ? m.content : []) {
            if (c.type === "toolCall") nodes.push(toolLine(c, results.get(c.id)));
        }
        if (!text) continue;
        const b = bubble(m.role, { time: m.timestamp });
        b.text(text);
        if (m.stopReason === "aborted") b.state(t.stopped, "stopped");
        if (m.stopReason === "error") b.state(t.failed, "failed");
        nodes.push(b.node);
    }
    log.replaceChildren(...nodes);
}
