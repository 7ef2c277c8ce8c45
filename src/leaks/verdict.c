// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * Checks the verdicts of groups against their process. Growth that is not visible in the process's
 * own memory, address space or heap is not a leak. Many call sites that grow together can be a
 * store that fills up. Growth that has lasted for the whole known lifetime is less certain than
 * growth that began before tracing. For the rules and their accuracy see docs/families/vma.md.
 */
#include "leaks/verdict.h"

#include <math.h>
#include <string.h>

#include "leaks/blocks.h"
#include "leaks/levels.h"

/* The total must show at least this share of the groups' growth. */
#define BORNE_OUT 0.5

/*
 * This many call sites, each with at least this share of the fastest one's slope, grow together. A
 * program that retains nearly all it allocates (KEEPS_ALL) is not a store at work.
 */
#define SITES 3
#define SITE_SHARE 0.1
#define KEEPS_ALL 0.9

/*
 * A process is old if it existed before for OLD times the time watched, and if its memory at the
 * start of tracing is at least this share of what its growth would have produced by then.
 */
#define OLD 3
#define HAD_BEFORE 0.3

/*
 * A smaller share of the growth in the last half of the time, or more clearly declining rates:
 * typical of something that fills up.
 */
#define LATE_SHARE 0.42
#define RATE_FALLS (-2.33)
#define RATE_FALLS_TOGETHER (-1.0) /* if many call sites grow together */
#define LATE_SHARE_SURE 0.45 /* below this share: less certain */

/*
 * Growth of less than this share of the process's memory is less certain; in a process that is not
 * old, it is not a leak yet.
 */
#define LITTLE 0.06
#define LITTLE_YOUNG 0.01

/* If watched for a shorter time, something that fills up within minutes looks even. */
#define SURE_AFTER_NS 30e9

/*
 * Maximum confidence for growth that has lasted for as long as it is known: a cache that fills
 * evenly looks the same.
 */
#define SURE_YOUNG 0.85

/* Growth that began late is a leak once it has lasted as long as the time without growth, or this long. */
#define LONG_NS 90e9
/* A lifetime of this length without the growth means that it began late. */
#define QUIET_NS 30000000000ull
/*
 * The process must have at least this share of what such growth over its whole lifetime would have
 * produced; its other memory counts as well.
 */
#define HAD_SINCE_START 0.8

/* The kernel's resident page counters, including their per-CPU parts, lag behind by this much. */
#define HEIGHT_ERROR (256u << 10)

/*
 * A garbage-collected heap has been collected once it has grown by this share of what its process
 * had at first, and by this much: V8 also counts the blocks outside of its heap, such as that of a
 * Buffer, and collects when they have grown by 64 MiB (kExternalAllocationSoftLimit), however small
 * or large its heap is.
 */
#define COLLECTED 1.0
#define COLLECTED_BYTES (72.0 * (1 << 20))

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

/* Selects rows: is_leak_of(), or a subset of its rows. */
typedef bool (*rows_of)(const struct mb_leak_row *r, const struct mb_leak_space *sp, enum mb_leak_level level);

static struct mb_leak_sum sum_of(const struct mb_leaks_view *v, const struct mb_leak_space *sp,
			      enum mb_leak_level level, rows_of is_one)
{
	struct mb_leak_sum t = { .from_ns = UINT64_MAX };

	for (size_t i = 0; i < v->n_rows; i++) {
		const struct mb_leak_row *r = &v->rows[i];

		if (!is_one(r, sp, level))
			continue;
		t.growth += r->trend.growth_bytes;
		t.from_ns = r->trend.from_ns < t.from_ns ? r->trend.from_ns : t.from_ns;
		t.to_ns = r->trend.to_ns > t.to_ns ? r->trend.to_ns : t.to_ns;
		t.fastest = r->trend.slope_bytes_per_s > t.fastest ? r->trend.slope_bytes_per_s :
								     t.fastest;
	}
	for (size_t i = 0; i < v->n_rows; i++) {
		if (is_one(&v->rows[i], sp, level) &&
		    (double)v->rows[i].trend.slope_bytes_per_s >= SITE_SHARE * (double)t.fastest)
			t.sites++;
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

/* Downgrade rows where many call sites grow together at a rate that is not quite even. */
static void downgrade_uneven(struct mb_leaks_view *v, const struct mb_leak_space *sp,
			     enum mb_leak_level level)
{
	for (size_t i = 0; i < v->n_rows; i++) {
		struct mb_trend *t = &v->rows[i].trend;

		if (is_leak_of(&v->rows[i], sp, level) &&
		    (t->late_share < LATE_SHARE_SURE || t->rate_trend < RATE_FALLS_TOGETHER))
			downgrade(t, MB_MISSING_ONE_SITE);
	}
}

bool mb_leak_is_borne_out(const struct mb_trend_series *whole, const struct mb_leak_sum *t)
{
	uint64_t end_ns = whole->n ? whole->points[whole->n - 1].t_ns : 0;

	return whole->n < 2 || end_ns < t->from_ns + (t->to_ns - t->from_ns) / 2 ||
	       mb_trend_grown(whole, t->from_ns) >= BORNE_OUT * t->growth;
}

/* Many call sites in a program that also frees memory: typical of a store that is being filled. */
static bool may_fill(const struct mb_leak_space *sp, enum mb_leak_level level,
		     const struct mb_leak_sum *t)
{
	double retained = (double)sp->allocated - (double)sp->freed;

	if (t->sites < SITES)
		return false;
	return level != MB_LEAK_ALLOC || retained < KEEPS_ALL * (double)sp->allocated;
}

static void check_level(struct mb_leaks_view *v, const struct mb_leak_space *sp,
			enum mb_leak_level level)
{
	const struct mb_leak_level_info *info = mb_leak_level_info(level);
	struct mb_leak_sum t = sum_of(v, sp, level, is_leak_of);
	enum mb_missing missing = info->unproven && t.sites ? info->unproven(sp, &t) : MB_MISSING_NOTHING;

	if (!info->unproven)
		return;
	if (missing)
		downgrade_all(v, sp, level, missing);
	else if (may_fill(sp, level, &t))
		downgrade_uneven(v, sp, level);
}

/* ---- blocks ---- */

/* Does any allocator block row of the process grow? */
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

/* A leak verdict for pages or the brk heap of an allocator. */
static bool is_leak_of_allocator(const struct mb_leak_row *r, const struct mb_leak_space *sp,
				 enum mb_leak_level level)
{
	return r->allocators && is_leak_of(r, sp, level) &&
	       (level == MB_LEAK_PAGE || r->group->key.kind == MB_REGION_HEAP);
}

/*
 * Have the blocks grown as much as the memory that the allocator uses on that level? Tracked blocks
 * can be only a part, since their table can be full, so use the net sum over all blocks. Without
 * that sum, assume so if any block was not tracked.
 */
static bool gives_out_more(const struct mb_leaks_view *v, const struct mb_leak_space *sp, enum mb_leak_level level)
{
	struct mb_leak_sum t = sum_of(v, sp, level, is_leak_of_allocator);

	return sp->whole.net.n < 2 ? sp->blocks->left_out > 0 : mb_leak_is_borne_out(&sp->whole.net, &t);
}

/*
 * If the blocks do not grow but the allocator uses more memory (fragmentation, caches), downgrade
 * the verdict: the memory grows but is not leaked. This does not apply to memory that the program
 * requests from the kernel itself, such as its own pools.
 */
static void downgrade_verdict(struct mb_leaks_view *v, const struct mb_leak_space *sp)
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

/* ---- growth that is not the process's own ---- */

/*
 * Shared memory is filled by all processes that map it, so a process that starts to use it has not
 * grown itself. If ever more of it is mapped, the region row shows that.
 */
static void check_shared(struct mb_leaks_view *v, const struct mb_leak_space *sp)
{
	for (size_t i = 0; i < v->n_rows; i++) {
		if (is_leak_of(&v->rows[i], sp, MB_LEAK_PAGE) &&
		    v->rows[i].group->key.kind == MB_REGION_SHARED)
			downgrade(&v->rows[i].trend, MB_MISSING_PRIVATE);
	}
}

/* Is this source location in a garbage-collected run time, or in JIT code? */
static bool is_collectors(const struct mb_source_frame *p)
{
	static const char *const libraries[] = { "libjvm.so",	"libnode.so", "libcoreclr.so",
						 "libclrgc.so", "libruby",    "libmono",
						 "libluajit",	"[jit]",      NULL };
	static const char *const functions[] = { "v8::", "node::NodeArrayBufferAllocator", "cppgc::", "Builtins_",
						 "runtime.", NULL };
	const char *slash = p->module ? strrchr(p->module, '/') : NULL;

	return mb_leak_begins_with(slash ? slash + 1 : p->module, libraries) || mb_leak_begins_with(p->symbol, functions);
}

/* Did malloc or one of its kin ask for the memory, or is it a block? first: the frame of its caller. */
static bool is_allocated(const struct mb_leak_row *r, unsigned int first)
{
	bool found = r->group->key.level == MB_LEAK_ALLOC;

	for (unsigned int i = 0; i < first; i++)
		found |= r->sources[i].symbol && strstr(r->sources[i].symbol, "alloc");
	return found;
}

/*
 * Was the memory mapped or touched by a garbage collector or by the code it collects for? Of what
 * was allocated, only the memory of V8's buffers: other memory is freed by those who allocated it.
 */
static bool is_collected(const struct mb_leak_row *r)
{
	static const char *const buffers[] = { "node::NodeArrayBufferAllocator", "v8::", NULL };
	unsigned int i = 0, first = mb_leak_first_frame(r);

	if (is_allocated(r, first)) {
		while (first < r->n_sources && !r->sources[first].symbol)
			first++;
		return first < r->n_sources && mb_leak_begins_with(r->sources[first].symbol, buffers);
	}
	while (i < r->n_sources && r->sources[i].symbol && strstr(r->sources[i].symbol, "mmap"))
		i++;
	return i < r->n_sources && is_collectors(&r->sources[i]);
}

static bool is_leak_of_collector(const struct mb_leak_row *r, const struct mb_leak_space *sp, enum mb_leak_level level)
{
	return is_leak_of(r, sp, level) && is_collected(r);
}

/* Has the collector's memory on this level grown by enough that its garbage was collected? */
static bool was_collected(const struct mb_leaks_view *v, const struct mb_leak_space *sp, enum mb_leak_level level)
{
	double grown = sum_of(v, sp, level, is_leak_of_collector).growth;
	double had = sp->whole.own.n && level != MB_LEAK_ALLOC ? (double)sp->whole.own.points[0].last : 0;

	return grown >= COLLECTED_BYTES && grown >= COLLECTED * had;
}

/* ---- age ---- */

/*
 * A leak that existed before tracing has left its growth of that time in the process. A process
 * that has just started, or has just started to grow, can be about to fill something.
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

/* Did the growth begin after a long time without it, longer than it has lasted? Then it can be a burst. */
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

/*
 * Is the resident memory no more than the process had at some time before tracing? Not asked if the
 * process was younger than QUIET_NS then: a peak during startup is transient.
 */
static bool had_as_much(const struct mb_leak_space *sp, const struct mb_trend *t)
{
	return sp->whole.own.n && sp->whole.own.points[0].t_ns >= sp->start_ns + QUIET_NS &&
	       sp->whole.rss_bytes + HEIGHT_ERROR <= sp->whole.peak_before_bytes &&
	       mb_trend_grown(&sp->whole.own, t->from_ns) >= BORNE_OUT * t->growth_bytes;
}

/* The reason why the process's history speaks against a leak. */
static enum mb_missing missing_in_history(const struct mb_leak_space *sp,
					  const struct mb_leak_row *r, bool collected)
{
	if (had_as_much(sp, &r->trend))
		return MB_MISSING_NEW_HEIGHT;
	if (began_late(sp, &r->trend))
		return MB_MISSING_TIME;
	if (is_collected(r) && !collected)
		return MB_MISSING_COLLECTION;
	return MB_MISSING_NOTHING;
}

/* Is the growth less than this share of all the process's memory, which can fluctuate by as much? */
static bool is_less(const struct mb_leak_space *sp, const struct mb_trend *t, double share)
{
	return sp->whole.own.n &&
	       t->growth_bytes < share * (double)sp->whole.own.points[sp->whole.own.n - 1].last;
}

/* collected: the garbage on the row's level was collected */
static void check_history(const struct mb_leak_space *sp, struct mb_leak_row *r, bool collected)
{
	enum mb_missing missing = missing_in_history(sp, r, collected);
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
	bool collected[MB_LEAK_LEVELS];

	/* before any row is downgraded */
	for (int level = 0; level < MB_LEAK_LEVELS; level++)
		collected[level] = was_collected(v, sp, (enum mb_leak_level)level);
	for (size_t i = 0; i < v->n_rows; i++) {
		struct mb_leak_row *r = &v->rows[i];

		if (r->group->key.tgid == sp->tgid && r->group->key.start_ns == sp->start_ns &&
		    mb_leak_level_info(r->group->key.level)->of_process && r->trend.verdict == MB_VERDICT_LEAK)
			check_history(sp, r, collected[r->group->key.level]);
	}
}

void mb_leak_verdicts(const struct mb_leaks_session *l, struct mb_leaks_view *v)
{
	for (const struct mb_leak_space *sp = l->spaces; sp; sp = sp->hh.next) {
		check_shared(v, sp);
		for (int level = 0; level < MB_LEAK_LEVELS; level++)
			check_level(v, sp, (enum mb_leak_level)level);
		downgrade_verdict(v, sp);
		check_age(v, sp);
	}
}

/* ---- several views of the same memory ---- */

/* Of two views of the same memory, use the more certain verdict, unless the owner is an allocator row. */
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

/* Memory without a known stack that grows beside a leak with a known stack is not a leak of its own. */
static void of_nobody(struct mb_leaks_view *v)
{
	for (size_t i = 0; i < v->n_rows; i++) {
		struct mb_leak_row *r = &v->rows[i];

		if (r->trend.verdict != MB_VERDICT_LEAK || r->group->key.stack ||
		    !mb_leak_level_info(r->group->key.level)->of_process)
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
