// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * The command line: every pair of command and option is parsed or refused as the table says, values with units, and
 * what is generated from the tables: manual pages (docs/man) and completion (contrib/completion). MB_WRITE_DOC=1 writes
 * those files instead of comparing them.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/help.h"
#include "cli/man.h"
#include "cli/tables.h"
#include "unit.h"

static char *none[] = { NULL };

/* Parses words. Returns the message of the mistake; "": there is none. */
static const char *parse(struct mb_options *o, const char *const *words)
{
	static struct mb_err e;
	char *argv[16] = { (char *)"memblame" };
	int argc = 1;

	for (; words[argc - 1]; argc++)
		argv[argc] = (char *)words[argc - 1];
	argv[argc] = NULL;
	memset(&e, 0, sizeof(e));
	if (mb_options_parse(o, argc, argv, &e)) {
		assert_int_equal(e.exit, MB_EXIT_USAGE);
		assert_true(e.text[0]);
	}
	return e.text;
}

#define PARSE(o, ...) parse(o, (const char *const[]){ __VA_ARGS__, NULL })

/* An argument that the option takes. */
static const char *sample(const struct mb_cli_option *o)
{
	switch (o->key) {
	case 'p':
		return "1";
	case 'c':
		return "/";
	case 'd':
	case 'i':
		return "5";
	case 'f':
		return "fault";
	case MB_OPT_BUDGET:
		return "1";
	case MB_OPT_HISTORY:
		return "3,3,64";
	case MB_OPT_STACKS:
		return "fp";
	case MB_OPT_SAMPLE:
		return "64K";
	case MB_OPT_PAGES:
		return "8";
	case MB_OPT_DIFF:
		return "1,2";
	case MB_OPT_LISTEN:
		return "127.0.0.1:1";
	default:
		return "/tmp/x";
	}
}

/* Each pair of command and option: accepted, or refused with the commands that it is for. */
static void every_pair_is_accepted_or_refused(void **state)
{
	unsigned int accepted = 0, refused = 0;
	const struct mb_cli_option *option;
	const struct mb_command *c;

	(void)state;
	for (size_t i = 0; (c = mb_command_at(i)); i++) {
		for (size_t j = 0; (option = mb_cli_option_at(j)); j++) {
			bool applies = mb_cli_applies(option, c);
			struct mb_options o;
			const char *said;
			char name[64];

			if (option->key == 'h' || option->key == MB_OPT_VERSION)
				continue; /* they print something and exit */
			snprintf(name, sizeof(name), "--%s", option->name);
			said = option->arg ? PARSE(&o, c->name, name, sample(option)) : PARSE(&o, c->name, name);
			if (applies && *said)
				fail_msg("%s %s: %s", c->name, name, said);
			if (!applies && !strstr(said, "does not apply to"))
				fail_msg("%s %s is not refused: %s", c->name, name, said);
			if (applies)
				assert_true(mb_options_has(&o, option->key));
			*(applies ? &accepted : &refused) += 1;
		}
	}
	assert_true(accepted > 100 && refused > 150);
}

static void each_option_is_for_some_command(void **state)
{
	const struct mb_cli_option *o;

	(void)state;
	for (size_t i = 0; (o = mb_cli_option_at(i)); i++) {
		assert_true(o->commands || o->key == MB_OPT_VERSION);
		assert_true(strlen(o->help) > 5);
		for (size_t j = i + 1; mb_cli_option_at(j); j++) {
			assert_int_not_equal(o->key, mb_cli_option_at(j)->key);
			assert_string_not_equal(o->name, mb_cli_option_at(j)->name);
		}
	}
}

static void mistakes_say_what_was_meant(void **state)
{
	struct mb_options o;

	(void)state;
	assert_string_equal(PARSE(&o, "leeks"), "no command 'leeks'; did you mean leaks?");
	assert_string_equal(PARSE(&o, "tpo"), "no command 'tpo'; see memblame --help");
	assert_string_equal(PARSE(&o, "rec"), "no command 'rec'; did you mean record?");
	assert_string_equal(PARSE(&o, "frobnicate"), "no command 'frobnicate'; see memblame --help");
	assert_string_equal(PARSE(&o, "top", "--jsno"), "unknown option '--jsno'; did you mean --json?");
	assert_string_equal(PARSE(&o, "leaks", "--flded=x"), "unknown option '--flded=x'; did you mean --folded?");
	assert_string_equal(PARSE(&o, "top", "-d"), "-d needs an argument; see memblame --help");
	assert_string_equal(PARSE(&o, "top", "--svg", "x"), "--svg does not apply to top: it is for leaks and replay");
	assert_string_equal(PARSE(&o, "run", "-p", "1"),
			    "-p does not apply to run: it is for top, trace, blame, leaks, oom, record and report");
}

/* What follows a recording must fit the view, and replay. */
static void a_view_has_the_options_of_both(void **state)
{
	char *top[] = { (char *)"top", (char *)"-i", (char *)"2", NULL }, *pid[] = { (char *)"top", (char *)"-p", (char *)"1", NULL };
	char *svg[] = { (char *)"top", (char *)"--svg", (char *)"x", NULL }, *pace[] = { (char *)"top", (char *)"--pace", NULL };
	struct mb_options o, view;
	struct mb_err e = { 0 };

	(void)state;
	assert_string_equal(PARSE(&o, "replay", "file"), "");
	assert_int_equal(mb_options_rest(&o, &view, NULL, top, &e), 0);
	assert_true(view.interval_s > 1.9);
	assert_int_equal(mb_options_rest(&o, &view, NULL, pace, &e), 0);
	assert_true(view.pace);
	assert_true(mb_options_rest(&o, &view, NULL, pid, &e) < 0);
	assert_non_null(strstr(e.text, "-p does not apply to replay of top"));
	assert_true(mb_options_rest(&o, &view, NULL, svg, &e) < 0);
	assert_int_equal(mb_options_rest(&o, &view, "report", none, &e), 0);
}

static void times_and_sizes_have_units(void **state)
{
	static const struct {
		const char *text;
		double seconds; /* 0: refused */
	} times[] = { { "5", 5 },	{ "1.5", 1.5 },	  { "1s", 1 },	    { "500ms", 0.5 }, { "2m", 120 },
		      { "1h30m", 5400 }, { "0", 0 },	   { "-1", 0 },	    { "nan", 0 },     { "soon", 0 },
		      { "5x", 0 },	 { "99999999d", 0 }, { "", 0 },	    { "1e3", 0 },     { ".5", 0 } };
	struct mb_options o;

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		const char *said = PARSE(&o, "top", "-d", times[i].text);

		if (times[i].seconds > 0)
			assert_true(!*said && o.duration_s > times[i].seconds * 0.999 && o.duration_s < times[i].seconds * 1.001);
		else
			assert_non_null(strstr(said, "-d needs a time above 0"));
	}
	assert_string_equal(PARSE(&o, "leaks", "--sample", "64K"), "");
	assert_int_equal(o.leaks.heap_sample_bytes, 65536);
	assert_string_equal(PARSE(&o, "leaks", "--sample", "1.5M"), "");
	assert_int_equal(o.leaks.heap_sample_bytes, 3 << 19);
	assert_non_null(strstr(PARSE(&o, "leaks", "--sample", "0"), "--sample needs a size"));
	assert_string_equal(PARSE(&o, "leaks", "--diff", "500ms,1m"), "");
	assert_int_equal(o.leaks.diff_from_ns, 500000000);
	assert_int_equal(o.leaks.diff_to_ns, 60000000000);
	assert_non_null(strstr(PARSE(&o, "leaks", "--diff", "9,5"), "9,5"));
	assert_string_equal(PARSE(&o, "top", "--budget", "0.5"), "");
	assert_true(o.budget_percent > 0.499 && o.budget_percent < 0.501);
	assert_non_null(strstr(PARSE(&o, "top", "--budget", "101"), "0.01 to 100"));
}

/* Each command has at least two examples, in whose beginning it stands, and they parse. */
static void examples_parse(void **state)
{
	const struct mb_command *c;

	(void)state;
	for (size_t i = 0; (c = mb_command_at(i)); i++) {
		for (size_t j = 0; j < MB_CLI_EXAMPLES; j++) {
			const char *words[16] = { NULL };
			char text[256], *save = NULL;
			struct mb_options o;
			size_t n = 0;

			assert_non_null(c->examples[j]);
			snprintf(text, sizeof(text), "%s", c->examples[j]);
			for (char *w = strtok_r(text, " ", &save); w && n < 15; w = strtok_r(NULL, " ", &save))
				words[n++] = strcmp(w, "$$") ? w : "1";
			assert_string_equal(words[0], "memblame");
			assert_string_equal(words[1], c->name);
			assert_string_equal(parse(&o, words + 1), "");
		}
	}
}

/* No line of a help text is wider than the terminal. */
static void help_fits(void **state)
{
	const char *const widths[] = { "40", "80", "200" };

	(void)state;
	for (size_t k = 0; k < 3; k++) {
		setenv("COLUMNS", widths[k], 1);
		for (size_t i = 0; mb_command_at(i); i++) {
			size_t size, most = (size_t)atoi(widths[k]);
			char *text, *save = NULL;
			FILE *f = open_memstream(&text, &size);

			mb_help_command(mb_command_at(i), f);
			fclose(f);
			assert_non_null(strstr(text, "Examples:"));
			for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
				/* examples are pasted as they are */
				if (strlen(line) > most && strncmp(line, "  memblame", 10) && strncmp(line, "Usage:", 6))
					fail_msg("%s: %zu columns: %s", mb_command_at(i)->name, strlen(line), line);
			}
			free(text);
		}
	}
	unsetenv("COLUMNS");
}

/* ---- generated files ---- */

static void man_all(const struct mb_command *c, FILE *f)
{
	(void)c;
	mb_man_all(f);
}

static void bash(const struct mb_command *c, FILE *f)
{
	(void)c;
	mb_completion_bash(f);
}

static void zsh(const struct mb_command *c, FILE *f)
{
	(void)c;
	mb_completion_zsh(f);
}

static void fish(const struct mb_command *c, FILE *f)
{
	(void)c;
	mb_completion_fish(f);
}

static char *slurp(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;

	if (!f)
		return NULL;
	if (getdelim(&text, &size, '\0', f) < 0) {
		free(text);
		text = NULL;
	}
	fclose(f);
	return text;
}

static void check_file(const char *name, void (*write)(const struct mb_command *c, FILE *f), const struct mb_command *c)
{
	char path[512], *want, *is;
	size_t size;
	FILE *f = open_memstream(&want, &size);

	write(c, f);
	fclose(f);
	snprintf(path, sizeof(path), DOCS_DIR "/%s", name);
	if (getenv("MB_WRITE_DOC")) {
		f = fopen(path, "w");
		assert_non_null(f);
		assert_int_equal(fwrite(want, 1, size, f), size);
		assert_int_equal(fclose(f), 0);
	}
	is = slurp(path);
	if (!is || strcmp(is, want))
		fail_msg("%s is not as the tables say; write it with: MB_WRITE_DOC=1 build/tests/unit/cli", name);
	free(is);
	free(want);
}

static void generated_files_are_up_to_date(void **state)
{
	const struct mb_command *c;
	char name[64];

	(void)state;
	check_file("man/memblame.1", man_all, NULL);
	for (size_t i = 0; (c = mb_command_at(i)); i++) {
		snprintf(name, sizeof(name), "man/memblame-%s.1", c->name);
		check_file(name, mb_man_command, c);
	}
	check_file("../contrib/completion/memblame.bash", bash, NULL);
	check_file("../contrib/completion/_memblame", zsh, NULL);
	check_file("../contrib/completion/memblame.fish", fish, NULL);
}

static void skip_because(const char *reason)
{
	printf("skip: %s\n", reason);
	skip();
}

/* Runs a command in the shell; what: for the message. */
static void must_pass(const char *command, const char *what)
{
	if (system(command))
		fail_msg("%s", what);
}

static void man_pages_are_clean(void **state)
{
	(void)state;
	if (system("command -v mandoc >/dev/null"))
		skip_because("mandoc is not installed");
	must_pass("cd " DOCS_DIR "/man && ! mandoc -T lint -W warning *.1 | grep .", "mandoc has something to say");
}

static void completion_is_valid(void **state)
{
	(void)state;
	must_pass("bash -n " DOCS_DIR "/../contrib/completion/memblame.bash", "bash does not parse its completion");
	must_pass("! command -v zsh >/dev/null || zsh -n " DOCS_DIR "/../contrib/completion/_memblame",
		  "zsh does not parse its completion");
	must_pass("! command -v fish >/dev/null || fish -n " DOCS_DIR "/../contrib/completion/memblame.fish",
		  "fish does not parse its completion");
	/* what bash completes */
	must_pass("bash -c 'source " DOCS_DIR "/../contrib/completion/memblame.bash; COMP_WORDS=(memblame lea); COMP_CWORD=1; "
		  "_memblame; [[ ${COMPREPLY[*]} == leaks ]]'", "bash does not complete 'lea'");
	must_pass("bash -c 'source " DOCS_DIR "/../contrib/completion/memblame.bash; COMP_WORDS=(memblame leaks --he); COMP_CWORD=2; "
		  "_memblame; [[ ${COMPREPLY[*]} == \"--heap --help\" ]]'", "bash does not complete '--he'");
	must_pass("bash -c 'source " DOCS_DIR "/../contrib/completion/memblame.bash; COMP_WORDS=(memblame top -p $$); COMP_CWORD=3; "
		  "_memblame; [[ \" ${COMPREPLY[*]} \" == *\" $$ \"* ]]'", "bash does not complete a pid");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_pair_is_accepted_or_refused),
		cmocka_unit_test(each_option_is_for_some_command),
		cmocka_unit_test(mistakes_say_what_was_meant),
		cmocka_unit_test(a_view_has_the_options_of_both),
		cmocka_unit_test(times_and_sizes_have_units),
		cmocka_unit_test(examples_parse),
		cmocka_unit_test(help_fits),
		cmocka_unit_test(generated_files_are_up_to_date),
		cmocka_unit_test(man_pages_are_clean),
		cmocka_unit_test(completion_is_valid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
