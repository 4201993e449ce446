/*
 * netrules.c: see netrules.h.
 * Runs in: edge.     Owns: nothing.
 * Never: accepts a name that merely ends or starts like ours.
 * Tested in: tests/unit/edge/test_netrules.c
 */
#include "workers/edge/netrules.h"

#include "common/text.h"

static bool is_v4_loopback(sv a)
{
    if (!sv_starts(a, SV("127."))) {
        return false;
    }
    /* All four numbers, so that "127.evil.example" is not taken for an address. */
    unsigned parts = 0;
    while (a.n > 0) {
        uint64_t n;
        if (!sv_u64(sv_cut(&a, '.'), &n) || n > 255) {
            return false;
        }
        parts++;
    }
    return parts == 4;
}

bool addr_is_loopback(sv addr)
{
    if (sv_starts(addr, SV("::ffff:"))) {
        addr = sv_sub(addr, 7, addr.n);
    }
    return sv_eqc(addr, "::1") || is_v4_loopback(addr);
}

sv host_name(sv host)
{
    host = sv_trim(host);
    if (host.n > 0 && host.p[0] == '[') {
        ptrdiff_t close = sv_chr(host, ']');
        return close > 0 ? sv_sub(host, 1, (size_t)close - 1) : SV_NULL;
    }
    ptrdiff_t colon = sv_chr(host, ':');
    return colon >= 0 ? sv_sub(host, 0, (size_t)colon) : host;
}

bool host_is_local(sv host)
{
    sv name = host_name(host);
    if (sv_eq_nocase(name, SV("localhost")) || addr_is_loopback(name)) {
        return true;
    }
    const size_t tail = sizeof ".localhost" - 1;
    return name.n > tail && sv_eq_nocase(sv_sub(name, name.n - tail, tail), SV(".localhost"));
}

bool host_allowed(sv host, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (sv_eq_nocase(host_name(host), sv_of(names[i]))) {
            return true;
        }
    }
    return host_is_local(host);
}

static uint16_t port_of(sv host, uint16_t dflt)
{
    ptrdiff_t from = sv_chr(host, ']');
    sv rest = from >= 0 ? sv_sub(host, (size_t)from + 1, host.n) : host;
    ptrdiff_t colon = sv_chr(rest, ':');
    uint64_t n;
    if (colon >= 0 && sv_u64(sv_sub(rest, (size_t)colon + 1, rest.n), &n) && n > 0 && n < 65536) {
        return (uint16_t)n;
    }
    return dflt;
}

static bool same_host(const struct url *origin, sv host)
{
    uint16_t dflt = sv_eqc(origin->scheme, "https") ? 443 : 80;
    uint16_t port = origin->port ? origin->port : dflt;
    return sv_eq_nocase(origin->host, host_name(host)) && port == port_of(host, dflt);
}

const char *origin_refused(sv origin, sv host, const char *const *allowed, size_t allowed_n)
{
    struct url u;
    if (!url_parse(origin, &u) || u.host.n == 0 ||
        !(sv_eqc(u.scheme, "http") || sv_eqc(u.scheme, "https"))) {
        return "origin missing or invalid";
    }
    if (same_host(&u, host)) {
        return NULL;
    }
    for (size_t i = 0; i < allowed_n; i++) {
        sv a = sv_of(allowed[i]);
        if (a.n > 0 && a.p[a.n - 1] == '/') {
            a.n--;
        }
        if (sv_eq_nocase(a, origin)) {
            return NULL;
        }
    }
    return "origin not allowed";
}
