/*
 * ingest.c: the one door: a message becomes durable, once, and starts or joins a turn.
 * Runs in: store.     Owns: tables journal, idem, cursor.
 * Never: answers a repeat with a second run; processes a stranger's words.
 * Tested in: tests/unit/store/test_ingest.c
 */
#include "common/crypto.h"
#include "common/id.h"
#include "workers/store/ingest.h"

static bool one_of(sv value, const char *const *names)
{
    for (; *names != NULL; names++) {
        if (sv_eqc(value, *names)) {
            return true;
        }
    }
    return false;
}

static bool roles_fit(const struct msg_entry *rows, size_t n, const char *const *roles)
{
    for (size_t i = 0; i < n; i++) {
        if (!one_of(rows[i].role, roles) || (sv_eqc(rows[i].role, "toolResult") && sv_empty(rows[i].tool_call_id))) {
            return false;
        }
    }
    return true;
}

static int validate(struct tx *tx, const struct msg_ingest *in)
{
    static const char *const talk[] = {"user", "assistant", "toolResult", NULL};
    static const char *const results[] = {"toolResult", NULL};
    static const char *const types[] = {"", "direct", "group", "channel", "thread", NULL};
    static const char *const lanes[] = {"", "main", "cron", NULL};
    static const char *const modes[] = {"", "collect", "followup", "steer", "interrupt", "steer-backlog", NULL};
    static const char *const access[] = {"", "allow", "pair", NULL};
    static const char *const commands[] = {"", "stop", "new", NULL};
    if (sv_empty(in->channel)) {
        return refuse(tx, ERR_BAD, "channel", "channel must not be empty");
    }
    if (sv_empty(in->account)) {
        return refuse(tx, ERR_BAD, "account", "account must not be empty");
    }
    if (sv_empty(in->event_id)) {
        return refuse(tx, ERR_BAD, "event_id", "event_id must not be empty");
    }
    if (!one_of(in->chat_type, types)) {
        return refuse(tx, ERR_BAD, "chat_type", "chat_type must be direct, group, channel or thread");
    }
    if (!one_of(in->lane, lanes)) {
        return refuse(tx, ERR_BAD, "lane", "lane must be main or cron");
    }
    if (!one_of(in->queue_mode, modes)) {
        return refuse(tx, ERR_BAD, "queue_mode", "queue_mode must be collect or followup");
    }
    if (!one_of(in->access, access)) {
        return refuse(tx, ERR_BAD, "access", "access must be allow or pair");
    }
    if (!one_of(in->command, commands)) {
        return refuse(tx, ERR_BAD, "command", "command must be stop or new");
    }
    if (sv_empty(in->session_key) && sv_empty(in->chat_type)) {
        return refuse(tx, ERR_BAD, "session_key", "a message needs a session key or a route");
    }
    if (!sv_empty(in->chat_type) && sv_empty(in->chat_id)) {
        return refuse(tx, ERR_BAD, "chat_id", "a route needs a chat id");
    }
    if (sv_eqc(in->access, "pair") && sv_empty(in->sender_id)) {
        return refuse(tx, ERR_BAD, "sender_id", "pairing needs the sender's id");
    }
    if (!roles_fit(in->prior, in->prior_n, talk)) {
        return refuse(tx, ERR_BAD, "prior", "rows before the input are of user, assistant or toolResult");
    }
    if (!roles_fit(in->results, in->results_n, results)) {
        return refuse(tx, ERR_BAD, "results", "results are toolResult rows with the id of their call");
    }
    return OK;
}

static sv run_state_word(const struct run *run)
{
    return sv_eqc(run->pub.state, "running") ? SV("started") : run->pub.state;
}

/* The event was seen before: tell how the first time went on. */
static int answer_repeat(struct tx *tx, const struct msg_ingest *in, uint64_t seq, sv hash)
{
    struct msg_r_journal j;
    struct run run;
    if (!rec_get(tx, T_JOURNAL, sv_mem(&seq, sizeof(seq)), MSG_R_JOURNAL, &j)) {
        return ERR_INTERNAL;
    }
    if ((in->own_key || sv_eqc(in->account, "client")) && !sv_eq(j.hash, hash)) {
        return refuse(tx, ERR_CONFLICT, "event_id", "this key was already used for different content");
    }
    struct msg_ingested a = {.seq = seq,
                             .run_id = j.run_id,
                             .session_key = j.session_key,
                             .session_id = j.session_id,
                             .state = sv_empty(j.outcome) ? SV("ignored") : j.outcome,
                             .dup = true,
                             .text = j.text};
    if (!sv_empty(j.run_id) && run_get(tx, j.run_id, &run)) {
        a.state = run_state_word(&run);
        a.message_seq = run.r.user_n;
        a.session_id = run.pub.session_id;
    }
    reply(tx, MSG_INGESTED, &a);
    return OK;
}

static void put_cursor(struct tx *tx, const struct msg_ingest *in)
{
    if (!sv_empty(in->cursor)) {
        tx_put(tx, T_CURSOR, out_account_hash(tx, in->channel, in->account), in->cursor);
    }
}

/* A message that becomes no run: remembered so that a repeat gets the same answer. */
static void settle(struct tx *tx, const struct msg_ingest *in, struct msg_r_journal *j, struct msg_ingested *a)
{
    uint64_t seq = ++tx->s->state.next_seq;
    tx->s->state.journal_rows++;
    j->state = SV("done");
    j->outcome = a->state;
    j->text = sv_sub(a->text, 0, 4096);
    j->session_key = a->session_key;
    journal_put(tx, seq, j);
    tx_put(tx, T_IDEM, j->idem, sv_mem(&seq, sizeof(seq)));
    put_cursor(tx, in);
    a->seq = seq;
    reply(tx, MSG_INGESTED, a);
}

static int run_command(struct tx *tx, const struct msg_ingest *in, sv key, struct msg_r_journal *j)
{
    struct msg_run_ref *refs = arena_alloc(tx->a, 64 * sizeof(*refs));
    struct msg_ingested a = {.state = SV("command"), .session_key = key, .stopped = refs};
    struct sess s;
    size_t running = 0;
    size_t queued = 0;
    bool renew = sv_eqc(in->command, "new");
    if (renew) {
        sess_open(tx, key, in->agent_id, &s);
    }
    if (renew || sess_get(tx, key, &s)) {
        a.stopped_n = abort_runs(tx, &s, SV_NULL, SV("stop"), renew, refs, &running, &queued);
        if (renew) {
            sess_reset(tx, &s);
        }
        sess_put(tx, &s);
        a.session_id = s.pub.session_id;
    }
    if (renew) {
        a.text = SV("✅ New session started.");
    } else if (running + queued == 0) {
        a.text = SV("Nothing is running.");
    } else {
        a.text = arena_printf(tx->a, "Stopped. %zu running, %zu queued.", running, queued);
    }
    if (in->deliver) {
        struct route to = {in->channel, in->account, in->chat_id, in->thread_id, in->message_id};
        out_add_row(tx, &to, a.text, SV("plain"), SV_NULL);
    }
    tx->s->state.received++;
    settle(tx, in, j, &a);
    return OK;
}

/* Where the agent's main session last heard from; nowhere yet: nothing is delivered. */
static void set_last_route(struct tx *tx, struct run *run, const struct sess *s)
{
    struct sess main_one;
    if (sess_get(tx, arena_printf(tx->a, "agent:%.*s:main", SV_ARG(s->pub.agent_id)), &main_one)) {
        run->r.channel = main_one.pub.channel;
        run->r.account = main_one.pub.account;
        run->r.chat_id = main_one.pub.chat_id;
        run->r.thread_id = main_one.r.thread_id;
    }
}

/* Where the answer goes. */
static void set_route(struct tx *tx, struct run *run, const struct sess *s, const struct msg_ingest *in)
{
    run->r.deliver = in->deliver;
    if (sv_eqc(in->deliver_channel, "last")) {
        set_last_route(tx, run, s);
    } else if (!sv_empty(in->deliver_channel)) {
        run->r.channel = in->deliver_channel;
        run->r.account = sv_empty(in->deliver_account) ? SV("default") : in->deliver_account;
        run->r.chat_id = in->deliver_to;
    } else if (!sv_empty(in->chat_id) || !in->deliver) {
        run->r.channel = in->channel;
        run->r.account = in->account;
        run->r.chat_id = in->chat_id;
        run->r.thread_id = in->thread_id;
        run->r.reply_to = in->message_id;
    } else {
        run->r.channel = s->pub.channel;
        run->r.account = s->pub.account;
        run->r.chat_id = s->pub.chat_id;
        run->r.thread_id = s->r.thread_id;
    }
    if (sv_empty(run->r.chat_id) || sv_empty(run->r.channel)) {
        run->r.deliver = false; /* nowhere to go */
    }
}

static void touch_session(struct tx *tx, struct sess *s, const struct msg_ingest *in)
{
    s->pub.updated_ms = tx->now;
    if (!sv_eqc(in->lane, "cron")) {
        s->pub.interacted_ms = tx->now;
    }
    if (!sv_empty(in->chat_type) && !sv_empty(in->chat_id)) {
        s->pub.channel = in->channel;
        s->pub.account = in->account;
        s->pub.chat_id = in->chat_id;
        s->r.thread_id = in->thread_id;
        s->pub.kind = sv_eqc(in->chat_type, "direct") ? SV("direct") : SV("group");
        if (sv_empty(s->pub.label) && sv_eqc(s->pub.kind, "direct") && !sv_ends(s->pub.key, SV(":main"))) {
            s->pub.label = in->sender_name;
        }
    }
}

static sv new_run_id(struct tx *tx, sv wanted)
{
    struct run run;
    char uuid[ID_UUID_LEN];
    if (!sv_empty(wanted) && !run_get(tx, wanted, &run)) {
        return wanted;
    }
    id_uuid7(uuid); /* neighbours in time are neighbours in the table: a batch touches few pages */
    return arena_sv(tx->a, sv_of(uuid));
}

static sv mode_of(const struct store *s, sv wanted)
{
    if (sv_eqc(wanted, "collect") || sv_eqc(wanted, "followup")) {
        return wanted;
    }
    if (!sv_empty(wanted)) {
        return SV("followup"); /* steering modes: what cannot be steered is a turn of its own */
    }
    return s->conf.followup ? SV("followup") : SV("collect");
}

void run_make(struct tx *tx, const struct sess *s, const struct msg_ingest *in, uint64_t seq, sv wanted, struct run *run)
{
    const struct store *st = tx->s;
    *run = (struct run){0};
    run->pub = (struct msg_run){.run_id = new_run_id(tx, wanted),
                                .session_key = s->pub.key,
                                .session_id = s->pub.session_id,
                                .agent_id = s->pub.agent_id,
                                .state = SV("queued"),
                                .accepted_ms = tx->now};
    run->r.seq = seq;
    run->r.lane = sv_eqc(in->lane, "cron") ? SV("cron") : SV("main");
    run->r.mode = mode_of(st, in->queue_mode);
    run->r.timeout_ms = in->timeout_ms ? in->timeout_ms : st->conf.timeout_ms;
    set_route(tx, run, s, in);
}

static int start_run(struct tx *tx, struct msg_ingest *in, sv key, struct msg_r_journal *j)
{
    struct store *st = tx->s;
    struct sess s;
    struct run run;
    sess_open(tx, key, in->agent_id, &s);
    uint64_t seq = ++st->state.next_seq;
    run_make(tx, &s, in, seq, in->run_id, &run);
    if (!s.exists) {
        s.r.keep_ms = in->keep_ms;
    }
    j->state = SV("pending");
    j->run_id = run.pub.run_id;
    j->session_key = key;
    j->session_id = s.pub.session_id;
    j->in = in;
    j->in_n = 1;
    chat_seen(tx, in);
    touch_session(tx, &s, in);
    journal_put(tx, seq, j);
    int rc = queue_add(tx, &s, &run, in);
    sess_put(tx, &s);
    struct msg_ingested a = {.run_id = run.pub.run_id, .session_key = key, .session_id = s.pub.session_id};
    if (rc == ERR_FULL) {
        /* Refused, and said so; the key stays free, so a later try is a new message. */
        (void)tx_del(tx, T_JOURNAL, sv_mem(&seq, sizeof(seq)));
        tx->s->state.waiting_bytes -= j->bytes;
        a.run_id = SV_NULL;
        a.state = SV("ignored");
        a.text = SV("Message not queued: too many messages are waiting already.");
        put_cursor(tx, in);
        reply(tx, MSG_INGESTED, &a);
        return OK;
    }
    tx_put(tx, T_IDEM, j->idem, sv_mem(&seq, sizeof(seq)));
    put_cursor(tx, in);
    st->state.received++;
    st->state.journal_rows++;
    a.seq = seq;
    a.state = run_state_word(&run);
    a.message_seq = run.r.user_n;
    reply(tx, MSG_INGESTED, &a);
    return OK;
}

int ingest(struct tx *tx, struct client *from, const void *msg)
{
    struct msg_ingest in = *(const struct msg_ingest *)msg;
    UNUSED(from);
    int rc = validate(tx, &in);
    if (rc != OK) {
        return rc;
    }
    sv key = sv_empty(in.session_key) ? session_route_key(tx, &in)
                                      : session_full_key(tx, in.session_key, in.agent_id);
    if (key.n > 512) {
        return refuse(tx, ERR_BAD, "session_key", "the full session key is longer than 512 bytes");
    }
    const sv id_parts[] = {in.channel, in.account, in.event_id};
    /* The key of a channel's session follows from the configuration, which may change between two repeats. */
    const sv content[] = {sv_empty(in.session_key) ? SV("") : key, in.chat_id, in.thread_id, in.sender_id, in.command, in.text, in.digest};
    struct msg_r_journal j = {.idem = tx_hash(tx, id_parts, ARRAY_LEN(id_parts)),
                              .hash = tx_hash(tx, content, ARRAY_LEN(content)),
                              .at_ms = tx->now};
    sv seen;
    if (tx_get(tx, T_IDEM, j.idem, &seen) && seen.n == sizeof(uint64_t)) {
        uint64_t seq;
        memcpy(&seq, seen.p, sizeof(seq));
        return answer_repeat(tx, &in, seq, j.hash);
    }
    rc = pressure_door(tx, &in);
    if (rc != OK) {
        return rc;
    }
    if (sv_eqc(in.access, "pair")) {
        struct msg_ingested a = {.session_key = SV_NULL};
        if (!pairing_gate(tx, &in, &a)) {
            settle(tx, &in, &j, &a);
            return OK;
        }
    }
    if (!sv_empty(in.command)) {
        return run_command(tx, &in, key, &j);
    }
    return start_run(tx, &in, key, &j);
}
