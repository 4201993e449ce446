/*
 * cmd_doctor.c: doctor: one line for each check, with its state and what to do; exit 0 when nothing is bad.
 * Runs in: command line.     Owns: nothing.
 * Never: changes anything; needs a running gateway.
 * Tested in: tests/scn/s3-doctor.test.mjs
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "supervisor/cli/doctor.h"
#include "supervisor/paths.h"

static const struct {
    const char *word;
    doctor_fn *fn;
    const char *doc;
} checks[] = {
#define CHECK(word, fn, doc) {word, fn, doc},
#include "supervisor/cli/doctor.def"
#undef CHECK
};
#define CHECKS (sizeof checks / sizeof checks[0])

void doctor_say(struct doctor *d, enum doctor_state state, const char *fix, const char *fmt, ...)
{
    va_list ap;

    if (d->text.n > 0 && state <= d->state) {
        return;
    }
    d->state = state;
    buf_reset(&d->text);
    buf_reset(&d->fix);
    va_start(ap, fmt);
    buf_vprintf(&d->text, fmt, ap);
    va_end(ap);
    buf_str(&d->fix, fix ? fix : "");
}

static bool is_wanted(const struct cli *c, const char *word)
{
    for (int i = 0; i < c->argc; i++) {
        if (strcmp(c->argv[i], word) == 0) {
            return true;
        }
    }
    return c->argc == 0;
}

static void refuse_unknown(const struct cli *c)
{
    for (int i = 0; i < c->argc; i++) {
        bool known = false;
        for (size_t k = 0; k < CHECKS; k++) {
            known = known || strcmp(checks[k].word, c->argv[i]) == 0;
        }
        if (!known) {
            struct buf names = BUF_INIT(512);
            for (size_t k = 0; k < CHECKS; k++) {
                buf_printf(&names, "%s%s", k ? " " : "the checks: ", checks[k].word);
            }
            cli_fail(c, CLI_USAGE, "usage", buf_cstr(&names), "doctor: there is no check \"%s\"", c->argv[i]);
        }
    }
}

static void report(struct doctor *d, size_t i, struct buf *rows, json_t *list)
{
    static const enum cli_sign signs[] = {SIGN_OK, SIGN_MENDING, SIGN_BAD};
    static const char *const names[] = {"ok", "warning", "bad"};

    if (d->cli->json) {
        json_t *row = json_pack("{s:s, s:s}", "check", checks[i].word, "state", names[d->state]);
        json_put(row, "text", buf_view(&d->text));
        if (d->fix.n > 0) {
            json_put(row, "fix", buf_view(&d->fix));
        }
        (void)json_array_append_new(list, row);
        return;
    }
    buf_printf(rows, "%s\t%s\t", cli_sign(d->cli, signs[d->state]), checks[i].word);
    cli_cell(rows, buf_view(&d->text), 400, '\n');
    if (d->fix.n > 0) {
        buf_str(rows, " \t \tfix: ");
        cli_cell(rows, buf_view(&d->fix), 400, '\n');
    }
}

static void look(struct doctor *d)
{
    cfg_init(&d->cfg);
    if (paths_config(d->cli->config, d->cli->state_given ? d->cli->state : NULL, d->file, sizeof d->file)) {
        cfg_load(&d->cfg, d->file);
    } else {
        d->file[0] = '\0';
    }
    int fd = ctl_connect(d->cli);
    if (fd >= 0) {
        d->status = ctl_request(d->cli, fd, "status");
    }
    fd_close(&fd);
}

int cmd_doctor(struct cli *c)
{
    static struct doctor d;
    struct buf rows = BUF_INIT((size_t)256 * 1024);
    json_t *list = json_array();
    bool bad = false;

    cli_words(c, (int)CHECKS);
    refuse_unknown(c);
    d = (struct doctor){.cli = c, .text = BUF_INIT(4096), .fix = BUF_INIT(4096)};
    look(&d);
    for (size_t i = 0; i < CHECKS; i++) {
        if (is_wanted(c, checks[i].word)) {
            d.state = DOCTOR_OK;
            buf_reset(&d.text);
            buf_reset(&d.fix);
            checks[i].fn(&d);
            bad = bad || d.state == DOCTOR_BAD;
            report(&d, i, &rows, list);
        }
    }
    if (c->json) {
        cli_print_json(json_pack("{s:b, s:o}", "ok", !bad, "checks", list));
        list = NULL;
    } else {
        cli_table("", buf_view(&rows));
    }
    json_free(&list);
    json_free(&d.status);
    cfg_free(&d.cfg);
    buf_free(&rows);
    buf_free(&d.text);
    buf_free(&d.fix);
    return bad ? CLI_FAILED : CLI_OK;
}
