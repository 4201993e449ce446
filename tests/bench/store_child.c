/*
 * store_child.c: the store's server alone, for the bench: no supervisor, one peer.
 * Runs in: tenaza-bench-store DIR ENDPOINT PEER_PID.     Owns: the database in DIR.
 * Never: outlives the bench (PR_SET_PDEATHSIG is set by who starts it).
 * Tested in: every bench run
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/crypto.h"
#include "common/err.h"
#include "common/log.h"
#include "workers/store/server.h"

int main(int argc, char **argv)
{
    char text[512];
    struct server *v;
    struct conf none = {0};
    if (argc != 4) {
        fprintf(stderr, "usage: tenaza-bench-store DIR ENDPOINT PEER_PID\n");
        return EXIT_USAGE;
    }
    log_init("store", 0, LOG_STYLE_PLAIN, -1);
    crypto_init();
    struct loop *l = loop_new();
    struct store_conf conf = store_conf_read(&none, argv[1]);
    int code = server_new(l, argv[2], &conf, NULL, NULL, &v, text, sizeof(text));
    if (code != 0) {
        die(code, "bench: %s", text);
    }
    server_peer(v, true, "edge", 1, (int32_t)strtol(argv[3], NULL, 10));
    loop_run(l);
    return 0;
}
