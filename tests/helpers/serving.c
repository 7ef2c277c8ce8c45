// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Shared code for the tests of memblame serve. */
#include "serving.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct sandbox_cgroup serving_group;

void serving_open_group(unsigned long limit_bytes)
{
	const char *reason = sandbox_cgroup_open(&serving_group, limit_bytes);

	if (reason)
		live_skip("%s", reason);
}

const char *serving_own(void)
{
	static char label[128];

	snprintf(label, sizeof(label), "cgroup=\"%s\"", serving_group.path);
	return label;
}

int serving_tidy(void **state)
{
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	live_kill_rest();
	if (serving_group.dir[0])
		sandbox_cgroup_close(&serving_group);
	serving_group.dir[0] = '\0';
	return 0;
}

void serving_join(const char *dir)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		_exit(91);
	close(fd);
}

void serving_touch(size_t pages)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *area = mmap(NULL, pages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED)
		_exit(90);
	madvise(area, pages * page, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < pages; i++)
		*(volatile char *)(area + i * page) = 1;
	munmap(area, pages * page);
}

int serving_descriptors(pid_t pid)
{
	char path[64], target[64];
	struct dirent *entry;
	ssize_t length;
	int n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	assert_non_null(d);
	while ((entry = readdir(d))) {
		length = readlinkat(dirfd(d), entry->d_name, target, sizeof(target) - 1);
		if (length < 0) /* "." and ".." */
			continue;
		target[length] = '\0';
		n += strcmp(target, "anon_inode:bpf_link") != 0 && strcmp(target, "anon_inode:bpf-link") != 0;
	}
	closedir(d);
	return n;
}

int free_port(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), port;

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	port = ntohs(at.sin_port);
	close(fd);
	return port;
}

void serving_prepare(struct serving *s, const char *name, const char *lines)
{
	FILE *f;

	memset(s, 0, sizeof(*s));
	s->port = free_port();
	snprintf(s->dir, sizeof(s->dir), "%s", live_path(name));
	snprintf(s->config, sizeof(s->config), "%s.conf", s->dir);
	snprintf(s->local, sizeof(s->local), "%s.sock", s->dir);
	f = fopen(s->config, "we");
	assert_non_null(f);
	assert_int_equal(fchmod(fileno(f), 0600), 0);
	fprintf(f, "[serve]\nlisten = 127.0.0.1:%d\nlisten = unix:%s\nstate-dir = %s\n%s", s->port, s->local, s->dir,
		lines);
	assert_int_equal(fclose(f), 0);
}

void serving_rewrite(const struct serving *s, const char *lines)
{
	FILE *f = fopen(s->config, "we");

	assert_non_null(f);
	fputs(lines, f);
	assert_int_equal(fclose(f), 0);
}

void serving_start(struct serving *s, const char *const *more)
{
	const char *args[32] = { "serve", "--config", s->config };
	int n = 3;

	for (; more && *more && n < 31; more++)
		args[n++] = *more;
	args[n] = NULL;
	s->bg = live_start(args);
}

void serving_stop(struct serving *s)
{
	struct live_result *r;

	kill(s->bg->pid, SIGTERM);
	r = live_wait(s->bg);
	s->bg = NULL;
	if (r->status)
		live_fail("serve: status %d: %s", r->status, r->err);
	live_result_free(r);
}

char *serving_get(const struct serving *s, const char *path, bool local, int *status)
{
	char url[512], *body;
	struct live_result *r;

	snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", s->port, path);
	if (local)
		r = live_exec(LIVE_ARGV("curl", "-s", "-m", "30", "-w", "\n%{http_code}", "--unix-socket", s->local,
					"-H", "Accept: text/plain", url), NULL);
	else
		r = live_exec(LIVE_ARGV("curl", "-s", "-m", "30", "-w", "\n%{http_code}", "-H", "Accept: text/plain",
					url), NULL);
	body = strrchr(r->out, '\n');
	assert_non_null(body);
	*status = atoi(body + 1);
	*body = '\0';
	body = strdup(r->out);
	live_result_free(r);
	return body;
}

char *serving_get_ok(const struct serving *s, const char *path, bool local)
{
	int status;
	char *body = serving_get(s, path, local, &status);

	if (status != 200)
		live_fail("%s: status %d: %s", path, status, body);
	return body;
}

json_t *serving_json(const struct serving *s, const char *path)
{
	char *body = serving_get_ok(s, path, true);
	json_t *doc = live_json(body);

	free(body);
	return doc;
}

static long long ticks_now(const struct serving *s)
{
	json_t *status = serving_json(s, "/api/v1/status");
	long long ticks = live_int(status, "ticks");

	json_decref(status);
	return ticks;
}

void serving_wait_ticks(const struct serving *s, long long ticks)
{
	long long until = ticks_now(s) + ticks;

	for (int i = 0; i < 600; i++) {
		if (ticks_now(s) >= until)
			return;
		usleep(100000);
	}
	live_fail("no %lld ticks within a minute", ticks);
}

/* Does "name{...} value" have the label pair? at points behind the opening brace. */
static bool has_label(const char *at, const char *end, const char *pair)
{
	size_t n = strlen(pair);

	for (const char *p = at; p + n < end; p++)
		if ((p == at || p[-1] == ',') && !strncmp(p, pair, n) && (p[n] == ',' || p[n] == '}'))
			return true;
	return false;
}

/* Returns the position behind the name and labels if the line is a matching series; else NULL. */
static const char *value_of(const char *line, const char *end, const char *name, const char *const *labels)
{
	size_t n = strlen(name);
	const char *brace;

	if (strncmp(line, name, n) != 0)
		return NULL;
	if (line[n] == ' ')
		return labels && *labels ? NULL : line + n;
	if (line[n] != '{')
		return NULL;
	for (brace = end; brace > line && *brace != '}'; brace--)
		;
	for (; labels && *labels; labels++)
		if (!has_label(line + n + 1, brace + 1, *labels))
			return NULL;
	return brace + 1;
}

double metric_sum(const char *text, const char *name, const char *const *labels, int *n)
{
	double sum = 0;
	int found = 0;

	while (*text) {
		const char *end = strchr(text, '\n'), *value;

		if (!end)
			end = text + strlen(text);
		value = *text == '#' ? NULL : value_of(text, end, name, labels);
		if (value) {
			sum += strtod(value, NULL);
			found++;
		}
		text = *end ? end + 1 : end;
	}
	if (n)
		*n = found;
	return sum;
}

double metric_value(const char *text, const char *name, const char *const *labels)
{
	int n;
	double sum = metric_sum(text, name, labels, &n);

	if (n != 1)
		live_fail("%d series of %s, want 1", n, name);
	return sum;
}

char *serving_held(pid_t pid)
{
	char script[256], *held;
	struct live_result *r;

	snprintf(script, sizeof(script),
		 "cat /proc/%d/fdinfo/* 2>/dev/null | sed -n 's/^\\(prog\\|map\\|link\\)_id:[ \\t]*/\\1 /p' | sort -u", (int)pid);
	r = live_exec(LIVE_ARGV("sh", "-c", script), NULL);
	held = strdup(r->out);
	live_result_free(r);
	return held;
}

void serving_gone(const char *held)
{
	static const char script[] = "while read -r kind id; do bpftool $kind show id $id >/dev/null 2>&1 && "
				     "echo $kind $id; done";
	struct live_result *r = NULL;

	/* the kernel frees links and maps after one or two grace periods */
	for (int i = 0; i < 60; i++) {
		live_result_free(r);
		r = live_exec(LIVE_ARGV("sh", "-c", script), held);
		if (!r->out_len)
			break;
		usleep(500000);
	}
	if (r->out_len)
		live_fail("still in the kernel:\n%s", r->out);
	live_result_free(r);
}
