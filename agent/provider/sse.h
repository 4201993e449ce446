/*
 * sse.h: incremental parser of server-sent events (the stream format of model servers).
 * Runs in: agent.     Owns: the unfinished line and the unfinished event.
 * Never: does input or output, keeps more than SSE_MAX bytes, cares what the data means.
 * Tested in: tests/unit/agent/test_sse.c; fuzzed by tests/fuzz/fuzz_sse.c
 */
#ifndef TENAZA_AGENT_PROVIDER_SSE_H
#define TENAZA_AGENT_PROVIDER_SSE_H

#include "common/attrs.h"
#include "common/buf.h"
#include "common/sv.h"

#define SSE_MAX ((size_t)1024 * 1024) /* bytes of one line, and of the joined data of one event */
#define SSE_NAME_MAX 64         /* bytes of an event name; longer names are cut */

struct sse {
    struct buf line; /* bytes of a line whose end has not come yet */
    struct buf data; /* joined data lines of the event under way */
    char event[SSE_NAME_MAX + 1];
    bool has_data;
    bool after_cr; /* the last byte was CR: a LF that follows belongs to it */
    bool begun;    /* a byte order mark may only stand at the very start */
};

/* event: "" when the server gave none. Both views die with the call. */
typedef void sse_event_fn(void *ctx, sv event, sv data);

void sse_init(struct sse *s);
void sse_free(struct sse *s);
/* Takes the next bytes, split anywhere; calls fn for each event that became complete. ERR_TOOBIG when a line
 * or an event passes SSE_MAX; the parser is of no use afterwards. */
int sse_feed(struct sse *s, sv bytes, sse_event_fn *fn, void *ctx) ATTR_NODISCARD;
/* End of the stream: hands over what a server left without its closing blank line. */
int sse_end(struct sse *s, sse_event_fn *fn, void *ctx) ATTR_NODISCARD;

#endif
