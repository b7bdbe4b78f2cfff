/* SPDX-License-Identifier: Apache-2.0 */
/*
 * depth SECONDS FRAMES KIB - FRAMES calls deep through ten different functions, then the loop at the bottom walks
 * through KIB of memory, as a real program's working set pushes others out of the caches. For what a walk costs.
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

/* Different sizes of stack and numbers of saved registers, so that each has a row of its own. */
#define LEVEL(n)                                                              \
	WORK void level_##n(int left, unsigned long spins)                    \
	{                                                                     \
		volatile unsigned char room[16 * (n) + 8];                    \
                                                                              \
		room[0] = (unsigned char)left;                                \
		call_next(left - 1, spins);                                   \
		room[1] = room[0];                                            \
	}
LEVEL(0) LEVEL(1) LEVEL(2) LEVEL(3) LEVEL(4) LEVEL(5) LEVEL(6) LEVEL(7) LEVEL(8) LEVEL(9)

static inline __attribute__((always_inline)) void call_next(int left, unsigned long spins)
{
	static void (*const levels[10])(int, unsigned long) = { level_0, level_1, level_2, level_3, level_4,
								level_5, level_6, level_7, level_8, level_9 };

	if (left > 0)
		levels[left % 10](left, spins);
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
