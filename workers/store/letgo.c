/*
 * letgo.c: takes pages of the database that were read out of our memory.
 * Runs in: store.     Owns: nothing.
 * Never: changes the database: its map is shared and read-only, the pages stay in the kernel's cache.
 * Tested in: tests/unit/store/test_turn.c
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>

#include "common/sv.h"
#include "workers/store/db.h"

/* LMDB does not tell where its map is; the kernel does: lines "from-to ... /path/data.mdb". */
void db_let_go(void)
{
    char line[600];
    FILE *f = fopen("/proc/self/maps", "re");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        uintptr_t from, to;
        if (sv_ends(sv_trim(sv_of(line)), SV("/data.mdb")) && sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &from, &to) == 2) {
            /* NOLINTNEXTLINE(performance-no-int-to-ptr): that is what the kernel prints */
            (void)madvise((void *)from, to - from, MADV_DONTNEED);
        }
    }
    if (f != NULL) {
        (void)fclose(f);
    }
}
