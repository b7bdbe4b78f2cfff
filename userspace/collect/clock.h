/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - one sampling clock per CPU, whose ticks run a BPF program.
 *
 *     clocks_create -> clocks_start -> clocks_stop -> clocks_destroy
 *
 * The clocks tick for whatever runs on their CPU; the program decides whether it is wanted. A fixed period, not a
 * frequency: a tick then stands for exactly that much time and ticks can be counted against the wall clock.
 */
#ifndef EBPROF_COLLECT_CLOCK_H
#define EBPROF_COLLECT_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "message.h"
#include "sideband.h"
#include "vector.h"

enum clock_kind {
	CLOCK_CPU,    /* a timer, period in ns: works everywhere */
	CLOCK_CYCLES, /* the cycle counter, period in cycles: needs a PMU */
};

enum {
	CLOCK_RATE_MAX_HZ = 100000, /* the kernel's timer clock silently lengthens a period below 10 us */
};

struct clocks;

/*
 * Opens a stopped clock on each online CPU and attaches the program (type perf_event, borrowed) to it. With a sideband,
 * THROTTLE records go to its ring of the same CPU; where the kernel refuses that, they are just not reported.
 * -EOPNOTSUPP: no cycle counter; -EACCES, -EPERM: a capability is missing; others as the kernel gave them.
 */
int clocks_create(enum clock_kind kind, uint64_t period, int prog_fd, const struct sideband *sideband,
		  struct clocks **ret, struct problem *problem);
void clocks_destroy(struct clocks *clocks);

/* On failure none runs. */
int clocks_start(struct clocks *clocks, struct problem *problem);
/* No program starts to run for a tick after this has returned. */
void clocks_stop(struct clocks *clocks);

unsigned clocks_nr_cpus(const struct clocks *clocks);
/* Of these, how many report that they were throttled. */
unsigned clocks_nr_reporting(const struct clocks *clocks);

/*
 * Whether the kernel can tick so fast: it takes any fixed period without a word and then throttles. -EINVAL with a
 * sentence when rate_hz is 0, over CLOCK_RATE_MAX_HZ or over kernel.perf_event_max_sample_rate.
 */
int clock_check_rate(uint64_t rate_hz, struct problem *problem);
/* The same with another file than /proc/sys/kernel/perf_event_max_sample_rate; one that can't be read is no limit. */
int clock_check_rate_in(const char *limit_path, uint64_t rate_hz, struct problem *problem);

/* How long each CPU has been idle since boot, in ns by its number; steps of 10 ms. Empty when unknown. */
struct idle_times {
	VECTOR(uint64_t) ns;
};
void clock_idle_times(struct idle_times *ret);
/* The same from another file than /proc/stat. */
void clock_idle_times_in(const char *stat_path, struct idle_times *ret);

/* Time that the host took from all CPUs of this machine together, since boot; 0 when unknown. Steps of 10 ms. */
uint64_t clock_steal_ns(void);
/* The same from another file than /proc/stat. */
uint64_t clock_steal_ns_in(const char *stat_path);

#endif
