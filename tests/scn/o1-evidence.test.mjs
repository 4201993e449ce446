// What is left of a worker that died: a report for each death, which says why, what it was doing and what it said.
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { Gateway, until } from "./lib/gateway.mjs";

let g;
before(async () => (g = await Gateway.start()));
after(async () => g?.stop());

const reports = async () => JSON.parse((await g.cli(["crashes", "--json"])).out);
async function kill(name, signal) {
    const w = await g.worker(name);
    process.kill(w.pid, signal);
    await until(`${name} back`, async () => {
        const n = await g.worker(name);
        return n.pid && n.pid !== w.pid && n.state === "ready";
    }, 10000);
    return w;
}

test("nothing died: no reports", async () => {
    assert.deepEqual(await reports(), []);
    assert.match((await g.cli(["crashes"])).out, /no crash reports/);
    assert.equal((await g.status()).newCrashes, 0);
});

test("kill -9 leaves a report with what the worker said", async () => {
    const w = await kill("cron", "SIGKILL");
    const s = await g.status();
    assert.equal(s.newCrashes, 1);
    assert.match((await g.cli(["status"])).out, /1 new crash report: tenaza crashes/);
    const [r] = await reports();
    assert.equal(r.worker, "cron");
    assert.match(r.cause, /signal 9 \(SIGKILL\)/);
    const text = (await g.cli(["crashes", "show", r.id])).out;
    assert.match(text, /meaning: +somebody outside killed it/);
    assert.ok(text.includes(`pid:         ${w.pid},`));
    assert.match(text, /usage: +\d+\.\d MB at most/);
    assert.equal((await g.status()).newCrashes, 0, "looked at");
});

test("a fatal signal leaves last words, also in the report", async (t) => {
    const w = await kill("bus", "SIGSEGV");
    const text = (await g.cli(["crashes", "show", "last"])).out;
    assert.match(text, /cause: +(signal 11 \(SIGSEGV\)|exit 1)/);
    if (/exit 1/.test(text)) return t.skip("a sanitizer has its own words");
    assert.match(text, /last words: +died of SIGSEGV/);
    assert.ok(g.logs().includes(`"worker":"bus","pid":${w.pid}`));
});

test("what a worker was doing is in the report of a store that is killed at work", async () => {
    await kill("store", "SIGKILL");
    const text = (await g.cli(["crashes", "show", "store-"])).out;
    assert.match(text, /was doing: +(nothing; the last was )?HELLO|was doing: +.*(STATS|SUBSCRIBE|WATCH|[A-Z_]{3,})/);
});

test("reports are private, hold no token, and go away when told to", async () => {
    const dir = join(g.state, "crash");
    for (const f of readdirSync(dir)) {
        assert.equal(statSync(join(dir, f)).mode & 0o777, 0o600);
        assert.ok(!readFileSync(join(dir, f), "utf8").includes(g.token));
    }
    assert.equal((await g.cli(["crashes", "show", "nothing-like-it"])).code, 3);
    assert.equal((await g.cli(["crashes", "dance"])).code, 2);
    assert.match((await g.cli(["crashes", "clear"])).out, /3 crash reports deleted/);
    assert.deepEqual(await reports(), []);
});

test("an orderly stop leaves none", async () => {
    assert.equal((await g.cli(["stop"])).code, 0);
    assert.deepEqual(await reports(), []);
});
