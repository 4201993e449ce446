// TLS in the edge: HTTP and WebSocket on the same port, with a certificate made here.
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import https from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tls from "node:tls";
import WebSocket from "ws";
import { Gateway, until } from "./lib/gateway.mjs";

let g, dir, ca;
const make = (name) => execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
    "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
    "-keyout", join(dir, `${name}.key`), "-out", join(dir, `${name}.pem`)], { stdio: "ignore" });
const config = (cert, key) => `edge = { port = @PORT@; tls = { enabled = true;
    certificate = "file:${join(dir, cert)}"; key = "file:${join(dir, key)}"; }; };\n`;

before(async () => {
    dir = mkdtempSync(join(tmpdir(), "tenaza-tls-"));
    make("one");
    make("two");
    ca = readFileSync(join(dir, "one.pem"));
    g = await Gateway.start({ config: config("one.pem", "one.key") });
});
after(async () => {
    await g.stop();
    rmSync(dir, { recursive: true, force: true });
});

const get = (path, headers = {}, more = {}) => new Promise((done, fail) => {
    https.get({ host: "127.0.0.1", port: g.port, path, headers, ca, ...more }, (res) => {
        let body = "";
        res.on("data", (d) => (body += d)).on("end", () => done({ status: res.statusCode, body }));
    }).on("error", fail);
});

test("the address says https, and HTTP is served over TLS", async () => {
    assert.match(g.proc.out, /^ready url=https:\/\//m);
    assert.equal((await get("/healthz")).status, 200);
    assert.equal((await get("/v1/models")).status, 401);
    assert.equal((await get("/v1/models", { authorization: `Bearer ${g.token}` })).status, 200);
    assert.match((await get("/")).body, /<html/i);
});

test("a client of the protocol connects through wss", async () => {
    const ws = new WebSocket(`wss://127.0.0.1:${g.port}`, { ca });
    const frames = [];
    ws.on("message", (d) => frames.push(JSON.parse(d)));
    await until("challenge", () => frames.some((f) => f.event === "connect.challenge"));
    ws.send(JSON.stringify({ type: "req", id: "1", method: "connect", params: { minProtocol: 4, maxProtocol: 4,
        client: { id: "cli", version: "1", platform: "linux", mode: "cli" }, scopes: ["operator.read"], auth: { token: g.token } } }));
    await until("hello", () => frames.some((f) => f.id === "1" && f.ok));
    ws.send(JSON.stringify({ type: "req", id: "2", method: "health" }));
    await until("health", () => frames.some((f) => f.id === "2" && f.ok));
    ws.terminate();
});

test("old protocols, plain HTTP and unknown issuers are refused", async () => {
    await assert.rejects(get("/healthz", {}, { ca: readFileSync(join(dir, "two.pem")) }), /self-signed|certificate/);
    await assert.rejects(get("/healthz", {}, { maxVersion: "TLSv1.1", minVersion: "TLSv1" }));
    await assert.rejects(fetch(`http://127.0.0.1:${g.port}/healthz`));
    assert.equal((await get("/healthz")).status, 200);
    const s = tls.connect({ host: "127.0.0.1", port: g.port, ca });
    await new Promise((r) => s.on("secureConnect", r));
    assert.ok(["TLSv1.2", "TLSv1.3"].includes(s.getProtocol()));
    s.destroy();
});

test("a key that does not fit the certificate is refused by name; half a configuration too", async () => {
    g.configure(config("one.pem", "two.key"));
    const bad = await Gateway.start({ config: config("one.pem", "two.key"), wait: false });
    await until("the edge says why", () => /edge\.tls\.key does not belong to edge\.tls\.certificate/.test(bad.proc.err + bad.logs()), 10000);
    await bad.stop();
    g.configure(`edge = { port = @PORT@; tls = { enabled = true; }; };\n`);
    const check = await g.cli(["config", "check", "-c", g.conf]);
    assert.notEqual(check.code, 0);
    assert.match(check.out + check.err, /edge\.tls\.certificate/);
});
