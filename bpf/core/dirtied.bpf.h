/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Dirtied pages by process and file. A thread that dirties a page usually dirties the next page of
 * the same file. Such a run is counted in the thread's ledger and only occasionally added to the
 * table, so that a page costs two comparisons. The rest of a run is added when the thread switches
 * to another file, stalls, or exits.
 */
#ifndef MEMBLAME_DIRTIED_H
#define MEMBLAME_DIRTIED_H

#include "core/compat.bpf.h"
#include "core/ledger.bpf.h"
#include "core/tables.bpf.h"

/*
 * Add the current thread's run to the table. A short run is counted without its file, because a
 * process that writes many small files would otherwise fill the table.
 */
static __noinline void dirtied_flush(struct mb_ledger *l)
{
	struct mb_dirty_run *r = &l->writeback.run;
	struct mb_dirtied_key key = {};
	struct dirtied_pages zero = {}, *entry;

	if (!r->pages)
		return;
	key.start_ns = l->task.start_ns;
	key.bdi = r->bdi;
	key.ino = r->with_file ? r->ino : 0;
	key.dev = r->dev;
	key.tgid = bpf_get_current_pid_tgid() >> 32;
	entry = table_entry(&dirtied, &key, &zero, MB_FAM_writeback);
	if (entry)
		__sync_fetch_and_add(&entry->dirtied, r->pages);
	r->pages = 0;
}

#endif
