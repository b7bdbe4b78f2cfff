/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * kernel.h - the few kernel types that the programs read, each with just the fields used.
 *
 * preserve_access_index makes libbpf look up the real offsets in the running kernel's BTF when the programs are
 * loaded, so the order and the gaps here mean nothing. User-visible types come from the kernel's uapi headers.
 */
#ifndef EBPROF_BPF_KERNEL_H
#define EBPROF_BPF_KERNEL_H

#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
	unsigned int inum;
};

struct pid_namespace {
	struct ns_common ns;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live;
};

/* Where the kernel keeps copies of probed instructions, a page in the process's memory. */
struct xol_area {
	unsigned long vaddr;
};

struct uprobes_state {
	struct xol_area *xol_area;
};

struct mm_struct {
	struct uprobes_state uprobes_state;
	unsigned long end_code;
};

/* A probed return that is still to come; stack is where the return address was, innermost call first. */
struct return_instance {
	unsigned long stack;
	unsigned long orig_ret_vaddr;
	struct return_instance *next;
};

struct uprobe_task {
	struct return_instance *return_instances;
	unsigned long vaddr;     /* of the probed instruction that is being stepped over */
	unsigned long xol_vaddr; /* of its copy */
};

struct thread_struct {
	unsigned long fsbase;
};

struct task_struct {
	unsigned int flags;
	int pid;
	int tgid;
	__u64 start_boottime;
	__u64 self_exec_id;
	struct mm_struct *mm;
	struct task_struct *group_leader;
	struct task_struct *real_parent;
	struct pid *thread_pid;
	struct signal_struct *signal;
	struct uprobe_task *utask;
	unsigned in_execve : 1;
	struct thread_struct thread;
	char comm[16];
};

struct file;

struct vm_area_struct {
	unsigned long vm_start;
	unsigned long vm_end;
	struct mm_struct *vm_mm;
	unsigned long vm_flags;
	struct file *vm_file;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id;
	__u64 seq_num;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop

enum {
	PF_KTHREAD = 0x00200000,
	PF_USER_WORKER = 0x00004000, /* io_uring and vhost workers: their user registers mean nothing */
	USER_CS_64 = 0x33,
	VM_EXEC = 0x4,
	PID_LEVELS_MAX = 8,
};

#endif
