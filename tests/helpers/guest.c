// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Changes the guest's settings, its swap and its caches, and restores them after each test. */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MAX_KEPT 4

struct pairs guest_pairs;
struct sandbox_cgroup guest_cgroup;

static struct {
	const char *path;
	char text[64];
} retained[MAX_KEPT];
static unsigned int n_retained;
static const char *swap_file;

void guest_only(const char *what)
{
	/* tests/vm/init sets it, so that nobody runs this program on a real machine by mistake */
	if (getenv("MEMBLAME_GUEST"))
		return;
	fprintf(stderr, "%s: %s; only for the guest of tests/vm/run\n",
		program_invocation_short_name, what);
	exit(2);
}

long long guest_vmstat(const char *name)
{
	char *text = live_slurp("/proc/vmstat", NULL), *at;
	size_t len = strlen(name);
	long long value = -1;

	for (at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (!strncmp(at, name, len) && at[len] == ' ')
			value = atoll(at + len);
	}
	free(text);
	return value;
}

static bool put_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	int saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
	return done;
}

void guest_write(const char *path, const char *text)
{
	if (!put_text(path, text))
		live_fail("cannot write %s to %s: %s", text, path, strerror(errno));
}

/* In a list of choices such as "always [madvise] never", the word in brackets is the setting. */
void guest_keep(const char *path)
{
	char *text = live_slurp(path, NULL), *word = strchr(text, '[');

	assert_true(n_retained < MAX_KEPT);
	word = word ? word + 1 : text;
	word[strcspn(word, "]\n")] = '\0';
	retained[n_retained].path = path;
	snprintf(retained[n_retained].text, sizeof(retained[n_retained].text), "%s", word);
	n_retained++;
	free(text);
}

void guest_drop_caches(void)
{
	sync();
	guest_write("/proc/sys/vm/drop_caches", "3");
}

void guest_swap_on(unsigned int mib)
{
	const char *path = live_path("swap");
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct live_result *r;

	assert_true(fd >= 0);
	assert_int_equal(posix_fallocate(fd, 0, (off_t)mib << 20), 0);
	r = live_exec(LIVE_ARGV("mkswap", path), NULL);
	if (r->status)
		live_fail("mkswap: %s", r->err);
	live_result_free(r);
	assert_int_equal(fsync(fd) | close(fd), 0);
	if (swapon(path, 0))
		live_fail("swapon %s: %s", path, strerror(errno));
	swap_file = path;
}

/* Restores everything first and asserts afterwards, so that a failure does not leave anything behind. */
int guest_teardown(void **state)
{
	bool failed = false;

	(void)state;
	unsetenv("WORKLOAD_CGROUP");
	live_kill_rest();
	pairs_close(&guest_pairs);
	/* close the cgroup first: its processes die, and the kernel need not read their swapped pages back */
	if (guest_cgroup.dir[0])
		sandbox_cgroup_close(&guest_cgroup);
	guest_cgroup.dir[0] = '\0';
	if (swap_file)
		failed |= swapoff(swap_file) || unlink(swap_file);
	swap_file = NULL;
	while (n_retained) {
		n_retained--;
		failed |= !put_text(retained[n_retained].path, retained[n_retained].text);
	}
	return failed ? -1 : 0;
}

const char *guest_disk(void)
{
	static char disk[16];
	struct stat st;

	assert_int_equal(stat(live_tmp(), &st), 0);
	snprintf(disk, sizeof(disk), "%u:%u", major(st.st_dev), minor(st.st_dev));
	return disk;
}

/* Documentation/block/stat.rst: the fourth number is the time in milliseconds. */
long long guest_disk_read_ns(void)
{
	char path[64], *text;
	long long ms;

	snprintf(path, sizeof(path), "/sys/dev/block/%s/stat", guest_disk());
	text = live_slurp(path, NULL);
	assert_int_equal(sscanf(text, "%*d %*d %*d %lld", &ms), 1);
	free(text);
	return ms * 1000000;
}
