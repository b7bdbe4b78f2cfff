/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cpu.bpf.c - the clock: at each tick of a CPU, what was running there?
 *
 * filter -> process -> kernel stack -> user stack -> store. Every way out names a counter, and the number of runs is
 * counted apart, so that "runs = the sum of the outcomes" can fail if a path forgets to.
 */
#include "process.h"
#include "snapshot.h"
#include "store.h"
#include "target.h"
#include "unwind.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

const volatile bool ebprof_want_user = true;
const volatile bool ebprof_want_kernel = true;
const volatile bool ebprof_label_thread = true;
const volatile bool ebprof_label_tid;
const volatile bool ebprof_label_cpu;
const volatile bool ebprof_label_cgroup;
const volatile bool ebprof_capture;
const volatile bool ebprof_want_idle;
const volatile __u32 ebprof_max_frames = USER_FRAMES_DEFAULT;
const volatile __u32 ebprof_kernel_frames_max = KERNEL_FRAMES_MAX;
const volatile __u32 ebprof_ring_bytes = 4 << 20;
const volatile __u32 ebprof_snapshot_bytes = SNAPSHOT_STACK_DEFAULT;
const volatile struct stack_key ebprof_seed;

/* All that a walk needs that does not fit the BPF stack. */
struct scratch {
	__u32 busy;
	__u32 number; /* of all CPUs' slots */
	struct process_id id;
	struct process_entry entry;
	struct count_key count;
	__u64 kernel_pcs[KERNEL_FRAMES_MAX];
	struct record_stack kernel_record;
	__u64 kernel_frames[KERNEL_FRAMES_MAX];
	struct walk walk;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCRATCH_SLOTS);
	__type(key, __u32);
	__type(value, struct scratch);
} ebprof_scratch SEC(".maps");

static __always_inline struct scratch *scratch_claim(void)
{
	for (__u32 i = 0; i < SCRATCH_SLOTS; i++) {
		__u32 key = i;
		struct scratch *s = bpf_map_lookup_elem(&ebprof_scratch, &key);

		if (s && __sync_val_compare_and_swap(&s->busy, 0, 1) == 0) {
			s->number = bpf_get_smp_processor_id() * SCRATCH_SLOTS + i;
			return s;
		}
	}
	return 0;
}

static __always_inline void scratch_release(struct scratch *s)
{
	__sync_lock_test_and_set(&s->busy, 0);
}

/* The image that runs, announced to the loader if it is new. 0 = s->id and s->entry are set. */
static __always_inline int find_process(struct scratch *s, struct task_struct *task)
{
	s->id = process_id_of(task);
	struct process_entry *held = bpf_map_lookup_elem(&ebprof_processes, &s->id);

	if (held) {
		s->entry = *held;
		return 0;
	}
	struct process_entry fresh = {};
	bool added = false;

	fresh.first = process_first(task);

	if (process_add(&s->id, &fresh, &added))
		return -1;
	if (added)
		process_announce(task, &s->id, &fresh, 0, ORIGIN_SAMPLE);
	s->entry = fresh;
	return 0;
}

/* Field by field: clang 14 folds the copy of a whole volatile constant into its initial zeros. */
static __always_inline struct stack_key read_seed(void)
{
	struct stack_key seed;

	seed.hash[0] = ebprof_seed.hash[0];
	seed.hash[1] = ebprof_seed.hash[1];
	return seed;
}

/* What the callbacks of bpf_loop are given: the verifier follows a pointer, not what is behind it. */
struct scratch_loop {
	struct scratch *scratch;
};

static long kernel_iteration(__u32 index, struct scratch_loop *loop)
{
	struct scratch *s = loop->scratch;

	if (!s || index >= KERNEL_FRAMES_MAX)
		return 1;
	__u64 frame = frame_make(FRAME_KERNEL, index ? 0 : FRAME_EXACT, s->kernel_pcs[index]);

	s->kernel_frames[index] = frame;
	stack_key_add(&s->kernel_record.key, frame);
	return 0;
}

/* The kernel's part, walked by the kernel itself; pcs become frames. Sets s->count.kernel. */
static __always_inline void take_kernel_stack(struct scratch *s, struct bpf_perf_event_data *ctx)
{
	long bytes = bpf_get_stack(ctx, s->kernel_pcs, sizeof(s->kernel_pcs), 0);
	__u32 nr = bytes > 0 ? (__u32)bytes / sizeof(__u64) : 0;
	struct stack_key *key = &s->kernel_record.key;

	if (nr > KERNEL_FRAMES_MAX)
		nr = KERNEL_FRAMES_MAX;
	if (!nr)
		return;
	if (nr >= ebprof_kernel_frames_max)
		counter_add(COUNTER_kernel_cut, 1);
	struct stack_key seed = read_seed();

	stack_key_start(key, &seed);
	struct scratch_loop loop = {.scratch = s};

	bpf_loop(nr, kernel_iteration, &loop, 0);
	stack_key_finish(key, 0);
	s->kernel_record.type = RECORD_STACK;
	s->kernel_record.nr_frames = nr;
	s->kernel_record.process = s->entry.slot;
	s->kernel_record.has_raw = 0;
	s->kernel_record.is_kernel = 1;
	s->kernel_record.nr_leaf_frames = nr;
	s->kernel_record.nr_walked = nr;
	s->kernel_record.end_frame = 0;
	s->count.kernel = *key;
	store_body(&s->kernel_record, nr);
}

/* DWARF order from struct pt_regs. */
static __always_inline void load_registers(struct walk *w, const struct pt_regs *regs)
{
	w->pc = regs->rip;
	w->regs[DWARF_RAX] = regs->rax;
	w->regs[DWARF_RDX] = regs->rdx;
	w->regs[DWARF_RCX] = regs->rcx;
	w->regs[DWARF_RBX] = regs->rbx;
	w->regs[DWARF_RSI] = regs->rsi;
	w->regs[DWARF_RDI] = regs->rdi;
	w->regs[DWARF_RBP] = regs->rbp;
	w->regs[DWARF_RSP] = regs->rsp;
	w->regs[DWARF_R8] = regs->r8;
	w->regs[DWARF_R9] = regs->r9;
	w->regs[DWARF_R10] = regs->r10;
	w->regs[DWARF_R11] = regs->r11;
	w->regs[DWARF_R12] = regs->r12;
	w->regs[DWARF_R13] = regs->r13;
	w->regs[DWARF_R14] = regs->r14;
	w->regs[DWARF_R15] = regs->r15;
}

static long walk_iteration(__u32 index, struct scratch_loop *loop)
{
	struct scratch *s = loop->scratch;

	return s ? walk_step(&s->walk) : 1;
}

/* The entry is one copy of a hash value that may have been replaced meanwhile: believed only if it is still there. */
static __always_inline bool entry_unchanged(const struct scratch *s)
{
	const struct process_entry *held = bpf_map_lookup_elem(&ebprof_processes, &s->id);

	return held && held->generation == s->entry.generation && held->first == s->entry.first &&
	       held->count == s->entry.count && held->slot == s->entry.slot;
}

/* Which set of mappings was last reported to lack one, by slot modulo the size. */
struct stale_report {
	__u64 mappings; /* slot, generation + 1 */
	__u64 time_ns;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct stale_report);
} ebprof_stale SEC(".maps");

/*
 * A pc outside all known mappings says that they are stale. Once per set of mappings is enough to say it, and wakes the
 * loader: until it has read them again, all stacks that pass there wait for it. True while its answer may come.
 */
static __always_inline bool report_no_mapping(struct scratch *s, __u64 now)
{
	__u32 place = s->entry.slot % 4096;
	__u64 mappings = (__u64)s->entry.slot << 32 | (s->entry.generation + 1);
	struct stale_report *last = bpf_map_lookup_elem(&ebprof_stale, &place);

	if (!last)
		return false;
	if (last->mappings == mappings)
		return now - last->time_ns < SNAPSHOT_STALE_NS;
	struct record_no_mapping record = {
		.type = RECORD_NO_MAPPING,
		.process = s->entry.slot,
		.time_ns = now,
		.pc = s->walk.pc,
		.id = s->id,
		.generation = s->entry.generation,
	};

	if (ring_send(&record, sizeof(record), BPF_RB_FORCE_WAKEUP) == 0) {
		last->mappings = mappings;
		last->time_ns = now;
	}
	return true;
}

/* The place of code that the process's run lacks as yet; NULL = it lacks none. */
static __always_inline struct fresh_code *find_fresh(const struct process_entry *entry)
{
	__u32 place = entry->slot % FRESH_CODES;

	if (entry->known_ns >= *(volatile __u64 *)&ebprof_fresh_ns)
		return 0;
	struct fresh_code *fresh = bpf_map_lookup_elem(&ebprof_fresh, &place);

	return fresh && fresh->slot == entry->slot && fresh->time_ns > entry->known_ns ? fresh : 0;
}

static __always_inline void load_fresh(struct walk *w, const struct process_entry *entry)
{
	const struct fresh_code *fresh = find_fresh(entry);

	w->fresh_start = fresh ? fresh->start : 0;
	w->fresh_end = fresh ? fresh->end : 0;
}

/*
 * A stack came by where something changed some time ago. The side band mostly says what, and the loader has to read it;
 * of a piece that was cut out, moved or given another flag it says nothing, and the loader has to look.
 */
static __always_inline void report_fresh(struct scratch *s, __u64 now)
{
	struct fresh_code *fresh = find_fresh(&s->entry);

	if (!fresh || fresh->is_told || now - fresh->since_ns < FRESH_WAIT_NS)
		return;
	struct record_no_mapping record = {
		.type = RECORD_NO_MAPPING,
		.process = s->entry.slot,
		.time_ns = now,
		.id = s->id,
		.generation = s->entry.generation,
		.fresh_ns = fresh->time_ns,
	};

	if (ring_send(&record, sizeof(record), BPF_RB_FORCE_WAKEUP) == 0)
		fresh->is_told = 1;
}

/* Walks from the first frame to a stop. */
static __always_inline void walk_frames(struct walk *w, struct scratch *s)
{
	w->first_mapping = s->entry.first;
	w->nr_mappings = s->entry.count;
	w->run = w->is_32bit || w->fresh_end ? WALK_NO_RUN : (__u64)s->entry.slot << 32 | s->entry.generation;
	struct stack_key seed = read_seed();

	walk_start(w, &seed, ebprof_max_frames);
	if (!s->entry.count) {
		w->has_raw = 1;
		walk_append(w, frame_make(FRAME_RAW, FRAME_EXACT, w->pc));
		walk_stop(w, s->entry.first == FIRST_NOT_VISIBLE ? STOP_not_visible : STOP_no_process_table, NO_MODULE);
		return;
	}
	struct scratch_loop loop = {.scratch = s};

	bpf_loop(USER_WALK_MAX + 1, walk_iteration, &loop, 0);
	if (w->stop == STOP_walker_limit)
		walk_stop(w, STOP_walker_limit, NO_MODULE);
}

/*
 * A walk over mappings that were replaced on the way may mix two address spaces: only the pc where it began is kept.
 * (The kernel may have reused the entry's memory while it was copied.)
 */
static __always_inline void restart_as_changed(struct walk *w, __u64 pc)
{
	struct stack_key seed = read_seed();

	walk_start(w, &seed, ebprof_max_frames);
	w->has_raw = 1;
	walk_append(w, frame_make(FRAME_RAW, FRAME_EXACT, pc));
	walk_stop(w, STOP_table_changed, NO_MODULE);
}

static __always_inline void note_first_complete(void)
{
	struct cpu_counters *counters = counters_get();

	if (counters && !counters->first_complete_ns)
		counters->first_complete_ns = bpf_ktime_get_ns();
}

/* Sends the sample to the loader instead of what was made of it. True = it has left. */
static __always_inline bool give_second_chance(struct scratch *s, const struct pt_regs *regs, __u64 now)
{
	__u32 number = s->number;
	struct snapshot_buffer *buffer = bpf_map_lookup_elem(&ebprof_snapshots, &number);

	if (!buffer)
		return false;
	if (!snapshot_within_budget(s->entry.slot, now)) {
		counter_add(COUNTER_snapshots_over_budget, 1);
		return false;
	}
	buffer->record.stop = s->walk.stop;
	load_registers(&s->walk, regs);
	buffer->record.time_ns = now;
	bpf_probe_read_kernel(buffer->record.regs, sizeof(s->walk.regs), s->walk.regs);
	buffer->record.regs[DWARF_RIP] = s->walk.pc;
	buffer->record.is_32bit = s->walk.is_32bit;
	buffer->record.count = s->count;
	if (snapshot_send(buffer, s->walk.regs[DWARF_RSP])) {
		counter_add(COUNTER_snapshots_failed, 1);
		return false;
	}
	counter_add(COUNTER_snapshots, 1);
	return true;
}

/* Whether the loader may soon know what the walk lacked. */
static __always_inline bool may_be_finished(struct scratch *s, __u64 now)
{
	switch (s->walk.stop) {
	case STOP_no_process_table:
	case STOP_no_file_table:
	case STOP_table_changed:
		return true;
	case STOP_no_mapping:
		return report_no_mapping(s, now);
	default:
		return false;
	}
}

/* The user's part. Sets s->count.user; false = the sample is the loader's now, count and all. */
static __always_inline bool take_user_stack(struct scratch *s, struct task_struct *task)
{
	const struct pt_regs *regs = (const struct pt_regs *)bpf_task_pt_regs(task);
	struct walk *w = &s->walk;
	__u64 pc = regs->rip;
	__u64 now = bpf_ktime_get_ns();

	load_registers(w, regs);
	w->is_32bit = regs->cs != USER_CS_64;
	load_fresh(w, &s->entry);
	walk_frames(w, s);
	if (w->is_stale)
		report_fresh(s, now);
	bool is_changed = s->entry.count && !entry_unchanged(s);

	if (is_changed)
		walk_forget(w);
	if (is_changed || (s->entry.count && w->is_stale))
		restart_as_changed(w, pc);

	if (may_be_finished(s, now) && ebprof_snapshot_bytes && give_second_chance(s, regs, now))
		return false;
	walk_finish(w, s->entry.slot);
	s->count.user = w->key;
	store_body(&w->record, w->record.nr_frames);
	return true;
}

/* How the user's part of a sample that was counted had ended. */
static __always_inline void count_user_end(const struct walk *w)
{
	counter_add(counter_of_stop(w->stop < NR_STOPS ? w->stop : STOP_walker_limit), 1);
	if (w->stop == STOP_complete)
		note_first_complete();
	counter_add(COUNTER_user_frames, w->nr_walked);
	if (w->nr_walked > walk_nr_kept(w))
		counter_add(COUNTER_elided_stacks, 1);
	if (w->nr_fp_frames) {
		counter_add(COUNTER_fp_frames, w->nr_fp_frames);
		counter_add(COUNTER_fp_stacks, 1);
	}
	if (w->nr_guessed_frames) {
		counter_add(COUNTER_guessed_frames, w->nr_guessed_frames);
		counter_add(COUNTER_guessed_stacks, 1);
	}
	if (w->overflow)
		counter_add(COUNTER_frame_overflow, w->overflow);
}

/*
 * From the moment that exec has given the process its new memory until it starts there, the registers are those of the
 * program before, and there is no user stack. The new memory has no code then.
 */
static __always_inline bool is_between_programs(const struct task_struct *task)
{
	return BPF_CORE_READ_BITFIELD_PROBED(task, in_execve) && !BPF_CORE_READ(task, mm, end_code);
}

static __always_inline bool has_user_stack(const struct task_struct *task)
{
	return BPF_CORE_READ(task, mm) && !(task->flags & (PF_KTHREAD | PF_USER_WORKER)) && !is_between_programs(task);
}

/* Debugging: registers and stack as they were, beside the frames made of them. */
static __always_inline void capture(struct scratch *s, struct task_struct *task, bool in_kernel)
{
	struct record_capture *record = bpf_ringbuf_reserve(&ebprof_ring, sizeof(*record), 0);

	if (!record) {
		counter_add(COUNTER_capture_failed, 1);
		return;
	}
	const struct pt_regs *regs = (const struct pt_regs *)bpf_task_pt_regs(task);

	load_registers(&s->walk, regs);
	record->type = RECORD_CAPTURE;
	record->process = s->entry.slot;
	record->pid = task_pid_here(BPF_CORE_READ(task, group_leader));
	record->tid = task_pid_here(task);
	record->nr_frames = walk_nr_kept(&s->walk);
	record->nr_walked = s->walk.nr_walked;
	record->stop = s->walk.stop;
	record->in_kernel = in_kernel;
	record->time_ns = bpf_ktime_get_ns();
	bpf_probe_read_kernel(record->regs, sizeof(s->walk.regs), s->walk.regs);
	record->regs[DWARF_RIP] = s->walk.pc;
	bpf_probe_read_kernel(record->frames, sizeof(record->frames), s->walk.frames);

	__u64 rsp = s->walk.regs[DWARF_RSP];
	__u32 bytes = 0;

	/* By 256 bytes: the top of the stack is rarely a whole page away. */
	for (int i = 0; i < CAPTURE_STACK_MAX / 256; i++) {
		if (bpf_probe_read_user(record->stack + i * 256, 256, (const void *)(rsp + i * 256)))
			break;
		bytes += 256;
	}
	record->stack_bytes = bytes;
	bpf_ringbuf_submit(record, 0);
}

static __always_inline void set_labels(struct scratch *s, struct task_struct *task)
{
	s->count.process = s->entry.slot;
	s->count.tid = ebprof_label_tid ? task_pid_here(task) : 0;
	s->count.cpu = ebprof_label_cpu ? bpf_get_smp_processor_id() : NO_CPU;
	s->count.cgroup = ebprof_label_cgroup ? (__u32)bpf_get_current_cgroup_id() : 0;
	if (ebprof_label_thread)
		bpf_get_current_comm(s->count.thread, sizeof(s->count.thread));
	else
		__builtin_memset(s->count.thread, 0, sizeof(s->count.thread));
}

static __always_inline enum counter take_sample(struct bpf_perf_event_data *ctx, struct task_struct *task)
{
	bool in_kernel = (ctx->regs.cs & 3) == 0;
	bool take_kernel = ebprof_want_kernel && in_kernel;
	bool take_user = ebprof_want_user && has_user_stack(task);

	if (!take_kernel && !take_user)
		return COUNTER_filtered;
	struct scratch *s = scratch_claim();

	if (!s)
		return COUNTER_lost_scratch;
	enum counter outcome = COUNTER_lost_processes_full;

	__builtin_memset(&s->count, 0, sizeof(s->count));
	if (find_process(s, task) == 0) {
		set_labels(s, task);
		if (take_kernel)
			take_kernel_stack(s, ctx);
		bool is_ours = !take_user || take_user_stack(s, task);

		if (ebprof_capture && take_user)
			capture(s, task, in_kernel);
		outcome = is_ours ? store_count(&s->count) : COUNTER_samples;
		if (outcome == COUNTER_samples && take_user && is_ours)
			count_user_end(&s->walk);
		else if (!is_ours)
			; /* the loader does */
		else if (outcome == COUNTER_samples)
			counter_add(COUNTER_user_absent, 1);
	}
	scratch_release(s);
	return outcome;
}

SEC("perf_event")
int ebprof_clock(struct bpf_perf_event_data *ctx)
{
	struct cpu_counters *counters = counters_get();
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 now = bpf_ktime_get_ns();
	enum counter outcome;

	if (!counters)
		return 0; /* cannot happen: an array's only entry */
	if (!counters->first_ns)
		counters->first_ns = now;
	counters->last_ns = now;
	counters->runs++;
	if (task->pid == 0 && !ebprof_want_idle)
		outcome = COUNTER_idle;
	else if (!target_wanted(task))
		outcome = COUNTER_filtered;
	else
		outcome = take_sample(ctx, task);
	if (task->pid == 0 && ebprof_want_idle)
		counter_add(COUNTER_idle_samples, 1);
	counter_add(outcome, 1);
	return 0;
}
