/*
 * recorder.h: the flight recorder: what a worker last did and said, in memory that outlives it.
 * Runs in: every worker (writes), supervisor (reads).     Owns: the layout of the shared memory.
 * Never: locks, allocates or makes a system call on the writing side; holds a secret or text of users.
 * Tested in: tests/unit/common/test_recorder.c
 *
 * One sealed memfd per incarnation, mapped by both sides. Everything is written with plain stores, so it is still
 * there after kill -9 or the kernel's out-of-memory killer. The reader trusts nothing in it: sizes are fixed by
 * seals, strings are cut at their arrays, positions are taken modulo the size of the ring.
 */
#ifndef TENAZA_COMMON_RECORDER_H
#define TENAZA_COMMON_RECORDER_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/counter.h"
#include "common/log.h"

#define RECORDER_RING (64u * 1024u) /* bytes of log lines that are kept: some hundred lines */
#define RECORDER_WORDS 2048u        /* bytes of last words */

struct recorder {
    uint32_t magic, size; /* of this struct: another size is another build */
    char name[128], build[64];
    uint64_t inc;
    struct log_context context; /* the message being handled, or the last one */
    struct counters counters;
    char words[RECORDER_WORDS]; /* last words, terminated; empty: none */
    uint64_t ring_at;           /* bytes ever written into the ring */
    char ring[RECORDER_RING];
};

/* Supervisor: a new recorder; the descriptor to hand over and the mapping. -1 (errno is set): none can be made. */
int recorder_new(struct recorder **out) ATTR_NODISCARD;
void recorder_unmap(struct recorder *r); /* NULL: nothing */

/* Worker: maps the inherited recorder, and from now on log lines, the log context and the counters go into it.
 * NULL: fd is no recorder of this build; everything works without one. */
struct recorder *recorder_use(int fd, const char *name, uint64_t inc);
/* Async-signal-safe. Keeps what fits; the first words win: they are nearest to the cause. */
void recorder_words(struct recorder *r, const char *text, size_t n);

/* Reader: appends the kept log lines, oldest first, from the first whole line on. */
void recorder_lines(const struct recorder *r, struct buf *out);

#endif
