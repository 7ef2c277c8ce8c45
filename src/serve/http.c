// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * The HTTP server. It has its own listening sockets and passes accepted connections to a single libmicrohttpd daemon.
 * So there is one limit on connections, and changing the addresses does not affect listeners that stay.
 */
#include "serve/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "serve/http_body.h"
#include "serve/listen.h"

/* Connections accepted per listener and run: a flood must not block the rest of the loop. */
#define ACCEPTS 64

/* Without free descriptors or memory a listener stays readable, so stop accepting for this long. */
#define PAUSE_NS (MB_NS_PER_S / 5)

/* Send buffer of one client that does not read. The kernel doubles it: 32 MiB for all clients. */
#define SEND_BUFFER 65536

const struct mb_http_limits mb_http_limits_default = { MB_HTTP_CONNECTIONS, 10, 60 };

struct client {
	struct MHD_Connection *connection; /* NULL: this entry is free */
	int fd;
	unsigned int listener; /* number of the listener */
	bool local, loopback;
	bool asked; /* has ever sent a complete request line */
	bool headers_seen; /* of the current request */
	bool dropped; /* counted as dropped, and shut down */
	uint64_t since_ns; /* when accepted, or when the previous request was complete */
};

struct listener {
	struct mb_listener l;
	unsigned int number;
};

struct mb_http {
	struct MHD_Daemon *daemon;
	int epoll_fd;
	mb_http_handler handler;
	void *arg;
	struct mb_http_limits limits;
	struct listener *listeners[MB_HTTP_LISTENERS];
	size_t n_listeners;
	unsigned int next_number;
	struct client clients[MB_HTTP_CONNECTIONS];
	struct mb_http_errors errors;
	struct client *incoming; /* passed from take() to on_connection() */
	uint64_t paused_until_ns; /* accepts nothing until then; 0: not paused */
	struct mb_http_stats stats;
};

const char *mb_http_query(const struct mb_http_request *r, const char *key)
{
	const char *value = NULL;

	if (MHD_lookup_connection_value_n(r->connection, MHD_GET_ARGUMENT_KIND, key, strlen(key), &value, NULL) !=
	    MHD_YES)
		return NULL;
	return value ? value : "";
}

static enum MHD_Result answer(struct MHD_Connection *connection, int status, struct mb_http_body *body)
{
	enum MHD_Result ok = MHD_queue_response(connection, (unsigned int)status, body->response);

	mb_http_body_unref(body);
	return ok;
}

static enum MHD_Result answer_error(struct mb_http *h, struct MHD_Connection *connection, int status)
{
	struct mb_http_body *body;

	if (status < 400 || status > 599)
		status = MHD_HTTP_INTERNAL_SERVER_ERROR;
	body = mb_http_error(&h->errors, status);
	return body ? answer(connection, status, body) : MHD_NO;
}

static struct client *client_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/*
 * Why a request is rejected before the handler sees it: an HTTP status, or 0. Such an answer is sent before any
 * request body is read, and ends the connection.
 */
static int refuse(const struct client *c, struct MHD_Connection *connection, const char *method)
{
	const char *length = header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
	const char *host = header(connection, MHD_HTTP_HEADER_HOST);

	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return MHD_HTTP_METHOD_NOT_ALLOWED;
	if (header(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING) || (length && strspn(length, "0") != strlen(length)))
		return MHD_HTTP_CONTENT_TOO_LARGE;
	if (c->loopback && host && !mb_host_is_here(host))
		return MHD_HTTP_FORBIDDEN;
	return 0;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
				  const char *version, const char *upload, size_t *upload_size, void **request)
{
	struct mb_http *h = arg;
	struct client *c = client_of(connection);
	struct mb_http_request r = { .path = url, .connection = connection };
	struct mb_http_body *body;
	int status;

	(void)version;
	(void)upload;
	(void)upload_size;
	(void)request;
	if (!c)
		return MHD_NO;
	/* called with the headers, and at the end of the request; only answers given at the end allow keep-alive */
	if (!c->headers_seen) {
		c->headers_seen = true;
		status = refuse(c, connection, method);
		return status ? answer_error(h, connection, status) : MHD_YES;
	}
	r.accept = header(connection, MHD_HTTP_HEADER_ACCEPT);
	r.local = c->local;
	status = MHD_HTTP_OK;
	body = h->handler(h->arg, &r, &status);
	return body ? answer(connection, status, body) : answer_error(h, connection, status);
}

static void *on_request_line(void *arg, const char *uri, struct MHD_Connection *connection)
{
	struct client *c = client_of(connection);

	(void)arg;
	(void)uri;
	if (c) {
		c->asked = true;
		c->headers_seen = false;
	}
	return NULL;
}

static void count(struct mb_http_stats *s, unsigned int status)
{
	unsigned int i = 0;

	while (i < s->n_status && s->by_status[i].status != status)
		i++;
	if (i == s->n_status) {
		/* the last row counts all statuses for which there is no row left */
		if (i == MB_HTTP_STATUSES - 1)
			status = 0;
		if (i == MB_HTTP_STATUSES)
			i--;
		else
			s->by_status[s->n_status++].status = status;
	}
	s->by_status[i].requests++;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **request,
			 enum MHD_RequestTerminationCode how)
{
	struct mb_http *h = arg;
	struct client *c = client_of(connection);
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_HTTP_STATUS);

	(void)request;
	/* a queued answer counts even if the client did not wait for it */
	if (info)
		count(&h->stats, info->http_status);
	if (!c)
		return;
	if (how == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED && !c->dropped) {
		c->dropped = true;
		h->stats.timed_out++;
	}
	c->since_ns = mb_now_ns();
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **socket_context,
			  enum MHD_ConnectionNotificationCode what)
{
	struct mb_http *h = arg;
	struct client *c = *socket_context;
	uint64_t idle_ns = h->limits.idle_s * MB_NS_PER_S;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (!c)
			return;
		/*
		 * libmicrohttpd reports nothing more of a client that never sent a request; it also uses another
		 * clock, hence the tolerance
		 */
		h->stats.unasked += !c->asked;
		if (!c->asked && !c->dropped && mb_now_ns() - c->since_ns >= idle_ns - idle_ns / 8)
			h->stats.timed_out++;
		c->connection = NULL;
		h->stats.open--;
		return;
	}
	h->incoming->connection = connection;
	*socket_context = h->incoming;
	h->stats.open++;
}

static int start(struct mb_http *h)
{
	const union MHD_DaemonInfo *info;
	struct epoll_event ready = { .events = EPOLLIN };

	h->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, on_request, h,
				     MHD_OPTION_CONNECTION_LIMIT, (unsigned int)MB_HTTP_CONNECTIONS,
				     MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MB_HTTP_MEMORY,
				     MHD_OPTION_CONNECTION_TIMEOUT, mb_http_limits_default.idle_s,
				     MHD_OPTION_URI_LOG_CALLBACK, on_request_line, h,
				     MHD_OPTION_NOTIFY_COMPLETED, on_completed, h,
				     MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_END);
	if (!h->daemon)
		return errno ? errno : EIO;
	info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info || info->epoll_fd < 0)
		return EIO;
	h->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (h->epoll_fd < 0 || epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, info->epoll_fd, &ready))
		return errno;
	return mb_http_errors_make(&h->errors);
}

int mb_http_open(struct mb_http **out, mb_http_handler handler, void *arg, struct mb_err *e)
{
	struct mb_http *h = calloc(1, sizeof(*h));
	int err;

	*out = NULL;
	if (!h)
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "cannot start the HTTP server");
	h->epoll_fd = -1;
	h->handler = handler;
	h->arg = arg;
	h->limits = mb_http_limits_default;
	errno = 0;
	err = start(h);
	if (err) {
		mb_http_close(h);
		return mb_err_set(e, MB_EXIT_FAILED, err, "cannot start the HTTP server");
	}
	*out = h;
	return 0;
}

void mb_http_set_limits(struct mb_http *h, const struct mb_http_limits *limits)
{
	h->limits = *limits;
	if (h->limits.connections > MB_HTTP_CONNECTIONS)
		h->limits.connections = MB_HTTP_CONNECTIONS;
}

static int watch(const struct mb_http *h, struct listener *l)
{
	struct epoll_event ready = { .events = EPOLLIN, .data.ptr = l };

	return epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, l->l.fd, &ready) ? errno : 0;
}

static void close_listener(struct listener *l)
{
	/* closing also removes the descriptor from the epoll set */
	if (l)
		mb_listener_close(&l->l);
	free(l);
}

/* Stop reading from the clients of a listener: pending requests are still answered, then the connections end. */
static void retire(struct mb_http *h, struct listener *l)
{
	for (size_t i = 0; i < MB_HTTP_CONNECTIONS; i++) {
		if (h->clients[i].connection && h->clients[i].listener == l->number)
			shutdown(h->clients[i].fd, SHUT_RD);
	}
	close_listener(l);
}

static int open_listener(struct mb_http *h, struct listener **out, const struct mb_address *a,
			 struct mb_listener *const *leaving, size_t n, struct mb_err *e)
{
	struct listener *l = calloc(1, sizeof(*l));
	int err;

	if (!l)
		return mb_err_set(e, MB_EXIT_FAILED, ENOMEM, "cannot listen");
	err = mb_listener_open(&l->l, a, leaving, n, e);
	if (!err && !h->paused_until_ns) {
		err = watch(h, l);
		if (err)
			err = mb_err_set(e, MB_EXIT_FAILED, err, "cannot wait for clients");
	}
	if (err) {
		close_listener(l);
		return err;
	}
	l->number = h->next_number++;
	*out = l;
	return 0;
}

/* Plan a new set of listeners: addresses go into at, and for each the existing listener, or NULL, into next. */
static int plan(struct mb_http *h, const char *const *addresses, size_t n, struct mb_address *at,
		struct listener **next, struct mb_err *e)
{
	if (n > MB_HTTP_LISTENERS)
		return mb_err_set(e, MB_EXIT_USAGE, 0, "at most %d addresses to listen at, not %zu",
				  MB_HTTP_LISTENERS, n);
	for (size_t i = 0; i < n; i++) {
		int err = mb_address_parse(&at[i], addresses[i], e);

		if (err)
			return err;
		for (size_t j = 0; j < i; j++) {
			if (mb_address_equal(&at[i], &at[j]))
				return mb_err_set(e, MB_EXIT_USAGE, 0, "%s is to be listened at twice", addresses[i]);
		}
		for (size_t j = 0; j < h->n_listeners; j++) {
			if (mb_address_equal(&at[i], &h->listeners[j]->l.address))
				next[i] = h->listeners[j];
		}
	}
	return 0;
}

static bool is_in(const struct listener *l, struct listener *const *set, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (set[i] == l)
			return true;
	}
	return false;
}

int mb_http_listen(struct mb_http *h, const char *const *addresses, size_t n, struct mb_err *e)
{
	struct mb_address at[MB_HTTP_LISTENERS];
	struct listener *next[MB_HTTP_LISTENERS] = { NULL };
	struct mb_listener *leaving[MB_HTTP_LISTENERS];
	size_t n_leaving = 0;
	int err = plan(h, addresses, n, at, next, e);

	if (err)
		return err;
	for (size_t i = 0; i < h->n_listeners; i++) {
		if (!is_in(h->listeners[i], next, n))
			leaving[n_leaving++] = &h->listeners[i]->l;
	}
	for (size_t i = 0; i < n && !err; i++) {
		if (!next[i])
			err = open_listener(h, &next[i], &at[i], leaving, n_leaving, e);
	}
	for (size_t i = 0; i < n && err; i++) {
		if (next[i] && !is_in(next[i], h->listeners, h->n_listeners))
			close_listener(next[i]);
	}
	if (err)
		return err;
	for (size_t i = 0; i < h->n_listeners; i++) {
		if (!is_in(h->listeners[i], next, n))
			retire(h, h->listeners[i]);
	}
	memcpy(h->listeners, next, sizeof(next));
	h->n_listeners = n;
	return 0;
}

size_t mb_http_addresses(const struct mb_http *h)
{
	return h->n_listeners;
}

const char *mb_http_address(const struct mb_http *h, size_t i, char *buf)
{
	struct mb_address bound = h->listeners[i]->l.address;
	socklen_t len = sizeof(bound.at);

	if (!bound.local)
		getsockname(h->listeners[i]->l.fd, &bound.at.any, &len);
	return mb_address_text(&bound, buf);
}

int mb_http_fd(const struct mb_http *h)
{
	return h->epoll_fd;
}

/* Answer 503 to one client too many, as far as that is possible without blocking. */
static void turn_away(struct mb_http *h, int fd)
{
	static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n"
				   "Cache-Control: no-store\r\n\r\n";
	char ignored[4096];

	h->stats.refused++;
	/* closing with unread input would discard the answer */
	(void)!recv(fd, ignored, sizeof(ignored), MSG_DONTWAIT);
	(void)!send(fd, busy, sizeof(busy) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
	close(fd);
}

static void take(struct mb_http *h, const struct listener *l, int fd, const struct sockaddr *from, socklen_t len)
{
	struct client *c = NULL;
	int buffer = SEND_BUFFER;

	for (size_t i = 0; i < MB_HTTP_CONNECTIONS && !c; i++)
		c = h->clients[i].connection ? NULL : &h->clients[i];
	if (!c || h->stats.open >= h->limits.connections) {
		turn_away(h, fd);
		return;
	}
	*c = (struct client){ .fd = fd, .listener = l->number, .local = l->l.address.local,
			      .loopback = l->l.address.loopback, .since_ns = mb_now_ns() };
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	h->incoming = c;
	/* calls on_connection(); closes fd on failure */
	if (MHD_add_connection(h->daemon, fd, from, len) != MHD_YES) {
		h->stats.refused++;
		return;
	}
	h->stats.accepted++;
	if (h->limits.idle_s != mb_http_limits_default.idle_s)
		MHD_set_connection_option(c->connection, MHD_CONNECTION_OPTION_TIMEOUT, h->limits.idle_s);
}

static void pause_accepting(struct mb_http *h)
{
	h->paused_until_ns = mb_now_ns() + PAUSE_NS;
	for (size_t i = 0; i < h->n_listeners; i++)
		epoll_ctl(h->epoll_fd, EPOLL_CTL_DEL, h->listeners[i]->l.fd, NULL);
}

static void resume_accepting(struct mb_http *h)
{
	if (!h->paused_until_ns || mb_now_ns() < h->paused_until_ns)
		return;
	h->paused_until_ns = 0;
	for (size_t i = 0; i < h->n_listeners; i++) {
		int err = watch(h, h->listeners[i]);

		/* still as little memory as before: try again later */
		if (err && err != EEXIST) {
			pause_accepting(h);
			return;
		}
	}
}

static void accept_clients(struct mb_http *h, const struct listener *l)
{
	struct sockaddr_storage from;

	for (int i = 0; i < ACCEPTS; i++) {
		socklen_t len = sizeof(from);
		int fd = accept4(l->l.fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			take(h, l, fd, (struct sockaddr *)&from, len);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			h->stats.refused++;
			pause_accepting(h);
			return;
		}
		/* other errors concern only the one failed connection (ECONNABORTED, EPERM, ...) */
		if (errno == EAGAIN)
			return;
	}
}

static uint64_t deadline_ns(const struct mb_http *h, const struct client *c)
{
	return c->since_ns + h->limits.request_s * MB_NS_PER_S;
}

/* Drop slow clients: libmicrohttpd waits forever for a client that sends or receives a byte now and then. */
static void drop_slow(struct mb_http *h)
{
	uint64_t now = mb_now_ns();

	for (size_t i = 0; i < MB_HTTP_CONNECTIONS && h->stats.open; i++) {
		struct client *c = &h->clients[i];

		if (!c->connection || c->dropped || now < deadline_ns(h, c))
			continue;
		c->dropped = true;
		h->stats.timed_out++;
		shutdown(c->fd, SHUT_RDWR);
	}
}

void mb_http_run(struct mb_http *h)
{
	struct epoll_event ready[MB_HTTP_LISTENERS + 1];
	bool accepted = false;
	int n;

	drop_slow(h);
	resume_accepting(h);
	n = epoll_wait(h->epoll_fd, ready, MB_HTTP_LISTENERS + 1, 0);
	/* first process closed connections, which makes room */
	MHD_run(h->daemon);
	for (int i = 0; i < n; i++) {
		if (!ready[i].data.ptr)
			continue;
		accept_clients(h, ready[i].data.ptr);
		accepted = true;
	}
	if (accepted)
		MHD_run(h->daemon);
}

int mb_http_timeout_ms(const struct mb_http *h)
{
	uint64_t now = mb_now_ns(), until_ns = h->paused_until_ns ? h->paused_until_ns : UINT64_MAX, ms;
	MHD_UNSIGNED_LONG_LONG wait_ms;

	for (size_t i = 0; i < MB_HTTP_CONNECTIONS && h->stats.open; i++) {
		const struct client *c = &h->clients[i];

		if (c->connection && !c->dropped && deadline_ns(h, c) < until_ns)
			until_ns = deadline_ns(h, c);
	}
	/* round up: waking up too early is useless */
	ms = until_ns == UINT64_MAX ? UINT64_MAX : until_ns <= now ? 0 : (until_ns - now + 999999) / 1000000;
	if (MHD_get_timeout(h->daemon, &wait_ms) == MHD_YES && wait_ms < ms)
		ms = wait_ms;
	return ms == UINT64_MAX ? -1 : ms > INT32_MAX ? INT32_MAX : (int)ms;
}

void mb_http_stats(const struct mb_http *h, struct mb_http_stats *out)
{
	*out = h->stats;
}

void mb_http_close(struct mb_http *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->n_listeners; i++)
		close_listener(h->listeners[i]);
	if (h->daemon)
		MHD_stop_daemon(h->daemon);
	mb_http_errors_free(&h->errors);
	if (h->epoll_fd >= 0)
		close(h->epoll_fd);
	free(h);
}
