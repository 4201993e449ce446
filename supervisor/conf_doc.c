/*
 * conf_doc.c: prints the manual of the configuration (docs/config.md) from the rows.
 * Runs in: command line, unit test.     Owns: nothing.
 * Never: says anything about a setting that is not in its row.
 * Tested in: tests/unit/supervisor/test_conf_schema.c (fails when docs/config.md is stale)
 */
#include <string.h>

#include "supervisor/conf_schema.h"

static const char intro[] =
    "# Configuration\n\n"
    "<!-- Printed by `tenaza config schema --markdown` from supervisor/conf_schema.def. Do not edit. -->\n\n"
    "Everything has a working default: no file at all is a valid configuration. The file is found through\n"
    "`--config`, `TENAZA_CONFIG`, `tenaza.conf` in the state directory, `/etc/tenaza/tenaza.conf` (root) or\n"
    "`~/.config/tenaza/tenaza.conf`, in this order. `tenaza config check` says what is wrong, with file and line.\n\n"
    "The syntax is libconfig's: `name = value;`, groups in `{ }`, lists in `( )` or `[ ]`, comments with `//`, `#`\n"
    "and `/* */`. The dots of the names below are groups: `edge.port` is `edge = { port = 18789; };`. `*` stands\n"
    "for an id that you choose (letters, digits, `-` and `_`); ids that libconfig cannot spell as a name go into a\n"
    "list: `( { id = \"1st\"; ... } )`. `#` is a position in a list of groups. Durations are texts like `\"30s\"` or\n"
    "`\"1h30m\"`, sizes texts like `\"64MiB\"`. A secret is `\"env:NAME\"`, `\"file:/path\"`, `\"cred:NAME\"` (systemd) or,\n"
    "in a file that others cannot read, the text itself.\n\n"
    "Settings of a channel stand directly in `channels.<channel>` or in one of its accounts,\n"
    "`channels.<channel>.accounts.<id>`; the account wins. A channel without accounts has one, `default`.\n"
    "A running gateway takes up changes with `tenaza reload` (or SIGHUP); `tenaza config plan` shows beforehand what\n"
    "that would do. *live* below: taken by the running workers; all others: the workers concerned are started anew,\n"
    "one after the other. Settings of the supervisor that are not live count from its next start on, and the reload\n"
    "says so. A file with an error changes nothing.\n";

static const char *type_word(enum conf_type t)
{
    static const char *const words[] = {
        [CT_STR] = "text",         [CT_INT] = "number", [CT_BOOL] = "true/false", [CT_DURATION] = "duration",
        [CT_SIZE] = "size",        [CT_LIST] = "list",  [CT_SECRET] = "secret",
    };
    return words[t];
}

static void print_row(const struct conf_row *r, struct buf *out)
{
    buf_printf(out, "| `%s` | %s", r->path, type_word(r->type));
    if (r->choices != NULL) {
        sv rest = sv_of(r->choices);
        for (unsigned i = 0; rest.n > 0; i++) {
            sv one = sv_cut(&rest, '|');
            buf_printf(out, "%s`%.*s`", i ? ", " : ": ", SV_ARG(one));
        }
    } else if (r->type == CT_INT) {
        buf_printf(out, " %lld to %lld", (long long)r->min, (long long)r->max);
    }
    buf_str(out, " | ");
    if (r->dflt != NULL) {
        buf_printf(out, "`%s`", r->dflt);
    }
    buf_printf(out, " | %s%s |\n", r->doc, r->flags & CF_LIVE ? " *live*" : "");
}

void conf_doc(struct buf *out)
{
    char group[64] = "";

    buf_str(out, intro);
    for (size_t i = 0; i < conf_rows_n; i++) {
        const struct conf_row *r = &conf_rows[i];
        char top[64];
        sv rest = sv_of(r->path);
        sv first = sv_cut(&rest, '.');
        if (strstr(r->path, ".accounts.*.") != NULL) {
            continue; /* the same rows as those of the channel */
        }
        if (sv_eqc(first, "channels")) {
            sv channel = sv_cut(&rest, '.');
            first = sv_mem(first.p, (size_t)(channel.p + channel.n - first.p));
        }
        if (rest.n == 0) {
            first = SV("The file itself");
        }
        sv_copy(top, sizeof top, first);
        if (strcmp(top, group) != 0) {
            buf_printf(out, "\n## %s\n\n| name | type | default | meaning |\n|---|---|---|---|\n", top);
            sv_copy(group, sizeof group, first);
        }
        print_row(r, out);
    }
}
