/*
 * provider.h: what a model call needs, and what a dialect (a wire format of model servers) supplies.
 * Runs in: agent.     Owns: nothing.
 * Never: knows runs, sessions or the store.
 * Tested in: tests/unit/agent/test_openai.c, test_anthropic.c, test_offline.c
 */
#ifndef TENAZA_AGENT_PROVIDER_PROVIDER_H
#define TENAZA_AGENT_PROVIDER_PROVIDER_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/provider/reply.h"
#include "common/buf.h"
#include "common/crypto.h"
#include "common/sv.h"

enum chat_role { CHAT_USER, CHAT_ASSISTANT, CHAT_TOOL };

struct chat_call {
    sv id, name, args; /* args: valid JSON object text */
};

/* One message of the conversation, ready for a dialect: calls and results are paired, nothing is empty. */
struct chat_msg {
    enum chat_role role;
    sv text;
    struct chat_call *calls; /* assistant */
    size_t calls_n;
    sv tool_call_id, tool_name; /* tool */
    bool is_error;              /* tool */
};

struct chat_tool {
    const char *name, *description, *schema; /* schema: JSON text of the arguments' object */
};

struct chat_req {
    const char *model;
    sv system_stable;   /* same bytes from turn to turn: the provider may cache it */
    sv system_volatile;
    const struct chat_msg *msgs;
    size_t msgs_n;
    const struct chat_tool *tools;
    size_t tools_n;
    const char *tool_choice; /* "" or NULL: the model decides; required; tool:<name> */
    sv sampling;           /* JSON object of OpenAI's request members, or empty; a dialect takes what it knows */
    uint64_t max_tokens;   /* 0: the server's default */
    bool official_openai;  /* api.openai.com: field names that other servers do not know */
    sv last_user;          /* raw text of the newest user message (offline responder) */
};

struct dialect {
    const char *api;  /* as in models.providers.<id>.api and ENTRY.api */
    const char *path; /* behind the base URL; NULL: no server, the answer is made in the process */
    /* Appends the JSON body; false when it passes the buffer's cap. */
    bool (*body)(const struct chat_req *q, struct buf *dst);
    /* The line that carries the key, e.g. "Authorization: Bearer K", appended to dst. */
    void (*key_header)(const struct secret *key, struct buf *dst);
    const char *const *headers; /* further fixed headers, NULL-terminated */
    /* One event of the stream. */
    void (*event)(struct reply *r, sv event, sv data);
    /* The body of an answer that is not 2xx, or of a 2xx answer that is not a stream. */
    void (*error)(struct reply *r, int status, sv body);
};

/* One row of providers.def: what is known without configuration. */
struct provider_row {
    const char *id;
    const char *api;
    const char *base_url;
    const char *model;   /* when only a key was found; "" when it has to be asked for */
    bool self_hosted;
    uint64_t window;     /* tokens, when the configuration does not say */
    uint64_t max_tokens; /* of one answer; 0: the server's default */
    const char *doc;
};

const struct provider_row *provider_row(const char *id);   /* NULL: unknown */
const struct dialect *provider_dialect(const char *api);   /* NULL: unknown; knows "ollama" as an alias */

extern const struct dialect dialect_openai, dialect_anthropic, dialect_offline;

#endif
