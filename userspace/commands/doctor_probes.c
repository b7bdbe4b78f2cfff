/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor_probes.c - the table of probes, in the order in which they are run and shown.
 *
 * The trial comes last: a recording changes what may be asked of this process (it can't be dumped any more, and has
 * more descriptors).
 */
#include "doctor.h"
#include "memory.h"

static const char in_kernel[] = "Kernel", in_rights[] = "Rights", in_limits[] = "Limits",
		  in_surroundings[] = "Surroundings", in_names[] = "Names", in_trial[] = "Altogether";

#define FEATURE(feature_id, feature_name, feature_title, required, text_there, text_lacking, text_cost, text_fix)      \
	{                                                                                                              \
		.group = in_kernel, .name = feature_name, .title = feature_title, .look = probe_feature,               \
		.feature = feature_id, .is_required = required, .there = text_there, .lacking = text_lacking,          \
		.cost = text_cost, .fix = text_fix                                                                     \
	}
#define PROBE(probe_group, probe_name, probe_title, function)                                                          \
	{                                                                                                              \
		.group = probe_group, .name = probe_name, .title = probe_title, .look = function                       \
	}
#define PRIVILEGE(i, probe_name, probe_title)                                                                          \
	{                                                                                                              \
		.group = in_rights, .name = probe_name, .title = probe_title, .look = probe_privilege, .privilege = i  \
	}

const struct probe probes[] = {
	FEATURE(FEATURE_PROGRAMS, "programs", "BPF programs", true, "can be loaded", "this kernel has no BPF",
		"everything: no program can be loaded", NULL),
	PROBE(in_kernel, "types", "type information", probe_types),
	PROBE(in_kernel, "jit", "just-in-time compiler", probe_jit),
	FEATURE(FEATURE_RING, "ring", "ring buffer", true, "there", "none (5.8 and newer have it)",
		"everything: stacks can't leave the kernel", NULL),
	FEATURE(FEATURE_LOOP, "loop", "bpf_loop", true, "there", "none (5.17 and newer have it)",
		"everything: stacks are walked in loops", NULL),
	FEATURE(FEATURE_HELPERS, "helpers", "other helpers", true, "there", "without",
		"everything: the programs can't be loaded", NULL),
	FEATURE(FEATURE_BATCHES, "batches", "map batches", false, "there", "none (5.6 and newer have them)",
		"time: counts are fetched one by one", NULL),
	FEATURE(FEATURE_CGROUP_IDS, "cgroup_ids", "cgroups of samples", false, "can be told", "can't be told",
		"--cgroup", NULL),
	FEATURE(FEATURE_TASKS, "tasks", "task iterator", true, "there", "none (5.8 and newer have it)",
		"everything: processes that run already can't be told apart", NULL),
	FEATURE(FEATURE_PROCESS_TRACEPOINTS, "process_tracepoints", "fork, exec and exit", true, "can be followed",
		"can't be followed", "everything: what a process becomes is not noticed", NULL),
	FEATURE(FEATURE_MAPPING_TRACEPOINT, "mapping_tracepoint", "replaced code", false,
		"is noticed at once (ma_write)", "is noticed some milliseconds late (6.1 and newer are quick)",
		"for that long, code that takes the place of other code has the other's names", NULL),
	FEATURE(FEATURE_MAPPING_RECORDS, "mapping_records", "mapping records", true, "there", "none",
		"everything: what is mapped where is not known", NULL),
	FEATURE(FEATURE_BUILD_IDS, "build_ids", "build-ids in them", false, "there", "none (5.12 and newer have them)",
		"a file that is replaced while it is being mapped can be taken for its successor", NULL),
	FEATURE(FEATURE_LOST_COUNTS, "lost_counts", "losses of them", false, "are counted",
		"are told late (6.0 and newer count them)", "for that long, names of code whose record was lost", NULL),
	FEATURE(FEATURE_CLOCK, "clock", "clock", true, "can be had on every CPU", "none",
		"everything: nothing is sampled", NULL),
	FEATURE(FEATURE_CYCLES, "cycles", "cycle counter", false, "there (-e cycles)",
		"none, as in most virtual machines",
		"-e cycles; -e cpu, the default, sees code that runs with interrupts off only where it ends",
		"switch it on in the hypervisor (a virtual PMU), or in the firmware"),
	FEATURE(FEATURE_UPROBES, "uprobes", "uprobes", false, "there", "none",
		"nothing yet: record samples CPU time, which needs none", ""),
	FEATURE(FEATURE_UPROBES_MULTI, "uprobes_multi", "many uprobes at once", false, "there",
		"not possible (6.6 and newer can)", "nothing yet: record samples CPU time, which needs none", ""),

	PRIVILEGE(0, "cap_bpf", "CAP_BPF"),
	PRIVILEGE(1, "cap_perfmon", "CAP_PERFMON"),
	PRIVILEGE(2, "cap_sys_ptrace", "CAP_SYS_PTRACE"),
	PRIVILEGE(3, "cap_dac_read_search", "CAP_DAC_READ_SEARCH"),
	PRIVILEGE(4, "cap_checkpoint_restore", "CAP_CHECKPOINT_RESTORE"),
	PRIVILEGE(5, "cap_syslog", "CAP_SYSLOG"),
	PROBE(in_rights, "user_namespace", "user namespace", probe_user_namespace),
	PROBE(in_rights, "seccomp", "system call filter", probe_seccomp),
	PROBE(in_rights, "lockdown", "lockdown", probe_lockdown),
	PROBE(in_rights, "perf_event_paranoid", "perf_event_paranoid", probe_paranoid),
	PROBE(in_rights, "unprivileged_bpf_disabled", "unprivileged_bpf_disabled", probe_unprivileged),
	PROBE(in_rights, "ptrace_scope", "yama.ptrace_scope", probe_ptrace_scope),

	PROBE(in_limits, "sample_rate", "sampling rate", probe_sample_rate),
	PROBE(in_limits, "max_stack", "kernel stacks", probe_max_stack),
	PROBE(in_limits, "cpu_time", "time for sampling", probe_cpu_time),
	PROBE(in_limits, "files", "open files", probe_files),
	PROBE(in_limits, "locked_memory", "locked memory", probe_locked_memory),
	PROBE(in_limits, "memory_cgroup", "memory cgroup", probe_memory_cgroup),

	PROBE(in_surroundings, "cpus", "CPUs", probe_cpus),
	PROBE(in_surroundings, "container", "container", probe_container),
	PROBE(in_surroundings, "proc", "/proc", probe_proc),
	PROBE(in_surroundings, "cgroups", "cgroups", probe_cgroups),

	PROBE(in_names, "kernel_symbols", "kernel functions", probe_kernel_symbols),
	PROBE(in_names, "debug_files", "debug files", probe_debug_files),
	PROBE(in_names, "debuginfod", "debuginfod", probe_debuginfod),

	PROBE(in_trial, "trial", "trial recording", probe_trial),
};

const size_t nr_probes = ARRAY_SIZE(probes);
