/*
 * main.c: the edge worker's hooks.
 * Runs in: edge.     Owns: nothing.
 * Never: anything else.
 * Tested in: the scenarios
 */
#include "workers/edge/edge.h"

int main(int argc, char **argv)
{
    static const struct worker_ops ops = {
        .kind = "edge",
        .planes = PLANES_BOTH,
        .init = edge_init,
        .drain = edge_drain,
        .stop = edge_stop,
        .reconfigure = edge_reconfigure,
        .metrics = edge_metrics,
    };
    return worker_main(argc, argv, &ops);
}
