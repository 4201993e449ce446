/*
 * power.c: loss of power, imitated: a recorded load, thousands of possible disks, each opened, checked, and asked for
 * everything that had been acknowledged.
 * Runs in: tenaza-power RECORDER [--images N] [--seed N] [--turns N] [--mutant NAME]     Owns: two folders in memory.
 * Never: passes a mutant: with --mutant it succeeds only when the damage was found.
 * Tested in: itself
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/err.h"
#include "common/file.h"
#include "common/log.h"
#include "tests/power/images.h"
#include "tests/power/load.h"
#include "tests/power/rmtree.h"
#include "workers/store/look.h"
#include "workers/store/store.h"

#define REOPEN_EVERY 50 /* images between two that are also opened for work, as a started store does */
#define SHOWN 5         /* bad images that are described */

struct opts {
    const char *recorder, *mutant;
    uint64_t images, seed;
    unsigned turns;
    char dir[64], out[64], log[80];
};

/* Marks in the order of the log. */
struct marks {
    char (*text)[96];
    size_t n, cap;
};

static void on_mark(void *ctx, const char *mark)
{
    struct marks *k = ctx;
    if (k->n == k->cap) {
        k->cap = k->cap ? k->cap * 2 : 1024;
        k->text = xrealloc(k->text, k->cap * sizeof(*k->text));
    }
    (void)snprintf(k->text[k->n++], sizeof(k->text[0]), "%s", mark);
}

/* ---- the load ---- */

static const struct {
    const char *name, *forget, *doc;
    bool nosync;
} mutants[] = {
    {"nosync", "", "acknowledges before the sync (MDB_NOSYNC)", true},
    {"nodata", "data", "writes its head page without syncing the pages it points to", false},
    {"nofile", "media", "names a file whose content was never synced", false},
    {"noname", "dir", "names a file whose name was never synced", false},
};

static size_t mutant_of(const struct opts *o)
{
    for (size_t i = 0; o->mutant != NULL && i < ARRAY_LEN(mutants); i++) {
        if (strcmp(o->mutant, mutants[i].name) == 0) {
            return i;
        }
    }
    if (o->mutant != NULL) {
        die(EXIT_USAGE, "power: no such mutant: %s (nosync nodata nofile noname)", o->mutant);
    }
    return ARRAY_LEN(mutants);
}

/* This program again, with the recorder in front of the C library. */
static void record(const struct opts *o, char *self)
{
    size_t k = mutant_of(o);
    char seed[32];
    char turns[32];
    char dir[64];
    (void)snprintf(seed, sizeof(seed), "%llu", (unsigned long long)o->seed);
    (void)snprintf(turns, sizeof(turns), "%u", o->turns);
    (void)snprintf(dir, sizeof(dir), "%s", o->dir);
    pid_t pid = fork();
    ASSERT(pid >= 0);
    if (pid == 0) {
        char word[] = "--load";
        char sync[] = "nosync";
        char *argv[] = {self, word, dir, seed, turns, k < ARRAY_LEN(mutants) && mutants[k].nosync ? sync : NULL, NULL};
        (void)setenv("LD_PRELOAD", o->recorder, 1);
        (void)setenv("ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0", 1);
        (void)setenv("TENAZA_POWER_LOG", o->log, 1);
        (void)setenv("TENAZA_POWER_DIR", o->dir, 1);
        (void)setenv("TENAZA_POWER_FORGET", k < ARRAY_LEN(mutants) ? mutants[k].forget : "", 1);
        execv("/proc/self/exe", argv);
        _exit(127);
    }
    int status;
    ASSERT(waitpid(pid, &status, 0) == pid);
    if (status != 0) {
        die(1, "power: the load ended with status %d", status);
    }
}

static int load_main(char **argv, int argc)
{
    struct load_conf c = {.dir = argv[2], .seed = strtoull(argv[3], NULL, 10),
                          .turns = (unsigned)strtoul(argv[4], NULL, 10), .nosync = argc > 5};
    log_init("load", 0, LOG_STYLE_PLAIN, -1);
    log_set_level(LOG_L_ERROR);
    return load_run(&c) > 0 ? 0 : 1;
}

/* ---- one image ---- */

static void no_send(void *ctx, const struct store_out *m)
{
    UNUSED(ctx);
    UNUSED(m);
}

/* As a store that starts after the power is back: it opens for work and commits a turn. */
static bool works(const char *dir, char *text, size_t cap)
{
    struct conf none = {0};
    struct store *s;
    struct store_conf conf = store_conf_read(&none, dir);
    if (store_new(&conf, no_send, NULL, &s, text, cap) != 0) {
        return false;
    }
    store_turn(s, NULL, 0);
    bool ok = store_degraded(s)[0] == '\0';
    (void)snprintf(text, cap, "%s", store_degraded(s));
    store_free(s);
    return ok;
}

/* "" or what is wrong with the image. */
static void judge(const struct opts *o, const struct marks *marks, bool there, struct buf *why)
{
    struct look *l = NULL;
    char text[512];
    buf_reset(why);
    if (!there) {
        if (marks->n > 0) {
            (void)buf_printf(why, "there is no database, and %zu acknowledgements", marks->n);
        }
        return;
    }
    if (look_open(o->out, false, &l, text, sizeof(text)) != 0) {
        if (marks->n > 0 || strstr(text, "no counters") == NULL) { /* made, and nothing written into it yet */
            (void)buf_str(why, text);
        }
        return;
    }
    look_check(l, true, why);
    for (size_t i = 0; i < marks->n && why->n == 0; i++) {
        if (!load_holds(look_tx(l), marks->text[i])) {
            (void)buf_printf(why, "\"%s\" was acknowledged and is not there", marks->text[i]);
        }
        if (i % 64 == 0) {
            arena_reset(look_tx(l)->a);
        }
    }
    look_close(l);
}

static int images_main(const struct opts *o)
{
    struct images *m = images_open(o->log, o->dir, o->out);
    struct marks marks = {0};
    struct buf why = BUF_INIT(65536);
    uint64_t rng = o->seed * 0x9e3779b97f4a7c15u + 1;
    uint64_t bad = 0;
    uint64_t opened = 0;
    size_t total = images_records(m);
    crypto_init();
    for (uint64_t i = 0; i < o->images; i++) {
        size_t at = (size_t)((double)i * (double)(total - 1) / (double)o->images) + 1;
        images_advance(m, at, on_mark, &marks);
        bool there = images_make(m, (enum images_fate)(i % FATE_COUNT), &rng);
        judge(o, &marks, there, &why);
        if (why.n == 0 && there && i % REOPEN_EVERY == 0) {
            char text[512];
            if (!works(o->out, text, sizeof(text))) {
                (void)buf_printf(&why, "it cannot be opened for work: %s", text);
            }
            opened++;
            images_undo(m);
            images_restore(m);
        } else {
            images_undo(m);
        }
        if (why.n > 0 && ++bad <= SHOWN) {
            fprintf(stderr, "image %llu (after record %zu of %zu, fate %d): %s\n", (unsigned long long)i, at, total,
                    (int)(i % FATE_COUNT), buf_cstr(&why));
        }
    }
    printf("%llu images of %zu records, %zu acknowledgements, %llu also opened for work: %llu bad\n",
           (unsigned long long)o->images, total, marks.n, (unsigned long long)opened, (unsigned long long)bad);
    (void)fflush(stdout);
    images_close(m);
    xfree(marks.text);
    buf_free(&why);
    return bad > 0 ? 1 : 0;
}

/* In a process of its own: reading a broken database may end it, which is a finding too. */
static int verdict(const struct opts *o)
{
    (void)fflush(stdout);
    pid_t pid = fork();
    ASSERT(pid >= 0);
    if (pid == 0) {
        int fd = o->mutant != NULL ? open("/dev/null", O_WRONLY) : -1;
        if (fd >= 0) {
            (void)dup2(fd, STDERR_FILENO); /* damage is expected: how it looks is of no interest */
        }
        exit(images_main(o));
    }
    int status;
    ASSERT(waitpid(pid, &status, 0) == pid);
    if (WIFSIGNALED(status)) {
        printf("the check of an image was ended by signal %d\n", WTERMSIG(status));
        return 1;
    }
    return WEXITSTATUS(status);
}

static void options(struct opts *o, int argc, char **argv)
{
    for (int i = 2; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--images") == 0) {
            o->images = strtoull(argv[i + 1], NULL, 10);
        } else if (strcmp(argv[i], "--seed") == 0) {
            o->seed = strtoull(argv[i + 1], NULL, 10);
        } else if (strcmp(argv[i], "--turns") == 0) {
            o->turns = (unsigned)strtoul(argv[i + 1], NULL, 10);
        } else if (strcmp(argv[i], "--mutant") == 0) {
            o->mutant = argv[i + 1];
        } else {
            die(EXIT_USAGE, "power: unknown option %s", argv[i]);
        }
    }
}

int main(int argc, char **argv)
{
    struct opts o = {.images = 500, .seed = 1, .turns = 250};
    if (argc >= 5 && strcmp(argv[1], "--load") == 0) {
        return load_main(argv, argc);
    }
    if (argc < 2) {
        die(EXIT_USAGE, "usage: tenaza-power RECORDER [--images N] [--seed N] [--turns N] [--mutant NAME]");
    }
    o.recorder = argv[1];
    options(&o, argc, argv);
    log_init("power", 0, LOG_STYLE_PLAIN, -1);
    log_set_level(LOG_L_ERROR);
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(o.dir, sizeof(o.dir), "%s/tenaza-power-XXXXXX", base);
    (void)snprintf(o.out, sizeof(o.out), "%s/tenaza-image-XXXXXX", base);
    ASSERT(mkdtemp(o.dir) != NULL && mkdtemp(o.out) != NULL);
    (void)snprintf(o.log, sizeof(o.log), "%s.log", o.dir);
    record(&o, argv[0]);
    int bad = verdict(&o);
    rmtree(o.dir);
    rmtree(o.out);
    (void)unlink(o.log);
    if (o.mutant != NULL) {
        printf("mutant %s (%s): %s\n", o.mutant, mutants[mutant_of(&o)].doc, bad ? "caught" : "NOT CAUGHT");
        return bad ? 0 : 1;
    }
    return bad;
}
