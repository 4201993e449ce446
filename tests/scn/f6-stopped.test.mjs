// Each worker is stopped (SIGSTOP) for a while under traffic from everywhere: a short silence costs nobody his place, a
// long one is noticed, said, and ended; nothing is lost or doubled, and it goes on when it ends.
// TENAZA_LONG=1: up to a whole minute for each, with the limits as shipped (about 10 minutes).
import { test } from "node:test";
import assert from "node:assert/strict";
import { underTraffic } from "../chaos/under.mjs";
import { sleep, until } from "./lib/gateway.mjs";

const long = Boolean(process.env.TENAZA_LONG);
const BRIEF_MS = long ? [1000, 2500, 8000] : [1500];
const LONG_MS = long ? 60000 : 16000; // longer than the silence below and the 3 s before SIGKILL

async function stopped(world, name, ms) {
    const { pid } = await world.g.worker(name);
    process.kill(pid, "SIGSTOP");
    await sleep(ms);
    try {
        process.kill(pid, "SIGCONT");
    } catch {
        // it was ended meanwhile
    }
    return pid;
}

test("a short silence: nobody is taken for dead, nothing is lost", async () => {
    await underTraffic({}, async (world) => {
        const before = (await world.g.status()).workers;
        for (const w of before) {
            for (const ms of BRIEF_MS) await stopped(world, w.name, ms);
        }
        const after = (await world.g.status()).workers;
        for (const b of before) assert.equal(after.find((w) => w.name === b.name).pid, b.pid, `${b.name} kept its pid`);
    });
});

// The store may be silent three times as long, so that a slow disk is not its death: only in the long form.
test("a long silence: noticed, said, ended; the successor goes on", async () => {
    await underTraffic({ supervisor: long ? "" : 'silence = "11s";' }, async (world) => {
        const names = (await world.g.status()).workers.map((w) => w.name).filter((n) => long || n !== "store");
        const ended = async (name) => {
            const ms = name === "store" ? 75000 : LONG_MS; // three times the silence of 20 s, and what follows
            const pid = await stopped(world, name, ms);
            const w = await until(`${name} has a successor`, async () => {
                const now = await world.g.worker(name);
                return now.pid && now.pid !== pid && now.state === "ready" && now;
            }, 30000, 100);
            assert.match(w.lastExit, /no sign of life/, name);
            assert.ok(world.g.logs().includes(`${name}: no sign of life`), `${name}: said in the log`);
        };
        // Short form: all at once, which is harder on the rest and quicker.
        if (!long) return Promise.all(names.map(ended));
        for (const name of names) await ended(name);
    });
});
