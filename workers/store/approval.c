/*
 * approval.c: questions to people (may this command run?): asked once, answered once, or expired.
 * Runs in: store.     Owns: table approval.
 * Never: decides who may answer (the edge does); changes a decision.
 * Tested in: tests/unit/store/test_approval.c
 */
#include <string.h>

#include "workers/store/approval.h"

#define DEFAULT_MS (30LL * 60 * 1000) /* gateway-ws.md 15.10 */
#define KEEP_MS (24LL * 3600 * 1000)  /* history for whoever comes back later */
#define ROWS_MAX 2048
#define LISTED_MAX 256

static bool waits(const struct msg_approval *a)
{
    return sv_eqc(a->state, "pending");
}

static void save(struct tx *tx, const struct msg_approval *a)
{
    rec_put(tx, T_APPROVAL, a->id, MSG_APPROVAL, a);
}

/* ---- asking ---- */

static void begin(struct tx *tx, struct msg_approval *a)
{
    const struct msg_approvals news = {.rows = a, .rows_n = 1};
    a->state = SV("pending");
    save(tx, a);
    timer_add(tx, a->expires_ms, TIMER_APPROVAL, a->id);
    push_watchers(tx, false, MSG_APPROVALS, &news);
}

static void end(struct tx *tx, struct msg_approval *a, bool tell)
{
    const struct msg_approval_ended news = {.applied = true, .row = a, .row_n = 1};
    a->resolved_ms = tx->now;
    save(tx, a);
    timer_add(tx, tx->now + KEEP_MS, TIMER_APPROVAL, a->id);
    if (tell) {
        push_watchers(tx, false, MSG_APPROVAL_ENDED, &news);
    }
}

int approval_ask(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_approval_ask *m = msg;
    sv val;
    UNUSED(from);
    if (m->row_n != 1) {
        return refuse(tx, ERR_BAD, "row", "one row is needed");
    }
    struct msg_approval a = m->row[0];
    if (sv_empty(a.id)) {
        return refuse(tx, ERR_BAD, "id", "an id is needed");
    }
    if (tx_get(tx, T_APPROVAL, a.id, &val)) {
        return refuse(tx, ERR_CONFLICT, "id", "an approval of this id exists already");
    }
    if (tx_count(tx, T_APPROVAL) >= ROWS_MAX) {
        tx->retry_ms = 60000;
        return refuse(tx, ERR_BUSY, NULL, "too many approvals were asked for within a day");
    }
    a.created_ms = tx->now;
    a.expires_ms = tx->now + (m->timeout_ms > 0 ? (int64_t)m->timeout_ms : DEFAULT_MS);
    a.resolved_ms = 0;
    if (m->no_route) {
        a.state = SV("denied");
        a.decision = SV("deny");
        a.reason = SV("no-route");
        a.resolver_kind = SV("system");
        a.resolver_id = SV("no-approval-route");
        end(tx, &a, false);
    } else {
        begin(tx, &a);
    }
    reply(tx, MSG_APPROVAL, &a);
    return OK;
}

/* ---- ending ---- */

int approval_resolve(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_approval_resolve *m = msg;
    struct msg_approval a;
    struct msg_approval_ended answer = {.row = &a, .row_n = 1};
    UNUSED(from);
    bool allow = sv_eqc(m->decision, "allow-once") || sv_eqc(m->decision, "allow-always");
    if (!allow && !sv_eqc(m->decision, "deny")) {
        return refuse(tx, ERR_BAD, "decision", "invalid decision");
    }
    if (!rec_get(tx, T_APPROVAL, m->id, MSG_APPROVAL, &a)) {
        return refuse(tx, ERR_GONE, "id", "unknown or expired approval id");
    }
    if (waits(&a)) {
        answer.applied = true;
        a.state = allow ? SV("allowed") : SV("denied");
        a.decision = m->decision;
        a.reason = SV("user");
        a.resolver_kind = m->resolver_kind;
        a.resolver_id = m->resolver_id;
        a.resolver_name = m->resolver_name;
        end(tx, &a, true);
    }
    reply(tx, MSG_APPROVAL_ENDED, &answer);
    return OK;
}

void approval_timer(struct tx *tx, sv id)
{
    struct msg_approval a;
    id = arena_sv(tx->a, id);
    if (!rec_get(tx, T_APPROVAL, id, MSG_APPROVAL, &a)) {
        return;
    }
    if (waits(&a) && a.expires_ms <= tx->now) {
        a.state = SV("expired");
        a.reason = SV("timeout");
        end(tx, &a, true);
    } else if (!waits(&a) && a.resolved_ms + KEEP_MS <= tx->now) {
        (void)tx_del(tx, T_APPROVAL, id);
    }
}

/* ---- reading ---- */

static int64_t order_of(const struct msg_approval *a, bool ended)
{
    return ended ? -a->resolved_ms : a->created_ms;
}

/* Puts a into its place among the first n of at most max rows. */
static size_t insert(struct msg_approval *rows, size_t n, size_t max, const struct msg_approval *a)
{
    bool ended = !waits(a);
    size_t at = n;
    while (at > 0 && order_of(&rows[at - 1], ended) > order_of(a, ended)) {
        at--;
    }
    if (at == max) {
        return n;
    }
    n = n < max ? n + 1 : n;
    memmove(rows + at + 1, rows + at, (n - 1 - at) * sizeof(*rows));
    rows[at] = *a;
    return n;
}

int approval_list(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_approval_list *m = msg;
    size_t max = m->limit > 0 && m->limit < LISTED_MAX ? (size_t)m->limit : LISTED_MAX;
    struct msg_approvals answer = {.rows = arena_alloc(tx->a, LISTED_MAX * sizeof(*answer.rows))};
    struct msg_approval a;
    struct scan sc;
    sv k;
    sv v;
    UNUSED(from);
    if (!sv_empty(m->id)) {
        answer.rows_n = rec_get(tx, T_APPROVAL, m->id, MSG_APPROVAL, &answer.rows[0]) ? 1 : 0;
        reply(tx, MSG_APPROVALS, &answer);
        return OK;
    }
    scan_open(&sc, tx, T_APPROVAL, SV(""), 0, false);
    while (scan_next(&sc, &k, &v)) {
        if (rec_decode(tx, arena_sv(tx->a, v), MSG_APPROVAL, &a) && waits(&a) != m->ended) {
            answer.rows_n = insert(answer.rows, answer.rows_n, max, &a);
        }
    }
    scan_close(&sc);
    reply(tx, MSG_APPROVALS, &answer);
    return OK;
}
