/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Addresses as users write them, and the sockets that listen there. */
#ifndef MB_SERVE_LISTEN_H
#define MB_SERVE_LISTEN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/err.h"

#define MB_ADDRESS_TEXT 128

struct mb_address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_un local;
	} at;
	socklen_t len;
	bool local; /* a unix socket */
	bool loopback; /* a TCP address that only this machine can reach */
};

/*
 * Parse "127.0.0.1:9742", "[::1]:9742" (IPv6 only), "localhost:9742" (127.0.0.1) or "unix:/run/memblame.sock". Port 0
 * means any free port. Returns 0, or -EINVAL with *e saying what to write instead (MB_EXIT_USAGE).
 */
int mb_address_parse(struct mb_address *a, const char *text, struct mb_err *e);

/* Format an address so that mb_address_parse() can read it, into buf of MB_ADDRESS_TEXT bytes. Returns buf. */
const char *mb_address_text(const struct mb_address *a, char *buf);

/* Whether two addresses are the same. */
bool mb_address_equal(const struct mb_address *a, const struct mb_address *b);

/*
 * Whether a Host header names this machine by an address or as localhost. This guards against DNS rebinding: a web
 * page can resolve its own name to 127.0.0.1 and have its visitor's browser connect here, but then the browser sends
 * that name.
 */
bool mb_host_is_here(const char *host);

struct mb_listener {
	struct mb_address address; /* the requested address */
	int fd; /* -1: closed */
	dev_t dev; /* unix: identity of the socket file */
	ino_t ino;
};

/*
 * Listen at a, close-on-exec and non-blocking. The file of a unix socket gets mode 0600; a file left by a dead
 * process is replaced, one in use is not. leaving holds n listeners of this process that are about to be closed and
 * may use the same port on other addresses. Returns 0, or -errno with *e set and nothing left behind.
 */
int mb_listener_open(struct mb_listener *l, const struct mb_address *a, struct mb_listener *const *leaving, size_t n,
		     struct mb_err *e);

/*
 * Close the listener. The file of a unix socket is removed if it is still this listener's. Closing twice is harmless.
 */
void mb_listener_close(struct mb_listener *l);

#endif
