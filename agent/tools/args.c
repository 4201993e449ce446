/*
 * args.c: checks a tool's arguments against its schema: object, properties (type, enum), required,
 *         additionalProperties. Nothing else of JSON Schema is supported, and tools.def uses nothing else.
 * Runs in: agent.     Owns: nothing.
 * Never: changes the arguments.
 * Tested in: tests/unit/agent/test_tools.c
 */
#include "agent/tools/tool.h"

#include <math.h>
#include <stdio.h>

#include "common/err.h"

static const char *type_of(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return "object";
    case JSON_ARRAY:
        return "array";
    case JSON_STRING:
        return "string";
    case JSON_INTEGER:
        return "integer";
    case JSON_REAL:
        return "number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "boolean";
    case JSON_NULL:
        return "null";
    }
    return "?";
}

static bool type_ok(const json_t *v, const char *want)
{
    const char *is = type_of(v);
    if (strcmp(is, want) == 0) {
        return true;
    }
    if (strcmp(want, "number") == 0) {
        return json_is_integer(v);
    }
    /* Models write 3.0 where an integer is wanted. */
    return strcmp(want, "integer") == 0 && json_is_real(v) && floor(json_real_value(v)) == json_real_value(v);
}

static int check_value(const json_t *schema, const char *key, const json_t *v, char *err, size_t cap)
{
    const json_t *type = json_object_get(schema, "type");
    if (json_is_string(type) && !type_ok(v, json_string_value(type))) {
        (void)snprintf(err, cap, "\"%.64s\" must be of type %s, not %s", key, json_string_value(type), type_of(v));
        return ERR_BAD;
    }
    const json_t *one_of = json_object_get(schema, "enum");
    if (!json_is_array(one_of)) {
        return OK;
    }
    for (size_t i = 0; i < json_array_size(one_of); i++) {
        if (json_equal(json_array_get(one_of, i), v)) {
            return OK;
        }
    }
    (void)snprintf(err, cap, "\"%.64s\" has a value that is not allowed", key);
    return ERR_BAD;
}

static int check_required(const json_t *schema, const json_t *args, char *err, size_t cap)
{
    const json_t *required = json_object_get(schema, "required");
    for (size_t i = 0; json_is_array(required) && i < json_array_size(required); i++) {
        const char *key = json_string_value(json_array_get(required, i));
        if (key && !json_object_get(args, key)) {
            (void)snprintf(err, cap, "\"%.64s\" is missing", key);
            return ERR_BAD;
        }
    }
    return OK;
}

int tool_args_check(const json_t *schema, json_t *args, char *err, size_t cap)
{
    if (!json_is_object(args)) {
        (void)snprintf(err, cap, "the arguments must be an object, not %s", args ? type_of(args) : "nothing");
        return ERR_BAD;
    }
    int rc = check_required(schema, args, err, cap);
    const json_t *props = json_object_get(schema, "properties");
    bool closed = json_is_false(json_object_get(schema, "additionalProperties"));
    for (void *it = json_object_iter(args); it && rc == OK; it = json_object_iter_next(args, it)) {
        const char *key = json_object_iter_key(it);
        const json_t *prop = json_object_get(props, key);
        if (prop) {
            rc = check_value(prop, key, json_object_iter_value(it), err, cap);
        } else if (closed) {
            (void)snprintf(err, cap, "\"%.64s\" is not an argument of this tool", key);
            rc = ERR_BAD;
        }
    }
    return rc;
}

int tool_args(const struct tool *t, sv text, json_t **out, char *err, size_t cap)
{
    *out = NULL;
    json_t *args = json_parse(text, NULL, 0);
    if (!args) {
        (void)snprintf(err, cap, "Arguments were not valid JSON");
        return ERR_BAD;
    }
    char why[160] = "";
    json_t *schema = json_parse(sv_of(t->schema), NULL, 0);
    int rc = tool_args_check(schema, args, why, sizeof why);
    json_free(&schema);
    if (rc < 0) {
        (void)snprintf(err, cap, "Arguments of %s are wrong: %s", t->name, why);
        json_free(&args);
        return rc;
    }
    *out = args;
    return OK;
}
