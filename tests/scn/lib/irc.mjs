// irc.mjs: a real ngircd on a free port, and a person's IRC client.
import { connect } from "node:net";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { existsSync } from "node:fs";
import { Proc, freePort, until } from "./gateway.mjs";

export class Ngircd {
    static async start({ port = null } = {}) {
        const n = new Ngircd();
        n.port = port || (await freePort());
        n.dir = mkdtempSync(join(tmpdir(), "tenaza-ngircd-"));
        const conf = join(n.dir, "ng.conf");
        writeFileSync(conf, [
            "[Global]", "Name = irc.test", "Info = test", "Listen = 127.0.0.1", `Ports = ${n.port}`,
            "ServerUID = 65534", "ServerGID = 65534",
            "[Limits]", "MaxConnectionsIP = 0", "MaxNickLength = 20", "PingTimeout = 120",
            "[Options]", "DNS = no", "Ident = no", "PAM = no", ""].join("\n"));
        n.conf = conf;
        await n.up();
        return n;
    }
    async up() {
        const file = ["/usr/sbin/ngircd", "/usr/bin/ngircd"].find(existsSync);
        this.proc = new Proc(file, ["-n", "-f", this.conf]);
        await until("ngircd listening", () => new Promise((done, fail) => {
            const s = connect(this.port, "127.0.0.1", () => (s.destroy(), done(true)));
            s.on("error", fail);
        }));
    }
    async stop() {
        await this.proc.stop();
        rmSync(this.dir, { recursive: true, force: true });
    }
}

export class Person {
    static async join(port, nick, channel = null) {
        const p = new Person();
        p.nick = nick;
        p.lines = [];
        p.socket = connect(port, "127.0.0.1");
        p.socket.setEncoding("utf8");
        let rest = "";
        p.socket.on("data", (d) => {
            const parts = (rest + d).split("\r\n");
            rest = parts.pop();
            for (const line of parts) {
                if (line.startsWith("PING")) p.send("PONG" + line.slice(4));
                p.lines.push(line);
            }
        });
        p.socket.on("error", () => {});
        p.send(`NICK ${nick}`);
        p.send(`USER ${nick} 0 * :${nick}`);
        await until(`${nick} registered`, () => p.lines.some((l) => / 001 /.test(l)));
        if (channel) {
            p.send(`JOIN ${channel}`);
            await until(`${nick} in ${channel}`, () => p.lines.some((l) => / 366 /.test(l)));
        }
        return p;
    }
    send(line) {
        this.socket.write(line + "\r\n");
    }
    say(to, text) {
        this.send(`PRIVMSG ${to} :${text}`);
    }
    // Messages from `nick` to `target` (our nick by default), texts only.
    heard(from, target = this.nick) {
        const out = [];
        for (const l of this.lines) {
            const m = /^:([^!]+)![^ ]+ PRIVMSG ([^ ]+) :(.*)$/.exec(l);
            if (m && m[1] === from && m[2].toLowerCase() === target.toLowerCase()) out.push(m[3]);
        }
        return out;
    }
    leave() {
        this.socket.destroy();
    }
}
