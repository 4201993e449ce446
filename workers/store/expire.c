/*
 * expire.c: old tombstones leave the journal, with their idempotency keys and run rows.
 * Runs in: store.     Owns: nothing.
 * Never: removes a row that is not done, or one that is younger than any platform's redelivery.
 * Tested in: tests/unit/store/test_turn.c
 */
#include "workers/store/model.h"

/* channels.md 1.4: 30 days, or a cap whichever comes first; the cap is far above a week of a busy gateway. */
#define KEEP_MS (30LL * 24 * 3600 * 1000)
#define KEEP_ROWS 1000000
#define SWEEP_ROWS 500

void journal_sweep(struct tx *tx)
{
    sv key;
    sv val;
    for (int i = 0; i < SWEEP_ROWS && tx_seek(tx, T_JOURNAL, SV(""), 0, &key, &val); i++) {
        struct msg_r_journal j;
        struct run run;
        uint64_t seq;
        if (key.n != sizeof(seq) || !rec_decode(tx, val, MSG_R_JOURNAL, &j) || !sv_eqc(j.state, "done") ||
            (tx->now - j.at_ms < KEEP_MS && tx->s->state.journal_rows <= KEEP_ROWS)) {
            return;
        }
        memcpy(&seq, key.p, sizeof(seq));
        (void)tx_del(tx, T_JOURNAL, key);
        (void)tx_del(tx, T_IDEM, j.idem);
        tx->s->state.journal_rows--;
        if (run_get(tx, j.run_id, &run) && run.r.seq == seq && run_ended(&run)) {
            (void)tx_del(tx, T_RUNS, j.run_id);
        }
    }
}
