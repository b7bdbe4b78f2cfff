/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor_rights.c - who may record here, and what stands in the way?
 *
 * Capabilities count as the kernel counts them: those for BPF and perf events have to be held in the first user
 * namespace, so a full set in another one (root of a rootless container) is not one. What is not in the bounding set
 * can't be had by setcap or sudo from here, only from whoever started this.
 */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#include "doctor.h"
#include "memory.h"

static bool may_trace(const struct host *host)
{
	return host->effective >> CAP_SYS_PTRACE & 1;
}

/* How a container gets a capability, as engines spell it: without CAP_. */
static void advise_capability(const struct host *host, const struct privilege *privilege, struct finding *ret)
{
	if (privileges_hold(host->bounding, privilege)) {
		_cleanup_free_ char *line = privileges_setcap_line(host->executable);

		finding_set_fix(ret, "%s", line);
	} else if (host->in_container) {
		finding_set_fix(ret, "docker run --cap-add=%s ...", privilege->name + strlen("CAP_"));
	}
}

void probe_privilege(const struct host *host, const struct probe *probe, struct finding *ret)
{
	const struct privilege *privilege = &privileges[probe->privilege];
	enum finding_status lacking = privilege->is_required ? FINDING_MISSING : FINDING_NOTE;

	if (!privileges_hold(host->effective, privilege)) {
		finding_set(ret, lacking, "not held%s",
			    privileges_hold(host->bounding, privilege) ? "" : ", nor to be had here (bounding set)");
		finding_set_cost(ret, "%s", privilege->without);
		advise_capability(host, privilege, ret);
	} else if (host->in_user_namespace) {
		finding_set(ret, lacking, "held in a user namespace only, where it does not count for all");
		finding_set_cost(ret, "%s", privilege->without);
	} else {
		finding_set(ret, FINDING_OK, "held");
	}
}

void probe_user_namespace(const struct host *host, const struct probe *probe, struct finding *ret)
{
	(void)probe;
	if (!host_namespace(host, "user")) {
		finding_set(ret, FINDING_UNKNOWN, "no /proc/self/ns/user");
		return;
	}
	if (!host->in_user_namespace) {
		finding_set(ret, FINDING_OK, "the host's");
		return;
	}
	finding_set(ret, FINDING_MISSING, "one of its own, as rootless containers have");
	finding_set_cost(ret, "everything: the kernel asks for capabilities in the host's user namespace");
	finding_set_fix(ret, "sudo ebprof record ...   (outside of it; it can record the processes inside)");
}

void probe_paranoid(const struct host *host, const struct probe *probe, struct finding *ret)
{
	static const char path[] = "/proc/sys/kernel/perf_event_paranoid";
	struct problem problem;
	long long level;
	int error = host_read_number(host, path, &level);

	(void)probe;
	if (error == -ENOENT) {
		finding_set(ret, FINDING_MISSING, "none: this kernel was built without perf events");
		finding_set_cost(ret, "everything: no clock can be opened");
		finding_set_fix(ret, "%s", host->install[PACKAGE_KERNEL]);
	} else if (error) {
		finding_set_unread(ret, path, error);
	} else if (!host_may_record(host)) {
		finding_set(ret, FINDING_OK, "%lld: asks for CAP_PERFMON, which a recording needs at any level", level);
	} else if (level > 2 && host->feature(FEATURE_CLOCK, &problem) == -EPERM) {
		/* Some distributions have levels that the kernel itself doesn't know. */
		finding_set(ret, FINDING_MISSING, "%lld: refuses clocks even with CAP_PERFMON", level);
		finding_set_cost(ret, "everything: no clock can be opened");
		finding_set_fix(ret, "sudo sysctl kernel.perf_event_paranoid=2");
	} else {
		finding_set(ret, FINDING_OK, "%lld: does not matter with CAP_PERFMON", level);
	}
}

void probe_unprivileged(const struct host *host, const struct probe *probe, struct finding *ret)
{
	static const char path[] = "/proc/sys/kernel/unprivileged_bpf_disabled";
	long long level;
	int error = host_read_number(host, path, &level);

	(void)probe;
	if (error == -ENOENT)
		finding_set(ret, FINDING_OK, "not restricted by this kernel");
	else if (error)
		finding_set_unread(ret, path, error);
	else
		finding_set(ret, FINDING_OK, "%lld: does not matter, recording needs CAP_BPF in any case", level);
}

void probe_lockdown(const struct host *host, const struct probe *probe, struct finding *ret)
{
	static const char path[] = "/sys/kernel/security/lockdown";
	struct problem problem;
	char line[128];
	int error = host_read_line(host, path, line, sizeof(line));

	(void)probe;
	if (!error && strstr(line, "[confidentiality]")) {
		finding_set(ret, FINDING_MISSING, "confidentiality: programs may not read kernel memory");
		finding_set_cost(ret, "everything: the kernel refuses the programs");
		finding_set_fix(ret, "boot with lockdown=integrity, or with Secure Boot off");
	} else if (!error) {
		finding_set(ret, FINDING_OK, "%s",
			    strstr(line, "[integrity]") ? "integrity: allows recording" : "none");
	} else if (error == -ENOENT && host->feature(FEATURE_KERNEL_READS, &problem) == 0) {
		/* Its file may just not be mounted, but what it would forbid is allowed. */
		finding_set(ret, FINDING_OK, "not in the way: programs may read kernel memory");
	} else if (error == -ENOENT) {
		finding_set(ret, FINDING_UNKNOWN, "needs root");
	} else {
		finding_set_unread(ret, path, error);
	}
}

void probe_ptrace_scope(const struct host *host, const struct probe *probe, struct finding *ret)
{
	static const char path[] = "/proc/sys/kernel/yama/ptrace_scope";
	long long level;
	int error = host_read_number(host, path, &level);

	(void)probe;
	if (error == -ENOENT) {
		finding_set(ret, FINDING_OK, "not restricted by this kernel");
	} else if (error) {
		finding_set_unread(ret, path, error);
	} else if (level < 3 && (level == 0 || may_trace(host))) {
		finding_set(ret, FINDING_OK, "%lld%s", level, level ? ": does not matter with CAP_SYS_PTRACE" : "");
	} else {
		finding_set(ret, FINDING_NOTE, "%lld: no process may read another's memory", level);
		finding_set_cost(ret, "names of the vdso, and of code that a program copied to huge pages");
		/* 3 can't be lowered before the next boot. */
		finding_set_fix(ret, "%s",
				level < 3 ? "sudo sysctl kernel.yama.ptrace_scope=0"
					  : "set kernel.yama.ptrace_scope=1 in /etc/sysctl.d, and sudo reboot");
	}
}

/* The value of "Seccomp:" in /proc/self/status: 2 = a filter. */
static int seccomp_mode(const struct host *host)
{
	_cleanup_free_ char *path = memory_format("%s/proc/self/status", host->root);
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	char line[256];
	int mode = -ENOENT;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Seccomp: %d", &mode) == 1)
			return mode;
	}
	return mode;
}

void probe_seccomp(const struct host *host, const struct probe *probe, struct finding *ret)
{
	int mode = seccomp_mode(host);
	struct problem problem;

	(void)probe;
	if (mode <= 0) {
		finding_set(ret, FINDING_OK, "none");
		return;
	}
	int error = host->feature(FEATURE_PROGRAMS, &problem);

	if (error == 0) {
		finding_set(ret, FINDING_OK, "one is at work, and lets programs be loaded");
	} else if (host_may_record(host)) {
		finding_set(ret, FINDING_MISSING, "one is at work, and BPF programs are refused");
		finding_set_cost(ret, "everything: no program can be loaded");
		finding_set_fix(ret, "docker run --security-opt seccomp=unconfined ...");
	} else {
		finding_set(ret, FINDING_UNKNOWN, "one is at work; what it forbids shows only with CAP_BPF");
	}
}
