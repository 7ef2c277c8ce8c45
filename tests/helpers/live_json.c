// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Reads JSON for the live tests. A value that is absent or of another type fails the test, with the value's name. */
#include "live.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

json_t *live_json(const char *text)
{
	json_error_t error;
	json_t *document = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	if (!document)
		live_fail("not one JSON document: %s at byte %d of: %.2000s", error.text,
			  error.position, text);
	return document;
}

json_t *live_last_json(const char *text)
{
	const char *line = text, *next;

	while ((next = strchr(line, '\n')) && next[1])
		line = next + 1;
	return live_json(line);
}

json_t *live_find_process(const json_t *summary, pid_t pid)
{
	json_t *process, *found = NULL;
	size_t i;

	json_array_foreach(live_get(summary, "processes"), i, process)
		if (!live_null(process, "pid") && live_int(process, "pid") == pid) /* ended ones have no pid */
			found = process;
	return found;
}

json_t *live_process(const json_t *summary, pid_t pid)
{
	json_t *found = live_find_process(summary, pid);

	if (!found)
		live_fail("pid %d is not among the %zu processes of the summary", (int)pid,
			  json_array_size(live_get(summary, "processes")));
	return found;
}

json_t *live_get(const json_t *object, const char *path)
{
	const json_t *at = object;
	char copy[256], *save, *key;

	snprintf(copy, sizeof(copy), "%s", path);
	for (key = strtok_r(copy, ".", &save); key; key = strtok_r(NULL, ".", &save)) {
		at = json_object_get(at, key);
		if (!at) {
			char *text = json_dumps(object, JSON_COMPACT);

			live_fail("no \"%s\" (of \"%s\") in %.3000s", key, path, text);
		}
	}
	return (json_t *)at;
}

long long live_int(const json_t *object, const char *path)
{
	json_t *value = live_get(object, path);

	if (!json_is_integer(value))
		live_fail("\"%s\" is not an integer but %s", path,
			  json_dumps(value, JSON_ENCODE_ANY));
	return json_integer_value(value);
}

const char *live_str(const json_t *object, const char *path)
{
	json_t *value = live_get(object, path);

	if (!json_is_string(value))
		live_fail("\"%s\" is not a string but %s", path,
			  json_dumps(value, JSON_ENCODE_ANY));
	return json_string_value(value);
}

/*
 * On some kernels a thread can lose its CPU inside a BPF program: PREEMPT_RT kernels, and all preemptible
 * kernels since 7.0.
 */
static bool preempts_programs(void)
{
	struct utsname u;

	assert_int_equal(uname(&u), 0);
	return strstr(u.version, "PREEMPT_RT") || (atoi(u.release) >= 7 && strstr(u.version, "PREEMPT"));
}

static bool is_no_loss(const char *family, const char *reason)
{
	return (!strcmp(family, "fault") && !strcmp(reason, "wait not timed")) ||
	       (!strcmp(reason, "program not run") && preempts_programs()) ||
	       !strcmp(reason, "exit not awaited");
}

long long live_lost(const json_t *object)
{
	long long lost = 0;
	json_t *by;
	size_t i;

	json_array_foreach(live_get(object, "lost.by"), i, by) {
		if (is_no_loss(live_str(by, "family"), live_str(by, "reason")))
			continue;
		lost += live_int(by, "count");
		print_error("lost: %s\n", json_dumps(by, 0));
	}
	return lost;
}

long long live_lost_faults(const json_t *object)
{
	long long lost = 0;
	json_t *by;
	size_t i;

	json_array_foreach(live_get(object, "lost.by"), i, by) {
		const char *family = live_str(by, "family"), *reason = live_str(by, "reason");

		if ((!strcmp(family, "task") || !strcmp(family, "fault")) && strcmp(reason, "exit not awaited") &&
		    strcmp(reason, "wait not timed") && strcmp(reason, "program not run"))
			lost += live_int(by, "count");
	}
	return lost;
}

bool live_bool(const json_t *object, const char *path)
{
	json_t *value = live_get(object, path);

	if (!json_is_boolean(value))
		live_fail("\"%s\" is not true or false but %s", path,
			  json_dumps(value, JSON_ENCODE_ANY));
	return json_is_true(value);
}

bool live_null(const json_t *object, const char *path)
{
	return json_is_null(live_get(object, path));
}

struct live_stream *live_stream_open(const char *path)
{
	struct live_stream *stream = calloc(1, sizeof(*stream));

	stream->file = fopen(path, "r");
	if (!stream->file)
		live_fail("%s: %s", path, strerror(errno));
	return stream;
}

json_t *live_stream_next(struct live_stream *stream)
{
	json_error_t error;
	json_t *object;
	ssize_t len = getline(&stream->line, &stream->size, stream->file);

	if (len < 0)
		return NULL;
	stream->number++;
	object = json_loadb(stream->line, (size_t)len, 0, &error);
	if (!json_is_object(object) || stream->line[len - 1] != '\n')
		live_fail("line %lu is not a whole JSON object (%s): %s", stream->number,
			  error.text, stream->line);
	return object;
}

void live_stream_close(struct live_stream *stream)
{
	fclose(stream->file);
	free(stream->line);
	free(stream);
}

json_t *live_last_summary(const char *path)
{
	struct live_stream *stream = live_stream_open(path);
	json_t *line, *last = NULL;

	while ((line = live_stream_next(stream))) {
		json_decref(last);
		last = line;
	}
	live_stream_close(stream);
	unlink(path);
	if (!last)
		live_fail("%s is empty", path);
	assert_string_equal(live_str(last, "scope"), "total");
	return last;
}

long long live_untraced_ns(const json_t *summary, const char *field)
{
	size_t i;
	json_t *e;

	json_array_foreach(live_get(summary, "overhead.untraced"), i, e)
	{
		if (!strcmp(live_str(e, "field"), field))
			return live_int(e, "ns");
	}
	return -1;
}
