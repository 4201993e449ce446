// Time is part of the spine: one job kind (`at`), durable, fired once.
import { test } from "node:test";
import assert from "node:assert/strict";
import { FakeLlm, Gateway, sleep, until } from "./lib/gateway.mjs";
import { Client, textOf } from "./lib/client.mjs";

test("an `at` job fires once, also after a kill and a restart, and can be removed", async () => {
    const llm = await FakeLlm.start();
    const g = await Gateway.start({ config: llm.config() });
    try {
        const add = await g.cli(["cron", "add", "--at", "+2s", "-m", "wake up call", "--session", "agent:main:main", "--json"]);
        assert.equal(add.code, 0, add.err);
        const far = await g.cli(["cron", "add", "--at", "+2h", "-m", "later", "--json"]);
        assert.equal(far.code, 0, far.err);
        assert.match((await g.cli(["cron", "list"])).out, /later/);
        await g.killWorker("cron");
        const c = await Client.connect(g);
        await until("fired", async () => (await c.history()).messages.some((m) => textOf(m).includes("echo: ") && textOf(m).includes("wake up call")), 15000, 100);
        await g.killWorker("cron");
        await sleep(1500);
        const users = (await c.history()).messages.filter((m) => m.role === "user" && textOf(m).includes("wake up call"));
        assert.equal(users.length, 1);
        c.close();
        const id = JSON.parse(far.out).id ?? JSON.parse(far.out).job?.id;
        assert.equal((await g.cli(["cron", "rm", id])).code, 0);
        assert.equal((await g.cli(["cron", "rm", id])).code, 3);
        const past = await g.cli(["cron", "add", "--at", "yesterday", "-m", "x"]);
        assert.equal(past.code, 2);
        assert.match(past.err, /--at/);
    } finally {
        await g.stop();
        await llm.stop();
    }
});

test("a job that came due while the gateway was down fires at the next start", async () => {
    const llm = await FakeLlm.start();
    const g = await Gateway.start({ config: llm.config() });
    try {
        await g.cli(["cron", "add", "--at", "+1s", "-m", "missed me", "--session", "agent:main:main"]);
        await g.proc.stop();
        await sleep(1500);
        await g.up();
        const c = await Client.connect(g);
        await until("fired", async () => (await c.history()).messages.some((m) => textOf(m).includes("missed me")), 10000, 100);
        c.close();
    } finally {
        await g.stop();
        await llm.stop();
    }
});
