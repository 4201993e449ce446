/*
 * test_http.c: common/http.c against a scripted server in the same loop: answers, breaks, limits, cancels.
 * Runs in: meson test, suite unit.     Owns: nothing.
 * Never: leaves loopback (one name look-up of a reserved name apart).
 * Tested in: itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "common/clock.h"
#include "common/http.h"
#include "tests/unit/common/http_stub.h"

/* ---- the client's side ------------------------------------------------------------------------------ */

struct outcome {
    int done, data_calls;
    enum http_fail fail;
    int status;
    int64_t retry_after_ms;
    char error[128];
    struct buf body, data;
    struct http_req *req;
    bool cancel_in_data, free_in_done;
};

static struct loop *l;
static struct loop_timer guard;
static struct http_client *client;
static struct stub stub;
static struct outcome out;
static int waiting;

static void too_late(void *ctx)
{
    (void)ctx;
    fail_msg("%s", "a request did not end");
}

static void outcome_reset(void)
{
    buf_free(&out.body);
    buf_free(&out.data);
    memset(&out, 0, sizeof out);
    out.body = out.data = BUF_INIT(1024 * 1024);
}

static int setup(void **state)
{
    (void)state;
    l = loop_new();
    loop_timer_init(&guard, l, too_late, NULL);
    loop_timer_start(&guard, 20000);
    stub_start(&stub, l, http_scripts);
    client = http_client_new(l);
    outcome_reset();
    waiting = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    http_client_free(client);
    stub_stop(&stub);
    loop_timer_stop(&guard);
    loop_free(l);
    outcome_reset();
    return 0;
}

static void on_data(void *ctx, sv bytes)
{
    struct outcome *o = ctx;
    o->data_calls++;
    buf_sv(&o->data, bytes);
    if (o->cancel_in_data) {
        http_cancel(o->req);
        assert_int_equal(o->done, 0); /* done comes later, not from inside cancel */
    }
}

static void on_done(void *ctx, const struct http_result *r)
{
    struct outcome *o = ctx;
    o->done++;
    o->fail = r->fail;
    o->status = r->status;
    o->retry_after_ms = r->retry_after_ms;
    assert_non_null(r->error);
    (void)snprintf(o->error, sizeof o->error, "%s", r->error);
    buf_sv(&o->body, r->body);
    if (o->free_in_done) {
        http_client_free(client);
        client = NULL;
    }
    if (--waiting == 0) {
        loop_stop(l);
    }
}

static struct http_opts opts(const char *path)
{
    static char url[256];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u%s", stub.port, path);
    return (struct http_opts){.method = "GET", .url = url, .allow_private = true};
}

static void begin(const struct http_opts *o, bool streaming)
{
    waiting++;
    out.req = http_start(client, o, streaming ? on_data : NULL, on_done, &out);
    assert_int_equal(out.done, 0);
}

static void fetch(const struct http_opts *o, bool streaming)
{
    bool cancel = out.cancel_in_data, release = out.free_in_done;
    outcome_reset();
    out.cancel_in_data = cancel;
    out.free_in_done = release;
    begin(o, streaming);
    loop_run(l);
    assert_int_equal(out.done, 1);
}

static void get(const char *path, bool streaming)
{
    struct http_opts o = opts(path);
    fetch(&o, streaming);
}

static void ok_and_keep_alive(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        get("/ok", false);
        assert_int_equal(out.fail, HTTP_OK);
        assert_int_equal(out.status, 200);
        assert_string_equal(buf_cstr(&out.body), "hello");
        assert_int_equal(out.retry_after_ms, -1);
        assert_string_equal(out.error, "");
    }
    assert_int_equal(stub.accepted, 1);
    assert_true(sv_find(buf_view(&stub.last_head), SV("User-Agent: tenaza/")) > 0);
}

static void post_carries_body_and_headers(void **state)
{
    (void)state;
    static char big[300000];
    memset(big, 'q', sizeof big);
    static const char *const headers[] = {"Content-Type: application/json", "X-Key: abc", NULL};
    struct http_opts o = opts("/ok");
    o.method = "POST";
    o.headers = headers;
    o.body = sv_mem(big, sizeof big);
    fetch(&o, false);
    assert_int_equal(out.fail, HTTP_OK);
    assert_int_equal(stub.last_body.n, sizeof big);
    assert_memory_equal(stub.last_body.p, big, sizeof big);
    sv head = buf_view(&stub.last_head);
    assert_true(sv_starts(head, SV("POST /ok HTTP/1.1\r\n")));
    assert_true(sv_find(head, SV("Content-Type: application/json\r\n")) > 0);
    assert_true(sv_find(head, SV("X-Key: abc\r\n")) > 0);
    assert_true(sv_find(head, SV("Expect")) < 0);
    o = opts("/echo");
    o.method = "PUT";
    o.body = SV("a\0b");
    fetch(&o, false);
    assert_true(sv_starts(buf_view(&stub.last_head), SV("PUT /echo ")));
    assert_true(sv_eq(buf_view(&out.body), SV("a\0b")));
    o = opts("/ok");
    o.method = "POST";
    fetch(&o, false); /* empty body */
    assert_int_equal(out.fail, HTTP_OK);
}

static void chunked_stream(void **state)
{
    (void)state;
    get("/stream", true);
    assert_int_equal(out.fail, HTTP_OK);
    assert_string_equal(buf_cstr(&out.data), "onetwothree");
    assert_int_equal(out.data_calls, 3);
    assert_int_equal(out.body.n, 0);
    get("/stream", false);
    assert_string_equal(buf_cstr(&out.body), "onetwothree");
}

static void errors_have_bodies(void **state)
{
    (void)state;
    get("/500", true); /* on_data is for success only */
    assert_int_equal(out.fail, HTTP_OK);
    assert_int_equal(out.status, 500);
    assert_int_equal(out.data_calls, 0);
    assert_string_equal(buf_cstr(&out.body), "{\"error\":\"boom\"}");
    assert_int_equal(out.retry_after_ms, -1); /* "soon" is no time */
    get("/302", true); /* not followed */
    assert_int_equal(out.status, 302);
    assert_string_equal(buf_cstr(&out.body), "elsewhere");
    assert_int_equal(stub.requests, 2);
}

static void retry_after(void **state)
{
    (void)state;
    get("/429", true);
    assert_int_equal(out.status, 429);
    assert_int_equal(out.retry_after_ms, 7000);
    get("/429-ms", true);
    assert_int_equal(out.retry_after_ms, 250);
    get("/503-date", true);
    assert_in_range(out.retry_after_ms, 50000, 61000);
}

static void never_sent(void **state)
{
    (void)state;
    struct stub gone;
    stub_start(&gone, l, http_scripts);
    stub_stop(&gone);
    char url[64];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/", gone.port);
    struct http_opts o = {.method = "POST", .url = url, .body = SV("x"), .allow_private = true};
    fetch(&o, false);
    assert_int_equal(out.fail, HTTP_NOT_SENT);
    assert_int_equal(out.status, 0);
    assert_string_equal(out.error, "connection refused");

    o.url = "http://no-such-host.invalid/";
    o.connect_ms = 4000;
    fetch(&o, false);
    assert_int_equal(out.fail, HTTP_NOT_SENT);
    assert_string_not_equal(out.error, "");

    (void)snprintf(url, sizeof url, "https://127.0.0.1:%u/ok", stub.port);
    o.url = url; /* the server does not speak TLS */
    o.connect_ms = 300;
    fetch(&o, false);
    assert_int_equal(out.fail, HTTP_NOT_SENT);

    static const char *const bad[] = {"file:///etc/passwd", "ftp://127.0.0.1/x", "http://", "", "gopher://x/",
                                      "http://127.0.0.1:99999/"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        o.url = bad[i];
        fetch(&o, false);
        assert_int_equal(out.fail, HTTP_NOT_SENT);
    }
    static const char *const split[] = {"X-A: b\r\nX-Evil: c", NULL};
    o = opts("/ok");
    o.headers = split;
    fetch(&o, false);
    assert_int_equal(out.fail, HTTP_NOT_SENT);
    assert_int_equal(stub.requests, 0);
}

static void broken_after_sending(void **state)
{
    (void)state;
    static const char *const paths[] = {"/cut-reset", "/cut-fin"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        get(paths[i], true);
        assert_int_equal(out.fail, HTTP_UNKNOWN);
        assert_int_equal(out.status, 200);
        assert_string_equal(buf_cstr(&out.data), "half"); /* what came was handed over */
        assert_string_not_equal(out.error, "");
    }
    struct http_opts o = opts("/close");
    o.method = "POST";
    o.body = SV("do it");
    fetch(&o, false);
    assert_int_equal(out.fail, HTTP_UNKNOWN);
    assert_int_equal(out.status, 0);
    get("/garbage", false);
    assert_int_equal(out.fail, HTTP_UNKNOWN);
    assert_string_equal(out.error, "the answer is not HTTP");
}

/* curl would repeat a request on a fresh connection when a reused one closes; for POST that may act twice. */
static void posts_are_not_repeated(void **state)
{
    (void)state;
    struct http_opts o = opts("/once");
    o.method = "POST";
    o.body = SV("x");
    fetch(&o, false);
    assert_int_equal(out.fail, HTTP_OK);
    fetch(&o, false);
    assert_int_equal(out.fail, HTTP_UNKNOWN);
    assert_int_equal(stub.requests, 2);
    get("/once", false);
    assert_int_equal(out.fail, HTTP_OK);
    get("/once", false); /* a GET may be repeated */
    assert_int_equal(out.fail, HTTP_OK);
    assert_int_equal(stub.requests, 5);
    /* A connection that the server closed while idle is seen before anything is sent on it. */
    o = opts("/then-close");
    o.method = "POST";
    for (int i = 0; i < 2; i++) {
        fetch(&o, false);
        assert_int_equal(out.fail, HTTP_OK);
        struct loop_timer t;
        loop_timer_init(&t, l, (void (*)(void *))loop_stop, l);
        loop_timer_start(&t, 50);
        loop_run(l);
    }
}

static void time_limits(void **state)
{
    (void)state;
    struct http_opts o = opts("/quiet");
    o.idle_ms = 150;
    int64_t t = clock_mono_ms();
    fetch(&o, true);
    assert_int_equal(out.fail, HTTP_UNKNOWN);
    assert_string_equal(out.error, "no data for too long");
    assert_in_range(clock_mono_ms() - t, 140, 2000);
    o = opts("/hang");
    o.idle_ms = 100;
    fetch(&o, false);
    assert_int_equal(out.fail, HTTP_UNKNOWN);
    assert_int_equal(out.status, 0);
    o = opts("/drip"); /* never idle for 120 ms, so only the total limit ends it */
    o.idle_ms = 120;
    o.total_ms = 500;
    t = clock_mono_ms();
    fetch(&o, true);
    assert_int_equal(out.fail, HTTP_UNKNOWN);
    assert_string_equal(out.error, "no answer in time");
    assert_in_range(clock_mono_ms() - t, 450, 3000);
    assert_true(out.data.n > 10);
}

static void size_limits(void **state)
{
    (void)state;
    for (int streaming = 0; streaming < 2; streaming++) {
        struct http_opts o = opts("/big");
        o.max_body = 100000;
        fetch(&o, streaming);
        assert_int_equal(out.fail, HTTP_OK);
        assert_int_equal(out.body.n + out.data.n, 100000);
        o.max_body = 99999;
        fetch(&o, streaming);
        assert_int_equal(out.fail, HTTP_TOO_BIG);
        assert_int_equal(out.status, 200);
        assert_true(out.body.n + out.data.n < 100000);
    }
    get("/headers", false);
    assert_int_not_equal(out.fail, HTTP_OK);
}

static void private_addresses_are_refused(void **state)
{
    (void)state;
    get("/ok", false); /* leaves an open connection that must not be reused */
    int seen = stub.accepted;
    static const char *const hosts[] = {"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "0",
                                        "2130706433"};
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        char url[64];
        (void)snprintf(url, sizeof url, "http://%s:%u/ok", hosts[i], stub.port);
        struct http_opts o = {.method = "GET", .url = url};
        fetch(&o, false);
        assert_int_equal(out.fail, HTTP_NOT_SENT);
        assert_non_null(strstr(out.error, "private"));
    }
    assert_int_equal(stub.accepted, seen);
    assert_int_equal(stub.requests, 1);
}

static void cancel(void **state)
{
    (void)state;
    struct http_opts o = opts("/hang");
    begin(&o, true);
    http_cancel(out.req); /* before anything happened */
    http_cancel(out.req);
    assert_int_equal(out.done, 0);
    loop_run(l);
    assert_int_equal(out.done, 1);
    assert_int_equal(out.fail, HTTP_CANCELLED);
    out.cancel_in_data = true;
    get("/drip", true);
    assert_int_equal(out.fail, HTTP_CANCELLED);
    assert_int_equal(out.data_calls, 1);
    out.cancel_in_data = false;
    get("/ok", false); /* the client goes on working */
    assert_int_equal(out.fail, HTTP_OK);
}

static void free_ends_requests(void **state)
{
    (void)state;
    struct http_opts o = opts("/hang");
    begin(&o, true);
    begin(&o, true);
    waiting++; /* nobody runs the loop here */
    http_client_free(client);
    client = NULL;
    assert_int_equal(out.done, 2);
    assert_int_equal(out.fail, HTTP_CANCELLED);
}

static void free_inside_done(void **state)
{
    (void)state;
    struct http_opts o = opts("/hang");
    begin(&o, true);
    out.free_in_done = true;
    o = opts("/ok");
    begin(&o, false);
    loop_run(l);
    assert_int_equal(out.done, 2); /* the other one was cancelled */
    assert_int_equal(out.fail, HTTP_CANCELLED);
}

static void many_at_once(void **state)
{
    (void)state;
    struct http_opts o = opts("/stream");
    for (int i = 0; i < 200; i++) {
        begin(&o, true);
    }
    loop_run(l);
    assert_int_equal(out.done, 200);
    assert_int_equal(out.data.n, 200 * strlen("onetwothree"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(ok_and_keep_alive), T(post_carries_body_and_headers), T(chunked_stream), T(errors_have_bodies),
        T(retry_after), T(never_sent), T(broken_after_sending), T(posts_are_not_repeated), T(time_limits),
        T(size_limits), T(private_addresses_are_refused), T(cancel), T(free_ends_requests),
        T(free_inside_done), T(many_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
