/*
 * doctor_system.c: checks of the clock, the port, the running workers, the sandbox and the service.
 * Runs in: command line.     Owns: nothing.
 * Never: keeps a port; waits for a worker.
 * Tested in: tests/scn/s3-doctor.test.mjs
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/landlock.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "supervisor/cli/doctor.h"

/* 2026-01-01: this program is not older. */
#define BUILT_MS INT64_C(1767225600000)

void doctor_clock(struct doctor *d)
{
    struct timex t = {0};
    char now[CLOCK_ISO_LEN];

    clock_iso(clock_real_ms(), now);
    if (clock_real_ms() < BUILT_MS) {
        doctor_say(d, DOCTOR_BAD, "timedatectl set-ntp true", "it is not %s: certificates and timers will be wrong", now);
    } else if (adjtimex(&t) == TIME_ERROR) {
        doctor_say(d, DOCTOR_WARN, "timedatectl set-ntp true", "%s, but nothing keeps it right (not synchronised)", now);
    }
    doctor_say(d, DOCTOR_OK, NULL, "%s", now);
}

/* 0, or errno of trying to listen there. */
static int try_port(const char *bind_to, int port)
{
    bool lan = strcmp(bind_to, "lan") == 0;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(lan ? INADDR_ANY : INADDR_LOOPBACK)};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)inet_pton(AF_INET, bind_to, &a.sin_addr); /* a literal address */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    int rc = fd >= 0 && bind(fd, (const struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 1) == 0 ? 0 : errno;
    fd_close(&fd);
    return rc;
}

void doctor_port(struct doctor *d)
{
    int port = (int)cfg_int(&d->cfg, "edge.port");
    const char *bind_to = cfg_str(&d->cfg, "edge.bind");

    if (d->status != NULL) {
        sv url = json_sv(d->status, "url");
        doctor_say(d, DOCTOR_OK, NULL, "%.*s", SV_ARG(url));
        return;
    }
    int rc = try_port(bind_to, port);
    if (rc != 0) {
        doctor_say(d, DOCTOR_BAD, "tenaza run --port N, or edge.port in the configuration", "%s port %d cannot be used: %s", bind_to, port,
                   rc == EADDRINUSE ? "another program listens there" : strerror(rc));
        return;
    }
    doctor_say(d, DOCTOR_OK, NULL, "%s port %d is free", bind_to, port);
}

static const json_t *workers_of(const struct doctor *d)
{
    return json_at(d->status, "workers");
}

void doctor_workers(struct doctor *d)
{
    size_t n = json_array_size(workers_of(d));

    if (d->status == NULL) {
        doctor_say(d, DOCTOR_WARN, "tenaza run, or: systemctl start tenaza", "the gateway is not running");
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *w = json_array_get(workers_of(d), i);
        sv alarm = json_sv(w, "alarm"), last = json_sv(w, "lastExit");
        if (!sv_eqc(json_sv(w, "state"), "ready") && !sv_eqc(json_sv(w, "kind"), "store")) {
            char *fix = xasprintf("tenaza logs -w %.*s", SV_ARG(json_sv(w, "name")));
            sv why = sv_empty(alarm) ? last : alarm;
            doctor_say(d, DOCTOR_BAD, fix, "%.*s is %.*s: %.*s", SV_ARG(json_sv(w, "name")), SV_ARG(json_sv(w, "state")), SV_ARG(why));
            xfree(fix);
        }
    }
    doctor_say(d, DOCTOR_OK, NULL, "%zu, all ready", n);
}

void doctor_store(struct doctor *d)
{
    for (size_t i = 0; i < json_array_size(workers_of(d)); i++) {
        const json_t *w = json_array_get(workers_of(d), i);
        if (sv_eqc(json_sv(w, "kind"), "store")) {
            bool ok = sv_eqc(json_sv(w, "state"), "ready");
            sv words = ok ? json_sv(w, "status") : json_sv(w, "lastExit");
            doctor_say(d, ok ? DOCTOR_OK : DOCTOR_BAD, ok ? NULL : "tenaza logs -w store", "%.*s%s%.*s", SV_ARG(json_sv(w, "state")),
                       sv_empty(words) ? "" : ": ", SV_ARG(words));
        }
    }
    char *db = xasprintf("%s/db/data.mdb", d->cli->state);
    if (d->status == NULL) {
        bool there = access(db, F_OK) == 0 || errno != ENOENT;
        doctor_say(d, DOCTOR_OK, NULL, there ? "there is a database; it is checked when the gateway runs: tenaza status --all" : "made at the first start");
    }
    xfree(db);
}

/* Walls that any worker lacks, as they reported it. */
static void lost_walls(struct doctor *d)
{
    struct buf words = BUF_INIT(1024);
    sv why = SV_NULL;

    for (size_t i = 0; i < json_array_size(workers_of(d)); i++) {
        const json_t *s = json_at(json_array_get(workers_of(d), i), "security");
        const json_t *lost = json_at(s, "lost");
        why = sv_empty(why) ? json_sv(s, "why") : why;
        for (size_t k = 0; k < json_array_size(lost); k++) {
            const char *word = json_string_value(json_array_get(lost, k));
            if (word != NULL && sv_find(buf_view(&words), sv_of(word)) < 0) {
                buf_printf(&words, "%s%s", words.n > 0 ? ", " : "", word);
            }
        }
    }
    if (words.n > 0) {
        doctor_say(d, DOCTOR_WARN, "tenaza workers --security says what each means", "lost: %s (%.*s)", buf_cstr(&words), SV_ARG(why));
    }
    buf_free(&words);
}

void doctor_sandbox(struct doctor *d)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    bool seccomp = access("/proc/sys/kernel/seccomp/actions_avail", F_OK) == 0;

    if (strcmp(cfg_str(&d->cfg, "supervisor.sandbox"), "off") == 0) {
        doctor_say(d, DOCTOR_BAD, "take supervisor.sandbox out of the configuration", "switched off (supervisor.sandbox = \"off\")");
    }
    if (abi <= 0) {
        doctor_say(d, DOCTOR_WARN, "a kernel with CONFIG_SECURITY_LANDLOCK, and landlock in its lsm= list", "this kernel has no Landlock: files are separated by users alone");
    }
    if (!seccomp) {
        doctor_say(d, DOCTOR_WARN, "a kernel with CONFIG_SECCOMP_FILTER", "this kernel has no seccomp: workers can start programs");
    }
    lost_walls(d);
    doctor_say(d, DOCTOR_OK, NULL, "Landlock %ld, seccomp", abi);
}

/* The program in ExecStart= of a unit; "" when there is none. */
static void unit_program(const char *unit, char dst[PATH_MAX])
{
    struct buf text = BUF_INIT(65536);

    dst[0] = '\0';
    if (file_read(unit, &text) == 0) {
        ptrdiff_t at = sv_find(buf_view(&text), SV("\nExecStart="));
        if (at >= 0) {
            sv rest = sv_sub(buf_view(&text), (size_t)at + strlen("\nExecStart="), text.n);
            sv line = sv_cut(&rest, '\n');
            (void)sv_copy(dst, PATH_MAX, sv_cut(&line, ' '));
        }
    }
    buf_free(&text);
}

void doctor_service(struct doctor *d)
{
    static const char *const units[] = {"/etc/systemd/system/tenaza.service", "/lib/systemd/system/tenaza.service",
                                        "/usr/lib/systemd/system/tenaza.service"};
    char program[PATH_MAX];

    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (access(units[i], F_OK) != 0) {
            continue;
        }
        unit_program(units[i], program);
        if (program[0] != '/' || access(program, X_OK) != 0) {
            doctor_say(d, DOCTOR_BAD, "tenaza service install", "%s starts %s, which is not there", units[i], program[0] ? program : "nothing");
        }
        doctor_say(d, DOCTOR_OK, NULL, "%s", units[i]);
        return;
    }
    doctor_say(d, DOCTOR_OK, NULL, "no unit is installed (tenaza service install makes one)");
}
