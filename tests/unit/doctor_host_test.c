/* SPDX-License-Identifier: Apache-2.0 */
/* doctor_host_test.c - probes of limits, surroundings and names, on hosts that allow much and on hosts that don't. */
#include "doctor_world.h"

static void sampling(void **state)
{
	(void)state;
	put("/proc/sys/kernel/perf_event_max_sample_rate", "998\n");
	expect("sample_rate", FINDING_NOTE, "up to 998 Hz", "higher -F",
	       "sudo sysctl kernel.perf_event_max_sample_rate=");
	put("/proc/sys/kernel/perf_event_max_sample_rate", "50\n");
	expect("sample_rate", FINDING_NOTE, "less than the default", "without a lower -F", "sudo sysctl");
	look("trial");
	assert_int_equal(trial_rate, 50);
	put("/proc/sys/kernel/perf_event_max_sample_rate", "999\n");
	expect_ok("sample_rate", "999");
	put("/proc/sys/kernel/perf_event_max_stack", "126\n");
	expect("max_stack", FINDING_NOTE, "126", "callers", "sudo sysctl kernel.perf_event_max_stack=127");
	put("/proc/sys/kernel/perf_cpu_time_max_percent", "24\n");
	expect("cpu_time", FINDING_NOTE, "24 %", "-F", "sudo sysctl kernel.perf_cpu_time_max_percent=25");
	put("/proc/sys/kernel/perf_cpu_time_max_percent", "0\n");
	expect_ok("cpu_time", "never");
}

static void limits(void **state)
{
	(void)state;
	/* 4,096 files, 128, and two for each of 4 CPUs. */
	put_limits("4231", "8388608");
	expect("files", FINDING_NOTE, "up to 4,231, of 4232", "names", "prlimit --nofile=");
	put_limits("4232", "8388608");
	expect_ok("files", "4,232");
	put_limits("unlimited", "unlimited");
	expect_ok("files", "any number");
	expect_ok("locked_memory", "unlimited");
	put_limits("unlimited", "65536");
	expect_ok("locked_memory", "64 KiB: does not matter");
	feature_errors[FEATURE_MAP_ACCOUNTING] = -EOPNOTSUPP;
	expect("locked_memory", FINDING_NOTE, "64 KiB, and", "maps are refused", "prlimit --memlock=unlimited");
	put("/proc/self/limits", "nonsense\n");
	expect("files", FINDING_UNKNOWN, "cannot read", "", "");
}

static void memory_cgroups(void **state)
{
	(void)state;
	put("/sys/fs/cgroup/system.slice/a.service/memory.max", "2147483648\n");
	put("/sys/fs/cgroup/system.slice/a.service/memory.current", "1073741824\n");
	expect_ok("memory_cgroup", "2048 MiB, 1024 of them free");
	/* A parent that leaves less counts. */
	put("/sys/fs/cgroup/system.slice/memory.max", "536870912\n");
	put("/sys/fs/cgroup/system.slice/memory.current", "134217728\n");
	expect("memory_cgroup", FINDING_NOTE, "512 MiB, 384 of them free, of 640", "killed",
	       "--max-unwind-memory 256m");
	put("/sys/fs/cgroup/system.slice/memory.current", "600000000\n");
	expect("memory_cgroup", FINDING_NOTE, "512 MiB, 0 of them free", "killed", "--max-unwind-memory 1m");
	/* What only the host can see: the mount is the container's own cgroup. */
	put("/proc/self/cgroup", "0::/../../elsewhere\n");
	put("/sys/fs/cgroup/memory.max", "268435456\n");
	expect("memory_cgroup", FINDING_NOTE, "256 MiB", "killed", "--max-unwind-memory 128m");
	put("/proc/self/cgroup", "");
	expect_ok("memory_cgroup", "none");
}

static void memory_cgroups_of_version_1(void **state)
{
	(void)state;
	put("/proc/self/mountinfo", "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
				    "34 31 0:31 / /cg/cpu rw - cgroup cgroup rw,cpu\n"
				    "35 31 0:32 / /cg/memory rw - cgroup cgroup rw,memory\n");
	put("/proc/self/cgroup", "5:cpu:/\n4:memory:/a\n0::/\n");
	put("/cg/memory/memory.limit_in_bytes", "9223372036854771712\n");
	put("/cg/memory/a/memory.limit_in_bytes", "9223372036854771712\n");
	expect_ok("memory_cgroup", "no limit");
	put("/cg/memory/a/memory.limit_in_bytes", "104857600\n");
	put("/cg/memory/a/memory.usage_in_bytes", "4857600\n");
	expect("memory_cgroup", FINDING_NOTE, "100 MiB, 95 of them free", "killed", "--max-unwind-memory 47m");
}

static void cpus(void **state)
{
	(void)state;
	expect_ok("cpus", "4 online of 8 possible");
	put("/sys/devices/system/cpu/isolated", "2-3\n");
	expect("cpus", FINDING_NOTE, "isolated: 2-3", "quiet", "");
	put("/sys/devices/system/cpu/online", "many\n");
	expect("cpus", FINDING_MISSING, "no list", "everything", "mount");
}

static void containers(void **state)
{
	(void)state;
	put("/.dockerenv", "");
	expect_ok("container", "sees all processes");
	put_namespace("pid", 4026532002);
	expect("container", FINDING_NOTE, "pid namespace", "outside", "--pid=host");
	drop("/.dockerenv");
	expect("container", FINDING_NOTE, "pid namespace", "outside", "--pid=host");
}

static void mounts(void **state)
{
	(void)state;
	put("/proc/self/mountinfo", "22 27 0:21 / /proc rw - proc proc rw\n"
				    "23 27 0:22 / /elsewhere/proc rw - proc proc rw\n"
				    "24 22 0:23 / /proc rw - proc proc rw,hidepid=invisible\n"
				    "31 27 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n");
	expect_ok("proc", "not hidden");
	put_status(0, UINT64_MAX, 0);
	expect("proc", FINDING_NOTE, "hidepid=invisible", "other users", "sudo ebprof");
	expect("cgroups", FINDING_NOTE, "not mounted", "containers", "mount -t cgroup2");
	put("/proc/self/mountinfo", "31 27 0:29 / /a/cpu rw - cgroup cgroup rw,cpu\n"
				    "32 27 0:30 / /a/unified rw - cgroup2 cgroup2 rw\n");
	expect("cgroups", FINDING_NOTE, "/a/unified", "version 1", "unified_cgroup_hierarchy");
	expect("proc", FINDING_MISSING, "not mounted", "everything", "mount -t proc");
}

static void kernel_symbols(void **state)
{
	(void)state;
	put("/proc/kallsyms", "0000000000000000 T _stext\n0000000000000000 t secret\n");
	put_status(0, UINT64_MAX, 0);
	expect("kernel_symbols", FINDING_NOTE, "no addresses", "kernel functions",
	       "CAP_SYSLOG; kernel.kptr_restrict is 0");
	put("/proc/sys/kernel/kptr_restrict", "2\n");
	expect("kernel_symbols", FINDING_NOTE, "no addresses", "kernel functions",
	       "sudo sysctl kernel.kptr_restrict=1");
	put("/proc/kallsyms", "");
	expect("kernel_symbols", FINDING_NOTE, "there are none", "kernel functions", "apt-get");
}

static void distributions(void **state)
{
	(void)state;
	expect_ok("debuginfod", "not set up");
	drop("/usr/lib/debug/.build-id/ab/cdef.debug");
	_cleanup_free_ char *empty = place("/usr/lib/debug/.build-id/ab");

	assert_int_equal(rmdir(empty), 0);
	expect("debug_files", FINDING_NOTE, "none", "source lines", "sudo apt-get install libc6-dbg");
	put("/etc/os-release", "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n");
	expect("debug_files", FINDING_NOTE, "none", "source lines", "sudo dnf debuginfo-install glibc");
	put("/etc/os-release", "ID=unheard-of\n");
	expect("debug_files", FINDING_NOTE, "none", "source lines", "");
	drop("/sys/kernel/btf/vmlinux");
	put("/etc/os-release", "ID=debian\nVERSION_CODENAME=bookworm\n");
	expect("types", FINDING_MISSING, "", "everything",
	       "sudo apt-get install -t bookworm-backports linux-image-amd64");
	put("/etc/os-release", "ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"22.04\"\n");
	expect("types", FINDING_MISSING, "", "everything",
	       "sudo apt-get install linux-generic-hwe-22.04 && sudo reboot");
	put("/etc/os-release", "ID=mint\nID_LIKE=\"ubuntu debian\"\nVERSION_CODENAME=virginia\n");
	expect("types", FINDING_MISSING, "", "everything", "sudo apt-get install linux-image-amd64");
	put("/etc/os-release", "ID=debian\n");
	expect("debuginfod", FINDING_NOTE, "not installed, DEBUGINFOD_URLS not set", "by hand",
	       "sudo apt-get install debuginfod && export DEBUGINFOD_URLS=");
	host.debuginfod_urls = "https://example.org";
	expect("debuginfod", FINDING_NOTE, "not installed", "by hand", "apt-get");
	put("/usr/bin/debuginfod-find", "");
	_cleanup_free_ char *program = place("/usr/bin/debuginfod-find");

	assert_int_equal(chmod(program, 0755), 0);
	expect_ok("debuginfod", "by hand");
	host.debuginfod_urls = "";
	expect("debuginfod", FINDING_NOTE, "DEBUGINFOD_URLS is not set", "by hand", "export");
}

/* What only root may read is not there for others; they are told so. */
static void others_may_not_read(void **state)
{
	static const char *const paths[] = {
		"/proc/sys/kernel/perf_event_paranoid", "/proc/self/limits",       "/proc/kallsyms",
		"/sys/kernel/security/lockdown",        "/sys/kernel/btf/vmlinux", "/proc/self/mountinfo"};
	static const char *const names[] = {
		"perf_event_paranoid", "files", "kernel_symbols", "lockdown", "types", "proc", "cgroups"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		_cleanup_free_ char *full = place(paths[i]);

		assert_int_equal(chmod(full, 0), 0);
	}
	bool was_root = geteuid() == 0;

	if (was_root)
		assert_int_equal(seteuid(65534), 0);
	struct finding findings[ARRAY_SIZE(names)];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		findings[i] = look(names[i]);
	if (was_root)
		assert_int_equal(seteuid(0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_int_equal(findings[i].status, FINDING_UNKNOWN);
		assert_string_equal(findings[i].text, "needs root");
	}
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, leave_folder)
	const struct CMUnitTest tests[] = {
		TEST(sampling),       TEST(limits),
		TEST(memory_cgroups), TEST(memory_cgroups_of_version_1),
		TEST(cpus),           TEST(containers),
		TEST(mounts),         TEST(kernel_symbols),
		TEST(distributions),  TEST(others_may_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
