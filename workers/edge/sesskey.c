/*
 * sesskey.c: see sesskey.h.
 * Runs in: edge.     Owns: nothing.
 * Never: touches bytes above 127.
 * Tested in: tests/unit/edge/test_sesskey.c
 */
#include "workers/edge/sesskey.h"

#include <stdio.h>

static bool lower_into(char dst[SESSKEY_MAX + 1], size_t *n, sv s)
{
    if (s.n > SESSKEY_MAX - *n) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if ((unsigned char)c < 0x20) {
            return false;
        }
        dst[(*n)++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    dst[*n] = '\0';
    return true;
}

sv sesskey_agent(sv key)
{
    if (!sv_starts(key, SV("agent:"))) {
        return SV_NULL;
    }
    sv rest = sv_sub(key, 6, key.n);
    ptrdiff_t colon = sv_chr(rest, ':');
    return colon > 0 ? sv_sub(rest, 0, (size_t)colon) : SV_NULL;
}

sv sesskey_rest(sv key)
{
    sv agent = sesskey_agent(key);
    return agent.p ? sv_sub(key, 6 + agent.n + 1, key.n) : SV_NULL;
}

bool sesskey_canonical(sv key, sv agent, char dst[SESSKEY_MAX + 1])
{
    size_t n = 0;
    dst[0] = '\0';
    key = sv_trim(key);
    agent = sv_trim(agent);
    if (key.n == 0) {
        return false;
    }
    if (key.n > 6 && sv_eq_nocase(sv_sub(key, 0, 6), SV("agent:"))) {
        return lower_into(dst, &n, key) && sesskey_agent(sv_of(dst)).n > 0 &&
               sesskey_rest(sv_of(dst)).n > 0;
    }
    return lower_into(dst, &n, SV("agent:")) &&
           lower_into(dst, &n, agent.n > 0 ? agent : SV("main")) && lower_into(dst, &n, SV(":")) &&
           lower_into(dst, &n, key) && sesskey_agent(sv_of(dst)).n > 0;
}
