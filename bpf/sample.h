/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * sample.h - the contract between the programs in the kernel and the loader: frames, map keys and values, ring
 * records, limits and counters. Nothing here has behaviour beyond packing bits.
 */
#ifndef EBPROF_BPF_SAMPLE_H
#define EBPROF_BPF_SAMPLE_H

#include <linux/types.h>

enum {
	COMM_SIZE = 16,          /* TASK_COMM_LEN */
	KERNEL_FRAMES_MAX = 127, /* kernel.perf_event_max_stack's default */
	USER_FRAMES_MAX = 1024,  /* a user stack's frames that are kept */
	USER_WALK_MAX = 4096,    /* that are walked; those between the leaf's and the root's part are elided */
	USER_FRAMES_DEFAULT = 384,
	USER_FRAMES_MIN = 16,
	MODULES_MAX = 1 << 16,   /* files that a run can tell apart */
	MAPPINGS_MAX = 1 << 17,  /* mapping slots of all processes together */
	POOL_SEGMENT_SHIFT = 20, /* the pool of unwind tables grows by segments of 1 MiB */
	POOL_SEGMENT_SIZE = 1 << POOL_SEGMENT_SHIFT,
	POOL_SEGMENTS_MAX = 1024,
	SCRATCH_SLOTS = 2,             /* per CPU: programs that can be interrupted by a tick walk stacks too */
	CAPTURE_STACK_MAX = 64 << 10,  /* bytes of stack that a debugging capture holds */
	SNAPSHOT_STACK_MAX = 64 << 10, /* that a copy holds of a stack which the loader is to walk */
	SNAPSHOT_STACK_DEFAULT = 16 << 10,
};

/*
 * A frame is 64 bits:
 *
 *   63..62 kind   61 exact   60 by frame pointer   59 guessed   58..0 payload
 *
 *   FRAME_FILE    58..39 module, 38..0 offset of pc from the file's lowest PT_LOAD
 *   FRAME_RAW     58..0  user pc outside any known file; means something only together with the process
 *   FRAME_KERNEL  58..0  the low bits of a kernel pc (its upper bits are all ones)
 *   FRAME_PSEUDO  58..39 module or NO_MODULE, 7..0 enum stop: why the stack ends here
 *
 * Exact: pc is an instruction that was about to run (the leaf, or below a signal frame); otherwise it is a return
 * address, and the call is the instruction before it.
 */
enum frame_kind { FRAME_FILE, FRAME_RAW, FRAME_KERNEL, FRAME_PSEUDO };

enum {
	FRAME_KIND_SHIFT = 62,
	FRAME_MODULE_SHIFT = 39,
	FRAME_MODULE_BITS = 20,
};
#define FRAME_EXACT        (1ull << 61)
#define FRAME_BY_FP        (1ull << 60)
#define FRAME_GUESSED      (1ull << 59)
#define FRAME_PAYLOAD_MASK ((1ull << 59) - 1)
#define FRAME_OFFSET_MASK  ((1ull << FRAME_MODULE_SHIFT) - 1)
#define NO_MODULE          ((1u << FRAME_MODULE_BITS) - 1) /* a mapping without a file: anonymous memory, JIT code */

_Static_assert(FRAME_MODULE_SHIFT + FRAME_MODULE_BITS == 59, "module and offset fill the payload");
_Static_assert((unsigned)MODULES_MAX <= NO_MODULE, "every module number fits a frame");

static inline __u64 frame_make(enum frame_kind kind, __u64 flags, __u64 payload)
{
	return (__u64)kind << FRAME_KIND_SHIFT | flags | (payload & FRAME_PAYLOAD_MASK);
}

static inline __u64 frame_make_file(__u32 module, __u64 offset, __u64 flags)
{
	return frame_make(FRAME_FILE, flags, (__u64)module << FRAME_MODULE_SHIFT | (offset & FRAME_OFFSET_MASK));
}

static inline enum frame_kind frame_kind(__u64 frame)
{
	return (enum frame_kind)(frame >> FRAME_KIND_SHIFT);
}

static inline __u32 frame_module(__u64 frame)
{
	return (__u32)((frame & FRAME_PAYLOAD_MASK) >> FRAME_MODULE_SHIFT);
}

static inline __u64 frame_offset(__u64 frame)
{
	return frame & FRAME_OFFSET_MASK;
}

static inline __u64 frame_raw_pc(__u64 frame)
{
	return frame & FRAME_PAYLOAD_MASK;
}

static inline __u64 frame_kernel_pc(__u64 frame)
{
	return (frame & FRAME_PAYLOAD_MASK) | ~FRAME_PAYLOAD_MASK;
}

/*
 * Why a user stack ended. The first three are good ends and leave no frame; every other one is an incomplete stack,
 * ends in a pseudo-frame with this text, and has a counter. Only the loader says copy_cut, of stacks that it walked.
 *
 * STOP(name, text of the pseudo-frame, what to do about it or "")
 */
#define STOPS(STOP)                                                                                                    \
	STOP(complete, "", "")                                                                                         \
	STOP(ended, "", "")                                                                                            \
	STOP(absent, "", "")                                                                                           \
	STOP(no_process_table, "no table yet", "the process had just started; a longer recording dilutes it")          \
	STOP(no_file_table, "no table yet", "the file had just been mapped; a longer recording dilutes it")            \
	STOP(no_mapping, "pc not in a known mapping", "code mapped in a way that left no record, or a broken stack")   \
	STOP(no_unwind_info, "no unwind info", "the code has neither unwind tables nor frame pointers")                \
	STOP(unsupported_rule, "unwind rule not supported", "please report the file")                                  \
	STOP(leaf_register, "unwind rule needs a lost register", "please report the file")                             \
	STOP(unreadable, "stack not readable", "the stack page was not in memory")                                     \
	STOP(bad_frame, "stack corrupt", "the frame's address does not follow its callee's")                           \
	STOP(too_deep, "cut: deeper than 4096", "the recursion is deeper than the walker goes")                        \
	STOP(table_changed, "mappings changed during the walk", "")                                                    \
	STOP(not_64bit, "32-bit process: no frame pointer", "compile it with -fno-omit-frame-pointer")                 \
	STOP(not_visible, "process not visible from this container", "run ebprof outside of it")                       \
	STOP(copy_cut, "cut: the stack's copy ends", "raise --snapshot")                                               \
	STOP(walker_limit, "walker stopped", "please report it")

enum stop {
#define STOP(name, text, advice) STOP_##name,
	STOPS(STOP)
#undef STOP
		NR_STOPS,
	/* Made by the loader, not the walker. */
	STOP_stack_lost = NR_STOPS,
	STOP_no_stack, /* the kernel gave no frame for either part */
	STOP_elided,   /* the module field holds how many frames were left out */
};

static inline __u64 frame_make_stop(enum stop stop, __u32 module)
{
	return frame_make(FRAME_PSEUDO, 0, (__u64)module << FRAME_MODULE_SHIFT | stop);
}

/*
 * Counters. Per CPU and run: runs = samples + filtered + idle + every lost_*, exactly.
 *
 * COUNTER(name, group, text, what to do or "")
 *   OUTCOME  one of these per run of the clock program
 *   USER     one of these per sample, how its user stack ended: made from STOPS
 *   EVENT    other things worth knowing
 */
#define OUTCOME_COUNTERS(COUNTER)                                                                                      \
	COUNTER(samples, OUTCOME, "samples", "")                                                                       \
	COUNTER(filtered, OUTCOME, "ticks of other processes", "")                                                     \
	COUNTER(idle, OUTCOME, "ticks of idle CPUs", "")                                                               \
	COUNTER(lost_scratch, OUTCOME, "samples lost: walker busy", "please report it")                                \
	COUNTER(lost_counts_full, OUTCOME, "samples lost: table of counts full", "lower -F or raise --counts")         \
	COUNTER(lost_counts_busy, OUTCOME, "samples lost: table of counts busy", "lower -F")                           \
	COUNTER(lost_processes_full, OUTCOME, "samples lost: table of processes full", "raise --processes")

#define EVENT_COUNTERS(COUNTER)                                                                                        \
	COUNTER(user_frames, EVENT, "user frames walked", "")                                                          \
	COUNTER(fp_frames, EVENT, "user frames found by frame pointer", "")                                            \
	COUNTER(fp_stacks, EVENT, "stacks with frames found by frame pointer", "")                                     \
	COUNTER(guessed_frames, EVENT, "user frames found by a guess that a call instruction confirms", "")            \
	COUNTER(guessed_stacks, EVENT, "stacks with frames found by such a guess", "")                                 \
	COUNTER(elided_stacks, EVENT, "deep stacks whose middle was left out", "raise --max-depth")                    \
	COUNTER(kernel_cut, EVENT, "kernel stacks cut at the limit", "raise kernel.perf_event_max_stack")              \
	COUNTER(stacks_sent, EVENT, "new stacks sent", "")                                                             \
	COUNTER(ring_full, EVENT, "stacks or events refused by the full ring", "lower -F or raise --ring")             \
	COUNTER(known_full, EVENT, "stacks sent again: table of known stacks full", "")                                \
	COUNTER(known_busy, EVENT, "stacks sent again: table of known stacks busy", "")                                \
	COUNTER(frame_overflow, EVENT, "frames kept raw: module or offset out of range", "please report it")           \
	COUNTER(targets_full, EVENT, "children not recorded: table of targets full", "raise --processes")              \
	COUNTER(snapshots, EVENT, "stacks copied for a second chance", "")                                             \
	COUNTER(snapshots_failed, EVENT, "stacks that had no second chance: not in memory, or ring full", "")          \
	COUNTER(snapshots_over_budget, EVENT, "stacks that had no second chance: too many at once", "")                \
	COUNTER(idle_samples, EVENT, "samples of idle CPUs", "")                                                       \
	COUNTER(process_events, EVENT, "process events", "")                                                           \
	COUNTER(capture_failed, EVENT, "captures that did not fit the ring", "raise --ring")

enum counter {
#define COUNTER(name, group, text, advice) COUNTER_##name,
	OUTCOME_COUNTERS(COUNTER)
#undef COUNTER
#define STOP(name, text, advice) COUNTER_user_##name,
		STOPS(STOP)
#undef STOP
#define COUNTER(name, group, text, advice) COUNTER_##name,
			EVENT_COUNTERS(COUNTER)
#undef COUNTER
				NR_COUNTERS,
};

/* The counter of a stop: the two lists run in parallel. */
static inline enum counter counter_of_stop(enum stop stop)
{
	return (enum counter)(COUNTER_user_complete + stop);
}

struct cpu_counters {
	__u64 first_ns; /* CLOCK_MONOTONIC of the first and the last tick; 0 = none yet */
	__u64 last_ns;
	__u64 first_complete_ns; /* of the first whole user stack */
	__u64 runs;              /* times the clock program ran: counted at its start, the outcomes at its end */
	__u64 value[NR_COUNTERS];
};

/* A process image: changes at exec; two processes that had the same pid differ by start. */
struct process_id {
	__u64 start_boottime_ns; /* the group leader's */
	__u32 tgid;              /* in the kernel's own pid namespace */
	__u32 exec_id;           /* low half of task_struct.self_exec_id */
};

/* What the kernel keeps of a process image; written whole, copied by the program and compared again after a walk. */
struct process_entry {
	__u32 slot;       /* names the image in samples; never reused within a run */
	__u32 first;      /* its run of mapping slots, sorted by start */
	__u32 count;      /* 0 = no table yet */
	__u32 generation; /* grows with each new run: with slot, what no other run is ever called */
	__u64 known_ns;   /* files' code mapped up to then is in the run */
};
/* "first" of an image without a run that the loader can't look at: its pid namespace is not below the loader's. */
#define FIRST_NOT_VISIBLE 0xffffffffu

/* One executable mapping. */
struct mapping_slot {
	__u64 start;
	__u64 end;
	__u64 offset; /* module offset of start */
	__u32 module; /* NO_MODULE: not a file */
	__u32 reserved;
};

/* Where a module's unwind table is, for the walker. */
struct module_table {
	__u64 start;       /* module offset of its first granule */
	__u32 nr_granules; /* 0: see state */
	__u32 index;       /* place of the first index entry in the pool, in units of 8 bytes */
	__u32 state;       /* enum module_state */
	__u32 coarser;     /* granules are this many times doubled */
};
enum module_state {
	MODULE_PENDING,    /* no table yet */
	MODULE_READY,      /* for good: walkers keep what they found in such a table */
	MODULE_UNFINISHED, /* code without a rule may have one later */
	MODULE_NO_INFO,    /* the file has none: walk by frame pointer */
};

/* Two independent 64-bit hashes of the frames, seeded per run; {0, 0} = no such part. */
struct stack_key {
	__u64 hash[2];
};

/* What samples are added up under. Compared as bytes: no padding. */
struct count_key {
	struct stack_key user;
	struct stack_key kernel;
	__u32 process;          /* slot */
	__u32 tid;              /* in the loader's pid namespace, 0 unless asked for */
	__u32 cpu;              /* NO_CPU unless asked for */
	__u32 cgroup;           /* lower half of its number; 0 unless asked for */
	char thread[COMM_SIZE]; /* thread name; zeroed behind its end */
};
#define NO_CPU 0xffffffffu
_Static_assert(sizeof(struct count_key) == 64, "no padding in a key");

/* Whose ticks become samples. */
enum target_kind {
	TARGET_PROCESSES, /* those in the table of targets */
	TARGET_THREADS,   /* likewise, by thread */
	TARGET_ALL,
	TARGET_NAMED,   /* processes by their name */
	TARGET_CGROUPS, /* whoever is in one of some cgroups or below */
};
enum { TARGET_NAMES_MAX = 8, TARGET_CGROUPS_MAX = 8 };

/* A name cut and filled with zeros to the kernel's size, so that two compare as words. */
union target_name {
	char text[COMM_SIZE];
	__u64 words[COMM_SIZE / 8];
};
struct target_cgroup {
	__u64 id;
	__u32 level; /* 0 = the hierarchy's root */
	__u32 reserved;
};

/* What a target table entry says about a process (or thread, with -t). */
enum {
	TARGET_AWAIT_EXEC = 1, /* a command that has not become itself yet: its ticks are filtered */
	TARGET_EXITED = 2,     /* announced as gone, but the kernel still tears it down, which is its CPU time too */
};

/* Records of the ring. Each starts with its type; time is CLOCK_MONOTONIC. */
enum record_type {
	RECORD_STACK = 1,
	RECORD_PROCESS,
	RECORD_EXIT,
	RECORD_NO_MAPPING,
	RECORD_CAPTURE,
	RECORD_SNAPSHOT,
};

/*
 * Followed by nr_frames frames, leaf first. When more were walked than kept, the first nr_leaf_frames are the leaf's
 * and the rest is a ring: frame i of the walk (from nr_leaf_frames on) lies at nr_leaf_frames + (i - nr_leaf_frames) %
 * (nr_frames - nr_leaf_frames). The key is made of all frames walked and end_frame.
 */
struct record_stack {
	__u32 type;
	__u32 nr_frames;
	__u32 process; /* slot; part of the key when has_raw */
	__u8 has_raw;
	__u8 is_kernel;
	__u16 nr_leaf_frames;
	__u32 nr_walked;
	__u32 reserved;
	__u64 end_frame; /* the pseudo-frame that says why the stack is incomplete, 0 = none */
	struct stack_key key;
};

enum process_origin { ORIGIN_SAMPLE, ORIGIN_FORK, ORIGIN_EXEC };
struct record_process {
	__u32 type;
	__u32 origin; /* enum process_origin */
	__u64 time_ns;
	struct process_id id;
	struct process_entry entry;
	struct process_id parent; /* fork: of the parent; exec: the image that this one replaced */
	__u32 pid;                /* in the loader's pid namespace, 0 = not visible there */
	__u32 reserved;
	char comm[COMM_SIZE]; /* the group leader's */
};

struct record_exit {
	__u32 type;
	__u32 pid; /* in the loader's pid namespace */
	__u64 time_ns;
	struct process_id id;
};

/*
 * The mappings known of this process are stale. Either a user pc met none (once per process and generation), or a stack
 * comes by where something changed and the walker was not told what (once per change): not every change makes a record
 * of the side band.
 */
struct record_no_mapping {
	__u32 type;
	__u32 process;
	__u64 time_ns;
	__u64 pc;
	struct process_id id;
	__u32 generation;
	__u32 reserved;
	__u64 fresh_ns; /* of the change; 0 = pc met no mapping */
};

/* Registers and stack of a sample together with what the walk made of them (--capture-stacks). */
struct record_capture {
	__u32 type;
	__u32 process;
	__u32 pid;       /* in the loader's pid namespace */
	__u32 tid;       /* likewise */
	__u32 nr_frames; /* user frames kept */
	__u32 nr_walked; /* more than nr_frames: the middle was elided */
	__u32 stop;      /* enum stop */
	__u32 stack_bytes;
	__u32 in_kernel; /* the tick came in kernel mode */
	__u32 reserved;
	__u64 time_ns;
	__u64 regs[17]; /* DWARF numbers, rip last */
	__u64 frames[USER_FRAMES_MAX];
	__u8 stack[CAPTURE_STACK_MAX]; /* from regs[7] (rsp) upwards */
};

/*
 * A sample whose stack could not be walked to its end because something that the loader is about to learn was missing:
 * followed by stack_bytes of the stack from stack_start on. The loader finishes the walk and adds the count.
 */
struct record_snapshot {
	__u32 type;
	__u32 stack_bytes;
	__u64 time_ns;
	__u64 stack_start;
	__u64 regs[17]; /* DWARF numbers, rip last */
	__u32 is_32bit;
	__u32 stop;             /* enum stop: what was missing */
	struct count_key count; /* its user key is empty */
};

/* What the task iterator writes for each process that runs already. */
struct task_entry {
	struct process_id id;
	__u32 pid; /* in the loader's pid namespace, 0 = not visible */
	__u32 tid; /* kernel pid of the thread */
	__u32 ns_tid;
	__u32 flags; /* TASK_IS_KTHREAD */
	char comm[COMM_SIZE];
};
enum { TASK_IS_KTHREAD = 1, TASK_IS_EXITING = 2 };

#endif
