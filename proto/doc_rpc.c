/*
 * doc_rpc.c: the methods of the client protocol as a page for people and as JSON for tests, from rpc.def.
 * Runs in: gen-methods, unit tests.     Owns: nothing.
 * Never: knows a method by name.
 * Tested in: tests/unit/proto/test_doc.c, tests/scn/e7-methods.test.mjs
 */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "proto/doc.h"

#define PARAM_NO INT64_MIN

struct member {
    const char *kind, *name, *need;
    int64_t min, max;
    const char *one;
};

struct method {
    const char *name, *scope;
    const struct member *params, *result;
    const char *flags, *fixed, *doc;
};

#define P(kind, name, need, min, max, one) {#kind, name, #need, min, max, one},
#define R(kind, name, need) {#kind, name, #need, PARAM_NO, PARAM_NO, NULL},
#define END {NULL, NULL, NULL, 0, 0, NULL}
#define RPC(fn, name, scope, rows, result, flags, doc)                                             \
    static const struct member params_##fn[] = {rows(P) END};                                      \
    static const struct member result_##fn[] = {result(R) END};
#define FIXED(fn, name, scope, rows, result, json, doc) RPC(fn, name, scope, rows, result, 0, doc)
#include "proto/rpc.def"
#undef RPC
#undef FIXED

static const struct method METHODS[] = {
#define RPC(fn, name, scope, rows, result, flags, doc) {name, #scope, params_##fn, result_##fn, #flags, NULL, doc},
#define FIXED(fn, name, scope, rows, result, json, doc)                                            \
    {name, #scope, params_##fn, result_##fn, "RPC_ADVERTISED", json, doc},
#include "proto/rpc.def"
#undef RPC
#undef FIXED
};

/* SC_TALK_SECRETS -> operator.talk.secrets; SC_NONE -> "". */
static void add_scope(struct buf *b, const char *scope)
{
    if (strcmp(scope, "SC_NONE") == 0) {
        return;
    }
    buf_str(b, "operator.");
    for (const char *p = scope + 3; *p != '\0'; p++) {
        buf_ch(b, *p == '_' ? '.' : (char)tolower((unsigned char)*p));
    }
}

static const char *kind_text(const char *kind)
{
    static const char *const rows[][2] = {{"STR", "string"}, {"INT", "integer"}, {"NUM", "number"},   {"BOOL", "boolean"},
                                          {"OBJ", "object"}, {"ARR", "array"},   {"STRS", "strings"}, {"WORD", "string or null"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i][0], kind) == 0) {
            return rows[i][1];
        }
    }
    return "anything";
}

static bool required(const struct member *m)
{
    return strcmp(m->need, "REQ") == 0;
}

static void add_members(struct buf *b, const struct member *m)
{
    if (m->name == NULL) {
        buf_str(b, "none");
    }
    for (bool first = true; m->name != NULL; m++, first = false) {
        buf_str(b, first ? "" : ", ");
        if (m->name[0] == '\0') {
            buf_printf(b, "%s%s", kind_text(m->kind), required(m) ? "" : " or null");
            continue;
        }
        buf_printf(b, "`%s`%s %s", m->name, required(m) ? "" : "?", kind_text(m->kind));
        if (m->one != NULL) {
            buf_str(b, " (");
            for (const char *p = m->one; *p != '\0'; p++) {
                buf_str(b, *p == '|' ? ", " : (char[]){*p, '\0'});
            }
            buf_ch(b, ')');
        } else if (m->min != PARAM_NO || m->max != PARAM_NO) {
            buf_str(b, " ");
            if (m->min != PARAM_NO) {
                buf_printf(b, "%" PRId64, m->min);
            }
            buf_str(b, "..");
            if (m->max != PARAM_NO) {
                buf_printf(b, "%" PRId64, m->max);
            }
        }
    }
}

bool doc_methods(struct buf *b)
{
    buf_str(b, "<!-- Printed by gen-methods from proto/rpc.def. Do not edit. -->\n# Methods of the client protocol\n\n"
               "Names with ? may be left out. Numbers are bounds of an integer or of the characters of a string. Results may have "
               "more members than are named here.\n");
    for (size_t i = 0; i < sizeof METHODS / sizeof *METHODS; i++) {
        const struct method *m = &METHODS[i];
        buf_printf(b, "\n## %s\n\n%s.\n\n* needs: ", m->name, m->doc);
        add_scope(b, m->scope);
        buf_str(b, strcmp(m->scope, "SC_NONE") == 0 ? "nothing" : "");
        if (strstr(m->flags, "RPC_KEYED") != NULL) {
            buf_str(b, "; may be repeated with the same idempotencyKey");
        }
        if (strstr(m->flags, "RPC_LIMITED") != NULL) {
            buf_str(b, "; at most 30 in 60 s");
        }
        buf_str(b, "\n* parameters: ");
        add_members(b, m->params);
        buf_str(b, "\n* result: ");
        add_members(b, m->result);
        buf_ch(b, '\n');
    }
    return !b->full;
}

static void json_members(struct buf *b, const char *key, const struct member *m)
{
    buf_printf(b, ",\"%s\":[", key);
    for (bool first = true; m->name != NULL; m++, first = false) {
        buf_printf(b, "%s{\"name\":\"%s\",\"kind\":\"%s\",\"required\":%s", first ? "" : ",", m->name, m->kind,
                   required(m) ? "true" : "false");
        if (m->min != PARAM_NO) {
            buf_printf(b, ",\"min\":%" PRId64, m->min);
        }
        if (m->max != PARAM_NO) {
            buf_printf(b, ",\"max\":%" PRId64, m->max);
        }
        if (m->one != NULL) {
            buf_printf(b, ",\"one\":\"%s\"", m->one);
        }
        buf_ch(b, '}');
    }
    buf_ch(b, ']');
}

bool doc_methods_json(struct buf *b)
{
    for (size_t i = 0; i < sizeof METHODS / sizeof *METHODS; i++) {
        const struct method *m = &METHODS[i];
        buf_printf(b, "%s{\"name\":\"%s\",\"scope\":\"", i ? ",\n" : "[", m->name);
        add_scope(b, m->scope);
        buf_printf(b, "\",\"flags\":\"%s\",\"fixed\":%s", m->flags, m->fixed ? "true" : "false");
        json_members(b, "params", m->params);
        json_members(b, "result", m->result);
        buf_ch(b, '}');
    }
    buf_str(b, "]\n");
    return !b->full;
}
