/*
 * main.c: tenaza-agent: runs in progress, from grant to finish.
 * Runs in: agent.     Owns: the one struct agent of the process.
 * Never: opens the database; knows a chat platform.
 * Tested in: every scenario
 */
#include "agent/agent.h"

static int init(struct worker *w)
{
    static struct agent agent;
    struct agent *ag = &agent;
    ag->worker = w;
    ag->loop = worker_loop(w);
    ag->conf = worker_conf(w);
    ag->store = worker_store(w);
    ag->bus = worker_bus(w);
    ag->state_dir = worker_state_dir(w);
    crypto_init();
    worker_set_ctx(w, ag);
    agent_start(ag);
    worker_ready(w); /* the search for a model goes on meanwhile; runs wait for it */
    return 0;
}

static void drain(struct worker *w, int64_t within_ms)
{
    agent_drain(worker_ctx(w), within_ms);
}

static void stop(struct worker *w)
{
    if (worker_ctx(w)) {
        agent_stop(worker_ctx(w));
    }
}

int main(int argc, char **argv)
{
    static const struct worker_ops ops = {
        .kind = "agent",
        .planes = PLANES_BOTH,
        .init = init,
        .drain = drain,
        .stop = stop,
    };
    return worker_main(argc, argv, &ops);
}
