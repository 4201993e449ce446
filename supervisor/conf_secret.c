/*
 * conf_secret.c: replaces references (env:, file:, cred:) by the secrets they name; the clients' token.
 * Runs in: supervisor, command line (config check, url).     Owns: nothing.
 * Never: prints a secret, not even a part of it.
 * Tested in: tests/unit/supervisor/test_conf_check.c
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/file.h"
#include "common/id.h"
#include "supervisor/conf_tree.h"

#define SECRET_MAX 65536 /* a certificate with its chain */
#define TOKEN_BYTES 24

/* Content of a secret file without the line end. */
static int read_secret(const char *path, char **out)
{
    struct buf b = BUF_INIT(SECRET_MAX);
    int rc = file_read(path, &b);

    if (rc == 0) {
        *out = xsvdup(sv_trim(buf_view(&b)));
    }
    if (b.p != NULL) {
        explicit_bzero(b.p, b.n);
    }
    buf_free(&b);
    return rc;
}

static char *from_file(struct cfg *c, struct cfg_value *v, const char *path)
{
    char *secret = NULL;

    if (read_secret(path, &secret) != 0) {
        cfg_error(c, v->origin, v->path, "%s cannot be read: %s", path, strerror(errno));
    }
    return secret;
}

static char *from_credential(struct cfg *c, struct cfg_value *v, const char *name)
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");

    if (dir == NULL || name[0] == '\0' || strchr(name, '/') != NULL) {
        cfg_error(c, v->origin, v->path, "%s", dir ? "cred: needs a plain name behind it"
                                                   : "cred: works under systemd with LoadCredential= only");
        return NULL;
    }
    char *path = xasprintf("%s/%s", dir, name);
    char *secret = from_file(c, v, path);
    xfree(path);
    return secret;
}

/* A secret written out in a file that everybody may read is no secret. */
static void warn_if_worldly(struct cfg *c, const struct cfg_value *v)
{
    for (size_t i = 0; i < c->file_n; i++) {
        size_t n = strlen(c->files[i]);
        if ((c->worldly & (1u << i)) && strncmp(v->origin, c->files[i], n) == 0 && v->origin[n] == ':') {
            cfg_warn(c, v->origin, v->path,
                     "a secret in a file that everybody can read: chmod 640 it, or write \"file:...\" or \"env:...\"");
        }
    }
}

static void resolve(struct cfg *c, struct cfg_value *v)
{
    char *secret = NULL;

    if (strncmp(v->s, "env:", 4) == 0) {
        const char *value = getenv(v->s + 4);
        if (value == NULL || value[0] == '\0') {
            cfg_error(c, v->origin, v->path, "the environment has no %s", v->s + 4);
            return;
        }
        secret = xstrdup(value);
    } else if (strncmp(v->s, "file:", 5) == 0) {
        secret = from_file(c, v, v->s + 5);
    } else if (strncmp(v->s, "cred:", 5) == 0) {
        secret = from_credential(c, v, v->s + 5);
    } else {
        warn_if_worldly(c, v);
        secret = xstrdup(v->s);
    }
    if (secret == NULL) {
        return;
    }
    size_t n = strlen(secret);
    if ((int64_t)n < v->row->min || (int64_t)n > v->row->max) {
        cfg_error(c, v->origin, v->path, "the secret has %zu characters, possible: %lld to %lld", n,
                  (long long)v->row->min, (long long)v->row->max);
    }
    explicit_bzero(v->s, strlen(v->s));
    xfree(v->s);
    v->s = secret;
}

static bool switched_off(const struct cfg *c, const char *group, sv rest)
{
    char path[512];

    int n = snprintf(path, sizeof path, "%s.%.*s.enabled", group, SV_ARG(rest));
    if (n < 0 || (size_t)n >= sizeof path) {
        return false;
    }
    const struct cfg_value *v = cfg_find(c, path);
    return v != NULL && v->i == 0;
}

/* The secret of a channel or account that is not used need not exist. */
static bool is_unused(const struct cfg *c, const char *path)
{
    sv rest = sv_of(path);
    char group[512];

    if (!sv_eqc(sv_cut(&rest, '.'), "channels")) {
        return false;
    }
    sv channel = sv_cut(&rest, '.');
    if (switched_off(c, "channels", channel)) {
        return true;
    }
    snprintf(group, sizeof group, "channels.%.*s.accounts", SV_ARG(channel));
    return sv_eqc(sv_cut(&rest, '.'), "accounts") && switched_off(c, group, sv_cut(&rest, '.'));
}

void cfg_resolve_secrets(struct cfg *c)
{
    for (size_t i = 0; i < c->n; i++) {
        if (c->v[i].row != NULL && c->v[i].row->type == CT_SECRET && !is_unused(c, c->v[i].path)) {
            resolve(c, &c->v[i]);
        }
    }
}

static int make_token(const char *path, char **dst)
{
    uint8_t raw[TOKEN_BYTES];
    struct buf text = BUF_INIT(256);

    id_random(raw, sizeof raw);
    for (size_t i = 0; i < sizeof raw; i++) {
        buf_printf(&text, "%02x", raw[i]);
    }
    *dst = xstrdup(buf_cstr(&text));
    buf_ch(&text, '\n');
    int rc = file_replace(path, buf_view(&text), 0600);
    explicit_bzero(text.p, text.n);
    buf_free(&text);
    return rc;
}

int cfg_gateway_token(const struct cfg *c, const char *state_dir, bool create, char **dst, bool *made)
{
    const struct cfg_value *v = cfg_find(c, "edge.auth.token");

    *made = false;
    *dst = NULL;
    if (v != NULL) {
        *dst = xstrdup(v->s);
        return 0;
    }
    char *path = xasprintf("%s/gateway.token", state_dir);
    int rc = read_secret(path, dst);
    if (rc == 0 && strlen(*dst) < 16) {
        rc = ERR_PARSE;
    } else if (rc == ERR_GONE && create) {
        rc = make_token(path, dst);
        *made = rc == 0;
    }
    if (rc != 0) {
        xfree(*dst);
        *dst = NULL;
    }
    xfree(path);
    return rc;
}
