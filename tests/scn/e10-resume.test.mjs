// Clients that come back miss nothing (our extension connect.params.resume): events with their numbers, or a gap that
// is told, with a snapshot. Without it everything is as the reference does it.
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { Gateway, FakeLlm, until } from "./lib/gateway.mjs";
import { Client } from "./lib/client.mjs";
import { Device } from "./lib/device.mjs";

let g, llm, other;
before(async () => {
    llm = await FakeLlm.start();
    g = await Gateway.start({ config: llm.config() });
    other = await Client.connect(g);
});
after(async () => {
    other?.close();
    await g?.stop();
    await llm?.stop();
});
const numbered = (c) => c.events.filter((e) => e.seq !== undefined);
const come = (d, lastSeq, over = {}) => d.connect(g.ws, { auth: { token: g.token }, resume: { lastSeq }, caps: ["tool-events"], ...over });
const follows = (events, from) => assert.deepEqual(events.map((e) => e.seq), events.map((_, i) => from + i + 1));

test("a client without `resume` gets no such member", async () => {
    assert.equal(other.hello.resume, undefined);
});

test("a whole turn is missed and comes back, number by number; subscriptions are still there", async () => {
    const d = new Device();
    const a = await come(d, 0);
    assert.equal(a.hello.resume.status, "new");
    assert.ok((await a.request("sessions.subscribe", {})).ok);
    await other.turn("before", { key: "resume-1" });
    await until("seen", () => a.events.some((e) => e.event === "chat" && e.payload.runId === "resume-1" && e.payload.state === "final"));
    const last = numbered(a).at(-1).seq;
    a.close();
    await other.turn("while away", { key: "resume-2" });
    const b = await come(d, last);
    assert.equal(b.hello.resume.status, "replayed");
    assert.equal(b.hello.server.connId, a.hello.server.connId);
    await until("all of it", () => numbered(b).length >= b.hello.resume.events);
    const final = b.chat("resume-2").find((p) => p.state === "final");
    assert.ok(final, "the end of the run that was missed");
    assert.ok(b.events.some((e) => e.event === "session.message"), "rows, by the old subscription");
    follows(numbered(b), last);
    await other.turn("after", { key: "resume-3" });
    await until("live again", () => b.chat("resume-3").some((p) => p.state === "final"));
    follows(numbered(b), last);
    b.close();
});

test("the old connection is still open: it is closed, and the new one goes on", async () => {
    const d = new Device();
    const a = await come(d, 0);
    await other.turn("x", { key: "resume-4" });
    await until("seen", () => a.chat("resume-4").some((p) => p.state === "final"));
    const b = await come(d, 1);
    assert.equal(b.hello.resume.status, "replayed");
    await until("old one closed", () => a.closed);
    assert.equal(a.closed.code, 4001);
    await until("again", () => b.chat("resume-4").some((p) => p.state === "final"));
    follows(numbered(b), 1);
    b.close();
});

const gaps = [
    ["a number from the future", "window", (d) => come(d, 100000)],
    ["other rights", "rights", (d) => come(d, 1, { scopes: ["operator.read"] })],
    ["another boot", "restart", (d) => d.connect(g.ws, { auth: { token: g.token }, resume: { lastSeq: 1, bootId: "old" }, caps: ["tool-events"] })],
    ["somebody unknown", "unknown", () => come(new Device(), 5)],
];
for (const [name, reason, again] of gaps) {
    test(`a gap is told: ${name}`, async () => {
        const d = new Device();
        const a = await come(d, 0);
        a.close();
        const b = await again(d);
        assert.equal(b.hello.resume.status, "gap");
        assert.equal(b.hello.resume.reason, reason);
        assert.ok(Array.isArray(b.hello.resume.snapshot.runs));
        await other.turn("on", { key: `gap-${reason}` });
        await until("events from 1", () => numbered(b).length > 0);
        follows(numbered(b), 0);
        b.close();
    });
}

test("a killed edge: a gap with a snapshot of what runs, and nothing is lost in the store", async () => {
    const d = new Device();
    const a = await come(d, 0);
    const boot = a.hello.server.bootId;
    await g.killWorker("edge");
    await until("closed", () => a.closed);
    const again = await Client.connect(g);
    await again.request("chat.send", { sessionKey: "slow", message: "SLOW 60", idempotencyKey: "resume-slow" });
    await until("it speaks", () => again.chat("resume-slow").some((p) => p.state === "delta"), 20000);
    const b = await d.connect(g.ws, { auth: { token: g.token }, resume: { lastSeq: 3, bootId: boot }, caps: ["tool-events"] });
    assert.deepEqual([b.hello.resume.status, b.hello.resume.reason], ["gap", "restart"]);
    const run = b.hello.resume.snapshot.runs.find((r) => r.runId === "resume-slow");
    assert.equal(run.sessionKey, "agent:main:slow");
    assert.ok(run.text.length > 0);
    await b.ended("resume-slow", 30000);
    b.close();
    again.close();
});
