// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* writeback: dirtied pages, and the waits caused by dirtying. */
#include <stdio.h>
#include <string.h>

#include "memblame/family.h"
#include "model/model.h"

#define STALL(name, probe_point, text) MB_STALL(writeback, name, probe_point, text)

enum { F_THROTTLE, F_WAIT, F_FSYNC, F_PAGES, F_BYTES, F_PAUSES, F_FIELDS };

static const struct mb_field fields[F_FIELDS] = {
	[F_THROTTLE] = STALL(dirty_throttle, "writeback.pause",
			     "made to pause for writing too fast (balance_dirty_pages)"),
	[F_WAIT] = STALL(writeback_wait, "writeback.wait",
			 "waiting for a page under writeback, other than in an fsync that is timed"),
	[F_FSYNC] = STALL(fsync, "writeback.fsync", "fsync and fdatasync, with the waits for pages in them"),
	[F_PAGES] = { "writeback", "dirtied_pages", "pages dirtied",
		      MB_LEDGER(writeback.dirtied_pages), MB_FIELD_COUNTER, MB_UNIT_PAGES,
		      "writeback.dirtied" },
	[F_BYTES] = { "writeback", "dirtied_bytes", "the same in bytes", 0, MB_FIELD_DERIVED,
		      MB_UNIT_BYTES, "writeback.dirtied" },
	[F_PAUSES] = { "writeback", "pauses", "pauses by device", 0, MB_FIELD_ROWS, MB_UNIT_NS,
		       "writeback.pause" },
};

#define OF(member) MB_MEMBER(mb_blamed_event, member)

/* 0 means that the kernel did not report the value. */
static const struct mb_event_field stall_fields[] = {
	{ "ns", OF(stall.ns), MB_VALUE_U64, MB_UNIT_NS },
	{ "total_ns", OF(stall.total_ns), MB_VALUE_U64, MB_UNIT_NS },
	{ "bdi", OF(stall.on.name), MB_VALUE_STRING, MB_UNIT_COUNT, .null_if_zero = true },
	{ "device", OF(device), MB_VALUE_STRING, MB_UNIT_COUNT, .null_if_zero = true },
	{ "mount", OF(mount), MB_VALUE_STRING, MB_UNIT_COUNT, .null_if_zero = true },
	{ "bdi_dirty_pages", OF(stall.on.bdi_dirty_pages), MB_VALUE_U64, MB_UNIT_PAGES },
	{ "bdi_limit_pages", OF(stall.on.bdi_limit_pages), MB_VALUE_U64, MB_UNIT_PAGES,
	  .null_if_zero = true },
	MB_CULPRIT_FIELDS(mb_blamed_event),
	{ "culprit.file", OF(culprit_file), MB_VALUE_STRING, MB_UNIT_COUNT, .null_if_zero = true },
};

#define STALL_EVENT(type, name)                                                                      \
	{ type, name, sizeof(struct mb_writeback_event), NULL, 0, MB_EVENT_INTERNAL },               \
	{                                                                                            \
		MB_WRITEBACK_EVENT_SHOWN + (type), name, sizeof(struct mb_blamed_event),             \
			stall_fields, MB_ARRAY_SIZE(stall_fields), MB_EVENT_MADE                           \
	}

static const struct mb_event_kind events[] = {
	STALL_EVENT(MB_WRITEBACK_EVENT_PAUSE, "pause"),
	STALL_EVENT(MB_WRITEBACK_EVENT_FSYNC, "fsync"),
	STALL_EVENT(MB_WRITEBACK_EVENT_WAIT, "wait"),
	{ MB_WRITEBACK_EVENT_FILE, "file", sizeof(struct mb_file_event), NULL, 0,
	  MB_EVENT_INTERNAL },
	{ MB_WRITEBACK_EVENT_DIRTIED, "dirtied", sizeof(struct mb_dirtied_event), NULL, 0,
	  MB_EVENT_INTERNAL },
};

static const struct mb_kern_table tables[] = {
	{ "dirtied", MB_WRITEBACK_EVENT_DIRTIED },
};

static const struct mb_hook dirtied_hooks[] = {
	{ .name = "tp_btf", .programs = { "writeback_dirtied" }, .quality = MB_QUALITY_FULL },
	{ .name = "tp_btf page",
	  .programs = { "writeback_dirtied_page" },
	  .quality = MB_QUALITY_FULL },
};

static const struct mb_hook files_hooks[] = {
	{ .name = "tp_btf",
	  .programs = { "writeback_dirtied" },
	  .optional = { "writeback_written" },
	  .quality = MB_QUALITY_FULL },
	{ .name = "tp_btf page",
	  .programs = { "writeback_dirtied_page" },
	  .optional = { "writeback_written" },
	  .quality = MB_QUALITY_FULL },
};

#define PAUSE_MISSING                                                                    \
	"a pause ends at the writer's next traced event, its next page as a rule; where that is " \
	"more than 12 ms later than planned, its CPU time is taken off, to a tick"

static const struct mb_hook pause_hooks[] = {
	{ .name = "fexit",
	  .programs = { "writeback_pause", "writeback_pause_end" },
	  .quality = MB_QUALITY_FULL },
	{ .name = "tp_btf",
	  .programs = { "writeback_pause", "writeback_dirtied" },
	  .quality = MB_QUALITY_PARTIAL,
	  .missing = PAUSE_MISSING },
	{ .name = "tp_btf page",
	  .programs = { "writeback_pause", "writeback_dirtied_page" },
	  .quality = MB_QUALITY_PARTIAL,
	  .missing = PAUSE_MISSING },
};

#define WAIT_MISSING \
	"a wait ends at the thread's next traced event; one whose end is not known is counted as " \
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

/* The writer's next activity ends the stall as well. */
static const struct mb_missed missed[] = {
	{ "writeback_pause_end", true, MB_DROP_UNTIMED },
	{ "writeback_waited", true, MB_DROP_UNTIMED },
	{ "writeback_waited_page", true, MB_DROP_UNTIMED },
};

/*
 * A thread that pauses or waits is asleep: the hooks for that are not on a hot path, and stay
 * attached at all levels.
 */
static const struct mb_hot hot[] = {
	{ "writeback_dirtied", MB_LEVEL_ITERATOR },
	{ "writeback_dirtied_page", MB_LEVEL_ITERATOR },
	{ "writeback_written", MB_LEVEL_COUNTS },
};

static const struct mb_probe_point probe_points[] = {
	{ "dirtied", "who dirties pages?", dirtied_hooks, MB_ARRAY_SIZE(dirtied_hooks),
	  "dirtied pages are not counted", .off_from = MB_LEVEL_ITERATOR },
	{ "pause", "who is made to pause for writing, and on which device?", pause_hooks,
	  MB_ARRAY_SIZE(pause_hooks),
	  "pauses are not seen" },
	{ "wait", "who waits for a page under writeback?", wait_hooks, MB_ARRAY_SIZE(wait_hooks), "waits are not seen" },
	{ "fsync", "who waits in fsync?", fsync_hooks, 1, "fsync is not timed" },
	{ .name = "files",
	  .asks = "whose pages are dirty, of which file, on which device? (blame)",
	  .hooks = files_hooks,
	  .n_hooks = MB_ARRAY_SIZE(files_hooks),
	  .without = "stalls on devices are laid upon nobody",
	  .on_request = true },
};

/* `trace`: show the stall, with the human-readable name of the device. */
static void show(struct mb_model *m, const struct mb_writeback_event *e)
{
	struct mb_blamed_event shown = { .stall = *e };
	const struct mb_device_name *name = mb_device_name_of(&m->devices, e->on.name);
	const char *mount = name ? mb_device_mount(name, 0) : NULL;

	if (name)
		memcpy(shown.device, name->device, sizeof(shown.device));
	snprintf(shown.mount, sizeof(shown.mount), "%s", mount ? mount : "");
	shown.stall.h.type = (uint16_t)(MB_WRITEBACK_EVENT_SHOWN + e->h.type);
	shown.stall.h.size = sizeof(shown);
	mb_observers_annotate(m, &shown.stall.h); /* adds the culprit */
	mb_model_show(m, &shown.stall.h);
}

static void take_stall(struct mb_model *m, const struct mb_writeback_event *e)
{
	struct mb_process *p = mb_model_find(m, e->h.tgid);
	struct mb_stall more = { 1, e->ns, e->ns };
	char bdi[MB_BDI_NAME_LEN + 1] = "";

	memcpy(bdi, e->on.name, sizeof(e->on.name));
	mb_device_note(&m->devices, bdi, 0);
	if (m->on_event && (m->stream & (1u << MB_FAM_writeback)))
		show(m, e);
	if (!p)
		return;
	if (e->h.type == MB_WRITEBACK_EVENT_PAUSE)
		mb_process_row_add(p, &fields[F_PAUSES], bdi, &more);
}

/* Names may be needed when a recording is replayed, so every session looks them up. */
static void take_names(struct mb_model *m, const struct mb_file_event *e)
{
	char bdi[MB_BDI_NAME_LEN + 1] = "";

	memcpy(bdi, e->bdi_name, sizeof(e->bdi_name));
	mb_mount_note(&m->mounts, e->dev);
	mb_device_note(&m->devices, bdi, e->dev);
}

static void consume(struct mb_model *m, const struct mb_event *e)
{
	switch (e->type) {
	case MB_WRITEBACK_EVENT_PAUSE:
	case MB_WRITEBACK_EVENT_FSYNC:
	case MB_WRITEBACK_EVENT_WAIT:
		take_stall(m, (const struct mb_writeback_event *)e);
		break;
	case MB_WRITEBACK_EVENT_FILE:
		take_names(m, (const struct mb_file_event *)e);
		break;
	}
}

static void tick(struct mb_model *m, struct mb_process *p)
{
	(void)m;
	p->values[mb_slot(&fields[F_BYTES])] = p->values[mb_slot(&fields[F_PAGES])] * MB_PAGE_SIZE;
}

const struct mb_family mb_family_writeback = {
	.id = MB_FAM_writeback,
	.name = "writeback",
	MB_TABLE(fields),
	MB_TABLE(events),
	MB_TABLE(probe_points),
	MB_TABLE(hot),
	MB_TABLE(missed),
	MB_TABLE(tables),
	.consume = consume,
	.tick = tick,
};
