/*
 * check_body.c: invariants of long values: who names a file, and whether it is there.
 * Runs in: store, `tenaza store check`.     Owns: nothing.
 * Never: repairs; it only tells. Files that no row names are not an error: the sweep takes them.
 * Tested in: tests/unit/store/test_body.c; after every test of tests/unit/store
 */
#include <stdio.h>
#include <sys/stat.h>

#include "workers/store/body.h"
#include "workers/store/check.h"
#include "workers/store/store_int.h"

#define FINDING(...)                                                                               \
    do {                                                                                           \
        (void)buf_printf(out, __VA_ARGS__);                                                        \
        (void)buf_ch(out, '\n');                                                                   \
    } while (0)

/* hash -> number of rows that name it, as a pointer-sized number */
static uintptr_t count_of(const struct map *named, sv hash)
{
    return (uintptr_t)map_get(named, hash);
}

static void count_table(struct tx *tx, enum table t, struct map *named)
{
    struct scan sc;
    sv k;
    sv v;
    scan_open(&sc, tx, t, SV(""), 0, false);
    while (scan_next(&sc, &k, &v)) {
        if (body_is_ref(v)) {
            (void)map_put(named, body_hash(v), (void *)(count_of(named, body_hash(v)) + 1));
        }
    }
    scan_close(&sc);
}

static void check_file(struct tx *tx, bool deep, sv hash, const struct msg_r_body *row, struct buf *out)
{
    char name[BODY_NAME];
    char path[400];
    struct stat st;
    body_name(hash, name);
    (void)snprintf(path, sizeof(path), "%s/media/%s", tx->s->db.dir, name);
    if (stat(path, &st) != 0) {
        FINDING("the file media/%s of a stored value is missing", name);
    } else if ((uint64_t)st.st_size != row->bytes) {
        FINDING("the file media/%s has %lld bytes instead of %llu", name, (long long)st.st_size,
                (unsigned long long)row->bytes);
    } else if (deep) {
        struct arena a = ARENA_INIT;
        struct arena *outer = tx->a;
        struct key ref = {.n = 0};
        key_u8(&ref, BODY_MARK);
        key_add(&ref, hash);
        key_u64(&ref, row->bytes);
        tx->a = &a;
        if (sv_empty(body_get(tx, key_sv(&ref)))) {
            FINDING("the content of the file media/%s does not fit its name", name);
        }
        tx->a = outer;
        arena_free(&a);
    }
}

void check_bodies(struct tx *tx, bool deep, struct buf *out)
{
    struct map named = MAP_INIT;
    struct scan sc;
    sv k;
    sv v;
    size_t rows = 0;
    for (int t = 0; t < T_COUNT; t++) {
        if (table_has_bodies((enum table)t)) {
            count_table(tx, (enum table)t, &named);
        }
    }
    scan_open(&sc, tx, T_BODY, SV(""), 0, false);
    while (scan_next(&sc, &k, &v)) {
        struct msg_r_body row;
        char name[BODY_NAME];
        body_name(k, name);
        rows++;
        if (!rec_decode(tx, v, MSG_R_BODY, &row)) {
            FINDING("the row of media/%s cannot be read", name);
            continue;
        }
        if (row.refs != count_of(&named, k)) {
            FINDING("the file media/%s is named by %llu rows, its own row says %llu", name,
                    (unsigned long long)count_of(&named, k), (unsigned long long)row.refs);
        }
        (void)map_del(&named, k);
        check_file(tx, deep, k, &row, out);
    }
    scan_close(&sc);
    size_t it = 0;
    void *value;
    while (map_next(&named, &it, &k, &value)) {
        char name[BODY_NAME];
        body_name(k, name);
        FINDING("rows name the file media/%s, which has no row of its own", name);
    }
    map_free(&named);
    if (rows != tx->s->state.bodies) {
        FINDING("counters say %llu long values, there are %zu", (unsigned long long)tx->s->state.bodies, rows);
    }
}
