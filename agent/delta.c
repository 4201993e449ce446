/*
 * delta.c: coalesced deltas, see delta.h. The first delta leaves at the end of the current turn of the loop,
 *          later ones every 30 ms or 256 bytes.
 * Runs in: agent.     Owns: nothing beyond struct stream.
 * Never: logs text.
 * Tested in: tests/unit/agent/test_delta.c
 */
#include "agent/delta.h"

#include <stdio.h>

#include "common/clock.h"
#include "common/text.h"

#define TOKEN "NO_REPLY" /* agent-runtime.md 12.1 */
#define HOLD_MAX ((size_t)16) /* bytes */

static void on_timer(void *ctx)
{
    stream_flush(ctx);
}

void stream_init(struct stream *s, struct loop *l, struct plane_bus *bus)
{
    memset(s, 0, sizeof *s);
    s->bus = bus;
    s->all = BUF_INIT(RUN_TEXT_MAX);
    s->hold = BUF_INIT(HOLD_MAX);
    loop_timer_init(&s->timer, l, on_timer, s);
}

void stream_free(struct stream *s)
{
    loop_timer_stop(&s->timer);
    buf_free(&s->all);
    buf_free(&s->hold);
}

static void publish(struct stream *s, struct msg_run_event *e)
{
    e->run_id = s->run_id;
    e->session_key = s->session_key;
    e->session_id = s->session_id;
    e->agent_id = s->agent_id;
    e->fence = s->fence;
    e->seq = ++s->seq;
    e->ts_ms = clock_real_ms();
    bus_publish(s->bus, "run", MSG_RUN_EVENT, e);
}

void stream_flush(struct stream *s)
{
    char item[161];
    loop_timer_stop(&s->timer);
    int n = snprintf(item, sizeof item, "%.*s:%u", SV_ARG(s->run_id), s->item);
    while (s->sent < s->all.n) {
        sv rest = sv_sub(buf_view(&s->all), s->sent, s->all.n);
        size_t len = utf8_cut(rest, 60000); /* RUN_EVENT.delta holds 64 KiB */
        struct msg_run_event e = {
            .stream = SV("assistant"),
            .off = s->sent,
            .delta = sv_sub(rest, 0, len ? len : rest.n),
            .item_id = sv_mem(item, (size_t)n),
        };
        s->sent += e.delta.n;
        publish(s, &e);
    }
}

void stream_restore(struct stream *s, sv text)
{
    if (text.n > 0) {
        if (s->all.n > 0) {
            buf_str(&s->all, "\n\n");
        }
        buf_sv(&s->all, text);
        s->item++;
        s->sent = s->item_at = s->all.n;
    }
}

void stream_item(struct stream *s)
{
    stream_flush(s);
    s->item++;
    s->item_open = false;
    s->item_at = s->all.n;
    s->holding = true;
    buf_reset(&s->hold);
}

static bool append(struct stream *s, sv delta)
{
    if (delta.n == 0 || s->cut) {
        return !s->cut;
    }
    if (!s->item_open) {
        s->item_open = true;
        if (s->all.n > 0 && buf_str(&s->all, "\n\n")) { /* counted in offsets, but no part of the message */
            s->sent = s->all.n;
        }
        s->item_at = s->all.n;
    }
    size_t room = RUN_TEXT_MAX - s->all.n;
    if (delta.n > room) {
        s->cut = true;
        delta = sv_sub(delta, 0, utf8_cut(delta, room));
    }
    bool first = s->all.n == s->item_at;
    buf_sv(&s->all, delta);
    if (!first && s->all.n - s->sent >= DELTA_BYTES) {
        stream_flush(s);
    } else if (!loop_timer_active(&s->timer)) {
        loop_timer_start(&s->timer, first ? 0 : DELTA_MS);
    }
    return !s->cut;
}

/* Can this text still become the token alone? */
static bool may_be_token(sv text)
{
    text = sv_trim(text);
    return text.n <= sizeof TOKEN - 1 && sv_eq_nocase(text, sv_sub(SV(TOKEN), 0, text.n));
}

static bool release(struct stream *s)
{
    sv text = buf_view(&s->hold);
    sv trimmed = sv_trim(text);
    s->holding = false;
    if (trimmed.n > sizeof TOKEN - 1 && sv_eq_nocase(sv_sub(trimmed, 0, sizeof TOKEN - 1), SV(TOKEN)) &&
        strchr(" \t\r\n", trimmed.p[sizeof TOKEN - 1]) != NULL) {
        text = sv_trim(sv_sub(trimmed, sizeof TOKEN - 1, trimmed.n)); /* the token's line is cut */
    }
    return append(s, text);
}

bool stream_text(struct stream *s, sv delta)
{
    while (s->holding && delta.n > 0) {
        size_t n = HOLD_MAX - s->hold.n < delta.n ? HOLD_MAX - s->hold.n : delta.n;
        buf_sv(&s->hold, sv_sub(delta, 0, n));
        delta = sv_sub(delta, n, delta.n);
        if ((s->hold.n >= HOLD_MAX || !may_be_token(buf_view(&s->hold))) && !release(s)) {
            return false;
        }
    }
    return append(s, delta);
}

/* The whole text is the token, perhaps in quotes or code marks. */
static bool is_token(sv text)
{
    while (text.n > 0 && strchr(" \t\r\n\"'`*._", text.p[0])) {
        text = sv_sub(text, 1, text.n);
    }
    while (text.n > 0 && strchr(" \t\r\n\"'`*._", text.p[text.n - 1])) {
        text.n--;
    }
    return sv_eq_nocase(text, SV(TOKEN));
}

bool stream_item_end(struct stream *s)
{
    if (s->holding && is_token(buf_view(&s->hold))) {
        s->holding = false;
        return true;
    }
    if (s->holding) {
        (void)release(s);
    }
    sv text = stream_item_text(s);
    if (is_token(text)) { /* with marks it was not held back; what was shown is taken back by the final */
        s->all.n = s->item_at;
        s->sent = s->sent < s->all.n ? s->sent : s->all.n;
        return true;
    }
    sv body = sv_trim(text);
    if (body.n > sizeof TOKEN - 1 && sv_ends(body, SV("\n" TOKEN))) {
        body = sv_sub(body, 0, body.n - sizeof TOKEN + 1);
        while (body.n > 0 && strchr(" \t\r\n", body.p[body.n - 1])) {
            body.n--;
        }
        s->all.n = (size_t)(body.p + body.n - s->all.p);
        s->sent = s->sent < s->all.n ? s->sent : s->all.n;
    }
    stream_flush(s);
    return false;
}

void stream_item_drop(struct stream *s)
{
    buf_reset(&s->hold);
    s->holding = true;
    if (s->item_open) {
        s->all.n = s->item_at;
        s->sent = s->sent < s->all.n ? s->sent : s->all.n;
    }
}

sv stream_item_text(const struct stream *s)
{
    return s->item_open ? sv_sub(buf_view(&s->all), s->item_at, s->all.n) : SV_NULL;
}

sv stream_all(const struct stream *s)
{
    return buf_view(&s->all);
}

void stream_event(struct stream *s, const char *name, json_t *data)
{
    struct buf text = BUF_INIT(131072);
    stream_flush(s);
    if (data && json_print(&text, data)) {
        struct msg_run_event e = {.stream = sv_of(name), .data = buf_view(&text)};
        publish(s, &e);
    }
    json_free(&data);
    buf_free(&text);
}
