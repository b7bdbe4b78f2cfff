/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shape_frames SECONDS MODE - frames of every make: in each mode a function of that name, or two, calls frame_leaf.
 *
 *   fixed      a usual frame
 *   variable   alloca in a loop
 *   aligned    a local of 64 bytes' alignment
 *   realigned  the same with alloca and arguments on the stack: rsp, alignment and arguments need a register each
 *   vectors    32-byte vectors that live across a call
 *   large      80 KiB
 *   huge       20 MiB, on a thread with a stack for it
 *   saving     all registers that a function has to preserve, rbp as one among others
 *   naked      a function of assembly with unwind information written by hand
 *   aligned_main   the caller of main's work is main itself, realigned
 *   all        these, one after another
 *
 * One source, built by several compilers with several options (shapes.mk). The leaf is short, so that many samples hit
 * prologues and epilogues; what these must show is the same chain.
 */
#include <alloca.h>
#include <pthread.h>
#include <string.h>

#include "work.h"

#ifndef __x86_64__
#error the workload is written for x86-64
#endif

enum { LEAF_SPINS = 100, LARGE_BYTES = 80 << 10, HUGE_BYTES = 20 << 20, ALLOCA_ROUNDS = 8 };

static volatile unsigned char sink;

WORK void frame_leaf(volatile unsigned char *bytes)
{
	*bytes = 1;
	BURN(LEAF_SPINS);
}

/* Work in calls of `function`: the spins that one call takes, more or less. */
#define REPEAT(call, each)                                                                                             \
	for (unsigned long repeat_left = spins / (each) + 1; repeat_left; repeat_left--) {                             \
		call;                                                                                                  \
	}                                                                                                              \
	NOT_A_TAIL_CALL()

WORK void fixed(int a)
{
	volatile unsigned char bytes[48];

	bytes[a % 48] = 1;
	frame_leaf(bytes);
	sink += bytes[a % 48];
}

WORK void variable(int a)
{
	for (int i = 0; i < ALLOCA_ROUNDS; i++) {
		volatile unsigned char *bytes = alloca((size_t)(a % 100) * 7 + 16);

		frame_leaf(bytes);
		sink += *bytes;
	}
}

WORK void aligned(int a)
{
	_Alignas(64) volatile unsigned char bytes[128];

	bytes[a % 128] = 1;
	frame_leaf(bytes);
	sink += bytes[0] + (unsigned char)((uintptr_t)bytes & 63);
}

WORK int realigned(int a, int b, int c, int d, int e, int f, int g, int h)
{
	_Alignas(64) volatile unsigned char bytes[128];
	volatile unsigned char *more = alloca((size_t)(a % 100) + 16);

	bytes[h % 128] = (unsigned char)g;
	*more = (unsigned char)h;
	frame_leaf(bytes);
	frame_leaf(more);
	sink += bytes[0] + *more;
	return a + b + c + d + e + f + g + h;
}

typedef double vector __attribute__((vector_size(32)));

WORK __attribute__((target("avx2"))) void vectors(int a)
{
	vector x = {a, 1, 2, 3}, y = x * 3, z = x + y;
	volatile unsigned char bytes[16];

	/* The compiler has to keep these on the stack. */
	frame_leaf(bytes);
	__asm__ volatile("" : "+x"(x), "+x"(y), "+x"(z));
	frame_leaf(bytes);
	x += y * z;
	sink += (unsigned char)x[0] + (unsigned char)x[3];
	_Alignas(32) volatile double kept[4] = {x[0], y[1], z[2], 0};
	frame_leaf(bytes);
	sink += (unsigned char)kept[1];
}

WORK void large(int a)
{
	volatile unsigned char bytes[LARGE_BYTES];

	bytes[a % LARGE_BYTES] = 1;
	frame_leaf(&bytes[a * 7919 % LARGE_BYTES]);
	sink += bytes[a % LARGE_BYTES];
}

WORK void huge(int a)
{
	volatile unsigned char bytes[HUGE_BYTES];

	bytes[a % HUGE_BYTES] = 1;
	frame_leaf(&bytes[a]);
	sink += bytes[a % HUGE_BYTES];
}

WORK unsigned long saving(unsigned long a)
{
	unsigned long b = a * 3, c = a * 5, d = a * 7, e = a * 11, f = a * 13, g = a * 17;
	volatile unsigned char bytes[16];

	__asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f), "+r"(g));
	frame_leaf(bytes);
	__asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f), "+r"(g));
	frame_leaf(bytes);
	return a ^ b ^ c ^ d ^ e ^ f ^ g;
}

__attribute__((naked)) WORK void naked(__attribute__((unused)) volatile unsigned char *bytes)
{
	__asm__(".cfi_adjust_cfa_offset 8\n"
		"push %rbx\n"
		".cfi_offset %rbx, -16\n"
		"call frame_leaf\n"
		"pop %rbx\n"
		".cfi_adjust_cfa_offset -8\n"
		"ret");
}

/* --- one of each as work ------------------------------------------------------------------------------------------ */

WORK void run_fixed(unsigned long spins)
{
	REPEAT(fixed(3), LEAF_SPINS);
}

WORK void run_variable(unsigned long spins)
{
	REPEAT(variable(5), ALLOCA_ROUNDS * LEAF_SPINS);
}

WORK void run_aligned(unsigned long spins)
{
	REPEAT(aligned(7), LEAF_SPINS);
}

WORK void run_realigned(unsigned long spins)
{
	REPEAT(realigned(1, 2, 3, 4, 5, 6, 7, 8), 2 * LEAF_SPINS);
}

WORK void run_vectors(unsigned long spins)
{
	if (!__builtin_cpu_supports("avx2"))
		exit(77);
	REPEAT(vectors(9), 3 * LEAF_SPINS);
}

WORK void run_large(unsigned long spins)
{
	REPEAT(large(11), LEAF_SPINS);
}

WORK void run_huge(unsigned long spins)
{
	REPEAT(huge(13), LEAF_SPINS);
}

WORK void run_saving(unsigned long spins)
{
	REPEAT(sink += (unsigned char)saving(15), 2 * LEAF_SPINS);
}

WORK void run_naked(unsigned long spins)
{
	volatile unsigned char bytes[16];

	REPEAT(naked(bytes), LEAF_SPINS);
}

static const struct {
	const char *name;
	work_fn *work;
} modes[] = {
	{"fixed", run_fixed},         {"variable", run_variable}, {"aligned", run_aligned},
	{"realigned", run_realigned}, {"vectors", run_vectors},   {"large", run_large},
	{"huge", run_huge},           {"saving", run_saving},     {"naked", run_naked},
};

static uint64_t limit_ns;

static void *run_thread(void *work)
{
	run_for((work_fn *)work, limit_ns);
	NOT_A_TAIL_CALL();
	return NULL;
}

/* Behind a thread's stack of the size that a frame of 20 MiB needs. */
static int run_on_large_stack(work_fn *work)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 2 * (size_t)HUGE_BYTES);
	if (pthread_create(&thread, &attributes, run_thread, (void *)work))
		return 2;
	pthread_join(thread, NULL);
	return 0;
}

int main(int argc, char **argv)
{
	_Alignas(128) volatile unsigned char bytes[256];
	volatile unsigned char *more = alloca((size_t)argc * 16);

	bytes[argc] = *more = 1;
	limit_ns = seconds_argument(argc, argv, 1);
	if (argc < 3)
		return 2;
	say_ready();
	int all = !strcmp(argv[2], "all");

	if (all || !strcmp(argv[2], "aligned_main")) {
		for (uint64_t start_ns = thread_cpu_ns(); thread_cpu_ns() - start_ns < limit_ns;) {
			for (int i = 0; i < 1000; i++)
				frame_leaf(bytes);
		}
		print_line("misaligned", (uintptr_t)bytes & 127);
	}
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (!all && strcmp(modes[i].name, argv[2]))
			continue;
		if (modes[i].work != run_huge)
			print_line(modes[i].name, run_for(modes[i].work, limit_ns));
		else if (run_on_large_stack(modes[i].work))
			return 2;
	}
	return bytes[argc] + *more > 2;
}
