// The wall clock jumps by a day, forward and back, under a running gateway: nothing is lost, nothing happens twice, no
// wait of seconds becomes one of a day, and the log says what was wrong with the clock. TENAZA_LONG=1: without help.
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeLlm, Gateway, OwnBin, until } from "./lib/gateway.mjs";
import { Client, textOf } from "./lib/client.mjs";

const DAY = 24 * 3600;
const bearer = "hook-bearer-0123456789";
let bin, llm, g, target, calls = [], failures = 0, dir;

// Moves the clock of every process to so many seconds beside the real one.
function setClock(seconds) {
    const b = Buffer.alloc(8);
    b.writeBigInt64LE(BigInt(seconds));
    writeFileSync(join(dir, "offset"), b, { flag: "r+" });
}

before(async () => {
    dir = mkdtempSync(join(tmpdir(), "tenaza-clock-"));
    writeFileSync(join(dir, "offset"), Buffer.alloc(8));
    target = createServer((req, res) => {
        let body = "";
        req.on("data", (d) => (body += d));
        req.on("end", () => {
            res.statusCode = failures-- > 0 ? 503 : 200;
            calls.push({ id: req.headers["x-delivery-id"], body, status: res.statusCode });
            res.end("{}");
        });
    }).listen(0, "127.0.0.1");
    await once(target, "listening");
    llm = await FakeLlm.start();
    bin = new OwnBin();
    g = await Gateway.start({
        bin: bin.dir, env: bin.preload("tests/preload/libclock_shift.so", { TENAZA_TEST_CLOCK: join(dir, "offset") }),
        config: llm.config() + `channels = { webhook = { accounts = { shop = { bearer = "${bearer}"; dmPolicy = "open"; allowFrom = [ "*" ];
            callbackUrl = "http://127.0.0.1:${target.address().port}/cb"; allowPrivateCallback = true; }; }; }; };` });
});
after(async () => {
    await g?.stop();
    await llm?.stop();
    target?.close();
    bin?.remove();
    rmSync(dir, { recursive: true });
});

const post = async (id, text) => assert.equal((await fetch(`${g.url}/channels/webhook/shop`, {
    method: "POST", headers: { authorization: `Bearer ${bearer}`, "content-type": "application/json" },
    body: JSON.stringify({ id, from: "u1", text }) })).status, 200);
const callsWith = (text) => calls.filter((c) => c.body.includes(text));
const addJob = async (at, text) => {
    const r = await g.cli(["cron", "add", "--at", at, "-m", text, "--session", "agent:main:clock", "--json"]);
    assert.equal(r.code, 0, r.err);
};
async function fired(text) {
    const c = await Client.connect(g);
    const h = await c.history("agent:main:clock");
    c.close();
    return h.messages.filter((m) => m.role === "assistant" && textOf(m).includes(text)).length;
}

test("a day forward: work goes on, what came due happens, once", async () => {
    await addJob("+1h", "within the hour");
    await addJob("+50h", "the day after tomorrow");
    const c = await Client.connect(g);
    assert.equal((await c.turn("yesterday noon")).state, "final");
    const run = c.turn("SLOW 12 over midnight", { key: "over-midnight", ms: 30000 });
    await until("the model works", async () => JSON.stringify(await llm.log()).includes("over midnight"));
    setClock(DAY);
    assert.equal((await run).state, "final");
    assert.equal((await c.turn("tomorrow noon")).state, "final");
    c.close();
    await post("w1", "hook in the future");
    await until("callback", () => callsWith("hook in the future").length === 1, 15000);
    // The clock work looks at the time at least once a minute; any change of the jobs makes it look at once.
    if (!process.env.TENAZA_LONG) await addJob("+60h", "something else");
    await until("the job fires", () => fired("within the hour"), 75000, 500);
    assert.equal(await fired("the day after tomorrow"), 0);
    await until("said", () => /the clock went forward by/.test(g.logs()), 10000);
});

test("a day back, in the middle of waits: they end, and nothing happens again", async () => {
    failures = 1;
    await post("w2", "hook that waits");
    await until("the first call failed", () => callsWith("hook that waits").length === 1, 15000);
    const c = await Client.connect(g);
    const run = c.turn("SLOW 15 into yesterday", { key: "into-yesterday", ms: 30000 });
    await until("the model works", async () => JSON.stringify(await llm.log()).includes("into yesterday"));
    const queued = await c.request("chat.send", { sessionKey: "agent:main:main", message: "waits behind it", idempotencyKey: "behind" });
    assert.ok(queued.ok);
    setClock(0);
    await until("the delivery is tried again", () => callsWith("hook that waits").length === 2, 20000);
    assert.equal(new Set(callsWith("hook that waits").map((x) => x.id)).size, 1, "under the same key");
    assert.equal((await run).state, "final");
    assert.equal((await c.ended("behind", 20000)).state, "final");
    c.close();
    await until("said", () => /the clock was set back by/.test(g.logs()), 10000);
});

test("restarted in the past: everything is there, and nothing happens again", async () => {
    setClock(DAY);
    await post("w3", "hook before the restart");
    await until("callback", () => callsWith("hook before the restart").length === 1, 15000);
    await g.proc.stop();
    setClock(0);
    await g.up();
    const c = await Client.connect(g);
    assert.equal((await c.turn("still there?")).state, "final");
    const said = (await c.history()).messages.filter((m) => m.role === "assistant").map(textOf).join("\n");
    for (const text of ["yesterday noon", "over midnight", "tomorrow noon", "into yesterday", "waits behind it", "still there?"]) {
        assert.equal(said.split(text).length - 1, 1, text);
    }
    c.close();
    assert.equal(await fired("within the hour"), 1);
    assert.equal(await fired("the day after tomorrow"), 0);
    assert.equal(callsWith("hook").filter((x) => x.status === 200).length, 3);
    const s = JSON.parse((await g.cli(["status", "--json", "--all"])).out);
    assert.equal(s.store.findings, "");
    assert.deepEqual(s.workers.map((w) => w.restarts), s.workers.map(() => 0), "nobody died of it");
});
