/*
 * context.c: projection of the history (agent-runtime.md 5.6), see context.h.
 * Runs in: agent.     Owns: nothing.
 * Never: input or output.
 * Tested in: tests/unit/agent/test_context.c
 */
#include "agent/context.h"

#include <stdio.h>

#include "common/tz.h"
#include "common/err.h"
#include "common/json.h"
#include "common/text.h"

#define CHARS_PER_TOKEN 4
#define ROW_CHARS 24          /* what a message costs besides its text */
#define TEXT_MAX ((size_t)2 * 1024 * 1024)
#define TOOL_RESULT_MAX 16000 /* agent-runtime.md 6.5, window below 100K tokens; also at most a tenth of it */
#define LINES_HEAD "[Chat messages since your last reply - for context]\n"
#define LINES_TAIL "\n\n[Current message - respond to this]\n"

/* ---- which rows ------------------------------------------------------------------------------------ */

static size_t row_chars(const struct msg_entry *e, size_t result_max)
{
    bool tool = sv_eq(e->role, SV("toolResult"));
    size_t n = ROW_CHARS + (tool && e->text.n > result_max ? result_max : e->text.n);
    for (size_t i = 0; i < e->calls_n; i++) {
        n += ROW_CHARS + e->calls[i].name.n + e->calls[i].args.n;
    }
    return n;
}

static bool is_user(const struct msg_entry *e)
{
    return sv_eq(e->role, SV("user"));
}

/* Where the conversation begins: behind the newest reset. */
static size_t after_reset(const struct context_req *q)
{
    for (size_t i = q->rows_n; i > 0; i--) {
        if (sv_eq(q->rows[i - 1].role, SV("system")) && sv_eq(q->rows[i - 1].kind, SV("reset"))) {
            return i;
        }
    }
    return 0;
}

static size_t budget_chars(const struct context_req *q)
{
    if (q->window == 0) {
        return SIZE_MAX;
    }
    uint64_t answer = q->max_tokens ? q->max_tokens : 4096;
    if (answer > q->window / 4) {
        answer = q->window / 4;
    }
    uint64_t tokens = q->window - answer - q->window / 32; /* the estimate may be off */
    uint64_t chars = tokens * CHARS_PER_TOKEN;
    return chars > q->fixed_chars ? (size_t)(chars - q->fixed_chars) : 0;
}

/* First row to send: whole turns from the newest backwards while they fit. A turn begins at a user row whose
 * predecessor is none. The newest turn, and everything of this run, always goes. */
static size_t first_row(const struct context_req *q, size_t begin, size_t result_max)
{
    size_t budget = budget_chars(q), used = 0, first = q->rows_n;
    bool have_turn = false;
    for (size_t i = q->rows_n; i > begin; i--) {
        const struct msg_entry *e = &q->rows[i - 1];
        used += row_chars(e, result_max);
        bool turn_start = i - 1 == begin || (is_user(e) && !is_user(e - 1));
        bool of_run = e->run_id.n > 0 && sv_eq(e->run_id, q->run_id);
        if (!turn_start) {
            continue;
        }
        if (have_turn && used > budget && !of_run) {
            break;
        }
        first = i - 1;
        have_turn = true;
    }
    return first;
}

/* ---- texts ----------------------------------------------------------------------------------------- */

/* Our own markers inside foreign text lose their force. */
static void put_escaped(struct buf *dst, sv text)
{
    static const char *const marks[] = {"<<<RUNTIME_CONTEXT>>>", "<<<END_RUNTIME_CONTEXT>>>",
                                        "[Current message - respond to this]",
                                        "[Chat messages since your last reply"};
    size_t from = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] != '<' && text.p[i] != '[') {
            continue;
        }
        for (size_t k = 0; k < ARRAY_LEN(marks); k++) {
            if (sv_starts(sv_sub(text, i, text.n), sv_of(marks[k]))) {
                buf_sv(dst, sv_sub(text, from, i - from));
                buf_ch(dst, '(');
                from = i + 1;
                break;
            }
        }
    }
    buf_sv(dst, sv_sub(text, from, text.n));
}

static sv take(struct buf *b, struct arena *a)
{
    sv v = arena_sv(a, buf_view(b));
    buf_free(b);
    return v;
}

static sv user_text(const struct context_req *q, const struct msg_entry *e, bool last, struct arena *a)
{
    struct buf b = BUF_INIT(TEXT_MAX);
    if (last && q->group_context.n > 0) {
        buf_str(&b, LINES_HEAD);
        put_escaped(&b, q->group_context);
        buf_str(&b, LINES_TAIL);
    }
    const struct tz *z = tz_get(sv_of(q->zone));
    if (z && e->ts_ms > 0) {
        struct tz_time t;
        tz_local(z, e->ts_ms / 1000, &t);
        buf_printf(&b, "[%.3s %04d-%02d-%02d %02d:%02d %s] ", tz_weekday(t.weekday), t.year, t.month, t.day, t.hour,
                   t.minute, t.abbr);
    }
    if (q->group && e->sender.n > 0) {
        buf_printf(&b, "%.*s: ", SV_ARG(e->sender));
    }
    put_escaped(&b, e->text);
    return take(&b, a);
}

/* Head and tail of a long tool result, the middle left out. */
static sv result_text(sv text, size_t max, struct arena *a)
{
    struct buf b = BUF_INIT(TEXT_MAX);
    if (text.n == 0) {
        return SV("(no output)");
    }
    if (text.n > max) {
        size_t head = utf8_cut(text, max * 7 / 10);
        size_t from = text.n - max * 2 / 10;
        while (from < text.n && ((unsigned char)text.p[from] & 0xc0) == 0x80) {
            from++;
        }
        put_escaped(&b, sv_sub(text, 0, head));
        buf_printf(&b, "\n[... %zu bytes left out ...]\n", from - head);
        put_escaped(&b, sv_sub(text, from, text.n));
    } else {
        put_escaped(&b, text);
    }
    return take(&b, a);
}

/* ---- messages -------------------------------------------------------------------------------------- */

static struct chat_msg *add(struct context *c, enum chat_role role, sv text)
{
    ASSERT(c->msgs);
    struct chat_msg *m = &c->msgs[c->n++];
    *m = (struct chat_msg){.role = role, .text = text};
    c->chars += ROW_CHARS + text.n;
    return m;
}

/* Several inputs of people with no answer between them (a failed turn, collected messages) become one message:
 * the templates of many local models accept strict alternation only. */
static void add_user(struct context *c, sv text, struct arena *a)
{
    struct chat_msg *last = c->n > 0 ? &c->msgs[c->n - 1] : NULL;
    if (last && last->role == CHAT_USER) {
        last->text = arena_printf(a, "%.*s\n\n%.*s", SV_ARG(last->text), SV_ARG(text));
        c->chars += text.n;
    } else {
        add(c, CHAT_USER, text);
    }
}

/* The result of a call: behind its assistant row and before the next one. */
static const struct msg_entry *find_result(const struct context_req *q, size_t from, sv id)
{
    for (size_t i = from; i < q->rows_n && sv_eq(q->rows[i].role, SV("toolResult")); i++) {
        if (sv_eq(q->rows[i].tool_call_id, id)) {
            return &q->rows[i];
        }
    }
    return NULL;
}

static void add_assistant(struct context *c, const struct context_req *q, size_t at, size_t result_max, struct arena *a)
{
    const struct msg_entry *e = &q->rows[at];
    bool failed = sv_eq(e->stop, SV("error"));
    if (e->text.n == 0 && e->calls_n == 0) {
        return; /* an error without words says nothing to the model */
    }
    struct chat_msg *m = add(c, CHAT_ASSISTANT, e->text);
    if (failed || sv_eq(e->stop, SV("aborted"))) {
        m->text = arena_printf(a, "%.*s\n[the turn ended before this answer was complete]", SV_ARG(e->text));
    }
    if (e->calls_n == 0) {
        return;
    }
    m->calls = arena_alloc(a, e->calls_n * sizeof *m->calls);
    m->calls_n = e->calls_n;
    for (size_t i = 0; i < e->calls_n; i++) {
        const struct msg_tool_call *call = &e->calls[i];
        json_t *args = json_parse(call->args, NULL, 0);
        /* What was not JSON when it came is not sent back as such: servers refuse it. */
        m->calls[i] = (struct chat_call){call->id, call->name, json_is_object(args) ? call->args : SV("{}")};
        json_free(&args);
        c->chars += ROW_CHARS + call->args.n;
    }
    for (size_t i = 0; i < e->calls_n; i++) {
        const struct msg_entry *r = find_result(q, at + 1, e->calls[i].id);
        struct chat_msg *t = add(c, CHAT_TOOL, r ? result_text(r->text, result_max, a) : SV("No result recorded (interrupted)"));
        t->tool_call_id = e->calls[i].id;
        t->tool_name = e->calls[i].name;
        t->is_error = r ? r->is_error : true;
    }
}

static size_t room_for(const struct context_req *q, size_t first)
{
    size_t n = 1;
    for (size_t i = first; i < q->rows_n; i++) {
        n += 1 + q->rows[i].calls_n;
    }
    return n;
}

void context_build(const struct context_req *q, struct arena *a, struct context *out)
{
    size_t result_max = TOOL_RESULT_MAX;
    if (q->window > 0 && q->window * CHARS_PER_TOKEN / 10 < result_max) {
        result_max = (size_t)(q->window * CHARS_PER_TOKEN / 10);
    }
    size_t begin = after_reset(q);
    size_t first = first_row(q, begin, result_max);
    *out = (struct context){.dropped = first - begin};
    out->msgs = arena_alloc(a, room_for(q, first) * sizeof *out->msgs);
    size_t last_user = q->rows_n;
    for (size_t i = first; i < q->rows_n; i++) {
        last_user = is_user(&q->rows[i]) ? i : last_user;
    }
    for (size_t i = first; i < q->rows_n; i++) {
        const struct msg_entry *e = &q->rows[i];
        if (is_user(e) && sv_trim(e->text).n > 0) {
            add_user(out, user_text(q, e, i == last_user, a), a);
        } else if (sv_eq(e->role, SV("assistant"))) {
            add_assistant(out, q, i, result_max, a);
        } /* results are added with their calls; orphans and other system rows are left out */
    }
    out->last_user = last_user < q->rows_n ? q->rows[last_user].text : SV_NULL;
}
