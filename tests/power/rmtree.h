/*
 * rmtree.h: removes a folder that a test has made.
 * Runs in: tests.     Owns: nothing.
 * Never: follows a link out of the folder.
 * Tested in: tests/power/power.c
 */
#ifndef TENAZA_TESTS_POWER_RMTREE_H
#define TENAZA_TESTS_POWER_RMTREE_H

void rmtree(const char *dir);

#endif
