/*
 * json.h: jansson with our flags; the only header through which jansson is reached.
 * Runs in: edge, agent, chan, command line, store (transcript content).     Owns: nothing.
 * Never: accepts duplicate keys, trailing text, invalid UTF-8 or deep nesting.
 * Tested in: tests/unit/common/test_json.c; fuzzed by tests/fuzz/fuzz_json.c
 */
#ifndef TENAZA_COMMON_JSON_H
#define TENAZA_COMMON_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/sv.h"

/* Arrays and objects inside each other; our own messages need fewer than ten. */
#define JSON_DEPTH_MAX 128

/* NULL on error; err (may be NULL, cap bytes) gets "line 1 column 5: ...". Any JSON value is accepted. */
json_t *json_parse(sv text, char *err, size_t cap);
bool json_print(struct buf *dst, const json_t *v);        /* compact, keys in insertion order */
bool json_print_sorted(struct buf *dst, const json_t *v); /* canonical: sorted keys */
void json_free(json_t **v);                               /* ATTR_CLEANUP helper */

/* Getters by dotted path ("choices.0.delta.content"); the default when absent or of another type. */
const json_t *json_at(const json_t *v, const char *path);
sv json_sv(const json_t *v, const char *path);
int64_t json_i64(const json_t *v, const char *path, int64_t dflt);
bool json_flag(const json_t *v, const char *path, bool dflt);
/* Sets a string from a view (replacing invalid UTF-8); absent views are left out. */
void json_put(json_t *obj, const char *key, sv value);

#endif
