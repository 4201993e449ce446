/*
 * rmtree.c: removes a folder that a test has made.
 * Runs in: tests.     Owns: nothing.
 * Never: follows a link out of the folder.
 * Tested in: tests/power/power.c
 */
#include "tests/power/rmtree.h"

#include <ftw.h>
#include <stdio.h>

static int one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

void rmtree(const char *dir)
{
    (void)nftw(dir, one, 16, FTW_DEPTH | FTW_PHYS);
}
