/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work.h - what the workloads share: functions that stay themselves, a loop that costs what it says, and the time.
 *
 * A workload has a shape that it knows itself: it measures with the thread's CPU clock what each of its functions used
 * and prints it as lines of "NAME VALUE" at its end, so a test compares the profile with the truth of the same run and
 * not with a hope. Time is spent in slices of irregular length, so that no sampling rate can march in step with them.
 */
#ifndef EBPROF_WORKLOADS_WORK_H
#define EBPROF_WORKLOADS_WORK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Not inlined, not cloned, not known to its callers: a frame of its own under the name in the source. */
#ifdef __clang__
#define WORK __attribute__((noinline))
#else
#define WORK __attribute__((noipa))
#endif

/* Spins n times, about a cycle each, in the function that it stands in. */
#define BURN(n) for (unsigned long burn_left = (n); burn_left; burn_left--) __asm__ volatile("" : "+r"(burn_left))

/* Code behind the last call of a function, so that the call is no jump. */
#define NOT_A_TAIL_CALL() __asm__ volatile("" ::: "memory")

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline uint64_t thread_cpu_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

/* The argument at index as a number, or otherwise. */
static inline double argument(int argc, char **argv, int index, double otherwise)
{
	return argc > index ? atof(argv[index]) : otherwise;
}

static inline uint64_t seconds_argument(int argc, char **argv, double otherwise)
{
	return (uint64_t)(argument(argc, argv, 1, otherwise) * 1e9);
}

static inline void print_line(const char *name, uint64_t value)
{
	printf("%s %llu\n", name, (unsigned long long)value);
	fflush(stdout);
}

/* Everything is set up, the work begins: a test that attaches waits for this. */
static inline void say_ready(void)
{
	puts("ready");
	fflush(stdout);
}

typedef void work_fn(unsigned long spins);

/* A pseudo-random number below limit; the same sequence in each run. */
static inline uint32_t random_below(uint32_t limit)
{
	static __thread uint32_t state = 12345;

	state = state * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)state * limit >> 32);
}

/* Calls work for about slice_ns of the thread's CPU time; returns what it used. The machine's speed is learnt. */
static inline uint64_t run_slice(work_fn *work, uint64_t slice_ns)
{
	static __thread double spins_per_ns = 0.5;
	unsigned long spins = (unsigned long)((double)slice_ns * spins_per_ns) + 1;
	uint64_t start_ns = thread_cpu_ns();
	uint64_t used_ns;

	work(spins);
	used_ns = thread_cpu_ns() - start_ns;
	if (used_ns)
		spins_per_ns = (double)spins / (double)used_ns;
	return used_ns;
}

/* Calls work in slices of 2 to 10 ms until it has used total_ns; returns what it used. */
static inline uint64_t run_for(work_fn *work, uint64_t total_ns)
{
	uint64_t used_ns = 0;

	while (used_ns < total_ns)
		used_ns += run_slice(work, 2000000 + random_below(8000000));
	return used_ns;
}

#endif
