// The first five minutes: nothing configured, a message goes in, a reply comes out.
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { Gateway, root, until } from "./lib/gateway.mjs";
import { Client, textOf } from "./lib/client.mjs";

let g;
before(async () => (g = await Gateway.start()));
after(() => g.stop());

test("the ready line names the address, and no log line or status holds the token", async () => {
    const line = g.proc.out.split("\n").find((l) => l.startsWith("ready "));
    assert.match(line, new RegExp(`url=http://127.0.0.1:${g.port}`));
    assert.equal(g.proc.err.includes(g.token), false);
    assert.equal(g.logs().includes(g.token), false);
    assert.equal((await g.cli(["status", "--json"])).out.includes(g.token), false);
    assert.equal(statSync(join(g.state, "gateway.token")).mode & 0o777, 0o600);
});

test("probes answer without a token", async () => {
    const live = await fetch(g.url + "/healthz");
    assert.equal(live.status, 200);
    assert.deepEqual(await live.json(), { ok: true, status: "live" });
    assert.equal((await fetch(g.url + "/readyz")).status, 200);
    assert.equal((await fetch(g.url + "/nothing-here")).status, 404);
});

test("the workers of the default set run, each in its own process", async () => {
    const s = await g.status();
    const names = s.workers.map((w) => w.name).sort();
    for (const n of ["agent-1", "bus", "cron", "edge", "store"]) assert.ok(names.includes(n), `${n} in ${names}`);
    assert.equal(new Set(s.workers.map((w) => w.pid)).size, s.workers.length);
});

test("a client's message gets a streamed reply from the offline responder, which says what it is", async () => {
    const c = await Client.connect(g);
    const end = await c.turn("hello there", { key: "first-1" });
    assert.equal(end.state, "final");
    const text = textOf(end.message);
    assert.match(text, /^\[offline\]/);
    const deltas = c.chat("first-1").filter((p) => p.state === "delta");
    assert.ok(deltas.length >= 1);
    assert.equal(deltas.map((d) => d.deltaText).join(""), text);
    const h = await c.history();
    assert.deepEqual(h.messages.map((m) => m.role), ["user", "assistant"]);
    assert.equal(h.messages[0].idempotencyKey, "first-1:user");
    assert.equal(textOf(h.messages[1]), text);
    c.close();
});

test("tenaza agent prints the answer on stdout and nothing else", async () => {
    const r = await g.cli(["agent", "-m", "what time is it?"]);
    assert.equal(r.code, 0, r.err);
    assert.match(r.out, /^\[offline\]/);
    const j = await g.cli(["agent", "--json", "-m", "2 + 2 * 3"]);
    assert.equal(j.code, 0, j.err);
    assert.match(JSON.stringify(JSON.parse(j.out)), /\b8\b/);
});

test("tenaza sessions lists the conversation", async () => {
    const r = await g.cli(["sessions", "--json"]);
    assert.equal(r.code, 0, r.err);
    assert.ok(JSON.stringify(JSON.parse(r.out)).includes("agent:main:main"));
    assert.match((await g.cli(["sessions"])).out, /agent:main:main/);
});

test("a stop and a start keep the conversation and the token", async () => {
    const token = g.token;
    const r = await g.cli(["stop"]);
    assert.equal(r.code, 0, r.err);
    assert.deepEqual(await g.proc.exited, { code: 0, signal: null });
    assert.equal((await g.cli(["stop"])).code, 0, "stopping a stopped gateway is fine");
    await g.up();
    assert.equal(g.token, token);
    const c = await Client.connect(g);
    const h = await c.history();
    assert.ok(h.messages.length >= 4);
    assert.equal((await c.turn("and again")).state, "final");
    c.close();
});

test("readyz says no while the store is away, and yes again by itself", async () => {
    const w = await g.worker("store");
    process.kill(w.pid, "SIGSTOP");
    try {
        await until("not ready", async () => (await fetch(g.url + "/readyz")).status === 503, 12000);
    } finally {
        process.kill(w.pid, "SIGCONT");
    }
    await until("ready again", async () => (await fetch(g.url + "/readyz")).status === 200, 12000);
});

test("README names exactly the two set-up commands", () => {
    const text = readFileSync(join(root, "README.md"), "utf8");
    assert.ok(text.includes("./run") && text.includes("./test"));
    assert.ok(existsSync(join(root, "run")) && existsSync(join(root, "test")));
});
