/*
 * oai_items.c: the input items of /v1/responses as rows of a transcript, and the wishes that have other names there.
 * Runs in: edge.     Owns: nothing.
 * Never: invents an item's meaning: unknown types are refused by name.
 * Tested in: tests/unit/edge/test_oai_req.c
 */
#include <stdio.h>

#include "workers/edge/oai_req.h"

#define ITEMS_MAX 4096

static bool take_message(struct oai_req *q, const json_t *m, const char *param)
{
    sv role = json_sv(m, "role"), text;
    if (!oai_content(q, json_object_get(m, "content"), param, &text)) {
        return false;
    }
    if (sv_eqc(role, "system") || sv_eqc(role, "developer")) {
        oai_system(q, text);
    } else if (sv_eqc(role, "user")) {
        oai_row(q, "user", text);
    } else if (sv_eqc(role, "assistant")) {
        oai_row(q, "assistant", text);
    } else {
        return oai_bad(q, "invalid_value", param, "`%s.role` must be system, developer, user or assistant.", param);
    }
    return true;
}

/* Calls of one turn are items of their own; they belong to the assistant row before them. */
static bool take_call(struct oai_req *q, const json_t *m, const char *param)
{
    struct msg_entry *last = q->rows_n > 0 ? &q->rows[q->rows_n - 1] : NULL;
    if (last == NULL || !sv_eqc(last->role, "assistant")) {
        last = oai_row(q, "assistant", SV(""));
    }
    return oai_call(q, last, json_sv(m, "call_id"), json_sv(m, "name"), json_sv(m, "arguments"), param);
}

static bool take_item(struct oai_req *q, const json_t *m, const char *param)
{
    sv type = json_sv(m, "type"), text;
    if (sv_eqc(type, "message") || (type.n == 0 && json_sv(m, "role").n > 0)) {
        return take_message(q, m, param);
    }
    if (sv_eqc(type, "function_call")) {
        return take_call(q, m, param);
    }
    if (sv_eqc(type, "function_call_output")) {
        return oai_content(q, json_object_get(m, "output"), param, &text) && oai_result(q, json_sv(m, "call_id"), text, param);
    }
    if (sv_eqc(type, "reasoning") || sv_eqc(type, "item_reference")) {
        return true; /* nothing of ours */
    }
    return oai_bad(q, "unsupported_content", param, "`%s`: items of type \"%.*s\" are not supported.", param,
                   SV_ARG(sv_sub(type, 0, 40)));
}

/* Chat has other names for these. */
static void take_wishes(struct oai_req *q)
{
    const json_t *format = json_at(q->root, "text.format");
    sv effort = json_sv(q->root, "reasoning.effort");
    if (effort.n > 0 && effort.n <= 16) {
        json_put(q->pass, "reasoning_effort", effort);
    }
    if (!json_is_object(format) || sv_eqc(json_sv(format, "type"), "text")) {
        return;
    }
    json_t *as = json_object();
    json_put(as, "type", json_sv(format, "type"));
    if (sv_eqc(json_sv(format, "type"), "json_schema")) {
        json_t *schema = json_copy((json_t *)(uintptr_t)format);
        json_object_del(schema, "type");
        json_object_set_new(as, "json_schema", schema);
    }
    json_object_set_new(q->pass, "response_format", as);
}

bool oai_item_rows(struct oai_req *q)
{
    const json_t *input = json_object_get(q->root, "input");
    if (q->model.n == 0) {
        return oai_bad(q, "missing_required_parameter", "model", "model: a string is required.");
    }
    oai_system(q, json_sv(q->root, "instructions"));
    take_wishes(q);
    if (json_is_string(input)) {
        sv text;
        bool good = oai_content(q, input, "input", &text);
        oai_row(q, "user", text);
        return good;
    }
    if (!json_is_array(input) || json_array_size(input) > ITEMS_MAX) {
        return oai_bad(q, "invalid_value", "input", "input: a string or an array of items is required.");
    }
    for (size_t i = 0; i < json_array_size(input); i++) {
        char param[40];
        snprintf(param, sizeof param, "input.%zu", i);
        if (!take_item(q, json_array_get(input, i), param)) {
            return false;
        }
    }
    return true;
}
