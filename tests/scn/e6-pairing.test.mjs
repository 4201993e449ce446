// Devices that must be approved: the request, operators being told, approval over the protocol and by command, tokens,
// and being thrown out (gateway-ws.md section 7, 15.8).
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Gateway, until } from "./lib/gateway.mjs";
import { Client } from "./lib/client.mjs";
import { Device } from "./lib/device.mjs";

const inner = process.env.TENAZA_REMOTE; // set inside the network namespace: the address that is not loopback
let g, boss;
before(async () => {
    g = await Gateway.start({ config: inner ? `edge = { port = @PORT@; bind = "lan"; };`
        : "edge = { port = @PORT@; pairing = { autoApproveLocal = false; }; };" });
    boss = await Client.connect(g);
});
after(async () => {
    boss?.close();
    await g?.stop();
});
const url = () => (inner ? `ws://${inner}:${g.port}` : g.ws);
const told = (name, match) => until(name, () => boss.events.find((e) => e.event === name && match(e.payload)));

// Asks, is refused, is approved; resolves with the live connection.
async function paired(device, how = {}) {
    const refused = await device.connect(url(), { auth: { token: g.token }, ...how });
    assert.equal(refused.refused.code, "NOT_PAIRED");
    const { requestId } = refused.refused.details;
    const r = await boss.request("device.pair.approve", { requestId });
    assert.ok(r.ok, JSON.stringify(r.error));
    const c = await device.connect(url(), { auth: { token: g.token }, ...how });
    assert.ok(c.hello, JSON.stringify(c.refused));
    return c;
}

test("an unknown device is held, operators hear of it, approval lets it in with a token", async () => {
    const d = new Device();
    const how = { auth: { token: g.token } };
    const first = await d.connect(url(), how);
    assert.equal(first.refused.code, "NOT_PAIRED");
    const { details } = first.refused;
    assert.equal(details.code, "PAIRING_REQUIRED");
    assert.equal(details.reason, "not-paired");
    assert.equal(details.deviceId, d.id);
    assert.deepEqual(details.requestedScopes, ["operator.read", "operator.write"]);
    assert.equal(first.closed.code, 1008);
    assert.match(first.closed.reason, new RegExp(`pairing required.*requestId: ${details.requestId}`));
    await told("device.pair.requested", (p) => p.requestId === details.requestId && p.deviceId === d.id);
    assert.equal((await d.connect(url(), how)).refused.details.requestId, details.requestId);
    const list = (await boss.request("device.pair.list", {})).payload;
    assert.equal(list.pending.length, 1);

    const r = await boss.request("device.pair.approve", { requestId: details.requestId });
    assert.equal(r.payload.device.approvedVia, "owner");
    assert.equal(r.payload.device.tokens[0].token, undefined);
    await told("device.pair.resolved", (p) => p.requestId === details.requestId && p.decision === "approved");
    const c = await d.connect(url(), how);
    const token = c.hello.auth.deviceToken;
    assert.match(token, /^[A-Za-z0-9_-]{43}$/);
    c.close();
    const own = await d.connect(url(), { auth: { deviceToken: token } });
    assert.deepEqual(own.hello.auth.scopes, ["operator.read", "operator.write"]);

    const gone = await boss.request("device.token.revoke", { deviceId: d.id, role: "operator" });
    assert.ok(gone.payload.revokedAtMs > 0);
    await until("thrown out", () => own.closed);
    assert.deepEqual(own.closed, { code: 4001, reason: "device removed" });
    assert.equal((await d.connect(url(), { auth: { deviceToken: token } })).refused.details.code, "AUTH_DEVICE_TOKEN_MISMATCH");
    assert.equal((await d.connect(url(), how)).refused.details.reason, "role-upgrade");
});

test("more scopes need another approval; rejected requests are forgotten", async () => {
    const d = new Device();
    const c = await paired(d);
    c.close();
    const more = await d.connect(url(), { auth: { token: g.token }, scopes: ["operator.admin"] });
    assert.equal(more.refused.details.reason, "scope-upgrade");
    assert.deepEqual(more.refused.details.approvedScopes, ["operator.read", "operator.write"]);
    const { requestId } = more.refused.details;
    const r = await boss.request("device.pair.reject", { requestId });
    assert.deepEqual(r.payload, { requestId, deviceId: d.id });
    await told("device.pair.resolved", (p) => p.requestId === requestId && p.decision === "rejected");
    assert.match((await boss.request("device.pair.approve", { requestId })).error.message, /unknown requestId/);
    assert.ok((await d.connect(url(), { auth: { token: g.token } })).hello);
});

test("nobody grants what he does not hold", async () => {
    const small = await Client.connect(g, { scopes: ["operator.pairing", "operator.read"] });
    const d = new Device();
    const ask = await d.connect(url(), { auth: { token: g.token } });
    const r = await small.request("device.pair.approve", { requestId: ask.refused.details.requestId });
    assert.equal(r.error.code, "FORBIDDEN");
    assert.equal((await boss.request("device.pair.list", {})).payload.pending.some((p) => p.deviceId === d.id), true);
    const none = await Client.connect(g, { scopes: ["operator.read"] });
    assert.equal((await none.request("device.pair.list", {})).error.details.missingScope, "operator.pairing");
    small.close();
    none.close();
});

test("a device rotates its own token and gets it; others do not see it; both close the old connection", async () => {
    const d = new Device();
    const scopes = ["operator.read", "operator.write", "operator.pairing"];
    (await paired(d, { scopes })).close();
    const token = (await d.connect(url(), { auth: { token: g.token }, scopes })).hello.auth.deviceToken;
    const own = await d.connect(url(), { auth: { deviceToken: token }, scopes });
    const seen = (await own.request("device.pair.list", {})).payload;
    assert.deepEqual(seen.paired.map((p) => p.deviceId), [d.id]);
    const r = await own.request("device.token.rotate", { deviceId: d.id, role: "operator" });
    assert.equal(r.payload.tokenDelivery, "in-band");
    assert.notEqual(r.payload.token, token);
    await until("closed", () => own.closed);
    assert.equal(own.closed.code, 4001);
    const again = await d.connect(url(), { auth: { deviceToken: r.payload.token }, scopes });
    assert.ok(again.hello);
    const other = await boss.request("device.token.rotate", { deviceId: d.id, role: "operator", scopes: ["operator.read"] });
    assert.equal(other.payload.tokenDelivery, "withheld-cross-device");
    assert.equal(other.payload.token, undefined);
    await until("closed too", () => again.closed);
    assert.match((await boss.request("device.token.rotate", { deviceId: d.id, role: "node" })).error.message, /rotation denied/);
});

test("the command line: list, approve, reject, revoke, remove", async () => {
    const d = new Device();
    const ask = await d.connect(url(), { auth: { token: g.token } });
    const { requestId } = ask.refused.details;
    const list = await g.cli(["devices", "list"]);
    assert.match(list.out, new RegExp(requestId));
    assert.equal((await g.cli(["devices", "approve", requestId])).code, 0);
    await told("device.pair.resolved", (p) => p.requestId === requestId && p.decision === "approved");
    const c = await d.connect(url(), { auth: { token: g.token } });
    const all = JSON.parse((await g.cli(["devices", "list", "--json"])).out);
    assert.ok(all.paired.some((p) => p.deviceId === d.id));
    assert.equal((await g.cli(["devices", "remove", d.id.slice(0, 12)])).code, 0);
    await until("thrown out", () => c.closed);
    assert.equal(c.closed.code, 4001);
    assert.equal((await g.cli(["devices", "revoke", "nope"])).code, 3);
    assert.equal((await g.cli(["devices", "approve"])).code, 2);
});

test("role node: paired apart from operator, sees no operator method, and is disconnected when it insists", async () => {
    const d = new Device();
    const how = { role: "node", scopes: [], client: { id: "node-host", mode: "node" } };
    const c = await paired(d, how);
    assert.equal(c.hello.auth.role, "node");
    assert.equal((await c.request("health")).ok, true);
    for (let i = 0; i < 11; i++) {
        const r = await c.request("sessions.list", {});
        assert.equal(r.error.message, "unauthorized role: node");
    }
    await until("closed", () => c.closed);
    assert.deepEqual(c.closed, { code: 1008, reason: "repeated unauthorized calls" });
});

// The same file once more in a network namespace, where clients come over an address that is not loopback: there
// nothing is approved silently although autoApproveLocal is on.
test("from another address (network namespace)", { skip: inner || process.getuid() !== 0 ? "needs root" : false }, () => {
    const script = "ip link set lo up && ip addr add 10.77.0.1/32 dev lo && exec \"$@\"";
    const r = spawnSync("unshare", ["-n", "sh", "-c", script, "sh", process.execPath, "--test-reporter=spec", "--test",
        fileURLToPath(import.meta.url)], { env: { ...process.env, TENAZA_REMOTE: "10.77.0.1", NODE_TEST_CONTEXT: "" },
        encoding: "utf8", timeout: 120000 });
    assert.equal(r.status, 0, r.stdout + r.stderr);
});
