/*
 * chunk.h: splits a text into parts that fit a platform's limit.
 * Runs in: channel workers.     Owns: nothing.
 * Never: splits a UTF-8 sequence; depends on anything but its arguments. A delivery that is taken up again
 *        after a crash must come out in the same parts.
 * Tested in: tests/unit/chan/test_chunk.c
 */
#ifndef TENAZA_WORKERS_CHAN_CHUNK_H
#define TENAZA_WORKERS_CHAN_CHUNK_H

#include <stdbool.h>
#include <stddef.h>

#include "common/arena.h"
#include "common/attrs.h"
#include "common/sv.h"

/* What the platform counts (channels.md 1.10). */
enum chunk_unit { CHUNK_BYTES, CHUNK_UTF16, CHUNK_CODEPOINTS };

struct chunk_opts {
    size_t limit;         /* greatest size of a part in `unit`; 0: no limit. At least CHUNK_LIMIT_MIN */
    enum chunk_unit unit;
    bool by_line;         /* every line is a part of its own (IRC); empty lines vanish */
    bool paragraphs;      /* chunkMode "newline": split at blank lines first */
    bool fences;          /* the text has markdown code fences: close and reopen what is cut */
};

/* Below this a part could not hold a reopened fence. */
#define CHUNK_LIMIT_MIN 64
/* More parts than this are not made: the last one then is a line that says so. */
#define CHUNK_PARTS_MAX 1000

/* Returns the number of parts, 0 for a text of white space only; *parts lives in the arena. */
size_t chunk_split(sv text, const struct chunk_opts *o, struct arena *a, sv **parts);
size_t chunk_measure(sv text, enum chunk_unit unit);

#endif
