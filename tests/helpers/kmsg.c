// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Reads what the kernel's log says about an OOM kill. */
#include "kmsg.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "live.h"

/*
 * The kernel sums a process's page counters over all CPUs. A BPF program reads only the common part. The
 * common part lags behind by less than a batch, max(32, 2 * CPUs) pages, for each CPU.
 */
long long kmsg_slack(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);

	return (cpus > 16 ? 2 * cpus : 32) * cpus * sysconf(_SC_PAGESIZE);
}

static long long number_after(const char *line, const char *key)
{
	const char *at = strstr(line, key);

	if (!at)
		live_fail("no %s in %s", key, line);
	return atoll(at + strlen(key));
}

bool kmsg_memcg_usage(const char *line, long long *usage)
{
	if (strncmp(line, "memory: usage ", 14) != 0)
		return false;
	*usage = number_after(line, "usage ") << 10;
	return true;
}

static void parse_victim(struct kmsg_kill *k, const char *line)
{
	const char *at = strstr(line, "Killed process ");

	assert_int_equal(sscanf(at, "Killed process %d (%31[^)])", &k->pid, k->comm), 2);
	k->total_vm = number_after(at, "total-vm:") << 10;
	k->anon = number_after(at, "anon-rss:") << 10;
	k->file = number_after(at, "file-rss:") << 10;
	k->shmem = number_after(at, "shmem-rss:") << 10;
	k->uid = number_after(at, "UID:");
	k->pgtables = number_after(at, "pgtables:") << 10;
	k->adj = number_after(at, "oom_score_adj:");
}

/* "[  pid]  uid  tgid total_vm rss [rss_anon rss_file rss_shmem] pgtables swapents adj name" */
static void parse_task(struct kmsg_kill *k, const char *line, bool parts)
{
	struct kmsg_task *t = &k->tasks[k->n_tasks];
	int n;

	if (parts)
		n = sscanf(line, "[%d] %lld %*d %lld %lld %*d %*d %*d %lld %lld %lld %31[^\n]", &t->pid, &t->uid,
			   &t->total_vm, &t->rss, &t->pgtables, &t->swap, &t->adj, t->comm);
	else
		n = sscanf(line, "[%d] %lld %*d %lld %lld %lld %lld %lld %31[^\n]", &t->pid, &t->uid, &t->total_vm,
			   &t->rss, &t->pgtables, &t->swap, &t->adj, t->comm);
	if (n == 8 && k->n_tasks + 1 < sizeof(k->tasks) / sizeof(k->tasks[0]))
		k->n_tasks++;
}

static void parse_line(struct kmsg_kill *k, const char *line, bool *in_tasks, bool *parts)
{
	const char *at;

	if ((at = strstr(line, " invoked oom-killer: gfp_mask="))) {
		memset(k->tasks, 0, sizeof(k->tasks));
		k->n_tasks = 0;
		k->whole = true;
		snprintf(k->trigger_comm, sizeof(k->trigger_comm), "%.*s", (int)(at - line), line);
		assert_int_equal(sscanf(at, " invoked oom-killer: gfp_mask=0x%llx(%255[^)]), order=%lld",
					(unsigned long long *)&k->gfp_mask, k->gfp, &k->order), 3);
	} else if (kmsg_memcg_usage(line, &k->usage)) {
		k->limit = number_after(line, "limit ") << 10;
	} else if (!strncmp(line, "swap: usage ", 12) || !strncmp(line, "memory+swap: usage ", 19)) {
		k->swap = number_after(line, "usage ") << 10;
	} else if (!strncmp(line, "Free swap ", 10)) {
		k->free_swap = number_after(line, "= ") << 10;
	} else if (!strncmp(line, "Total swap = ", 13)) {
		k->total_swap = number_after(line, "= ") << 10;
	} else if (strstr(line, "total_vm") && strstr(line, "oom_score_adj name")) {
		*in_tasks = true;
		*parts = strstr(line, "rss_anon");
	} else if ((at = strstr(line, "oom-kill:constraint=CONSTRAINT_"))) {
		*in_tasks = false;
		sscanf(at, "oom-kill:constraint=CONSTRAINT_%31[^,]", k->constraint);
		for (char *c = k->constraint; *c; c++)
			*c |= 0x20; /* to lower case */
		if (!strcmp(k->constraint, "none"))
			strcpy(k->constraint, "global");
		if (!strcmp(k->constraint, "memory_policy"))
			strcpy(k->constraint, "mempolicy");
		at = strstr(at, "oom_memcg=");
		if (at)
			sscanf(at, "oom_memcg=%127[^,]", k->memcg);
	} else if (*in_tasks && line[0] == '[') {
		parse_task(k, line, *parts);
	}
}

/* Reads the next line; false: none arrives within some seconds. The lines of one record are returned one by one. */
static bool next_line(int fd, char *record, size_t size, char **rest, char **line)
{
	char *end;

	while (!*rest || !**rest) {
		ssize_t n = -1;

		for (int i = 0; i < 3000 && (n = read(fd, record, size - 1)) <= 0; i++)
			usleep(1000);
		if (n <= 0)
			return false;
		record[n] = '\0';
		*rest = strchr(record, ';');
		if (!*rest)
			continue;
		++*rest;
		(*rest)[strcspn(*rest, "\n")] = '\0';
	}
	*line = *rest;
	end = strstr(*rest, "\\x0a");
	*rest = end ? end + 4 : NULL;
	if (end)
		*end = '\0';
	return true;
}

struct kmsg_kill kmsg_kill(int fd, pid_t pid)
{
	static const struct kmsg_kill nothing = { .swap = -1, .free_swap = -1, .total_swap = -1 };
	struct kmsg_kill k = nothing;
	bool in_tasks = false, parts = false;
	char record[8192], *rest = NULL, *line;
	size_t len = 0;

	k.text = calloc(1, 1 << 20);
	assert_non_null(k.text);
	while (next_line(fd, record, sizeof(record), &rest, &line)) {
		len += (size_t)snprintf(k.text + len, (1 << 20) - len, "%s\n", line);
		parse_line(&k, line, &in_tasks, &parts);
		if (!strstr(line, "Killed process "))
			continue;
		parse_victim(&k, line);
		if (pid && k.pid != pid) {
			char *text = k.text;

			k = nothing;
			k.text = text;
			continue;
		}
		return k;
	}
	live_fail("the kernel's log does not tell of the kill of %d", (int)pid);
	return k;
}

void kmsg_free(struct kmsg_kill *k)
{
	free(k->text);
	k->text = NULL;
}

const struct kmsg_task *kmsg_task(const struct kmsg_kill *k, long long pid)
{
	for (size_t i = 0; i < k->n_tasks; i++) {
		if (k->tasks[i].pid == pid)
			return &k->tasks[i];
	}
	live_fail("the kernel's log has no task %lld", pid);
	return NULL;
}

bool kmsg_has_line(const struct kmsg_kill *k, const char *line)
{
	const char *at = k->text;
	size_t len = strlen(line);

	/* match whole lines only */
	while ((at = strstr(at, line))) {
		if ((at == k->text || at[-1] == '\n') && at[len] == '\n')
			return true;
		at += len ? len : 1;
	}
	return false;
}

static size_t count_flags(const char *flags, const char *in)
{
	size_t n = 0;

	for (const char *at = flags; *at;) {
		size_t len = strcspn(at, "|");
		char name[64];
		const char *found;

		snprintf(name, sizeof(name), "%.*s", (int)len, at);
		found = strstr(in, name);
		while (found && ((found != in && found[-1] != '|') || (found[len] && found[len] != '|')))
			found = strstr(found + 1, name);
		if (!found)
			live_fail("flags are %s, the kernel has %s", flags, in);
		n++;
		at += len + (at[len] == '|');
	}
	return n;
}

void kmsg_assert_same_flags(const char *got, const char *want)
{
	live_equal("flags", (long long)count_flags(got, want), (long long)count_flags(want, got));
}
