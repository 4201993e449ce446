// device.mjs: a client device with its own key: signs the handshake (gateway-ws.md section 6).
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { until } from "./gateway.mjs";
import { Client } from "./client.mjs";

export class Device {
    constructor() {
        const { publicKey, privateKey } = generateKeyPairSync("ed25519");
        this.key = privateKey;
        this.raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
        this.id = createHash("sha256").update(this.raw).digest("hex");
    }

    // One handshake. Resolves with a connected Client (hello in .hello), or one with .refused and .closed.
    async connect(ws, { auth, role = "operator", scopes = ["operator.read", "operator.write"], platform = "linux",
        client = { id: "cli", mode: "cli" }, headers = {}, resume, instanceId, caps = [] } = {}) {
        const c = await Client.open(ws, { headers });
        const { nonce, ts } = c.events[0].payload;
        const parts = ["v3", this.id, client.id, client.mode, role, scopes.join(","), ts,
            auth?.token ?? auth?.deviceToken ?? "", nonce, platform, ""];
        const r = await c.request("connect", {
            minProtocol: 4, maxProtocol: 4, role, scopes, auth, caps, ...(resume && { resume }),
            client: { ...client, version: "1", platform, displayName: "a test device", ...(instanceId && { instanceId }) },
            device: { id: this.id, publicKey: this.raw.toString("base64url"), signedAt: ts, nonce,
                signature: sign(null, Buffer.from(parts.join("|")), this.key).toString("base64url") },
        });
        if (r.ok) c.hello = r.payload;
        else {
            c.refused = r.error;
            await until("close", () => c.closed);
        }
        return c;
    }
}
