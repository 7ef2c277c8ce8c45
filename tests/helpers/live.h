// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Shared code of all live tests: it runs the real memblame and reads the output of memblame and of the workload. */
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

/* Builds an argument vector inline: LIVE_ARGV("run", "--", "true"). */
#define LIVE_ARGV(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* Fails the running test with a formatted message. */
#define live_fail(...) live_fail_at(__FILE__, __LINE__, __VA_ARGS__)
void live_fail_at(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Prints "skip: REASON" and leaves the running test as skipped. */
void live_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- paths; the strings live as long as the program --- */
const char *live_bin(const char *name);      /* build/NAME */
const char *live_workload(const char *name); /* build/workloads/NAME */
const char *live_tmp(void);                  /* removed with all its contents when the program ends */
const char *live_path(const char *name);     /* a file in live_tmp() */

/*
 * Is this a guest of tests/vm? An emulator runs everything there about ten times slower, so a test that
 * repeats something does so fewer times.
 */
bool live_emulated(void);

/* --- running any program to completion --- */
struct live_result {
	int status; /* as in the shell: exit status, or 128 + signal */
	char *out;
	size_t out_len;
	char *err;
};

/* argv[0] is a path, or is found in PATH. stdin is input, or /dev/null if input is NULL. */
struct live_result *live_exec(const char *const *argv, const char *input);
/* Runs memblame with these arguments (args excludes the program's name). */
struct live_result *live_memblame(const char *const *args);
void live_result_free(struct live_result *result);
/* The only line on stderr, without its newline; fails the test if there is not exactly one line. */
const char *live_one_line(struct live_result *result);

/* --- memblame run --json -o FILE OPTS -- CMD --- */
struct live_run {
	struct live_result *result;
	json_t *summary;  /* memblame's output */
	json_t *workload; /* the last JSON line on stdout; NULL if there is none */
};

/*
 * opts may be NULL. Fails the test if there is no summary, but does not check the exit status. If
 * LIVE_FAMILIES is set, memblame traces only these families.
 */
struct live_run *live_run(const char *const *opts, const char *const *cmd);
void live_run_free(struct live_run *run);

/* --- a forked child of the test, which does not exec another program --- */
/* Forks a child that calls begin() and then idles until live_fork_end(). The child dies with the test. */
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
/* Starts memblame --verbose ARGS; returns when memblame reports that it has attached. */
struct live_bg *live_start(const char *const *args);
/* Waits up to a minute for the process to end; returns status, stdout and stderr, and frees bg. */
struct live_result *live_wait(struct live_bg *bg);
/* Sends SIGINT, then does the same as live_wait(). */
struct live_result *live_stop(struct live_bg *bg);
/* Waits until the text is in the file. Returns false after 90 seconds: by then it will never appear. */
bool live_wait_text(const char *path, const char *text);

/* Kills all background programs that a failed test leaves running. */
void live_kill_rest(void);

/*
 * For a test that has set PR_SET_CHILD_SUBREAPER, so that orphans of memblame become children of the test. If
 * a child remains after a grace period, kills it and fails the test.
 */
void live_check_no_orphans(const char *when);

/* --- JSON --- */
/* The process with this pid in a summary; the last one if the pid was reused. */
json_t *live_process(const json_t *summary, pid_t pid);
json_t *live_find_process(const json_t *summary, pid_t pid); /* NULL when there is none */
/* The value at a dotted path ("faults.minor", "stalls.file_io.ns"); fails the test if absent or of another type. */
json_t *live_get(const json_t *object, const char *path);
long long live_int(const json_t *object, const char *path);
const char *live_str(const json_t *object, const char *path);
/*
 * The lost events of a summary or an "end" line; prints each nonzero reason. Excludes three reasons: threads
 * whose end was not awaited (a test that compares counts finds the fault that may be missing for each), fault
 * latencies that could not be measured because the BPF program for them was already running (these faults are
 * still counted), and programs that did not run because another thread lost the CPU inside them, on kernels
 * where this can happen.
 */
long long live_lost(const json_t *object);
/*
 * The lost events that would make the counts of threads and faults wrong. Excludes threads whose end was not
 * awaited, as above, and programs that did not run because another thread lost the CPU inside them. On kernels
 * where this can happen, every storm of threads causes it, and memblame repairs the account of a thread whose
 * exit it missed.
 */
long long live_lost_faults(const json_t *object);
/* How long a field was not counted, according to overhead.untraced; -1: not listed. */
long long live_untraced_ns(const json_t *summary, const char *field);
bool live_bool(const json_t *object, const char *path);
bool live_null(const json_t *object, const char *path);
json_t *live_json(const char *text); /* exactly one document */
json_t *live_last_json(const char *text); /* the document on the last line */
char *live_slurp(const char *path, size_t *len);

/* A file with one JSON object per line; every line must be a complete object. */
struct live_stream {
	FILE *file;
	char *line;
	size_t size;
	unsigned long number;
};

struct live_stream *live_stream_open(const char *path);
json_t *live_stream_next(struct live_stream *stream); /* NULL at the end; the caller owns it */
void live_stream_close(struct live_stream *stream);
/* The last line of the output of top --json, which covers the whole run. Removes the file. */
json_t *live_last_summary(const char *path);

/* --- /proc --- */
long long live_proc_status(pid_t pid, const char *key); /* a "Key: NUMBER" line; fails if absent */
bool live_proc_alive(pid_t pid);                        /* exists, and is not a zombie */

/* Fails the test and prints the values unless |a - b| <= slack. */
#define live_near(what, a, b, slack) live_near_at(what, a, b, slack, __FILE__, __LINE__)
void live_near_at(const char *what, long long got, long long want, long long slack,
		  const char *file, int line);
/*
 * Is it near? For a test that repeats a measurement whose reference is a clock outside of the call, because an
 * emulator can stand still in between. Fails, as live_near() does, if this was the last try.
 */
#define LIVE_CLOCK_TRIES (live_emulated() ? 3 : 1)
#define live_is_near(what, a, b, slack, last) live_is_near_at(what, a, b, slack, last, __FILE__, __LINE__)
bool live_is_near_at(const char *what, long long got, long long want, long long slack, bool last,
		     const char *file, int line);
/* Like assert_int_equal, but prints decimal values and a name. */
#define live_equal(what, got, want) live_near_at(what, got, want, 0, __FILE__, __LINE__)

#endif
