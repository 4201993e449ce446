/*
 * test_device.c: devices: silent approval, waiting and being approved, tokens per role, who hears of it.
 * Runs in: unit tests.     Owns: nothing.
 * Never: opens a socket.
 * Tested in: itself
 */
#include "harness.h"

#include <string.h>

#include "common/err.h"

static char dev_id[65];

static int setup(void **state)
{
    static struct hx h;
    memset(dev_id, 'a', 64);
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

static struct msg_device_req wish(const char *role, const char *scopes)
{
    return (struct msg_device_req){.id = sv_of(dev_id),
                                   .public_key = SV("0123456789abcdef0123456789abcdef"),
                                   .role = sv_of(role),
                                   .scopes = sv_of(scopes),
                                   .platform = SV("linux"),
                                   .reason = SV("not-paired")};
}

static const struct msg_device *silent(struct hx *h, struct msg_device_req r)
{
    struct msg_device_ask m = {.silent = true, .req = &r, .req_n = 1};
    return hx_ask(h, "edge", MSG_DEVICE_ASK, &m, MSG_DEVICE);
}

static const struct msg_device_req *waits(struct hx *h, struct msg_device_req r)
{
    struct msg_device_ask m = {.req = &r, .req_n = 1};
    return hx_ask(h, "edge", MSG_DEVICE_ASK, &m, MSG_DEVICE_REQ);
}

static const struct msg_device_news *news(struct hx *h, const char *what)
{
    const struct msg_device_news *n = hx_push(h, "edge", MSG_DEVICE_NEWS);
    assert_non_null(n);
    assert_true(sv_eqc(n->what, what));
    return n;
}

static void silent_approval_unites_and_renews(void **state)
{
    struct hx *h = *state;
    const struct msg_device *a = silent(h, wish("operator", "operator.read"));
    assert_int_equal(a->tokens_n, 1);
    assert_int_equal(a->tokens[0].token.n, 32);
    assert_true(sv_eqc(a->approved_via, "silent"));
    const struct msg_device *b = silent(h, wish("operator", "operator.read"));
    assert_true(sv_eq(a->tokens[0].token, b->tokens[0].token));
    const struct msg_device *c = silent(h, wish("operator", "operator.write"));
    assert_true(sv_eqc(c->scopes, "operator.read,operator.write"));
    assert_false(sv_eq(a->tokens[0].token, c->tokens[0].token)); /* the scopes grew */
    const struct msg_device *d = silent(h, wish("node", ""));
    assert_true(sv_eqc(d->role, "operator,node"));
    assert_int_equal(d->tokens_n, 2);
    assert_true(sv_eq(d->tokens[0].token, c->tokens[0].token));
    assert_null(hx_push(h, "edge", MSG_DEVICE_NEWS)); /* nobody was asked, nobody is told */
}

static void waiting_is_told_once_and_keeps_its_id(void **state)
{
    struct hx *h = *state;
    const struct msg_device_req *first = waits(h, wish("operator", "operator.read"));
    assert_true(sv_eq(news(h, "requested")->req[0].request_id, first->request_id));
    const struct msg_device_req *again = waits(h, wish("operator", "operator.read"));
    assert_true(sv_eq(first->request_id, again->request_id));
    assert_null(hx_push(h, "edge", MSG_DEVICE_NEWS));
    struct msg_device_get get = {.id = sv_of(dev_id)};
    (void)hx_refused(h, "edge", MSG_DEVICE_GET, &get, ERR_GONE);
    /* It asks for more meanwhile: what the operator saw is not what is approved. */
    (void)waits(h, wish("operator", "operator.admin"));
    (void)news(h, "requested");
    struct msg_device_resolve yes = {.request_id = first->request_id, .approve = true, .role = SV("operator"),
                                     .scopes = SV("operator.read")};
    (void)hx_refused(h, "cli-1", MSG_DEVICE_RESOLVE, &yes, ERR_CONFLICT);
    yes.scopes = SV("operator.admin");
    const struct msg_device *d = hx_ask(h, "cli-1", MSG_DEVICE_RESOLVE, &yes, MSG_DEVICE);
    assert_true(sv_eqc(d->approved_via, "owner"));
    (void)news(h, "approved");
    (void)hx_refused(h, "cli-1", MSG_DEVICE_RESOLVE, &yes, ERR_GONE);
}

static void rejected_and_expired_requests_are_gone(void **state)
{
    struct hx *h = *state;
    struct msg_device_resolve no = {.request_id = waits(h, wish("operator", ""))->request_id};
    (void)hx_ask(h, "edge", MSG_DEVICE_RESOLVE, &no, MSG_DEVICE_REQ);
    hx_skip(h);
    no.request_id = waits(h, wish("operator", ""))->request_id;
    (void)news(h, "requested");
    hx_sleep(h, 5 * 60 * 1000 + 1);
    hx_idle(h);
    (void)news(h, "expired");
    struct msg_device_list l = {.id = SV_NULL};
    const struct msg_devices *all = hx_ask(h, "edge", MSG_DEVICE_LIST, &l, MSG_DEVICES);
    assert_int_equal(all->pending_n, 0);
    (void)hx_refused(h, "edge", MSG_DEVICE_RESOLVE, &no, ERR_GONE);
}

static void tokens_are_rotated_revoked_and_hidden_in_lists(void **state)
{
    struct hx *h = *state;
    const struct msg_device *d = silent(h, wish("operator", "operator.read,operator.write"));
    struct msg_device_change c = {.id = d->id, .op = SV("rotate"), .role = SV("operator"), .scopes = SV("operator.read")};
    const struct msg_device *r = hx_ask(h, "edge", MSG_DEVICE_CHANGE, &c, MSG_DEVICE);
    assert_false(sv_eq(r->tokens[0].token, d->tokens[0].token));
    assert_true(sv_eqc(r->tokens[0].scopes, "operator.read"));
    (void)news(h, "rotated");
    struct msg_device_list l = {.id = d->id};
    const struct msg_devices *all = hx_ask(h, "edge", MSG_DEVICE_LIST, &l, MSG_DEVICES);
    assert_int_equal(all->paired_n, 1);
    assert_int_equal(all->paired[0].tokens[0].token.n, 0);
    c.role = SV("node");
    (void)hx_refused(h, "edge", MSG_DEVICE_CHANGE, &c, ERR_BAD);
    c.role = SV("operator");
    c.op = SV("revoke");
    r = hx_ask(h, "edge", MSG_DEVICE_CHANGE, &c, MSG_DEVICE);
    assert_true(sv_empty(r->role));
    assert_int_equal(r->tokens[0].token.n, 0);
    assert_true(r->tokens[0].revoked_ms > 0);
    (void)news(h, "revoked");
    r = silent(h, wish("operator", "operator.read")); /* approved again: the old scopes are not given back */
    assert_true(sv_eqc(r->tokens[0].scopes, "operator.read"));
    assert_int_equal(r->tokens[0].revoked_ms, 0);
    c.op = SV("remove");
    (void)hx_ask(h, "edge", MSG_DEVICE_CHANGE, &c, MSG_DEVICE);
    (void)news(h, "removed");
    (void)hx_refused(h, "edge", MSG_DEVICE_CHANGE, &c, ERR_GONE);
}

static void bad_requests_name_the_field(void **state)
{
    struct hx *h = *state;
    struct msg_device_req r = wish("operator,node", "");
    struct msg_device_ask m = {.req = &r, .req_n = 1};
    assert_true(sv_eqc(hx_refused(h, "edge", MSG_DEVICE_ASK, &m, ERR_BAD)->field, "role"));
    r.id = SV("short");
    assert_true(sv_eqc(hx_refused(h, "edge", MSG_DEVICE_ASK, &m, ERR_BAD)->field, "id"));
    m.req_n = 0;
    assert_true(sv_eqc(hx_refused(h, "edge", MSG_DEVICE_ASK, &m, ERR_BAD)->field, "req"));
    struct msg_device_change c = {.id = sv_of(dev_id), .op = SV("polish")};
    assert_true(sv_eqc(hx_refused(h, "edge", MSG_DEVICE_CHANGE, &c, ERR_BAD)->field, "op"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(silent_approval_unites_and_renews, setup, teardown),
        cmocka_unit_test_setup_teardown(waiting_is_told_once_and_keeps_its_id, setup, teardown),
        cmocka_unit_test_setup_teardown(rejected_and_expired_requests_are_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(tokens_are_rotated_revoked_and_hidden_in_lists, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_requests_name_the_field, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
