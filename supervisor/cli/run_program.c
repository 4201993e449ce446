/*
 * run_program.c: runs a program of the system (systemctl, systemd-sysusers) for the operator and waits for it.
 * Runs in: command line.     Owns: the child until it has ended.
 * Never: a shell; waits without a deadline.
 * Tested in: tests/scn/s1-service.test.mjs
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "supervisor/cli/cli.h"

extern char **environ;

/* What it prints goes to *out as far as that has room; false: the time is over. */
static bool collect(int fd, int pidfd, struct buf *out)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char part[4096];

    for (;;) {
        if (poll(&p, 1, CLI_PROGRAM_MS) <= 0) {
            (void)pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
            return false;
        }
        ssize_t n = read(fd, part, sizeof part);
        if (n <= 0) {
            return true;
        }
        if (out != NULL) {
            buf_add(out, part, (size_t)n);
        }
    }
}

int cli_program(const char *const *argv, struct buf *out)
{
    int pipe_fds[2];
    posix_spawn_file_actions_t files;
    pid_t pid = 0;
    siginfo_t end = {0};

    if (pipe2(pipe_fds, O_CLOEXEC) != 0) {
        return -1;
    }
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, pipe_fds[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, pipe_fds[1], STDERR_FILENO);
    char *words[CLI_PROGRAM_WORDS + 1] = {0};
    for (size_t i = 0; argv[i] != NULL && i < CLI_PROGRAM_WORDS; i++) {
        words[i] = xstrdup(argv[i]);
    }
    int rc = posix_spawnp(&pid, argv[0], &files, NULL, words, environ);
    posix_spawn_file_actions_destroy(&files);
    for (size_t i = 0; words[i] != NULL; i++) {
        xfree(words[i]);
    }
    fd_close(&pipe_fds[1]);
    if (rc != 0) {
        fd_close(&pipe_fds[0]);
        return -1;
    }
    int pidfd = pidfd_open(pid, 0);
    bool in_time = pidfd >= 0 && collect(pipe_fds[0], pidfd, out);
    (void)waitid(P_PID, (id_t)pid, &end, WEXITED);
    fd_close(&pidfd);
    fd_close(&pipe_fds[0]);
    return in_time && end.si_code == CLD_EXITED ? end.si_status : -1;
}
