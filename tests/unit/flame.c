// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Flame graphs: folded text, exact to the byte; SVG that is valid XML whatever the names, with correct widths. */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/out.h"
#include "base/utf8.h"
#include "sinks/flame.h"
#include "unit.h"

#define LIST(...) (const char *const[]){ __VA_ARGS__ }
#define FRAMES(...) LIST(__VA_ARGS__), sizeof(LIST(__VA_ARGS__)) / sizeof(char *)
#define RETAINED 64

struct frame {
	char title[512];
	double x, width;
	int y;
};

/* The output of mb_flame_svg (svg set) or mb_flame_folded; the caller frees it. */
static char *written(bool svg, const char *title, const struct mb_flame_stack *stacks, size_t n)
{
	char path[] = "/tmp/mb-flame-XXXXXX", *text;
	struct mb_out o = { 0 };
	struct stat st;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(mb_out_to(&o, fd, path), 0);
	if (svg)
		assert_int_equal(mb_flame_svg(&o, title, stacks, n), 0);
	else
		mb_flame_folded(&o, stacks, n);
	assert_int_equal(mb_out_close(&o, NULL), 0);
	assert_int_equal(fstat(fd, &st), 0);
	text = calloc(1, (size_t)st.st_size + 1);
	assert_non_null(text);
	assert_int_equal(pread(fd, text, (size_t)st.st_size, 0), st.st_size);
	close(fd);
	return text;
}

/* ---- an XML checker: tags match, attributes are quoted, text is escaped, characters are allowed ---- */

static const char *check_reference(const char *p)
{
	static const char *const known[] = { "&amp;", "&lt;", "&gt;", "&quot;", "&apos;" };

	for (int i = 0; i < 5; i++) {
		if (!strncmp(p, known[i], strlen(known[i])))
			return p + strlen(known[i]);
	}
	fail_msg("a bare '&': %.40s", p);
	return p;
}

/* Reads from within a tag to after its '>'; sets *alone to true for <a/>. */
static const char *check_attributes(const char *p, bool *alone)
{
	for (;;) {
		p += strspn(p, " \n\t");
		*alone = *p == '/';
		if (*alone)
			p++;
		if (*p == '>')
			return p + 1;
		assert_true(!*alone && isalpha((unsigned char)*p));
		p += strcspn(p, "= <>\"");
		assert_memory_equal(p, "=\"", 2);
		for (p += 2; *p != '"';) {
			assert_true(*p && *p != '<');
			p = *p == '&' ? check_reference(p) : p + 1;
		}
		p++;
	}
}

static void check_characters(const char *p)
{
	while (*p) {
		size_t len = mb_utf8_len(p);

		if (!len || ((unsigned char)*p < 0x20 && *p != '\n' && *p != '\t') || *p == 0x7f)
			fail_msg("not a character of XML: %02x", (unsigned char)*p);
		p += len;
	}
}

static const char *check_tag(const char *p, char open[][32], int *depth)
{
	size_t len = strcspn(p + 1, " \n\t/>");
	bool alone;

	if (p[1] == '/') {
		len = strcspn(p + 2, ">");
		assert_true(*depth > 0);
		--*depth;
		assert_true(strlen(open[*depth]) == len && !strncmp(open[*depth], p + 2, len));
		return p + 2 + len + 1;
	}
	assert_true(*depth < 8 && len > 0 && len < 32 && isalpha((unsigned char)p[1]));
	memcpy(open[*depth], p + 1, len);
	open[*depth][len] = '\0';
	p = check_attributes(p + 1 + len, &alone);
	*depth += !alone;
	return p;
}

static void check_xml(const char *svg)
{
	char open[8][32];
	int depth = 0;
	const char *p = svg;

	check_characters(svg);
	assert_memory_equal(p, "<?xml ", 6);
	p = strstr(p, "?>") + 2;
	while (*p) {
		if (!strncmp(p, "<![CDATA[", 9)) {
			p = strstr(p, "]]>");
			assert_non_null(p);
			p += 3;
		} else if (*p == '<') {
			p = check_tag(p, open, &depth);
		} else {
			assert_true(strncmp(p, "]]>", 3));
			assert_true(depth > 0 || *p == '\n');
			p = *p == '&' ? check_reference(p) : p + 1;
		}
	}
	assert_int_equal(depth, 0);
}

/* ---- the drawing ---- */

static int frames_of(const char *svg, struct frame *frames)
{
	int n = 0;

	for (const char *p = svg; (p = strstr(p, "<g class=\"f\">")); p++) {
		struct frame *f = &frames[n++];

		assert_true(n <= RETAINED);
		assert_int_equal(sscanf(p, "<g class=\"f\"><title>%511[^<]</title><rect x=\"%lf\" y=\"%d\" "
					   "width=\"%lf\"", f->title, &f->x, &f->y, &f->width), 4);
	}
	return n;
}

static const struct frame *frame_named(const struct frame *frames, int n, const char *name)
{
	for (int i = 0; i < n; i++) {
		if (!strncmp(frames[i].title, name, strlen(name)) && frames[i].title[strlen(name)] == ' ')
			return &frames[i];
	}
	fail_msg("no frame '%s'", name);
	return NULL;
}

/* ---- tests ---- */

static void folded_is_exact(void **state)
{
	const struct mb_flame_stack stacks[] = {
		{ FRAMES("main", "parse", "malloc"), 4096 },
		{ FRAMES("main"), 1 },
		{ FRAMES("a;b", "c\nd\re", "", NULL), UINT64_MAX },
		{ FRAMES("main", "parse", "malloc"), 0 },
		{ NULL, 0, 7 },
	};
	char *text = written(false, NULL, stacks, 5);

	(void)state;
	assert_string_equal(text, "main;parse;malloc 4096\nmain 1\na:b;c d e;?;? 18446744073709551615\n"
				  "main;parse;malloc 0\n? 7\n");
	free(text);
	text = written(false, NULL, NULL, 0);
	assert_string_equal(text, "");
	free(text);
}

/* Names from programs and perf maps: no control characters of any kind, and valid UTF-8. */
static void folded_is_clean(void **state)
{
	const struct mb_flame_stack stacks[] = {
		{ FRAMES("\033[31mred", "\x7f\t\b", "caf\303\251", "\302\233bad", "\377\376", "\342\200\250", "cut\303"), 5 },
	};
	char *text = written(false, NULL, stacks, 1), clean[8];

	(void)state;
	assert_string_equal(text, "?[31mred;???;caf\303\251;?bad;??;?;cut? 5\n");
	free(text);
	assert_string_equal(mb_utf8_clean(clean, sizeof(clean), "a\001\303\251\200bcd"), "a?\303\251?bc");
	assert_string_equal(mb_utf8_clean(clean, 4, "ab\303\251"), "ab");
}

static void equal_frames_are_joined_and_sorted(void **state)
{
	const struct mb_flame_stack stacks[] = {
		{ FRAMES("main", "z", "leaf"), 1024 },	{ FRAMES("main", "a", "leaf"), 2048 },
		{ FRAMES("main", "z", "other"), 3072 }, { FRAMES("main"), 1024 },
		{ FRAMES("main", "a", "leaf"), 1024 },	{ FRAMES("start"), 2048 },
	};
	struct frame f[RETAINED];
	char *svg = written(true, "Title", stacks, 6);
	int n = frames_of(svg, f);
	const struct frame *all = frame_named(f, n, "all"), *main_ = frame_named(f, n, "main");
	const struct frame *a = frame_named(f, n, "a"), *z = frame_named(f, n, "z");

	(void)state;
	check_xml(svg);
	assert_int_equal(n, 8);
	assert_string_equal(all->title, "all (10.0 KiB, 100.00%)");
	assert_string_equal(main_->title, "main (8.0 KiB, 80.00%)");
	assert_string_equal(a->title, "a (3.0 KiB, 30.00%)");
	assert_true(all->x == 10 && all->width == 1180);
	assert_true(a->width == 354 && z->width == 472 && main_->width == 944);
	assert_true(a->x + a->width == z->x && z->x + z->width == main_->x + main_->width);
	/* the root is at the bottom */
	assert_true(all->y - main_->y == 16 && main_->y - a->y == 16 && a->y == z->y);
	free(svg);
}

static void children_fill_their_parent(void **state)
{
	static char names[48][16];
	struct mb_flame_stack stacks[48];
	const char *frames[48][2];
	struct frame f[RETAINED];
	double sum = 0;
	char *svg;
	int n;

	(void)state;
	for (int i = 0; i < 48; i++) {
		snprintf(names[i], sizeof(names[i]), "f%02d", (i * 29) % 48);
		frames[i][0] = "parent";
		frames[i][1] = names[i];
		stacks[i] = (struct mb_flame_stack){ frames[i], 2, 1000003ull * (uint64_t)(i + 7) };
	}
	svg = written(true, NULL, stacks, 48);
	n = frames_of(svg, f);
	assert_int_equal(n, 50);
	for (int i = 0; i < n; i++)
		sum += f[i].title[0] == 'f' ? f[i].width : 0;
	assert_true(sum > 1179.999 && sum < 1180.001);
	free(svg);
}

static void hostile_names_do_no_harm(void **state)
{
	const char *const names[] = {
		"<script>alert(1)</script>", "]]>", "\"quote' &amp; <b>", "a;b\nc\td", "\x01\x1b[31m\x7f",
		"bad \xff\xc0\xaf\xed\xa0\x80 end\xe2\x82", "\xef\xbf\xbe\xef\xbf\xbf", "\xc2\x85 c1",
		"operator<< <T&>", "\xf0\x9f\x94\xa5\xe6\xbc\xa2\xe5\xad\x97", "</title></svg>", "&",
	};
	struct mb_flame_stack stacks[12];
	char *svg;

	(void)state;
	for (int i = 0; i < 12; i++)
		stacks[i] = (struct mb_flame_stack){ &names[i], i < 9 ? 3 : (size_t)(12 - i), 4096 };
	svg = written(true, "<&\"'> \xff]]>\n", stacks, 12);
	check_xml(svg);
	assert_non_null(strstr(svg, "<title>&lt;script&gt;alert(1)&lt;/script&gt; ("));
	assert_null(strstr(svg, "<script>alert"));
	assert_non_null(strstr(svg, "<title>]]&gt; ("));
	assert_non_null(strstr(svg, "<title>a;b\xef\xbf\xbd" "c\xef\xbf\xbd" "d ("));
	assert_non_null(strstr(svg, "bad \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
				    "\xef\xbf\xbd end"));
	assert_non_null(strstr(svg, "<title>\xf0\x9f\x94\xa5\xe6\xbc\xa2\xe5\xad\x97 ("));
	free(svg);
}

/* The output is valid XML whatever bytes the names have. */
static void any_bytes_stay_xml(void **state)
{
	char bytes[8][40];
	const char *names[8];
	struct mb_flame_stack stacks[8];

	(void)state;
	srandom(11);
	for (int round = 0; round < 300; round++) {
		for (int i = 0; i < 8; i++) {
			size_t len = (size_t)random() % 39;

			for (size_t j = 0; j < len; j++)
				bytes[i][j] = random() % 3 ? "<>&\"']![;-"[random() % 10] :
							     (char)(random() % 255 + 1);
			bytes[i][len] = '\0';
			names[i] = bytes[i];
			stacks[i] = (struct mb_flame_stack){ names, (size_t)i + 1, (uint64_t)random() };
		}
		char *svg = written(true, bytes[0], stacks, 8);

		check_xml(svg);
		free(svg);
	}
}

static void text_is_cut_to_its_frame(void **state)
{
	const char *name = "a_function_with_quite_a_long_name_that_has_no_room";
	const struct mb_flame_stack stacks[] = { { &name, 1, 100 },
						 { FRAMES("wide"), 900 },
						 { FRAMES("x"), 10 } };
	char *svg = written(true, NULL, stacks, 3), *p = strstr(svg, ">a_function_with_");

	(void)state;
	check_xml(svg);
	assert_non_null(strstr(svg, "<title>a_function_with_quite_a_long_name_that_has_no_room ("));
	p = strstr(p + 1, ">a_f");
	assert_non_null(p);
	/* 116.83 pixels, 3 left free on each side, 7.23 a character */
	assert_memory_equal(p, ">a_function_wi..</text>", 23);
	assert_non_null(strstr(svg, "></text></g>"));
	free(svg);
}

static void narrow_frames_are_left_out(void **state)
{
	const struct mb_flame_stack stacks[] = { { FRAMES("big"), 1000000 },
						 { FRAMES("tiny", "deep"), 100 } };
	struct frame f[RETAINED];
	char *svg = written(true, NULL, stacks, 2);

	(void)state;
	check_xml(svg);
	assert_int_equal(frames_of(svg, f), 2);
	assert_null(strstr(svg, "tiny"));
	/* frames not shown do not make the image higher */
	assert_non_null(strstr(svg, "height=\"126\""));
	free(svg);
}

static void deep_stacks_are_bounded(void **state)
{
	static const char *frames[2][5000];
	const struct mb_flame_stack stacks[] = { { frames[0], 5000, 10 },
						 { frames[1], 5000, 30 },
						 { frames[0], 100, 5 } };
	char *svg;
	int n = 0;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		frames[0][i] = "r";
		frames[1][i] = i < 4000 ? "r" : "s";
	}
	svg = written(true, NULL, stacks, 3);
	check_xml(svg);
	for (const char *p = svg; (p = strstr(p, "<g class=\"f\">")); p++)
		n++;
	assert_int_equal(n, 257);
	assert_non_null(strstr(svg, "<title>r (40 B, 88.89%)"));
	free(svg);
}

static void nothing_to_show_is_said(void **state)
{
	const struct mb_flame_stack none[] = { { FRAMES("main"), 0 } };
	char *svg = written(true, "Empty", NULL, 0);

	(void)state;
	check_xml(svg);
	assert_non_null(strstr(svg, "No stacks"));
	free(svg);
	svg = written(true, "Empty", none, 1);
	check_xml(svg);
	assert_non_null(strstr(svg, "No stacks"));
	free(svg);
}

static void sums_do_not_wrap(void **state)
{
	const struct mb_flame_stack stacks[] = { { FRAMES("a"), UINT64_MAX - 5 }, { FRAMES("b"), 100 } };
	char *svg = written(true, NULL, stacks, 2);

	(void)state;
	check_xml(svg);
	assert_non_null(strstr(svg, "<title>a ("));
	free(svg);
}

static void the_same_stacks_are_the_same_picture(void **state)
{
	const struct mb_flame_stack one[] = { { FRAMES("a", "b"), 3 },
					      { FRAMES("a", "c"), 4 },
					      { FRAMES("d"), 5 } };
	const struct mb_flame_stack two[] = { one[2], one[1], one[0] };
	char *x = written(true, "t", one, 3), *y = written(true, "t", two, 3);

	(void)state;
	assert_string_equal(x, y);
	assert_null(strstr(x, "href"));
	assert_null(strstr(x, "src="));
	free(x);
	free(y);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(folded_is_exact),
		cmocka_unit_test(folded_is_clean),
		cmocka_unit_test(equal_frames_are_joined_and_sorted),
		cmocka_unit_test(children_fill_their_parent),
		cmocka_unit_test(hostile_names_do_no_harm),
		cmocka_unit_test(any_bytes_stay_xml),
		cmocka_unit_test(text_is_cut_to_its_frame),
		cmocka_unit_test(narrow_frames_are_left_out),
		cmocka_unit_test(deep_stacks_are_bounded),
		cmocka_unit_test(nothing_to_show_is_said),
		cmocka_unit_test(sums_do_not_wrap),
		cmocka_unit_test(the_same_stacks_are_the_same_picture),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
