// A changed configuration is taken up while everything runs: only what changed is touched, what is in progress ends as
// it should, and a bad file changes nothing.
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FakeLlm, Gateway, sleep, until } from "./lib/gateway.mjs";
import { Client } from "./lib/client.mjs";
import { Ngircd } from "./lib/irc.mjs";

let irc, llm, g;
before(async () => {
    irc = await Ngircd.start();
    llm = await FakeLlm.start();
    g = await Gateway.start({ config: conf({}) });
});
after(async () => {
    await g?.stop();
    await llm?.stop();
    await irc?.stop();
});

function conf({ workers = 1, irc: accounts = [], extra = "", prompt = "" }) {
    const chans = accounts.map(([id, more = ""]) =>
        `${id} = { host = "127.0.0.1"; port = ${irc.port}; tls = false; nick = "tz${id}"; ${more} };`).join("\n");
    return llm.config().replace("agents = {", `agents = { workers = ${workers};
            ${prompt ? `entries = { main = { systemPrompt = "${prompt}"; }; };` : ""}`) +
        (accounts.length ? `channels = { irc = { accounts = { ${chans} }; }; };\n` : "") + extra;
}

const pids = async () => Object.fromEntries((await g.status()).workers.filter((w) => !w.leaving).map((w) => [w.name, w.pid]));

async function reload(options, args = []) {
    g.configure(conf(options));
    const r = await g.cli(["reload", "--wait", "60s", ...args], { timeout: 70000 });
    assert.equal(r.code, 0, r.out + r.err);
    return r.out;
}

// Everybody of `before` but those named has kept its pid.
function untouched(before, now, ...but) {
    for (const [name, pid] of Object.entries(before)) {
        if (!but.includes(name)) assert.equal(now[name], pid, `${name} kept its pid`);
    }
}

test("nothing changed: nothing is touched", async () => {
    const before = await pids();
    assert.match(await reload({}), /nothing that runs is concerned/);
    assert.deepEqual(await pids(), before);
});

test("agents.workers 1 -> 8 -> 1: nobody else is touched, a run in progress ends as it should", async () => {
    const c = await Client.connect(g);
    const before = await pids();
    const out = await reload({ workers: 8 });
    for (let i = 2; i <= 8; i++) assert.match(out, new RegExp(`start +agent-${i}`));
    assert.match(out, /push +store +agents\.workers, agents\.defaults\.maxConcurrent/);
    const eight = await pids();
    untouched(before, eight);
    assert.equal(Object.keys(eight).filter((n) => n.startsWith("agent-")).length, 8);
    // One run each, so that every agent that has to go is in the middle of one.
    const keys = [];
    for (let i = 0; i < 8; i++) {
        keys.push(`scale-${i}`);
        const r = await c.request("chat.send", { sessionKey: `agent:main:scale-${i}`, message: "SLOW 12 count", idempotencyKey: keys[i] });
        assert.ok(r.ok, JSON.stringify(r));
    }
    await until("the model works for all", async () => (await llm.log()).length >= 8 || JSON.stringify(await llm.log()).split("SLOW 12 count").length > 8, 15000);
    await reload({ workers: 1 });
    untouched(before, await pids());
    assert.equal(Object.keys(await pids()).filter((n) => n.startsWith("agent-")).length, 1);
    for (const k of keys) {
        const w = await until(`run ${k}`, async () => {
            const r = await c.request("agent.wait", { runId: k, timeoutMs: 20000 });
            return r.payload.status !== "timeout" && r.payload;
        }, 40000, 100);
        assert.equal(w.status, "ok", JSON.stringify(w));
    }
    c.close();
});

test("an account more, a key changed, an account less: only that worker", async () => {
    let before = await pids();
    let out = await reload({ irc: [["one"]] });
    assert.match(out, /start +irc\/one/);
    assert.match(out, /push +edge +channels\.list/);
    let now = await pids();
    untouched(before, now);
    assert.ok(now["irc/one"] > 0);
    // The edge knows the account: its state is shown.
    const c = await Client.connect(g);
    await until("state of the account", async () => {
        const r = await c.request("health", { probe: true });
        return JSON.stringify(r.payload).includes('"irc"');
    }, 20000, 200);
    c.close();

    before = now;
    out = await reload({ irc: [["one", 'realname = "other";'], ["two"]] });
    assert.match(out, /restart +irc\/one +realname/);
    assert.match(out, /start +irc\/two/);
    now = await pids();
    untouched(before, now, "irc/one");
    assert.notEqual(now["irc/one"], before["irc/one"]);

    // Who is heard is taken by the running worker.
    before = now;
    out = await reload({ irc: [["one", 'realname = "other"; allowFrom = [ "a!b@c" ]; requireMention = false;'], ["two"]] });
    assert.match(out, /push +irc\/one/);
    untouched(before, await pids());

    out = await reload({ irc: [["two"]] });
    assert.match(out, /stop +irc\/one/);
    now = await pids();
    assert.equal(now["irc/one"], undefined);
    untouched(before, { ...now, "irc/one": before["irc/one"] });
});

test("a setting of the agents: one after the other, so that somebody always works", async () => {
    await reload({ workers: 3 });
    const before = await pids();
    const seen = new Set();
    let watching = true;
    const watcher = (async () => {
        while (watching) {
            const list = (await g.status()).workers.filter((w) => w.name.startsWith("agent-"));
            seen.add(list.filter((w) => w.state !== "ready").length);
            await sleep(5);
        }
    })();
    const out = await reload({ workers: 3, prompt: "Be brief." });
    watching = false;
    await watcher;
    assert.match(out, /restart +agent-1 +agents\.entries\.main/);
    const now = await pids();
    for (const n of ["agent-1", "agent-2", "agent-3"]) assert.notEqual(now[n], before[n]);
    untouched(before, now, "agent-1", "agent-2", "agent-3");
    assert.ok([...seen].every((n) => n <= 1), `at most one away at a time: ${[...seen]}`);
    const c = await Client.connect(g);
    assert.equal((await c.turn("hello")).state, "final");
    c.close();
});

test("log level: pushed to everybody", async () => {
    const before = await pids();
    const out = await reload({ workers: 3, prompt: "Be brief.", extra: 'logging = { level = "debug"; };' });
    assert.match(out, /push +bus +log\.level/);
    untouched(before, await pids());
    assert.equal((await g.status()).logLevel, "debug");
    // The process that was told says so when it ends.
    assert.equal((await g.cli(["workers", "restart", "cron"])).code, 0);
    await until("a debug line of cron", () => /"level":"debug","worker":"cron".*draining within/.test(g.logs()));
});

test("store and bus: only when their own section changed", async () => {
    const before = await pids();
    const out = await reload({ workers: 3, prompt: "Be brief.",
        extra: 'logging = { level = "debug"; }; store = { durability = "fast"; };' });
    assert.match(out, /restart +store +store\.durability/);
    const now = await pids();
    assert.notEqual(now.store, before.store);
    untouched(before, now, "store");
    const c = await Client.connect(g);
    assert.equal((await c.turn("still there?")).state, "final");
    c.close();
});

test("config plan shows it beforehand and does nothing", async () => {
    const before = await pids();
    const file = join(g.dir, "next.conf");
    const text = readFileSync(g.conf, "utf8").replace("workers = 3", "workers = 4");
    writeFileSync(file, text);
    const r = await g.cli(["config", "plan", file]);
    assert.equal(r.code, 0, r.err);
    assert.match(r.out, /start +agent-4/);
    const check = await g.cli(["reload", "--check-only"]);
    assert.match(check.out, /nothing that runs would be concerned/);
    assert.deepEqual(await pids(), before);
});

test("a bad file changes nothing and says why; SIGHUP the same", async () => {
    const good = readFileSync(g.conf, "utf8");
    const before = await pids();
    const rev = (await g.status()).configRev;
    writeFileSync(g.conf, good + "edge = {\n  prot = 1;\n};\n");
    for (const args of [["reload"], ["reload", "--check-only"], ["config", "plan"]]) {
        const r = await g.cli(args);
        assert.equal(r.code, 8, `${args}: ${r.out}${r.err}`);
        assert.match(r.err, /tenaza\.conf:\d+/);
        assert.match(r.err, /nothing was changed/);
    }
    const lines = g.logs().length;
    process.kill(g.proc.pid, "SIGHUP");
    await until("refused", () => /reload: nothing changed/.test(g.logs().slice(lines)));
    assert.deepEqual(await pids(), before);
    writeFileSync(g.conf, good.replace("workers = 3", "workers = 2"));
    process.kill(g.proc.pid, "SIGHUP");
    await until("taken up", async () => (await g.status()).configRev === rev + 1);
    await until("agent-3 gone", async () => !("agent-3" in (await pids())));
});

test("what cannot change while it runs is named", async () => {
    const good = readFileSync(g.conf, "utf8");
    writeFileSync(g.conf, good + `\nsupervisor = { stateDir = "${join(g.dir, "elsewhere")}"; };\n`);
    const r = await g.cli(["reload"]);
    assert.equal(r.code, 0, r.err);
    assert.match(r.err, /supervisor\.stateDir cannot change while the gateway runs; it counts after: tenaza stop/);
    writeFileSync(g.conf, good);
    assert.equal((await g.cli(["reload"])).code, 0);
});

test("a worker that waits for the operator starts again when its configuration changes", async () => {
    // A pattern that is no regular expression: only the worker finds out.
    g.configure(conf({ workers: 2, irc: [["bad", 'mentionPatterns = [ "(" ];']] }));
    const r = await g.cli(["reload", "--wait", "3s"]);
    assert.equal(r.code, 1, r.out + r.err);
    assert.match(r.err, /irc\/bad is needs-operator: .*mentionPatterns/);
    const before = await pids();
    await reload({ workers: 2, irc: [["bad", 'mentionPatterns = [ "tenaza" ];']] });
    assert.equal((await g.worker("irc/bad")).state, "ready");
    untouched(before, await pids(), "irc/bad");
});
