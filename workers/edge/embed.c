/*
 * embed.c: build tool: writes the files of web.def as one C file, and a dependency file for the build.
 * Runs in: the build.     Owns: nothing.
 * Never: installed, linked into a worker.
 * Tested in: tests/unit/edge/test_static.c (reads what it wrote)
 *
 * usage: embed <folder of the web files> <output.c> <output.d>
 */
#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
    const char *url, *file, *type;
};

static const struct row ROWS[] = {
#define WEB(url, file, type) {url, file, type},
#include "workers/edge/web.def"
#undef WEB
};
#define ROWS_N (sizeof ROWS / sizeof ROWS[0])

static void fail(const char *what, const char *name)
{
    fprintf(stderr, "embed: %s %s: %s\n", what, name, strerror(errno));
    exit(1);
}

static FILE *must_open(const char *name, const char *mode)
{
    FILE *f = fopen(name, mode);
    if (f == NULL) {
        fail("cannot open", name);
    }
    return f;
}

static uint64_t write_bytes(FILE *out, FILE *in)
{
    uint64_t hash = 1469598103934665603u; /* FNV-1a: the tag only has to change with the content */
    int c;
    size_t n = 0;
    while ((c = fgetc(in)) != EOF) {
        hash = (hash ^ (uint64_t)c) * 1099511628211u;
        fprintf(out, "%d,%s", c, ++n % 24 == 0 ? "\n" : "");
    }
    return hash;
}

int main(int argc, char **argv)
{
    static char path[4096];
    static uint64_t hash[ROWS_N];
    if (argc != 4) {
        fprintf(stderr, "usage: embed <folder> <output.c> <output.d>\n");
        return 64;
    }
    FILE *out = must_open(argv[2], "w");
    FILE *dep = must_open(argv[3], "w");
    fprintf(out, "/* Written by embed.c from web.def. */\n#include \"workers/edge/static.h\"\n");
    fprintf(dep, "%s:", argv[2]);
    for (size_t i = 0; i < ROWS_N; i++) {
        int n = ROWS[i].file[0] == '/' ? snprintf(path, sizeof path, "%s", ROWS[i].file)
                                       : snprintf(path, sizeof path, "%s/%s", argv[1], ROWS[i].file);
        if (n < 0 || (size_t)n >= sizeof path) {
            errno = ENAMETOOLONG;
            fail("cannot use", ROWS[i].file);
        }
        FILE *in = must_open(path, "rb");
        fprintf(out, "static const unsigned char file_%zu[] = {\n", i);
        hash[i] = write_bytes(out, in);
        fprintf(out, "0};\n");
        fprintf(dep, " %s", path);
        fclose(in);
    }
    fprintf(out, "const struct web_file web_files[] = {\n");
    for (size_t i = 0; i < ROWS_N; i++) {
        fprintf(out, "{\"%s\", \"%s\", \"\\\"%016" PRIx64 "\\\"\", file_%zu, sizeof file_%zu - 1},\n",
                ROWS[i].url, ROWS[i].type, hash[i], i, i);
    }
    fprintf(out, "{0, 0, 0, 0, 0}};\n");
    fprintf(dep, "\n");
    if (fclose(out) != 0 || fclose(dep) != 0) {
        fail("cannot write", argv[2]);
    }
    return 0;
}
