/*
 * conf_check.c: rules that concern more than one setting.
 * Runs in: supervisor, command line.     Owns: nothing.
 * Never: changes a value.
 * Tested in: tests/unit/supervisor/test_conf_check.c
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/conf_tree.h"

/*
 * What an account of a channel must have (any one of the keys of a row), and what makes two accounts the same
 * credential (all keys of a row equal): two processes with one credential would take each other's messages.
 */
struct channel_rule {
    const char *channel;
    const char *keys[4];
};

static const struct channel_rule required[] = {
    {"irc", {"host"}},
    {"irc", {"nick"}},
    {"webhook", {"secret", "bearer"}},
};

static const struct channel_rule credentials[] = {
    {"irc", {"host", "port", "nick"}},
    {"irc", {"host", "port", "sasl.user"}},
    {"webhook", {"secret"}},
    {"webhook", {"bearer"}},
};

bool cfg_bind_is_loopback(const char *bind)
{
    return strcmp(bind, "loopback") == 0 || strcmp(bind, "localhost") == 0 || strcmp(bind, "::1") == 0 ||
           strncmp(bind, "127.", 4) == 0;
}

static bool is_address(const char *text)
{
    struct in6_addr any;

    return inet_pton(AF_INET, text, &any) == 1 || inet_pton(AF_INET6, text, &any) == 1;
}

static void check_tls(struct cfg *c)
{
    static const char *const needed[] = {"edge.tls.certificate", "edge.tls.key"};
    const struct cfg_value *on = cfg_find(c, "edge.tls.enabled");
    for (size_t i = 0; on != NULL && on->i != 0 && i < ARRAY_LEN(needed); i++) {
        if (cfg_find(c, needed[i]) == NULL) {
            cfg_error(c, on->origin, needed[i], "TLS needs it: \"file:/path/of/it.pem\"");
        }
    }
}

static void check_edge(struct cfg *c)
{
    check_tls(c);
    if (strcmp(cfg_str(c, "edge.auth.mode"), "password") == 0 && cfg_find(c, "edge.auth.password") == NULL) {
        const struct cfg_value *m = cfg_find(c, "edge.auth.mode");
        cfg_error(c, m ? m->origin : "", "edge.auth.password", "mode password needs a password here");
    }
    const struct cfg_value *mode = cfg_find(c, "edge.auth.mode");
    const struct cfg_value *bind = cfg_find(c, "edge.bind");
    const char *one;
    bool loopback = true;

    for (size_t i = 0; (one = cfg_list_at(c, "edge.bind", i)) != NULL; i++) {
        loopback = loopback && cfg_bind_is_loopback(one);
        if (bind != NULL && strcmp(one, "loopback") != 0 && strcmp(one, "localhost") != 0 && strcmp(one, "lan") != 0 &&
            !is_address(one)) {
            cfg_error(c, bind->origin, bind->path, "\"%s\" is neither loopback nor lan nor an IP address", one);
        }
    }
    if (mode != NULL && strcmp(mode->s, "none") == 0 && !loopback) {
        cfg_error(c, mode->origin, mode->path,
                  "none is possible only with edge.bind = \"loopback\": everybody on the network could give orders");
    }
}

/* Where an account begins in its file, for messages. */
static const char *account_origin(const struct cfg *c, const struct cfg_account *a)
{
    char path[512];

    snprintf(path, sizeof path, "channels.%s.accounts.%s", a->channel, a->account);
    const struct cfg_value *v = cfg_find(c, path);
    if (v == NULL) {
        snprintf(path, sizeof path, "channels.%s", a->channel);
        v = cfg_find(c, path);
    }
    return v ? v->origin : "";
}

static void check_required(struct cfg *c, const struct cfg_account *a)
{
    for (size_t i = 0; i < ARRAY_LEN(required); i++) {
        const struct channel_rule *r = &required[i];
        struct cfg_value scratch;
        bool found = false;
        if (strcmp(r->channel, a->channel) != 0) {
            continue;
        }
        for (size_t k = 0; k < ARRAY_LEN(r->keys) && r->keys[k]; k++) {
            found = found || cfg_account_get(c, a, r->keys[k], &scratch) != NULL;
        }
        if (!found) {
            char path[200];
            snprintf(path, sizeof path, "channels.%s (account %s)", a->channel, a->account);
            cfg_error(c, account_origin(c, a), path, "%s%s%s is missing", r->keys[0],
                      r->keys[1] ? " or " : "", r->keys[1] ? r->keys[1] : "");
        }
    }
}

static bool value_list_has(const struct cfg_value *v, const char *text)
{
    for (size_t i = 0; v != NULL && i < v->list_n; i++) {
        if (strcmp(v->list[i], text) == 0) {
            return true;
        }
    }
    return false;
}

static void check_policy(struct cfg *c, const struct cfg_account *a)
{
    struct cfg_value s1;
    struct cfg_value s2;
    const struct cfg_value *policy = cfg_account_get(c, a, "dmPolicy", &s1);
    const struct cfg_value *from = cfg_account_get(c, a, "allowFrom", &s2);

    if (policy == NULL || policy->path == NULL) {
        return; /* the default needs no list */
    }
    if (strcmp(policy->s, "open") == 0 && !value_list_has(from, "*")) {
        cfg_error(c, policy->origin, policy->path, "open needs allowFrom = [ \"*\" ], so that it is no accident");
    }
    if (strcmp(policy->s, "allowlist") == 0 && (from == NULL || from->list_n == 0)) {
        cfg_error(c, policy->origin, policy->path, "allowlist needs at least one id in allowFrom");
    }
}

static bool same_value(const struct cfg_value *a, const struct cfg_value *b)
{
    return a != NULL && b != NULL && a->i == b->i && (a->s == NULL) == (b->s == NULL) &&
           (a->s == NULL || strcmp(a->s, b->s) == 0);
}

static bool same_credential(const struct cfg *c, const struct cfg_account *a, const struct cfg_account *b,
                            const struct channel_rule *r)
{
    for (size_t k = 0; k < ARRAY_LEN(r->keys) && r->keys[k]; k++) {
        struct cfg_value s1;
        struct cfg_value s2;
        if (!same_value(cfg_account_get(c, a, r->keys[k], &s1), cfg_account_get(c, b, r->keys[k], &s2))) {
            return false;
        }
    }
    return true;
}

static void check_credentials(struct cfg *c, const struct cfg_account *a, size_t index)
{
    struct cfg_account other;

    for (size_t i = 0; i < index && cfg_account_at(c, i, &other); i++) {
        if (!other.enabled || strcmp(other.channel, a->channel) != 0) {
            continue;
        }
        for (size_t r = 0; r < ARRAY_LEN(credentials); r++) {
            if (strcmp(credentials[r].channel, a->channel) == 0 && same_credential(c, a, &other, &credentials[r])) {
                char path[200];
                snprintf(path, sizeof path, "channels.%s (account %s)", a->channel, a->account);
                cfg_error(c, account_origin(c, a), path, "the same %s as account %s; one credential, one account",
                          credentials[r].keys[1] ? "host, port and login" : credentials[r].keys[0], other.account);
                return;
            }
        }
    }
}

static void check_models(struct cfg *c)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct cfg_value *v = &c->v[i];
        if (v->row != NULL && strcmp(v->row->path, "models.providers.*.baseUrl") == 0 &&
            strncmp(v->s, "http://", 7) != 0 && strncmp(v->s, "https://", 8) != 0) {
            cfg_error(c, v->origin, v->path, "an address that begins with http:// or https:// is wanted here");
        }
    }
}

void cfg_check(struct cfg *c)
{
    struct cfg_account a;

    check_edge(c);
    check_models(c);
    for (size_t i = 0; cfg_account_at(c, i, &a); i++) {
        if (a.enabled) {
            check_required(c, &a);
            check_policy(c, &a);
            check_credentials(c, &a, i);
        }
    }
}
