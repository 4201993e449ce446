/*
 * clock_shift.c: moves the wall clock of a process; preloaded (LD_PRELOAD) by scenarios that jump by a day.
 * Runs in: tests only, inside the processes of a gateway.     Owns: a read-only map of the offset.
 * Never: touches the monotonic clock; is installed.
 * Tested in: tests/scn/f5-clock.test.mjs
 *
 * TENAZA_TEST_CLOCK names a file of 8 bytes: seconds to add, a native 64 bit number. Who changes the file moves the
 * clock of all processes at once. The programs themselves know nothing of it.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset;

/* Before main, and so before any sandbox. */
__attribute__((constructor)) static void open_offset(void)
{
    const char *path = getenv("TENAZA_TEST_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        void *p = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
        offset = p == MAP_FAILED ? NULL : p;
        (void)close(fd);
    }
}

static int64_t shift(void)
{
    return offset ? *offset : 0;
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
    int rc = (int)syscall(SYS_clock_gettime, id, ts);
    if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        ts->tv_sec += shift();
    }
    return rc;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    int rc = (int)syscall(SYS_gettimeofday, tv, zone);
    if (rc == 0) {
        tv->tv_sec += shift();
    }
    return rc;
}

time_t time(time_t *out)
{
    struct timespec ts;
    time_t now = clock_gettime(CLOCK_REALTIME, &ts) == 0 ? ts.tv_sec : (time_t)-1;
    if (out) {
        *out = now;
    }
    return now;
}
