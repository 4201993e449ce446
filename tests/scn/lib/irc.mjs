// irc.mjs: a real ngircd on a free port, and a person's IRC client.
import { connect, createServer } from "node:net";
import { once } from "node:events";
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

// A server for one bot that does what a test wants: it may take lines and not prove that it did (no PONG to the bot's
// own PINGs), and people speak through it.
export class FakeIrcd {
    static async start() {
        const f = new FakeIrcd();
        f.lines = [];       // PRIVMSG lines of the bot, as { to, text }
        f.answers = () => true; // (number of the proof asked for) => give it?
        f.proofs = 0;
        f.sockets = new Set();
        f.server = createServer((s) => f.serve(s)).listen(0, "127.0.0.1");
        await once(f.server, "listening");
        f.port = f.server.address().port;
        return f;
    }
    serve(socket) {
        let rest = "";
        let nick = "*";
        this.sockets.add(socket);
        socket.setEncoding("utf8");
        socket.on("error", () => {});
        socket.on("close", () => this.sockets.delete(socket));
        socket.on("data", (d) => {
            const parts = (rest + d).split("\r\n");
            rest = parts.pop();
            for (const line of parts) {
                const [verb, ...args] = line.split(" ");
                if (verb === "NICK") nick = args[0].replace(/^:/, "");
                if (verb === "USER") {
                    socket.write(`:irc.test 001 ${nick} :Welcome\r\n:irc.test 422 ${nick} :no motd\r\n`);
                    this.nick = nick;
                }
                if (verb === "CAP" && args[0] === "LS") socket.write(`:irc.test CAP ${nick} LS :\r\n`);
                if (verb === "USERHOST") socket.write(`:irc.test 302 ${nick} :${args[0].replace(":", "")}=+u@h\r\n`);
                if (verb === "PRIVMSG") this.lines.push({ to: args[0], text: args.slice(1).join(" ").replace(/^:/, "") });
                if (verb === "PING") {
                    const own = /^:?tz/.test(args[0]);
                    if (!own || this.answers(++this.proofs)) socket.write(`:irc.test PONG irc.test ${args[0]}\r\n`);
                }
            }
        });
    }
    say(from, text) {
        for (const s of this.sockets) s.write(`:${from}!u@h PRIVMSG ${this.nick} :${text}\r\n`);
    }
    texts() {
        return this.lines.map((l) => l.text);
    }
    stop() {
        for (const s of this.sockets) s.destroy();
        this.server.close();
    }
}
