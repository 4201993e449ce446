/*
 * guard.c: memory for one secret.
 * Runs in: every process that gets a secret.     Owns: the pages, until guard_free.
 * Never: leaves a copy behind.
 * Tested in: tests/unit/common/test_guard.c
 *
 * common/crypto.h has the same on top of libsodium for whoever links it; a configuration section arrives in every
 * worker, also in those that do not.
 */
#include "common/guard.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/err.h"

/* [no access][length, text, NUL, zeros][no access] */
struct guarded {
    size_t data; /* bytes of the middle part */
    size_t size; /* bytes that are used behind this header, with the NUL */
};

static size_t page(void)
{
    static size_t size;

    size = size != 0 ? size : (size_t)sysconf(_SC_PAGESIZE);
    return size;
}

char *guard_new(sv text)
{
    size_t data = (sizeof(struct guarded) + text.n + 1 + page() - 1) / page() * page();
    char *all = mmap(NULL, data + 2 * page(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (all == MAP_FAILED || mprotect(all + page(), data, PROT_READ | PROT_WRITE) != 0) {
        die(EXIT_TEMPFAIL, "no memory for a secret");
    }
    /* Both may fail where limits are tight (RLIMIT_MEMLOCK): then it is memory as any other, and works. */
    (void)mlock(all + page(), data);
    (void)madvise(all + page(), data, MADV_DONTDUMP);
    struct guarded head = {data, text.n + 1};
    char *p = all + page();
    memcpy(p, &head, sizeof head);
    if (text.n > 0) {
        memcpy(p + sizeof head, text.p, text.n);
    }
    return p + sizeof head;
}

void guard_free(char *p)
{
    struct guarded head;

    if (p == NULL) {
        return;
    }
    memcpy(&head, p - sizeof head, sizeof head);
    explicit_bzero(p, head.size);
    (void)munmap(p - sizeof head - page(), head.data + 2 * page());
}
