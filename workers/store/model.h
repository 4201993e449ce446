/*
 * model.h: sessions, transcripts and runs as the other files of the store use them.
 * Runs in: store.     Owns: nothing; struct sess and struct run are copies of rows, put back explicitly.
 * Never: two live copies of the same session or run in one operation: pass the pointer on. The copies are
 *        never assigned (their lists point into themselves).
 * Tested in: tests/unit/store/
 */
#ifndef TENAZA_WORKERS_STORE_MODEL_H
#define TENAZA_WORKERS_STORE_MODEL_H

#include "workers/store/store_int.h"

/* ---- sessions (session.c) ---- */

struct sess {
    struct msg_r_session r;
    struct msg_session pub;
    sv hash;            /* of the key */
    bool listed;        /* stands in table sessu */
    int64_t indexed_ms; /* pub.updated_ms as it stands in table sessu */
    bool exists;
};

/* Full key of what a client wrote: "main" -> "agent:main:main". */
sv session_full_key(struct tx *tx, sv key, sv agent_id);
/* Key of an inbound message without one: route and scopes (agent-runtime.md 2.4). */
sv session_route_key(struct tx *tx, const struct msg_ingest *in);
sv session_agent_of(sv key, sv fallback);
/* False: there is none; s then holds key and hash. */
bool sess_get(struct tx *tx, sv key, struct sess *s);
/* The row, or a new one (not yet written). */
void sess_open(struct tx *tx, sv key, sv agent_id, struct sess *s);
void sess_put(struct tx *tx, struct sess *s);
/* Out of all tables but the transcript's. */
void sess_drop(struct tx *tx, struct sess *s);
/* Is it in the list by time? Not: kept for a while only, archived. */
bool sess_is_listed(const struct msg_r_session *r, const struct msg_session *pub);
/* sesschange.c: rows of a deleted session go. */
void session_rows_timer(struct tx *tx, sv session_id);
/* A run has ended: a session that is kept for a while only goes that long from now. */
void sess_keep(struct tx *tx, const struct sess *s);
/* New transcript that starts with a system row "Reset". */
void sess_reset(struct tx *tx, struct sess *s);
/* White space folded, cut to at most max bytes of whole characters. */
sv fold_text(struct tx *tx, sv text, size_t max);

/* ---- transcripts (transcript.c) ---- */

/* Appends *e (id, n, ts and run are filled in when empty) and tells the watchers. Returns its position. */
uint64_t tran_append(struct tx *tx, struct sess *s, struct msg_entry *e);
/* The newest rows, raw and chronological: skips `offset` of them, then at most max_rows / max_bytes. Views into
 * the map: valid until the next write. *more: older rows exist. */
size_t tran_tail(struct tx *tx, sv session_id, uint64_t offset, size_t max_rows, size_t max_bytes, const sv **rows,
                 bool *more);

/* ---- runs (run.c) ---- */

struct run {
    struct msg_r_run r;
    struct msg_run pub;
};

bool run_get(struct tx *tx, sv run_id, struct run *run);
void run_put(struct tx *tx, struct run *run);
bool run_ended(const struct run *run);
/* The stored message behind the run (merged text included). */
bool run_input(struct tx *tx, const struct run *run, struct msg_r_journal *j, struct msg_ingest *in);
void journal_put(struct tx *tx, uint64_t seq, struct msg_r_journal *j);
/* A new run for a stored message, not yet queued: ids, lane, route. wanted: its id, or empty (ingest.c). */
void run_make(struct tx *tx, const struct sess *s, const struct msg_ingest *in, uint64_t seq, sv wanted, struct run *run);
/* The run of this journal row failed: the row is kept for the operator (deadletter.c). The caller puts it. */
void dead_add(struct tx *tx, uint64_t seq, struct msg_r_journal *j);
void dead_forget(struct tx *tx, uint64_t seq);
/* Tells the watchers how the run stands. */
void run_push(struct tx *tx, const struct run *run);
/* Remembers a delivery of the run. key: of a tool call, or empty; hash: digest for send.c, or empty. The caller
 * puts the run. */
void run_sent(struct tx *tx, struct run *run, sv key, sv delivery_id, sv hash);
/* The same for attempts: a new one, and the loss of the last one. */
void run_held(struct tx *tx, struct run *run);
void run_lost(struct tx *tx, struct run *run);
/* Takes the run out of the place it is in (queue, lease ...) and corrects the counters. */
void run_release(struct tx *tx, struct sess *s, struct run *run);

struct run_end {
    const char *state;  /* ok error aborted timeout merged */
    sv error_kind, error, stop, merged_into;
    bool quiet;         /* do not deliver the error text */
};
/* Ends a run for everybody: place, journal, counters, error delivery, session, watchers; then starts what waits
 * behind it. The caller puts the session afterwards, never the run. */
void run_finish(struct tx *tx, struct sess *s, struct run *run, const struct run_end *end);

/* ---- queue inside a session (queue.c) ---- */

/* A new run for the session: starts it or lets it wait. ERR_FULL: refused (policy `new`), nothing was done. */
int queue_add(struct tx *tx, struct sess *s, struct run *run, struct msg_ingest *in) ATTR_NODISCARD;
/* The session is idle: start the next turn, or plan it. */
void queue_next(struct tx *tx, struct sess *s);
/* Text of a collected turn (agent-runtime.md 3.2). Pure. */
sv queue_merge_text(struct arena *a, const struct msg_ingest *const *in, size_t n);

/* ---- global lanes (sched.c) ---- */

enum lane lane_of(sv name);
/* The run is first in its session: grants it now, or puts it into the run queue. Puts the run. */
void sched_ready(struct tx *tx, struct sess *s, struct run *run, const struct msg_ingest *in);
/* Grants what can be granted. */
void sched_pump(struct tx *tx);
/* Counts leases per lane and holder again. */
void sched_recount(struct tx *tx);

/* ---- leases (lease.c) ---- */

void lease_grant(struct tx *tx, struct sess *s, struct run *run, const struct msg_ingest *in, struct client *to);
/* Takes the runs of this holder away. inc 0: of every incarnation but `keep_inc`. dead: its process is gone. */
void lease_revoke_holder(struct tx *tx, sv name, uint64_t inc, uint64_t keep_inc, bool dead);
/* Leases whose holder has not come back since the store started. */
void lease_revoke_absent(struct tx *tx);
/* Loads run and lease of a writer and checks its fence: 0, ERR_GONE, ERR_FENCED; ERR_EXISTS: the run has ended
 * under this very fence (a repeat). */
int lease_check(struct tx *tx, const struct client *from, sv run_id, uint64_t fence, struct run *run,
                struct msg_r_lease *lease) ATTR_NODISCARD;

/* ---- aborting (abort.c) ---- */

/* Ends or tells to end the session's runs (only: that run). now: running ones too are ended here. Fills refs
 * (room for 64); counts every run in *running and *queued. */
size_t abort_runs(struct tx *tx, struct sess *s, sv only, sv reason, bool now, struct msg_run_ref *refs,
                  size_t *running, size_t *queued);

/* ---- outbox (outbox.c) ---- */

struct route {
    sv channel, account, chat_id, thread_id, reply_to;
};
/* Returns the id of the delivery; empty: the route leads nowhere. */
sv out_add_row(struct tx *tx, const struct route *to, sv text, sv format, sv run_id);
/* Words about another delivery, plain; nobody is told when they do not arrive. */
void out_add_note(struct tx *tx, const struct route *to, sv text);
/* Claims deliveries of this account for its worker, as far as its window allows. */
void out_pump(struct tx *tx, sv account_hash);
sv out_account_hash(struct tx *tx, sv channel, sv account);

/* ---- how much we take (pressure.c) ---- */

/* The door for a new message: OK, or BUSY with words and a time. */
int pressure_door(struct tx *tx, const struct msg_ingest *in) ATTR_NODISCARD;
/* A commit took so long. */
void pressure_commit(struct store *s, int64_t us);
/* Why no new message is taken, whoever sends it; "": all is well. */
const char *pressure_store(struct store *s);

/* ---- known chats (chats.c) ---- */

/* A message came from this chat, and answers go there. */
void chat_seen(struct tx *tx, const struct msg_ingest *in);
bool chat_known(struct tx *tx, const struct route *to);
/* Some of them as text, "irc/default/ann, ...", for whoever named one that is not known. */
sv chat_some(struct tx *tx);
void chat_timer(struct tx *tx, sv key);

/* ---- things that happen by themselves (timer.c) ---- */

enum timer_kind {
    TIMER_DRAIN = 'd', /* id: session hash: waiting inputs become a turn */
    TIMER_LATER = 'l', /* id: run id: backoff is over */
    TIMER_ABORT = 'a', /* id: run id: the holder did not settle in time */
    TIMER_OUT = 'o',   /* id: account hash: a delivery is due again */
    TIMER_PAIR = 'p',  /* id: key in table pair: a request expires */
    TIMER_CHAT = 'c',  /* id: key in table chat: nobody has written for long */
    TIMER_DEVREQ = 'v', /* id: key in table devreq: a request expires */
    TIMER_CRONLOG = 'h', /* id: key in table cronlog: an entry expires */
    TIMER_ROWS = 'r',  /* id: session id: rows of a deleted session */
    TIMER_OUTD = 'x',  /* id: delivery id: a tombstone expires */
    TIMER_APPROVAL = 'y', /* id: approval id: it expires, later it is forgotten */
    TIMER_KEEP = 'k',  /* id: session hash: a session that is kept for a while only may go */
};
/* A timer is a hint: whoever handles it checks whether it still applies, so nobody has to delete one. */
void timer_add(struct tx *tx, int64_t at_ms, enum timer_kind kind, sv id);
void timer_run_due(struct tx *tx);
int64_t timer_next(struct tx *tx); /* 0: none */
/* At the start of a turn: after a setback of the wall clock short waits count as over (setback.c). */
void clock_check(struct tx *tx);

void queue_timer(struct tx *tx, sv session_hash);
void sess_expire(struct tx *tx, sv session_hash);
void sched_timer(struct tx *tx, sv run_id);
void abort_timer(struct tx *tx, sv run_id);
void out_timer(struct tx *tx, sv account_hash);
void out_expire(struct tx *tx, sv delivery_id);
void pairing_expire(struct tx *tx, sv key);
/* One slice of what has served its time; true: there is more to do soon. */
bool expire_slice(struct tx *tx);

/* ---- figures (stats.c) ---- */

/* Gauges of /metrics; reads only. */
void stats_gauges(struct tx *tx);

#endif
