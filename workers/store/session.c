/*
 * session.c: session keys and session rows.
 * Runs in: store.     Owns: tables sess and sessu.
 * Never: touches transcripts of other sessions, scans the table.
 * Tested in: tests/unit/store/test_ingest.c
 */
#include "common/id.h"
#include "common/text.h"
#include "workers/store/model.h"

sv session_agent_of(sv key, sv fallback)
{
    if (sv_starts(key, SV("agent:"))) {
        sv rest = sv_sub(key, 6, key.n);
        sv agent = sv_cut(&rest, ':');
        if (!sv_empty(agent) && agent.n <= 64) {
            return agent;
        }
    }
    return sv_empty(fallback) ? SV("main") : fallback;
}

sv session_full_key(struct tx *tx, sv key, sv agent_id)
{
    key = sv_trim(key);
    if (sv_starts(key, SV("agent:")) || sv_empty(key)) {
        return key;
    }
    sv agent = sv_empty(agent_id) ? SV("main") : agent_id;
    return arena_printf(tx->a, "agent:%.*s:%.*s", SV_ARG(agent), SV_ARG(key));
}

/* Trimmed, ASCII lower case, "unknown" when empty. */
static sv part(struct tx *tx, sv s)
{
    s = sv_trim(s);
    if (sv_empty(s)) {
        return SV("unknown");
    }
    char *p = arena_strndup(tx->a, s.p, s.n);
    for (size_t i = 0; i < s.n; i++) {
        if (p[i] >= 'A' && p[i] <= 'Z') {
            p[i] = (char)(p[i] - 'A' + 'a');
        }
    }
    return sv_mem(p, s.n);
}

sv session_route_key(struct tx *tx, const struct msg_ingest *in)
{
    const struct store_conf *conf = &tx->s->conf;
    sv agent = part(tx, sv_empty(in->agent_id) ? SV("main") : in->agent_id);
    sv ch = part(tx, in->channel);
    sv key;
    if (sv_eqc(in->chat_type, "direct")) {
        sv peer = part(tx, sv_empty(in->sender_id) ? in->chat_id : in->sender_id);
        switch (conf->dm_scope) {
        case DM_MAIN:
            return arena_printf(tx->a, "agent:%.*s:main", SV_ARG(agent));
        case DM_PEER:
            key = arena_printf(tx->a, "agent:%.*s:direct:%.*s", SV_ARG(agent), SV_ARG(peer));
            break;
        case DM_CHANNEL_PEER:
            key = arena_printf(tx->a, "agent:%.*s:%.*s:direct:%.*s", SV_ARG(agent), SV_ARG(ch), SV_ARG(peer));
            break;
        case DM_ACCOUNT_CHANNEL_PEER:
        default:
            key = arena_printf(tx->a, "agent:%.*s:%.*s:%.*s:direct:%.*s", SV_ARG(agent), SV_ARG(ch),
                               SV_ARG(part(tx, in->account)), SV_ARG(peer));
            break;
        }
    } else {
        if (conf->group_main) {
            return arena_printf(tx->a, "agent:%.*s:main", SV_ARG(agent));
        }
        sv kind = sv_eqc(in->chat_type, "channel") ? SV("channel") : SV("group");
        key = arena_printf(tx->a, "agent:%.*s:%.*s:%.*s:%.*s", SV_ARG(agent), SV_ARG(ch), SV_ARG(kind),
                           SV_ARG(part(tx, in->chat_id)));
    }
    if (!sv_empty(in->thread_id)) {
        key = arena_printf(tx->a, "%.*s:thread:%.*s", SV_ARG(key), SV_ARG(part(tx, in->thread_id)));
    }
    if (key.n > 512) {
        /* Two ids near their limits: the tail becomes a digest, so that the key stays unique. */
        uint64_t h = sv_hash(key);
        key = arena_printf(tx->a, "%.*s~%016llx", (int)utf8_cut(key, 480), key.p, (unsigned long long)h);
    }
    return key;
}

sv fold_text(struct tx *tx, sv text, size_t max)
{
    size_t room = max + 4; /* one whole character more than wanted, so that the cut sees where it falls */
    char *p = arena_alloc(tx->a, room);
    size_t n = 0;
    text = sv_trim(sv_sub(text, 0, max * 4));
    for (size_t i = 0; i < text.n && n < room; i++) {
        if ((unsigned char)text.p[i] > ' ') {
            p[n++] = text.p[i];
        } else if (n > 0 && p[n - 1] != ' ') {
            p[n++] = ' ';
        }
    }
    return sv_trim(sv_sub(sv_mem(p, n), 0, utf8_cut(sv_mem(p, n), max)));
}

static sv kind_of(sv key)
{
    bool room = sv_find(key, SV(":group:")) >= 0 || sv_find(key, SV(":channel:")) >= 0;
    return room ? SV("group") : SV("direct");
}

bool sess_get(struct tx *tx, sv key, struct sess *s)
{
    *s = (struct sess){0};
    s->hash = tx_hash(tx, &key, 1);
    s->pub.key = key;
    if (!rec_get(tx, T_SESS, s->hash, MSG_R_SESSION, &s->r) || s->r.pub_n != 1) {
        return false;
    }
    s->pub = s->r.pub[0];
    s->indexed_ms = s->pub.updated_ms;
    s->listed = sess_is_listed(&s->r, &s->pub);
    s->exists = true;
    return true;
}

void sess_open(struct tx *tx, sv key, sv agent_id, struct sess *s)
{
    if (sess_get(tx, key, s)) {
        return;
    }
    char uuid[ID_UUID_LEN];
    id_uuid(uuid);
    s->pub.key = key;
    s->pub.session_id = arena_sv(tx->a, sv_of(uuid));
    s->pub.agent_id = session_agent_of(key, agent_id);
    s->pub.kind = kind_of(key);
    s->pub.created_ms = tx->now;
    s->pub.updated_ms = tx->now;
}

static struct key index_key(const struct sess *s, int64_t ms)
{
    struct key k = {.n = 0};
    key_u64(&k, ~(uint64_t)ms);
    key_add(&k, s->hash);
    return k;
}

bool sess_is_listed(const struct msg_r_session *r, const struct msg_session *pub)
{
    return r->keep_ms == 0 && pub->archived_ms == 0;
}

static void put_index(struct tx *tx, struct sess *s)
{
    bool listed = sess_is_listed(&s->r, &s->pub);
    bool moved = s->indexed_ms != s->pub.updated_ms;
    if (s->listed && (!listed || moved)) {
        struct key old = index_key(s, s->indexed_ms);
        (void)tx_del(tx, T_SESSU, key_sv(&old));
    }
    if (listed && (!s->listed || moved)) {
        struct key now = index_key(s, s->pub.updated_ms);
        tx_put(tx, T_SESSU, key_sv(&now), SV(""));
    }
    tx->s->state.sessions += listed && !s->listed;
    tx->s->state.sessions -= !listed && s->listed;
    s->listed = listed;
}

void sess_drop(struct tx *tx, struct sess *s)
{
    if (s->listed) {
        struct key old = index_key(s, s->indexed_ms);
        (void)tx_del(tx, T_SESSU, key_sv(&old));
        tx->s->state.sessions--;
    }
    (void)tx_del(tx, T_SESS, s->hash);
    s->listed = s->exists = false;
}

void sess_put(struct tx *tx, struct sess *s)
{
    put_index(tx, s);
    s->indexed_ms = s->pub.updated_ms;
    s->exists = true;
    s->r.pub = &s->pub;
    s->r.pub_n = 1;
    rec_put(tx, T_SESS, s->hash, MSG_R_SESSION, &s->r);
}

void sess_reset(struct tx *tx, struct sess *s)
{
    char uuid[ID_UUID_LEN];
    id_uuid(uuid);
    s->pub.session_id = arena_sv(tx->a, sv_of(uuid));
    s->pub.entries = 0;
    s->pub.status = SV_NULL;
    s->pub.title = SV_NULL;
    s->pub.preview = SV_NULL;
    s->pub.in_tokens = 0;
    s->pub.out_tokens = 0;
    s->pub.updated_ms = tx->now;
    struct msg_entry row = {.role = SV("system"), .kind = SV("reset"), .text = SV("Reset")};
    (void)tran_append(tx, s, &row);
}
