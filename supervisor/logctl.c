/*
 * logctl.c: the log while it runs: another level, for all or for one worker; the file opened anew.
 * Runs in: supervisor.     Owns: nothing.
 * Never: loses the old log file before the new one is open.
 * Tested in: tests/scn/o2-metrics.test.mjs
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/file.h"
#include "common/log.h"
#include "supervisor/sup.h"

void logctl_level(struct sup *s, struct child *only, enum log_level level)
{
    const struct ctl_packet p = {.type = CTL_LOG_LEVEL, .num = (uint64_t)level};

    if (only == NULL) {
        sv_copy(s->log_level, sizeof s->log_level, sv_of(log_level_name(level)));
        log_set_level(level);
    }
    for (size_t i = 0; i < s->child_n; i++) {
        struct child *c = s->children[i];
        if (only == NULL || only == c) {
            /* What holds for one lasts over its restarts, until a level for all is set. */
            sv_copy(c->log_level, sizeof c->log_level, only == c ? sv_of(log_level_name(level)) : SV(""));
            ctlchan_send(c, &p);
        }
    }
}

void logctl_reopen(struct sup *s)
{
    const struct ctl_packet p = {.type = CTL_LOG_FILE};

    if (s->log_fd < 0) {
        return;
    }
    int fd = dirs_log_open(s);
    if (fd < 0) {
        log_error("the log file cannot be opened anew, the old one stays in use: %s", strerror(errno));
        return;
    }
    /* Under the same number: everybody who knows it goes on in the new file. */
    int rc = dup3(fd, s->log_fd, O_CLOEXEC);
    for (size_t i = 0; rc >= 0 && i < s->child_n; i++) {
        struct child *c = s->children[i];
        if (c->ctl >= 0 && ctl_send(c->ctl, &p, fd) != OK) {
            log_warn("%s: goes on in the old log file until it is restarted: it does not take packets now", c->name);
        }
    }
    fd_close(&fd);
    log_info("log file opened anew");
}
