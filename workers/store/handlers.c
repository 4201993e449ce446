/*
 * handlers.c: the table of handlers.
 * Runs in: store.     Owns: nothing.
 * Never: logic.
 * Tested in: tests/unit/store/test_turn.c
 */
#include "workers/store/store_int.h"

enum { MODE_R = 0, MODE_W = 1 };

const struct handler *handler_of(uint16_t type)
{
    static const struct {
        uint16_t type;
        struct handler h;
    } rows[] = {
#define HANDLER(NAME, fn, mode, doc) {MSG_##NAME, {fn, MODE_##mode}},
#include "workers/store/handlers.def"
#undef HANDLER
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].type == type) {
            return &rows[i].h;
        }
    }
    return NULL;
}
