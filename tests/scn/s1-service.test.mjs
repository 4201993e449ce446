// The service: units that systemd accepts, `tenaza service` on a root of its own, texts for who may not or need not.
// Systemd itself does not run here; its own tools judge the files.
import { test } from "node:test";
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "./lib/gateway.mjs";

function run(file, args, env = {}) {
    return new Promise((done) =>
        execFile(file, args, { timeout: 60000, env: { ...process.env, ...env } }, (e, out, err) =>
            done({ code: e ? (typeof e.code === "number" ? e.code : 255) : 0, out, err })));
}
const tenaza = (...args) => run(join(build, "tenaza"), args);

async function withRoot(fn) {
    const root = mkdtempSync(join(tmpdir(), "tenaza-root-"));
    try {
        await fn(root);
    } finally {
        rmSync(root, { recursive: true, force: true });
    }
}

test("install, status and uninstall of a system service", () => withRoot(async (root) => {
    let r = await tenaza("service", "status", "--system", "--root", root);
    assert.equal(r.code, 3);
    assert.match(r.err, /no system service is installed\n {2}tenaza service install/);

    r = await tenaza("service", "install", "--system", "--socket", "--root", root);
    assert.equal(r.code, 0, r.err);
    const unit = join(root, "etc/systemd/system/tenaza.service");
    assert.match(readFileSync(unit, "utf8"), new RegExp(`^ExecStart=${join(build, "tenaza")} run$`, "m"));
    assert.match(readFileSync(join(root, "etc/passwd"), "utf8"), /^tenaza:/m);
    assert.equal(statSync(join(root, "etc/tenaza/tenaza.conf")).mode & 0o777, 0o640);
    assert.ok(existsSync(join(root, "etc/systemd/system/tenaza.socket")));

    r = await tenaza("service", "status", "--system", "--root", root, "--json");
    assert.equal(JSON.parse(r.out).unit, unit);
    // A second time changes nothing that a person wrote.
    writeFileSync(join(root, "etc/tenaza/tenaza.conf"), "edge = { port = 1; };\n");
    assert.equal((await tenaza("service", "install", "--system", "--root", root)).code, 0);
    assert.match(readFileSync(join(root, "etc/tenaza/tenaza.conf"), "utf8"), /port = 1/);

    r = await tenaza("service", "uninstall", "--system", "--root", root);
    assert.equal(r.code, 0, r.err);
    assert.match(r.out, /state and configuration are kept/);
    assert.ok(!existsSync(unit) && existsSync(join(root, "etc/tenaza/tenaza.conf")));
}));

test("a unit that somebody else wrote is left alone", () => withRoot(async (root) => {
    const dir = join(root, "etc/systemd/system");
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, "tenaza.service"), "[Service]\nExecStart=/bin/true\n");
    let r = await tenaza("service", "install", "--system", "--root", root);
    assert.equal(r.code, 1);
    assert.match(r.err, /was not written by tenaza\n {2}move it away first/);
    r = await tenaza("service", "uninstall", "--system", "--root", root);
    assert.equal(r.code, 1);
    assert.match(readFileSync(join(dir, "tenaza.service"), "utf8"), /bin.true/);
    // One from a package is named as such.
    rmSync(join(dir, "tenaza.service"));
    mkdirSync(join(root, "lib/systemd/system"), { recursive: true });
    writeFileSync(join(root, "lib/systemd/system/tenaza.service"), "[Service]\nExecStart=/bin/true\n");
    r = await tenaza("service", "install", "--system", "--root", root);
    assert.match(r.err, /from the package\n {2}start it: systemctl enable --now tenaza/);
}));

test("systemd's own tools accept the units and call them safe", () => withRoot(async (root) => {
    const files = [];
    for (const [scope, socket, name] of [["--system", false, "tenaza.service"], ["--user", false, "user.service"], ["--system", true, "both"]]) {
        const r = await tenaza("service", "install", scope, "--print", ...(socket ? ["--socket"] : []));
        assert.equal(r.code, 0, r.err);
        const text = socket ? r.out.slice(r.out.indexOf("\n\n[Unit]\nDescription=Port") + 2) : r.out;
        const f = join(root, socket ? "tenaza.socket" : name);
        writeFileSync(f, text);
        files.push(f);
    }
    const v = await run("systemd-analyze", ["verify", "--man=no", files[0], files[2]]);
    assert.equal(v.code, 0, v.out + v.err);
    assert.equal((v.out + v.err).trim(), "");
    const s = await run("systemd-analyze", ["security", "--offline=true", "--threshold=20", files[0]]);
    assert.equal(s.code, 0, s.out);
    assert.match(s.out, /Overall exposure level for tenaza.service: [01]\.\d OK/);
}));

test("wrong words", async () => {
    assert.match((await tenaza("service")).err, /service needs install, status or uninstall/);
    assert.match((await tenaza("service", "install", "--system", "--user")).err, /exclude each other/);
    const r = await run(join(build, "tenaza"), ["service", "install", "--user"], { HOME: "", XDG_CONFIG_HOME: "" });
    assert.equal(r.code, 2);
    assert.match(r.err, /no home directory/);
});
