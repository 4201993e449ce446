// The disk is full: a clear reason, reads go on, nothing accepted is lost, and it goes on by itself when there is space.
import { test } from "node:test";
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeLlm, Gateway, until } from "./lib/gateway.mjs";
import { Client, textOf } from "./lib/client.mjs";

test("disk full", async (t) => {
    const dir = mkdtempSync(join(tmpdir(), "tenaza-full-"));
    try {
        execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", dir], { stdio: "ignore" });
    } catch {
        rmSync(dir, { recursive: true });
        t.skip("needs the right to mount a tmpfs");
        return;
    }
    const llm = await FakeLlm.start();
    const g = await Gateway.start({ config: llm.config(), dir });
    try {
        const c = await Client.connect(g);
        await c.turn("before");
        const filler = join(dir, "filler");
        for (let n = 8 << 20; n >= 4096; n >>= 1) {
            try {
                writeFileSync(filler, Buffer.alloc(n), { flag: "a" });
            } catch {
                // it is full when the smallest piece does not fit any more
            }
        }
        const r = await g.cli(["agent", "--timeout", "3s", "-m", "x".repeat(30000)]);
        assert.equal(r.code, 1, r.err);
        assert.match(r.err, /No space left/);
        const h = await c.history();
        assert.deepEqual(h.messages.map(textOf), ["before", "echo: before"]);
        const s = JSON.parse((await g.cli(["status", "--json"])).out);
        assert.match(s.store.degraded, /No space left/);
        assert.equal((await g.worker("store")).restarts, 0);
        // no crash loop: a store that starts on the full disk is there for reading
        await g.killWorker("store");
        const c2 = await until("reads", async () => { const k = await Client.connect(g); return k; }, 10000, 100);
        const again = await until("history", async () => { const x = await c2.history(); return x.messages.length >= 2 && x; }, 10000, 100);
        assert.deepEqual(again.messages.slice(0, 2).map(textOf), ["before", "echo: before"]);
        c2.close();
        rmSync(filler);
        await until("writes again", async () => JSON.parse((await g.cli(["status", "--json"])).out).store.degraded === "", 5000, 200);
        assert.equal(textOf((await c.turn("after")).message), "echo: after");
        assert.equal((await g.worker("store")).restarts, 1, "it was killed once and never fell by itself");
        assert.equal((await g.cli(["store", "check", "--deep"])).code, 0);
        c.close();
    } finally {
        await g.stop();
        await llm.stop();
        execFileSync("umount", [dir]);
        rmSync(dir, { recursive: true });
    }
});
