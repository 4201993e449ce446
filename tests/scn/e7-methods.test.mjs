// Every method of the table (gen-methods --json): what bad input gets, and that good answers have the shape the table
// promises. Nothing is written by a refused request, and the connection survives it.
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { Gateway, FakeLlm, build, slow, until } from "./lib/gateway.mjs";
import { Client } from "./lib/client.mjs";

const methods = JSON.parse(execFileSync(join(build, "proto/gen-methods"), ["--json"], { encoding: "utf8" }));
const ALL = ["operator.admin", "operator.read", "operator.write", "operator.pairing", "operator.approvals", "operator.questions"];
let g, llm, c;
before(async () => {
    llm = await FakeLlm.start();
    g = await Gateway.start({ config: llm.config() });
    c = await Client.connect(g, { scopes: ALL });
    await c.turn("so that there is something", { key: "something" });
});
after(async () => {
    c?.close();
    await g?.stop();
    await llm?.stop();
});

// A value that the row accepts.
const SPECIAL = {
    "cron.add": { schedule: { kind: "every", everyMs: 3600000 }, payload: { kind: "agentTurn", message: "x" }, sessionTarget: "isolated" },
    "cron.update": { id: "none", patch: {} }, "cron.get": { id: "none" }, "cron.remove": { id: "none" }, "cron.run": { id: "none" },
    "cron.runs": { scope: "all" }, "sessions.abort": { key: "main" }, "sessions.preview": { keys: ["main"] },
    "sessions.resolve": { key: "main" }, "agent": { message: "x", sessionKey: "table" }, "chat.send": { sessionKey: "table" },
    "set-heartbeats": { enabled: false }, "agent.wait": { runId: "none", timeoutMs: 10 }, "sessions.delete": { key: "nobody" },
    "exec.approval.request": { command: "true", timeoutMs: 1000 },
};
const value = (p) => {
    if (p.one) return p.one.split("|")[0];
    if (p.kind === "INT") return p.min ?? 1;
    if (p.kind === "BOOL") return true;
    if (p.kind === "OBJ") return {};
    if (p.kind === "ARR") return [];
    if (p.kind === "STRS") return ["agent:main:table"];
    return /sessionKey|^key$/.test(p.name) ? "table" : p.name === "agentId" ? "main" : "x".repeat(Math.max(p.min ?? 1, 1));
};
const WRONG = { STR: 7, WORD: 7, INT: "seven", NUM: "seven", BOOL: "yes", OBJ: [], ARR: {}, STRS: [1] };
let n = 0;
const good = (m) => {
    const params = {};
    for (const p of m.params) if (p.required) params[p.name] = value(p);
    Object.assign(params, SPECIAL[m.name]);
    if ("idempotencyKey" in params) params.idempotencyKey = `table-${n++}`;
    return params;
};
// A request that must be answered soon.
const ask = (m, params, how) => {
    let timer;
    const late = new Promise((_, fail) => {
        timer = setTimeout(() => fail(new Error(`${m} is not answered: ${JSON.stringify(params)}`)), 20000 * slow);
    });
    return Promise.race([c.request(m, params, how), late]).finally(() => clearTimeout(timer));
};
// What is stored: sessions with their rows, jobs, devices.
async function stored() {
    const text = async (method, params) => JSON.stringify((await c.request(method, params)).payload);
    const s = (await c.request("sessions.list", { archived: "all" })).payload.sessions;
    const rows = await Promise.all(s.map(async (x) => [x.key, x.updatedAt, (await c.history(x.key)).totalMessages]));
    return JSON.stringify([rows, await text("cron.list", { includeDisabled: true }), await text("device.pair.list", {})]);
}

test("the table is the one that is served", () => {
    const advertised = methods.filter((m) => /RPC_ADVERTISED/.test(m.flags)).map((m) => m.name).sort();
    assert.deepEqual([...c.hello.features.methods].sort(), advertised);
});

test("good requests get what the table promises", async () => {
    const is = { STR: (v) => typeof v === "string", INT: Number.isInteger, NUM: (v) => typeof v === "number",
        BOOL: (v) => typeof v === "boolean", OBJ: (v) => v && typeof v === "object" && !Array.isArray(v), ARR: Array.isArray,
        STRS: (v) => Array.isArray(v) && v.every((x) => typeof x === "string"), ANY: () => true };
    // What is named in these does not exist.
    const missing = /^(cron\.(get|update|remove|run)|device\.pair\.(approve|reject|remove|rename)|device\.token\..*|exec\.approval\.(get|waitDecision|resolve)|exec\.approvals\.set|approval\.(get|resolve))$/;
    for (const m of methods) {
        const params = good(m);
        const r = await ask(m.name, m.params.length || /OBJ/.test(m.flags) ? params : undefined, { final: m.name === "agent" });
        if (missing.test(m.name)) {
            assert.equal(r.error?.code, "INVALID_REQUEST", `${m.name}: ${JSON.stringify(r)}`);
            continue;
        }
        assert.ok(r.ok, `${m.name} ${JSON.stringify(params)}: ${JSON.stringify(r.error)}`);
        for (const row of m.result) {
            const v = row.name === "" ? r.payload : r.payload[row.name];
            const there = v !== undefined && (row.name !== "" || row.required || v !== null);
            assert.ok(there || !row.required, `${m.name}: ${row.name} is missing in ${JSON.stringify(r.payload)}`);
            assert.ok(!there || is[row.kind](v), `${m.name}: ${row.name} is no ${row.kind}: ${JSON.stringify(v)}`);
        }
    }
    await until("runs are over", async () => !(await c.request("sessions.list", {})).payload.sessions.some((s) => s.hasActiveRun), 20000);
});

test("bad requests: each is named, nothing is written, the connection lives", async () => {
    const before = await stored();
    const refused = async (m, params, pattern, what) => {
        const r = await ask(m.name, params);
        assert.equal(r.ok, false, `${m.name} accepted ${what}: ${JSON.stringify(params).slice(0, 200)}`);
        assert.equal(r.error.code, "INVALID_REQUEST", `${m.name} ${what}: ${JSON.stringify(r.error)}`);
        assert.match(r.error.message, pattern, `${m.name} ${what}`);
    };
    for (const m of methods) {
        const ok = good(m);
        const tries = [];
        const targeted = /RPC_TARGET/.test(m.flags);
        for (const p of m.params) {
            const path = new RegExp(p.name);
            if (p.required) {
                const { [p.name]: _, ...rest } = ok;
                tries.push(refused(m, rest, targeted && p.name === "sessionKey" ? /target is unavailable/ : path, `without ${p.name}`));
            }
            if (p.kind !== "ANY") tries.push(refused(m, { ...ok, [p.name]: WRONG[p.kind] }, path, `a wrong ${p.name}`));
            if (p.one) tries.push(refused(m, { ...ok, [p.name]: "none of these" }, path, `another ${p.name}`));
            if (p.kind === "INT" && p.min !== undefined) tries.push(refused(m, { ...ok, [p.name]: p.min - 1 }, path, `a small ${p.name}`));
            if (p.kind === "INT" && p.max !== undefined) tries.push(refused(m, { ...ok, [p.name]: p.max + 1 }, path, `a big ${p.name}`));
            if (/STR|WORD/.test(p.kind) && p.kind !== "STRS" && p.max !== undefined)
                tries.push(refused(m, { ...ok, [p.name]: "y".repeat(p.max + 1) }, path, `a long ${p.name}`));
        }
        if (!/RPC_LENIENT/.test(m.flags)) tries.push(refused(m, { ...ok, zzz: 1 }, /unexpected property 'zzz'/, "an unknown field"));
        tries.push(refused(m, [1], targeted ? /target is unavailable/ : /must be object/, "an array"));
        await Promise.all(tries); // at once: the connection takes it
    }
    assert.equal(await stored(), before);
    assert.equal(c.closed, null);
});

test("without the scope: refused before anything else is looked at", async () => {
    const nobody = await Client.connect(g, { scopes: [] });
    for (const m of methods.filter((x) => x.scope !== "")) {
        const r = await nobody.request(m.name, { zzz: 1 });
        assert.deepEqual([r.error.code, r.error.message], ["FORBIDDEN", `missing scope: ${m.scope}`], m.name);
        assert.deepEqual(r.error.details, { code: "MISSING_SCOPE", missingScope: m.scope, requiredScopes: [m.scope] });
    }
    assert.equal(nobody.closed, null);
    nobody.close();
});

test("before connect: every method closes with 1008; after close nothing is answered", async () => {
    for (const m of [methods[0], methods.find((x) => x.name === "chat.send"), methods.find((x) => x.name === "cron.add")]) {
        const s = await Client.open(g.ws);
        const r = await s.request(m.name, good(m));
        assert.equal(r.error.message, "invalid handshake: first request must be connect");
        await until("closed", () => s.closed);
        assert.equal(s.closed.code, 1008);
    }
    const s = await Client.open(g.ws);
    s.raw(JSON.stringify({ type: "req", id: "one", method: "health" }));
    s.raw(JSON.stringify({ type: "req", id: "two", method: "health" })); // behind the one that ends the connection
    await until("closed", () => s.closed);
    assert.deepEqual(s.frames.filter((f) => f.type === "res").map((f) => f.id), ["one"]);
});

test("unknown sessions and agents; a key used again", async () => {
    assert.equal((await c.history("agent:main:nowhere")).totalMessages, 0);
    assert.equal((await c.request("sessions.describe", { key: "agent:main:nowhere" })).payload.session, null);
    assert.match((await c.request("chat.send", { sessionKey: "agent:ghost:x", message: "x", idempotencyKey: "g1" })).error.message,
        /Agent "ghost" no longer exists/);
    assert.match((await c.request("agent", { agentId: "ghost", message: "x", idempotencyKey: "g2" })).error.message, /unknown agent id "ghost"/);
    const send = (message, key) => c.request("chat.send", { sessionKey: "keyed", message, idempotencyKey: key });
    await c.turn("the first", { sessionKey: "keyed", key: "same" });
    assert.equal((await send("the first", "same")).payload.status, "ok");
    const other = await send("another text", "same");
    assert.deepEqual([other.error.code, other.error.details.reason], ["INVALID_REQUEST", "chat-request-conflict"]);
    const stored1 = await c.request("agent", { sessionKey: "keyed", message: "run it", idempotencyKey: "agent-key" }, { final: true });
    const again = await c.request("agent", { sessionKey: "keyed", message: "something else", idempotencyKey: "agent-key" });
    assert.deepEqual([again.ok, again.payload.status, again.payload.result.payloads], [true, "ok", stored1.payload.result.payloads]);
    assert.equal((await c.history("agent:main:keyed")).totalMessages, 4);
});
