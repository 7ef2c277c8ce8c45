/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* The modes of `leaker`, grouped by what they really do. */
#ifndef WORKLOAD_LEAKER_H
#define WORKLOAD_LEAKER_H

/* leaker_steady.c: their memory grows, but nothing is leaked */
void steady_warmup(int argc, char **argv);
void steady_fragment(int argc, char **argv);
void steady_gc(int argc, char **argv);
void steady_cache(int argc, char **argv);

/* A cache of about 100 MiB, filled at the start; then entries come and go at random. */
void noise_fill(void);
void noise_round(void);
void noise_report(void); /* "noise_line", "noise_function", "noise_bytes" */

/* leaker_churn.c: as many allocations as possible, all freed except for an exactly known rest */
void churn(int argc, char **argv);

#endif
