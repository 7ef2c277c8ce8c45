// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * writeback: who dirties pages, who is made to pause for it (balance_dirty_pages), and who
 * waits for writes to finish (fsync, and single pages under writeback).
 */
#include "core/compat.bpf.h"
#include "core/stall.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

MB_INLINE int count_dirtied(__u32 pages)
{
	struct mb_ledger *l = ledger_of(compat_current());

	if (!l)
		return 0;
	l->writeback.dirtied_pages += pages;
	if (l->task.depth)
		stall_close_open(l, bpf_ktime_get_boot_ns());
	return 0;
}

/* Once per folio, and a folio may be many pages. */
SEC("?tp_btf/writeback_dirty_folio")
int BPF_PROG(writeback_dirtied, struct folio *folio)
{
	return count_dirtied(compat_folio_pages(folio));
}

/* Until 5.17 (203a31516616), for a page. */
SEC("?tp_btf/writeback_dirty_page")
int writeback_dirtied_page(void *ctx)
{
	return count_dirtied(1);
}

/* Fires before each sleep of a writer that is over its share, with the length planned for it. */
SEC("?tp_btf/balance_dirty_pages")
int writeback_pause(__u64 *ctx)
{
	struct bdi_writeback *wb = (void *)MB_ARG_OF(ctx, balance_dirty_pages, wb);
	long pause = MB_ARG_OF(ctx, balance_dirty_pages, pause);
	struct backing_dev_info *bdi;
	struct mb_ledger *l = ledger_of(compat_current());

	if (!l)
		return 0;
	if (pause <= 0) { /* no sleep this time, but it may follow one */
		stall_close_open(l, bpf_ktime_get_boot_ns());
		return 0;
	}
	bdi = BPF_CORE_READ(wb, bdi);
	stall_begin(l, MB_FAM_writeback, STALL_SLOT(writeback, dirty_throttle) | STALL_OPEN_ENDED,
		    bpf_ktime_get_boot_ns(), (__u64)pause * (1000000000ull / compat_hz()));
	bpf_probe_read_kernel_str(l->writeback.pause_bdi, sizeof(l->writeback.pause_bdi),
				  bdi->dev_name);
	return 0;
}

MB_INLINE int end_open(__u32 slot)
{
	struct mb_ledger *l = ledger_of(compat_current());

	if (l && l->task.depth)
		stall_end_open(l, slot);
	return 0;
}

/* In which a pause sleeps. */
SEC("?fexit/io_schedule_timeout")
int BPF_PROG(writeback_pause_end)
{
	return end_open(STALL_SLOT(writeback, dirty_throttle));
}

/* The start of a wait for one folio; without trampolines, the next sign of life is its end. */
MB_INLINE int wait_begin(void)
{
	struct mb_ledger *l = ledger_of(compat_current());

	if (l)
		stall_begin(l, MB_FAM_writeback,
			    STALL_SLOT(writeback, writeback_wait) | STALL_OPEN_ENDED,
			    bpf_ktime_get_boot_ns(), 0);
	return 0;
}

SEC("?tp_btf/folio_wait_writeback")
int writeback_wait(void *ctx)
{
	return wait_begin();
}

/* Until 5.17 (b9b0ff61eef5), for a page. */
SEC("?tp_btf/wait_on_page_writeback")
int writeback_wait_page(void *ctx)
{
	return wait_begin();
}

SEC("?fexit/folio_wait_writeback")
int BPF_PROG(writeback_waited)
{
	return end_open(STALL_SLOT(writeback, writeback_wait));
}

SEC("?fexit/wait_on_page_writeback")
int BPF_PROG(writeback_waited_page)
{
	return end_open(STALL_SLOT(writeback, writeback_wait));
}

/* The last step of waiting for a file's pages (file_fdatawait_range and friends). */
SEC("?tp_btf/file_check_and_advance_wb_err")
int BPF_PROG(writeback_wait_end)
{
	struct mb_ledger *l = ledger_of(compat_current());

	if (l && l->task.depth)
		stall_close_open(l, bpf_ktime_get_boot_ns());
	return 0;
}

SEC("?tp_btf/ext4_sync_file_enter")
int BPF_PROG(writeback_fsync_begin)
{
	struct mb_ledger *l = ledger_of(compat_current());

	if (l)
		stall_begin(l, MB_FAM_writeback, STALL_SLOT(writeback, fsync),
			    bpf_ktime_get_boot_ns(), 0);
	return 0;
}

SEC("?tp_btf/ext4_sync_file_exit")
int BPF_PROG(writeback_fsync_end)
{
	struct mb_ledger *l = ledger_of(compat_current());
	struct stall_time t;

	if (l && stall_end(l, STALL_SLOT(writeback, fsync), bpf_ktime_get_boot_ns(), &t) &&
	    streaming(MB_FAM_writeback))
		stall_emit(MB_WRITEBACK_EVENT_FSYNC, &t, NULL);
	return 0;
}
