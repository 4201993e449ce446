/*
 * device.h: what the clock of the store needs of device.c.
 * Runs in: store.     Owns: nothing.
 * Never: the handlers; they stand in handlers.def.
 * Tested in: tests/unit/store/test_device.c
 */
#ifndef TENAZA_WORKERS_STORE_DEVICE_H
#define TENAZA_WORKERS_STORE_DEVICE_H

#include "workers/store/model.h"

/* A request may have expired. key: in table devreq. */
void device_expire(struct tx *tx, sv key);

#endif
