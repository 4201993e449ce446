/*
 * fault.c: a disk that fails under load: nothing that was acknowledged is lost, nothing is acknowledged that was not
 * written, nothing is repeated as if it could be, and the store goes on when the disk does.
 * Runs in: tenaza-fault LIBRARY [--lie]     Owns: a folder in memory.
 * Never: passes with --lie (a disk that says yes and writes nothing) unless the loss was noticed.
 * Tested in: itself
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/crypto.h"
#include "common/err.h"
#include "common/log.h"
#include "tests/power/load.h"
#include "tests/power/rmtree.h"
#include "workers/store/look.h"
#include "workers/store/store_int.h"

#define TURNS 300

enum { FAULT_NONE, FAULT_SYNC, FAULT_HEAD, FAULT_FILE, FAULT_LIE, FAULT_SYNCS }; /* as in faults.c */

static void (*arm)(int what);
static unsigned (*count)(void);
static unsigned (*retries)(void);
static char (*marks)[96];
static size_t marks_n, marks_cap;
static unsigned shown, reads;
static bool lie;

static void keep(const char *mark)
{
    if (marks_n == marks_cap) {
        marks_cap = marks_cap ? marks_cap * 2 : 1024;
        marks = xrealloc(marks, marks_cap * sizeof(*marks));
    }
    (void)snprintf(marks[marks_n++], sizeof(marks[0]), "%s", mark);
}

/* One request that only reads. */
static void read_on(struct store *s)
{
    struct store_req r = {.name = "cli-1", .inc = 1, .type = MSG_STORE_STATS, .rid = UINT64_MAX, .body = SV("\x80")};
    store_turn(s, &r, 1);
    reads++;
}

/* Every seventh turn something fails; once the disk stays broken for a while. */
static void before_turn(struct store *s, unsigned t)
{
    static const int kinds[] = {FAULT_SYNC, FAULT_HEAD, FAULT_FILE};
    if (lie) {
        if (t == TURNS / 2) {
            arm(FAULT_LIE);
        }
        return;
    }
    if (store_degraded(s)[0] != '\0') {
        shown++;
        read_on(s);
    }
    if (t >= 200 && t < 230) {
        arm(t < 220 ? FAULT_SYNCS : FAULT_NONE);
    } else if (t % 7 == 3) {
        arm(kinds[t / 7 % 3]);
    }
}

static int judge(const char *dir)
{
    struct look *l = NULL;
    struct buf why = BUF_INIT(65536);
    char text[512];
    if (look_open(dir, false, &l, text, sizeof(text)) != 0) {
        fprintf(stderr, "%s\n", text);
        return 1;
    }
    look_check(l, true, &why);
    for (size_t i = 0; i < marks_n && why.n == 0; i++) {
        if (!load_holds(look_tx(l), marks[i])) {
            (void)buf_printf(&why, "\"%s\" was acknowledged and is not there\n", marks[i]);
        }
    }
    look_close(l);
    fprintf(stderr, "%s", buf_cstr(&why));
    bool bad = why.n > 0;
    buf_free(&why);
    return bad;
}

static int work(const char *dir)
{
    struct load_conf conf = {
        .dir = dir, .seed = 3, .turns = TURNS, .refused = true, .mark = keep, .before_turn = before_turn};
    *(void **)&arm = dlsym(RTLD_DEFAULT, "fault_arm");
    *(void **)&count = dlsym(RTLD_DEFAULT, "fault_count");
    *(void **)&retries = dlsym(RTLD_DEFAULT, "fault_retries");
    ASSERT(arm != NULL && count != NULL && retries != NULL);
    unsigned acks = load_run(&conf);
    printf("%u faults, %u acknowledgements, %u turns began with the failure shown, %u reads meanwhile, %u writes repeated\n",
           count(), acks, shown, reads, retries());
    (void)fflush(stdout);
    if (!lie && (count() < 30 || acks < 200 || shown < 15 || retries() != 0)) {
        fprintf(stderr, "fewer faults, acknowledgements or signs of trouble than expected, or writes were repeated\n");
        return 1;
    }
    return judge(dir);
}

int main(int argc, char **argv)
{
    char dir[64];
    char fail_word[] = "--work";
    if (argc < 2) {
        die(EXIT_USAGE, "usage: tenaza-fault LIBRARY [--lie]");
    }
    log_init("fault", 0, LOG_STYLE_PLAIN, -1);
    log_set_level(LOG_L_ERROR);
    if (strcmp(argv[1], fail_word) == 0) {
        lie = argc > 3;
        log_set_console(false); /* it would say the same a hundred times */
        return work(argv[2]);
    }
    (void)snprintf(dir, sizeof(dir), "%s/tenaza-fault-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    ASSERT(mkdtemp(dir) != NULL);
    pid_t pid = fork();
    ASSERT(pid >= 0);
    if (pid == 0) {
        char *args[] = {argv[0], fail_word, dir, argc > 2 ? argv[2] : NULL, NULL};
        (void)setenv("LD_PRELOAD", argv[1], 1);
        (void)setenv("ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0", 1);
        execv("/proc/self/exe", args);
        _exit(127);
    }
    int status;
    ASSERT(waitpid(pid, &status, 0) == pid);
    rmtree(dir);
    if (argc > 2) {
        printf("a disk that lies: %s\n", status != 0 ? "noticed" : "NOT NOTICED");
        return status != 0 ? 0 : 1;
    }
    return status != 0;
}
