// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Detects containers in cgroup paths: parses a path component by component, starting at the root. */
#include "model/container.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define ID_LEN 64u
#define UUID_LEN 36u
#define HASH_LEN 32u /* static pods, which a node reads from a file, have a hash as uid */

/* One component of a path. */
struct part {
	const char *s;
	size_t len;
};

static bool is(struct part p, const char *text)
{
	return p.len == strlen(text) && memcmp(p.s, text, p.len) == 0;
}

/* Remove a prefix, unless nothing would be left. */
static bool cut_front(struct part *p, const char *text)
{
	size_t n = strlen(text);

	if (p->len <= n || memcmp(p->s, text, n) != 0)
		return false;
	p->s += n;
	p->len -= n;
	return true;
}

static bool cut_end(struct part *p, const char *text)
{
	size_t n = strlen(text);

	if (p->len <= n || memcmp(p->s + p->len - n, text, n) != 0)
		return false;
	p->len -= n;
	return true;
}

static bool contains(struct part p, const char *text)
{
	return memmem(p.s, p.len, text, strlen(text)) != NULL;
}

static bool are_hex(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!isxdigit((unsigned char)s[i]))
			return false;
	}
	return true;
}

static void copy(char *to, struct part p)
{
	memcpy(to, p.s, p.len);
	to[p.len] = '\0';
}

static int hex_digit(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/*
 * Like systemd-escape(1) -u, but retains '-', which stands for itself in the names of units and
 * machines.
 */
static void unescape(char *to, struct part p)
{
	while (p.len) {
		bool escaped = p.len >= 4 && p.s[0] == '\\' && p.s[1] == 'x' && are_hex(p.s + 2, 2);
		char c = escaped ? (char)(hex_digit(p.s[2]) << 4 | hex_digit(p.s[3])) : *p.s;

		if (!c) /* it would terminate the string */
			escaped = false;
		*to++ = c ? c : *p.s;
		p.s += escaped ? 4 : 1;
		p.len -= escaped ? 4 : 1;
	}
	*to = '\0';
}

/* ---- pods ---- */

/* The part between "pod" and the end; systemd slices have '_' instead of '-'. */
static bool take_uid(struct part p, struct mb_container *c)
{
	char uid[MB_POD_UID_LEN];
	bool hash = p.len == HASH_LEN;

	if (!hash && p.len != UUID_LEN)
		return false;
	for (size_t i = 0; i < p.len; i++) {
		bool dash = !hash && (i == 8 || i == 13 || i == 18 || i == 23);

		if (dash ? p.s[i] != '-' && p.s[i] != '_' : !isxdigit((unsigned char)p.s[i]))
			return false;
		uid[i] = dash ? '-' : p.s[i];
	}
	uid[p.len] = '\0';
	memcpy(c->pod_uid, uid, sizeof(uid));
	return true;
}

/*
 * "podUID" below kubepods/, "kubepods-burstable-podU_I_D.slice", and the latter before
 * ":cri-containerd:ID".
 */
static void take_pod(struct part p, struct mb_container *c)
{
	const char *colon = memchr(p.s, ':', p.len);
	struct part uid;

	if (colon)
		p.len = (size_t)(colon - p.s);
	if (!cut_end(&p, ".slice")) {
		if (cut_front(&p, "pod"))
			take_uid(p, c);
		return;
	}
	for (size_t n = HASH_LEN; n <= UUID_LEN; n += UUID_LEN - HASH_LEN) {
		if (p.len < n + 4 || memcmp(p.s + p.len - n - 4, "-pod", 4) != 0 || !contains(p, "kubepods"))
			continue;
		uid = (struct part){ p.s + p.len - n, n };
		if (take_uid(uid, c))
			return;
	}
}

/* ---- containers ---- */

static void enter(struct mb_container *c, struct part id, const char *runtime)
{
	copy(c->id, id);
	c->runtime = runtime;
	c->name[0] = '\0';
}

/* The runtime by the prefix of the id. */
static const char *runtime_by_prefix(struct part prefix)
{
	static const struct {
		const char *prefix, *runtime;
	} known[] = {
		{ "docker", "docker" },		{ "cri-containerd", "containerd" },
		{ "nerdctl", "containerd" },	{ "containerd", "containerd" },
		{ "crio", "cri-o" },		{ "libpod", "podman" },
		{ "libpod-payload", "podman" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (is(prefix, known[i].prefix))
			return known[i].runtime;
	}
	return NULL;
}

/*
 * The runtime by the parent directory: Docker's, or one of the namespaces of containerd's own
 * clients.
 */
static const char *runtime_by_parent(struct part parent)
{
	if (is(parent, "docker"))
		return "docker";
	return is(parent, "k8s.io") || is(parent, "default") ? "containerd" : NULL;
}

/* "ID", "docker-ID.scope", "crio-ID", "kubepods-podUID.slice:cri-containerd:ID". */
static bool take_id(struct part p, struct part parent, struct mb_container *c)
{
	const char *colon, *runtime;
	struct part id, prefix;

	cut_end(&p, ".scope");
	if (p.len < ID_LEN)
		return false;
	id = (struct part){ p.s + p.len - ID_LEN, ID_LEN };
	prefix = (struct part){ p.s, p.len - ID_LEN };
	if (!are_hex(id.s, id.len))
		return false;
	if (prefix.len) {
		if (!strchr("-:_", p.s[--prefix.len]))
			return false;
		colon = memrchr(prefix.s, ':', prefix.len);
		if (colon)
			prefix = (struct part){ colon + 1, (size_t)(prefix.s + prefix.len - colon - 1) };
		if (is(prefix, "conmon") || cut_end(&prefix, "-conmon"))
			return true; /* it supervises the container from outside */
		runtime = runtime_by_prefix(prefix);
	} else {
		if (is(parent, "libpod_parent"))
			return true; /* a Podman pod; its containers are below it */
		runtime = runtime_by_parent(parent);
	}
	enter(c, id, runtime);
	return true;
}

/* "lxc.payload.NAME" (lxc 4), "lxc.payload/NAME" (3.1), "lxc/NAME" (older, and in Proxmox). */
static bool take_lxc(struct part p, struct part parent, struct mb_container *c)
{
	if (!cut_front(&p, "lxc.payload.") && !is(parent, "lxc.payload") && !is(parent, "lxc"))
		return false;
	enter(c, p, "lxc");
	copy(c->name, p);
	return true;
}

/* Machines registered with systemd-machined: "systemd-nspawn@NAME.service", "machine-NAME.scope". */
static bool take_machine(struct part p, struct part next, struct mb_container *c)
{
	const char *runtime = "systemd-nspawn";
	char name[MB_CONTAINER_NAME_LEN];
	struct part decoded = { name, 0 };

	if (!(cut_front(&p, "systemd-nspawn@") && cut_end(&p, ".service")) &&
	    !(cut_front(&p, "machine-") && cut_end(&p, ".scope")))
		return false;
	unescape(name, p);
	decoded.len = strlen(name);
	/* nspawn's own process; virtual machines, which libvirt names qemu-NUMBER-NAME */
	if (is(next, "supervisor") || strncmp(name, "qemu-", 5) == 0)
		return true;
	if (strncmp(name, "lxc-", 4) == 0 || strncmp(name, "rkt-", 4) == 0)
		runtime = NULL; /* containers of libvirt and rkt */
	enter(c, decoded, runtime);
	copy(c->name, decoded);
	return true;
}

/* ---- the path ---- */

static struct part next_part(const char **at)
{
	struct part p;

	*at += strspn(*at, "/");
	p = (struct part){ *at, strcspn(*at, "/") };
	*at += p.len;
	return p;
}

static void take_part(struct part p, struct part parent, struct part next, struct mb_container *c)
{
	struct part unit = p, stem;

	take_pod(p, c);
	cut_front(&unit, "_"); /* systemd adds it to names that could collide with the kernel's own files */
	stem = unit;
	if (cut_end(&stem, ".service") || cut_end(&stem, ".scope"))
		unescape(c->unit, unit);
	if (!take_id(p, parent, c) && !take_machine(p, next, c))
		take_lxc(p, parent, c);
}

void mb_container_of(const char *path, struct mb_container *c)
{
	struct part parent = { "", 0 }, p, next;

	memset(c, 0, sizeof(*c));
	if (!path)
		return;
	p = next_part(&path);
	while (p.len) {
		next = next_part(&path);
		/*
		 * in another cgroup namespace a path begins with "/.."; the kernel has no longer
		 * names
		 */
		if (!is(p, "..") && !is(p, ".") && p.len < MB_CONTAINER_NAME_LEN)
			take_part(p, parent, next, c);
		parent = p;
		p = next;
	}
}

const char *mb_container_name(const struct mb_container *c, const char *host_name)
{
	if (c->name[0])
		return c->name;
	return c->id[0] && host_name[0] ? host_name : NULL;
}
