/*
 * conf_fixture.h: writes a configuration text to a scratch file and loads it.
 * Runs in: unit tests of the configuration.     Owns: its scratch folder, removed at the end of each load.
 * Never: leaves files behind.
 * Tested in: the tests that include it.
 */
#ifndef TENAZA_TEST_CONF_FIXTURE_H
#define TENAZA_TEST_CONF_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "supervisor/conf_tree.h"

/* Messages name files by full path; this shortens "<dir>/t.conf" to "t.conf". */
static inline void fixture_shorten(struct buf *b, const char *dir)
{
    struct buf out = BUF_INIT(1 << 20);
    char *text = buf_cstr(b)[0] ? b->p : NULL;
    size_t n = strlen(dir) + 1;

    for (size_t i = 0; text != NULL && text[i];) {
        if (strncmp(text + i, dir, n - 1) == 0) {
            i += n;
        } else {
            buf_ch(&out, text[i++]);
        }
    }
    buf_free(b);
    *b = out;
}

static inline void fixture_load_mode(struct cfg *c, const char *text, const char *dropin, unsigned mode)
{
    char dir[] = "/tmp/tenaza-conf-XXXXXX";
    char file[64];
    char second[64];

    if (mkdtemp(dir) == NULL) {
        abort();
    }
    snprintf(file, sizeof file, "%s/t.conf", dir);
    snprintf(second, sizeof second, "%s/d.conf", dir);
    if (file_replace(file, sv_of(text), 0600) != 0 || chmod(file, mode) != 0 ||
        (dropin != NULL && file_replace(second, sv_of(dropin), 0600) != 0)) {
        abort();
    }
    cfg_init(c);
    cfg_load(c, file);
    fixture_shorten(&c->errors, dir);
    unlink(file);
    unlink(second);
    rmdir(dir);
}

static inline void fixture_load(struct cfg *c, const char *text)
{
    fixture_load_mode(c, text, NULL, 0600);
}

#endif
