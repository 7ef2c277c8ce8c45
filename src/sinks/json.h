/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* What every JSON document has; for the files of the JSON sink. */
#ifndef MB_SINKS_JSON_H
#define MB_SINKS_JSON_H

#include "memblame/sink.h"

/* Begin a document of this kind: schema and kind. */
void mb_json_put_kind(struct mb_out *o, const char *kind);

/* kernel to duration_ns; lost; overhead. */
void mb_json_put_head(struct mb_out *o, const struct mb_snapshot *s);
void mb_json_put_lost(struct mb_out *o, const struct mb_lost *l);
void mb_json_put_overhead(struct mb_out *o, const struct mb_snapshot *s);

/* What is known of the container of a cgroup (NULL: unknown), in which p is (NULL: not known). */
void mb_json_put_container(struct mb_out *o, const char *cgroup_path, const struct mb_process *p);

/* json_cgroups.c: stalls by cgroup */
void mb_json_put_cgroups(struct mb_out *o, const struct mb_snapshot *s);

#endif
