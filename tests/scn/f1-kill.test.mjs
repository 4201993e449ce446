// kill -9 of each worker kind in turn while a conversation goes on: back within a second, bystanders untouched,
// no accepted message unanswered or answered twice.
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { FakeLlm, Gateway, slow, sleep, until } from "./lib/gateway.mjs";
import { Client, textOf } from "./lib/client.mjs";
import { Ngircd } from "./lib/irc.mjs";

let irc, llm, g;
before(async () => {
    irc = await Ngircd.start();
    llm = await FakeLlm.start();
    g = await Gateway.start({ config: llm.config().replace("agents = {", "agents = { workers = 2; ") + `
        channels = { irc = { accounts = { test = { host = "127.0.0.1"; port = ${irc.port}; tls = false; nick = "tenaza"; }; }; }; };` });
});
after(async () => {
    await g?.stop();
    await llm?.stop();
    await irc?.stop();
});

// Sends until the gateway took it; the key makes repeats harmless.
async function sendSurely(sessionKey, message, key) {
    await until(`accepted ${key}`, async () => {
        const c = await Client.connect(g);
        const r = await Promise.race([
            c.request("chat.send", { sessionKey, message, idempotencyKey: key }), sleep(1500).then(() => null)]);
        c.close();
        return r?.ok;
    }, 15000, 100);
}

for (const name of ["store", "bus", "edge", "agent-1", "agent-2", "cron", "irc/test"]) {
    test(`kill -9 ${name}`, async () => {
        const session = `agent:main:kill-${name.replace("/", "-")}`;
        const keys = [0, 1, 2, 3].map((i) => `${name}-${i}`);
        const before = (await g.status()).workers;
        for (const [i, k] of keys.entries()) await sendSurely(`${session}-${i}`, `SLOW 8 for ${k}`, k);
        await until("the model works", async () => JSON.stringify(await llm.log()).includes(`for ${keys[3]}`));
        const ms = await g.killWorker(name);
        assert.ok(ms < 1000 * slow, `${name} was back after ${ms} ms`);
        for (const [i, k] of keys.entries()) await sendSurely(`${session}-${i}`, `SLOW 8 for ${k}`, k);
        const c = await until("edge", () => Client.connect(g));
        for (const k of keys) {
            const r = await until(`run ${k}`, async () => {
                const w = await c.request("agent.wait", { runId: k, timeoutMs: 20000 });
                return w.payload.status !== "timeout" && w.payload;
            }, 40000, 100);
            assert.equal(r.status, "ok", JSON.stringify(r));
        }
        for (const [i, k] of keys.entries()) {
            const h = await c.history(`${session}-${i}`);
            assert.equal(h.messages.filter((m) => m.role === "user").length, 1, `${k}: one question`);
            assert.equal(h.messages.filter((m) => m.role === "assistant" && m.stopReason === "stop").length, 1, `${k}: one answer`);
            assert.ok(textOf(h.messages.at(-1)).includes(k));
        }
        c.close();
        const after = (await g.status()).workers;
        for (const b of before) {
            const a = after.find((w) => w.name === b.name);
            if (b.name === name) assert.notEqual(a.pid, b.pid);
            else assert.equal(a.pid, b.pid, `${b.name} kept its pid`);
        }
    });
}

test("the store's own check is clean afterwards", async () => {
    const r = await g.cli(["status", "--json", "--all"]);
    const s = JSON.parse(r.out);
    assert.equal(s.store?.findings ?? "", "");
});
