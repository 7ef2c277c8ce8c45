/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * A small HTTP server for a single-threaded event loop, based on libmicrohttpd. It has a descriptor to wait for and a
 * function to call when the descriptor is ready, and never blocks. It accepts only GET and HEAD; a handler makes the
 * answers.
 */
#ifndef MB_SERVE_HTTP_H
#define MB_SERVE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define MB_HTTP_LISTENERS 16
#define MB_HTTP_CONNECTIONS 256 /* over all listeners; further clients get a 503 */
#define MB_HTTP_MEMORY 16384 /* bytes per connection: the request line and headers must fit */
#define MB_HTTP_STATUSES 16

/* ---- bodies: bytes that do not change, shared by any number of answers ---- */

struct mb_http_body;

/*
 * Make a body of len bytes at data. data comes from malloc(); the body owns it, and it is freed even on failure.
 * Returns one reference, or NULL if there is no memory.
 */
struct mb_http_body *mb_http_body_new(char *data, size_t len, const char *content_type);

/* Add a reference. Returns body. */
struct mb_http_body *mb_http_body_ref(struct mb_http_body *body);

/* Drop a reference. Answers that are still being sent hold their own references. body may be NULL. */
void mb_http_body_unref(struct mb_http_body *body);

/* ---- requests ---- */

struct mb_http_request {
	const char *path; /* "/metrics", percent-decoded: any bytes but NUL */
	const char *accept; /* the Accept header; NULL: none */
	bool local; /* over a unix socket */
	void *connection; /* for mb_http_query() */
};

/* The decoded value of a key in the query (?key=value): "" if the key has no value, NULL if there is no such key. */
const char *mb_http_query(const struct mb_http_request *r, const char *key);

/*
 * Answers a GET or HEAD. Returns a body, whose reference passes to the caller, and sets *status unless it is 200. Or
 * returns NULL with *status 400 to 599; then an error body is made ({"schema":1,"kind":"error","message":...}).
 */
typedef struct mb_http_body *(*mb_http_handler)(void *arg, const struct mb_http_request *r, int *status);

/* ---- the server ---- */

struct mb_http;

struct mb_http_limits {
	unsigned int connections; /* at most MB_HTTP_CONNECTIONS */
	unsigned int idle_s; /* drop a client that neither sends nor receives anything for this long */
	unsigned int request_s; /* drop a client that needs longer for one request and its answer */
};

/* 256 connections, 10 s, 60 s. */
extern const struct mb_http_limits mb_http_limits_default;

struct mb_http_stats {
	struct {
		/* 200, 404, ...; status 0: the last row, which also counts statuses without a row */
		unsigned int status;
		uint64_t requests;
	} by_status[MB_HTTP_STATUSES];
	unsigned int n_status;
	unsigned int open; /* currently open connections */
	uint64_t accepted;
	uint64_t refused; /* too many connections, or no descriptors or memory for them */
	uint64_t unasked; /* closed before a valid request line; their 400 or 414 is not in by_status */
	/* dropped while idle within a request, or for being too slow; not those idle between requests */
	uint64_t timed_out;
};

/* Create a server that does not listen yet. Free *out with mb_http_close(). Returns 0 or -errno with *e set. */
int mb_http_open(struct mb_http **out, mb_http_handler handler, void *arg, struct mb_err *e);

/* Change the limits; they apply to new connections. */
void mb_http_set_limits(struct mb_http *h, const struct mb_http_limits *limits);

/*
 * Listen at exactly these n addresses (mb_address_parse()). Existing listeners among them retain their socket and
 * connections. Other listeners are closed; their connections get answers to pending requests, then are closed.
 * Returns 0, or -errno with *e set and the listeners unchanged.
 */
int mb_http_listen(struct mb_http *h, const char *const *addresses, size_t n, struct mb_err *e);

/*
 * Format the address of listener i as bound (a port of 0 has become the real port) into buf of MB_ADDRESS_TEXT bytes.
 * Returns buf.
 */
const char *mb_http_address(const struct mb_http *h, size_t i, char *buf);
/* The number of listeners. */
size_t mb_http_addresses(const struct mb_http *h);

/* The descriptor for epoll: level-triggered, readable when mb_http_run() has something to do. Owned by h. */
int mb_http_fd(const struct mb_http *h);

/* Do all work that is possible without waiting. Calls the handler. */
void mb_http_run(struct mb_http *h);

/* ms until mb_http_run() must be called even if the descriptor is not ready; -1: never. Call it before each wait. */
int mb_http_timeout_ms(const struct mb_http *h);

/* Get the statistics since mb_http_open(). */
void mb_http_stats(const struct mb_http *h, struct mb_http_stats *out);

/* Close all connections and sockets immediately. h may be NULL. */
void mb_http_close(struct mb_http *h);

#endif
