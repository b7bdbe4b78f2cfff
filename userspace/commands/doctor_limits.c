/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor_limits.c - how much may a recording take, and how fast may it be?
 *
 * Limits are compared with what a recording with default options can come to, so that a line that says ok is true of
 * large hosts as well. The tightest of a memory cgroup and its parents counts, each less what is in use there already;
 * both versions of cgroups are known. A cgroup's path may not be visible from within a container, whose own cgroup is
 * then at the mount.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "doctor.h"
#include "memory.h"
#include "perf_event.h"
#include "record_options.h"
#include "text.h"

enum {
	FILES_WANTED = 4096,      /* each mapped file takes a descriptor, and a run tells that many apart */
	FILES_PER_CPU = 2,        /* a clock and a ring */
	FILES_FIXED = 128,        /* maps, segments of tables, readers */
	RATE_FAST_HZ = 999,       /* what people ask for who want it fine */
	STACK_WANTED = 127,       /* frames of a kernel stack */
	MEMORY_FIXED = 128 << 20, /* maps and ebprof itself, amply */
};
static const long long MEMORY_UNLIMITED = 1ll << 60;

static size_t count_cpus(const struct host *host, const char *path, char *text, size_t size)
{
	_cleanup_(cpu_list_deinit) struct cpu_list list = {0};

	if (host_read_line(host, path, text, size) || cpu_list_parse(text, &list))
		return 0;
	return list.cpus.nr;
}

/* Of a row of /proc/self/limits, the soft and the hard limit; LLONG_MAX = unlimited. */
static int read_limit(const struct host *host, const char *name, long long *ret_soft, long long *ret_hard)
{
	_cleanup_free_ char *path = memory_format("%s/proc/self/limits", host->root);
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	char line[256], soft[32], hard[32];

	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, name, strlen(name)) != 0)
			continue;
		if (sscanf(line + strlen(name), "%31s %31s", soft, hard) != 2)
			return -EBADMSG;
		if (!text_parse_integer(soft, ret_soft))
			*ret_soft = LLONG_MAX;
		if (!text_parse_integer(hard, ret_hard))
			*ret_hard = LLONG_MAX;
		return 0;
	}
	return -EBADMSG;
}

void probe_files(const struct host *host, const struct probe *probe, struct finding *ret)
{
	char text[4097], shown[TEXT_NUMBER_SIZE];
	size_t nr_cpus = count_cpus(host, CPUS_ONLINE_PATH, text, sizeof(text));
	long long soft, hard, wanted = FILES_WANTED + FILES_FIXED + FILES_PER_CPU * (long long)nr_cpus;
	int error = read_limit(host, "Max open files", &soft, &hard);

	(void)probe;
	if (error) {
		finding_set_unread(ret, "/proc/self/limits", error);
		return;
	}
	text_thousands((uint64_t)hard, shown);
	if (hard >= wanted) {
		finding_set(ret, FINDING_OK, "up to %s", hard == LLONG_MAX ? "any number" : shown);
		return;
	}
	finding_set(ret, FINDING_NOTE, "up to %s, of %lld that a large recording opens", shown, wanted);
	finding_set_cost(ret, "names and unwind tables of the files beyond: each that is mapped takes a descriptor");
	finding_set_fix(ret, "sudo prlimit --nofile=65536 ebprof record ...");
}

void probe_locked_memory(const struct host *host, const struct probe *probe, struct finding *ret)
{
	struct problem problem;
	char shown[TEXT_NUMBER_SIZE];
	long long soft, hard;
	int error = read_limit(host, "Max locked memory", &soft, &hard);
	int accounting = host->feature(FEATURE_MAP_ACCOUNTING, &problem);

	(void)probe;
	if (error) {
		finding_set_unread(ret, "/proc/self/limits", error);
		return;
	}
	if (soft == LLONG_MAX)
		snprintf(shown, sizeof(shown), "unlimited");
	else
		snprintf(shown, sizeof(shown), "%lld KiB", soft / 1024);
	if (soft == LLONG_MAX || accounting == 0) {
		finding_set(ret, FINDING_OK, "%s%s", shown,
			    accounting == 0 ? ": does not matter, BPF memory is not charged to it" : "");
	} else if (accounting == -EOPNOTSUPP) {
		finding_set(ret, FINDING_NOTE, "%s, and BPF memory is charged to it", shown);
		finding_set_cost(ret, "everything when it is used up: maps are refused");
		finding_set_fix(ret, "sudo prlimit --memlock=unlimited ebprof record ...");
	} else {
		finding_set(ret, FINDING_UNKNOWN, "%s; whether it matters needs root to tell", shown);
	}
}

/* ---- memory cgroups ---- */

struct memory_room {
	long long limit, left; /* bytes; of the cgroup that leaves least */
};

/* Takes a cgroup's limit into account; -ENOENT: it has no such file. */
static int take_limit(const struct host *host, const char *folder, const char *limit_name, const char *usage_name,
		      struct memory_room *room)
{
	_cleanup_free_ char *limit_path = memory_format("%s/%s", folder, limit_name);
	_cleanup_free_ char *usage_path = memory_format("%s/%s", folder, usage_name);
	long long limit, used = 0;
	int error = host_read_number(host, limit_path, &limit);

	/* "max" */
	if (error == -EBADMSG)
		return 0;
	if (error)
		return error;
	if (host_read_number(host, usage_path, &used))
		used = 0;
	if (limit - used >= room->left)
		return 0;
	*room = (struct memory_room){.limit = limit, .left = limit > used ? limit - used : 0};
	return 0;
}

/* From the process's own cgroup up to the mount. */
static int walk_up(const struct host *host, const struct host_mount *mount, const char *path, bool is_v2,
		   struct memory_room *room)
{
	const char *limit = is_v2 ? "memory.max" : "memory.limit_in_bytes";
	const char *usage = is_v2 ? "memory.current" : "memory.usage_in_bytes";
	/* One outside of what is mounted here begins with "/..". */
	_cleanup_free_ char *folder = memory_format("%s%s", mount->folder, strncmp(path, "/..", 3) == 0 ? "" : path);
	int error = 0;

	while (strlen(folder) > strlen(mount->folder)) {
		error = take_limit(host, folder, limit, usage, room);
		if (error && error != -ENOENT)
			return error;
		*strrchr(folder, '/') = '\0';
	}
	/* The root of a v2 hierarchy has no limit, and no file for it. */
	error = take_limit(host, mount->folder, limit, usage, room);
	return error == -ENOENT ? 0 : error;
}

/* This process's cgroup in the hierarchy of a controller, or in the unified one (""). */
static int own_cgroup(const struct host *host, const char *controller, char *ret, size_t size)
{
	_cleanup_free_ char *path = memory_format("%s/proc/self/cgroup", host->root);
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	_cleanup_free_ char *wanted = memory_format(":%s:", controller);
	char line[4096];

	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		const char *colon = strchr(line, ':');

		if (!colon || strncmp(colon, wanted, strlen(wanted)) != 0)
			continue;
		snprintf(ret, size, "%s", colon + strlen(wanted));
		ret[strcspn(ret, "\n")] = '\0';
		return 0;
	}
	return -ENOENT;
}

static int read_memory_room(const struct host *host, struct memory_room *room)
{
	struct host_mount mount;
	char path[4096];

	*room = (struct memory_room){.limit = MEMORY_UNLIMITED, .left = MEMORY_UNLIMITED};
	if (own_cgroup(host, "memory", path, sizeof(path)) == 0 &&
	    host_find_mount(host, "cgroup", "memory", &mount) == 0)
		return walk_up(host, &mount, path, false, room);
	int error = own_cgroup(host, "", path, sizeof(path));

	if (!error)
		error = host_find_mount(host, "cgroup2", NULL, &mount);
	return error ? error : walk_up(host, &mount, path, true, room);
}

void probe_memory_cgroup(const struct host *host, const struct probe *probe, struct finding *ret)
{
	const long long wanted = MEMORY_FIXED + (long long)UNWIND_DEFAULT_BYTES;
	struct memory_room room;
	int error = read_memory_room(host, &room);

	(void)probe;
	if (error == -ENOENT) {
		finding_set(ret, FINDING_OK, "none: no memory cgroups are mounted");
	} else if (error) {
		finding_set_unread(ret, "/proc/self/cgroup", error);
	} else if (room.left >= wanted) {
		if (room.limit >= MEMORY_UNLIMITED)
			finding_set(ret, FINDING_OK, "no limit");
		else
			finding_set(ret, FINDING_OK, "%lld MiB, %lld of them free", room.limit >> 20, room.left >> 20);
	} else {
		long long tables = room.left > 2 * (long long)MEMORY_FIXED ? room.left - MEMORY_FIXED : room.left / 2;

		finding_set(ret, FINDING_NOTE, "%lld MiB, %lld of them free, of %lld that a recording can come to",
			    room.limit >> 20, room.left >> 20, wanted >> 20);
		finding_set_cost(ret, "ebprof is killed when it takes more; unwind tables are most of it");
		finding_set_fix(ret, "sudo ebprof record --max-unwind-memory %lldm ...",
				tables >> 20 ? tables >> 20 : 1);
	}
}

/* ---- sampling ---- */

void probe_sample_rate(const struct host *host, const struct probe *probe, struct finding *ret)
{
	static const char path[] = "/proc/sys/kernel/perf_event_max_sample_rate";
	long long rate;
	int error = host_read_number(host, path, &rate);

	(void)probe;
	if (error) {
		finding_set_unread(ret, path, error);
	} else if (rate >= RATE_FAST_HZ) {
		finding_set(ret, FINDING_OK, "up to %lld Hz", rate < RATE_MAX_HZ ? rate : RATE_MAX_HZ);
	} else {
		finding_set(ret, FINDING_NOTE, "up to %lld Hz%s", rate,
			    rate < RATE_DEFAULT_HZ ? ": less than the default of -F" : "");
		finding_set_cost(ret, rate < RATE_DEFAULT_HZ ? "recordings without a lower -F are refused"
							     : "recordings with a higher -F are refused");
		finding_set_fix(ret, "sudo sysctl kernel.perf_event_max_sample_rate=100000");
	}
}

void probe_max_stack(const struct host *host, const struct probe *probe, struct finding *ret)
{
	static const char path[] = "/proc/sys/kernel/perf_event_max_stack";
	long long frames;
	int error = host_read_number(host, path, &frames);

	(void)probe;
	if (error) {
		finding_set_unread(ret, path, error);
	} else if (frames >= STACK_WANTED) {
		finding_set(ret, FINDING_OK, "%lld frames of a kernel stack", frames);
	} else {
		finding_set(ret, FINDING_NOTE, "%lld frames of a kernel stack", frames);
		finding_set_cost(ret, "the callers in deeper kernel stacks (user stacks are not limited by it)");
		finding_set_fix(ret, "sudo sysctl kernel.perf_event_max_stack=%d", STACK_WANTED);
	}
}

void probe_cpu_time(const struct host *host, const struct probe *probe, struct finding *ret)
{
	static const char path[] = "/proc/sys/kernel/perf_cpu_time_max_percent";
	enum { DEFAULT_PERCENT = 25 };
	long long percent;
	int error = host_read_number(host, path, &percent);

	(void)probe;
	if (error) {
		finding_set_unread(ret, path, error);
	} else if (percent == 0 || percent >= DEFAULT_PERCENT) {
		finding_set(ret, FINDING_OK, "%lld %%%s", percent,
			    percent == 0 || percent == 100 ? ": the kernel never lowers the sampling rate by itself"
							   : "");
	} else {
		finding_set(ret, FINDING_NOTE, "%lld %%: the kernel soon lowers the sampling rate by itself", percent);
		finding_set_cost(ret, "high rates (-F) may be refused after a while");
		finding_set_fix(ret, "sudo sysctl kernel.perf_cpu_time_max_percent=%d", DEFAULT_PERCENT);
	}
}

void probe_cpus(const struct host *host, const struct probe *probe, struct finding *ret)
{
	char text[4097], isolated[4097];
	size_t nr_possible = count_cpus(host, "/sys/devices/system/cpu/possible", text, sizeof(text));
	size_t nr_isolated = count_cpus(host, "/sys/devices/system/cpu/isolated", isolated, sizeof(isolated));
	size_t nr_online = count_cpus(host, CPUS_ONLINE_PATH, text, sizeof(text));

	(void)probe;
	if (!nr_online) {
		finding_set(ret, FINDING_MISSING, "no list of CPUs in '%s'", CPUS_ONLINE_PATH);
		finding_set_cost(ret, "everything: there is a clock for each CPU");
		finding_set_fix(ret, "sudo mount -t sysfs sysfs /sys");
	} else if (nr_isolated) {
		finding_set(ret, FINDING_NOTE, "%zu online of %zu possible; isolated: %s", nr_online, nr_possible,
			    isolated);
		finding_set_cost(ret, "quiet on the isolated CPUs: the clock ticks there as well, -F times a second");
	} else {
		finding_set(ret, FINDING_OK, "%zu online of %zu possible", nr_online, nr_possible);
	}
}
