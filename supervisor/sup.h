/*
 * sup.h: what the files of the supervisor share: the supervisor itself, its children, its control clients.
 * Runs in: supervisor.     Owns: declarations.
 * Never: included outside supervisor/ (the command line does not either).
 * Tested in: by every scenario
 */
#ifndef TENAZA_SUPERVISOR_SUP_H
#define TENAZA_SUPERVISOR_SUP_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <ev.h>

#include "common/buf.h"
#include "common/log.h"
#include "proto/control.h"
#include "supervisor/backoff.h"
#include "supervisor/conf_tree.h"
#include "supervisor/confine.h"
#include "supervisor/evidence.h"
#include "supervisor/kinds.h"
#include "supervisor/lifecycle.h"

#define SUP_MAX_CHILDREN 512
#define SUP_MAX_CLIENTS 64
/* Processes that outlived a worker, recorded at the same time; further ones are found when these have ended. */
#define SUP_MAX_STRAYS 1024
/* Longest path of a Unix socket (sun_path without its NUL). */
#define SUP_SOCKET_PATH_MAX 107

struct sup;

/* Listening sockets of the edge; as many as it takes (workers/edge/listener.c). */
#define SUP_MAX_LISTEN 8

struct listen_socket {
    int fd;
    char name[80]; /* for the store of descriptors: edge_127.0.0.1_18789 */
    bool managed;  /* from a socket unit of the service manager */
};
struct listen_set {
    struct listen_socket v[SUP_MAX_LISTEN];
    size_t n;
};
struct listen_error {
    char text[256];
    bool denied; /* no permission for this port */
};

/* Packets for a hub that did not fit into its socket; more than this is a hub that hangs. */
#define CHILD_QUEUE_MAX 4096

/* A deadline that we see this much too late says that the whole machine stood still (suspended, starved), not that
 * the worker did: it gets its full time once more. */
#define SUP_STALL_MS 250

/* The walls around a worker, as it reported them, and what we did ourselves (security.c). */
struct security {
    bool told;
    uint64_t bits; /* see control.def, SECURITY */
    char why[256];
    int group;     /* descriptor of its control group, -1 */
    unsigned limits; /* CG_* in force */
    uid_t uid;
};

struct ctl_queued {
    struct ctl_packet packet;
    int fd; /* to be attached, ours until sent; -1: none */
};

struct child {
    struct life life; /* first: the effects find the child through it */
    struct sup *sup;
    const struct worker_kind *kind;
    struct cfg_account account; /* kind channel */
    struct security security;
    char name[136];
    char peer[144]; /* how store and bus know it: the name, or edge.2 while two of them live */
    uint64_t inc;
    pid_t pid;  /* 0: none */
    int pidfd;  /* -1: none */
    int ctl;    /* our end of its fd 3, -1: none */
    bool exiting; /* its end was seen and is being handled */
    bool hello;   /* this incarnation has shown our build id */
    bool held;    /* stopped by the operator: a reload leaves it down */
    bool leaving;     /* not wanted any more: freed as soon as it has ended */
    bool restart_due; /* waits for its turn in a rolling restart */
    unsigned pushed;  /* sections sent to it and not yet confirmed */
    uint64_t touched; /* the reload that last did something to it */
    bool handover;    /* its drain: a successor works already */
    struct child *replaces; /* the incarnation that serves until this one is ready */
    struct backoff backoff;
    int64_t started_ms, ready_ms, next_try_ms; /* monotonic */
    int64_t beat_due_ms;                       /* monotonic: a beat must have come by then */
    unsigned spawns, restarts;
    uint64_t lag_ms, beat_rss_kb, beat_cpu_ms; /* as of its last beat */
    char log_level[8]; /* empty: that of all */
    char status[512], alarm[512], fail[512], last_exit[640];
    struct evidence evidence;
    struct ctl_queued *queue; /* waiting for the socket */
    size_t queue_n;
    ev_timer deadline, beat;
    ev_io ctl_io, pid_io;
};

/* A process that outlived the worker that started it, and came to us. */
struct stray {
    pid_t pid;
    struct child *of; /* NULL: that worker is not there any more */
};

/* The exit code of a child whose program could not be executed (as the shells have it). */
#define CANNOT_EXECUTE 127

/* A connection on ctl.sock. */
struct client {
    struct sup *sup;
    int fd; /* -1: free */
    pid_t pid;
    char name[32]; /* "cli-123" after attach, else empty */
    uint64_t inc;
    struct buf in, out;
    bool closing;
    ev_io read_io, write_io;
};

struct sup_opts {
    const char *config, *state, *bind; /* NULL: not given */
    int port;                          /* -1: not given */
    const char *level;
};

struct sup {
    struct ev_loop *loop;
    struct sup_opts opts;
    struct cfg cfg;
    struct backoff_rules rules;
    struct confine confine;
    char exe_dir[PATH_MAX], libexec[PATH_MAX];
    char state_dir[PATH_MAX], run_dir[PATH_MAX], config_file[PATH_MAX];
    char url[160];
    char *token;
    bool token_made, state_made;
    enum log_style log_style;
    int console_fd; /* where log lines for people go, -1: nowhere */
    char log_level[8];
    int log_fd, state_lock, run_lock;
    struct listen_set listen;
    uint64_t rev; /* reloads taken up */
    uint64_t last_inc;
    int64_t begun_ms, begun_us; /* monotonic: when the process was started by the kernel, about */
    struct child *children[SUP_MAX_CHILDREN];
    size_t child_n;
    struct stray strays[SUP_MAX_STRAYS];
    size_t stray_n;
    int ctl_fd;
    struct client clients[SUP_MAX_CLIENTS];
    bool ready_once, stopping, changed;
    int signals; /* how often it was asked to stop by a signal */
    int exit_code;
    ev_prepare turn;
    ev_io ctl_io;
    ev_timer grace, log_check, watchdog, banner;
    unsigned banner_waits;
    int64_t ready_us; /* monotonic, first time everything worked */
    ev_signal sig_term, sig_int, sig_hup, sig_usr1, sig_chld;
};

/* run.c */
void loop_setup(struct sup *s);
uint64_t sup_next_inc(struct sup *s);
void sup_stop(struct sup *s, int exit_code);
bool sup_all_ready(const struct sup *s); /* channels not required */

/* dirs.c: directories, locks, log file. All end the process with a clear text when they fail. */
void dirs_state(struct sup *s);
void dirs_runtime(struct sup *s);
void dirs_log(struct sup *s);
int dirs_log_open(const struct sup *s) ATTR_NODISCARD; /* the log file, for appending; -1 with errno */
void dirs_log_check(struct sup *s); /* sets the log file aside when it has grown too large */
int dirs_write_small(const char *dir, const char *name, const char *text) ATTR_NODISCARD;

/* children.c: which workers there are, and what the life cycle does to them */
void children_make(struct sup *s);
struct child *child_by_name(struct sup *s, const char *name);
struct child *child_by_pid(struct sup *s, pid_t pid);
struct child *child_add(struct sup *s, const struct cfg_worker *w);
void child_remove(struct child *c); /* takes it out of the list and frees it; it has no process */
void child_free(struct child *c);

/* spawn.c */
int spawn_child(struct child *c) ATTR_NODISCARD;
int spawn_section(const struct child *c) ATTR_NODISCARD; /* its section as a sealed descriptor; -1 */

/* reap.c */
void reap_watch(struct child *c);
void reap_child(struct child *c); /* when it has ended; else nothing */

/* strays.c: what workers leave behind */
void strays_clear(struct child *c);  /* kills it; raises CLEARED when nothing is left */
void strays_reap(struct sup *s);     /* after SIGCHLD */
size_t strays_of(const struct sup *s, const struct child *c);
void strays_forget(struct child *c); /* before c is freed */

/* ctlchan.c */
void ctlchan_watch(struct child *c);
void ctlchan_drop(struct child *c);
void ctlchan_send(struct child *c, const struct ctl_packet *p);
void ctlchan_send_fd(struct child *c, const struct ctl_packet *p, int fd); /* takes fd */
void ctlchan_read_rest(struct child *c);

/* operator.c: restart, stop, start or reset a worker. NULL: done; else why not. */
const char *operator_do(struct child *c, sv verb);

/* peers.c: who may speak to store and bus */
void peers_announce(struct sup *s, bool up, const char *name, uint64_t inc, pid_t pid);
void peers_replay(struct child *hub);

/* security.c: what separates each worker from the rest, for spawn.c, status.c and reap.c */
void security_prepare(struct child *c, struct confined *d);
void security_told(struct child *c, const struct ctl_packet *p);
void security_ended(struct child *c); /* its process is reaped: ends what is left in its group */
void security_json(const struct child *c, struct buf *out); /* "security":{...} */
bool security_is_worker(const struct sup *s, pid_t pid);

/* listen.c */
void listen_open(struct sup *s);
void listen_close(struct sup *s);
/* The sockets that a configuration wants: those that are there already, and new ones. ERR_BAD: a wrong address;
 * ERR_UNAVAILABLE: one cannot be had; nothing has changed then. listen_take makes them the ones in force. */
int listen_prepare(struct sup *s, const struct cfg *c, struct listen_set *out, struct listen_error *err) ATTR_NODISCARD;
void listen_take(struct sup *s, struct listen_set *set);

/* config.c: the configuration as this process sees it: file, command line, secrets, checks. Errors are in c. */
void config_read(struct sup *s, const char *file, struct cfg *c);
void config_use(struct sup *s); /* what the supervisor itself takes from s->cfg while it runs */
struct cfg_place config_place(const struct sup *s, const char *token, size_t listen_n);

/* reload.c */
struct reload {
    const char *file; /* NULL: the one in use */
    bool dry;         /* show, do nothing */
};
void reload_run(struct sup *s, const struct reload *r, struct buf *json);
void reload_turn(struct sup *s); /* after states changed: rolling restarts, handovers, farewells */
bool reload_settled(const struct child *c);

/* overlap.c: a fresh incarnation of c; where the kind allows two at once the old one serves until the new one does. */
void child_renew(struct child *c);
void overlap_turn(struct sup *s);

/* ctlsock.c, status.c */
void ctlsock_open(struct sup *s);
void ctlsock_close(struct sup *s);
void status_json(struct sup *s, struct buf *out);

/* logctl.c: the log while it runs. only: NULL for all workers and the supervisor. */
void logctl_level(struct sup *s, struct child *only, enum log_level level);
void logctl_reopen(struct sup *s); /* after somebody moved the file away */

/* notify.c, banner.c */
void notify_ready(struct sup *s);
void notify_status(struct sup *s);
void notify_stopping(struct sup *s);
void notify_reloading(void);
void notify_keep_fd(const char *name, int fd); /* into the manager's store; it comes back at the next start */
void notify_forget_fd(const char *name);
void notify_watchdog_start(struct sup *s);
void banner_ready(struct sup *s);

#endif
