// The edge can be killed, exchanged and configured anew, and nobody is refused.
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { request } from "node:http";
import { once } from "node:events";
import { createHmac } from "node:crypto";
import { join } from "node:path";
import { FakeLlm, Gateway, OwnBin, Proc, build, freePort, sleep, until } from "./lib/gateway.mjs";
import { Client } from "./lib/client.mjs";

const secret = "hook-secret-0123456789";
let llm, g, bin;
before(async () => {
    bin = new OwnBin();
    llm = await FakeLlm.start();
    g = await Gateway.start({ bin: bin.dir, config: conf("") });
});
after(async () => {
    await g?.stop();
    await llm?.stop();
    bin?.remove();
});

function conf(edge) {
    return llm.config() + `edge = { port = @PORT@; ${edge} };
        supervisor = { restart = { first = "50ms"; breaker = { failures = 3; }; }; };
        channels = { webhook = { accounts = { shop = { secret = "${secret}"; dmPolicy = "open"; allowFrom = [ "*" ]; }; }; }; };`;
}

// One GET over a connection of its own: "200", or the code of the error.
function get(url, path = "/healthz") {
    return new Promise((done) => {
        const r = request(url + path, { agent: false, timeout: 60000 }, (res) => {
            res.on("end", () => done(String(res.statusCode)));
            res.on("error", (e) => done(e.code));
            res.resume();
        });
        r.on("timeout", () => r.destroy(new Error("no answer for a minute")));
        r.on("error", (e) => done(e.code || e.message));
        r.end();
    });
}

// n callers at once until stopped; resolves with how often each outcome happened.
function load(url, n = 8) {
    const seen = {};
    let on = true;
    const callers = Array.from({ length: n }, async () => {
        while (on) {
            const what = await get(url);
            seen[what] = (seen[what] || 0) + 1;
        }
    });
    return async () => {
        on = false;
        await Promise.all(callers);
        return seen;
    };
}

const others = async (...but) => (await g.status()).workers.filter((w) => !but.includes(w.name)).map((w) => [w.name, w.pid]);
async function untouched(list) {
    const now = (await g.status()).workers;
    for (const [name, pid] of list) assert.equal(now.find((w) => w.name === name).pid, pid, `${name} kept its pid`);
}

test("killed again and again under load: not one connection is refused", async () => {
    const bystanders = await others("edge");
    const stop = load(g.url);
    for (let i = 0; i < 30; i++) {
        const w = await g.worker("edge");
        if (w.pid > 0) process.kill(w.pid, "SIGKILL");
        await g.cli(["workers", "reset", "edge"]);
    }
    await until("back", async () => (await g.worker("edge")).state === "ready");
    const seen = await stop();
    assert.equal(seen.ECONNREFUSED, undefined, JSON.stringify(seen));
    // A request that was being answered by the killed process is cut; nothing else happens.
    assert.deepEqual(Object.keys(seen).filter((k) => !["200", "ECONNRESET"].includes(k)), [], JSON.stringify(seen));
    assert.ok(seen["200"] > 30, JSON.stringify(seen));
    await untouched(bystanders);
});

test("restart: the old one serves until the new one does, then drains; nothing is refused, cut or lost", async () => {
    const bystanders = await others("edge");
    const old = await g.worker("edge");
    const clients = await Promise.all([1, 2, 3, 4, 5, 6].map(() => Client.connect(g)));
    // Under way on the old one: its answer comes after the handover.
    const body = JSON.stringify({ id: "slow-1", from: "u1", text: "SLOW 30 please" });
    const ts = Math.floor(Date.now() / 1000);
    const slow = fetch(`${g.url}/channels/webhook/shop?wait=60`, { method: "POST", body, headers: {
        "content-type": "application/json", "x-timestamp": String(ts),
        "x-signature-256": "sha256=" + createHmac("sha256", secret).update(`${ts}.${body}`).digest("hex") } });
    await until("under way", async () => JSON.stringify(await llm.log()).includes("SLOW 30 please"));
    const stop = load(g.url);
    const r = await g.cli(["workers", "restart", "edge"]);
    assert.equal(r.code, 0, r.err);
    const now = await g.worker("edge");
    assert.match(r.out, new RegExp(`edge restarted, pid ${old.pid} -> ${now.pid}`));
    assert.equal((await g.cli(["status"])).code, 0, "not degraded while the old one drains");
    const fresh = await Client.connect(g);
    for (const c of clients) {
        await until("sent away", () => c.closed, 30000);
        assert.equal(c.closed.code, 1012);
    }
    const answer = await slow;
    assert.equal(answer.status, 200);
    assert.match(JSON.stringify(await answer.json()), /SLOW 30 please/);
    assert.equal((await fresh.turn("the new one works")).state, "final");
    assert.equal(fresh.closed, null);
    fresh.close();
    await until("the old one is gone", async () => (await g.status()).workers.filter((w) => w.name === "edge").length === 1, 40000);
    const seen = await stop();
    assert.deepEqual(Object.keys(seen), ["200"], JSON.stringify(seen));
    await untouched(bystanders);
});

test("a setting of the edge, and a second address: by handover too", async () => {
    const bystanders = await others("edge");
    const stop = load(g.url);
    g.configure(conf('maxConnections = 77; bind = [ "loopback", "127.0.0.2" ];'));
    const r = await g.cli(["reload", "--wait", "60s"], { timeout: 70000 });
    assert.equal(r.code, 0, r.out + r.err);
    assert.match(r.out, /restart +edge .*edge\.maxConnections/);
    assert.equal(await get(`http://127.0.0.2:${g.port}`), "200");
    const seen = await stop();
    assert.deepEqual(Object.keys(seen), ["200"], JSON.stringify(seen));
    await untouched(bystanders);
});

test("an address that cannot be had: refused, everything goes on", async () => {
    const before = await others();
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const good = conf('maxConnections = 77; bind = [ "loopback", "127.0.0.2" ];');
    g.configure(good.replace("@PORT@", String(taken.address().port)));
    const r = await g.cli(["reload"]);
    assert.equal(r.code, 8, r.out);
    assert.match(r.err, /another program listens there/);
    taken.close();
    g.configure(good);
    assert.equal((await g.cli(["reload"])).code, 0);
    await untouched(before);
    assert.equal(await get(g.url), "200");
});

test("a successor that does not start: the old one goes on, and the operator is told", async () => {
    const before = await others();
    bin.spoil("tenaza-edge", "exit");
    const r = await g.cli(["workers", "restart", "edge", "--wait", "3s"]);
    assert.equal(r.code, 1, r.out);
    const w = await until("given up", async () => {
        const e = await g.worker("edge");
        return /a successor did not start \(exit 3\)/.test(e.alarm) && e;
    }, 15000);
    assert.equal(w.state, "ready");
    await untouched(before);
    assert.equal(await get(g.url), "200");
    bin.repair("tenaza-edge");
    assert.equal((await g.cli(["workers", "restart", "edge"])).code, 0);
});

// A gateway under a service manager that starts it again when it ends; `args` before its own.
async function managed(args) {
    const h = new Gateway();
    Object.assign(h, { dir: join(g.dir, `managed-${args.length}`), keep: true, bin: bin.dir, port: await freePort(), autodetect: false, env: g.env });
    h.state = join(h.dir, "state");
    h.conf = join(h.dir, "tenaza.conf");
    h.configure("");
    h.proc = new Proc(join(build, "tests/fakes/fake_systemd"),
        [...args, join(bin.dir, "tenaza"), "run", "-c", h.conf, "--state", h.state], { env: g.env });
    await until("ready", () => /^ready url=/m.test(h.proc.out), 20000);
    return h;
}

// The supervisor is killed under load and started again: connections wait in the kept socket.
async function survivesDeathOfAll(h, url) {
    assert.equal(await get(url), "200");
    const { pid } = await h.status();
    const stop = load(url, 4);
    await sleep(200);
    process.kill(pid, "SIGKILL");
    await until("started again", async () => {
        const s = await h.status();
        return s.pid !== pid && s.ready;
    }, 20000);
    await sleep(200);
    const seen = await stop();
    assert.equal(seen.ECONNREFUSED, undefined, JSON.stringify(seen));
    assert.ok(seen["200"] > 4, JSON.stringify(seen));
    await h.proc.stop();
}

test("own sockets in the store of the service manager: kill -9 of the supervisor refuses no connection", async () => {
    const h = await managed([]);
    await survivesDeathOfAll(h, h.url);
});

test("socket activation: the unit's address counts, and kill -9 of the supervisor refuses no connection", async () => {
    const port = await freePort();
    const h = await managed(["--listen", String(port)]);
    assert.match(h.proc.out, new RegExp(`url=http://127\\.0\\.0\\.1:${port} `));
    assert.equal(await get(h.url), "ECONNREFUSED", "edge.port does not count");
    await survivesDeathOfAll(h, `http://127.0.0.1:${port}`);
});
