/*
 * conf_account.c: accounts of chat channels: which exist, and what applies to each (account before channel).
 * Runs in: supervisor, command line.     Owns: nothing.
 * Never: knows a channel by name.
 * Tested in: tests/unit/supervisor/test_conf_section.c
 */
#include <stdio.h>
#include <string.h>

#include "supervisor/conf_tree.h"

#define KEY_PATH 512

static bool account_enabled(const struct cfg *c, const struct cfg_account *a)
{
    char path[KEY_PATH];
    struct cfg_value scratch;

    snprintf(path, sizeof path, "channels.%s.enabled", a->channel);
    const struct cfg_value *v = cfg_get(c, path, &scratch);
    bool channel_on = v == NULL || v->i != 0;
    snprintf(path, sizeof path, "channels.%s.accounts.%s.enabled", a->channel, a->account);
    v = cfg_get(c, path, &scratch);
    return channel_on && (v == NULL || v->i != 0);
}

bool cfg_account_at(const struct cfg *c, size_t want, struct cfg_account *out)
{
    char path[KEY_PATH];
    size_t seen = 0;

    for (size_t ch = 0; cfg_child(c, "channels", ch, out->channel, sizeof out->channel); ch++) {
        snprintf(path, sizeof path, "channels.%s.accounts", out->channel);
        for (size_t i = 0;; i++) {
            bool named = cfg_child(c, path, i, out->account, sizeof out->account);
            if (!named && i > 0) {
                break;
            }
            if (!named) {
                /* Settings of the channel alone describe the one account "default". */
                sv_copy(out->account, sizeof out->account, SV("default"));
            }
            if (seen++ == want) {
                out->enabled = account_enabled(c, out);
                return true;
            }
            if (!named) {
                break;
            }
        }
    }
    return false;
}

const struct cfg_value *cfg_account_get(const struct cfg *c, const struct cfg_account *a, const char *key,
                                        struct cfg_value *scratch)
{
    char path[KEY_PATH];

    snprintf(path, sizeof path, "channels.%s.accounts.%s.%s", a->channel, a->account, key);
    const struct cfg_value *v = cfg_find(c, path);
    if (v == NULL) {
        snprintf(path, sizeof path, "channels.%s.%s", a->channel, key);
        v = cfg_get(c, path, scratch);
    }
    return v;
}
