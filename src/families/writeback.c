// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* writeback: pages dirtied, and the waits that dirtying brings. */
#include "memblame/family.h"
#include "model/model.h"

#define STALL(name, question, text) \
	{ "stalls", #name, text, MB_LEDGER(writeback.name), MB_FIELD_STALL, MB_UNIT_NS, question }

enum { F_THROTTLE, F_WAIT, F_FSYNC, F_PAGES, F_BYTES, F_PAUSES, F_FIELDS };

static const struct mb_field fields[F_FIELDS] = {
	[F_THROTTLE] = STALL(dirty_throttle, "writeback.pause",
			     "made to pause for writing too fast (balance_dirty_pages)"),
	[F_WAIT] = STALL(writeback_wait, "writeback.wait", "waiting for a page under writeback"),
	[F_FSYNC] = STALL(fsync, "writeback.fsync", "fsync and fdatasync, other than such waits"),
	[F_PAGES] = { "writeback", "dirtied_pages", "pages dirtied",
		      MB_LEDGER(writeback.dirtied_pages), MB_FIELD_COUNTER, MB_UNIT_PAGES,
		      "writeback.dirtied" },
	[F_BYTES] = { "writeback", "dirtied_bytes", "the same in bytes", 0, MB_FIELD_DERIVED,
		      MB_UNIT_BYTES, "writeback.dirtied" },
	[F_PAUSES] = { "writeback", "pauses", "pauses by device", 0, MB_FIELD_ROWS, MB_UNIT_NS,
		       "writeback.pause" },
};

static const struct mb_event_field wait_fields[] = {
	{ "ns", MB_MEMBER(mb_writeback_event, ns), MB_VALUE_U64, MB_UNIT_NS, NULL, false, 0 },
	{ "total_ns", MB_MEMBER(mb_writeback_event, total_ns), MB_VALUE_U64, MB_UNIT_NS, NULL,
	  false, 0 },
};

static const struct mb_event_field pause_fields[] = {
	{ "ns", MB_MEMBER(mb_writeback_event, ns), MB_VALUE_U64, MB_UNIT_NS, NULL, false, 0 },
	{ "bdi", MB_MEMBER(mb_writeback_event, bdi), MB_VALUE_STRING, MB_UNIT_COUNT, NULL, false,
	  0 },
};

static const struct mb_event_kind events[] = {
	{ MB_WRITEBACK_EVENT_PAUSE, "pause", sizeof(struct mb_writeback_event), pause_fields,
	  MB_ARRAY_SIZE(pause_fields), 0 },
	{ MB_WRITEBACK_EVENT_FSYNC, "fsync", sizeof(struct mb_writeback_event), wait_fields,
	  MB_ARRAY_SIZE(wait_fields), 0 },
	{ MB_WRITEBACK_EVENT_WAIT, "wait", sizeof(struct mb_writeback_event), wait_fields,
	  MB_ARRAY_SIZE(wait_fields), 0 },
};

static const struct mb_hook dirtied_hooks[] = {
	{ .name = "tp_btf", .programs = { "writeback_dirtied" }, .quality = MB_QUALITY_FULL },
	{ .name = "tp_btf page",
	  .programs = { "writeback_dirtied_page" },
	  .quality = MB_QUALITY_FULL },
};

static const struct mb_hook pause_hooks[] = {
	{ .name = "fexit",
	  .programs = { "writeback_pause", "writeback_pause_end" },
	  .quality = MB_QUALITY_FULL },
	{ .name = "tp_btf",
	  .programs = { "writeback_pause" },
	  .quality = MB_QUALITY_PARTIAL,
	  .missing = "a pause ends at the writer's next traced event; where that is more than "
		     "12 ms later than planned, its CPU time is taken off, to a tick" },
};

#define WAIT_MISSING \
	"a wait ends at the thread's next traced event; one whose end cannot be told is counted as " \
	"lost (not timed)"

static const struct mb_hook wait_hooks[] = {
	{ .name = "fexit",
	  .programs = { "writeback_wait", "writeback_wait_end", "writeback_waited" },
	  .quality = MB_QUALITY_PARTIAL,
	  .missing = "of a wait that a signal may end (folio_wait_writeback_killable) the end is "
		     "the thread's next traced event" },
	{ .name = "fexit page",
	  .programs = { "writeback_wait_page", "writeback_wait_end", "writeback_waited_page" },
	  .quality = MB_QUALITY_FULL },
	{ .name = "tp_btf",
	  .programs = { "writeback_wait", "writeback_wait_end" },
	  .quality = MB_QUALITY_PARTIAL,
	  .missing = WAIT_MISSING },
	{ .name = "tp_btf page",
	  .programs = { "writeback_wait_page", "writeback_wait_end" },
	  .quality = MB_QUALITY_PARTIAL,
	  .missing = WAIT_MISSING },
};

static const struct mb_hook fsync_hooks[] = {
	{ .name = "tp_btf ext4",
	  .programs = { "writeback_fsync_begin", "writeback_fsync_end" },
	  .quality = MB_QUALITY_PARTIAL,
	  .missing = "ext4 only; on other file systems only the waits for pages within fsync are "
		     "seen, as writeback_wait" },
};

/* The writer's next sign of life ends the stall as well. */
static const struct mb_missed missed[] = {
	{ "writeback_pause_end", true, MB_DROP_UNTIMED },
	{ "writeback_waited", true, MB_DROP_UNTIMED },
	{ "writeback_waited_page", true, MB_DROP_UNTIMED },
};

static const struct mb_question questions[] = {
	{ "dirtied", "who dirties pages?", dirtied_hooks, MB_ARRAY_SIZE(dirtied_hooks), "dirtied pages are not counted" },
	{ "pause", "who is made to pause for writing, and on which device?", pause_hooks,
	  MB_ARRAY_SIZE(pause_hooks),
	  "pauses are not seen" },
	{ "wait", "who waits for a page under writeback?", wait_hooks, MB_ARRAY_SIZE(wait_hooks), "waits are not seen" },
	{ "fsync", "who waits in fsync?", fsync_hooks, 1, "fsync is not timed" },
};

static void consume(struct mb_model *m, const struct mb_event *event)
{
	const struct mb_writeback_event *e = (const struct mb_writeback_event *)event;
	struct mb_process *p = mb_model_find(m, e->h.tgid);
	char bdi[MB_BDI_NAME_LEN + 1] = "";

	if (e->h.type != MB_WRITEBACK_EVENT_PAUSE || !p)
		return;
	__builtin_memcpy(bdi, e->bdi, sizeof(e->bdi));
	mb_process_row_add(p, &fields[F_PAUSES], bdi, e->ns);
}

static void tick(struct mb_model *m, struct mb_process *p)
{
	(void)m;
	p->values[mb_slot(&fields[F_BYTES])] = p->values[mb_slot(&fields[F_PAGES])] * MB_PAGE_SIZE;
}

const struct mb_family mb_family_writeback = {
	.id = MB_FAM_writeback,
	.name = "writeback",
	.fields = fields,
	.n_fields = F_FIELDS,
	.events = events,
	.n_events = MB_ARRAY_SIZE(events),
	.questions = questions,
	.n_questions = MB_ARRAY_SIZE(questions),
	.missed = missed,
	.n_missed = MB_ARRAY_SIZE(missed),
	.consume = consume,
	.tick = tick,
};
