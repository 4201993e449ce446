/*
 * http_rules.c: see http_rules.h.
 * Runs in: edge.     Owns: nothing.
 * Never: guesses: what is unclear is refused.
 * Tested in: tests/unit/edge/test_http_rules.c
 */
#include "workers/edge/http_rules.h"

#include "common/attrs.h"
#include "common/text.h"

static bool printable(sv s, size_t max)
{
    if (s.n == 0 || s.n > max) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= ' ' || s.p[i] > '~') {
            return false;
        }
    }
    return true;
}

bool request_id_ok(sv id)
{
    return printable(id, REQUEST_ID_MAX);
}

bool idempotency_key_ok(sv key)
{
    return printable(key, 200);
}

sv bearer_of(sv authorization)
{
    static const sv scheme = {"bearer", 6};
    sv s = sv_trim(authorization);
    if (s.n <= scheme.n || s.p[scheme.n] != ' ' || !sv_eq_nocase(sv_sub(s, 0, scheme.n), scheme)) {
        return SV_NULL;
    }
    s = sv_trim(sv_sub(s, scheme.n, s.n));
    return s.n > 0 ? s : SV_NULL;
}

bool query_has_secret(sv query)
{
    static const char *const names[] = {"token", "access_token", "api_key", "apikey", "password"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (url_query(query, names[i]).p != NULL) {
            return true;
        }
    }
    return false;
}

enum body_kind body_kind(sv content_length, sv transfer_encoding, uint64_t *length)
{
    *length = 0;
    if (transfer_encoding.n > 0) {
        bool alone = content_length.n == 0 && sv_eq_nocase(sv_trim(transfer_encoding), SV("chunked"));
        return alone ? BODY_CHUNKED : BODY_BAD;
    }
    if (content_length.n == 0) {
        return BODY_NONE;
    }
    return sv_u64(content_length, length) ? BODY_LENGTH : BODY_BAD;
}
