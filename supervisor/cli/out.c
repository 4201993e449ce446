/*
 * out.c: how the command answers and how it fails: stdout is the answer, stderr the conversation.
 * Runs in: command line.     Owns: nothing.
 * Never: prints colour where nobody asked for it, wraps a cell, says more than three lines of error.
 * Tested in: tests/scn/a2-bad-input.test.mjs
 */
#include <langinfo.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/text.h"
#include "supervisor/cli/cli.h"

#define COLUMNS_MAX 12

void cli_fail(const struct cli *c, int exit_code, const char *code, const char *hint, const char *fmt, ...)
{
    struct buf text = BUF_INIT(4096);
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    if (c->json) {
        json_t *e = json_pack("{s:s, s:s, s:s}", "type", "cli_error", "code", code, "message", buf_cstr(&text));
        if (hint) {
            json_put(e, "hint", sv_of(hint));
        }
        cli_print_json(json_pack("{s:b, s:o}", "ok", 0, "error", e));
    }
    fprintf(stderr, "tenaza: %s\n", buf_cstr(&text));
    if (hint) {
        fprintf(stderr, "  %s\n", hint);
    }
    buf_free(&text);
    exit(exit_code);
}

void cli_fail_status(const struct cli *c, int err, const struct msg_status *s)
{
    int exit_code = err == ERR_GONE        ? CLI_NOT_THERE
                    : err == ERR_EXPIRED   ? CLI_NOT_THERE
                    : err == ERR_DENIED    ? CLI_DENIED
                    : err == ERR_BAD       ? CLI_USAGE
                    : err == ERR_TIMEOUT   ? (c->timeout_ms > 0 ? CLI_TIMEOUT : CLI_UNREACHABLE)
                                           : CLI_FAILED;
    if (err == ERR_TIMEOUT && (!s || sv_empty(s->text))) {
        cli_fail(c, exit_code, "no_answer", "look at: tenaza status", "the store does not answer");
    }
    const char *hint = err == ERR_TIMEOUT ? "look at: tenaza status" : NULL;
    if (s && !sv_empty(s->text)) {
        cli_fail(c, exit_code, err_name(err), hint, "%.*s", SV_ARG(s->text));
    }
    cli_fail(c, exit_code, err_name(err), hint, "%s", err_text(err));
}

void cli_print_json(json_t *v)
{
    struct buf b = BUF_INIT((size_t)64 * 1024 * 1024);
    json_print(&b, v);
    puts(buf_cstr(&b));
    (void)fflush(stdout);
    buf_free(&b);
    json_free(&v);
}

void cli_say(const struct cli *c, const char *fmt, ...)
{
    if (c->quiet) {
        return;
    }
    va_list ap;
    va_start(ap, fmt);
    (void)vprintf(fmt, ap);
    va_end(ap);
    (void)putchar('\n');
}

const char *cli_sign(const struct cli *c, enum cli_sign s)
{
    static const char *const coloured[] = {"\033[32m●\033[0m", "\033[33m▲\033[0m", "\033[31m■\033[0m", "\033[2m○\033[0m"};
    static const char *const plain[] = {"●", "▲", "■", "○"};
    static const char *const ascii[] = {"*", "^", "!", "-"};
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0) {
        return ascii[s];
    }
    return c->colour ? coloured[s] : plain[s];
}

/* Copies text; control characters but those in `keep` become '?' (also the C1 ones, which are two bytes). */
static void add_safe(struct buf *out, sv text, const char *keep)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char ch = (unsigned char)text.p[i];
        bool c1 = ch == 0xc2 && i + 1 < text.n && (unsigned char)text.p[i + 1] >= 0x80 && (unsigned char)text.p[i + 1] < 0xa0;
        bool bad = c1 || ((ch < 0x20 || ch == 0x7f) && (ch == '\0' || !strchr(keep, ch)));
        if (bad) {
            buf_ch(out, '?');
        } else {
            buf_ch(out, text.p[i]);
        }
        i += c1 ? 1 : 0;
    }
}

void cli_text(sv text)
{
    struct buf b = BUF_INIT((size_t)8 * 1024 * 1024);
    if (isatty(STDOUT_FILENO)) {
        add_safe(&b, text, "\n\t");
        text = buf_view(&b);
    }
    (void)fwrite(text.p ? text.p : "", 1, text.n, stdout);
    buf_free(&b);
}

void cli_cell(struct buf *rows, sv text, size_t max, char end)
{
    sv rest = text;
    sv line = sv_trim(sv_cut(&rest, '\n'));
    bool cut = line.n > max;
    add_safe(rows, cut ? sv_sub(line, 0, utf8_cut(line, max)) : line, "");
    buf_printf(rows, "%s%s%c", cut ? "..." : "", end == '\n' ? " " : "", end);
}

void cli_table(const char *right, sv rows)
{
    size_t width[COLUMNS_MAX] = {0};
    for (sv rest = rows; !sv_empty(rest);) {
        sv line = sv_cut(&rest, '\n');
        for (size_t i = 0; i < COLUMNS_MAX && !sv_empty(line); i++) {
            size_t n = utf8_length(sv_cut(&line, '\t'));
            width[i] = n > width[i] ? n : width[i];
        }
    }
    for (sv rest = rows; !sv_empty(rest);) {
        sv line = sv_cut(&rest, '\n');
        for (size_t i = 0; i < COLUMNS_MAX && !sv_empty(line); i++) {
            sv cell = sv_cut(&line, '\t');
            int pad = (int)(width[i] - utf8_length(cell));
            cell = sv_empty(line) ? sv_trim(cell) : cell;
            bool to_right = i < strlen(right) && right[i] == 'r';
            const char *gap = i > 0 ? "  " : "";
            if (to_right) {
                printf("%s%*s%.*s", gap, pad, "", SV_ARG(cell));
            } else {
                printf("%s%.*s%*s", gap, SV_ARG(cell), sv_empty(line) ? 0 : pad, "");
            }
        }
        putchar('\n');
    }
}

void cli_age(int64_t at_ms, char *dst, size_t cap)
{
    char text[32];
    int64_t d = clock_real_ms() - at_ms;
    if (at_ms <= 0) {
        (void)snprintf(dst, cap, "-");
        return;
    }
    duration_print(d < 0 ? -d : d, text, sizeof text);
    (void)snprintf(dst, cap, d < 0 ? "in %s" : "%s ago", text);
}
