// The OpenAI interface below the SDK: keys, sessions, framing, errors, and what happens when something dies.
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import net from "node:net";
import { Gateway, FakeLlm, until } from "./lib/gateway.mjs";
import { Client } from "./lib/client.mjs";

let g, llm;
before(async () => {
    llm = await FakeLlm.start();
    g = await Gateway.start({ config: llm.config() });
});
after(async () => {
    await g.stop();
    await llm.stop();
});

const post = (path, body, headers = {}) => fetch(g.url + path, { method: "POST",
    headers: { authorization: `Bearer ${g.token}`, ...headers }, body: typeof body === "string" ? body : JSON.stringify(body) });
const chat = (content, headers, more = {}) =>
    post("/v1/chat/completions", { messages: [{ role: "user", content }], ...more }, headers);
const textOf = async (r) => (await r.json()).choices[0].message.content;

// What the server sends to these bytes until it closes or says `end`.
const raw = (text, end, ms = 15000) => new Promise((done) => {
    const s = net.connect(g.port, "127.0.0.1");
    let back = "";
    const timer = setTimeout(() => s.destroy(), ms);
    s.on("data", (d) => (back += d, end?.test(back) && s.destroy()));
    s.on("close", () => (clearTimeout(timer), done(back))).on("error", () => {});
    s.write(text);
});
const request = (body, head = "") => `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${g.token}\r\n` +
    `${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

test("one Idempotency-Key, one run: the repeat gets the same answer, another body is a mismatch", async () => {
    const before = (await llm.log()).count;
    const one = await chat("once", { "idempotency-key": "k1" });
    const two = await chat("once", { "idempotency-key": "k1" });
    const a = await one.json(), b = await two.json();
    assert.equal(a.choices[0].message.content, "echo: once");
    assert.deepEqual(b, a);
    assert.equal(one.headers.get("idempotent-replay"), null);
    assert.equal(two.headers.get("idempotent-replay"), "true");
    assert.equal((await llm.log()).count - before, 1);
    const other = await chat("something else", { "idempotency-key": "k1" });
    assert.equal(other.status, 422);
    assert.equal((await other.json()).error.code, "idempotency_mismatch");
    const both = await Promise.all([1, 2].map(() => chat("SLOW 5", { "idempotency-key": "k2" })));
    const texts = await Promise.all(both.map(textOf));
    assert.equal(texts[0], texts[1]);
    assert.equal((await chat("x", { "idempotency-key": "a b" })).status, 400);
});

test("requests have sessions of their own that nobody lists; a user or a key has one that goes on", async () => {
    await chat("nobody knows me");
    await chat("I am Ana", {}, { user: "ana" });
    await chat("and again", {}, { user: "ana" });
    const body = (await llm.log()).requests.at(-1).body;
    assert.equal(body.messages.length, 4, "the second turn of Ana knows the first");
    await chat("named", { "x-tenaza-session-key": "work:notes" });
    const c = await Client.connect(g);
    const { payload } = await c.request("sessions.list", {});
    const keys = payload.sessions.map((s) => s.key);
    assert.ok(keys.includes("agent:main:work:notes"), String(keys));
    assert.ok(keys.some((k) => k.startsWith("agent:main:openai-user:")), String(keys));
    assert.ok(!keys.some((k) => k.startsWith("agent:main:openai:")), String(keys));
    const history = await c.history("agent:main:work:notes");
    assert.equal(history.messages.at(-1).content[0].text, "echo: named");
    c.close();
    const reserved = await chat("x", { "x-openclaw-session-key": "cron:daily" });
    assert.equal((await reserved.json()).error.code, "reserved_session_key");
});

test("bad requests are told what is wrong with them, and nothing runs", async () => {
    const before = (await llm.log()).count;
    const user = { role: "user", content: "x" };
    const rows = [
        ["{", "invalid_json", null],
        ["[]", "invalid_json", null],
        [{ messages: "x" }, "invalid_type", "messages"],
        [{ messages: [] }, "missing_user_message", "messages"],
        [{ messages: [{ role: "assistant", content: "x" }] }, "missing_user_message", "messages"],
        [{ messages: [{ role: "robot", content: "x" }] }, "invalid_value", "messages.0"],
        [{ messages: [user, { role: "tool", tool_call_id: "c9", content: "x" }] }, "unknown_tool_call", "messages"],
        [{ messages: [{ role: "user", content: [{ type: "image_url", image_url: { url: "http://x/y.png" } }] }] }, "unsupported_content", "messages.0"],
        [{ messages: [user], temperature: 5 }, "invalid_value", "temperature"],
        [{ messages: [user], temperature: "hot" }, "invalid_type", "temperature"],
        [{ messages: [user], n: 2 }, "invalid_value", "n"],
        [{ messages: [user], max_tokens: 0 }, "invalid_value", "max_tokens"],
        [{ messages: [user], stop: [1] }, "invalid_value", "stop"],
        [{ messages: [user], stop: ["a", "b", "c", "d", "e"] }, "invalid_value", "stop"],
        [{ messages: [user], response_format: { type: "xml" } }, "invalid_value", "response_format.type"],
        [{ messages: [user], tools: [{ type: "custom" }] }, "unsupported_tool", "tools.0"],
        [{ messages: [user], tools: [{ type: "function", function: { name: "a b" } }] }, "invalid_value", "tools.0"],
        [{ messages: [user], tool_choice: "required" }, "invalid_value", "tool_choice"],
        [{ messages: [user], stream: "yes" }, "invalid_type", "stream"],
    ];
    for (const [body, code, param] of rows) {
        const r = await post("/v1/chat/completions", body);
        const { error } = await r.json();
        assert.equal(r.status, 400, JSON.stringify(body));
        assert.equal(error.code, code, JSON.stringify(body));
        assert.equal(error.param, param, JSON.stringify(body));
    }
    const missing = await post("/v1/responses", { input: "x" });
    assert.equal((await missing.json()).error.param, "model");
    const agent = await post("/v1/chat/completions", { model: "tenaza/nobody", messages: [user] });
    assert.equal(agent.status, 404);
    assert.equal((await agent.json()).error.code, "agent_not_found");
    assert.equal((await llm.log()).count, before);
});

test("what is accepted without effect is named, what is passed on arrives", async () => {
    const r = await chat("hello", {}, { logprobs: true, service_tier: "auto", temperature: 0.25, seed: 7, stop: ["END"], max_completion_tokens: 99 });
    assert.equal(r.headers.get("x-tenaza-ignored"), "service_tier,logprobs");
    const body = (await llm.log()).requests.at(-1).body;
    assert.equal(body.temperature, 0.25);
    assert.equal(body.seed, 7);
    assert.deepEqual(body.stop, ["END"]);
    assert.equal(body.max_tokens, 99);
});

test("framing of a stream: chunks, one event per line pair, [DONE], and the connection goes on", async () => {
    const body = JSON.stringify({ stream: true, messages: [{ role: "user", content: "hello" }] });
    const back = await raw(request(body) + "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    const [first, rest] = back.split("0\r\n\r\n");
    assert.match(first, /Content-Type: text\/event-stream/);
    assert.match(first, /X-Accel-Buffering: no/);
    assert.match(first, /data: \[DONE\]\n\n\r\n$/);
    assert.ok(!first.includes("Content-Length"));
    assert.match(rest, /^HTTP\/1\.1 200 OK.*"status":"live"/s, "a pipelined request is answered after it");
    const old = await raw(request(body).replace("HTTP/1.1", "HTTP/1.0"));
    assert.ok(!old.includes("Transfer-Encoding") && old.endsWith("data: [DONE]\n\n"), "1.0 gets no chunks");
});

test("a chunked request body is understood", async () => {
    const body = JSON.stringify({ messages: [{ role: "user", content: "in pieces" }] });
    const pieces = [body.slice(0, 7), body.slice(7, 20), body.slice(20)].map((p) => `${p.length.toString(16)}\r\n${p}\r\n`).join("");
    const back = await raw(`POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${g.token}\r\n` +
        `Transfer-Encoding: chunked\r\n\r\n${pieces}0\r\n\r\n`);
    assert.match(back, /Connection: close/);
    assert.match(back, /echo: in pieces/);
});

test("the agent dies in the middle of a stream: the answer is whole all the same, or an error event says no", async () => {
    const r = await chat("SLOW 15", {}, { stream: true });
    const reader = r.body.getReader();
    let text = "";
    const read = async () => {
        const { done, value } = await reader.read();
        text += value ? Buffer.from(value).toString() : "";
        return done;
    };
    while (!text.includes("chunk 3")) await read();
    const { workers } = await g.status();
    for (const w of workers.filter((x) => x.name.startsWith("agent-"))) process.kill(w.pid, "SIGKILL");
    while (!(await read()));
    assert.match(text, /data: \[DONE\]\n\n$/);
    const said = [...text.matchAll(/"content":"([^"]*)"/g)].map((m) => m[1]).join("");
    assert.ok(said.endsWith("chunk 15") || text.includes('"code":"worker_lost"'), said);
    await until("answers again", async () => (await textOf(await chat("after"))) === "echo: after", 15000);
});

test("the edge dies: the run that nobody reads any more still ends, new requests are served", async () => {
    const p = chat("SLOW 10", { "idempotency-key": "edge-dies" }).then((r) => r.text()).catch(() => "cut");
    await until("asked", async () => (await llm.log()).active === 1);
    await g.killWorker("edge");
    assert.equal(await p, "cut");
    const again = await chat("SLOW 10", { "idempotency-key": "edge-dies" });
    assert.equal(again.headers.get("idempotent-replay"), "true");
    assert.match(await textOf(again), /chunk 10$/);
});
