/*
 * fake_systemd.c: the part of a service manager that hands over sockets: socket activation, the store of descriptors,
 *                 and starting the service again when it ends.
 * Runs in: scenarios: fake_systemd [--listen PORT] PROGRAM [ARGUMENT...]; SIGTERM ends the program and then itself.
 * Owns: the listening socket it made, the descriptors that were given to it, the program.
 * Never: installed.
 * Tested in: tests/scn/h3-edge.test.mjs
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "common/sv.h"

#define KEPT_MAX 16
#define FIRST_FD 3
#define PARKING 100

static struct kept {
    int fd;
    char name[128];
} kept[KEPT_MAX];
static size_t kept_n;
static int notify_fd;
static pid_t program;
static volatile sig_atomic_t asked_to_stop;

static void on_term(int sig)
{
    (void)sig;
    asked_to_stop = 1;
    if (program > 0) {
        (void)kill(program, SIGTERM);
    }
}

static void keep(int fd, const char *name)
{
    if (kept_n == KEPT_MAX) {
        close(fd);
        return;
    }
    kept[kept_n].fd = fcntl(fd, F_DUPFD_CLOEXEC, PARKING);
    snprintf(kept[kept_n].name, sizeof kept[kept_n].name, "%s", name);
    kept_n++;
    close(fd);
}

static void forget(const char *name)
{
    for (size_t i = 0; i < kept_n; i++) {
        if (strcmp(kept[i].name, name) == 0) {
            close(kept[i].fd);
            kept[i--] = kept[--kept_n];
        }
    }
}

static void listen_on(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 64) != 0) {
        exit(EXIT_UNAVAILABLE);
    }
    keep(fd, "edge");
}

/* An abstract address: nothing to clean up. */
static void open_notify(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char name[64];
    int n = snprintf(a.sun_path + 1, sizeof a.sun_path - 1, "tenaza-fake-systemd-%d", (int)getpid());
    notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bind(notify_fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) != 0) {
        exit(EXIT_UNAVAILABLE);
    }
    snprintf(name, sizeof name, "@%.60s", a.sun_path + 1);
    setenv("NOTIFY_SOCKET", name, 1);
}

static void hear(void)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } aux;
    char text[1024], name[128] = "";
    struct iovec iov = {text, sizeof text - 1};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = aux.bytes, .msg_controllen = sizeof aux.bytes};
    ssize_t n = recvmsg(notify_fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n <= 0) {
        return;
    }
    text[n] = '\0';
    const char *named = strstr(text, "FDNAME=");
    if (named != NULL) {
        sv rest = sv_of(named + strlen("FDNAME="));
        sv_copy(name, sizeof name, sv_cut(&rest, '\n'));
    }
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (c != NULL && c->cmsg_type == SCM_RIGHTS) {
        int fd;
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
        keep(fd, name);
    } else if (strstr(text, "FDSTOREREMOVE=1") != NULL) {
        forget(name);
    }
}

static void start(char **argv)
{
    program = fork();
    if (program != 0) {
        return;
    }
    char names[KEPT_MAX * 130] = "", number[24];
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0; i < kept_n; i++) {
        size_t n = strlen(names);
        (void)dup2(kept[i].fd, FIRST_FD + (int)i);
        snprintf(names + n, sizeof names - n, "%s%s", i ? ":" : "", kept[i].name);
    }
    snprintf(number, sizeof number, "%zu", kept_n);
    setenv("LISTEN_FDS", number, 1);
    setenv("LISTEN_FDNAMES", names, 1);
    snprintf(number, sizeof number, "%d", (int)getpid());
    setenv("LISTEN_PID", number, 1);
    execv(argv[0], argv);
    _exit(127);
}

int main(int argc, char **argv)
{
    int first = 1;
    uint64_t port = 0;
    if (argc > 3 && strcmp(argv[1], "--listen") == 0 && sv_u64(sv_of(argv[2]), &port)) {
        listen_on((int)port);
        first = 3;
    }
    if (first >= argc) {
        return EXIT_USAGE;
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_term}, NULL);
    open_notify();
    start(argv + first);
    for (;;) {
        struct pollfd p = {.fd = notify_fd, .events = POLLIN};
        (void)poll(&p, 1, 20);
        hear();
        if (waitpid(program, NULL, WNOHANG) == program) {
            if (asked_to_stop) {
                return 0;
            }
            start(argv + first);
        }
    }
}
