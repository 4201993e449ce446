/*
 * harness.c: the store inside a test.
 * Runs in: unit tests.     Owns: struct hx and everything below it.
 * Never: opens a socket.
 * Tested in: by its users
 */
#include "harness.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/err.h"
#include "proto/envelope.h"
#include "proto/wire.h"

static void on_out(void *ctx, const struct store_out *m)
{
    struct hx *h = ctx;
    if (h->got_n == h->got_cap) {
        h->got_cap = h->got_cap ? h->got_cap * 2 : 64;
        h->got = xrealloc(h->got, h->got_cap * sizeof(*h->got));
    }
    struct hx_msg *g = &h->got[h->got_n++];
    *g = (struct hx_msg){.type = m->type, .flags = m->flags, .rid = m->rid, .raw = arena_sv(&h->a, m->body)};
    (void)snprintf(g->dst, sizeof(g->dst), "%s", m->dst);
}

void hx_init(struct hx *h)
{
    *h = (struct hx){.a = ARENA_INIT, .mono = 1000000, .real = 1790000000000};
    crypto_init();
    /* in memory where possible: these tests are about order, not about the disk */
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(h->dir, sizeof(h->dir), "%s/tenaza-store-test-XXXXXX", base);
    assert_non_null(mkdtemp(h->dir));
    clock_test_set(h->mono, h->real);
    struct conf none = {0};
    h->conf = store_conf_read(&none, h->dir);
    h->conf.map_bytes = 64u << 20;
    h->conf.fast = true;
}

void hx_open(struct hx *h)
{
    char text[512] = "";
    if (store_new(&h->conf, on_out, h, &h->s, text, sizeof(text)) != 0) {
        fail_msg("store_new: %s", text);
    }
}

void hx_close(struct hx *h)
{
    store_free(h->s);
    h->s = NULL;
}

void hx_reopen(struct hx *h)
{
    hx_close(h);
    hx_open(h);
}

static void remove_dir(const char *dir)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        char path[512];
        (void)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        if (e->d_name[0] != '.' && unlink(path) != 0) {
            remove_dir(path);
        }
    }
    if (d != NULL) {
        (void)closedir(d);
    }
    (void)rmdir(dir);
}

void hx_free(struct hx *h)
{
    if (h->s != NULL) {
        hx_check(h);
        hx_close(h);
    }
    remove_dir(h->dir);
    arena_free(&h->a);
    xfree(h->got);
    clock_test_set(-1, -1);
}

void hx_sleep(struct hx *h, int64_t ms)
{
    h->mono += ms;
    h->real += ms;
    clock_test_set(h->mono, h->real);
}

void hx_idle(struct hx *h)
{
    store_turn(h->s, NULL, 0);
}

static void split_who(const char *who, char name[128], uint64_t *inc)
{
    sv rest = sv_of(who);
    sv first = sv_cut(&rest, '#');
    (void)sv_copy(name, 128, first);
    *inc = 1;
    if (!sv_empty(rest)) {
        assert_true(sv_u64(rest, inc));
    }
}

static void *decoded(struct hx *h, const struct hx_msg *g)
{
    void *body = arena_alloc(&h->a, msg_desc(g->type)->size);
    struct wire_error why = {0};
    if (wire_decode(g->type, g->raw, &h->a, body, &why) != OK) {
        fail_msg("%s cannot be decoded: %s", msg_name(g->type), why.text);
    }
    return body;
}

const void *hx_call(struct hx *h, const char *who, uint16_t type, const void *body, uint16_t *answer)
{
    char name[128];
    struct store_req r = {.name = name, .type = type, .rid = ++h->rid};
    struct buf b = BUF_INIT(2u << 20);
    struct wire_error why = {0};
    split_who(who, name, &r.inc);
    if (wire_encode(type, body, &b, &why) != OK) {
        fail_msg("request cannot be encoded: %s", why.text);
    }
    r.body = arena_sv(&h->a, buf_view(&b));
    buf_free(&b);
    size_t from = h->got_n;
    store_turn(h->s, &r, 1);
    for (size_t i = from; i < h->got_n; i++) {
        if ((h->got[i].flags & ENV_REPLY) != 0 && h->got[i].rid == r.rid) {
            *answer = h->got[i].type;
            return decoded(h, &h->got[i]);
        }
    }
    *answer = MSG_NONE;
    return NULL;
}

const void *hx_ask(struct hx *h, const char *who, uint16_t type, const void *body, uint16_t want)
{
    uint16_t got;
    const void *answer = hx_call(h, who, type, body, &got);
    if (got == MSG_STATUS && want != MSG_STATUS) {
        const struct msg_status *st = answer;
        fail_msg("%s was refused: %s %.*s %.*s", msg_name(type), err_name((int)st->code), SV_ARG(st->field),
                 SV_ARG(st->text));
    }
    if (got != want) {
        fail_msg("%s was answered with %s, not %s", msg_name(type), msg_name(got), msg_name(want));
    }
    return answer;
}

const struct msg_status *hx_refused(struct hx *h, const char *who, uint16_t type, const void *body, int code)
{
    const struct msg_status *st = hx_ask(h, who, type, body, MSG_STATUS);
    assert_string_equal(err_name((int)st->code), err_name(code));
    return st;
}

void hx_done(struct hx *h, const char *who, uint16_t type, const void *body, bool dup)
{
    const struct msg_done *d = hx_ask(h, who, type, body, MSG_DONE);
    assert_int_equal(d->dup, dup);
}

const void *hx_push(struct hx *h, const char *who, uint16_t type)
{
    for (size_t i = h->seen; i < h->got_n; i++) {
        struct hx_msg *g = &h->got[i];
        if ((g->flags & ENV_PUSH) == 0 || g->type != type) {
            continue;
        }
        sv dst = sv_of(g->dst);
        if (sv_eqc(sv_cut(&dst, '#'), who)) {
            g->flags = 0; /* seen once */
            return decoded(h, g);
        }
    }
    return NULL;
}

void hx_skip(struct hx *h)
{
    h->seen = h->got_n;
}

void hx_check(struct hx *h)
{
    struct msg_store_stats m = {.check = true};
    const struct msg_store_info *info = hx_ask(h, "cli-1", MSG_STORE_STATS, &m, MSG_STORE_INFO);
    if (!sv_empty(info->findings)) {
        fail_msg("invariants:\n%.*s", SV_ARG(info->findings));
    }
}

void hx_agent(struct hx *h, const char *who, uint64_t slots)
{
    struct msg_want w = {.slots = slots};
    hx_done(h, who, MSG_WANT, &w, false);
}

void hx_watch(struct hx *h, const char *who, bool rows)
{
    struct msg_watch w = {.rows = rows};
    hx_done(h, who, MSG_WATCH, &w, false);
}

const struct msg_ingested *hx_send(struct hx *h, const char *key, const char *run, const char *text)
{
    struct msg_ingest in = {.channel = SV("webchat"),
                            .account = SV("client"),
                            .event_id = sv_of(run),
                            .run_id = sv_of(run),
                            .session_key = sv_of(key),
                            .text = sv_of(text)};
    return hx_ask(h, "edge", MSG_INGEST, &in, MSG_INGESTED);
}

struct msg_ingest hx_dm(const char *event, const char *sender, const char *text)
{
    return (struct msg_ingest){.channel = SV("irc"),
                               .account = SV("default"),
                               .event_id = sv_of(event),
                               .chat_type = SV("direct"),
                               .chat_id = sv_of(sender),
                               .sender_id = sv_of(sender),
                               .sender_name = sv_of(sender),
                               .message_id = sv_of(event),
                               .text = sv_of(text),
                               .deliver = true};
}

const struct msg_grant *hx_grant(struct hx *h, const char *who)
{
    const struct msg_grant *g = hx_push(h, who, MSG_GRANT);
    assert_non_null(g);
    return g;
}

void hx_fin(struct hx *h, const char *who, sv run, uint64_t fence, const char *status, const char *reply)
{
    struct msg_entry row = {.role = SV("assistant"), .text = sv_of(reply), .provider = SV("fake"), .model = SV("m"),
                            .stop = SV("stop")};
    struct msg_finish f = {.run_id = run,
                           .fence = fence,
                           .status = sv_of(status),
                           .reply = sv_of(reply),
                           .in_tokens = 3,
                           .out_tokens = 5,
                           .rows = &row,
                           .rows_n = 1};
    if (sv_eqc(f.status, "error")) {
        f.error = f.reply;
        f.reply = SV_NULL;
    }
    hx_done(h, who, MSG_FINISH, &f, false);
}

void hx_finish(struct hx *h, const char *who, const struct msg_grant *g, const char *status, const char *reply)
{
    hx_fin(h, who, g->run_id, g->fence, status, reply);
}

const struct msg_run *hx_run(struct hx *h, const char *run)
{
    struct msg_run_get m = {.run_id = sv_of(run)};
    return hx_ask(h, "edge", MSG_RUN_GET, &m, MSG_RUN);
}

const struct msg_history_page *hx_history(struct hx *h, const char *key)
{
    struct msg_history m = {.session_key = sv_of(key)};
    return hx_ask(h, "edge", MSG_HISTORY, &m, MSG_HISTORY_PAGE);
}

void hx_channel(struct hx *h, const char *who, uint64_t window, bool keyless)
{
    struct msg_out_want w = {
        .channel = SV("irc"), .account = SV("default"), .window = window, .keyless = keyless};
    hx_done(h, who, MSG_OUT_WANT, &w, false);
}

void hx_receipt(struct hx *h, const char *who, sv id, uint64_t part, uint64_t parts, const char *outcome)
{
    struct msg_receipt r = {.delivery_id = id, .part = part, .parts = parts, .outcome = sv_of(outcome)};
    hx_done(h, who, MSG_RECEIPT, &r, false);
}
