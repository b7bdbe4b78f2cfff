/* SPDX-License-Identifier: Apache-2.0 */
/* sleeper SECONDS - no CPU time at all. */
#include <unistd.h>

#include "work.h"

int main(int argc, char **argv)
{
	uint64_t left_ns = seconds_argument(argc, argv, 60);
	struct timespec time = { .tv_sec = (time_t)(left_ns / 1000000000), .tv_nsec = (long)(left_ns % 1000000000) };

	say_ready();
	nanosleep(&time, NULL);
	return 0;
}
