/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Internals of bodies, for the HTTP server only: how bodies are stored, and the bodies of errors. */
#ifndef MB_SERVE_HTTP_BODY_H
#define MB_SERVE_HTTP_BODY_H

#include "serve/http.h"

struct MHD_Response;

struct mb_http_body {
	unsigned int refs;
	struct MHD_Response *response;
};

#define MB_HTTP_ERRORS 8

/* Made in advance, so that reporting a lack of memory needs no memory. */
struct mb_http_errors {
	struct mb_http_body *bodies[MB_HTTP_ERRORS];
};

/* Make all error bodies. Returns 0 or ENOMEM. mb_http_errors_free() frees them, also after a failure. */
int mb_http_errors_make(struct mb_http_errors *errors);
void mb_http_errors_free(struct mb_http_errors *errors);

/* A reference to the error body of this status (400 to 599); NULL if there is no memory. */
struct mb_http_body *mb_http_error(const struct mb_http_errors *errors, int status);

#endif
