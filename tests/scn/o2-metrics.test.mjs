// Figures and logs of a running gateway: /metrics, stats, top, the level and the file of the log changed at run time.
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { Gateway, build, root, until } from "./lib/gateway.mjs";
import { Client } from "./lib/client.mjs";
import { parseMetrics } from "./lib/metrics.mjs";

let g;
before(async () => (g = await Gateway.start()));
after(async () => g?.stop());

const scrape = async () => (await fetch(g.url + "/metrics")).text();
const value = (m, name, labels = {}) =>
    m.samples.filter((s) => s.name === name && Object.entries(labels).every(([k, v]) => s.labels[k] === v))
        .reduce((sum, s) => sum + s.value, 0);

// promtool of Debian's package prometheus: the installed one, or the program alone out of the package (its libraries
// for the browser and its service are of no use here). null: neither is to be had.
function promtool() {
    if (spawnSync("promtool", ["--version"]).status === 0) return "promtool";
    const dir = join(build, "promtool");
    const file = join(dir, "usr/bin/promtool");
    try {
        if (!existsSync(file)) {
            mkdirSync(dir, { recursive: true });
            execFileSync("apt-get", ["download", "-qq", "-o", "APT::Sandbox::User=root", "prometheus"],
                { cwd: dir, stdio: "ignore", timeout: 60000 });
            const deb = readdirSync(dir).find((f) => f.endsWith(".deb"));
            execFileSync("dpkg-deb", ["-x", join(dir, deb), dir], { timeout: 60000 });
        }
        return existsSync(file) ? file : null;
    } catch {
        return null;
    }
}

test("/metrics is well formed and counts what happens", async () => {
    const r = await fetch(g.url + "/metrics");
    assert.equal(r.status, 200);
    assert.match(r.headers.get("content-type"), /^text\/plain; version=0\.0\.4/);
    const m0 = parseMetrics(await r.text());
    const c = await Client.connect(g);
    assert.equal((await c.turn("hello metrics")).state, "final");
    c.close();
    const m = await until("the turn is counted", async () => {
        const now = parseMetrics(await scrape());
        return value(now, "tenaza_runs_total", { outcome: "ok" }) > value(m0, "tenaza_runs_total", { outcome: "ok" }) && now;
    });
    assert.ok(value(m, "tenaza_messages_accepted_total") > value(m0, "tenaza_messages_accepted_total"));
    assert.ok(value(m, "tenaza_model_calls_total", { outcome: "ok" }) >= 1);
    assert.ok(value(m, "tenaza_store_commit_seconds_count") >= 2);
    assert.ok(value(m, "tenaza_rpc_requests_total", { outcome: "ok" }) >= 1);
    assert.ok(value(m, "tenaza_ws_bytes_total", { direction: "out" }) > 100);
    assert.ok(value(m, "tenaza_bus_messages_total") > 0);
    assert.ok(value(m, "tenaza_http_requests_total", { route: "metrics", code: "2xx" }) >= 1);
    for (const w of ["store", "bus", "agent-1", "edge", "cron"]) {
        assert.equal(value(m, "tenaza_worker_up", { worker: w }), 1, w);
        assert.ok(value(m, "tenaza_worker_resident_memory_bytes", { worker: w }) > 1e6, w);
    }
    assert.ok(!JSON.stringify(m).includes("hello"), "no text of people");
});

test("many who ask at once get one answer each; the alias works", async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => fetch(g.url + "/metrics").then((r) => r.status)));
    assert.deepEqual([...new Set(all)], [200]);
    assert.equal((await fetch(g.url + "/api/diagnostics/prometheus")).status, 200);
    assert.equal((await fetch(g.url + "/metrics", { method: "POST" })).status, 405);
});

test("counters survive a restart of their worker", async () => {
    const before = value(parseMetrics(await scrape()), "tenaza_store_requests_total");
    const accepted = value(parseMetrics(await scrape()), "tenaza_messages_accepted_total");
    await g.killWorker("store");
    const m = await until("metrics", async () => parseMetrics(await scrape()));
    assert.ok(value(m, "tenaza_store_requests_total") >= before);
    assert.equal(value(m, "tenaza_worker_restarts_total", { worker: "store" }), 1);
    await until("totals are there again", async () =>
        value(parseMetrics(await scrape()), "tenaza_messages_accepted_total") === accepted);
});

test("promtool accepts the metrics, the rules and the configuration", async (t) => {
    const tool = promtool();
    if (!tool) return t.skip("no promtool and no way to get it; the checks above hold without it");
    const r = spawnSync(tool, ["check", "metrics"], { input: await scrape(), encoding: "utf8" });
    assert.equal(r.status, 0, r.stdout + r.stderr);
    assert.equal(r.stderr, "");
    const dir = join(root, "deploy/prometheus");
    for (const args of [["check", "rules", join(dir, "rules.yml")], ["check", "config", "--syntax-only", join(dir, "prometheus.yml")]]) {
        const c = spawnSync(tool, args, { encoding: "utf8" });
        assert.equal(c.status, 0, c.stdout + c.stderr);
    }
});

test("rules and dashboard name only families that there are", async () => {
    const m = parseMetrics(await scrape());
    for (const f of ["rules.yml", "grafana-dashboard.json"]) {
        const text = readFileSync(join(root, "deploy/prometheus", f), "utf8");
        for (const [name] of text.matchAll(/\btenaza_[a-z_]+/g)) {
            const family = name.replace(/_(bucket|sum|count)$/, "");
            assert.ok(m.families.has(name) || m.families.has(family), `${f}: ${name}`);
        }
    }
});

test("stats and top show the same in the terminal", async () => {
    const j = JSON.parse((await g.cli(["stats", "store", "--json"])).out);
    assert.ok(j.accepted >= 1 && j.commit.count >= 0);
    assert.match((await g.cli(["stats"])).out, /^store +accepted +\d+$/m);
    assert.equal((await g.cli(["stats", "nobody"])).code, 3);
    const top = (await g.cli(["top"])).out;
    for (const w of ["store", "bus", "agent-1", "edge", "cron"]) assert.match(top, new RegExp(`^ [|\`]- ${w} +ready +\\d+ `, "m"));
    assert.equal((await g.cli(["top", "--interval", "1"])).code, 2);
});

test("the log level changes at run time, for one worker and for all", async () => {
    assert.equal((await g.cli(["logs", "level", "loud"])).code, 2);
    assert.equal((await g.cli(["logs", "level", "debug", "nobody"])).code, 3);
    assert.equal((await g.cli(["logs", "level", "trace", "cron"])).code, 0);
    await g.killWorker("cron"); // it lasts over a restart
    process.kill((await g.worker("cron")).pid, "SIGTERM");
    await until("a debug line of cron", () => /"level":"debug","worker":"cron"/.test(g.logs()), 10000);
    assert.ok(!/"level":"debug","worker":"edge"/.test(g.logs()));
    assert.equal((await g.cli(["logs", "level", "info"])).code, 0);
});

test("logs are found by worker, level, text and time; keys stand in a fixed order", async () => {
    const lines = g.logs().trim().split("\n").map((l) => JSON.parse(l));
    for (const l of lines) assert.deepEqual(Object.keys(l).slice(0, 5), ["ts", "level", "worker", "pid", "msg"]);
    assert.match(lines[0].ts, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    const json = async (...args) => (await g.cli(["logs", "--json", "-n", "1000", ...args])).out.trim().split("\n").filter(Boolean).map((l) => JSON.parse(l));
    assert.ok((await json("-w", "supervisor")).every((l) => l.worker === "supervisor"));
    assert.ok((await json("-l", "warn")).every((l) => ["warn", "error"].includes(l.level)));
    assert.ok((await json("--grep", "^ready in [0-9]+ ms")).length === 1);
    assert.equal((await json("--since", "0")).length, 0);
    assert.ok((await json("--since", "1h")).length >= lines.length);
    assert.equal((await json("--until", "1h")).length, 0);
    assert.equal((await g.cli(["logs", "--grep", "("])).code, 2);
    assert.equal((await g.cli(["logs", "--since", "yesterday"])).code, 2);
    assert.ok((await g.cli(["workers", "log", "supervisor", "-n", "5"])).out.trim().split("\n").length === 5);
});

test("SIGUSR1: everybody goes on in a new file after the old one was moved away", async () => {
    const file = join(g.state, "logs/tenaza.log");
    renameSync(file, file + ".old");
    process.kill((await g.status()).pid, "SIGUSR1");
    await until("a new file", () => /log file opened anew/.test(g.logs()));
    const size = readFileSync(file + ".old").length;
    await g.cli(["logs", "level", "trace"]);
    const c = await Client.connect(g);
    await c.turn("into the new file");
    c.close();
    await until("lines of a worker", () => /"worker":"(edge|agent-\d|store)"/.test(g.logs()));
    assert.equal(readFileSync(file + ".old").length, size, "nobody writes into the old one");
});
