/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A small HTTP server for the loop of one thread, over libmicrohttpd: it has a descriptor to wait for and a function
 * to call when that is ready, and never blocks. GET and HEAD only; what it answers is its user's to say.
 */
#ifndef MB_SERVE_HTTP_H
#define MB_SERVE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define MB_HTTP_LISTENERS 16
#define MB_HTTP_CONNECTIONS 256 /* over all listeners; more are told 503 */
#define MB_HTTP_MEMORY 16384 /* per connection: request line and headers of what is asked must fit */
#define MB_HTTP_STATUSES 16

/* ---- bodies: bytes that do not change, shared by any number of answers ---- */

struct mb_http_body;

/*
 * A body of len bytes at data, which malloc() gave and which is the body's from now on, freed even on failure.
 * Returns one reference, or NULL: no memory.
 */
struct mb_http_body *mb_http_body_new(char *data, size_t len, const char *content_type);

/* One more reference; returns body. */
struct mb_http_body *mb_http_body_ref(struct mb_http_body *body);

/* One less. Answers that are still being sent have their own. NULL is nothing to do. */
void mb_http_body_unref(struct mb_http_body *body);

/* ---- requests ---- */

struct mb_http_request {
	const char *path; /* "/metrics", percent signs decoded: any bytes but NUL */
	const char *accept; /* the header Accept; NULL: none */
	bool local; /* over a unix socket */
	void *connection; /* for mb_http_query() */
};

/* Value of the query's key, decoded: ?key=value. "" where it has none, NULL where there is no such key. */
const char *mb_http_query(const struct mb_http_request *r, const char *key);

/*
 * Answer a GET or HEAD. Returns a body with a reference that is given away, and sets *status where it is not 200; or
 * NULL with *status 400 to 599, for which an error body is made ({"schema":1,"kind":"error","message":...}).
 */
typedef struct mb_http_body *(*mb_http_handler)(void *arg, const struct mb_http_request *r, int *status);

/* ---- the server ---- */

struct mb_http;

struct mb_http_limits {
	unsigned int connections; /* at most MB_HTTP_CONNECTIONS */
	unsigned int idle_s; /* a client that neither sends nor takes anything for so long is dropped */
	unsigned int request_s; /* so is one that needs longer for one request and its answer */
};

/* 256 connections, 10 s, 60 s. */
extern const struct mb_http_limits mb_http_limits_default;

struct mb_http_stats {
	struct {
		unsigned int status; /* 200, 404, ...; the last row also takes what has no row: status 0 */
		uint64_t requests;
	} by_status[MB_HTTP_STATUSES];
	unsigned int n_status;
	unsigned int open; /* connections now */
	uint64_t accepted;
	uint64_t refused; /* too many at once, or no descriptors or memory for them */
	uint64_t unasked; /* ended before a request line that could be understood; their 400 or 414 is not in a row */
	uint64_t timed_out; /* dropped for being idle within a request, or too slow; not idle between two */
};

/* A server that does not listen yet. *out: mb_http_close(). Returns 0 or -errno with *e set. */
int mb_http_open(struct mb_http **out, mb_http_handler handler, void *arg, struct mb_err *e);

/* Other limits, for connections from now on. */
void mb_http_set_limits(struct mb_http *h, const struct mb_http_limits *limits);

/*
 * Listen at these n addresses (mb_address_parse()) and no others. Those it listens at already keep socket and
 * connections; connections of those left out are answered what they have asked, then closed. Returns 0, or -errno
 * with *e set: then it listens where it did before.
 */
int mb_http_listen(struct mb_http *h, const char *const *addresses, size_t n, struct mb_err *e);

/* The address of index i, as it is bound (a port of 0 is the one that was free), into buf of MB_ADDRESS_TEXT. */
const char *mb_http_address(const struct mb_http *h, size_t i, char *buf);
size_t mb_http_addresses(const struct mb_http *h);

/* Its descriptor, for epoll: level-triggered, readable when mb_http_run() has something to do. Stays h's. */
int mb_http_fd(const struct mb_http *h);

/* Do what can be done without waiting. Calls the handler. */
void mb_http_run(struct mb_http *h);

/* So many ms until mb_http_run() must be called though the descriptor is not ready: -1 never. Ask before each wait. */
int mb_http_timeout_ms(const struct mb_http *h);

/* What has been so far. */
void mb_http_stats(const struct mb_http *h, struct mb_http_stats *out);

/* Close all connections and sockets, at once. NULL is nothing to do. */
void mb_http_close(struct mb_http *h);

#endif
