/*
 * pairing.c: see pairing.h.
 * Runs in: edge.     Owns: nothing.
 * Never: approves a changed platform silently: that is what a copied key looks like.
 * Tested in: tests/unit/edge/test_pairing.c
 */
#include "workers/edge/pairing.h"

#include <string.h>

#include "common/crypto.h"
#include "common/id.h"
#include "common/text.h"
#include "workers/edge/scopes.h"

static bool list_has(sv list, sv name)
{
    while (list.n > 0) {
        if (sv_eq(sv_cut(&list, ','), name)) {
            return true;
        }
    }
    return false;
}

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
    if (known == NULL) {
        return need(q->local && (!q->has_origin || connect_is_browser(p)), "not-paired",
                    "pairing required: device is not approved yet");
    }
    if (pinned_differs(known->platform, p->platform) ||
        pinned_differs(known->device_family, p->family)) {
        return need(false, "metadata-upgrade",
                    "pairing required: device identity changed and must be re-approved");
    }
    if (!list_has(known->role, p->role)) {
        return need(q->local && sv_eqc(p->role, "operator"), "role-upgrade",
                    "pairing required: device is asking for a higher role than currently approved");
    }
    if (!scopes_cover(known->scopes, scopes)) {
        return need(q->local && !q->by_device_token, "scope-upgrade",
                    "pairing required: device is asking for more scopes than currently approved");
    }
    return (struct pair_result){PAIR_OK, NULL, NULL, NULL};
}

static sv keep(sv stored, sv now)
{
    return stored.n > 0 ? stored : now;
}

void pair_record(const struct msg_device *known, const struct pair_request *q, const uint8_t key[32],
                 int64_t now_ms, struct pair_lists *lists, struct msg_device *out)
{
    static const struct msg_device none;
    const struct msg_device *old = known ? known : &none;
    const struct connect_params *p = q->p;
    *lists = (struct pair_lists){.scopes = BUF_INIT(1024), .role = BUF_INIT(32)};
    scopes_union(&lists->scopes, old->scopes);
    scopes_union(&lists->scopes, buf_view(&p->scopes));
    scopes_union(&lists->role, old->role);
    scopes_union(&lists->role, p->role);
    bool grew = lists->scopes.n != old->scopes.n;
    *out = *old;
    out->id = p->device.id;
    out->public_key = sv_mem(key, 32);
    out->role = buf_view(&lists->role);
    out->scopes = buf_view(&lists->scopes);
    out->display_name = keep(p->display_name, old->display_name);
    out->platform = keep(old->platform, p->platform);
    out->device_family = keep(old->device_family, p->family);
    out->client_id = p->client_id;
    out->client_mode = p->mode;
    out->approved_via = keep(old->approved_via, SV("silent"));
    out->created_ms = old->created_ms ? old->created_ms : now_ms;
    out->seen_ms = now_ms;
    if (old->token.n != sizeof lists->token || grew) {
        id_random(lists->token, sizeof lists->token);
        out->token = sv_mem(lists->token, sizeof lists->token);
        out->rotated_ms = now_ms;
    }
}

void pair_lists_free(struct pair_lists *l)
{
    buf_free(&l->scopes);
    buf_free(&l->role);
}

bool pair_token_matches(const struct msg_device *known, sv presented)
{
    if (known == NULL || known->token.n != 32 || presented.n == 0) {
        return false;
    }
    struct buf text = BUF_INIT(64);
    b64_encode(&text, known->token, B64_URL);
    bool same = crypto_equal(buf_view(&text), presented);
    buf_free(&text);
    return same;
}
