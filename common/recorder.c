/*
 * recorder.c: the flight recorder: what a worker last did and said, in memory that outlives it.
 * Runs in: every worker (writes), supervisor (reads).     Owns: the mapping; in a worker log_tap.
 * Never: locks, allocates or makes a system call while it records; believes what it reads.
 * Tested in: tests/unit/common/test_recorder.c
 */
#include "common/recorder.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORDER_MAGIC 0x544e5a52u /* "TNZR" */

static struct recorder *mine;

int recorder_new(struct recorder **out)
{
    int fd = memfd_create("tenaza-recorder", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        return -1;
    }
    void *p = MAP_FAILED;
    /* Nobody can make it shorter: reading it never faults. */
    if (ftruncate(fd, (off_t)sizeof(struct recorder)) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) {
        p = mmap(NULL, sizeof(struct recorder), PROT_READ, MAP_SHARED, fd, 0);
    }
    if (p == MAP_FAILED) {
        (void)close(fd);
        return -1;
    }
    *out = p;
    return fd;
}

void recorder_unmap(struct recorder *r)
{
    if (r != NULL) {
        (void)munmap(r, sizeof *r);
    }
}

/* log_tap: copies one line into the ring. A line is far shorter than the ring. */
static void record_line(const char *line, size_t n)
{
    size_t at = (size_t)(mine->ring_at % RECORDER_RING);
    size_t first = n < RECORDER_RING - at ? n : RECORDER_RING - at;
    memcpy(mine->ring + at, line, first);
    memcpy(mine->ring, line + first, n - first);
    mine->ring_at += n;
}

struct recorder *recorder_use(int fd, const char *name, uint64_t inc)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || st.st_size != (off_t)sizeof(struct recorder)) {
        return NULL;
    }
    void *p = mmap(NULL, sizeof(struct recorder), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) {
        return NULL;
    }
    mine = p;
    mine->size = sizeof *mine;
    mine->inc = inc;
    (void)sv_copy(mine->name, sizeof mine->name, sv_of(name));
    (void)sv_copy(mine->build, sizeof mine->build, sv_of(TENAZA_VERSION));
    counters_move(&mine->counters);
    log_context_move(&mine->context);
    log_tap = record_line;
    mine->magic = RECORDER_MAGIC;
    return mine;
}

void recorder_words(struct recorder *r, const char *text, size_t n)
{
    if (r == NULL || r->words[0] != '\0') {
        return;
    }
    n = n < RECORDER_WORDS - 1 ? n : RECORDER_WORDS - 1;
    memcpy(r->words, text, n);
}

void recorder_lines(const struct recorder *r, struct buf *out)
{
    uint64_t at = r->ring_at;
    size_t n = at < RECORDER_RING ? (size_t)at : RECORDER_RING;
    size_t from = (size_t)((at - n) % RECORDER_RING);
    size_t first = n < RECORDER_RING - from ? n : RECORDER_RING - from;
    struct buf all = BUF_INIT(RECORDER_RING);
    (void)buf_add(&all, r->ring + from, first);
    (void)buf_add(&all, r->ring, n - first);
    sv text = buf_view(&all);
    if (n == RECORDER_RING) {
        (void)sv_cut(&text, '\n'); /* its beginning was overwritten */
    }
    (void)buf_sv(out, text);
    buf_free(&all);
}
