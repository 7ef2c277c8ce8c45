// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Bodies of answers: bytes shared by any number of connections, and the bodies of errors. */
#include "serve/http_body.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
	int status;
	const char *message;
} errors[MB_HTTP_ERRORS] = {
	{ MHD_HTTP_BAD_REQUEST, "this request cannot be understood" },
	{ MHD_HTTP_FORBIDDEN, "the Host header must be an address or localhost here" },
	{ MHD_HTTP_NOT_FOUND, "there is nothing at this path" },
	{ MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD are answered" },
	{ MHD_HTTP_NOT_ACCEPTABLE, "there is no such format" },
	{ MHD_HTTP_CONTENT_TOO_LARGE, "requests with a body are not answered" },
	{ MHD_HTTP_INTERNAL_SERVER_ERROR, "memblame could not make the answer" },
	{ MHD_HTTP_SERVICE_UNAVAILABLE, "not ready yet, or too busy: try again" },
};

struct mb_http_body *mb_http_body_new(char *data, size_t len, const char *content_type)
{
	struct mb_http_body *body = calloc(1, sizeof(*body));

	if (body)
		body->response = MHD_create_response_from_buffer_with_free_callback(len, data, free);
	if (!body || !body->response) {
		free(data);
		free(body);
		return NULL;
	}
	body->refs = 1;
	if (MHD_add_response_header(body->response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type) == MHD_YES &&
	    MHD_add_response_header(body->response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store") == MHD_YES &&
	    MHD_add_response_header(body->response, "X-Content-Type-Options", "nosniff") == MHD_YES)
		return body;
	mb_http_body_unref(body);
	return NULL;
}

struct mb_http_body *mb_http_body_ref(struct mb_http_body *body)
{
	body->refs++;
	return body;
}

void mb_http_body_unref(struct mb_http_body *body)
{
	if (!body || --body->refs)
		return;
	MHD_destroy_response(body->response);
	free(body);
}

static struct mb_http_body *make_error(int status, const char *message)
{
	struct mb_http_body *body;
	char *text;
	int len = asprintf(&text, "{\"schema\":1,\"kind\":\"error\",\"message\":\"%s\"}\n", message);

	if (len < 0)
		return NULL;
	body = mb_http_body_new(text, (size_t)len, "application/json");
	if (body && status == MHD_HTTP_METHOD_NOT_ALLOWED &&
	    MHD_add_response_header(body->response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD") != MHD_YES) {
		mb_http_body_unref(body);
		return NULL;
	}
	return body;
}

int mb_http_errors_make(struct mb_http_errors *e)
{
	for (size_t i = 0; i < MB_HTTP_ERRORS; i++) {
		e->bodies[i] = make_error(errors[i].status, errors[i].message);
		if (!e->bodies[i])
			return ENOMEM;
	}
	return 0;
}

void mb_http_errors_free(struct mb_http_errors *e)
{
	for (size_t i = 0; i < MB_HTTP_ERRORS; i++)
		mb_http_body_unref(e->bodies[i]);
}

struct mb_http_body *mb_http_error(const struct mb_http_errors *e, int status)
{
	for (size_t i = 0; i < MB_HTTP_ERRORS; i++) {
		if (errors[i].status == status)
			return mb_http_body_ref(e->bodies[i]);
	}
	return make_error(status, MHD_get_reason_phrase_for((unsigned int)status));
}
