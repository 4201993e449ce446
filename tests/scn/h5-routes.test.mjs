// Routes beside the OpenAI interface: tools, sessions, the health document (http-surfaces.md 7, 8, 9).
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { Gateway, FakeLlm, until } from "./lib/gateway.mjs";
import { Client } from "./lib/client.mjs";

let g, llm;
before(async () => {
    llm = await FakeLlm.start();
    g = await Gateway.start({ config: llm.config() });
});
after(async () => {
    await g.stop();
    await llm.stop();
});

const call = async (method, path, body, headers = {}) => {
    const r = await fetch(g.url + path, { method, headers: { authorization: `Bearer ${g.token}`, ...headers },
        body: body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body) });
    return { status: r.status, body: await r.json() };
};

test("a tool is called without a model", async () => {
    const r = await until("an agent takes it", async () => {
        const x = await call("POST", "/tools/invoke", { tool: "current_time", args: { timezone: "Europe/Madrid" } });
        return x.status === 200 && x;
    });
    assert.equal(r.body.ok, true);
    assert.match(r.body.result.content[0].text, /\d{2}:\d{2}/);
    const status = await call("POST", "/tools/invoke", { name: "session_status", sessionKey: "main" });
    assert.match(status.body.result.content[0].text, /agent:main:main/);
});

test("tools that are not for this route look like tools that do not exist", async () => {
    for (const tool of ["write", "message", "exec", "nope"]) {
        const r = await call("POST", "/tools/invoke", { tool, args: {} });
        assert.equal(r.status, 404, tool);
        assert.deepEqual([r.body.ok, r.body.error.type], [false, "not_found"]);
    }
    assert.equal((await call("POST", "/tools/invoke", {})).body.error.message, "tools.invoke requires name");
    assert.equal((await call("POST", "/tools/invoke", "{")).status, 400);
    const bad = await call("POST", "/tools/invoke", { tool: "current_time", args: { zone: 1 } });
    assert.equal(bad.status, 400);
    assert.equal(bad.body.error.code, "invalid_arguments");
    assert.equal((await call("POST", "/tools/invoke", { tool: "current_time", agentId: "nobody" })).status, 400);
    const scope = await call("POST", "/tools/invoke", { tool: "current_time" }, { "x-tenaza-scopes": "operator.read" });
    assert.equal(scope.status, 403);
});

test("history comes in pages, newest first by cursor; an unknown session is 404", async () => {
    const c = await Client.connect(g);
    for (let i = 0; i < 4; i++) await c.turn(`message ${i}`, { sessionKey: "agent:main:pages" });
    const one = await call("GET", "/sessions/agent:main:pages/history?limit=5");
    assert.equal(one.body.items.length, 5);
    assert.equal(one.body.hasMore, true);
    const two = await call("GET", `/sessions/agent:main:pages/history?limit=5&before=${one.body.nextCursor}`);
    assert.equal(two.body.items.length, 3);
    assert.deepEqual([two.body.hasMore, two.body.nextCursor], [false, null]);
    const texts = [...two.body.items, ...one.body.items].map((m) => JSON.stringify(m.content));
    assert.equal(new Set(texts).size, 8, "every row once");
    const compat = await call("GET", "/sessions/agent:main:pages/history?compat=1");
    assert.deepEqual(compat.body.messages, compat.body.items);
    assert.equal((await call("GET", "/sessions/agent:main:none/history")).status, 404);
    assert.equal((await call("GET", "/sessions/agent:main:pages/history?limit=x")).body.error.param, "limit");
    c.close();
});

test("kill stops the running turn and needs the right to it", async () => {
    const c = await Client.connect(g);
    await c.request("chat.send", { sessionKey: "agent:main:long", message: "SLOW 300", idempotencyKey: "long-1" });
    await until("running", async () => (await llm.log()).active === 1);
    const no = await call("POST", "/sessions/agent:main:long/kill", "", { "x-tenaza-scopes": "operator.write" });
    assert.equal(no.status, 403);
    assert.match(no.body.error.message, /operator\.admin/);
    const yes = await call("POST", "/sessions/agent:main:long/kill", "");
    assert.deepEqual(yes.body, { ok: true, killed: true, runIds: ["long-1"] });
    assert.equal((await c.ended("long-1")).state, "aborted");
    assert.equal((await call("POST", "/sessions/agent:main:none/kill", "")).status, 404);
    c.close();
});

test("the health document has figures of the edge and of the store", async () => {
    const { status, body } = await call("GET", "/api/health");
    assert.equal(status, 200);
    assert.equal(body.ok, true);
    assert.ok(body.uptimeMs > 0 && body.ledger.answered >= 4 && body.store.bytes > 0);
    assert.equal(body.model.model, "fake-1");
    assert.equal((await fetch(g.url + "/api/health")).status, 401);
});
