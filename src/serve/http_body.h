/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What the HTTP server alone knows of bodies: how they are kept, and those of errors. */
#ifndef MB_SERVE_HTTP_BODY_H
#define MB_SERVE_HTTP_BODY_H

#include "serve/http.h"

struct MHD_Response;

struct mb_http_body {
	unsigned int refs;
	struct MHD_Response *response;
};

#define MB_HTTP_ERRORS 8

/* Made beforehand: saying that there is no memory needs none. */
struct mb_http_errors {
	struct mb_http_body *bodies[MB_HTTP_ERRORS];
};

/* Make them; free them, also half of them. Returns 0 or ENOMEM. */
int mb_http_errors_make(struct mb_http_errors *errors);
void mb_http_errors_free(struct mb_http_errors *errors);

/* A reference to the body that says what this status (400 to 599) means; NULL: no memory. */
struct mb_http_body *mb_http_error(const struct mb_http_errors *errors, int status);

#endif
