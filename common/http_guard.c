/*
 * http_guard.c: the address ranges that are not the public internet (IANA special-purpose registries).
 * Runs in: agent, chan.     Owns: nothing.
 * Never: resolves names; it judges the address that is really being connected to.
 * Tested in: tests/unit/common/test_http_guard.c
 */
#include "common/http_guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#include "common/attrs.h"
#include "common/sv.h"

struct range {
    uint8_t prefix[16];
    unsigned bits;
};

static const struct range V4[] = {
    {{0}, 8},              /* this network */
    {{10}, 8},             /* private */
    {{100, 64}, 10},       /* carrier-grade NAT */
    {{127}, 8},            /* loopback */
    {{169, 254}, 16},      /* link-local, cloud metadata */
    {{172, 16}, 12},       /* private */
    {{192, 0, 0}, 24},     /* protocol assignments */
    {{192, 0, 2}, 24},     /* documentation */
    {{192, 88, 99}, 24},   /* 6to4 relays */
    {{192, 168}, 16},      /* private */
    {{198, 18}, 15},       /* benchmarks */
    {{198, 51, 100}, 24},  /* documentation */
    {{203, 0, 113}, 24},   /* documentation */
    {{224}, 4},            /* multicast */
    {{240}, 4},            /* reserved, broadcast */
};

static const struct range V6[] = {
    {{0}, 96},                          /* unspecified, loopback, IPv4-compatible */
    {{0, 0x64, 0xff, 0x9b, 0, 1}, 48},  /* local NAT64 */
    {{1}, 64},                          /* discard-only */
    {{0x20, 0x01, 0, 0}, 23},           /* protocol assignments, Teredo among them */
    {{0x20, 0x01, 0x0d, 0xb8}, 32},     /* documentation */
    {{0xfc}, 7},                        /* unique local */
    {{0xfe, 0x80}, 10},                 /* link-local */
    {{0xfe, 0xc0}, 10},                 /* site-local, retired */
    {{0xff}, 8},                        /* multicast */
};

/* Forms that carry an IPv4 address: the inner one decides. */
static const struct {
    struct range r;
    size_t at; /* byte offset of the IPv4 address */
} EMBEDDED[] = {
    {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96}, 12}, /* mapped */
    {{{0, 0x64, 0xff, 0x9b}, 96}, 12},                      /* NAT64 */
    {{{0x20, 0x02}, 16}, 2},                                /* 6to4 */
};

static bool matches(const struct range *r, const uint8_t *addr)
{
    size_t whole = r->bits / 8;
    unsigned rest = r->bits % 8;
    if (memcmp(r->prefix, addr, whole) != 0) {
        return false;
    }
    return rest == 0 || ((r->prefix[whole] ^ addr[whole]) >> (8 - rest)) == 0;
}

static bool private_v4(const uint8_t *addr)
{
    for (size_t i = 0; i < ARRAY_LEN(V4); i++) {
        if (matches(&V4[i], addr)) {
            return true;
        }
    }
    return false;
}

static bool private_v6(const uint8_t *addr)
{
    for (size_t i = 0; i < ARRAY_LEN(EMBEDDED); i++) {
        if (matches(&EMBEDDED[i].r, addr)) {
            return private_v4(addr + EMBEDDED[i].at);
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(V6); i++) {
        if (matches(&V6[i], addr)) {
            return true;
        }
    }
    return false;
}

bool http_guard_private(const struct sockaddr *sa)
{
    uint8_t addr[16];
    if (sa->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;
        memcpy(addr, &in->sin_addr, 4);
        return private_v4(addr);
    }
    if (sa->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;
        memcpy(addr, &in6->sin6_addr, 16);
        return private_v6(addr);
    }
    return true;
}

bool http_guard_private_text(const char *ip)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t addr[16];
    sv rest = sv_of(ip);
    if (!sv_copy(text, sizeof text, sv_cut(&rest, '%'))) {
        return true;
    }
    if (inet_pton(AF_INET, text, addr) == 1) {
        return private_v4(addr);
    }
    return inet_pton(AF_INET6, text, addr) != 1 || private_v6(addr);
}
