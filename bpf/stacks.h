/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * stacks.h - the key of a stack: 128 bits made from its frames, the same in the kernel and in the loader.
 *
 * Two independent 64-bit multiply-and-rotate hashes run over the frames as the walker appends them, from seeds that
 * are random in each run, so that no program can make two of its stacks collide on purpose. The loader makes the key
 * again from each body it receives and counts the bodies that disagree.
 */
#ifndef EBPROF_BPF_STACKS_H
#define EBPROF_BPF_STACKS_H

#include "sample.h"

static inline void stack_key_start(struct stack_key *key, const struct stack_key *seed)
{
	*key = *seed;
}

static inline void stack_key_add(struct stack_key *key, __u64 frame)
{
	__u64 a = (key->hash[0] ^ frame) * 0x9fb21c651e98df25ull;
	__u64 b = (key->hash[1] + frame) * 0xd6e8feb86659fd93ull;

	key->hash[0] = a ^ a >> 35;
	key->hash[1] = (b << 29 | b >> 35) ^ frame;
}

/* process: the slot for a stack that holds raw user pcs, which mean something only together with it; 0 otherwise. */
static inline void stack_key_finish(struct stack_key *key, __u32 process)
{
	stack_key_add(key, process);
	stack_key_add(key, 0x5bd1e995);
	if (!key->hash[0] && !key->hash[1])
		key->hash[0] = 1; /* {0, 0} says "no stack" */
}

#endif
