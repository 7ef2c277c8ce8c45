/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The state of serve, shared by its two halves: serve.c runs it, endpoints.c answers questions about it. */
#ifndef MB_SERVE_INTERNAL_H
#define MB_SERVE_INTERNAL_H

#include "record/recorder.h"
#include "serve/config.h"
#include "serve/http.h"
#include "serve/metrics.h"
#include "session/session.h"

struct mb_serve {
	const char *config_path; /* NULL: none */
	const struct mb_serve_overrides *overrides; /* what the command line says goes before the file */
	struct mb_serve_config cfg; /* in force */
	struct mb_session session;
	struct mb_http *http;
	struct mb_watch http_watch;
	struct mb_metrics *metrics;
	struct mb_http_body *scrapes[2]; /* of this tick, by format; NULL: not asked for yet */
	struct mb_recorder *recorder; /* NULL: nothing is recorded */
	uint64_t recorded_ns; /* when it was written last */
	uint64_t next_try_ns; /* when it is tried again, after a start with a full disk */
	uint64_t ticks;
	uint64_t ticked_ns; /* the end of the last tick */
	uint64_t tick_ns; /* how long its work took */
	uint64_t start_ms; /* Unix time */
	uint64_t reloads;
	uint64_t watchdog_ns, told_ns; /* how often the service manager wants to hear of us, when it did */
	bool ready;
};

/* Answers of the HTTP server: mb_http_handler, arg is a struct mb_serve. */
struct mb_http_body *mb_serve_answer(void *arg, const struct mb_http_request *r, int *status);

/* A tick is over: what was made for scrapes is of the past. */
void mb_serve_answers_drop(struct mb_serve *s);

#endif
