/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor_world.h - a host for the probes of `ebprof doctor`: a folder that has everything, and answers in the place of
 * the kernel's. A test takes something away and says what it expects to be told.
 */
#ifndef EBPROF_TESTS_DOCTOR_WORLD_H
#define EBPROF_TESTS_DOCTOR_WORLD_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "doctor.h"
#include "memory.h"
#include "test_folder.h"

static int feature_errors[NR_FEATURES];
static const char *feature_sentence;
static struct trial trial_answer;
static int trial_error;
static uint32_t trial_rate;
static struct host host;

static inline int answer_feature(enum feature feature, struct problem *problem)
{
	problem_set(problem, 0, "%s", feature_sentence ? feature_sentence : "");
	return feature_errors[feature];
}

static inline int answer_trial(uint32_t rate_hz, struct trial *ret, struct problem *problem)
{
	trial_rate = rate_hz;
	*ret = trial_answer;
	return trial_error ? problem_set(problem, trial_error, "the trial's sentence") : 0;
}

/* The path below the test's folder, its folders made. */
static inline char *place(const char *path)
{
	char *full = memory_format("%s%s", folder, path);

	for (char *slash = full + strlen(folder) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(full, 0755);
		*slash = '/';
	}
	return full;
}

static inline void put(const char *path, const char *text)
{
	_cleanup_free_ char *full = place(path);
	_cleanup_fclose_ FILE *file = fopen(full, "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
}

static inline void drop(const char *path)
{
	_cleanup_free_ char *full = place(path);

	assert_int_equal(unlink(full), 0);
}

static inline void put_namespace(const char *name, unsigned long inode)
{
	_cleanup_free_ char *path = memory_format("/proc/self/ns/%s", name);
	_cleanup_free_ char *full = place(path);
	_cleanup_free_ char *target = memory_format("%s:[%lu]", name, inode);

	unlink(full);
	assert_int_equal(symlink(target, full), 0);
}

static inline void put_status(uint64_t effective, uint64_t bounding, int seccomp)
{
	_cleanup_free_ char *text = memory_format("Name:\tebprof\nCapEff:\t%016llx\nCapBnd:\t%016llx\nSeccomp:\t%d\n",
						  (unsigned long long)effective, (unsigned long long)bounding, seccomp);

	put("/proc/self/status", text);
}

static inline void put_limits(const char *files, const char *memory)
{
	_cleanup_free_ char *text =
		memory_format("Limit                     Soft Limit           Hard Limit\n"
			      "Max open files            1024                 %s                files\n"
			      "Max locked memory         %s              %s                bytes\n",
			      files, memory, memory);

	put("/proc/self/limits", text);
}

/* As the command does it: what it reads at the beginning is read again. */
static inline struct finding look(const char *name)
{
	struct finding finding = {.status = FINDING_OK};

	host_init(&host);
	for (size_t i = 0; i < nr_probes; i++) {
		if (strcmp(probes[i].name, name) == 0) {
			probes[i].look(&host, &probes[i], &finding);
			return finding;
		}
	}
	fail_msg("no probe %s", name);
	return finding;
}

/* The status, and for what is not ok, a word of the cost and one of the fix ("" = there is none). */
static inline void expect(const char *name, enum finding_status status, const char *text, const char *cost,
			  const char *fix)
{
	const struct finding finding = look(name);

	if (finding.status != status || !strstr(finding.text, text) || !strstr(finding.cost, cost) ||
	    !strstr(finding.fix, fix) || (!fix[0] && finding.fix[0]) || (!cost[0] && finding.cost[0]))
		fail_msg("%s: %s '%s', costs '%s', fix '%s'", name, finding_status_name(finding.status), finding.text,
			 finding.cost, finding.fix);
}

static inline void expect_ok(const char *name, const char *text)
{
	expect(name, FINDING_OK, text, "", "");
}

static const char sysctls[][2][64] = {
	{"/proc/sys/kernel/perf_event_paranoid", "2\n"},    {"/proc/sys/kernel/unprivileged_bpf_disabled", "2\n"},
	{"/proc/sys/kernel/yama/ptrace_scope", "1\n"},      {"/proc/sys/kernel/perf_event_max_sample_rate", "100000\n"},
	{"/proc/sys/kernel/perf_event_max_stack", "127\n"}, {"/proc/sys/kernel/perf_cpu_time_max_percent", "25\n"},
	{"/proc/sys/kernel/kptr_restrict", "0\n"},          {"/proc/sys/net/core/bpf_jit_enable", "1\n"},
	{"/proc/sys/net/core/bpf_jit_harden", "0\n"},
};

static inline int set_up(void **state)
{
	if (enter_folder(state))
		return 1;
	memset(feature_errors, 0, sizeof(feature_errors));
	feature_sentence = NULL;
	trial_error = 0;
	trial_answer = (struct trial){.samples = 200, .complete_share = 1};
	host = (struct host){
		.root = folder,
		.executable = "/opt/eb prof",
		.path = "/nowhere:/usr/bin",
		.feature = answer_feature,
		.trial = answer_trial,
	};
	for (size_t i = 0; i < ARRAY_SIZE(sysctls); i++)
		put(sysctls[i][0], sysctls[i][1]);
	put_namespace("user", 0xeffffffd);
	put_namespace("pid", 0xeffffffc);
	put_status(UINT64_MAX, UINT64_MAX, 0);
	put_limits("1048576", "8388608");
	put("/sys/kernel/btf/vmlinux", "\x9f\xeb\x01");
	put("/sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
	put("/proc/self/mountinfo", "22 27 0:21 / /proc rw,relatime shared:4 - proc proc rw\n"
				    "29 27 0:29 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw,nsdelegate\n");
	put("/proc/self/cgroup", "0::/system.slice/a.service\n");
	put("/sys/fs/cgroup/system.slice/a.service/memory.max", "max\n");
	put("/sys/fs/cgroup/system.slice/memory.max", "max\n");
	put("/sys/devices/system/cpu/online", "0-3\n");
	put("/sys/devices/system/cpu/possible", "0-7\n");
	put("/sys/devices/system/cpu/isolated", "\n");
	put("/proc/kallsyms", "0000000000000000 A fixed_percpu_data\nffffffff81000000 T _stext\n");
	put("/usr/lib/debug/.build-id/ab/cdef.debug", "");
	put("/etc/os-release", "NAME=\"Debian GNU/Linux\"\nID=debian\n");
	return 0;
}

#endif
