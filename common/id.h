/*
 * id.h: identifiers made from the system's random source.
 * Runs in: every process.     Owns: nothing.
 * Never: uses time as the only source of uniqueness.
 * Tested in: tests/unit/common/test_id.c
 */
#ifndef TENAZA_COMMON_ID_H
#define TENAZA_COMMON_ID_H

#include <stddef.h>
#include <stdint.h>

#define ID_UUID_LEN 37
#define ID_SORT_LEN 27

void id_random(void *dst, size_t n);          /* getrandom(2), never fails */
void id_uuid(char dst[ID_UUID_LEN]);          /* random UUID v4, lower case */
void id_uuid7(char dst[ID_UUID_LEN]);         /* UUID v7: text order is time order, to the millisecond */
void id_sortable(char dst[ID_SORT_LEN]);      /* 26 characters, base32 of 48 bit ms + 80 random bits */
/* n characters of alphabet by rejection sampling, then NUL. */
void id_code(char *dst, size_t n, const char *alphabet);

#endif
