/*
 * cli.h: what the files of the `tenaza` command share: options, ways to answer, ways to fail.
 * Runs in: command line.     Owns: declarations.
 * Never: included outside supervisor/cli/.
 * Tested in: tests/scn/a1-first-reply.test.mjs, a2-bad-input.test.mjs
 */
#ifndef TENAZA_SUPERVISOR_CLI_H
#define TENAZA_SUPERVISOR_CLI_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/attrs.h"
#include "common/buf.h"
#include "common/json.h"
#include "proto/messages.h"
#include "workers/runtime/plane_bus.h"
#include "workers/runtime/plane_store.h"

/* Exit codes of the command (not of the daemon, which uses sysexits). */
enum {
    CLI_OK = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_NOT_THERE = 3, /* no such thing; `status`: not running */
    CLI_IO = 4,
    CLI_LOCKED = 5,
    CLI_UNREACHABLE = 6,
    CLI_DENIED = 7,
    CLI_CONFIG = 8,
    CLI_TIMEOUT = 124,
};

struct cli {
    const char *config; /* --config or TENAZA_CONFIG, NULL: not given */
    char state[PATH_MAX];
    bool state_given;
    bool json, quiet, colour;
    int64_t timeout_ms; /* --timeout, 0: the command's own */
    int argc;           /* words behind the verb */
    char **argv;
};

typedef int cli_fn(struct cli *c);

struct command {
    const char *name;
    cli_fn *fn;
    const char *args;
    const char *doc;
};
extern const struct command commands[];
extern const size_t commands_n;

/* One function a row of commands.def. */
#define COMMAND(name, fn, args, doc) cli_fn fn;
#include "supervisor/cli/commands.def"
#undef COMMAND

/* Becomes another program of ours (execv); comes back, with errno, only when it cannot be started. */
void cli_become(const char *program, char *const argv[]);

/* ---- words behind the verb (args.c) ---- */

/* Takes an option with a value (--at X, --at=X) / a flag out of argv; the last one wins. NULL / false: not given.
 * An option without its value ends the program with a usage error. */
const char *cli_option(struct cli *c, const char *name, const char *short_name);
bool cli_flag(struct cli *c, const char *name, const char *short_name);
/* After all options were taken: what is left must be words, at most `max` of them. */
void cli_words(struct cli *c, int max);

/* --limit N, 1 to 1000 (cmd_data.c). */
uint64_t cli_limit(struct cli *c, uint64_t dflt);

/* ---- answers (out.c) ---- */

/* Ends the program: what failed, why, what to type next; as a JSON document with --json. hint may be NULL. */
void cli_fail(const struct cli *c, int exit_code, const char *code, const char *hint, const char *fmt, ...)
    ATTR_NORETURN ATTR_PRINTF(5, 6);
/* The same for a STATUS of the store or a timeout. */
void cli_fail_status(const struct cli *c, int err, const struct msg_status *s) ATTR_NORETURN;
/* Prints a JSON value and a newline; takes it. */
void cli_print_json(json_t *v);
/* One line that says what is now true; nothing with --quiet. */
void cli_say(const struct cli *c, const char *fmt, ...) ATTR_PRINTF(2, 3);
/* State signs: ok, mending, needs you, off; coloured on a terminal, ASCII where the locale is not UTF-8. */
enum cli_sign { SIGN_OK, SIGN_MENDING, SIGN_BAD, SIGN_OFF };
const char *cli_sign(const struct cli *c, enum cli_sign s);
/* Columns separated by two spaces; cells of a row are tab-separated in the buffer, rows end in \n. Columns named in
 * `right` (a string with 'r' at their positions) are right-aligned. */
void cli_table(const char *right, sv rows);
/* Prints what other people or a model wrote; on a terminal without the bytes that would command it. */
void cli_text(sv text);
/* Appends a cell of a table and `end` (\t or \n): one line of such text, at most `max` bytes of it. */
void cli_cell(struct buf *rows, sv text, size_t max, char end);
/* Sets a time as ISO text; 0 is left out (cmd_data.c). */
void cli_put_time(json_t *o, const char *key, int64_t ms);
void cli_age(int64_t at_ms, char *dst, size_t cap); /* "3 min ago", "in 2 h" */

/* ---- programs of the system (run_program.c) ---- */

#define CLI_PROGRAM_WORDS 8
/* A program that says nothing for this long is ended. */
#define CLI_PROGRAM_MS 60000

/* Runs argv[0] from PATH with at most CLI_PROGRAM_WORDS words (NULL at the end). What it prints is appended to out, which
 * may be NULL. Returns its exit code; -1: it could not be started, was killed or took too long. */
int cli_program(const char *const *argv, struct buf *out);
/* ---- log (cmd_logs.c) ---- */

/* `tenaza workers log NAME`: -n and -f are still in argv. */
int logs_of_worker(struct cli *c, const char *name);
/* Appends the newest n lines of a worker as `tenaza logs` prints them. */
void logs_tail(const struct cli *c, const char *name, unsigned n, struct buf *out);

/* ---- figures (cmd_stats.c) ---- */

/* The answer to "stats": {"status": .., "stats": ..}. */
const json_t *stats_of(const json_t *answer, const char *worker); /* its counters, NULL: no such worker */

/* ---- crash reports (cmd_crashes.c) ---- */

/* Those that nobody has looked at yet. */
size_t crashes_new(const struct cli *c);

/* ---- the running gateway (ctl.c, plane.c) ---- */

/* Path of the control socket; false when no gateway has run with this state. */
bool ctl_path(const struct cli *c, char *dst, size_t cap);
/* Connects within 500 ms; -1: nobody answers. */
int ctl_connect(const struct cli *c);
/* Sends one request line, returns the answer. Ends the program when the connection breaks. */
json_t *ctl_request(const struct cli *c, int fd, const char *request);
/* config plan [FILE] (cmd_reload.c); NULL: the file in use. */
int reload_plan(struct cli *c, const char *file);
/* workers VERB NAME (cmd_workers.c); wait_ms 0: its own limit. */
/* Walls around each worker (cmd_security.c). */
int workers_security(struct cli *c);
int workers_do(struct cli *c, const char *verb, const char *name, int64_t wait_ms);
void cli_not_running(const struct cli *c, int exit_code) ATTR_NORETURN;

/* Admission to both planes through the control socket, for as long as the process lives. */
struct session {
    struct cli *cli;
    int ctl;
    struct loop *loop;
    struct plane_store *store;
    struct plane_bus *bus;
    struct loop_timer deadline;
    int64_t call_ms;       /* longest wait for one answer when there is no --timeout */
    const char *late_hint; /* what to type when --timeout is over */
};
void session_open(struct cli *c, struct session *s);
void session_close(struct session *s);
/* One request; runs the loop until the answer. Failures end the program unless `err` is given. on_answer sees the
 * typed body, which dies with the call. */
void session_call(struct session *s, uint16_t type, const void *body,
                  void (*on_answer)(void *ctx, uint16_t type, const void *body), void *ctx, int *err);

#endif
