// The official OpenAI SDK against a real gateway: what its users do, done with it (http-surfaces.md 15).
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import OpenAI, { NotFoundError, BadRequestError, AuthenticationError, APIUserAbortError } from "openai";
import { Gateway, FakeLlm, until } from "../scn/lib/gateway.mjs";

let g, llm, client;
before(async () => {
    llm = await FakeLlm.start();
    g = await Gateway.start({ config: llm.config() });
    client = new OpenAI({ baseURL: `${g.url}/v1`, apiKey: g.token });
});
after(async () => {
    await g.stop();
    await llm.stop();
});

const say = (content, more = {}) => ({ model: "tenaza/default", messages: [{ role: "user", content }], ...more });
const weather = {
    type: "function",
    function: { name: "get_weather", description: "Weather of a city",
        parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } },
};

test("models: list, retrieve with a slash in the id, unknown", async () => {
    const ids = [];
    for await (const m of client.models.list()) ids.push(m.id);
    assert.ok(ids.includes("tenaza/default") && ids.includes("tenaza/main"), String(ids));
    assert.equal((await client.models.retrieve("tenaza/main")).id, "tenaza/main");
    assert.equal((await client.models.retrieve("openclaw/default")).object, "model");
    await assert.rejects(client.models.retrieve("gpt-4o"), NotFoundError);
});

test("chat: an answer with usage, request id and finish reason", async () => {
    const r = await client.chat.completions.create(say("hello"));
    assert.equal(r.choices[0].message.content, "echo: hello");
    assert.equal(r.choices[0].finish_reason, "stop");
    assert.equal(r.model, "tenaza/default");
    assert.ok(r.usage.prompt_tokens > 0 && r.usage.total_tokens === r.usage.prompt_tokens + r.usage.completion_tokens);
    assert.match(r._request_id, /^\S{26}$/);
    const other = await client.chat.completions.create(say("hi", { model: "openclaw/default" }));
    assert.equal(other.choices[0].message.content, "echo: hi");
});

test("chat: the whole conversation reaches the model, with the system message", async () => {
    await client.chat.completions.create({ model: "tenaza", messages: [
        { role: "system", content: "Speak like a pirate." },
        { role: "user", content: "one" }, { role: "assistant", content: "first" },
        { role: "user", content: [{ type: "text", text: "two" }] }] });
    const { requests } = await llm.log();
    const body = requests.at(-1).body;
    assert.match(body.messages[0].content, /Speak like a pirate\./);
    assert.deepEqual(body.messages.slice(1).map((m) => m.role), ["user", "assistant", "user"]);
    assert.match(body.messages[1].content, /one$/);
    assert.equal(body.messages[2].content, "first");
});

test("chat: stream in pieces, with usage at the end", async () => {
    const chunks = [];
    const stream = await client.chat.completions.create(say("SLOW 4", { stream: true, stream_options: { include_usage: true } }));
    for await (const c of stream) chunks.push(c);
    assert.equal(chunks[0].choices[0].delta.role, "assistant");
    assert.equal(chunks.map((c) => c.choices[0]?.delta.content ?? "").join(""), "echo: SLOW 4 chunk 2 chunk 3 chunk 4");
    assert.ok(chunks.filter((c) => c.choices[0]?.delta.content).length > 1);
    assert.equal(chunks.at(-2).choices[0].finish_reason, "stop");
    assert.deepEqual(chunks.at(-1).choices, []);
    assert.ok(chunks.at(-1).usage.total_tokens > 0);
    assert.equal(new Set(chunks.map((c) => c.id)).size, 1);
});

test("chat: the stream helper puts the message together", async () => {
    const runner = client.chat.completions.stream(say("hello stream"));
    let text = "";
    runner.on("content", (d) => (text += d));
    const final = await runner.finalChatCompletion();
    assert.equal(final.choices[0].message.content, "echo: hello stream");
    assert.equal(text, "echo: hello stream");
});

test("chat: a call of the caller's tool comes back, its result is answered", async () => {
    const first = await client.chat.completions.create(say('TOOL get_weather {"city":"Madrid"}', { tools: [weather] }));
    const [call] = first.choices[0].message.tool_calls;
    assert.equal(first.choices[0].finish_reason, "tool_calls");
    assert.equal(call.function.name, "get_weather");
    assert.deepEqual(JSON.parse(call.function.arguments), { city: "Madrid" });
    const second = await client.chat.completions.create({ model: "tenaza", tools: [weather], messages: [
        { role: "user", content: "weather?" }, first.choices[0].message,
        { role: "tool", tool_call_id: call.id, content: "22 degrees" }] });
    assert.equal(second.choices[0].message.content, "tool said: 22 degrees");
    const { requests } = await llm.log();
    const roles = requests.at(-1).body.messages.map((m) => m.role);
    assert.deepEqual(roles, ["system", "user", "assistant", "tool"], "the result stays a tool message");
});

for (const stream of [false, true]) {
    test(`chat: runTools ${stream ? "streaming" : "whole"}: call, run, answer`, async () => {
        const asked = [];
        const runner = client.chat.completions.runTools({
            model: "tenaza", stream, messages: [{ role: "user", content: 'TOOL get_weather {"city":"Rome"}' }],
            tools: [{ type: "function", function: { ...weather.function, parse: JSON.parse,
                function: (a) => (asked.push(a.city), `sunny in ${a.city}`) } }],
        });
        assert.equal(await runner.finalContent(), "tool said: sunny in Rome");
        assert.deepEqual(asked, ["Rome"]);
    });
}

test("chat: a demanded call that the model does not make is an error, after a second try", async () => {
    const before = (await llm.log()).count;
    await assert.rejects(
        client.chat.completions.create(say("hello", { tools: [weather], tool_choice: "required" })),
        (e) => e.status === 502 && e.code === "tool_choice_unsatisfied");
    assert.equal((await llm.log()).count - before, 2, "the SDK did not repeat it");
});

test("chat: abort closes the model's connection and ends the run", async () => {
    const before = (await llm.log()).aborted;
    const stream = await client.chat.completions.create(say("SLOW 400", { stream: true }));
    let n = 0;
    for await (const c of stream) if (c.choices[0].delta.content && ++n === 2) break;
    await until("the model's stream is closed", async () => (await llm.log()).aborted === before + 1);
    const abort = new AbortController();
    const p = client.chat.completions.create(say("HANG"), { signal: abort.signal });
    await until("asked", async () => (await llm.log()).active === 1);
    abort.abort();
    await assert.rejects(p, APIUserAbortError);
    await until("the model's request is closed", async () => (await llm.log()).aborted === before + 2);
});

test("errors are the SDK's own types and say which member is wrong", async () => {
    const create = (body) => client.chat.completions.create(body);
    await assert.rejects(create(say("x", { temperature: 5 })), (e) => e instanceof BadRequestError && e.param === "temperature");
    await assert.rejects(create(say("x", { model: "gpt-4o" })), (e) => e instanceof NotFoundError && e.code === "model_not_found");
    await assert.rejects(create({ model: "tenaza", messages: [] }), (e) => e.code === "missing_user_message");
    await assert.rejects(new OpenAI({ baseURL: `${g.url}/v1`, apiKey: "wrong" }).models.list(), AuthenticationError);
    const before = (await llm.log()).count;
    await assert.rejects(create(say("STATUS 401")), (e) => e.status === 502 && e.code === "upstream_auth");
    assert.equal((await llm.log()).count - before, 1, "a run that started is not repeated by the SDK");
});

test("an error in a stream is thrown by the SDK", async () => {
    const stream = await client.chat.completions.create(say("STATUS 401", { stream: true }));
    await assert.rejects(async () => { for await (const c of stream) void c; }, (e) => e.code === "upstream_auth");
});

test("responses: whole, and continued with previous_response_id", async () => {
    const r = await client.responses.create({ model: "tenaza", input: "hello", instructions: "Be brief." });
    assert.equal(r.output_text, "echo: hello");
    assert.equal(r.status, "completed");
    assert.ok(r.usage.total_tokens > 0);
    assert.equal((await client.responses.retrieve(r.id)).output_text, "echo: hello");
    const next = await client.responses.create({ model: "tenaza", input: "more", previous_response_id: r.id });
    assert.equal(next.previous_response_id, r.id);
    const { requests } = await llm.log();
    const contents = requests.at(-1).body.messages.map((m) => m.content);
    assert.match(contents[1], /hello$/);
    assert.equal(contents[2], "echo: hello");
    await assert.rejects(client.responses.create({ model: "tenaza", input: "x", previous_response_id: "resp_none" }),
        (e) => e.status === 404 && e.param === "previous_response_id");
    await assert.rejects(client.responses.retrieve("resp_none"), NotFoundError);
});

test("responses: stream events in order, numbered", async () => {
    const events = [];
    const stream = await client.responses.create({ model: "tenaza", input: "SLOW 3", stream: true });
    for await (const e of stream) events.push(e);
    assert.deepEqual(events.map((e) => e.sequence_number), events.map((_, i) => i));
    const types = events.map((e) => e.type).filter((t, i, all) => t !== all[i - 1]);
    assert.deepEqual(types, ["response.created", "response.in_progress", "response.output_item.added",
        "response.content_part.added", "response.output_text.delta", "response.output_text.done",
        "response.content_part.done", "response.output_item.done", "response.completed"]);
    assert.equal(events.at(-1).response.output[0].content[0].text, "echo: SLOW 3 chunk 2 chunk 3");
    const final = await client.responses.stream({ model: "tenaza", input: "helper" }).finalResponse();
    assert.equal(final.output_text, "echo: helper");
});

test("responses: a caller's tool, its output, the answer", async () => {
    const tools = [{ type: "function", name: "get_weather", parameters: weather.function.parameters, strict: false }];
    const first = await client.responses.create({ model: "tenaza", tools, input: 'TOOL get_weather {"city":"Oslo"}' });
    const call = first.output.find((o) => o.type === "function_call");
    assert.deepEqual(JSON.parse(call.arguments), { city: "Oslo" });
    const second = await client.responses.create({ model: "tenaza", tools, previous_response_id: first.id,
        input: [{ type: "function_call_output", call_id: call.call_id, output: "snow" }] });
    assert.equal(second.output_text, "tool said: snow");
});

test("responses: in the background, cancelled", async () => {
    const r = await client.responses.create({ model: "tenaza", input: "SLOW 300", background: true });
    assert.equal(r.status, "in_progress");
    await client.responses.cancel(r.id);
    await until("cancelled", async () => (await client.responses.retrieve(r.id)).status === "cancelled");
});

test("embeddings: no provider has them, and the error says so", async () => {
    await assert.rejects(client.embeddings.create({ model: "tenaza", input: "a" }, { maxRetries: 0 }),
        (e) => e.status === 503 && e.code === "embeddings_unavailable");
    await assert.rejects(client.embeddings.create({ model: "tenaza", input: [1, 2] }, { maxRetries: 0 }),
        (e) => e.status === 400 && e.param === "input");
});
