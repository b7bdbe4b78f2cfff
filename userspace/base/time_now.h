/* SPDX-License-Identifier: Apache-2.0 */
/* time_now.h - what time is it? */
#ifndef EBPROF_BASE_TIME_NOW_H
#define EBPROF_BASE_TIME_NOW_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds of a clock: CLOCK_MONOTONIC, which the kernel's programs and the side band use as well, or another. */
static inline uint64_t time_now_ns(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

#endif
