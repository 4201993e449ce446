/*
 * doc_main.c: gen-docs: prints docs/protocol-internal.md.
 * Runs in: a developer's shell.     Owns: nothing.
 * Never: installed.
 * Tested in: tests/unit/proto/test_doc.c
 */
#include <unistd.h>

#include "common/err.h"
#include "common/file.h"
#include "proto/doc.h"

int main(void)
{
    struct buf out = BUF_INIT(BUF_MAX_DEFAULT);
    if (!doc_protocol(&out)) {
        die(EXIT_INTERNAL, "the manual is larger than %u bytes", BUF_MAX_DEFAULT);
    }
    if (fd_write_all(STDOUT_FILENO, out.p, out.n) != OK) {
        die(EXIT_CANTCREAT, "cannot write");
    }
    buf_free(&out);
    return 0;
}
