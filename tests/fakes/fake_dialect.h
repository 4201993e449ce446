/*
 * fake_dialect.h: the two wire formats of the fake model server behind one table of functions.
 * Runs in: fake_llm.     Owns: nothing.
 * Never: knows the directives.
 * Tested in: tests/fakes/test_fake_llm.c
 */
#ifndef TENAZA_FAKES_FAKE_DIALECT_H
#define TENAZA_FAKES_FAKE_DIALECT_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/json.h"
#include "tests/fakes/fake_http.h"
#include "tests/fakes/fake_script.h"

/* One answer in progress, as the writers see it. */
struct answer {
    unsigned long serial; /* makes ids */
    const char *model;
    bool usage_wanted;    /* OpenAI: stream_options.include_usage */
    size_t in_bytes;
    const struct plan *plan;
};

struct dialect {
    /* Refuses what the real service refuses; NULL or one sentence for the 400 answer. */
    const char *(*check)(const json_t *body, const struct fh_req *r);
    /* Appends the last user text, and the last tool result when that is what came last (else leaves it empty). */
    bool (*last)(const json_t *body, struct buf *user, struct buf *tool_result);
    void (*begin)(struct buf *dst, const struct answer *a); /* SSE bytes */
    void (*text)(struct buf *dst, const struct answer *a, sv chunk);
    void (*tool)(struct buf *dst, const struct answer *a);
    void (*end)(struct buf *dst, const struct answer *a);
    void (*whole)(struct buf *dst, const struct answer *a); /* the answer without streaming */
    void (*error)(struct buf *dst, int status, const char *text);
};

extern const struct dialect dialect_openai, dialect_anthropic;

/* Text of a "content": a string, or the text parts of an array. */
void content_text(struct buf *dst, const json_t *content);

#endif
