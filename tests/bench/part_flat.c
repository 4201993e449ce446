/*
 * part_flat.c: what a turn costs the store (message in, run granted, answer stored: two durable commits), in a store
 * that is empty and in one with a million messages, in a session of ten messages and in one of a hundred thousand.
 * Runs in: tenaza-bench.     Owns: two databases below /tmp, in this process.
 * Never: measures the one side first and then the other: turns alternate, so that both see the same disk.
 * Tested in: itself; a figure that cannot be measured ends the program with exit code 1
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/err.h"
#include "common/log.h"
#include "proto/wire.h"
#include "tests/bench/bench.h"
#include "tests/power/rmtree.h"
#include "workers/store/store_int.h"
#include "workers/store/tree.h"

#define FULL_MESSAGES 1000000
#define FULL_SESSIONS 50000
#define ROWS_MAX 34      /* of one FINISH */
#define LONG_MESSAGES 100000
#define SHORT_MESSAGES 10
#define WINDOW_ROW 52000 /* ten rows of this length fill a GRANT: both sessions show the model the same */
#define FILL 64          /* messages of one transaction while a store is filled; slots of an agent */
#define TURNS 400
#define WARM 40
#define SESSION_TURNS 100 /* few: each adds short rows behind the long ones */
#define SESSION_WARM 10

struct side {
    char dir[64];
    struct store *s;
    struct arena arena;
    struct store_req reqs[FILL];
    size_t n;
    char run[FILL * 2][64]; /* granted and not yet answered */
    uint64_t fence[FILL * 2];
    size_t granted;
    uint64_t next;
    size_t grant_bytes;
    struct samples wall, cpu;
};

static void on_out(void *ctx, const struct store_out *m)
{
    struct side *x = ctx;
    if (m->type == MSG_STATUS) {
        die(1, "bench: the store refused a request");
    }
    if (m->type == MSG_GRANT) {
        struct arena a = ARENA_INIT;
        struct msg_grant g;
        ASSERT(x->granted < FILL * 2 && wire_decode(m->type, m->body, &a, &g, NULL) == OK);
        x->grant_bytes = m->body.n;
        (void)sv_copy(x->run[x->granted], sizeof(x->run[0]), g.run_id);
        x->fence[x->granted++] = g.fence;
        arena_free(&a);
    }
}

static void add(struct side *x, const char *who, uint16_t type, const void *body)
{
    struct buf b = BUF_INIT(1u << 20);
    ASSERT(x->n < FILL && wire_encode(type, body, &b, NULL) == OK);
    x->reqs[x->n] = (struct store_req){
        .name = who, .inc = 1, .type = type, .rid = x->n + 1, .body = arena_sv(&x->arena, buf_view(&b))};
    x->n++;
    buf_free(&b);
}

static void flush(struct side *x)
{
    store_turn(x->s, x->reqs, x->n);
    x->n = 0;
    arena_reset(&x->arena);
}

static void add_message(struct side *x, const char *session, sv text)
{
    char id[32];
    (void)snprintf(id, sizeof(id), "m%llu", (unsigned long long)x->next++);
    struct msg_ingest in = {.channel = SV("webchat"), .account = SV("client"), .event_id = sv_of(id),
                            .run_id = sv_of(id), .session_key = sv_of(session), .text = text};
    add(x, "edge", MSG_INGEST, &in);
}

static void add_answers(struct side *x, sv text, size_t rows)
{
    struct msg_entry row[ROWS_MAX];
    for (size_t i = 0; i < rows; i++) {
        row[i] = (struct msg_entry){.role = SV("assistant"), .text = text, .provider = SV("fake"), .model = SV("fake-1")};
    }
    for (size_t i = 0; i < x->granted; i++) {
        struct msg_finish f = {.run_id = sv_of(x->run[i]), .fence = x->fence[i], .status = SV("ok"), .reply = text,
                               .rows = row, .rows_n = rows};
        add(x, "agent-1", MSG_FINISH, &f);
    }
    x->granted = 0;
}

static void start(struct side *x)
{
    struct conf none = {0};
    char text[512];
    struct store_conf conf = store_conf_read(&none, x->dir);
    conf.width_main = FILL;
    if (store_new(&conf, on_out, x, &x->s, text, sizeof(text)) != 0) {
        die(1, "bench: %s", text);
    }
    struct msg_want w = {.slots = FILL};
    add(x, "agent-1", MSG_WANT, &w);
    flush(x);
}

/* base: "/tmp" for what is measured, a folder in memory for what is only filled. */
static void open_side(struct side *x, const char *base)
{
    (void)snprintf(x->dir, sizeof(x->dir), "%s/tenaza-bench-flat-XXXXXX", base);
    ASSERT(mkdtemp(x->dir) != NULL);
    x->arena = ARENA_INIT;
    start(x);
}

/*
 * From memory to the disk, compact: filling in large transactions leaves long lists of free pages, which every later
 * commit would have to write again; a store that has grown message by message has none.
 */
static void move_to_disk(struct side *x)
{
    char from[sizeof(x->dir)];
    memcpy(from, x->dir, sizeof(from));
    (void)snprintf(x->dir, sizeof(x->dir), "/tmp/tenaza-bench-flat-XXXXXX");
    ASSERT(mkdtemp(x->dir) != NULL);
    int rc = mdb_env_copy2(x->s->db.env, x->dir, MDB_CP_COMPACT);
    store_free(x->s);
    if (rc != 0 || tree_sync(x->dir) != 0) {
        die(1, "bench: the filled store cannot be copied to %s: %s", x->dir, mdb_strerror(rc));
    }
    rmtree(from);
    start(x);
}

static void close_side(struct side *x)
{
    store_free(x->s);
    arena_free(&x->arena);
    samples_free(&x->wall);
    samples_free(&x->cpu);
    rmtree(x->dir);
}

static sv words(size_t n)
{
    static char text[WINDOW_ROW];
    memset(text, 'w', sizeof(text));
    return sv_mem(text, n);
}

/* `messages` rows spread over sessions: each message with its answer of `rows` rows. */
static void fill(struct side *x, const char *tag, uint64_t messages, uint64_t sessions, size_t rows)
{
    char key[64];
    uint64_t turns = 0;
    size_t batch = sessions < FILL ? (size_t)sessions : FILL;
    for (uint64_t done = 0; done < messages; turns += batch) {
        for (size_t i = 0; i < batch; i++) {
            (void)snprintf(key, sizeof(key), "agent:main:%s%llu", tag, (unsigned long long)((turns + i) % sessions));
            add_message(x, key, words(200));
        }
        flush(x);
        done += x->granted * (rows + 1);
        add_answers(x, words(200), rows);
        flush(x);
    }
}

static long cpu_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (long)(t.tv_sec * 1000000 + t.tv_nsec / 1000);
}

static void turn(struct side *x, const char *session, bool measured)
{
    long cpu = cpu_us();
    int64_t t0 = clock_mono_us();
    add_message(x, session, words(200));
    flush(x);
    if (x->granted != 1) {
        die(1, "bench: a message was not granted at once");
    }
    add_answers(x, words(200), 1);
    flush(x);
    if (measured) {
        sample(&x->wall, (long)(clock_mono_us() - t0));
        sample(&x->cpu, cpu_us() - cpu);
    }
}

static void row(const char *what, struct side *x, struct side *base)
{
    double wall = percentile(&x->wall, .5);
    double ratio = wall / percentile(&base->wall, .5);
    printf("| %s | p50 %.3f ms, CPU %.3f ms | ", what, wall, percentile(&x->cpu, .5));
    if (x != base) {
        printf("%+.1f %% ", 100 * (ratio - 1));
    }
    printf("|\n");
}

static const char *memory(void)
{
    return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

static void store_size(void)
{
    static struct side empty;
    static struct side full;
    char key[64];
    open_side(&full, memory());
    fill(&full, "old", FULL_MESSAGES, FULL_SESSIONS, 1);
    move_to_disk(&full);
    open_side(&empty, "/tmp"); /* not before: its agent would count as silent */
    for (int i = 0; i < TURNS + WARM; i++) {
        (void)snprintf(key, sizeof(key), "agent:main:new%d", i % 20);
        turn(&empty, key, i >= WARM);
        turn(&full, key, i >= WARM);
    }
    row("turn in the store, empty", &empty, &empty);
    row("turn in the store with 1,000,000 messages", &full, &empty);
    close_side(&empty);
    close_side(&full);
}

/* Ten long rows at the end of a session: the newest that fit a GRANT, whatever stands in front of them. */
static void end_with_window(struct side *x, const char *session)
{
    for (int i = 0; i < SHORT_MESSAGES / 2; i++) {
        add_message(x, session, words(WINDOW_ROW));
        flush(x);
        add_answers(x, words(WINDOW_ROW), 1);
        flush(x);
    }
}

static void session_size(void)
{
    static struct side a;
    static struct side b;
    char key[64];
    size_t window = 0;
    open_side(&a, memory());
    open_side(&b, memory());
    fill(&b, "long", LONG_MESSAGES, 1, ROWS_MAX - 1);
    for (int i = 0; i < SESSION_TURNS + SESSION_WARM; i++) {
        (void)snprintf(key, sizeof(key), "agent:main:short%d", i);
        end_with_window(&a, key);
    }
    end_with_window(&b, "agent:main:long0");
    move_to_disk(&a);
    move_to_disk(&b);
    for (int i = 0; i < SESSION_TURNS + SESSION_WARM; i++) {
        (void)snprintf(key, sizeof(key), "agent:main:short%d", i);
        turn(&a, key, i >= SESSION_WARM);
        window = a.grant_bytes;
        turn(&b, "agent:main:long0", i >= SESSION_WARM);
    }
    printf("| transcript that goes with a run, in both sessions | %zu and %zu KiB | |\n", window >> 10, b.grant_bytes >> 10);
    row("turn in a session of 10 messages", &a, &a);
    row("turn in a session of 100,000 messages", &b, &a);
    close_side(&a);
    close_side(&b);
}

void part_flat(const char *build)
{
    UNUSED(build);
    log_set_level(LOG_L_ERROR);
    crypto_init();
    store_size();
    session_size();
}
