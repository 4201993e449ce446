/*
 * images.h: from a recorder's log to what a disk may hold after a loss of power at any moment.
 * Runs in: tests.     Owns: struct images: files in memory, and one folder that always shows one possible disk.
 * Never: shows what no disk could hold: a completed sync is believed, nothing else is.
 * Tested in: tests/power/power.c
 *
 * Between two syncs of a file any of its writes may have reached the disk, wholly, in part (sectors of 512 bytes) or
 * not at all, in any order; of two writes to the same sector the later one wins. A name (made, renamed, removed) may
 * have changed on the disk or not until its folder was synced.
 */
#ifndef TENAZA_TESTS_POWER_IMAGES_H
#define TENAZA_TESTS_POWER_IMAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct images;

/* log: path of the recorder's file. root: the folder it recorded (paths in the log begin with it). out: an existing
 * empty folder. */
struct images *images_open(const char *log, const char *root, const char *out);
void images_close(struct images *m);
/* Records in the log. */
size_t images_records(const struct images *m);
/* Moves on until `at` records have happened; only forward. Every mark on the way is handed to on_mark. */
void images_advance(struct images *m, size_t at, void (*on_mark)(void *ctx, const char *mark), void *ctx);
/* How much of what is in flight has reached the disk. */
enum images_fate {
    FATE_ALL,     /* everything: the moment of a crash of the program alone */
    FATE_NONE,    /* nothing */
    FATE_SOME,    /* each write or not */
    FATE_TORN,    /* each sector or not */
    FATE_ALL_BUT, /* everything but one write */
    FATE_COUNT
};
/* Makes `out` such an image; images_undo makes it show only what is durable again. Returns false when there is no
 * database yet (its name is not on the disk). */
bool images_make(struct images *m, enum images_fate fate, uint64_t *rng);
void images_undo(struct images *m);
/* Writes the whole durable content anew: whoever opened the image may have changed it. */
void images_restore(struct images *m);

#endif
