/*
 * fuzz_cronexpr.c: a cron expression, and the next time it names.
 * Runs in: libFuzzer (clang, -Dfuzz=true).     Owns: nothing.
 * Never: opens anything but zone UTC, which needs no file.
 * Tested in: itself; seeds in tests/fuzz/seeds/cronexpr
 */
#include <stddef.h>
#include <stdint.h>

#include "common/cronexpr.h"
#include "common/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cronexpr x;
    char why[128] = "";
    const int64_t from = 1767225600000; /* 2026 */
    if (!cronexpr_parse(sv_mem(data, size), &x, why, sizeof why)) {
        ASSERT(why[0] != '\0');
        return 0;
    }
    int64_t next = cronexpr_next(&x, tz_get(SV("UTC")), from);
    ASSERT(next == 0 || next > from);
    return 0;
}
