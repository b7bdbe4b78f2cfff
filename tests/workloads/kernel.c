/* SPDX-License-Identifier: Apache-2.0 */
/* kernel SECONDS - nearly all of the time inside of the system call read, of /dev/zero, from read_zeros. */
#include <fcntl.h>
#include <unistd.h>

#include "work.h"

static int zeros;
static char buffer[1 << 20];

WORK void read_zeros(unsigned long spins)
{
	for (unsigned long i = 0; i <= spins / 100000; i++) {
		if (read(zeros, buffer, sizeof(buffer)) < 0)
			exit(2);
	}
}

int main(int argc, char **argv)
{
	uint64_t limit_ns = seconds_argument(argc, argv, 2);

	zeros = open("/dev/zero", O_RDONLY);
	say_ready();
	print_line("read_zeros", run_for(read_zeros, limit_ns));
	return 0;
}
