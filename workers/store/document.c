/*
 * document.c: JSON texts that clients keep under a name, replaced only by who has seen the last one.
 * Runs in: store.     Owns: table document.
 * Never: reads the text.
 * Tested in: tests/unit/store/test_approval.c
 */
#include "common/text.h"
#include "workers/store/model.h"

#define NAMES_MAX 64

static struct msg_document load(struct tx *tx, sv name)
{
    struct msg_document d;
    if (!rec_get(tx, T_DOCUMENT, name, MSG_DOCUMENT, &d)) {
        d = (struct msg_document){.name = name};
    }
    return d;
}

static sv hash_of(struct tx *tx, sv text)
{
    struct buf hex = BUF_INIT(2 * KEY_HASH + 1);
    sv raw = tx_hash(tx, &text, 1);
    for (size_t i = 0; i < raw.n; i++) {
        (void)buf_printf(&hex, "%02x", (unsigned char)raw.p[i]);
    }
    sv out = arena_sv(tx->a, buf_view(&hex));
    buf_free(&hex);
    return out;
}

int document_get(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_document_get *m = msg;
    UNUSED(from);
    struct msg_document d = load(tx, m->name);
    d.hash = hash_of(tx, d.text);
    reply(tx, MSG_DOCUMENT, &d);
    return OK;
}

int document_put(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_document_put *m = msg;
    UNUSED(from);
    struct msg_document d = load(tx, m->name);
    if (!sv_empty(m->base) && !sv_eq(m->base, hash_of(tx, d.text))) {
        return refuse(tx, ERR_CONFLICT, "base", "it has changed since it was read");
    }
    if (sv_empty(d.text) && tx_count(tx, T_DOCUMENT) >= NAMES_MAX) {
        return refuse(tx, ERR_FULL, "name", "too many documents");
    }
    d.text = m->text;
    d.hash = SV_NULL;
    d.updated_ms = tx->now;
    rec_put(tx, T_DOCUMENT, m->name, MSG_DOCUMENT, &d);
    d.hash = hash_of(tx, d.text);
    reply(tx, MSG_DOCUMENT, &d);
    return OK;
}
