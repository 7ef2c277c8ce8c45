// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Collects what an OOM kill report needs from the running system. */
#include "oom/collect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/live_thread.h"
#include "base/log.h"
#include "base/longpath.h"
#include "base/readfd.h"
#include "oom/oom.h"
#include "symbols/kallsyms.h"
#include "symbols/address_space.h"

#define KMSG_RECORD 8192 /* the kernel's own limit (CONSOLE_EXT_LOG_MAX, PRINTKRB_RECORD_MAX) */
#define KMSG_BYTES (64 * 1024) /* bytes of records read at once */
#define MAPS_BYTES (128 * 1024)
#define STACK_BYTES (1024 * 1024)
#define MODULES 96u /* executable mappings per process */

/* Makes the OOM killer prefer other victims: all except those that must not be killed (-1000). */
#define OOM_SCORE_ADJ "-999"

struct module {
	uint64_t start, end, offset;
	char name[48];
};

/*
 * Mappings of the victim of a kill. They are read while the victim still exists, because the event
 * with its stack arrives only when it dies.
 */
struct modules {
	uint64_t kill_t_ns;
	uint32_t n;
	struct module list[MODULES];
	/* address spaces of the user stacks; NULL: kernel stack, or none */
	struct mb_address_space *spaces[MB_OOM_STACKS];
};

struct mb_oom_collect {
	int kmsg;
	struct mb_kallsyms *symbols;
	struct mb_modules *files;
	char log[KMSG_BYTES + KMSG_RECORD];
	size_t log_len;
	char maps[MAPS_BYTES];
	struct modules trigger;
	struct modules victims[MB_OOM_KILLS];
	uint32_t next_victim;
};

struct mb_oom_collect *mb_oom_collect_open(void)
{
	struct mb_oom_collect *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (w->kmsg < 0)
		mb_verbose("reports of OOM kills are without the kernel's log: /dev/kmsg: %s", strerror(errno));
	else
		lseek(w->kmsg, 0, SEEK_END);
	w->symbols = mb_kallsyms_open();
	w->files = mb_modules_new();
	return w;
}

static void free_spaces(struct modules *m)
{
	if (m->spaces[MB_OOM_OF_TRIGGER] != m->spaces[MB_OOM_OF_VICTIM])
		mb_address_space_free(m->spaces[MB_OOM_OF_TRIGGER]);
	mb_address_space_free(m->spaces[MB_OOM_OF_VICTIM]);
	memset(m->spaces, 0, sizeof(m->spaces));
}

void mb_oom_collect_close(struct mb_oom_collect *w)
{
	if (!w)
		return;
	for (uint32_t i = 0; i < MB_OOM_KILLS; i++)
		free_spaces(&w->victims[i]);
	mb_modules_free(w->files);
	if (w->kmsg >= 0)
		close(w->kmsg);
	mb_kallsyms_close(w->symbols);
	free(w);
}

void mb_oom_collect_tick(struct mb_oom_collect *w)
{
	if (w)
		mb_kallsyms_refresh(w->symbols);
}

int mb_oom_collect_fd(const struct mb_oom_collect *w)
{
	return w ? w->kmsg : -1;
}

/* ---- the log ---- */

void mb_oom_collect_read(struct mb_oom_collect *w)
{
	w->log_len = 0;
	while (w->kmsg >= 0 && w->log_len < KMSG_BYTES) {
		ssize_t n = read(w->kmsg, w->log + w->log_len, KMSG_RECORD - 1);

		/*
		 * EPIPE: records were overwritten before they were read; the next read continues
		 * after them
		 */
		if (n < 0 && (errno == EPIPE || errno == EINTR))
			continue;
		if (n <= 0)
			break;
		w->log_len += (size_t)n;
		w->log[w->log_len++] = '\0';
	}
}

/* "priority,sequence,microseconds,flags[,caller=T123];text\n KEY=value\n" (ABI/testing/dev-kmsg) */
static void ingest_record(struct mb_ingest *ingest, const char *record)
{
	char frame[sizeof(struct mb_log_line) + KMSG_RECORD];
	struct mb_log_line *line = (struct mb_log_line *)frame;
	const char *text = strchr(record, ';'), *caller = strstr(record, ",caller=");
	size_t len;

	if (!text)
		return;
	len = strcspn(text + 1, "\n");
	memset(line, 0, sizeof(*line));
	/* T and the thread ID, or C and the CPU where there is no thread */
	if (caller && caller < text)
		line->caller = (uint32_t)strtoul(caller + 9, NULL, 10) + (caller[8] == 'C' ? 1u << 31 : 1);
	memcpy(line + 1, text + 1, len);
	mb_ingest(ingest, MB_INGEST_LOG, frame, sizeof(*line) + len);
}

void mb_oom_collect_ingest(struct mb_oom_collect *w, struct mb_ingest *ingest)
{
	for (size_t at = 0; at < w->log_len; at += strlen(w->log + at) + 1)
		ingest_record(ingest, w->log + at);
	w->log_len = 0;
}

/* ---- names ---- */

static size_t read_file(const char *path, char *buf, size_t size)
{
	return mb_read_fd(open(path, O_RDONLY | O_CLOEXEC), buf, size);
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

/* Reads the executable mappings of a process, as far as MAPS_BYTES of its maps contain them. */
static void read_modules(struct mb_oom_collect *w, uint32_t tgid, struct modules *m)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/maps", mb_live_thread(tgid));
	read_file(path, w->maps, sizeof(w->maps));
	m->n = 0;
	for (char *line = w->maps; *line; line += strcspn(line, "\n") + 1) {
		add_module(m, line);
		if (!line[strcspn(line, "\n")])
			break;
	}
}

static void ingest_symbol(struct mb_ingest *ingest, const struct mb_oom_kill *k, enum mb_oom_stack_of of,
			  uint32_t frame, const char *text)
{
	struct mb_oom_name n = { .kill_t_ns = k->first.h.t_ns, .stack = of, .frame = frame };

	snprintf(n.name, sizeof(n.name), "%s", text);
	if (n.name[0])
		mb_ingest(ingest, MB_INGEST_SYMBOL, &n, sizeof(n));
}

static void ingest_user_stack(struct mb_ingest *ingest, const struct mb_oom_kill *k, enum mb_oom_stack_of of,
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
			ingest_symbol(ingest, k, of, i, text);
			break;
		}
	}
}

/*
 * Opens the address spaces for the user stacks, which holds the executed files open: names are
 * looked up later, when the report has been stored. Does nothing if the whole machine is out of
 * memory.
 */
static void open_spaces(struct mb_oom_collect *w, struct modules *m, const struct mb_oom_kill *k)
{
	free_spaces(m);
	if (!w->files || k->first.constraint != MB_OOM_MEMCG || mb_oom_is_by_process(k))
		return;
	m->spaces[MB_OOM_OF_VICTIM] = mb_address_space_new(w->files, k->first.victim_tgid);
	m->spaces[MB_OOM_OF_TRIGGER] = k->first.h.tgid == k->first.victim_tgid ?
					       m->spaces[MB_OOM_OF_VICTIM] :
					       mb_address_space_new(w->files, k->first.h.tgid);
}

static void ingest_stacks(struct mb_oom_collect *w, struct mb_ingest *ingest, const struct mb_oom_kill *k)
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
		read_modules(w, k->first.victim_tgid, victim); /* the victim first, because it may disappear soon */
		open_spaces(w, victim, k);
		read_modules(w, k->first.h.tgid, &w->trigger);
		for (uint32_t i = 0; i < MB_OOM_STACK && k->first.kernel_stack[i]; i++)
			ingest_symbol(ingest, k, MB_OOM_OF_TRIGGER_KERNEL, i,
				      mb_kallsyms_name(w->symbols, k->first.kernel_stack[i], text,
						       sizeof(text)));
		ingest_user_stack(ingest, k, MB_OOM_OF_TRIGGER, k->first.user_stack, &w->trigger);
	}
	ingest_user_stack(ingest, k, MB_OOM_OF_VICTIM, k->victim_stack, victim);
}

/*
 * Passes names of the form "function (module+0xoffset)" to the model. Frames after the first
 * contain return addresses. Returns the number of frames that have a name.
 */
static unsigned int ingest_functions(struct mb_ingest *ingest, const struct mb_oom_kill *k, enum mb_oom_stack_of of,
				     const __u64 *stack, struct mb_address_space *space)
{
	unsigned int named = 0;

	for (uint32_t i = 0; space && i < MB_OOM_STACK && stack[i]; i++) {
		char text[MB_OOM_SYMBOL_LEN];
		struct mb_source_frame source;
		const char *module;

		if (!mb_address_space_resolve(space, stack[i], i > 0, &source, 1) || !source.symbol || !source.module)
			continue;
		module = strrchr(source.module, '/');
		snprintf(text, sizeof(text), "%.40s (%.20s+0x%llx)", source.symbol, module ? module + 1 : source.module,
			 (unsigned long long)source.module_offset);
		ingest_symbol(ingest, k, of, i, text);
		named++;
	}
	return named;
}

bool mb_oom_collect_functions(struct mb_oom_collect *w, struct mb_ingest *ingest, const struct mb_oom_kill *k)
{
	unsigned int named = 0;

	for (uint32_t i = 0; i < MB_OOM_KILLS; i++) {
		struct modules *m = &w->victims[i];

		if (m->kill_t_ns != k->first.h.t_ns)
			continue;
		named += ingest_functions(ingest, k, MB_OOM_OF_TRIGGER, k->first.user_stack, m->spaces[MB_OOM_OF_TRIGGER]);
		named += ingest_functions(ingest, k, MB_OOM_OF_VICTIM, k->victim_stack, m->spaces[MB_OOM_OF_VICTIM]);
		free_spaces(m);
	}
	return named;
}

static void ingest_path(struct mb_ingest *ingest, const struct mb_oom_kill *k, uint64_t cgroup, struct mb_cgroups *c)
{
	char frame[sizeof(struct mb_oom_name) + MB_OOM_PATH_LEN];
	struct mb_oom_name *n = (struct mb_oom_name *)frame;
	const char *path = mb_oom_cgroup_path(ingest->model, k, cgroup);
	size_t len = sizeof(*n);

	if (!cgroup)
		return;
	if (!path)
		path = mb_cgroups_path(c, cgroup);
	memset(n, 0, sizeof(*n));
	n->kill_t_ns = k->first.h.t_ns;
	n->cgroup = cgroup;
	mb_shorten(n->name, sizeof(n->name), path ? path : "", cgroup);
	if (path && strlen(path) >= sizeof(n->name)) {
		mb_shorten((char *)(n + 1), MB_OOM_PATH_LEN, path, cgroup);
		len += strlen((char *)(n + 1));
	}
	mb_ingest(ingest, MB_INGEST_OOM_PATH, frame, len);
}

static void ingest_stat(struct mb_ingest *ingest, const struct mb_oom_kill *k, struct mb_cgroups *c)
{
	char frame[sizeof(struct mb_oom_name) + MB_OOM_STAT_BYTES];
	struct mb_oom_name *n = (struct mb_oom_name *)frame;
	const char *cgroup = mb_cgroups_path(c, k->first.memcg);
	size_t len;

	if (!cgroup || !mb_cgroups_root(c))
		return;
	memset(n, 0, sizeof(*n));
	n->kill_t_ns = k->first.h.t_ns;
	len = mb_read_fd(mb_long_open_in(mb_cgroups_root(c), cgroup, "memory.stat", O_RDONLY), (char *)(n + 1),
		      sizeof(frame) - sizeof(*n));
	mb_ingest(ingest, MB_INGEST_OOM_STAT, frame, sizeof(*n) + len);
}

void mb_oom_collect_stacks(struct mb_oom_collect *w, struct mb_ingest *ingest)
{
	struct mb_oom_kill *k;

	while ((k = mb_oom_needs_lookup(mb_oom_of(ingest->model)))) {
		k->looked_up = true;
		ingest_stacks(w, ingest, k);
	}
}

void mb_oom_collect_cgroups(struct mb_ingest *ingest, struct mb_cgroups *c)
{
	for (uint32_t i = 0; i < MB_OOM_KILLS; i++) {
		const struct mb_oom_kill *k = &mb_oom_of(ingest->model)->kills[i];

		if (!k->used || k->paths[0].cgroup)
			continue;
		ingest_path(ingest, k, k->first.trigger_cgroup, c);
		if (k->first.victim_cgroup != k->first.trigger_cgroup)
			ingest_path(ingest, k, k->first.victim_cgroup, c);
		ingest_path(ingest, k, k->first.memcg, c);
		ingest_stat(ingest, k, c);
	}
}

/* ---- surviving an OOM situation ---- */

/*
 * A locked stack cannot grow beyond RLIMIT_MEMLOCK. So the stack is grown before locking, deep
 * enough for symbol lookup.
 */
static __attribute__((noinline)) void deepen_stack(void)
{
	volatile char room[STACK_BYTES];

	for (size_t i = 0; i < sizeof(room); i += 4096)
		room[sizeof(room) - 1 - i] = 0;
}

void mb_oom_collect_harden(bool whole)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, OOM_SCORE_ADJ, strlen(OOM_SCORE_ADJ)) < 0)
		mb_verbose("oom_score_adj stays as it is: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	deepen_stack();
	if (mlockall(whole ? MCL_CURRENT : MCL_CURRENT | MCL_ONFAULT))
		mb_verbose("memory is not locked: %s", strerror(errno));
}
