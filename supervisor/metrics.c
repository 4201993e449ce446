/*
 * metrics.c: the numbers of all workers as Prometheus text and as JSON.
 * Runs in: supervisor.     Owns: nothing.
 * Never: wakes or asks a worker: counters are read from shared memory, the rest from /proc.
 * Tested in: tests/unit/supervisor/test_metrics.c, tests/scn/o2-metrics.test.mjs
 */
#include "supervisor/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/file.h"
#include "common/log.h"
#include "supervisor/sup.h"
#include "supervisor/usage.h"

#define TEXT_MAX_BYTES ((size_t)4 * 1024 * 1024)

static const double limits_s[HISTOGRAM_LIMITS] = {1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1, 3, 10, 60};

static bool has_row(const struct child *c, const struct counter_row *row)
{
    return strcmp(row->worker, "all") == 0 || strcmp(row->worker, c->kind->name) == 0;
}

static bool in_seconds(const struct counter_row *row)
{
    return sv_ends(sv_of(row->family), SV("_seconds"));
}

/* Seconds since the real time (ms) in an AGE cell. */
static double age_s(uint64_t since_ms)
{
    int64_t age = since_ms == 0 || since_ms > INT64_MAX ? 0 : clock_real_ms() - (int64_t)since_ms;
    return age > 0 ? (double)age / 1000 : 0;
}

/* ---- Prometheus ----------------------------------------------------------------------------------------- */

static void put_head(struct buf *out, const char *family, const char *type, const char *help)
{
    (void)buf_printf(out, "# HELP tenaza_%s %s.\n# TYPE tenaza_%s %s\n", family, help, family, type);
}

/* worker="irc/default",kind="channel": names are checked when the configuration is read, but a quote stays harmless. */
static void put_labels(struct buf *out, const struct child *c, const char *more)
{
    (void)buf_str(out, "{worker=");
    (void)buf_json_str(out, sv_of(c->name));
    (void)buf_printf(out, ",kind=\"%s\"%s%s", c->kind->name, more[0] ? "," : "", more);
}

static void put_histogram(struct buf *out, const struct child *c, const struct counter_row *row)
{
    struct histogram h;
    uint64_t sum = 0;

    evidence_histogram(c, row, &h);
    for (size_t i = 0; i <= HISTOGRAM_LIMITS; i++) {
        sum += h.buckets[i];
        (void)buf_printf(out, "tenaza_%s_bucket", row->family);
        put_labels(out, c, row->labels);
        if (i < HISTOGRAM_LIMITS) {
            (void)buf_printf(out, ",le=\"%g\"} %" PRIu64 "\n", limits_s[i], sum);
        } else {
            (void)buf_printf(out, ",le=\"+Inf\"} %" PRIu64 "\n", sum);
        }
    }
    (void)buf_printf(out, "tenaza_%s_sum", row->family);
    put_labels(out, c, row->labels);
    (void)buf_printf(out, "} %.6f\ntenaza_%s_count", (double)h.sum_us / 1e6, row->family);
    put_labels(out, c, row->labels);
    (void)buf_printf(out, "} %" PRIu64 "\n", sum);
}

static void put_row(struct buf *out, const struct child *c, const struct counter_row *row)
{
    if (row->kind == CK_HISTOGRAM) {
        put_histogram(out, c, row);
        return;
    }
    uint64_t v = evidence_cell(c, row);
    (void)buf_printf(out, "tenaza_%s", row->family);
    put_labels(out, c, row->labels);
    if (row->kind == CK_AGE) {
        (void)buf_printf(out, "} %.3f\n", age_s(v));
    } else if (in_seconds(row)) {
        (void)buf_printf(out, "} %.6f\n", (double)v / 1e6);
    } else {
        (void)buf_printf(out, "} %" PRIu64 "\n", v);
    }
}

static const char *type_of(const struct counter_row *row)
{
    return row->kind == CK_HISTOGRAM                              ? "histogram"
           : row->kind == CK_COUNTER || row->kind == CK_TOTAL ? "counter"
                                                                  : "gauge";
}

static void put_rows(const struct sup *s, struct buf *out)
{
    for (unsigned i = 0; i < counter_rows_n; i++) {
        const struct counter_row *row = &counter_rows[i];
        if (row->help[0] != '\0') {
            put_head(out, row->family, type_of(row), row->help);
        }
        for (size_t k = 0; k < s->child_n; k++) {
            if (has_row(s->children[k], row)) {
                put_row(out, s->children[k], row);
            }
        }
    }
}

/* One family about each worker that the supervisor knows itself. */
struct own_row {
    const char *family, *type, *help;
    double (*value)(const struct child *c, const struct usage *u);
};

static double v_up(const struct child *c, const struct usage *u)
{
    UNUSED(u);
    return c->life.state == LS_READY;
}

static double v_restarts(const struct child *c, const struct usage *u)
{
    UNUSED(u);
    return c->restarts;
}

static double v_memory(const struct child *c, const struct usage *u)
{
    UNUSED(c);
    return (double)u->rss_kb * 1024;
}

static double v_cpu(const struct child *c, const struct usage *u)
{
    UNUSED(c);
    return (double)u->cpu_ms / 1000;
}

static double v_start(const struct child *c, const struct usage *u)
{
    UNUSED(u);
    return c->pid == 0 ? 0 : (double)(clock_real_ms() - (clock_mono_ms() - c->started_ms)) / 1000;
}

static double v_output(const struct child *c, const struct usage *u)
{
    UNUSED(u);
    return (double)c->evidence.out.lines_total;
}

static double v_left_out(const struct child *c, const struct usage *u)
{
    UNUSED(u);
    return (double)c->evidence.out.left_out_total;
}

static const struct own_row own_rows[] = {
    {"worker_up", "gauge", "1 while the worker is ready", v_up},
    {"worker_restarts_total", "counter", "Times the worker was started again", v_restarts},
    {"worker_resident_memory_bytes", "gauge", "Memory of the worker that is in RAM, shared pages counted whole", v_memory},
    {"worker_cpu_seconds_total", "counter", "Processor time of this process of the worker", v_cpu},
    {"worker_start_time_seconds", "gauge", "Start of this process of the worker, seconds since 1970", v_start},
    {"worker_output_lines_total", "counter", "Lines it wrote to stdout or stderr instead of its log", v_output},
    {"worker_output_left_out_total", "counter", "Lines of these that were too many for the log", v_left_out},
};

static void put_own(const struct sup *s, struct buf *out, const struct usage *used)
{
    for (size_t i = 0; i < ARRAY_LEN(own_rows); i++) {
        const struct own_row *row = &own_rows[i];
        put_head(out, row->family, row->type, row->help);
        for (size_t k = 0; k < s->child_n; k++) {
            (void)buf_printf(out, "tenaza_%s", row->family);
            put_labels(out, s->children[k], "");
            (void)buf_printf(out, "} %.15g\n", row->value(s->children[k], &used[k]));
        }
    }
    put_head(out, "worker_state", "gauge", "1 for the state of the life cycle that the worker is in");
    for (size_t k = 0; k < s->child_n; k++) {
        (void)buf_str(out, "tenaza_worker_state");
        put_labels(out, s->children[k], "");
        (void)buf_printf(out, ",state=\"%s\"} 1\n", life_state_text(s->children[k]->life.state));
    }
}

void metrics_text(const struct sup *s, struct buf *out)
{
    struct usage *used = xcalloc(s->child_n + 1, sizeof *used);

    for (size_t k = 0; k < s->child_n; k++) {
        const struct child *c = s->children[k];
        used[k] = usage_of(c->pid);
        if (c->pid != 0 && used[k].rss_kb == 0) { /* /proc hides it from us: what it said itself */
            used[k] = (struct usage){c->beat_rss_kb, c->beat_cpu_ms};
        }
    }
    put_head(out, "build_info", "gauge", "Version of this build");
    (void)buf_str(out, "tenaza_build_info{version=\"" TENAZA_VERSION "\"} 1\n");
    put_head(out, "start_time_seconds", "gauge", "Start of the supervisor, seconds since 1970");
    (void)buf_printf(out, "tenaza_start_time_seconds %.3f\n",
                     (double)(clock_real_ms() - (clock_mono_ms() - s->begun_ms)) / 1000);
    put_own(s, out, used);
    put_rows(s, out);
    xfree(used);
}

/* ---- JSON ----------------------------------------------------------------------------------------------- */

/* Upper limit of the bucket where this part of the samples ends, in us; 0 without samples. */
static int64_t quantile(const struct histogram *h, double p)
{
    static const int64_t limits[] = HISTOGRAM_LIMITS_US;
    uint64_t all = 0, sum = 0;

    for (size_t i = 0; i < ARRAY_LEN(h->buckets); i++) {
        all += h->buckets[i];
    }
    for (size_t i = 0; i < HISTOGRAM_LIMITS; i++) {
        sum += h->buckets[i];
        if (all > 0 && (double)sum >= p * (double)all) {
            return limits[i];
        }
    }
    return all > 0 ? limits[HISTOGRAM_LIMITS - 1] : 0;
}

static void json_row(struct buf *out, const struct child *c, const struct counter_row *row)
{
    if (row->kind == CK_HISTOGRAM) {
        struct histogram h;
        uint64_t n = 0;
        evidence_histogram(c, row, &h);
        for (size_t i = 0; i < ARRAY_LEN(h.buckets); i++) {
            n += h.buckets[i];
        }
        (void)buf_printf(out, "\"%s\":{\"count\":%" PRIu64 ",\"sumUs\":%" PRIu64 ",\"p50Us\":%" PRId64 ",\"p99Us\":%" PRId64 "}",
                         row->name, n, h.sum_us, quantile(&h, .5), quantile(&h, .99));
        return;
    }
    uint64_t v = evidence_cell(c, row);
    if (row->kind == CK_AGE) {
        (void)buf_printf(out, "\"%s\":%.3f", row->name, age_s(v));
    } else if (in_seconds(row)) {
        (void)buf_printf(out, "\"%s\":%.6f", row->name, (double)v / 1e6);
    } else {
        (void)buf_printf(out, "\"%s\":%" PRIu64, row->name, v);
    }
}

void metrics_json(const struct sup *s, struct buf *out)
{
    (void)buf_str(out, "{\"workers\":[");
    for (size_t k = 0; k < s->child_n; k++) {
        const struct child *c = s->children[k];
        bool first = true;
        (void)buf_str(out, k > 0 ? ",{\"name\":" : "{\"name\":");
        (void)buf_json_str(out, sv_of(c->name));
        (void)buf_str(out, ",\"counters\":{");
        for (unsigned i = 0; i < counter_rows_n; i++) {
            if (has_row(c, &counter_rows[i])) {
                (void)buf_str(out, first ? "" : ",");
                json_row(out, c, &counter_rows[i]);
                first = false;
            }
        }
        (void)buf_str(out, "}}");
    }
    (void)buf_str(out, "]}");
}

/* ---- the edge asks -------------------------------------------------------------------------------------- */

void metrics_answer(struct child *c, uint64_t request)
{
    struct buf text = BUF_INIT(TEXT_MAX_BYTES);
    struct ctl_packet p = {.type = CTL_METRICS_TEXT, .num = request};
    int fd = memfd_create("tenaza-metrics", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    metrics_text(c->sup, &text);
    if (fd >= 0 && fd_write_all(fd, text.p, text.n) == OK &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0) {
        int rc = ctl_send(c->ctl, &p, fd);
        UNUSED(rc); /* its socket is full: it has a deadline and will ask again */
    } else {
        log_warn("%s: the metrics cannot be handed over: %s", c->name, strerror(errno));
    }
    fd_close(&fd);
    buf_free(&text);
}
