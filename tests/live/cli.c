// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* The command line: bad input, exit statuses, destinations of results, help and doctor. */
#include "live.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static bool there(const char *path)
{
	return access(path, F_OK) == 0;
}

/* --- errors --- */

/* Checks for one clear line on stderr and this status; under --json for the same as a JSON object on stdout. */
static void check_error(const char *const *args, int status, const char *says)
{
	const char *with_json[32] = { "--json" };
	struct live_result *result = live_memblame(args);
	json_t *error;
	int n = 1;

	if (result->status != status)
		live_fail("%s %s: status %d, want %d; stderr: %s", args[0],
			  args[0] && args[1] ? args[1] : "", result->status, status, result->err);
	live_one_line(result);
	if (says && !strstr(result->err, says))
		live_fail("\"%s\" is not in: %s", says, result->err);
	assert_string_equal(result->out, "");
	live_result_free(result);
	for (; *args; args++)
		with_json[n++] = *args;
	result = live_memblame(with_json);
	live_equal("status under --json", result->status, status);
	error = live_json(result->out);
	live_equal("schema", live_int(error, "schema"), 1);
	assert_string_equal(live_str(error, "kind"), "error");
	if (says && !strstr(live_str(error, "message"), says))
		live_fail("\"%s\" is not in: %s", says, live_str(error, "message"));
	json_decref(error);
	live_result_free(result);
	live_check_no_orphans("after an error");
}

static void test_usage(void **state)
{
	(void)state;
	check_error(LIVE_ARGV("top", "--frobnicate"), 2, "--frobnicate");
	check_error(LIVE_ARGV("top", "-z"), 2, "-z");
	check_error(LIVE_ARGV("--frobnicate", "top"), 2, "--frobnicate");
	check_error(LIVE_ARGV("run", "--frobnicate", "--", "true"), 2, "--frobnicate");
	check_error(LIVE_ARGV("frobnicate"), 2, "frobnicate");
	check_error(LIVE_ARGV(NULL), 2, "--help");
	check_error(LIVE_ARGV("top", "-f", "frobs"), 2, "frobs");
	check_error(LIVE_ARGV("top", "-f", "fault,frobs"), 2, "frobs");
	check_error(LIVE_ARGV("top", "-f", ""), 2, "family");
	check_error(LIVE_ARGV("top", "-p"), 2, "-p");
	check_error(LIVE_ARGV("top", "-d"), 2, "-d");
	check_error(LIVE_ARGV("top", "--output"), 2, "--output");
	check_error(LIVE_ARGV("top", "-p", "abc"), 2, "abc");
	check_error(LIVE_ARGV("top", "-p", "0"), 2, "0");
	check_error(LIVE_ARGV("top", "-p", "-1"), 2, "-1");
	check_error(LIVE_ARGV("top", "-p", "99999999999999999999"), 2, "9999");
	check_error(LIVE_ARGV("top", "-d", "soon"), 2, "soon");
	check_error(LIVE_ARGV("top", "-d", "0"), 2, "-d");
	check_error(LIVE_ARGV("top", "-d", "nan"), 2, "nan");
	check_error(LIVE_ARGV("top", "-i", "-1"), 2, "-1");
	check_error(LIVE_ARGV("top", "what"), 2, "what");
	check_error(LIVE_ARGV("serve", "--check-config", "--config", "/none"), 2, "/none: cannot be opened");
	check_error(LIVE_ARGV("serve", "--check-config", "--listen", "here"), 2, "'here' is no address");
	check_error(LIVE_ARGV("serve", "--check-config", "--budget", "0"), 2, "--budget");
	check_error(LIVE_ARGV("serve", "-p", "1"), 2, "-p does not apply to serve");
	check_error(LIVE_ARGV("top", "--svg", "/tmp/x"), 2, "it is for leaks and replay");
	check_error(LIVE_ARGV("leeks"), 2, "did you mean leaks?");
	check_error(LIVE_ARGV("oom", "show", "abc"), 2, "abc");
	check_error(LIVE_ARGV("oom", "show", "+1"), 2, "+1");
	check_error(LIVE_ARGV("oom", "list", "x"), 2, "one word too many");
	check_error(LIVE_ARGV("oom", "list", "-p", "1"), 2, "--pid does not apply to oom list");
	check_error(LIVE_ARGV("leaks", "--sample", "4K", "--", "true"), 2, "goes with --heap");
	check_error(LIVE_ARGV("leaks", "-f", "oom", "--", "true"), 2, "leaks needs the family");
	check_error(LIVE_ARGV("blame", "-f", "task"), 2, "blame needs the family");
	check_error(LIVE_ARGV("top", "-f", "heap"), 2, "is for leaks");
	check_error(LIVE_ARGV("replay", "x", "foo"), 2, "no view 'foo'");
	check_error(LIVE_ARGV("blame", "what"), 2, "what");
	check_error(LIVE_ARGV("blame", "-d", "soon"), 2, "soon");
	check_error(LIVE_ARGV("leaks", "--stacks=most"), 2, "most");
	check_error(LIVE_ARGV("leaks", "--pages", "3"), 2, "power of two");
	check_error(LIVE_ARGV("leaks", "--sample", "0"), 2, "--sample");
	check_error(LIVE_ARGV("leaks", "--diff", "5"), 2, "5,25");
	check_error(LIVE_ARGV("leaks", "--diff", "9,5"), 2, "9,5");
	check_error(LIVE_ARGV("run"), 2, "run");
	check_error(LIVE_ARGV("run", "-p", "1", "--", "true"), 2, "-p");
	check_error(LIVE_ARGV("top", "-p", "1", "-c", "/"), 2, "-c");
}

static void test_not_there(void **state)
{
	char text[16];
	pid_t pid;

	(void)state;
	fflush(NULL);
	pid = fork();
	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	snprintf(text, sizeof(text), "%d", (int)pid);
	check_error(LIVE_ARGV("top", "-d", "1", "-p", text), 1, text);
	check_error(LIVE_ARGV("trace", "-d", "1", "-p", text), 1, text);
	check_error(LIVE_ARGV("top", "-d", "1", "-c", "/no/such/group"), 1, "/no/such/group");
	check_error(LIVE_ARGV("trace", "-d", "1", "-c", "nosuch"), 1, "nosuch");
	check_error(LIVE_ARGV("blame", "-d", "1", "-p", text), 1, text);
	check_error(LIVE_ARGV("blame", "-d", "1", "-c", "nosuch"), 1, "nosuch");
	check_error(LIVE_ARGV("leaks", "-d", "1", "-p", text), 1, text);
}

static void test_cmd_cannot_run(void **state)
{
	const char *plain = live_path("plain");

	(void)state;
	close(open(plain, O_CREAT | O_WRONLY, 0644));
	check_error(LIVE_ARGV("run", "--", "no-such-program-anywhere"), 127,
		    "no-such-program-anywhere");
	check_error(LIVE_ARGV("run", "--", "/no/such/program"), 127, "/no/such/program");
	check_error(LIVE_ARGV("run", "--", plain), 126, plain);
	check_error(LIVE_ARGV("run", "--", "/"), 126, "/");
	check_error(LIVE_ARGV("trace", "--", "no-such-program-anywhere"), 127, "no-such-program");
}

/* --- destinations of results --- */

static void test_output_cannot_open(void **state)
{
	const char *mark = live_path("started");

	(void)state;
	check_error(LIVE_ARGV("run", "-o", live_path("no/such/folder"), "--", "touch", mark), 1,
		    "no/such/folder");
	check_error(LIVE_ARGV("run", "-o", live_tmp(), "--", "touch", mark), 1, live_tmp());
	assert_false(there(mark));
	check_error(LIVE_ARGV("top", "-d", "1", "-o", live_path("no/such/folder")), 1,
		    "no/such/folder");
}

static void test_output_full(void **state)
{
	char script[1024];
	struct live_result *result;
	const char *dir = live_path("full");

	(void)state;
	check_error(LIVE_ARGV("run", "-o", "/dev/full", "--", "sh", "-c", "exit 7"), 7, "/dev/full");
	check_error(LIVE_ARGV("top", "-d", "0.2", "-o", "/dev/full"), 1, "/dev/full");
	/* a full disk, in a mount namespace of its own */
	mkdir(dir, 0700);
	snprintf(script, sizeof(script),
		 "mount -t tmpfs -o size=8k none %s && { cat /dev/zero > %s/fill 2> /dev/null; "
		 "exec %s run -o %s/out -- sh -c 'exit 3'; }",
		 dir, dir, live_bin("memblame"), dir);
	result = live_exec(LIVE_ARGV("unshare", "-m", "sh", "-c", script), NULL);
	if (result->status != 3)
		live_fail("full disk: status %d, %s", result->status, result->err);
	live_one_line(result);
	live_result_free(result);
	/* standard output itself */
	snprintf(script, sizeof(script), "%s top -d 0.2 --quiet > /dev/full", live_bin("memblame"));
	result = live_exec(LIVE_ARGV("sh", "-c", script), NULL);
	live_equal("status with a full stdout", result->status, 1);
	live_one_line(result);
	live_result_free(result);
	/* with --json errors also go to stdout, so memblame reports this one on stderr */
	snprintf(script, sizeof(script), "%s run --json -- sh -c 'exit 5' > /dev/full", live_bin("memblame"));
	result = live_exec(LIVE_ARGV("sh", "-c", script), NULL);
	live_equal("status with a full stdout, of run --json", result->status, 5);
	live_one_line(result);
	live_result_free(result);
	/* no error message is possible; the text must not go elsewhere */
	snprintf(script, sizeof(script), "%s run --quiet -- sh -c 'exit 5' 2> /dev/full", live_bin("memblame"));
	result = live_exec(LIVE_ARGV("sh", "-c", script), NULL);
	live_equal("status with a full stderr", result->status, 5);
	live_equal("bytes on stdout", (long long)result->out_len, 0);
	live_result_free(result);
	live_check_no_orphans("after a full disk");
}

/* Nobody reads: memblame ends as other programs do, by SIGPIPE, and says nothing. run still ends as CMD does, and says so. */
static void test_output_unread(void **state)
{
	/* the first three would never end; the others may have written all before */
	static const char *const commands[] = { "top -i 0.1", "trace -f task -- sh -c 'while :; do /bin/true; done'",
						"top -i 0.1 --json", "help", "doctor", "doctor --json", "blame -d 0.3" };
	struct live_result *r;
	char script[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		snprintf(script, sizeof(script), "%s %s | head -c 1 > /dev/null; echo ${PIPESTATUS[0]}",
			 live_bin("memblame"), commands[i]);
		r = live_exec(LIVE_ARGV("bash", "-c", script), NULL);
		if (r->err[0] || (strcmp(r->out, "141\n") && (i < 3 || strcmp(r->out, "0\n"))))
			live_fail("%s: status %s, %s", commands[i], r->out, r->err);
		live_result_free(r);
	}
	snprintf(script, sizeof(script), "%s run --json -- sh -c 'sleep 0.3; exit 7' | true; echo ${PIPESTATUS[0]}",
		 live_bin("memblame"));
	r = live_exec(LIVE_ARGV("bash", "-c", script), NULL);
	assert_string_equal(r->out, "7\n");
	assert_non_null(strstr(r->err, "Broken pipe"));
	live_result_free(r);
	live_check_no_orphans("after nobody read the output");
}

/* On a terminal, a command that prints nothing before its end says that it works; elsewhere it does not. */
static void test_progress(void **state)
{
	char script[512];
	struct live_result *r;

	(void)state;
	snprintf(script, sizeof(script), "%s blame -d 2.2 2>&1 > /dev/null", live_bin("memblame"));
	r = live_exec(LIVE_ARGV("script", "-qc", script, "/dev/null"), NULL);
	assert_non_null(strstr(r->out, "tracing, 1 of 2.2 s; Ctrl-C ends it"));
	live_result_free(r);
	r = live_memblame(LIVE_ARGV("blame", "-d", "1.2"));
	assert_null(strstr(r->err, "tracing"));
	live_result_free(r);
}

/* If a stream cannot be written, the trace ends while CMD runs, and CMD ends with it. */
static void test_output_fills_up(void **state)
{
	struct live_result *result;

	(void)state;
	result = live_memblame(LIVE_ARGV("trace", "-f", "task", "-o", "/dev/full", "--", "sh", "-c",
					 "/bin/true; exec sleep 300"));
	live_equal("status", result->status, 1);
	live_one_line(result);
	live_result_free(result);
	live_check_no_orphans("after its stream could not be written");
}

static void test_output_file(void **state)
{
	const char *path = live_path("mode");
	struct live_result *result;
	mode_t mask = umask(0);
	struct stat st;
	json_t *document;
	char *text;

	(void)state;
	result = live_memblame(LIVE_ARGV("run", "--json", "-o", path, "--", "echo", "hello"));
	umask(mask);
	assert_int_equal(result->status, 0);
	assert_string_equal(result->out, "hello\n");
	assert_int_equal(stat(path, &st), 0);
	live_equal("mode", st.st_mode & 07777, 0600);
	text = live_slurp(path, NULL);
	document = live_json(text);
	assert_string_equal(live_str(document, "kind"), "summary");
	json_decref(document);
	free(text);
	live_result_free(result);
	/* text output does not mix with the command's output; with -o it is in the file only */
	result = live_memblame(LIVE_ARGV("run", "--", "echo", "hello"));
	assert_string_equal(result->out, "hello\n");
	assert_non_null(strstr(result->err, "echo hello exited with status 0"));
	live_result_free(result);
	result = live_memblame(LIVE_ARGV("run", "-o", path, "--", "echo", "hello"));
	assert_string_equal(result->out, "hello\n");
	assert_null(strstr(result->err, "exited with status"));
	text = live_slurp(path, NULL);
	assert_non_null(strstr(text, "echo hello exited with status 0"));
	free(text);
	live_result_free(result);
	/* JSON on stdout: exactly one document, one line */
	result = live_memblame(LIVE_ARGV("run", "--json", "--", "true"));
	document = live_json(result->out);
	assert_string_equal(live_str(document, "kind"), "summary");
	assert_ptr_equal(strchr(result->out, '\n'), result->out + result->out_len - 1);
	json_decref(document);
	live_result_free(result);
}

/* --- privileges and kernels --- */

static void test_no_privilege(void **state)
{
	const char *copy = live_path("copy"), *mark = live_path("started");
	struct live_result *result;
	json_t *error;

	(void)state;
	/* where nobody may reach it, wherever the build is */
	assert_int_equal(chmod(live_tmp(), 0711), 0);
	live_result_free(live_exec(LIVE_ARGV("cp", live_bin("memblame"), copy), NULL));
	assert_int_equal(chmod(copy, 0755), 0);
	result = live_exec(LIVE_ARGV("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
				     copy, "run", "--", "touch", mark), NULL);
	if (result->status != 3)
		live_fail("status %d, want 3: %s", result->status, result->err);
	live_one_line(result);
	assert_string_equal(result->out, "");
	live_result_free(result);
	result = live_exec(LIVE_ARGV("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
				     copy, "top", "--json", "-d", "1"), NULL);
	live_equal("status", result->status, 3);
	error = live_json(result->out);
	assert_string_equal(live_str(error, "kind"), "error");
	json_decref(error);
	live_result_free(result);
	assert_int_equal(chmod(live_tmp(), 0700), 0);
	assert_false(there(mark));
	live_check_no_orphans("without privilege");
}

static void test_no_btf(void **state)
{
	static const char *const json[] = { "", "--json " };
	const char *mark = live_path("started");
	char script[1024];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct live_result *result;

		snprintf(script, sizeof(script),
			 "mount -t tmpfs none /sys/kernel/btf && exec %s run %s-- touch %s",
			 live_bin("memblame"), json[i], mark);
		result = live_exec(LIVE_ARGV("unshare", "-m", "sh", "-c", script), NULL);
		if (result->status != 3)
			live_fail("status %d, want 3: %s", result->status, result->err);
		if (i == 0)
			live_one_line(result);
		if (!strstr(i ? result->out : result->err, "BTF"))
			live_fail("BTF is not named: %s%s", result->out, result->err);
		live_result_free(result);
	}
	assert_false(there(mark));
	live_check_no_orphans("without BTF");
}

/* --- status and environment of CMD --- */

static void check_status(const char *script, int status)
{
	struct live_result *result =
		live_memblame(LIVE_ARGV("run", "-o", "/dev/null", "--", "sh", "-c", script));

	if (result->status != status)
		live_fail("%s: status %d, want %d", script, result->status, status);
	live_result_free(result);
}

static void test_exit_status(void **state)
{
	(void)state;
	check_status("exit 0", 0);
	check_status("exit 3", 3);
	check_status("exit 255", 255);
	check_status("kill -TERM $$", 143);
	check_status("kill -KILL $$", 137);
	check_status("ulimit -c 0; kill -SEGV $$", 139);
	live_check_no_orphans("after it ended");
}

static void test_stdin(void **state)
{
	struct live_result *result = live_exec(LIVE_ARGV(live_bin("memblame"), "run", "-o",
							 "/dev/null", "--", "cat"),
					       "one\ntwo\nand no newline");

	(void)state;
	assert_int_equal(result->status, 0);
	assert_string_equal(result->out, "one\ntwo\nand no newline");
	live_result_free(result);
}

/* CMD inherits the same as without memblame: signals, open files, arguments, directory. */
static void test_inherits(void **state)
{
	static const char script[] = "grep -E '^Sig(Blk|Ign)' /proc/self/status; "
				     "ls /proc/self/fd | tr '\\n' ' '; pwd; echo \"$0:$1:$2\"";
	struct live_result *bare = live_exec(LIVE_ARGV("sh", "-c", script, "a b", "", "--json"),
					     NULL);
	struct live_result *traced =
		live_memblame(LIVE_ARGV("run", "-o", "/dev/null", "--", "sh", "-c", script, "a b",
					"", "--json"));

	(void)state;
	assert_string_equal(traced->out, bare->out);
	live_result_free(bare);
	live_result_free(traced);
}

/* --- help, doctor --- */

/* Both print the same, and that is something. */
static void check_same(const char *const *one, const char *const *other)
{
	struct live_result *a = live_memblame(one), *b = live_memblame(other);

	live_equal("status", a->status, 0);
	live_equal("status", b->status, 0);
	assert_true(a->out_len > 300);
	assert_string_equal(a->out, b->out);
	assert_string_equal(a->err, "");
	live_result_free(a);
	live_result_free(b);
}

static void test_help(void **state)
{
	static const char *const commands[] = { "top", "run", "trace", "doctor", NULL };
	struct live_result *result = live_memblame(LIVE_ARGV("--help"));

	(void)state;
	assert_int_equal(result->status, 0);
	for (int i = 0; commands[i]; i++)
		assert_non_null(strstr(result->out, commands[i]));
	assert_string_equal(result->err, "");
	live_result_free(result);
	check_same(LIVE_ARGV("run", "--help"), LIVE_ARGV("help", "run"));
	check_same(LIVE_ARGV("leaks", "-h"), LIVE_ARGV("help", "leaks"));
	check_same(LIVE_ARGV("-h"), LIVE_ARGV("help"));
	result = live_memblame(LIVE_ARGV("help", "leeks"));
	live_equal("status", result->status, 2);
	assert_string_equal(live_one_line(result), "memblame: no command 'leeks'; did you mean leaks?");
	live_result_free(result);
	result = live_memblame(LIVE_ARGV("--version"));
	assert_int_equal(result->status, 0);
	assert_int_equal(strncmp(result->out, "memblame ", 9), 0);
	assert_string_equal(result->err, "");
	live_result_free(result);
}

static void check_question(const json_t *question)
{
	const char *quality = live_str(question, "quality");
	bool none = !strcmp(quality, "none");
	json_t *tried;
	size_t i;

	assert_true(none || !strcmp(quality, "full") || !strcmp(quality, "partial"));
	assert_true(live_str(question, "question")[0] && live_str(question, "family")[0]);
	assert_true(live_null(question, "hook") == none);
	/* missing is set exactly if something is unavailable */
	assert_true(live_null(question, "missing") == !strcmp(quality, "full"));
	json_array_foreach(live_get(question, "tried"), i, tried) {
		live_str(tried, "hook");
		live_str(tried, "error");
	}
}

static void test_doctor(void **state)
{
	static const char *const families[] = { "fault", "vma", "reclaim", "writeback", "oom" };
	struct live_result *result = live_memblame(LIVE_ARGV("doctor", "--json"));
	json_t *doctor, *question, *value;
	bool seen[5] = { false };
	const char *key;
	size_t i;

	(void)state;
	assert_int_equal(result->status, 0);
	doctor = live_json(result->out);
	live_equal("schema", live_int(doctor, "schema"), 1);
	assert_string_equal(live_str(doctor, "kind"), "doctor");
	assert_true(live_str(doctor, "kernel")[0] && live_str(doctor, "arch")[0]);
	json_object_foreach(live_get(doctor, "privileges"), key, value)
		assert_true(json_is_boolean(value));
	json_array_foreach(live_get(doctor, "questions"), i, question) {
		check_question(question);
		for (int f = 0; f < 5; f++)
			seen[f] |= !strcmp(live_str(question, "family"), families[f]);
	}
	for (int f = 0; f < 5; f++)
		if (!seen[f])
			live_fail("doctor asks nothing about %s", families[f]);
	json_decref(doctor);
	live_result_free(result);
	result = live_memblame(LIVE_ARGV("doctor"));
	assert_int_equal(result->status, 0);
	for (int f = 0; f < 5; f++)
		assert_non_null(strstr(result->out, families[f]));
	live_result_free(result);
}

/* Reports all mistakes of a file, one per line or in one document; if there are none, the resulting configuration. */
static void test_check_config(void **state)
{
	char path[] = "/tmp/memblame-conf-XXXXXX", line[128];
	const char *text = "[serve]\nintervall = 5\n[oom]\nkeep = 0\n";
	int fd = mkstemp(path);
	struct live_result *result;
	json_t *doc;

	(void)state;
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	result = live_memblame(LIVE_ARGV("serve", "--check-config", "--config", path));
	live_equal("status", result->status, 2);
	assert_string_equal(result->out, "");
	snprintf(line, sizeof(line), "%s:2: [serve] has no key 'intervall'; did you mean 'interval'?\n%s:4: ", path, path);
	assert_memory_equal(result->err, line, strlen(line));
	live_result_free(result);
	result = live_memblame(LIVE_ARGV("serve", "--check-config", "--json", "--config", path));
	live_equal("status", result->status, 2);
	doc = live_json(result->out);
	assert_string_equal(live_str(doc, "kind"), "error");
	live_equal("mistakes", json_array_size(json_object_get(doc, "mistakes")), 2);
	json_decref(doc);
	live_result_free(result);
	assert_int_equal(ftruncate(fd, 0), 0);
	result = live_memblame(LIVE_ARGV("serve", "--check-config", "--config", path, "-i", "2"));
	live_equal("status", result->status, 0);
	snprintf(line, sizeof(line), "%s: ok\n", path);
	assert_memory_equal(result->out, line, strlen(line));
	assert_non_null(strstr(result->out, "\ninterval = 2s\n"));
	assert_string_equal(result->err, "");
	live_result_free(result);
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usage),
		cmocka_unit_test(test_not_there),
		cmocka_unit_test(test_cmd_cannot_run),
		cmocka_unit_test(test_output_cannot_open),
		cmocka_unit_test(test_output_full),
		cmocka_unit_test(test_output_unread),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_output_fills_up),
		cmocka_unit_test(test_output_file),
		cmocka_unit_test(test_no_privilege),
		cmocka_unit_test(test_no_btf),
		cmocka_unit_test(test_exit_status),
		cmocka_unit_test(test_stdin),
		cmocka_unit_test(test_inherits),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_doctor),
		cmocka_unit_test(test_check_config),
	};

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
