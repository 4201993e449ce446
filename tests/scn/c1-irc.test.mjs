// A person on a real ngircd: pairing, direct messages, mentions, and what survives kills and reconnects.
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { FakeLlm, Gateway, sleep, until } from "./lib/gateway.mjs";
import { Ngircd, Person } from "./lib/irc.mjs";

let irc, llm, g, alice;
before(async () => {
    irc = await Ngircd.start();
    llm = await FakeLlm.start();
    g = await Gateway.start({ config: llm.config() + `
        channels = { irc = { groupPolicy = "open"; accounts = { test = {
            host = "127.0.0.1"; port = ${irc.port}; tls = false; nick = "tenaza"; channels = [ "#room" ]; }; }; }; };` });
    alice = await Person.join(irc.port, "alice", "#room");
    await until("bot in #room", () => alice.lines.some((l) => /:tenaza![^ ]+ JOIN :?#room/.test(l) || / 353 .*tenaza/.test(l)), 10000);
});
after(async () => {
    alice?.leave();
    await g?.stop();
    await llm?.stop();
    await irc?.stop();
});

test("an unknown sender is given a code and nothing else happens", async () => {
    alice.say("tenaza", "hello bot");
    const lines = await until("pairing reply", () => {
        const h = alice.heard("tenaza").join("\n");
        return /tenaza pairing approve [A-Z2-9]{8}/.test(h) && h;
    });
    assert.match(lines, /alice/);
    assert.equal((await llm.log()).count, 0, "the model never saw it");
    alice.say("tenaza", "are you there?");
    await sleep(700);
    const codes = new Set(alice.heard("tenaza").join(" ").match(/approve [A-Z2-9]{8}/g));
    assert.equal(codes.size, 1, "one reply per request");
});

test("a wrong code is refused, the right one opens the door", async () => {
    const bad = await g.cli(["pairing", "approve", "AAAAAAAA"]);
    assert.equal(bad.code, 3, bad.err);
    const list = JSON.parse((await g.cli(["pairing", "list", "--json"])).out);
    assert.match(JSON.stringify(list), /alice/);
    const code = /approve ([A-Z2-9]{8})/.exec(alice.heard("tenaza").join(" "))[1];
    const ok = await g.cli(["pairing", "approve", code.toLowerCase()]);
    assert.equal(ok.code, 0, ok.err);
    alice.say("tenaza", "hello again");
    await until("reply", () => alice.heard("tenaza").includes("echo: hello again"));
});

test("in a channel it answers only when mentioned", async () => {
    alice.say("#room", "nobody is talking to the bot");
    await sleep(500);
    assert.equal(alice.heard("tenaza", "#room").length, 0);
    alice.say("#room", "tenaza: what do you say?");
    // The fake model repeats what it was told, context first, and a line leaves each second.
    await until("room reply", () => /what do you say\?/.test(alice.heard("tenaza", "#room").join("\n")), 15000);
    const log = await llm.log();
    assert.ok(JSON.stringify(log.requests.at(-1)).includes("nobody is talking to the bot"), "what was said before is context");
});

test("a long reply comes in lines that ngircd accepts, complete and in order", async () => {
    alice.say("tenaza", "LONG 1500");
    const n = () => alice.heard("tenaza").filter((t) => /word/.test(t)).join(" ");
    await until("whole reply", () => n().length >= 1400, 30000);
    assert.equal((await g.worker("irc/test")).restarts ?? 0, 0);
});

test("kill -9 of the channel worker: it reconnects, and no answer is lost or doubled", async () => {
    alice.say("tenaza", "SLOW 12 keep this");
    await until("the model works on it", async () => JSON.stringify(await llm.log()).includes("keep this"));
    const ms = await g.killWorker("irc/test");
    assert.ok(ms < 5000, `${ms} ms`);
    await until("answer", () => alice.heard("tenaza").some((t) => /keep this|chunk|slow/i.test(t)), 20000);
    await sleep(800);
    const hits = alice.heard("tenaza").filter((t) => /keep this|chunk|slow/i.test(t));
    assert.equal(new Set(hits).size, hits.length, "no line twice");
});

test("the server goes away and comes back: reconnect, and the conversation goes on", async () => {
    await irc.proc.stop();
    await until("noticed", async () => !/connected as/.test((await g.worker("irc/test")).status ?? ""), 15000);
    const pid = (await g.worker("irc/test")).pid;
    await irc.up();
    alice = await Person.join(irc.port, "alice", "#room");
    await until("bot is back", () => alice.lines.some((l) => /:tenaza[^ ]* JOIN/.test(l) || / 353 .*tenaza/.test(l)), 70000);
    alice.say("#room", "tenaza: back again?");
    await until("reply", () => alice.heard("tenaza", "#room").some((t) => /back again/.test(t)));
    assert.equal((await g.worker("irc/test")).pid, pid, "the process stayed");
});
