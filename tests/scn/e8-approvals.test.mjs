// Exec approvals over the protocol: asked, pushed, waited for, decided once, expired, not askable; they outlive the edge.
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { Gateway, until } from "./lib/gateway.mjs";
import { Client } from "./lib/client.mjs";

const SCOPES = ["operator.admin", "operator.read", "operator.write", "operator.approvals"];
let g;
before(async () => (g = await Gateway.start()));
after(() => g.stop());

const asker = () => Client.connect(g, { scopes: SCOPES, caps: [] });
const approver = () => Client.connect(g, { scopes: SCOPES, caps: ["exec-approvals"] });
const ask = (c, id, over = {}, opts = {}) =>
    c.request("exec.approval.request", { id, command: "rm -rf /srv/x", cwd: "/tmp", host: "gateway", timeoutMs: 20000, ...over }, opts);
const events = (c, name, id) => c.events.filter((e) => e.event === `exec.approval.${name}` && e.payload.id === id).map((e) => e.payload);

test("two phases: accepted, pushed to approvers, decided, told to everybody who waits", async () => {
    const [a, b, w] = [await asker(), await approver(), await asker()];
    const answer = ask(a, "two", { twoPhase: true, ask: "always", agentId: "main" }, { final: true });
    const [asked] = await until("request at the approver", () => events(b, "requested", "two").length && events(b, "requested", "two"));
    assert.equal(asked.approvalKind, "exec");
    assert.equal(asked.request.command, "rm -rf /srv/x");
    assert.deepEqual(asked.request.allowedDecisions, ["allow-once", "deny"]);
    assert.equal(asked.request.runId, null);
    assert.equal(events(a, "requested", "two").length, 0);
    const accepted = a.frames.find((f) => f.payload?.status === "accepted");
    assert.equal(accepted.payload.deliveryRoute, "approval-client");
    assert.equal(accepted.payload.expiresAtMs - accepted.payload.createdAtMs, 20000);

    const waiting = w.request("exec.approval.waitDecision", { id: "two" });
    assert.deepEqual((await b.request("exec.approval.list", {})).payload.map((r) => r.id), ["two"]);
    assert.equal((await b.request("exec.approval.get", { id: "two" })).payload.commandText, "rm -rf /srv/x");
    assert.equal((await b.request("approval.get", { id: "two" })).payload.approval.status, "pending");
    // Not possible: a word nobody knows, a decision that is not offered, one's own request.
    assert.match((await b.request("exec.approval.resolve", { id: "two", decision: "maybe" })).error.message, /invalid decision/);
    assert.match((await b.request("exec.approval.resolve", { id: "two", decision: "allow-always" })).error.message, /not possible/);
    assert.match((await a.request("exec.approval.resolve", { id: "two", decision: "allow-once" })).error.message, /cannot give it/);

    assert.deepEqual((await b.request("exec.approval.resolve", { id: "two", decision: "allow-once" })).payload, { ok: true });
    assert.equal((await answer).payload.decision, "allow-once");
    const waited = (await waiting).payload;
    assert.equal(waited.decision, "allow-once");
    assert.equal(waited.terminalReason, "user");
    const [told] = await until("told", () => events(b, "resolved", "two").length && events(b, "resolved", "two"));
    assert.equal(told.resolvedBy, "cli");
    // Again: the same is fine, another one is not.
    assert.equal((await b.request("exec.approval.resolve", { id: "two", decision: "allow-once" })).ok, true);
    assert.equal((await b.request("exec.approval.resolve", { id: "two", decision: "deny" })).error.details.reason, "APPROVAL_ALREADY_RESOLVED");
    const again = await b.request("approval.resolve", { id: "two", kind: "exec", decision: "deny" });
    assert.equal(again.payload.applied, false);
    assert.equal(again.payload.approval.status, "allowed");
    assert.equal((await ask(a, "two")).error.code, "UNAVAILABLE");
    [a, b, w].forEach((c) => c.close());
});

test("nobody to ask: denied at once; nobody decides: expired", async () => {
    const a = await asker();
    let r = await ask(a, "alone");
    assert.equal(r.payload.decision, null);
    assert.equal((await a.request("exec.approval.waitDecision", { id: "alone" })).payload.terminalReason, "no-route");
    assert.equal((await a.request("exec.approval.resolve", { id: "alone", decision: "deny" })).error.details.reason, "APPROVAL_NOT_FOUND");
    assert.equal((await a.request("approval.get", { id: "alone" })).payload.approval.status, "denied");

    const b = await approver();
    r = await ask(a, "late", { timeoutMs: 300 });
    assert.equal(r.payload.decision, null);
    await until("told of the expiry", () => events(b, "resolved", "late").some((p) => p.decision === "deny" && p.resolvedBy === null));
    assert.equal((await b.request("approval.get", { id: "late" })).payload.approval.status, "expired");
    const items = (await b.request("approval.history", { limit: 2 })).payload.items;
    assert.equal(items[0].id, "late");
    assert.equal((await b.request("exec.approval.get", { id: "late" })).error.details.reason, "APPROVAL_NOT_FOUND");
    [a, b].forEach((c) => c.close());
});

test("who may see it: administrators and whoever asked; who may ask: holders of the scope", async () => {
    const [a, b] = [await asker(), await approver()];
    const other = await Client.connect(g, { scopes: ["operator.approvals"], caps: ["exec-approvals"] });
    const answer = ask(a, "mine");
    await until("asked", () => events(b, "requested", "mine").length);
    assert.equal(events(other, "requested", "mine").length, 0);
    assert.deepEqual((await other.request("exec.approval.list", {})).payload, []);
    assert.equal((await other.request("exec.approval.resolve", { id: "mine", decision: "deny" })).error.details.reason, "APPROVAL_NOT_FOUND");
    assert.equal((await b.request("approval.resolve", { id: "mine", kind: "exec", decision: "deny" })).payload.applied, true);
    assert.equal((await answer).payload.decision, "deny");
    const reader = await Client.connect(g, { scopes: ["operator.read"] });
    assert.equal((await ask(reader, "no")).error.details.missingScope, "operator.approvals");
    [a, b, other, reader].forEach((c) => c.close());
});

test("an approval outlives the edge that asked for it", async () => {
    const [a, b] = [await asker(), await approver()];
    const lost = ask(a, "survivor").catch((e) => e.message);
    await until("asked", () => events(b, "requested", "survivor").length);
    await g.killWorker("edge");
    assert.match(await lost, /closed/);
    const again = await until("back", () => asker(), 15000, 200), boss = await approver();
    const waiting = again.request("exec.approval.waitDecision", { id: "survivor" });
    assert.equal((await boss.request("exec.approval.resolve", { id: "survivor", decision: "deny" })).ok, true);
    assert.equal((await waiting).payload.decision, "deny");
    [again, boss].forEach((c) => c.close());
});

test("bad requests name what is wrong and store nothing", async () => {
    const a = await asker();
    for (const [params, why] of [
        [{}, /command is required/], [{ command: "ls", host: "node" }, /nodeId is required/],
        [{ command: "ls", host: "node", nodeId: "n" }, /systemRunPlan is required/], [{ command: 5 }, /at \/command/],
        [{ command: "ls", bogus: 1 }, /bogus/], [{ command: "ls", timeoutMs: 0 }, /timeoutMs/]]) {
        const r = await a.request("exec.approval.request", params);
        assert.equal(r.error.code, "INVALID_REQUEST");
        assert.match(r.error.message, why);
    }
    assert.deepEqual((await a.request("approval.history", {})).payload.items.filter((i) => i.presentation.commandText === "ls"), []);
    a.close();
});

test("the policy file: read, replaced by who saw the last one, refused when it is nonsense", async () => {
    const a = await asker();
    const first = (await a.request("exec.approvals.get", {})).payload;
    assert.equal(first.exists, false);
    assert.deepEqual(first.resolvedDefaults, { security: "allowlist", ask: "on-miss", askFallback: "deny", autoAllowSkills: false });
    const file = { version: 1, socket: { path: "/x", token: "secret-of-a-socket" }, defaults: { security: "deny" }, agents: {} };
    const set = (await a.request("exec.approvals.set", { file, baseHash: first.hash })).payload;
    assert.equal(set.resolvedDefaults.security, "deny");
    assert.equal(set.file.socket, undefined);
    assert.match((await a.request("exec.approvals.set", { file, baseHash: first.hash })).error.message, /changed since last load/);
    for (const bad of [{ version: 2 }, { version: 1, defaults: { ask: "sometimes" } }, { version: 1, agents: { main: { security: 5 } } }])
        assert.match((await a.request("exec.approvals.set", { file: bad })).error.message, /at \/file/);
    assert.deepEqual((await a.request("exec.approvals.get", {})).payload.file, set.file);
    a.close();
});
