/*
 * turn_server.h: a model server in the loop of the test, one path for each way a server behaves or fails.
 * Runs in: unit tests.     Owns: the number of requests seen, the first and the last body.
 * Never: leaves loopback.
 * Tested in: test_turn.c uses it.
 */
#ifndef TENAZA_TESTS_UNIT_AGENT_TURN_SERVER_H
#define TENAZA_TESTS_UNIT_AGENT_TURN_SERVER_H

#include "common/buf.h"
#include "tests/unit/common/http_stub.h"

extern const struct stub_script turn_scripts[];
extern unsigned asked;
extern struct buf first_body, last_body;

#endif
