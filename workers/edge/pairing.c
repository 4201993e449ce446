/*
 * pairing.c: see pairing.h.
 * Runs in: edge.     Owns: nothing.
 * Never: approves a changed platform silently: that is what a copied key looks like.
 * Tested in: tests/unit/edge/test_pairing.c
 */
#include "workers/edge/pairing.h"

#include <string.h>

#include "common/crypto.h"
#include "common/names.h"
#include "common/text.h"
#include "workers/edge/scopes.h"

/* A value that was absent at pairing may be added later; one that was there may not change (7.2). */
static bool pinned_differs(sv stored, sv now)
{
    return stored.n > 0 && now.n > 0 && !sv_eq_nocase(sv_trim(stored), sv_trim(now));
}

static struct pair_result need(bool silent, const char *reason, const char *message)
{
    return (struct pair_result){silent ? PAIR_APPROVE : PAIR_REFUSE, reason, message,
                                "Review the request on the gateway host, then approve it."};
}

struct pair_result pair_decide(const struct msg_device *known, const struct pair_request *q)
{
    const struct connect_params *p = q->p;
    sv scopes = buf_view(&p->scopes);
    bool here = q->local && q->auto_local;
    if (known == NULL) {
        return need(here && (!q->has_origin || connect_is_browser(p)), "not-paired",
                    "pairing required: device is not approved yet");
    }
    if (pinned_differs(known->platform, p->platform) ||
        pinned_differs(known->device_family, p->family)) {
        return need(false, "metadata-upgrade",
                    "pairing required: device identity changed and must be re-approved");
    }
    if (!names_has(known->role, p->role)) {
        return need(here && sv_eqc(p->role, "operator"), "role-upgrade",
                    "pairing required: device is asking for a higher role than currently approved");
    }
    if (!scopes_cover(known->scopes, scopes)) {
        return need(here && !q->by_device_token, "scope-upgrade",
                    "pairing required: device is asking for more scopes than currently approved");
    }
    return (struct pair_result){PAIR_OK, NULL, NULL, NULL};
}

const struct msg_device_token *pair_token(const struct msg_device *known, sv role)
{
    for (size_t i = 0; known != NULL && i < known->tokens_n; i++) {
        if (sv_eq(known->tokens[i].role, role)) {
            return &known->tokens[i];
        }
    }
    return NULL;
}

bool pair_token_matches(const struct msg_device_token *t, sv presented)
{
    if (t == NULL || t->revoked_ms > 0 || t->token.n != 32 || presented.n == 0) {
        return false;
    }
    struct buf text = BUF_INIT(64);
    b64_encode(&text, t->token, B64_URL);
    bool same = crypto_equal(buf_view(&text), presented);
    buf_free(&text);
    return same;
}
