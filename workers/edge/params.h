/*
 * params.h: checks a JSON object against a table of parameters and words what is wrong.
 * Runs in: edge.     Owns: nothing.
 * Never: changes the object, looks at a value that has no row, reports more than `why` can hold.
 * Tested in: tests/unit/edge/test_params.c
 *
 * Texts are those of gateway-ws.md section 10 ("at /limit: must be <= 5000"), because clients show them.
 */
#ifndef TENAZA_EDGE_PARAMS_H
#define TENAZA_EDGE_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/json.h"

enum param_kind { P_ANY, P_STR, P_INT, P_NUM, P_BOOL, P_OBJ, P_ARR, P_STRS /* array of strings */, P_WORD /* string, or null to clear */ };

struct param {
    const char *name;
    enum param_kind kind;
    bool required;
    int64_t min;              /* strings: characters; integers: least value; PARAM_NO: no limit */
    int64_t max;              /* strings: characters; integers: greatest value; PARAM_NO: no limit */
    const char *one;          /* allowed values "a|b|c", NULL: any */
    const struct param *sub;  /* P_OBJ: members, ends with a row without name; NULL: any */
};

#define PARAM_NO INT64_MIN

enum param_strict {
    PARAM_STRICT, /* unknown members are errors */
    PARAM_LENIENT /* unknown members are ignored (connect: newer clients add fields) */
};

/* rows end with one without name. `v` NULL counts as an empty object. True when valid; else the details,
 * joined with "; ", are appended to `why` (give it a cap of about 512 bytes). */
bool params_check(const json_t *v, const struct param *rows, enum param_strict strict, struct buf *why);

/* Is `value` one of "a|b|c"? */
bool one_of(const char *list, sv value);

#endif
