/*
 * doc_rpc_main.c: gen-methods [--json]: prints docs/protocol-methods.md, or the same table for tests.
 * Runs in: a developer's shell, tests.     Owns: nothing.
 * Never: installed.
 * Tested in: tests/unit/proto/test_doc.c
 */
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/file.h"
#include "proto/doc.h"

int main(int argc, char **argv)
{
    struct buf out = BUF_INIT(BUF_MAX_DEFAULT);
    bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    if (!(json ? doc_methods_json(&out) : doc_methods(&out))) {
        die(EXIT_INTERNAL, "the page is larger than %u bytes", BUF_MAX_DEFAULT);
    }
    if (fd_write_all(STDOUT_FILENO, out.p, out.n) != OK) {
        die(EXIT_CANTCREAT, "cannot write");
    }
    buf_free(&out);
    return 0;
}
