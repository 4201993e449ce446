// client.mjs: a plain protocol client for the scenarios: every frame is visible, nothing is hidden or retried.
import WebSocket from "ws";
import { randomUUID } from "node:crypto";
import { until } from "./gateway.mjs";
import "./schema.mjs";

export class Client {
    // Opens the socket and waits for the challenge; does not connect yet.
    static async open(url, { headers = {} } = {}) {
        const c = new Client();
        c.frames = [];
        c.events = [];
        c.waiting = new Map();
        c.closed = null;
        c.ws = new WebSocket(url, { headers, perMessageDeflate: false });
        c.ws.on("message", (data) => c.onMessage(JSON.parse(data.toString())));
        c.ws.on("close", (code, reason) => {
            c.closed = { code, reason: reason.toString() };
            for (const w of c.waiting.values()) w.reject(new Error(`closed ${code} ${reason}`));
            c.waiting.clear();
        });
        c.ws.on("error", (e) => (c.error = e));
        await until("challenge", () => c.events.some((e) => e.event === "connect.challenge") || c.closed || c.error);
        return c;
    }

    // Opens and says hello as the command line does: scopes are kept on a loopback connection.
    static async connect(gateway, params = {}) {
        const c = await Client.open(gateway.ws);
        const r = await c.request("connect", {
            minProtocol: 4, maxProtocol: 4, role: "operator",
            client: { id: "cli", version: "1.0.0", platform: "linux", mode: "cli" },
            scopes: ["operator.admin", "operator.read", "operator.write", "operator.pairing"],
            caps: ["tool-events"], auth: { token: gateway.token }, ...params,
        });
        if (!r.ok) throw new Error(`connect refused: ${JSON.stringify(r.error)}`);
        c.hello = r.payload;
        return c;
    }

    onMessage(f) {
        this.frames.push(f);
        if (f.type === "event") this.events.push(f);
        if (f.type !== "res") return;
        const w = this.waiting.get(f.id);
        if (!w || (w.final && f.ok && f.payload?.status === "accepted")) return;
        this.waiting.delete(f.id);
        w.resolve(f);
    }

    // Resolves with the response frame, ok or not. final: skip the "accepted" frame of two-phase methods.
    request(method, params, { final = false, id = randomUUID() } = {}) {
        const p = new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject, final }));
        this.ws.send(JSON.stringify({ type: "req", id, method, params }));
        return p;
    }

    raw(text) {
        this.ws.send(text);
    }

    // chat.send and wait for the end of that run; resolves with the last chat frame's payload.
    async turn(message, { sessionKey = "agent:main:main", key = randomUUID(), ms = 15000 } = {}) {
        const r = await this.request("chat.send", { sessionKey, message, idempotencyKey: key });
        if (!r.ok) throw new Error(`chat.send: ${JSON.stringify(r.error)}`);
        return this.ended(key, ms);
    }

    ended(runId, ms = 15000) {
        return until(`end of run ${runId}`, () => {
            if (this.closed) throw new Error("closed");
            return this.chat(runId).find((p) => ["final", "error", "aborted"].includes(p.state));
        }, ms);
    }

    // All chat payloads of a run so far.
    chat(runId) {
        return this.events.filter((e) => e.event === "chat" && e.payload.runId === runId).map((e) => e.payload);
    }

    async history(sessionKey = "agent:main:main", params = {}) {
        const r = await this.request("chat.history", { sessionKey, ...params });
        if (!r.ok) throw new Error(`chat.history: ${JSON.stringify(r.error)}`);
        return r.payload;
    }

    close() {
        this.ws.terminate();
    }
}

// The text of a message whose content is a string or a list of blocks.
export function textOf(message) {
    if (!message) return "";
    if (typeof message.content === "string") return message.content;
    return (message.content || []).filter((b) => b.type === "text").map((b) => b.text).join("");
}
