/*
 * oai_resp_out.c: responses as JSON, see oai_out.h.
 * Runs in: edge.     Owns: nothing.
 * Never: leaves a member out that strict clients read.
 * Tested in: tests/unit/edge/test_oai_out.c
 */
#include <inttypes.h>
#include <string.h>

#include "workers/edge/oai_out.h"

static bool has_message(const struct oai_answer *a)
{
    return a->text.n > 0 || a->calls_n == 0;
}

size_t oai_resp_items(const struct oai_answer *a)
{
    return a->calls_n + has_message(a);
}

static const struct msg_tool_call *call_of(const struct oai_answer *a, size_t i)
{
    return has_message(a) ? (i == 0 ? NULL : &a->calls[i - 1]) : &a->calls[i];
}

/* Ids of items follow from the response's: "resp_X" has "msg_X" and "fc_X_0". */
void oai_resp_item_id(struct buf *b, const struct oai_answer *a, size_t i)
{
    sv tail = sv_of(a->id);
    sv_cut(&tail, '_');
    const struct msg_tool_call *c = call_of(a, i);
    if (c == NULL) {
        buf_printf(b, "\"msg_%.*s\"", SV_ARG(tail));
    } else {
        buf_printf(b, "\"fc_%.*s_%zu\"", SV_ARG(tail), (size_t)(c - a->calls));
    }
}

void oai_resp_part(struct buf *b, sv text)
{
    buf_str(b, "{\"type\":\"output_text\",\"text\":");
    buf_json_str(b, text);
    buf_str(b, ",\"annotations\":[],\"logprobs\":[]}");
}

void oai_resp_item(struct buf *b, const struct oai_answer *a, size_t i, bool done)
{
    const struct msg_tool_call *c = call_of(a, i);
    const char *status = done ? "completed" : "in_progress";
    buf_str(b, "{\"id\":");
    oai_resp_item_id(b, a, i);
    if (c == NULL) {
        buf_printf(b, ",\"type\":\"message\",\"role\":\"assistant\",\"status\":\"%s\",\"content\":[", status);
        if (done) {
            oai_resp_part(b, a->text);
        }
        buf_str(b, "]}");
        return;
    }
    buf_printf(b, ",\"type\":\"function_call\",\"status\":\"%s\",\"call_id\":", status);
    buf_json_str(b, c->id);
    buf_str(b, ",\"name\":");
    buf_json_str(b, c->name);
    buf_str(b, ",\"arguments\":");
    buf_json_str(b, done ? c->args : SV(""));
    buf_ch(b, '}');
}

static void add_usage(struct buf *b, const struct oai_answer *a, bool known)
{
    if (!known) {
        buf_str(b, ",\"usage\":null");
        return;
    }
    buf_printf(b,
               ",\"usage\":{\"input_tokens\":%" PRIu64 ",\"input_tokens_details\":{\"cached_tokens\":0},\"output_tokens\":%" PRIu64
               ",\"output_tokens_details\":{\"reasoning_tokens\":0},\"total_tokens\":%" PRIu64 "}",
               a->in_tokens, a->out_tokens, a->in_tokens + a->out_tokens);
}

static void add_error(struct buf *b, const struct oai_state *s)
{
    if (s->error_code == NULL) {
        buf_str(b, ",\"error\":null");
        return;
    }
    buf_str(b, ",\"error\":{\"code\":");
    buf_json_str(b, sv_of(s->error_code));
    buf_str(b, ",\"message\":");
    buf_json_str(b, s->error);
    buf_ch(b, '}');
}

void oai_resp_whole(struct buf *b, const struct oai_answer *a, const struct oai_state *s)
{
    bool incomplete = strcmp(s->status, "incomplete") == 0;
    buf_str(b, "{\"id\":");
    buf_json_str(b, sv_of(a->id));
    buf_printf(b, ",\"object\":\"response\",\"created_at\":%" PRId64 ",\"status\":\"%s\",\"model\":", a->created_s, s->status);
    buf_json_str(b, sv_of(a->model));
    buf_str(b, ",\"previous_response_id\":");
    if (a->previous != NULL) {
        buf_json_str(b, sv_of(a->previous));
    } else {
        buf_str(b, "null");
    }
    buf_str(b, ",\"output\":[");
    for (size_t i = 0; s->output && i < oai_resp_items(a); i++) {
        buf_str(b, i ? "," : "");
        oai_resp_item(b, a, i, true);
    }
    buf_str(b, "]");
    add_error(b, s);
    buf_printf(b, ",\"incomplete_details\":%s", incomplete ? "{\"reason\":\"max_output_tokens\"}" : "null");
    add_usage(b, a, s->output);
    buf_str(b, ",\"instructions\":null,\"metadata\":{},\"tools\":[],\"tool_choice\":\"auto\",\"parallel_tool_calls\":true,"
               "\"temperature\":null,\"top_p\":null}");
}

void oai_resp_event(struct buf *b, const char *type, uint64_t seq)
{
    buf_printf(b, "{\"type\":\"%s\",\"sequence_number\":%" PRIu64, type, seq);
}
