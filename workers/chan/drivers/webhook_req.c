/*
 * webhook_req.c: see webhook_req.h.
 * Runs in: channel workers.     Owns: nothing.
 * Never: echoes input in an error.
 * Tested in: tests/unit/chan/test_webhook_req.c
 */
#include "workers/chan/drivers/webhook_req.h"

#include <stdio.h>

#include "common/crypto.h"
#include "common/json.h"
#include "common/text.h"

#define ID_MAX 256 /* bytes, as INGEST.event_id and its neighbours */

void webhook_sign(struct buf *dst, sv secret, sv ts, sv body)
{
    struct buf signed_text ATTR_CLEANUP(buf_free) = BUF_INIT(ts.n + body.n + 2);
    buf_sv(&signed_text, ts);
    buf_ch(&signed_text, '.');
    buf_sv(&signed_text, body);
    uint8_t mac[32];
    crypto_hmac_sha256(mac, secret, buf_view(&signed_text));
    buf_str(dst, "sha256=");
    hex_encode(dst, sv_mem(mac, sizeof mac));
}

static int check_bearer(const struct webhook_auth *a, sv authorization, const char **why)
{
    sv scheme = sv_sub(authorization, 0, 7);
    if (sv_empty(a->bearer) || !sv_eq_nocase(scheme, SV("Bearer "))) {
        *why = "no accepted way of authentication";
        return ERR_DENIED;
    }
    if (!crypto_equal(sv_trim(sv_sub(authorization, 7, authorization.n)), a->bearer)) {
        *why = "wrong bearer token";
        return ERR_DENIED;
    }
    return OK;
}

int webhook_check(const struct webhook_auth *a, sv authorization, sv signature, sv timestamp, sv body,
                  int64_t now_ms, const char **why)
{
    if (sv_empty(signature) || sv_empty(a->secret)) {
        return check_bearer(a, authorization, why);
    }
    int64_t ts = 0;
    if (!sv_i64(timestamp, &ts)) {
        *why = "X-Timestamp is missing or not a number of seconds";
        return ERR_DENIED;
    }
    int64_t now_s = now_ms / 1000;
    if (ts < now_s - WEBHOOK_WINDOW_S || ts > now_s + WEBHOOK_WINDOW_S) {
        *why = "X-Timestamp is more than 5 minutes off";
        return ERR_DENIED;
    }
    struct buf want ATTR_CLEANUP(buf_free) = BUF_INIT(128);
    webhook_sign(&want, a->secret, timestamp, body);
    if (!crypto_equal(buf_view(&want), signature)) {
        *why = "wrong signature";
        return ERR_DENIED;
    }
    return OK;
}

/* ---- body -------------------------------------------------------------------------------------------- */

struct reader {
    const json_t *root;
    struct arena *arena;
    const char **field;
    char *why;
    size_t cap;
};

static int wrong(const struct reader *r, int err, const char *field, const char *what)
{
    *r->field = field;
    if (snprintf(r->why, r->cap, "%s %s", field, what) < 0) {
        r->why[0] = '\0';
    }
    return err;
}

static int read_str(const struct reader *r, const char *name, bool required, size_t max, sv *out)
{
    const json_t *v = json_object_get(r->root, name);
    *out = SV_NULL;
    if (!v || json_is_null(v)) {
        return required ? wrong(r, ERR_BAD, name, "is missing") : OK;
    }
    if (!json_is_string(v)) {
        return wrong(r, ERR_BAD, name, "must be a string");
    }
    sv s = sv_mem(json_string_value(v), json_string_length(v));
    if (required && sv_empty(sv_trim(s))) {
        return wrong(r, ERR_BAD, name, "must not be empty");
    }
    if (s.n > max) {
        return wrong(r, ERR_TOOBIG, name, "is too long");
    }
    *out = arena_sv(r->arena, s);
    return OK;
}

static int read_media_item(const struct reader *r, const json_t *v, struct msg_media *out)
{
    struct reader item = *r;
    item.root = v;
    if (!json_is_object(v)) {
        return wrong(r, ERR_BAD, "media", "must be a list of objects");
    }
    int rc = read_str(&item, "kind", true, 16, &out->kind);
    rc = rc ? rc : read_str(&item, "mime", false, 128, &out->mime);
    rc = rc ? rc : read_str(&item, "name", false, 256, &out->name);
    rc = rc ? rc : read_str(&item, "url", false, 1024, &out->ref);
    if (rc != OK) {
        return rc;
    }
    int64_t size = json_i64(v, "size", 0);
    out->size = size > 0 ? (uint64_t)size : 0;
    return OK;
}

static int read_media(const struct reader *r, struct webhook_msg *out)
{
    const json_t *list = json_object_get(r->root, "media");
    if (!list || json_is_null(list)) {
        return OK;
    }
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n > 16) {
        return wrong(r, ERR_BAD, "media", "must be a list of at most 16 objects");
    }
    out->media = (struct msg_media *)arena_alloc(r->arena, (n + 1) * sizeof *out->media);
    for (size_t i = 0; i < n; i++) {
        int rc = read_media_item(r, json_array_get(list, i), &out->media[i]);
        if (rc != OK) {
            return rc;
        }
    }
    out->media_n = n;
    return OK;
}

/* Milliseconds since 1970; a value that can only be seconds is taken as such. */
static int read_ts(const struct reader *r, struct webhook_msg *out)
{
    const json_t *v = json_object_get(r->root, "ts");
    if (!v || json_is_null(v)) {
        return OK;
    }
    if (!json_is_integer(v) || json_integer_value(v) < 0) {
        return wrong(r, ERR_BAD, "ts", "must be milliseconds since 1970");
    }
    int64_t ts = (int64_t)json_integer_value(v);
    out->ts_ms = ts < 100000000000 ? ts * 1000 : ts;
    return OK;
}

int webhook_parse(sv body, struct arena *a, struct webhook_msg *out, const char **field, char *why,
                  size_t why_cap)
{
    *out = (struct webhook_msg){.ts_ms = 0};
    *field = "";
    char err[120];
    json_t *root ATTR_CLEANUP(json_free) = json_parse(body, err, sizeof err);
    if (!json_is_object(root)) {
        const char *what = root ? "it must be an object" : err;
        return snprintf(why, why_cap, "the body is not JSON: %s", what) < 0 ? ERR_INTERNAL : ERR_PARSE;
    }
    struct reader r = {root, a, field, why, why_cap};
    int rc = read_media(&r, out);
    rc = rc ? rc : read_str(&r, "id", false, ID_MAX, &out->id);
    rc = rc ? rc : read_str(&r, "from", true, ID_MAX, &out->from);
    rc = rc ? rc : read_str(&r, "chat", false, ID_MAX, &out->chat);
    rc = rc ? rc : read_str(&r, "thread", false, ID_MAX, &out->thread);
    rc = rc ? rc : read_str(&r, "text", out->media_n == 0, WEBHOOK_TEXT_MAX, &out->text);
    rc = rc ? rc : read_ts(&r, out);
    if (rc == OK && sv_empty(out->text)) {
        out->text = arena_printf(a, "<media:%.*s>", SV_ARG(out->media[0].kind));
    }
    return rc;
}

void webhook_make_id(sv body, int64_t now_ms, char *dst, size_t cap)
{
    int64_t minute = now_ms / 60000;
    sv parts[2] = {sv_mem(&minute, sizeof minute), body};
    uint8_t key[16];
    crypto_key128(key, parts, 2);
    struct buf hex ATTR_CLEANUP(buf_free) = BUF_INIT(64);
    buf_str(&hex, "body-");
    hex_encode(&hex, sv_mem(key, sizeof key));
    if (!sv_copy(dst, cap, buf_view(&hex))) {
        dst[0] = '\0';
    }
}
