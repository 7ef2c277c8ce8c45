// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Containers are recognized by the cgroup paths that runtimes use; no other path is taken for a container. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/container.h"

#define A "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define B "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define UID "5759a1ae-36ca-48a8-b20a-b0b5c8a90fb8"
#define UID_ "5759a1ae_36ca_48a8_b20a_b0b5c8a90fb8"
#define HASH "36b6d6be73b1065af369b3985edafa09"
#define SLICE "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_ ".slice"

/* "" and NULL: not known */
static const struct form {
	const char *path, *id, *runtime, *pod_uid, *unit, *name;
} forms[] = {
	/* none */
	{ "/", "", NULL, "", "", "" },
	{ "", "", NULL, "", "", "" },
	{ "/system.slice/cron.service", "", NULL, "", "cron.service", "" },
	{ "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome\\x2dterminal-7.scope", "", NULL, "",
	  "app-gnome-terminal-7.scope", "" },
	{ "/system.slice/system-getty.slice/getty@tty1.service", "", NULL, "", "getty@tty1.service", "" },
	{ "/system.slice/_cpu.service", "", NULL, "", "cpu.service", "" }, /* cg_escape of systemd */
	{ "/init.scope", "", NULL, "", "init.scope", "" },
	/* Docker */
	{ "/docker/" A, A, "docker", "", "", "" },
	{ "/docker-ce/docker/" A, A, "docker", "", "", "" },
	{ "/system.slice/docker-" A ".scope", A, "docker", "", "docker-" A ".scope", "" },
	{ "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" A ".scope", A, "docker", "",
	  "docker-" A ".scope", "" },
	{ "/system.slice/docker-" A ".scope/init.scope", A, "docker", "", "init.scope", "" },
	{ "/system.slice/docker-" A ".scope/system.slice/nginx.service", A, "docker", "", "nginx.service", "" },
	{ "/system.slice:docker:" A, A, "docker", "", "", "" },
	/* AWS ECS, GitHub Actions: the parent cgroup does not show the runtime */
	{ "/ecs/cluster/55091c13b8554b54b9f9a5f3e9a3d9b1/" A, A, NULL, "", "", "" },
	{ "/actions_job/" A, A, NULL, "", "", "" },
	/* Kubernetes with systemd */
	{ SLICE "/cri-containerd-" A ".scope", A, "containerd", UID, "cri-containerd-" A ".scope", "" },
	{ SLICE "/docker-" A ".scope", A, "docker", UID, "docker-" A ".scope", "" },
	{ SLICE "/crio-" A ".scope", A, "cri-o", UID, "crio-" A ".scope", "" },
	{ SLICE "/crio-" A ".scope/container", A, "cri-o", UID, "crio-" A ".scope", "" },
	{ SLICE "/crio-conmon-" A ".scope", "", NULL, UID, "crio-conmon-" A ".scope", "" },
	{ SLICE, "", NULL, UID, "", "" },
	{ "/kubepods.slice/kubepods-pod" UID_ ".slice/cri-containerd-" A ".scope", A, "containerd", UID,
	  "cri-containerd-" A ".scope", "" },
	{ "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" HASH ".slice/crio-" A ".scope", A,
	  "cri-o", HASH, "crio-" A ".scope", "" },
	{ "/system.slice/containerd.service/kubepods-burstable-pod" UID_ ".slice:cri-containerd:" A, A, "containerd",
	  UID, "containerd.service", "" },
	{ "/kubepods-besteffort-pod" HASH ".slice:cri-containerd:" A, A, "containerd", HASH, "", "" },
	{ "/kubepods-besteffort-pod" UID_ ".slice:crio:" A, A, "cri-o", UID, "", "" },
	/* Kubernetes with cgroupfs: the path does not name the runtime, except for CRI-O */
	{ "/kubepods/burstable/pod" UID "/" A, A, NULL, UID, "", "" },
	{ "/kubepods/kubepods/besteffort/pod" UID "/" A, A, NULL, UID, "", "" },
	{ "/kubepods/pod" HASH "/" A, A, NULL, HASH, "", "" },
	{ "/kubepods/besteffort/pod" UID "/crio-" A, A, "cri-o", UID, "", "" },
	{ "/kubepods/besteffort/pod" UID "/crio-conmon-" A, "", NULL, UID, "", "" },
	/* Kubernetes in Docker (kind), Docker in Kubernetes: the innermost container counts */
	{ "/docker/" B "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/"
	  "kubelet-kubepods-besteffort-pod" UID_ ".slice/cri-containerd-" A ".scope",
	  A, "containerd", UID, "cri-containerd-" A ".scope", "" },
	{ SLICE "/cri-containerd-" B ".scope/docker/" A, A, "docker", UID, "cri-containerd-" B ".scope", "" },
	{ "/kubepods/burstable/pod" UID "/" B "/docker/" A, A, "docker", UID, "", "" },
	{ "/docker/" B "/docker/buildx", B, "docker", "", "", "" },
	/* containerd's own clients */
	{ "/default/" A, A, "containerd", "", "", "" },
	{ "/k8s.io/" A, A, "containerd", "", "", "" },
	{ "/mine/" A, A, NULL, "", "", "" },
	{ "/system.slice/nerdctl-" A ".scope", A, "containerd", "", "nerdctl-" A ".scope", "" },
	/* Podman */
	{ "/machine.slice/libpod-" A ".scope", A, "podman", "", "libpod-" A ".scope", "" },
	{ "/machine.slice/libpod-" A ".scope/container", A, "podman", "", "libpod-" A ".scope", "" },
	{ "/machine.slice/libpod-conmon-" A ".scope", "", NULL, "", "libpod-conmon-" A ".scope", "" },
	{ "/machine.slice/machine-libpod_pod_" B ".slice/libpod-" A ".scope", A, "podman", "", "libpod-" A ".scope",
	  "" },
	{ "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" A ".scope/container", A, "podman", "",
	  "libpod-" A ".scope", "" },
	{ "/user.slice/user-1000.slice/user@1000.service/user.slice/user-libpod_pod_" B ".slice/libpod-" A ".scope", A,
	  "podman", "", "libpod-" A ".scope", "" },
	{ "/system.slice/web.service/libpod-payload-" A, A, "podman", "", "web.service", "" },
	{ "/system.slice/web.service/supervisor", "", NULL, "", "web.service", "" },
	{ "/libpod_parent/libpod-" A, A, "podman", "", "", "" },
	{ "/libpod_parent/" B "/libpod-" A, A, "podman", "", "", "" },
	{ "/libpod_parent/" B, "", NULL, "", "", "" },
	{ "/libpod_parent/conmon", "", NULL, "", "", "" },
	{ "/docker/" B "/libpod-conmon-" A ".scope", B, "docker", "", "libpod-conmon-" A ".scope", "" },
	/* another prefix: a container of an unknown runtime */
	{ "/system.slice/sysbox-" A ".scope", A, NULL, "", "sysbox-" A ".scope", "" },
	{ "/kata_overhead/" A, A, NULL, "", "", "" },
	/* LXC */
	{ "/lxc.payload.web", "web", "lxc", "", "", "web" },
	{ "/lxc.payload.web/system.slice/nginx.service", "web", "lxc", "", "nginx.service", "web" },
	{ "/lxc.payload/web/init.scope", "web", "lxc", "", "init.scope", "web" },
	{ "/lxc.monitor.web", "", NULL, "", "", "" },
	{ "/lxc.monitor/web", "", NULL, "", "", "" },
	{ "/lxc/web", "web", "lxc", "", "", "web" },
	{ "/lxc/101/ns/system.slice/cron.service", "101", "lxc", "", "cron.service", "101" },
	{ "/lxc.payload.web/docker/" A, A, "docker", "", "", "" },
	{ "/lxc", "", NULL, "", "", "" },
	{ "/lxc.payload.", "", NULL, "", "", "" },
	/* systemd-nspawn, libvirt */
	{ "/machine.slice/systemd-nspawn@web.service/payload", "web", "systemd-nspawn", "",
	  "systemd-nspawn@web.service", "web" },
	{ "/machine.slice/systemd-nspawn@web-2.service/payload/system.slice/cron.service", "web-2", "systemd-nspawn",
	  "", "cron.service", "web-2" },
	{ "/machine.slice/systemd-nspawn@web.service/supervisor", "", NULL, "", "systemd-nspawn@web.service", "" },
	{ "/machine.slice/machine-my\\x2dweb.scope", "my-web", "systemd-nspawn", "", "machine-my-web.scope", "my-web" },
	{ "/machine.slice/machine-lxc\\x2d4711\\x2dweb.scope", "lxc-4711-web", NULL, "", "machine-lxc-4711-web.scope",
	  "lxc-4711-web" },
	{ "/machine.slice/machine-qemu\\x2d6\\x2dvm1.scope/libvirt/emulator", "", NULL, "", "machine-qemu-6-vm1.scope",
	  "" },
	{ "/machine.slice/machine-web.scope/payload/system.slice/docker-" A ".scope", A, "docker", "",
	  "docker-" A ".scope", "" },
	/* as seen from within another cgroup namespace */
	{ "/../cri-containerd-" A ".scope", A, "containerd", "", "cri-containerd-" A ".scope", "" },
	{ "/../../pod" UID "/" A, A, NULL, UID, "", "" },
	{ "/../" A, A, NULL, "", "", "" },
	{ "/..", "", NULL, "", "", "" },
	/* almost a container */
	{ "/docker/" A "0", "", NULL, "", "", "" },
	{ "/docker/0123456789abcdef", "", NULL, "", "", "" },
	{ "/docker/g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "", NULL, "", "", "" },
	{ "/docker-" A ".slice", "", NULL, "", "", "" },
	{ "/x" A, "", NULL, "", "", "" },
	{ "/my-pod" UID_ ".slice", "", NULL, "", "", "" },
	{ "/kubepods/burstable/pod5759a1ae-36ca-48a8-b20a", "", NULL, "", "", "" },
	{ "/kubepods/burstable/podabcdefabcdefabcdefabcdefabcdefabcdef", "", NULL, "", "", "" },
	{ "/.service/.scope", "", NULL, "", "", "" },
	{ "//docker//" A "//", A, "docker", "", "", "" },
};

static void each_form_is_understood(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		const struct form *f = &forms[i];
		struct mb_container c;

		memset(&c, 'x', sizeof(c));
		mb_container_of(f->path, &c);
		if (strcmp(c.id, f->id) || strcmp(c.pod_uid, f->pod_uid) || strcmp(c.unit, f->unit) ||
		    strcmp(c.name, f->name) || !c.runtime != !f->runtime ||
		    (c.runtime && strcmp(c.runtime, f->runtime)))
			fail_msg("%s: id '%s', runtime %s, pod '%s', unit '%s', name '%s'", f->path, c.id,
				 c.runtime ? c.runtime : "NULL", c.pod_uid, c.unit, c.name);
	}
}

static void nothing_is_known_of_no_path(void **state)
{
	struct mb_container c;

	(void)state;
	mb_container_of(NULL, &c);
	assert_string_equal(c.id, "");
	assert_null(c.runtime);
	assert_null(mb_container_name(&c, "host"));
}

/* Anyone who may create cgroups may give them any name. */
static void hostile_names_are_harmless(void **state)
{
	static char longest[4200];
	struct mb_container c;

	(void)state;
	memset(longest, 'a', 4000);
	memcpy(longest, "/lxc.payload.", 13);
	mb_container_of(longest, &c);
	assert_string_equal(c.id, "");
	memcpy(longest, "/docker/", 8);
	strcpy(longest + 4000, "/docker/" A);
	mb_container_of(longest, &c);
	assert_string_equal(c.id, A);
	strcpy(longest + 4000, ".service");
	mb_container_of(longest, &c);
	assert_string_equal(c.unit, "");
	for (size_t i = 0; i < 4096; i++)
		longest[i] = '/';
	longest[4096] = '\0';
	mb_container_of(longest, &c);
	assert_string_equal(c.id, "");
	/* all bytes stay as they are; none of them ends the text */
	mb_container_of("/lxc.payload.a\nb\x1b[31m\xff\"\\/x\\x00y\\x0az.service", &c);
	assert_string_equal(c.name, "a\nb\x1b[31m\xff\"\\");
	assert_string_equal(c.unit, "x\\x00y\nz.service");
	mb_container_of("/systemd-nspawn@\\x00.service", &c);
	assert_string_equal(c.name, "\\x00");
	mb_container_of("/machine-\\x.scope/\\x2.scope/\\", &c);
	assert_string_equal(c.name, "\\x");
	assert_string_equal(c.unit, "\\x2.scope");
}

/* The longest name a directory can have, in each form; the sanitizers detect reads beyond it. */
static void longest_names_fit(void **state)
{
	static const char *const heads[] = { "lxc.payload.", "systemd-nspawn@", "machine-", "docker-", "pod", "" };
	static const char *const tails[] = { "", ".service", ".scope", ".slice" };
	struct mb_container c;

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		for (size_t j = 0; j < 4; j++) {
			char path[300];
			size_t head = strlen(heads[i]), tail = strlen(tails[j]);

			path[0] = '/';
			memset(path + 1, 'f', 255);
			memcpy(path + 1, heads[i], head);
			strcpy(path + 1 + 255 - tail, tails[j]);
			mb_container_of(path, &c);
			assert_true(strlen(c.unit) <= 255 && strlen(c.name) <= 255 && strlen(c.id) <= 255);
		}
	}
}

static void host_names_are_of_containers_only(void **state)
{
	struct mb_container c;

	(void)state;
	mb_container_of("/docker/" A, &c);
	assert_string_equal(mb_container_name(&c, "web-0"), "web-0");
	assert_null(mb_container_name(&c, ""));
	mb_container_of("/lxc.payload.db", &c);
	assert_string_equal(mb_container_name(&c, "web-0"), "db");
	/* a service with a UTS namespace of its own */
	mb_container_of("/system.slice/cron.service", &c);
	assert_null(mb_container_name(&c, "web-0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_form_is_understood),
		cmocka_unit_test(nothing_is_known_of_no_path),
		cmocka_unit_test(hostile_names_are_harmless),
		cmocka_unit_test(longest_names_fit),
		cmocka_unit_test(host_names_are_of_containers_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
