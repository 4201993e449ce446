/*
 * call.h: one call of one model: request out, stream in, one outcome.
 * Runs in: agent.     Owns: the HTTP request or the paced offline answer, the parser, the reply.
 * Never: retries, falls back, knows runs.
 * Tested in: tests/unit/agent/test_turn.c
 */
#ifndef TENAZA_AGENT_PROVIDER_CALL_H
#define TENAZA_AGENT_PROVIDER_CALL_H

#include "agent/provider/offline.h"
#include "agent/provider/provider.h"
#include "common/http.h"
#include "common/loop.h"

#define CALL_BODY_MAX ((size_t)4 * 1024 * 1024) /* bytes of a request */
#define CALL_STREAM_MAX ((size_t)16 * 1024 * 1024) /* bytes of a whole stream: frames are ~100 times the text */

/* Where a call goes. Strings and key outlive the call. */
struct call_target {
    const struct dialect *dialect;
    const char *base_url;       /* without a slash at the end */
    const struct secret *key;   /* NULL or empty: no key */
    const char *const *headers; /* configured, NULL-terminated; may be NULL */
    int64_t idle_ms;
};

struct model_call;

/* r: whole reply, or r->fault tells why not (text that arrived before is kept). Owned by the call, dies with
 * the callback. Called from the loop, never from inside model_call_start. */
typedef void model_done_fn(void *ctx, struct reply *r);
typedef void model_text_fn(void *ctx, sv delta);

struct model_call *model_call_start(struct loop *l, struct http_client *http, const struct call_target *t,
                                    const struct chat_req *q, model_text_fn *on_text, model_done_fn *on_done,
                                    void *ctx);
/* The offline answer, in small pieces so that streaming is visible. */
struct model_call *model_call_offline(struct loop *l, const struct offline_req *q, model_text_fn *on_text,
                                      model_done_fn *on_done, void *ctx);
/* No callback after this. The call frees itself. */
void model_call_cancel(struct model_call *c);

#endif
