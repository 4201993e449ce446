/*
 * test_fake_llm.c: the fake model server as a client sees it, every directive once, through common/http.c.
 * Runs in: meson test, suite unit.     Owns: the server process it starts, in a directory below /tmp.
 * Never: leaves the server behind.
 * Tested in: itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/file.h"
#include "common/http.h"
#include "common/json.h"

#define KEY "k-1"

static char dir[64];
static pid_t server;
static uint16_t port;
static struct loop *l;
static struct http_client *client;

/* ---- one request --------------------------------------------------------------------------------------- */

static struct {
    enum http_fail fail;
    int status, chunks;
    int64_t retry_after_ms;
    struct buf text;
} got;
static int waiting;

static void on_data(void *ctx, sv bytes)
{
    (void)ctx;
    got.chunks++;
    buf_sv(&got.text, bytes);
}

static void on_done(void *ctx, const struct http_result *r)
{
    (void)ctx;
    got.fail = r->fail;
    got.status = r->status;
    got.retry_after_ms = r->retry_after_ms;
    buf_sv(&got.text, r->body);
    if (--waiting == 0) {
        loop_stop(l);
    }
}

static void begin(const char *method, const char *path, const char *key, sv body, int64_t idle_ms)
{
    char url[128], auth[64];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u%s", port, path);
    (void)snprintf(auth, sizeof auth, "Authorization: Bearer %s", key);
    const char *headers[] = {auth, "anthropic-version: 2023-06-01", "Content-Type: application/json", NULL};
    struct http_opts o = {.method = method, .url = url, .headers = headers, .body = body, .idle_ms = idle_ms,
                          .allow_private = true};
    waiting++;
    http_start(client, &o, on_data, on_done, NULL);
}

static void request(const char *method, const char *path, const char *key, sv body, int64_t idle_ms)
{
    buf_free(&got.text);
    memset(&got, 0, sizeof got);
    got.text = BUF_INIT(4 * 1024 * 1024);
    begin(method, path, key, body, idle_ms);
    loop_run(l);
}

static const char *OPENAI = "/v1/chat/completions", *ANTHROPIC = "/v1/messages";

static void ask(const char *path, const char *text, bool stream)
{
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(65536);
    buf_printf(&b, "{\"model\":\"fake-1\",\"max_tokens\":100,\"stream\":%s,\"messages\":[{\"role\":\"user\",\"content\":",
               stream ? "true" : "false");
    buf_json_str(&b, sv_of(text));
    buf_str(&b, "}]}");
    request("POST", path, KEY, buf_view(&b), 1000);
}

/* The text of an answer, streamed or not, of either dialect. */
static void text_of(struct buf *dst)
{
    static const char *const paths[] = {"choices.0.delta.content", "delta.text", "delta.partial_json",
                                        "choices.0.delta.tool_calls.0.function.arguments"};
    for (sv rest = buf_view(&got.text); !sv_empty(rest);) {
        sv line = sv_cut(&rest, '\n');
        if (!sv_starts(line, SV("data: {"))) {
            continue;
        }
        json_t *v ATTR_CLEANUP(json_free) = json_parse(sv_sub(line, 6, line.n), NULL, 0);
        for (size_t i = 0; v && i < ARRAY_LEN(paths); i++) {
            buf_sv(dst, json_sv(v, paths[i]));
        }
    }
    json_t *v ATTR_CLEANUP(json_free) = json_parse(buf_view(&got.text), NULL, 0);
    buf_sv(dst, json_sv(v, "choices.0.message.content"));
    buf_sv(dst, json_sv(v, "content.0.text"));
}

static void assert_text(const char *want)
{
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(4 * 1024 * 1024);
    text_of(&b);
    assert_int_equal(got.fail, HTTP_OK);
    assert_int_equal(got.status, 200);
    assert_string_equal(buf_cstr(&b), want);
}

static void assert_has(const char *part)
{
    if (sv_find(buf_view(&got.text), sv_of(part)) < 0) {
        fail_msg("%s is missing in %s", part, buf_cstr(&got.text));
    }
}

/* ---- tests ------------------------------------------------------------------------------------------------ */

static void echoes_in_both_dialects(void **state)
{
    (void)state;
    const char *paths[] = {OPENAI, ANTHROPIC};
    for (size_t i = 0; i < 2; i++) {
        ask(paths[i], "hello w\xc3\xb6rld", true);
        assert_text("echo: hello w\xc3\xb6rld");
        assert_true(got.chunks >= 1);
        ask(paths[i], "hello", false);
        assert_text("echo: hello");
        ask(paths[i], "the STATUS of things", true); /* no number behind it: ordinary text */
        assert_text("echo: the STATUS of things");
    }
    ask(OPENAI, "x", true);
    assert_has("data: [DONE]\n\n");
    ask(ANTHROPIC, "x", true);
    assert_has("event: message_stop\n");
}

static void slow_and_delay(void **state)
{
    (void)state;
    int64_t t = clock_mono_ms();
    ask(OPENAI, "SLOW 3 please", true);
    assert_text("echo: SLOW 3 please chunk 2 chunk 3");
    assert_in_range(clock_mono_ms() - t, 190, 1500);
    t = clock_mono_ms();
    ask(ANTHROPIC, "DELAY 150 x", false);
    assert_text("echo: DELAY 150 x");
    assert_in_range(clock_mono_ms() - t, 140, 1500);
}

static void long_has_its_length(void **state)
{
    (void)state;
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(4 * 1024 * 1024);
    ask(OPENAI, "LONG 60000", true);
    text_of(&b);
    assert_int_equal(b.n, 60000);
    assert_true(sv_starts(buf_view(&b), SV("word1 word2 ")));
}

static void tools_go_round(void **state)
{
    (void)state;
    ask(OPENAI, "TOOL current_time {\"timezone\":\"}\"}", true);
    assert_text("{\"timezone\":\"}\"}");
    assert_has("\"name\":\"current_time\"");
    assert_has("\"finish_reason\":\"tool_calls\"");
    ask(ANTHROPIC, "TOOL session_status", true);
    assert_text("{}");
    assert_has("\"stop_reason\":\"tool_use\"");
    request("POST", OPENAI, KEY,
            SV("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"TOOL t {}\"},{\"role\":\"assistant\","
               "\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"t\","
               "\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"42\"}]}"), 0);
    assert_text("tool said: 42");
    request("POST", ANTHROPIC, KEY,
            SV("{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"TOOL t {}\"},"
               "{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"u1\",\"name\":\"t\",\"input\":{}}]},"
               "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"u1\",\"content\":\"42\"}]}]}"), 0);
    assert_text("tool said: 42");
}

static void failures(void **state)
{
    (void)state;
    ask(OPENAI, "STATUS 429", true);
    assert_int_equal(got.status, 429);
    assert_int_equal(got.retry_after_ms, 1000);
    assert_has("\"error\":{\"message\":");
    ask(ANTHROPIC, "STATUS 529", true);
    assert_int_equal(got.status, 529);
    assert_has("overloaded_error");
    ask(OPENAI, "FAILONCE 503 once", true);
    assert_int_equal(got.status, 503);
    ask(OPENAI, "FAILONCE 503 once", true);
    assert_text("echo: FAILONCE 503 once");
    ask(OPENAI, "BREAK 2", true);
    assert_int_equal(got.fail, HTTP_UNKNOWN);
    assert_has("part 2 ");
    assert_true(sv_find(buf_view(&got.text), SV("part 3 ")) < 0);
    ask(OPENAI, "BREAK 0", true);
    assert_int_equal(got.fail, HTTP_UNKNOWN);
    assert_int_equal(got.status, 0);
    ask(ANTHROPIC, "BREAK 2", false);
    assert_int_equal(got.fail, HTTP_UNKNOWN);
    ask(OPENAI, "HANG", true);
    assert_int_equal(got.fail, HTTP_UNKNOWN);
    ask(ANTHROPIC, "GARBAGE", true);
    assert_int_equal(got.fail, HTTP_OK);
    assert_has("no JSON at all");
    ask(ANTHROPIC, "NOTEXT", true);
    assert_text("");
    assert_has("end_turn");
}

static void bad_requests(void **state)
{
    (void)state;
    static const struct {
        const char *path, *body;
    } bad[] = {
        {"/v1/chat/completions", "not json"},
        {"/v1/chat/completions", "{\"model\":\"m\",\"messages\":[]}"},
        {"/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}"},
        {"/v1/chat/completions", "{\"model\":\"m\",\"messages\":[{\"role\":\"tool\",\"tool_call_id\":\"a\",\"content\":\"x\"}]}"},
        {"/v1/chat/completions", "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"a\","
                                 "\"function\":{\"name\":\"t\",\"arguments\":\"{}\"}}]},{\"role\":\"user\",\"content\":\"x\"}]}"},
        {"/v1/messages", "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}"},
        {"/v1/messages", "{\"model\":\"m\",\"max_tokens\":1,\"messages\":[{\"role\":\"assistant\",\"content\":\"x\"}]}"},
        {"/v1/messages", "{\"model\":\"m\",\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"\"}]}]}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        request("POST", bad[i].path, KEY, sv_of(bad[i].body), 0);
        assert_int_equal(got.status, 400);
    }
    request("POST", OPENAI, "wrong", SV("{}"), 0);
    assert_int_equal(got.status, 401);
    request("GET", "/v1/models", "wrong", SV_NULL, 0);
    assert_int_equal(got.status, 401);
    request("GET", "/v1/models", KEY, SV_NULL, 0);
    assert_has("\"id\":\"fake-1\"");
    request("GET", "/nowhere", KEY, SV_NULL, 0);
    assert_int_equal(got.status, 404);
}

static void log_remembers(void **state)
{
    (void)state;
    request("POST", "/__reset", KEY, SV(""), 0);
    ask(OPENAI, "remember me", true);
    request("GET", "/__log", KEY, SV_NULL, 0);
    json_t *v ATTR_CLEANUP(json_free) = json_parse(buf_view(&got.text), NULL, 0);
    assert_int_equal(json_i64(v, "count", -1), 1);
    assert_int_equal(json_i64(v, "active", -1), 0);
    assert_true(sv_eqc(json_sv(v, "requests.0.user"), "remember me"));
    assert_true(sv_eqc(json_sv(v, "requests.0.body.messages.0.content"), "remember me"));
}

static void many_requests(void **state)
{
    (void)state;
    enum { N = 2000, AT_ONCE = 50 };
    sv body = SV("{\"model\":\"m\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    int64_t t = clock_mono_ms();
    for (int i = 0; i < N / AT_ONCE; i++) {
        buf_reset(&got.text);
        for (int k = 0; k < AT_ONCE; k++) {
            begin("POST", OPENAI, KEY, body, 5000);
        }
        loop_run(l);
        assert_int_equal(got.fail, HTTP_OK);
    }
    int64_t ms = clock_mono_ms() - t;
    print_message("# %d requests in %d ms, client and server\n", N, (int)ms);
    assert_true(ms < 20000);
}

/* ---- life --------------------------------------------------------------------------------------------------- */

static int start(void **state)
{
    (void)state;
    char self[512], exe[600], file[128];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    (void)snprintf(exe, sizeof exe, "%s/tests/fakes/fake_llm", self);
    (void)snprintf(dir, sizeof dir, "/tmp/fake-llm-XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(file, sizeof file, "%s/port", dir);
    server = fork();
    assert_true(server >= 0);
    if (server == 0) {
        execl(exe, exe, "--port", "0", "--port-file", file, "--key", KEY, (char *)NULL);
        _exit(127);
    }
    struct buf b ATTR_CLEANUP(buf_free) = BUF_INIT(64);
    uint64_t value = 0;
    for (int i = 0; i < 500 && value == 0; i++) {
        nanosleep(&(struct timespec){0, 10 * 1000 * 1000}, NULL);
        buf_reset(&b);
        if (file_read(file, &b) == OK) {
            (void)sv_u64(sv_trim(buf_view(&b)), &value);
        }
    }
    assert_in_range(value, 1, UINT16_MAX);
    port = (uint16_t)value;
    (void)unlink(file);
    l = loop_new();
    client = http_client_new(l);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    int status = -1;
    http_client_free(client);
    loop_free(l);
    buf_free(&got.text);
    (void)rmdir(dir);
    assert_int_equal(kill(server, SIGTERM), 0);
    assert_int_equal(waitpid(server, &status, 0), server);
    assert_int_equal(status, 0); /* leak checks of a sanitised build count too */
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echoes_in_both_dialects), cmocka_unit_test(slow_and_delay), cmocka_unit_test(long_has_its_length),
        cmocka_unit_test(tools_go_round), cmocka_unit_test(failures), cmocka_unit_test(bad_requests),
        cmocka_unit_test(log_remembers), cmocka_unit_test(many_requests),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
