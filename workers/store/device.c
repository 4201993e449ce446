/*
 * device.c: paired client devices, their tokens, and devices that wait for approval (gateway-ws.md section 7).
 * Runs in: store.     Owns: tables device and devreq.
 * Never: logs a row (it holds tokens); decides whether a device may come in: the edge and operators do.
 * Tested in: tests/unit/store/test_device.c
 */
#include "common/id.h"
#include "common/names.h"
#include "workers/store/device.h"

#define REQUEST_MS (5LL * 60 * 1000) /* gateway-ws.md 7.1 */
#define PENDING_MAX 256
#define TOKENS_MAX 4
#define LISTED_MAX 1000
#define NAMES_MAX 1024 /* messages.def DEVICE.scopes */

/* ---- rows ---- */

static bool device_load(struct tx *tx, sv id, struct msg_device *d)
{
    if (!rec_get(tx, T_DEVICE, id, MSG_DEVICE, d)) {
        return false;
    }
    if (d->tokens_n == 0 && d->token.n > 0) { /* from before tokens had roles */
        d->tokens = arena_alloc(tx->a, sizeof(*d->tokens));
        d->tokens[0] = (struct msg_device_token){.role = SV("operator"),
                                                 .scopes = d->scopes,
                                                 .token = d->token,
                                                 .created_ms = d->created_ms,
                                                 .rotated_ms = d->rotated_ms};
        d->tokens_n = 1;
    }
    d->token = SV_NULL;
    return true;
}

static void device_save(struct tx *tx, const struct msg_device *d)
{
    rec_put(tx, T_DEVICE, d->id, MSG_DEVICE, d);
}

static struct key request_key(const struct msg_device_req *r)
{
    struct key k = {.n = 0};
    key_add(&k, r->id);
    key_add(&k, r->role);
    return k;
}

static struct msg_device_token *token_of(struct msg_device *d, sv role)
{
    for (size_t i = 0; i < d->tokens_n; i++) {
        if (sv_eq(d->tokens[i].role, role)) {
            return &d->tokens[i];
        }
    }
    return NULL;
}

/* The token of the role; makes room for it. NULL: too many roles. */
static struct msg_device_token *token_add(struct tx *tx, struct msg_device *d, sv role)
{
    struct msg_device_token *t = token_of(d, role);
    if (t != NULL || d->tokens_n >= TOKENS_MAX) {
        return t;
    }
    struct msg_device_token *all = arena_alloc(tx->a, (d->tokens_n + 1) * sizeof(*all));
    for (size_t i = 0; i < d->tokens_n; i++) {
        all[i] = d->tokens[i];
    }
    d->tokens = all;
    t = &all[d->tokens_n++];
    *t = (struct msg_device_token){.role = role, .created_ms = tx->now};
    return t;
}

static void token_renew(struct tx *tx, struct msg_device_token *t)
{
    char *raw = arena_alloc(tx->a, 32);
    id_random(raw, 32);
    if (t->token.n > 0) {
        t->rotated_ms = tx->now;
    }
    t->token = sv_mem(raw, 32);
    t->revoked_ms = 0;
}

static sv names_union(struct tx *tx, sv a, sv b)
{
    struct buf list = BUF_INIT(NAMES_MAX);
    names_add(&list, a);
    names_add(&list, b);
    tx->unfit = tx->unfit || list.full;
    sv out = arena_sv(tx->a, buf_view(&list));
    buf_free(&list);
    return out;
}

static void tell(struct tx *tx, const char *what, sv id, sv role, struct msg_device_req *req)
{
    const struct msg_device_news news = {.what = sv_of(what),
                                         .id = id,
                                         .role = role,
                                         .at_ms = tx->now,
                                         .req = req,
                                         .req_n = req != NULL ? 1 : 0};
    push_watchers(tx, false, MSG_DEVICE_NEWS, &news);
}

/* ---- approval ---- */

static sv keep(sv stored, sv now)
{
    return sv_empty(stored) ? now : stored;
}

/* What the record becomes: union of roles and scopes; a new token when there is none or its scopes grew. */
static int approve(struct tx *tx, const struct msg_device_req *r, sv via, struct msg_device *d)
{
    bool known = device_load(tx, r->id, d);
    if (!known) {
        *d = (struct msg_device){.id = r->id, .created_ms = tx->now};
    }
    bool owner = sv_eqc(via, "owner");
    d->public_key = r->public_key;
    d->role = names_union(tx, d->role, r->role);
    d->scopes = names_union(tx, d->scopes, r->scopes);
    d->display_name = keep(r->display_name, d->display_name);
    /* An operator saw what changed; a silent approval never changes what was pinned. */
    d->platform = owner ? keep(r->platform, d->platform) : keep(d->platform, r->platform);
    d->device_family = owner ? keep(r->device_family, d->device_family) : keep(d->device_family, r->device_family);
    d->client_id = r->client_id;
    d->client_mode = r->client_mode;
    d->approved_via = owner || !known ? via : d->approved_via;
    d->approved_ms = tx->now;
    d->seen_ms = tx->now;
    struct msg_device_token *t = token_add(tx, d, r->role);
    if (t == NULL) {
        return refuse(tx, ERR_FULL, "role", "a device cannot have more roles");
    }
    sv before = t->revoked_ms > 0 ? SV("") : t->scopes;
    sv scopes = names_union(tx, before, r->scopes);
    if (t->token.n == 0 || t->revoked_ms > 0 || scopes.n != before.n) {
        token_renew(tx, t);
    }
    t->scopes = scopes;
    if (tx->unfit) {
        tx->unfit = false;
        return refuse(tx, ERR_TOOBIG, "scopes", "the device would have too many scopes");
    }
    device_save(tx, d);
    return OK;
}

static bool request_by_id(struct tx *tx, sv request_id, struct msg_device_req *r)
{
    bool hit = false;
    struct scan sc;
    sv k;
    sv v;
    scan_open(&sc, tx, T_DEVREQ, SV(""), 0, false);
    while (!hit && scan_next(&sc, &k, &v)) {
        hit = rec_decode(tx, arena_sv(tx->a, v), MSG_DEVICE_REQ, r) && sv_eq(r->request_id, request_id) &&
              r->expires_ms > tx->now;
    }
    scan_close(&sc);
    return hit;
}

void device_expire(struct tx *tx, sv key)
{
    struct msg_device_req r;
    key = arena_sv(tx->a, key);
    if (rec_get(tx, T_DEVREQ, key, MSG_DEVICE_REQ, &r) && r.expires_ms <= tx->now) {
        (void)tx_del(tx, T_DEVREQ, key);
        tell(tx, "expired", r.id, r.role, &r);
    }
}

static bool same_request(const struct msg_device_req *a, const struct msg_device_req *b)
{
    return sv_eq(a->scopes, b->scopes) && sv_eq(a->platform, b->platform) && sv_eq(a->display_name, b->display_name) &&
           sv_eq(a->reason, b->reason) && sv_eq(a->client_id, b->client_id) && sv_eq(a->device_family, b->device_family);
}

static int wait_for_approval(struct tx *tx, struct msg_device_req *r)
{
    struct key k = request_key(r);
    struct msg_device_req old;
    char uuid[ID_UUID_LEN];
    bool again = rec_get(tx, T_DEVREQ, key_sv(&k), MSG_DEVICE_REQ, &old) && old.expires_ms > tx->now;
    if (!again && tx_count(tx, T_DEVREQ) >= PENDING_MAX) {
        tx->retry_ms = 60000;
        return refuse(tx, ERR_BUSY, NULL, "too many devices wait for approval");
    }
    id_uuid(uuid);
    r->request_id = again ? old.request_id : arena_sv(tx->a, sv_of(uuid));
    r->created_ms = again ? old.created_ms : tx->now;
    r->expires_ms = tx->now + REQUEST_MS;
    rec_put(tx, T_DEVREQ, key_sv(&k), MSG_DEVICE_REQ, r);
    timer_add(tx, r->expires_ms, TIMER_DEVREQ, key_sv(&k));
    if (!again || !same_request(r, &old)) {
        tell(tx, "requested", r->id, r->role, r);
    }
    reply(tx, MSG_DEVICE_REQ, r);
    return OK;
}

int device_ask(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_device_ask *m = msg;
    struct msg_device d;
    UNUSED(from);
    if (m->req_n != 1) {
        return refuse(tx, ERR_BAD, "req", "one request is needed");
    }
    struct msg_device_req r = m->req[0];
    if (r.id.n != 64) {
        return refuse(tx, ERR_BAD, "id", "a device id is 64 hex digits");
    }
    if (r.public_key.n != 32) {
        return refuse(tx, ERR_BAD, "public_key", "a public key is 32 bytes");
    }
    if (sv_empty(r.role) || sv_chr(r.role, ',') >= 0) {
        return refuse(tx, ERR_BAD, "role", "one role is needed");
    }
    if (!m->silent) {
        return wait_for_approval(tx, &r);
    }
    int rc = approve(tx, &r, SV("silent"), &d);
    if (rc == OK) {
        struct key k = request_key(&r);
        (void)tx_del(tx, T_DEVREQ, key_sv(&k));
        reply(tx, MSG_DEVICE, &d);
    }
    return rc;
}

int device_resolve(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_device_resolve *m = msg;
    struct msg_device_req r;
    struct msg_device d;
    UNUSED(from);
    if (!request_by_id(tx, m->request_id, &r)) {
        return refuse(tx, ERR_GONE, "request_id", "unknown requestId");
    }
    if (m->approve && (!sv_eq(m->role, r.role) || !sv_eq(m->scopes, r.scopes))) {
        return refuse(tx, ERR_CONFLICT, "scopes", "the request has changed since it was looked at; list it again");
    }
    struct key k = request_key(&r);
    (void)tx_del(tx, T_DEVREQ, key_sv(&k));
    if (m->approve) {
        int rc = approve(tx, &r, SV("owner"), &d);
        if (rc != OK) {
            return rc;
        }
        reply(tx, MSG_DEVICE, &d);
    } else {
        reply(tx, MSG_DEVICE_REQ, &r);
    }
    tell(tx, m->approve ? "approved" : "rejected", r.id, r.role, &r);
    return OK;
}

/* ---- reading ---- */

int device_get(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_device_get *m = msg;
    struct msg_device d;
    UNUSED(from);
    if (!device_load(tx, m->id, &d)) {
        return ERR_GONE;
    }
    reply(tx, MSG_DEVICE, &d);
    return OK;
}

static size_t list_pending(struct tx *tx, sv id, struct msg_device_req *rows)
{
    size_t n = 0;
    struct scan sc;
    sv k;
    sv v;
    scan_open(&sc, tx, T_DEVREQ, id, id.n, false);
    while (n < PENDING_MAX && scan_next(&sc, &k, &v)) {
        n += rec_decode(tx, arena_sv(tx->a, v), MSG_DEVICE_REQ, &rows[n]) && rows[n].expires_ms > tx->now;
    }
    scan_close(&sc);
    return n;
}

int device_list(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_device_list *m = msg;
    struct msg_devices a = {.pending = arena_alloc(tx->a, PENDING_MAX * sizeof(*a.pending)),
                            .paired = arena_alloc(tx->a, LISTED_MAX * sizeof(*a.paired))};
    struct scan sc;
    sv k;
    sv v;
    UNUSED(from);
    a.pending_n = list_pending(tx, m->id, a.pending);
    scan_open(&sc, tx, T_DEVICE, m->id, m->id.n, false);
    while (a.paired_n < LISTED_MAX && scan_next(&sc, &k, &v)) {
        struct msg_device *d = &a.paired[a.paired_n];
        if (!device_load(tx, arena_sv(tx->a, k), d)) {
            continue;
        }
        for (size_t i = 0; i < d->tokens_n; i++) {
            d->tokens[i].token = SV_NULL;
        }
        a.paired_n++;
    }
    scan_close(&sc);
    reply(tx, MSG_DEVICES, &a);
    return OK;
}

/* ---- changing ---- */

static int rotate(struct tx *tx, struct msg_device *d, const struct msg_device_change *m)
{
    struct msg_device_token *t = token_of(d, m->role);
    if (t == NULL || t->revoked_ms > 0 || !names_has(d->role, m->role)) {
        return refuse(tx, ERR_BAD, "role", "device token rotation denied");
    }
    token_renew(tx, t);
    if (!sv_empty(m->scopes)) {
        t->scopes = m->scopes;
    }
    device_save(tx, d);
    return OK;
}

static int revoke(struct tx *tx, struct msg_device *d, const struct msg_device_change *m)
{
    struct msg_device_token *t = token_of(d, m->role);
    if (t == NULL) {
        return refuse(tx, ERR_BAD, "role", "the device has no token for this role");
    }
    struct buf roles = BUF_INIT(NAMES_MAX);
    names_without(&roles, d->role, m->role);
    d->role = arena_sv(tx->a, buf_view(&roles));
    buf_free(&roles);
    t->revoked_ms = t->revoked_ms > 0 ? t->revoked_ms : tx->now;
    t->token = SV_NULL;
    device_save(tx, d);
    return OK;
}

static int rename_device(struct tx *tx, struct msg_device *d, const struct msg_device_change *m)
{
    if (sv_empty(sv_trim(m->label))) {
        return refuse(tx, ERR_BAD, "label", "a label is needed");
    }
    d->label = m->label;
    device_save(tx, d);
    return OK;
}

static int remove_device(struct tx *tx, struct msg_device *d, const struct msg_device_change *m)
{
    UNUSED(m);
    (void)tx_del(tx, T_DEVICE, d->id);
    return OK;
}

int device_change(struct tx *tx, struct client *from, const void *msg)
{
    static const struct {
        const char *op, *news;
        int (*fn)(struct tx *tx, struct msg_device *d, const struct msg_device_change *m);
    } ops[] = {{"rename", "renamed", rename_device},
               {"remove", "removed", remove_device},
               {"rotate", "rotated", rotate},
               {"revoke", "revoked", revoke}};
    const struct msg_device_change *m = msg;
    struct msg_device d;
    UNUSED(from);
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        if (!sv_eqc(m->op, ops[i].op)) {
            continue;
        }
        if (!device_load(tx, m->id, &d)) {
            return refuse(tx, ERR_GONE, "id", "there is no such device");
        }
        int rc = ops[i].fn(tx, &d, m);
        if (rc == OK) {
            reply(tx, MSG_DEVICE, &d);
            tell(tx, ops[i].news, d.id, m->role, NULL);
        }
        return rc;
    }
    return refuse(tx, ERR_BAD, "op", "op must be rename, remove, rotate or revoke");
}
