// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Verdicts of groups beside their process: what its own memory, address space and heap do not show as growth is no
 * leak; many places that grow together are a store that fills as well; and what has grown for all of its known life is
 * not as sure as what began before anyone looked. The rules and what they are worth: docs/families/vma.md.
 */
#include "leaks/verdict.h"

#include <math.h>
#include <string.h>

#include "leaks/blocks.h"

/* Of the growth of groups, the whole must show so much. */
#define BORNE_OUT 0.5

/* So many places, each with this share of the fastest one's slope, grow together; a program that keeps all it allocates
 * is no store at work. */
#define PLACES 3
#define PLACE_SHARE 0.1
#define KEEPS_ALL 0.9

/* A process is old when it was there for so many times the time watched; its growth, when it has had so much of it. */
#define OLD 3
#define HAD_BEFORE 0.3

/* Less than this in the last half of the time, or rates that fall like that: what fills does. */
#define LATE_SHARE 0.42
#define RATE_FALLS (-2.33)
#define RATE_FALLS_TOGETHER (-1.0) /* where many places grow together */
#define LATE_SHARE_SURE 0.45 /* less: not sure */

/* Growth of less than so much of the process: not sure; of a process that is not old, no leak yet. */
#define LITTLE 0.06
#define LITTLE_YOUNG 0.01

/* Watched for less, what fills within minutes looks even. */
#define SURE_AFTER_NS 30e9

/* How sure one can be of growth that has gone on for as long as it is known: a cache that fills evenly is the same. */
#define SURE_YOUNG 0.85

/* Growth that began late is a leak when it has lasted as long as there was none, or for so long. */
#define LONG_NS 90e9
/* As late counts a life of so long without it. */
#define QUIET_NS 30000000000ull
/* Of what a life of such growth would have made, it must have so much: what it holds else counts, too. */
#define HAD_SINCE_START 0.8

/* Growth of blocks below this is not looked for in what is resident: that varies as much. */
#define OWN_SHOWS (1 << 20)

/* The kernel's count of what is resident lags behind by so much, per-CPU parts and all. */
#define HEIGHT_ERROR (256u << 10)

/* The heap of a runtime with a collector has been collected when it has become so much larger. */
#define COLLECTED 1.0

static void downgrade(struct mb_trend *t, enum mb_missing missing)
{
	t->verdict = MB_VERDICT_GROWING;
	t->missing = missing;
	t->confidence = fmin(t->confidence, SURE_YOUNG);
}

static bool is_leak_of(const struct mb_leak_row *r, const struct mb_leak_space *sp,
		       enum mb_leak_level level)
{
	return r->trend.verdict == MB_VERDICT_LEAK && r->group->key.level == level &&
	       r->group->key.tgid == sp->tgid && r->group->key.start_ns == sp->start_ns;
}

/* The leaks of one level, together: what they grew by, and since when. */
struct together {
	double growth;
	uint64_t from_ns;
	int64_t fastest;
	unsigned int places;
};

/* Which rows: is_leak_of(), or a part of those. */
typedef bool (*rows_of)(const struct mb_leak_row *r, const struct mb_leak_space *sp, enum mb_leak_level level);

static struct together sum_of(const struct mb_leaks_view *v, const struct mb_leak_space *sp,
			      enum mb_leak_level level, rows_of is_one)
{
	struct together t = { .from_ns = UINT64_MAX };

	for (size_t i = 0; i < v->n_rows; i++) {
		const struct mb_leak_row *r = &v->rows[i];

		if (!is_one(r, sp, level))
			continue;
		t.growth += r->trend.growth_bytes;
		t.from_ns = r->trend.from_ns < t.from_ns ? r->trend.from_ns : t.from_ns;
		t.fastest = r->trend.slope_bytes_per_s > t.fastest ? r->trend.slope_bytes_per_s :
								     t.fastest;
	}
	for (size_t i = 0; i < v->n_rows; i++) {
		if (is_one(&v->rows[i], sp, level) &&
		    (double)v->rows[i].trend.slope_bytes_per_s >= PLACE_SHARE * (double)t.fastest)
			t.places++;
	}
	return t;
}

static void downgrade_all(struct mb_leaks_view *v, const struct mb_leak_space *sp,
			  enum mb_leak_level level, enum mb_missing missing)
{
	for (size_t i = 0; i < v->n_rows; i++) {
		if (is_leak_of(&v->rows[i], sp, level))
			downgrade(&v->rows[i].trend, missing);
	}
}

/* What many places fill together, at a rate that is not quite even. */
static void downgrade_uneven(struct mb_leaks_view *v, const struct mb_leak_space *sp,
			     enum mb_leak_level level)
{
	for (size_t i = 0; i < v->n_rows; i++) {
		struct mb_trend *t = &v->rows[i].trend;

		if (is_leak_of(&v->rows[i], sp, level) &&
		    (t->late_share < LATE_SHARE_SURE || t->rate_trend < RATE_FALLS_TOGETHER))
			downgrade(t, MB_MISSING_ONE_PLACE);
	}
}

/* Does the whole show what its parts are said to grow by? A series that has not begun says nothing. */
static bool is_borne_out(const struct mb_trend_series *whole, const struct together *t)
{
	return whole->n < 2 || mb_trend_grown(whole, t->from_ns) >= BORNE_OUT * t->growth;
}

/*
 * Blocks that the heap as a whole has more of are a leak where the process has more memory, too: what it freed earlier may
 * be what they lie in.
 */
static bool blocks_borne_out(const struct mb_leak_space *sp, const struct together *t)
{
	return is_borne_out(&sp->whole.net, t) &&
	       (t->growth < OWN_SHOWS || is_borne_out(&sp->whole.own, t) ||
		is_borne_out(&sp->whole.mapped, t));
}

/* Many places in a program that also gives back: as where a store is filled by what it is asked to keep. */
static bool may_fill(const struct mb_leak_space *sp, enum mb_leak_level level,
		     const struct together *t)
{
	double kept = (double)sp->allocated - (double)sp->freed;

	if (t->places < PLACES)
		return false;
	return level != MB_LEAK_ALLOC || kept < KEEPS_ALL * (double)sp->allocated;
}

static void check_level(struct mb_leaks_view *v, const struct mb_leak_space *sp,
			enum mb_leak_level level)
{
	struct together t = sum_of(v, sp, level, is_leak_of);

	if (!t.places)
		return;
	if (level == MB_LEAK_ALLOC && !blocks_borne_out(sp, &t))
		downgrade_all(v, sp, level, MB_MISSING_OWN_GROWTH);
	else if (level == MB_LEAK_PAGE && !is_borne_out(&sp->whole.own, &t))
		downgrade_all(v, sp, level, MB_MISSING_OWN_GROWTH);
	else if (level != MB_LEAK_ALLOC && !is_borne_out(&sp->whole.mapped, &t))
		downgrade_all(v, sp, level,
			      level == MB_LEAK_PAGE ? MB_MISSING_ROOM : MB_MISSING_OWN_GROWTH);
	else if (may_fill(sp, level, &t))
		downgrade_uneven(v, sp, level);
}

/* ---- blocks ---- */

/* Does anything that its allocator gave out grow? */
static bool blocks_grow(const struct mb_leaks_view *v, uint32_t tgid)
{
	for (size_t i = 0; i < v->n_rows; i++) {
		const struct mb_leak_row *r = &v->rows[i];

		if (r->group->key.level == MB_LEAK_ALLOC && r->group->key.tgid == tgid &&
		    r->trend.verdict >= MB_VERDICT_GROWING)
			return true;
	}
	return false;
}

/* Pages and heap of an allocator's, taken for a leak. */
static bool is_leak_of_allocator(const struct mb_leak_row *r, const struct mb_leak_space *sp,
				 enum mb_leak_level level)
{
	return r->allocators && is_leak_of(r, sp, level) &&
	       (level == MB_LEAK_PAGE || r->group->key.kind == MB_REGION_HEAP);
}

/*
 * Has the allocator given out as much more as it has taken of that level? What is followed may be a part of that only: the
 * table of blocks can be full, so the sum over all blocks is asked. Without that sum, whether none was left out.
 */
static bool gives_out_more(const struct mb_leaks_view *v, const struct mb_leak_space *sp, enum mb_leak_level level)
{
	struct together t = sum_of(v, sp, level, is_leak_of_allocator);

	return sp->whole.net.n < 2 ? sp->blocks->left_out > 0 : is_borne_out(&sp->whole.net, &t);
}

/*
 * An allocator that has not given out more, but takes more (fragments, caches): it grows, but nothing is leaked. It
 * says nothing about memory that is not its own: pools that the program has from the kernel.
 */
static void acquit(struct mb_leaks_view *v, const struct mb_leak_space *sp)
{
	static const enum mb_leak_level levels[] = { MB_LEAK_PAGE, MB_LEAK_REGION };

	if (!sp->blocks || blocks_grow(v, sp->tgid))
		return;
	for (size_t k = 0; k < 2; k++) {
		if (gives_out_more(v, sp, levels[k]))
			continue;
		for (size_t i = 0; i < v->n_rows; i++) {
			if (is_leak_of_allocator(&v->rows[i], sp, levels[k]))
				downgrade(&v->rows[i].trend, MB_MISSING_BLOCKS);
		}
	}
}

/* ---- what is no growth of the process's own ---- */

/*
 * Shared memory is filled by all that map it: a process that comes to use it has no more of its own. Where more and more
 * of it is mapped, the region's row says so.
 */
static void check_shared(struct mb_leaks_view *v, const struct mb_leak_space *sp)
{
	for (size_t i = 0; i < v->n_rows; i++) {
		if (is_leak_of(&v->rows[i], sp, MB_LEAK_PAGE) &&
		    v->rows[i].group->key.kind == MB_REGION_SHARED)
			downgrade(&v->rows[i].trend, MB_MISSING_PRIVATE);
	}
}

/* Is this code of a runtime that collects garbage, or made by one? */
static bool is_collectors(const struct mb_source_frame *p)
{
	static const char *const libraries[] = { "libjvm.so",	"libnode.so", "libcoreclr.so",
						 "libclrgc.so", "libruby",    "libmono",
						 "libluajit",	"[jit]" };
	static const char *const functions[] = { "v8::", "cppgc::", "Builtins_", "runtime." };
	const char *slash = p->module ? strrchr(p->module, '/') : NULL;
	const char *name = slash ? slash + 1 : p->module;

	for (size_t i = 0; name && i < sizeof(libraries) / sizeof(libraries[0]); i++) {
		if (!strncmp(name, libraries[i], strlen(libraries[i])))
			return true;
	}
	for (size_t i = 0; p->symbol && i < sizeof(functions) / sizeof(functions[0]); i++) {
		if (!strncmp(p->symbol, functions[i], strlen(functions[i])))
			return true;
	}
	return false;
}

/* Was this mapped, or touched, by a collector or the code that it collects for? Not what an allocator gave it. */
static bool is_collected(const struct mb_leak_row *r)
{
	unsigned int i = 0;

	while (i < r->n_places && r->places[i].symbol && strstr(r->places[i].symbol, "mmap"))
		i++;
	return r->group->key.level != MB_LEAK_ALLOC && i < r->n_places &&
	       is_collectors(&r->places[i]);
}

/* ---- age ---- */

/*
 * A leak that was there before anyone looked has left its growth of that time; a process that has just begun, and one that
 * begins to grow while it is looked at, may be about to fill something.
 */
static bool is_old(const struct mb_leak_space *sp, const struct mb_trend *t)
{
	const struct mb_trend_point *end;
	double watched, before, had;

	if (!sp->whole.own.n || t->from_ns <= sp->start_ns)
		return false;
	end = &sp->whole.own.points[sp->whole.own.n - 1];
	watched = (double)(end->t_ns - t->from_ns);
	before = (double)(t->from_ns - sp->start_ns);
	had = (double)sp->whole.own.points[0].last;
	return before >= OLD * watched &&
	       had >= HAD_BEFORE * (double)t->slope_bytes_per_s * before / 1e9;
}

/* Growth of which the process had none for long, or for longer: it may be a burst. */
static bool began_late(const struct mb_leak_space *sp, const struct mb_trend *t)
{
	double lasted = (double)(t->to_ns - t->from_ns), before, had;

	if (!sp->whole.own.n || t->from_ns <= sp->start_ns)
		return false;
	before = (double)(t->from_ns - sp->start_ns);
	if (t->from_ns > sp->whole.own.points[0].t_ns) {
		double without = (double)(t->from_ns - sp->whole.own.points[0].t_ns);

		if (lasted < (lasted < LONG_NS ? without : without / 3))
			return true;
	}
	had = (double)sp->whole.own.points[0].last;
	if (mb_trend_grown(&sp->whole.own, t->from_ns) < BORNE_OUT * t->growth_bytes)
		had = (double)sp->whole.mapped.points[0].last;
	return lasted < LONG_NS && before >= QUIET_NS && before >= lasted / 2 &&
	       had < HAD_SINCE_START * (double)t->slope_bytes_per_s * before / 1e9;
}

/* Is what is resident no more than the process once had, before anyone looked? Not as it began: that is transient. */
static bool had_as_much(const struct mb_leak_space *sp, const struct mb_trend *t)
{
	return sp->whole.own.n && sp->whole.own.points[0].t_ns >= sp->start_ns + QUIET_NS &&
	       sp->whole.rss_bytes + HEIGHT_ERROR <= sp->whole.peak_before_bytes &&
	       mb_trend_grown(&sp->whole.own, t->from_ns) >= BORNE_OUT * t->growth_bytes;
}

/* What keeps a leak of a process with such a history from being one. */
static enum mb_missing missing_in_history(const struct mb_leak_space *sp,
					  const struct mb_leak_row *r)
{
	if (had_as_much(sp, &r->trend))
		return MB_MISSING_NEW_HEIGHT;
	if (began_late(sp, &r->trend))
		return MB_MISSING_TIME;
	if (is_collected(r) && sp->whole.own.n &&
	    mb_trend_grown(&sp->whole.own, 0) < COLLECTED * (double)sp->whole.own.points[0].last)
		return MB_MISSING_COLLECTION;
	return MB_MISSING_NOTHING;
}

/* Less than this share of all that the process has, which may vary by as much. */
static bool is_less(const struct mb_leak_space *sp, const struct mb_trend *t, double share)
{
	return sp->whole.own.n &&
	       t->growth_bytes < share * (double)sp->whole.own.points[sp->whole.own.n - 1].last;
}

static void check_history(const struct mb_leak_space *sp, struct mb_leak_row *r)
{
	enum mb_missing missing = missing_in_history(sp, r);
	struct mb_trend *t = &r->trend;
	bool old = is_old(sp, t);

	if (!missing && !old && (t->late_share < LATE_SHARE || t->rate_trend < RATE_FALLS))
		missing = MB_MISSING_EVENNESS;
	if (!missing && !old && is_less(sp, t, LITTLE_YOUNG))
		missing = MB_MISSING_TIME;
	if (missing) {
		downgrade(t, missing);
	} else if (!old || t->late_share < LATE_SHARE_SURE || is_less(sp, t, LITTLE) ||
		   (double)(t->to_ns - t->from_ns) < SURE_AFTER_NS) {
		t->confidence = fmin(t->confidence, SURE_YOUNG);
		t->missing = old ? MB_MISSING_TIME : MB_MISSING_AGE;
	}
}

static void check_age(struct mb_leaks_view *v, const struct mb_leak_space *sp)
{
	for (size_t i = 0; i < v->n_rows; i++) {
		struct mb_leak_row *r = &v->rows[i];

		if (r->group->key.tgid == sp->tgid && r->group->key.start_ns == sp->start_ns &&
		    r->group->key.level != MB_LEAK_KERNEL && r->trend.verdict == MB_VERDICT_LEAK)
			check_history(sp, r);
	}
}

void mb_leak_verdicts(const struct mb_leaks_session *l, struct mb_leaks_view *v)
{
	for (const struct mb_leak_space *sp = l->spaces; sp; sp = sp->hh.next) {
		check_shared(v, sp);
		check_level(v, sp, MB_LEAK_ALLOC);
		check_level(v, sp, MB_LEAK_PAGE);
		check_level(v, sp, MB_LEAK_REGION);
		acquit(v, sp);
		check_age(v, sp);
	}
}

/* ---- of several views ---- */

/* The surer of two views of the same memory speaks, where neither is the allocator's. */
static void share_verdicts(struct mb_leaks_view *v)
{
	for (size_t i = 0; i < v->n_rows; i++) {
		const struct mb_leak_row *r = &v->rows[i];
		struct mb_leak_row *owner = r->owner == MB_LEAK_NO_OWNER ? NULL :
									   &v->rows[r->owner];

		if (owner && owner->group->key.level != MB_LEAK_ALLOC &&
		    r->trend.verdict > owner->trend.verdict)
			owner->trend = r->trend;
	}
}

/* What is of nobody grows beside a leak that has a place: no leak of its own. */
static void of_nobody(struct mb_leaks_view *v)
{
	for (size_t i = 0; i < v->n_rows; i++) {
		struct mb_leak_row *r = &v->rows[i];

		if (r->trend.verdict != MB_VERDICT_LEAK || r->group->key.stack ||
		    r->group->key.level == MB_LEAK_KERNEL)
			continue;
		for (size_t k = 0; k < v->n_rows; k++) {
			const struct mb_leak_row *other = &v->rows[k];

			if (other->group->key.tgid != r->group->key.tgid ||
			    !other->group->key.stack || other->trend.verdict < MB_VERDICT_GROWING)
				continue;
			r->trend.verdict = MB_VERDICT_GROWING;
			r->trend.missing = MB_MISSING_STACK;
			break;
		}
	}
}

void mb_leak_verdicts_of_views(struct mb_leaks_view *v)
{
	share_verdicts(v);
	of_nobody(v);
}
