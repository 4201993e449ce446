/*
 * send.c: a message that a tool of a run sends: once for each call, and only to chats that are known.
 * Runs in: store.     Owns: nothing (deliveries: outbox.c; what a run has sent: run.c).
 * Never: accepts a writer with an old fence; sends again for a key that the run has used.
 * Tested in: tests/unit/store/test_send.c
 */
#include "workers/store/model.h"

/* Of one run; R_RUN.sent has room for a few more, for the answer itself. */
#define SENDS_MAX 32

static void answer(struct tx *tx, const struct route *to, sv delivery_id, bool dup)
{
    struct msg_sent m = {.delivery_id = delivery_id,
                         .channel = to->channel,
                         .account = to->account,
                         .chat_id = to->chat_id,
                         .dup = dup};
    reply(tx, MSG_SENT, &m);
}

static struct route route_of(const struct run *run, const struct msg_send *m)
{
    if (sv_empty(m->chat_id)) {
        return (struct route){run->r.channel, run->r.account, run->r.chat_id, run->r.thread_id, SV_NULL};
    }
    return (struct route){m->channel, m->account, m->chat_id, m->thread_id, SV_NULL};
}

/* The chat that the run answers to is allowed as such; any other must have written here. */
static bool allowed(struct tx *tx, const struct run *run, const struct msg_send *m, const struct route *to)
{
    bool own = sv_empty(m->chat_id);
    return !sv_empty(to->chat_id) && (own ? run->r.deliver : chat_known(tx, to));
}

static int judge(struct tx *tx, const struct run *run, const struct msg_send *m, sv hash)
{
    struct route to = route_of(run, m);
    for (size_t i = 0; i < run->r.sent_n; i++) {
        if (sv_eq(run->r.sent[i].hash, hash)) {
            return refuse(tx, ERR_EXISTS, "text", "This run has sent exactly this to that chat already.");
        }
    }
    if (run->r.sent_n >= SENDS_MAX) {
        return refuse(tx, ERR_DENIED, NULL, "This run has sent 32 messages; that is the limit.");
    }
    if (!allowed(tx, run, m, &to)) {
        sv some = chat_some(tx);
        tx->bad_text = sv_empty(some)
                           ? SV("This conversation has no chat to send to, and no other is known yet.")
                           : arena_printf(tx->a, "There is no such chat. Only chats that have written here can be written "
                                                 "to, for instance (channel/accountId/target): %.*s.", SV_ARG(some));
        return ERR_DENIED;
    }
    return OK;
}

int send_message(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_send *m = msg;
    struct run run;
    struct msg_r_lease lease;
    int rc = lease_check(tx, from, m->run_id, m->fence, &run, &lease);
    if (rc != OK) {
        return rc == ERR_EXISTS ? ERR_FENCED : rc;
    }
    struct route to = route_of(&run, m);
    for (size_t i = 0; i < run.r.sent_n; i++) {
        if (!sv_empty(m->key) && sv_eq(run.r.sent[i].key, m->key)) {
            answer(tx, &to, run.r.sent[i].delivery_id, true);
            return OK;
        }
    }
    const sv parts[] = {to.channel, to.account, to.chat_id, to.thread_id, m->text};
    sv hash = tx_hash(tx, parts, ARRAY_LEN(parts));
    rc = judge(tx, &run, m, hash);
    if (rc != OK) {
        return rc;
    }
    sv id = out_add_row(tx, &to, m->text, SV("markdown"), m->run_id);
    run_sent(tx, &run, m->key, id, hash);
    run_put(tx, &run);
    answer(tx, &to, id, false);
    return OK;
}
