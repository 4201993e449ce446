// The generic webhook channel: signed HTTP in, HTTP callback out, every refusal named.
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { createServer } from "node:http";
import { once } from "node:events";
import { FakeLlm, Gateway, until } from "./lib/gateway.mjs";

const secret = "hook-secret-0123456789";
let llm, g, target, calls, url, failures = 0;

const sign = (ts, body) => "sha256=" + createHmac("sha256", secret).update(`${ts}.${body}`).digest("hex");
function post(body, { headers = {}, query = "", ts = Math.floor(Date.now() / 1000), signature = null } = {}) {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    return fetch(url + query, { method: "POST", body: text, headers: {
        "content-type": "application/json", "x-timestamp": String(ts), "x-signature-256": signature ?? sign(ts, text), ...headers } });
}

before(async () => {
    calls = [];
    target = createServer((req, res) => {
        let body = "";
        req.on("data", (d) => (body += d));
        req.on("end", () => {
            calls.push({ headers: req.headers, body });
            res.statusCode = failures-- > 0 ? 503 : 200;
            res.end("{}");
        });
    }).listen(0, "127.0.0.1");
    await once(target, "listening");
    llm = await FakeLlm.start();
    g = await Gateway.start({ config: llm.config() + `
        channels = { webhook = { accounts = { shop = { secret = "${secret}"; dmPolicy = "open"; allowFrom = [ "*" ];
            callbackUrl = "http://127.0.0.1:${target.address().port}/cb"; allowPrivateCallback = true; }; }; }; };` });
    url = `${g.url}/channels/webhook/shop`;
    await until("webhook worker", async () => /ready/i.test((await g.worker("webhook/shop")).state));
});
after(async () => {
    await g?.stop();
    await llm?.stop();
    target?.close();
});

test("accepted means durable; the answer comes to the callback, signed", async () => {
    const r = await post({ id: "e1", from: "u1", text: "hello hook" });
    assert.equal(r.status, 200);
    assert.deepEqual(await r.json(), { ok: true, eventId: "e1", accepted: "durable" });
    const call = await until("callback", () => calls.find((c) => c.body.includes("hello hook")));
    assert.ok(JSON.parse(call.body).text.includes("echo: hello hook"));
    assert.equal(call.headers["x-signature-256"], sign(call.headers["x-timestamp"], call.body));
    assert.ok(call.headers["x-delivery-id"]);
});

test("the same id again changes nothing", async () => {
    const n = (await llm.log()).count;
    const r = await post({ id: "e1", from: "u1", text: "hello hook" });
    assert.equal(r.status, 200);
    assert.equal((await r.json()).duplicate, true);
    const other = await post({ id: "e1", from: "u1", text: "something else" });
    assert.equal(other.status, 422, "the same id for other words: refused, and nothing is stored");
    assert.equal((await other.json()).field, "id");
    assert.equal((await llm.log()).count, n);
});

test("a failing callback is tried again with the same delivery id", async () => {
    failures = 2;
    await post({ id: "e2", from: "u1", text: "try harder" });
    await until("third call", () => calls.filter((c) => c.body.includes("try harder")).length === 3, 30000);
    assert.equal(new Set(calls.filter((c) => c.body.includes("try harder")).map((c) => c.headers["x-delivery-id"])).size, 1);
});

test("?wait returns the answer itself", async () => {
    const r = await post({ id: "e3", from: "u2", text: "wait for me" }, { query: "?wait=20" });
    assert.equal(r.status, 200);
    assert.match(JSON.stringify(await r.json()), /echo: wait for me/);
});

const refusals = [
    ["no signature", () => post({ id: "x", from: "u", text: "t" }, { signature: "" }), 401],
    ["a wrong signature", () => post({ id: "x", from: "u", text: "t" }, { signature: "sha256=" + "0".repeat(64) }), 401],
    ["an old timestamp", () => post({ id: "x", from: "u", text: "t" }, { ts: Math.floor(Date.now() / 1000) - 3600 }), 401],
    ["not JSON", () => post("nope"), 400],
    ["no text", () => post({ id: "x", from: "u" }), 400, /text/],
    ["no from", () => post({ id: "x", text: "t" }), 400, /from/],
    ["text of a wrong type", () => post({ id: "x", from: "u", text: 7 }), 400, /text/],
    ["too large", () => post({ id: "x", from: "u", text: "x".repeat(2 << 20) }).catch(() => ({ status: 413, text: () => "" })), 413],
    ["an account that does not exist", () => fetch(`${g.url}/channels/webhook/nobody`, { method: "POST", body: "{}" }), 404],
];
for (const [name, call, status, pattern] of refusals) {
    test(`refused: ${name}`, async () => {
        const n = (await llm.log()).count;
        const r = await call();
        assert.equal(r.status, status);
        if (pattern) assert.match(await r.text(), pattern);
        assert.equal((await llm.log()).count, n);
    });
}

test("while the worker is away the sender is told to come back, and then is served", async () => {
    const w = await g.worker("webhook/shop");
    process.kill(w.pid, "SIGKILL");
    const r = await post({ id: "e9", from: "u1", text: "in between" });
    assert.ok([200, 503].includes(r.status), String(r.status));
    await until("served", async () => (await post({ id: "e9", from: "u1", text: "in between" })).status === 200, 15000, 200);
    await until("answered", () => calls.some((c) => c.body.includes("in between")));
    assert.equal(calls.filter((c) => c.body.includes("in between")).length, 1);
});
