/*
 * gate.h: who is heard. Pure decisions of channels.md 1.6, 1.7 and 1.8 over one message.
 * Runs in: channel workers.     Owns: nothing.
 * Never: asks the pairing table (the store does, when the verdict is GATE_PAIR); has an effect.
 * Tested in: tests/unit/chan/test_gate.c
 */
#ifndef TENAZA_WORKERS_CHAN_GATE_H
#define TENAZA_WORKERS_CHAN_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/sv.h"

enum dm_policy { DM_PAIRING, DM_ALLOWLIST, DM_OPEN, DM_DISABLED };
enum group_policy { GROUP_ALLOWLIST, GROUP_OPEN, GROUP_DISABLED };

/* Does an entry of a list mean this id? Channels have their own idea of equality (IRC: masks). "*" never
 * gets here. */
typedef bool gate_match_fn(const void *ctx, sv entry, sv id);

struct gate_list {
    const char *const *v; /* borrowed from the configuration */
    size_t n;
};

struct gate_policy {
    enum dm_policy dm;
    enum group_policy group;
    struct gate_list allow_from;
    struct gate_list group_allow_from; /* n == 0: allow_from */
    struct gate_list groups;           /* n == 0: no registry; else ids, "*" means all */
    bool require_mention;
    bool can_mention;                  /* mentions can be recognised here; else the mention gate is off */
    int64_t max_age_ms;                /* live events older than this start no turn; 0: no fence */
    gate_match_fn *match_sender, *match_group; /* NULL: equal bytes */
    const void *match_ctx;
};

struct gate_input {
    bool direct;     /* else a group */
    bool self;       /* written by ourselves */
    bool bot;        /* the author is a bot */
    bool addressed;  /* mentioned by name or pattern */
    bool command;    /* a standalone control command typed with a slash */
    sv chat_id, sender_id;
    int64_t age_ms;  /* since the platform's time; 0 when unknown */
};

enum gate_verdict {
    GATE_DROP,    /* nothing happens */
    GATE_CONTEXT, /* not for us, but kept as context of the group */
    GATE_PAIR,    /* direct message of a stranger: the store asks the pairing table */
    GATE_ALLOW,   /* a turn */
};

/* *why: a static phrase for the log. */
enum gate_verdict gate_decide(const struct gate_policy *p, const struct gate_input *in, const char **why);

/* Names of the configuration; an unknown or absent one is the closed default. */
enum dm_policy gate_dm_policy(const char *name);
enum group_policy gate_group_policy(const char *name);

#endif
