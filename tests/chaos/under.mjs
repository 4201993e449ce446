// under.mjs: a gateway with everything talking to it, a trouble of the caller's choice, and the account afterwards.
import assert from "node:assert/strict";
import { slow } from "../scn/lib/gateway.mjs";
import { Ledger, SOURCES, evaluate } from "./ledger.mjs";
import { Traffic, audit } from "./traffic.mjs";
import { World, sleep } from "./world.mjs";

// fn(world) makes the trouble. Afterwards nothing may be lost or doubled, every source must have been served, and the
// store's own check must be clean. Returns the account. supervisor: settings of that group.
export async function underTraffic({ supervisor = "" }, fn) {
    const ledger = new Ledger();
    let traffic = null;
    const world = await World.start({ random: Math.random, supervisor, onCall: (key, body) => traffic?.onCall(key, body) });
    try {
        traffic = new Traffic(world, ledger, Math.random);
        traffic.start();
        await sleep(1500);
        await fn(world);
        await traffic.finish();
        const status = await world.settle(60000 * slow);
        traffic.leave();
        await audit(world, traffic, ledger);
        const r = evaluate(ledger);
        assert.deepEqual(r.faults, []);
        assert.equal(status.store.findings, "");
        for (const s of Object.keys(SOURCES)) assert.ok(r.rows[s].answered > 0, `${s} was served`);
        return r;
    } catch (e) {
        throw new Error(`${e.message}\n${world.g.logs().split("\n").slice(-80).join("\n")}`, { cause: e });
    } finally {
        if (traffic) traffic.over = true; // also after a failure
        traffic?.leave();
        await world.stop();
    }
}
