// A worker that misbehaves in every way there is: the state it ends in, what the operator reads, and no other worker
// touched. The victim is cron, whose executable is exchanged under a running gateway.
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { chmodSync, existsSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Gateway, OwnBin, until } from "./lib/gateway.mjs";

let bin, g, others;
const EXE = "tenaza-cron";

before(async () => {
    bin = new OwnBin();
    g = await Gateway.start({
        bin: bin.dir,
        config: `supervisor = { limits = { cron = { memory = "64MiB"; }; }; startTimeout = "2s"; silence = "11s"; stopGrace = "10s";
                     restart = { first = "50ms"; breaker = { failures = 3; }; }; };
                 logging = { file = { maxSize = "1MiB"; keep = 2; }; };`,
    });
    others = (await g.status()).workers.filter((w) => w.name !== "cron").map((w) => [w.name, w.pid]);
});
after(async () => {
    await g?.stop();
    bin?.remove();
});

const cron = () => g.worker("cron");

async function untouched() {
    const now = (await g.status()).workers;
    for (const [name, pid] of others) assert.equal(now.find((w) => w.name === name).pid, pid, `${name} kept its pid`);
    assert.equal((await fetch(g.url + "/healthz")).status, 200);
}

// cron runs as it should again, with a clean slate.
async function mend() {
    bin.repair(EXE);
    const r = await g.cli(["workers", "restart", "cron"]);
    assert.equal(r.code, 0, r.err);
    await g.cli(["workers", "reset", "cron"]);
}

async function killCron() {
    const { pid } = await cron();
    assert.ok(pid > 0, "there is one");
    process.kill(pid, "SIGKILL");
    return pid;
}

// Puts the misbehaving program in place and ends the good one. With `serving`: waits until the bad one serves.
async function spoil(mode, serving = false) {
    bin.spoil(EXE, mode);
    const good = await killCron();
    return serving && until("the bad one serves", async () => {
        const w = await cron();
        return w.pid > 0 && w.pid !== good && w.state === "ready" && w;
    }, 15000);
}

function scenario(name, fn) {
    test(name, async () => {
        try {
            await fn();
            await untouched();
        } finally {
            await mend();
        }
    });
}

async function ends(state, pattern) {
    const w = await until(`cron is ${state}`, async () => {
        const now = await cron();
        return now.state === state && pattern.test(`${now.alarm} ${now.lastExit}`) && now;
    }, 30000, 50).catch(async (e) => {
        throw new Error(`${e.message}: ${JSON.stringify(await cron())}`);
    });
    return w;
}

scenario("missing: parked; the message names the file, and the command that tries again works", async () => {
    rmSync(bin.path(EXE));
    await killCron();
    const w = await ends("parked", /its program tenaza-cron is missing in .*install again/);
    assert.match(w.alarm, /next try in 5 minutes.*tenaza workers start cron/);
    assert.ok(w.nextTryMs > 0 && w.nextTryMs <= 300000);
    const r = await g.cli(["workers", "start", "cron"]);
    assert.equal(r.code, 1, r.out);
    assert.match(r.err, /does not start.*missing/);
    assert.equal((await g.cli(["status"])).code, 1, "degraded");
});

scenario("not executable: parked, and what to do about it", async () => {
    chmodSync(bin.path(EXE), 0o644);
    await killCron();
    await ends("parked", /tenaza-cron is not executable: chmod \+x/);
});

scenario("no program at all inside: parked, with the reason of the system", async () => {
    rmSync(bin.path(EXE));
    writeFileSync(bin.path(EXE), "\0garbage", { mode: 0o755 });
    await killCron();
    await ends("parked", /cannot be executed: Exec format error/);
});

scenario("of another build: refused, not restarted until told", async () => {
    await spoil("other-build");
    const w = await ends("needs-operator", /is of build 9\.9\.9\+0123456789ab, the gateway of \d+\.\d+\.\d+\+[0-9a-f]{12}/);
    assert.match(w.alarm, /restart the gateway|install again/);
    assert.equal(w.pid, 0);
});

scenario("exits at once: parked after the third crash", async () => {
    await spoil("exit");
    const w = await ends("parked", /died 3 times within 60 s, last: exit 3/);
    assert.equal(w.pid, 0);
});

scenario("hangs at start: ended after its time, counted as a crash, tried again", async () => {
    await spoil("hang-start");
    await ends("restarting", /signal 6 \(SIGABRT\).*not ready after 2\.0 s/);
});

scenario("hangs later, deaf even to SIGABRT: killed 3 s after that", async () => {
    const bad = await spoil("hang-later", true);
    const w = await until("its end", async () => {
        const now = await cron();
        return now.pid !== bad.pid && now;
    }, 30000);
    assert.match(w.lastExit, /signal 9 \(SIGKILL\).*no sign of life for 11 s/);
});

scenario("ignores DRAIN and SIGTERM: the stop has an end all the same", async () => {
    await spoil("ignore-term", true);
    const r = await g.cli(["workers", "stop", "cron"]);
    assert.equal(r.code, 0, r.err);
    assert.match(r.out, /cron stopped/);
    const w = await cron();
    assert.equal(w.state, "stopped");
    assert.match(w.lastExit, /signal 9/);
});

scenario("forks children that outlive it, also into sessions of their own: no successor before they are dead", async () => {
    const bad = await spoil("forks", true);
    const file = bin.path(`${EXE}.pids`);
    const pids = await until("its children", () => {
        const list = existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
        return list.length === 3 && list.map(Number);
    });
    assert.match((await cron()).status, /left by the one before: 0/);
    process.kill(bad.pid, "SIGKILL");
    const next = await until("successor", async () => {
        const w = await cron();
        return w.state === "ready" && w.pid !== bad.pid && w;
    }, 15000);
    assert.match(next.status, /left by the one before: 0/);
    for (const pid of pids) assert.throws(() => process.kill(pid, 0), /ESRCH/, `${pid} is gone`);
    assert.match(g.logs(), /cron.*outlived it; no successor before they have ended/);
    // The same when it is told to stop and ends by itself.
    const last = await until("new children", () => {
        const list = existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : [];
        return list.length === 3 && list.map(Number);
    });
    assert.equal((await g.cli(["workers", "stop", "cron"])).code, 0);
    for (const pid of last) assert.throws(() => process.kill(pid, 0), /ESRCH/, `${pid} is gone`);
});

scenario("floods its log: what is kept is bounded, nobody else slows down", async () => {
    const logs = join(g.state, "logs");
    await spoil("flood");
    await until("set aside", () => /floods the log/.test(g.logs()) || existsSync(join(logs, "tenaza.log.2")), 20000);
    assert.equal((await fetch(g.url + "/readyz")).status, 200);
    assert.equal((await g.cli(["workers", "stop", "cron"])).code, 0);
    await until("bounded", () => {
        const bytes = readdirSync(logs).reduce((n, f) => n + statSync(join(logs, f)).size, 0);
        return bytes < 12 * 1024 * 1024; // two set aside of at most 4 MiB each, and the one in use
    }, 10000);
});

scenario("eats memory: ended at its limit where the system lets us set one; the others go on either way", async () => {
    const walls = (await g.worker("bus")).security;
    const limited = walls.holds.some((w) => /memory/.test(w));
    assert.ok(limited || walls.lost.some((w) => /memory/.test(w)), "what does not hold is named");
    const bad = await spoil("eat", true);
    if (limited) {
        const w = await until("ended", async () => {
            const now = await cron();
            return now.pid !== bad.pid && now;
        }, 20000);
        assert.match(w.lastExit, /signal 9/);
    } else {
        const rssMb = () => Number(readFileSync(`/proc/${bad.pid}/statm`, "utf8").split(" ")[1]) * 4096 / 1e6;
        await until("it has grown", () => rssMb() > 200, 20000);
    }
    assert.equal((await fetch(g.url + "/readyz")).status, 200);
    assert.equal((await g.cli(["workers", "stop", "cron"])).code, 0);
});

test("tenaza workers: verbs and their refusals", async () => {
    assert.match((await g.cli(["workers", "stop", "store"])).err, /nothing works without it/);
    assert.equal((await g.cli(["workers", "stop", "nobody"])).code, 3);
    assert.equal((await g.cli(["workers", "dance", "cron"])).code, 2);
    const before = await cron();
    const r = await g.cli(["workers", "restart", "cron"]);
    assert.match(r.out, new RegExp(`cron restarted, pid ${before.pid} -> \\d+`));
    await untouched();
});
