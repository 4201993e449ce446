/*
 * http_scripts.c: what the test server answers per path: good, slow, broken, endless.
 * Runs in: test_http.     Owns: nothing.
 * Never: leaves loopback.
 * Tested in: test_http.c, by use.
 */
#include <time.h>

#include "tests/unit/common/http_stub.h"

static void run_ok(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    (void)body;
    stub_answer(c, 200, "", SV("hello"));
}

static void run_echo(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    stub_answer(c, 200, "", body);
}

static void stream_tick(struct stub_conn *c)
{
    static const char *const chunks[] = {"3\r\none\r\n", "3\r\ntwo\r\n", "5\r\nthree\r\n", "0\r\n\r\n"};
    stub_write(c, chunks[c->step++]);
    if (c->step < 4) {
        stub_after(c, 10, stream_tick);
    } else {
        c->step = 0;
    }
}

static void run_stream(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    (void)body;
    stub_write(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    stream_tick(c);
}

static void half_stream(struct stub_conn *c)
{
    stub_write(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
}

static void run_cut_reset(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    (void)body;
    half_stream(c);
    stub_after(c, 20, stub_reset);
}

static void run_cut_fin(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    (void)body;
    half_stream(c);
    stub_after(c, 20, stub_close);
}

static void run_quiet(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    (void)body;
    half_stream(c); /* and never again */
}

static void drip_tick(struct stub_conn *c)
{
    stub_write(c, "1\r\n.\r\n");
    stub_after(c, 30, drip_tick);
}

static void run_drip(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    (void)body;
    half_stream(c);
    stub_after(c, 30, drip_tick);
}

static void run_hang(struct stub_conn *c, sv head, sv body)
{
    (void)c;
    (void)head;
    (void)body;
}

static void run_close(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    (void)body;
    stub_close(c);
}

static void run_garbage(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    (void)body;
    stub_write(c, "220 mail.example.org ESMTP\r\n\r\n");
    stub_close(c);
}

static void run_500(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    (void)body;
    stub_answer(c, 500, "Retry-After: soon\r\n", SV("{\"error\":\"boom\"}"));
}

static void run_429(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    (void)body;
    stub_answer(c, 429, "retry-after: 7\r\n", SV("slow down"));
}

static void run_429_ms(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    (void)body;
    stub_answer(c, 429, "Retry-After-Ms: 250\r\n", SV("slow down"));
}

static void run_503_date(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    (void)body;
    char line[96];
    struct tm tm;
    time_t t = time(NULL) + 60;
    gmtime_r(&t, &tm);
    strftime(line, sizeof line, "Retry-After: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
    stub_answer(c, 503, line, SV("later"));
}

static void run_302(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    (void)body;
    stub_answer(c, 302, "Location: /ok\r\n", SV("elsewhere"));
}

static void run_big(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    (void)body;
    static char big[100000];
    memset(big, 'x', sizeof big);
    stub_answer(c, 200, "", sv_mem(big, sizeof big));
}

static void run_headers(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    (void)body;
    static char line[50000];
    memset(line, 'h', sizeof line);
    stub_write(c, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 7; i++) {
        stub_write(c, "X-Long: ");
        stub_write_n(c, line, sizeof line);
        stub_write(c, "\r\n");
    }
    stub_write(c, "Content-Length: 0\r\n\r\n");
}

/* The first request of a connection is answered, the second one sees the connection close. */
static void run_once(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    (void)body;
    if (c->requests > 1) {
        stub_close(c);
    } else {
        stub_answer(c, 200, "", SV("first"));
    }
}

static void run_then_close(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    (void)body;
    stub_answer(c, 200, "", SV("bye"));
    stub_after(c, 10, stub_close);
}

const struct stub_script http_scripts[] = {
    {"/ok", run_ok},           {"/echo", run_echo},         {"/stream", run_stream},
    {"/cut-reset", run_cut_reset}, {"/cut-fin", run_cut_fin}, {"/quiet", run_quiet},
    {"/drip", run_drip},       {"/hang", run_hang},         {"/close", run_close},
    {"/garbage", run_garbage}, {"/500", run_500},           {"/429", run_429},
    {"/429-ms", run_429_ms},   {"/503-date", run_503_date}, {"/302", run_302},
    {"/big", run_big},         {"/headers", run_headers},   {"/once", run_once},
    {"/then-close", run_then_close}, {NULL, NULL},
};
