/*
 * part_supervise.c: how fast a death is noticed and mended, and what a thousand killed edges cost their clients.
 * Runs in: tenaza-bench.     Owns: one gateway, the processes that make the load.
 * Never: kills a process that is not the gateway's.
 * Tested in: itself; a figure that cannot be measured ends the program with exit code 1
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/file.h"
#include "common/json.h"
#include "tests/bench/bench.h"
#include "tests/bench/gateway.h"

#define DEATHS 100       /* for the time to notice */
#define FIRST_DEATHS 20  /* with the backoff of a first death */
#define EDGE_KILLS 1000
#define EDGE_MS 180000   /* then it is enough, however many there were */
#define LET_LIVE 3       /* each so manieth edge becomes ready before it is killed */
#define CALLERS 4
#define PATIENCE_MS 20000

/* ---- the control socket ---------------------------------------------------------------------------------- */

static int dial(const struct gateway *g)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char *file = xasprintf("%s/state/runtime-dir", g->dir);
    struct buf b = BUF_INIT(4096);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (file_read(file, &b) != OK) {
        die(1, "bench: %s cannot be read", file);
    }
    snprintf(a.sun_path, sizeof a.sun_path, "%.*s/ctl.sock", SV_ARG(sv_trim(buf_view(&b))));
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        die(1, "bench: no control socket at %s", a.sun_path);
    }
    buf_free(&b);
    xfree(file);
    return fd;
}

static json_t *ask(int fd, const char *request)
{
    struct buf b = BUF_INIT((size_t)1024 * 1024);
    if (write(fd, request, strlen(request)) != (ssize_t)strlen(request)) {
        die(1, "bench: the supervisor does not listen");
    }
    while (b.n == 0 || b.p[b.n - 1] != '\n') {
        char *room = buf_room(&b, 65536);
        ssize_t n = room ? read(fd, room, 65536) : 0;
        if (n <= 0) {
            die(1, "bench: the supervisor does not answer");
        }
        b.n += (size_t)n;
    }
    json_t *v = json_parse(sv_trim(buf_view(&b)), NULL, 0);
    buf_free(&b);
    return v;
}

struct seen {
    pid_t pid;
    bool ready;
};

static struct seen look(int fd, const char *name)
{
    struct seen s = {0};
    json_t *status = ask(fd, "status\n");
    const json_t *list = json_at(status, "workers");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *w = json_array_get(list, i);
        if (sv_eqc(json_sv(w, "name"), name)) {
            s = (struct seen){(pid_t)json_i64(w, "pid", 0), sv_eqc(json_sv(w, "state"), "ready")};
        }
    }
    json_free(&status);
    return s;
}

/* Looks as fast as answers come. */
static int64_t until_ready(int fd, const char *name, pid_t not_this)
{
    int64_t end = clock_mono_ms() + PATIENCE_MS;
    for (;;) {
        struct seen s = look(fd, name);
        if (s.ready && s.pid != not_this) {
            return clock_mono_us();
        }
        if (clock_mono_ms() > end) {
            die(1, "bench: %s is not back after %d s", name, PATIENCE_MS / 1000);
        }
    }
}

static int64_t until_noticed(int fd, const char *name, pid_t dead)
{
    int64_t end = clock_mono_ms() + PATIENCE_MS;
    while (look(fd, name).pid == dead) {
        if (clock_mono_ms() > end) {
            die(1, "bench: nobody notices that %s is dead", name);
        }
    }
    return clock_mono_us();
}

static void reset(int fd, const char *name)
{
    char *request = xasprintf("worker reset %s\n", name);
    json_t *v = ask(fd, request);
    json_free(&v);
    xfree(request);
}

/* ---- deaths ---------------------------------------------------------------------------------------------- */

static void measure_deaths(int fd)
{
    struct samples notice = {0}, start = {0}, again = {0};
    for (int i = 0; i < DEATHS + FIRST_DEATHS; i++) {
        pid_t pid = look(fd, "cron").pid;
        int64_t t0 = clock_mono_us();
        if (pid <= 0 || kill(pid, SIGKILL) != 0) {
            die(1, "bench: there is no worker to kill");
        }
        if (i < DEATHS) {
            int64_t t1 = until_noticed(fd, "cron", pid);
            sample(&notice, (long)(t1 - t0));
            reset(fd, "cron"); /* at once, without its backoff */
            sample(&start, (long)(until_ready(fd, "cron", pid) - t1));
        } else {
            sample(&again, (long)(until_ready(fd, "cron", pid) - t0));
        }
        reset(fd, "cron");
    }
    printf("| a death is noticed (%d kills, seen from outside) | p50 %.2f ms, p99 %.2f ms | |\n", DEATHS,
           percentile(&notice, .5), percentile(&notice, .99));
    printf("| a worker starts: asked to ready | p50 %.1f ms, p99 %.1f ms | |\n", percentile(&start, .5),
           percentile(&start, .99));
    printf("| ready again after a first death (backoff 250 ms +-20 %%) | p50 %.0f ms, p99 %.0f ms | |\n",
           percentile(&again, .5), percentile(&again, .99));
    samples_free(&notice);
    samples_free(&start);
    samples_free(&again);
}

/* ---- the edge under load ---------------------------------------------------------------------------------- */

struct counts {
    unsigned long ok, refused, cut, late;
};

static void call_once(int port, struct counts *n)
{
    static const char request[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct timeval patience = {.tv_sec = 10};
    char answer[1024];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        n->refused++;
    } else if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) < 0) {
        n->cut++;
    } else {
        ssize_t got = recv(fd, answer, sizeof answer, 0);
        bool fine = got > 12 && memcmp(answer, "HTTP/1.1 200", 12) == 0;
        bool late = got < 0 && errno == EAGAIN;
        n->ok += fine;
        n->late += late;
        n->cut += !fine && !late;
    }
    close(fd);
}

static void caller(int port, struct counts *n)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        call_once(port, n);
    }
}

static int kill_edges(int fd)
{
    int64_t end = clock_mono_ms() + EDGE_MS;
    int kills = 0;
    for (; kills < EDGE_KILLS && clock_mono_ms() < end; kills++) {
        pid_t pid = look(fd, "edge").pid;
        if (pid <= 0 || kill(pid, SIGKILL) != 0) {
            die(1, "bench: there is no edge to kill");
        }
        (void)until_noticed(fd, "edge", pid);
        reset(fd, "edge"); /* at once, without its backoff */
        if (kills % LET_LIVE == 0) {
            (void)until_ready(fd, "edge", pid); /* the others die while they start */
        }
    }
    return kills;
}

static void measure_edge(const struct gateway *g, int fd)
{
    struct counts *n = mmap(NULL, CALLERS * sizeof *n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct counts all = {0};
    pid_t callers[CALLERS];
    if (n == MAP_FAILED) {
        die(1, "bench: no memory to share");
    }
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = fork();
        if (callers[i] == 0) {
            caller(g->port, &n[i]);
        }
    }
    int64_t t0 = clock_mono_ms();
    int kills = kill_edges(fd);
    double seconds = (double)(clock_mono_ms() - t0) / 1000;
    for (int i = 0; i < CALLERS; i++) {
        (void)kill(callers[i], SIGKILL);
        (void)waitpid(callers[i], NULL, 0);
        all.ok += n[i].ok;
        all.refused += n[i].refused;
        all.cut += n[i].cut;
        all.late += n[i].late;
    }
    printf("| connections refused during %d edge kills under load | %lu refused, %lu unanswered | %.1f kills/s |\n", kills,
           all.refused, all.late, kills / seconds);
    printf("| requests meanwhile | %lu answered, %lu cut in the middle by the kill | %.0f/s |\n", all.ok, all.cut,
           (double)all.ok / seconds);
    (void)munmap(n, CALLERS * sizeof *n);
}

/* ---- bystanders ------------------------------------------------------------------------------------------- */

static bool is_victim(sv name)
{
    return sv_eqc(name, "cron") || sv_eqc(name, "edge");
}

static void report_bystanders(const json_t *before, int fd)
{
    const json_t *list = json_at(before, "workers");
    int n = 0, changed = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *w = json_array_get(list, i);
        char name[136];
        if (!is_victim(json_sv(w, "name")) && sv_copy(name, sizeof name, json_sv(w, "name"))) {
            n++;
            changed += look(fd, name).pid != (pid_t)json_i64(w, "pid", 0);
        }
    }
    printf("| bystanders with another pid afterwards | %d of %d | |\n", changed, n);
}

void part_supervise(const char *build)
{
    struct gateway g;

    gateway_prepare(&g, build);
    (void)gateway_start(&g, build);
    int fd = dial(&g);
    (void)until_ready(fd, "cron", 0);
    json_t *before = ask(fd, "status\n");
    measure_deaths(fd);
    measure_edge(&g, fd);
    report_bystanders(before, fd);
    json_free(&before);
    close(fd);
    gateway_stop(&g);
}
