// schema.mjs: checks every frame that the gateway sends in a scenario against the published protocol schema (ajv).
// Importing it is enough: it listens to all sockets of `ws`, whoever made them, so the reference client counts too;
// page.mjs adds those of the browser.
// A violation is an uncaught error, which fails the test it happens in.
//
// Strict where a minimal server can be strict, relaxed (unknown extra members allowed) elsewhere: clients want members in
// some frames that the published schema does not know yet.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import WebSocket from "ws";
import Ajv from "ajv";

const require = createRequire(import.meta.url);
const packed = dirname(require.resolve("@openclaw/gateway-protocol"));

const camel = (name) => name.split(/[.\-_]/).map((w) => w[0].toUpperCase() + w.slice(1)).join("");

const STRICT = new Set(["HelloOk", "ResponseFrame", "ChatEvent", "TickEvent", "ShutdownEvent", "AgentsListResult", "ModelsListResult",
    "ChannelsStatusResult", "LogsTailResult", "ToolsCatalogResult", "CommandsListResult", "AgentIdentityResult", "ExecApprovalsSnapshot"]);
// Methods whose result has a name of its own.
const RESULTS = { connect: "HelloOk", "agent.identity.get": "AgentIdentityResult", "exec.approvals.get": "ExecApprovalsSnapshot",
    "exec.approvals.set": "ExecApprovalsSnapshot", "exec.approvals.node.get": "ExecApprovalsNodeSnapshot" };

function load(strict) {
    let root = packed;
    while (!/gateway-protocol$/.test(root)) root = dirname(root);
    const schema = JSON.parse(readFileSync(join(root, "protocol.schema.json"), "utf8"), (key, value) =>
        !strict && key === "additionalProperties" && value === false ? undefined : value);
    delete schema.$id;
    const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false, validateSchema: false });
    ajv.addSchema(schema, "p");
    return { ajv, definitions: schema.definitions, compiled: new Map() };
}

const books = new Map();
function validator(name) {
    const strict = STRICT.has(name);
    if (!books.has(strict)) books.set(strict, load(strict));
    const book = books.get(strict);
    if (!(name in book.definitions)) return null;
    if (!book.compiled.has(name)) book.compiled.set(name, book.ajv.compile({ $ref: `p#/definitions/${name}` }));
    return book.compiled.get(name);
}

export const checked = { frames: 0, definitions: new Map(), violations: [] };

function against(name, value, frame) {
    const validate = validator(name);
    if (!validate) return;
    checked.definitions.set(name, (checked.definitions.get(name) || 0) + 1);
    if (validate(value)) return;
    const why = validate.errors.slice(0, 5).map((e) => `${e.instancePath || "/"} ${e.message} ${JSON.stringify(e.params)}`).join("; ");
    const text = `schema ${name}: ${why}\n  frame: ${JSON.stringify(frame).slice(0, 600)}`;
    checked.violations.push(text);
    throw new Error(text);
}

// method: of the request that a response answers; undefined when it is not known (a request that was no frame).
export function checkFrame(frame, method) {
    checked.frames++;
    if (frame.type === "event") {
        against("EventFrame", frame, frame);
        against(`${camel(frame.event)}Event`, frame.payload, frame);
        return;
    }
    against("ResponseFrame", frame, frame);
    if (!frame.ok || !method) return;
    // Our own extension, sent only to who asks for it (docs/protocol-clients.md).
    const { resume, ...hello } = method === "connect" ? frame.payload : {};
    against(RESULTS[method] || `${camel(method)}Result`, resume ? hello : frame.payload, frame);
}

// A socket of a page (playwright).
export function watchFrames(ws) {
    const asked = new Map();
    const text = (f) => (typeof f.payload === "string" ? JSON.parse(f.payload) : null);
    ws.on("framesent", (f) => {
        const frame = text(f);
        if (frame?.type === "req") asked.set(frame.id, frame.method);
    });
    ws.on("framereceived", (f) => {
        const frame = text(f);
        if (frame) checkFrame(frame, asked.get(frame.id));
    });
}

// ---- all sockets of this process

const methods = new WeakMap();
const send = WebSocket.prototype.send;
const emit = WebSocket.prototype.emit;

WebSocket.prototype.send = function (data, ...rest) {
    try {
        const f = JSON.parse(data);
        if (f?.type === "req" && typeof f.id === "string") {
            if (!methods.has(this)) methods.set(this, new Map());
            methods.get(this).set(f.id, f.method);
        }
    } catch { /* a scenario that sends nonsense on purpose */ }
    return send.call(this, data, ...rest);
};
WebSocket.prototype.emit = function (event, data, binary) {
    if (event === "message" && !binary && !this._isServer) {
        const frame = JSON.parse(data.toString());
        checkFrame(frame, methods.get(this)?.get(frame.id));
    }
    return emit.apply(this, arguments);
};
