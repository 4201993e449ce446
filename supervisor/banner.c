/*
 * banner.c: what `tenaza run` shows when everything works: a screen for people, one line for programs.
 * Runs in: supervisor.     Owns: nothing.
 * Never: writes the token anywhere but to a terminal.
 * Tested in: tests/scn/a1-first-reply.test.mjs
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "supervisor/sup.h"

/* How often, and how many times at most, it is looked whether the agents found a model. */
#define BANNER_LOOK_S 0.05
#define BANNER_LOOKS 20

static bool has_colour(void)
{
    const char *no = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    return (no == NULL || no[0] == '\0') && (term == NULL || strcmp(term, "dumb") != 0);
}

static bool has_utf8(void)
{
    const char *names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *v = getenv(names[i]);
        if (v != NULL && v[0] != '\0') {
            return strcasestr(v, "utf-8") != NULL || strcasestr(v, "utf8") != NULL;
        }
    }
    return false;
}

/* The directory with ~ for the home directory. */
static void short_path(const char *path, char *dst, size_t cap)
{
    const char *home = getenv("HOME");
    size_t n = home ? strlen(home) : 0;

    if (n > 1 && strncmp(path, home, n) == 0 && path[n] == '/') {
        snprintf(dst, cap, "~%s", path + n);
    } else {
        snprintf(dst, cap, "%s", path);
    }
}

static const char *model_text(const struct sup *s)
{
    for (size_t i = 0; i < s->child_n; i++) {
        if (s->children[i]->kind->id == WK_agent && s->children[i]->status[0] != '\0') {
            return s->children[i]->status;
        }
    }
    return NULL;
}

static void print_workers(const struct sup *s, struct buf *out, const char *good, const char *wait)
{
    for (size_t i = 0; i < s->child_n; i++) {
        const struct child *c = s->children[i];
        if (c->life.state != LS_READY) {
            buf_printf(out, "%s%s", wait, c->name);
        } else {
            buf_printf(out, "%s%s", i == 0 ? good : "", c->name);
        }
        buf_ch(out, ' ');
    }
}

static void screen(struct sup *s)
{
    bool colour = has_colour();
    bool utf8 = has_utf8();
    char good[32];
    char wait[32];
    char state[PATH_MAX];
    char config[PATH_MAX];
    struct buf out = BUF_INIT((size_t)64 * 1024);

    snprintf(good, sizeof good, "%s%s%s ", colour ? "\033[32m" : "", utf8 ? "●" : "*", colour ? "\033[0m" : "");
    snprintf(wait, sizeof wait, "%s%s%s ", colour ? "\033[33m" : "", utf8 ? "▲" : "^", colour ? "\033[0m" : "");
    short_path(s->state_dir, state, sizeof state);
    short_path(s->config_file, config, sizeof config);
    buf_printf(&out, "tenaza %s   config: %s   state: %s%s\n\n", TENAZA_VERSION,
               config[0] ? config : "none (defaults)", state, s->state_made ? " (new)" : "");
    buf_printf(&out, "  models    %s%s\n", model_text(s) ? good : wait,
               model_text(s) ? model_text(s) : "looking for one; tenaza status shows it");
    buf_printf(&out, "  edge      %s%s%s%s%s\n", good, s->url, s->token_made ? "   token made, " : "",
               s->token_made ? state : "", s->token_made ? "/gateway.token" : "");
    buf_str(&out, "  workers   ");
    print_workers(s, &out, good, wait);
    buf_printf(&out, "  ready in %.2f s\n\n", (double)(s->ready_us - s->begun_us) / 1e6);
    buf_printf(&out, "  Chat in the browser   %s/%s%s   (ctrl-click)\n", s->url, s->token[0] ? "#token=" : "", s->token);
    buf_printf(&out, "  Chat here             tenaza --state %s agent -m \"hello\"\n", state);
    buf_str(&out, "  Use a real model      export ANTHROPIC_API_KEY=... or OPENAI_API_KEY=..., or start Ollama, then start again\n\n"
                  "Ctrl-C stops. Logs follow:\n");
    fwrite(out.p, 1, out.n, stdout);
    buf_free(&out);
}

/* The agents look for a model after they are ready: the screen waits for what they found, but not long. */
static void on_look(struct ev_loop *loop, ev_timer *t, int events)
{
    struct sup *s = t->data;

    UNUSED(events);
    s->banner_waits++;
    if (model_text(s) == NULL && s->banner_waits < BANNER_LOOKS) {
        return;
    }
    ev_timer_stop(loop, t);
    screen(s);
    fflush(stdout);
}

void banner_ready(struct sup *s)
{
    s->ready_us = clock_mono_us();
    if (isatty(STDOUT_FILENO)) {
        ev_timer_init(&s->banner, on_look, 0., BANNER_LOOK_S);
        s->banner.data = s;
        ev_timer_start(s->loop, &s->banner);
    } else {
        printf("ready url=%s state=%s pid=%d\n", s->url, s->state_dir, (int)getpid());
    }
    fflush(stdout);
}
