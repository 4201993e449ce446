/*
 * part_ingest.c: durable ingests a second through the store's socket, beside what raw LMDB commits of the same records
 * reach on the same disk in the same minute.
 * Runs in: tenaza-bench.     Owns: databases and a store process below /tmp.
 * Never: measures a store that does not sync.
 * Tested in: itself; a figure that cannot be measured ends the program with exit code 1
 *
 * The ceiling writes per message what a durable queue needs at the least: the message, its dedupe key, its place in
 * the queue; as many messages in one transaction as are in flight, at most as many as one turn of the store takes.
 */
#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/err.h"
#include "proto/wire.h"
#include "tests/bench/bench.h"
#include "tests/power/rmtree.h"
#include "workers/runtime/plane_store.h"

#define TEXT_BYTES 400 /* with its fields about 600 bytes, as architecture.md 1.1 measured */
#define SESSIONS 1000
#define ROUNDS 3       /* each with a fresh store: in each at most QUEUED_MAX messages may wait */
#define RAW_US 1500000
#define TURN_MAX 256   /* requests of one turn (server.c) */

static const struct {
    int in_flight, messages;
} levels[] = {{1, 600}, {32, 6000}, {512, 9000}};

static char body_text[TEXT_BYTES + 1];

/* One of SESSIONS people; each has a conversation of his own. */
static struct msg_ingest message(char id[32], char sender[32], uint64_t n)
{
    (void)snprintf(id, 32, "event-%llu", (unsigned long long)n);
    (void)snprintf(sender, 32, "agent:main:%llu", (unsigned long long)(n % SESSIONS));
    return (struct msg_ingest){.channel = SV("irc"), .account = SV("default"), .event_id = sv_of(id),
                               .chat_type = SV("direct"), .chat_id = sv_of(sender), .sender_id = sv_of(sender),
                               .message_id = sv_of(id), .text = sv_of(body_text), .deliver = true,
                               .session_key = sv_of(sender), .ts_ms = clock_real_ms()};
}

/* ---- the ceiling ---- */

static void check_rc(int rc, const char *what)
{
    if (rc != 0) {
        die(1, "bench: %s: %s", what, mdb_strerror(rc));
    }
}

static void put3(MDB_txn *txn, const MDB_dbi dbi[3], uint64_t n, const struct buf *payload)
{
    char id[] = "0192f0c4-5d7e-7aaa-8bbb-123456789abc";
    uint64_t key[2] = {n * 0x9e3779b97f4a7c15u, n * 0xc2b2ae3d27d4eb4fu}; /* as good as random */
    MDB_val k[3] = {{sizeof(n), &n}, {sizeof(key), key}, {sizeof(n), &n}};
    MDB_val v[3] = {{payload->n, payload->p}, {sizeof(n), &n}, {sizeof(id) - 1, id}};
    check_rc(mdb_put(txn, dbi[0], &k[0], &v[0], MDB_APPEND), "put");
    check_rc(mdb_put(txn, dbi[1], &k[1], &v[1], 0), "put");
    check_rc(mdb_put(txn, dbi[2], &k[2], &v[2], MDB_APPEND), "put");
}

/* Messages a second; commit times go into s. */
static double raw(int batch, struct samples *s)
{
    char dir[] = "/tmp/tenaza-bench-raw-XXXXXX";
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi[3];
    uint64_t n = 0;
    char id[32];
    char key[32];
    struct msg_ingest in = message(id, key, 1);
    struct buf payload = BUF_INIT(8192);
    ASSERT(wire_encode(MSG_INGEST, &in, &payload, NULL) == OK);
    ASSERT(mkdtemp(dir) != NULL);
    check_rc(mdb_env_create(&env), "create");
    check_rc(mdb_env_set_mapsize(env, (size_t)4 << 30), "map");
    check_rc(mdb_env_set_maxdbs(env, 4), "tables");
    check_rc(mdb_env_open(env, dir, MDB_NOTLS, 0600), "open");
    check_rc(mdb_txn_begin(env, NULL, 0, &txn), "begin");
    check_rc(mdb_dbi_open(txn, "journal", MDB_CREATE | MDB_INTEGERKEY, &dbi[0]), "table");
    check_rc(mdb_dbi_open(txn, "idem", MDB_CREATE, &dbi[1]), "table");
    check_rc(mdb_dbi_open(txn, "queue", MDB_CREATE | MDB_INTEGERKEY, &dbi[2]), "table");
    check_rc(mdb_txn_commit(txn), "commit");
    int64_t t0 = clock_mono_us();
    int64_t now = t0;
    while (now - t0 < RAW_US) {
        int64_t began = now;
        check_rc(mdb_txn_begin(env, NULL, 0, &txn), "begin");
        for (int i = 0; i < batch; i++) {
            put3(txn, dbi, ++n, &payload);
        }
        check_rc(mdb_txn_commit(txn), "commit");
        now = clock_mono_us();
        sample(s, (long)(now - began));
    }
    mdb_env_close(env);
    buf_free(&payload);
    rmtree(dir);
    return (double)n / ((double)(now - t0) / 1e6);
}

/* ---- the store ---- */

struct call {
    struct drive *d;
    int64_t began;
};

struct drive {
    struct loop *loop;
    struct plane_store *plane;
    struct call calls[512];
    uint64_t sent, answered, total;
    struct samples *s;
};

static void send_next(struct drive *d, struct call *c);

static void on_answer(void *ctx, int err, uint16_t type, const void *body)
{
    struct call *c = ctx;
    struct drive *d = c->d;
    UNUSED(body);
    if (err < 0 || type != MSG_INGESTED) {
        die(1, "bench: an ingest was refused: %s", err_name(err));
    }
    sample(d->s, (long)(clock_mono_us() - c->began));
    d->answered++;
    if (d->answered == d->total) {
        loop_stop(d->loop);
    } else if (d->sent < d->total) {
        send_next(d, c);
    }
}

static void send_next(struct drive *d, struct call *c)
{
    char id[32];
    char sender[32];
    struct msg_ingest in = message(id, sender, ++d->sent);
    c->d = d;
    c->began = clock_mono_us();
    store_call(d->plane, MSG_INGEST, &in, 30000, on_answer, c);
}

static void hello(void *ctx, int err, uint16_t type, const void *body)
{
    UNUSED(type);
    UNUSED(body);
    if (err != ERR_GONE && err < 0) {
        die(1, "bench: the store does not answer: %s", err_name(err));
    }
    loop_stop(ctx);
}

static pid_t start_store(const char *build, const char *dir, const char *endpoint)
{
    char pid[32];
    char exe[400];
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    (void)snprintf(exe, sizeof(exe), "%s/tests/bench/tenaza-bench-store", build);
    pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl(exe, exe, dir, endpoint, pid, (char *)NULL);
        _exit(127);
    }
    return child;
}

/* One fresh store; messages a second. */
static double round_of(const char *build, int in_flight, int messages, struct samples *s)
{
    char dir[] = "/tmp/tenaza-bench-store-XXXXXX";
    char endpoint[100];
    static struct drive d;
    struct msg_run_get any = {.run_id = SV("none")};
    ASSERT(mkdtemp(dir) != NULL);
    (void)snprintf(endpoint, sizeof(endpoint), "ipc://%s/store.sock", dir);
    pid_t child = start_store(build, dir, endpoint);
    d = (struct drive){.loop = loop_new(), .total = (uint64_t)messages, .s = s};
    d.plane = plane_store_new(d.loop, endpoint, "edge", 1);
    store_call(d.plane, MSG_RUN_GET, &any, 20000, hello, d.loop);
    loop_run(d.loop);
    int64_t t0 = clock_mono_us();
    for (int i = 0; i < in_flight; i++) {
        send_next(&d, &d.calls[i]);
    }
    loop_run(d.loop);
    double rate = messages / ((double)(clock_mono_us() - t0) / 1e6);
    plane_store_free(d.plane);
    loop_free(d.loop);
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    rmtree(dir);
    return rate;
}

void part_ingest(const char *build)
{
    crypto_init();
    memset(body_text, 'x', TEXT_BYTES);
    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        int n = levels[i].in_flight;
        int batch = n < TURN_MAX ? n : TURN_MAX;
        struct samples own = {0};
        struct samples commits = {0};
        double rate = 0;
        double ceiling = 0;
        for (int r = 0; r < ROUNDS; r++) { /* turn by turn: the disk is not the same from one second to the next */
            ceiling += raw(batch, &commits) / ROUNDS;
            rate += round_of(build, n, levels[i].messages, &own) / ROUNDS;
        }
        printf("| durable ingests, %d in flight | p50 %.2f ms, p99 %.2f ms | %.0f a second, %.0f %% of raw LMDB |\n", n,
               percentile(&own, .5), percentile(&own, .99), rate, 100 * rate / ceiling);
        printf("| raw LMDB, %d messages a commit | commit p50 %.2f ms, p99 %.2f ms | %.0f a second |\n", batch,
               percentile(&commits, .5), percentile(&commits, .99), ceiling);
        samples_free(&own);
        samples_free(&commits);
    }
}
