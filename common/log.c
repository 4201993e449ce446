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
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/counter.h"
#include "common/sv.h"
#include "common/text.h"

#define LINE_MAX_BYTES 4096u /* with the newline: a pipe takes this much in one piece (PIPE_BUF) */
#define TEXT_MAX 3600u       /* formatted message before escaping */
#define RATE_MAX 10u         /* lines per call site and window */
#define RATE_WINDOW_MS 1000

void (*log_tap)(const char *line, size_t n);

static struct log_context context_at_home;

static struct {
    char name[64];
    uint64_t inc;
    enum log_level level;
    enum log_style style;
    int file_fd, console_fd;
    struct log_context *context;
} logger = {.level = LOG_L_INFO, .file_fd = -1, .console_fd = STDERR_FILENO, .context = &context_at_home};

/* Name in files, name on a terminal, priority of syslog(3) for journald. */
static const struct {
    const char *name, *shout;
    int priority;
    enum counter_id count;
} levels[] = {
    [LOG_L_ERROR] = {"error", "ERROR", 3, C_log_error}, [LOG_L_WARN] = {"warn", "WARN", 4, C_log_warn},
    [LOG_L_INFO] = {"info", "INFO", 6, C_log_info},     [LOG_L_DEBUG] = {"debug", "DEBUG", 7, C_log_debug},
    [LOG_L_TRACE] = {"trace", "TRACE", 7, C_log_trace},
};

static const char *const styles[] = {
    [LOG_STYLE_PLAIN] = "plain",
    [LOG_STYLE_PREFIX] = "prefix",
    [LOG_STYLE_JOURNAL] = "journal",
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

enum log_level log_get_level(void)
{
    return logger.level;
}

void log_set_console(int fd)
{
    logger.console_fd = fd;
}

bool log_style_parse(const char *text, enum log_style *out)
{
    for (size_t i = 0; i < ARRAY_LEN(styles); i++) {
        if (sv_eqc(sv_of(text), styles[i])) {
            *out = (enum log_style)i;
            return true;
        }
    }
    return false;
}

const char *log_style_name(enum log_style style)
{
    return styles[style];
}

const char *log_level_name(enum log_level level)
{
    return levels[level].name;
}

/* ---- what is being worked on ---- */

static void keep(char *dst, size_t cap, sv text)
{
    size_t n = text.n < cap - 1 ? text.n : cap - 1;
    if (n > 0) {
        memcpy(dst, text.p, n);
    }
    dst[n] = '\0';
}

static void keep_hex(char *dst, size_t cap, sv bytes)
{
    size_t n = 0;
    for (size_t i = 0; i < bytes.n && n + 2 < cap; i++) {
        dst[n++] = "0123456789abcdef"[(unsigned char)bytes.p[i] >> 4];
        dst[n++] = "0123456789abcdef"[(unsigned char)bytes.p[i] & 15];
    }
    dst[n] = '\0';
}

void log_context_set(uint16_t message, sv run, sv trace)
{
    struct log_context *c = logger.context;
    c->message = message;
    c->at_ms = clock_real_ms();
    keep(c->run, sizeof c->run, run);
    keep_hex(c->trace, sizeof c->trace, trace);
    c->busy = true;
}

void log_context_end(void)
{
    logger.context->busy = false;
}

void log_context_move(struct log_context *to)
{
    if (to != logger.context) {
        *to = *logger.context;
        logger.context = to;
    }
}

const struct log_context *log_context_now(void)
{
    return logger.context;
}

/* ---- lines ---- */

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

/* To the socket of journald. It was connected by who made it; a restarted journald has a new one at the same path. */
static void put_datagram(int fd, const struct line *l)
{
    const struct sockaddr_un journal = {.sun_family = AF_UNIX, .sun_path = LOG_JOURNAL_SOCKET};
    if (send(fd, l->p, l->n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && (errno == ECONNREFUSED || errno == ENOTCONN)) {
        if (connect(fd, (const struct sockaddr *)&journal, sizeof journal) == 0) {
            (void)send(fd, l->p, l->n, MSG_DONTWAIT | MSG_NOSIGNAL);
        }
    }
}

/* What one line is made of. */
struct entry {
    struct log_origin from;
    enum log_level level;
    sv text, run, trace;
};

/* Key order of operations.md 7. */
static void build_json(struct line *l, const struct entry *e)
{
    char ts[CLOCK_ISO_US_LEN];
    clock_iso_us(clock_real_us(), ts);
    line_printf(l, "{\"ts\":\"%s\",\"level\":\"%s\",\"worker\":\"", ts, levels[e->level].name);
    line_text(l, sv_of(e->from.name), true, 3072);
    line_printf(l, "\",\"pid\":%" PRId32 ",\"msg\":\"", e->from.pid);
    line_text(l, e->text, true, 480); /* room for the ids */
    line_add(l, "\"", 1);
    if (!sv_empty(e->run)) {
        line_add(l, ",\"run\":\"", 8);
        line_text(l, e->run, true, 128);
        line_add(l, "\"", 1);
    }
    if (!sv_empty(e->trace)) {
        line_printf(l, ",\"trace\":\"%.*s\"", SV_ARG(e->trace));
    }
    line_printf(l, ",\"inc\":%" PRIu64 "}\n", e->from.inc);
}

static void build_prefix(struct line *l, const struct entry *e)
{
    line_printf(l, "<%d>w=%s inc=%" PRIu64 " ", levels[e->level].priority, e->from.name[0] ? e->from.name : "-",
                e->from.inc);
    if (!sv_empty(e->run)) {
        line_add(l, "run=", 4);
        line_text(l, e->run, false, 3072);
        line_add(l, " ", 1);
    }
    line_add(l, "msg=\"", 5);
    line_text(l, e->text, true, 2);
    line_add(l, "\"\n", 2);
}

/* One field a line; values hold no control characters, so that the simple form is enough. */
static void build_journal(struct line *l, const struct entry *e)
{
    line_printf(l, "PRIORITY=%d\nSYSLOG_IDENTIFIER=tenaza\nTENAZA_WORKER=%s\nTENAZA_INC=%" PRIu64 "\n",
                levels[e->level].priority, e->from.name[0] ? e->from.name : "-", e->from.inc);
    if (!sv_empty(e->run)) {
        line_add(l, "TENAZA_RUN=", 11);
        line_text(l, e->run, false, 3072);
        line_add(l, "\n", 1);
    }
    if (!sv_empty(e->trace)) {
        line_printf(l, "TENAZA_TRACE=%.*s\n", SV_ARG(e->trace));
    }
    line_add(l, "MESSAGE=", 8);
    line_text(l, e->text, false, 1);
    line_add(l, "\n", 1);
}

static void build_plain(struct line *l, const struct entry *e)
{
    /* The clock on the reader's wall: this style is for a person at a terminal. */
    time_t now = (time_t)(clock_real_ms() / 1000);
    struct tm tm;
    if (localtime_r(&now, &tm) == NULL) {
        memset(&tm, 0, sizeof(tm));
    }
    line_printf(l, "%02d:%02d:%02d %s %s%s", tm.tm_hour, tm.tm_min, tm.tm_sec, levels[e->level].shout, e->from.name,
                e->from.name[0] ? "  " : "");
    line_text(l, e->text, false, 160);
    if (!sv_empty(e->run)) {
        line_add(l, "  run=", 6);
        line_text(l, e->run, false, 1);
    }
    line_add(l, "\n", 1);
}

static void send_entry(const struct entry *e, bool tap)
{
    static void (*const builders[])(struct line *, const struct entry *) = {
        [LOG_STYLE_PLAIN] = build_plain, [LOG_STYLE_PREFIX] = build_prefix, [LOG_STYLE_JOURNAL] = build_journal};
    struct line l;
    if (logger.console_fd >= 0) {
        l.n = 0;
        builders[logger.style](&l, e);
        (logger.style == LOG_STYLE_JOURNAL ? put_datagram : put)(logger.console_fd, &l);
    }
    if (tap && log_tap != NULL) {
        l.n = 0;
        build_plain(&l, e);
        log_tap(l.p, l.n);
    }
    if (logger.file_fd >= 0) {
        l.n = 0;
        build_json(&l, e);
        put(logger.file_fd, &l);
    }
}

void log_foreign(const struct log_origin *from, enum log_level level, sv text)
{
    int saved = errno;
    if (level <= logger.level) {
        struct entry e = {*from, level, sv_sub(text, 0, TEXT_MAX), SV_NULL, SV_NULL};
        send_entry(&e, false);
    }
    errno = saved;
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
    const struct log_context *c = logger.context;
    const struct entry e = {.from = {logger.name, logger.inc, (int32_t)getpid()},
                            .level = level,
                            .text = {text, len},
                            .run = c->busy ? sv_of(c->run) : SV_NULL,
                            .trace = c->busy ? sv_of(c->trace) : SV_NULL};
    counter_add(levels[level].count, 1);
    send_entry(&e, true);
    errno = saved;
}
