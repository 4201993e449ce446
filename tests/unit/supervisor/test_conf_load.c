/*
 * test_conf_load.c: files become typed values; everything wrong is said with file, line, name and cure.
 * Runs in: unit tests.     Owns: nothing.
 * Never: touches files outside its scratch folder.
 * Tested in: itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/supervisor/conf_fixture.h"

static void complains(const char *text, const char *want)
{
    struct cfg c;

    fixture_load(&c, text);
    assert_string_equal(buf_cstr(&c.errors), want);
    cfg_free(&c);
}

static void an_empty_file_is_valid(void **state)
{
    struct cfg c;

    (void)state;
    fixture_load(&c, "");
    assert_int_equal(c.error_n, 0);
    assert_int_equal(cfg_int(&c, "edge.port"), 18789);
    assert_int_equal(cfg_int(&c, "supervisor.stopGrace"), 20000);
    assert_int_equal(cfg_int(&c, "store.mapSize"), 16LL << 30);
    assert_int_equal(cfg_int(&c, "models.autodetect"), 1);
    assert_string_equal(cfg_str(&c, "edge.bind"), "loopback");
    assert_null(cfg_str(&c, "agents.defaults.timezone"));
    cfg_free(&c);
}

static void reads_every_type(void **state)
{
    struct cfg c;

    (void)state;
    fixture_load(&c, "edge: { port = 1234; idleTimeout = \"1m30s\"; ui = { enabled = false; };\n"
                     "  allowedOrigins = [ \"https://a\", \"https://b\" ]; };\n"
                     "store = { mapSize = \"64MiB\"; };\n"
                     "models = { providers = { local = { baseUrl = \"http://x/v1\";\n"
                     "  models = ( { id = \"qwen3:8b\"; contextWindow = 32768; }, { id = \"b\"; } ); }; }; };\n"
                     "channels = { irc = { host = \"h\"; allowFrom = \"*\"; accounts = (\n"
                     "  { id = \"1st\"; nick = \"n\"; } ); }; };\n");
    assert_string_equal(buf_cstr(&c.errors), "");
    assert_int_equal(cfg_int(&c, "edge.port"), 1234);
    assert_int_equal(cfg_int(&c, "edge.idleTimeout"), 90000);
    assert_int_equal(cfg_int(&c, "edge.ui.enabled"), 0);
    assert_int_equal(cfg_int(&c, "store.mapSize"), 64 << 20);
    assert_int_equal(cfg_find(&c, "edge.allowedOrigins")->list_n, 2);
    assert_string_equal(cfg_str(&c, "models.providers.local.models.0.id"), "qwen3:8b");
    assert_string_equal(cfg_str(&c, "models.providers.local.models.1.id"), "b");
    assert_string_equal(cfg_str(&c, "channels.irc.accounts.1st.nick"), "n");
    assert_string_equal(cfg_find(&c, "channels.irc.allowFrom")->list[0], "*");
    assert_non_null(strstr(cfg_find(&c, "edge.port")->origin, "t.conf:1"));
    cfg_free(&c);
}

static void says_what_is_wrong(void **state)
{
    (void)state;
    complains("edge = {\n prot = 1; };",
              "t.conf:2: edge.prot: unknown setting, did you mean edge.port?\n");
    complains("edge = { port = \"abc\"; };", "t.conf:1: edge.port: a whole number is wanted here\n");
    complains("edge = { port = 1.5; };", "t.conf:1: edge.port: a whole number is wanted here\n");
    complains("edge = { port = 70000; };",
              "t.conf:1: edge.port: 70000 is out of range, possible: 0 to 65535\n");
    complains("edge = { idleTimeout = 30; };",
              "t.conf:1: edge.idleTimeout: a duration in quotes, like \"30s\" or \"1h30m\" is wanted here\n");
    complains("edge = { idleTimeout = \"30\"; };",
              "t.conf:1: edge.idleTimeout: a duration in quotes, like \"30s\" or \"1h30m\" is wanted here\n");
    complains("edge = { auth = { mode = \"tokn\"; }; };",
              "t.conf:1: edge.auth.mode: \"tokn\" is not possible, choose one of: token|password|none\n");
    complains("edge = 5;", "t.conf:1: edge: a group is wanted here: { ... }\n");
    complains("edge = { port = { a = 1; }; };", "t.conf:1: edge.port: a whole number is wanted here\n");
    complains("edge = { allowedOrigins = [ 1 ]; };",
              "t.conf:1: edge.allowedOrigins: entry 1 is no text in quotes\n");
    complains("models = { autodetect = 1; };", "t.conf:1: models.autodetect: true or false is wanted here\n");
    complains("a = 1", "t.conf:1: a: unknown setting, known here: configVersion, include, supervisor, edge, "
                       "models, agents, tools, session, messages, cron, store, logging, channels\n");
}

static void says_what_the_parser_would_hide(void **state)
{
    (void)state;
    complains("configVersion = 1;\nedge = { port = 3000000000; };",
              "t.conf:2: edge.port: the number 3000000000 is too large; sizes and durations are texts, like \"16GiB\" or \"30s\"\n");
    complains("edge = { port = 3000000000; };\nedge2 = 1;",
              "t.conf:1: edge.port: the number 3000000000 is too large; sizes and durations are texts, like \"16GiB\" or \"30s\"\n"
              "t.conf:2: edge2: unknown setting, did you mean edge?\n");
    complains("edge = { port = 1; port = 2; };", "t.conf:1: duplicate setting name\n");
    complains("edge = {", "t.conf:1: syntax error\n");
}

static void ids_have_an_alphabet(void **state)
{
    (void)state;
    complains("channels = { irc = { accounts = ( { id = \"a/b\"; } ); }; };",
              "t.conf:1: channels.irc.accounts: entry 1 needs an id of letters, digits, - and _\n");
    complains("agents = { entries = ( 5 ); };", "t.conf:1: agents.entries: entry 1 is no group in braces\n");
}

static void many_errors_are_counted(void **state)
{
    struct cfg c;
    struct buf text = BUF_INIT(65536);

    (void)state;
    for (int i = 0; i < 50; i++) {
        buf_printf(&text, "bad%d = 1;\n", i);
    }
    fixture_load(&c, buf_cstr(&text));
    assert_int_equal(c.error_n, 50);
    buf_free(&text);
    cfg_free(&c);
}

static void dropins_come_later_and_win(void **state)
{
    struct cfg c;

    (void)state;
    fixture_load_mode(&c, "include = [ \"d.conf\", \"none-*.conf\" ];\nedge = { port = 1; maxConnections = 7; };",
                      "edge = { port = 2; };", 0600);
    assert_string_equal(buf_cstr(&c.errors), "");
    assert_int_equal(cfg_int(&c, "edge.port"), 2);
    assert_int_equal(cfg_int(&c, "edge.maxConnections"), 7);
    assert_int_equal(c.file_n, 2);
    cfg_free(&c);
}

static void a_missing_file_is_an_error(void **state)
{
    struct cfg c;

    (void)state;
    cfg_init(&c);
    cfg_load(&c, "/nonexistent/tenaza.conf");
    assert_int_equal(c.error_n, 1);
    assert_string_equal(buf_cstr(&c.errors), "/nonexistent/tenaza.conf: cannot be read\n");
    cfg_free(&c);
}

static void the_example_is_valid(void **state)
{
    struct cfg c;

    (void)state;
    setenv("ANTHROPIC_API_KEY", "k", 1);
    cfg_init(&c);
    cfg_load(&c, SOURCE_ROOT "/deploy/tenaza.conf.example");
    cfg_resolve_secrets(&c);
    cfg_check(&c);
    assert_string_equal(buf_cstr(&c.errors), "");
    assert_true(c.n > 20);
    cfg_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_file_is_valid),   cmocka_unit_test(reads_every_type),
        cmocka_unit_test(says_what_is_wrong),       cmocka_unit_test(says_what_the_parser_would_hide),
        cmocka_unit_test(ids_have_an_alphabet),     cmocka_unit_test(many_errors_are_counted),
        cmocka_unit_test(dropins_come_later_and_win), cmocka_unit_test(a_missing_file_is_an_error),
        cmocka_unit_test(the_example_is_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
