/*
 * log.h: structured log lines (logfmt), one write(2) each, at most 4 KiB.
 * Runs in: every process.     Owns: the log level, the worker's name tag, the log descriptors.
 * Never: prints a secret. There is no way to pass one: secrets live in struct secret, which has no format.
 * Tested in: tests/unit/common/test_log.c
 */
#ifndef TENAZA_COMMON_LOG_H
#define TENAZA_COMMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/attrs.h"
#include "common/sv.h"

enum log_level { LOG_L_ERROR, LOG_L_WARN, LOG_L_INFO, LOG_L_DEBUG, LOG_L_TRACE };

/* Where journald takes datagrams. */
#define LOG_JOURNAL_SOCKET "/run/systemd/journal/socket"

enum log_style {
    LOG_STYLE_PLAIN,   /* "18:00:00 INFO edge  text": a terminal or a redirected stderr */
    LOG_STYLE_PREFIX,  /* "<6>w=edge inc=3 msg=...": a pipe to a log daemon that knows priorities */
    LOG_STYLE_JOURNAL, /* journald's own protocol, one datagram a line; the console is a datagram socket */
};
bool log_style_parse(const char *text, enum log_style *out); /* "plain", "prefix", "journal" */
const char *log_style_name(enum log_style style);

/*
 * name: worker name; inc: incarnation (0 in the supervisor and the command line).
 * file_fd: descriptor that gets every line as JSON (see `tenaza logs`), or -1.
 */
void log_init(const char *name, uint64_t inc, enum log_style style, int file_fd);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* Where the lines for people go, -1: nowhere, only to file_fd. stderr until this is called. */
void log_set_console(int fd);
bool log_level_parse(const char *text, enum log_level *out);
const char *log_level_name(enum log_level level);
/* Extra copy of each line in the plain form, for the flight recorder; may be NULL. */
extern void (*log_tap)(const char *line, size_t n);

/*
 * What is being worked on: appears in every line while it lasts, and in the flight recorder after a death.
 * message: number of messages.def, 0: none. run: run id. trace: 16 bytes, as in the envelope. Both may be absent.
 */
struct log_context {
    uint16_t message;
    bool busy;     /* false: the message is the last one that was handled */
    int64_t at_ms; /* real time when it began */
    char run[129];
    char trace[33]; /* hexadecimal */
};
void log_context_set(uint16_t message, sv run, sv trace);
void log_context_end(void);
void log_context_move(struct log_context *to); /* from now on it stands there */
const struct log_context *log_context_now(void);

/* A line of another process, which could not write it itself: stray output that its parent read. */
struct log_origin {
    const char *name;
    uint64_t inc;
    int32_t pid;
};
void log_foreign(const struct log_origin *from, enum log_level level, sv text);

/* At most 10 lines a second per call site; what was left out is counted on the next line. NULL: no limit. */
struct log_site {
    int64_t window_ms;
    uint32_t count, dropped;
};
void log_at(struct log_site *site, enum log_level level, const char *fmt, ...) ATTR_PRINTF(3, 4);

#define LOG_(level, ...)                                                                           \
    do {                                                                                           \
        static struct log_site log_site_;                                                          \
        log_at(&log_site_, level, __VA_ARGS__);                                                    \
    } while (0)
#define log_error(...) LOG_(LOG_L_ERROR, __VA_ARGS__)
#define log_warn(...) LOG_(LOG_L_WARN, __VA_ARGS__)
#define log_info(...) LOG_(LOG_L_INFO, __VA_ARGS__)
#define log_debug(...) LOG_(LOG_L_DEBUG, __VA_ARGS__)
#define log_trace(...) LOG_(LOG_L_TRACE, __VA_ARGS__)

#endif
