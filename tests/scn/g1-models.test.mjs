// Model servers as they are: two dialects, tools, and every way to fail. The user always gets one clear line.
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { FakeLlm, Gateway, freePort, until } from "./lib/gateway.mjs";
import { Client, textOf } from "./lib/client.mjs";

for (const api of ["openai-completions", "anthropic-messages", "ollama"]) {
    let llm, g, c;
    test(`${api}`, async (t) => {
        llm = await FakeLlm.start({ key: "test-key-123" });
        g = await Gateway.start({ config: llm.config({ api }) });
        c = await Client.connect(g);
        try {
            await t.test("a plain turn", async () => {
                assert.equal(textOf((await c.turn("hello")).message), "echo: hello");
            });
            await t.test("a tool round trip", async () => {
                const s = "agent:main:tool";
                const end = await c.turn('TOOL current_time {"timezone":"UTC"}', { sessionKey: s, key: `tool-${api}` });
                assert.equal(end.state, "final");
                assert.match(textOf(end.message), /tool said: .*20\d\d/s);
                const h = await c.history(s);
                assert.deepEqual(h.messages.map((m) => m.role), ["user", "assistant", "toolResult", "assistant"]);
                assert.equal(h.messages[2].toolName, "current_time");
                assert.equal(h.messages[2].isError, false);
                const tools = c.events.filter((e) => e.event === "agent" && e.payload.stream === "tool" && e.payload.runId === `tool-${api}`);
                assert.deepEqual(tools.map((e) => e.payload.data.phase).filter((p) => p !== "update"), ["start", "result"]);
            });
            await t.test("session_status as a tool", async () => {
                const end = await c.turn("TOOL session_status {}", { sessionKey: "agent:main:tool" });
                assert.match(textOf(end.message), /agent:main:tool/);
            });
            await t.test("an unknown tool and wrong arguments become error results, and the run goes on", async () => {
                const a = await c.turn("TOOL no_such_tool {}", { sessionKey: "agent:main:tool2" });
                assert.equal(a.state, "final");
                const b = await c.turn('TOOL current_time {"timezone":7}', { sessionKey: "agent:main:tool2" });
                assert.equal(b.state, "final");
                const h = await c.history("agent:main:tool2");
                assert.ok(h.messages.filter((m) => m.role === "toolResult").every((m) => m.isError));
            });
            await t.test("one failing answer is tried again", async () => {
                const end = await c.turn(`FAILONCE 503 once-${api}`);
                assert.equal(end.state, "final");
            });
            const failures = [
                ["STATUS 401", /fake.*(key|401)/is], ["STATUS 500", /fake.*500/is],
                ["STATUS 400", /fake.*400/is], ["GARBAGE", /fake/is],
            ];
            for (const [what, pattern] of failures) {
                await t.test(`${what}: one clear line, run ends as error`, async () => {
                    const end = await c.turn(what, { sessionKey: "agent:main:err", ms: 30000 });
                    assert.equal(end.state, "error");
                    assert.match(end.errorMessage, pattern);
                    assert.equal(end.errorMessage.trim().split("\n").length, 1);
                    assert.ok(!end.errorMessage.includes("test-key-123"));
                    const last = (await c.history("agent:main:err")).messages.at(-1);
                    assert.deepEqual([last.role, last.__openclaw.kind, textOf(last)], ["system", "error", end.errorMessage]);
                });
            }
            await t.test("a stream that breaks off keeps what came and says so", async () => {
                const end = await c.turn("BREAK 3", { sessionKey: "agent:main:brk" });
                assert.equal(end.state, "error");
                assert.match(end.errorMessage, /broke|interrupted|closed|ended/i);
                assert.equal((await c.turn("next", { sessionKey: "agent:main:brk" })).state, "final");
            });
            await t.test("the key reaches the server only, never a log", async () => {
                assert.equal(g.logs().includes("test-key-123"), false);
                assert.equal(g.proc.err.includes("test-key-123"), false);
            });
        } finally {
            c.close();
            await g.stop();
            await llm.stop();
        }
    });
}

test("a wrong key says which provider refused it", async () => {
    const llm = await FakeLlm.start({ key: "right" });
    llm.key = "wrong";
    const g = await Gateway.start({ config: llm.config() });
    const c = await Client.connect(g);
    const end = await c.turn("hello");
    assert.equal(end.state, "error");
    assert.match(end.errorMessage, /fake/);
    assert.match(end.errorMessage, /key|401/i);
    c.close();
    await g.stop();
    await llm.stop();
});

test("no server at all: an error, never silence, never a silent change to the offline responder", async () => {
    const port = await freePort();
    const g = await Gateway.start({ config: `models = { autodetect = false; providers = { gone = {
        api = "openai-completions"; baseUrl = "http://127.0.0.1:${port}/v1"; models = ( { id = "m"; } ); }; }; };
        agents = { defaults = { model = { primary = "gone/m"; }; }; };` });
    const c = await Client.connect(g);
    const end = await c.turn("hello", { ms: 30000 });
    assert.equal(end.state, "error");
    assert.match(end.errorMessage, /gone/);
    const cli = await g.cli(["agent", "-m", "hello"], { timeout: 40000 });
    assert.equal(cli.code, 1);
    assert.match(cli.err, /gone/);
    c.close();
    await g.stop();
});

test("Ollama is found by itself through OLLAMA_HOST-compatible probing", async () => {
    const llm = await FakeLlm.start();
    const g = await Gateway.start({ autodetect: true, env: { OLLAMA_HOST: `127.0.0.1:${llm.port}` } });
    const c = await Client.connect(g);
    await until("found", async () => textOf((await c.turn("hello")).message) === "echo: hello", 10000, 300);
    c.close();
    await g.stop();
    await llm.stop();
});
