// s1-walls: what separates the workers, seen from outside and tried from the inside: tests/fakes/wall_probe makes one
// system call in the real worker process, as somebody would who had taken it over. Each probe is made in three
// gateways: as root with a user for each kind of worker, as one unprivileged user, and with supervisor.sandbox = "off",
// where it must succeed, or it would prove nothing.
import { test, after } from "node:test";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Gateway, until, build } from "./lib/gateway.mjs";

const kinds = ["store", "bus", "agent", "cron", "edge", "channel"];
const executables = ["", "-supervisor", "-store", "-bus", "-agent", "-cron", "-edge", "-channel"].map((k) => `tenaza${k}`);
const root = process.getuid() === 0;
const landlock = existsSync("/sys/kernel/security/lsm") || Number(/^(\d+)/.exec(readFileSync("/proc/sys/kernel/osrelease", "utf8"))[1]) >= 6;
const sanitized = /build-san/.test(build);
const needs = { skip: !root ? "needs root" : sanitized ? "a sanitizer build has no seccomp" : process.arch !== "x64" ? "x86-64 only" : false };

// Executables where other users can reach them, whatever the folder of the build allows.
const scratch = mkdtempSync(join(tmpdir(), "tenaza-walls-"));
chmodSync(scratch, 0o755);
const bin = join(scratch, "bin");
mkdirSync(bin);
for (const e of executables) copyFileSync(join(build, e), join(bin, e));
after(() => rmSync(scratch, { recursive: true, force: true }));

const users = kinds.map((k, i) => `${k} = "${64300 + i}";`).join(" ");
const channel = `channels = { webhook = { secret = "a-secret-of-this-account"; }; };`;

function probe(pid, ...args) {
    return new Promise((done, no) =>
        execFile(join(build, "tests/fakes/wall_probe"), [String(pid), ...args.map(String)], { timeout: 60000 },
            (e, out, err) => (e && e.code !== 77 ? no(new Error(`${e.message} ${err}`)) : done(out.trim()))));
}

async function securityOf(g) {
    let s;
    await until("every worker has reported its walls", async () => {
        s = await g.status();
        return s.workers.every((w) => w.security);
    }, 20000);
    return new Map(s.workers.map((w) => [w.kind, { ...w.security, pid: w.pid, name: w.name }]));
}

// [worker, what it tries, arguments of wall_probe, how that ends inside the walls]. Paths are made by the gateway.
const tries = (g, w) => [
    ["edge", "open the database", ["open", join(g.state, "db/data.mdb"), "r"], "EACCES"],
    ["edge", "make an internet socket, to connect out", ["socket", 2, 1], "EPERM"],
    ["edge", "make an IPv6 socket", ["socket", 10, 1], "EPERM"],
    ["channel", "read the configuration with everybody's secrets", ["open", g.conf, "r"], "EACCES"],
    ["channel", "read the token of the clients", ["open", join(g.state, "gateway.token"), "r"], "EACCES"],
    ["channel", "read the memory of the agent", ["open", `/proc/${w.get("agent").pid}/mem`, "r"], "EACCES"],
    ["channel", "trace the agent", ["trace", w.get("agent").pid], "EPERM"],
    ["channel", "signal the store", ["kill", w.get("store").pid], "EPERM"],
    ["store", "make an internet socket", ["socket", 2, 1], "EPERM"],
    ["store", "make a raw packet socket", ["socket", 17, 3], "EPERM"],
    ["store", "write beside its database", ["open", join(g.state, "beside"), "c"], "EACCES"],
    ["agent", "write outside its workspace", ["open", join(g.dir, "outside"), "c"], "EACCES"],
    ["agent", "read the environment of the supervisor", ["open", `/proc/${g.proc.pid}/environ`, "r"], "EACCES"],
    ["bus", "open a file", ["open", "/etc/passwd", "r"], "EACCES"],
    ["bus", "start a process", ["fork"], "EPERM"],
    ["cron", "make an internet socket", ["socket", 2, 2], "EPERM"],
];
const allowed = (g) => [
    ["store", ["open", join(g.state, "db/data.mdb"), "r"]],
    ["agent", ["open", join(g.dir, "workspace/mine"), "c"]],
    ["agent", ["socket", 2, 1]],
    ["channel", ["socket", 2, 1]],
    ["bus", ["socket", 1, 1]],
];

async function insideTheWalls(g) {
    const w = await securityOf(g);
    for (const [kind, what, args, end] of tries(g, w)) {
        assert.equal(await probe(w.get(kind).pid, ...args), end, `${kind}: ${what}`);
    }
    for (const [kind, args] of allowed(g)) {
        assert.equal(await probe(w.get(kind).pid, ...args), "ok", `${kind}: ${args.join(" ")}`);
    }
    await until("refused calls stand in the log", () => /sandbox: refused socket/.test(g.logs()));
    // Starting a program is the end, for every kind; its successor works.
    for (const kind of kinds) {
        const { pid, name } = w.get(kind);
        assert.equal(await probe(pid, "exec", "/bin/true"), "killed SIGSYS", `${kind}: starts a program`);
        await until(`${name} is back`, async () => {
            const n = await g.worker(name);
            return n.pid && n.pid !== pid && n.state === "ready";
        }, 20000);
    }
    assert.match((await g.cli(["crashes"])).out, /SIGSYS/);
}

// A gateway with everything the probes want to reach. mode of the workspace: whoever the agent is may write there.
async function start(supervisor, as = null) {
    const dir = mkdtempSync(join(scratch, "g-"));
    chmodSync(dir, 0o755);
    mkdirSync(join(dir, "workspace"));
    chmodSync(join(dir, "workspace"), 0o777);
    const config = `supervisor = { ${supervisor} };\n${channel}\nagents = { entries = { main = { workspace = "${join(dir, "workspace")}"; }; }; };\n`;
    return Gateway.start({ dir, config, bin, as });
}

test("as root, each kind of worker under its own user: the walls hold from the inside", needs, async () => {
    const g = await start(`users = { ${users} }; planeGroup = "64399";`);
    const w = await securityOf(g);
    kinds.forEach((kind, i) => {
        assert.equal(w.get(kind).uid, 64300 + i);
        assert.match(readFileSync(`/proc/${w.get(kind).pid}/status`, "utf8"), new RegExp(`^Uid:\\s+${64300 + i}\\s+${64300 + i}\\s`, "m"));
        assert.match(readFileSync(`/proc/${w.get(kind).pid}/status`, "utf8"), /^CapEff:\s+0+$/m);
        assert.ok(w.get(kind).holds.includes("user"), JSON.stringify(w.get(kind)));
    });
    assert.equal(statSync(join(g.state, "db/data.mdb")).uid, 64300);
    assert.equal((await g.cli(["agent", "-m", "hello"])).code, 0, "and it works");
    await insideTheWalls(g);
    await g.stop();
});

test("as one unprivileged user: Landlock and seccomp hold, and what is lost is said", needs, async () => {
    const g = await start("", 64350);
    const w = await securityOf(g);
    for (const kind of kinds) {
        assert.ok(w.get(kind).lost.includes("user"));
        assert.match(w.get(kind).why, /not started as root/);
    }
    await insideTheWalls(g);
    await g.stop();
});

test("supervisor.sandbox = off: every probe succeeds, and each lost wall is shown", needs, async () => {
    const g = await start('sandbox = "off";');
    const w = await securityOf(g);
    for (const kind of kinds) {
        for (const wall of ["user", "files", "exec", "calls", "sockets", "peers"]) {
            assert.ok(w.get(kind).lost.includes(wall), `${kind}: ${wall}`);
        }
        assert.match(w.get(kind).why, /supervisor\.sandbox = "off"/);
    }
    for (const [kind, what, args] of tries(g, w)) {
        // What the kernel itself refuses without any sandbox of ours: root without privileges reads no other's memory.
        const byKernel = /memory|trace|environment|packet/.test(what);
        const end = await probe(w.get(kind).pid, ...args);
        assert.ok(byKernel || end === "ok", `${kind}: ${what}: ${end}`);
    }
    await g.stop();
});

test("each worker reports the walls of its profile", { skip: sanitized }, async () => {
    const g = await Gateway.start({ config: channel });
    const w = await securityOf(g);
    for (const kind of kinds) {
        for (const wall of ["exec", "calls", "sockets", "peers", "privileges", "dump", "code", "handles", ...(landlock ? ["files"] : [])]) {
            assert.ok(w.get(kind).holds.includes(wall), `${kind}: ${wall}: ${JSON.stringify(w.get(kind))}`);
        }
    }
    await g.stop();
});
