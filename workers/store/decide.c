/*
 * decide.c: the operator's word about deliveries with an unknown outcome, or given up: again, or never.
 * Runs in: store.     Owns: nothing (rows: outbox.c).
 * Never: touches a delivery that is still on its way.
 * Tested in: tests/unit/store/test_decide.c
 */
#include "common/log.h"
#include "workers/store/outbox.h"

#define BATCH_MAX 200 /* DECIDE: rows of one request */

static bool decidable(const struct msg_out_row *row)
{
    return sv_eqc(row->state, "unknown") || sv_eqc(row->state, "dead");
}

static void uncount(struct tx *tx, const struct msg_out_row *row)
{
    bool unknown = sv_eqc(row->state, "unknown");
    tx->s->state.out_unknown -= unknown;
    tx->s->state.out_dead -= !unknown;
}

static void decide(struct tx *tx, struct msg_out_row *row, bool retry)
{
    bool unknown = sv_eqc(row->state, "unknown");
    uncount(tx, row);
    row->worker = SV_NULL;
    log_info("delivery %.*s (%.*s) is %s by the operator", SV_ARG(row->delivery_id), SV_ARG(row->state),
             retry ? "sent again" : "dropped");
    if (!retry) {
        out_log(tx, row, "dropped", SV_NULL);
        row->state = SV("dropped");
        row->ended_ms = tx->now;
        out_bury(tx, row);
        return;
    }
    row->again = unknown;
    if (unknown && row->unsure_n > 0) {
        row->part = row->unsure[0].part;
    } else if (row->part >= row->parts) {
        row->part = 0; /* a row of before there were notes of parts */
        row->again = false;
    }
    out_log(tx, row, "again", SV_NULL);
    out_revive(tx, row);
}

/* Ids of at most `max` rows in this state, oldest first, copied; *more: there is another one. */
static size_t in_state(struct tx *tx, sv state, sv *ids, size_t max, bool *more)
{
    size_t n = 0;
    struct scan sc;
    sv k;
    sv v;
    *more = false;
    scan_open(&sc, tx, T_OUT, SV(""), 0, false);
    while (!*more && scan_next(&sc, &k, &v)) {
        struct msg_out_row row;
        if (!rec_decode(tx, arena_sv(tx->a, v), MSG_OUT_ROW, &row) || !sv_eq(row.state, state)) {
            continue;
        }
        *more = n == max;
        if (n < max) {
            ids[n++] = arena_sv(tx->a, k);
        }
    }
    scan_close(&sc);
    return n;
}

int decide_outbox(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_decide *m = msg;
    struct msg_decided answer = {0};
    struct msg_out_row row;
    bool retry = sv_eqc(m->action, "retry");
    sv ids[BATCH_MAX];
    size_t n = 1;
    UNUSED(from);
    if (!retry && !sv_eqc(m->action, "drop")) {
        return refuse(tx, ERR_BAD, "action", "action must be retry or drop");
    }
    ids[0] = m->delivery_id;
    if (sv_empty(m->delivery_id)) {
        if (!sv_eqc(m->state, "unknown") && !sv_eqc(m->state, "dead")) {
            return refuse(tx, ERR_BAD, "state", "name a delivery, or the state unknown or dead");
        }
        n = in_state(tx, m->state, ids, BATCH_MAX, &answer.more);
    }
    for (size_t i = 0; i < n; i++) {
        if (!rec_get(tx, T_OUT, ids[i], MSG_OUT_ROW, &row)) {
            return refuse(tx, ERR_GONE, "delivery_id", "there is no such delivery, or it has arrived");
        }
        if (!decidable(&row)) {
            return refuse(tx, ERR_CONFLICT, "delivery_id", "this delivery is still on its way: nothing to decide");
        }
        decide(tx, &row, retry);
        answer.count++;
    }
    reply(tx, MSG_DECIDED, &answer);
    return OK;
}
