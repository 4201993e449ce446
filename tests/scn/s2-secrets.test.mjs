// s2-secrets: canaries in every place a secret may come from, and a search for them in every place they must not be.
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, openSync, readSync, closeSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Gateway, until, build } from "./lib/gateway.mjs";

// Made in two halves, so that this program does not find them in itself and no log of a test runner holds them whole.
const canary = (name) => ["CANARY", name, "7d1f0c93ab52e6"].join("-");
const secret = {
    webhook: canary("webhook"), // file:
    bearer: canary("bearer"), //   in the configuration itself
    model: canary("model"), //     env:
    token: canary("token"), //     cred:
    openai: canary("openai"), //   an environment variable that models.autodetect looks at
};
// Which kinds of worker may hold which secret; nobody else may, and nobody may print any.
const holders = { webhook: ["one"], bearer: ["two"], model: ["agent"], token: ["edge"], openai: ["agent"] };
const root = process.getuid() === 0;
const sanitized = /build-san/.test(build);

let g, dir;
const dead = [];

before(async () => {
    dir = mkdtempSync(join(tmpdir(), "tenaza-secrets-"));
    mkdirSync(join(dir, "credentials"));
    writeFileSync(join(dir, "credentials/gateway"), secret.token, { mode: 0o600 });
    writeFileSync(join(dir, "webhook.key"), secret.webhook + "\n", { mode: 0o600 });
    const config = `
edge = { port = @PORT@; auth = { token = "cred:gateway"; }; };
channels = { webhook = { accounts = {
    one = { secret = "file:${join(dir, "webhook.key")}"; };
    two = { bearer = "${secret.bearer}"; };
}; }; };
models = { autodetect = false; providers = { mine = { baseUrl = "http://127.0.0.1:9/v1"; apiKey = "env:TEST_MODEL_KEY"; models = ( { id = "m"; } ); }; }; };
logging = { level = "trace"; };
`;
    g = await Gateway.start({
        dir, config,
        env: { TEST_MODEL_KEY: secret.model, OPENAI_API_KEY: secret.openai, CREDENTIALS_DIRECTORY: join(dir, "credentials") },
    });
    chmodSync(g.conf, 0o600);
});
after(async () => {
    await g?.stop();
    rmSync(dir, { recursive: true, force: true });
});

const found = (where, bytes) => Object.keys(secret).filter((k) => bytes.includes(secret[k])).map((k) => `${k} in ${where}`);

// Everything a process can read of its own memory, read from outside (as root).
function* memoryOf(pid) {
    const fd = openSync(`/proc/${pid}/mem`, "r");
    try {
        for (const line of readFileSync(`/proc/${pid}/maps`, "utf8").split("\n")) {
            const m = /^([0-9a-f]+)-([0-9a-f]+) (r...) .*?(\S*)$/.exec(line);
            if (!m || m[4] === "[vvar]" || m[4] === "[vsyscall]" || m[4] === "[vvar_vclock]") continue;
            let at = BigInt(`0x${m[1]}`);
            const end = BigInt(`0x${m[2]}`);
            // The map of the database reserves far more than there is; the rest of a mapping beyond its file cannot be read.
            for (let overlap = Buffer.alloc(0); at < end; ) {
                const n = Number(end - at < 4194304n ? end - at : 4194304n);
                const part = Buffer.alloc(n);
                let got;
                try {
                    got = readSync(fd, part, 0, n, at);
                } catch {
                    break;
                }
                if (got <= 0) break;
                yield Buffer.concat([overlap, part.subarray(0, got)]);
                overlap = part.subarray(Math.max(0, got - 64), got);
                at += BigInt(got);
            }
        }
    } finally {
        closeSync(fd);
    }
}

function inMemory(pid) {
    const seen = new Set();
    for (const part of memoryOf(pid)) for (const k of Object.keys(secret)) if (part.includes(secret[k])) seen.add(k);
    return seen;
}

function* filesBelow(path) {
    for (const e of readdirSync(path, { withFileTypes: true })) {
        const p = join(path, e.name);
        if (e.isDirectory()) yield* filesBelow(p);
        else if (e.isFile()) yield p;
    }
}

async function useThem() {
    // Traffic of every kind: right and wrong tokens, signed and unsigned requests, a turn that fails at the model.
    for (const token of [secret.token, "wrong-token-of-somebody"]) {
        await fetch(`${g.url}/health`, { headers: { authorization: `Bearer ${token}` } });
    }
    for (const [account, headers] of [["two", { authorization: `Bearer ${secret.bearer}` }], ["two", { authorization: "Bearer no" }], ["one", { "x-tenaza-signature": "sha256=00" }]]) {
        await fetch(`${g.url}/channels/webhook/${account}`, {
            method: "POST", headers: { "content-type": "application/json", ...headers },
            body: JSON.stringify({ id: `m-${account}`, from: "alice", text: "hello" }),
        });
    }
    await g.cli(["agent", "-m", "hello", "--timeout", "5s"]);
}

test("no environment or command line of a worker, no log, no status, no answer of the command holds a secret", async () => {
    await useThem();
    const s = await g.status();
    const leaks = [];
    for (const w of s.workers) {
        for (const file of ["environ", "cmdline", "status", "stat"]) {
            leaks.push(...found(`${file} of ${w.name}`, readFileSync(`/proc/${w.pid}/${file}`)));
        }
    }
    leaks.push(...found("cmdline of the supervisor", readFileSync(`/proc/${g.proc.pid}/cmdline`)));
    for (const args of [["status", "--json", "--all"], ["status", "--all"], ["workers", "--json"], ["config", "get"], ["config", "get", "--json"],
        ["config", "check"], ["logs", "-n", "10000"], ["outbox"], ["crashes"], ["doctor", "--json"], ["workers", "--security"]]) {
        const r = await g.cli(args);
        leaks.push(...found(`tenaza ${args.join(" ")}`, r.out + r.err));
    }
    leaks.push(...found("standard output and error", g.proc.out + g.proc.err));
    assert.ok(g.logs().includes('"level":"trace"') || g.logs().includes('"level":"debug"'), "the log is as talkative as it gets");
    assert.deepEqual(leaks, []);
});

test("nothing in the state directory holds a secret, not after a crash either", async () => {
    for (const w of (await g.status()).workers) {
        process.kill(w.pid, "SIGSEGV");
        dead.push(w.pid);
    }
    await until("all are back", async () => (await g.status()).workers.every((w) => w.state === "ready" && !dead.includes(w.pid)), 30000);
    const leaks = [];
    for (const f of filesBelow(g.state)) {
        leaks.push(...found(f.slice(g.state.length + 1), readFileSync(f)));
    }
    assert.deepEqual(leaks, []);
    const reports = readdirSync(join(g.state, "crash"));
    assert.ok(reports.length >= dead.length, "each death left a report");
});

test("no core dump, and memory closed to the same user where a key lives", { skip: sanitized }, async () => {
    for (const w of (await g.status()).workers) {
        const limits = readFileSync(`/proc/${w.pid}/limits`, "utf8");
        assert.match(limits, /^Max core file size +0 +0 /m, w.name);
        // A process that is not dumpable belongs to root in /proc.
        assert.equal(statSync(`/proc/${w.pid}/mem`).uid, 0, w.name);
    }
    const cores = [...filesBelow(dir)].filter((f) => /(^|\/)core(\.|$)/.test(f));
    assert.deepEqual(cores, []);
});

test("only the worker that needs a secret has it in its memory", { skip: !root ? "needs root" : sanitized ? "the sanitizers keep freed memory" : false }, async () => {
    const s = await g.status();
    for (const w of s.workers) {
        const name = w.kind === "channel" ? w.name.split("/")[1] : w.kind;
        const allowed = Object.keys(secret).filter((k) => holders[k].includes(name));
        const seen = inMemory(w.pid);
        for (const k of seen) assert.ok(allowed.includes(k), `${w.name} has the secret ${k} in its memory`);
        // The search finds what is there, or it would prove nothing.
        for (const k of allowed) assert.ok(seen.has(k), `${w.name} does not have ${k}, which it needs`);
    }
});
