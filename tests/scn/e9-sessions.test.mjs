// Sessions as people arrange them (gateway-ws.md 15.4), small answers, scopes that depend on parameters.
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { Gateway, FakeLlm, until } from "./lib/gateway.mjs";
import { Client } from "./lib/client.mjs";

let g, llm, c;
before(async () => {
    llm = await FakeLlm.start();
    g = await Gateway.start({ config: llm.config() });
    c = await Client.connect(g);
    await until("the model is known", async () => (await ok("models.list", {})).models.length);
});
after(async () => {
    c?.close();
    await g?.stop();
    await llm?.stop();
});
const ok = async (method, params, who = c) => {
    const r = await who.request(method, params);
    assert.ok(r.ok, `${method}: ${JSON.stringify(r.error)}`);
    return r.payload;
};
const row = async (key) => (await ok("sessions.describe", { key })).session;

test("create, name, pin, archive, delete; subscribers hear of it", async () => {
    await ok("sessions.subscribe", {});
    const made = await ok("sessions.create", { label: "One" });
    assert.match(made.key, /^agent:main:dashboard:[0-9a-f-]{36}$/);
    assert.equal(made.runStarted, false);
    assert.equal((await ok("sessions.create", { key: made.key })).sessionId, made.sessionId);
    await ok("sessions.patch", { key: made.key, label: "Uno", pinned: true });
    assert.deepEqual([(await row(made.key)).label, (await row(made.key)).pinned], ["Uno", true]);
    await ok("sessions.patch", { key: made.key, label: null, archived: true });
    const listed = async (p) => (await ok("sessions.list", p)).sessions.map((s) => s.key);
    assert.equal((await listed({})).includes(made.key), false);
    assert.equal((await listed({ archived: true })).includes(made.key), true);
    assert.equal((await row(made.key)).label, undefined);
    await ok("sessions.patch", { key: made.key, archived: false });
    assert.equal((await listed({})).includes(made.key), true);
    const stale = await c.request("sessions.delete", { key: made.key, expectedSessionId: "another" });
    assert.equal(stale.error.code, "INVALID_REQUEST");
    assert.deepEqual(await ok("sessions.delete", { key: made.key }), { ok: true, key: made.key, deleted: true, archived: [] });
    assert.equal((await ok("sessions.delete", { key: made.key })).deleted, false);
    assert.equal(await row(made.key), null);
    for (const reason of ["create", "patch", "delete"])
        assert.ok(c.events.some((e) => e.event === "sessions.changed" && e.payload.reason === reason), reason);
    assert.match((await c.request("sessions.delete", { key: "main" })).error.message, /Cannot delete the main session/);
});

test("a first message, a second one, a reset, a note", async () => {
    const made = await ok("sessions.create", { key: "s1", message: "first", idempotencyKey: "first-run" });
    assert.deepEqual([made.runStarted, made.runId], [true, "first-run"]);
    await c.ended("first-run");
    const again = await ok("sessions.send", { key: "s1", message: "second" });
    assert.equal(again.status, "started");
    await c.ended(again.runId);
    assert.equal((await c.history("agent:main:s1")).totalMessages, 4);
    const note = await ok("chat.inject", { sessionKey: "s1", message: "a note", label: "somebody" });
    assert.equal((await ok("chat.message.get", { sessionKey: "s1", messageId: note.messageId })).ok, true);
    assert.equal((await ok("chat.message.get", { sessionKey: "s1", messageId: "none" })).unavailableReason, "not_found");
    await ok("sessions.reset", { key: "s1" });
    const h = await c.history("agent:main:s1");
    assert.deepEqual(h.messages.map((m) => m.__openclaw.kind), ["reset"]);
    assert.equal((await ok("sessions.resolve", { key: "main" })).key, "agent:main:main");
    assert.equal((await ok("sessions.resolve", { sessionId: h.sessionId })).key, "agent:main:s1");
    assert.match((await c.request("sessions.resolve", { key: "nowhere" })).error.message, /^No session found/);
    assert.deepEqual(await ok("sessions.resolve", { key: "nowhere", allowMissing: true }), { ok: false });
});

test("deleting while it runs: the run ends and says so", async () => {
    await ok("chat.send", { sessionKey: "busy", message: "SLOW 100", idempotencyKey: "busy-run" });
    await until("it runs", async () => (await row("busy"))?.hasActiveRun);
    await ok("sessions.delete", { key: "busy" });
    assert.equal((await c.ended("busy-run")).state, "aborted");
    assert.equal((await c.history("agent:main:busy")).totalMessages, 0);
});

test("events become turns or notes", async () => {
    await ok("wake", { mode: "now", text: "the door bell rang", sessionKey: "bell" });
    await until("answered", async () => (await c.history("agent:main:bell")).messages.some((m) => m.role === "assistant"));
    await ok("system-event", { text: "the door is open", sessionKey: "bell" });
    const last = (await c.history("agent:main:bell")).messages.at(-1);
    assert.deepEqual([last.role, last.content], ["user", "the door is open"]);
    assert.equal((await ok("set-heartbeats", { enabled: false })).enabled, false);
    assert.equal((await c.request("set-heartbeats", { enabled: true })).error.code, "INVALID_REQUEST");
});

test("scopes that depend on what is asked", async () => {
    const writer = await Client.connect(g, { scopes: ["operator.write"] });
    await ok("sessions.patch", { key: "w1", label: "mine" }, writer);
    const cases = [
        ["sessions.patch", { key: "w1", permissionMode: "full" }],
        ["sessions.patch", { key: "w1", verboseLevel: "on" }],
        ["sessions.delete", { key: "w1" }],
        ["sessions.create", { incognito: true }],
        ["agent", { message: "/reset", idempotencyKey: "k" }],
    ];
    for (const [method, params] of cases) {
        const r = await writer.request(method, params);
        assert.equal(r.error?.details?.missingScope, "operator.admin", `${method} ${JSON.stringify(params)}`);
    }
    assert.match((await writer.request("sessions.delete", { key: "w1", archivedOnly: true })).error.message, /not archived/);
    await ok("sessions.patch", { key: "w1", archived: true }, writer);
    assert.equal((await ok("sessions.delete", { key: "w1", archivedOnly: true }, writer)).deleted, true);
    assert.match((await writer.request("sessions.patch", { key: "w2", thinkingLevel: "high" })).error.message, /thinkingLevel/);
    assert.match((await writer.request("sessions.patch", { key: "w2", model: "nope/x" })).error.message, /Unknown provider "nope"/);
    assert.equal(await row("w2"), null);
    writer.close();
});

test("tools, commands and usage tell what there is", async () => {
    const tools = (await ok("tools.catalog", {})).groups[0].tools.map((t) => t.id);
    assert.ok(tools.includes("current_time"), tools.join());
    assert.deepEqual((await ok("commands.list", {})).commands.map((x) => x.name), ["stop", "new", "reset"]);
    assert.ok((await ok("usage.cost", { days: 7 })).totals.totalTokens > 0);
});
