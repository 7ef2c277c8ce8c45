// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The HTTP server of serve, with many clients, slow clients and hostile clients. */
#include <sys/resource.h>
#include <time.h>

#include "http_server.h"

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

static void one_too_many_is_reported(void **state)
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
	/* there is room again at once */
	ask(GET("/small"), 200, "hello\n");
}

static void do_short_limits(void)
{
	static const struct mb_http_limits limits = { MB_HTTP_CONNECTIONS, 1, 2 };

	mb_http_set_limits(server.http, &limits);
}

/* Waits until no connection is open, then reads the statistics: a client sees the end before the server cleans up. */
static void stats_when_all_are_closed(void)
{
	struct timespec pause = { .tv_nsec = 10000000 };

	in_server(do_stats);
	for (int i = 0; i < 500 && seen.open; i++) {
		nanosleep(&pause, NULL);
		in_server(do_stats);
	}
	assert_int_equal(seen.open, 0);
}

static void who_stalls_is_dropped_and_holds_up_nobody(void **state)
{
	int silent, halfway, retained;
	uint64_t turns;

	(void)state;
	in_server(do_short_limits);
	silent = dial(server.port);
	halfway = dial(server.port);
	say(halfway, "GET /small HTTP/1.1\r\nHost: loc");
	retained = dial(server.port);
	say(retained, GET("/small"));
	hear_status(retained, 200);
	for (int i = 0; i < 50; i++)
		ask(GET("/small"), 200, "hello\n");
	turns = server.turns;
	assert_true(is_closed(silent));
	assert_true(is_closed(halfway));
	assert_true(is_closed(retained));
	/* waiting for clients must not make the loop spin */
	assert_in_range(server.turns - turns, 1, 100);
	stats_when_all_are_closed();
	/* a client that waits between two requests is not counted as an error */
	assert_int_equal(seen.timed_out, 2);
	close(silent);
	close(halfway);
	close(retained);
}

/* A byte now and then prevents the idle timeout, but not for ever. */
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
	stats_when_all_are_closed();
	assert_int_equal(seen.timed_out, 1);
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

/* Host names that a web page may have given this machine (DNS rebinding). */
static void other_hosts_are_refused(void **state)
{
	static const char *const here[] = { "localhost", "LocalHost:1", "127.0.0.1", "10.1.2.3:80", "[::1]",
					    "[::1]:80" };
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
		if (i % 2) /* begins like a request */
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

static rlim_t few;

static void do_few_fds(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = few;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Without free descriptors clients wait, and the loop must neither spin nor forget them. */
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

		/* fill the holes, so that the lowest free descriptor is beyond the limit */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED(many_at_once_are_all_answered),
		SERVED(one_too_many_is_reported),
		SERVED(who_stalls_is_dropped_and_holds_up_nobody),
		SERVED(who_dawdles_is_dropped),
		SERVED(who_reads_slowly_gets_all),
		SERVED(requests_in_one_breath_are_answered_in_order),
		SERVED(what_is_asked_arrives),
		SERVED(only_get_and_head),
		SERVED(other_hosts_are_refused),
		SERVED(too_much_is_refused),
		SERVED(garbage_ends_the_connection),
		SERVED(without_descriptors_it_waits),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
