// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Files that accompany the metrics: alerts, dashboard and documentation name only metrics that exist, and promtool
 * accepts all of them. MB_WRITE_DOC=1 writes the table of docs/metrics.md again.
 */
#include <jansson.h>
#include <sys/wait.h>
#include <unistd.h>

#include "metrics_world.h"

#define CONTRIB DOCS_DIR "/../contrib/"
#define DOC DOCS_DIR "/metrics.md"

static void need_promtool(void)
{
	if (system("promtool --version >/dev/null 2>&1") == 0)
		return;
	printf("skip: promtool of Prometheus is not installed\n");
	skip();
}

/* Runs the command; prints its output if it fails. */
static void run(const char *command)
{
	int status = system(command);

	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("failed: %s", command);
}

static char *temporary(const char *text, size_t len)
{
	char *path = strdup("/tmp/memblame-contrib-XXXXXX");
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
	return path;
}

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 1 << 20);
	size_t n;

	if (!f)
		fail_msg("cannot read %s", path);
	n = fread(text, 1, (1 << 20) - 1, f);
	assert_true(n > 0 && n < (1 << 20) - 1);
	fclose(f);
	return text;
}

/* ---- names ---- */

static void scrape_all(struct exposition *x, bool openmetrics)
{
	struct world w;

	world_full(&w);
	scrape(&w, x, openmetrics);
	world_end(&w);
}

static bool has_name(const struct exposition *x, const char *name)
{
	unsigned int n;

	sum_of(x, name, "", &n);
	return n > 0;
}

/* Every word of the text that begins like one of our metrics must be a metric; returns their number. */
static unsigned int check_names(const struct exposition *x, const char *text)
{
	unsigned int found = 0;
	char word[128];
	size_t n;

	for (const char *s = text; *s; s += n ? n : 1) {
		n = name_len(s);
		if (n >= sizeof(word) || (strncmp(s, "memblame_", 9) != 0 && strncmp(s, "process_", 8) != 0))
			continue;
		snprintf(word, sizeof(word), "%.*s", (int)n, s);
		if (!has_name(x, word))
			fail_msg("there is no metric %s, as in: %.100s", word, s);
		found++;
	}
	return found;
}

static void alerts_name_what_there_is(void **state)
{
	char *text = read_file(CONTRIB "memblame-alerts.yml"), *next;
	struct exposition x;
	unsigned int found = 0;

	(void)state;
	scrape_all(&x, false);
	for (char *line = text; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		line += strspn(line, " ");
		if (strncmp(line, "expr:", 5) == 0)
			found += check_names(&x, line);
	}
	assert_true(found >= 15);
	free_exposition(&x);
	free(text);
}

/* ---- the dashboard ---- */

static json_t *dashboard(void)
{
	json_error_t error;
	json_t *d = json_load_file(CONTRIB "memblame-dashboard.json", JSON_REJECT_DUPLICATES, &error);

	if (!d)
		fail_msg("%s, line %d", error.text, error.line);
	return d;
}

/* Calls fn with each expression of the dashboard. */
static void each_expr(json_t *d, void (*fn)(void *arg, const char *expr), void *arg)
{
	json_t *panel, *target;
	size_t i, j;

	json_array_foreach(json_object_get(d, "panels"), i, panel)
	{
		json_array_foreach(json_object_get(panel, "targets"), j, target)
		{
			const char *source = json_string_value(
				json_object_get(json_object_get(target, "datasource"), "uid"));

			assert_string_equal(source, "${datasource}");
			fn(arg, json_string_value(json_object_get(target, "expr")));
		}
	}
}

static void check_expr(void *arg, const char *expr)
{
	if (!check_names(arg, expr))
		fail_msg("names no metric: %s", expr);
}

static void dashboard_names_what_there_is(void **state)
{
	static const char *const variables[] = { "datasource", "instance", "cgroup" };
	json_t *d = dashboard(), *list = json_object_get(json_object_get(d, "templating"), "list"), *panel;
	struct exposition x;
	size_t i, rows = 0;
	bool used[1000] = { false };

	(void)state;
	scrape_all(&x, false);
	each_expr(d, check_expr, &x);
	for (i = 0; i < MB_ARRAY_SIZE(variables); i++) {
		json_t *v = json_array_get(list, i);
		const char *q = json_string_value(json_object_get(v, "definition"));

		assert_string_equal(json_string_value(json_object_get(v, "name")), variables[i]);
		if (q)
			assert_true(check_names(&x, q) == 1);
	}
	json_array_foreach(json_object_get(d, "panels"), i, panel)
	{
		json_int_t id = json_integer_value(json_object_get(panel, "id"));

		assert_true(id > 0 && id < 1000 && !used[id]);
		used[id] = true;
		rows += strcmp(json_string_value(json_object_get(panel, "type")), "row") == 0;
	}
	assert_int_equal(rows, 6);
	free_exposition(&x);
	json_decref(d);
}

/* Writes an expression into a file of rules, with values substituted for Grafana's variables. */
static void add_rule(void *arg, const char *expr)
{
	FILE *f = arg;

	fprintf(f, "  - record: a:b\n    expr: >-\n      ");
	while (*expr) {
		if (strncmp(expr, "$__rate_interval", 16) == 0) {
			fprintf(f, "5m");
			expr += 16;
		} else if (*expr == '$') {
			expr += 1 + name_len(expr + 1);
			fprintf(f, "x");
		} else {
			fputc(*expr++, f);
		}
	}
	fprintf(f, "\n    labels:\n      number: \"%ld\"\n", ftell(f)); /* promtool rejects identical rules */
}

static void dashboard_expressions_are_valid(void **state)
{
	char command[256], *path, *text;
	json_t *d = dashboard();
	size_t len;
	FILE *f;

	(void)state;
	need_promtool();
	f = open_memstream(&text, &len);
	fprintf(f, "groups:\n- name: a\n  rules:\n");
	each_expr(d, add_rule, f);
	fclose(f);
	path = temporary(text, len);
	snprintf(command, sizeof(command), "promtool check rules --lint=none %s >&2", path);
	run(command);
	unlink(path);
	free(path);
	free(text);
	json_decref(d);
}

/* ---- promtool ---- */

static void promtool_takes_the_metrics(void **state)
{
	char command[256], *path;
	struct world w;
	struct exposition x;

	(void)state;
	need_promtool();
	world_full(&w);
	scrape(&w, &x, false);
	free_exposition(&x);
	path = temporary(w.text.text, w.text.len);
	snprintf(command, sizeof(command), "promtool check metrics < %s >&2", path);
	run(command);
	unlink(path);
	free(path);
	world_end(&w);
}

static void promtool_takes_the_alerts(void **state)
{
	(void)state;
	need_promtool();
	run("promtool check rules " CONTRIB "memblame-alerts.yml >&2");
}

/* Each alert fires where it should, and nowhere else. */
static void alerts_fire_and_do_not(void **state)
{
	(void)state;
	need_promtool();
	run("cd " CONTRIB " && promtool test rules memblame-alerts.test.yml >&2");
}

/* Each alert must be tested both ways: firing and not firing. */
static void every_alert_is_tested(void **state)
{
	char *rules = read_file(CONTRIB "memblame-alerts.yml"), *tests = read_file(CONTRIB "memblame-alerts.test.yml");
	char want[128], name[64];
	unsigned int n = 0;

	(void)state;
	for (const char *s = rules; (s = strstr(s, "- alert: ")); s++, n++) {
		const char *at;

		assert_int_equal(sscanf(s, "- alert: %63s", name), 1);
		snprintf(want, sizeof(want), "alertname: %s\n        exp_alerts:\n          - exp_labels", name);
		at = strstr(tests, want);
		snprintf(want, sizeof(want), "alertname: %s\n        exp_alerts: []", name);
		if (!at || !strstr(tests, want))
			fail_msg("%s is not tested both ways", name);
	}
	assert_true(n >= 12);
	free(rules);
	free(tests);
}

/* ---- the documentation ---- */

/* How many series that metric can have at most, in terms of C cgroups and P processes. */
static void most(char *buf, size_t size, const struct exposition *x, const char *name, const char *labels)
{
	const struct series *s, *t;
	unsigned int n = 0;

	HASH_ITER(hh, x->series, s, t)
	{
		if (strncmp(s->name, name, strlen(name)) == 0 && (!strcmp(s->name, name) || !strcmp(s->type, "histogram")))
			n += !strstr(labels, "cgroup") || strstr(s->labels, "(gone)");
	}
	if (strcmp(name, "memblame_hook_quality") == 0)
		n = MB_METRICS_HOOKS;
	if (strcmp(name, "memblame_http_requests_total") == 0)
		n = MB_METRICS_CODES;
	if (strcmp(name, "memblame_oom_kills_total") == 0)
		n = MB_KILLS;
	if (strstr(labels, "pid"))
		snprintf(buf, size, "P");
	else if (!strstr(labels, "cgroup"))
		snprintf(buf, size, "%u", n);
	else if (n > 1)
		snprintf(buf, size, "%u C", n);
	else
		snprintf(buf, size, "C");
}

/* The names of all labels that the series of a family have, written as `a`, `b`. */
static void label_names(char *buf, size_t size, const struct exposition *x, const char *family)
{
	const struct series *s, *t;
	size_t len = 0;
	char quoted[64];

	buf[0] = '\0';
	HASH_ITER(hh, x->series, s, t)
	{
		if (strncmp(s->name, family, strlen(family)) != 0 ||
		    (strcmp(s->name, family) != 0 && strcmp(s->type, "histogram") != 0))
			continue;
		for (const char *l = s->labels; *l; l = strstr(l, "\",") ? strstr(l, "\",") + 2 : "") {
			snprintf(quoted, sizeof(quoted), "`%.*s`", (int)name_len(l), l);
			if (!strstr(buf, quoted))
				len += (size_t)snprintf(buf + len, size - len, "%s%s", len ? ", " : "", quoted);
		}
	}
}

static const char *unit_of(const char *name)
{
	return strstr(name, "_seconds") ? "seconds" : strstr(name, "_bytes") ? "bytes" : "";
}

static char *table(const struct exposition *x)
{
	const struct family *f, *t;
	char labels[256], bound[32], *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	fprintf(out, "| metric | type | labels | unit | series | meaning |\n|---|---|---|---|---|---|\n");
	HASH_ITER(hh, x->families, f, t)
	{
		label_names(labels, sizeof(labels), x, f->name);
		most(bound, sizeof(bound), x, f->name, labels);
		fprintf(out, "| `%s` | %s | %s | %s | %s | %s |\n", f->name, f->type, labels, unit_of(f->name), bound,
			f->help);
	}
	fclose(out);
	return text;
}

static void documentation_is_complete(void **state)
{
	char *doc = read_file(DOC), *want, *begin, *end;
	struct exposition x;

	(void)state;
	scrape_all(&x, false);
	want = table(&x);
	begin = strstr(doc, "| metric |");
	end = strstr(doc, "\n<!-- end of the table -->");
	assert_true(begin && end && begin < end);
	if (getenv("MB_WRITE_DOC")) {
		FILE *f = fopen(DOC, "w");

		fprintf(f, "%.*s%s%s", (int)(begin - doc), doc, want, end);
		fclose(f);
	} else {
		*end = '\0';
		assert_string_equal(begin, want);
	}
	free(want);
	free(doc);
	free_exposition(&x);
}

/* The labels of containers, and what serve reports about itself, in both formats. */
static void all_is_reported(void **state)
{
	struct exposition x;

	(void)state;
	for (int om = 0; om < 2; om++) {
		scrape_all(&x, om);
		expect(&x, "memblame_faults_total",
		       "container=\"" WORLD_ID "\",pod_uid=\"" WORLD_POD "\",runtime=\"containerd\",type=\"minor\"", 1000);
		expect(&x, "memblame_http_requests_total", "code=\"200\"", 2);
		expect(&x, "memblame_hook_quality", "family=\"fault\",question=\"cause\",hook=\"fexit\"", 0.5L);
		expect(&x, "memblame_hook_quality", "question=\"calls\",hook=\"none\"", 0);
		expect(&x, "memblame_overhead_ratio", "", 0.0042L);
		expect(&x, "memblame_build_info", "kernel=\"6.1.0\"", 1);
		expect(&x, "process_start_time_seconds", "", 1700000000.123L);
		free_exposition(&x);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_is_reported),
		cmocka_unit_test(alerts_name_what_there_is),
		cmocka_unit_test(dashboard_names_what_there_is),
		cmocka_unit_test(dashboard_expressions_are_valid),
		cmocka_unit_test(promtool_takes_the_metrics),
		cmocka_unit_test(promtool_takes_the_alerts),
		cmocka_unit_test(alerts_fire_and_do_not),
		cmocka_unit_test(every_alert_is_tested),
		cmocka_unit_test(documentation_is_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
