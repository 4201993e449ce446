/*
 * usage.c: memory and processor time of a process, from /proc.
 * Runs in: supervisor.     Owns: nothing.
 * Never: waits; fails: what cannot be read is 0.
 * Tested in: tests/unit/supervisor/test_metrics.c
 */
#include "supervisor/usage.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/sv.h"

static bool read_proc(pid_t pid, const char *file, char *dst, size_t cap)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t n = read(fd, dst, cap - 1);
    fd_close(&fd);
    dst[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static uint64_t field_at(sv rest, unsigned index)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < index; i++) {
        (void)sv_cut(&rest, ' ');
    }
    (void)sv_u64(sv_trim(sv_cut(&rest, ' ')), &v);
    return v;
}

struct usage usage_of(pid_t pid)
{
    struct usage u = {0};
    char text[1024];
    uint64_t ticks = (uint64_t)sysconf(_SC_CLK_TCK);

    if (pid != 0 && read_proc(pid, "statm", text, sizeof text)) {
        u.rss_kb = field_at(sv_of(text), 1) * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
    }
    if (pid != 0 && ticks > 0 && read_proc(pid, "stat", text, sizeof text)) {
        /* The name in parentheses may contain anything; utime and stime are the 12th and 13th behind it. */
        const char *end = strrchr(text, ')');
        sv rest = end ? sv_of(end + 2) : SV("");
        u.cpu_ms = (field_at(rest, 11) + field_at(rest, 12)) * 1000 / ticks;
    }
    return u;
}
