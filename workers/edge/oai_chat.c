/*
 * oai_chat.c: the messages of a chat completion as rows of a transcript.
 * Runs in: edge.     Owns: nothing.
 * Never: flattens a tool result into words: calls and results stay pairs.
 * Tested in: tests/unit/edge/test_oai_req.c
 */
#include <stdio.h>

#include "workers/edge/oai_req.h"

#define MESSAGES_MAX 4096

static bool take_calls(struct oai_req *q, const json_t *m, struct msg_entry *row, const char *param)
{
    const json_t *calls = json_object_get(m, "tool_calls");
    for (size_t i = 0; i < json_array_size(calls); i++) {
        const json_t *c = json_array_get(calls, i);
        if (!oai_call(q, row, json_sv(c, "id"), json_sv(c, "function.name"), json_sv(c, "function.arguments"), param)) {
            return false;
        }
    }
    return true;
}

/* The older form: one call without an id. */
static bool take_function_call(struct oai_req *q, const json_t *m, struct msg_entry *row, const char *param)
{
    const json_t *f = json_object_get(m, "function_call");
    if (!json_is_object(f)) {
        return true;
    }
    sv id = arena_printf(&q->mem, "function_%zu", q->rows_n);
    return oai_call(q, row, id, json_sv(f, "name"), json_sv(f, "arguments"), param);
}

static sv newest_call(const struct oai_req *q)
{
    for (size_t i = q->rows_n; i > 0; i--) {
        if (q->rows[i - 1].calls_n > 0) {
            return q->rows[i - 1].calls[0].id;
        }
    }
    return SV_NULL;
}

static bool take_message(struct oai_req *q, const json_t *m, const char *param)
{
    sv role = json_sv(m, "role"), text;
    if (!oai_content(q, json_object_get(m, "content"), param, &text)) {
        return false;
    }
    if (sv_eqc(role, "system") || sv_eqc(role, "developer")) {
        oai_system(q, text);
        return true;
    }
    if (sv_eqc(role, "user")) {
        oai_row(q, "user", text);
        return true;
    }
    if (sv_eqc(role, "assistant")) {
        struct msg_entry *row = oai_row(q, "assistant", text);
        return take_calls(q, m, row, param) && take_function_call(q, m, row, param);
    }
    if (sv_eqc(role, "tool")) {
        return oai_result(q, json_sv(m, "tool_call_id"), text, param);
    }
    if (sv_eqc(role, "function")) {
        return oai_result(q, newest_call(q), text, param);
    }
    return oai_bad(q, "invalid_value", param, "`%s.role` must be system, developer, user, assistant, tool or function.", param);
}

bool oai_chat_rows(struct oai_req *q)
{
    const json_t *messages = json_object_get(q->root, "messages");
    if (!json_is_array(messages) || json_array_size(messages) > MESSAGES_MAX) {
        return oai_bad(q, "invalid_value", "messages", "`messages` must be an array of 1 to %d messages.", MESSAGES_MAX);
    }
    for (size_t i = 0; i < json_array_size(messages); i++) {
        char param[40];
        snprintf(param, sizeof param, "messages.%zu", i);
        if (!take_message(q, json_array_get(messages, i), param)) {
            return false;
        }
    }
    return true;
}
