/* SPDX-License-Identifier: Apache-2.0 */
/* trial.h - does recording work here? A recording of half a second of a process of our own, which nobody keeps. */
#ifndef EBPROF_COLLECT_TRIAL_H
#define EBPROF_COLLECT_TRIAL_H

#include <stdint.h>

#include "message.h"

struct trial {
	uint64_t samples;
	uint64_t lost;
	double complete_share; /* of the user stacks; NAN without any */
	double start_seconds;  /* until the clocks ran */
};

/* 0 also when no sample came; otherwise what record would have ended with, with its *problem. */
int trial_run(uint32_t rate_hz, struct trial *ret, struct problem *problem);

#endif
