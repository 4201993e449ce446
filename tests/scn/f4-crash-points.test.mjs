// Every named crash point, one after the other, under traffic from a client, a webhook and the clock: whatever was
// accepted is answered once, and the store's own check is clean. Needs a build with -Dcrash_points=true.
import { test } from "node:test";
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FakeLlm, Gateway, build, sleep, until } from "./lib/gateway.mjs";
import { Client, textOf } from "./lib/client.mjs";

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

for (const [site, worker] of Object.entries(sites)) {
    test(site, async (t) => {
        if (!readFileSync(join(build, "tenaza-store")).includes("store.after_commit")) {
            t.skip("this build has no crash points");
            return;
        }
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
        const llm = await FakeLlm.start();
        const g = await Gateway.start({
            env: { TENAZA_CRASH_AT: site },
            config: llm.config().replace("agents = {", "agents = { workers = 1; ") + `
                channels = { webhook = { accounts = { shop = { bearer = "${bearer}"; dmPolicy = "open"; allowFrom = [ "*" ];
                callbackUrl = "http://127.0.0.1:${target.address().port}/cb"; allowPrivateCallback = true; }; }; }; };` });
        try {
            await traffic(g, calls);
            const s = JSON.parse((await g.cli(["status", "--json", "--all"])).out);
            assert.ok(s.workers.find((w) => w.name === worker).restarts >= 1, `${worker} died at ${site}`);
            assert.equal(s.store.findings, "");
        } finally {
            await g.stop();
            await llm.stop();
            target.close();
        }
    });
}
