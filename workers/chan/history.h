/*
 * history.h: per chat a ring of group lines that were not for us, given to the agent as context of the next
 *            line that is.
 * Runs in: channel workers.     Owns: the lines.
 * Never: survives the process (they are decoration, not input); grows beyond its caps.
 * Tested in: tests/unit/chan/test_history.c
 */
#ifndef TENAZA_WORKERS_CHAN_HISTORY_H
#define TENAZA_WORKERS_CHAN_HISTORY_H

#include "common/buf.h"
#include "common/map.h"
#include "common/sv.h"

#define HISTORY_BYTES_MAX 32768 /* of one chat; INGEST.history takes 65536 */
#define HISTORY_CHATS_MAX 200   /* beyond these the quietest chat is forgotten */
#define HISTORY_LINE_MAX 2000   /* bytes of one line */

struct history {
    struct map chats;
    struct list order; /* least recently used first */
    size_t limit;      /* lines per chat, 0: off */
};

void history_init(struct history *h, size_t limit);
void history_free(struct history *h);
/* Remembers "who: text" for this chat; new lines inside text become spaces. */
void history_add(struct history *h, sv chat, sv who, sv text);
/* Moves the lines of the chat into dst, oldest first, one per line; forgets them here. */
void history_take(struct history *h, sv chat, struct buf *dst);

#endif
