// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Where serve listens: addresses, unix sockets, and changes of both while clients are connected. */
#include <fcntl.h>

#include "http_server.h"

static int dial_local(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(to.sun_path, socket_path);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
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

static void unix_sockets_are_the_owners(void **state)
{
	int fd = dial_local();
	struct stat st;
	struct reply r;

	(void)state;
	assert_int_equal(lstat(socket_path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0600);
	/* browsers do not use unix sockets, so any Host is accepted */
	say(fd, "GET /echo%20a?q=1 HTTP/1.1\r\nHost: memblame\r\n\r\n");
	hear(fd, &r, false);
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "q=1 none=1 accept=- local=1");
	free(r.body);
	close(fd);
}

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
	/* the server must not remove a file that is not a socket */
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
	int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), retained = dial(server.port);
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
	/* replacing the old address fails, so the old one must stay */
	assert_int_equal(listen_at(1, text, NULL, NULL), -EADDRINUSE);
	assert_int_equal(listen_at(1, "127.0.0.1", NULL, NULL), -EINVAL);
	assert_int_equal(listen_at(2, "127.0.0.1:1", "localhost:1", NULL), -EINVAL);
	assert_non_null(strstr(err.text, "twice"));
	ask(GET("/small"), 200, "hello\n");
	say(retained, GET("/small"));
	hear_status(retained, 200);
	close(retained);
	retained = dial_local();
	say(retained, GET("/small"));
	hear_status(retained, 200);
	close(retained);
	close(other);
}

static void connections_outlive_a_reload(void **state)
{
	int retained = dial(server.port), leaving = dial_local();
	unsigned int port = server.port;
	struct stat st;

	(void)state;
	say(retained, GET("/small"));
	hear_status(retained, 200);
	say(leaving, GET("/small"));
	hear_status(leaving, 200);
	assert_int_equal(listen_at(2, "127.0.0.1:0", "127.0.0.2:0", NULL), 0);
	assert_int_equal(bound_port(0), port);
	say(retained, GET("/small"));
	hear_status(retained, 200);
	ask(GET("/small"), 200, "hello\n");
	/* its address is gone, so the connection is closed */
	assert_true(is_closed(leaving));
	assert_int_equal(lstat(socket_path, &st), -1);
	close(leaving);
	close(retained);
	assert_int_equal(listen_at(0, NULL, NULL, NULL), 0);
	assert_int_equal(dial(port), -1);
}

/* Changes from one address to all addresses of the machine and back, without giving up the port in between. */
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
		/* a server that listens on all addresses accepts any host name */
		ask("GET /small HTTP/1.1\r\nHost: name.example\r\n\r\n", 200, "hello\n");
		memset(&err, 0, sizeof(err));
		assert_int_equal(mb_address_parse(&at, all, &err), 0);
		assert_int_equal(mb_listener_open(&second, &at, NULL, 0, &err), -EADDRINUSE);
		assert_int_equal(listen_at(1, one, NULL, NULL), 0);
		ask(GET("/small"), 200, "hello\n");
		ask("GET /small HTTP/1.1\r\nHost: name.example\r\n\r\n", 403, NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_understood),
		SERVED(unix_sockets_are_the_owners),
		SERVED(stale_socket_files_are_replaced),
		SERVED(addresses_in_use_change_nothing),
		SERVED(connections_outlive_a_reload),
		SERVED(a_port_can_change_its_address),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
