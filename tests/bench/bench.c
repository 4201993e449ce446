/*
 * bench.c: one command that prints what Tenaza costs; the parts are rows of parts.def.
 * Runs in: tenaza-bench BUILD_DIR [PART ...].     Owns: nothing.
 * Never: judges: it prints figures; ratios to a target are for the reader (README quotes them with the machine).
 * Tested in: itself; a figure that cannot be measured ends the program with exit code 1
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/attrs.h"
#include "common/err.h"
#include "tests/bench/bench.h"

static const struct part {
    const char *name;
    bool by_default;
    const char *doc;
    void (*run)(const char *build);
} parts[] = {
#define PART(name, by_default, doc) {#name, by_default, doc, part_##name},
#include "tests/bench/parts.def"
#undef PART
};

static int usage(void)
{
    fprintf(stderr, "usage: tenaza-bench BUILD_DIR [PART ...]\n");
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        fprintf(stderr, "  %-10s %s%s\n", parts[i].name, parts[i].doc, parts[i].by_default ? "" : " (only when named)");
    }
    return EXIT_USAGE;
}

static bool run_part(const char *name, const char *build, bool dry)
{
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (strcmp(parts[i].name, name) == 0) {
            if (!dry) {
                parts[i].run(build);
            }
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        return usage();
    }
    for (int i = 2; i < argc; i++) {
        if (!run_part(argv[i], argv[1], true)) {
            fprintf(stderr, "bench: no part %s\n", argv[i]);
            return usage();
        }
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("| what | figure | rate |\n|---|---|---|\n");
    for (int i = 2; i < argc; i++) {
        (void)run_part(argv[i], argv[1], false);
    }
    for (size_t i = 0; argc == 2 && i < ARRAY_LEN(parts); i++) {
        if (parts[i].by_default) {
            parts[i].run(argv[1]);
        }
    }
    return 0;
}
