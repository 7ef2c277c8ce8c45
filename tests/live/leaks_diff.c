// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* leaks --diff: the memory at each of two moments, even if it was mapped after the first or is gone at the end. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "live.h"
#include "scripted_workload.h"

#define HELD (SCRIPTED_HELD_PAGES * 4096ll)
#define WAIT_S 60

/* Waits for an interval's document that satisfies the condition. */
static void wait_for(const struct live_bg *bg, bool (*holds)(const json_t *doc))
{
	for (int i = 0; i < WAIT_S * 20; i++, usleep(50000)) {
		char *text = live_slurp(bg->out_path, NULL), *end = strrchr(text, '\n');
		json_t *doc;
		bool found;

		if (!end) {
			free(text);
			continue;
		}
		end[1] = '\0'; /* the last line may be incomplete */
		doc = live_last_json(text);
		found = holds(doc);
		json_decref(doc);
		free(text);
		if (found)
			return;
	}
	live_fail("waited %d s in vain", WAIT_S);
}

static bool first_has_passed(const json_t *doc)
{
	return live_int(doc, "compared.from_ns") >= 2000000000;
}

static bool second_has_passed(const json_t *doc)
{
	return live_int(doc, "compared.to_ns") >= 8000000000;
}

static void test_what_is_freed_later(void **state)
{
	struct scripted *p = scripted_new();
	struct live_bg *bg = live_start(
		LIVE_ARGV("leaks", "-p", p->text, "-i", "0.5", "--diff", "2,8", "--json"));
	long long regions = 0, pages = 0;
	struct live_result *r;
	json_t *doc, *g, *e;
	size_t i, k;

	(void)state;
	wait_for(bg, first_has_passed);
	scripted_do(p, "m");
	wait_for(bg, second_has_passed);
	scripted_do(p, "u");
	usleep(1500000);
	r = live_stop(bg);
	doc = live_last_json(r->out);
	json_array_foreach(live_get(doc, "groups"), i, g) {
		if (live_int(g, "growth_bytes") < HELD / 2)
			continue;
		assert_string_equal(live_str(g, "level"), "region");
		live_equal("from_bytes", live_int(g, "from_bytes"), 0);
		live_equal("to_bytes", live_int(g, "to_bytes"), live_int(g, "growth_bytes"));
		live_equal("outstanding_bytes", live_int(g, "outstanding_bytes"), 0);
		regions += live_int(g, "growth_bytes");
		/* its pages are the same memory, so they have no row of their own */
		json_array_foreach(live_get(g, "evidence"), k, e)
			pages += live_int(e, "to_bytes");
	}
	live_equal("mapped between the moments", regions, HELD);
	live_near("touched between the moments", pages, HELD, HELD / 5);
	live_result_free(r);
	json_decref(doc);
	scripted_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_freed_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
