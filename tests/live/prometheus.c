// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * A real Prometheus scrapes serve and answers PromQL queries. Its numbers must match the kernel's and
 * memblame's own.
 */
#include "serving.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scripted_workload.h"

static struct serving serving;
static int port;

static struct live_bg *start_prometheus(void)
{
	char listen[64], config[300], data[300];
	FILE *f;

	port = free_port();
	snprintf(listen, sizeof(listen), "--web.listen-address=127.0.0.1:%d", port);
	snprintf(config, sizeof(config), "--config.file=%s", live_path("prometheus.yml"));
	snprintf(data, sizeof(data), "--storage.tsdb.path=%s", live_path("tsdb"));
	f = fopen(live_path("prometheus.yml"), "we");
	assert_non_null(f);
	fprintf(f, "global: { scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms }\n"
		"rule_files: [ '%s' ]\n"
		"scrape_configs:\n- job_name: memblame\n  static_configs: [ { targets: [ '127.0.0.1:%d' ] } ]\n",
		ALERTS_FILE, serving.port);
	assert_int_equal(fclose(f), 0);
	return live_spawn(LIVE_ARGV("prometheus", config, data, listen, "--log.level=warn"));
}

/* GET from the Prometheus API; NULL if it does not answer (yet). */
static json_t *ask(const char *path, const char *query)
{
	char url[256], data[512];
	struct live_result *r;
	json_t *doc = NULL;

	snprintf(url, sizeof(url), "http://127.0.0.1:%d/api/v1/%s", port, path);
	snprintf(data, sizeof(data), "query=%s", query);
	r = live_exec(LIVE_ARGV("curl", "-s", "-m", "10", "-G", url, "--data-urlencode", data), NULL);
	if (!r->status)
		doc = json_loads(r->out, 0, NULL);
	live_result_free(r);
	return doc;
}

/* The value of a query with a single result; -1: no result. */
static double value(const char *query)
{
	json_t *doc = ask("query", query), *results;
	double v = -1;

	if (!doc)
		return -1;
	results = live_get(doc, "data.result");
	if (json_array_size(results) > 1)
		live_fail("%s: more than one result", query);
	if (json_array_size(results) == 1)
		v = atof(json_string_value(json_array_get(live_get(json_array_get(results, 0), "value"), 1)));
	json_decref(doc);
	return v;
}

/* Waits until the query has the wanted value; scrapes come every half second. */
static void wait_value(const char *query, double wanted)
{
	double v = -1;

	for (int i = 0; i < 150 && v != wanted; i++) {
		v = value(query);
		if (v != wanted)
			usleep(200000);
	}
	if (v != wanted)
		live_fail("%s: %.17g, want %.17g", query, v, wanted);
}

static void check_targets(void)
{
	json_t *doc = ask("targets", ""), *target;
	size_t i;

	json_array_foreach(live_get(doc, "data.activeTargets"), i, target) {
		assert_string_equal(live_str(target, "lastError"), "");
		assert_string_equal(live_str(target, "health"), "up");
	}
	live_equal("targets", (long long)json_array_size(live_get(doc, "data.activeTargets")), 1);
	json_decref(doc);
}

/* The series suffice to compute all alert rules. */
static void check_rules(void)
{
	json_t *doc = ask("rules", ""), *rule_group, *rule;
	size_t i, j, n = 0;

	json_array_foreach(live_get(doc, "data.groups"), i, rule_group)
		json_array_foreach(live_get(rule_group, "rules"), j, rule) {
			if (strcmp(live_str(rule, "health"), "ok") != 0)
				live_fail("%s is %s", live_str(rule, "name"), live_str(rule, "health"));
			n++;
		}
	assert_true(n > 0);
	json_decref(doc);
}

static void test_scraped(void **state)
{
	struct scripted *p = scripted_new();
	char faults[200], query[512], *text;
	struct live_bg *prometheus;
	struct live_result *r;
	double before;

	(void)state;
	serving_open_group(1ul << 30);
	r = live_exec(LIVE_ARGV("prometheus", "--version"), NULL);
	if (r->status == 127)
		live_skip("there is no prometheus");
	live_result_free(r);
	assert_true(sandbox_cgroup_add(&serving_group, p->pid));
	serving_prepare(&serving, "scraped", "interval = 200ms\n");
	serving_start(&serving, NULL);
	serving_wait_ticks(&serving, 2);
	prometheus = start_prometheus();
	wait_value("up{job=\"memblame\"}", 1);
	snprintf(faults, sizeof(faults), "sum(memblame_faults_total{cgroup=\"%s\"})", serving_group.path);
	text = serving_get_ok(&serving, "/metrics", false);
	snprintf(query, sizeof(query), "cgroup=\"%s\"", serving_group.path);
	before = metric_sum(text, "memblame_faults_total", LIVE_ARGV(query), NULL);
	free(text);
	wait_value(faults, before);
	before -= (double)scripted_faults(p);
	/* the PromQL result matches what the kernel counted meanwhile */
	scripted_do(p, "ast");
	wait_value(faults, before + (double)scripted_faults(p));
	scripted_do(p, "sa");
	wait_value(faults, before + (double)scripted_faults(p));
	/* and memblame's own count at the same moment: no process in the group does anything now */
	text = serving_get_ok(&serving, "/metrics", false);
	live_equal("by scrape", (long long)value(faults),
		   (long long)metric_sum(text, "memblame_faults_total", LIVE_ARGV(query), NULL));
	free(text);
	/* per-process and per-cgroup counters: within one scrape, both count the same faults */
	wait_value("sum(memblame_faults_total{type=\"minor\"}) - sum(memblame_process_minor_faults_total)", 0);
	snprintf(query, sizeof(query), "memblame_threads{cgroup=\"%s\"}", serving_group.path);
	wait_value(query, (double)live_proc_status(p->pid, "Threads"));
	check_targets();
	check_rules();
	kill(prometheus->pid, SIGTERM);
	live_result_free(live_wait(prometheus));
	serving_stop(&serving);
	scripted_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_scraped, serving_tidy),
	};

	return cmocka_run_group_tests_name("prometheus", tests, NULL, NULL);
}
