// What the operator reads when something is wrong: every message says what to do, and nothing running is harmed.
import { test } from "node:test";
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Gateway, Proc, build } from "./lib/gateway.mjs";

function inTemp(fn) {
    return async () => {
        const dir = mkdtempSync(join(tmpdir(), "tenaza-cli-"));
        try {
            await fn(dir);
        } finally {
            rmSync(dir, { recursive: true, force: true });
        }
    };
}

async function tenaza(...args) {
    const p = new Proc(join(build, "tenaza"), args, { env: { ...process.env, HOME: "/nonexistent" } });
    const { code } = await p.exited;
    return { code, out: p.out, err: p.err };
}

const wrong = [
    ["unknown key", "edge = {\n  prot = 18790;\n};", /:2.*edge\.prot.*did you mean.*port/s],
    ["wrong type", 'edge = {\n  port = "many";\n};', /:2.*edge\.port/s],
    ["out of range", "edge = { port = 700000; };", /:1.*edge\.port/s],
    ["integer that libconfig would wrap", "edge = { port = 10000000000; };", /edge\.port/],
    ["duration without a unit", 'supervisor = {\n\n stopGrace = "20";\n};', /:3.*supervisor\.stopGrace/s],
    ["unknown choice", 'edge = { auth = { mode = "maybe"; }; };', /edge\.auth\.mode.*token/s],
    ["no auth on a public address", 'edge = { bind = "0.0.0.0"; auth = { mode = "none"; }; };', /edge\.auth\.mode/],
    ["open policy without a star",
        'channels = { irc = { accounts = { a = { host = "127.0.0.1"; nick = "n"; dmPolicy = "open"; }; }; }; };', /allowFrom/],
    ["empty allowlist",
        'channels = { irc = { accounts = { a = { host = "127.0.0.1"; nick = "n"; dmPolicy = "allowlist"; }; }; }; };', /allowFrom/],
    ["missing key of a channel", 'channels = { irc = { accounts = { a = { nick = "n"; }; }; }; };', /host/],
    ["syntax error", "edge = { port = ;", /:1/],
    ["secret from a variable that is not set", 'edge = { auth = { token = "env:NOT_SET_HERE"; }; };', /NOT_SET_HERE/],
];

for (const [name, text, pattern] of wrong) {
    test(`config check: ${name}`, inTemp(async (dir) => {
        const file = join(dir, "bad.conf");
        writeFileSync(file, text + "\n");
        const r = await tenaza("config", "check", file);
        assert.equal(r.code, 8, r.out + r.err);
        assert.match(r.out + r.err, pattern);
        assert.match(r.out + r.err, /bad\.conf/);
        const run = await tenaza("run", "-c", file, "--state", join(dir, "state"));
        assert.equal(run.code, 78, run.out + run.err);
    }));
}

test("config check: a good file", inTemp(async (dir) => {
    const file = join(dir, "good.conf");
    writeFileSync(file, 'edge = { port = 18999; };\nagents = { workers = 3; };\n');
    const r = await tenaza("config", "check", file);
    assert.equal(r.code, 0, r.err);
    assert.match(r.out, /ok/);
}));

test("commands without a gateway fail at once and say how to start it", inTemp(async (dir) => {
    for (const args of [["sessions"], ["agent", "-m", "x"], ["workers"], ["pairing", "list"]]) {
        const t0 = Date.now();
        const r = await tenaza("--state", dir, ...args);
        assert.equal(r.code, 6, `${args}: ${r.err}`);
        assert.match(r.err, /not running/);
        assert.ok(Date.now() - t0 < 1500, "no waiting for something that is not there");
        assert.ok(r.err.trim().split("\n").length <= 3, r.err);
    }
    assert.equal((await tenaza("--state", dir, "status")).code, 3);
    const j = await tenaza("--state", dir, "sessions", "--json");
    assert.equal(JSON.parse(j.out).error.code, "not_running");
}));

test("unknown commands and options get the nearest name", async () => {
    const r = await tenaza("sesions");
    assert.equal(r.code, 2);
    assert.match(r.err, /did you mean.*sessions/);
    assert.equal((await tenaza("status", "--jsn")).code, 2);
    assert.equal((await tenaza("agent")).code, 2);
});

test("a second gateway on the same state is refused, the first goes on", async () => {
    const g = await Gateway.start();
    try {
        const r = await tenaza("run", "-c", g.conf, "--state", g.state);
        assert.equal(r.code, 75, r.err);
        assert.match(r.err, /lock|running/i);
        assert.equal((await fetch(g.url + "/healthz")).status, 200);
    } finally {
        await g.stop();
    }
});

test("a port in use is named", inTemp(async (dir) => {
    const s = createServer().listen(0, "127.0.0.1");
    await once(s, "listening");
    const { port } = s.address();
    const file = join(dir, "c.conf");
    writeFileSync(file, `edge = { port = ${port}; };\n`);
    const r = await tenaza("run", "-c", file, "--state", join(dir, "state"));
    s.close();
    assert.equal(r.code, 69, r.err);
    assert.match(r.err, new RegExp(`:${port}\\b|port ${port}`));
}));

test("a state directory that cannot be made is named", inTemp(async (dir) => {
    const file = join(dir, "file");
    writeFileSync(file, "");
    const r = await tenaza("run", "--state", join(file, "state"));
    assert.ok([73, 77].includes(r.code), `${r.code} ${r.err}`);
    assert.match(r.err, /state/);
}));
