// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* What every live test uses: run memblame for real, read what it and the workload said. */
#ifndef MB_TESTS_LIVE_H
#define MB_TESTS_LIVE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <cmocka.h>
#include <jansson.h>

/* An argument vector in place: LIVE_ARGV("run", "--", "true"). */
#define LIVE_ARGV(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* Fails the running test with a formatted message. */
#define live_fail(...) live_fail_at(__FILE__, __LINE__, __VA_ARGS__)
void live_fail_at(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Prints "skip: REASON" and leaves the running test as skipped. */
void live_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- places; the strings live as long as the program --- */
const char *live_bin(const char *name);      /* build/NAME */
const char *live_workload(const char *name); /* build/workloads/NAME */
const char *live_tmp(void);                  /* removed with all in it when the program ends */
const char *live_path(const char *name);     /* a file in live_tmp() */

/*
 * In a guest of tests/vm, where an emulator runs everything some ten times slower: a test that does
 * the same many times does it fewer times there.
 */
bool live_emulated(void);

/* --- any program, run to its end --- */
struct live_result {
	int status; /* as the shell has it: exit status, or 128 + signal */
	char *out;
	size_t out_len;
	char *err;
};

/* argv[0] is a path or found in PATH; stdin is input, or /dev/null when NULL. */
struct live_result *live_exec(const char *const *argv, const char *input);
/* memblame with these arguments (argv without the program's name). */
struct live_result *live_memblame(const char *const *args);
void live_result_free(struct live_result *result);
/* The one line on stderr, without its newline; fails the test when there is not exactly one. */
const char *live_one_line(struct live_result *result);

/* --- memblame run --json -o FILE OPTS -- CMD --- */
struct live_run {
	struct live_result *result;
	json_t *summary;  /* what memblame wrote */
	json_t *workload; /* the last JSON line on stdout, NULL when there is none */
};

/*
 * opts may be NULL; fails the test when there is no summary. Does not look at the status. Traces the
 * families of LIVE_FAMILIES only, where that is set.
 */
struct live_run *live_run(const char *const *opts, const char *const *cmd);
void live_run_free(struct live_run *run);

/* --- a child of the test itself, which is no other program --- */
/* A child that has run begin, and then does nothing until live_fork_end(); it does not outlive the test. */
pid_t live_fork_holding(void (*begin)(void));
void live_fork_end(pid_t pid);

/* --- memblame, or any program, in the background --- */
struct live_bg {
	pid_t pid;
	int pidfd;
	char out_path[256];
	char err_path[256];
	bool reaped;
	int status;
};

struct live_bg *live_spawn(const char *const *argv);
/* memblame --verbose ARGS; comes back when it says that it has attached. */
struct live_bg *live_start(const char *const *args);
/* Waits for the end, up to a minute; gives status, stdout and stderr, frees bg. */
struct live_result *live_wait(struct live_bg *bg);
/* Sends SIGINT, then as live_wait. */
struct live_result *live_stop(struct live_bg *bg);
/* Waits until the text is in the file, false when it did not come in 90 seconds: it never will. */
bool live_wait_text(const char *path, const char *text);

/* Kills what a failed test has left running. */
void live_kill_rest(void);

/*
 * With PR_SET_CHILD_SUBREAPER set, what memblame leaves behind becomes ours: fails when there still
 * is a child after a grace time, and kills it.
 */
void live_check_no_orphans(const char *when);

/* --- JSON --- */
/* The process with this pid in a summary (the last one, should the pid have been used twice). */
json_t *live_process(const json_t *summary, pid_t pid);
json_t *live_find_process(const json_t *summary, pid_t pid); /* NULL when there is none */
/* A value at a dotted path ("faults.minor", "stalls.file_io.ns"); absent or of another type: fails. */
json_t *live_get(const json_t *object, const char *path);
long long live_int(const json_t *object, const char *path);
const char *live_str(const json_t *object, const char *path);
/*
 * Lost events of a summary or an "end" line, each reason of them printed. Not among them: latencies of faults that
 * could not be taken because the program for them was running already (their number is in there, too), and
 * programs that were not run because another thread lost the CPU within them, on kernels that let that happen.
 */
long long live_lost(const json_t *object);
/*
 * Of these, what would make the counts of threads and faults wrong. Not among them: programs that
 * were not run, because another thread was within them when it lost the CPU. Kernels that let that
 * happen do so at every storm of threads; an account of a thread whose exit was missed is made good.
 */
long long live_lost_faults(const json_t *object);
/* For how long a field was not counted, as overhead.untraced has it; -1: it is not listed. */
long long live_untraced_ns(const json_t *summary, const char *field);
bool live_bool(const json_t *object, const char *path);
bool live_null(const json_t *object, const char *path);
json_t *live_json(const char *text); /* exactly one document */
json_t *live_last_json(const char *text); /* that of the last line */
char *live_slurp(const char *path, size_t *len);

/* One object per line; every line must be a whole object. */
struct live_stream {
	FILE *file;
	char *line;
	size_t size;
	unsigned long number;
};

struct live_stream *live_stream_open(const char *path);
json_t *live_stream_next(struct live_stream *stream); /* NULL at the end; the caller owns it */
void live_stream_close(struct live_stream *stream);
/* The last line of what top --json wrote, which has all of its time; the file is removed. */
json_t *live_last_summary(const char *path);

/* --- /proc --- */
long long live_proc_status(pid_t pid, const char *key); /* a "Key: NUMBER" line; fails if absent */
bool live_proc_alive(pid_t pid);                        /* there, and not a zombie */

/* |a - b| <= slack, else fails and says what. */
#define live_near(what, a, b, slack) live_near_at(what, a, b, slack, __FILE__, __LINE__)
void live_near_at(const char *what, long long got, long long want, long long slack,
		  const char *file, int line);
/* As assert_int_equal, in decimal and with a name. */
#define live_equal(what, got, want) live_near_at(what, got, want, 0, __FILE__, __LINE__)

#endif
