// Jobs over the protocol (gateway-ws.md 15.7): every kind of schedule, runs by hand and by the clock, the log, events.
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { Gateway, FakeLlm, until } from "./lib/gateway.mjs";
import { Client } from "./lib/client.mjs";

let g, llm, c;
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
const job = (over = {}) => ({ name: "a job", schedule: { kind: "every", everyMs: 3600000 }, sessionTarget: "isolated",
    wakeMode: "now", payload: { kind: "agentTurn", message: "say hi" }, ...over });
const ok = async (method, params) => {
    const r = await c.request(method, params);
    assert.ok(r.ok, `${method}: ${JSON.stringify(r.error)}`);
    return r.payload;
};
const cronEvents = (id, action) => c.events.filter((e) => e.event === "cron" && e.payload.jobId === id && e.payload.action === action);

test("add, list, get, update, remove", async () => {
    const made = await ok("cron.add", job());
    assert.equal(made.schedule.everyMs, 3600000);
    assert.ok(made.state.nextRunAtMs > Date.now() + 3500000);
    await until("event added", () => cronEvents(made.id, "added").length);
    const page = await ok("cron.list", {});
    assert.deepEqual([page.total, page.offset, page.hasMore, page.nextOffset], [1, 0, false, null]);
    assert.equal((await ok("cron.list", {})).snapshotRevision, page.snapshotRevision);
    const off = await ok("cron.update", { id: made.id, patch: { enabled: false, name: "other" } });
    assert.equal(off.enabled, false);
    assert.equal(off.state.nextRunAtMs, undefined);
    assert.notEqual((await ok("cron.list", {})).snapshotRevision, page.snapshotRevision);
    assert.equal((await ok("cron.list", {})).total, 0);
    assert.equal((await ok("cron.list", { includeDisabled: true, query: "OTHER" })).total, 1);
    assert.equal((await ok("cron.get", { id: made.id })).name, "other");
    assert.deepEqual(await ok("cron.remove", { id: made.id }), { ok: true, removed: true });
    for (const method of ["cron.get", "cron.remove", "cron.run"]) {
        const r = await c.request(method, { id: made.id });
        assert.deepEqual(r.error.details, { code: "CRON_JOB_NOT_FOUND", jobId: made.id });
    }
    assert.equal((await ok("cron.status", {})).jobs, 0);
});

test("by hand: a run of its own session, its outcome in the log and as event", async () => {
    const made = await ok("cron.add", job({ payload: { kind: "agentTurn", message: "hello from a job" } }));
    assert.equal((await ok("cron.run", { id: made.id, mode: "due" })).reason, "not-due");
    const r = await ok("cron.run", { id: made.id, mode: "force" });
    assert.equal(r.enqueued, true);
    await until("finished", () => cronEvents(made.id, "finished").length, 20000);
    const { entries, total } = await ok("cron.runs", { id: made.id });
    assert.equal(total, 1);
    assert.equal(entries[0].status, "ok");
    assert.equal(entries[0].runId, r.runId);
    assert.match(entries[0].sessionKey, new RegExp(`^agent:main:cron:${made.id}:run:`));
    const log = await ok("chat.history", { sessionKey: entries[0].sessionKey });
    assert.ok(log.messages.some((m) => m.role === "user" && /hello from a job/.test(JSON.stringify(m.content))));
    const after = await ok("cron.get", { id: made.id });
    assert.equal(after.state.lastRunStatus, "ok");
    assert.equal(after.state.nextRunAtMs, made.state.nextRunAtMs); // the schedule is as it was
    await ok("cron.remove", { id: made.id });
});

test("by the clock: every two seconds, again and again; a killed cron worker and store double nothing", async () => {
    const made = await ok("cron.add", job({ schedule: { kind: "every", everyMs: 2000 }, sessionTarget: "session:agent:main:beat" }));
    const runs = async () => (await ok("cron.runs", { id: made.id, limit: 200 })).entries.filter((e) => e.status === "ok");
    await until("two runs", async () => (await runs()).length >= 2, 30000);
    await g.killWorker("cron");
    await g.killWorker("store");
    const n = (await runs()).length;
    await until("more runs", async () => (await runs()).length >= n + 2, 30000);
    await ok("cron.remove", { id: made.id });
    const all = (await ok("chat.history", { sessionKey: "agent:main:beat", limit: 500 })).messages;
    const ids = all.filter((m) => m.role === "user").map((m) => m.idempotencyKey);
    assert.equal(new Set(ids).size, ids.length);
});

test("main jobs tell the main session; once-only jobs go when they are done; a key declares a job once", async () => {
    const at = new Date(Date.now() + 1500).toISOString();
    const made = await ok("cron.add", job({ name: "once", schedule: { kind: "at", at }, sessionTarget: "main",
        payload: { kind: "systemEvent", text: "the kettle is ready" } }));
    assert.equal(made.deleteAfterRun, true);
    await until("gone", async () => !(await c.request("cron.get", { id: made.id })).ok, 30000);
    const main = (await ok("chat.history", { sessionKey: "main" })).messages;
    assert.ok(main.some((m) => /kettle/.test(JSON.stringify(m.content))));
    const one = await ok("cron.add", job({ declarationKey: "mine" }));
    assert.equal(one.created, true);
    const two = await ok("cron.add", job({ declarationKey: "mine", name: "renamed" }));
    assert.deepEqual([two.created, two.updated, two.job.id, two.job.name], [false, true, one.job.id, "renamed"]);
    await ok("cron.remove", { jobId: one.job.id });
});

test("what cannot be is refused, and nothing is stored", async () => {
    const bad = [
        [job({ schedule: { kind: "cron", expr: "61 * * * *" } }), /schedule\/expr/],
        [job({ schedule: { kind: "cron", expr: "0 9 * * *", tz: "Nowhere/Land" } }), /Nowhere\/Land/],
        [job({ payload: { kind: "command", argv: ["true"] } }), /payload\/kind/],
        [job({ sessionTarget: "main" }), /main cron jobs require payload.kind="systemEvent"/],
        [job({ agentId: "nobody" }), /unknown agent id "nobody"/],
        [{ ...job(), name: undefined }, /required property 'name'/],
    ];
    for (const [params, pattern] of bad) {
        const r = await c.request("cron.add", params);
        assert.equal(r.error?.code, "INVALID_REQUEST");
        assert.match(r.error.message, /^invalid cron\.add params: /);
        assert.match(r.error.message, pattern);
    }
    assert.equal((await ok("cron.list", { includeDisabled: true })).total, 0);
});

test("control-plane writes are limited: thirty in a minute", async () => {
    let limited;
    for (let i = 0; i < 31 && !limited; i++) {
        const r = await c.request("cron.remove", { id: "none" });
        if (r.error.code === "UNAVAILABLE") limited = r.error;
    }
    assert.match(limited.message, /rate limit exceeded for cron\.remove/);
    assert.equal(limited.retryable, true);
    assert.ok(limited.retryAfterMs > 0 && limited.retryAfterMs <= 60000);
    assert.deepEqual(limited.details, { method: "cron.remove", limit: "30 per 60s" });
});
