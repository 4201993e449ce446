// The real @openclaw/gateway-client from npm attaches, has a conversation and reads it back.
import { test } from "node:test";
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { GatewayClient } from "@openclaw/gateway-client";
import { checked } from "./lib/schema.mjs";
import { FakeLlm, Gateway, until } from "./lib/gateway.mjs";

function attach(g, over = {}) {
    const events = [];
    let client;
    const ready = new Promise((resolve, reject) => {
        client = new GatewayClient({
            url: g.ws, token: g.token, minProtocol: 4, maxProtocol: 4,
            onHelloOk: resolve, onConnectError: reject, onEvent: (e) => events.push(e), ...over,
        });
    });
    client.start();
    return { client, events, ready };
}

test("reference client: hello, turn with deltas and final, history, reconnect after the edge died", async () => {
    const llm = await FakeLlm.start();
    const g = await Gateway.start({ config: llm.config() });
    const { client, events, ready } = attach(g);
    try {
        await ready;
        const key = randomUUID();
        const sessionKey = "agent:main:reference";
        const sent = await client.request("chat.send", { sessionKey, message: "SLOW 4", idempotencyKey: key });
        assert.equal(sent.runId, key);
        const mine = () => events.filter((e) => e.event === "chat" && e.payload.runId === key).map((e) => e.payload);
        await until("final", () => mine().some((p) => p.state === "final"));
        assert.ok(mine().some((p) => p.state === "delta"));
        const h = await client.request("chat.history", { sessionKey, limit: 10 });
        assert.deepEqual(h.messages.map((m) => m.role), ["user", "assistant"]);
        const status = await client.request("status", {});
        assert.equal(typeof status, "object");
        const health = await client.request("health", {});
        assert.equal(health.ok, true);

        await g.killWorker("edge");
        await until("reference client reconnected", async () => (await client.request("health", {})).ok, 15000, 200);
        const h2 = await client.request("chat.history", { sessionKey, limit: 10 });
        assert.deepEqual(h2.messages.map((m) => m.__openclaw.id), h.messages.map((m) => m.__openclaw.id));
        // Its frames went through the schema too.
        assert.ok(checked.definitions.get("HelloOk") >= 2 && checked.definitions.get("ChatEvent") >= 2);
        assert.deepEqual(checked.violations, []);
    } finally {
        client.stop();
        await g.stop();
        await llm.stop();
    }
});

test("reference client: a wrong token is refused for good", async () => {
    const g = await Gateway.start();
    const { client, ready } = attach(g, { token: "wrong" });
    try {
        await assert.rejects(ready, /token/i);
    } finally {
        client.stop();
        await g.stop();
    }
});
