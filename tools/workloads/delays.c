// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The kernel's delay accounting of this thread: taskstats, and a field of /proc/self/stat. */
#include "workload.h"

#include <err.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/taskstats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Version 15 inserted new fields between the old ones; version 16 removed them again. */
#define VERSION_DISORDERED 15
/* 5.17 */
#define VERSION_COMPACT 11
/* Field 42 of /proc/PID/stat, counted from the state, the third. */
#define BLKIO_TICKS (42 - 3)

/* A request and its answer, one at a time. */
static struct {
	struct nlmsghdr nl;
	struct genlmsghdr genl;
	char attrs[4096];
} msg;

static bool ask(int fd, unsigned short family, unsigned char cmd, unsigned short type,
		const void *value, size_t size)
{
	struct nlattr attr = { .nla_len = (unsigned short)(NLA_HDRLEN + size), .nla_type = type };
	size_t len = NLMSG_LENGTH(GENL_HDRLEN) + NLA_HDRLEN + NLA_ALIGN(size);
	ssize_t n;

	memset(&msg, 0, sizeof(msg));
	msg.nl.nlmsg_len = (unsigned int)len;
	msg.nl.nlmsg_type = family;
	msg.nl.nlmsg_flags = NLM_F_REQUEST;
	msg.genl.cmd = cmd;
	msg.genl.version = 1;
	memcpy(msg.attrs, &attr, sizeof(attr));
	memcpy(msg.attrs + NLA_HDRLEN, value, size);
	if (send(fd, &msg, len, 0) != (ssize_t)len)
		err(1, "cannot ask for delays");
	n = recv(fd, &msg, sizeof(msg), 0);
	if (n < (ssize_t)NLMSG_LENGTH(GENL_HDRLEN) || msg.nl.nlmsg_len > (size_t)n)
		errx(1, "no answer about delays");
	return msg.nl.nlmsg_type != NLMSG_ERROR;
}

/* The attribute of that type among `len` bytes of them. */
static const char *find_attr(const char *at, size_t len, unsigned short type, size_t *size)
{
	const char *end = at + len;
	struct nlattr attr;

	for (; end - at >= NLA_HDRLEN; at += NLA_ALIGN(attr.nla_len)) {
		memcpy(&attr, at, sizeof(attr));
		if (attr.nla_len < NLA_HDRLEN || attr.nla_len > end - at)
			break;
		if ((attr.nla_type & NLA_TYPE_MASK) != type)
			continue;
		*size = attr.nla_len - NLA_HDRLEN;
		return at + NLA_HDRLEN;
	}
	errx(1, "an answer about delays without attribute %d", type);
}

static size_t attrs_len(void)
{
	return msg.nl.nlmsg_len - NLMSG_LENGTH(GENL_HDRLEN);
}

/*
 * Newer kernels return more fields than we know, older ones fewer: missing fields are 0, all without taskstats.
 */
static void read_taskstats(struct taskstats *stats)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	unsigned int pid = (unsigned int)getpid();
	unsigned short family;
	const char *at;
	size_t size;

	if (fd < 0)
		err(1, "netlink");
	memset(stats, 0, sizeof(*stats));
	if (!ask(fd, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME, TASKSTATS_GENL_NAME,
		 sizeof(TASKSTATS_GENL_NAME))) {
		close(fd);
		return;
	}
	at = find_attr(msg.attrs, attrs_len(), CTRL_ATTR_FAMILY_ID, &size);
	memcpy(&family, at, sizeof(family));
	if (!ask(fd, family, TASKSTATS_CMD_GET, TASKSTATS_CMD_ATTR_PID, &pid, sizeof(pid)))
		errx(1, "taskstats do not know process %u", pid);
	close(fd);
	at = find_attr(msg.attrs, attrs_len(), TASKSTATS_TYPE_AGGR_PID, &size);
	at = find_attr(at, size, TASKSTATS_TYPE_STATS, &size);
	memcpy(stats, at, size < sizeof(*stats) ? size : sizeof(*stats));
}

static long long blkio_ticks(void)
{
	char text[1024], *at;
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		err(1, "/proc/self/stat");
	close(fd);
	text[n] = '\0';
	at = strrchr(text, ')');
	at = at ? at + 2 : NULL;
	for (int i = 0; at && i < BLKIO_TICKS; i++) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	if (!at)
		errx(1, "/proc/self/stat is shorter than it should be");
	return atoll(at);
}

/* Moves to the parent cgroup, which has no limit: after reading the delays the thread must not wait for memory. */
static void leave_cgroup(void)
{
	const char *dir = getenv("WORKLOAD_CGROUP");
	char path[4096];
	int fd;

	if (!dir)
		return;
	snprintf(path, sizeof(path), "%s/../cgroup.procs", dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || dprintf(fd, "%d\n", getpid()) < 0)
		err(1, "cannot leave for %s", path);
	close(fd);
}

void wl_delays(void)
{
	struct taskstats stats;

	leave_cgroup();
	wl_num("delay_ran_ns", (long long)wl_thread_cpu_ns());
	wl_num("delay_blkio_ticks", blkio_ticks());
	read_taskstats(&stats);
	wl_num("delay_version", stats.version);
	if (!stats.version || stats.version == VERSION_DISORDERED)
		return;
	wl_num("delay_cpu_ns", (long long)stats.cpu_delay_total);
	wl_num("delay_blkio_count", (long long)stats.blkio_count);
	wl_num("delay_blkio_ns", (long long)stats.blkio_delay_total);
	wl_num("delay_swapin_count", (long long)stats.swapin_count);
	wl_num("delay_swapin_ns", (long long)stats.swapin_delay_total);
	wl_num("delay_freepages_count", (long long)stats.freepages_count);
	wl_num("delay_freepages_ns", (long long)stats.freepages_delay_total);
	wl_num("delay_thrashing_count", (long long)stats.thrashing_count);
	wl_num("delay_thrashing_ns", (long long)stats.thrashing_delay_total);
#if TASKSTATS_VERSION >= VERSION_COMPACT
	if (stats.version >= VERSION_COMPACT)
		wl_num("delay_compact_ns", (long long)stats.compact_delay_total);
#endif
}
