/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Wire structs of the writeback family: dirtied pages, pauses, fsync. */
#ifndef MEMBLAME_ABI_WRITEBACK_H
#define MEMBLAME_ABI_WRITEBACK_H

#define MB_BDI_NAME_LEN 32

enum mb_writeback_event_type {
	MB_WRITEBACK_EVENT_PAUSE = 0, /* one balance_dirty_pages sleep; always emitted */
	MB_WRITEBACK_EVENT_FSYNC = 1,
	MB_WRITEBACK_EVENT_WAIT = 2,
};

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

struct mb_writeback_ledger {
	struct mb_stall dirty_throttle;
	struct mb_stall writeback_wait;
	struct mb_stall fsync;
	__u64 dirtied_pages;
	char pause_bdi[MB_BDI_NAME_LEN]; /* of the pause that is open now */
};

struct mb_writeback_event {
	struct mb_event h; /* t_ns: its start */
	__u64 ns; /* exclusive */
	__u64 total_ns;
	char bdi[MB_BDI_NAME_LEN]; /* pause: the device written to, as in /sys/class/bdi */
};

#pragma GCC diagnostic pop
#endif
