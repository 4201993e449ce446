// killer.mjs: SIGKILL to a process of the gateway, chosen at random, every 50 to 500 ms; and how long each kind was away.
import { readFileSync } from "node:fs";
import { sleep } from "./world.mjs";

const FIRST_MS = 50, LAST_MS = 500;
// Share of the kills that hit the supervisor, which takes everything with it; the rest is spread evenly over the workers.
const SUPERVISOR = 0.05;

// The parent of a process, 0 when there is none: a pid may have been given to somebody else.
function parentOf(pid) {
    try {
        const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
        return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
    } catch {
        return 0;
    }
}

export class Killer {
    constructor(world, random) {
        this.world = world;
        this.random = random;
        this.kills = new Map();  // kind -> number
        this.away = new Map();   // worker name -> when it was killed
        this.worst = new Map();  // kind -> longest time until it was ready again
        this.total = 0;
    }

    // Ends one process. False: nobody to kill at this moment.
    once() {
        const { world } = this;
        const sup = world.g.proc;
        const alive = world.workers.filter((w) => w.pid && parentOf(w.pid) === sup.pid);
        if (alive.length === 0) return false;
        const victim = this.random() < SUPERVISOR ? { name: "supervisor", kind: "supervisor", pid: sup.pid }
            : alive[Math.floor(this.random() * alive.length)];
        try {
            process.kill(victim.pid, "SIGKILL");
        } catch {
            return false; // it was faster
        }
        const kind = victim.kind === "channel" ? victim.name : victim.kind;
        this.kills.set(kind, (this.kills.get(kind) ?? 0) + 1);
        this.total++;
        if (!this.away.has(victim.name)) this.away.set(victim.name, { at: Date.now(), pid: victim.pid, kind });
        return true;
    }

    // Who has come back? Called often.
    look() {
        for (const [name, a] of this.away) {
            const back = name === "supervisor" ? this.world.supervisor !== a.pid && this.world.ready()
                : this.world.workers.some((w) => w.name === name && w.pid && w.pid !== a.pid && w.state === "ready");
            if (!back) continue;
            this.away.delete(name);
            this.worst.set(a.kind, Math.max(this.worst.get(a.kind) ?? 0, Date.now() - a.at));
        }
    }

    // Goes on until done() says so.
    async run(done) {
        while (!done()) {
            const end = Date.now() + FIRST_MS + this.random() ** 4 * (LAST_MS - FIRST_MS);
            while (Date.now() < end) {
                this.look();
                await sleep(Math.min(20, Math.max(1, end - Date.now())));
            }
            this.once();
        }
        const end = Date.now() + 30000;
        while (this.away.size > 0 && Date.now() < end) {
            this.look();
            await sleep(20);
        }
    }
}
