// world.mjs: the gateway of a chaos run and everything around it: fake model, ngircd, a target for callbacks.
// The gateway is started again whenever its supervisor ends, as the service manager would do it.
import { createServer } from "node:http";
import { connect } from "node:net";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeLlm, Gateway, sleep, until } from "../scn/lib/gateway.mjs";
import { Ngircd } from "../scn/lib/irc.mjs";

export const BEARER = "hook-bearer-0123456789";
const RESTART_MS = 100; // RestartSec of the service
const POLL_MS = 25;

// Answers of the supervisor on its control socket; null when it is not there.
class ControlSocket {
    constructor(path) {
        this.path = path;
    }
    ask(line, ms = 1000) {
        return new Promise((done) => {
            const s = connect(this.path);
            let text = "";
            const end = (v) => (clearTimeout(timer), s.destroy(), done(v));
            const timer = setTimeout(() => end(null), ms);
            s.on("connect", () => s.write(line + "\n"));
            s.on("data", (d) => {
                text += d;
                if (text.endsWith("\n")) end(JSON.parse(text));
            });
            s.on("error", () => end(null));
            s.on("close", () => end(null));
        });
    }
}

// Takes answers. Now and then it behaves as real servers do, but to each key only once: the waits after a second and a
// third failure (15 s, 100 s) are as designed and would only make the run longer.
class Target {
    static async start(random, onCall) {
        const t = new Target();
        const known = new Set();
        t.server = createServer((req, res) => {
            let body = "";
            req.on("data", (d) => (body += d));
            req.on("end", () => {
                const key = req.headers["x-delivery-id"];
                const mood = known.has(key) ? 1 : random();
                known.add(key);
                if (mood < 0.03) {
                    res.statusCode = 503; // not taken
                    return res.end();
                }
                onCall(key, JSON.parse(body));
                if (mood < 0.06) return req.socket.destroy(); // taken, and nobody hears of it
                setTimeout(() => res.end("{}"), mood < 0.16 ? 150 : 0);
            });
        }).listen(0, "127.0.0.1");
        await once(t.server, "listening");
        t.url = `http://127.0.0.1:${t.server.address().port}/cb`;
        return t;
    }
    stop() {
        this.server.closeAllConnections();
        this.server.close();
    }
}

export class World {
    // supervisor: further settings of that group.
    static async start({ random, onCall, keep = null, supervisor = "" }) {
        const w = new World();
        w.supervisorConf = supervisor;
        w.dir = keep ?? mkdtempSync(join(tmpdir(), "tenaza-chaos-"));
        w.keep = keep !== null;
        w.irc = await Ngircd.start();
        w.llm = await FakeLlm.start();
        w.target = await Target.start(random, onCall);
        w.g = await Gateway.start({ dir: w.dir, config: w.config() });
        w.control = new ControlSocket(join(w.dir, "run/ctl.sock"));
        w.workers = [];
        w.starts = 1;
        w.stopping = false;
        w.watching = w.watch();
        w.reviving = w.revive();
        return w;
    }

    // restart: a worker may die as often as it likes without being parked; the rest is as shipped.
    config() {
        return this.llm.config().replace("agents = {", "agents = { workers = 2; ") + `
            supervisor = { runtimeDir = "${join(this.dir, "run")}"; ${this.supervisorConf}
                restart = { first = "20ms"; max = "100ms"; resetAfter = "1s"; breaker = { failures = 16; within = "1s"; }; }; };
            session = { dmScope = "per-peer"; };
            messages = { queue = { mode = "followup"; debounceMs = 0; }; };
            channels = {
                irc = { dmPolicy = "open"; allowFrom = [ "*" ];
                    accounts = { test = { host = "127.0.0.1"; port = ${this.irc.port}; tls = false; nick = "tenaza"; }; }; };
                webhook = { accounts = { shop = { bearer = "${BEARER}"; dmPolicy = "open"; allowFrom = [ "*" ];
                    callbackUrl = "${this.target.url}"; allowPrivateCallback = true; }; }; }; };`;
    }

    // Keeps `workers` fresh: {name, pid, state} as the supervisor knows them; empty while there is none.
    async watch() {
        while (!this.stopping) {
            const s = await this.control.ask("status");
            this.workers = s?.workers ?? [];
            this.supervisor = s?.pid ?? 0;
            await sleep(POLL_MS);
        }
    }

    async revive() {
        while (!this.stopping) {
            await this.g.proc.exited;
            if (this.stopping) return;
            await sleep(RESTART_MS);
            this.starts++;
            await this.g.up(false);
        }
    }

    ready() {
        return this.workers.length > 0 && this.workers.every((w) => w.state === "ready");
    }

    async status() {
        return JSON.parse((await this.g.cli(["status", "--json", "--all"], { timeout: 40000 })).out || "{}");
    }

    // Nobody is killed any more: waits until nothing is under way, or gives up. Returns the last status.
    async settle(ms) {
        const end = Date.now() + ms;
        let calm = 0, s = null;
        while (calm < 3 && Date.now() < end) {
            await sleep(500);
            s = await this.status();
            const open = s.store ? s.store.queued + s.store.running + s.store.deliveriesQueued : -1;
            calm = this.ready() && open === 0 ? calm + 1 : 0;
        }
        return s;
    }

    async stop() {
        this.stopping = true;
        await Promise.all([this.watching, this.g.proc.stop()]);
        await Promise.all([this.llm.stop(), this.irc.stop()]);
        this.target.stop();
        if (!this.keep) rmSync(this.dir, { recursive: true, force: true });
    }
}

export { sleep, until };
