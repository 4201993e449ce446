/*
 * rows.h: session rows and transcript rows as the protocol shows them (gateway-ws.md 15.4, 15.5).
 * Runs in: edge.     Owns: nothing.
 * Never: parses what it prints; arguments of tool calls are stored JSON and go in as they are.
 * Tested in: tests/unit/edge/test_rows.c
 */
#ifndef TENAZA_EDGE_ROWS_H
#define TENAZA_EDGE_ROWS_H

#include "common/buf.h"
#include "proto/messages.h"
#include "workers/edge/edge.h"

/* Extra columns of a session row. */
enum row_extra { ROW_TITLE = 1, ROW_PREVIEW = 2 };

void row_session(struct buf *b, const struct msg_session *s, int64_t now_ms, unsigned extra);
/* What a session that does not exist looks like. */
void row_no_session(struct buf *b, sv key, const struct model_row *model, int64_t now_ms);
/* max_chars: texts are cut to so many characters; 0: whole. */
void row_entry(struct buf *b, const struct msg_entry *e, size_t max_chars);
/* First n characters of s; 0: all of it. */
sv row_cut(sv s, size_t n);
/* "direct", "group" */
const char *row_kind(sv key);
/* {"modelProvider":..,"model":..,"contextTokens":..} */
void row_defaults(struct buf *b, const struct model_row *model);

#endif
