/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * Derives container data from the path of a cgroup. Each runtime, and each of its cgroup drivers,
 * formats the path differently. Data that the path does not contain stays unknown; there is no
 * guessing.
 */
#ifndef MB_CONTAINER_H
#define MB_CONTAINER_H

#define MB_CONTAINER_NAME_LEN 256 /* a directory name has at most 255 bytes */
#define MB_POD_UID_LEN 40

/* Strings are "" if unknown. Names chosen by containers may contain arbitrary bytes. */
struct mb_container {
	char id[MB_CONTAINER_NAME_LEN]; /* 64 hex digits; for lxc and systemd-nspawn the name */
	char name[MB_CONTAINER_NAME_LEN]; /* for lxc and machines; other runtimes have no name in the path */
	char unit[MB_CONTAINER_NAME_LEN]; /* the innermost systemd service or scope, with "\x2d" decoded */
	char pod_uid[MB_POD_UID_LEN]; /* as Kubernetes writes it */
	/* "docker", "containerd", "cri-o", "podman", "lxc", "systemd-nspawn"; NULL: unknown */
	const char *runtime;
};

/*
 * Fill in *c for a memory cgroup, from its path below the hierarchy's root; path NULL: all unknown.
 * For nested containers *c describes the innermost one; the pod is the innermost enclosing pod.
 * Processes that only supervise a container (conmon, lxc.monitor, nspawn's supervisor) are not part
 * of it.
 */
void mb_container_of(const char *path, struct mb_container *c);

/*
 * Human-readable name of a container: the name in its path, else the host name that its processes
 * see ("": unknown), which in Kubernetes is the pod name. NULL: unknown, or no container.
 */
const char *mb_container_name(const struct mb_container *c, const char *host_name);

#endif
