// ledger.mjs: what was promised, what became of it, and whether the two agree. Pure: no processes, no clock.
// Used by run.mjs, which fills a ledger while the gateway is being killed; ledger.test.mjs shows that it can fail.
//
// A message is accepted when the front said so: ok of chat.send, HTTP 2xx of the webhook, exit code 0 of `cron add`.
// IRC acknowledges nothing: there a line counts from the moment it stands in a transcript. An accepted message is
// answered exactly once where its sender looks, or reported: an error in the transcript, or a delivery that is listed
// as `unknown` or `dead`. A message whose acknowledgement was lost may be answered once or not at all.

// source -> where its answer is looked for; keyed: the target recognises a repeated delivery by its key.
export const SOURCES = {
    irc: { at: "line", keyed: false },
    webhook: { at: "callback", keyed: true },
    websocket: { at: "transcript", keyed: true },
    cron: { at: "callback", keyed: true },
};

export class Ledger {
    constructor() {
        this.messages = new Map();
    }

    sent(source, id, at = 0) {
        this.messages.set(id, {
            source, id, at, accepted: null, answeredAt: null,
            turns: 0, finals: 0, errors: [], effects: new Map(), outbox: [], liveFinals: 0 });
    }

    // The message, or one that nobody sent: an answer out of nowhere must not go unseen.
    of(id) {
        if (!this.messages.has(id)) {
            this.sent("nowhere", id);
        }
        return this.messages.get(id);
    }

    accepted(id, at = 0) {
        const m = this.of(id);
        m.accepted ??= at;
    }
    // An answer where its reader is. key: what the platform recognises repeats by; every keyless line is one of its own.
    effect(id, key, at = 0) {
        const m = this.of(id);
        m.effects.set(key, (m.effects.get(key) ?? 0) + 1);
        m.answeredAt ??= at;
    }
    // The "final" event of a client's own connection.
    live(id, finals, at = 0) {
        const m = this.of(id);
        m.liveFinals = Math.max(m.liveFinals, finals);
        m.answeredAt ??= at;
    }
    turn(id) {
        this.of(id).turns++;
    }
    final(id) {
        this.of(id).finals++;
    }
    error(id, text) {
        this.of(id).errors.push(text);
    }
    outbox(id, state, why) {
        this.of(id).outbox.push({ state, why });
    }
}

function judge(m) {
    const { at, keyed } = SOURCES[m.source] ?? { at: "nowhere", keyed: false };
    const delivered = at === "transcript" ? m.finals : m.effects.size;
    const open = m.outbox.filter((o) => o.state !== "unknown" && o.state !== "dead");
    const listed = m.outbox.filter((o) => o.state === "unknown" || o.state === "dead");
    const accepted = m.accepted !== null || (at === "line" && m.turns > 0);
    const answered = delivered > 0;
    const reported = m.errors.length > 0 || listed.length > 0;
    const faults = [];
    if (at === "nowhere") faults.push("an answer to a message that nobody sent");
    if (accepted && !answered && !reported) {
        faults.push(open.length ? `lost: its delivery is still ${open[0].state}` : "lost: neither answered nor reported");
    }
    if (m.turns > 1) faults.push(`doubled: ${m.turns} turns`);
    if (m.finals + m.errors.length > 1) faults.push(`doubled: ${m.finals} answers and ${m.errors.length} errors in the transcript`);
    if (m.effects.size > 1) faults.push(`doubled: ${m.effects.size} ${keyed ? "keys" : "lines"} at the target`);
    if (m.liveFinals > 1) faults.push(`doubled: ${m.liveFinals} final events on one connection`);
    if (m.turns > 0 && m.finals + m.errors.length === 0) faults.push("its turn has neither an answer nor an error");
    return { accepted, answered, reported, listed, faults, repeats: [...m.effects.values()].reduce((n, x) => n + x - 1, 0) };
}

// The whole account: per source, and every fault by name.
export function evaluate(ledger) {
    const rows = {};
    const faults = [];
    const reports = [];
    let slowest = { ms: 0, id: "" };
    let turns = 0;
    for (const m of ledger.messages.values()) {
        const j = judge(m);
        turns += m.turns;
        const row = (rows[m.source] ??= {
            sent: 0, accepted: 0, answered: 0, reported: 0, lost: 0, doubled: 0, unsure: 0, repeats: 0 });
        row.sent++;
        row.accepted += j.accepted;
        row.answered += j.accepted && j.answered;
        row.reported += j.accepted && !j.answered && j.reported;
        row.unsure += !j.accepted && j.answered;
        row.repeats += j.repeats;
        row.lost += j.faults.some((f) => f.startsWith("lost"));
        row.doubled += j.faults.some((f) => f.startsWith("doubled"));
        for (const f of j.faults) faults.push(`${m.source} ${m.id}: ${f}`);
        for (const o of j.listed) reports.push(`${m.source} ${m.id}: delivery ${o.state}: ${o.why}${j.answered ? " (it had arrived)" : ""}`);
        for (const e of m.errors) reports.push(`${m.source} ${m.id}: run failed: ${e}`);
        if (m.accepted && m.answeredAt && m.answeredAt - m.accepted > slowest.ms) {
            slowest = { ms: m.answeredAt - m.accepted, id: m.id };
        }
    }
    return { rows, faults, reports, slowest, turns };
}
