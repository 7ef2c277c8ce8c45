// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The HTTP server of serve, asked over real sockets: by many, by slow ones and by hostile ones. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "serve/http.h"
#include "serve/listen.h"
#include "unit.h"

#define BIG (1 << 20)
#define GIVE_UP_MS 60000

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"

/* ---- the server: a loop in a thread, which does what it is told between two waits ---- */

static struct {
	struct mb_http *http;
	pthread_t thread;
	int fd; /* eventfd */
	sem_t done;
	void (*task)(void);
	bool stop;
	uint64_t turns;
	struct mb_http_body *small, *big;
	int fds; /* of the process, before */
	unsigned int port;
} server;

static struct mb_err err;
static char dir[64], socket_path[96], socket_address[104];

static int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static struct mb_http_body *text_body(const char *text)
{
	return mb_http_body_new(strdup(text), strlen(text), "text/plain");
}

static struct mb_http_body *handle(void *arg, const struct mb_http_request *r, int *status)
{
	const char *q = mb_http_query(r, "q");
	char text[256];

	assert_ptr_equal(arg, &server);
	if (!strcmp(r->path, "/small"))
		return mb_http_body_ref(server.small);
	if (!strcmp(r->path, "/big"))
		return mb_http_body_ref(server.big);
	if (!strcmp(r->path, "/teapot")) {
		*status = 418;
		return text_body("short and stout");
	}
	if (!strcmp(r->path, "/echo a")) {
		snprintf(text, sizeof(text), "q=%s none=%d accept=%s local=%d", q, !mb_http_query(r, "none"),
			 r->accept ? r->accept : "-", r->local);
		return text_body(text);
	}
	*status = !strcmp(r->path, "/wrong") ? 200 : !strcmp(r->path, "/gone") ? 410 : 404;
	return NULL;
}

static void *serve(void *arg)
{
	int loop = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ready[2], http = { .events = EPOLLIN, .data.u32 = 1 }, told = { .events = EPOLLIN };
	uint64_t value;

	assert_int_equal(epoll_ctl(loop, EPOLL_CTL_ADD, mb_http_fd(server.http), &http), 0);
	assert_int_equal(epoll_ctl(loop, EPOLL_CTL_ADD, server.fd, &told), 0);
	while (!server.stop) {
		epoll_wait(loop, ready, 2, mb_http_timeout_ms(server.http));
		server.turns++;
		mb_http_run(server.http);
		if (read(server.fd, &value, sizeof(value)) == sizeof(value)) {
			server.task();
			sem_post(&server.done);
		}
	}
	close(loop);
	return arg;
}

/* Have the server's thread do it, as the session's loop would. */
static void in_server(void (*task)(void))
{
	uint64_t one = 1;

	server.task = task;
	assert_int_equal(write(server.fd, &one, sizeof(one)), sizeof(one));
	while (sem_wait(&server.done))
		;
}

static void do_stop(void)
{
	server.stop = true;
}

static unsigned int bound_port(size_t i)
{
	char text[MB_ADDRESS_TEXT];

	return (unsigned int)atoi(strrchr(mb_http_address(server.http, i, text), ':') + 1);
}

static int start(void **state)
{
	const char *addresses[] = { "127.0.0.1:0", socket_address };
	char *big = malloc(BIG);

	(void)state;
	memset(&server, 0, sizeof(server));
	memset(&err, 0, sizeof(err));
	server.fds = count_fds();
	for (size_t i = 0; i < BIG; i++)
		big[i] = (char)('a' + i % 26);
	server.big = mb_http_body_new(big, BIG, "text/plain");
	server.small = text_body("hello\n");
	server.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sem_init(&server.done, 0, 0);
	if (mb_http_open(&server.http, handle, &server, &err) || mb_http_listen(server.http, addresses, 2, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return -1;
	}
	server.port = bound_port(0);
	return pthread_create(&server.thread, NULL, serve, NULL);
}

static int stop(void **state)
{
	struct stat st;

	(void)state;
	in_server(do_stop);
	pthread_join(server.thread, NULL);
	mb_http_close(server.http);
	mb_http_body_unref(server.big);
	mb_http_body_unref(server.small);
	close(server.fd);
	sem_destroy(&server.done);
	if (!lstat(socket_path, &st)) {
		fprintf(stderr, "%s is still there\n", socket_path);
		return -1;
	}
	if (count_fds() != server.fds) {
		fprintf(stderr, "%d descriptors, %d before\n", count_fds(), server.fds);
		return -1;
	}
	return 0;
}

static struct mb_http_stats seen;

static void do_stats(void)
{
	mb_http_stats(server.http, &seen);
}

static uint64_t answered(unsigned int status)
{
	for (unsigned int i = 0; i < seen.n_status; i++) {
		if (seen.by_status[i].status == status)
			return seen.by_status[i].requests;
	}
	return 0;
}

/* ---- clients ---- */

static int dial(unsigned int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (!connect(fd, (struct sockaddr *)&to, sizeof(to)))
		return fd;
	close(fd);
	return -1;
}

static int dial_local(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(to.sun_path, socket_path);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	size_t len = strlen(text);

	assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), len);
}

struct reply {
	int status;
	char head[2048];
	char *body;
	size_t len;
};

/* Up to len bytes; fewer at the end of the connection. */
static size_t take(int fd, char *buf, size_t len)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t got = 0;

	while (got < len) {
		ssize_t n;

		assert_int_equal(poll(&p, 1, GIVE_UP_MS), 1);
		n = recv(fd, buf + got, len - got, 0);
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	return got;
}

static bool is_closed(int fd)
{
	char c;

	return take(fd, &c, 1) == 0;
}

/* One answer, and nothing of the next. */
static void hear(int fd, struct reply *r, bool head)
{
	const char *length;
	size_t n = 0;

	memset(r, 0, sizeof(*r));
	while (!strstr(r->head, "\r\n\r\n")) {
		assert_true(n < sizeof(r->head) - 1);
		if (!take(fd, r->head + n, 1))
			fail_msg("the answer ends in its head: '%s'", r->head);
		n++;
	}
	assert_int_equal(sscanf(r->head, "HTTP/1.1 %d", &r->status), 1);
	length = strstr(r->head, "Content-Length: ");
	assert_non_null(length);
	r->len = strtoul(length + 16, NULL, 10);
	if (head)
		return;
	r->body = calloc(1, r->len + 1);
	assert_int_equal(take(fd, r->body, r->len), r->len);
}

static void hear_status(int fd, int status)
{
	struct reply r;

	hear(fd, &r, false);
	assert_int_equal(r.status, status);
	free(r.body);
}

static void ask(const char *request, int status, const char *body)
{
	int fd = dial(server.port);
	struct reply r;

	say(fd, request);
	hear(fd, &r, false);
	assert_int_equal(r.status, status);
	if (body)
		assert_string_equal(r.body, body);
	assert_non_null(strstr(r.head, "\r\nCache-Control: no-store\r\n"));
	assert_non_null(strstr(r.head, "\r\nX-Content-Type-Options: nosniff\r\n"));
	assert_null(strcasestr(r.head, "Access-Control"));
	free(r.body);
	close(fd);
}

/* ---- tests ---- */

static void many_at_once_are_all_answered(void **state)
{
	int fds[200];
	struct reply r;

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 200; i++) {
			fds[i] = dial(server.port);
			say(fds[i], GET("/big"));
		}
		for (int i = 0; i < 200; i++) {
			hear(fds[i], &r, false);
			assert_int_equal(r.status, 200);
			assert_int_equal(r.len, BIG);
			assert_int_equal(r.body[BIG - 1], 'a' + (BIG - 1) % 26);
			free(r.body);
			close(fds[i]);
		}
	}
	in_server(do_stats);
	assert_int_equal(answered(200), 600);
	assert_int_equal(seen.accepted, 600);
	assert_int_equal(seen.refused, 0);
	assert_int_equal(seen.timed_out, 0);
}

static void one_too_many_is_told(void **state)
{
	int fds[MB_HTTP_CONNECTIONS], one;

	(void)state;
	for (int i = 0; i < MB_HTTP_CONNECTIONS; i++) {
		fds[i] = dial(server.port);
		say(fds[i], GET("/small"));
		hear_status(fds[i], 200);
	}
	one = dial(server.port);
	hear_status(one, 503);
	assert_true(is_closed(one));
	close(one);
	in_server(do_stats);
	assert_int_equal(seen.open, MB_HTTP_CONNECTIONS);
	assert_int_equal(seen.refused, 1);
	for (int i = 0; i < MB_HTTP_CONNECTIONS; i++)
		close(fds[i]);
	do
		in_server(do_stats);
	while (seen.open);
	ask(GET("/small"), 200, "hello\n");
}

static void do_short_limits(void)
{
	static const struct mb_http_limits limits = { MB_HTTP_CONNECTIONS, 1, 2 };

	mb_http_set_limits(server.http, &limits);
}

static void who_stalls_is_dropped_and_holds_up_nobody(void **state)
{
	int silent, halfway, kept;
	uint64_t turns;

	(void)state;
	in_server(do_short_limits);
	silent = dial(server.port);
	halfway = dial(server.port);
	say(halfway, "GET /small HTTP/1.1\r\nHost: loc");
	kept = dial(server.port);
	say(kept, GET("/small"));
	hear_status(kept, 200);
	for (int i = 0; i < 50; i++)
		ask(GET("/small"), 200, "hello\n");
	turns = server.turns;
	assert_true(is_closed(silent));
	assert_true(is_closed(halfway));
	assert_true(is_closed(kept));
	/* waiting for them is no work */
	in_server(do_stats);
	assert_in_range(server.turns - turns, 1, 100);
	/* one that waits between two requests has done nothing wrong */
	assert_int_equal(seen.timed_out, 2);
	close(silent);
	close(halfway);
	close(kept);
}

/* A byte now and then keeps a client from being idle, but not for ever. */
static void who_dawdles_is_dropped(void **state)
{
	int fd;
	ssize_t sent;
	struct timespec pause = { .tv_nsec = 200000000 };

	(void)state;
	in_server(do_short_limits);
	fd = dial(server.port);
	say(fd, "GET /small HTTP/1.1\r\nX: ");
	for (int i = 0; i < 300; i++) {
		sent = send(fd, "x", 1, MSG_NOSIGNAL);
		if (sent < 0)
			break;
		nanosleep(&pause, NULL);
	}
	assert_true(sent < 0);
	in_server(do_stats);
	assert_int_equal(seen.timed_out, 1);
	assert_int_equal(seen.open, 0);
	close(fd);
}

static void who_reads_slowly_gets_all(void **state)
{
	int slow = dial(server.port), gone = dial(server.port);
	uint64_t turns;
	struct reply r;

	(void)state;
	say(slow, GET("/big"));
	say(gone, GET("/big"));
	for (int i = 0; i < 20; i++)
		ask(GET("/small"), 200, "hello\n");
	close(gone); /* with most of the answer unsent: no SIGPIPE */
	turns = server.turns;
	usleep(300000);
	assert_in_range(server.turns - turns, 0, 50);
	hear(slow, &r, true);
	assert_int_equal(r.len, BIG);
	for (size_t at = 0; at < BIG; at += 32768) {
		char piece[32768];

		assert_int_equal(take(slow, piece, sizeof(piece)), sizeof(piece));
		assert_int_equal(piece[0], 'a' + at % 26);
		if (at % (8 * 32768) == 0)
			ask(GET("/small"), 200, "hello\n");
	}
	close(slow);
}

static void requests_in_one_breath_are_answered_in_order(void **state)
{
	int fd = dial(server.port);

	(void)state;
	say(fd, GET("/small") GET("/none") GET("/teapot") GET("/small"));
	hear_status(fd, 200);
	hear_status(fd, 404);
	hear_status(fd, 418);
	hear_status(fd, 200);
	/* and once more on the same connection */
	say(fd, "HEAD /big HTTP/1.1\r\nHost: localhost\r\n\r\n");
	{
		struct reply r;

		hear(fd, &r, true);
		assert_int_equal(r.status, 200);
		assert_int_equal(r.len, BIG);
	}
	say(fd, "GET /small HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
	hear_status(fd, 200);
	assert_true(is_closed(fd));
	close(fd);
	in_server(do_stats);
	assert_int_equal(seen.accepted, 1);
	assert_int_equal(answered(200), 4);
	assert_int_equal(answered(404), 1);
	assert_int_equal(answered(418), 1);
}

static void what_is_asked_arrives(void **state)
{
	(void)state;
	ask("GET /echo%20a?q=x%26y&z HTTP/1.1\r\nHost: 127.0.0.1:9742\r\nAccept: text/html\r\n\r\n", 200,
	    "q=x&y none=1 accept=text/html local=0");
	ask("GET /echo%20a?q HTTP/1.1\r\nHost: [::1]:9742\r\n\r\n", 200, "q= none=1 accept=- local=0");
	ask("GET /none HTTP/1.0\r\n\r\n", 404,
	    "{\"schema\":1,\"kind\":\"error\",\"message\":\"there is nothing at this path\"}\n");
	ask(GET("/wrong"), 500, NULL);
	ask(GET("/gone"), 410, "{\"schema\":1,\"kind\":\"error\",\"message\":\"Gone\"}\n");
}

static void only_get_and_head(void **state)
{
	int fd = dial(server.port);
	struct reply r;

	(void)state;
	say(fd, "POST /small HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello");
	hear(fd, &r, false);
	assert_int_equal(r.status, 405);
	assert_non_null(strstr(r.head, "\r\nAllow: GET, HEAD\r\n"));
	assert_true(is_closed(fd));
	free(r.body);
	close(fd);
	ask("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, NULL);
	ask("BREW /small HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, NULL);
	ask("GET /small HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello", 413, NULL);
	ask("GET /small HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 413, NULL);
	ask("GET /small HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 200, "hello\n");
}

/* Names that a page of the web may have given this machine. */
static void other_hosts_are_refused(void **state)
{
	static const char *const here[] = { "localhost", "LocalHost:1", "127.0.0.1", "10.1.2.3:80", "[::1]", "[::1]:80" };
	static const char *const there[] = { "evil.example", "evil.example:9742", "127.0.0.1.evil.example", "::1",
					     "localhost.evil.example", "[evil]", "[::1", "127.0.0.1:x", "" };
	char request[256];

	(void)state;
	for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++)
		assert_true(mb_host_is_here(here[i]));
	for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++) {
		assert_false(mb_host_is_here(there[i]));
		snprintf(request, sizeof(request), "GET /small HTTP/1.1\r\nHost: %s\r\n\r\n", there[i]);
		ask(request, 403, NULL);
	}
}

static void too_much_is_refused(void **state)
{
	size_t len = 100 * 1024;
	char *many = malloc(len + 64);
	struct reply r;
	int fd;

	(void)state;
	for (int line = 0; line < 2; line++) {
		char *p = many + sprintf(many, line ? "GET /" : "GET /small HTTP/1.1\r\nHost: localhost\r\nX: ");

		memset(p, 'x', len - (size_t)(p - many));
		fd = dial(server.port);
		/* the other end may have closed before all is sent */
		for (size_t at = 0; at < len;) {
			ssize_t n = send(fd, many + at, len - at, MSG_NOSIGNAL);

			if (n < 0)
				break;
			at += (size_t)n;
		}
		hear(fd, &r, false);
		assert_int_equal(r.status, line ? 414 : 431);
		assert_true(is_closed(fd));
		free(r.body);
		close(fd);
	}
	free(many);
	ask(GET("/small"), 200, "hello\n");
	in_server(do_stats);
	assert_int_equal(answered(431), 1);
	assert_int_equal(seen.unasked, 1);
}

static void garbage_ends_the_connection(void **state)
{
	unsigned int seed = 7;
	char bytes[4096];

	(void)state;
	for (int i = 0; i < 64; i++) {
		int fd = dial(server.port);
		char rest[65536];

		for (size_t j = 0; j < sizeof(bytes); j++)
			bytes[j] = (char)(rand_r(&seed) >> 8);
		if (i % 2) /* what looks like a request at first */
			memcpy(bytes, "GET / HTTP/1.1\r\n", 16);
		send(fd, bytes, 1 + (size_t)rand_r(&seed) % (sizeof(bytes) - 1), MSG_NOSIGNAL);
		shutdown(fd, SHUT_WR);
		take(fd, rest, sizeof(rest));
		close(fd);
	}
	ask(GET("/small"), 200, "hello\n");
	in_server(do_stats);
	assert_int_equal(answered(200), 1);
}

static void unix_sockets_are_the_owners(void **state)
{
	int fd = dial_local();
	struct stat st;
	struct reply r;

	(void)state;
	assert_int_equal(lstat(socket_path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0600);
	/* no browser comes this way, so any host will do */
	say(fd, "GET /echo%20a?q=1 HTTP/1.1\r\nHost: memblame\r\n\r\n");
	hear(fd, &r, false);
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "q=1 none=1 accept=- local=1");
	free(r.body);
	close(fd);
}

/* ---- other sets of listeners ---- */

static const char *wanted[4];
static size_t n_wanted;
static int listened;

static void do_listen(void)
{
	memset(&err, 0, sizeof(err));
	listened = mb_http_listen(server.http, wanted, n_wanted, &err);
}

static int listen_at(size_t n, const char *a, const char *b, const char *c)
{
	wanted[0] = a;
	wanted[1] = b;
	wanted[2] = c;
	n_wanted = n;
	in_server(do_listen);
	return listened;
}

static void stale_socket_files_are_replaced(void **state)
{
	char text[128];
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct stat st;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	sprintf(at.sun_path, "%s/other", dir);
	snprintf(text, sizeof(text), "unix:%s", at.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(listen_at(3, "127.0.0.1:0", socket_address, text), -EADDRINUSE);
	assert_non_null(strstr(err.text, "another process does"));
	assert_int_equal(lstat(at.sun_path, &st), 0);
	close(fd);
	assert_int_equal(listen_at(3, "127.0.0.1:0", socket_address, text), 0);
	assert_int_equal(listen_at(2, "127.0.0.1:0", socket_address, NULL), 0);
	assert_int_equal(lstat(at.sun_path, &st), -1);
	/* what is no socket is not ours to remove */
	close(open(at.sun_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_not_equal(listen_at(3, "127.0.0.1:0", socket_address, text), 0);
	assert_non_null(strstr(err.text, "no socket"));
	assert_int_equal(unlink(at.sun_path), 0);
	ask(GET("/small"), 200, "hello\n");
	fd = dial_local();
	say(fd, GET("/small"));
	hear_status(fd, 200);
	close(fd);
}

static void addresses_in_use_change_nothing(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), kept = dial(server.port);
	socklen_t len = sizeof(at);
	char text[64];

	(void)state;
	assert_int_equal(bind(other, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(other, 1), 0);
	assert_int_equal(getsockname(other, (struct sockaddr *)&at, &len), 0);
	sprintf(text, "127.0.0.1:%u", ntohs(at.sin_port));
	assert_int_equal(listen_at(3, "127.0.0.1:0", "[::1]:0", text), -EADDRINUSE);
	assert_non_null(strstr(err.text, text));
	assert_int_equal(mb_http_addresses(server.http), 2);
	/* in the place of the old one, which must stay then */
	assert_int_equal(listen_at(1, text, NULL, NULL), -EADDRINUSE);
	assert_int_equal(listen_at(1, "127.0.0.1", NULL, NULL), -EINVAL);
	assert_int_equal(listen_at(2, "127.0.0.1:1", "localhost:1", NULL), -EINVAL);
	assert_non_null(strstr(err.text, "twice"));
	ask(GET("/small"), 200, "hello\n");
	say(kept, GET("/small"));
	hear_status(kept, 200);
	close(kept);
	kept = dial_local();
	say(kept, GET("/small"));
	hear_status(kept, 200);
	close(kept);
	close(other);
}

static void connections_outlive_a_reload(void **state)
{
	int kept = dial(server.port), leaving = dial_local();
	unsigned int port = server.port;
	struct stat st;

	(void)state;
	say(kept, GET("/small"));
	hear_status(kept, 200);
	say(leaving, GET("/small"));
	hear_status(leaving, 200);
	assert_int_equal(listen_at(2, "127.0.0.1:0", "127.0.0.2:0", NULL), 0);
	assert_int_equal(bound_port(0), port);
	say(kept, GET("/small"));
	hear_status(kept, 200);
	ask(GET("/small"), 200, "hello\n");
	/* the address it came by is gone, and so is it */
	assert_true(is_closed(leaving));
	assert_int_equal(lstat(socket_path, &st), -1);
	close(leaving);
	close(kept);
	assert_int_equal(listen_at(0, NULL, NULL, NULL), 0);
	assert_int_equal(dial(port), -1);
}

/* From one address to all of the machine's, and back, without giving the port away in between. */
static void a_port_can_change_its_address(void **state)
{
	char one[64], all[64];
	struct mb_listener second;
	struct mb_address at;

	(void)state;
	sprintf(one, "127.0.0.1:%u", server.port);
	sprintf(all, "0.0.0.0:%u", server.port);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(listen_at(1, all, NULL, NULL), 0);
		ask(GET("/small"), 200, "hello\n");
		/* whoever listens at all of its addresses is asked by any name */
		ask("GET /small HTTP/1.1\r\nHost: name.example\r\n\r\n", 200, "hello\n");
		memset(&err, 0, sizeof(err));
		assert_int_equal(mb_address_parse(&at, all, &err), 0);
		assert_int_equal(mb_listener_open(&second, &at, NULL, 0, &err), -EADDRINUSE);
		assert_int_equal(listen_at(1, one, NULL, NULL), 0);
		ask(GET("/small"), 200, "hello\n");
		ask("GET /small HTTP/1.1\r\nHost: name.example\r\n\r\n", 403, NULL);
	}
}

static rlim_t few;

static void do_few_fds(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = few;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Clients then wait, and the loop must neither spin nor forget them. */
static void without_descriptors_it_waits(void **state)
{
	struct rlimit before;
	int fd = dial(server.port), other = dial(server.port);
	uint64_t turns;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &before);
	say(fd, GET("/small"));
	hear_status(fd, 200);
	say(other, GET("/small"));
	hear_status(other, 200);
	close(other);
	do
		in_server(do_stats);
	while (seen.open != 1);
	other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	few = (rlim_t)other + 1;
	in_server(do_few_fds);
	{
		struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)server.port),
					  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

		/* the lowest free descriptor is beyond the limit but for the holes, which these fill */
		int holes[64], n = 0;

		while (n < 64 && (holes[n] = dup(0)) >= 0)
			n++;
		assert_int_equal(connect(other, (struct sockaddr *)&to, sizeof(to)), 0);
		say(other, GET("/small"));
		do
			in_server(do_stats);
		while (!seen.refused);
		turns = server.turns;
		usleep(500000);
		assert_in_range(server.turns - turns, 0, 50);
		say(fd, GET("/small"));
		hear_status(fd, 200);
		while (n)
			close(holes[--n]);
	}
	few = before.rlim_cur;
	in_server(do_few_fds);
	hear_status(other, 200);
	close(other);
	close(fd);
}

static void addresses_are_understood(void **state)
{
	static const char *const good[][2] = {
		{ "127.0.0.1:9742", "127.0.0.1:9742" }, { "localhost:80", "127.0.0.1:80" },
		{ "[0:0:0::1]:65535", "[::1]:65535" },	{ "0.0.0.0:0", "0.0.0.0:0" },
		{ "[::]:1", "[::]:1" },			{ "unix:/run/x.sock", "unix:/run/x.sock" },
	};
	static const char *const bad[] = { "", ":", ":80", "9742", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
					   "127.0.0.1:-1", "127.0.0.1: 1", "127.0.0.1:1x", "::1:80", "[::1]", "[::1:80",
					   "[]:80", "[127.0.0.1]:80", "example.org:80", "*:80", "1.2.3.400:1", "unix:",
					   "unix:run/x", "unix:/run/", "http://127.0.0.1:80" };
	struct mb_address a;
	char text[MB_ADDRESS_TEXT], path[200];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(mb_address_parse(&a, good[i][0], &err), 0);
		assert_string_equal(mb_address_text(&a, text), good[i][1]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(&err, 0, sizeof(err));
		assert_int_equal(mb_address_parse(&a, bad[i], &err), -EINVAL);
		assert_int_equal(err.exit, MB_EXIT_USAGE);
		assert_non_null(strstr(err.text, "write 127.0.0.1:9742"));
	}
	/* 108 bytes with the final NUL */
	memset(path, 'x', sizeof(path));
	memcpy(path, "unix:/", 6);
	path[5 + 107] = '\0';
	assert_int_equal(mb_address_parse(&a, path, &err), 0);
	assert_string_equal(mb_address_text(&a, text), path);
	strcat(path, "x");
	assert_int_equal(mb_address_parse(&a, path, &err), -EINVAL);
}

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/mb-http-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(socket_path, sizeof(socket_path), "%s/sock", dir);
	snprintf(socket_address, sizeof(socket_address), "unix:%s", socket_path);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

#define SERVED(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_understood),
		SERVED(many_at_once_are_all_answered),
		SERVED(one_too_many_is_told),
		SERVED(who_stalls_is_dropped_and_holds_up_nobody),
		SERVED(who_dawdles_is_dropped),
		SERVED(who_reads_slowly_gets_all),
		SERVED(requests_in_one_breath_are_answered_in_order),
		SERVED(what_is_asked_arrives),
		SERVED(only_get_and_head),
		SERVED(other_hosts_are_refused),
		SERVED(too_much_is_refused),
		SERVED(garbage_ends_the_connection),
		SERVED(unix_sockets_are_the_owners),
		SERVED(stale_socket_files_are_replaced),
		SERVED(addresses_in_use_change_nothing),
		SERVED(connections_outlive_a_reload),
		SERVED(a_port_can_change_its_address),
		SERVED(without_descriptors_it_waits),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
