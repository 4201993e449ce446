/*
 * oai_req.h: a request to the OpenAI interface, read and checked: from JSON to rows of a transcript, tools and wishes.
 * Runs in: edge.     Owns: its memory; everything in it lives until oai_req_free.
 * Never: knows connections, sessions or the store; reads what it has not checked.
 * Tested in: tests/unit/edge/test_oai_req.c; fuzzed by tests/fuzz/fuzz_http_req.c
 */
#ifndef TENAZA_EDGE_OAI_REQ_H
#define TENAZA_EDGE_OAI_REQ_H

#include "common/arena.h"
#include "common/json.h"
#include "proto/messages.h"

enum oai_api { OAI_CHAT = 1, OAI_RESPONSES = 2 };

/* Bounds: everything of one request travels in one message of at most 1 MiB (messages.def INGEST). */
#define OAI_TEXT_MAX 524288     /* INGEST.text */
#define OAI_SYSTEM_MAX 65536    /* INGEST.extra_system */
#define OAI_TOOLS_MAX 128       /* RUN_OPTS.tools */
#define OAI_TOOLS_BYTES 131072  /* names, descriptions and schemas together */
#define OAI_PRIOR_MAX 500       /* INGEST.prior; older rows are left out, as an agent would */
#define OAI_RESULTS_MAX 64
#define OAI_ALL_BYTES 901120    /* 880 KiB: rows, text, tools and system text */
#define OAI_CALLS_MAX 32        /* of one assistant row */

struct oai_req {
    enum oai_api api;
    struct arena mem;
    json_t *root;

    sv model, user, previous;
    bool stream, include_usage, background, keep; /* keep: a response that can be fetched and continued */
    struct buf system;
    struct msg_entry *rows; /* the whole conversation without system texts */
    size_t rows_n, rows_cap;
    size_t calls_n;         /* tool calls of assistant rows */
    json_t *pass;           /* object of the members that go to the provider */

    /* The result: rows cut into what was before, results of tools, and the input. */
    struct msg_entry *prior, *results;
    size_t prior_n, results_n;
    sv text;
    struct msg_run_opts opts;
    struct buf ignored;     /* names of members without effect, comma separated */

    /* What is wrong: status, code, member, sentence. status 0: nothing. */
    int bad_status;
    const char *bad_code;
    char bad_param[64];
    char bad_text[300];
};

/* False: bad_* says why. fresh: the conversation has no session here, so the request has to bring everything. */
bool oai_req_parse(struct oai_req *q, enum oai_api api, sv body);
bool oai_req_settle(struct oai_req *q, bool fresh);
void oai_req_free(struct oai_req *q);

/* ---- for oai_chat.c and oai_items.c --------------------------------------------------------------------- */

/* Notes the first thing that is wrong; returns false. param may be NULL. */
bool oai_bad(struct oai_req *q, const char *code, const char *param, const char *fmt, ...) ATTR_PRINTF(4, 5);
/* Text of a string or of an array of text parts. */
bool oai_content(struct oai_req *q, const json_t *v, const char *param, sv *text);
void oai_system(struct oai_req *q, sv text);
struct msg_entry *oai_row(struct oai_req *q, const char *role, sv text);
/* Adds a call to an assistant row. */
bool oai_call(struct oai_req *q, struct msg_entry *row, sv id, sv name, sv args, const char *param);
bool oai_result(struct oai_req *q, sv id, sv text, const char *param);

bool oai_chat_rows(struct oai_req *q);
bool oai_item_rows(struct oai_req *q);

#endif
