/*
 * intake.c: see intake.h.
 * Runs in: edge.     Owns: nothing.
 * Never: changes the text.
 * Tested in: the scenarios
 */
#include "workers/edge/intake.h"

#include <inttypes.h>

#include "common/clock.h"
#include "workers/edge/sesskey.h"

static const struct {
    const char *text;
    enum intake_command command;
} COMMANDS[] = {
    {"/stop", INTAKE_STOP},
    {"/new", INTAKE_NEW},
    {"/reset", INTAKE_NEW},
};

enum intake_command intake_command(const struct rpc_call *call)
{
    sv text = sv_trim(rpc_str(call, "message"));
    if (rpc_bool(call, "suppressCommandInterpretation", false)) {
        return INTAKE_NONE;
    }
    for (size_t i = 0; i < ARRAY_LEN(COMMANDS); i++) {
        if (sv_eq_nocase(text, sv_of(COMMANDS[i].text))) {
            return COMMANDS[i].command;
        }
    }
    return INTAKE_NONE;
}

void intake_send(struct rpc_call *call, const struct intake *in, rpc_reply_fn *fn)
{
    static const sv names[] = {
        [INTAKE_NONE] = {NULL, 0}, [INTAKE_STOP] = {"stop", 4}, [INTAKE_NEW] = {"new", 3}};
    sv key = in->key.n > 0 ? in->key : rpc_str(call, "idempotencyKey");
    int64_t now = clock_real_ms();
    const struct msg_ingest m = {
        .channel = SV("webchat"),
        .account = SV("client"),
        .event_id = key,
        .run_id = key,
        .session_key = sv_of(call->session_key),
        .agent_id = sesskey_agent(sv_of(call->session_key)),
        .text = rpc_str(call, "message"),
        .command = names[intake_command(call)],
        .queue_mode = in->queue_mode,
        .lane = in->lane,
        .model = in->model,
        .extra_system = in->extra_system,
        .timeout_ms = (uint64_t)in->timeout_ms,
        .deliver = in->deliver,
        .deliver_channel = in->deliver_channel,
        .deliver_account = in->deliver_account,
        .deliver_to = in->deliver_to,
        .ts_ms = now,
        .received_ms = now,
    };
    crash_point("edge.before_ingest");
    rpc_store_try(call, MSG_INGEST, &m, fn);
}

void intake_models(struct buf *b, const struct edge *e)
{
    const struct model_row *m = &e->model;
    if (m->model[0] == '\0') {
        buf_str(b, "[]");
        return;
    }
    buf_str(b, "[{\"id\":");
    buf_json_str(b, sv_of(m->model));
    buf_str(b, ",\"name\":");
    buf_json_str(b, sv_of(m->model));
    buf_str(b, ",\"provider\":");
    buf_json_str(b, sv_of(m->provider));
    if (m->window > 0) {
        buf_printf(b, ",\"contextWindow\":%" PRIu64, m->window);
    }
    buf_str(b, ",\"tags\":[\"default\"],\"available\":true}]");
}
