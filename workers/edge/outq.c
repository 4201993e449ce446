/*
 * outq.c: see outq.h.
 * Runs in: edge.     Owns: nothing.
 * Never: keeps an empty message.
 * Tested in: tests/unit/edge/test_outq.c
 */
#include "workers/edge/outq.h"

void out_begin(struct buf *b)
{
    static const char room[OUT_PRE];
    *b = BUF_INIT(OUT_MSG_MAX);
    buf_add(b, room, sizeof room);
}

sv out_text(const struct buf *b)
{
    return b->n >= OUT_PRE ? sv_mem(b->p + OUT_PRE, b->n - OUT_PRE) : SV_NULL;
}

void outq_init(struct outq *q)
{
    *q = (struct outq){.tail = NULL};
}

static size_t weight(const struct out_msg *m)
{
    return sizeof *m + OUT_PRE + m->n;
}

bool outq_push(struct outq *q, struct buf *b)
{
    sv text = out_text(b);
    if (b->full || text.n == 0 || q->bytes + text.n > OUT_BYTES_MAX) {
        buf_free(b);
        return false;
    }
    struct out_msg *m = xcalloc(1, sizeof *m);
    m->n = text.n;
    m->mem = buf_take(b);
    if (q->head == NULL) {
        q->head = m;
    } else {
        *q->tail = m;
    }
    q->tail = &m->next;
    q->bytes += weight(m);
    q->count++;
    return true;
}

struct out_msg *outq_head(const struct outq *q)
{
    return q->head;
}

void outq_pop(struct outq *q)
{
    struct out_msg *m = q->head;
    if (m == NULL) {
        return;
    }
    q->bytes -= weight(m);
    q->count--;
    q->head = m->next;
    xfree(m->mem);
    xfree(m);
}

void outq_clear(struct outq *q)
{
    while (q->head != NULL) {
        outq_pop(q);
    }
}
