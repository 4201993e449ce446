// Care of the database: check beside a running gateway and without one, figures, backups under traffic, and the way back.
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FakeLlm, Gateway } from "./lib/gateway.mjs";
import { Client, textOf } from "./lib/client.mjs";

let llm, g;
before(async () => {
    llm = await FakeLlm.start();
    g = await Gateway.start({ config: llm.config() });
});
after(async () => {
    await g?.stop();
    await llm?.stop();
});

const json = async (args) => {
    const r = await g.cli([...args, "--json"]);
    return { code: r.code, err: r.err, v: r.out ? JSON.parse(r.out) : null };
};
const texts = async (key) => {
    const c = await Client.connect(g);
    const h = await c.history(key);
    c.close();
    return h.messages.map(textOf);
};

test("check and figures beside a running gateway", async () => {
    const c = await Client.connect(g);
    await c.turn("one");
    await c.turn("x".repeat(100000)); // longer than a row may be: a file of its own
    c.close();
    const check = await json(["store", "check", "--deep"]);
    assert.equal(check.code, 0, check.err);
    assert.deepEqual(check.v.findings, []);
    assert.ok(check.v.rows > 10);
    const stats = await json(["store", "stats"]);
    assert.equal(stats.code, 0, stats.err);
    const tran = stats.v.tables.find((t) => t.name === "tran");
    assert.equal(tran.rows, 4);
    assert.ok(tran.bytes >= 4096 && stats.v.commits > 0 && stats.v.commitP99Us >= stats.v.commitP50Us);
    assert.ok(stats.v.longValues >= 1 && stats.v.mapMaxBytes === 16 * 2 ** 30 && stats.v.oldestKeyAt);
    assert.match((await g.cli(["store", "stats"])).out, /^tran +4 +\d+/m);
});

test("a backup under traffic, verified, and restored into a stopped gateway", async () => {
    const c = await Client.connect(g);
    let running = true;
    const traffic = (async () => {
        for (let n = 0; running; n++) await c.turn(`traffic ${n}`);
    })();
    const made = await json(["backup", "create"]);
    running = false;
    await traffic;
    assert.equal(made.code, 0, made.err);
    const at = made.v.backup;
    assert.ok(at.startsWith(join(g.state, "backups")) && existsSync(join(at, "MANIFEST")));
    assert.deepEqual(readdirSync(join(g.state, "backups")).length, 1, "nothing half made beside it");
    const whole = await json(["backup", "verify", at]);
    assert.equal(whole.code, 0, whole.err);
    assert.equal(whole.v.rows, made.v.rows);

    await c.turn("after the backup");
    c.close();
    assert.ok((await texts("agent:main:main")).includes("after the backup"));
    const refused = await json(["backup", "restore", at]);
    assert.equal(refused.code, 5);
    assert.equal(refused.v.error.code, "running");

    await g.proc.stop();
    const restored = await json(["backup", "restore", at]);
    assert.equal(restored.code, 0, restored.err);
    assert.ok(existsSync(join(restored.v.kept, "data.mdb")), "the database that was there is kept");
    const offline = await json(["store", "check", "--deep"]);
    assert.equal(offline.code, 0, JSON.stringify(offline.v));
    await g.up();
    const kept = await texts("agent:main:main");
    assert.ok(!kept.includes("after the backup"));
    assert.deepEqual(kept.slice(0, 4).map((t) => t.slice(0, 10)), ["one", "echo: one", "x".repeat(10), "echo: xxxx"]);
    assert.equal(kept[2].length, 100000);
    const again = await Client.connect(g);
    assert.equal(textOf((await again.turn("goes on")).message), "echo: goes on");
    again.close();
});

test("damage is named, and a damaged backup is not restored", async () => {
    const at = join(g.dir, "mine");
    assert.equal((await g.cli(["backup", "create", at])).code, 0);
    const again = await g.cli(["backup", "create", at]);
    assert.equal(again.code, 4);
    assert.match(again.err, /exists already/);
    appendFileSync(join(at, "data.mdb"), "x");
    const bad = await g.cli(["backup", "verify", at]);
    assert.equal(bad.code, 4);
    assert.match(bad.err, /data\.mdb of the backup is not what it was/);
    const missing = await g.cli(["backup", "verify", join(g.dir, "nowhere")]);
    assert.match(missing.err, /no whole backup/);

    await g.proc.stop();
    assert.equal((await g.cli(["backup", "restore", at])).code, 4);
    const media = join(g.state, "db/media");
    const file = join(media, readdirSync(media).find((n) => /^[0-9a-f]{64}$/.test(n)));
    const content = readFileSync(file);
    writeFileSync(file, content.subarray(1));
    const found = await json(["store", "check"]);
    assert.equal(found.code, 1);
    assert.match(found.v.findings.join("\n"), /media\/[0-9a-f]{64} has \d+ bytes instead of/);
    rmSync(file);
    assert.match((await g.cli(["store", "check"])).out, /is missing/);
    writeFileSync(file, content);
    assert.equal((await g.cli(["store", "check"])).code, 0);
    assert.equal((await g.cli(["store", "stats"])).code, 6, "figures are those of the running store");
    await g.up();
});
