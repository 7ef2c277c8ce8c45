// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Metrics: the sums are right at every tick whatever processes and cgroups do, and stay bounded. */
#include <time.h>

#include "metrics_world.h"

/* What the test itself did. */
struct truth {
	uint64_t minor, major, mmap_bytes, stall_ns, stalls, dirtied_pages, kills;
};

#define PROCESSES 60

struct churn {
	struct world w;
	struct mb_process *p[PROCESSES];
	struct truth truth;
	uint32_t tgid;
	uint64_t born;
	unsigned int seed;
};

static unsigned int any(struct churn *c, unsigned int n)
{
	return (unsigned int)rand_r(&c->seed) % n;
}

static const char *any_cgroup(struct churn *c, char *buf)
{
	if (any(c, 15) == 0)
		return NULL;
	sprintf(buf, "/kube/pod%u", any(c, 25));
	return buf;
}

static void work(struct churn *c, struct mb_process *p)
{
	struct truth *t = &c->truth;
	uint64_t n = any(c, 10) ? any(c, 50) : any(c, 100000);
	unsigned int stall = slot_of("stalls", any(c, 2) ? "direct_reclaim" : "file_io");

	p->minor += n;
	p->major += n / 3;
	p->values[slot_of("vma", "mmap_bytes")] += n * 4096;
	p->values[stall]++;
	p->values[stall + 1] += n * 1000;
	p->values[slot_of("writeback", "dirtied_pages")] += n / 2;
	p->rss_pages[1] = any(c, 100000);
	t->minor += n;
	t->major += n / 3;
	t->mmap_bytes += n * 4096;
	t->stalls++;
	t->stall_ns += n * 1000;
	t->dirtied_pages += n / 2;
}

/* The process ends. Sometimes it leaves the model before the next tick, and its last counts must not be lost. */
static void leave(struct churn *c, int i)
{
	struct mb_process *p = c->p[i];

	p->exited = true;
	c->p[i] = NULL;
	if (any(c, 2)) {
		work(c, p);
		mb_model_forget_ended(&c->w.model, 0);
	}
}

/* A pid is used again, but not while it is in use. */
static uint32_t free_number(struct churn *c)
{
	bool used;

	do {
		c->tgid = (c->tgid + 1) % 90;
		used = false;
		for (int i = 0; i < PROCESSES; i++)
			used |= c->p[i] && c->p[i]->tgid == 100 + c->tgid;
	} while (used);
	return 100 + c->tgid;
}

static void change(struct churn *c)
{
	char buf[64];

	for (int i = 0; i < PROCESSES; i++) {
		struct mb_process *p = c->p[i];

		if (!p && any(c, 4) == 0) {
			p = born(&c->w, free_number(c), ++c->born, any_cgroup(c, buf));
			c->p[i] = p;
		}
		if (!p)
			continue;
		if (any(c, 3))
			work(c, p);
		if (any(c, 20) == 0)
			move_to(p, any_cgroup(c, buf));
		if (any(c, 40) == 0)
			sprintf(p->comm, "c%u", any(c, 3));
		if (any(c, 12) == 0)
			leave(c, i);
	}
	if (any(c, 10) == 0) {
		mb_metrics_oom(c->w.metrics, any_cgroup(c, buf), any(c, 2) ? "memcg" : "never heard of");
		c->truth.kills++;
	}
}

static void nothing_fell(const struct exposition *before, const struct exposition *now)
{
	struct series *s, *tmp, *is;

	HASH_ITER(hh, before->series, s, tmp)
	{
		HASH_FIND_STR(now->series, s->key, is);
		if (is && strcmp(s->type, "gauge") != 0 && is->value < s->value)
			fail_msg("%s fell from %Lf to %Lf", s->key, s->value, is->value);
	}
}

static void sums_are_those(const struct exposition *x, const struct truth *t)
{
	expect(x, "memblame_faults_total", "type=\"minor\"", t->minor);
	expect(x, "memblame_faults_total", "type=\"major\"", t->major);
	expect(x, "memblame_vma_mmap_bytes_total", "", t->mmap_bytes);
	expect(x, "memblame_stalls_total", "", t->stalls);
	expect(x, "memblame_stall_seconds_total", "", (long double)t->stall_ns / 1e9L);
	expect(x, "memblame_writeback_dirtied_bytes_total", "", t->dirtied_pages * 4096);
	expect(x, "memblame_oom_kills_total", "", t->kills);
	expect(x, "memblame_process_minor_faults_total", "", t->minor);
	expect(x, "memblame_process_major_faults_total", "", t->major);
	expect(x, "memblame_process_stall_seconds_total", "", (long double)t->stall_ns / 1e9L);
	expect(x, "memblame_process_dirtied_bytes_total", "", t->dirtied_pages * 4096);
}

static void gauges_are_right(const struct exposition *x, const struct mb_model *m)
{
	const struct mb_process *p;
	uint64_t pages = 0, n = 0;

	DL_FOREACH(m->all, p)
	{
		pages += p->exited ? 0 : p->rss_pages[1];
		n += !p->exited;
	}
	expect(x, "memblame_memory_bytes", "kind=\"anon\"", pages * 4096);
	expect(x, "memblame_process_resident_bytes", "", pages * 4096);
	expect(x, "memblame_processes", "", n);
}

static void bounds_hold(const struct exposition *x, const struct mb_metrics *m)
{
	unsigned int n;

	sum_of(x, "memblame_processes", "", &n);
	assert_true(n <= m->config.cgroups + 3);
	for (int i = 0; i < MB_QUANTITIES; i++)
		assert_true(m->quantities[i].topk_slots <= m->config.top);
	sum_of(x, "memblame_process_minor_faults_total", "", &n);
	assert_true(n <= m->config.top + 1);
}

static void churn_once(unsigned int seed)
{
	struct exposition before = { 0 }, now;
	struct churn *c = calloc(1, sizeof(*c));

	c->seed = seed;
	world_begin(&c->w, 3, 8);
	for (int i = 0; i < 250; i++) {
		change(c);
		if (any(c, 60) == 0)
			mb_metrics_configure(c->w.metrics, &(struct mb_metrics_config){ any(c, 5), any(c, 12), true });
		tick(&c->w, (1 + any(c, any(c, 4) ? 3 : 120)) * S);
		scrape(&c->w, &now, i % 2);
		sums_are_those(&now, &c->truth);
		gauges_are_right(&now, &c->w.model);
		bounds_hold(&now, c->w.metrics);
		free_exposition(&now);
		/* both scrapes must have the same format to be compared */
		scrape(&c->w, &now, false);
		nothing_fell(&before, &now);
		free_exposition(&before);
		before = now;
	}
	assert_true(c->w.metrics->folded_cgroup_series > 0);
	assert_true(c->w.metrics->folded_topk_slots > 0);
	free_exposition(&before);
	world_end(&c->w);
	free(c);
}

static void sums_are_right_under_churn(void **state)
{
	(void)state;
	for (unsigned int seed = 1; seed <= 4; seed++)
		churn_once(seed);
}

static void ten_thousand_cgroups(void **state)
{
	struct exposition x;
	struct world w;
	size_t len = 0;
	char path[64];
	unsigned int n;

	(void)state;
	world_begin(&w, 5, 100);
	for (unsigned int i = 0; i < 10000; i++) {
		struct mb_process *p;

		sprintf(path, "/jobs/%08u", i);
		p = born(&w, 1000 + i % 30000, i + 1, path);
		p->minor = 10;
		if (i % 10 != 9)
			continue;
		tick(&w, 3 * S);
		DL_FOREACH(w.model.all, p)
		p->exited = true;
		mb_model_forget_ended(&w.model, 0);
		assert_true(HASH_COUNT(w.metrics->groups) <= 103);
		assert_true(HASH_COUNT(w.metrics->tracks) <= 25);
		if (i != 4999)
			continue;
		scrape(&w, &x, false);
		len = w.text.len;
		free_exposition(&x);
	}
	scrape(&w, &x, false);
	assert_true(len && w.text.len < len + 2000);
	expect(&x, "memblame_faults_total", "type=\"minor\"", 100000);
	assert_true(sum_of(&x, "memblame_faults_total", "cgroup=\"(gone)\"", &n) > 1000);
	free_exposition(&x);
	for (int i = 0; i < 10; i++)
		tick(&w, 60 * S);
	assert_int_equal(HASH_COUNT(w.metrics->groups), 3);
	assert_int_equal(HASH_COUNT(w.metrics->tracks), 0);
	scrape(&w, &x, true);
	expect(&x, "memblame_faults_total", "type=\"minor\"", 100000);
	expect(&x, "memblame_process_minor_faults_total", "pid=\"(other)\"", 100000);
	free_exposition(&x);
	world_end(&w);
}

/* A cgroup stays for five minutes after its last process; cgroups for which there is no room count as (other). */
static void cgroups_come_and_go(void **state)
{
	struct exposition x;
	struct world w;
	struct mb_process *p;

	(void)state;
	world_begin(&w, 0, 1);
	p = born(&w, 1, 1, "/a");
	p->minor = 5;
	tick(&w, S);
	born(&w, 2, 2, "/b")->minor = 7;
	born(&w, 3, 3, NULL)->minor = 11;
	born(&w, 4, 4, "/a")->minor = 13;
	tick(&w, S);
	scrape(&w, &x, false);
	expect(&x, "memblame_faults_total", "cgroup=\"/a\",type=\"minor\"", 18);
	expect(&x, "memblame_faults_total", "cgroup=\"(other)\",type=\"minor\"", 7);
	expect(&x, "memblame_faults_total", "cgroup=\"(unknown)\",type=\"minor\"", 11);
	expect(&x, "memblame_processes", "cgroup=\"/a\"", 2);
	free_exposition(&x);
	p->exited = true;
	mb_model_find(&w.model, 4)->exited = true;
	mb_model_find(&w.model, 2)->exited = true; /* nothing else needs the slot any more */
	tick(&w, 299 * S);
	scrape(&w, &x, false);
	expect(&x, "memblame_faults_total", "cgroup=\"/a\",type=\"minor\"", 18);
	free_exposition(&x);
	tick(&w, 2 * S);
	born(&w, 5, 5, "/b")->minor = 1;
	tick(&w, 2 * S);
	scrape(&w, &x, false);
	expect(&x, "memblame_faults_total", "cgroup=\"(gone)\",type=\"minor\"", 18);
	expect(&x, "memblame_faults_total", "cgroup=\"/b\",type=\"minor\"", 1);
	expect(&x, "memblame_metrics_series_folded_total", "what=\"cgroup\"", 1);
	free_exposition(&x);
	world_end(&w);
}

/* Values that the kernel does not report have no series; values that it reports have one from the start. */
static void unknown_is_absent(void **state)
{
	struct exposition x;
	struct world w;
	unsigned int n;

	(void)state;
	world_begin(&w, 2, 10);
	born(&w, 1, 1, "/a");
	mb_field_set_unknown(w.model.unknown_slots, field_of("stalls", "file_io"));
	mb_field_set_unknown(w.model.unknown_slots, field_of("faults", "latency"));
	mb_field_set_unknown(w.model.unknown_slots, field_of("writeback", "dirtied_pages"));
	w.model.off = 1u << MB_FAM_vma;
	tick(&w, S);
	scrape(&w, &x, false);
	sum_of(&x, "memblame_stall_seconds_total", "file_io", &n);
	assert_int_equal(n, 0);
	expect(&x, "memblame_stall_seconds_total", "cgroup=\"/a\",kind=\"swap_in\"", 0);
	assert_false(said(&w, "memblame_faults_latency_seconds"));
	assert_false(said(&w, "memblame_writeback_dirtied"));
	assert_false(said(&w, "memblame_process_dirtied"));
	assert_false(said(&w, "memblame_vma"));
	assert_false(said(&w, "memblame_overhead"));
	assert_false(said(&w, "process_open_fds"));
	free_exposition(&x);
	world_end(&w);
}

/* A kill in a cgroup without processes is reported for as long as anything else that happens there. */
static void kills_keep_a_cgroup(void **state)
{
	struct exposition x;
	struct world w;

	(void)state;
	world_begin(&w, 2, 10);
	born(&w, 1, 1, "/a");
	tick(&w, S);
	mb_model_find(&w.model, 1)->exited = true;
	tick(&w, 290 * S);
	mb_metrics_oom(w.metrics, "/a", "memcg");
	mb_metrics_oom(w.metrics, NULL, NULL);
	tick(&w, 290 * S);
	scrape(&w, &x, false);
	expect(&x, "memblame_oom_kills_total", "cgroup=\"/a\",constraint=\"memcg\"", 1);
	expect(&x, "memblame_oom_kills_total", "cgroup=\"/a\",constraint=\"global\"", 0);
	expect(&x, "memblame_oom_kills_total", "cgroup=\"(unknown)\",constraint=\"unknown\"", 1);
	free_exposition(&x);
	tick(&w, 20 * S);
	scrape(&w, &x, false);
	expect(&x, "memblame_oom_kills_total", "cgroup=\"(gone)\",constraint=\"memcg\"", 1);
	free_exposition(&x);
	world_end(&w);
}

static void histograms_keep_what_is_gone(void **state)
{
	const struct mb_field *stall = field_of("stalls", "fsync");
	struct exposition x;
	struct mb_process *p;
	struct world w;

	(void)state;
	world_begin(&w, 2, 10);
	p = born(&w, 1, 1, "/a");
	mb_process_hist_add(p, field_of("faults", "latency"), 1000, 64, 64);
	mb_process_hist_add(p, field_of("faults", "latency"), 20000, 2, 64);
	mb_process_hist_add(p, stall, 30 * S, 1, 1);
	p->values[mb_slot(stall)] = 1;
	p->values[mb_slot(stall) + 1] = 30 * S;
	tick(&w, S);
	for (int gone = 0; gone < 2; gone++) {
		scrape(&w, &x, gone);
		expect(&x, "memblame_faults_latency_seconds_bucket", "le=\"1.024e-06\"", 64);
		expect(&x, "memblame_faults_latency_seconds_bucket", "le=\"1.6384e-05\"", 64);
		expect(&x, "memblame_faults_latency_seconds_bucket", "le=\"6.5536e-05\"", 66);
		expect(&x, "memblame_faults_latency_seconds_count", "", 66);
		expect(&x, "memblame_stall_length_seconds_bucket", "kind=\"fsync\",le=\"17.179869184\"", 0);
		expect(&x, "memblame_stall_length_seconds_bucket", "kind=\"fsync\",le=\"+Inf\"", 1);
		expect(&x, "memblame_stall_length_seconds_sum", "kind=\"fsync\"", 30);
		free_exposition(&x);
		if (gone)
			break;
		p->exited = true;
		mb_model_forget_ended(&w.model, 0);
		tick(&w, S);
	}
	world_end(&w);
}

/* The rest of a total can shrink once a process has ended; the counter already reported must not. */
static void shrinking_is_paid_later(void **state)
{
	unsigned int other = slot_of("vma", "munmap_bytes");
	struct exposition x;
	struct mb_process *p;
	struct world w;

	(void)state;
	world_begin(&w, 2, 10);
	p = born(&w, 1, 1, "/a");
	p->values[other] = 100;
	tick(&w, S);
	p->values[other] = 90;
	tick(&w, S);
	scrape(&w, &x, false);
	expect(&x, "memblame_vma_munmap_bytes_total", "/a", 100);
	free_exposition(&x);
	p->values[other] = 115;
	tick(&w, S);
	scrape(&w, &x, false);
	expect(&x, "memblame_vma_munmap_bytes_total", "/a", 115);
	free_exposition(&x);
	world_end(&w);
}

/* Names that a text format must escape, and how they look in it. */
static void hostile_names_are_read_back(void **state)
{
	char *longest = malloc(4001), buf[8192];
	const char *const names[][2] = {
		{ "/plain", "/plain" },
		{ "/a \"quoted\" \\name\\", "/a \"quoted\" \\name\\" },
		{ "/two\nlines\r\t\x01\x7f", "/two?lines????" },
		{ "/\xff\xfe bad \xc3", "/\xef\xbf\xbd\xef\xbf\xbd bad \xef\xbf\xbd" },
		{ "/\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa7", "/\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa7" },
		{ "/c1 \xc2\x85 end", "/c1 ? end" },
		{ "/\"} 1\nmemblame_faults_total{cgroup=\"x", "/\"} 1?memblame_faults_total{cgroup=\"x" },
		{ "", "/" },
		{ longest, longest },
	};
	struct exposition x;
	struct world w;
	unsigned int found = 0;

	(void)state;
	memset(longest, 'x', 4000);
	longest[4000] = '\0';
	world_begin(&w, 20, 50);
	for (unsigned int i = 0; i < MB_ARRAY_SIZE(names); i++)
		memcpy(born(&w, 10 + i, 10 + i, names[i][0])->comm, "\"\n\\\xff}{=,\x1b[31m \xc3", 16);
	/* two that look the same are one series */
	born(&w, 90, 90, "/two\nlines\r\t\x02\x7f");
	for (int i = 0; i < 9; i++) {
		struct mb_process *p;

		DL_FOREACH(w.model.all, p)
		p->minor += 10;
		tick(&w, S);
	}
	for (int om = 0; om < 2; om++) {
		const struct series *s, *tmp;

		scrape(&w, &x, om);
		for (unsigned int i = 0; i < MB_ARRAY_SIZE(names); i++) {
			found = 0;
			HASH_ITER(hh, x.series, s, tmp)
			{
				if (strcmp(s->name, "memblame_faults_total") || !strstr(s->labels, "minor"))
					continue;
				label_of(s->labels, "cgroup", buf, sizeof(buf));
				found += strcmp(buf, names[i][1]) == 0;
			}
			assert_int_equal(found, 1);
		}
		found = 0;
		HASH_ITER(hh, x.series, s, tmp)
		{
			if (strcmp(s->name, "memblame_process_minor_faults_total") || !label_of(s->labels, "comm", buf, sizeof(buf)))
				continue;
			found += strncmp(buf, "\"?\\\xef\xbf\xbd}{=,?[31m", 15) == 0;
		}
		assert_true(found >= 3);
		free_exposition(&x);
	}
	free(longest);
	world_end(&w);
}

static void this_process_is_known(void **state)
{
	struct mb_metrics_self self;

	(void)state;
	mb_metrics_self_init(&self);
	mb_metrics_self_process(&self);
	assert_true(self.rss_bytes > 100000 && self.rss_bytes != MB_UNKNOWN);
	assert_true(self.open_fds >= 3 && self.open_fds < 1000);
	assert_true(self.max_fds >= self.open_fds);
	assert_true(self.cpu_ns > 0 && self.cpu_ns < 1000 * S);
	assert_true(self.start_ms / 1000 <= (uint64_t)time(NULL));
	assert_true(self.start_ms / 1000 + 3600 > (uint64_t)time(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_are_right_under_churn),
		cmocka_unit_test(ten_thousand_cgroups),
		cmocka_unit_test(cgroups_come_and_go),
		cmocka_unit_test(unknown_is_absent),
		cmocka_unit_test(kills_keep_a_cgroup),
		cmocka_unit_test(histograms_keep_what_is_gone),
		cmocka_unit_test(shrinking_is_paid_later),
		cmocka_unit_test(hostile_names_are_read_back),
		cmocka_unit_test(this_process_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
