/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The state of serve, shared by serve.c, which runs it, and endpoints.c, which answers HTTP requests. */
#ifndef MB_SERVE_INTERNAL_H
#define MB_SERVE_INTERNAL_H

#include "record/recorder.h"
#include "serve/config.h"
#include "serve/http.h"
#include "serve/metrics.h"
#include "session/session.h"

struct mb_serve {
	const char *config_path; /* NULL: no configuration file */
	const struct mb_serve_overrides *overrides; /* command line options, which override the file */
	struct mb_serve_config cfg; /* the configuration in force */
	struct mb_session session;
	struct mb_http *http;
	struct mb_watch http_watch;
	struct mb_metrics *metrics;
	struct mb_http_body *scrapes[2]; /* the text for scrapes of this tick, by format; NULL: not requested yet */
	struct mb_recorder *recorder; /* NULL: no recording */
	uint64_t recorded_ns; /* when a sample was last recorded */
	uint64_t next_try_ns; /* next attempt to open the recording, if the disk was full at the start */
	uint64_t ticks;
	uint64_t ticked_ns; /* the end of the last tick */
	uint64_t tick_ns; /* duration of the last tick's work */
	uint64_t start_ms; /* Unix time */
	uint64_t reloads;
	uint64_t watchdog_ns, reported_ns; /* watchdog interval of the service manager, and the last notification */
	bool ready;
};

/* The handler of the HTTP server (mb_http_handler). arg is a struct mb_serve. */
struct mb_http_body *mb_serve_answer(void *arg, const struct mb_http_request *r, int *status);

/* A tick is complete: drop the scrape texts of the previous tick. */
void mb_serve_answers_drop(struct mb_serve *s);

#endif
