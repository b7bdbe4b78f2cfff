/* SPDX-License-Identifier: Apache-2.0 */
#include "programs.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"
#include "recorder.skel.h"
#include "vector.h"

enum { LOG_LINES = 16 };

struct segment {
	int fd;
	void *memory;
};

struct programs {
	struct recorder_bpf *skeleton;
	struct ring_buffer *ring;
	record_fn ring_found; /* during programs_drain_ring */
	void *ring_context;

	int counts[2]; /* the generations */
	int active;
	uint32_t counts_max;

	struct programs_memory memory;
	VECTOR(struct segment) segments; /* by number */
};

/* The last lines of a text, each as a detail. */
static void print_end(const char *text, int nr_lines)
{
	const char *line = text + strlen(text);

	while (line > text && (line[-1] != '\n' || line[0] == '\0' || --nr_lines > 0))
		line--;
	while (*line) {
		int length = (int)strcspn(line, "\n");

		message_detail("libbpf: %.*s", length, line);
		line += length + (line[length] == '\n');
	}
}

/* libbpf speaks in many lines of its own: details of the one sentence that the caller prints. */
static int __attribute__((format(printf, 2, 0)))
print_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	char *text;

	if (level == LIBBPF_DEBUG || !message_verbose())
		return 0;
	if (vasprintf(&text, format, args) < 0)
		return 0;
	/* The verifier's log comes as one text of up to megabytes; what it objects to is at its end. */
	print_end(text, LOG_LINES);
	free(text);
	return 0;
}

static uint32_t pidns_inode(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) ? 0 : (uint32_t)st.st_ino;
}

/* How many kernel frames the kernel itself gives. */
static uint32_t kernel_frames_max(void)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/sys/kernel/perf_event_max_stack", "re");
	unsigned max = KERNEL_FRAMES_MAX;

	if (file && fscanf(file, "%u", &max) != 1)
		max = KERNEL_FRAMES_MAX;
	return max < KERNEL_FRAMES_MAX ? max : KERNEL_FRAMES_MAX;
}

static void set_max_entries(struct bpf_map *map, uint32_t entries)
{
	if (entries)
		bpf_map__set_max_entries(map, entries);
}

static void configure_targets(struct recorder_bpf *skeleton, const struct programs_config *config)
{
	skeleton->rodata->ebprof_target_kind = config->target_kind;
	skeleton->rodata->ebprof_with_children = config->with_children;
	skeleton->rodata->ebprof_want_idle = config->want_idle;
	skeleton->rodata->ebprof_nr_target_names = config->nr_target_names;
	skeleton->rodata->ebprof_nr_target_cgroups = config->nr_target_cgroups;
	for (uint32_t i = 0; i < config->nr_target_names; i++)
		skeleton->rodata->ebprof_target_names[i] = config->target_names[i];
	for (uint32_t i = 0; i < config->nr_target_cgroups; i++)
		skeleton->rodata->ebprof_target_cgroups[i] = config->target_cgroups[i];
	/* Whoever is described rather than listed may come at any time: there is always one more. */
	skeleton->bss->ebprof_nr_targets =
		config->target_kind != TARGET_PROCESSES && config->target_kind != TARGET_THREADS;
}

static void configure(struct recorder_bpf *skeleton, const struct programs_config *config)
{
	configure_targets(skeleton, config);
	skeleton->rodata->ebprof_want_user = config->want_user;
	skeleton->rodata->ebprof_want_kernel = config->want_kernel;
	skeleton->rodata->ebprof_label_thread = config->label_thread;
	skeleton->rodata->ebprof_label_tid = config->label_tid;
	skeleton->rodata->ebprof_label_cpu = config->label_cpu;
	skeleton->rodata->ebprof_label_cgroup = config->label_cgroup;
	skeleton->rodata->ebprof_capture = config->capture;
	skeleton->rodata->ebprof_max_frames = config->max_frames;
	skeleton->rodata->ebprof_kernel_frames_max = kernel_frames_max();
	skeleton->rodata->ebprof_pidns_inode = pidns_inode();
	skeleton->rodata->ebprof_ring_bytes = config->ring_bytes;
	skeleton->rodata->ebprof_seed = config->seed;
	skeleton->rodata->ebprof_snapshot_bytes = config->snapshot_bytes;
	if (config->snapshot_bytes)
		set_max_entries(skeleton->maps.ebprof_snapshots, SCRATCH_SLOTS * (uint32_t)libbpf_num_possible_cpus());
	set_max_entries(skeleton->maps.ebprof_ring, config->ring_bytes);
	set_max_entries(skeleton->maps.ebprof_known, config->known_max);
	set_max_entries(skeleton->maps.ebprof_processes, config->processes_max);
	/* More than processes, so that one that can't be told apart is a lost sample with a name, not a lost target. */
	set_max_entries(skeleton->maps.ebprof_targets, 2 * config->processes_max);
	set_max_entries(skeleton->maps.ebprof_mappings, config->mappings_max);
	set_max_entries(skeleton->maps.ebprof_modules, config->modules_max);
}

/* The memory of an array map with BPF_F_MMAPABLE; NULL when refused. */
static void *map_memory(int fd, size_t size_bytes)
{
	void *memory = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static int map_shared(struct programs *programs)
{
	struct recorder_bpf *skeleton = programs->skeleton;
	struct programs_memory *memory = &programs->memory;

	memory->nr_mappings = bpf_map__max_entries(skeleton->maps.ebprof_mappings);
	memory->nr_modules = bpf_map__max_entries(skeleton->maps.ebprof_modules);
	memory->nr_rules = RULES_MAX;
	memory->mappings = map_memory(bpf_map__fd(skeleton->maps.ebprof_mappings),
				      memory->nr_mappings * sizeof(*memory->mappings));
	memory->modules =
		map_memory(bpf_map__fd(skeleton->maps.ebprof_modules), memory->nr_modules * sizeof(*memory->modules));
	memory->rules = map_memory(bpf_map__fd(skeleton->maps.ebprof_rules), RULES_MAX * sizeof(*memory->rules));
	return memory->mappings && memory->modules && memory->rules ? 0 : -ENOMEM;
}

/* What the programs can't do without, newest first, and the kernel that had it first. */
static const struct {
	enum bpf_func_id helper;
	const char *name;
	const char *kernel;
} needs[] = {
	{BPF_FUNC_loop, "bpf_loop", "5.17"},
	{BPF_FUNC_task_pt_regs, "bpf_task_pt_regs", "5.15"},
	{BPF_FUNC_get_current_task_btf, "bpf_get_current_task_btf", "5.11"},
	{BPF_FUNC_ringbuf_output, "BPF ring buffers", "5.8"},
};

/* Asked only when the programs did not load: the answer costs loads of its own. 0 = nothing is missing. */
static int explain_missing(struct problem *problem, int error)
{
	for (size_t i = 0; i < ARRAY_SIZE(needs); i++)
		if (libbpf_probe_bpf_helper(BPF_PROG_TYPE_PERF_EVENT, needs[i].helper, NULL) == 0)
			return problem_set(
				problem, error,
				"this kernel lacks %s, which ebprof can't do without: Linux %s and newer have it",
				needs[i].name, needs[i].kernel);
	return 0;
}

static void explain_refusal(struct problem *problem, int error)
{
	/* EACCES is the verifier's, of which more rights are no cure. */
	if (error == -EPERM)
		problem_set(problem, error,
			    "the kernel refused the BPF programs: run with sudo, or grant CAP_BPF and "
			    "CAP_PERFMON; `ebprof doctor` tells more");
	else if (access("/sys/kernel/btf/vmlinux", R_OK) != 0)
		problem_set(problem, error,
			    "this kernel has no type information (/sys/kernel/btf/vmlinux): use a kernel built with "
			    "CONFIG_DEBUG_INFO_BTF=y");
	else if (!explain_missing(problem, error))
		problem_set(problem, error, "the kernel refused the BPF programs (%s): -v shows its reasons",
			    strerror(-error));
}

static int handle_record(void *context, void *record, size_t size_bytes)
{
	struct programs *programs = context;

	programs->ring_found(record, size_bytes, programs->ring_context);
	return 0;
}

static int create_counts(struct programs *programs)
{
	for (int i = 0; i < 2; i++) {
		programs->counts[i] =
			bpf_map_create(BPF_MAP_TYPE_HASH, i ? "ebprof_counts_b" : "ebprof_counts_a",
				       sizeof(struct count_key), sizeof(uint64_t), programs->counts_max, NULL);
		if (programs->counts[i] < 0)
			return programs->counts[i];
	}
	return 0;
}

/* Puts a generation to work; waits for programs that run with the other one. */
static int activate_counts(struct programs *programs, int generation)
{
	uint32_t zero = 0;
	int error = bpf_map_update_elem(bpf_map__fd(programs->skeleton->maps.ebprof_counts), &zero,
					&programs->counts[generation], BPF_ANY);

	if (!error)
		programs->active = generation;
	return error;
}

static int load(struct programs *programs, const struct programs_config *config)
{
	int error = recorder_bpf__load(programs->skeleton);

	if (error)
		return error;
	error = map_shared(programs);
	if (error)
		return error;
	programs->counts_max = config->counts_max;
	error = create_counts(programs);
	if (error)
		return error;
	programs->ring =
		ring_buffer__new(bpf_map__fd(programs->skeleton->maps.ebprof_ring), handle_record, programs, NULL);
	return programs->ring ? 0 : -errno;
}

int programs_create(const struct programs_config *config, struct programs **ret, struct problem *problem)
{
	struct programs *programs = memory_new(struct programs);

	programs->counts[0] = programs->counts[1] = -1;
	/* All at once: it is read by one thread while another adds to it. */
	vector_reserve(&programs->segments, POOL_SEGMENTS_MAX);
	libbpf_set_print(print_libbpf);
	programs->skeleton = recorder_bpf__open();
	int error = programs->skeleton ? 0 : -errno;

	if (!error) {
		configure(programs->skeleton, config);
		error = load(programs, config);
	}
	if (error) {
		explain_refusal(problem, error);
		programs_destroy(programs);
		return error;
	}
	*ret = programs;
	return 0;
}

void programs_destroy(struct programs *programs)
{
	if (!programs)
		return;
	for (size_t i = 0; i < programs->segments.nr; i++) {
		munmap(programs->segments.data[i].memory, POOL_SEGMENT_SIZE);
		close(programs->segments.data[i].fd);
	}
	vector_free(&programs->segments);
	struct programs_memory *memory = &programs->memory;

	if (memory->mappings)
		munmap(memory->mappings, memory->nr_mappings * sizeof(*memory->mappings));
	if (memory->modules)
		munmap(memory->modules, memory->nr_modules * sizeof(*memory->modules));
	if (memory->rules)
		munmap(memory->rules, memory->nr_rules * sizeof(*memory->rules));
	ring_buffer__free(programs->ring);
	for (int i = 0; i < 2; i++)
		if (programs->counts[i] >= 0)
			close(programs->counts[i]);
	recorder_bpf__destroy(programs->skeleton);
	free(programs);
}

int programs_attach(struct programs *programs, struct problem *problem)
{
	struct recorder_bpf *skeleton = programs->skeleton;
	const struct {
		struct bpf_program *program;
		struct bpf_link **link;
	} hooks[] = {
		{skeleton->progs.ebprof_fork, &skeleton->links.ebprof_fork},
		{skeleton->progs.ebprof_exec, &skeleton->links.ebprof_exec},
		{skeleton->progs.ebprof_exit, &skeleton->links.ebprof_exit},
	};

	for (size_t i = 0; i < ARRAY_SIZE(hooks); i++) {
		*hooks[i].link = bpf_program__attach(hooks[i].program);
		if (!*hooks[i].link)
			return problem_set(problem, -errno, "cannot follow processes (%s: %s)",
					   bpf_program__name(hooks[i].program), strerror(errno));
	}
	/* Without it, code that takes the place of other code has the other's name until the loader learns of it. */
	skeleton->links.ebprof_mapped = bpf_program__attach(skeleton->progs.ebprof_mapped);
	if (!skeleton->links.ebprof_mapped)
		message_detail("new mappings are learnt of some milliseconds late: this kernel has no tracepoint "
			       "ma_write (6.1 and newer have it)");
	int error = activate_counts(programs, 0);

	return error ? problem_set(problem, error, "cannot install the counts (%s)", strerror(-error)) : 0;
}

int programs_clock_fd(const struct programs *programs)
{
	return bpf_program__fd(programs->skeleton->progs.ebprof_clock);
}

int programs_add_target(struct programs *programs, uint32_t id, uint32_t flags)
{
	int error = bpf_map_update_elem(bpf_map__fd(programs->skeleton->maps.ebprof_targets), &id, &flags, BPF_NOEXIST);

	if (!error)
		__atomic_fetch_add(&programs->skeleton->bss->ebprof_nr_targets, 1, __ATOMIC_RELAXED);
	return error == -EEXIST ? 0 : error;
}

void programs_forget_target(struct programs *programs, uint32_t id)
{
	int fd = bpf_map__fd(programs->skeleton->maps.ebprof_targets);
	uint32_t flags;

	if (bpf_map_lookup_elem(fd, &id, &flags) == 0 && flags & TARGET_EXITED)
		bpf_map_delete_elem(fd, &id);
}

int32_t programs_nr_targets(const struct programs *programs)
{
	return __atomic_load_n(&programs->skeleton->bss->ebprof_nr_targets, __ATOMIC_RELAXED);
}

int programs_add_process(struct programs *programs, const struct process_id *id, struct process_entry *entry)
{
	int fd = bpf_map__fd(programs->skeleton->maps.ebprof_processes);

	entry->slot = __atomic_fetch_add(&programs->skeleton->bss->ebprof_next_slot, 1, __ATOMIC_RELAXED);
	int error = bpf_map_update_elem(fd, id, entry, BPF_NOEXIST);

	return error == -EEXIST ? bpf_map_lookup_elem(fd, id, entry) : error;
}

int programs_set_process(struct programs *programs, const struct process_id *id, const struct process_entry *entry)
{
	return bpf_map_update_elem(bpf_map__fd(programs->skeleton->maps.ebprof_processes), id, entry, BPF_EXIST);
}

void programs_delete_process(struct programs *programs, const struct process_id *id)
{
	bpf_map_delete_elem(bpf_map__fd(programs->skeleton->maps.ebprof_processes), id);
}

int programs_each_task(struct programs *programs, task_fn found, void *context)
{
	struct bpf_link *link = bpf_program__attach_iter(programs->skeleton->progs.ebprof_tasks, NULL);

	if (!link)
		return -errno;
	_cleanup_close_ int fd = bpf_iter_create(bpf_link__fd(link));
	int error = fd < 0 ? fd : 0;
	char buffer[64 * sizeof(struct task_entry)];
	size_t held = 0;

	while (!error) {
		ssize_t got = read(fd, buffer + held, sizeof(buffer) - held);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			error = got < 0 ? -errno : 0;
			break;
		}
		held += (size_t)got;
		size_t whole = held / sizeof(struct task_entry);

		for (size_t i = 0; i < whole; i++) {
			struct task_entry task;

			memcpy(&task, buffer + i * sizeof(task), sizeof(task));
			found(&task, context);
		}
		held -= whole * sizeof(struct task_entry);
		memmove(buffer, buffer + whole * sizeof(struct task_entry), held);
	}
	bpf_link__destroy(link);
	return error;
}

const struct programs_memory *programs_memory(const struct programs *programs)
{
	return &programs->memory;
}

void *programs_new_segment(struct programs *programs, uint32_t number)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);

	if (number != programs->segments.nr || number >= POOL_SEGMENTS_MAX)
		return NULL;
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "ebprof_segment", sizeof(uint32_t), POOL_SEGMENT_SIZE, 1, &options);

	if (fd < 0)
		return NULL;
	void *memory = map_memory(fd, POOL_SEGMENT_SIZE);

	if (!memory) {
		close(fd);
		return NULL;
	}
	programs->segments.data[number] = (struct segment){.fd = fd, .memory = memory};
	__atomic_store_n(&programs->segments.nr, number + 1, __ATOMIC_RELEASE);
	return memory;
}

const void *programs_segment(const struct programs *programs, uint32_t number)
{
	return number < __atomic_load_n(&programs->segments.nr, __ATOMIC_ACQUIRE)
		       ? programs->segments.data[number].memory
		       : NULL;
}

int programs_install_segments(struct programs *programs, uint32_t first, uint32_t nr)
{
	int outer = bpf_map__fd(programs->skeleton->maps.ebprof_pool);
	_cleanup_free_ uint32_t *keys = memory_new_array(uint32_t, nr);
	_cleanup_free_ int *fds = memory_new_array(int, nr);
	uint32_t count = nr;

	if (!nr)
		return 0;
	for (uint32_t i = 0; i < nr; i++) {
		keys[i] = first + i;
		fds[i] = programs->segments.data[first + i].fd;
	}
	/* One wait for running programs instead of nr. */
	if (bpf_map_update_batch(outer, keys, fds, &count, NULL) == 0 && count == nr)
		return 0;
	for (uint32_t i = 0; i < nr; i++) {
		int error = bpf_map_update_elem(outer, &keys[i], &fds[i], BPF_ANY);

		if (error)
			return error;
	}
	return 0;
}

int programs_drain_ring(struct programs *programs, record_fn found, void *context)
{
	programs->ring_found = found;
	programs->ring_context = context;
	return ring_buffer__consume(programs->ring);
}

int programs_ring_fd(const struct programs *programs)
{
	return ring_buffer__epoll_fd(programs->ring);
}

enum { COUNTS_BATCH = 1024 };

/* The plain way, for kernels whose hash maps have no batch calls. */
static int drain_one_by_one(int fd, count_fn found, void *context)
{
	struct count_key key;
	uint64_t count;

	while (bpf_map_get_next_key(fd, NULL, &key) == 0) {
		if (bpf_map_lookup_elem(fd, &key, &count) == 0)
			found(&key, count, context);
		int error = bpf_map_delete_elem(fd, &key);

		if (error)
			return error;
	}
	return 0;
}

static int drain_batches(int fd, uint32_t max, count_fn found, void *context)
{
	uint32_t size = max < COUNTS_BATCH ? max : COUNTS_BATCH;
	_cleanup_free_ struct count_key *keys = memory_new_array(struct count_key, size);
	_cleanup_free_ uint64_t *counts = memory_new_array(uint64_t, size);
	uint64_t position;
	void *from = NULL;

	for (;;) {
		uint32_t nr = size;
		int error = bpf_map_lookup_and_delete_batch(fd, from, &position, keys, counts, &nr, NULL);

		if (error && error != -ENOENT) {
			/* -ENOSPC: a bucket with more entries than the batch; -EINVAL: no such call. */
			return drain_one_by_one(fd, found, context);
		}
		for (uint32_t i = 0; i < nr; i++)
			found(&keys[i], counts[i], context);
		if (error == -ENOENT)
			return 0;
		from = &position;
	}
}

int programs_drain_counts(struct programs *programs, count_fn found, void *context)
{
	int idle = programs->counts[programs->active];
	int error = activate_counts(programs, !programs->active);

	if (error)
		return error;
	return drain_batches(idle, programs->counts_max, found, context);
}

int programs_read_counters(const struct programs *programs, struct cpu_counters **ret, size_t *nr_ret)
{
	int nr = libbpf_num_possible_cpus();
	uint32_t zero = 0;

	if (nr <= 0)
		return nr ? nr : -EINVAL;
	struct cpu_counters *counters = memory_new_array(struct cpu_counters, nr);
	int error = bpf_map_lookup_elem(bpf_map__fd(programs->skeleton->maps.ebprof_counters), &zero, counters);

	if (error) {
		free(counters);
		return error;
	}
	*ret = counters;
	*nr_ret = (size_t)nr;
	return 0;
}
