/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kind_text SECONDS MODE - code that no longer lies where, or in what, its file was mapped (x86-64):
 *
 *   copy     the pages of text_outer() and text_work() replaced by anonymous memory with the same bytes, as is done to
 *            get huge pages
 *   mremap   the same, by moving anonymous memory there
 *   shared   the same, by mapping a memfd there
 *   whole    "copy" with all of the executable's code
 *   jit      anonymous memory over pages of the file, with other code in it
 *   moved    the pages themselves moved to another address
 *   far      nothing is replaced: a function in an executable segment of its own, far from the others
 *   packed   code copied into executable memory that the file only reserves, as packers do
 */
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kind_remap.h"
#include "work.h"

#ifndef __x86_64__
#error the workload is written for x86-64
#endif

enum { PAGE = 4096 };

/* Pages of their own, in a section whose ends the linker names. */
#define HOT __attribute__((section("hot_text"), aligned(4096)))
#define FAR __attribute__((section("far_text")))

extern char __start_hot_text[], __stop_hot_text[];

WORK HOT void text_work(unsigned long spins)
{
	BURN(spins);
}

WORK HOT void text_outer(unsigned long spins)
{
	text_work(spins);
	NOT_A_TAIL_CALL();
}

/* More than a page, so that the first one holds nothing else. */
WORK HOT void text_spare(unsigned long spins)
{
	__asm__ volatile(".skip 4096, 0x90" : : "r"(spins));
}

WORK FAR void far_work(unsigned long spins)
{
	BURN(spins);
}

WORK FAR void far_outer(unsigned long spins)
{
	far_work(spins);
	NOT_A_TAIL_CALL();
}

__asm__(".section .packed, \"awx\", @nobits\n.balign 4096\n.globl packed_start\npacked_start: .skip 4096\n.previous\n");
extern char packed_start[];

/* void (unsigned long): 1: sub rdi,1; jne 1b; ret, of a leaf; and one that calls it, both without a frame pointer */
static const unsigned char leaf_code[] = { 0x48, 0x83, 0xef, 0x01, 0x75, 0xfa, 0xc3 };
static const unsigned char calling_code[] = { 0x48, 0x83, 0xec, 0x08, 0xe8, 0xf3, 0xff, 0xff, 0xff, 0x48, 0x83, 0xc4,
	0x08, 0xc3 };

static work_fn *made_code;

WORK void call_made_code(unsigned long spins)
{
	made_code(spins);
	NOT_A_TAIL_CALL();
}

static int find_text(struct dl_phdr_info *info, size_t size, void *context)
{
	char **range = context;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];
		char *start = (char *)(info->dlpi_addr + header->p_vaddr);

		if (header->p_type != PT_LOAD || !(header->p_flags & PF_X) || (char *)find_text < start ||
		    (char *)find_text >= start + header->p_memsz)
			continue;
		range[0] = (char *)((uintptr_t)start & -PAGE);
		range[1] = (char *)(((uintptr_t)start + header->p_memsz + PAGE - 1) & -PAGE);
		return 1;
	}
	return 0;
}

static int remap_all(void)
{
	char *range[2];

	if (!dl_iterate_phdr(find_text, range))
		return -1;
	return remap_text(range[0], (size_t)(range[1] - range[0]), REMAP_COPY, NULL, 0);
}

static size_t hot_size(void)
{
	return (size_t)(__stop_hot_text - __start_hot_text + PAGE - 1) & -PAGE;
}

static work_fn *move_hot(void)
{
	char *target = mmap(NULL, hot_size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t place = (size_t)((char *)text_outer - __start_hot_text);

	if (mremap(__start_hot_text, hot_size(), hot_size(), MREMAP_MAYMOVE | MREMAP_FIXED, target) != target)
		return NULL;
	return (work_fn *)(target + place);
}

static work_fn *unpack(void)
{
	memcpy(packed_start, leaf_code, sizeof(leaf_code));
	memcpy(packed_start + 8, calling_code, sizeof(calling_code));
	/* From its first byte back to the leaf: 8 + 9 bytes. */
	packed_start[8 + 5] = (char)-(8 + 9);
	return (work_fn *)(packed_start + 8);
}

int main(int argc, char **argv)
{
	uint64_t limit_ns = seconds_argument(argc, argv, 1);
	const char *mode = argc > 2 ? argv[2] : "";
	work_fn *work = text_outer;
	int error = 0;

	if (!strcmp(mode, "copy"))
		error = remap_text(__start_hot_text, hot_size(), REMAP_COPY, NULL, 0);
	else if (!strcmp(mode, "mremap"))
		error = remap_text(__start_hot_text, hot_size(), REMAP_MREMAP, NULL, 0);
	else if (!strcmp(mode, "shared"))
		error = remap_text(__start_hot_text, hot_size(), REMAP_SHARED, NULL, 0);
	else if (!strcmp(mode, "whole"))
		error = remap_all();
	else if (!strcmp(mode, "jit"))
		error = remap_text((char *)text_spare, PAGE, REMAP_JIT, leaf_code, sizeof(leaf_code));
	else if (!strcmp(mode, "far"))
		work = far_outer;
	else if (strcmp(mode, "moved") && strcmp(mode, "packed"))
		error = -1;
	if (error)
		return 2;
	say_ready();
	if (!strcmp(mode, "moved")) {
		run_for(work, limit_ns / 2);
		work = move_hot();
	}
	if (!strcmp(mode, "jit") || !strcmp(mode, "packed")) {
		made_code = !strcmp(mode, "jit") ? text_spare : unpack();
		work = call_made_code;
	}
	if (!work)
		return 2;
	print_line(mode, run_for(work, limit_ns));
	/* Not by way of what may have lain on the pages that were moved. */
	_exit(0);
}
