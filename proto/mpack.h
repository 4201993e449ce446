/*
 * mpack.h: thin layer over msgpack-c: checks bytes before they are unpacked, reuses one zone.
 * Runs in: every process but the supervisor.     Owns: the zone of the one message being read.
 * Never: lets msgpack-c see a count that the bytes cannot back (it allocates 24 bytes per announced element);
 *        leaves this folder.
 * Tested in: tests/unit/proto/test_wire.c, test_envelope.c; fuzzed by tests/fuzz/fuzz_wire.c
 */
#ifndef TENAZA_PROTO_MPACK_H
#define TENAZA_PROTO_MPACK_H

#include <msgpack.h>

#include "common/attrs.h"
#include "common/buf.h"
#include "common/sv.h"

/* Bytes of one value (architecture.md 3.2), depth of containers, and values in all containers together. */
#define MPACK_MAX_BYTES 1048576u
#define MPACK_MAX_DEPTH 20
#define MPACK_MAX_VALUES (1u << 18)

/* One value and nothing behind it. Strings of *out point into `bytes`; containers live until mpack_done, which
 * the caller owes after OK. Not reentrant. ERR_TOOBIG, ERR_PARSE. */
int mpack_parse(sv bytes, msgpack_object *out) ATTR_NODISCARD;
void mpack_done(void);

/* A packer that appends to b; a refused append shows as b->full. */
void mpack_packer(msgpack_packer *pk, struct buf *b);
void mpack_str(msgpack_packer *pk, sv s);
void mpack_bin(msgpack_packer *pk, sv s);

#endif
