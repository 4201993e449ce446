// Limits of connections and messages (gateway-ws.md sections 1 and 13), and HTTP requests that are odd.
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import net from "node:net";
import WebSocket from "ws";
import { Gateway, sleep, until } from "./lib/gateway.mjs";
import { Client } from "./lib/client.mjs";

let g;
before(async () => (g = await Gateway.start()));
after(() => g.stop());

// Resolves with [status, socket or body].
const upgrade = (headers = {}) => new Promise((done) => {
    const w = new WebSocket(g.ws, { headers });
    w.on("open", () => done([101, w]));
    w.on("unexpected-response", (_, res) => {
        let body = "";
        res.on("data", (d) => (body += d)).on("end", () => done([res.statusCode, body]));
    });
    w.on("error", (e) => done([0, e.message]));
});

// What the server sends back to these bytes.
const raw = (text, ms = 400) => new Promise((done) => {
    const s = net.connect(g.port, "127.0.0.1");
    let back = "";
    s.on("data", (d) => (back += d)).on("close", () => done(back)).on("error", () => done("error"));
    s.write(text);
    setTimeout(() => s.destroy(), ms);
});

test("an upgrade through an unknown proxy or for another host name is refused", async () => {
    const [proxied, body] = await upgrade({ "X-Forwarded-For": "203.0.113.9" });
    assert.equal(proxied, 403);
    assert.equal(JSON.parse(body).error.type, "proxy_attribution_required");
    assert.equal((await upgrade({ "X-Real-IP": "203.0.113.9" }))[0], 403);
    assert.equal((await upgrade({ Host: "evil.example" }))[0], 421);
});

test("at most 32 sockets of an address that have not logged in", async () => {
    const open = [];
    for (let i = 0; i < 32; i++) open.push(await upgrade());
    assert.ok(open.every(([status]) => status === 101));
    assert.equal((await upgrade())[0], 503);
    for (const [, w] of open) w.terminate();
    await until("room again", async () => {
        const [status, w] = await upgrade();
        if (status === 101) w.terminate();
        return status === 101;
    });
});

test("fragmented and binary messages are accepted", async () => {
    const c = await Client.open(g.ws);
    const text = JSON.stringify({ type: "req", id: "1", method: "connect", params: {
        minProtocol: 4, maxProtocol: 4, client: { id: "cli", version: "1", platform: "linux", mode: "cli" },
        scopes: ["operator.read"], auth: { token: g.token } } });
    c.ws.send(text.slice(0, 20), { fin: false });
    c.ws.send(text.slice(20, 50), { fin: false });
    c.ws.send(text.slice(50), { fin: true });
    await until("hello", () => c.frames.some((f) => f.type === "res" && f.ok));
    c.ws.send(Buffer.from('{"type":"req","id":"2","method":"health"}'), { binary: true });
    await until("health", () => c.frames.some((f) => f.id === "2" && f.ok));
    c.close();
});

test("after hello 25 MiB pass, one byte more closes with 1009", async () => {
    const c = await Client.connect(g);
    const frame = (n) => {
        const base = '{"type":"req","id":"big","method":"health","params":{"zz":""}}';
        return base.replace('"zz":""', `"zz":"${"x".repeat(n - base.length)}"`);
    };
    c.raw(frame(26214400));
    await until("answer", () => c.frames.some((f) => f.id === "big"), 20000);
    c.raw(frame(26214401));
    await until("close", () => c.closed, 20000);
    assert.equal(c.closed.code, 1009);
});

test("a handshake has 15 seconds", async () => {
    const t0 = Date.now();
    const c = await Client.open(g.ws);
    await until("close", () => c.closed, 20000);
    assert.equal(c.closed.code, 1000);
    assert.equal(c.closed.reason, "");
    assert.ok(Date.now() - t0 > 14500);
});

test("wrong secrets are answered later and later", async () => {
    const attempt = async () => {
        const t0 = Date.now();
        await Client.connect(g, { auth: { token: "wrong" } }).catch(() => {});
        return Date.now() - t0;
    };
    const one = await attempt(), two = await attempt();
    assert.ok(one >= 240 && two >= 490, `${one} ${two}`);
    (await Client.connect(g)).close();
});

test("HTTP that is odd gets an answer, and the gateway lives", async () => {
    const host = "Host: localhost\r\n";
    const twice = await raw(`GET /healthz HTTP/1.1\r\n${host}\r\nGET /healthz HTTP/1.1\r\n${host}\r\n`);
    assert.equal(twice.split("HTTP/1.1 200").length, 3);
    assert.match(await raw(`POST /channels/a/b HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`), / 404 /);
    assert.match(await raw(`GET / HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n`), / 400 /);
    assert.match(await raw(`POST /healthz HTTP/1.1\r\n${host}Content-Length: 0\r\n\r\n`), / 405 .*Allow: GET, HEAD/s);
    await raw(`GET / HTTP/1.1\r\n${host}X-A: ${"a".repeat(20000)}\r\n\r\n`);
    await raw("\x16\x03\x01\r\n\r\n");
    const page = await fetch(g.url + "/");
    assert.match(page.headers.get("content-security-policy"), /default-src 'self'/);
    const again = await fetch(g.url + "/", { headers: { "If-None-Match": page.headers.get("etag") } });
    assert.equal(again.status, 304);
    assert.equal((await fetch(g.url + "/no/such/file")).status, 404);
});

test("a client that stops reading is cut off, the others are not", async () => {
    const other = await Client.connect(g);
    const slow = await Client.connect(g);
    slow.ws._socket.pause();
    const id = "x".repeat(250);
    await until("the gateway has enough of it", async () => {
        for (let k = 0; k < 1500; k++) slow.raw(`{"type":"req","id":"${id}","method":"health"}`);
        await sleep(10);
        return g.proc.err.includes("reads too slowly");
    }, 40000);
    slow.ws._socket.resume();
    await until("cut", () => slow.closed, 10000);
    assert.ok([1006, 1008].includes(slow.closed.code), String(slow.closed.code));
    assert.equal((await other.request("health")).ok, true);
    other.close();
});
