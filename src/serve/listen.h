/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Where serve is asked: addresses as users write them, and the sockets that listen there. */
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
	bool loopback; /* a TCP address that only this machine reaches */
};

/*
 * "127.0.0.1:9742", "[::1]:9742" (IPv6 only), "localhost:9742" (127.0.0.1), "unix:/run/memblame.sock"; port 0 is
 * any free one. Returns 0, or -EINVAL with *e saying what to write instead (MB_EXIT_USAGE).
 */
int mb_address_parse(struct mb_address *a, const char *text, struct mb_err *e);

/* As mb_address_parse() reads it, into buf of MB_ADDRESS_TEXT, which is returned. */
const char *mb_address_text(const struct mb_address *a, char *buf);

bool mb_address_equal(const struct mb_address *a, const struct mb_address *b);

/*
 * Does a Host header name this machine as nobody else can, by an address or as localhost? A page of the web can give
 * its own name the address 127.0.0.1 and have its visitor's browser ask us (DNS rebinding); the browser then says
 * that name.
 */
bool mb_host_is_here(const char *host);

struct mb_listener {
	struct mb_address address; /* as it was asked for */
	int fd; /* -1: closed */
	dev_t dev; /* unix: the socket file is this one */
	ino_t ino;
};

/*
 * Listen at a: CLOEXEC, without blocking. The file of a unix socket gets mode 0600; one that a dead process left is
 * replaced, one that is in use is not. leaving: n listeners of this process that are about to be closed and may
 * hold the same port on other addresses. Returns 0, or -errno with *e set; nothing is left behind then.
 */
int mb_listener_open(struct mb_listener *l, const struct mb_address *a, struct mb_listener *const *leaving, size_t n,
		     struct mb_err *e);

/* Close it; the file of a unix socket is removed where it is still this one's. Twice is harmless. */
void mb_listener_close(struct mb_listener *l);

#endif
