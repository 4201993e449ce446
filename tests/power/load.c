/*
 * load.c: traffic of all kinds for a store inside this process, whose acknowledgements are marked in the recorder's log.
 * Runs in: tests.     Owns: the store during load_run.
 * Never: opens a socket; depends on the time of day (the clock is frozen and moved by hand).
 * Tested in: tests/power/power.c
 */
#include "tests/power/load.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/err.h"
#include "proto/wire.h"
#include "workers/store/store_int.h"

#define BATCH 24
#define WAITING 512
#define LONG_TEXT 90000 /* above BODY_MAX: a file of its own */

struct grant {
    char run[64];
    uint64_t fence;
    bool stepped;
};

struct delivery {
    char id[64];
    bool begun;
};

struct load {
    const struct load_conf *conf;
    struct store *s;
    struct arena arena; /* of the batch */
    struct store_req reqs[BATCH];
    char mark_of[BATCH][96]; /* what an answer to the request promises */
    size_t n;
    uint64_t rng, next, acks;
    struct grant grants[WAITING];
    size_t grants_n;
    struct delivery dels[WAITING];
    size_t dels_n;
    char *words; /* LONG_TEXT bytes */
    void (*mark)(const char *text);
};

static uint64_t rnd(struct load *l)
{
    l->rng ^= l->rng << 13;
    l->rng ^= l->rng >> 7;
    l->rng ^= l->rng << 17;
    return l->rng;
}

/* ---- what comes out of the store ---- */

static void acknowledged(struct load *l, const struct store_out *m)
{
    const char *mark = m->rid - 1 < l->n ? l->mark_of[m->rid - 1] : "";
    if (m->type == MSG_STATUS) {
        if (!l->conf->refused) {
            die(1, "load: a request was refused (%s)", mark);
        }
        return;
    }
    if (mark[0] != '\0') {
        l->acks++;
        if (l->mark != NULL) {
            l->mark(mark);
        }
    }
}

static void on_out(void *ctx, const struct store_out *m)
{
    struct load *l = ctx;
    struct arena a = ARENA_INIT;
    if ((m->flags & ENV_REPLY) != 0) {
        acknowledged(l, m);
    } else if (m->type == MSG_GRANT && l->grants_n < WAITING) {
        struct msg_grant g;
        ASSERT(wire_decode(m->type, m->body, &a, &g, NULL) == OK);
        struct grant *k = &l->grants[l->grants_n++];
        *k = (struct grant){.fence = g.fence};
        (void)sv_copy(k->run, sizeof(k->run), g.run_id);
    } else if (m->type == MSG_DELIVER && l->dels_n < WAITING) {
        struct msg_deliver d;
        ASSERT(wire_decode(m->type, m->body, &a, &d, NULL) == OK);
        struct delivery *k = &l->dels[l->dels_n++];
        *k = (struct delivery){0};
        (void)sv_copy(k->id, sizeof(k->id), d.delivery_id);
    }
    arena_free(&a);
}

/* ---- what goes in ---- */

static void add(struct load *l, const char *who, uint16_t type, const void *body, const char *mark)
{
    struct buf b = BUF_INIT(2u << 20);
    ASSERT(l->n < BATCH && wire_encode(type, body, &b, NULL) == OK);
    l->reqs[l->n] = (struct store_req){.name = who, .inc = 1, .type = type, .rid = l->n + 1,
                                       .body = arena_sv(&l->arena, buf_view(&b))};
    (void)snprintf(l->mark_of[l->n++], sizeof(l->mark_of[0]), "%s", mark);
    buf_free(&b);
}

static sv words(struct load *l)
{
    return sv_mem(l->words, rnd(l) % 40 == 0 ? LONG_TEXT : 20 + rnd(l) % 1500);
}

static void add_message(struct load *l)
{
    uint64_t n = l->next > 10 && rnd(l) % 20 == 0 ? l->next - 1 - rnd(l) % 10 : l->next++; /* some come twice */
    char id[32];
    char mark[64];
    (void)snprintf(id, sizeof(id), "m%llu", (unsigned long long)n);
    (void)snprintf(mark, sizeof(mark), "e %s", id);
    struct msg_ingest in = {.channel = SV("irc"), .account = SV("default"), .event_id = sv_of(id),
                            .chat_type = SV("direct"), .message_id = sv_of(id), .deliver = true, .text = words(l)};
    char sender[16];
    (void)snprintf(sender, sizeof(sender), "nick%llu", (unsigned long long)(n % 7));
    in.chat_id = in.sender_id = sv_of(sender);
    add(l, "irc/default", MSG_INGEST, &in, mark);
}

static void add_agent_work(struct load *l)
{
    size_t at = rnd(l) % l->grants_n;
    struct grant *g = &l->grants[at];
    char mark[96];
    struct msg_entry row = {.role = SV("assistant"), .text = words(l)};
    if (!g->stepped && rnd(l) % 3 == 0) {
        struct msg_step m = {.run_id = sv_of(g->run), .fence = g->fence, .step = 1, .rows = &row, .rows_n = 1};
        add(l, "agent-1", MSG_STEP, &m, "");
        g->stepped = true;
        return;
    }
    (void)snprintf(mark, sizeof(mark), "f %s", g->run);
    struct msg_finish m = {.run_id = sv_of(g->run), .fence = g->fence, .status = SV("ok"), .reply = row.text,
                           .rows = &row, .rows_n = 1};
    add(l, "agent-1", MSG_FINISH, &m, mark);
    *g = l->grants[--l->grants_n];
}

static void add_receipt(struct load *l)
{
    struct delivery *d = &l->dels[0];
    char mark[96];
    if (!d->begun) {
        struct msg_begin b = {.delivery_id = sv_of(d->id), .parts = 1};
        add(l, "irc/default", MSG_BEGIN, &b, "");
        d->begun = true;
        return;
    }
    (void)snprintf(mark, sizeof(mark), "r %s", d->id);
    struct msg_receipt r = {.delivery_id = sv_of(d->id), .parts = 1, .outcome = SV("delivered")};
    add(l, "irc/default", MSG_RECEIPT, &r, mark);
    l->dels_n--;
    memmove(l->dels, l->dels + 1, l->dels_n * sizeof(l->dels[0]));
}

/* ---- the store ---- */

static void open_store(struct load *l)
{
    struct conf none = {0};
    char text[512];
    struct store_conf conf = store_conf_read(&none, l->conf->dir);
    conf.map_start = 1u << 20; /* so that it grows on the way */
    conf.dm_scope = DM_PEER;
    conf.width_main = 8;
    if (store_new(&conf, on_out, l, &l->s, text, sizeof(text)) != 0) {
        die(1, "load: %s", text);
    }
    if (l->conf->nosync) {
        ASSERT(mdb_env_set_flags(l->s->db.env, MDB_NOSYNC, 1) == 0);
    }
}

/* As after a restart: whoever is there says so again and is told again what it holds. */
static void greet(struct load *l)
{
    struct msg_want w = {.slots = 8};
    struct msg_out_want o = {.channel = SV("irc"), .account = SV("default"), .window = 4, .keyless = true};
    l->grants_n = 0;
    l->dels_n = 0;
    add(l, "agent-1", MSG_WANT, &w, "");
    add(l, "irc/default", MSG_OUT_WANT, &o, "");
}

static void turn(struct load *l)
{
    store_turn(l->s, l->reqs, l->n);
    l->n = 0;
    arena_reset(&l->arena);
}

unsigned load_run(const struct load_conf *conf)
{
    static struct load l;
    int64_t mono = 1000000;
    int64_t real = 1790000000000;
    int64_t step = conf->refused ? 400 : 7;
    l = (struct load){.conf = conf, .arena = ARENA_INIT, .rng = conf->seed * 2654435769u + 88172645463325252u};
    l.mark = conf->mark;
    if (l.mark == NULL) {
        *(void **)&l.mark = dlsym(RTLD_DEFAULT, "power_mark"); /* NULL without the recorder */
    }
    l.words = xmalloc(LONG_TEXT);
    crypto_init();
    clock_test_set(mono, real);
    open_store(&l);
    greet(&l);
    for (unsigned t = 0; t < conf->turns; t++) {
        clock_test_set(mono += step, real += step);
        if (conf->before_turn != NULL) {
            conf->before_turn(l.s, t);
        }
        if (conf->refused && t % 25 == 24) {
            greet(&l); /* what was refused is found again */
        }
        if (t % 97 == 96 && !conf->refused) {
            store_free(l.s);
            open_store(&l);
            clock_test_set(mono += 3000, real += 3000); /* leases that are not named are granted again */
            greet(&l);
        }
        memset(l.words, 'a' + (int)(t % 26), LONG_TEXT);
        for (uint64_t k = 1 + rnd(&l) % 4; k > 0; k--) {
            add_message(&l);
        }
        for (uint64_t k = rnd(&l) % 5; k > 0 && l.grants_n > 0; k--) {
            add_agent_work(&l);
        }
        for (uint64_t k = rnd(&l) % 5; k > 0 && l.dels_n > 0; k--) {
            add_receipt(&l);
        }
        turn(&l);
    }
    store_free(l.s);
    xfree(l.words);
    arena_free(&l.arena);
    clock_test_set(-1, -1);
    return (unsigned)l.acks;
}

/* ---- looking for it afterwards ---- */

bool load_holds(struct tx *tx, const char *mark)
{
    sv id = sv_of(mark + 2);
    sv val;
    if (mark[0] == 'e') {
        const sv parts[] = {SV("irc"), SV("default"), id};
        struct msg_r_journal j;
        return tx_get(tx, T_IDEM, tx_hash(tx, parts, ARRAY_LEN(parts)), &val) &&
               rec_get(tx, T_JOURNAL, arena_sv(tx->a, val), MSG_R_JOURNAL, &j);
    }
    if (mark[0] == 'f') {
        struct msg_r_run r;
        return rec_get(tx, T_RUNS, id, MSG_R_RUN, &r) && r.pub_n == 1 && sv_eqc(r.pub[0].state, "ok");
    }
    return tx_get(tx, T_OUTD, id, &val);
}
