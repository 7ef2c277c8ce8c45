// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/*
 * writeback: which threads dirty pages, which ones have to pause for it (balance_dirty_pages), and
 * which ones wait for writes to finish (fsync, and single pages under writeback).
 */
#include "core/compat.bpf.h"
#include "core/dirtied.bpf.h"
#include "core/trace_level.bpf.h"
#include "core/stall.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/*
 * The writeback structure of the device that an inode's pages are written to; with cgroup
 * writeback, the one of a cgroup.
 */
MB_INLINE struct bdi_writeback *inode_wb(struct inode *inode)
{
	struct bdi_writeback *wb = NULL;
	struct backing_dev_info *bdi;

	if (bpf_core_field_exists(inode->i_wb))
		wb = BPF_CORE_READ(inode, i_wb);
	if (wb)
		return wb;
	bdi = BPF_CORE_READ(inode, i_sb, s_bdi);
	return (void *)bdi + bpf_core_field_offset(struct backing_dev_info, wb);
}

/*
 * Files whose names were already sent. The inode number of a deleted file can be reused, but not
 * together with its generation.
 */
struct named_file {
	__u64 bdi;
	__u64 ino;
	__u32 dev;
	__u32 generation;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, struct named_file);
	__type(value, __u8);
} named SEC(".maps");

/*
 * The names of a file and its parent directories, starting with the file, each NUL-terminated.
 * Returns the total length.
 */
MB_INLINE __u32 read_names(struct inode *inode, char *names)
{
	struct dentry *d = compat_first_name(inode), *parent;
	__u32 len = 0;

	if (!d)
		return 0;
	for (int i = 0; i < 8; i++) {
		const unsigned char *name = BPF_CORE_READ(d, d_name.name);
		long n;

		parent = BPF_CORE_READ(d, d_parent);
		if (parent == d || !parent)
			return len;
		/* this name may use half of the buffer; a longer one is truncated and ends the path */
		n = bpf_probe_read_kernel_str(names + MB_BOUNDED(len, MB_FILE_NAMES_LEN / 2 - 1),
					      MB_FILE_NAMES_LEN / 2, name);
		if (n <= 1)
			return 0;
		len += n;
		if (len >= MB_FILE_NAMES_LEN / 2)
			return BPF_CORE_READ(parent, d_parent) == parent ? len : 0;
		d = parent;
	}
	return 0; /* too deep for a cheap lookup */
}

static __noinline void tell_file(struct inode *inode, struct mb_dirty_run *r)
{
	struct named_file key = { .bdi = r->bdi, .ino = r->ino, .dev = r->dev };
	struct mb_file_event *e;
	void *ring = cpu_ring();
	__u8 one = 1;

	key.generation = BPF_CORE_READ(inode, i_generation);
	if (!ring || bpf_map_lookup_elem(&named, &key))
		return;
	e = emit_reserve_in(ring, MB_FAM_writeback, MB_WRITEBACK_EVENT_FILE, sizeof(*e),
			    bpf_ktime_get_boot_ns());
	if (!e)
		return;
	e->bdi = r->bdi;
	e->ino = r->ino;
	e->dev = r->dev;
	__builtin_memset(e->names, 0, sizeof(e->names));
	bpf_probe_read_kernel_str(e->bdi_name, sizeof(e->bdi_name),
				  BPF_CORE_READ(inode_wb(inode), bdi)->dev_name);
	e->names_len = read_names(inode, e->names);
	emit_submit(ring, e);
	bpf_map_update_elem(&named, &key, &one, BPF_ANY);
}

/* The current thread has dirtied pages of a file: see core/dirtied.bpf.h. */
MB_INLINE void note_dirtied(struct mb_ledger *l, struct address_space *mapping, __u32 pages)
{
	struct mb_dirty_run *r = &l->writeback.run;
	struct inode *inode = mapping->host;
	__u64 ino = inode->i_ino;

	if (r->mapping != (__u64)mapping || r->ino != ino) {
		dirtied_flush(l);
		r->mapping = (__u64)mapping;
		r->ino = ino;
		r->with_file = 0;
		r->dev = inode->i_sb->s_dev;
		r->bdi = BPF_CORE_READ(inode_wb(inode), bdi, id);
	}
	r->pages += pages;
	if (!r->with_file && r->pages >= MB_DIRTY_RUN_FILE) {
		r->with_file = 1;
		/* a block device's file gets its own device only with its first dirty page */
		r->bdi = BPF_CORE_READ(inode_wb(inode), bdi, id);
		tell_file(inode, r);
	}
	if (r->pages >= MB_DIRTY_RUN_MAX)
		dirtied_flush(l);
}

/*
 * A kernel thread that has adopted a process's memory works for that process: io_uring's workers
 * before 5.11 (3bfe6106693b made them threads of the process). Returns false if it has not, or if
 * the process is not traced. The process may be running: atomic.
 */
static __noinline bool count_for_owner(struct task_struct *task, __u32 pages)
{
	struct task_struct *owner = compat_mm_owner(task);
	struct mb_ledger *l = owner ? ledger_of(owner) : NULL;

	if (!l)
		return false;
	__sync_fetch_and_add(&l->writeback.dirtied_by_kernel, pages);
	return true;
}

/*
 * writeback_dirty_folio fires where the kernel counts nr_dirtied of /proc/vmstat: each time a clean
 * page becomes dirty.
 */
MB_INLINE int count_dirtied(struct address_space *mapping, __u32 pages)
{
	struct task_struct *task = compat_current();
	struct mb_ledger *l;

	if (MB_TASK(task, flags) & PF_KTHREAD && count_for_owner(task, pages))
		return 0;
	l = ledger_of(task);
	if (!l)
		return 0;
	if (l->task.depth)
		stall_close_open(l, bpf_ktime_get_boot_ns());
	l->writeback.dirtied_pages += pages;
	if (knobs.dirty_files && mapping && level_before(MB_LEVEL_COUNTS))
		note_dirtied(l, mapping, pages);
	return 0;
}

/* Once per folio, which may contain many pages. */
SEC("?tp_btf/writeback_dirty_folio")
int BPF_PROG(writeback_dirtied, struct folio *folio, struct address_space *mapping)
{
	return count_dirtied(mapping, compat_folio_pages(folio));
}

/* Before 5.17 (203a31516616), once per page. */
SEC("?tp_btf/writeback_dirty_page")
int BPF_PROG(writeback_dirtied_page, struct page *page, struct address_space *mapping)
{
	return count_dirtied(mapping, 1);
}

/* A flusher, or sync(2), has written some of a file's pages. */
SEC("?tp_btf/writeback_single_inode")
int BPF_PROG(writeback_written, struct inode *inode, struct writeback_control *wbc,
	     unsigned long nr_to_write)
{
	long written = nr_to_write - BPF_CORE_READ(wbc, nr_to_write);
	struct dirtied_pages zero = {}, *entry;
	struct mb_dirtied_key key = {};

	if (written <= 0)
		return 0;
	key.bdi = BPF_CORE_READ(inode_wb(inode), bdi, id);
	key.ino = BPF_CORE_READ(inode, i_ino);
	key.dev = BPF_CORE_READ(inode, i_sb, s_dev);
	key.tgid = bpf_get_current_pid_tgid() >> 32;
	entry = table_entry(&dirtied, &key, &zero, MB_FAM_writeback);
	if (entry)
		__sync_fetch_and_add(&entry->written, written);
	return 0;
}

/* ---- stalls ---- */

MB_INLINE __u64 wb_stat(struct bdi_writeback *wb, int item)
{
	__u64 at = bpf_core_field_offset(struct bdi_writeback, stat) +
		   item * bpf_core_type_size(struct percpu_counter) +
		   bpf_core_field_offset(struct percpu_counter, count);
	__s64 pages = 0;

	bpf_probe_read_kernel(&pages, sizeof(pages), (void *)wb + at);
	return pages > 0 ? pages : 0;
}

/*
 * Current state of the device. The counters lag by less than the kernel's batch (16 pages or more)
 * per CPU.
 */
MB_INLINE void read_device(struct bdi_writeback *wb, struct mb_bdi_state *on)
{
	struct backing_dev_info *bdi = BPF_CORE_READ(wb, bdi);

	__builtin_memset(on, 0, sizeof(*on));
	on->bdi = BPF_CORE_READ(bdi, id);
	on->bdi_dirty_pages = wb_stat(wb, 0) + wb_stat(wb, 1); /* WB_RECLAIMABLE, WB_WRITEBACK */
	/* the kernel stores it per second (mm/page-writeback.c, wb_update_write_bandwidth) */
	on->written_pages_per_s = BPF_CORE_READ(wb, avg_write_bandwidth);
	bpf_probe_read_kernel_str(on->name, sizeof(on->name), bdi->dev_name);
}

/* The values from which balance_dirty_pages decided on a pause. */
MB_INLINE void read_limits(__u64 *ctx, struct mb_bdi_state *on)
{
	struct dirty_throttle_control *dtc;

	if (knobs.args[MB_ARG_balance_dirty_pages_dtc] == MB_ARG_MISSING) {
		on->dirty_pages = MB_ARG_OF(ctx, balance_dirty_pages, dirty);
		on->limit_pages = MB_ARG_OF(ctx, balance_dirty_pages, thresh);
		on->background_pages = MB_ARG_OF(ctx, balance_dirty_pages, bg_thresh);
		on->bdi_dirty_pages = MB_ARG_OF(ctx, balance_dirty_pages, bdi_dirty);
		on->bdi_limit_pages = MB_ARG_OF(ctx, balance_dirty_pages, bdi_thresh);
		return;
	}
	dtc = (void *)MB_ARG_OF(ctx, balance_dirty_pages, dtc);
	on->dirty_pages = BPF_CORE_READ(dtc, dirty);
	on->limit_pages = BPF_CORE_READ(dtc, thresh);
	on->background_pages = BPF_CORE_READ(dtc, bg_thresh);
	on->bdi_dirty_pages = BPF_CORE_READ(dtc, wb_dirty);
	on->bdi_limit_pages = BPF_CORE_READ(dtc, wb_thresh);
}

/* Fires before each sleep of a writer that exceeds its share, with the planned length. */
SEC("?tp_btf/balance_dirty_pages")
int writeback_pause(__u64 *ctx)
{
	struct bdi_writeback *wb = (void *)MB_ARG_OF(ctx, balance_dirty_pages, wb);
	long pause = MB_ARG_OF(ctx, balance_dirty_pages, pause);
	struct mb_ledger *l = ledger_of(compat_current());

	if (!l)
		return 0;
	if (pause <= 0) { /* no sleep this time, but it may follow one */
		stall_close_open(l, bpf_ktime_get_boot_ns());
		return 0;
	}
	dirtied_flush(l);
	stall_begin(l, MB_FAM_writeback, STALL_SLOT(writeback, dirty_throttle) | STALL_OPEN_ENDED,
		    bpf_ktime_get_boot_ns(), (__u64)pause * (1000000000ull / compat_hz()));
	read_device(wb, &l->writeback.open);
	read_limits(ctx, &l->writeback.open);
	return 0;
}

MB_INLINE int end_open(__u32 slot)
{
	struct mb_ledger *l = ledger_of(compat_current());

	if (l && l->task.depth)
		stall_end_open(l, slot);
	return 0;
}

/* The function in which a pause sleeps. */
SEC("?fexit/io_schedule_timeout")
int BPF_PROG(writeback_pause_end)
{
	return end_open(STALL_SLOT(writeback, dirty_throttle));
}

/*
 * Start of a wait for one folio; without trampolines, the thread's next activity is its end. Within
 * an fsync it is not a separate stall, because waiting for pages is what fsync does.
 */
MB_INLINE int wait_begin(struct address_space *mapping)
{
	struct mb_ledger *l = ledger_of(compat_current());

	if (!l || stall_is_innermost(l, STALL_SLOT(writeback, fsync)))
		return 0;
	stall_begin(l, MB_FAM_writeback, STALL_SLOT(writeback, writeback_wait) | STALL_OPEN_ENDED,
		    bpf_ktime_get_boot_ns(), 0);
	if (mapping)
		read_device(inode_wb(mapping->host), &l->writeback.open);
	else
		__builtin_memset(&l->writeback.open, 0, sizeof(l->writeback.open));
	return 0;
}

SEC("?tp_btf/folio_wait_writeback")
int BPF_PROG(writeback_wait, struct folio *folio, struct address_space *mapping)
{
	return wait_begin(mapping);
}

/* Before 5.17 (b9b0ff61eef5), for a page. */
SEC("?tp_btf/wait_on_page_writeback")
int BPF_PROG(writeback_wait_page, struct page *page, struct address_space *mapping)
{
	return wait_begin(mapping);
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

/* The last step of waiting for a file's pages (file_fdatawait_range etc.). */
SEC("?tp_btf/file_check_and_advance_wb_err")
int BPF_PROG(writeback_wait_end)
{
	struct mb_ledger *l = ledger_of(compat_current());

	if (l && l->task.depth)
		stall_close_open(l, bpf_ktime_get_boot_ns());
	return 0;
}

SEC("?tp_btf/ext4_sync_file_enter")
int BPF_PROG(writeback_fsync_begin, struct file *file)
{
	struct mb_ledger *l;

	if (!file) /* never NULL, but the verifier assumes so for arguments of a module's tracepoint */
		return 0;
	l = ledger_of(compat_current());
	if (!l)
		return 0;
	dirtied_flush(l);
	stall_begin(l, MB_FAM_writeback, STALL_SLOT(writeback, fsync), bpf_ktime_get_boot_ns(), 0);
	read_device(inode_wb(file->f_inode), &l->writeback.synced);
	return 0;
}

SEC("?tp_btf/ext4_sync_file_exit")
int BPF_PROG(writeback_fsync_end)
{
	struct mb_ledger *l = ledger_of(compat_current());
	struct stall_time t;

	if (l && stall_end(l, STALL_SLOT(writeback, fsync), bpf_ktime_get_boot_ns(), &t))
		stall_emit(MB_WRITEBACK_EVENT_FSYNC, &t, &l->writeback.synced);
	return 0;
}
