// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Addresses as users write them, and the sockets that listen there. */
#include "serve/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORMS "write 127.0.0.1:9742, [::1]:9742, localhost:9742, 0.0.0.0:9742 or unix:/run/memblame.sock"

static int parse_local(struct mb_address *a, const char *path, struct mb_err *e)
{
	size_t len = strlen(path);

	if (path[0] != '/' || path[len - 1] == '/')
		return mb_err_set(e, MB_EXIT_USAGE, 0, "'unix:%s' has no path of a file that begins with /; " FORMS,
				  path);
	if (len >= sizeof(a->at.local.sun_path))
		return mb_err_set(e, MB_EXIT_USAGE, 0, "the path of a unix socket has at most %zu bytes, '%s' has %zu",
				  sizeof(a->at.local.sun_path) - 1, path, len);
	a->at.local.sun_family = AF_UNIX;
	memcpy(a->at.local.sun_path, path, len + 1);
	a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
	a->local = true;
	return 0;
}

static bool parse_port(const char *text, in_port_t *port)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || v > 65535)
		return false;
	*port = htons((uint16_t)v);
	return true;
}

int mb_address_parse(struct mb_address *a, const char *text, struct mb_err *e)
{
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN + 2];
	size_t len = colon ? (size_t)(colon - text) : 0;
	in_port_t port;

	memset(a, 0, sizeof(*a));
	if (!strncmp(text, "unix:", 5))
		return parse_local(a, text + 5, e);
	if (!colon || !len || len >= sizeof(host) || !parse_port(colon + 1, &port))
		return mb_err_set(e, MB_EXIT_USAGE, 0, "'%s' is no address with a port; " FORMS, text);
	memcpy(host, text, len);
	host[len] = '\0';
	if (host[0] == '[' && host[len - 1] == ']') {
		host[len - 1] = '\0';
		if (inet_pton(AF_INET6, host + 1, &a->at.v6.sin6_addr) != 1)
			return mb_err_set(e, MB_EXIT_USAGE, 0, "'%s' has no IPv6 address in its brackets; " FORMS,
					  text);
		a->at.v6.sin6_family = AF_INET6;
		a->at.v6.sin6_port = port;
		a->len = sizeof(a->at.v6);
		a->loopback = IN6_IS_ADDR_LOOPBACK(&a->at.v6.sin6_addr);
		return 0;
	}
	/* no other names: their address could change, and resolving them takes time */
	if (inet_pton(AF_INET, strcmp(host, "localhost") ? host : "127.0.0.1", &a->at.v4.sin_addr) != 1)
		return mb_err_set(e, MB_EXIT_USAGE, 0, "'%s' does not begin with an address; " FORMS, text);
	a->at.v4.sin_family = AF_INET;
	a->at.v4.sin_port = port;
	a->len = sizeof(a->at.v4);
	a->loopback = ntohl(a->at.v4.sin_addr.s_addr) >> 24 == 127;
	return 0;
}

const char *mb_address_text(const struct mb_address *a, char *buf)
{
	char host[INET6_ADDRSTRLEN];

	if (a->local)
		snprintf(buf, MB_ADDRESS_TEXT, "unix:%s", a->at.local.sun_path);
	else if (a->at.any.sa_family == AF_INET6)
		snprintf(buf, MB_ADDRESS_TEXT, "[%s]:%u",
			 inet_ntop(AF_INET6, &a->at.v6.sin6_addr, host, sizeof(host)), ntohs(a->at.v6.sin6_port));
	else
		snprintf(buf, MB_ADDRESS_TEXT, "%s:%u", inet_ntop(AF_INET, &a->at.v4.sin_addr, host, sizeof(host)),
			 ntohs(a->at.v4.sin_port));
	return buf;
}

bool mb_address_equal(const struct mb_address *a, const struct mb_address *b)
{
	return a->len == b->len && !memcmp(&a->at, &b->at, a->len);
}

bool mb_host_is_here(const char *host)
{
	const char *end = host + strlen(host), *colon = strrchr(host, ':'), *bracket = strrchr(host, ']');
	char name[INET6_ADDRSTRLEN + 2];
	struct in6_addr any;

	if (colon && (!bracket || colon > bracket) && strspn(colon + 1, "0123456789") == strlen(colon + 1))
		end = colon;
	if ((size_t)(end - host) >= sizeof(name))
		return false;
	snprintf(name, sizeof(name), "%.*s", (int)(end - host), host);
	if (name[0] != '[')
		return !strcasecmp(name, "localhost") || inet_pton(AF_INET, name, &any) == 1;
	if (end[-1] != ']')
		return false;
	name[end - host - 1] = '\0';
	return inet_pton(AF_INET6, name + 1, &any) == 1;
}

/* Remove a socket file at this address on which no process listens. Anything else there is an error. */
static int remove_stale(const struct mb_address *a, struct mb_err *e)
{
	const char *path = a->at.local.sun_path;
	struct stat st;
	int fd, err;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : mb_err_set(e, MB_EXIT_FAILED, errno, "cannot look at %s", path);
	if (!S_ISSOCK(st.st_mode))
		return mb_err_set(e, MB_EXIT_FAILED, 0, "cannot listen at unix:%s: there is a file that is no socket; "
				  "remove it or use another path", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return mb_err_set(e, MB_EXIT_FAILED, errno, "cannot make a socket");
	err = connect(fd, &a->at.any, a->len) ? errno : 0;
	close(fd);
	/* EAGAIN: the queue is full, so a process listens */
	if (!err || err == EAGAIN)
		return mb_err_set(e, MB_EXIT_FAILED, EADDRINUSE, "cannot listen at unix:%s: another process does; "
				  "end it or use another path", path);
	if (err != ECONNREFUSED)
		return mb_err_set(e, MB_EXIT_FAILED, err, "cannot find out who listens at unix:%s", path);
	if (unlink(path) && errno != ENOENT)
		return mb_err_set(e, MB_EXIT_FAILED, errno, "cannot remove %s, which a dead process left", path);
	return 0;
}

static int set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) ? errno : 0;
}

/*
 * Listen although a socket of this process that is about to be closed uses the same port, e.g. when changing from
 * 0.0.0.0 to 127.0.0.1. Port sharing is enabled only for this call: otherwise a second memblame could use the port
 * unnoticed.
 */
static int listen_beside(int fd, const struct mb_address *a, struct mb_listener *const *leaving, size_t n)
{
	int err = set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);

	for (size_t i = 0; i < n && !err; i++)
		err = leaving[i]->address.local ? 0 : set_option(leaving[i]->fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (!err)
		err = bind(fd, &a->at.any, a->len) || listen(fd, SOMAXCONN) ? errno : 0;
	for (size_t i = 0; i < n; i++) {
		if (!leaving[i]->address.local)
			set_option(leaving[i]->fd, SOL_SOCKET, SO_REUSEPORT, 0);
	}
	set_option(fd, SOL_SOCKET, SO_REUSEPORT, 0);
	return err;
}

static int listen_tcp(int fd, const struct mb_address *a, struct mb_listener *const *leaving, size_t n)
{
	/* lingering connections of a previous process must not block the port */
	int err = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);

	/* allows listening at [::] and 0.0.0.0 at the same time */
	if (!err && a->at.any.sa_family == AF_INET6)
		err = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (!err && bind(fd, &a->at.any, a->len))
		err = errno;
	if (err == EADDRINUSE && n)
		return listen_beside(fd, a, leaving, n);
	return err ? err : listen(fd, SOMAXCONN) ? errno : 0;
}

/* fchmod before bind, so that the file has its mode from the start, whatever the umask is. */
static int listen_local(struct mb_listener *l)
{
	struct stat st;

	if (fchmod(l->fd, 0600) || bind(l->fd, &l->address.at.any, l->address.len) ||
	    lstat(l->address.at.local.sun_path, &st))
		return errno;
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	return listen(l->fd, SOMAXCONN) ? errno : 0;
}

int mb_listener_open(struct mb_listener *l, const struct mb_address *a, struct mb_listener *const *leaving, size_t n,
		     struct mb_err *e)
{
	char text[MB_ADDRESS_TEXT];
	int err;

	*l = (struct mb_listener){ .address = *a, .fd = -1 };
	if (a->local) {
		err = remove_stale(a, e);
		if (err)
			return err;
	}
	l->fd = socket(a->at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return mb_err_set(e, MB_EXIT_FAILED, errno, "cannot make a socket for %s", mb_address_text(a, text));
	err = a->local ? listen_local(l) : listen_tcp(l->fd, a, leaving, n);
	if (!err)
		return 0;
	mb_listener_close(l);
	return mb_err_set(e, MB_EXIT_FAILED, err, "cannot listen at %s%s", mb_address_text(a, text),
			  err == EADDRINUSE ? "; end the process that does, or use another port" :
			  err == EADDRNOTAVAIL ? ", which is no address of this machine" : "");
}

void mb_listener_close(struct mb_listener *l)
{
	struct stat st;

	if (l->fd < 0)
		return;
	close(l->fd);
	l->fd = -1;
	if (l->ino && !lstat(l->address.at.local.sun_path, &st) && st.st_dev == l->dev && st.st_ino == l->ino)
		unlink(l->address.at.local.sun_path);
}
