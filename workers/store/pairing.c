/*
 * pairing.c: unknown direct senders get a code; the operator approves it (channels.md 1.6).
 * Runs in: store.     Owns: table pair.
 * Never: tells a stranger anything but how to ask for access; grants more than direct messages.
 * Tested in: tests/unit/store/test_outbox.c
 */
#include <ctype.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/id.h"
#include "workers/store/ingest.h"

#define CODE_LEN 8
#define CODE_ALPHABET "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
#define CODE_MS (3600LL * 1000)
#define PENDING_MAX 3 /* per account */
#define WRONG_WINDOW_MS 60000

static struct key pair_key(struct tx *tx, char state, sv channel, sv account, sv sender)
{
    struct key k = {.n = 0};
    key_u8(&k, (uint8_t)state);
    key_add(&k, out_account_hash(tx, channel, account));
    key_add(&k, tx_hash(tx, &sender, 1));
    return k;
}

static size_t pending_of(struct tx *tx, sv channel, sv account)
{
    struct key k = {.n = 0};
    key_u8(&k, 'p');
    key_add(&k, out_account_hash(tx, channel, account));
    size_t n = 0;
    struct scan sc;
    sv key;
    sv val;
    scan_open(&sc, tx, T_PAIR, key_sv(&k), k.n, false);
    while (scan_next(&sc, &key, &val)) {
        n++;
    }
    scan_close(&sc);
    return n;
}

static void ask(struct tx *tx, const struct msg_ingest *in, const struct msg_pair *p)
{
    sv text = arena_printf(tx->a,
                           "Access is not configured for you yet.\n\nYour id: %.*s\nPairing code:\n```\n%.*s\n```\n"
                           "The operator can approve it with:\ntenaza pairing approve %.*s",
                           SV_ARG(in->sender_id), SV_ARG(p->code), SV_ARG(p->code));
    struct route to = {in->channel, in->account, p->chat_id, in->thread_id, in->message_id};
    out_add_row(tx, &to, text, SV("markdown"), SV_NULL);
}

bool pairing_gate(struct tx *tx, const struct msg_ingest *in, struct msg_ingested *a)
{
    sv val;
    struct msg_pair p;
    struct key k = pair_key(tx, 'a', in->channel, in->account, in->sender_id);
    if (tx_get(tx, T_PAIR, key_sv(&k), &val)) {
        return true;
    }
    a->state = SV("ignored");
    k = pair_key(tx, 'p', in->channel, in->account, in->sender_id);
    if (rec_get(tx, T_PAIR, key_sv(&k), MSG_PAIR, &p)) {
        if (p.expires_ms > tx->now) {
            return false; /* asked already, one reply per request */
        }
        (void)tx_del(tx, T_PAIR, key_sv(&k));
    }
    if (pending_of(tx, in->channel, in->account) >= PENDING_MAX) {
        return false;
    }
    char code[CODE_LEN + 1];
    id_code(code, CODE_LEN, CODE_ALPHABET);
    p = (struct msg_pair){.channel = in->channel,
                          .account = in->account,
                          .sender_id = in->sender_id,
                          .sender_name = in->sender_name,
                          .chat_id = sv_empty(in->chat_id) ? in->sender_id : in->chat_id,
                          .code = arena_sv(tx->a, sv_of(code)),
                          .state = SV("pending"),
                          .created_ms = tx->now,
                          .expires_ms = tx->now + CODE_MS};
    rec_put(tx, T_PAIR, key_sv(&k), MSG_PAIR, &p);
    timer_add(tx, p.expires_ms, TIMER_PAIR, key_sv(&k));
    ask(tx, in, &p);
    a->state = SV("pairing");
    return false;
}

void pairing_expire(struct tx *tx, sv key)
{
    struct msg_pair p;
    if (rec_get(tx, T_PAIR, key, MSG_PAIR, &p) && sv_eqc(p.state, "pending") && p.expires_ms <= tx->now) {
        (void)tx_del(tx, T_PAIR, key);
    }
}

int pairing_list(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_pair_list *m = msg;
    struct msg_pair *rows = arena_alloc(tx->a, 1000 * sizeof(*rows));
    struct msg_pairs answer = {.rows = rows};
    bool all = sv_eqc(m->state, "all");
    sv want = sv_empty(m->state) ? SV("pending") : m->state;
    struct scan sc;
    sv k;
    sv v;
    UNUSED(from);
    scan_open(&sc, tx, T_PAIR, SV(""), 0, false);
    while (answer.rows_n < 1000 && scan_next(&sc, &k, &v)) {
        struct msg_pair p;
        if (!rec_decode(tx, arena_sv(tx->a, v), MSG_PAIR, &p)) {
            break;
        }
        bool expired = sv_eqc(p.state, "pending") && p.expires_ms <= tx->now;
        if (!expired && (all || sv_eq(p.state, want)) && (sv_empty(m->channel) || sv_eq(p.channel, m->channel))) {
            rows[answer.rows_n++] = p;
        }
    }
    scan_close(&sc);
    reply(tx, MSG_PAIRS, &answer);
    return OK;
}

/* Upper case of a typed code without blanks; SV_NULL when it cannot be one. */
static sv normal_code(struct tx *tx, sv typed)
{
    char *p = arena_alloc(tx->a, CODE_LEN + 1);
    size_t n = 0;
    typed = sv_trim(typed);
    if (typed.n != CODE_LEN) {
        return SV_NULL;
    }
    for (size_t i = 0; i < typed.n; i++) {
        p[n++] = (char)toupper((unsigned char)typed.p[i]);
    }
    return sv_mem(p, n);
}

static bool throttled(const struct store *s, int64_t now_mono)
{
    size_t recent = 0;
    for (size_t i = 0; i < ARRAY_LEN(s->wrong_codes); i++) {
        recent += s->wrong_codes[i] != 0 && now_mono - s->wrong_codes[i] < WRONG_WINDOW_MS;
    }
    return recent == ARRAY_LEN(s->wrong_codes);
}

/* Looks at every open request, so that the time tells nothing about a near hit. */
static bool find_code(struct tx *tx, sv channel, sv code, struct msg_pair *found, sv *key)
{
    bool hit = false;
    struct scan sc;
    sv k;
    sv v;
    scan_open(&sc, tx, T_PAIR, SV("p"), 1, false);
    while (scan_next(&sc, &k, &v)) {
        struct msg_pair p;
        if (!rec_decode(tx, arena_sv(tx->a, v), MSG_PAIR, &p)) {
            break;
        }
        bool same = crypto_equal(p.code, code);
        if (same && (sv_empty(channel) || sv_eq(channel, p.channel))) {
            *found = p;
            *key = arena_sv(tx->a, k);
            hit = true;
        }
    }
    scan_close(&sc);
    return hit;
}

int pairing_approve(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_pair_approve *m = msg;
    struct store *s = tx->s;
    struct msg_pair p;
    sv key;
    int64_t mono = clock_mono_ms();
    sv code = normal_code(tx, m->code);
    UNUSED(from);
    if (throttled(s, mono)) {
        tx->retry_ms = WRONG_WINDOW_MS;
        return refuse(tx, ERR_BUSY, "code", "too many wrong codes; wait a minute");
    }
    if (sv_empty(code) || !find_code(tx, m->channel, code, &p, &key)) {
        s->wrong_codes[s->wrong_at++ % ARRAY_LEN(s->wrong_codes)] = mono;
        return refuse(tx, ERR_GONE, "code", "there is no open request with this code");
    }
    (void)tx_del(tx, T_PAIR, key);
    if (p.expires_ms <= tx->now) {
        return refuse(tx, ERR_EXPIRED, "code", "this code has expired; the sender gets a new one with the next message");
    }
    p.state = SV("approved");
    p.code = SV_NULL;
    p.created_ms = tx->now;
    p.expires_ms = 0;
    struct key k = pair_key(tx, 'a', p.channel, p.account, p.sender_id);
    rec_put(tx, T_PAIR, key_sv(&k), MSG_PAIR, &p);
    struct route to = {p.channel, p.account, p.chat_id, SV_NULL, SV_NULL};
    out_add_row(tx, &to, SV("Access approved. Please send your message again."), SV("plain"), SV_NULL);
    reply(tx, MSG_PAIR, &p);
    return OK;
}
