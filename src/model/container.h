/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * What the path of a cgroup says of the container in it. Each runtime, and each of its ways to manage cgroups,
 * writes it differently; what a path does not say is not guessed.
 */
#ifndef MB_CONTAINER_H
#define MB_CONTAINER_H

#define MB_CONTAINER_NAME_LEN 256 /* a directory's name has at most 255 bytes */
#define MB_POD_UID_LEN 40

/* Text is "" where it is not known. What containers name themselves may be any bytes. */
struct mb_container {
	char id[MB_CONTAINER_NAME_LEN]; /* 64 hex digits; of lxc and systemd-nspawn the name */
	char name[MB_CONTAINER_NAME_LEN]; /* of lxc and machines; others have none in the path */
	char unit[MB_CONTAINER_NAME_LEN]; /* the innermost service or scope of systemd, its "\x2d" decoded */
	char pod_uid[MB_POD_UID_LEN]; /* as Kubernetes writes it */
	/* "docker", "containerd", "cri-o", "podman", "lxc", "systemd-nspawn"; NULL: cannot be told */
	const char *runtime;
};

/*
 * The container of a memory cgroup, by its path below the hierarchy's root; NULL: nothing is known. Of
 * containers within containers it is the innermost one; the pod is the innermost pod around it. Processes
 * that only watch a container (conmon, lxc.monitor, nspawn's supervisor) are not in it.
 */
void mb_container_of(const char *path, struct mb_container *c);

/*
 * What a person calls it: its name in the path, else the host name that its processes see ("": not known), which
 * in Kubernetes is the name of the pod. NULL: not known, or no container.
 */
const char *mb_container_name(const struct mb_container *c, const char *host_name);

#endif
