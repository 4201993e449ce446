/*
 * doc.c: the manual of the internal protocol, written from the tables.
 * Runs in: gen-docs (built, not installed) and the test that compares docs/protocol-internal.md.
 * Owns: nothing.     Never: text about a single message by hand; that stands in its row.
 * Tested in: tests/unit/proto/test_doc.c
 */
#include "proto/doc.h"

#include "proto/messages.h"

/* Groups of message numbers: their high byte. */
static const struct {
    uint16_t high;
    const char *title;
} groups[] = {
    {0x00, "Common"},
    {0x01, "Intake"},
    {0x02, "Sessions and transcripts"},
    {0x03, "Runs"},
    {0x04, "Outbox"},
    {0x05, "People and devices"},
    {0x06, "Clock work"},
    {0x07, "Care"},
    {0x08, "Bus"},
    {0x09, "Records of the store (never sent)"},
};

static const char intro[] =
    "# Internal protocol\n"
    "\n"
    "<!-- Written by `build/proto/gen-docs` from the tables in proto/ and workers/workers.def. Do not edit:\n"
    "     change the row, then `ninja -C build && build/proto/gen-docs > docs/protocol-internal.md`. -->\n"
    "\n"
    "What the processes of one gateway say to each other. Clients speak another protocol (see docs/overview.md).\n"
    "\n"
    "* Between workers and the hubs (`store`, `bus`): msgpack over ZeroMQ, frames `[header][body]`.\n"
    "  The header is the array `[version, type, flags, rid, src, dst, fence, deadline_ms, trace]`\n"
    "  (proto/envelope.h). The body is a map whose keys stand in the tables below; unknown keys are skipped,\n"
    "  a key that stands twice, a missing required field, a wrong type and anything over a limit are refused.\n"
    "* Between supervisor and worker: fixed packets over a SEQPACKET socket, descriptor 3 (proto/control.h).\n"
    "* Numbers and keys are never reused; new fields are optional; a required field is for ever.\n"
    "\n"
    "`->S` goes to the store, `S->` comes from it.\n";

/* A table cell: '|' would end it. */
static void cell(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|') {
            (void)buf_ch(out, '\\');
        }
        (void)buf_ch(out, *text);
    }
}

static void kind(struct buf *out, const struct field *f)
{
    switch (f->kind) {
    case FK_STR:
        (void)buf_printf(out, "text, %llu B", (unsigned long long)f->max);
        break;
    case FK_BIN:
        (void)buf_printf(out, "bytes, %llu B", (unsigned long long)f->max);
        break;
    case FK_JSON:
        (void)buf_printf(out, "JSON text, %llu B", (unsigned long long)f->max);
        break;
    case FK_U64:
        (void)buf_str(out, "unsigned");
        if (f->max > 0) {
            (void)buf_printf(out, ", up to %llu", (unsigned long long)f->max);
        }
        break;
    case FK_I64:
        (void)buf_str(out, "integer");
        break;
    case FK_BOOL:
        (void)buf_str(out, "boolean");
        break;
    case FK_LIST:
        (void)buf_printf(out, "list of %s, up to %llu", f->sub->name, (unsigned long long)f->max);
        break;
    default:
        break;
    }
}

static void message(struct buf *out, const struct msg_desc *d)
{
    (void)buf_printf(out, "\n### %s `0x%04x`\n\n", d->name, d->type);
    if (*d->doc) {
        (void)buf_printf(out, "%s.\n\n", d->doc);
    }
    (void)buf_str(out, "| key | field | value | needed | |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < d->n; i++) {
        const struct field *f = &d->fields[i];
        (void)buf_printf(out, "| `%s` | %s | ", f->key, f->name);
        kind(out, f);
        (void)buf_printf(out, " | %s | ", f->need == REQ ? "yes" : "");
        cell(out, f->doc);
        (void)buf_str(out, " |\n");
    }
}

static void messages(struct buf *out)
{
    for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
        (void)buf_printf(out, "\n## %s\n", groups[g].title);
        const struct msg_desc *d;
        for (size_t i = 0; (d = msg_at(i)) != NULL; i++) {
            if (d->type >> 8 == groups[g].high) {
                message(out, d);
            }
        }
    }
}

static void control(struct buf *out)
{
    (void)buf_str(out, "\n## Control channel\n\n`w>s`: from the worker to the supervisor; `s>w`: the other way.\n\n"
                       "| number | packet | way | |\n|---|---|---|---|\n");
#define CTL(num, NAME, dir, doc)                                                                   \
    (void)buf_printf(out, "| %d | %s | `%s` | ", (num), #NAME, (dir));                             \
    cell(out, doc);                                                                                \
    (void)buf_str(out, " |\n");
#include "proto/control.def"
#undef CTL
}

static void errors(struct buf *out)
{
    (void)buf_str(out, "\n## Error codes\n\nSTATUS carries the negative number.\n\n"
                       "| number | name | trying again may help | |\n|---|---|---|---|\n");
#define ERR(num, name, retryable, text)                                                            \
    (void)buf_printf(out, "| %d | %s | %s | %s |\n", (num), #name, (retryable) ? "yes" : "", (text));
#include "proto/errors.def"
#undef ERR
}

static void workers(struct buf *out)
{
    (void)buf_str(out, "\n## Processes\n\nStarted in this order, stopped in reverse. After 5 crashes within 60 s:\n"
                       "ESCALATE ends the supervisor (systemd decides), PARK tries again every 5 minutes.\n\n"
                       "| kind | executable | order | instances | exhausted | drain, ms | planes | overlap, ms | |\n"
                       "|---|---|---|---|---|---|---|---|---|\n");
#define WORKER(kind_, exe, order, instances, on_exhausted, stop_ms, planes, overlap, doc)          \
    (void)buf_printf(out, "| %s | `%s` | %d | %s | %s | %d | %s | %d | %s |\n", #kind_, (exe),      \
                     (order), #instances, #on_exhausted, (stop_ms), #planes, (overlap), (doc));
#include "workers/workers.def"
#undef WORKER
}

bool doc_protocol(struct buf *out)
{
    (void)buf_str(out, intro);
    workers(out);
    messages(out);
    control(out);
    errors(out);
    return !out->full;
}
