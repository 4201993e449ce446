/*
 * caller.c: tools that whoever started the run brings along and executes itself, and how it wants them used.
 * Runs in: agent.     Owns: nothing; copies live in the run's memory.
 * Never: executes one of them: a call of theirs ends the run (FINISH with calls).
 * Tested in: tests/unit/agent/test_turn.c
 */
#include "agent/agent.h"
#include "common/err.h"

static const char *cstr(struct run *r, sv s)
{
    return arena_strndup(&r->mem, s.p ? s.p : "", s.n);
}

void caller_init(struct run *r, const struct msg_grant *g)
{
    const struct msg_run_opts *o = g->opts_n > 0 ? &g->opts[0] : NULL;
    r->g.opts = NULL;
    r->g.opts_n = 0;
    if (!o) {
        return;
    }
    r->caller = (struct caller){
        .choice = cstr(r, o->tool_choice),
        .sampling = arena_sv(&r->mem, o->sampling),
        .max_tokens = o->max_tokens,
        .tools_n = o->tools_n,
        .tools = arena_alloc(&r->mem, (o->tools_n + 1) * sizeof *r->caller.tools),
    };
    for (size_t i = 0; i < o->tools_n; i++) {
        const struct msg_caller_tool *t = &o->tools[i];
        r->caller.tools[i] = (struct chat_tool){
            .name = cstr(r, t->name),
            .description = cstr(r, t->description),
            .schema = t->schema.n > 0 ? cstr(r, t->schema) : "{\"type\":\"object\",\"properties\":{}}",
        };
    }
}

bool caller_has(const struct run *r, sv name)
{
    for (size_t i = 0; i < r->caller.tools_n; i++) {
        if (sv_eqc(name, r->caller.tools[i].name)) {
            return true;
        }
    }
    return false;
}

/* One of its tools must be called: required, or a certain one. */
bool caller_forces(const struct run *r)
{
    const char *choice = r->caller.choice;
    return r->caller.tools_n > 0 && choice && (strcmp(choice, "required") == 0 || sv_starts(sv_of(choice), SV("tool:")));
}

static bool offers_none(const struct run *r)
{
    return r->caller.choice && strcmp(r->caller.choice, "none") == 0;
}

static void add(struct chat_tool *dst, size_t *n, const struct chat_tool *t, size_t *chars)
{
    dst[(*n)++] = *t;
    *chars += strlen(t->name) + strlen(t->description) + strlen(t->schema) + 60;
}

size_t caller_list_tools(const struct run *r, struct chat_tool *dst, size_t cap, size_t *chars)
{
    size_t n = 0;
    for (size_t i = 0; i < tool_count() && n < cap && !caller_forces(r); i++) {
        const struct tool *t = tool_at(i);
        const struct chat_tool own = {t->name, t->description, t->schema};
        /* Of two tools of one name the caller means its own. */
        if (offer_has(r, t) && !caller_has(r, sv_of(t->name))) {
            add(dst, &n, &own, chars);
        }
    }
    for (size_t i = 0; i < r->caller.tools_n && n < cap && !offers_none(r); i++) {
        add(dst, &n, &r->caller.tools[i], chars);
    }
    return n;
}

void caller_prompt(const struct run *r, struct buf *dst)
{
    if (r->caller.tools_n == 0 || offers_none(r) || r->no_tools) {
        return;
    }
    buf_str(dst, "\n\n## Tools Of The Caller\nThe program that asks brings tools of its own, offered beside yours. Call them "
                 "like any other; it executes the call and comes back with the result:");
    for (size_t i = 0; i < r->caller.tools_n; i++) {
        buf_printf(dst, "%s %s", i ? "," : "", r->caller.tools[i].name);
    }
    buf_ch(dst, '.');
    if (r->caller_asked_again) {
        buf_str(dst, " Your last answer called none of them, and it has to: answer with such a call and nothing else.");
    }
}

/* Notes a call that the caller has to make. */
void caller_hand_out(struct run *r, const struct msg_tool_call *c)
{
    if (!r->handed) {
        r->handed = arena_alloc(&r->mem, REPLY_CALLS_MAX * sizeof *r->handed);
    }
    if (r->handed_n < REPLY_CALLS_MAX) {
        r->handed[r->handed_n++] = *c;
    }
}

/* The model answered in words where a call is due: once more, then the run fails. False: words are fine. */
bool caller_insists(struct run *r)
{
    if (!caller_forces(r)) {
        return false;
    }
    if (!r->caller_asked_again) {
        r->caller_asked_again = true;
        turn_start(r);
    } else {
        run_finish(r, "error", "tool_choice_unsatisfied",
                   SV("The model answered without calling a tool, although the request demands a call."), "error");
    }
    return true;
}
