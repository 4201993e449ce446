/*
 * cmd_service.c: service install, status, uninstall: Tenaza under systemd, for the machine or for one user.
 * Runs in: command line.     Owns: nothing; the files it writes carry a first line that says so.
 * Never: overwrites or removes a unit that somebody else wrote; touches state or configuration when it uninstalls.
 * Tested in: tests/scn/s1-service.test.mjs, tests/unit/supervisor/test_service_unit.c
 */
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/file.h"
#include "supervisor/cli/cli.h"
#include "supervisor/cli/service_unit.h"

#define UNIT_CAP ((size_t)64 * 1024)
#define MARK "# Written by `tenaza service install`; your changes belong into a drop-in: systemctl edit tenaza\n"
#define USER_NAME "tenaza"
#define SYSUSERS "u tenaza - \"Tenaza gateway\" /var/lib/tenaza\n"
#define FIRST_CONF "// Every setting has a working default; all of them: tenaza config schema.  Check: tenaza config check\n"

struct place {
    enum unit_scope scope;
    const char *root;        /* --root DIR, "" for the running system */
    char units[PATH_MAX];    /* directory of the unit files */
    char bin[PATH_MAX];      /* this command */
    bool live;               /* systemd runs here and root is "" */
};

static const char *const unit_names[] = {[UNIT_SERVICE] = "tenaza.service", [UNIT_SOCKET] = "tenaza.socket"};

static const char *scope_text(const struct place *p)
{
    return p->scope == UNIT_SYSTEM ? "--system" : "--user";
}

static void find_units(const struct cli *c, struct place *p)
{
    const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    int n;

    if (p->scope == UNIT_SYSTEM) {
        n = snprintf(p->units, sizeof p->units, "%s/etc/systemd/system", p->root);
    } else if (xdg != NULL && xdg[0] == '/') {
        n = snprintf(p->units, sizeof p->units, "%s%s/systemd/user", p->root, xdg);
    } else if (home != NULL && home[0] == '/') {
        n = snprintf(p->units, sizeof p->units, "%s%s/.config/systemd/user", p->root, home);
    } else {
        cli_fail(c, CLI_USAGE, "no_home", "give --system, or set HOME", "there is no home directory for a user's service");
    }
    if (n < 0 || (size_t)n >= sizeof p->units) {
        cli_fail(c, CLI_USAGE, "usage", NULL, "the path of the unit directory is too long");
    }
}

/* Takes --system, --user, --root out of the words. */
static struct place find_place(struct cli *c)
{
    struct place p = {.scope = geteuid() == 0 ? UNIT_SYSTEM : UNIT_USER};
    bool system = cli_flag(c, "--system", NULL), user = cli_flag(c, "--user", NULL);
    const char *root = cli_option(c, "--root", NULL);

    if (system && user) {
        cli_fail(c, CLI_USAGE, "usage", NULL, "--system and --user exclude each other");
    }
    p.scope = system ? UNIT_SYSTEM : user ? UNIT_USER : p.scope;
    p.root = root != NULL ? root : "";
    find_units(c, &p);
    ssize_t n = readlink("/proc/self/exe", p.bin, sizeof p.bin - 1);
    p.bin[n > 0 ? n : 0] = '\0';
    p.live = p.root[0] == '\0' && access("/run/systemd/system", F_OK) == 0;
    return p;
}

static char *unit_path(const struct place *p, enum unit_file file)
{
    return xasprintf("%s/%s", p->units, unit_names[file]);
}

/* Where a package puts it. */
static char *packaged_path(const struct place *p, enum unit_file file)
{
    return xasprintf("%s/lib/systemd/%s/%s", p->root, p->scope == UNIT_SYSTEM ? "system" : "user", unit_names[file]);
}

static bool is_ours(const char *path)
{
    struct buf b = BUF_INIT(UNIT_CAP);
    bool ours = file_read(path, &b) == 0 && sv_starts(buf_view(&b), sv_of(MARK));

    buf_free(&b);
    return ours;
}

/* systemctl with the scope; false when it says no (its words are shown). */
static bool systemctl(const struct cli *c, const struct place *p, const char *verb, const char *unit)
{
    const char *argv[] = {"systemctl", p->scope == UNIT_SYSTEM ? "--system" : "--user", verb, unit, NULL};
    struct buf said = BUF_INIT(UNIT_CAP);
    int rc = cli_program(argv, &said);

    if (rc != 0 && !c->quiet) {
        fprintf(stderr, "systemctl %s %s %s: %s\n", argv[1], verb, unit ? unit : "",
                rc < 0 ? "could not be run" : buf_cstr(&said));
    }
    buf_free(&said);
    return rc == 0;
}

/* ---- install ------------------------------------------------------------------------------------------- */

static void write_file(const struct cli *c, const char *path, sv text, mode_t mode)
{
    if (file_replace(path, text, mode) != 0) {
        cli_fail(c, errno == EACCES || errno == EPERM ? CLI_DENIED : CLI_IO, "not_written",
                 errno == EACCES ? "as root, or: tenaza service install --user" : NULL, "%s cannot be written: %s", path,
                 strerror(errno));
    }
}

static void write_unit(const struct cli *c, const struct place *p, enum unit_file file)
{
    struct buf text = BUF_INIT(UNIT_CAP);
    char *path = unit_path(p, file);

    if (access(path, F_OK) == 0 && !is_ours(path)) {
        cli_fail(c, CLI_FAILED, "exists", "move it away first", "%s was not written by tenaza", path);
    }
    buf_str(&text, MARK);
    unit_print(&text, file, p->scope, p->bin);
    write_file(c, path, buf_view(&text), 0644);
    cli_say(c, "written  %s", path);
    buf_free(&text);
    xfree(path);
}

/* The service's own user, by the rules of sysusers.d, so that systemd knows it too. */
static void make_user(const struct cli *c, const struct place *p)
{
    char *dir = xasprintf("%s/etc/sysusers.d", p->root), *path = xasprintf("%s/tenaza.conf", dir);
    char *root_word = xasprintf("--root=%s", p->root[0] ? p->root : "/");
    const char *argv[] = {"systemd-sysusers", root_word, "tenaza.conf", NULL};
    struct buf said = BUF_INIT(UNIT_CAP);

    if (p->root[0] != '\0' || getpwnam(USER_NAME) == NULL) {
        if (dir_make(dir, 0755) != 0) {
            cli_fail(c, CLI_IO, "not_written", NULL, "%s cannot be made: %s", dir, strerror(errno));
        }
        write_file(c, path, sv_of(SYSUSERS), 0644);
        if (cli_program(argv, &said) != 0) {
            cli_fail(c, CLI_FAILED, "no_user", "make it by hand: useradd --system " USER_NAME, "the user " USER_NAME
                     " could not be made: %s", buf_cstr(&said));
        }
        cli_say(c, "user     " USER_NAME);
    }
    buf_free(&said);
    xfree(root_word);
    xfree(path);
    xfree(dir);
}

/* The unit names this file, so it must be there; one that a person wrote stays as it is. */
static void make_conf(const struct cli *c, const struct place *p)
{
    char *dir = xasprintf("%s/etc/tenaza", p->root), *path = xasprintf("%s/tenaza.conf", dir);
    const struct group *group = getgrnam(USER_NAME);

    if (access(path, F_OK) != 0) {
        if (dir_make(dir, 0755) != 0) {
            cli_fail(c, CLI_IO, "not_written", NULL, "%s cannot be made: %s", dir, strerror(errno));
        }
        write_file(c, path, sv_of(FIRST_CONF), 0640);
        if (p->root[0] == '\0' && group != NULL && chown(path, 0, group->gr_gid) != 0) {
            cli_fail(c, CLI_IO, "not_written", NULL, "%s cannot be given to group " USER_NAME ": %s", path, strerror(errno));
        }
        cli_say(c, "written  %s", path);
    }
    xfree(path);
    xfree(dir);
}

/* A system service sees no home directories (ProtectHome), so its program must not lie in one. What --root prepares runs
 * elsewhere, where this command may lie at another place. */
static void check_program(const struct cli *c, const struct place *p)
{
    static const char *const hidden[] = {"/home/", "/root/", "/run/user/"};

    for (size_t i = 0; p->scope == UNIT_SYSTEM && p->root[0] == '\0' && i < ARRAY_LEN(hidden); i++) {
        if (strncmp(p->bin, hidden[i], strlen(hidden[i])) == 0) {
            cli_fail(c, CLI_FAILED, "not_installed", "install it (meson install -C build, or the package), or use --user",
                     "%s lies in a home directory, which a system service does not see", p->bin);
        }
    }
}

static int print_units(const struct place *p, bool socket)
{
    struct buf text = BUF_INIT(UNIT_CAP);

    unit_print(&text, UNIT_SERVICE, p->scope, p->bin);
    if (socket) {
        buf_ch(&text, '\n');
        unit_print(&text, UNIT_SOCKET, p->scope, p->bin);
    }
    fputs(buf_cstr(&text), stdout);
    buf_free(&text);
    return CLI_OK;
}

static void refuse_packaged(const struct cli *c, const struct place *p)
{
    char *path = packaged_path(p, UNIT_SERVICE);

    if (access(path, F_OK) == 0) {
        cli_fail(c, CLI_FAILED, "packaged", "start it: systemctl enable --now tenaza", "%s is there already, from the package",
                 path);
    }
    xfree(path);
}

static int enable(const struct cli *c, const struct place *p, bool socket, bool now)
{
    bool ok = systemctl(c, p, "daemon-reload", NULL) && (!socket || systemctl(c, p, "enable", unit_names[UNIT_SOCKET])) &&
              systemctl(c, p, "enable", unit_names[UNIT_SERVICE]);

    if (ok && now) {
        ok = (!socket || systemctl(c, p, "start", unit_names[UNIT_SOCKET])) &&
             systemctl(c, p, "restart", unit_names[UNIT_SERVICE]);
    }
    if (ok) {
        cli_say(c, now ? "enabled and started" : "enabled; start it: systemctl %s start tenaza", scope_text(p));
    }
    return ok ? CLI_OK : CLI_FAILED;
}

static int install(struct cli *c)
{
    bool socket = cli_flag(c, "--socket", NULL), now = cli_flag(c, "--now", NULL), print = cli_flag(c, "--print", NULL);
    struct place p = find_place(c);

    cli_words(c, 1);
    if (print) {
        return print_units(&p, socket);
    }
    refuse_packaged(c, &p);
    check_program(c, &p);
    if (dir_make(p.units, 0755) != 0) {
        cli_fail(c, errno == EACCES ? CLI_DENIED : CLI_IO, "not_written",
                 errno == EACCES ? "as root, or: tenaza service install --user" : NULL, "%s cannot be made: %s", p.units,
                 strerror(errno));
    }
    if (p.scope == UNIT_SYSTEM) {
        make_user(c, &p);
        make_conf(c, &p);
    }
    write_unit(c, &p, UNIT_SERVICE);
    if (socket) {
        write_unit(c, &p, UNIT_SOCKET);
    }
    if (!p.live) {
        cli_say(c, "systemd does not run here; where it does: systemctl %s enable --now tenaza", scope_text(&p));
        return CLI_OK;
    }
    return enable(c, &p, socket, now);
}

/* ---- status, uninstall --------------------------------------------------------------------------------- */

static char *find_unit(const struct place *p)
{
    char *path = unit_path(p, UNIT_SERVICE);

    if (access(path, F_OK) != 0) {
        xfree(path);
        path = packaged_path(p, UNIT_SERVICE);
    }
    if (access(path, F_OK) != 0) {
        xfree(path);
        path = NULL;
    }
    return path;
}

/* One word of systemctl, like "active" or "enabled". */
static char *ask(const struct place *p, const char *verb)
{
    const char *argv[] = {"systemctl", scope_text(p), verb, unit_names[UNIT_SERVICE], NULL};
    struct buf said = BUF_INIT(UNIT_CAP);

    (void)cli_program(argv, &said);
    char *word = xsvdup(sv_trim(buf_view(&said)));
    buf_free(&said);
    return word;
}

static int status(struct cli *c)
{
    struct place p = find_place(c);

    cli_words(c, 1);
    char *unit = find_unit(&p);
    if (unit == NULL) {
        cli_fail(c, CLI_NOT_THERE, "not_installed", "tenaza service install", "no %s service is installed",
                 p.scope == UNIT_SYSTEM ? "system" : "user");
    }
    char *active = p.live ? ask(&p, "is-active") : xstrdup("unknown");
    char *enabled = p.live ? ask(&p, "is-enabled") : xstrdup("unknown");
    bool runs = strcmp(active, "active") == 0 || strcmp(active, "reloading") == 0;
    if (c->json) {
        cli_print_json(json_pack("{s:s, s:s, s:s, s:b}", "unit", unit, "active", active, "enabled", enabled, "systemd", p.live));
    } else {
        printf("%s %s  %s, %s\n", cli_sign(c, runs ? SIGN_OK : SIGN_OFF), unit, active, enabled);
        if (!p.live) {
            puts("  systemd does not run here: what it would say is not known");
        }
    }
    xfree(unit);
    xfree(active);
    xfree(enabled);
    return runs ? CLI_OK : CLI_NOT_THERE;
}

static int uninstall(struct cli *c)
{
    struct place p = find_place(c);
    bool found = false;

    cli_words(c, 1);
    for (size_t i = 0; i < ARRAY_LEN(unit_names); i++) {
        char *path = unit_path(&p, (enum unit_file)i);
        if (is_ours(path)) {
            if (p.live) {
                (void)systemctl(c, &p, "stop", unit_names[i]);
                (void)systemctl(c, &p, "disable", unit_names[i]);
            }
            if (unlink(path) != 0) {
                cli_fail(c, errno == EACCES ? CLI_DENIED : CLI_IO, "not_removed", NULL, "%s cannot be removed: %s", path,
                         strerror(errno));
            }
            cli_say(c, "removed  %s", path);
            found = true;
        }
        xfree(path);
    }
    if (!found) {
        char *unit = find_unit(&p);
        if (unit != NULL) {
            cli_fail(c, CLI_FAILED, "not_ours", "apt-get remove tenaza, or remove the file yourself",
                     "%s was not written by tenaza service install", unit);
        }
        cli_say(c, "not installed");
        return CLI_OK;
    }
    if (p.live) {
        (void)systemctl(c, &p, "daemon-reload", NULL);
    }
    cli_say(c, "state and configuration are kept");
    return CLI_OK;
}

int cmd_service(struct cli *c)
{
    static const struct {
        const char *word;
        int (*fn)(struct cli *c);
    } verbs[] = {{"install", install}, {"status", status}, {"uninstall", uninstall}};

    for (size_t i = 0; c->argc > 0 && i < ARRAY_LEN(verbs); i++) {
        for (int k = 0; k < c->argc; k++) {
            if (strcmp(c->argv[k], verbs[i].word) == 0) {
                return verbs[i].fn(c);
            }
        }
    }
    cli_fail(c, CLI_USAGE, "usage", "tenaza help service", "service needs install, status or uninstall");
}
