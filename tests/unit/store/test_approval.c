/*
 * test_approval.c: approvals are answered once, by people or by the clock; documents are replaced only by who saw the last.
 * Runs in: unit tests.     Owns: nothing.
 * Never: opens a socket.
 * Tested in: itself
 */
#include "harness.h"

#include "common/err.h"

static int setup(void **state)
{
    static struct hx h;
    hx_init(&h);
    hx_open(&h);
    hx_watch(&h, "edge", false);
    *state = &h;
    return 0;
}

static int teardown(void **state)
{
    hx_free(*state);
    return 0;
}

static struct msg_approval row(const char *id)
{
    return (struct msg_approval){.id = sv_of(id), .kind = SV("exec"), .request = SV("{\"command\":\"ls\"}"), .asker = SV("c1")};
}

static const struct msg_approval *ask(struct hx *h, const char *id, uint64_t timeout_ms, bool no_route)
{
    struct msg_approval r = row(id);
    const struct msg_approval_ask m = {.timeout_ms = timeout_ms, .no_route = no_route, .row = &r, .row_n = 1};
    return hx_ask(h, "edge", MSG_APPROVAL_ASK, &m, MSG_APPROVAL);
}

static const struct msg_approval_ended *resolve(struct hx *h, const char *id, const char *decision)
{
    const struct msg_approval_resolve m = {.id = sv_of(id), .decision = sv_of(decision), .resolver_kind = SV("runtime")};
    return hx_ask(h, "edge", MSG_APPROVAL_RESOLVE, &m, MSG_APPROVAL_ENDED);
}

static void sleep_idle(struct hx *h, int64_t ms)
{
    hx_sleep(h, ms);
    hx_idle(h);
}

static const struct msg_approvals *list(struct hx *h, bool ended)
{
    const struct msg_approval_list m = {.ended = ended};
    return hx_ask(h, "edge", MSG_APPROVAL_LIST, &m, MSG_APPROVALS);
}

static void test_the_first_decision_wins(void **state)
{
    struct hx *h = *state;
    const struct msg_approval *a = ask(h, "a1", 20000, false);
    assert_true(sv_eqc(a->state, "pending"));
    assert_int_equal(a->expires_ms - a->created_ms, 20000);
    const struct msg_approvals *news = hx_push(h, "edge", MSG_APPROVALS);
    assert_non_null(news);
    assert_true(sv_eqc(news->rows[0].id, "a1"));
    const struct msg_approval_ended *e = resolve(h, "a1", "allow-once");
    assert_true(e->applied && sv_eqc(e->row[0].state, "allowed") && sv_eqc(e->row[0].reason, "user"));
    assert_non_null(hx_push(h, "edge", MSG_APPROVAL_ENDED));
    e = resolve(h, "a1", "deny");
    assert_false(e->applied);
    assert_true(sv_eqc(e->row[0].decision, "allow-once"));
    assert_null(hx_push(h, "edge", MSG_APPROVAL_ENDED));
    assert_int_equal(list(h, false)->rows_n, 0);
    assert_int_equal(list(h, true)->rows_n, 1);
}

static void test_nobody_to_ask(void **state)
{
    struct hx *h = *state;
    const struct msg_approval *a = ask(h, "a1", 0, true);
    assert_true(sv_eqc(a->state, "denied") && sv_eqc(a->reason, "no-route"));
    assert_null(hx_push(h, "edge", MSG_APPROVALS));
    assert_false(resolve(h, "a1", "allow-once")->applied);
}

static void test_the_clock_ends_and_forgets_it(void **state)
{
    struct hx *h = *state;
    (void)ask(h, "old", 1000, false);
    (void)hx_push(h, "edge", MSG_APPROVALS);
    sleep_idle(h, 1001);
    const struct msg_approval_ended *e = hx_push(h, "edge", MSG_APPROVAL_ENDED);
    assert_non_null(e);
    assert_true(sv_eqc(e->row[0].state, "expired") && sv_empty(e->row[0].decision) && sv_eqc(e->row[0].reason, "timeout"));
    sleep_idle(h, 23LL * 3600 * 1000);
    assert_int_equal(list(h, true)->rows_n, 1);
    sleep_idle(h, 2LL * 3600 * 1000);
    assert_int_equal(list(h, true)->rows_n, 0);
}

static void test_lists_are_in_order(void **state)
{
    struct hx *h = *state;
    (void)ask(h, "z", 60000, false);
    sleep_idle(h, 10);
    (void)ask(h, "a", 60000, false);
    sleep_idle(h, 10);
    (void)ask(h, "m", 60000, false);
    const struct msg_approvals *l = list(h, false);
    assert_int_equal(l->rows_n, 3);
    assert_true(sv_eqc(l->rows[0].id, "z") && sv_eqc(l->rows[1].id, "a") && sv_eqc(l->rows[2].id, "m"));
    (void)resolve(h, "m", "deny");
    sleep_idle(h, 10);
    (void)resolve(h, "z", "deny");
    l = list(h, true);
    assert_int_equal(l->rows_n, 2);
    assert_true(sv_eqc(l->rows[0].id, "z") && sv_eqc(l->rows[1].id, "m"));
}

static void test_refusals(void **state)
{
    struct hx *h = *state;
    (void)ask(h, "a1", 0, false);
    struct msg_approval r = row("a1");
    const struct msg_approval_ask again = {.row = &r, .row_n = 1};
    hx_refused(h, "edge", MSG_APPROVAL_ASK, &again, ERR_CONFLICT);
    const struct msg_approval_ask none = {.timeout_ms = 5};
    hx_refused(h, "edge", MSG_APPROVAL_ASK, &none, ERR_BAD);
    const struct msg_approval_resolve unknown = {.id = SV("nope"), .decision = SV("deny")};
    hx_refused(h, "edge", MSG_APPROVAL_RESOLVE, &unknown, ERR_GONE);
    const struct msg_approval_resolve word = {.id = SV("a1"), .decision = SV("maybe")};
    hx_refused(h, "edge", MSG_APPROVAL_RESOLVE, &word, ERR_BAD);
}

static void test_documents(void **state)
{
    struct hx *h = *state;
    char hash[65];
    const struct msg_document_get get = {.name = SV("exec.approvals")};
    const struct msg_document *d = hx_ask(h, "edge", MSG_DOCUMENT_GET, &get, MSG_DOCUMENT);
    assert_true(sv_empty(d->text) && d->hash.n > 0);
    assert_true(sv_copy(hash, sizeof hash, d->hash));
    const struct msg_document_put put = {.name = SV("exec.approvals"), .text = SV("{\"version\":1}"), .base = sv_of(hash)};
    d = hx_ask(h, "edge", MSG_DOCUMENT_PUT, &put, MSG_DOCUMENT);
    assert_false(sv_eqc(d->hash, hash));
    hx_refused(h, "edge", MSG_DOCUMENT_PUT, &put, ERR_CONFLICT); /* the base is old now */
    d = hx_ask(h, "edge", MSG_DOCUMENT_GET, &get, MSG_DOCUMENT);
    assert_true(sv_eqc(d->text, "{\"version\":1}"));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_first_decision_wins), TEST(test_nobody_to_ask), TEST(test_the_clock_ends_and_forgets_it),
        TEST(test_lists_are_in_order),      TEST(test_refusals),      TEST(test_documents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
