/*
 * fake_llm.c: a scripted model server that speaks OpenAI Chat Completions and Anthropic Messages.
 * Runs in: tests and bench only (build/tests/fakes/fake_llm; never installed).     Owns: its port, its log of requests.
 * Never: leaves loopback, pretends to be a model for people.
 * Tested in: tests/fakes/test_fake_llm.c; used by tests/scn and tests/bench
 *
 * fake_llm --port N [--port-file FILE] [--log FILE] [--key KEY] [--no-ollama]
 *   --port 0 takes any free port; --port-file gets the number when the server listens. --log gets one JSON
 *   line per request. With --key, /v1/... needs "Authorization: Bearer KEY" or "x-api-key: KEY", else 401.
 *   Ends on SIGTERM, SIGINT, or when its parent dies.
 *
 * Routes
 *   POST /v1/chat/completions  OpenAI, "stream": true (SSE) or not; stream_options.include_usage is honoured
 *   POST /v1/messages          Anthropic, likewise; needs the anthropic-version header and max_tokens
 *   GET  /v1/models            one model, "fake-1"
 *   GET  /api/tags             the same model as Ollama lists it (404 with --no-ollama)
 *   GET  /__log                {"count", "aborted", "active", "requests": [{"path", "status", "stream", "user", "body"}]}
 *                              count: model requests since the start or reset; aborted: answers whose client
 *                              went away first; requests: the last 128, oldest first
 *   POST /__reset              forgets the log and the FAILONCE keys
 * Requests of a shape that the real services refuse (tool messages without their calls, empty text blocks,
 * missing fields) get their 400.
 *
 * The last user message decides. A directive is a word of its own anywhere in it, the last of its kind counts:
 *   (nothing)            "echo: <text>" in up to four chunks
 *   SLOW n               "echo: <text> chunk 2 chunk 3 ..." in n chunks, 100 ms between them
 *   DELAY ms             waits before the first byte; goes together with the others
 *   LONG n               n bytes of numbered words
 *   TOOL name {json}     asks for this tool; when its result comes, "tool said: <result>"
 *   STATUS code          this HTTP status with an error body (429 and 503 with Retry-After: 1)
 *   FAILONCE code key    STATUS for the first request with this key, then the echo
 *   BREAK n              n chunks, then the connection is closed in mid-answer (0: before any answer)
 *   HANG                 never answers
 *   GARBAGE              an event stream of broken JSON
 *   NOTEXT               a complete answer without text
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/err.h"
#include "common/file.h"
#include "common/map.h"
#include "tests/fakes/fake_dialect.h"

#define LOG_KEEP 128
#define LOG_BODY_MAX (512ul * 1024)
#define PARENT_CHECK_MS 500

struct entry {
    char path[64];
    int status;
    bool stream;
    char *user, *body; /* body: valid JSON text or NULL */
};

static struct {
    struct loop *loop;
    sv key;
    bool ollama;
    int log_fd;
    pid_t parent;
    struct loop_timer parent_timer;
    ev_signal term, intr;
    struct entry ring[LOG_KEEP];
    unsigned long count, aborted, active, serial;
} fake = {.ollama = true, .log_fd = -1};

/* ---- the log ------------------------------------------------------------------------------------------ */

static void entry_clear(struct entry *e)
{
    xfree(e->user);
    xfree(e->body);
    *e = (struct entry){.user = NULL};
}

static void entry_print(struct buf *b, const struct entry *e)
{
    buf_str(b, "{\"path\":");
    buf_json_str(b, sv_of(e->path));
    buf_printf(b, ",\"status\":%d,\"stream\":%s,\"user\":", e->status, e->stream ? "true" : "false");
    buf_json_str(b, sv_of(e->user));
    buf_printf(b, ",\"body\":%s}", e->body ? e->body : "null");
}

static void log_add(const struct fh_req *r, int status, bool stream, sv user, bool valid)
{
    struct entry *e = &fake.ring[fake.count++ % LOG_KEEP];
    entry_clear(e);
    (void)sv_copy(e->path, sizeof e->path, r->path);
    e->status = status;
    e->stream = stream;
    e->user = xsvdup(user);
    e->body = valid && r->body.n <= LOG_BODY_MAX ? xsvdup(r->body) : NULL;
    if (fake.log_fd >= 0) {
        struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(64ul * 1024 * 1024);
        entry_print(&b, e);
        buf_ch(&b, '\n');
        if (fd_write_all(fake.log_fd, b.p, b.n) != OK) {
            die(EXIT_TEMPFAIL, "cannot write the log: %s", strerror(errno));
        }
    }
}

static void log_show(struct fh_conn *c)
{
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(256ul * 1024 * 1024);
    unsigned long first = fake.count > LOG_KEEP ? fake.count - LOG_KEEP : 0;
    buf_printf(&b, "{\"count\":%lu,\"aborted\":%lu,\"active\":%lu,\"requests\":[", fake.count, fake.aborted, fake.active);
    for (unsigned long i = first; i < fake.count; i++) {
        buf_str(&b, i > first ? "," : "");
        entry_print(&b, &fake.ring[i % LOG_KEEP]);
    }
    buf_str(&b, "]}");
    fh_answer(c, 200, "", buf_view(&b));
}

static void log_reset(void)
{
    for (size_t i = 0; i < LOG_KEEP; i++) {
        entry_clear(&fake.ring[i]);
    }
    fake.count = fake.aborted = 0;
    plan_forget();
}

/* ---- one answer ----------------------------------------------------------------------------------------- */

struct job {
    struct fh_conn *c;
    const struct dialect *d;
    struct loop_timer timer;
    struct plan plan;
    struct answer a;
    char *model;
    bool stream, begun;
    size_t next; /* chunk */
};

static void job_free(struct job *j)
{
    loop_timer_stop(&j->timer);
    plan_free(&j->plan);
    xfree(j->model);
    xfree(j);
    fake.active--;
}

static void job_gone(void *data)
{
    fake.aborted++;
    job_free(data);
}

static void answer_error(struct fh_conn *c, const struct dialect *d, int status, const char *text)
{
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(8192);
    d->error(&b, status, text);
    fh_answer(c, status, status == 429 || status == 503 ? "Retry-After: 1\r\n" : "", buf_view(&b));
}

static void send_garbage(struct job *j)
{
    static const char garbage[] = "data: {\"choices\": [{\"delta\": {\"content\": \"half a\n\n"
                                  "data: \xff\xfe no JSON at all\n\nevent: nonsense\ndata: }{\n\n";
    if (j->stream) {
        fh_open(j->c, 200, "text/event-stream");
        fh_chunk(j->c, SV(garbage));
        fh_end(j->c);
    } else {
        fh_answer(j->c, 200, "", SV("{\"half\": "));
    }
}

/* The whole answer at once; a broken one announces more than it sends. */
static void send_whole(struct job *j)
{
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(256ul * 1024 * 1024);
    j->d->whole(&b, &j->a);
    if (j->plan.break_after < 0) {
        fh_answer(j->c, 200, "", buf_view(&b));
        return;
    }
    fh_raw(j->c, SV("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"));
    fh_raw(j->c, sv_sub(buf_view(&b), 0, b.n / 2));
    fh_close(j->c);
}

static void flush_event(struct job *j, struct buf *b)
{
    fh_chunk(j->c, buf_view(b));
    buf_reset(b);
}

/* Sends the next chunks; false when it goes on after the gap. */
static bool send_stream(struct job *j)
{
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(64ul * 1024 * 1024);
    if (!j->begun) {
        j->begun = true;
        fh_open(j->c, 200, "text/event-stream");
        j->d->begin(&b, &j->a);
        flush_event(j, &b);
    }
    while (j->plan.kind == PLAN_TEXT && j->next < j->plan.chunks) {
        if (j->plan.break_after == (long)j->next) {
            fh_close(j->c);
            return true;
        }
        j->d->text(&b, &j->a, plan_chunk(&j->plan, j->next++));
        flush_event(j, &b);
        if (j->plan.gap_ms > 0 && j->next < j->plan.chunks) {
            loop_timer_start(&j->timer, j->plan.gap_ms);
            return false;
        }
    }
    if (j->plan.kind == PLAN_TOOL) {
        j->d->tool(&b, &j->a);
        flush_event(j, &b);
    }
    j->d->end(&b, &j->a);
    flush_event(j, &b);
    fh_end(j->c);
    return true;
}

static void job_step(void *ctx)
{
    struct job *j = ctx;
    char text[64];
    if (j->plan.kind == PLAN_HANG) {
        return; /* until the client gives up */
    }
    if (j->plan.kind == PLAN_STATUS) {
        (void)snprintf(text, sizeof text, "fake model says %d", j->plan.status);
        answer_error(j->c, j->d, j->plan.status, text);
    } else if (j->plan.kind == PLAN_GARBAGE) {
        send_garbage(j);
    } else if (j->plan.break_after == 0) {
        fh_close(j->c);
    } else if (!j->stream) {
        send_whole(j);
    } else if (!send_stream(j)) {
        return;
    }
    job_free(j);
}

static void job_start(struct fh_conn *c, const struct dialect *d, const json_t *body, struct plan plan, size_t in_bytes)
{
    struct job *j = xcalloc(1, sizeof *j);
    j->c = c;
    j->d = d;
    j->plan = plan;
    j->model = xsvdup(json_sv(body, "model"));
    j->stream = json_flag(body, "stream", false);
    j->a = (struct answer){.serial = ++fake.serial, .model = j->model, .in_bytes = in_bytes, .plan = &j->plan,
                           .usage_wanted = json_flag(body, "stream_options.include_usage", false)};
    fake.active++;
    loop_timer_init(&j->timer, fake.loop, job_step, j);
    fh_attach(c, j, job_gone);
    int64_t wait = plan.delay_ms;
    if (!j->stream && plan.chunks > 1) {
        wait += plan.gap_ms * (int64_t)(plan.chunks - 1);
    }
    if (wait > 0) {
        loop_timer_start(&j->timer, wait);
    } else {
        job_step(j);
    }
}

static bool key_ok(const struct fh_req *r)
{
    sv bearer = fh_header(r, "authorization");
    if (sv_starts(bearer, SV("Bearer "))) {
        bearer = sv_sub(bearer, 7, bearer.n);
    }
    return !fake.key.p || sv_eq(bearer, fake.key) || sv_eq(fh_header(r, "x-api-key"), fake.key);
}

static void model_request(struct fh_conn *c, const struct fh_req *r, const struct dialect *d)
{
    struct buf user ATTR_CLEANUP(buf_free) = BUF_INIT(r->body.n + 64);
    struct buf result ATTR_CLEANUP(buf_free) = BUF_INIT(r->body.n + 64);
    char err[160];
    json_t *body ATTR_CLEANUP(json_free) = json_parse(r->body, err, sizeof err);
    const char *bad = !body ? err : d->check(body, r);
    int status = !key_ok(r) ? 401 : bad ? 400 : 200;
    bool tool = body && d->last(body, &user, &result);
    if (status != 200) {
        log_add(r, status, json_flag(body, "stream", false), buf_view(&user), body != NULL);
        answer_error(c, d, status, status == 401 ? "Incorrect API key provided" : bad);
        return;
    }
    struct plan plan;
    plan_make(&plan, buf_view(&user), tool ? sv_mem(result.p ? result.p : "", result.n) : SV_NULL);
    log_add(r, plan.kind == PLAN_STATUS ? plan.status : 200, json_flag(body, "stream", false), buf_view(&user), true);
    job_start(c, d, body, plan, r->body.n);
}

/* ---- routes ----------------------------------------------------------------------------------------------- */

static void openai(struct fh_conn *c, const struct fh_req *r)
{
    model_request(c, r, &dialect_openai);
}

static void anthropic(struct fh_conn *c, const struct fh_req *r)
{
    model_request(c, r, &dialect_anthropic);
}

static void models(struct fh_conn *c, const struct fh_req *r)
{
    if (!key_ok(r)) {
        answer_error(c, &dialect_openai, 401, "Incorrect API key provided");
        return;
    }
    fh_answer(c, 200, "", SV("{\"object\":\"list\",\"data\":[{\"id\":\"fake-1\",\"object\":\"model\",\"type\":\"model\","
                             "\"created\":1700000000,\"owned_by\":\"tests\"}]}"));
}

static void tags(struct fh_conn *c, const struct fh_req *r)
{
    UNUSED(r);
    if (fake.ollama) {
        fh_answer(c, 200, "", SV("{\"models\":[{\"name\":\"fake-1\",\"model\":\"fake-1\",\"size\":1,"
                                 "\"modified_at\":\"2026-01-01T00:00:00Z\",\"details\":{\"family\":\"fake\"}}]}"));
    } else {
        fh_answer(c, 404, "", SV("{\"error\":\"not found\"}"));
    }
}

static void show_log(struct fh_conn *c, const struct fh_req *r)
{
    UNUSED(r);
    log_show(c);
}

static void reset(struct fh_conn *c, const struct fh_req *r)
{
    UNUSED(r);
    log_reset();
    fh_answer(c, 200, "", SV("{\"ok\":true}"));
}

static const struct {
    const char *method, *path;
    fh_handler *fn;
} ROUTES[] = {
    {"POST", "/v1/chat/completions", openai}, {"POST", "/v1/messages", anthropic}, {"GET", "/v1/models", models},
    {"GET", "/api/tags", tags},               {"GET", "/__log", show_log},         {"POST", "/__reset", reset},
};

static void route(struct fh_conn *c, const struct fh_req *r)
{
    for (size_t i = 0; i < ARRAY_LEN(ROUTES); i++) {
        if (sv_eqc(r->path, ROUTES[i].path) && sv_eqc(r->method, ROUTES[i].method)) {
            ROUTES[i].fn(c, r);
            return;
        }
    }
    fh_answer(c, 404, "", SV("{\"error\":{\"message\":\"no such route\",\"type\":\"invalid_request_error\"}}"));
}

/* ---- life ---------------------------------------------------------------------------------------------------- */

static void on_signal(struct ev_loop *ev, ev_signal *w, int revents)
{
    UNUSED(ev);
    UNUSED(w);
    UNUSED(revents);
    loop_stop(fake.loop);
}

/* Not PR_SET_PDEATHSIG: that follows the thread which started us, not the process. */
static void check_parent(void *ctx)
{
    UNUSED(ctx);
    if (getppid() != fake.parent) {
        loop_stop(fake.loop);
        return;
    }
    loop_timer_start(&fake.parent_timer, PARENT_CHECK_MS);
}

static void usage(void)
{
    (void)fprintf(stderr, "usage: fake_llm --port N [--port-file FILE] [--log FILE] [--key KEY] [--no-ollama]\n");
    exit(EXIT_USAGE);
}

struct args {
    uint64_t port;
    const char *port_file, *log;
};

static struct args parse_args(int argc, char **argv)
{
    struct args a = {.port = UINT64_MAX};
    for (int i = 1; i < argc; i++) {
        sv opt = sv_of(argv[i]);
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (sv_eqc(opt, "--no-ollama")) {
            fake.ollama = false;
            continue;
        }
        if (!value) {
            usage();
        }
        i++;
        if (sv_eqc(opt, "--port") && sv_u64(sv_of(value), &a.port)) {
            continue;
        }
        if (sv_eqc(opt, "--port-file")) {
            a.port_file = value;
        } else if (sv_eqc(opt, "--log")) {
            a.log = value;
        } else if (sv_eqc(opt, "--key")) {
            fake.key = sv_of(value);
        } else {
            usage();
        }
    }
    if (a.port > UINT16_MAX) {
        usage();
    }
    return a;
}

int main(int argc, char **argv)
{
    struct args a = parse_args(argc, argv);
    fake.parent = getppid();
    fake.loop = loop_new();
    if (a.log) {
        fake.log_fd = open(a.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (fake.log_fd < 0) {
            die(EXIT_CANTCREAT, "cannot open %s: %s", a.log, strerror(errno));
        }
    }
    uint16_t port = fh_listen(fake.loop, (uint16_t)a.port, route);
    if (port == 0) {
        die(EXIT_UNAVAILABLE, "cannot listen on 127.0.0.1:%llu: %s", (unsigned long long)a.port, strerror(errno));
    }
    if (a.port_file) {
        char text[8];
        int n = snprintf(text, sizeof text, "%u\n", port);
        if (file_replace(a.port_file, sv_mem(text, (size_t)n), 0644) != OK) {
            die(EXIT_CANTCREAT, "cannot write %s: %s", a.port_file, strerror(errno));
        }
    }
    ev_signal_init(&fake.term, on_signal, SIGTERM);
    ev_signal_init(&fake.intr, on_signal, SIGINT);
    ev_signal_start(loop_ev(fake.loop), &fake.term);
    ev_signal_start(loop_ev(fake.loop), &fake.intr);
    loop_timer_init(&fake.parent_timer, fake.loop, check_parent, NULL);
    loop_timer_start(&fake.parent_timer, PARENT_CHECK_MS);
    loop_run(fake.loop);
    loop_timer_stop(&fake.parent_timer);
    ev_signal_stop(loop_ev(fake.loop), &fake.term);
    ev_signal_stop(loop_ev(fake.loop), &fake.intr);
    fh_stop();
    loop_free(fake.loop);
    log_reset();
    return 0;
}
