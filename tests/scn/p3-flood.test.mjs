// More than can be worked off, from everywhere at once: whoever waits is told for how long, sockets slow down, nothing that
// was accepted is lost, order is kept, memory stays bounded, and it recovers.
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { FakeLlm, Gateway, sleep, until } from "./lib/gateway.mjs";
import { Client, textOf } from "./lib/client.mjs";
import { FakeIrcd } from "./lib/irc.mjs";

const bearer = "hook-bearer-0123456789";
let irc, llm, g;
before(async () => {
    irc = await FakeIrcd.start();
    llm = await FakeLlm.start();
    g = await Gateway.start({ config: llm.config().replace("maxTokens = 4096;", "maxTokens = 4096;")
        .replace("defaults = {", "defaults = { maxConcurrent = 1;") + `
        store = { maxQueued = 20; };
        session = { dmScope = "per-channel-peer"; };
        messages = { queue = { mode = "followup"; cap = 1000; }; };
        channels = { irc = { accounts = { test = { host = "127.0.0.1"; port = ${irc.port}; tls = false; nick = "tenaza";
            dmPolicy = "open"; allowFrom = [ "*" ]; }; }; };
          webhook = { accounts = { shop = { bearer = "${bearer}"; dmPolicy = "open"; allowFrom = [ "*" ]; }; }; }; };` });
    await until("connected", () => irc.nick === "tenaza", 10000);
});
after(async () => {
    await g?.stop();
    await llm?.stop();
    irc?.stop();
});

const post = (id) => fetch(`${g.url}/channels/webhook/shop`, {
    method: "POST", headers: { authorization: `Bearer ${bearer}`, "content-type": "application/json" },
    body: JSON.stringify({ id, from: "u1", text: `hook ${id}` }) });

test("a flood", async () => {
    const c = await Client.connect(g);
    const busyHooks = [], busyClients = [];
    const hooks = (async () => {
        for (let i = 0; i < 40; i++) {
            await until(`hook ${i}`, async () => {
                const r = await post(`w${i}`);
                if (r.status === 503) busyHooks.push(Number(r.headers.get("retry-after")));
                return r.status === 200;
            }, 60000, 50);
        }
    })();
    const clients = (async () => {
        for (let i = 0; i < 40; i++) {
            await until(`client ${i}`, async () => {
                const r = await c.request("chat.send", { sessionKey: "agent:main:flood", message: `client ${i}`, idempotencyKey: `c${i}` });
                if (!r.ok) busyClients.push(r.error);
                return r.ok;
            }, 60000, 50);
        }
    })();
    for (let i = 0; i < 400; i++) irc.say("ann", `line ${i}`);
    await Promise.all([hooks, clients]);
    assert.ok(busyHooks.length > 0 && busyHooks.every((s) => s >= 1), `503 with Retry-After: ${busyHooks}`);
    assert.ok(busyClients.length > 0, "clients were told too");
    for (const e of busyClients) {
        assert.equal(e.code, "UNAVAILABLE");
        assert.equal(e.retryable, true);
        assert.ok(e.retryAfterMs >= 1, JSON.stringify(e));
    }
    // Everything accepted is answered, in order, and every line of the socket came in, in order.
    const answered = async (key, n, name) => until(`${name}: ${n} answers`, async () => {
        const h = (await c.request("chat.history", { sessionKey: key, limit: 1000 })).payload.messages;
        return h.filter((m) => m.role === "assistant").length === n && h.filter((m) => m.role === "user").map(textOf);
    }, 120000, 300);
    assert.deepEqual(await answered("agent:main:flood", 40, "client"), Array.from({ length: 40 }, (_, i) => `client ${i}`));
    const sessions = JSON.parse((await g.cli(["sessions", "--json"])).out).sessions;
    const hook = sessions.find((s) => /webhook/.test(s.key)).key, chat = sessions.find((s) => /irc/.test(s.key)).key;
    assert.deepEqual(await answered(hook, 40, "webhook"), Array.from({ length: 40 }, (_, i) => `hook w${i}`));
    assert.deepEqual(await answered(chat, 400, "irc"), Array.from({ length: 400 }, (_, i) => `line ${i}`));
    const s = JSON.parse((await g.cli(["status", "--json", "--all"])).out);
    assert.equal(s.store.findings, "");
    assert.equal(s.store.queued, 0);
    for (const w of s.workers) assert.equal(w.restarts, 0, `${w.name} went through it`);
    for (const w of s.workers) assert.ok((w.rssKb ?? 0) < 400 * 1024, `${w.name}: ${w.rssKb} kB`);
    await sleep(50);
    assert.equal((await post("after")).status, 200, "and it goes on");
    c.close();
});
