/*
 * fuzz_store.c: whole histories of requests with arbitrary bodies against a store in memory.
 * Runs in: libFuzzer (clang, -Dfuzz=true).     Owns: a database in a temporary folder, used by all inputs.
 * Never: opens a socket.
 * Tested in: itself. An input is a list of: type (2 bytes, big endian), peer (1), length (2, big endian), body
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/crypto.h"
#include "common/err.h"
#include "workers/store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct store *s;

static void on_out(void *ctx, const struct store_out *m)
{
    (void)ctx;
    ASSERT(m->dst != NULL && m->type != MSG_NONE && m->body.n > 0);
}

static void start(void)
{
    char text[256], dir[64];
    struct conf none = {0};
    crypto_init();
    (void)snprintf(dir, sizeof(dir), "%s/tenaza-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    ASSERT(mkdtemp(dir) != NULL);
    struct store_conf conf = store_conf_read(&none, dir);
    conf.map_bytes = 256u << 20;
    ASSERT(store_new(&conf, on_out, NULL, &s, text, sizeof(text)) == 0);
    static const char *const files[] = {"/data.mdb", "/lock.mdb", "/store.lock", ""};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) { /* open files need no names */
        (void)snprintf(text, sizeof(text), "%s%s", dir, files[i]);
        (void)remove(text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"agent-1", "edge", "irc/default", "cli-1"};
    if (s == NULL) {
        start();
    }
    while (size >= 5) {
        size_t n = (size_t)(data[3] << 8 | data[4]);
        n = n < size - 5 ? n : size - 5;
        struct store_req r = {.name = names[data[2] % 4], .inc = 1, .rid = 1, .body = sv_mem(data + 5, n),
                              .type = (uint16_t)(data[0] << 8 | data[1])};
        store_turn(s, &r, 1);
        data += 5 + n;
        size -= 5 + n;
    }
    return 0;
}
