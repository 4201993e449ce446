/*
 * pressure.c: whether the door is open: what waits already, room on the disk, how long commits take.
 * Runs in: store.     Owns: the memory of slow commits and of the last look at the disk.
 * Never: refuses anything but new messages: what was accepted goes on, and its answers are stored.
 * Tested in: tests/unit/store/test_pressure.c
 */
#include <sys/statvfs.h>

#include "common/clock.h"
#include "workers/store/model.h"

/* Bytes of messages that wait for an answer. */
#define WAITING_BYTES_MAX (256ULL << 20)
/* Deliveries of one account that have not arrived. */
#define ACCOUNT_OUT_MAX 5000
/* architecture.md 7: a disk with less than 5 % (or 1 GiB, on a large one) takes no new messages; nor does one on
 * which commits take longer than a second. */
#define FREE_PART 20
#define FREE_ENOUGH (1ULL << 30)
#define SLOW_US 1000000
#define SLOW_FOR_MS 10000
#define LOOK_MS 2000

void pressure_commit(struct store *s, int64_t us)
{
    struct pressure *p = &s->pressure;
    if (us <= SLOW_US) {
        return;
    }
    int64_t now = clock_mono_ms();
    p->slow = p->slow_ms > 0 && now - p->slow_ms < SLOW_FOR_MS ? p->slow + 1 : 1;
    p->slow_ms = now;
}

/* Free and whole size of the file system below the database; looked at every other second. */
static bool disk_low(struct store *s)
{
    struct pressure *p = &s->pressure;
    int64_t now = clock_mono_ms();
    struct statvfs v;
    if (p->looked_ms > 0 && now - p->looked_ms < LOOK_MS && now >= p->looked_ms) {
        return p->low;
    }
    p->looked_ms = now > 0 ? now : 1;
    p->low = false;
    if (statvfs(s->conf.dir, &v) == 0 && v.f_blocks > 0) {
        uint64_t free_bytes = (uint64_t)v.f_bavail * v.f_frsize;
        p->low = (uint64_t)v.f_bavail < (uint64_t)v.f_blocks / FREE_PART && free_bytes < FREE_ENOUGH;
    }
    return p->low;
}

const char *pressure_store(struct store *s)
{
    const struct pressure *p = &s->pressure;
    if (disk_low(s)) {
        return "No space left for new messages: less than 5 % of the disk is free";
    }
    if (p->slow >= 2 && clock_mono_ms() - p->slow_ms < SLOW_FOR_MS) {
        return "The disk is too slow for new messages: commits take longer than a second";
    }
    return "";
}

/* More than ACCOUNT_OUT_MAX deliveries wait for this account; counted only when that is possible at all. */
static bool account_full(struct tx *tx, const struct msg_ingest *in)
{
    bool other = !sv_empty(in->deliver_channel);
    sv channel = other ? in->deliver_channel : in->channel;
    sv account = other ? (sv_empty(in->deliver_account) ? SV("default") : in->deliver_account) : in->account;
    size_t n = 0;
    struct scan sc;
    sv k;
    sv v;
    if (!in->deliver || tx->s->state.out_queued < ACCOUNT_OUT_MAX) {
        return false;
    }
    scan_open(&sc, tx, T_OUTC, out_account_hash(tx, channel, account), KEY_HASH, false);
    while (n < ACCOUNT_OUT_MAX && scan_next(&sc, &k, &v)) {
        n++;
    }
    scan_close(&sc);
    return n == ACCOUNT_OUT_MAX;
}

int pressure_door(struct tx *tx, const struct msg_ingest *in)
{
    const struct msg_r_state *st = &tx->s->state;
    /* People go before the clock: its share is half of the room. */
    uint64_t part = sv_eqc(in->lane, "cron") ? 2 : 1;
    const char *why = pressure_store(tx->s);
    tx->retry_ms = 1000;
    if (why[0] != '\0') {
        tx->retry_ms = 5000;
        return refuse(tx, ERR_BUSY, NULL, why);
    }
    if (st->queued >= tx->s->conf.max_queued / part || st->waiting_bytes >= WAITING_BYTES_MAX / part) {
        return refuse(tx, ERR_BUSY, NULL, "too many messages wait for an answer");
    }
    if (account_full(tx, in)) {
        tx->retry_ms = 5000;
        return refuse(tx, ERR_BUSY, NULL, "too many answers wait to be delivered to this account");
    }
    return OK;
}
