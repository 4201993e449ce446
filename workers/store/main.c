/*
 * main.c: the store process.
 * Runs in: store.     Owns: the server and the line that `tenaza status` shows.
 * Never: product logic.
 * Tested in: the scenarios
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/crypto.h"
#include "common/err.h"
#include "workers/runtime/worker.h"
#include "workers/store/server.h"
#include "workers/store/tool.h"

#define STATUS_MS 10000

struct ctx {
    struct server *server;
    struct loop_timer status;
    char dir[300];
};

static void on_fatal(void *ctx, int exit_code, const char *why)
{
    worker_fail(ctx, exit_code, "%s", why);
}

static void on_status(void *ctx)
{
    struct worker *w = ctx;
    struct ctx *c = worker_ctx(w);
    struct store *s = server_store(c->server);
    const char *bad = store_degraded(s);
    if (bad[0] != '\0') {
        worker_status(w, "%s", bad);
    } else {
        worker_status(w, "%" PRIu64 " requests, %" PRIu64 " commits", server_requests(c->server), store_commits(s));
    }
    loop_timer_start(&c->status, STATUS_MS);
}

static int init(struct worker *w)
{
    char endpoint[160];
    char text[512];
    struct ctx *c = xcalloc(1, sizeof(*c));
    worker_set_ctx(w, c);
    crypto_init();
    loop_timer_init(&c->status, worker_loop(w), on_status, w);
    worker_endpoint(w, "store/sock", endpoint, sizeof(endpoint));
    (void)snprintf(c->dir, sizeof(c->dir), "%s/db", worker_state_dir(w));
    struct store_conf conf = store_conf_read(worker_conf(w), c->dir);
    int code = server_new(worker_loop(w), endpoint, &conf, on_fatal, w, &c->server, text, sizeof(text));
    if (code != 0) {
        worker_fail(w, code, "%s", text);
        return code;
    }
    worker_ready(w);
    loop_timer_start(&c->status, 1000);
    return 0;
}

static void stop(struct worker *w)
{
    struct ctx *c = worker_ctx(w);
    if (c != NULL) {
        loop_timer_stop(&c->status);
        server_free(c->server);
        xfree(c);
    }
}

static void reconfigure(struct worker *w)
{
    struct ctx *c = worker_ctx(w);
    struct store_conf conf = store_conf_read(worker_conf(w), c->dir);
    server_reconfigure(c->server, &conf);
}

static void peer(struct worker *w, bool up, const char *name, uint64_t inc, int32_t pid)
{
    struct ctx *c = worker_ctx(w);
    if (c != NULL && c->server != NULL) {
        server_peer(c->server, up, name, inc, pid);
    }
}

static void quiet(struct worker *w)
{
    struct ctx *c = worker_ctx(w);
    if (c != NULL && c->server != NULL) {
        store_quiet(server_store(c->server));
    }
}

int main(int argc, char **argv)
{
    if (argc > 1 && argv[1][0] != '-') {
        return tool_main(argc, argv);
    }
    static const struct worker_ops ops = {
        .kind = "store", .planes = PLANES_NONE, .init = init, .stop = stop, .quiet = quiet, .reconfigure = reconfigure, .peer = peer};
    return worker_main(argc, argv, &ops);
}
