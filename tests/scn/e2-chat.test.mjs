// A conversation over the client protocol against a scripted model: deltas, idempotency, abort, queueing, history.
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { FakeLlm, Gateway, sleep, until } from "./lib/gateway.mjs";
import { Client, textOf } from "./lib/client.mjs";

let llm, g, c;
before(async () => {
    llm = await FakeLlm.start();
    g = await Gateway.start({ config: llm.config() });
    c = await Client.connect(g);
});
after(async () => {
    c?.close();
    await g?.stop();
    await llm?.stop();
});

test("deltas add up to the final, which is what history holds", async () => {
    const end = await c.turn("hello model", { sessionKey: "agent:main:t1", key: "t1" });
    assert.equal(end.state, "final");
    assert.equal(textOf(end.message), "echo: hello model");
    const deltas = c.chat("t1").filter((p) => p.state === "delta");
    assert.equal(deltas.map((d) => d.deltaText).join(""), "echo: hello model");
    assert.equal(textOf(deltas.at(-1).message), "echo: hello model");
    const agent = c.events.filter((e) => e.event === "agent" && e.payload.runId === "t1").map((e) => e.payload);
    assert.ok(agent.some((p) => p.stream === "lifecycle" && p.data.phase === "start"));
    assert.equal(agent.filter((p) => p.stream === "lifecycle" && p.data.phase === "end").length, 1);
    const h = await c.history("agent:main:t1");
    assert.deepEqual(h.messages.map((m) => [m.role, textOf(m)]),
        [["user", "hello model"], ["assistant", "echo: hello model"]]);
    assert.equal(h.messages[1].model, "fake-1");
    assert.deepEqual(h.messages.map((m) => m.__openclaw.seq), [1, 2]);
    assert.equal(h.hasMore, false);
});

test("the conversation before is sent to the model", async () => {
    await c.turn("and what did I say?", { sessionKey: "agent:main:t1" });
    const log = await llm.log();
    const last = JSON.stringify(log.requests.at(-1));
    assert.ok(last.includes("hello model") && last.includes("echo: hello model"));
});

test("a repeated key starts nothing: in flight, then ok; other content is a conflict", async () => {
    const params = { sessionKey: "agent:main:idem", message: "SLOW 6", idempotencyKey: "idem-1" };
    const first = await c.request("chat.send", params);
    assert.deepEqual(first.payload.status, "started");
    const second = await c.request("chat.send", params);
    assert.deepEqual(second.payload, { runId: "idem-1", status: "in_flight" });
    await c.ended("idem-1");
    const third = await c.request("chat.send", params);
    assert.deepEqual(third.payload, { runId: "idem-1", status: "ok" });
    const other = await c.request("chat.send", { ...params, message: "something else" });
    assert.equal(other.ok, false);
    assert.equal(other.error.details.reason, "chat-request-conflict");
    assert.equal((await c.history("agent:main:idem")).totalMessages, 2);
});

test("abort keeps the partial text and says so", async () => {
    const p = c.request("chat.send", { sessionKey: "agent:main:ab", message: "SLOW 60", idempotencyKey: "ab-1" });
    assert.equal((await p).ok, true);
    await until("a delta", () => c.chat("ab-1").some((x) => x.state === "delta"));
    const r = await c.request("chat.abort", { sessionKey: "agent:main:ab", runId: "ab-1" });
    assert.deepEqual(r.payload, { ok: true, aborted: true, runIds: ["ab-1"] });
    const end = await c.ended("ab-1");
    assert.equal(end.state, "aborted");
    assert.equal(end.stopReason, "rpc");
    assert.ok(textOf(end.message).length > 0);
    const nothing = await c.request("chat.abort", { sessionKey: "agent:main:ab" });
    assert.deepEqual(nothing.payload, { ok: true, aborted: false, runIds: [] });
    const next = await c.turn("alive?", { sessionKey: "agent:main:ab" });
    assert.equal(textOf(next.message), "echo: alive?");
});

test("/stop and /new work as messages", async () => {
    await c.request("chat.send", { sessionKey: "agent:main:cmd", message: "SLOW 60", idempotencyKey: "cmd-1" });
    await until("a delta", () => c.chat("cmd-1").some((x) => x.state === "delta"));
    const r = await c.request("chat.send", { sessionKey: "agent:main:cmd", message: "/stop", idempotencyKey: "cmd-2" });
    assert.equal(r.payload.aborted, true);
    assert.deepEqual(r.payload.runIds, ["cmd-1"]);
    assert.equal((await c.ended("cmd-1")).state, "aborted");
    await c.turn("/new", { sessionKey: "agent:main:cmd", key: "cmd-3" });
    const h = await c.history("agent:main:cmd");
    assert.ok(!h.messages.some((m) => m.role === "user" && textOf(m).includes("SLOW")));
});

test("messages sent while a run is busy are all answered, in order, none twice", async () => {
    const s = "agent:main:q";
    await c.request("chat.send", { sessionKey: s, message: "SLOW 5", idempotencyKey: "q-0" });
    const keys = ["q-1", "q-2", "q-3"];
    for (const k of keys) {
        const r = await c.request("chat.send", { sessionKey: s, message: `text of ${k}`, idempotencyKey: k });
        assert.equal(r.payload.status, "started");
    }
    for (const k of ["q-0", ...keys]) assert.equal((await c.ended(k)).state, "final");
    const h = await c.history(s);
    const users = h.messages.filter((m) => m.role === "user").map(textOf).join("\n");
    for (const k of keys) assert.equal(users.split(`text of ${k}`).length - 1, 1, `${k} stands once in the transcript`);
    assert.equal(h.messages.at(-1).role, "assistant");
    const answers = h.messages.filter((m) => m.role === "assistant").map(textOf).join("\n");
    for (const k of keys) assert.ok(answers.includes(`text of ${k}`), `${k} was answered`);
});

test("the agent method answers twice: accepted, then the result", async () => {
    const key = randomUUID();
    const r = await c.request("agent", { message: "hi agent", sessionKey: "agent:main:ag", idempotencyKey: key }, { final: true });
    assert.equal(r.ok, true);
    assert.equal(r.payload.status, "ok");
    assert.equal(r.payload.result.payloads[0].text, "echo: hi agent");
    const frames = c.frames.filter((f) => f.type === "res" && f.payload?.runId === key);
    assert.equal(frames[0].payload.status, "accepted");
    const again = await c.request("agent", { message: "hi agent", sessionKey: "agent:main:ag", idempotencyKey: key });
    assert.equal(again.payload.status, "ok");
});

test("agent.wait: ok, timeout for unknown, error for a failed run", async () => {
    const k = "w-1";
    await c.request("chat.send", { sessionKey: "agent:main:w", message: "SLOW 3", idempotencyKey: k });
    const early = await c.request("agent.wait", { runId: k, timeoutMs: 50 });
    assert.equal(early.payload.status, "timeout");
    const done = await c.request("agent.wait", { runId: k, timeoutMs: 10000 });
    assert.equal(done.payload.status, "ok");
    const nope = await c.request("agent.wait", { runId: "nope", timeoutMs: 100 });
    assert.deepEqual(nope.payload, { runId: "nope", status: "timeout" });
    await c.request("chat.send", { sessionKey: "agent:main:w", message: "STATUS 400", idempotencyKey: "w-2" });
    const bad = await c.request("agent.wait", { runId: "w-2", timeoutMs: 10000 });
    assert.equal(bad.payload.status, "error");
});

test("history pages: newest rows, in order, with an offset", async () => {
    const s = "agent:main:pages";
    for (let i = 0; i < 4; i++) await c.turn(`n${i}`, { sessionKey: s });
    const h = await c.history(s, { limit: 3 });
    assert.equal(h.totalMessages, 8);
    assert.equal(h.hasMore, true);
    assert.deepEqual(h.messages.map((m) => m.__openclaw.seq), [6, 7, 8]);
    const older = await c.history(s, { limit: 3, offset: 3 });
    assert.deepEqual(older.messages.map((m) => m.__openclaw.seq), [3, 4, 5]);
});

test("sessions.list has the rows, newest first", async () => {
    const r = await c.request("sessions.list", { limit: 50 });
    const keys = r.payload.sessions.map((s) => s.key);
    assert.equal(keys[0], "agent:main:pages");
    assert.ok(keys.includes("agent:main:t1"));
    assert.equal(r.payload.count, keys.length);
    const one = await c.request("sessions.list", { limit: 1 });
    assert.equal(one.payload.hasMore, true);
    assert.equal(one.payload.nextOffset, 1);
});

test("a second client sees the same stream; one with scoped events does not, until it subscribes", async () => {
    const other = await Client.connect(g, { scopes: ["operator.read"], caps: [] });
    const scoped = await Client.connect(g, { scopes: ["operator.read"], caps: ["session-scoped-events"] });
    await c.turn("who hears this", { sessionKey: "agent:main:t1", key: "hear-1" });
    await until("other hears", () => other.chat("hear-1").some((p) => p.state === "final"));
    assert.equal(scoped.chat("hear-1").length, 0);
    const sub = await scoped.request("sessions.messages.subscribe", { key: "agent:main:t1" });
    assert.deepEqual(sub.payload, { subscribed: true, key: "agent:main:t1" });
    await c.turn("who hears that", { sessionKey: "agent:main:t1", key: "hear-2" });
    await until("scoped hears", () => scoped.chat("hear-2").some((p) => p.state === "final"));
    assert.ok(scoped.events.some((e) => e.event === "session.message"));
    other.close();
    scoped.close();
});

test("a long answer arrives whole", async () => {
    const end = await c.turn("LONG 60000", { sessionKey: "agent:main:long", key: "long-1" });
    const text = textOf(end.message);
    assert.ok(text.length >= 59000, String(text.length));
    assert.equal(c.chat("long-1").filter((p) => p.state === "delta").map((d) => d.deltaText).join(""), text);
    const h = await c.history("agent:main:long");
    assert.equal(textOf(h.messages.at(-1)), text);
});

test("text deltas of a run are merged: not more than one each 75 ms", async () => {
    const t0 = Date.now();
    await c.turn("SLOW 8", { sessionKey: "agent:main:rate", key: "rate-1" });
    const took = Date.now() - t0;
    const n = c.chat("rate-1").filter((p) => p.state === "delta").length;
    assert.ok(n >= 2 && n <= took / 74 + 2, `${n} deltas in ${took} ms`);
    await sleep(50);
});
