/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_test.c - probes of kernel and rights, on hosts that have what they look for and on hosts that don't. */
#include <linux/capability.h>
#include <math.h>

#include "doctor_world.h"

static void all_is_well(void **state)
{
	(void)state;
	for (size_t i = 0; i < nr_probes; i++) {
		expect_ok(probes[i].name, "");
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(probes[i].name, probes[j].name);
	}
}

/* A host of which nothing at all can be read. */
static void nothing_is_there(void **state)
{
	(void)state;
	host.root = "/nowhere";
	host.trial = NULL;
	for (size_t i = 0; i < NR_FEATURES; i++)
		feature_errors[i] = -EPERM;
	for (size_t i = 0; i < nr_probes; i++)
		assert_true(look(probes[i].name).text[0] != '\0');
	expect("types", FINDING_MISSING, "no /sys/kernel/btf/vmlinux", "everything", "");
	expect("cpus", FINDING_MISSING, "no list", "everything", "mount");
	expect("cap_bpf", FINDING_MISSING, "not held", "everything", "");
	expect("trial", FINDING_UNKNOWN, "--no-trial", "", "");
	expect("user_namespace", FINDING_UNKNOWN, "", "", "");
	expect("sample_rate", FINDING_UNKNOWN, "cannot read", "", "");
}

static void features_that_are_missing(void **state)
{
	size_t nr = 0;

	(void)state;
	for (size_t i = 0; i < NR_FEATURES; i++)
		feature_errors[i] = -EOPNOTSUPP;
	for (size_t i = 0; i < nr_probes; i++) {
		if (probes[i].look != probe_feature)
			continue;
		expect(probes[i].name, probes[i].is_required ? FINDING_MISSING : FINDING_NOTE, "",
		       probes[i].is_required ? "everything" : probes[i].cost,
		       probes[i].fix ? probes[i].fix : "apt-get install linux-image-amd64");
		nr++;
	}
	assert_int_equal(nr, 16);
	expect("jit", FINDING_MISSING, "off", "everything", "sysctl net.core.bpf_jit_enable=1");
	feature_sentence = "bpf_get_stack";
	expect("helpers", FINDING_MISSING, "without: bpf_get_stack", "everything", "apt-get");
}

/* Refused: nothing is known without the capabilities, and with them it can't be had. */
static void features_that_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_FEATURES; i++)
		feature_errors[i] = -EPERM;
	expect("ring", FINDING_MISSING, "although the capabilities are held", "everything", "");
	expect("cycles", FINDING_NOTE, "although", "-e cycles", "");
	put("/.dockerenv", "");
	expect("ring", FINDING_MISSING, "although", "everything", "seccomp=unconfined");
	put_status(1ull << CAP_BPF, UINT64_MAX, 0);
	for (size_t i = 0; i < nr_probes; i++) {
		if (probes[i].look == probe_feature)
			expect(probes[i].name, FINDING_UNKNOWN, "needs root", "", "");
	}
	expect("jit", FINDING_UNKNOWN, "needs root", "", "");
	expect("trial", FINDING_UNKNOWN, "needs root", "", "");
	expect("locked_memory", FINDING_UNKNOWN, "8192 KiB", "", "");
	put_status(UINT64_MAX, UINT64_MAX, 0);
	feature_errors[FEATURE_MAPPING_RECORDS] = -EMFILE;
	expect("mapping_records", FINDING_MISSING, "Too many open files", "everything", "");
	feature_sentence = "cannot map it";
	expect("mapping_records", FINDING_MISSING, "cannot map it", "everything", "");
}

static void capabilities(void **state)
{
	const uint64_t all = UINT64_MAX, syslog = 1ull << CAP_SYSLOG;
	const uint64_t bpf = 1ull << CAP_BPF, admin = 1ull << CAP_SYS_ADMIN;

	(void)state;
	put_status(all & ~bpf & ~admin, all, 0);
	expect("cap_bpf", FINDING_MISSING, "not held", "everything", "sudo setcap cap_bpf,cap_perfmon,");
	expect("cap_bpf", FINDING_MISSING, "not held", "everything", "=ep '/opt/eb prof'");
	expect_ok("cap_perfmon", "held");
	put_status(all & ~bpf, all, 0);
	expect_ok("cap_bpf", "held");
	put_status(all & ~syslog, all, 0);
	expect("cap_syslog", FINDING_NOTE, "not held", "kernel functions", "sudo setcap");
	put_status(all & ~syslog, all & ~syslog, 0);
	expect("cap_syslog", FINDING_NOTE, "bounding set", "kernel functions", "");
	put("/run/.containerenv", "");
	expect("cap_syslog", FINDING_NOTE, "bounding set", "kernel functions", "docker run --cap-add=SYSLOG");
}

static void a_user_namespace(void **state)
{
	(void)state;
	put_namespace("user", 4026532001);
	expect("user_namespace", FINDING_MISSING, "of its own", "everything", "sudo ebprof");
	expect("cap_bpf", FINDING_MISSING, "user namespace", "everything", "");
	expect("cap_syslog", FINDING_NOTE, "user namespace", "kernel functions", "");
	expect("trial", FINDING_UNKNOWN, "not tried", "", "");
	put("/proc/kallsyms", "0000000000000000 T _stext\n");
	expect("kernel_symbols", FINDING_NOTE, "no addresses", "names", "outside");
}

static void system_call_filters(void **state)
{
	(void)state;
	put_status(UINT64_MAX, UINT64_MAX, 2);
	expect_ok("seccomp", "lets programs be loaded");
	feature_errors[FEATURE_PROGRAMS] = -EPERM;
	expect("seccomp", FINDING_MISSING, "refused", "everything", "seccomp=unconfined");
	put_status(0, UINT64_MAX, 2);
	expect("seccomp", FINDING_UNKNOWN, "only with CAP_BPF", "", "");
}

static void lockdown(void **state)
{
	static const char path[] = "/sys/kernel/security/lockdown";

	(void)state;
	put(path, "none [integrity] confidentiality\n");
	expect_ok("lockdown", "integrity");
	put(path, "none integrity [confidentiality]\n");
	expect("lockdown", FINDING_MISSING, "confidentiality", "everything", "lockdown=integrity");
	drop(path);
	expect_ok("lockdown", "not in the way");
	feature_errors[FEATURE_KERNEL_READS] = -EPERM;
	expect("lockdown", FINDING_UNKNOWN, "needs root", "", "");
}

static void paranoia(void **state)
{
	static const char path[] = "/proc/sys/kernel/perf_event_paranoid";

	(void)state;
	put(path, "-1\n");
	expect_ok("perf_event_paranoid", "-1: does not matter");
	put(path, "4\n");
	expect_ok("perf_event_paranoid", "4: does not matter");
	feature_errors[FEATURE_CLOCK] = -EPERM;
	expect("perf_event_paranoid", FINDING_MISSING, "4: refuses", "everything",
	       "sudo sysctl kernel.perf_event_paranoid=2");
	put_status(0, UINT64_MAX, 0);
	expect_ok("perf_event_paranoid", "asks for CAP_PERFMON");
	put(path, "paranoid\n");
	expect("perf_event_paranoid", FINDING_UNKNOWN, "cannot read", "", "");
	drop(path);
	expect("perf_event_paranoid", FINDING_MISSING, "without perf events", "everything", "apt-get");
	drop("/proc/sys/kernel/unprivileged_bpf_disabled");
	expect_ok("unprivileged_bpf_disabled", "not restricted");
}

static void ptrace_scopes(void **state)
{
	static const char path[] = "/proc/sys/kernel/yama/ptrace_scope";

	(void)state;
	expect_ok("ptrace_scope", "1: does not matter");
	put_status(UINT64_MAX & ~(1ull << CAP_SYS_PTRACE), UINT64_MAX, 0);
	expect("ptrace_scope", FINDING_NOTE, "1:", "huge pages", "sudo sysctl kernel.yama.ptrace_scope=0");
	put(path, "0\n");
	expect_ok("ptrace_scope", "0");
	put_status(UINT64_MAX, UINT64_MAX, 0);
	put(path, "3\n");
	expect("ptrace_scope", FINDING_NOTE, "3:", "huge pages", "reboot");
	drop(path);
	expect_ok("ptrace_scope", "not restricted");
}

static void the_compiler(void **state)
{
	(void)state;
	put("/proc/sys/net/core/bpf_jit_enable", "0\n");
	expect("jit", FINDING_MISSING, "off", "everything", "sudo sysctl net.core.bpf_jit_enable=1");
	put("/proc/sys/net/core/bpf_jit_enable", "2\n");
	expect("jit", FINDING_NOTE, "debugging", "log", "sudo sysctl net.core.bpf_jit_enable=1");
	put("/proc/sys/net/core/bpf_jit_enable", "1\n");
	put("/proc/sys/net/core/bpf_jit_harden", "2\n");
	expect("jit", FINDING_NOTE, "hardened", "time", "sudo sysctl net.core.bpf_jit_harden=1");
	drop("/proc/sys/net/core/bpf_jit_enable");
	drop("/proc/sys/net/core/bpf_jit_harden");
	expect_ok("jit", "on");
}

static void trials(void **state)
{
	(void)state;
	expect_ok("trial", "200 samples");
	assert_int_equal(trial_rate, 499);
	trial_answer.complete_share = 0.25;
	expect("trial", FINDING_NOTE, "25 %", "callers", "-v");
	trial_answer.complete_share = NAN;
	expect("trial", FINDING_NOTE, "0 %", "callers", "-v");
	trial_answer.samples = 0;
	expect("trial", FINDING_MISSING, "no sample", "everything", "");
	trial_error = -EPERM;
	expect("trial", FINDING_MISSING, "the trial's sentence", "everything", "record -v");
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, leave_folder)
	const struct CMUnitTest tests[] = {
		TEST(all_is_well),
		TEST(nothing_is_there),
		TEST(features_that_are_missing),
		TEST(features_that_are_refused),
		TEST(capabilities),
		TEST(a_user_namespace),
		TEST(system_call_filters),
		TEST(lockdown),
		TEST(paranoia),
		TEST(ptrace_scopes),
		TEST(the_compiler),
		TEST(trials),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
