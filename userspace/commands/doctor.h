/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor.h - what a host allows a recording to do: probes, what they look at, and what they find.
 *
 * A probe is a row of the table in doctor_probes.c. It sees the host through struct host alone, so a test can show it
 * another one: a folder in the place of /, and functions in the place of the kernel's answers.
 */
#ifndef EBPROF_COMMANDS_DOCTOR_H
#define EBPROF_COMMANDS_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "features.h"
#include "message.h"
#include "privileges.h"
#include "trial.h"

/* ---- the host ---- */

/* What a distribution's package manager can bring. */
enum host_package { PACKAGE_KERNEL, PACKAGE_LIBC_DEBUG, PACKAGE_DEBUGINFOD, NR_PACKAGES };

struct host {
	const char *root;            /* a folder that takes the place of /; "" = / itself */
	const char *executable;      /* ebprof's own, for commands */
	const char *path;            /* PATH; may be NULL */
	const char *debuginfod_urls; /* may be NULL */
	int (*feature)(enum feature feature, struct problem *problem);
	int (*trial)(uint32_t rate_hz, struct trial *ret, struct problem *problem); /* NULL = none is wanted */

	/* Read by host_init(). */
	uint64_t effective, bounding; /* capabilities */
	bool in_user_namespace;       /* another one than the kernel's first, where capabilities don't count */
	bool in_container, sees_all_pids;
	char install[NR_PACKAGES][256]; /* the commands that do; "" where the distribution is not known */
};

/* Reads what several probes need; the fields above have to be set. */
void host_init(struct host *host);

/* Whether the two capabilities that recording stands on are held and count. */
bool host_may_record(const struct host *host);

/* The beginning of a file, without what follows its first line break: 0 or a negative errno. */
int host_read_line(const struct host *host, const char *path, char *ret, size_t size);
/* A file that holds a decimal number. -EBADMSG: it does not. */
int host_read_number(const struct host *host, const char *path, long long *ret);
/* The inode of one of the namespaces that this process is in ("user"); 0 = unknown. */
uint64_t host_namespace(const struct host *host, const char *name);

struct host_mount {
	char folder[512];
	char options[512]; /* of the file system itself */
};
/*
 * The first mount of a type whose options have that word (NULL = any), or what was mounted over it since. -ENOENT:
 * there is none.
 */
int host_find_mount(const struct host *host, const char *type, const char *option, struct host_mount *ret);

/* Whether a program is in one of PATH's folders. */
bool host_has_program(const struct host *host, const char *name);

/* ---- findings ---- */

enum finding_status {
	FINDING_OK,
	FINDING_NOTE,    /* recording works, and knows or does less */
	FINDING_MISSING, /* recording can't work */
	FINDING_UNKNOWN, /* this user may not look */
};

struct finding {
	enum finding_status status;
	char text[600]; /* what was found */
	char cost[256]; /* what the user lacks by it, "" = nothing */
	char fix[512];  /* what gets it: a command wherever one can, "" = nothing does */
};

void finding_set(struct finding *finding, enum finding_status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void finding_set_cost(struct finding *finding, const char *format, ...) __attribute__((format(printf, 2, 3)));
void finding_set_fix(struct finding *finding, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Unknown: why a file could not be read. */
void finding_set_unread(struct finding *finding, const char *path, int error);

/* ---- probes ---- */

struct probe {
	const char *group; /* heading */
	const char *name;  /* stable: the key in --json */
	const char *title;
	void (*look)(const struct host *host, const struct probe *probe, struct finding *ret);

	/* Of probe_feature(): what is said when it is there and when not; required = without it nothing is recorded. */
	enum feature feature;
	bool is_required;
	const char *there, *lacking, *cost;
	const char *fix; /* NULL = a newer kernel */

	/* Of probe_privilege(). */
	size_t privilege;
};

extern const struct probe probes[];
extern const size_t nr_probes;

/* "ok", "note", "missing", "unknown" */
const char *finding_status_name(enum finding_status status);

/* doctor_kernel.c */
void probe_feature(const struct host *host, const struct probe *probe, struct finding *ret);
void probe_types(const struct host *host, const struct probe *probe, struct finding *ret);
void probe_jit(const struct host *host, const struct probe *probe, struct finding *ret);
void probe_trial(const struct host *host, const struct probe *probe, struct finding *ret);

/* doctor_rights.c */
void probe_privilege(const struct host *host, const struct probe *probe, struct finding *ret);
void probe_user_namespace(const struct host *host, const struct probe *probe, struct finding *ret);
void probe_paranoid(const struct host *host, const struct probe *probe, struct finding *ret);
void probe_unprivileged(const struct host *host, const struct probe *probe, struct finding *ret);
void probe_lockdown(const struct host *host, const struct probe *probe, struct finding *ret);
void probe_ptrace_scope(const struct host *host, const struct probe *probe, struct finding *ret);
void probe_seccomp(const struct host *host, const struct probe *probe, struct finding *ret);

/* doctor_limits.c */
void probe_files(const struct host *host, const struct probe *probe, struct finding *ret);
void probe_locked_memory(const struct host *host, const struct probe *probe, struct finding *ret);
void probe_memory_cgroup(const struct host *host, const struct probe *probe, struct finding *ret);
void probe_sample_rate(const struct host *host, const struct probe *probe, struct finding *ret);
void probe_max_stack(const struct host *host, const struct probe *probe, struct finding *ret);
void probe_cpu_time(const struct host *host, const struct probe *probe, struct finding *ret);
void probe_cpus(const struct host *host, const struct probe *probe, struct finding *ret);

/* doctor_surroundings.c */
void probe_container(const struct host *host, const struct probe *probe, struct finding *ret);
void probe_proc(const struct host *host, const struct probe *probe, struct finding *ret);
void probe_cgroups(const struct host *host, const struct probe *probe, struct finding *ret);
void probe_kernel_symbols(const struct host *host, const struct probe *probe, struct finding *ret);
void probe_debug_files(const struct host *host, const struct probe *probe, struct finding *ret);
void probe_debuginfod(const struct host *host, const struct probe *probe, struct finding *ret);

#endif
