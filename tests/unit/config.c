// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * The configuration of serve: every key and unit, every mistake with its line. The sample file and the documentation
 * match the table of keys; with --write they are written from it.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "memblame/family.h"
#include "serve/config.h"
#include "unit.h"

#define SAMPLE DOCS_DIR "/../contrib/memblame.conf"
#define PAGE DOCS_DIR "/serve.md"

static struct mb_config_diagnostics m;
static struct mb_err err;

/* Collects output as a string, which the caller frees. */
struct sink {
	struct mb_out out;
	int fd;
};

static void sink_open(struct sink *s)
{
	memset(s, 0, sizeof(*s));
	s->fd = memfd_create("config", MFD_CLOEXEC);
	assert_true(s->fd >= 0);
	assert_int_equal(mb_out_to(&s->out, s->fd, "memory"), 0);
}

static char *sink_take(struct sink *s)
{
	char *text;
	off_t len;

	assert_int_equal(mb_out_flush(&s->out), 0);
	len = lseek(s->fd, 0, SEEK_END);
	text = calloc(1, (size_t)len + 1);
	assert_int_equal(pread(s->fd, text, (size_t)len, 0), len);
	assert_int_equal(mb_out_close(&s->out, &err), 0);
	close(s->fd);
	return text;
}

static char *shown(const struct mb_serve_config *c, bool help)
{
	struct sink s;

	sink_open(&s);
	mb_serve_config_show(c, help, &s.out);
	return sink_take(&s);
}

static char *slurp(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 1 << 17);

	if (f) {
		assert_true(fread(text, 1, (1 << 17) - 1, f) < (1 << 17) - 1);
		fclose(f);
	}
	return text;
}

static void defaults(struct mb_serve_config *c)
{
	memset(&err, 0, sizeof(err));
	assert_int_equal(mb_serve_config_default(c, &err), 0);
}

static void parse(struct mb_serve_config *c, const char *text)
{
	defaults(c);
	if (mb_serve_config_parse(c, text, strlen(text), &m))
		fail_msg("'%s': line %u: %s", text, m.list[0].line, m.list[0].text);
}

/* There is exactly one mistake, on this line, and its message contains `what`. */
static void wrong_bytes(const char *text, size_t len, unsigned int line, const char *what)
{
	struct mb_serve_config c;

	defaults(&c);
	mb_serve_config_parse(&c, text, len, &m);
	if (m.total != 1 || m.list[0].line != line || !strstr(m.list[0].text, what))
		fail_msg("%u mistakes in '%s'; the first on line %u: '%s', not on %u: '%s'", m.total, text,
			 m.total ? m.list[0].line : 0, m.total ? m.list[0].text : "", line, what);
	mb_serve_config_free(&c);
}

static void wrong(const char *text, unsigned int line, const char *what)
{
	wrong_bytes(text, strlen(text), line, what);
}

/* ---- valid configurations ---- */

static void nothing_said_means_the_defaults(void **state)
{
	struct mb_serve_config c;
	struct mb_history_config h;
	uint64_t families = 0;

	(void)state;
	for (unsigned int id = 0; id < MB_FAM_MAX; id++)
		families |= mb_family_default_on(id) ? 1ull << id : 0;
	for (int i = 0; i < 2; i++) {
		parse(&c, i ? "\n# a comment\n  ; another\n[serve]\n\n[oom]\n" : "");
		assert_int_equal(c.listen.n, 1);
		assert_string_equal(c.listen.list[0], "127.0.0.1:9742");
		assert_string_equal(c.state_dir, "/var/lib/memblame");
		assert_int_equal(c.interval_ns, MB_NS_PER_S);
		assert_int_equal(c.budget_ppm, 10000);
		assert_int_equal(c.families, families);
		assert_int_equal(c.cgroups.n, 0);
		assert_int_equal(c.log, MB_LOG_NORMAL);
		assert_int_equal(c.record_enabled, 1);
		assert_int_equal(c.record_interval_ns, 10 * MB_NS_PER_S);
		assert_int_equal(c.record_age_ns, 7 * 86400 * MB_NS_PER_S);
		assert_int_equal(c.record_bytes, 1u << 30);
		assert_int_equal(c.metrics_top, 10);
		assert_int_equal(c.metrics_cgroups, 200);
		assert_int_equal(c.metrics_processes, 1);
		assert_int_equal(c.oom_enabled, 1);
		assert_int_equal(c.oom_keep, 1000);
		h = mb_serve_config_history(&c);
		assert_int_equal(h.fine, 180);
		assert_int_equal(h.coarse, 180);
		assert_int_equal(h.bytes, 8 << 20);
		mb_serve_config_free(&c);
	}
}

static void every_key_is_understood(void **state)
{
	struct mb_serve_config c;

	(void)state;
	parse(&c, "\xef\xbb\xbf[serve] ; with a comment\r\n"
		  "listen = unix:/run/m.sock\r\n"
		  "  listen=[::1]:9742 ; and one behind a value\n"
		  "state-dir = /srv/m\xc3\xa9moire\n"
		  "interval = 0.5\n"
		  "budget = 2.5\n"
		  "families = oom,fault\n"
		  "cgroups = /a/b\n"
		  "cgroups = c\n"
		  "log = verbose\n"
		  "[record]\nenabled = no\ninterval = 1m\nmax-age = 1h30m\nmax-size = 512MiB\n"
		  "[metrics]\ntop = 0\ncgroups = 5000\nprocesses = no\n"
		  "[oom]\nenabled = no\nkeep = 1\n"
		  "[history]\nminutes = 60\nhours = 48\nsize = 4GiB"); /* no newline at its end */
	assert_int_equal(c.listen.n, 2);
	assert_string_equal(c.listen.list[0], "unix:/run/m.sock");
	assert_string_equal(c.listen.list[1], "[::1]:9742");
	assert_int_equal(c.from[MB_SERVE_listen], 3);
	assert_string_equal(c.state_dir, "/srv/m\xc3\xa9moire");
	assert_int_equal(c.interval_ns, MB_NS_PER_S / 2);
	assert_int_equal(c.budget_ppm, 25000);
	assert_int_equal(c.families, 1u << MB_FAM_oom | 1u << MB_FAM_fault);
	assert_int_equal(c.cgroups.n, 2);
	assert_string_equal(c.cgroups.list[0], "/a/b");
	assert_string_equal(c.cgroups.list[1], "c");
	assert_int_equal(c.log, MB_LOG_VERBOSE);
	assert_int_equal(c.record_enabled, 0);
	assert_int_equal(c.record_interval_ns, 60 * MB_NS_PER_S);
	assert_int_equal(c.record_age_ns, 5400 * MB_NS_PER_S);
	assert_int_equal(c.record_bytes, 512 << 20);
	assert_int_equal(c.metrics_top, 0);
	assert_int_equal(c.metrics_cgroups, 5000);
	assert_int_equal(c.metrics_processes, 0);
	assert_int_equal(c.oom_enabled, 0);
	assert_int_equal(c.oom_keep, 1);
	assert_int_equal(c.history_minutes, 60);
	assert_int_equal(c.history_hours, 48);
	assert_int_equal(c.history_bytes, 4ull << 30);
	mb_serve_config_free(&c);
	parse(&c, "[serve]\nbudget = off\n");
	assert_int_equal(c.budget_ppm, 0);
	mb_serve_config_free(&c);
}

static const struct {
	enum mb_config_kind kind;
	const char *text;
	uint64_t value;
	const char *shown;
} good_values[] = {
	{ MB_CONFIG_SIZE, "1048576", 1048576, "1MiB" },
	{ MB_CONFIG_SIZE, "512MiB", 512ull << 20, "512MiB" }, { MB_CONFIG_SIZE, "1G", 1ull << 30, "1GiB" },
	{ MB_CONFIG_SIZE, "1.5GiB", 3ull << 29, "1536MiB" }, { MB_CONFIG_SIZE, "3K", 3072, "3KiB" },
	{ MB_CONFIG_SIZE, "1001B", 1001, "1001B" }, { MB_CONFIG_SIZE, "2T", 2ull << 40, "2TiB" },
	{ MB_CONFIG_SIZE, "16777215TiB", 16777215ull << 40, "16777215TiB" },
	{ MB_CONFIG_DURATION, "90", 90 * MB_NS_PER_S, "1m30s" },
	{ MB_CONFIG_DURATION, "90s", 90 * MB_NS_PER_S, "1m30s" },
	{ MB_CONFIG_DURATION, "15m", 900 * MB_NS_PER_S, "15m" },
	{ MB_CONFIG_DURATION, "12h", 43200 * MB_NS_PER_S, "12h" },
	{ MB_CONFIG_DURATION, "7d", 604800 * MB_NS_PER_S, "7d" },
	{ MB_CONFIG_DURATION, "1h30m", 5400 * MB_NS_PER_S, "1h30m" },
	{ MB_CONFIG_DURATION, "0.1", MB_NS_PER_S / 10, "100ms" },
	{ MB_CONFIG_DURATION, "1.5ms", 1500000, "1ms500us" }, { MB_CONFIG_PERCENT, "0.1", 1000, "0.1" },
	{ MB_CONFIG_PERCENT, "100", 1000000, "100" }, { MB_CONFIG_PERCENT, "12.3456", 123456, "12.3456" },
};

static const struct {
	enum mb_config_kind kind;
	const char *text;
} bad_values[] = {
	{ MB_CONFIG_SIZE, "1 GiB" }, { MB_CONFIG_SIZE, "1GB" }, { MB_CONFIG_SIZE, "GiB" },
	{ MB_CONFIG_SIZE, "-1" }, { MB_CONFIG_SIZE, "1." }, { MB_CONFIG_SIZE, "0x10" },
	{ MB_CONFIG_SIZE, "16777216TiB" }, { MB_CONFIG_SIZE, "99999999999999999999" },
	{ MB_CONFIG_SIZE, "1.2.3M" }, { MB_CONFIG_DURATION, "1w" }, { MB_CONFIG_DURATION, "1h30" },
	{ MB_CONFIG_DURATION, "s" }, { MB_CONFIG_DURATION, "1 s" }, { MB_CONFIG_DURATION, "nan" },
	{ MB_CONFIG_DURATION, "300000d" }, { MB_CONFIG_PERCENT, "1%" }, { MB_CONFIG_PERCENT, "0" },
	{ MB_CONFIG_PERCENT, "" }, { MB_CONFIG_COUNT, "1.0" }, { MB_CONFIG_COUNT, "+1" },
	{ MB_CONFIG_YESNO, "true" }, { MB_CONFIG_YESNO, "Yes" }, { MB_CONFIG_LOG, "debug" },
	{ MB_CONFIG_FAMILIES, "," }, { MB_CONFIG_FAMILIES, "oom,," }, { MB_CONFIG_FAMILIES, "oom, vma" },
	{ MB_CONFIG_FAMILIES, "oom," },
};

static void units_are_what_they_say(void **state)
{
	char text[MB_CONFIG_WHY];
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_SIZE(good_values); i++) {
		struct mb_config_range r = { good_values[i].kind, 0, 0 };

		assert_int_equal(mb_config_value_parse(&v, &r, good_values[i].text, text), 0);
		assert_int_equal(v, good_values[i].value);
		assert_string_equal(mb_config_number_text(v, r.kind, text), good_values[i].shown);
	}
	for (size_t i = 0; i < MB_ARRAY_SIZE(bad_values); i++) {
		struct mb_config_range r = { bad_values[i].kind, 0, 0 };

		v = 4711;
		text[0] = '\0';
		if (mb_config_value_parse(&v, &r, bad_values[i].text, text) != -EINVAL)
			fail_msg("'%s' is taken for %llu", bad_values[i].text, (unsigned long long)v);
		assert_int_equal(v, 4711);
		assert_int_not_equal(text[0], '\0');
	}
}

/* ---- mistakes ---- */

static void mistakes_have_their_line(void **state)
{
	char text[4096];

	(void)state;
	wrong("\n[serv]\nx = 1\n", 2, "there is no section [serv]; did you mean [serve]?");
	wrong("[nothing]\n", 1, "write [serve], [record], [metrics], [oom] or [history]");
	wrong("[serve]\n\nintervall = 1\n", 3, "[serve] has no key 'intervall'; did you mean 'interval'?");
	wrong("[serve]\nmax-size = 1\n", 2, "it belongs into [record]");
	wrong("[serve]\nquux = 1\n", 2, "remove the line");
	wrong("[serve]\ninterval = soon\n", 2, "interval cannot be 'soon'; write 100ms to 1m, as in 90s or 1h30m");
	wrong("[serve]\ninterval = 61\n", 2, "write 100ms to 1m");
	wrong("[serve]\ninterval = 0.09\n", 2, "write 100ms to 1m");
	wrong("[serve]\nbudget = 0.05\n", 2, "write 0.1 to 100, or off");
	wrong("[serve]\nbudget = 101\n", 2, "write 0.1 to 100, or off");
	wrong("[serve]\nlog = loud\n", 2, "write quiet, normal or verbose");
	wrong("[serve]\nlisten = here\n", 2, "'here' is no address with a port; write 127.0.0.1:9742");
	wrong("[serve]\nlisten = localhost:1\nlisten = 127.0.0.1:1\n", 3, "there twice");
	wrong("[serve]\nfamilies = oom,heaps\n", 2, "there is no family 'heaps'");
	wrong("[serve]\nstate-dir = var\n", 2, "write a path from / on");
	wrong("[record]\nenabled = 1\n", 2, "write yes or no");
	wrong("[record]\nmax-size = 1023KiB\n", 2, "write 1MiB to 1TiB, as in 512MiB");
	wrong("[metrics]\ntop = 101\n", 2, "write 0 to 100");
	wrong("[metrics]\ntop = -1\n", 2, "write 0 to 100");
	wrong("[oom]\nkeep = 5\n\nkeep = 5\n", 4, "keep is there already, on line 2; remove one");
	wrong("[oom]\nkeep =\n", 2, "keep has no value");
	wrong("[oom]\nkeep\n", 2, "no = behind the first word; write KEY = VALUE");
	wrong("[oom]\nkeep: 5\n", 2, "no = behind the first word");
	wrong("[oom]\n= 5\n", 2, "no key before the =");
	wrong("keep = 5\n[oom]\n", 1, "a key before the first section");
	wrong("[oom\nkeep = 5\n", 1, "a section has no ]");
	wrong("[oom] keep = 5\n", 1, "text behind the section");
	wrong("[oom]\nkeep = \xff\n", 2, "not UTF-8");
	wrong("[oom]\n# a comment with \x1b[1m\n", 2, "a control character");
	wrong_bytes("[oom]\nkeep = 1\0\n", 16, 2, "a control character");
	memset(text, 'x', sizeof(text));
	memcpy(text, "[serve]\nstate-dir = /", 21);
	strcpy(text + 1020, "\n[oom]\nkeep = 0\n");
	wrong(text, 4, "write 1 to 100000");
	memset(text, 'x', sizeof(text));
	memcpy(text, "[serve]\nstate-dir = /", 21);
	strcpy(text + 1031, "\n[oom]\n");
	wrong(text, 2, "the line has 1023 bytes; write at most 1021");
	/* a value does not continue on the next line, even if that is indented */
	wrong("[oom]\nkeep = 5\n   6\n", 3, "no = behind the first word");
}

static void all_mistakes_are_reported(void **state)
{
	struct mb_serve_config c;
	static const char few[] = "a = 1\n[x]\ny = 2\n[oom]\nkeep = 0\nz\nkept = 1\n";
	char text[2048] = "[serve]\n", line[256];

	(void)state;
	defaults(&c);
	assert_int_equal(mb_serve_config_parse(&c, few, strlen(few), &m), 5);
	m.path = "FILE";
	assert_string_equal(mb_config_diagnostic(&m, 0, line, sizeof(line)),
			    "FILE:1: a key before the first section; write a [SECTION] above it");
	assert_int_equal(m.list[1].line, 2);
	assert_int_equal(m.list[2].line, 5);
	assert_int_equal(m.list[3].line, 6);
	assert_int_equal(m.list[4].line, 7);
	mb_serve_config_free(&c);
	for (int i = 0; i < 100; i++)
		strcat(text, "x = 1\n");
	defaults(&c);
	assert_int_equal(mb_serve_config_parse(&c, text, strlen(text), &m), 100);
	assert_int_equal(m.n, MB_CONFIG_DIAGNOSTICS);
	mb_serve_config_free(&c);
}

/* ---- files ---- */

static char dir[64], path[96];

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/mb-config-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/conf", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static void put(const char *text, mode_t mode)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void refused(const char *file, const char *what)
{
	struct mb_serve_overrides none = { 0 };
	struct mb_serve_config c;
	char start[128];

	memset(&err, 0, sizeof(err));
	assert_true(mb_serve_config_load(&c, file, &none, &m, &err) < 0);
	assert_int_equal(err.exit, MB_EXIT_USAGE);
	snprintf(start, sizeof(start), "%s: ", file);
	if (strncmp(err.text, start, strlen(start)) || !strstr(err.text, what))
		fail_msg("'%s', not '%s...%s'", err.text, start, what);
	assert_null(c.listen.list);
}

static void files_that_are_none_are_refused(void **state)
{
	char missing[128];

	(void)state;
	snprintf(missing, sizeof(missing), "%s/none", dir);
	refused(missing, "No such file");
	refused(dir, "is a folder");
	refused("/dev/null", "no plain file");
	put("", 0602);
	refused(path, "can be written by others");
	put("", 0620);
	refused(path, "can be written by others");
	put("", 0600);
	assert_int_equal(truncate(path, 65537), 0);
	refused(path, "write at most 65536");
	if (!geteuid()) {
		put("", 0600);
		assert_int_equal(chown(path, 65534, 0), 0);
		refused(path, "belongs to user 65534");
	} else {
		put("", 0);
		refused(path, "cannot be opened: Permission denied");
	}
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	refused(path, "no plain file");
	unlink(path);
}

static void the_command_line_has_the_last_word(void **state)
{
	struct mb_serve_overrides o = { 0 };
	struct mb_serve_config c;

	(void)state;
	put("[serve]\nlisten = [::1]:1\nlisten = [::1]:2\ninterval = 5\nfamilies = vma\n[history]\nhours = 9\n", 0644);
	memset(&err, 0, sizeof(err));
	mb_serve_override(&o, MB_SERVE_listen, "--listen", "127.0.0.1:7", &err);
	mb_serve_override(&o, MB_SERVE_listen, "--listen", "127.0.0.1:8", &err);
	mb_serve_override(&o, MB_SERVE_interval_ns, "-i", "9", &err);
	mb_serve_override(&o, MB_SERVE_interval_ns, "-i", "20", &err);
	mb_serve_override(&o, MB_SERVE_families, "-f", "oom", &err);
	mb_serve_override(&o, MB_SERVE_families, "-f", "fault", &err);
	mb_serve_override(&o, MB_SERVE_state_dir, "--state-dir", "here", &err);
	mb_serve_override(&o, MB_SERVE_KEYS, "--history", "5,6,7", &err);
	/* at the start, and at each reload */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(mb_serve_config_load(&c, path, &o, &m, &err), 0);
		assert_int_equal(c.listen.n, 2);
		assert_string_equal(c.listen.list[0], "127.0.0.1:7");
		assert_int_equal(c.interval_ns, 20 * MB_NS_PER_S);
		/* by default the interval of the recording follows the interval of ticks */
		assert_int_equal(c.record_interval_ns, 20 * MB_NS_PER_S);
		assert_int_equal(c.families, 1u << MB_FAM_oom | 1u << MB_FAM_fault);
		assert_int_equal(c.state_dir[0], '/');
		assert_non_null(strstr(c.state_dir, "/here"));
		assert_int_equal(c.history_minutes, 5);
		assert_int_equal(c.history_hours, 6);
		assert_int_equal(c.history_bytes, 7 << 20);
		mb_serve_config_free(&c);
	}
	put("[record]\ninterval = 10\n", 0644);
	assert_true(mb_serve_config_load(&c, path, &o, &m, &err) < 0);
	assert_non_null(strstr(err.text, "conf:2: [record] interval is shorter than [serve] interval"));
	memset(&err, 0, sizeof(err));
	o.n = 0;
	mb_serve_override(&o, MB_SERVE_budget_ppm, "--budget", "lots", &err);
	assert_true(mb_serve_config_load(&c, NULL, &o, &m, &err) < 0);
	assert_string_equal(err.text, "--budget cannot be 'lots'; write 0.1 to 100, or off");
	assert_int_equal(err.exit, MB_EXIT_USAGE);
	unlink(path);
}

static void a_reload_takes_what_it_can(void **state)
{
	struct mb_serve_config a, b;
	struct mb_serve_changes changes;

	(void)state;
	parse(&a, "[serve]\nstate-dir = /a\nlisten = [::1]:1\n");
	parse(&b, "[serve]\nstate-dir = /b\nlisten = [::1]:1\nlisten = [::1]:2\n"
		  "[metrics]\ntop = 3\n[history]\nsize = 1M\n");
	mb_serve_config_changes(&a, &b, &changes);
	assert_int_equal(changes.n_reload, 2);
	assert_string_equal(changes.reload[0], "[serve] listen");
	assert_string_equal(changes.reload[1], "[metrics] top");
	assert_int_equal(changes.n_restart, 2);
	assert_string_equal(changes.restart[0], "[serve] state-dir");
	assert_string_equal(changes.restart[1], "[history] size");
	mb_serve_config_take(&a, &b);
	assert_int_equal(a.listen.n, 2);
	assert_int_equal(a.metrics_top, 3);
	assert_string_equal(a.state_dir, "/a");
	assert_int_equal(a.history_bytes, 8 << 20);
	mb_serve_config_changes(&a, &b, &changes);
	assert_int_equal(changes.n_restart, 2);
	mb_serve_config_free(&a);
	mb_serve_config_free(&b);
}

/* ---- the configuration as printed ---- */

static void what_is_shown_can_be_read_again(void **state)
{
	struct mb_serve_config a, b;
	struct mb_serve_changes changes;
	struct sink s;
	char *text;
	json_t *doc;

	(void)state;
	parse(&a, "[serve]\nlisten = unix:/x\nlisten = [::]:0\ncgroups = /a\nbudget = off\nlog = quiet\n"
		  "[oom]\nenabled = no\n");
	for (int help = 0; help < 2; help++) {
		text = shown(&a, help);
		parse(&b, text);
		mb_serve_config_changes(&a, &b, &changes);
		assert_int_equal(changes.n_reload + changes.n_restart, 0);
		mb_serve_config_free(&b);
		free(text);
	}
	sink_open(&s);
	mb_json_object(&s.out, NULL);
	mb_serve_config_json(&a, &s.out);
	mb_json_object_end(&s.out);
	text = sink_take(&s);
	doc = json_loads(text, 0, NULL);
	assert_non_null(doc);
	assert_int_equal(json_object_size(doc), 5);
	assert_string_equal(json_string_value(json_object_get(json_object_get(doc, "serve"), "budget")), "off");
	assert_true(json_is_false(json_object_get(json_object_get(doc, "oom"), "enabled")));
	json_decref(doc);
	free(text);
	mb_serve_config_free(&a);
}

static char *sample(void)
{
	struct mb_serve_config c;
	char *text;

	defaults(&c);
	text = shown(&c, true);
	mb_serve_config_free(&c);
	return text;
}

/* The table of docs/serve.md. */
static char *table(void)
{
	const struct mb_serve_key *keys = mb_serve_keys();
	char range[MB_CONFIG_WHY];
	struct sink s;

	sink_open(&s);
	mb_out_printf(&s.out, "| section | key | default | values | a change needs | what |\n"
		      "|---|---|---|---|---|---|\n");
	for (int k = 0; k < MB_SERVE_KEYS; k++)
		mb_out_printf(&s.out, "| %s | `%s` | %s | %s | %s | %s |\n",
			      !k || strcmp(keys[k].section, keys[k - 1].section) ? keys[k].section : "", keys[k].key,
			      keys[k].initial, mb_config_value_range(&keys[k].range, range),
			      keys[k].reload ? "reload" : "restart", keys[k].help);
	return sink_take(&s);
}

static void the_sample_file_is_the_table(void **state)
{
	char *want = sample(), *have = slurp(SAMPLE);

	(void)state;
	if (strcmp(want, have))
		fail_msg("contrib/memblame.conf is not what the table says; write it with: tests/unit/config --write");
	free(want);
	free(have);
}

static void the_documentation_has_the_table(void **state)
{
	char *want = table(), *have = slurp(PAGE);

	(void)state;
	if (!strstr(have, want))
		fail_msg("docs/serve.md has not the table of keys; write it with: tests/unit/config --write");
	free(want);
	free(have);
}

static int write_files(void)
{
	char *page = slurp(PAGE), *end = strstr(page, "| section |");
	FILE *conf = fopen(SAMPLE, "w"), *doc = fopen(PAGE, "w");

	fputs(sample(), conf);
	fprintf(doc, "%.*s%s", (int)(end - page), page, table());
	while (*end == '|')
		end = strchr(end, '\n') + 1;
	fputs(end, doc);
	return fclose(conf) || fclose(doc);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_said_means_the_defaults),
		cmocka_unit_test(every_key_is_understood),
		cmocka_unit_test(units_are_what_they_say),
		cmocka_unit_test(mistakes_have_their_line),
		cmocka_unit_test(all_mistakes_are_reported),
		cmocka_unit_test(files_that_are_none_are_refused),
		cmocka_unit_test(the_command_line_has_the_last_word),
		cmocka_unit_test(a_reload_takes_what_it_can),
		cmocka_unit_test(what_is_shown_can_be_read_again),
		cmocka_unit_test(the_sample_file_is_the_table),
		cmocka_unit_test(the_documentation_has_the_table),
	};

	if (argc == 2 && !strcmp(argv[1], "--write"))
		return write_files();
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
