/*
 * main.c: tenaza-channel, one account of one chat platform: picks the driver by its row and runs it.
 * Runs in: channel workers.     Owns: nothing.
 * Never: grows; see core.c.
 * Tested in: by every scenario with a channel
 */
#include "common/crypto.h"
#include "workers/chan/chan_int.h"

static int on_init(struct worker *w)
{
    crypto_init();
    const char *name = conf_str(worker_conf(w), "channel", "");
    const struct chan_row *row = chan_row_find(name);
    if (!row) {
        worker_fail(w, EXIT_CONFIG, "there is no channel \"%s\" in this build", name);
        return EXIT_CONFIG;
    }
    struct chan *c = chan_new(w, row);
    worker_set_ctx(w, c);
    int rc = chan_start(c);
    if (rc == 0) {
        worker_ready(w); /* connecting to the platform is a state of the account, not of the process */
    }
    return rc;
}

static void on_drain(struct worker *w, int64_t within_ms)
{
    UNUSED(within_ms);
    chan_drain((struct chan *)worker_ctx(w));
}

static void on_reconfigure(struct worker *w)
{
    chan_reconfigure((struct chan *)worker_ctx(w));
}

static void on_stop(struct worker *w)
{
    struct chan *c = (struct chan *)worker_ctx(w);
    if (c) {
        worker_set_ctx(w, NULL);
        chan_free(c);
    }
}

int main(int argc, char **argv)
{
    static const struct worker_ops ops = {
        .kind = "channel",
        .planes = PLANES_BOTH,
        .init = on_init,
        .drain = on_drain,
        .stop = on_stop,
        .reconfigure = on_reconfigure,
    };
    return worker_main(argc, argv, &ops);
}
