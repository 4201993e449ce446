/*
 * inbound.c: from a platform event to a committed message: gate, context, one INGEST in flight per chat.
 * Runs in: channel workers.     Owns: events that are not committed yet.
 * Never: acknowledges before the commit; reorders a chat; keeps more than its caps.
 * Tested in: tests/unit/chan/test_gate.c, test_history.c; scenarios c1, c2
 */
#include "common/clock.h"
#include "common/counter.h"
#include "common/log.h"
#include "workers/chan/chan_int.h"
#include "workers/chan/command.h"

/* Memory of waiting events. At HIGH the driver is told to stop reading, at LOW to go on (channels.md 1.4:
 * 8 lanes of an account run in parallel). */
#define ITEMS_MAX 512
#define ITEMS_HIGH 256
#define ITEMS_LOW 64
#define BYTES_MAX ((size_t)8 * 1024 * 1024)
#define BYTES_HIGH ((size_t)4 * 1024 * 1024)
#define IN_FLIGHT_MAX 8

/* Class A has somebody waiting for the answer; the others try for ever, in slices. */
#define WITHIN_A_MS 20000
#define WITHIN_MS 30000
#define RETRY_MS 1000

struct lane {
    struct list link;  /* in inbound.ready, when it waits for a free slot */
    struct list items; /* oldest first; the first one is in flight when busy */
    bool busy, queued;
    char *key;
};

struct item {
    struct list link;
    struct inbound *in;
    struct lane *lane;
    struct arena arena;
    struct msg_ingest m;
    size_t bytes;
    chan_done_fn *done;
    void *ctx;
    struct loop_timer again;
};

struct inbound {
    struct chan *c;
    struct map lanes;
    struct list ready;
    size_t items, bytes, in_flight;
    bool paused;
};

struct inbound *inbound_new(struct chan *c)
{
    struct inbound *in = (struct inbound *)xcalloc(1, sizeof *in);
    in->c = c;
    list_init(&in->ready);
    return in;
}

static void item_free(struct item *it)
{
    loop_timer_stop(&it->again);
    store_forget(worker_store(it->in->c->worker), it);
    it->in->items--;
    it->in->bytes -= it->bytes;
    arena_free(&it->arena);
    xfree(it);
}

static void lane_free(struct inbound *in, struct lane *l)
{
    map_del(&in->lanes, sv_of(l->key));
    if (l->queued) {
        list_del(&l->link);
    }
    xfree(l->key);
    xfree(l);
}

void inbound_free(struct inbound *in)
{
    size_t it = 0;
    sv key;
    void *value = NULL;
    while (map_next(&in->lanes, &it, &key, &value)) {
        struct lane *l = (struct lane *)value;
        LIST_EACH(e, &l->items) {
            list_del(e);
            item_free(CONTAINER_OF(e, struct item, link));
        }
        lane_free(in, l);
    }
    map_free(&in->lanes);
    xfree(in);
}

bool inbound_idle(const struct inbound *in)
{
    return in->items == 0;
}

static void set_paused(struct inbound *in, bool on)
{
    if (in->paused == on || !in->c->driver->pause) {
        return;
    }
    in->paused = on;
    log_info("reading from the platform is %s: %zu messages wait for the store", on ? "paused" : "resumed",
             in->items);
    in->c->driver->pause(in->c, on);
}

/* ---- one message to the store ------------------------------------------------------------------------ */

static void dispatch(struct inbound *in);
static void send_item(struct item *it);

static void on_again(void *ctx)
{
    send_item((struct item *)ctx);
}

static void settle(struct item *it, int err, const struct msg_ingested *answer)
{
    struct inbound *in = it->in;
    struct lane *l = it->lane;
    struct chan *c = in->c;
    if (it->done) {
        it->done(it->ctx, err, answer);
    }
    /* The answer to a command goes through the outbox; a refusal ("queue full") is ours to tell. */
    if (err == OK && c->driver->say_refusals && !answer->dup && sv_eqc(answer->state, "ignored") &&
        !sv_empty(answer->text)) {
        chan_say(c, it->m.chat_id, it->m.thread_id, answer->text);
    }
    list_del(&it->link);
    item_free(it);
    in->in_flight--;
    l->busy = false;
    if (list_empty(&l->items)) {
        lane_free(in, l);
    } else {
        l->queued = true;
        list_add_tail(&in->ready, &l->link);
    }
    dispatch(in);
    if (in->items <= ITEMS_LOW && in->bytes < BYTES_HIGH) {
        set_paused(in, false);
    }
    chan_drain_check(c);
}

static void on_ingested(void *ctx, int err, uint16_t type, const void *body)
{
    struct item *it = (struct item *)ctx;
    if (err == OK && type != MSG_INGESTED) {
        err = ERR_INTERNAL;
    }
    if (err == OK) {
        crash_point("chan.after_ingest");
        settle(it, OK, (const struct msg_ingested *)body);
        return;
    }
    bool again = err_retryable(err) || err == ERR_TIMEOUT;
    if (again && it->in->c->row->cls != CLASS_A) {
        log_warn("the store did not take a message (%s); it is tried again", err_name(err));
        loop_timer_start(&it->again, RETRY_MS);
        return;
    }
    if (err == ERR_BUSY) {
        const struct msg_status *st = (const struct msg_status *)body;
        it->in->c->busy_ms = st && st->retry_ms > 0 ? st->retry_ms : RETRY_MS;
    }
    if (!again) {
        const struct msg_status *st = (const struct msg_status *)body;
        sv said = st ? st->text : SV_NULL;
        worker_alarm(it->in->c->worker, "a message was refused by the store: %s %.*s", err_name(err),
                     SV_ARG(said));
    }
    settle(it, err, NULL);
}

static void send_item(struct item *it)
{
    struct plane_store *store = worker_store(it->in->c->worker);
    crash_point("chan.before_ingest");
    if (it->in->c->row->cls == CLASS_A) {
        store_try(store, MSG_INGEST, &it->m, WITHIN_A_MS, on_ingested, it); /* BUSY goes on to whoever waits */
    } else {
        store_call(store, MSG_INGEST, &it->m, WITHIN_MS, on_ingested, it);
    }
}

static void dispatch(struct inbound *in)
{
    while (in->in_flight < IN_FLIGHT_MAX && !list_empty(&in->ready)) {
        struct lane *l = CONTAINER_OF(in->ready.next, struct lane, link);
        list_del(&l->link);
        l->queued = false;
        l->busy = true;
        in->in_flight++;
        send_item(CONTAINER_OF(l->items.next, struct item, link));
    }
}

/* ---- from an event to a message ---------------------------------------------------------------------- */

static struct lane *lane_of(struct inbound *in, const struct chan_event *e)
{
    char key[600];
    size_t n = 0;
    sv chat = sv_sub(e->chat_id, 0, 256), thread = sv_sub(e->thread_id, 0, 256);
    memcpy(key, chat.p ? chat.p : "", chat.n);
    n += chat.n;
    key[n++] = '\n';
    memcpy(key + n, thread.p ? thread.p : "", thread.n);
    n += thread.n;
    struct lane *l = (struct lane *)map_get(&in->lanes, sv_mem(key, n));
    if (!l) {
        l = (struct lane *)xcalloc(1, sizeof *l);
        list_init(&l->items);
        l->key = xstrndup(key, n);
        map_put(&in->lanes, sv_of(l->key), l);
    }
    return l;
}

static void copy_media(struct item *it, const struct chan_event *e)
{
    size_t n = e->media_n < 16 ? e->media_n : 16;
    if (n == 0) {
        return;
    }
    it->m.media = (struct msg_media *)arena_alloc(&it->arena, n * sizeof *it->m.media);
    it->m.media_n = n;
    for (size_t i = 0; i < n; i++) {
        const struct msg_media *from = &e->media[i];
        it->m.media[i] = (struct msg_media){
            .kind = arena_sv(&it->arena, from->kind),
            .mime = arena_sv(&it->arena, from->mime),
            .size = from->size,
            .name = arena_sv(&it->arena, from->name),
            .ref = arena_sv(&it->arena, from->ref),
        };
    }
}

static struct item *item_new(struct inbound *in, const struct chan_event *e)
{
    struct item *it = (struct item *)xcalloc(1, sizeof *it);
    struct chan *c = in->c;
    it->in = in;
    it->arena = ARENA_INIT;
    loop_timer_init(&it->again, chan_loop(c), on_again, it);
    struct arena *a = &it->arena;
    it->m = (struct msg_ingest){
        .channel = sv_of(c->row->name),
        .account = sv_of(c->account),
        .event_id = arena_sv(a, e->event_id),
        .chat_type = sv_of(e->chat_type),
        .chat_id = arena_sv(a, e->chat_id),
        .thread_id = arena_sv(a, e->thread_id),
        .message_id = arena_sv(a, e->message_id),
        .sender_id = arena_sv(a, e->sender_id),
        .sender_name = arena_sv(a, e->sender_name),
        .text = arena_sv(a, e->text),
        .deliver = !e->no_deliver,
        .own_key = e->own_key,
        .ts_ms = e->ts_ms,
        .received_ms = clock_real_ms(),
        .raw = arena_sv(a, e->raw),
    };
    copy_media(it, e);
    it->bytes = e->text.n + e->raw.n + 1024;
    in->items++;
    in->bytes += it->bytes;
    return it;
}

static void enqueue(struct inbound *in, const struct chan_event *e, struct item *it)
{
    struct lane *l = lane_of(in, e);
    it->lane = l;
    list_add_tail(&l->items, &it->link);
    if (!l->busy && !l->queued) {
        l->queued = true;
        list_add_tail(&in->ready, &l->link);
    }
    if (in->items >= ITEMS_HIGH || in->bytes >= BYTES_HIGH) {
        set_paused(in, true);
    }
    dispatch(in);
}

static enum gate_verdict judge(struct chan *c, const struct chan_event *e, const char *command, bool slash)
{
    struct gate_input gi = {
        .direct = strcmp(e->chat_type, "direct") == 0,
        .self = e->is_self,
        .bot = e->is_bot,
        .addressed = e->mentioned || mention_match(c->mentions, e->text),
        .command = command && slash,
        .chat_id = e->chat_id,
        .sender_id = e->sender_id,
        .age_ms = e->ts_ms > 0 ? clock_real_ms() - e->ts_ms : 0,
    };
    const char *why = "";
    enum gate_verdict v = gate_decide(&c->policy, &gi, &why);
    log_debug("message in %.*s from %.*s: %s", SV_ARG(e->chat_id), SV_ARG(e->sender_id), why);
    return v;
}

int chan_inbound(struct chan *c, const struct chan_event *e, chan_done_fn *done, void *ctx)
{
    struct inbound *in = c->in;
    bool slash = false;
    bool direct = strcmp(e->chat_type, "direct") == 0;
    const char *command = command_of(e->typed, &slash);
    enum gate_verdict v = judge(c, e, command, slash);
    c->last_in_ms = clock_real_ms();
    counter_add(C_chan_in, 1);
    if (v == GATE_CONTEXT) {
        history_add(&c->history, e->chat_id, sv_empty(e->sender_name) ? e->sender_id : e->sender_name, e->text);
    }
    if (v == GATE_DROP || v == GATE_CONTEXT) {
        return ERR_DENIED;
    }
    if (in->items >= ITEMS_MAX || in->bytes + e->text.n + e->raw.n > BYTES_MAX) {
        return ERR_BUSY;
    }
    struct item *it = item_new(in, e);
    it->done = done;
    it->ctx = ctx;
    it->m.command = sv_of(command);
    if (v == GATE_PAIR) {
        it->m.access = SV("pair");
    }
    if (!direct && !command) {
        struct buf lines ATTR_CLEANUP(buf_free) = BUF_INIT(65536);
        history_take(&c->history, e->chat_id, &lines);
        it->m.history = arena_sv(&it->arena, buf_view(&lines));
    }
    enqueue(in, e, it);
    return OK;
}

void chan_forget(struct chan *c, void *ctx)
{
    size_t at = 0;
    sv key;
    void *value = NULL;
    while (map_next(&c->in->lanes, &at, &key, &value)) {
        struct lane *l = (struct lane *)value;
        LIST_EACH(e, &l->items) {
            struct item *it = CONTAINER_OF(e, struct item, link);
            if (it->ctx == ctx) {
                it->done = NULL;
            }
        }
    }
}
