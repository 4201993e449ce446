/*
 * device.c: rows of paired client devices; the edge decides, the store keeps.
 * Runs in: store.     Owns: table device.
 * Never: logs a row (it holds a token).
 * Tested in: tests/unit/store/test_turn.c
 */
#include "workers/store/model.h"

int device_put(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_device *m = msg;
    UNUSED(from);
    if (m->id.n != 64) {
        return refuse(tx, ERR_BAD, "id", "a device id is 64 hex digits");
    }
    if (m->public_key.n != 32) {
        return refuse(tx, ERR_BAD, "public_key", "a public key is 32 bytes");
    }
    rec_put(tx, T_DEVICE, m->id, MSG_DEVICE, m);
    reply_done(tx, false);
    return OK;
}

int device_get(struct tx *tx, struct client *from, const void *msg)
{
    const struct msg_device_get *m = msg;
    struct msg_device d;
    UNUSED(from);
    if (!rec_get(tx, T_DEVICE, m->id, MSG_DEVICE, &d)) {
        return ERR_GONE;
    }
    reply(tx, MSG_DEVICE, &d);
    return OK;
}
