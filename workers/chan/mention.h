/*
 * mention.h: does a group message speak to us?
 * Runs in: channel workers.     Owns: compiled patterns.
 * Never: compiles a pattern that could be expensive to match; matches more than MENTION_TEXT_MAX bytes.
 * Tested in: tests/unit/chan/test_mention.c
 */
#ifndef TENAZA_WORKERS_CHAN_MENTION_H
#define TENAZA_WORKERS_CHAN_MENTION_H

#include <stdbool.h>
#include <stddef.h>

#include "common/attrs.h"
#include "common/sv.h"

#define MENTION_PATTERN_MAX 200 /* bytes of one pattern */
#define MENTION_PATTERNS_MAX 16
#define MENTION_TEXT_MAX 4096   /* bytes of a message that are looked at */

struct mention_set; /* opaque: compiled patterns */

struct mention_set *mention_new(void);
void mention_free(struct mention_set *m);
/*
 * POSIX extended, case-insensitive. OK; ERR_BAD with *why set (static text) when it is too long, malformed,
 * has a back reference, a repeated group that holds a repetition, or a count above 64; ERR_FULL.
 */
int mention_add(struct mention_set *m, const char *pattern, const char **why) ATTR_NODISCARD;
bool mention_match(const struct mention_set *m, sv text);
size_t mention_count(const struct mention_set *m);

/* Is `name` in text as a word of its own? ASCII case-insensitive; letters, digits, '_', '-' and bytes above
 * 127 continue a word. */
bool mention_word(sv text, sv name);
/* What follows a leading "name:", "name," or "@name" with white space; the text itself when there is none. */
sv mention_strip(sv text, sv name);

#endif
