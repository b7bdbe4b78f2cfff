/* SPDX-License-Identifier: Apache-2.0 */
/*
 * witness.h - what libdwfl (elfutils) makes of the registers and the stack that a sample was taken with.
 *
 * One witness stands for one process image: its files are reported to libdwfl where the process had them, registers and
 * stack come from the sample, and reads of memory elsewhere are answered from the read-only segments of the files.
 *
 * "libdwfl returned without an error" is not yet a finished stack: where no call-frame information covers a pc it
 * follows the frame pointer, whatever that is, and it takes a return address of 0, or one that it failed to read,
 * for the end. So the outermost frame is looked up again here, and the stack is finished only if its call-frame
 * information says that the return address is undefined, which is how _start and clone say that nobody called them. A
 * stack in which a frame was found without call-frame information on the way is not finished either: then libdwfl
 * guessed, and a guess is no witness.
 */
#ifndef EBPROF_REPLAY_WITNESS_H
#define EBPROF_REPLAY_WITNESS_H

#include <stdint.h>
#include <stdio.h>

#include "capture_file.h"

/* Why libdwfl's stack ended. WITNESS_END(name, text) */
#define WITNESS_ENDS(WITNESS_END)                                                                                      \
	WITNESS_END(finished, "finished")                                                                              \
	WITNESS_END(guessed, "a frame was found by frame pointer")                                                     \
	WITNESS_END(stack_cut, "stack beyond the captured bytes")                                                      \
	WITNESS_END(no_module, "pc outside every file")                                                                \
	WITNESS_END(no_cfi, "no call-frame information")                                                               \
	WITNESS_END(red_zone, "a register was saved below rsp, where nothing is captured")                             \
	WITNESS_END(unreadable, "memory that was not captured")                                                        \
	WITNESS_END(too_deep, "too deep")                                                                              \
	WITNESS_END(other, "libdwfl gave up")

enum witness_end {
#define WITNESS_END(name, text) WITNESS_##name,
	WITNESS_ENDS(WITNESS_END)
#undef WITNESS_END
		NR_WITNESS_ENDS,
};

const char *witness_end_text(enum witness_end end);

struct witness_frame {
	uint64_t pc;
	bool is_exact; /* pc was about to run: the leaf, or what a signal interrupted */
	bool has_cfi;  /* call-frame information says how to leave it */
};

struct witness_chain {
	VECTOR(struct witness_frame) frames; /* leaf first; freed by the caller */
	enum witness_end end;
	char error[120]; /* libdwfl's own words, "" = none */
};

struct witness;

/* A process image by its slot. file is borrowed. NULL when it has no usable file; warns of files that are missing. */
struct witness *witness_create(const struct capture_file *file, uint32_t slot);
/* NULL is allowed. */
void witness_destroy(struct witness *witness);

/* Unwinds a sample; *ret is filled anew. */
void witness_walk(struct witness *witness, const struct captured_sample *sample, struct witness_chain *ret);

/* "libc.so.6+0x27d0a" (an address within the file) of a pc; looked up one byte lower unless is_exact. */
void witness_format_place(struct witness *witness, uint64_t pc, bool is_exact, char *ret, size_t size);
/* The symbol that covers it, or "?"; borrowed. */
const char *witness_symbol(struct witness *witness, uint64_t pc, bool is_exact);

#endif
