// traffic.mjs: people, programs and the clock talking to the gateway all at once, each message with an id of its own.
// Every talker waits for the answer before it goes on (or loses patience), notes what the fronts acknowledged, and
// repeats what was not acknowledged as a careful sender would: clients and webhooks under the same id.
import { Client, textOf } from "../scn/lib/client.mjs";
import { Person } from "../scn/lib/irc.mjs";
import { BEARER, sleep } from "./world.mjs";

const PATIENCE_MS = 8000;    // for an answer, then the talker says the next thing
const REQUEST_MS = 1500;     // for an acknowledgement, then it is tried again
const SESSION_TURNS = 25;    // then a client opens a new conversation

const within = (ms, p) => Promise.race([p.catch(() => null), sleep(ms).then(() => null)]);

export class Traffic {
    constructor(world, ledger, random) {
        Object.assign(this, { world, ledger, random, salt: Math.floor(random() * 36 ** 4).toString(36).padStart(4, "0") });
        this.serial = 0;
        this.talkers = [];
        this.over = false;
    }

    id(source) {
        const id = `${source}-${++this.serial}-${this.salt}`;
        this.ledger.sent(source, id, Date.now());
        return id;
    }
    // Ids that stand in a text.
    idsIn(text) {
        return [...new Set(text.match(new RegExp(`\\b(irc|webhook|websocket|cron)-\\d+-${this.salt}\\b`, "g")) ?? [])];
    }

    // A few kinds of work: most answer at once, some take their time, fail once, use a tool, or are long enough to become
    // a file of their own in the store.
    wish(id, { tools = false, long = false } = {}) {
        const r = this.random();
        if (r < 0.1) return `SLOW 6 ${id}`;
        if (r < 0.2) return `DELAY 300 ${id}`;
        if (r < 0.25) return `FAILONCE 500 ${id} please ${id}`;
        if (r < 0.27 && long) return `hello ${id} ${"and so on ".repeat(7000)}`;
        if (r < 0.4 && tools) return `${id} TOOL current_time {"timezone":"UTC"}`;
        return `hello ${id}`;
    }

    start() {
        for (let i = 0; i < 4; i++) this.talkers.push(this.client(i));
        for (let i = 0; i < 3; i++) this.talkers.push(this.webhook(i));
        for (let i = 0; i < 3; i++) this.talkers.push(this.person(i));
        this.talkers.push(this.clock());
    }
    // No new messages; those that were begun are brought to their end (or to the end of somebody's patience).
    async finish() {
        this.over = true;
        await Promise.all(this.talkers);
    }

    // Tries until fn says yes. Goes on after the end of the run for a while, so that repeats get their chance.
    async surely(fn) {
        for (let last = 0; last === 0 || Date.now() < last;) {
            if (await fn()) return true;
            if (this.over && last === 0) last = Date.now() + PATIENCE_MS;
            await sleep(100);
        }
        return false;
    }
    async patiently(fn) {
        for (const end = Date.now() + PATIENCE_MS; Date.now() < end;) {
            if (fn()) return true;
            await sleep(25);
        }
        return false;
    }

    // ---- a client on the WebSocket
    async client(n) {
        let c = null;
        for (let turn = 0; !this.over; turn++) {
            const id = this.id("websocket");
            const sessionKey = `agent:main:chaos-${n}-${Math.floor(turn / SESSION_TURNS)}`;
            const message = this.wish(id, { tools: true, long: true });
            await this.surely(async () => {
                if (!c || c.closed || c.error) c = await within(REQUEST_MS, Client.connect(this.world.g));
                if (!c) return false;
                const r = await within(REQUEST_MS, c.request("chat.send", { sessionKey, message, idempotencyKey: id }));
                if (r?.ok) return this.ledger.accepted(id, Date.now()), true;
                if (!r) c.close();
                return false;
            });
            const finals = () => (c ? c.chat(id).filter((p) => p.state === "final").length : 0);
            await this.patiently(() => c?.closed || finals() > 0 || c?.chat(id).some((p) => p.state === "error"));
            if (finals() > 0) this.ledger.live(id, finals(), Date.now());
            // Half of the time it reads on a fresh connection, and a second final event would still have time to come.
            await sleep(20 + this.random() * 100);
            this.ledger.live(id, finals(), Date.now());
            if (this.random() < 0.2) c = (c?.close(), null);
            else if (c) c.events.length = c.frames.length = 0;
        }
        c?.close();
    }

    // ---- a program that posts to the webhook and gets its answer at the callback
    async webhook(n) {
        for (let turn = 0; !this.over; turn++) {
            const id = this.id("webhook");
            const body = JSON.stringify({ id, from: `u${n}-${Math.floor(turn / SESSION_TURNS)}`, text: this.wish(id, { long: true }) });
            await this.surely(async () => {
                const r = await within(REQUEST_MS, fetch(`${this.world.g.url}/channels/webhook/shop`, {
                    method: "POST", body, headers: { authorization: `Bearer ${BEARER}`, "content-type": "application/json" },
                    signal: AbortSignal.timeout(REQUEST_MS) }));
                if (r?.ok) this.ledger.accepted(id, Date.now());
                return r?.ok;
            });
            await this.patiently(() => this.ledger.of(id).effects.size > 0);
            await sleep(50);
        }
    }
    // What the target was told.
    onCall(key, body) {
        for (const id of this.idsIn(body.text)) this.ledger.effect(id, key, Date.now());
    }

    // ---- a person on IRC
    async person(n) {
        const p = await Person.join(this.world.irc.port, `person${n}`);
        let read = 0;
        const listen = () => {
            const lines = p.heard("tenaza");
            for (; read < lines.length; read++) {
                for (const id of this.idsIn(lines[read])) this.ledger.effect(id, `line ${n}:${read}`, Date.now());
            }
        };
        this.people = [...(this.people ?? []), { p, listen }];
        while (!this.over) {
            const id = this.id("irc");
            p.say("tenaza", this.wish(id));
            await this.patiently(() => (listen(), this.ledger.of(id).effects.size > 0 || this.unheard(p)));
            await sleep(this.random() * 1500);
        }
    }
    // The server says that the bot is not there: no use in waiting.
    unheard(p) {
        const at = p.lines.findIndex((l) => / 401 /.test(l));
        if (at >= 0) p.lines[at] = "";
        return at >= 0;
    }

    // ---- jobs that come due a moment later
    async clock() {
        while (!this.over) {
            const id = this.id("cron");
            const r = await this.world.g.cli(["--timeout", "3s", "cron", "add", "--at", `+${Math.ceil(this.random() * 3)}s`, "-m", this.wish(id),
                "--session", `agent:main:clock-${id}`, "--deliver", "webhook/shop/clock", "--json"], { timeout: 5000 });
            if (r.code === 0) this.ledger.accepted(id, Date.now());
            await sleep(300 + this.random() * 1500);
        }
    }

    leave() {
        for (const { p, listen } of this.people ?? []) (listen(), p.leave());
    }
}

// ---- what the gateway's own books say

async function pages(ask, field) {
    const all = [];
    for (;;) {
        const page = await ask(all.length);
        all.push(...page[field]);
        if (!page.hasMore || page[field].length === 0) return all;
    }
}

// Reads every transcript and the outbox into the ledger.
export async function audit(world, traffic, ledger) {
    const c = await Client.connect(world.g);
    const sessions = await pages(async (offset) => (await c.request("sessions.list", { limit: 100, offset })).payload, "sessions");
    for (const s of sessions) {
        const rows = await pages((offset) => c.history(s.key, { limit: 200, offset }), "messages");
        const runs = new Map();
        for (const m of rows.filter((x) => x.role === "user")) {
            for (const id of traffic.idsIn(textOf(m))) {
                runs.set(m.__openclaw.runId, id);
                ledger.turn(id);
            }
        }
        for (const m of rows) {
            const id = runs.get(m.__openclaw?.runId);
            if (id && m.role === "assistant" && m.stopReason === "stop") ledger.final(id);
            if (id && m.role === "system" && m.__openclaw.kind === "error") ledger.error(id, textOf(m));
        }
    }
    c.close();
    const out = JSON.parse((await world.g.cli(["outbox", "--limit", "1000", "--json"])).out);
    for (const row of out.rows) {
        for (const id of traffic.idsIn(row.text)) ledger.outbox(id, row.state, row.error);
    }
    return { sessions: sessions.length, outbox: out.rows };
}
