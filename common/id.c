/*
 * id.c: identifiers made from the system's random source.
 * Runs in: every process.     Owns: nothing.
 * Never: falls back to a weaker source.
 * Tested in: tests/unit/common/test_id.c
 */
#include "common/id.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "common/clock.h"
#include "common/err.h"

void id_random(void *dst, size_t n)
{
    unsigned char *p = dst;
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            die(EXIT_UNAVAILABLE, "getrandom: %s", strerror(errno));
        }
        p += got;
        n -= (size_t)got;
    }
}

#define UUID_BYTES 16

/* RFC 9562: version and variant into b, then the text. */
static void print_uuid(char dst[ID_UUID_LEN], uint8_t *b, unsigned version)
{
    static const char hex[] = "0123456789abcdef";
    b[6] = (uint8_t)((b[6] & 0x0fu) | version << 4);
    b[8] = (uint8_t)((b[8] & 0x3fu) | 0x80u); /* variant of RFC 4122 */
    size_t n = 0;
    for (size_t i = 0; i < UUID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            dst[n++] = '-';
        }
        dst[n++] = hex[b[i] >> 4];
        dst[n++] = hex[b[i] & 0x0fu];
    }
    dst[n] = '\0';
}

void id_uuid(char dst[ID_UUID_LEN])
{
    uint8_t b[UUID_BYTES];
    id_random(b, sizeof(b));
    print_uuid(dst, b, 4);
}

static void put_ms(uint8_t b[6])
{
    uint64_t ms = (uint64_t)clock_real_ms();
    for (size_t i = 0; i < 6; i++) {
        b[i] = (uint8_t)(ms >> (8 * (5 - i)));
    }
}

void id_uuid7(char dst[ID_UUID_LEN])
{
    uint8_t b[UUID_BYTES];
    put_ms(b);
    id_random(b + 6, sizeof(b) - 6);
    print_uuid(dst, b, 7);
}

void id_sortable(char dst[ID_SORT_LEN])
{
    /* Digits and lower-case letters without i, l, o, u: in ASCII order, so text order is time order. */
    static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
    uint8_t b[UUID_BYTES];
    put_ms(b);
    id_random(b + 6, sizeof(b) - 6);
    /* 26 * 5 = 130 bits for 128: the first character carries three bits. */
    unsigned acc = 0;
    unsigned bits = 2;
    size_t n = 0;
    for (size_t i = 0; i < sizeof(b); i++) {
        acc = (acc << 8) | b[i];
        bits += 8;
        while (bits >= 5) {
            bits -= 5;
            dst[n++] = digits[(acc >> bits) & 31u];
        }
        acc &= (1u << bits) - 1;
    }
    dst[n] = '\0';
}

void id_code(char *dst, size_t n, const char *alphabet)
{
    size_t k = strlen(alphabet);
    ASSERT(k >= 1 && k <= 256);
    unsigned limit = 256u - 256u % (unsigned)k; /* larger values would favour the first letters */
    size_t i = 0;
    while (i < n) {
        uint8_t pool[64];
        id_random(pool, sizeof(pool));
        for (size_t j = 0; j < sizeof(pool) && i < n; j++) {
            if (pool[j] < limit) {
                dst[i++] = alphabet[pool[j] % k];
            }
        }
    }
    dst[n] = '\0';
}
