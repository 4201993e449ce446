// Tools with effects, and the story of a message in one screen.
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FakeLlm, Gateway, until } from "./lib/gateway.mjs";
import { Client } from "./lib/client.mjs";
import { FakeIrcd } from "./lib/irc.mjs";

let irc, llm, g;
before(async () => {
    irc = await FakeIrcd.start();
    llm = await FakeLlm.start();
    g = await Gateway.start({ config: llm.config() + `
        channels = { irc = { accounts = { test = { host = "127.0.0.1"; port = ${irc.port}; tls = false; nick = "tenaza";
            dmPolicy = "open"; allowFrom = [ "*" ]; }; }; }; };` });
    await until("connected", () => irc.nick === "tenaza", 10000);
});
after(async () => {
    await g?.stop();
    await llm?.stop();
    irc?.stop();
});

const json = async (...args) => {
    const r = await g.cli([...args, "--json"]);
    assert.equal(r.code, 0, `${args.join(" ")}: ${r.err}${r.out}`);
    return JSON.parse(r.out);
};

test("a tool sends a message beside the answer, and tenaza trace tells how", async () => {
    irc.say("ann", 'TOOL message {"action":"send","message":"side note"}');
    await until("both", () => irc.texts().some((t) => /tool said/.test(t)), 20000);
    assert.equal(irc.texts().filter((t) => t === "side note").length, 1);
    assert.ok(irc.texts().indexOf("side note") < irc.texts().findIndex((t) => /tool said/.test(t)), "in the order they were said");
    const rows = (await json("sessions", "show", "main")).rows;
    const run = rows.find((r) => r.tool === "message").runId;
    const t = await until("arrived", async () => {
        const v = await json("trace", run);
        return v.rows.filter((r) => r.what === "delivered").length === 2 && v;
    }, 20000, 100);
    assert.equal(t.state, "ok");
    const what = t.rows.map((r) => r.what);
    for (const w of ["received", "granted", "model", "tool", "ended", "queued", "begun", "delivered"]) {
        assert.ok(what.includes(w), `${w} in ${what}`);
    }
    assert.equal(what.filter((w) => w === "model").length, 2);
    const text = await g.cli(["trace", t.rows.find((r) => r.deliveryId).deliveryId]);
    assert.equal(text.code, 0);
    assert.match(text.out, /^message \d+ {2}run .* ok /);
    assert.ok(text.out.split("\n").length < 25, "one screen");
    assert.equal((await g.cli(["trace", "nothing"])).code, 3);
    assert.equal((await g.cli(["trace"])).code, 2);
});

test("files of the workspace, and nothing outside it", async () => {
    const c = await Client.connect(g);
    await c.turn('TOOL write {"path":"notes/today.txt","content":"milk"}');
    assert.equal(readFileSync(join(g.state, "workspace/main/notes/today.txt"), "utf8"), "milk");
    await c.turn('TOOL read {"path":"../../gateway.token"}');
    const h = await c.history();
    const results = h.messages.filter((m) => m.role === "toolResult");
    assert.match(JSON.stringify(results.at(-1)), /leads out of the workspace/);
    c.close();
});
