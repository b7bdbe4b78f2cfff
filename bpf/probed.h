/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * probed.h - where execution really is when other tools have probes in the process.
 *
 * A probed instruction that can't be emulated is executed from a copy in a page which the kernel adds to the process
 * ("[uprobes]"), and a function whose return is probed has its return address replaced by one in that page. A walk
 * that meets such an address would end there. The kernel keeps what it took: per task, the address of the instruction
 * that is being stepped over, and a list of the return addresses, each with the place on the stack that it came from.
 */
#ifndef EBPROF_BPF_PROBED_H
#define EBPROF_BPF_PROBED_H

#include "kernel.h"
#include "walk.h"

enum {
	PROBED_PAGE = 4096,
	PROBED_RETURNS_MAX = 64, /* the kernel's own limit on nested probed calls */
	PROBED_SAVED_MAX = 24,   /* bytes that the code in the page pushes above the return address's place */
};

/*
 * The return address that belongs at `place`, or up to PROBED_SAVED_MAX bytes above; *place is then where. When a
 * probed function ended in a call of another, several instances have the same place; the last of them has the address
 * that isn't the kernel's. 0 = none.
 */
static __always_inline __u64 probed_return(struct uprobe_task *utask, __u64 *place)
{
	struct return_instance *instance = BPF_CORE_READ(utask, return_instances);
	__u64 found = 0;

	for (int i = 0; i < PROBED_RETURNS_MAX && instance; i++) {
		__u64 stack = BPF_CORE_READ(instance, stack);

		if (found ? stack == *place : stack - *place <= PROBED_SAVED_MAX) {
			found = BPF_CORE_READ(instance, orig_ret_vaddr);
			*place = stack;
		} else if (found) {
			break;
		}
		instance = BPF_CORE_READ(instance, next);
	}
	return found;
}

/*
 * Newer kernels' page ends in "pop %r11; pop %rcx; ret": then they have put the return address on the stack, and
 * forgotten the instance.
 */
static __always_inline __u64 probed_end(__u64 pc, __u64 *place)
{
	__u32 code;
	__u64 found;

	if (bpf_probe_read_user(&code, sizeof(code), (const void *)pc))
		return 0;
	if (code == 0xc3595b41)
		*place += 24;
	else if ((code & 0xffff) == 0xc359)
		*place += 16;
	else if ((code & 0xff) == 0xc3)
		*place += 8;
	else
		return 0;
	return bpf_probe_read_user(&found, sizeof(found), (const void *)*place) ? 0 : found;
}

WALK_INLINE __u64 walk_probed_pc(__u64 pc, __u64 *rsp)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (!bpf_core_field_exists(task->utask))
		return 0;
	__u64 page = BPF_CORE_READ(task, mm, uprobes_state.xol_area, vaddr);
	struct uprobe_task *utask = BPF_CORE_READ(task, utask);

	if (!page || !utask || pc - page >= PROBED_PAGE)
		return 0;
	__u64 stepping = BPF_CORE_READ(utask, xol_vaddr);

	/* An instruction is at most 15 bytes long. Behind its copy, it has been executed. */
	if (stepping && pc - stepping < 16)
		return BPF_CORE_READ(utask, vaddr) + (pc - stepping);
	__u64 place = *rsp - 8;
	__u64 found = probed_return(utask, &place);

	if (!found)
		found = probed_end(pc, &place);
	if (found)
		*rsp = place + 8;
	return found;
}

#endif
