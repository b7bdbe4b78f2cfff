/* SPDX-License-Identifier: Apache-2.0 */
/*
 * depth SECONDS FRAMES KIB - FRAMES calls deep through ten different functions, then the loop at the bottom walks
 * through KIB of memory, as a real program's working set pushes others out of the caches. For what a walk costs.
 *
 * With SPREAD, its bytes lie between one function and the next, and there are forty: as in a large program, each frame
 * of a stack then has a piece of the unwind tables of its own.
 */
#include "work.h"

static unsigned char *memory;
static size_t memory_bytes;
static size_t position;
static int frames;

WORK void walk_memory(unsigned long spins)
{
	unsigned long sum = 0;

	for (unsigned long i = 0; i < spins; i++) {
		if (memory_bytes) {
			sum += memory[position];
			position += 64;
			if (position >= memory_bytes)
				position = 0;
		}
		__asm__ volatile("" : "+r"(sum));
	}
}

static void call_next(int left, unsigned long spins);

#ifdef SPREAD
#define TENS(LEVEL, n) LEVEL(n##0) LEVEL(n##1) LEVEL(n##2) LEVEL(n##3) LEVEL(n##4) LEVEL(n##5) LEVEL(n##6) LEVEL(n##7) \
	LEVEL(n##8) LEVEL(n##9)
#define LEVELS(LEVEL) TENS(LEVEL, 1) TENS(LEVEL, 2) TENS(LEVEL, 3) TENS(LEVEL, 4)
#define PLACE __attribute__((aligned(SPREAD)))
#else
#define LEVELS(LEVEL) LEVEL(0) LEVEL(1) LEVEL(2) LEVEL(3) LEVEL(4) LEVEL(5) LEVEL(6) LEVEL(7) LEVEL(8) LEVEL(9)
#define PLACE
#endif

/* Different sizes of stack and numbers of saved registers, so that each has a row of its own. */
#define DEFINE_LEVEL(n)                                                       \
	PLACE WORK void level_##n(int left, unsigned long spins)              \
	{                                                                     \
		volatile unsigned char room[16 * ((n) % 10) + 8];             \
                                                                              \
		room[0] = (unsigned char)left;                                \
		call_next(left - 1, spins);                                   \
		room[1] = room[0];                                            \
	}
LEVELS(DEFINE_LEVEL)

static inline __attribute__((always_inline)) void call_next(int left, unsigned long spins)
{
#define LEVEL_ADDRESS(n) level_##n,
	static void (*const levels[])(int, unsigned long) = { LEVELS(LEVEL_ADDRESS) };

	if (left > 0)
		levels[(size_t)left % (sizeof(levels) / sizeof(levels[0]))](left, spins);
	else
		walk_memory(spins);
}

WORK void go_down(unsigned long spins)
{
	call_next(frames, spins);
	NOT_A_TAIL_CALL();
}

int main(int argc, char **argv)
{
	uint64_t limit_ns = seconds_argument(argc, argv, 2);

	/* walk_memory, go_down, main, __libc_start_call_main, __libc_start_main and _start count too. */
	frames = (int)argument(argc, argv, 2, 30) - 6;
	memory_bytes = (size_t)argument(argc, argv, 3, 0) << 10;
	memory = memory_bytes ? calloc(1, memory_bytes) : NULL;
	say_ready();
	print_line("walk_memory", run_for(go_down, limit_ns));
	return 0;
}
