// s1-walls: what separates the workers, seen from outside and tried from the inside.
import test from "node:test";
import assert from "node:assert/strict";
import { Gateway, until } from "./lib/gateway.mjs";

const kinds = ["store", "bus", "agent", "cron", "edge"];

async function securityOf(g) {
    let s;
    await until("every worker has reported its walls", async () => {
        s = await g.status();
        return s.workers.every((w) => w.security);
    });
    return new Map(s.workers.map((w) => [w.kind, w.security]));
}

test("each worker reports the walls of its profile", async () => {
    const g = await Gateway.start();
    const walls = await securityOf(g);
    for (const kind of kinds) {
        for (const wall of ["files", "exec", "calls", "sockets", "peers", "privileges", "dump", "code", "handles"]) {
            assert.ok(walls.get(kind).holds.includes(wall), `${kind}: ${wall}: ${JSON.stringify(walls.get(kind))}`);
        }
    }
    await g.stop();
});

test("supervisor.sandbox = off is shown as lost, wall by wall", async () => {
    const g = await Gateway.start({ config: 'supervisor = { sandbox = "off"; };' });
    const walls = await securityOf(g);
    for (const kind of kinds) {
        for (const wall of ["files", "exec", "calls", "sockets", "peers"]) {
            assert.ok(walls.get(kind).lost.includes(wall), `${kind}: ${wall}`);
        }
        assert.match(walls.get(kind).why, /supervisor\.sandbox = "off"/);
    }
    await g.stop();
});
