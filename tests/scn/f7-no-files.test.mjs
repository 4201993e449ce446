// No file descriptor is left for one process after the other (its limit is taken down while it runs), under traffic from
// everywhere: nothing is lost, the log says what is missing, and all goes on when there are some again.
import { test } from "node:test";
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { underTraffic } from "../chaos/under.mjs";
import { sleep, until } from "./lib/gateway.mjs";

const HELD_MS = 1500;

// Takes the limit of a process down to what it has open, runs fn, and gives the old one back.
async function withoutFiles(pid, fn) {
    const before = execFileSync("prlimit", ["--pid", String(pid), "--nofile", "--output", "SOFT,HARD", "--noheadings"], { encoding: "utf8" });
    const [soft, hard] = before.trim().split(/\s+/);
    // The limit is about the highest number: what is closed below it could be used again, so it goes to the first gap.
    const open = new Set(readdirSync(`/proc/${pid}/fd`).map(Number));
    let limit = 0;
    while (open.has(limit)) limit++;
    execFileSync("prlimit", ["--pid", String(pid), `--nofile=${limit}:${hard}`]);
    try {
        await fn();
    } finally {
        if (existsSync(`/proc/${pid}`)) execFileSync("prlimit", ["--pid", String(pid), `--nofile=${soft}:${hard}`]);
    }
}

// libzmq ends the process when it cannot accept, so store and bus come back as new ones; they get a high limit for that
// reason (spawn.c). All others live on.
const HUBS = ["store", "bus"];

test("workers without descriptors", async () => {
    await underTraffic({}, async (world) => {
        const before = (await world.g.status()).workers;
        for (const w of before) {
            await withoutFiles(w.pid, () => sleep(HELD_MS));
            await until(`${w.name} goes on`, async () => (await world.g.worker(w.name)).state === "ready", 15000, 100);
        }
        const after = (await world.g.status()).workers;
        for (const b of before.filter((w) => !HUBS.includes(w.name))) {
            assert.equal(after.find((w) => w.name === b.name).pid, b.pid, `${b.name} lives`);
        }
        assert.match(world.g.logs(), /Too many open files|no descriptor left/i);
    });
});

test("the supervisor without descriptors: a dead worker waits for its successor, and gets it", async () => {
    await underTraffic({}, async (world) => {
        const cron = await world.g.worker("cron");
        await withoutFiles(world.g.proc.pid, async () => {
            process.kill(cron.pid, "SIGKILL");
            await until("said", () => /Too many open files/.test(world.g.logs()), 15000);
        });
        await until("cron is back", async () => {
            const w = await world.g.worker("cron");
            return w.pid && w.pid !== cron.pid && w.state === "ready";
        }, 20000, 100);
    });
});
