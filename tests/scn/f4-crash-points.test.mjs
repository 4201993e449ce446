// Every named crash point, under traffic from a client, a webhook and the clock, or from a person on IRC whose message makes a
// tool send another one: whatever was accepted is answered once, and the store's own check is clean. Needs a build with
// -Dcrash_points=true.
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FakeLlm, Gateway, build, sleep, until } from "./lib/gateway.mjs";
import { Client, textOf } from "./lib/client.mjs";
import { FakeIrcd } from "./lib/irc.mjs";

const bearer = "hook-bearer-0123456789";

// site -> worker that dies there
const sites = {
    "store.after_commit:1": "store", // a job was added, and the one who asked does not know
    "store.before_commit:4": "store", "store.after_commit:4": "store", "store.before_reply:6": "store",
    "store.between_sends:6": "store", "agent.before_intent": "agent-1", "agent.after_intent": "agent-1",
    "agent.before_tool": "agent-1", "agent.after_tool": "agent-1", "agent.before_result": "agent-1", "agent.after_result": "agent-1",
    "agent.before_finish": "agent-1", "agent.after_finish": "agent-1", "chan.before_ingest": "webhook/shop",
    "chan.after_ingest": "webhook/shop", "chan.before_send": "webhook/shop", "chan.after_send": "webhook/shop",
    "chan.after_receipt": "webhook/shop", "cron.before_ingest": "cron", "edge.before_ingest": "edge", "edge.after_ingest": "edge",
    "chan.before_receipt": "webhook/shop", "cron.after_ingest": "cron",
};

async function accepted(send) {
    return until("accepted", async () => (await Promise.race([send(), sleep(1500).then(() => false)])) || false, 20000, 150);
}

async function traffic(g, calls) {
    const s = "agent:main:crash";
    const say = (key, message) => accepted(async () => {
        const c = await Client.connect(g);
        const r = await c.request("chat.send", { sessionKey: s, message, idempotencyKey: key }).catch(() => null);
        c.close();
        return r?.ok;
    });
    const at = await until("cron job", async () => {
        const r = await g.cli(["cron", "add", "--at", "+1s", "-m", "clock work", "--session", "agent:main:clock", "--json"]);
        return r.code === 0;
    }, 10000, 200);
    assert.ok(at);
    await say("k-1", 'TOOL current_time {"timezone":"UTC"}');
    await accepted(async () => (await fetch(`${g.url}/channels/webhook/shop`, {
        method: "POST", headers: { authorization: `Bearer ${bearer}`, "content-type": "application/json" },
        body: JSON.stringify({ id: "w-1", from: "u1", text: "from the hook" }) })).status === 200);
    await say("k-2", "second message");

    const c = await until("edge", () => Client.connect(g));
    for (const k of ["k-1", "k-2"]) {
        await until(k, async () => (await c.request("agent.wait", { runId: k, timeoutMs: 5000 })).payload.status === "ok", 40000, 100);
    }
    await until("callback", () => calls.some((x) => x.body.includes("from the hook")), 30000, 100);
    await until("clock work", async () => (await c.history("agent:main:clock")).messages.some((m) => m.role === "assistant"), 20000, 200);
    await sleep(1500);
    const h = (await c.history(s)).messages;
    assert.deepEqual(h.map((m) => m.role), ["user", "assistant", "toolResult", "assistant", "user", "assistant"]);
    assert.match(textOf(h[3]), /tool said/);
    assert.match(textOf(h[5]), /second message/);
    assert.equal((await c.history("agent:main:clock")).messages.length, 2);
    assert.equal(new Set(calls.map((x) => x.id)).size, 1, "one delivery key, however often it was sent");
    c.close();
}

// IRC has no idempotency keys: here a message may also end as "unknown", which is shown and never sent again by itself.
const keyless = {
    "chan.before_begin": "irc/test", "chan.before_send": "irc/test", "chan.after_send": "irc/test", "chan.before_receipt": "irc/test",
    "chan.after_receipt": "irc/test", "agent.after_tool": "agent-1", "agent.before_result": "agent-1", "agent.before_finish": "agent-1",
};

// A gateway whose worker dies at this site, while `work` goes on.
async function crash(site, worker, channels, work) {
    const llm = await FakeLlm.start();
    const g = await Gateway.start({
        env: { TENAZA_CRASH_AT: site },
        config: llm.config().replace("agents = {", "agents = { workers = 1; ") + `channels = { ${channels} };` });
    try {
        await work(g);
        const s = JSON.parse((await g.cli(["status", "--json", "--all"])).out);
        assert.ok(s.workers.find((w) => w.name === worker).restarts >= 1, `${worker} died at ${site}`);
        assert.equal(s.store.findings, "");
    } finally {
        await g.stop();
        await llm.stop();
    }
}

const skip = !readFileSync(join(build, "tenaza-store")).includes("store.after_commit") && "this build has no crash points";

// Most of a test is waiting: some at a time.
describe("crash points", { concurrency: 3, skip }, () => {
    for (const [site, worker] of Object.entries(sites)) {
        test(site, async () => {
            const calls = [];
            const target = createServer((req, res) => {
                let body = "";
                req.on("data", (d) => (body += d));
                req.on("end", () => {
                    calls.push({ id: req.headers["x-delivery-id"], body });
                    res.end("{}");
                });
            }).listen(0, "127.0.0.1");
            await once(target, "listening");
            await crash(site, worker, `webhook = { accounts = { shop = { bearer = "${bearer}"; dmPolicy = "open"; allowFrom = [ "*" ];
                callbackUrl = "http://127.0.0.1:${target.address().port}/cb"; allowPrivateCallback = true; }; }; };`,
            (g) => traffic(g, calls)).finally(() => target.close());
        });
    }
    for (const [site, worker] of Object.entries(keyless)) {
        test(`${site} on a platform without keys`, async () => {
            const irc = await FakeIrcd.start();
            await crash(site, worker, `irc = { accounts = { test = { host = "127.0.0.1"; port = ${irc.port}; tls = false;
                nick = "tenaza"; dmPolicy = "open"; allowFrom = [ "*" ]; }; }; };`, async (g) => {
                await until("connected", () => irc.nick === "tenaza", 10000);
                irc.say("ann", 'TOOL message {"action":"send","message":"side note"}');
                const unknown = async () => JSON.parse((await g.cli(["outbox", "--json"])).out).rows.filter((r) => r.state === "unknown");
                for (const want of [/^side note$/, /tool said/]) {
                    const seen = () => irc.texts().filter((t) => want.test(t)).length;
                    await until(`${want}`, async () => seen() === 1 || (await unknown()).some((r) => want.test(r.text)), 30000, 100);
                }
                await sleep(1200); // whatever would come twice has come by now
                const shown = await unknown();
                for (const want of [/^side note$/, /tool said/]) {
                    const sent = irc.texts().filter((t) => want.test(t)).length;
                    assert.ok(sent <= 1, `${want} was sent ${sent} times`);
                    assert.ok(sent + shown.filter((r) => want.test(r.text)).length >= 1, `${want} arrived or is shown`);
                }
            }).finally(() => irc.stop());
        });
    }
});
