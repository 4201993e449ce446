/*
 * sched.c: global lanes: which session's run may start now, and on which agent.
 * Runs in: store.     Owns: table runq; counts of leases per lane and holder.
 * Never: runs two turns of one session (each session has at most one row in runq or lease).
 * Tested in: tests/unit/store/test_lease.c
 */
#include "workers/store/model.h"

enum lane lane_of(sv name)
{
    return sv_eqc(name, "cron") ? LANE_CRON : LANE_MAIN;
}

static uint64_t lane_width(const struct store *s, enum lane lane)
{
    return lane == LANE_CRON ? s->conf.width_cron : s->conf.width_main;
}

/* The agent with the most free slots, NULL when none has one or the lane is full. */
static struct client *free_agent(struct store *s, enum lane lane)
{
    struct client *best = NULL;
    if (s->lane_used[lane] >= lane_width(s, lane)) {
        return NULL;
    }
    size_t it = 0;
    sv name;
    void *value;
    while (map_next(&s->clients, &it, &name, &value)) {
        struct client *c = value;
        if (c->agent && c->slots > c->used && (best == NULL || c->slots - c->used > best->slots - best->used)) {
            best = c;
        }
    }
    return best;
}

static struct key runq_key(const struct run *run)
{
    struct key k = {.n = 0};
    key_u8(&k, (uint8_t)lane_of(run->r.lane));
    key_u64(&k, run->r.order);
    return k;
}

static bool lane_has_queue(struct tx *tx, enum lane lane)
{
    struct key k = {.n = 0};
    sv key;
    sv val;
    key_u8(&k, (uint8_t)lane);
    return tx_seek(tx, T_RUNQ, key_sv(&k), 1, &key, &val);
}

void sched_ready(struct tx *tx, struct sess *s, struct run *run, const struct msg_ingest *in)
{
    enum lane lane = lane_of(run->r.lane);
    s->pub.active_run = run->pub.run_id;
    if (run->pub.attempt == 0) {
        run->r.order = ++tx->s->state.next_order; /* later attempts keep their place at the front */
    }
    struct client *to = free_agent(tx->s, lane);
    if (to != NULL && in != NULL && !lane_has_queue(tx, lane)) {
        lease_grant(tx, s, run, in, to);
        return;
    }
    struct key k = runq_key(run);
    run->r.place = SV("ready");
    run->pub.state = SV("queued");
    s->pub.status = SV("queued");
    tx_put(tx, T_RUNQ, key_sv(&k), run->pub.run_id);
    run_put(tx, run);
    run_push(tx, run);
}

/* False: the row was bad and is gone. */
static bool grant_row(struct tx *tx, sv key, sv run_id, struct client *to)
{
    struct run run;
    struct sess s;
    struct msg_r_journal j;
    struct msg_ingest in;
    (void)tx_del(tx, T_RUNQ, key);
    if (!run_get(tx, run_id, &run) || !sv_eqc(run.r.place, "ready") || !run_input(tx, &run, &j, &in) ||
        !sess_get(tx, run.pub.session_key, &s)) {
        return false;
    }
    lease_grant(tx, &s, &run, &in, to);
    sess_put(tx, &s);
    return true;
}

void sched_pump(struct tx *tx)
{
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        struct client *to;
        while (tx->db_err == 0 && (to = free_agent(tx->s, (enum lane)lane)) != NULL) {
            struct key k = {.n = 0};
            sv key;
            sv run_id;
            key_u8(&k, (uint8_t)lane);
            if (!tx_seek(tx, T_RUNQ, key_sv(&k), 1, &key, &run_id)) {
                break;
            }
            (void)grant_row(tx, key, run_id, to);
        }
    }
}

void sched_timer(struct tx *tx, sv run_id)
{
    struct run run;
    struct sess s;
    struct msg_r_journal j;
    struct msg_ingest in;
    if (!run_get(tx, run_id, &run) || !sv_eqc(run.r.place, "later") || run.r.later_ms > tx->now ||
        !run_input(tx, &run, &j, &in) || !sess_get(tx, run.pub.session_key, &s)) {
        return;
    }
    sched_ready(tx, &s, &run, &in);
    sess_put(tx, &s);
}

void sched_recount(struct tx *tx)
{
    struct store *st = tx->s;
    size_t it = 0;
    sv k;
    sv v;
    void *value;
    for (int lane = 0; lane < LANE_COUNT; lane++) {
        st->lane_used[lane] = 0;
    }
    while (map_next(&st->clients, &it, &k, &value)) {
        ((struct client *)value)->used = 0;
    }
    struct scan sc;
    scan_open(&sc, tx, T_LEASE, SV(""), 0, false);
    while (scan_next(&sc, &k, &v)) {
        struct msg_r_lease lease;
        if (!rec_decode(tx, arena_sv(tx->a, v), MSG_R_LEASE, &lease)) {
            break;
        }
        st->lane_used[lane_of(lease.lane)]++;
        struct client *c = client_find(st, lease.worker);
        if (c != NULL && c->inc == lease.inc) {
            c->used++;
        }
    }
    scan_close(&sc);
    st->recount = false;
}
