/*
 * attrs.h: compiler attributes and the handful of macros everybody may use.
 * Runs in: every process.     Owns: nothing.
 * Never: product concepts, statements with side effects.
 * Tested in: every unit test that includes it.
 */
#ifndef TENAZA_COMMON_ATTRS_H
#define TENAZA_COMMON_ATTRS_H

#include <stddef.h>

#define ATTR_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define ATTR_NODISCARD __attribute__((warn_unused_result))
#define ATTR_NORETURN __attribute__((noreturn))
#define ATTR_CLEANUP(fn) __attribute__((cleanup(fn)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define UNUSED(x) ((void)(x))

/* The object that contains `member` at `ptr`; used by intrusive lists and by libev callbacks. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

/*
 * Named crash points: in test builds (-Dcrash_points=true) the process kills itself with SIGKILL when
 * TENAZA_CRASH_AT names this site ("site" or "site:n" for the n-th pass); in other builds nothing.
 */
#ifdef TENAZA_CRASH_POINTS
void crash_point(const char *site);
#else
#define crash_point(site) ((void)0)
#endif

#endif
