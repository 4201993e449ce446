/*
 * test_conf_plan.c: which workers a changed configuration concerns, and how.
 * Runs in: unit tests.     Owns: nothing.
 * Never: touches files outside its scratch folder.
 * Tested in: itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "supervisor/conf_plan.h"
#include "tests/unit/supervisor/conf_fixture.h"

static const struct cfg_place place = {"/run/x", "/state", "plain", "tok", 1};

#define AGENTS "agents = { workers = 2; };\n"
#define IRC(more) "channels = { irc = { host = \"h\"; " more "accounts = { a = { nick = \"n\"; }; }; }; };\n"

static void side(struct cfg *c, const char *text, struct plan_side *s)
{
    fixture_load(c, text);
    assert_string_equal(buf_cstr(&c->errors), "");
    plan_side_make(s, c, &place);
}

/* The plan as text: "restart irc/a (nick); start agent-3 ()". */
static const char *plan_text(const char *was, const char *wanted)
{
    static char text[4096];
    struct cfg c1;
    struct cfg c2;
    struct plan_side s1;
    struct plan_side s2;
    struct plan p;
    size_t n = 0;

    side(&c1, was, &s1);
    side(&c2, wanted, &s2);
    plan_make(&s1, &s2, &p);
    plan_note_later(&c1, &c2, &p);
    text[0] = '\0';
    for (size_t i = 0; i < p.n; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s %s (%s)", i ? "; " : "",
                              plan_action_name(p.steps[i].action), p.steps[i].worker.name, p.steps[i].why);
    }
    if (p.later.n > 0) {
        snprintf(text + n, sizeof text - n, "; later %s", buf_cstr(&p.later));
    }
    plan_free(&p);
    plan_side_free(&s1);
    plan_side_free(&s2);
    cfg_free(&c1);
    cfg_free(&c2);
    return text;
}

static void the_same_needs_nothing(void **state)
{
    (void)state;
    assert_string_equal(plan_text(AGENTS IRC(""), AGENTS IRC("")), "");
    /* Written differently, meaning the same. */
    assert_string_equal(plan_text("edge = { idleTimeout = \"75s\"; };\n", "edge = { idleTimeout = \"1m15s\"; };\n"), "");
    assert_string_equal(plan_text("", "agents = { workers = 2; };\n"), "");
}

static void scaling_touches_no_running_agent(void **state)
{
    (void)state;
    assert_string_equal(plan_text(AGENTS, "agents = { workers = 4; };\n"),
                        "push store (agents.workers, agents.defaults.maxConcurrent); "
                        "push agent-1 (agents.workers, agents.defaults.maxConcurrent); "
                        "push agent-2 (agents.workers, agents.defaults.maxConcurrent); start agent-3 (); start agent-4 ()");
    assert_string_equal(plan_text(AGENTS, "agents = { workers = 1; };\n"),
                        "stop agent-2 (); push store (agents.workers, agents.defaults.maxConcurrent); "
                        "push agent-1 (agents.workers, agents.defaults.maxConcurrent)");
}

static void accounts_come_change_and_go(void **state)
{
    (void)state;
    assert_string_equal(plan_text("", IRC("")), "push edge (channels.list); start irc/a ()");
    assert_string_equal(plan_text(IRC(""), ""), "stop irc/a (); push edge (channels.list)");
    assert_string_equal(plan_text(IRC(""), IRC("port = 7000; ")), "restart irc/a (port)");
    assert_string_equal(plan_text(IRC(""), IRC("allowFrom = [ \"x\" ]; ")), "push irc/a (allowFrom)");
    /* One key that needs a restart is enough. */
    assert_string_equal(plan_text(IRC(""), IRC("allowFrom = [ \"x\" ]; port = 7000; ")), "restart irc/a (port, allowFrom)");
    assert_string_equal(plan_text(IRC(""), IRC("enabled = false; ")), "stop irc/a (); push edge (channels.list)");
}

static void hubs_only_for_their_own(void **state)
{
    (void)state;
    assert_string_equal(plan_text("", "store = { durability = \"fast\"; };\n"), "restart store (store.durability)");
    assert_string_equal(plan_text("", "messages = { queue = { cap = 3; }; };\n"), "push store (messages.queue.cap)");
    assert_string_equal(plan_text("", "edge = { port = 5; };\n"), "restart edge (edge.port)");
}

static void secrets_are_named_never_shown(void **state)
{
    (void)state;
    const char *text = plan_text("edge = { auth = { token = \"0123456789abcdef\"; }; };\n",
                                 "edge = { auth = { token = \"fedcba9876543210\"; }; };\n");
    /* The place says what the token is; here it is the same, so that nothing changed for the edge. */
    assert_string_equal(text, "");
    text = plan_text("models = { providers = { p = { apiKey = \"key-one\"; }; }; };\n",
                     "models = { providers = { p = { apiKey = \"key-two\"; }; }; };\n");
    assert_non_null(strstr(text, "restart agent-1 (models.providers.p.apiKey)"));
    assert_null(strstr(text, "key-"));
}

static void what_only_a_start_takes_up_is_named(void **state)
{
    (void)state;
    assert_string_equal(plan_text("", "supervisor = { stateDir = \"/x\"; };\n"), "; later supervisor.stateDir\n");
    assert_string_equal(plan_text("", "supervisor = { stopGrace = \"1s\"; };\n"), "");
    assert_non_null(strstr(plan_text("", "logging = { console = \"off\"; };\n"), "later logging.console"));
}

static void long_lists_of_keys_are_cut(void **state)
{
    char wanted[4096] = "models = { providers = {";
    (void)state;
    for (int i = 0; i < 20; i++) {
        size_t n = strlen(wanted);
        snprintf(wanted + n, sizeof wanted - n, " p%d = { apiKey = \"abc\"; };", i);
    }
    strncat(wanted, " }; };\n", sizeof wanted - strlen(wanted) - 1);
    assert_non_null(strstr(plan_text("", wanted), ", ...)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_needs_nothing),
        cmocka_unit_test(scaling_touches_no_running_agent),
        cmocka_unit_test(accounts_come_change_and_go),
        cmocka_unit_test(hubs_only_for_their_own),
        cmocka_unit_test(secrets_are_named_never_shown),
        cmocka_unit_test(what_only_a_start_takes_up_is_named),
        cmocka_unit_test(long_lists_of_keys_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
