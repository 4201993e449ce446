/*
 * oai_out.c: chat completions as JSON, see oai_out.h.
 * Runs in: edge.     Owns: nothing.
 * Never: leaves a member out that strict clients read.
 * Tested in: tests/unit/edge/test_oai_out.c
 */
#include "workers/edge/oai_out.h"

#include <inttypes.h>

static void head(struct buf *b, const struct oai_answer *a, const char *object)
{
    buf_str(b, "{\"id\":");
    buf_json_str(b, sv_of(a->id));
    buf_printf(b, ",\"object\":\"%s\",\"created\":%" PRId64 ",\"model\":", object, a->created_s);
    buf_json_str(b, sv_of(a->model));
    buf_str(b, ",\"system_fingerprint\":\"tenaza-" TENAZA_VERSION "\"");
}

static const char *reason(const struct oai_answer *a)
{
    return a->calls_n > 0 ? "tool_calls" : sv_eqc(a->stop, "length") ? "length" : "stop";
}

static void usage(struct buf *b, const struct oai_answer *a)
{
    buf_printf(b,
               "{\"prompt_tokens\":%" PRIu64 ",\"completion_tokens\":%" PRIu64 ",\"total_tokens\":%" PRIu64
               ",\"prompt_tokens_details\":{\"cached_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0}}",
               a->in_tokens, a->out_tokens, a->in_tokens + a->out_tokens);
}

static void call(struct buf *b, const struct msg_tool_call *c, sv args)
{
    buf_str(b, "\"id\":");
    buf_json_str(b, c->id);
    buf_str(b, ",\"type\":\"function\",\"function\":{\"name\":");
    buf_json_str(b, c->name);
    buf_str(b, ",\"arguments\":");
    buf_json_str(b, args);
    buf_str(b, "}");
}

void oai_chat_whole(struct buf *b, const struct oai_answer *a)
{
    head(b, a, "chat.completion");
    buf_str(b, ",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":");
    buf_json_str(b, a->text);
    buf_str(b, ",\"refusal\":null");
    for (size_t i = 0; i < a->calls_n; i++) {
        buf_str(b, i ? ",{" : ",\"tool_calls\":[{");
        call(b, &a->calls[i], a->calls[i].args);
        buf_ch(b, '}');
    }
    buf_printf(b, "%s},\"logprobs\":null,\"finish_reason\":\"%s\"}],\"usage\":", a->calls_n ? "]" : "", reason(a));
    usage(b, a);
    buf_ch(b, '}');
}

/* ---- chunks ---------------------------------------------------------------------------------------- */

static void chunk(struct buf *b, const struct oai_answer *a)
{
    head(b, a, "chat.completion.chunk");
    buf_str(b, ",\"choices\":[{\"index\":0,\"delta\":{");
}

static void chunk_end(struct buf *b, const char *finish)
{
    if (finish != NULL) {
        buf_printf(b, "},\"logprobs\":null,\"finish_reason\":\"%s\"}]}", finish);
    } else {
        buf_str(b, "},\"logprobs\":null,\"finish_reason\":null}]}");
    }
}

void oai_chat_role(struct buf *b, const struct oai_answer *a)
{
    chunk(b, a);
    buf_str(b, "\"role\":\"assistant\",\"content\":\"\"");
    chunk_end(b, NULL);
}

void oai_chat_text(struct buf *b, const struct oai_answer *a, sv piece)
{
    chunk(b, a);
    buf_str(b, "\"content\":");
    buf_json_str(b, piece);
    chunk_end(b, NULL);
}

void oai_chat_call(struct buf *b, const struct oai_answer *a, size_t i, bool args)
{
    chunk(b, a);
    buf_printf(b, "\"tool_calls\":[{\"index\":%zu,", i);
    if (args) {
        buf_str(b, "\"function\":{\"arguments\":");
        buf_json_str(b, a->calls[i].args);
        buf_ch(b, '}');
    } else {
        call(b, &a->calls[i], SV(""));
    }
    buf_str(b, "}]");
    chunk_end(b, NULL);
}

void oai_chat_finish(struct buf *b, const struct oai_answer *a)
{
    chunk(b, a);
    chunk_end(b, reason(a));
}

void oai_chat_usage(struct buf *b, const struct oai_answer *a)
{
    head(b, a, "chat.completion.chunk");
    buf_str(b, ",\"choices\":[],\"usage\":");
    usage(b, a);
    buf_ch(b, '}');
}
