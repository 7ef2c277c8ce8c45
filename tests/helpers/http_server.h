/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* An HTTP server for tests, which runs in its own thread, and clients that query it over real sockets. */
#ifndef MB_TESTS_HTTP_SERVER_H
#define MB_TESTS_HTTP_SERVER_H

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "serve/http.h"
#include "serve/listen.h"
#include "unit.h"

#define BIG (1 << 20)
#define GIVE_UP_MS 60000

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"

/* ---- the server: an event loop in a thread; between two waits it runs the task that a test gives it ---- */

static struct {
	struct mb_http *http;
	pthread_t thread;
	int fd; /* eventfd */
	sem_t done;
	void (*task)(void);
	bool stop;
	uint64_t turns;
	struct mb_http_body *small, *big;
	int fds; /* number of open descriptors of the process beforehand */
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
	struct epoll_event ready[2], http = { .events = EPOLLIN, .data.u32 = 1 }, reported = { .events = EPOLLIN };
	uint64_t value;

	assert_int_equal(epoll_ctl(loop, EPOLL_CTL_ADD, mb_http_fd(server.http), &http), 0);
	assert_int_equal(epoll_ctl(loop, EPOLL_CTL_ADD, server.fd, &reported), 0);
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

/* Makes the server's thread run the task, as the session's event loop would. */
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

/* Reads up to len bytes; fewer if the connection ends first. */
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

/* Reads one response, and nothing of the next one. */
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

#endif
