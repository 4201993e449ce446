// The rules of the client protocol for frames that are wrong (gateway-ws.md sections 1 to 5 and 10).
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { Gateway, sleep, until } from "./lib/gateway.mjs";
import { Client } from "./lib/client.mjs";

let g;
before(async () => (g = await Gateway.start()));
after(() => g.stop());

const hello = (over = {}) => ({
    minProtocol: 4, maxProtocol: 4, role: "operator",
    client: { id: "cli", version: "1.0.0", platform: "linux", mode: "cli" },
    scopes: ["operator.read"], caps: [], auth: { token: g.token }, ...over,
});
const closed = (c) => until("close", () => c.closed, 8000);

test("the challenge has a nonce and an integer time, and no seq", async () => {
    const c = await Client.open(g.ws);
    const e = c.events[0];
    assert.equal(e.event, "connect.challenge");
    assert.ok(e.payload.nonce.length >= 16);
    assert.ok(Number.isInteger(e.payload.ts));
    assert.equal(e.seq, undefined);
    c.close();
});

test("hello-ok has what real clients need", async () => {
    const c = await Client.connect(g);
    const h = c.hello;
    assert.equal(h.type, "hello-ok");
    assert.equal(h.protocol, 4);
    assert.equal(h.server.buildId, undefined);
    assert.equal(h.policy.maxPayload, 26214400);
    assert.equal(h.policy.tickIntervalMs, 30000);
    assert.equal(h.snapshot.sessionDefaults.mainSessionKey, "agent:main:main");
    assert.ok(h.features.methods.includes("chat.send"));
    assert.ok(h.features.events.includes("tick"));
    assert.equal(h.auth.role, "operator");
    c.close();
});

// [name, first frame, expected error code or null for none, close code, reason pattern]
const first = [
    ["not JSON", () => "not json", null, 1000, /^$/],
    ["a JSON array", () => "[1,2]", null, 1008, /invalid request frame/],
    ["an event frame", () => '{"type":"event","event":"x"}', null, 1008, /invalid request frame/],
    ["no id", () => '{"type":"req","method":"connect"}', null, 1008, /invalid request frame/],
    ["another method first", () => '{"type":"req","id":"r1","method":"health"}', "INVALID_REQUEST", 1008, /first request must be connect/],
    ["an old protocol", () => JSON.stringify({ type: "req", id: "r1", method: "connect", params: hello({ minProtocol: 3, maxProtocol: 3 }) }),
        "INVALID_REQUEST", 1002, /protocol mismatch/],
    ["an unknown client id", () => JSON.stringify({ type: "req", id: "r1", method: "connect",
        params: hello({ client: { id: "who", version: "1", platform: "x", mode: "cli" } }) }),
        "INVALID_REQUEST", 1008, /at \/client\/id/],
    ["missing client", () => JSON.stringify({ type: "req", id: "r1", method: "connect", params: { minProtocol: 4, maxProtocol: 4 } }),
        "INVALID_REQUEST", 1008, /invalid connect params.*client/],
    ["an unknown role", () => JSON.stringify({ type: "req", id: "r1", method: "connect", params: hello({ role: "king" }) }),
        "INVALID_REQUEST", 1008, /invalid role/],
    ["no credentials", () => JSON.stringify({ type: "req", id: "r1", method: "connect", params: hello({ auth: undefined }) }),
        "NOT_PAIRED", 1008, /device identity required/],
    ["a wrong token", () => JSON.stringify({ type: "req", id: "r1", method: "connect", params: hello({ auth: { token: "wrong" } }) }),
        "INVALID_REQUEST", 1008, /token mismatch/],
];
for (const [name, frame, code, close, reason] of first) {
    test(`before hello: ${name}`, async () => {
        const c = await Client.open(g.ws);
        c.raw(frame());
        const end = await closed(c);
        assert.equal(end.code, close);
        assert.match(end.reason, reason);
        const res = c.frames.find((f) => f.type === "res");
        if (code) assert.equal(res.error.code, code);
        else assert.equal(res, undefined);
    });
}

test("before hello: 65,536 bytes pass, one more closes with 1009", async () => {
    const frame = (n) => {
        const base = JSON.stringify({ type: "req", id: "r1", method: "connect", params: hello({ userAgent: "" }) });
        return base.replace('"userAgent":""', `"userAgent":"${"x".repeat(n - base.length)}"`);
    };
    const ok = await Client.open(g.ws);
    ok.raw(frame(65536));
    await until("hello", () => ok.frames.some((f) => f.type === "res" && f.ok));
    ok.close();
    const big = await Client.open(g.ws);
    big.raw(frame(65537));
    assert.equal((await closed(big)).code, 1009);
});

test("after hello: bad frames are answered or ignored, and the connection lives", async () => {
    const c = await Client.connect(g);
    c.raw("not json");
    c.raw('{"type":"event","event":"x","id":"e1"}');
    c.raw('{"type":"req","method":"health"}');
    c.raw("[]");
    const r = await c.request("health");
    assert.equal(r.ok, true);
    const bad = c.frames.filter((f) => f.type === "res" && !f.ok);
    assert.ok(bad.length >= 2);
    for (const b of bad) assert.match(b.error.message, /invalid request frame/);
    const again = await c.request("connect", hello());
    assert.match(again.error.message, /only valid as the first request/);
    const unknown = await c.request("no.such.method", {});
    assert.equal(unknown.error.message, "unknown method: no.such.method");
    assert.equal(c.closed, null);
    c.close();
});

test("scopes: a reader may not write, and the shape says what is missing", async () => {
    const c = await Client.connect(g, { scopes: ["operator.read"] });
    const r = await c.request("chat.send", { sessionKey: "main", message: "x", idempotencyKey: "k" });
    assert.equal(r.error.code, "FORBIDDEN");
    assert.equal(r.error.message, "missing scope: operator.write");
    assert.deepEqual(r.error.details, { code: "MISSING_SCOPE", missingScope: "operator.write", requiredScopes: ["operator.write"] });
    const u = await c.request("no.such.method", {});
    assert.equal(u.error.message, "missing scope: operator.admin");
    c.close();
});

test("parameters: the field is named, nothing is written", async () => {
    const c = await Client.connect(g);
    const cases = [
        ["chat.send", { sessionKey: "agent:main:bad", message: "x" }, /invalid chat\.send params: .*idempotencyKey/],
        ["chat.send", { sessionKey: "agent:main:bad", message: 7, idempotencyKey: "k1" }, /at \/message/],
        ["chat.send", { sessionKey: "agent:main:bad", message: "   ", idempotencyKey: "k2" }, /message or attachment required/],
        ["chat.history", {}, /sessionKey/],
        ["chat.history", { sessionKey: "agent:main:bad", limit: 100000 }, /limit/],
        ["agent.wait", {}, /runId/],
        ["agent", { message: "x" }, /idempotencyKey/],
    ];
    for (const [method, params, pattern] of cases) {
        const r = await c.request(method, params);
        assert.equal(r.ok, false, method);
        assert.equal(r.error.code, "INVALID_REQUEST");
        assert.match(r.error.message, pattern);
    }
    const missing = await c.request("chat.send", { message: "x", idempotencyKey: "k3" });
    assert.equal(missing.error.details.code, "SESSION_MUTATION_TARGET_REQUIRED");
    assert.equal((await c.history("agent:main:bad")).totalMessages, 0);
    c.close();
});

test("broadcast events are numbered from 1 without holes", async () => {
    const c = await Client.connect(g);
    await c.turn("count", { key: "seq-1" });
    await sleep(100);
    const seqs = c.events.filter((e) => e.seq !== undefined).map((e) => e.seq);
    assert.ok(seqs.length > 2);
    assert.deepEqual(seqs, seqs.map((_, i) => i + 1));
    c.close();
});

test("a browser from another origin is refused, forwarded requests too", async () => {
    const c = await Client.open(g.ws, { headers: { Origin: "https://evil.example" } });
    const r = await c.request("connect", hello()).catch(() => c.frames.find((f) => f.type === "res"));
    assert.equal(r.error.details.code, "CONTROL_UI_ORIGIN_NOT_ALLOWED");
    const f = await fetch(g.url + "/healthz", { headers: { "X-Forwarded-For": "203.0.113.9" } });
    assert.equal(f.status, 403);
});

test("stop: clients get the shutdown event and close 1012", async () => {
    const c = await Client.connect(g);
    await g.proc.stop();
    await closed(c);
    assert.ok(c.events.some((e) => e.event === "shutdown"));
    assert.equal(c.closed.code, 1012);
    await g.up();
});
