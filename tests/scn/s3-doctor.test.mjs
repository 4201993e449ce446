// s3-doctor: what `tenaza doctor` and `tenaza workers --security` say, right and wrong.
import { test } from "node:test";
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Gateway, until } from "./lib/gateway.mjs";

const told = (g) => until("walls are reported", async () => (await g.status()).workers.every((w) => w.security), 20000);
const doctor = async (g, ...args) => {
    const r = await g.cli(["-c", g.conf, "doctor", "--json", ...args]);
    const v = JSON.parse(r.out);
    return { code: r.code, ...v, by: Object.fromEntries(v.checks.map((c) => [c.check, c])) };
};

test("a healthy gateway: exit 0, one line a check, the sandbox told from the workers themselves", async () => {
    const g = await Gateway.start();
    await told(g);
    const d = await doctor(g);
    assert.equal(d.code, 0, JSON.stringify(d.checks));
    assert.deepEqual(d.checks.map((c) => c.check),
        ["config", "secrets", "permissions", "disk", "clock", "port", "workers", "store", "sandbox", "service"]);
    assert.ok(d.checks.every((c) => c.state !== "bad"), JSON.stringify(d.checks));
    assert.match(d.by.port.text, new RegExp(`:${g.port}`));
    assert.match(d.by.workers.text, /all ready/);
    const text = await g.cli(["-c", g.conf, "doctor"]);
    assert.equal(text.code, 0);
    assert.match(text.out, /config +.*tenaza\.conf/);

    const s = await g.cli(["workers", "--security"]);
    assert.equal(s.code, 0);
    for (const name of ["store", "bus", "agent-1", "cron", "edge"]) assert.match(s.out, new RegExp(`${name} +\\S+ +.*privileges`));
    assert.match(s.out, /what the words mean/);
    const j = JSON.parse((await g.cli(["workers", "--security", "--json"])).out);
    assert.ok(j.every((w) => w.security.holds.length > 0));
    await g.stop();
});

test("what is wrong is named with its fix: exit 1", async () => {
    const g = await Gateway.start({ config: 'supervisor = { sandbox = "off"; };\nchannels = { webhook = { secret = "in-clear-for-all"; }; };' });
    await told(g);
    chmodSync(g.conf, 0o644);
    chmodSync(join(g.state, "gateway.token"), 0o644);
    chmodSync(g.state, 0o777);
    const d = await doctor(g);
    assert.equal(d.code, 1);
    assert.equal(d.ok, false);
    assert.equal(d.by.sandbox.state, "bad");
    assert.equal(d.by.secrets.state, "bad");
    assert.match(d.by.secrets.fix, /^chmod 600 /);
    assert.ok(!JSON.stringify(d.checks).includes("in-clear-for-all"), "the secret itself is not shown");
    assert.equal(d.by.permissions.state, "bad");
    assert.match(d.by.permissions.fix, /chmod go-w/);
    const only = await doctor(g, "disk", "clock");
    assert.deepEqual(only.checks.map((c) => c.check), ["disk", "clock"]);
    const s = await g.cli(["workers", "--security"]);
    assert.match(s.out, /lost here:/);
    assert.match(s.out, /supervisor\.sandbox = "off"/);
    await g.stop();
});

test("without a gateway: the port that is taken, the broken file, the check that does not exist", async () => {
    const dir = mkdtempSync(join(tmpdir(), "tenaza-doctor-"));
    const other = createServer();
    other.listen(0, "127.0.0.1");
    await once(other, "listening");
    const conf = join(dir, "tenaza.conf");
    writeFileSync(conf, `edge = { port = ${other.address().port}; };\n`);
    const g = Object.assign(new Gateway(), { state: join(dir, "state"), conf, env: { ...process.env }, bin: (await import("./lib/gateway.mjs")).build });
    let d = await doctor(g);
    assert.equal(d.code, 1);
    assert.equal(d.by.port.state, "bad");
    assert.match(d.by.port.text, /another program listens there/);
    assert.equal(d.by.workers.state, "warning");
    writeFileSync(conf, `edge = { prot = 1; };\n`);
    d = await doctor(g);
    assert.equal(d.by.config.state, "bad");
    assert.match(d.by.config.text, /prot/);
    const bad = await g.cli(["doctor", "nonsense"]);
    assert.equal(bad.code, 2);
    assert.match(bad.err, /the checks: config secrets/);
    other.close();
    rmSync(dir, { recursive: true, force: true });
});
