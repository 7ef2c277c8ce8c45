// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* What a report of an OOM kill needs of the running system. */
#include "oom_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "model/oom.h"
#include "symbols/kallsyms.h"

#define KMSG_RECORD 8192 /* the kernel's own limit (CONSOLE_EXT_LOG_MAX, PRINTKRB_RECORD_MAX) */
#define KMSG_BYTES (64 * 1024) /* records taken at once */
#define MAPS_BYTES (128 * 1024)
#define MODULES 96u /* of one process: files it runs code of */

/* How much others are preferred as victims: all but those who may not be killed at all. */
#define OOM_SCORE_ADJ "-999"

struct module {
	uint64_t start, end, offset;
	char name[48];
};

/* Of the victim of a kill, taken while it is there: its stack comes when it dies. */
struct modules {
	uint64_t kill_t_ns;
	uint32_t n;
	struct module list[MODULES];
};

struct mb_oom_watch {
	int kmsg;
	struct mb_kallsyms *symbols;
	char log[KMSG_BYTES + KMSG_RECORD];
	size_t log_len;
	char maps[MAPS_BYTES];
	struct modules trigger;
	struct modules victims[MB_OOM_KILLS];
	uint32_t next_victim;
};

struct mb_oom_watch *mb_oom_watch_open(void)
{
	struct mb_oom_watch *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (w->kmsg < 0)
		mb_verbose("reports of OOM kills are without the kernel's log: /dev/kmsg: %s", strerror(errno));
	else
		lseek(w->kmsg, 0, SEEK_END);
	w->symbols = mb_kallsyms_open();
	return w;
}

void mb_oom_watch_close(struct mb_oom_watch *w)
{
	if (!w)
		return;
	if (w->kmsg >= 0)
		close(w->kmsg);
	mb_kallsyms_close(w->symbols);
	free(w);
}

int mb_oom_watch_fd(const struct mb_oom_watch *w)
{
	return w ? w->kmsg : -1;
}

/* ---- the log ---- */

void mb_oom_watch_read(struct mb_oom_watch *w)
{
	w->log_len = 0;
	while (w->kmsg >= 0 && w->log_len < KMSG_BYTES) {
		ssize_t n = read(w->kmsg, w->log + w->log_len, KMSG_RECORD - 1);

		/* EPIPE: lines were overwritten before we came; the next read goes on behind them */
		if (n < 0 && (errno == EPIPE || errno == EINTR))
			continue;
		if (n <= 0)
			break;
		w->log_len += (size_t)n;
		w->log[w->log_len++] = '\0';
	}
}

/* "priority,sequence,microseconds,flags[,caller=T123];text\n KEY=value\n" (ABI/testing/dev-kmsg) */
static void feed_record(struct mb_feed *feed, const char *record)
{
	char frame[sizeof(struct mb_log_line) + KMSG_RECORD];
	struct mb_log_line *line = (struct mb_log_line *)frame;
	const char *text = strchr(record, ';'), *caller = strstr(record, ",caller=");
	size_t len;

	if (!text)
		return;
	len = strcspn(text + 1, "\n");
	memset(line, 0, sizeof(*line));
	/* T and a thread's id; C and a CPU, where there is none */
	if (caller && caller < text)
		line->caller = (uint32_t)strtoul(caller + 9, NULL, 10) + (caller[8] == 'C' ? 1u << 31 : 1);
	memcpy(line + 1, text + 1, len);
	mb_feed(feed, MB_FRAME_LOG, frame, sizeof(*line) + len);
}

void mb_oom_watch_feed(struct mb_oom_watch *w, struct mb_feed *feed)
{
	for (size_t at = 0; at < w->log_len; at += strlen(w->log + at) + 1)
		feed_record(feed, w->log + at);
	w->log_len = 0;
}

/* ---- names ---- */

static size_t read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = fd < 0 ? 0 : 1;

	while (n > 0 && len < size - 1) {
		n = read(fd, buf + len, size - 1 - len);
		len += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0)
		close(fd);
	buf[len] = '\0';
	return len;
}

/* "start-end perms offset dev inode    path" */
static void add_module(struct modules *m, const char *line)
{
	struct module *to = &m->list[m->n];
	unsigned long long start, end, offset;
	char perms[8], path[256] = "";
	const char *name;

	if (m->n == MODULES ||
	    sscanf(line, "%llx-%llx %7s %llx %*s %*s %255[^\n]", &start, &end, perms, &offset, path) < 4 ||
	    perms[2] != 'x')
		return;
	name = strrchr(path, '/');
	to->start = start;
	to->end = end;
	to->offset = offset;
	snprintf(to->name, sizeof(to->name), "%.47s", name ? name + 1 : path[0] ? path : "anon");
	m->n++;
}

static void read_modules(struct mb_oom_watch *w, uint32_t tgid, struct modules *m)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/maps", tgid);
	read_file(path, w->maps, sizeof(w->maps));
	m->n = 0;
	for (char *line = w->maps; *line; line += strcspn(line, "\n") + 1) {
		add_module(m, line);
		if (!line[strcspn(line, "\n")])
			break;
	}
}

static void feed_symbol(struct mb_feed *feed, const struct mb_oom_kill *k, enum mb_oom_stack_of of,
			uint32_t frame, const char *text)
{
	struct mb_oom_name n = { .kill_t_ns = k->first.h.t_ns, .stack = of, .frame = frame };

	snprintf(n.name, sizeof(n.name), "%s", text);
	if (n.name[0])
		mb_feed(feed, MB_FRAME_SYMBOL, &n, sizeof(n));
}

static void feed_user_stack(struct mb_feed *feed, const struct mb_oom_kill *k, enum mb_oom_stack_of of,
			    const __u64 *stack, const struct modules *m)
{
	for (uint32_t i = 0; i < MB_OOM_STACK && stack[i]; i++) {
		char text[MB_OOM_SYMBOL_LEN];

		for (uint32_t j = 0; j < m->n; j++) {
			const struct module *in = &m->list[j];

			if (stack[i] < in->start || stack[i] >= in->end)
				continue;
			snprintf(text, sizeof(text), "%s+0x%llx", in->name,
				 (unsigned long long)(stack[i] - in->start + in->offset));
			feed_symbol(feed, k, of, i, text);
			break;
		}
	}
}

static void feed_stacks(struct mb_oom_watch *w, struct mb_feed *feed, const struct mb_oom_kill *k)
{
	struct modules *victim = NULL;
	char text[MB_OOM_SYMBOL_LEN];

	for (uint32_t i = 0; i < MB_OOM_KILLS && !victim; i++) {
		if (w->victims[i].kill_t_ns == k->first.h.t_ns)
			victim = &w->victims[i];
	}
	if (!victim) {
		victim = &w->victims[w->next_victim++ % MB_OOM_KILLS];
		victim->kill_t_ns = k->first.h.t_ns;
		read_modules(w, k->first.victim_tgid, victim);
		read_modules(w, k->first.h.tgid, &w->trigger);
		for (uint32_t i = 0; i < MB_OOM_STACK && k->first.kernel_stack[i]; i++)
			feed_symbol(feed, k, MB_OOM_OF_TRIGGER_KERNEL, i,
				    mb_kallsyms_name(w->symbols, k->first.kernel_stack[i], text,
						     sizeof(text)));
		feed_user_stack(feed, k, MB_OOM_OF_TRIGGER, k->first.user_stack, &w->trigger);
	}
	feed_user_stack(feed, k, MB_OOM_OF_VICTIM, k->victim_stack, victim);
}

static void feed_path(struct mb_feed *feed, const struct mb_oom_kill *k, uint64_t cgroup, struct mb_cgroups *c)
{
	struct mb_oom_name n = { .kill_t_ns = k->first.h.t_ns, .cgroup = cgroup };
	const char *path = mb_oom_cgroup_path(feed->model, k, cgroup);

	if (!cgroup)
		return;
	if (!path)
		path = mb_cgroups_path(c, cgroup);
	snprintf(n.name, sizeof(n.name), "%s", path ? path : "");
	mb_feed(feed, MB_FRAME_OOM_PATH, &n, sizeof(n));
}

static void feed_stat(struct mb_feed *feed, const struct mb_oom_kill *k, struct mb_cgroups *c)
{
	char frame[sizeof(struct mb_oom_name) + MB_OOM_STAT_BYTES], path[4096];
	struct mb_oom_name *n = (struct mb_oom_name *)frame;
	const char *cgroup = mb_oom_cgroup_path(feed->model, k, k->first.memcg);
	size_t len;

	if (!cgroup || !mb_cgroups_root(c))
		return;
	snprintf(path, sizeof(path), "%s%s/memory.stat", mb_cgroups_root(c), cgroup);
	memset(n, 0, sizeof(*n));
	n->kill_t_ns = k->first.h.t_ns;
	len = read_file(path, (char *)(n + 1), sizeof(frame) - sizeof(*n));
	mb_feed(feed, MB_FRAME_OOM_STAT, frame, sizeof(*n) + len);
}

void mb_oom_watch_stacks(struct mb_oom_watch *w, struct mb_feed *feed)
{
	struct mb_oom_kill *k;

	while ((k = mb_oom_unknown(feed->model->oom))) {
		k->looked_up = true;
		feed_stacks(w, feed, k);
	}
}

void mb_oom_watch_cgroups(struct mb_feed *feed, struct mb_cgroups *c)
{
	for (uint32_t i = 0; i < MB_OOM_KILLS; i++) {
		const struct mb_oom_kill *k = &feed->model->oom->kills[i];

		if (!k->used || k->paths[0].cgroup)
			continue;
		feed_path(feed, k, k->first.trigger_cgroup, c);
		if (k->first.victim_cgroup != k->first.trigger_cgroup)
			feed_path(feed, k, k->first.victim_cgroup, c);
		feed_path(feed, k, k->first.memcg, c);
		feed_stat(feed, k, c);
	}
}

/* ---- to survive ---- */

void mb_oom_watch_harden(bool whole)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, OOM_SCORE_ADJ, strlen(OOM_SCORE_ADJ)) < 0)
		mb_verbose("oom_score_adj stays as it is: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	if (mlockall(whole ? MCL_CURRENT : MCL_CURRENT | MCL_ONFAULT))
		mb_verbose("memory is not locked: %s", strerror(errno));
}
