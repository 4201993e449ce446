/*
 * fmt_plain.h: markdown to readable plain text, for platforms without markup (IRC, SMS, Twitch).
 * Runs in: channel workers.     Owns: nothing.
 * Never: drops words or addresses; only marks vanish or change.
 * Tested in: tests/unit/chan/test_fmt_plain.c
 */
#ifndef TENAZA_WORKERS_CHAN_FMT_PLAIN_H
#define TENAZA_WORKERS_CHAN_FMT_PLAIN_H

#include "common/buf.h"
#include "common/sv.h"

/*
 * Appends md as plain text: headings and emphasis lose their marks, a link becomes "text (address)", fences
 * vanish and their content stays as it is, list bullets become "-", rules become "----".
 */
void fmt_plain(struct buf *dst, sv md);

#endif
