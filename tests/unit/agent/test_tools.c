/*
 * test_tools.c: the table of tools, the check of arguments, the two tools.
 * Runs in: unit tests.     Owns: nothing.
 * Never: uses the network.
 * Tested in: this is the test.
 */
#include "tests/unit/agent/unit.h"

#include "agent/tools/tool.h"
#include "common/tz.h"
#include "common/clock.h"
#include "common/err.h"

static struct {
    unsigned times;
    bool is_error;
    char text[2000];
} got;

static void done(void *ctx, struct tool_run *t, sv text, bool is_error)
{
    (void)ctx;
    (void)t;
    got.times++;
    got.is_error = is_error;
    (void)sv_copy(got.text, sizeof got.text, text);
}

static void run(const char *name, const char *args)
{
    struct tool_env env = {.session_key = SV("agent:main:main"), .session_id = SV("s1"), .agent_id = SV("main"), .channel = SV("irc"),
                           .provider = "ollama", .model = "qwen3:8b", .zone = "UTC", .window = 8192, .rows = 3, .in_tokens = 5,
                           .started_ms = clock_real_ms() - 2000};
    const struct tool *t = tool_find(sv_of(name));
    json_t *v;
    char err[200];
    assert_non_null(t);
    assert_int_equal(tool_args(t, sv_of(args), &v, err, sizeof err), OK);
    memset(&got, 0, sizeof got);
    struct tool_run r = {.tool = t, .env = &env, .args = v, .done = done};
    t->ops->start(&r);
    assert_int_equal(got.times, 1);
    json_free(&v);
}

static void has(const char *part)
{
    if (!strstr(got.text, part)) {
        fail_msg("\"%s\" lacks \"%s\"", got.text, part);
    }
}

static void current_time(void **state)
{
    (void)state;
    clock_test_set(1000, 1795197146000);
    run("current_time", "{}");
    assert_false(got.is_error);
    assert_string_equal(got.text, "Friday 2026-11-20 17:52:26 UTC (UTC, UTC+00:00, unix time 1795197146)");
    if (tz_get(SV("America/St_Johns"))) {
        run("current_time", "{\"timezone\":\"America/St_Johns\"}");
        has("Friday 2026-11-20 14:22:26 NST (America/St_Johns, UTC-03:30,");
    }
    run("current_time", "{\"timezone\":\"Mars\"}");
    assert_true(got.is_error);
    has("no time zone \"Mars\"");
    clock_test_set(-1, -1);
    tz_free_all();
}

static void session_status(void **state)
{
    (void)state;
    run("session_status", "{}");
    assert_false(got.is_error);
    has("session: agent:main:main\n");
    has("model: ollama/qwen3:8b\n");
    has("context window: 8192 tokens");
    has("started 2 s ago");
    has("channel: irc");
}

static void the_table(void **state)
{
    (void)state;
    assert_true(tool_count() >= 2);
    for (size_t i = 0; i < tool_count(); i++) {
        const struct tool *t = tool_at(i);
        json_t *schema = json_parse(sv_of(t->schema), NULL, 0);
        assert_non_null(schema);
        assert_sv(json_sv(schema, "type"), "object");
        assert_true(strlen(t->description) > 10 && t->result_max > 0);
        assert_ptr_equal(tool_find(sv_of(t->name)), t);
        json_free(&schema);
    }
    assert_null(tool_find(SV("Current_Time")));
    char text[300];
    tool_unknown(SV("rm"), text, sizeof text);
    assert_non_null(strstr(text, "no tool named \"rm\""));
    assert_non_null(strstr(text, "current_time"));
}

static void refuse(const char *schema, const char *args, const char *want)
{
    char err[200] = "";
    json_t *s = json_parse(sv_of(schema), NULL, 0);
    json_t *a = json_parse(sv_of(args), NULL, 0);
    assert_non_null(s);
    int rc = tool_args_check(s, a, err, sizeof err);
    if (want ? rc != ERR_BAD || !strstr(err, want) : rc != OK) {
        fail_msg("%s: %d \"%s\"", args, rc, err);
    }
    json_free(&s);
    json_free(&a);
}

static void arguments(void **state)
{
    (void)state;
    const char *schema = "{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"},\"x\":{\"type\":\"number\"},\"s\":{\"type\":\"string\"},"
                         "\"b\":{\"type\":\"boolean\"},\"l\":{\"type\":\"array\"},\"o\":{\"type\":\"object\"},"
                         "\"e\":{\"type\":\"string\",\"enum\":[\"a\",\"b\"]}},\"required\":[\"s\"],\"additionalProperties\":false}";
    refuse(schema, "{\"s\":\"\"}", NULL);
    refuse(schema, "{\"s\":\"x\",\"n\":3,\"x\":1,\"b\":true,\"l\":[],\"o\":{},\"e\":\"b\"}", NULL);
    refuse(schema, "{\"s\":\"x\",\"n\":3.0,\"x\":1.5}", NULL);
    refuse(schema, "{}", "\"s\" is missing");
    refuse(schema, "{\"s\":1}", "\"s\" must be of type string, not integer");
    refuse(schema, "{\"s\":null}", "\"s\" must be of type string, not null");
    refuse(schema, "{\"s\":\"x\",\"n\":3.5}", "\"n\" must be of type integer");
    refuse(schema, "{\"s\":\"x\",\"b\":\"true\"}", "\"b\" must be of type boolean");
    refuse(schema, "{\"s\":\"x\",\"e\":\"c\"}", "\"e\" has a value that is not allowed");
    refuse(schema, "{\"s\":\"x\",\"zzz\":1}", "\"zzz\" is not an argument");
    refuse(schema, "[]", "must be an object, not array");
    refuse(schema, "\"(not valid JSON)\"", "must be an object, not string");
    refuse("{\"type\":\"object\"}", "{\"any\":1}", NULL);
    char err[200];
    json_t *v;
    assert_int_equal(tool_args(tool_find(SV("current_time")), SV("{\"timezone\":"), &v, err, sizeof err), ERR_BAD);
    assert_null(v);
    assert_string_equal(err, "Arguments were not valid JSON");
    assert_int_equal(tool_args(tool_find(SV("current_time")), SV("{\"zone\":1}"), &v, err, sizeof err), ERR_BAD);
    assert_non_null(strstr(err, "Arguments of current_time are wrong: \"zone\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(current_time), cmocka_unit_test(session_status), cmocka_unit_test(the_table), cmocka_unit_test(arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
