/*
 * fault.c: the interpreter of faults.def.
 * Runs in: agent.     Owns: the table and the patterns.
 * Never: input or output.
 * Tested in: tests/unit/agent/test_fault.c
 */
#include "agent/provider/fault.h"

#include <stdio.h>

#include "common/attrs.h"
#include "common/text.h"

struct row {
    const char *name, *kind;
    unsigned retries;
    const char *what_en, *do_en, *what_es, *do_es;
};

static const struct row rows[FAULT_COUNT] = {
    [FAULT_NONE] = {"NONE", "", 0, "", "", "", ""},
#define FAULT(NAME, kind, retries, what_en, do_en, what_es, do_es)                                 \
    [FAULT_##NAME] = {#NAME, kind, retries, what_en, do_en, what_es, do_es},
#include "agent/provider/faults.def"
#undef FAULT
};

/* Words by which servers tell the reason; the first match wins (agent-runtime.md 7.4). Rate limits stand
 * before overflow: "tokens per minute" messages speak of too many tokens as well. */
static const struct {
    const char *words;
    enum fault fault;
} patterns[] = {
    {"rate limit", FAULT_RATE_LIMIT},
    {"rate_limit", FAULT_RATE_LIMIT},
    {"too many requests", FAULT_RATE_LIMIT},
    {"throttl", FAULT_RATE_LIMIT},
    {"tokens per minute", FAULT_RATE_LIMIT},
    {"concurrency limit", FAULT_RATE_LIMIT},
    {"resource_exhausted", FAULT_RATE_LIMIT},
    {"prompt is too long", FAULT_CONTEXT},
    {"request_too_large", FAULT_CONTEXT},
    {"context length", FAULT_CONTEXT},
    {"context_length", FAULT_CONTEXT},
    {"exceeds the context window", FAULT_CONTEXT},
    {"input is too long", FAULT_CONTEXT},
    {"input token count exceeds", FAULT_CONTEXT},
    {"reduce the length of the messages", FAULT_CONTEXT},
    {"too many tokens", FAULT_CONTEXT},
    {"token limit exceeded", FAULT_CONTEXT},
    {"exceeds the available context", FAULT_CONTEXT},
    {"exceed_context_size", FAULT_CONTEXT},
    {"context size has been exceeded", FAULT_CONTEXT},
    {"context_window_exceeded", FAULT_CONTEXT},
    {"prompt exceeds max length", FAULT_CONTEXT},
    {"insufficient_quota", FAULT_BILLING},
    {"insufficient credit", FAULT_BILLING},
    {"credit balance", FAULT_BILLING},
    {"payment required", FAULT_BILLING},
    {"billing", FAULT_BILLING},
    {"spending limit", FAULT_BILLING},
    {"quota", FAULT_RATE_LIMIT},
    {"overloaded", FAULT_OVERLOADED},
    {"at capacity", FAULT_OVERLOADED},
    {"high demand", FAULT_OVERLOADED},
    {"does not support tools", FAULT_NO_TOOLS},
    {"tool use is not supported", FAULT_NO_TOOLS},
    {"no endpoints found that support tool", FAULT_NO_TOOLS},
    {"tools param requires --jinja", FAULT_NO_TOOLS},
    {"invalid api key", FAULT_AUTH},
    {"invalid_api_key", FAULT_AUTH},
    {"incorrect api key", FAULT_AUTH},
    {"authentication_error", FAULT_AUTH},
    {"permission_error", FAULT_AUTH},
    {"unauthorized", FAULT_AUTH},
    {"unknown model", FAULT_NO_MODEL},
    {"model_not_found", FAULT_NO_MODEL},
    {"not_found_error", FAULT_NO_MODEL},
    {"does not exist", FAULT_NO_MODEL},
    {"invalid_request_error", FAULT_FORMAT},
    {"internal server error", FAULT_SERVER},
    {"api_error", FAULT_SERVER},
    {"server_error", FAULT_SERVER},
    {"bad gateway", FAULT_SERVER},
    {"upstream", FAULT_SERVER},
};

static bool has_nocase(sv text, const char *words)
{
    sv w = sv_of(words);
    for (size_t i = 0; i + w.n <= text.n; i++) {
        if (sv_eq_nocase(sv_sub(text, i, w.n), w)) {
            return true;
        }
    }
    return false;
}

static enum fault by_words(sv text)
{
    sv head = sv_sub(text, 0, 2048);
    for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
        if (has_nocase(head, patterns[i].words)) {
            return patterns[i].fault;
        }
    }
    return FAULT_NONE;
}

static enum fault by_status(int status)
{
    static const struct {
        int status;
        enum fault fault;
    } map[] = {
        {401, FAULT_AUTH},   {402, FAULT_BILLING}, {403, FAULT_AUTH},       {404, FAULT_NO_MODEL},
        {408, FAULT_SERVER}, {413, FAULT_CONTEXT}, {429, FAULT_RATE_LIMIT}, {529, FAULT_OVERLOADED},
    };
    for (size_t i = 0; i < ARRAY_LEN(map); i++) {
        if (map[i].status == status) {
            return map[i].fault;
        }
    }
    if (status >= 500) {
        return FAULT_SERVER;
    }
    return status >= 400 ? FAULT_FORMAT : FAULT_UNKNOWN;
}

enum fault fault_classify(int status, sv type, sv message)
{
    enum fault words = by_words(type);
    if (words == FAULT_NONE || words == FAULT_FORMAT) {
        enum fault told = by_words(message);
        words = told != FAULT_NONE ? told : words;
    }
    enum fault st = status != 0 ? by_status(status) : FAULT_NONE;
    /* A status that says it all is believed; the vague ones (400, 404 of a wrong path, 5xx) are refined. */
    if (st == FAULT_AUTH || st == FAULT_CONTEXT || st == FAULT_OVERLOADED) {
        return st;
    }
    if (st == FAULT_RATE_LIMIT || st == FAULT_BILLING) {
        return words == FAULT_BILLING || words == FAULT_RATE_LIMIT ? words : st;
    }
    if (st == FAULT_SERVER) {
        return words == FAULT_OVERLOADED || words == FAULT_CONTEXT || words == FAULT_NO_TOOLS ? words : st;
    }
    if (st == FAULT_NO_MODEL) {
        return words == FAULT_NO_TOOLS ? words : st;
    }
    if (words != FAULT_NONE) {
        return words;
    }
    return st != FAULT_NONE ? st : FAULT_UNKNOWN;
}

const char *fault_name(enum fault f)
{
    return rows[f].name;
}

const char *fault_kind(enum fault f)
{
    return rows[f].kind;
}

int64_t fault_retry_ms(enum fault f, unsigned tries_done, int64_t retry_after_ms)
{
    static const int64_t backoff_ms[] = {500, 2000};
    static const int64_t limit_ms[] = {1000, 4000}; /* rate limits whose server names no time */
    if (tries_done == 0 || tries_done > rows[f].retries || tries_done > ARRAY_LEN(backoff_ms)) {
        return -1;
    }
    int64_t wait = f == FAULT_RATE_LIMIT ? limit_ms[tries_done - 1] : backoff_ms[tries_done - 1];
    if (retry_after_ms > wait || (retry_after_ms > 0 && f == FAULT_RATE_LIMIT)) {
        wait = retry_after_ms;
    }
    return wait > FAULT_WAIT_MAX_MS ? -1 : wait;
}

/* Appends text with {p}, {m}, {u} replaced. */
static void fill(struct buf *dst, const char *text, const struct fault_line *l)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (p[0] == '{' && p[1] != '\0' && p[2] == '}') {
            const char *v = p[1] == 'p' ? l->provider : p[1] == 'm' ? l->model : l->base_url;
            buf_str(dst, v ? v : "?");
            p += 2;
        } else {
            buf_ch(dst, *p);
        }
    }
}

static bool key_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '*';
}

/* One line, no control bytes, anything that looks like a key masked, at most 200 bytes. */
static void clean_detail(struct buf *dst, const char *detail)
{
    sv d = sv_trim(sv_of(detail));
    while (d.n > 0 && (d.p[d.n - 1] == '.' || d.p[d.n - 1] == '!')) {
        d.n--;
    }
    d = sv_sub(d, 0, utf8_cut(d, 200));
    for (size_t i = 0; i < d.n; i++) {
        bool word_start = i == 0 || !key_char(d.p[i - 1]);
        if (word_start && sv_starts(sv_sub(d, i, d.n), SV("sk-"))) {
            buf_str(dst, "sk-***");
            while (i + 1 < d.n && key_char(d.p[i + 1])) {
                i++;
            }
            continue;
        }
        bool control = (unsigned char)d.p[i] < 0x20 || d.p[i] == 0x7f;
        buf_add(dst, control ? " " : d.p + i, 1);
    }
}

void fault_print(struct buf *dst, const struct fault_line *l)
{
    const struct row *r = &rows[l->fault];
    buf_printf(dst, "%s/%s: ", l->provider, l->model);
    fill(dst, l->spanish ? r->what_es : r->what_en, l);
    /* The words of the server about a key may contain it: they stay in no text. */
    bool detail = l->detail && l->detail[0] != '\0' && l->fault != FAULT_AUTH;
    if (l->status != 0 || detail) {
        buf_str(dst, " (");
        if (l->status != 0) {
            buf_printf(dst, "HTTP %d%s", l->status, detail ? ": " : "");
        }
        if (detail) {
            clean_detail(dst, l->detail);
        }
        buf_str(dst, ")");
    }
    buf_str(dst, ". ");
    fill(dst, l->spanish ? r->do_es : r->do_en, l);
    if (l->fault == FAULT_RATE_LIMIT && l->retry_after_ms > 0) {
        int64_t s = (l->retry_after_ms + 999) / 1000;
        buf_printf(dst, l->spanish ? " (dentro de %lld s)" : " (in %lld s)", (long long)s);
    }
    buf_ch(dst, '.');
}
