// A worker killed between the bytes of a part and their proof: shown, never sent again by itself, and nothing behind it
// waits. The operator's word. Messages whose run failed are kept and answered after all.
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { FakeLlm, Gateway, until } from "./lib/gateway.mjs";
import { FakeIrcd } from "./lib/irc.mjs";

let irc, llm, g;
before(async () => {
    irc = await FakeIrcd.start();
    llm = await FakeLlm.start();
    g = await Gateway.start({ config: llm.config() + `
        messages = { queue = { mode = "followup"; }; };
        channels = { irc = { accounts = { test = { host = "127.0.0.1"; port = ${irc.port}; tls = false; nick = "tenaza";
            dmPolicy = "open"; allowFrom = [ "*" ]; }; }; }; };` });
    await until("connected", async () => /connected/.test((await g.worker("irc/test")).status ?? "") || irc.nick, 10000);
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
const outbox = async () => (await json("outbox")).rows;
const count = (text) => irc.texts().filter((t) => t === text).length;

let id, second;

test("a part of unknown outcome is shown, and the rest goes on", async () => {
    irc.answers = (n) => n !== 2; // takes the second part and says nothing
    irc.say("ann", "LONG 900");
    await until("second part taken", () => irc.proofs >= 2, 20000);
    second = irc.texts().at(-1);
    process.kill((await g.worker("irc/test")).pid, "SIGKILL");
    await until("third part", () => irc.proofs >= 3, 20000);
    const rows = await until("unknown", async () => (await outbox()).filter((r) => r.state === "unknown").length === 1 && outbox(), 10000, 100);
    id = rows[0].id;
    assert.deepEqual(rows[0].unknownParts, [1]);
    assert.equal(count(second), 1, "not sent again by itself");
    irc.say("ann", "still there?");
    await until("the chat goes on", () => irc.texts().some((t) => /still there/.test(t)), 20000);
    const s = JSON.parse((await g.cli(["status", "--json", "--all"])).out);
    assert.equal(s.store.deliveriesUnknown, 1);
    assert.equal(s.store.findings, "");
});

test("tenaza outbox retry sends just that part", async () => {
    const before = irc.lines.length;
    assert.equal((await json("outbox", "retry", id)).retried, 1);
    await until("second part again", () => count(second) === 2, 20000);
    await until("settled", async () => (await outbox()).length === 0, 20000, 100);
    assert.equal(irc.lines.length, before + 1);
    const again = await g.cli(["outbox", "retry", id]);
    assert.equal(again.code, 3, "what has arrived cannot be sent again");
});

test("tenaza outbox drop --all-unknown", async () => {
    const from = irc.proofs;
    irc.answers = (n) => n !== from + 1;
    irc.say("ann", "one more");
    await until("taken", () => irc.proofs > from, 20000);
    process.kill((await g.worker("irc/test")).pid, "SIGKILL");
    await until("unknown", async () => (await outbox())[0]?.state === "unknown", 20000, 100);
    assert.equal((await json("outbox", "drop", "--all-unknown")).dropped, 1);
    assert.equal((await outbox()).length, 0);
});

test("a message whose run failed is kept, shown, and answered after all", async () => {
    irc.say("bob", "FAILONCE 400 k1 what is it?");
    await until("the sender is told", () => irc.lines.some((l) => l.to === "bob" && /HTTP 400|refused|error/i.test(l.text)), 20000);
    const rows = (await json("deadletters")).rows;
    assert.equal(rows.length, 1);
    assert.equal(rows[0].text, "FAILONCE 400 k1 what is it?");
    assert.equal((await json("deadletters", "show", rows[0].id)).from, "bob");
    assert.equal((await json("deadletters", "resubmit", rows[0].id)).messages, 1);
    await until("answered", () => irc.lines.some((l) => l.to === "bob" && /^echo: .*what is it/.test(l.text)), 20000);
    assert.equal((await json("deadletters")).rows.length, 0);
    const bad = await g.cli(["deadletters", "resubmit", "m999"]);
    assert.equal(bad.code, 3, bad.err);
    assert.equal((await g.cli(["deadletters", "burn"])).code, 2);
    assert.equal(JSON.parse((await g.cli(["status", "--json", "--all"])).out).store.findings, "");
});
