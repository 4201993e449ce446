// Devices: the signed handshake, silent pairing on this host, device tokens, every refusal (gateway-ws.md 5 to 7).
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { Gateway, until } from "./lib/gateway.mjs";
import { Client } from "./lib/client.mjs";

let g, first;
before(async () => (g = await Gateway.start()));
after(() => g.stop());

const { publicKey, privateKey } = generateKeyPairSync("ed25519");
const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
const id = createHash("sha256").update(raw).digest("hex");

// One handshake; resolves with hello-ok.auth, or with {error, close}.
async function connect({ auth, scopes = ["operator.read", "operator.write"], platform = "linux", version = 3,
    client = { id: "cli", mode: "cli" }, headers = {}, early = [], signedAt, nonce, tamper = "" } = {}) {
    const c = await Client.open(g.ws, { headers });
    const challenge = c.events[0].payload;
    const at = signedAt ?? challenge.ts;
    const n = nonce ?? challenge.nonce;
    const parts = [`v${version}`, id, client.id, client.mode, "operator", scopes.join(","), at,
        auth?.token ?? auth?.deviceToken ?? "", n];
    if (version === 3) parts.push(platform, "");
    const answer = c.request("connect", {
        minProtocol: 4, maxProtocol: 4, role: "operator", client: { ...client, version: "1", platform }, scopes, auth,
        device: { id, publicKey: raw.toString("base64url"), signedAt: at, nonce: n,
            signature: sign(null, Buffer.from(parts.join("|") + tamper), privateKey).toString("base64url") },
    });
    for (const method of early) c.raw(JSON.stringify({ type: "req", id: method, method }));
    const r = await answer;
    if (!r.ok) await until("close", () => c.closed);
    for (const method of early) await until(method, () => c.frames.some((f) => f.id === method && f.ok));
    const out = r.ok ? r.payload.auth : { error: r.error, close: c.closed };
    c.close();
    return out;
}

test("an unknown device on this host is paired silently and gets a token", async () => {
    first = await connect({ auth: { token: g.token } });
    assert.match(first.deviceToken, /^[A-Za-z0-9_-]{43}$/);
    assert.deepEqual(first.scopes, ["operator.read", "operator.write"]);
});

test("the same token each time, also for version 2 signatures; requests sent early are served", async () => {
    const again = await connect({ auth: { token: g.token }, version: 2, early: ["health", "agents.list"] });
    assert.equal(again.deviceToken, first.deviceToken);
});

test("the device token alone is enough, in either field, for what it holds and not for more", async () => {
    assert.equal((await connect({ auth: { deviceToken: first.deviceToken } })).deviceToken, first.deviceToken);
    const narrow = await connect({ auth: { token: first.deviceToken }, scopes: ["operator.read"] });
    assert.deepEqual(narrow.scopes, ["operator.read"]);
    const wide = await connect({ auth: { deviceToken: first.deviceToken }, scopes: ["operator.admin"] });
    assert.equal(wide.error.details.code, "AUTH_SCOPE_MISMATCH");
});

const refusals = [
    ["a wrong device token", { auth: { deviceToken: "nope" } }, "AUTH_DEVICE_TOKEN_MISMATCH", /device token mismatch/],
    ["a wrong token", { auth: { token: "nope" } }, "AUTH_TOKEN_MISMATCH", /token mismatch/],
    ["no secret", { auth: undefined }, "AUTH_TOKEN_MISSING", /token missing/],
    ["a signature of ten minutes ago", { signedAt: Date.now() - 600000 }, "DEVICE_AUTH_SIGNATURE_EXPIRED", /expired/],
    ["another nonce", { nonce: "another" }, "DEVICE_AUTH_NONCE_MISMATCH", /nonce mismatch/],
    ["a signature over something else", { tamper: "x" }, "DEVICE_AUTH_SIGNATURE_INVALID", /signature invalid/],
    ["another platform than at pairing", { platform: "macos" }, "PAIRING_REQUIRED", /pairing required.*\(requestId: [0-9a-f-]{36}\)/],
    ["a page without an origin", { client: { id: "webchat-ui", mode: "webchat" } }, "CONTROL_UI_ORIGIN_NOT_ALLOWED", /origin/],
];
for (const [name, how, code, reason] of refusals) {
    test(`refused: ${name}`, async () => {
        const r = await connect({ auth: { token: g.token }, ...how });
        assert.equal(r.error?.details.code, code);
        assert.equal(r.close.code, 1008);
        assert.match(r.close.reason, reason);
    });
}

test("more scopes with the shared token: granted, and the token changes", async () => {
    const more = await connect({ auth: { token: g.token }, scopes: ["operator.admin"] });
    assert.deepEqual(more.scopes, ["operator.admin"]);
    assert.notEqual(more.deviceToken, first.deviceToken);
});

test("the page of this gateway comes in with its device; a device survives the store's death", async () => {
    const page = { client: { id: "webchat-ui", mode: "webchat" }, headers: { Origin: g.url } };
    const before = await connect({ auth: { token: g.token }, ...page });
    await g.killWorker("store");
    const after = await connect({ auth: { deviceToken: before.deviceToken }, ...page });
    assert.equal(after.deviceToken, before.deviceToken);
});
