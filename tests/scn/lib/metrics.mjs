// metrics.mjs: a strict reader of Prometheus' text format 0.0.4. Throws at the first thing that is wrong.
// Used by o2-metrics.test.mjs.
const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*/;

function parseLabels(text, line) {
    const labels = {};
    let rest = text;
    while (rest !== "") {
        const m = rest.match(/^([a-zA-Z_][a-zA-Z0-9_]*)="((?:\\[\\"n]|[^\\"\n])*)"(,|$)/);
        if (!m) throw new Error(`labels: ${line}`);
        if (m[1] in labels) throw new Error(`label twice: ${line}`);
        labels[m[1]] = m[2];
        rest = rest.slice(m[0].length);
    }
    return labels;
}

function checkHistograms(families, samples) {
    for (const [name, f] of families) {
        if (f.type !== "histogram") continue;
        const series = new Map();
        for (const s of samples.filter((x) => x.name === `${name}_bucket`)) {
            const { le, ...rest } = s.labels;
            const key = JSON.stringify(rest);
            if (!series.has(key)) series.set(key, []);
            series.get(key).push([le === "+Inf" ? Infinity : Number(le), s.value]);
        }
        for (const [key, list] of series) {
            for (let i = 1; i < list.length; i++) {
                if (!(list[i][0] > list[i - 1][0] && list[i][1] >= list[i - 1][1])) throw new Error(`buckets of ${name} ${key}`);
            }
            if (list.at(-1)[0] !== Infinity) throw new Error(`no +Inf: ${name}`);
            const count = samples.find((x) => x.name === `${name}_count` && JSON.stringify(x.labels) === key);
            if (!count || count.value !== list.at(-1)[1]) throw new Error(`count of ${name} ${key}`);
        }
    }
}

export function parseMetrics(text) {
    const families = new Map();
    const samples = [];
    const seen = new Set();
    let family = null;
    if (!text.endsWith("\n")) throw new Error("no newline at the end");
    for (const line of text.slice(0, -1).split("\n")) {
        const head = line.match(/^# (HELP|TYPE) (\S+) (.+)$/);
        if (head) {
            if (head[1] === "HELP") {
                if (families.has(head[2])) throw new Error(`family twice: ${line}`);
                families.set(head[2], { help: head[3], type: null });
                family = head[2];
            } else {
                if (family !== head[2]) throw new Error(`TYPE without HELP: ${line}`);
                families.get(family).type = head[3];
            }
            continue;
        }
        const name = line.match(NAME)?.[0];
        const m = line.match(/^[^{ ]+(?:\{(.*)\})? (\S+)$/);
        if (!name || !m || Number.isNaN(Number(m[2]))) throw new Error(`sample: ${line}`);
        const type = families.get(family)?.type;
        const ok = type === "histogram" ? [`${family}_bucket`, `${family}_sum`, `${family}_count`].includes(name) : name === family;
        if (!ok) throw new Error(`${line} stands in family ${family}`);
        if ((type === "counter") !== family.endsWith("_total")) throw new Error(`${family} is a ${type}`);
        const labels = parseLabels(m[1] ?? "", line);
        const key = name + JSON.stringify(labels);
        if (seen.has(key)) throw new Error(`series twice: ${line}`);
        seen.add(key);
        samples.push({ name, labels, value: Number(m[2]) });
    }
    checkHistograms(families, samples);
    return { families, samples };
}
