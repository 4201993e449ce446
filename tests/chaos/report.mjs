// report.mjs: the account of a chaos run as Markdown. Used by run.mjs; docs/chaos-report.md is one.

const COLUMNS = ["sent", "accepted", "answered", "reported", "lost", "doubled", "unsure", "repeats"];
const WIDTH = 118;

function table(head, rows) {
    return [`| ${head.join(" | ")} |`, `|${head.map((_, i) => (i ? "---:" : "---")).join("|")}|`, ...rows.map((r) => `| ${r.join(" | ")} |`)];
}

// "irc irc-1-ab: why" ... -> each reason once, with all its messages.
export function grouped(lines) {
    const groups = new Map();
    for (const line of lines) {
        const [, source, id, why] = /^(\S+) (\S+): (.*)$/.exec(line);
        const key = `${source}, ${why}`;
        groups.set(key, [...(groups.get(key) ?? []), id.replace(`${source}-`, "")]);
    }
    const out = [];
    for (const [key, ids] of [...groups].sort()) {
        out.push(`- ${key}: ${ids.length}`);
        let row = "  ";
        for (const id of ids) {
            if (row.length + id.length + 2 > WIDTH) {
                out.push(row);
                row = "  ";
            }
            row += (row.trim() ? ", " : "") + id;
        }
        out.push(row);
    }
    return out;
}

export function print(r) {
    const sources = Object.keys(r.rows).sort();
    const sum = (c) => sources.reduce((n, s) => n + r.rows[s][c], 0);
    return [
        `${r.kills} processes killed in ${r.seconds} s (seed ${r.seed}), ${r.starts} starts of the gateway, ${r.cores} cores`, "",
        ...table(["source", ...COLUMNS], [...sources.map((s) => [s, ...COLUMNS.map((c) => r.rows[s][c])]), ["all", ...COLUMNS.map(sum)]]), "",
        ...table(["killed", "times", "slowest return ms"], r.victims.map((v) => [v.kind, v.kills, v.worst ?? "-"])), "",
        `slowest answer ${r.slowest.ms} ms after its acceptance (${r.slowest.id})`, "",
        `outbox: ${r.outbox.unknown} unknown, ${r.outbox.dead} dead, ${r.outbox.open} open`, "",
        `store: received ${r.store?.received}, answered ${r.store?.answered}, failed ${r.store?.failed}; check: ${r.findings || "clean"}`, "",
        ...(r.reports.length ? ["Reported:", "", ...grouped(r.reports), ""] : []),
        ...(r.faults.length ? ["FAULTS:", "", ...r.faults.map((x) => `- ${x}`), ""] : []),
        r.good ? "result: nothing lost, nothing doubled" : "result: NOT GOOD",
    ].join("\n");
}
