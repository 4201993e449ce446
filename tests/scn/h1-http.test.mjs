// What every HTTP request meets, whatever its route (http-surfaces.md 1.2, 3): credentials, origins, lengths, ids.
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import net from "node:net";
import { Gateway } from "./lib/gateway.mjs";

let g;
before(async () => (g = await Gateway.start()));
after(() => g.stop());

const get = (path, headers = {}) => fetch(g.url + path, { headers });
const bearer = (token = g.token) => ({ authorization: `Bearer ${token}` });

// What the server sends back to these bytes, until it closes or has been silent for a while.
const raw = (text, ms = 1000) => new Promise((done) => {
    const s = net.connect(g.port, "127.0.0.1");
    let back = "";
    s.on("data", (d) => (back += d)).on("close", () => done(back)).on("error", () => done(back || "error"));
    s.write(text);
    setTimeout(() => s.destroy(), ms);
});

test("without the right token there is no answer, and the error says what to send", async () => {
    for (const headers of [{}, bearer("wrong-wrong-wrong-wrong"), { authorization: `Basic ${g.token}` }]) {
        const r = await get("/v1/models", headers);
        assert.equal(r.status, 401);
        assert.match(r.headers.get("www-authenticate"), /^Bearer/);
        const { error } = await r.json();
        assert.equal(error.type, "authentication_error");
        assert.equal(error.code, "unauthorized");
        assert.equal(error.request_id, r.headers.get("x-request-id"));
    }
    assert.equal((await get("/v1/models", bearer())).status, 200);
});

test("a token in the URL is refused even beside a good header", async () => {
    const r = await get(`/v1/models?token=${g.token}`, bearer());
    assert.equal(r.status, 400);
    assert.equal((await r.json()).error.code, "token_in_url");
    assert.equal((await get(`/v1/models?a=1&b=2&access_token=${g.token}`, bearer())).status, 400);
    assert.equal((await get("/v1/models?a=1&b=2", bearer())).status, 200);
});

test("a caller may drop rights of its own", async () => {
    assert.equal((await get("/v1/models", { ...bearer(), "x-tenaza-scopes": "operator.read" })).status, 200);
    const r = await get("/v1/models", { ...bearer(), "x-openclaw-scopes": "operator.pairing" });
    assert.equal(r.status, 403);
    assert.equal((await r.json()).error.code, "missing_scope");
});

test("a request id is echoed when it is harmless, else made", async () => {
    assert.equal((await get("/healthz", { "x-request-id": "abc-1" })).headers.get("x-request-id"), "abc-1");
    assert.match((await get("/healthz", { "x-request-id": "a b" })).headers.get("x-request-id"), /^[0-9a-zA-Z]{26}$/);
});

test("pages of other origins are refused, pages of the gateway are let in", async () => {
    const foreign = await get("/v1/models", { ...bearer(), origin: "http://evil.example" });
    assert.equal(foreign.status, 403);
    assert.equal((await foreign.json()).error.code, "origin_not_allowed");
    const own = await get("/v1/models", { ...bearer(), origin: g.url });
    assert.equal(own.status, 200);
    assert.equal(own.headers.get("access-control-allow-origin"), g.url);
    const ask = (origin) => fetch(g.url + "/v1/models", { method: "OPTIONS", headers: { origin } });
    assert.equal((await ask(g.url)).status, 204);
    assert.equal((await ask("http://evil.example")).status, 405);
});

test("methods, unknown paths and unknown endpoints answer JSON", async () => {
    const wrong = await fetch(g.url + "/v1/models", { method: "POST", headers: bearer() });
    assert.equal(wrong.status, 405);
    assert.equal(wrong.headers.get("allow"), "GET, HEAD");
    for (const [path, code] of [["/v1/files", "unknown_endpoint"], ["/nonsense", "not_found"], ["/livez", "not_found"]]) {
        const r = await get(path, bearer());
        assert.equal(r.status, 404);
        assert.equal((await r.json()).error.code, code);
    }
    const head = await fetch(g.url + "/healthz", { method: "HEAD" });
    assert.equal(head.status, 200);
    assert.equal(await head.text(), "");
});

test("lengths that do not fit are refused, chunked bodies are understood", async () => {
    const head = `POST /channels/a/b HTTP/1.1\r\nHost: localhost\r\n`;
    assert.match(await raw(`${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`), / 400 /);
    assert.match(await raw(`${head}Content-Length: -1\r\n\r\n`), / 400 /);
    assert.match(await raw(`${head}Transfer-Encoding: gzip\r\n\r\n`), / 400 /);
    assert.match(await raw(`${head}Transfer-Encoding: chunked\r\n\r\n5\nhello`), / 400 /);
    assert.match(await raw(`${head}Content-Length: 99999999\r\n\r\n`), / 413 .*Connection: close/s);
    assert.match(await raw(`${head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`), / 404 .*Connection: close/s);
    assert.match(await raw(`${head}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}`), / 100 .* 404 /s);
});

test("twenty wrong tokens lock the address for a while", async () => {
    let last;
    for (let i = 0; i < 22; i++) last = await get("/v1/models", bearer("wrong-wrong-wrong-wrong"));
    assert.equal(last.status, 429);
    assert.ok(Number(last.headers.get("retry-after")) > 0);
    assert.ok(Number(last.headers.get("retry-after-ms")) > 0);
    assert.equal((await get("/v1/models", bearer())).status, 429);
    assert.equal((await get("/healthz")).status, 200);
});
