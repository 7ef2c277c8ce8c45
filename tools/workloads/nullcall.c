// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Times a system call that has nothing to do with memory, and that tracing must not slow down. */
#include "workload.h"

#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	unsigned long calls = wl_arg(argc, argv, 1, 1000000);
	uint64_t begin, ns;

	wl_begin("nullcall", "getppid");
	begin = wl_now_ns();
	for (unsigned long i = 0; i < calls; i++)
		syscall(SYS_getppid);
	ns = wl_now_ns() - begin;
	wl_num("calls", (long long)calls);
	wl_num("loop_ns", (long long)ns);
	wl_hundredths("ns_per_call", calls ? ns * 100 / calls : 0);
	wl_end(0);
}
