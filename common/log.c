/*
 * log.c: one line per event, built in fixed memory and handed over with one write(2).
 * Runs in: every process.     Owns: the log level, the worker's name tag, the log descriptors.
 * Never: allocates (it reports "out of memory" too), blocks on a full reader's behalf more than write(2)
 *        does, lets a message break its line: control characters are escaped in every style.
 * Tested in: tests/unit/common/test_log.c
 */
#include "common/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/sv.h"
#include "common/text.h"

#define LINE_MAX_BYTES 4096u /* with the newline: a pipe takes this much in one piece (PIPE_BUF) */
#define TEXT_MAX 3600u       /* formatted message before escaping */
#define RATE_MAX 10u         /* lines per call site and window */
#define RATE_WINDOW_MS 1000

void (*log_tap)(const char *line, size_t n);

static struct {
    char name[64];
    uint64_t inc;
    enum log_level level;
    enum log_style style;
    int file_fd;
    bool console_off;
} logger = {.level = LOG_L_INFO, .file_fd = -1};

/* Name in files, name on a terminal, priority of syslog(3) for journald. */
static const struct {
    const char *name, *shout;
    int priority;
} levels[] = {
    [LOG_L_ERROR] = {"error", "ERROR", 3}, [LOG_L_WARN] = {"warn", "WARN", 4},
    [LOG_L_INFO] = {"info", "INFO", 6},    [LOG_L_DEBUG] = {"debug", "DEBUG", 7},
    [LOG_L_TRACE] = {"trace", "TRACE", 7},
};

/* A line under construction; the last bytes are kept free for what closes it. */
struct line {
    char p[LINE_MAX_BYTES];
    size_t n;
};

void log_init(const char *name, uint64_t inc, enum log_style style, int file_fd)
{
    if (!sv_copy(logger.name, sizeof(logger.name), sv_of(name))) {
        sv_copy(logger.name, sizeof(logger.name), sv_sub(sv_of(name), 0, sizeof(logger.name) - 1));
    }
    logger.inc = inc;
    logger.style = style;
    logger.file_fd = file_fd;
}

void log_set_level(enum log_level level)
{
    logger.level = level;
}

void log_set_console(bool on)
{
    logger.console_off = !on;
}

bool log_level_parse(const char *text, enum log_level *out)
{
    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        if (sv_eq_nocase(sv_of(text), sv_of(levels[i].name))) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

static void line_add(struct line *l, const char *p, size_t n)
{
    if (n <= sizeof(l->p) - l->n) {
        memcpy(l->p + l->n, p, n);
        l->n += n;
    }
}

static void line_printf(struct line *l, const char *fmt, ...) ATTR_PRINTF(2, 3);
static void line_printf(struct line *l, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(l->p + l->n, sizeof(l->p) - l->n, fmt, ap);
    va_end(ap);
    if (n > 0 && (size_t)n < sizeof(l->p) - l->n) {
        l->n += (size_t)n;
    }
}

/*
 * Appends `text` and keeps `tail` bytes free behind it. quoted: escaped for the inside of JSON quotes;
 * otherwise only control characters and invalid bytes are. What does not fit becomes "...".
 */
static void line_text(struct line *l, sv text, bool quoted, size_t tail)
{
    const size_t limit = sizeof(l->p) - tail - 3;
    while (text.n > 0) {
        char esc[TEXT_JSON_ESC];
        size_t n;
        size_t used = text_json_esc(text, esc, &n);
        if (!quoted && (text.p[0] == '"' || text.p[0] == '\\')) {
            esc[0] = text.p[0];
            n = 1;
        }
        if (l->n + n > limit) {
            line_add(l, "...", 3);
            return;
        }
        line_add(l, esc, n);
        text = sv_sub(text, used, text.n);
    }
}

static void put(int fd, const struct line *l)
{
    ssize_t n;
    do {
        n = write(fd, l->p, l->n);
    } while (n < 0 && errno == EINTR);
    /* A log that cannot be written must not stop the work it reports on: the line is lost. */
}

static void build_json(struct line *l, enum log_level level, sv text)
{
    char ts[CLOCK_ISO_LEN];
    clock_iso(clock_real_ms(), ts);
    line_printf(l, "{\"ts\":\"%s\",\"level\":\"%s\",\"w\":\"", ts, levels[level].name);
    line_text(l, sv_of(logger.name), true, 3072);
    line_printf(l, "\",\"inc\":%" PRIu64 ",\"msg\":\"", logger.inc);
    line_text(l, text, true, 3);
    line_add(l, "\"}\n", 3);
}

static void build_journal(struct line *l, enum log_level level, sv text)
{
    line_printf(l, "<%d>w=%s inc=%" PRIu64 " msg=\"", levels[level].priority,
                logger.name[0] ? logger.name : "-", logger.inc);
    line_text(l, text, true, 2);
    line_add(l, "\"\n", 2);
}

static void build_plain(struct line *l, enum log_level level, sv text)
{
    /* The clock on the reader's wall: this style is for a person at a terminal. */
    time_t now = (time_t)(clock_real_ms() / 1000);
    struct tm tm;
    if (localtime_r(&now, &tm) == NULL) {
        memset(&tm, 0, sizeof(tm));
    }
    line_printf(l, "%02d:%02d:%02d %s %s%s", tm.tm_hour, tm.tm_min, tm.tm_sec, levels[level].shout,
                logger.name, logger.name[0] ? "  " : "");
    line_text(l, text, false, 1);
    line_add(l, "\n", 1);
}

/* True when the line may go out; *dropped: how many were held back before it. */
static bool admit(struct log_site *site, uint32_t *dropped)
{
    *dropped = 0;
    if (site == NULL) {
        return true;
    }
    int64_t now = clock_mono_ms();
    if (site->count == 0 || now < site->window_ms || now - site->window_ms >= RATE_WINDOW_MS) {
        site->window_ms = now;
        site->count = 0;
    }
    if (site->count >= RATE_MAX) {
        site->dropped++;
        return false;
    }
    site->count++;
    *dropped = site->dropped;
    site->dropped = 0;
    return true;
}

void log_at(struct log_site *site, enum log_level level, const char *fmt, ...)
{
    uint32_t dropped;
    if (level > logger.level || !admit(site, &dropped)) {
        return;
    }
    int saved = errno; /* callers log first and look at errno later */
    char text[TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    size_t len = n < 0 ? 0 : strlen(text);
    if (n > 0 && (size_t)n >= sizeof(text)) { /* cut: say so, and not inside a character */
        len = utf8_cut((sv){text, len}, len - 3);
        memcpy(text + len, "...", 4);
        len += 3;
    }
    if (dropped > 0) {
        char note[48];
        int note_n = snprintf(note, sizeof(note), " (%" PRIu32 " like this left out)", dropped);
        if (note_n > 0 && (size_t)note_n < sizeof(text) - len) {
            memcpy(text + len, note, (size_t)note_n + 1);
            len += (size_t)note_n;
        }
    }
    struct line l;
    l.n = 0;
    if (logger.style == LOG_STYLE_JOURNAL) {
        build_journal(&l, level, (sv){text, len});
    } else {
        build_plain(&l, level, (sv){text, len});
    }
    if (!logger.console_off) {
        put(STDERR_FILENO, &l);
    }
    if (log_tap != NULL) {
        log_tap(l.p, l.n);
    }
    if (logger.file_fd >= 0) {
        l.n = 0;
        build_json(&l, level, (sv){text, len});
        put(logger.file_fd, &l);
    }
    errno = saved;
}
