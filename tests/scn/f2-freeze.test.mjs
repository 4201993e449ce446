// The whole machine stands still (suspended, starved): when it goes on, nobody is taken for dead.
import { test } from "node:test";
import assert from "node:assert/strict";
import { Gateway, sleep } from "./lib/gateway.mjs";
import { Client } from "./lib/client.mjs";

test("frozen as a whole for longer than a beat may be late: every worker keeps its pid", async () => {
    const g = await Gateway.start();
    try {
        const before = (await g.status()).workers;
        const pids = [...before.map((w) => w.pid), g.proc.pid];
        for (const pid of pids) process.kill(pid, "SIGSTOP");
        await sleep(22000);
        for (const pid of pids.reverse()) process.kill(pid, "SIGCONT");
        await sleep(1000);
        const after = (await g.status()).workers;
        for (const b of before) assert.equal(after.find((w) => w.name === b.name).pid, b.pid, b.name);
        const c = await Client.connect(g);
        assert.equal((await c.turn("still there?")).state, "final");
        c.close();
    } finally {
        await g.stop();
    }
});
