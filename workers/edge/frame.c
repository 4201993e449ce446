/*
 * frame.c: see frame.h.
 * Runs in: edge.     Owns: nothing.
 * Never: accepts a field that section 2 does not name.
 * Tested in: tests/unit/edge/test_frame.c
 */
#include "workers/edge/frame.h"

#include "workers/edge/params.h"

static const struct param REQUEST[] = {
    {"id", P_STR, true, 1, FRAME_MAX_ID, NULL, NULL},
    {"method", P_STR, true, 1, 128, NULL, NULL},
    {"type", P_STR, true, PARAM_NO, PARAM_NO, "req", NULL},
    {"params", P_ANY, false, PARAM_NO, PARAM_NO, NULL, NULL},
    {"traceparent", P_STR, false, PARAM_NO, 128, NULL, NULL},
    {"expectedProfileId", P_STR, false, 1, 128, NULL, NULL},
    {NULL, P_ANY, false, 0, 0, NULL, NULL},
};

static sv string_of(const json_t *v)
{
    return json_is_string(v) ? sv_mem(json_string_value(v), json_string_length(v)) : SV_NULL;
}

void frame_parse(sv text, struct frame *out)
{
    *out = (struct frame){.kind = FRAME_NOT_JSON, .id = SV("invalid")};
    out->root = json_parse(text, NULL, 0);
    if (out->root == NULL) {
        return;
    }
    struct buf why = BUF_INIT(sizeof out->why - 1);
    bool good = params_check(out->root, REQUEST, PARAM_STRICT, &why);
    sv_copy(out->why, sizeof out->why, buf_view(&why));
    buf_free(&why);
    sv id = string_of(json_object_get(out->root, "id"));
    if (id.n > 0 && id.n <= FRAME_MAX_ID * 4) {
        out->id = id;
    }
    out->kind = good ? FRAME_REQUEST : FRAME_BAD;
    out->method = string_of(json_object_get(out->root, "method"));
    out->params = json_object_get(out->root, "params");
}

void frame_free(struct frame *f)
{
    json_free(&f->root);
    f->params = NULL;
}
