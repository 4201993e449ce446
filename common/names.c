/*
 * names.c: see names.h.
 * Runs in: every process.     Owns: nothing.
 * Never: keeps an empty name.
 * Tested in: tests/unit/common/test_names.c
 */
#include "common/names.h"

bool names_has(sv list, sv name)
{
    while (list.n > 0) {
        if (sv_eq(sv_cut(&list, ','), name)) {
            return true;
        }
    }
    return false;
}

static void add_one(struct buf *dst, sv name)
{
    if (name.n == 0 || names_has(buf_view(dst), name)) {
        return;
    }
    if (dst->n > 0) {
        buf_ch(dst, ',');
    }
    buf_sv(dst, name);
}

void names_add(struct buf *dst, sv more)
{
    while (more.n > 0) {
        add_one(dst, sv_cut(&more, ','));
    }
}

void names_without(struct buf *dst, sv list, sv name)
{
    while (list.n > 0) {
        sv one = sv_cut(&list, ',');
        if (!sv_eq(one, name)) {
            add_one(dst, one);
        }
    }
}

void names_json(struct buf *dst, sv list)
{
    bool first = true;
    buf_ch(dst, '[');
    while (list.n > 0) {
        sv one = sv_cut(&list, ',');
        if (one.n == 0) {
            continue;
        }
        if (!first) {
            buf_ch(dst, ',');
        }
        first = false;
        buf_json_str(dst, one);
    }
    buf_ch(dst, ']');
}
