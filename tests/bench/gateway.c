/*
 * gateway.c: see gateway.h. Processes die with the bench (PR_SET_PDEATHSIG), so that nothing is left behind.
 * Runs in: tenaza-bench.     Owns: child processes, the temporary directory.
 * Never: uses a port other than the free ones it was given by the kernel.
 * Tested in: every bench run
 */
#include "tests/bench/gateway.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/file.h"
#include "tests/bench/ws.h"

static int free_port(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t n = sizeof a;
    if (bind(fd, (struct sockaddr *)&a, n) != 0 || getsockname(fd, (struct sockaddr *)&a, &n) != 0) {
        die(EXIT_UNAVAILABLE, "bench: no free port");
    }
    close(fd);
    return ntohs(a.sin_port);
}

static pid_t spawn(char *const argv[])
{
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        dup2(null, 0);
        dup2(null, 1);
        dup2(null, 2);
        execv(argv[0], argv);
        _exit(127);
    }
    return pid;
}

static void nap_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

void gateway_prepare(struct gateway *g, const char *build)
{
    *g = (struct gateway){.port = free_port()};
    snprintf(g->dir, sizeof g->dir, "/tmp/tenaza-bench-XXXXXX");
    if (!mkdtemp(g->dir)) {
        die(EXIT_CANTCREAT, "bench: cannot make a directory below /tmp");
    }
    int model_port = free_port();
    struct buf conf = BUF_INIT(8192);
    buf_printf(&conf,
               "edge = { port = %d; maxConnections = 12000; };\nagents = { workers = 2; defaults = { model = { primary = \"fake/fake-1\"; }; }; };\n"
               "models = { autodetect = false; providers = { fake = { api = \"openai-completions\";\n"
               "baseUrl = \"http://127.0.0.1:%d/v1\"; models = ( { id = \"fake-1\"; contextWindow = 32768; } ); }; }; };\n",
               g->port, model_port);
    char *path = xasprintf("%s/tenaza.conf", g->dir);
    if (file_replace(path, buf_view(&conf), 0600) != OK) {
        die(EXIT_CANTCREAT, "bench: cannot write %s", path);
    }
    xfree(path);
    buf_free(&conf);
    char *exe = xasprintf("%s/tests/fakes/fake_llm", build);
    char *port = xasprintf("%d", model_port);
    g->model = spawn((char *[]){exe, (char *)(uintptr_t) "--port", port, NULL});
    xfree(exe);
    xfree(port);
    nap_ms(200);
}

static bool read_token(struct gateway *g)
{
    char *path = xasprintf("%s/state/gateway.token", g->dir);
    struct buf b = BUF_INIT(sizeof g->token - 1);
    bool ok = file_read(path, &b) == OK && b.n > 0 && sv_copy(g->token, sizeof g->token, sv_trim(buf_view(&b)));
    buf_free(&b);
    xfree(path);
    return ok;
}

long gateway_start(struct gateway *g, const char *build)
{
    char *exe = xasprintf("%s/tenaza", build);
    char *conf = xasprintf("%s/tenaza.conf", g->dir);
    char *state = xasprintf("%s/state", g->dir);
    char run[] = "run", c[] = "-c", s[] = "--state";
    int64_t t0 = clock_mono_us();
    g->gateway = spawn((char *[]){exe, run, c, conf, s, state, NULL});
    struct ws w;
    for (;;) {
        if (clock_mono_us() - t0 > 20000000) {
            die(EXIT_UNAVAILABLE, "bench: the gateway did not say hello within 20 s; state in %s", g->dir);
        }
        if (read_token(g) && ws_connect(&w, g->port, g->token)) {
            break;
        }
        nap_ms(1);
    }
    long us = (long)(clock_mono_us() - t0);
    ws_close(&w);
    xfree(exe);
    xfree(conf);
    xfree(state);
    return us;
}

void gateway_stop(struct gateway *g)
{
    if (g->gateway > 0) {
        kill(g->gateway, SIGTERM);
        waitpid(g->gateway, NULL, 0);
        g->gateway = 0;
    }
    if (g->model > 0) {
        kill(g->model, SIGTERM);
        waitpid(g->model, NULL, 0);
        g->model = 0;
    }
    pid_t rm = fork();
    if (rm == 0) {
        execl("/bin/rm", "rm", "-rf", "--", g->dir, (char *)NULL);
        _exit(127);
    }
    waitpid(rm, NULL, 0);
}

static long field_of(const char *path, const char *key)
{
    FILE *f = fopen(path, "re");
    char line[256];
    long value = -1;
    while (f && value < 0 && fgets(line, sizeof line, f)) {
        if (strncmp(line, key, strlen(key)) == 0) {
            value = strtol(line + strlen(key), NULL, 10);
        }
    }
    if (f) {
        fclose(f);
    }
    return value;
}

/* Calls fn for the supervisor and each of its children. */
static void each_process(const struct gateway *g, void (*fn)(void *ctx, long pid), void *ctx)
{
    DIR *d = opendir("/proc");
    for (struct dirent *e; d && (e = readdir(d));) {
        long pid = strtol(e->d_name, NULL, 10);
        char path[64];
        snprintf(path, sizeof path, "/proc/%ld/status", pid);
        if (pid > 0 && (pid == g->gateway || field_of(path, "PPid:") == g->gateway)) {
            fn(ctx, pid);
        }
    }
    if (d) {
        closedir(d);
    }
}

static void add_memory(void *ctx, long pid)
{
    struct memory *m = ctx;
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/smaps_rollup", pid);
    long pss = field_of(path, "Pss:");
    if (pss > 0) {
        m->pss += pss;
        m->anon += field_of(path, "Pss_Anon:");
        m->shmem += field_of(path, "Pss_Shmem:");
        m->file += field_of(path, "Pss_File:");
        m->n++;
    }
}

struct memory gateway_memory(const struct gateway *g)
{
    struct memory m = {0};
    each_process(g, add_memory, &m);
    return m;
}

long gateway_pss_kib(const struct gateway *g, int *n)
{
    struct memory m = gateway_memory(g);
    *n = m.n;
    return m.pss;
}

struct wakeups {
    long sum;
    int threads;
};

static void add_wakeups(void *ctx, long pid)
{
    struct wakeups *w = ctx;
    char path[320];
    snprintf(path, sizeof path, "/proc/%ld/task", pid);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof path, "/proc/%ld/task/%s/status", pid, e->d_name);
        long n = e->d_name[0] == '.' ? -1 : field_of(path, "voluntary_ctxt_switches:");
        if (n >= 0) {
            w->sum += n;
            w->threads++;
        }
    }
    if (d) {
        closedir(d);
    }
}

long gateway_wakeups(const struct gateway *g, int *threads)
{
    struct wakeups w = {0};
    each_process(g, add_wakeups, &w);
    *threads = w.threads;
    return w.sum;
}

/* The kernel keeps 15 characters of the name. */
static bool runs(long pid, const char *exe)
{
    char path[64], name[32] = "";
    snprintf(path, sizeof path, "/proc/%ld/comm", pid);
    FILE *f = fopen(path, "re");
    bool ok = f && fgets(name, sizeof name, f) && strncmp(name, exe, 15 < strlen(exe) ? 15 : strlen(exe)) == 0;
    if (f) {
        fclose(f);
    }
    return ok;
}

/* 0: no such process */
static long worker_pid(const struct gateway *g, const char *exe)
{
    long found = 0;
    DIR *d = opendir("/proc");
    for (struct dirent *e; d && found == 0 && (e = readdir(d));) {
        long pid = strtol(e->d_name, NULL, 10);
        char path[64];
        snprintf(path, sizeof path, "/proc/%ld/status", pid);
        if (pid > 0 && field_of(path, "PPid:") == g->gateway && runs(pid, exe)) {
            found = pid;
        }
    }
    if (d) {
        closedir(d);
    }
    return found;
}

long gateway_private_kib(const struct gateway *g, const char *exe)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/smaps_rollup", worker_pid(g, exe));
    return field_of(path, "Private_Dirty:");
}

long gateway_cpu_us(const struct gateway *g, const char *exe)
{
    char path[64], line[1024] = "";
    unsigned long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%ld/stat", worker_pid(g, exe));
    FILE *f = fopen(path, "re");
    const char *p = f && fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL;
    for (int i = 0; p && i < 12; i++) { /* fields 14 and 15; the name, which may hold blanks, is field 2 */
        p = strchr(p + 1, ' ');
    }
    if (p) {
        char *end;
        user = strtoul(p, &end, 10);
        system = strtoul(end, NULL, 10);
    }
    if (f) {
        fclose(f);
    }
    return (long)(user + system) * (1000000 / sysconf(_SC_CLK_TCK));
}
