/*
 * oai.h: the OpenAI-compatible interface (http-surfaces.md 5 and 6): what a request asks for, and the run that
 *        answers it. Runs come in through the one door of the store like everybody's.
 * Runs in: edge.     Owns: see the structs.
 * Never: included outside this folder and its tests.
 * Tested in: tests/unit/edge/test_oai_req.c, test_oai_out.c; tests/conformance/openai.test.mjs
 *
 *   oai_models.c      /v1/models, and which agent a model name means
 *   oai_req.h         a request, read and checked: members, tools (oai_req.c), messages (oai_chat.c), items (oai_items.c)
 *   oai_out.h         answers as JSON
 *   oai_run.h         the run behind a request; oai_voice_chat.c and oai_voice_resp.c tell what it does
 */
#ifndef TENAZA_EDGE_OAI_H
#define TENAZA_EDGE_OAI_H

#include "workers/edge/http.h"

/* Model names are agents of ours: "tenaza/<agent>". */
enum oai_model { OAI_MODEL_OK, OAI_MODEL_UNKNOWN, OAI_AGENT_UNKNOWN };
/* agent: of "tenaza", "tenaza/<id>", "agent:<id>", "openclaw/<id>", "openclaw:<id>" or an empty name. */
enum oai_model oai_agent_of(const struct edge *e, sv model, char agent[65]);
/* Answers 404 and lists the names there are. */
void oai_no_model(struct http_req *r, enum oai_model why, sv model);

#endif
