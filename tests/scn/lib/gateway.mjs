// gateway.mjs: starts a real Tenaza in a directory of its own and gives the scenarios handles on it.
// Used by every *.test.mjs. Ends only processes it started. Loopback only, free ports, private state.
import { spawn, execFile } from "node:child_process";
import { once } from "node:events";
import {
    constants, copyFileSync, existsSync, mkdirSync, chownSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
export const root = resolve(here, "../../..");
export const build = process.env.TENAZA_BUILD ? resolve(process.env.TENAZA_BUILD) : join(root, "build");
// Sanitizer builds are slower; every wait is stretched by this.
export const slow = Number(process.env.TENAZA_SLOW || 1);

export const sleep = (ms) => new Promise((r) => setTimeout(r, ms));

export async function freePort() {
    const s = createServer();
    s.listen(0, "127.0.0.1");
    await once(s, "listening");
    const { port } = s.address();
    s.close();
    await once(s, "close");
    return port;
}

// Polls fn until it returns something truthy; throws with `what` after ms.
export async function until(what, fn, ms = 5000, step = 20) {
    const end = Date.now() + ms * slow;
    let last;
    for (;;) {
        try {
            const v = await fn();
            if (v) return v;
        } catch (e) {
            last = e;
        }
        if (Date.now() > end) throw new Error(`timed out: ${what}${last ? ` (${last.message})` : ""}`);
        await sleep(step);
    }
}

// Whatever a failed scenario left running ends with the test process.
const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));

// A program in the background with its output kept; killed at stop() if it does not end by itself.
export class Proc {
    constructor(file, args, opts = {}) {
        this.out = "";
        this.err = "";
        this.child = spawn(file, args, { stdio: ["ignore", "pipe", "pipe"], ...opts });
        this.child.stdout.on("data", (d) => (this.out += d));
        this.child.stderr.on("data", (d) => (this.err += d));
        running.add(this.child);
        this.exited = new Promise((r) => {
            this.child.on("exit", (code, signal) => {
                running.delete(this.child);
                r({ code, signal });
            });
            this.child.on("error", (e) => r({ code: 127, signal: null, error: e }));
        });
    }
    get pid() {
        return this.child.pid;
    }
    async stop(signal = "SIGTERM", ms = 15000) {
        if (this.child.exitCode === null && this.child.signalCode === null) {
            this.child.kill(signal);
            const timer = setTimeout(() => this.child.kill("SIGKILL"), ms * slow);
            await this.exited;
            clearTimeout(timer);
        }
        return this.exited;
    }
}

export class Gateway {
    // config: text of the configuration file without edge.port, which is chosen here.
    // bin: folder of the executables, when it is not the build itself (see ownBin).
    // as: number of the user it runs as (the tests being root), with a directory of that user.
    static async start({ config = "", env = {}, dir = null, autodetect = false, wait = true, bin = build, as = null } = {}) {
        const g = new Gateway();
        g.dir = dir || mkdtempSync(join(tmpdir(), "tenaza-scn-"));
        g.keep = dir !== null;
        g.as = as;
        if (as !== null) chownSync(g.dir, as, as);
        g.bin = bin;
        g.state = join(g.dir, "state");
        g.conf = join(g.dir, "tenaza.conf");
        g.port = await freePort();
        g.env = { ...process.env, ANTHROPIC_API_KEY: "", OPENAI_API_KEY: "", TENAZA_CONFIG: "", ...env };
        g.autodetect = autodetect;
        g.configure(config);
        await g.up(wait);
        return g;
    }

    configure(text) {
        mkdirSync(this.dir, { recursive: true });
        let t = text;
        if (!/\bedge\s*[:=]/.test(t)) t += `\nedge = { port = ${this.port}; };\n`;
        else t = t.replaceAll("@PORT@", String(this.port));
        if (!/\bmodels\s*[:=]/.test(t)) t += `\nmodels = { autodetect = ${this.autodetect}; };\n`;
        writeFileSync(this.conf, t);
    }

    async up(wait = true) {
        this.proc = new Proc(join(this.bin, "tenaza"), ["run", "-c", this.conf, "--state", this.state],
            { env: this.env, ...(this.as === null ? {} : { uid: this.as, gid: this.as }) });
        if (!wait) return;
        await until("gateway ready", () => {
            if (this.proc.child.exitCode !== null) throw new Error(`exited ${this.proc.child.exitCode}: ${this.proc.err}`);
            return /^ready url=/m.test(this.proc.out);
        }, 10000).catch((e) => {
            const text = `${e.message}\nstdout: ${this.proc.out}\nstderr: ${this.proc.err}`;
            this.proc.child.kill("SIGKILL");
            throw new Error(text);
        });
    }

    get url() {
        return `http://127.0.0.1:${this.port}`;
    }
    get ws() {
        return `ws://127.0.0.1:${this.port}`;
    }
    get token() {
        return readFileSync(join(this.state, "gateway.token"), "utf8").trim();
    }

    // Runs `tenaza ARGS`; resolves with {code, out, err} whatever the exit code.
    cli(args, { timeout = 20000, env = {}, input = null } = {}) {
        return new Promise((done) => {
            const child = execFile(
                join(this.bin, "tenaza"), ["--state", this.state, ...args],
                { timeout: timeout * slow, env: { ...this.env, ...env }, maxBuffer: 16 << 20 },
                (e, out, err) => done({ code: e ? (typeof e.code === "number" ? e.code : 255) : 0, out, err }));
            if (input !== null) child.stdin.end(input);
        });
    }

    async status() {
        const r = await this.cli(["status", "--json"]);
        return JSON.parse(r.out);
    }

    async worker(name) {
        const s = await this.status();
        return s.workers.find((w) => w.name === name);
    }

    // SIGKILL one worker and wait until its successor is ready. Returns the milliseconds it took.
    async killWorker(name) {
        const before = await this.worker(name);
        const t0 = Date.now();
        process.kill(before.pid, "SIGKILL");
        await until(`${name} back`, async () => {
            const w = await this.worker(name);
            return w && w.pid && w.pid !== before.pid && /ready/i.test(w.state);
        }, 8000, 5);
        return Date.now() - t0;
    }

    async stop() {
        const r = await this.proc.stop();
        if (!this.keep) rmSync(this.dir, { recursive: true, force: true });
        return r;
    }

    logs() {
        const f = join(this.state, "logs/tenaza.log");
        return existsSync(f) ? readFileSync(f, "utf8") : "";
    }
}

// Executables of a gateway of its own, so that a scenario can exchange one.
export class OwnBin {
    constructor() {
        this.dir = mkdtempSync(join(tmpdir(), "tenaza-bin-"));
        for (const f of readdirSync(build).filter((n) => /^tenaza(-[a-z]+)?$/.test(n))) {
            copyFileSync(join(build, f), join(this.dir, f), constants.COPYFILE_FICLONE);
        }
    }
    path(name) {
        return join(this.dir, name);
    }
    // The worker that misbehaves (tests/fakes/bad_worker.c) in place of `name`.
    spoil(name, mode) {
        rmSync(this.path(name), { force: true });
        copyFileSync(join(build, "tests/fakes/bad_worker"), this.path(name), constants.COPYFILE_FICLONE);
        writeFileSync(this.path(`${name}.mode`), mode);
    }
    repair(name) {
        rmSync(this.path(name), { force: true });
        copyFileSync(join(build, name), this.path(name), constants.COPYFILE_FICLONE);
    }
    // Every worker starts with this library and these variables (the supervisor gives them a clean environment).
    preload(library, env = {}) {
        const vars = Object.entries({ LD_PRELOAD: join(build, library), ...env });
        for (const f of readdirSync(build).filter((n) => /^tenaza-[a-z]+$/.test(n) && n !== "tenaza-supervisor")) {
            rmSync(this.path(f));
            writeFileSync(this.path(f), `#!/bin/sh\n${vars.map(([k, v]) => `export ${k}='${v}'\n`).join("")}exec '${join(build, f)}' "$@"\n`, { mode: 0o755 });
        }
        return Object.fromEntries(vars); // for the supervisor itself
    }
    remove() {
        rmSync(this.dir, { recursive: true, force: true });
    }
}

// The scripted model server of tests/fakes/fake_llm.c.
export class FakeLlm {
    static async start({ key = null, port = null } = {}) {
        const f = new FakeLlm();
        f.port = port || (await freePort());
        f.key = key;
        await f.up();
        return f;
    }
    async up() {
        const args = ["--port", String(this.port)];
        if (this.key) args.push("--key", this.key);
        this.proc = new Proc(join(build, "tests/fakes/fake_llm"), args);
        await until("fake model server", async () => (await fetch(`http://127.0.0.1:${this.port}/__log`)).ok);
    }
    // Configuration that makes this the only model.
    config({ api = "openai-completions", fallbacks = "" } = {}) {
        const key = this.key ? `apiKey = "${this.key}";` : "";
        const base = `http://127.0.0.1:${this.port}${api === "openai-completions" ? "/v1" : ""}`;
        return `models = { autodetect = false; providers = { fake = { api = "${api}"; baseUrl = "${base}"; ${key}
            models = ( { id = "fake-1"; contextWindow = 32768; maxTokens = 4096; } ); }; }; };
            agents = { defaults = { model = { primary = "fake/fake-1"; ${fallbacks} }; }; };\n`;
    }
    async log() {
        return (await fetch(`http://127.0.0.1:${this.port}/__log`)).json();
    }
    stop() {
        return this.proc.stop();
    }
}
