// run.mjs: the chaos run: everything talks to the gateway at once while its processes are killed at random.
//
// node tests/chaos/run.mjs [--seconds N | --kills N] [--seed N] [--report FILE] [--keep DIR]
//   --seconds   how long to kill (default: TENAZA_CHAOS_SECONDS or 100)
//   --kills     kill until so many are dead
//   --report    also write the report there, as Markdown
//   --keep      state and logs of the gateway stay in DIR
// Exit code 0: nothing lost, nothing doubled, the store's own check is clean.
import { cpus } from "node:os";
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Killer } from "./killer.mjs";
import { Ledger, evaluate } from "./ledger.mjs";
import { print } from "./report.mjs";
import { Traffic, audit } from "./traffic.mjs";
import { World, sleep } from "./world.mjs";

const SETTLE_MS = 120000; // the longest waits of the gateway: 25 s before a third attempt, 30 s between deliveries

const { values: opt } = parseArgs({ options: {
    seconds: { type: "string", default: process.env.TENAZA_CHAOS_SECONDS || "100" }, kills: { type: "string" },
    seed: { type: "string", default: "1" }, report: { type: "string" }, keep: { type: "string" } } });

// A small generator of our own: the same seed chooses the same victims and words (not the same moments).
function generator(seed) {
    let x = (seed * 2654435761) >>> 0 || 1;
    return () => {
        x ^= x << 13;
        x ^= x >>> 17;
        x ^= x << 5;
        return (x >>> 0) / 2 ** 32;
    };
}

async function main() {
    const random = generator(Number(opt.seed));
    const ledger = new Ledger();
    let traffic = null;
    const world = await World.start({ random, keep: opt.keep, onCall: (key, body) => traffic?.onCall(key, body) });
    traffic = new Traffic(world, ledger, random);
    traffic.start();
    await sleep(2000); // everything is under way
    const killer = new Killer(world, random);
    const begun = Date.now();
    const enough = opt.kills ? () => killer.total >= Number(opt.kills) : () => Date.now() - begun >= Number(opt.seconds) * 1000;
    const ticker = setInterval(() => console.error(`${Math.round((Date.now() - begun) / 1000)} s: ${killer.total} killed, ${ledger.messages.size} sent`), 30000);
    await killer.run(enough);
    const seconds = Math.round((Date.now() - begun) / 1000);
    await traffic.finish();
    const status = await world.settle(SETTLE_MS);
    clearInterval(ticker);
    await sleep(300);
    traffic.leave();
    const books = await audit(world, traffic, ledger);
    const counted = (state) => books.outbox.filter((o) => o.state === state).length;
    const outbox = { unknown: counted("unknown"), dead: counted("dead") };
    outbox.open = books.outbox.length - outbox.unknown - outbox.dead;
    await world.stop();
    const r = { ...evaluate(ledger), kills: killer.total, seconds, seed: opt.seed, cores: cpus().length, starts: world.starts, outbox, store: status?.store, findings: status?.store?.findings ?? "the store did not answer",
        victims: [...killer.kills].sort().map(([kind, kills]) => ({ kind, kills, worst: killer.worst.get(kind) })) };
    if (killer.away.size > 0) r.faults.push(`did not come back: ${[...killer.away.keys()].join(", ")}`);
    if (outbox.open > 0) r.faults.push(`${outbox.open} deliveries were still open at the end`);
    // The store counts what it accepted: a message it took and then forgot would be missing in the transcripts.
    if (status?.store && status.store.received !== r.turns) r.faults.push(`the store received ${status.store.received} messages, the transcripts have ${r.turns}`);
    for (const s of ["irc", "webhook", "websocket", "cron"]) {
        if (!r.rows[s]?.answered) r.faults.push(`${s}: not one message was answered, so this run proves nothing`);
    }
    r.good = r.faults.length === 0 && r.findings === "";
    const text = print(r);
    console.log(text);
    if (opt.report) writeFileSync(opt.report, text + "\n");
    process.exit(r.good ? 0 : 1);
}

await main();
