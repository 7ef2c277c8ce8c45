// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Pages of memory whose state does not follow from its faults alone: read-only, moved, freed, huge, shared,
 * reserved. The reported size of the leak must match smaps within five standard errors (exceeded once in two
 * million runs).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "leaking.h"

#define MIB "192"
#define SLACK (1 << 20) /* memory of the program and its libraries besides */

static void check(const char *name)
{
	struct live_result *result = live_memblame(
		LIVE_ARGV("leaks", "--json", "--", live_workload("resident"), name, MIB, "2"));
	json_t *truth, *document, *group;
	double variance = 0, error;
	long long bytes = 0;
	char *line;
	size_t i;

	live_equal(name, result->status, 0);
	line = strstr(result->out, "{\"schema\"");
	assert_non_null(line);
	document = live_json(line);
	*line = '\0';
	truth = live_json(strchr(result->out, '{'));
	json_array_foreach(leaking_views(document), i, group) {
		if (strcmp(live_str(group, "level"), "page") || live_int(group, "pid") != live_int(truth, "pid"))
			continue;
		error = (double)live_int(group, "error_bytes");
		variance += error * error;
		bytes += live_int(group, "outstanding_bytes");
	}
	live_near(name, bytes, live_int(truth, "rss_bytes"), (long long)(5 * sqrt(variance)) + SLACK);
	json_decref(document);
	json_decref(truth);
	live_result_free(result);
}

#define STATE(function, name)                       \
	static void function(void **state)          \
	{                                           \
		(void)state;                        \
		check(name);                        \
	}

STATE(test_zeros, "zeros")
STATE(test_huge_zeros, "huge-zeros")
STATE(test_huge, "huge")
STATE(test_moved, "moved")
STATE(test_grown, "grown")
STATE(test_unneeded, "unneeded")
STATE(test_freed, "freed")
STATE(test_shared, "shared")
STATE(test_reserved, "reserved")
STATE(test_forked, "forked")

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zeros),	  cmocka_unit_test(test_huge_zeros), cmocka_unit_test(test_huge),
		cmocka_unit_test(test_moved),	  cmocka_unit_test(test_grown),	     cmocka_unit_test(test_unneeded),
		cmocka_unit_test(test_freed),	  cmocka_unit_test(test_shared),     cmocka_unit_test(test_reserved),
		cmocka_unit_test(test_forked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
