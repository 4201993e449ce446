/*
 * turn_server.c: see turn_server.h.
 * Runs in: unit tests.     Owns: nothing but the counters of its header.
 * Never: leaves loopback.
 * Tested in: test_turn.c uses it.
 */
#include "tests/unit/agent/turn_server.h"

#include <stdio.h>

unsigned asked;
struct buf first_body, last_body;

#define STREAM "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
#define END "0\r\n\r\n"

static void seen(sv body)
{
    if (asked++ == 0) {
        buf_reset(&first_body);
        buf_sv(&first_body, body);
    }
    buf_reset(&last_body);
    buf_sv(&last_body, body);
}

static void chunk(struct stub_conn *c, const char *text)
{
    char size[32];
    (void)snprintf(size, sizeof size, "%zx\r\n", strlen(text));
    stub_write(c, size);
    stub_write(c, text);
    stub_write(c, "\r\n");
}

static void say(struct stub_conn *c, const char *text)
{
    char line[600];
    (void)snprintf(line, sizeof line, "data: {\"choices\":[{\"delta\":{\"content\":\"%s\"}}]}\n\n", text);
    chunk(c, line);
}

static void stop(struct stub_conn *c, const char *reason)
{
    char line[600];
    (void)snprintf(line, sizeof line,
                   "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"%s\"}]}\n\n"
                   "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":4}}\n\n", reason);
    chunk(c, line);
}

static void whole(struct stub_conn *c, const char *text)
{
    stub_write(c, STREAM);
    say(c, text);
    stop(c, "stop");
    chunk(c, "data: [DONE]\n\n");
    stub_write(c, END);
}

static void run_ok(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    seen(body);
    whole(c, "Hello there");
}

static void run_tool(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    seen(body);
    if (sv_find(body, SV("\"role\":\"tool\"")) >= 0) {
        whole(c, "It is noon.");
        return;
    }
    stub_write(c, STREAM);
    say(c, "Let me look.");
    chunk(c, "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\"function\":{\"name\":\"current_time\",\"arguments\":\"{\\\"timezone\\\":\"}}]}}]}\n\n");
    chunk(c, "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"\\\"UTC\\\"}\"}}]}}]}\n\n");
    stop(c, "tool_calls");
    chunk(c, "data: [DONE]\n\n");
    stub_write(c, END);
}

/* Always the same call with bad arguments, or an unknown tool. */
static void run_loops(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    seen(body);
    stub_write(c, STREAM);
    chunk(c, "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"x\",\"function\":{\"name\":\"rm\",\"arguments\":\"{}\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\n");
    stub_write(c, END);
}

/* A good call for ever; without tools in the request: words. */
static void run_greedy(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    seen(body);
    if (sv_find(body, SV("\"tools\"")) < 0) {
        whole(c, "Enough.");
        return;
    }
    stub_write(c, STREAM);
    chunk(c, "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"x\",\"function\":{\"name\":\"session_status\",\"arguments\":\"\"}}]},\"finish_reason\":\"stop\"}]}\n\n");
    stub_write(c, END);
}

static void run_limited(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    seen(body);
    if (asked == 1) {
        stub_answer(c, 429, "Retry-After-Ms: 50\r\n", SV("{\"error\":{\"message\":\"slow down\"}}"));
    } else {
        whole(c, "Thanks for waiting");
    }
}

static void run_busy(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    seen(body);
    stub_answer(c, 429, "Retry-After: 60\r\n", SV("{\"error\":{\"message\":\"slow down\"}}"));
}

static void run_flaky(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    seen(body);
    if (asked == 1) {
        stub_answer(c, 503, "", SV("{\"error\":{\"message\":\"boom\"}}"));
    } else {
        whole(c, "Back again");
    }
}

static void run_denied(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    seen(body);
    stub_answer(c, 401, "", SV("{\"error\":{\"message\":\"bad key sk-123\"}}"));
}

static void run_cut(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    seen(body);
    stub_write(c, STREAM);
    say(c, "Once upon a time");
    stub_after(c, 20, stub_close);
}

/* The reason of the stop, but no end mark and no end of the transfer. */
static void run_no_done(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    seen(body);
    stub_write(c, STREAM);
    say(c, "Complete.");
    stop(c, "stop");
    stub_write(c, END);
}

/* The end mark, but the transfer stays open. */
static void run_open(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    seen(body);
    stub_write(c, STREAM);
    say(c, "Complete.");
    stop(c, "stop");
    chunk(c, "data: [DONE]\n\n");
}

static void run_silent(struct stub_conn *c, sv head, sv body)
{
    (void)c;
    (void)head;
    seen(body);
}

static void run_empty(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    seen(body);
    stub_write(c, STREAM);
    stop(c, "stop");
    stub_write(c, END);
}

static void run_plain(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    seen(body);
    stub_answer(c, 200, "Content-Type: application/json\r\n",
                SV("{\"choices\":[{\"message\":{\"content\":\"Not streamed\"},\"finish_reason\":\"stop\"}]}"));
}

static void run_toolless(struct stub_conn *c, sv head, sv body)
{
    (void)head;
    seen(body);
    if (sv_find(body, SV("\"tools\"")) >= 0) {
        stub_answer(c, 400, "", SV("{\"error\":{\"message\":\"registry.ollama.ai/library/x does not support tools\"}}"));
    } else {
        whole(c, "Words only");
    }
}

static void run_anthropic(struct stub_conn *c, sv head, sv body)
{
    seen(body);
    if (sv_find(head, SV("x-api-key: k-123\r\n")) < 0 || sv_find(head, SV("anthropic-version: 2023-06-01\r\n")) < 0) {
        stub_answer(c, 401, "", SV("{}"));
        return;
    }
    stub_write(c, STREAM);
    chunk(c, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":7}}}\n\n");
    if (sv_find(body, SV("tool_result")) < 0) {
        chunk(c, "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"current_time\",\"input\":{}}}\n\n");
        chunk(c, "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":3}}\n\n");
    } else {
        chunk(c, "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Noon.\"}}\n\n");
        chunk(c, "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}}\n\n");
    }
    chunk(c, "data: {\"type\":\"message_stop\"}\n\n");
    stub_write(c, END);
}

const struct stub_script turn_scripts[] = {
    {"/ok/chat/completions", run_ok},           {"/tool/chat/completions", run_tool},       {"/loops/chat/completions", run_loops},
    {"/greedy/chat/completions", run_greedy},   {"/limited/chat/completions", run_limited}, {"/busy/chat/completions", run_busy},
    {"/flaky/chat/completions", run_flaky},     {"/denied/chat/completions", run_denied},   {"/cut/chat/completions", run_cut},
    {"/no_done/chat/completions", run_no_done}, {"/open/chat/completions", run_open},       {"/silent/chat/completions", run_silent},
    {"/empty/chat/completions", run_empty},     {"/plain/chat/completions", run_plain},     {"/claude/v1/messages", run_anthropic},
    {"/toolless/chat/completions", run_toolless},
    {NULL, NULL},
};
