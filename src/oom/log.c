// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Finds the lines of the kernel log that belong to a kill and adds them to its report. */
#include <string.h>

#include "model/model.h"
#include "oom/oom.h"

static void add_line(char *log, uint32_t *len, uint32_t *left_out, const char *text, size_t n)
{
	if (*len + n + 1 > MB_OOM_LOG_BYTES) {
		++*left_out;
		return;
	}
	memcpy(log + *len, text, n);
	*len += (uint32_t)n;
	log[(*len)++] = '\n';
}

static void line_of_kill(struct mb_oom_kill *k, const char *text, size_t n)
{
	add_line(k->log, &k->log_len, &k->log_lines_left_out, text, n);
	k->changed = k->shown;
}

static bool says(const char *text, size_t len, const char *what)
{
	return memmem(text, len, what, strlen(what)) != NULL;
}

bool mb_oom_number_after(const char *text, size_t len, const char *words, uint64_t *n)
{
	const char *at = memmem(text, len, words, strlen(words));

	if (!at)
		return false;
	*n = 0;
	for (at += strlen(words); at < text + len && *at >= '0' && *at <= '9'; at++)
		*n = *n * 10 + (uint64_t)(*at - '0');
	return true;
}

/*
 * Returns the kill of the process whose ID follows these words, and sets *v to that victim. NULL:
 * there is none.
 */
static struct mb_oom_kill *kill_named(struct mb_oom *o, const char *text, size_t len, const char *words,
				      struct mb_oom_victim **v)
{
	uint64_t tgid;

	if (!mb_oom_number_after(text, len, words, &tgid) || !tgid)
		return NULL;
	return mb_oom_find_victim(o, (uint32_t)tgid, v);
}

static void drop_dump(struct mb_oom *o)
{
	o->dump_len = o->dump_lines_left_out = 0;
	o->in_dump = false;
}

/*
 * Does the dump belong to another kill? The dump of this kill may be missing, because the kernel
 * writes at most 10 in 5 s.
 */
static bool is_of_other(const struct mb_oom *o, const struct mb_oom_kill *k)
{
	const char *line = memmem(o->dump, o->dump_len, "oom-kill:constraint=", 20);
	uint64_t tgid;

	if (!line || !mb_oom_number_after(line, o->dump_len - (size_t)(line - o->dump), ",pid=", &tgid))
		return false;
	for (uint32_t i = 0; i < k->n_victims; i++) {
		if (k->victims[i].tgid == tgid)
			return false;
	}
	return k->victims_left_out == 0;
}

/* Moves the lines that the kernel logged before it named the victim to the victim's kill. */
static void claim_dump(struct mb_oom *o, struct mb_oom_kill *k)
{
	uint32_t room = MB_OOM_LOG_BYTES - k->log_len;

	if (is_of_other(o, k)) {
		drop_dump(o);
		return;
	}
	k->log_lines_left_out += o->dump_lines_left_out + (o->dump_len > room);
	if (o->dump_len <= room) {
		memcpy(k->log + k->log_len, o->dump, o->dump_len);
		k->log_len += o->dump_len;
	}
	drop_dump(o);
}

/*
 * If the thread group leader has exited, the "Killed process" line names another thread of the
 * process. The dump before that line names the process
 * ("oom-kill:constraint=CONSTRAINT_MEMCG,...,task=NAME,pid=1,uid=0").
 */
static struct mb_oom_kill *kill_dumped(struct mb_oom *o, struct mb_oom_victim **v)
{
	const char *line = o->in_dump ? memmem(o->dump, o->dump_len, "oom-kill:constraint=", 20) : NULL;

	return line ? kill_named(o, line, o->dump_len - (size_t)(line - o->dump), ",pid=", v) : NULL;
}

static bool take_killed(struct mb_oom *o, const char *text, size_t len)
{
	struct mb_oom_victim *v;
	struct mb_oom_kill *k = kill_named(o, text, len, "Killed process ", &v);

	if (!k && says(text, len, "Killed process ")) {
		k = kill_dumped(o, &v);
		if (!k) /* a process that is not traced: its lines must not go to the next kill */
			drop_dump(o);
	}
	if (!k || v->logged)
		return false;
	claim_dump(o, k);
	v->logged = 1;
	o->logged = k;
	line_of_kill(k, text, len);
	return true;
}

static bool take_reaped(struct mb_oom *o, const char *text, size_t len)
{
	struct mb_oom_victim *v;
	struct mb_oom_kill *k = kill_named(o, text, len, "oom_reaper: reaped process ", &v);

	if (!k)
		return false;
	line_of_kill(k, text, len);
	return true;
}

/*
 * The kernel writes the lines of a kill under one lock, so the lines of two kills do not mix. Lines
 * of other tasks may come in between. The caller field of the log (CONFIG_PRINTK_CALLER)
 * distinguishes them where it exists.
 */
static void take_line(struct mb_oom *o, uint32_t caller, const char *text, size_t len)
{
	if (says(text, len, " invoked oom-killer: ")) {
		o->dump_len = o->dump_lines_left_out = 0;
		o->in_dump = true;
		o->dump_caller = caller;
	}
	if (take_killed(o, text, len) || take_reaped(o, text, len))
		return;
	if (o->logged && says(text, len, " are going to be killed due to memory.oom.group set"))
		line_of_kill(o->logged, text, len);
	else if (o->in_dump && caller == o->dump_caller)
		add_line(o->dump, &o->dump_len, &o->dump_lines_left_out, text, len);
}

void mb_oom_log_line(struct mb_oom *o, uint32_t caller, const char *text, size_t len)
{
	o->has_log = true;
	/*
	 * a record may contain several lines, separated by this escape
	 * (Documentation/ABI/testing/dev-kmsg)
	 */
	for (const char *end = text + len; text <= end;) {
		const char *next = memmem(text, (size_t)(end - text), "\\x0a", 4);
		size_t n = (size_t)((next ? next : end) - text);

		if (n)
			take_line(o, caller, text, n);
		if (!next)
			break;
		text = next + 4;
	}
}
