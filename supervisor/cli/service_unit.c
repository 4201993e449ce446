/*
 * service_unit.c: see service_unit.h.
 * Runs in: command line.     Owns: nothing.
 * Never: writes a file.
 * Tested in: tests/unit/supervisor/test_service_unit.c
 */
#include "supervisor/cli/service_unit.h"

#include <string.h>

#include "common/attrs.h"

static const struct unit_line {
    enum unit_file file;
    enum unit_scope scope;
    const char *text;
    const char *why;
} lines[] = {
#define UNIT(file, scope, text, why) {UNIT_##file, UNIT_##scope, text, why},
#include "supervisor/cli/service_units.def"
#undef UNIT
};

static void add_line(struct buf *out, const char *text, const char *bin)
{
    const char *mark = strstr(text, "@BIN@");

    if (mark == NULL) {
        buf_printf(out, "%s\n", text);
        return;
    }
    buf_printf(out, "%.*s%s%s\n", (int)(mark - text), text, bin, mark + strlen("@BIN@"));
}

void unit_print(struct buf *out, enum unit_file file, enum unit_scope scope, const char *bin)
{
    bool first = true;

    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        const struct unit_line *l = &lines[i];
        if (l->file != file || (l->scope & scope) == 0) {
            continue;
        }
        if (l->text[0] == '[' && !first) {
            buf_ch(out, '\n');
        }
        if (l->why != NULL) {
            buf_printf(out, "# %s\n", l->why);
        }
        add_line(out, l->text, bin);
        first = false;
    }
}
