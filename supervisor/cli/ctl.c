/*
 * ctl.c: the control socket of the supervisor as the command line sees it.
 * Runs in: command line.     Owns: nothing.
 * Never: waits longer than 500 ms for a connection or 5 s for an answer.
 * Tested in: tests/scn/a2-bad-input.test.mjs
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/file.h"
#include "supervisor/cli/cli.h"

#define ANSWER_MS 5000
#define ANSWER_MAX ((size_t)4 * 1024 * 1024)

bool ctl_path(const struct cli *c, char *dst, size_t cap)
{
    char *file = xasprintf("%s/runtime-dir", c->state);
    struct buf b = BUF_INIT(PATH_MAX);
    bool ok = file_read(file, &b) == OK && !sv_empty(sv_trim(buf_view(&b)));
    if (ok) {
        (void)snprintf(dst, cap, "%.*s/ctl.sock", SV_ARG(sv_trim(buf_view(&b))));
    }
    buf_free(&b);
    xfree(file);
    return ok;
}

int ctl_connect(const struct cli *c)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char path[PATH_MAX];
    if (!ctl_path(c, path, sizeof path) || !sv_copy(a.sun_path, sizeof a.sun_path, sv_of(path))) {
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        int why = errno;
        fd_close(&fd);
        if (why == EACCES || why == EPERM) {
            cli_fail(c, CLI_DENIED, "denied", "run it as root or as the user of the gateway",
                     "the control socket %s is not yours", path);
        }
    }
    return fd;
}

json_t *ctl_request(const struct cli *c, int fd, const char *request)
{
    struct buf b = BUF_INIT(ANSWER_MAX);
    char *line = xasprintf("%s\n", request);
    bool ok = fd_write_all(fd, line, strlen(line)) == OK;
    xfree(line);
    int64_t end = clock_mono_ms() + ANSWER_MS;
    while (ok && sv_chr(buf_view(&b), '\n') < 0) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = end - clock_mono_ms();
        char *room = buf_room(&b, 65536);
        ok = left > 0 && room && poll(&p, 1, (int)left) > 0;
        ssize_t n = ok ? read(fd, room, 65536) : 0;
        ok = ok && n > 0;
        b.n += ok ? (size_t)n : 0;
    }
    json_t *v = ok ? json_parse(sv_trim(buf_view(&b)), NULL, 0) : NULL;
    buf_free(&b);
    if (!v) {
        cli_fail(c, CLI_UNREACHABLE, "no_answer", "look at: tenaza logs", "the supervisor did not answer \"%s\"", request);
    }
    if (!sv_empty(json_sv(v, "error"))) {
        sv text = json_sv(v, "error");
        bool unknown = sv_eqc(json_sv(v, "code"), "unknown_worker");
        if (sv_eqc(json_sv(v, "code"), "bad_config")) {
            cli_fail(c, CLI_CONFIG, "bad_config", "nothing was changed; put it right and try again", "%.*s", SV_ARG(text));
        }
        cli_fail(c, unknown ? CLI_NOT_THERE : CLI_FAILED, unknown ? "not_found" : "refused",
                 unknown ? "the names: tenaza workers" : NULL, "%.*s", SV_ARG(text));
    }
    return v;
}

void cli_not_running(const struct cli *c, int exit_code)
{
    char path[PATH_MAX];
    /* A gateway that was started with ./run keeps its state in ./var; that is said, not guessed. */
    bool tree = !c->state_given && access("./var/runtime-dir", F_OK) == 0;
    char *hint = c->state_given ? xasprintf("start it with: tenaza run --state %s", c->state)
                 : tree         ? xasprintf("there is a state in this folder: tenaza --state ./var ...")
                                : xasprintf("start it with: tenaza run      another state directory: --state DIR");
    if (ctl_path(c, path, sizeof path)) {
        cli_fail(c, exit_code, "not_running", hint, "gateway not running (no answer on %s)", path);
    }
    cli_fail(c, exit_code, "not_running", hint, "gateway not running (no state in %s)", c->state);
}
