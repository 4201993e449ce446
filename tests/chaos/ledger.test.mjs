// The account of a chaos run finds what it is there to find: each kind of fault, put in by hand, is seen.
import { test } from "node:test";
import assert from "node:assert/strict";
import { Ledger, SOURCES, evaluate } from "./ledger.mjs";

// One message of each source that went well.
function good() {
    const l = new Ledger();
    for (const source of Object.keys(SOURCES)) {
        const id = `${source}-1-good`;
        l.sent(source, id, 10);
        if (source !== "irc") l.accepted(id, 20);
        l.turn(id);
        l.final(id);
        if (source !== "websocket") l.effect(id, `${source}-key`, 30);
    }
    return l;
}

test("nothing to complain about", () => {
    const r = evaluate(good());
    assert.deepEqual(r.faults, []);
    for (const source of Object.keys(SOURCES)) {
        assert.deepEqual(r.rows[source], { sent: 1, accepted: 1, answered: 1, reported: 0, lost: 0, doubled: 0, unsure: 0, repeats: 0 });
    }
    assert.equal(r.slowest.ms, 10);
});

const faults = [
    ["an accepted message without an answer", (l) => { l.sent("websocket", "x"); l.accepted("x", 1); }, "lost", "websocket"],
    ["an answer that only stands in the transcript", (l) => { l.sent("webhook", "x"); l.accepted("x", 1); l.turn("x"); l.final("x"); }, "lost", "webhook"],
    ["a delivery that never left the queue", (l) => { l.sent("cron", "x"); l.accepted("x", 1); l.outbox("x", "queued", ""); }, "lost", "cron"],
    ["an IRC line that became a turn and no answer", (l) => { l.sent("irc", "x"); l.turn("x"); l.final("x"); }, "lost", "irc"],
    ["two turns", (l) => l.turn("websocket-1-good"), "doubled", "websocket"],
    ["two answers in the transcript", (l) => l.final("websocket-1-good"), "doubled", "websocket"],
    ["an answer and an error", (l) => l.error("cron-1-good", "worker_lost"), "doubled", "cron"],
    ["two keys at the callback", (l) => l.effect("webhook-1-good", "another"), "doubled", "webhook"],
    ["the same line twice on IRC", (l) => l.effect("irc-1-good", "line 2"), "doubled", "irc"],
    ["two final events on one connection", (l) => l.live("websocket-1-good", 2), "doubled", "websocket"],
];
for (const [name, spoil, kind, source] of faults) {
    test(`found: ${name}`, () => {
        const l = good();
        spoil(l);
        const r = evaluate(l);
        assert.equal(r.faults.length, 1, r.faults.join("\n"));
        assert.equal(r.rows[source][kind], 1);
    });
}

test("found: an answer to a message that nobody sent, a turn without an end", () => {
    const l = good();
    l.effect("ghost", "k");
    l.sent("irc", "x");
    l.turn("x");
    assert.equal(evaluate(l).faults.length, 3);
});

test("no faults: reports, repeats under one key, messages that were never acknowledged", () => {
    const l = good();
    l.effect("webhook-1-good", "webhook-key");
    l.sent("irc", "u");
    l.turn("u");
    l.final("u");
    l.outbox("u", "unknown", "the worker was lost");
    l.sent("websocket", "e");
    l.accepted("e", 1);
    l.turn("e");
    l.error("e", "worker_lost");
    l.sent("irc", "never arrived");
    l.sent("cron", "not acknowledged");
    l.effect("not acknowledged", "k");
    l.turn("not acknowledged");
    l.final("not acknowledged");
    const r = evaluate(l);
    assert.deepEqual(r.faults, []);
    assert.equal(r.rows.webhook.repeats, 1);
    assert.equal(r.rows.irc.reported, 1);
    assert.equal(r.rows.irc.accepted, 2);
    assert.equal(r.rows.cron.unsure, 1);
    assert.equal(r.reports.length, 2);
});
