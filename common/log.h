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

enum log_level { LOG_L_ERROR, LOG_L_WARN, LOG_L_INFO, LOG_L_DEBUG, LOG_L_TRACE };

enum log_style {
    LOG_STYLE_PLAIN,   /* "18:00:00 INFO edge  text": a terminal or a redirected stderr */
    LOG_STYLE_JOURNAL, /* "<6>w=edge inc=3 msg=...": stderr is journald */
};

/*
 * name: worker name; inc: incarnation (0 in the supervisor and the command line).
 * file_fd: descriptor that gets every line as JSON (see `tenaza logs`), or -1.
 */
void log_init(const char *name, uint64_t inc, enum log_style style, int file_fd);
void log_set_level(enum log_level level);
void log_set_console(bool on); /* false: lines go to file_fd only */
bool log_level_parse(const char *text, enum log_level *out);
/* Extra copy of each line, for the flight recorder; may be NULL. */
extern void (*log_tap)(const char *line, size_t n);

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
