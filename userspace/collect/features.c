/* SPDX-License-Identifier: Apache-2.0 */
/*
 * features.c - does this kernel have it? Try, and read the error.
 *
 * A probe does the least that a kernel without the feature would refuse: it loads two instructions, creates a map of a
 * page, opens an event that is never enabled. Where record has a function for it (clocks, mapping records), that
 * function is called. The tricky case is a refusal for lack of rights, which must not read as lack of the feature:
 * libbpf's own probes take any error for one or the other, so they are asked only when loading a program works at all.
 * Probes at functions are told by which of two errors an impossible file gives: nothing is ever patched.
 */
#include "features.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "memory.h"
#include "perf_event.h"
#include "sideband.h"

enum {
	RING_BYTES = 4096,
	TRACE_UPROBE_MULTI = 48,  /* BPF_TRACE_UPROBE_MULTI, newer than some headers */
	CLOCK_PERIOD = 100000000, /* of clocks that never start */
};

/* r0 = 0; exit */
static const struct bpf_insn nothing[] = {
	{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
	{.code = BPF_JMP | BPF_EXIT},
};

static int load_nothing(enum bpf_prog_type type, const struct bpf_prog_load_opts *options)
{
	int fd = bpf_prog_load(type, "ebprof_probe", "Dual BSD/GPL", nothing, ARRAY_SIZE(nothing), options);

	return fd < 0 ? -errno : fd;
}

/* Where only the kernel's lack of something can be the reason, any refusal but one for lack of rights says so. */
static int lacking(int error)
{
	return error == -EACCES || error == -EPERM ? -EPERM : -EOPNOTSUPP;
}

static int probe_programs(void)
{
	_cleanup_close_ int fd = load_nothing(BPF_PROG_TYPE_PERF_EVENT, NULL);

	if (fd >= 0)
		return 0;
	if (fd == -EACCES)
		return -EPERM;
	return fd == -ENOSYS || fd == -EINVAL ? -EOPNOTSUPP : fd;
}

static int probe_jit(struct problem *problem)
{
	_cleanup_close_ int fd = load_nothing(BPF_PROG_TYPE_PERF_EVENT, NULL);
	struct bpf_prog_info info = {0};
	uint32_t size = sizeof(info);

	if (fd < 0)
		return fd == -EACCES ? -EPERM : fd;
	if (bpf_obj_get_info_by_fd(fd, &info, &size))
		return problem_set(problem, -errno, "the kernel tells nothing of a program: %s", strerror(errno));
	return info.jited_prog_len ? 0 : -EOPNOTSUPP;
}

static int probe_ring(void)
{
	_cleanup_close_ int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ebprof_probe", 0, 0, RING_BYTES, NULL);

	return fd < 0 ? lacking(-errno) : 0;
}

/* The names of helpers that are missing, as a list in *problem. */
static int probe_helpers(struct problem *problem)
{
	static const struct {
		enum bpf_prog_type type;
		enum bpf_func_id id;
		const char *name;
	} helpers[] = {
		{BPF_PROG_TYPE_PERF_EVENT, BPF_FUNC_probe_read_user, "bpf_probe_read_user"},
		{BPF_PROG_TYPE_PERF_EVENT, BPF_FUNC_probe_read_kernel, "bpf_probe_read_kernel"},
		{BPF_PROG_TYPE_PERF_EVENT, BPF_FUNC_get_stack, "bpf_get_stack"},
		{BPF_PROG_TYPE_PERF_EVENT, BPF_FUNC_get_current_task_btf, "bpf_get_current_task_btf"},
		{BPF_PROG_TYPE_PERF_EVENT, BPF_FUNC_task_pt_regs, "bpf_task_pt_regs"},
		{BPF_PROG_TYPE_PERF_EVENT, BPF_FUNC_ringbuf_reserve, "bpf_ringbuf_reserve"},
		{BPF_PROG_TYPE_PERF_EVENT, BPF_FUNC_ringbuf_query, "bpf_ringbuf_query"},
		{BPF_PROG_TYPE_RAW_TRACEPOINT, BPF_FUNC_ringbuf_output, "bpf_ringbuf_output"},
		{BPF_PROG_TYPE_RAW_TRACEPOINT, BPF_FUNC_get_current_task_btf, "bpf_get_current_task_btf"},
	};
	int error = probe_programs();

	for (size_t i = 0; !error && i < ARRAY_SIZE(helpers); i++) {
		size_t used = strlen(problem->text);

		/* Told once, whichever programs it is missing for. */
		if (!strstr(problem->text, helpers[i].name) &&
		    libbpf_probe_bpf_helper(helpers[i].type, helpers[i].id, NULL) == 0)
			snprintf(problem->text + used, sizeof(problem->text) - used, "%s%s", used ? ", " : "",
				 helpers[i].name);
	}
	return !error && problem->text[0] ? -EOPNOTSUPP : error;
}

/* type: which programs are asked about; some helpers came to some later. */
static int probe_helper(enum bpf_prog_type type, enum bpf_func_id id)
{
	int error = probe_programs();

	if (error)
		return error;
	return libbpf_probe_bpf_helper(type, id, NULL) == 0 ? -EOPNOTSUPP : 0;
}

static int probe_batches(void)
{
	_cleanup_close_ int fd =
		bpf_map_create(BPF_MAP_TYPE_HASH, "ebprof_probe", sizeof(uint64_t), sizeof(uint64_t), 1, NULL);
	uint64_t position, key, value;
	uint32_t nr = 1;

	if (fd < 0)
		return lacking(-errno);
	/* An empty map's entries are all read with the first call. */
	if (bpf_map_lookup_and_delete_batch(fd, NULL, &position, &key, &value, &nr, NULL) == 0 || errno == ENOENT)
		return 0;
	return -EOPNOTSUPP;
}

static int probe_tasks(void)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_ITER);
	int error = probe_programs();

	if (error)
		return error;
	int id = libbpf_find_vmlinux_btf_id("task", BPF_TRACE_ITER);

	if (id < 0)
		return -EOPNOTSUPP;
	options.attach_btf_id = (uint32_t)id;
	_cleanup_close_ int fd = load_nothing(BPF_PROG_TYPE_TRACING, &options);

	return fd < 0 ? lacking(fd) : 0;
}

static int probe_tracepoints(const char *const *names, size_t nr, struct problem *problem)
{
	_cleanup_close_ int fd = load_nothing(BPF_PROG_TYPE_RAW_TRACEPOINT, NULL);

	if (fd < 0)
		return lacking(fd);
	for (size_t i = 0; i < nr; i++) {
		_cleanup_close_ int link = bpf_raw_tracepoint_open(names[i], fd);

		if (link < 0 && errno != ENOENT)
			return problem_set(problem, lacking(-errno), "%s: %s", names[i], strerror(errno));
		if (link < 0)
			return problem_set(problem, -EOPNOTSUPP, "no tracepoint %s", names[i]);
	}
	return 0;
}

static int probe_records(enum feature feature, struct problem *problem)
{
	struct sideband *sideband;
	int error = sideband_create(0, true, &sideband, problem);

	if (error)
		return error == -EACCES ? -EPERM : error;
	if (feature == FEATURE_BUILD_IDS && !sideband_has_build_ids(sideband))
		error = -EOPNOTSUPP;
	if (feature == FEATURE_LOST_COUNTS && !sideband_counts_lost(sideband))
		error = -EOPNOTSUPP;
	sideband_destroy(sideband);
	return error;
}

static int probe_clock(enum clock_kind kind, struct problem *problem)
{
	_cleanup_close_ int fd = load_nothing(BPF_PROG_TYPE_PERF_EVENT, NULL);
	struct clocks *clocks;

	if (fd < 0)
		return fd == -EACCES ? -EPERM : fd;
	int error = clocks_create(kind, CLOCK_PERIOD, fd, NULL, &clocks, problem);

	/* The reason is the lack itself. */
	if (error == -EOPNOTSUPP)
		problem->text[0] = '\0';
	if (error)
		return error == -EACCES ? -EPERM : error;
	clocks_destroy(clocks);
	return 0;
}

/* The kind of events that a file of /sys numbers; -EOPNOTSUPP without it. */
static int event_type(const char *path)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	int type;

	return file && fscanf(file, "%d", &type) == 1 && type >= 0 ? type : -EOPNOTSUPP;
}

static int probe_uprobes(void)
{
	int type = event_type("/sys/bus/event_source/devices/uprobe/type");
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = (uint32_t)type,
		.disabled = 1,
		.uprobe_path = (uint64_t)(uintptr_t) "/proc/self/no-such-file",
	};

	if (type < 0)
		return type;
	_cleanup_close_ int fd = perf_event_create(&attr, 0);

	/* Rights are asked for first, then the file. */
	if (fd == -EACCES || fd == -EPERM)
		return -EPERM;
	return fd == -ENOENT ? 0 : -EOPNOTSUPP;
}

static int probe_uprobes_multi(void)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = (enum bpf_attach_type)TRACE_UPROBE_MULTI);
	_cleanup_close_ int fd = load_nothing(BPF_PROG_TYPE_KPROBE, &options);
	const uint64_t offset = 0;
	/* BPF_LINK_CREATE's part of union bpf_attr as kernels that know of it have it. */
	const struct {
		uint32_t program, target, attach_type, flags;
		uint64_t path, offsets, counters, cookies;
		uint32_t nr, probe_flags, pid, reserved;
	} request = {
		.program = (uint32_t)fd,
		.attach_type = TRACE_UPROBE_MULTI,
		.path = (uint64_t)(uintptr_t) "/",
		.offsets = (uint64_t)(uintptr_t)&offset,
		.nr = 1,
	};

	if (fd < 0)
		return lacking(fd);
	_cleanup_close_ int link = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &request, sizeof(request));

	/* A folder can't be probed, which is found out last. */
	return link < 0 && errno == EBADF ? 0 : lacking(-errno);
}

static int probe(enum feature feature, struct problem *problem)
{
	static const char *const of_processes[] = {"sched_process_fork", "sched_process_exec", "sched_process_exit"};
	static const char *const of_mappings[] = {"ma_write"};

	switch (feature) {
	case FEATURE_PROGRAMS:
		return probe_programs();
	case FEATURE_JIT:
		return probe_jit(problem);
	case FEATURE_RING:
		return probe_ring();
	case FEATURE_LOOP:
		return probe_helper(BPF_PROG_TYPE_PERF_EVENT, BPF_FUNC_loop);
	case FEATURE_HELPERS:
		return probe_helpers(problem);
	case FEATURE_CGROUP_IDS:
		return probe_helper(BPF_PROG_TYPE_PERF_EVENT, BPF_FUNC_get_current_ancestor_cgroup_id);
	case FEATURE_KERNEL_READS:
		return probe_helper(BPF_PROG_TYPE_PERF_EVENT, BPF_FUNC_probe_read_kernel);
	case FEATURE_BATCHES:
		return probe_batches();
	case FEATURE_TASKS:
		return probe_tasks();
	case FEATURE_PROCESS_TRACEPOINTS:
		return probe_tracepoints(of_processes, ARRAY_SIZE(of_processes), problem);
	case FEATURE_MAPPING_TRACEPOINT:
		return probe_tracepoints(of_mappings, ARRAY_SIZE(of_mappings), problem);
	case FEATURE_MAPPING_RECORDS:
	case FEATURE_BUILD_IDS:
	case FEATURE_LOST_COUNTS:
		return probe_records(feature, problem);
	case FEATURE_CLOCK:
		return probe_clock(CLOCK_CPU, problem);
	case FEATURE_CYCLES:
		return probe_clock(CLOCK_CYCLES, problem);
	case FEATURE_UPROBES:
		return probe_uprobes();
	case FEATURE_UPROBES_MULTI:
		return probe_uprobes_multi();
	case FEATURE_MAP_ACCOUNTING:
		/* It came with 5.11, as this helper did, and leaves no other trace. */
		return probe_helper(BPF_PROG_TYPE_SOCKET_FILTER, BPF_FUNC_ktime_get_coarse_ns);
	case NR_FEATURES:
		break;
	}
	return -EINVAL;
}

int feature_probe(enum feature feature, struct problem *problem)
{
	problem->text[0] = '\0';
	/* Its refusals are answers here. */
	libbpf_set_print(NULL);
	return probe(feature, problem);
}
