/*
 * registry.c: the field tables and the list of messages, expanded from messages.def.
 * Runs in: every process but the supervisor.     Owns: the descriptor table, filled at the first look-up.
 * Never: allocates; contains a message by hand.
 * Tested in: tests/unit/proto/test_wire.c
 */
#include "proto/messages.h"

#include "common/attrs.h"
#include "common/err.h"

/* Position of each message in the file; gives list fields a constant address for their `sub`. */
enum {
#define MSG(num, NAME, name, doc) AT_##name,
#include "proto/messages.def"
#undef MSG
    AT_END
};

/* Numbers are below this, so that looking one up is one load. Raise it when a new group needs more. */
#define NUMBERS 0x1000

static struct msg_desc descs[AT_END];
static uint8_t by_number[NUMBERS]; /* position + 1; 0: no such message */

#define MSG(num, NAME, name, doc) _Static_assert((num) > 0 && (num) < NUMBERS, #NAME);
#include "proto/messages.def"
#undef MSG
_Static_assert(AT_END < 255, "by_number holds one byte per message");

/*
 * A field row does not know its struct, and a macro cannot define one; so each table stands inside a
 * function of its own, where `row` names the struct.
 */
#define ROW_F(kind_, member, key_, max_, need_, doc_)                                              \
    {.kind = FK_##kind_,                                                                           \
     .need = (need_),                                                                              \
     .name = #member,                                                                              \
     .key = (key_),                                                                                \
     .key_n = sizeof(key_) - 1,                                                                    \
     .max = (max_),                                                                                \
     .off = offsetof(row, member),                                                                 \
     .doc = (doc_)},
#define ROW_L(member, key_, sub_, max_, doc_)                                                      \
    {.kind = FK_LIST,                                                                              \
     .need = OPT,                                                                                  \
     .name = #member,                                                                              \
     .key = (key_),                                                                                \
     .key_n = sizeof(key_) - 1,                                                                    \
     .max = (max_),                                                                                \
     .off = offsetof(row, member),                                                                 \
     .off_n = offsetof(row, member##_n),                                                           \
     .sub = &descs[AT_##sub_],                                                                     \
     .doc = (doc_)},
#define MSG(num, NAME, name_, doc_)                                                                \
    static void fill_##name_(void)                                                                 \
    {                                                                                              \
        typedef struct msg_##name_ row;                                                            \
        static const struct field rows[] = {NAME##_FIELDS(ROW_F, ROW_L)};                          \
        _Static_assert(ARRAY_LEN(rows) <= 64, "the decoder keeps one bit per field");              \
        descs[AT_##name_] = (struct msg_desc){(num), #NAME, sizeof(row), rows, ARRAY_LEN(rows), (doc_)}; \
        by_number[num] = AT_##name_ + 1;                                                           \
    }
#include "proto/messages.def"
#undef MSG

static void fill_all(void)
{
    static void (*const fill[])(void) = {
#define MSG(num, NAME, name, doc) fill_##name,
#include "proto/messages.def"
#undef MSG
    };
    for (size_t i = 0; i < ARRAY_LEN(fill); i++) {
        fill[i]();
    }
    size_t known = 0;
    for (size_t i = 0; i < NUMBERS; i++) {
        known += by_number[i] != 0;
    }
    ASSERT(known == AT_END); /* two rows with one number otherwise */
}

const struct msg_desc *msg_at(size_t i)
{
    if (descs[0].name == NULL) {
        fill_all();
    }
    return i < AT_END ? &descs[i] : NULL;
}

const struct msg_desc *msg_desc(uint16_t type)
{
    if (descs[0].name == NULL) {
        fill_all();
    }
    if (type >= NUMBERS || by_number[type] == 0) {
        return NULL;
    }
    return &descs[by_number[type] - 1];
}

const char *msg_name(uint16_t type)
{
    const struct msg_desc *d = msg_desc(type);
    return d ? d->name : "?";
}
