/*
 * test_random.c: long random histories of the store: messages, agents and channels that work, die, lose pushes,
 *                failing commits and restarts at any point; the invariants hold throughout, and in the end every
 *                accepted message has ended once.
 * Runs in: unit tests.     Owns: nothing.
 * Never: depends on the clock or on chance: each history follows from its number.
 * Tested in: itself
 */
#include "harness.h"

#include <errno.h>
#include <stdio.h>

#include "common/err.h"
#include "common/map.h"

#define STEPS 700
#define HISTORIES 12
#define RUNS_MAX 2000
#define AGENTS 2

struct held {
    sv run;
    uint64_t fence, step;
};

struct world {
    struct hx h;
    uint64_t seed;
    uint64_t inc[AGENTS];
    struct held held[AGENTS][64];
    size_t held_n[AGENTS];
    uint64_t chan_inc;
    struct msg_deliver flying[64];
    size_t flying_n;
    char ids[RUNS_MAX][16];
    sv run_of[RUNS_MAX];
    size_t runs_n;
};

static uint32_t roll(struct world *w, uint32_t n)
{
    w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(w->seed >> 33) % n;
}

static const char *who(struct world *w, size_t agent)
{
    return (const char *)arena_printf(&w->h.a, "agent-%zu#%llu", agent + 1, (unsigned long long)w->inc[agent]).p;
}

static const char *chan(struct world *w)
{
    return (const char *)arena_printf(&w->h.a, "irc/default#%llu", (unsigned long long)w->chan_inc).p;
}

/* ---- agents ---- */

static void take_grants(struct world *w, bool lose)
{
    static const char *const names[AGENTS] = {"agent-1", "agent-2"};
    for (size_t a = 0; a < AGENTS; a++) {
        const struct msg_grant *g;
        while ((g = hx_push(&w->h, names[a], MSG_GRANT)) != NULL) {
            size_t i = 0;
            while (i < w->held_n[a] && !sv_eq(w->held[a][i].run, g->run_id)) {
                i++;
            }
            if (lose && i == w->held_n[a]) {
                continue; /* lost on its way */
            }
            assert_true(i < 64);
            w->held[a][i] = (struct held){g->run_id, g->fence, g->step};
            w->held_n[a] += i == w->held_n[a];
        }
    }
    hx_skip(&w->h);
}

static void want(struct world *w, size_t a)
{
    struct msg_run_ref refs[64];
    struct msg_want m = {.slots = 4, .held = refs};
    uint16_t got;
    for (size_t i = 0; i < w->held_n[a]; i++) {
        refs[m.held_n++].run_id = w->held[a][i].run;
    }
    (void)hx_call(&w->h, who(w, a), MSG_WANT, &m, &got);
}

static void drop(struct world *w, size_t a, size_t i)
{
    w->held[a][i] = w->held[a][--w->held_n[a]];
}

static void work(struct world *w, size_t a, bool finish)
{
    static const char *const states[] = {"ok", "ok", "ok", "error", "aborted", "timeout"};
    uint16_t got;
    if (w->held_n[a] == 0) {
        return;
    }
    size_t i = roll(w, (uint32_t)w->held_n[a]);
    struct held *h = &w->held[a][i];
    struct msg_entry row = {.role = SV("assistant"), .text = SV("words")};
    if (!finish) {
        struct msg_step m = {.run_id = h->run, .fence = h->fence, .step = h->step + 1, .rows = &row, .rows_n = 1};
        (void)hx_call(&w->h, who(w, a), MSG_STEP, &m, &got);
        if (got == MSG_DONE) {
            h->step++;
        }
        return;
    }
    struct msg_finish m = {.run_id = h->run, .fence = h->fence, .status = sv_of(states[roll(w, 6)]),
                           .reply = SV("an answer"), .rows = &row, .rows_n = 1};
    const void *answer = hx_call(&w->h, who(w, a), MSG_FINISH, &m, &got);
    if (got == MSG_DONE || ((const struct msg_status *)answer)->code != ERR_BUSY) {
        drop(w, a, i);
    }
}

static void agent_dies(struct world *w, size_t a)
{
    w->held_n[a] = 0;
    if (roll(w, 2) == 0) {
        store_peer_gone(w->h.s, a == 0 ? "agent-1" : "agent-2", w->inc[a]);
    }
    w->inc[a]++;
    store_peer_up(w->h.s, a == 0 ? "agent-1" : "agent-2", w->inc[a]);
    hx_idle(&w->h);
}

/* ---- people ---- */

static void message(struct world *w)
{
    static const char *const people[] = {"ann", "bob", "cid"};
    struct hx *h = &w->h;
    uint16_t got;
    size_t n = roll(w, 4) == 0 && w->runs_n > 0 ? roll(w, (uint32_t)w->runs_n) : w->runs_n;
    if (n == RUNS_MAX) {
        return;
    }
    bool repeat = n < w->runs_n;
    (void)snprintf(w->ids[n], sizeof(w->ids[n]), "m%zu", n);
    struct msg_ingest in = hx_dm(w->ids[n], people[n % 3], "some words");
    if (n % 5 == 0) {
        in = (struct msg_ingest){.channel = SV("webchat"), .account = SV("client"), .event_id = sv_of(w->ids[n]),
                                 .run_id = sv_of(w->ids[n]), .text = SV("hello"), .session_key = SV("main")};
    }
    in.queue_mode = n % 7 == 0 ? SV("followup") : SV_NULL;
    const struct msg_ingested *a = hx_call(h, "edge", MSG_INGEST, &in, &got);
    if (got != MSG_INGESTED) {
        return;
    }
    if (repeat && a->dup) {
        assert_true(sv_eq(a->run_id, w->run_of[n]));
    } else if (!sv_eqc(a->state, "ignored")) {
        w->run_of[n] = a->run_id;
        w->runs_n += !repeat;
    }
}

static void command(struct world *w)
{
    static uint64_t n;
    uint16_t got;
    char id[32];
    (void)snprintf(id, sizeof(id), "c%llu", (unsigned long long)++n);
    struct msg_ingest in = hx_dm(id, "ann", "/x");
    in.command = roll(w, 2) == 0 ? SV("stop") : SV("new");
    (void)hx_call(&w->h, "edge", MSG_INGEST, &in, &got);
}

static void abort_one(struct world *w)
{
    uint16_t got;
    struct msg_abort m = {.session_key = SV("main")};
    if (w->runs_n > 0 && roll(w, 2) == 0) {
        m = (struct msg_abort){.run_id = w->run_of[roll(w, (uint32_t)w->runs_n)]};
    }
    (void)hx_call(&w->h, "edge", MSG_ABORT, &m, &got);
}

/* ---- the channel ---- */

static void take_deliveries(struct world *w)
{
    const struct msg_deliver *d;
    while ((d = hx_push(&w->h, "irc/default", MSG_DELIVER)) != NULL) {
        size_t i = 0;
        while (i < w->flying_n && !sv_eq(w->flying[i].delivery_id, d->delivery_id)) {
            i++;
        }
        assert_true(i < 64);
        w->flying[i] = *d;
        w->flying_n += i == w->flying_n;
    }
}

static void channel_works(struct world *w)
{
    static const char *const outcomes[] = {"delivered", "delivered", "delivered", "retryable", "rejected", "unknown"};
    uint16_t got;
    if (w->flying_n == 0 || roll(w, 6) == 0) {
        struct msg_out_want m = {.channel = SV("irc"), .account = SV("default"), .window = 1 + roll(w, 4),
                                 .keyless = w->chan_inc % 2 == 0};
        (void)hx_call(&w->h, chan(w), MSG_OUT_WANT, &m, &got);
        return;
    }
    size_t i = roll(w, (uint32_t)w->flying_n);
    struct msg_deliver *d = &w->flying[i];
    struct msg_begin b = {.delivery_id = d->delivery_id, .part = d->part, .parts = 2};
    (void)hx_call(&w->h, chan(w), MSG_BEGIN, &b, &got);
    if (got != MSG_DONE || roll(w, 4) == 0) {
        return;
    }
    const char *outcome = outcomes[roll(w, 6)];
    struct msg_receipt r = {.delivery_id = d->delivery_id, .part = d->part, .parts = 2, .outcome = sv_of(outcome)};
    (void)hx_call(&w->h, chan(w), MSG_RECEIPT, &r, &got);
    if (got != MSG_DONE) {
        return;
    }
    if (sv_eqc(r.outcome, "delivered") && d->part == 0) {
        d->part = 1;
    } else {
        w->flying[i] = w->flying[--w->flying_n];
    }
}

static void channel_dies(struct world *w)
{
    w->flying_n = 0;
    store_peer_gone(w->h.s, "irc/default", w->chan_inc);
    w->chan_inc++;
    hx_idle(&w->h);
}

/* ---- histories ---- */

static void restart(struct world *w)
{
    hx_reopen(&w->h);
    hx_skip(&w->h);
    for (size_t a = 0; a < AGENTS; a++) {
        if (roll(w, 4) > 0) {
            want(w, a);
        }
    }
    take_grants(w, false);
}

static void one_step(struct world *w)
{
    uint32_t dice = roll(w, 100);
    size_t a = roll(w, AGENTS);
    if (dice < 30) {
        message(w);
    } else if (dice < 50) {
        work(w, a, true);
    } else if (dice < 58) {
        work(w, a, false);
    } else if (dice < 66) {
        want(w, a);
    } else if (dice < 76) {
        channel_works(w);
    } else if (dice < 86) {
        hx_sleep(&w->h, roll(w, 10) == 0 ? 7000 : roll(w, 400));
        hx_idle(&w->h);
    } else if (dice < 88) {
        command(w);
    } else if (dice < 91) {
        abort_one(w);
    } else if (dice < 94) {
        agent_dies(w, a);
    } else if (dice < 95) {
        channel_dies(w);
    } else if (dice < 98) {
        store_test_fail_commit(w->h.s, ENOSPC);
    } else {
        restart(w);
    }
    take_deliveries(w);
    take_grants(w, roll(w, 12) == 0);
}

static bool all_ended(struct world *w)
{
    struct msg_store_stats m = {0};
    const struct msg_store_info *i = hx_ask(&w->h, "cli-1", MSG_STORE_STATS, &m, MSG_STORE_INFO);
    return i->queued == 0 && i->running == 0 && i->out_queued == 0;
}

/* Everybody behaves from here on; the work must come to an end. */
static void settle(struct world *w)
{
    for (int round = 0; round < 3000 && !all_ended(w); round++) {
        hx_sleep(&w->h, 1500);
        hx_idle(&w->h);
        for (size_t a = 0; a < AGENTS; a++) {
            want(w, a);
            take_grants(w, false);
            work(w, a, true);
        }
        for (int i = 0; i < 3; i++) {
            channel_works(w);
            take_deliveries(w);
        }
        hx_skip(&w->h);
    }
    assert_true(all_ended(w));
}

static void check_ends(struct world *w)
{
    struct map answered = MAP_INIT;
    for (size_t i = 0; i < w->runs_n; i++) {
        struct msg_run_get get = {.run_id = w->run_of[i]};
        const struct msg_run *r = hx_ask(&w->h, "edge", MSG_RUN_GET, &get, MSG_RUN);
        bool merged = sv_eqc(r->state, "merged");
        assert_true(r->ended_ms > 0);
        assert_true(merged == !sv_empty(r->merged_into));
        if (!merged) {
            assert_null(map_put(&answered, r->run_id, w)); /* one end for each run */
        }
    }
    map_free(&answered);
}

static void history(uint64_t number)
{
    static struct world w;
    w = (struct world){.seed = number * 7919 + 17, .chan_inc = 1};
    hx_init(&w.h);
    w.h.conf.cap = 3 + number % 4;
    w.h.conf.drop = (enum queue_drop)(number % 3);
    w.h.conf.dm_scope = number % 2 ? DM_PEER : DM_MAIN;
    w.h.conf.width_main = 2 + number % 3;
    hx_open(&w.h);
    for (size_t a = 0; a < AGENTS; a++) {
        w.inc[a] = 1;
        want(&w, a);
    }
    for (int i = 0; i < STEPS; i++) {
        one_step(&w);
        if (i % 10 == 0) {
            store_test_fail_commit(w.h.s, 0);
            hx_check(&w.h);
        }
    }
    store_test_fail_commit(w.h.s, 0);
    settle(&w);
    check_ends(&w);
    hx_free(&w.h);
}

static void random_histories_end_well(void **state)
{
    UNUSED(state);
    for (uint64_t i = 0; i < HISTORIES; i++) {
        history(i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_histories_end_well)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
