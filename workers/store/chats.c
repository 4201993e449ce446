/*
 * chats.c: which chats have written to us, so that a tool may write to them and to nobody else.
 * Runs in: store.     Owns: table chat.
 * Never: makes a chat known by anything but an accepted message from it.
 * Tested in: tests/unit/store/test_send.c
 */
#include "workers/store/model.h"

#define FRESH_MS (3600LL * 1000)           /* seen_ms is good to the hour: one write an hour and chat */
#define KEEP_MS (365LL * 24 * 3600 * 1000) /* a chat that was silent for a year is a stranger again */
#define SOME_MAX 10

static struct key chat_key(struct tx *tx, const struct route *to)
{
    const sv parts[] = {to->chat_id, to->thread_id};
    struct key k = {.n = 0};
    key_add(&k, out_account_hash(tx, to->channel, to->account));
    key_add(&k, tx_hash(tx, parts, ARRAY_LEN(parts)));
    return k;
}

void chat_seen(struct tx *tx, const struct msg_ingest *in)
{
    struct route from = {in->channel, in->account, in->chat_id, in->thread_id, SV_NULL};
    struct msg_r_chat row;
    if (!in->deliver || sv_empty(in->chat_id) || sv_empty(in->chat_type)) {
        return;
    }
    struct key k = chat_key(tx, &from);
    bool known = rec_get(tx, T_CHAT, key_sv(&k), MSG_R_CHAT, &row);
    if (known && tx->now - row.seen_ms < FRESH_MS && tx->now >= row.seen_ms) {
        return;
    }
    row = (struct msg_r_chat){.channel = in->channel,
                              .account = in->account,
                              .chat_id = in->chat_id,
                              .thread_id = in->thread_id,
                              .chat_type = in->chat_type,
                              .seen_ms = tx->now};
    rec_put(tx, T_CHAT, key_sv(&k), MSG_R_CHAT, &row);
    if (!known) {
        timer_add(tx, tx->now + KEEP_MS, TIMER_CHAT, key_sv(&k));
    }
}

bool chat_known(struct tx *tx, const struct route *to)
{
    struct key k = chat_key(tx, to);
    sv val;
    return tx_get(tx, T_CHAT, key_sv(&k), &val);
}

sv chat_some(struct tx *tx)
{
    sv all = SV_NULL;
    struct scan sc;
    sv k;
    sv v;
    scan_open(&sc, tx, T_CHAT, SV(""), 0, false);
    for (int i = 0; i < SOME_MAX && scan_next(&sc, &k, &v); i++) {
        struct msg_r_chat row;
        if (!rec_decode(tx, arena_sv(tx->a, v), MSG_R_CHAT, &row)) {
            break;
        }
        all = arena_printf(tx->a, "%.*s%s%.*s/%.*s/%.*s", SV_ARG(all), i > 0 ? ", " : "", SV_ARG(row.channel),
                           SV_ARG(row.account), SV_ARG(row.chat_id));
    }
    scan_close(&sc);
    return all;
}

void chat_timer(struct tx *tx, sv key)
{
    struct msg_r_chat row;
    if (!rec_get(tx, T_CHAT, key, MSG_R_CHAT, &row)) {
        return;
    }
    if (tx->now - row.seen_ms >= KEEP_MS) {
        (void)tx_del(tx, T_CHAT, key);
    } else {
        timer_add(tx, row.seen_ms + KEEP_MS, TIMER_CHAT, key);
    }
}
