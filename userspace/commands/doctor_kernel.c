/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor_kernel.c - does the kernel have what the programs need?
 *
 * collect/features.c tries; here its answers become sentences. A refusal means "unknown" only to those who lack the
 * capabilities: to others something else forbids it, a filter or a security module, and the feature can't be had.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "doctor.h"
#include "memory.h"
#include "record_options.h"

void probe_feature(const struct host *host, const struct probe *probe, struct finding *ret)
{
	enum finding_status lacking = probe->is_required ? FINDING_MISSING : FINDING_NOTE;
	struct problem problem = {""};
	int error = host->feature(probe->feature, &problem);

	if (!error) {
		finding_set(ret, FINDING_OK, "%s", probe->there);
		return;
	}
	if (error == -EPERM && !host_may_record(host)) {
		finding_set(ret, FINDING_UNKNOWN, "needs root");
		return;
	}
	if (error == -EOPNOTSUPP)
		finding_set(ret, lacking, "%s%s%s", probe->lacking, problem.text[0] ? ": " : "", problem.text);
	else if (problem.text[0])
		finding_set(ret, lacking, "%s", problem.text);
	else if (error == -EPERM)
		finding_set(ret, lacking, "refused, although the capabilities are held");
	else
		finding_set(ret, lacking, "refused: %s", strerror(-error));
	finding_set_cost(ret, "%s", probe->cost);
	if (error == -EPERM && host->in_container)
		finding_set_fix(ret, "docker run --security-opt seccomp=unconfined ...");
	else if (error == -EOPNOTSUPP)
		finding_set_fix(ret, "%s", probe->fix ? probe->fix : host->install[PACKAGE_KERNEL]);
}

void probe_types(const struct host *host, const struct probe *probe, struct finding *ret)
{
	static const char path[] = "/sys/kernel/btf/vmlinux";
	char start[4] = "";
	int error = host_read_line(host, path, start, sizeof(start));

	(void)probe;
	if (!error && start[0]) {
		finding_set(ret, FINDING_OK, "%s", path);
	} else if (error == -ENOENT || !error) {
		finding_set(ret, FINDING_MISSING, "no %s: built without CONFIG_DEBUG_INFO_BTF, or /sys not mounted",
			    path);
		finding_set_cost(ret, "everything: the programs can't find the kernel's structures");
		finding_set_fix(ret, "%s", host->install[PACKAGE_KERNEL]);
	} else {
		finding_set_unread(ret, path, error);
	}
}

void probe_jit(const struct host *host, const struct probe *probe, struct finding *ret)
{
	long long enabled = -1, hardened = -1;
	struct problem problem;
	int error = host->feature(FEATURE_JIT, &problem);

	(void)probe;
	/* Both may be unreadable: for others than root, and outside of the host's network namespace. */
	host_read_number(host, "/proc/sys/net/core/bpf_jit_enable", &enabled);
	host_read_number(host, "/proc/sys/net/core/bpf_jit_harden", &hardened);
	if (error == -EOPNOTSUPP || enabled == 0) {
		finding_set(ret, FINDING_MISSING, "off");
		finding_set_cost(ret, "everything: the kernel runs the walker's loops as machine code only");
		finding_set_fix(ret, "sudo sysctl net.core.bpf_jit_enable=1");
	} else if (enabled == 2) {
		finding_set(ret, FINDING_NOTE, "on, for debugging: each program goes to the kernel's log");
		finding_set_cost(ret, "a slow start, and a full log");
		finding_set_fix(ret, "sudo sysctl net.core.bpf_jit_enable=1");
	} else if (hardened == 2) {
		finding_set(ret, FINDING_NOTE, "on, hardened for all users");
		finding_set_cost(ret, "time: walking a stack takes more instructions");
		finding_set_fix(ret, "sudo sysctl net.core.bpf_jit_harden=1");
	} else if (error) {
		finding_set(ret, FINDING_UNKNOWN, "needs root");
	} else {
		finding_set(ret, FINDING_OK, "on");
	}
}

/* A rate that the kernel allows. */
static uint32_t trial_rate(const struct host *host)
{
	enum { TRIAL_HZ = 499 };
	long long limit;

	if (host_read_number(host, "/proc/sys/kernel/perf_event_max_sample_rate", &limit) || limit > TRIAL_HZ)
		return TRIAL_HZ;
	return limit > 0 ? (uint32_t)limit : 1;
}

void probe_trial(const struct host *host, const struct probe *probe, struct finding *ret)
{
	struct problem problem = {""};
	struct trial trial;

	(void)probe;
	if (!host->trial) {
		finding_set(ret, FINDING_UNKNOWN, "not tried (--no-trial)");
		return;
	}
	if (!host_may_record(host)) {
		finding_set(ret, FINDING_UNKNOWN, "not tried: needs root");
		return;
	}
	int error = host->trial(trial_rate(host), &trial, &problem);

	if (error) {
		finding_set(ret, FINDING_MISSING, "failed: %s", problem.text);
		finding_set_cost(ret, "everything: this is what record would say");
		finding_set_fix(ret, "sudo ebprof record -v -o /dev/null -- true   (shows the kernel's reasons)");
	} else if (!trial.samples) {
		finding_set(ret, FINDING_MISSING, "no sample came of a process that did nothing but compute");
		finding_set_cost(ret, "everything: the clock does not tick, or the process got no CPU");
	} else if (isnan(trial.complete_share) || trial.complete_share < 0.5) {
		finding_set(ret, FINDING_NOTE, "%llu samples, but %.0f %% of the stacks are complete",
			    (unsigned long long)trial.samples,
			    isnan(trial.complete_share) ? 0 : 100 * trial.complete_share);
		finding_set_cost(ret, "callers: stacks end early");
		finding_set_fix(ret, "ebprof record -v ... tells more");
	} else {
		finding_set(ret, FINDING_OK, "%llu samples of a process of its own, %.0f %% of the stacks complete",
			    (unsigned long long)trial.samples, 100 * trial.complete_share);
	}
}
