/*
 * test_conf_section.c: each worker gets its share, defaults filled in, and nothing else.
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

static const char text[] =
    "edge = { port = 5; auth = { token = \"0123456789abcdef\"; }; };\n"
    "agents = { workers = 3; entries = { main = { }; b = { name = \"Bee\"; }; }; };\n"
    "models = { providers = { ollama = { }; x = { apiKey = \"secret-key\"; models = ( { id = \"m.1/x:2\"; } ); }; }; };\n"
    "channels = { irc = { host = \"h\"; nick = \"n\"; historyLimit = 7; groups = [ \"#a\", \"#b\" ];\n"
    "    accounts = { one = { nick = \"uno\"; }; two = { enabled = false; }; }; };\n"
    "  webhook = { secret = \"12345678\"; }; };\n";

static const struct cfg_place place = {"/run/x", "/state", "plain", "tok", 1};

static struct conf section(struct cfg *c, enum worker_id kind, const struct cfg_account *a)
{
    struct conf s = {0};
    fixture_load(c, text);
    assert_string_equal(buf_cstr(&c->errors), "");
    cfg_resolve_secrets(c);
    cfg_section(c, kind, a, &place, &s);
    return s;
}

static void store_section(void **state)
{
    struct cfg c;
    struct conf s = section(&c, WK_store, NULL);

    (void)state;
    assert_string_equal(conf_str(&s, "run.dir", ""), "/run/x");
    assert_string_equal(conf_str(&s, "log.level", ""), "info");
    assert_int_equal(conf_int(&s, "agents.workers", 0), 3);
    assert_int_equal(conf_int(&s, "agents.defaults.maxConcurrent", 0), 48);
    assert_string_equal(conf_str(&s, "store.durability", ""), "full");
    assert_string_equal(conf_str(&s, "messages.queue.mode", ""), "collect");
    assert_null(conf_find(&s, "edge.auth.token"));
    assert_null(conf_find(&s, "models.providers.x.apiKey"));
    conf_free(&s);
    cfg_free(&c);
}

static void edge_section(void **state)
{
    struct cfg c;
    struct conf s = section(&c, WK_edge, NULL);

    (void)state;
    assert_int_equal(conf_int(&s, "edge.port", 0), 5);
    assert_int_equal(conf_int(&s, "listen.count", 0), 1);
    assert_string_equal(conf_secret(&s, "edge.auth.token", ""), "tok");
    assert_string_equal(conf_str(&s, "edge.auth.token", "not a plain text"), "not a plain text");
    assert_string_equal(conf_str(&s, "gateway.version", ""), TENAZA_VERSION);
    assert_int_equal(conf_count(&s, "channels.list"), 2);
    assert_string_equal(conf_at(&s, "channels.list", 0), "irc/one");
    assert_string_equal(conf_at(&s, "channels.list", 1), "webhook/default");
    assert_null(conf_find(&s, "channels.webhook.secret"));
    conf_free(&s);
    cfg_free(&c);
}

static void agent_section(void **state)
{
    struct cfg c;

    (void)state;
    setenv("ANTHROPIC_API_KEY", "ant", 1);
    unsetenv("OPENAI_API_KEY");
    struct conf s = section(&c, WK_agent, NULL);
    assert_string_equal(conf_secret(&s, "models.env.anthropic", ""), "ant");
    assert_null(conf_find(&s, "models.env.openai"));
    assert_string_equal(conf_secret(&s, "models.providers.x.apiKey", ""), "secret-key");
    assert_string_equal(conf_str(&s, "models.providers.x.models.0.id", ""), "m.1/x:2");
    assert_null(conf_find(&s, "models.providers.x.timeout"));
    assert_string_equal(conf_str(&s, "models.providers.ollama.api", ""), "openai-completions");
    assert_string_equal(conf_str(&s, "agents.entries.main.name", ""), "main");
    assert_string_equal(conf_str(&s, "agents.entries.b.name", ""), "Bee");
    assert_int_equal(conf_int(&s, "agents.defaults.timeoutSeconds", 0), 600);
    assert_null(conf_find(&s, "edge.port"));
    conf_free(&s);
    cfg_free(&c);
}

static void channel_section_merges(void **state)
{
    struct cfg c;
    struct cfg_account a = {"irc", "one", true};
    struct conf s = section(&c, WK_channel, &a);

    (void)state;
    assert_string_equal(conf_str(&s, "channel", ""), "irc");
    assert_string_equal(conf_str(&s, "account", ""), "one");
    assert_string_equal(conf_str(&s, "host", ""), "h");
    assert_string_equal(conf_str(&s, "nick", ""), "uno");
    assert_string_equal(conf_str(&s, "dmPolicy", ""), "pairing");
    assert_int_equal(conf_int(&s, "historyLimit", 0), 7);
    assert_true(conf_bool(&s, "requireMention", false));
    assert_int_equal(conf_count(&s, "groups"), 2);
    assert_null(conf_find(&s, "enabled"));
    assert_null(conf_find(&s, "secret"));
    conf_free(&s);
    cfg_free(&c);
}

static void accounts_are_listed(void **state)
{
    struct cfg c;
    struct cfg_account a;

    (void)state;
    fixture_load(&c, text);
    assert_true(cfg_account_at(&c, 0, &a));
    assert_string_equal(a.account, "one");
    assert_true(a.enabled);
    assert_true(cfg_account_at(&c, 1, &a));
    assert_string_equal(a.account, "two");
    assert_false(a.enabled);
    assert_true(cfg_account_at(&c, 2, &a));
    assert_string_equal(a.channel, "webhook");
    assert_string_equal(a.account, "default");
    assert_false(cfg_account_at(&c, 3, &a));
    cfg_free(&c);
}

static void the_same_file_gives_the_same_bytes(void **state)
{
    struct buf one = BUF_INIT(1 << 20);
    struct buf two = BUF_INIT(1 << 20);

    (void)state;
    for (unsigned k = 0; k < WK_COUNT; k++) {
        struct cfg c;
        struct cfg d;
        if (k == WK_channel) {
            continue;
        }
        buf_reset(&one);
        buf_reset(&two);
        struct conf s = section(&c, k, NULL);
        struct conf t = section(&d, k, NULL);
        assert_true(conf_encode(&s, &one) && conf_encode(&t, &two));
        assert_true(sv_eq(buf_view(&one), buf_view(&two)));
        conf_free(&s);
        conf_free(&t);
        cfg_free(&c);
        cfg_free(&d);
    }
    buf_free(&one);
    buf_free(&two);
}

static void the_table_of_kinds(void **state)
{
    (void)state;
    assert_string_equal(worker_kinds[WK_store].exe, "tenaza-store");
    assert_int_equal(worker_kinds[WK_store].on_exhausted, WX_ESCALATE);
    assert_int_equal(worker_kinds[WK_channel].instances, WI_ACCOUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(store_section),
        cmocka_unit_test(edge_section),
        cmocka_unit_test(agent_section),
        cmocka_unit_test(channel_section_merges),
        cmocka_unit_test(accounts_are_listed),
        cmocka_unit_test(the_same_file_gives_the_same_bytes),
        cmocka_unit_test(the_table_of_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
