// Signs of life (gateway-ws.md 13.2): a ping each interval; a client silent for three of them is cut, one that answers stays.
import { test, before, after } from "node:test";
import assert from "node:assert/strict";
import { Gateway, until } from "./lib/gateway.mjs";
import { Client } from "./lib/client.mjs";

let g;
before(async () => (g = await Gateway.start({ config: 'edge = { port = @PORT@; pingInterval = "1s"; };\n' })));
after(() => g.stop());

test("a client is pinged; silence is cut, a pong or any frame is enough", async () => {
    const t0 = Date.now();
    const good = await Client.connect(g), mute = await Client.connect(g), talks = await Client.connect(g);
    let pinged = 0;
    good.ws.on("ping", () => pinged++);
    for (const c of [mute, talks]) c.ws.pong = () => {}; // what `ws` answers a ping with
    const talk = setInterval(() => talks.request("health").catch(() => {}), 400);
    await until("the first ping", () => pinged > 0, 10000);
    assert.ok(Date.now() - t0 > 800, "not before its time");
    await until("the silent one is cut", () => mute.closed, 20000);
    await until("pings go on", () => pinged > 3, 10000);
    clearInterval(talk);
    assert.equal(mute.closed.code, 1006);
    assert.ok(Date.now() - t0 > 2700, `${Date.now() - t0}`);
    for (const c of [good, talks]) {
        assert.equal(c.closed, null);
        assert.equal((await c.request("health")).ok, true);
        c.close();
    }
});
