// gateway.js: the connection to the gateway: challenge, connect, requests, events, reconnecting.
// Requests that were under way when the connection broke are rejected with code CLOSED; the caller repeats
// those that carry an idempotency key.
import * as device from "/device.js";

const CLIENT = { id: "webchat-ui", version: "0.1.0", platform: "web", mode: "webchat", displayName: "Tenaza web chat" };
const SCOPES = ["operator.read", "operator.write"];
// Nothing heard for more than two ticks (30 s each): the connection is dead even if the socket does not say so.
const SILENCE_MS = 65000;

export class GatewayError extends Error {
    constructor(error) {
        super(error.message);
        this.code = error.code;
        this.details = error.details ?? {};
    }
}

export class Gateway {
    // on: {state(name, error), event(name, payload), hello(payload)}
    constructor(token, on) {
        this.token = token;
        this.on = on;
        this.waiting = new Map();
        this.next = 1;
        this.delay = 500;
        this.ended = false;
    }

    async start() {
        this.device = await device.identity();
        this.open();
    }

    open() {
        this.on.state("connecting");
        const ws = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/`);
        this.ws = ws;
        ws.onmessage = (e) => {
            this.heard = Date.now();
            // A mistake of the page itself must not cost the connection; the browser's console has it.
            this.receive(JSON.parse(e.data)).catch((error) => reportError(error));
        };
        ws.onclose = () => ws === this.ws && this.lost();
        clearInterval(this.watch);
        this.heard = Date.now();
        this.watch = setInterval(() => Date.now() - this.heard > SILENCE_MS && ws.close(), 5000);
    }

    close() {
        this.ended = true;
        clearInterval(this.watch);
        this.ws?.close();
    }

    lost() {
        clearInterval(this.watch);
        for (const w of this.waiting.values()) w.reject(new GatewayError({ code: "CLOSED", message: "connection lost" }));
        this.waiting.clear();
        if (this.ended) return;
        this.on.state("lost");
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.open(), this.delay);
        this.delay = Math.min(this.delay * 2, 10000);
    }

    // A refusal that trying again will not cure ends the connection for good.
    fail(error) {
        this.close();
        this.on.state("refused", error);
    }

    async receive(frame) {
        if (frame.type === "event") {
            if (frame.event === "connect.challenge") await this.greet(frame.payload);
            else this.on.event(frame.event, frame.payload);
            return;
        }
        const w = this.waiting.get(frame.id);
        if (!w) return;
        this.waiting.delete(frame.id);
        if (frame.ok) w.resolve(frame.payload);
        else w.reject(new GatewayError(frame.error));
    }

    async greet(challenge) {
        const role = "operator";
        const proof = await device.proof(this.device, { client: CLIENT, role, scopes: SCOPES, token: this.token, challenge });
        this.request("connect", {
            minProtocol: 4, maxProtocol: 4, client: CLIENT, role, scopes: SCOPES, caps: ["tool-events"],
            auth: { token: this.token }, device: proof, locale: navigator.language,
        }).then((hello) => {
            this.delay = 500;
            this.on.state("connected");
            this.on.hello(hello);
        }, (error) => {
            if (error.code !== "UNAVAILABLE" && error.code !== "CLOSED") this.fail(error);
        });
    }

    request(method, params = {}) {
        return new Promise((resolve, reject) => {
            if (this.ws?.readyState !== WebSocket.OPEN) {
                reject(new GatewayError({ code: "CLOSED", message: "not connected" }));
                return;
            }
            const id = `${this.next++}`;
            this.waiting.set(id, { resolve, reject });
            this.ws.send(JSON.stringify({ type: "req", id, method, params }));
        });
    }
}
