/* SPDX-License-Identifier: Apache-2.0 */
/* storm SECONDS - maps and unmaps its own executable file as fast as the kernel can: a flood of mapping records. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "work.h"

int main(int argc, char **argv)
{
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + seconds_argument(argc, argv, 2);
	int self = open("/proc/self/exe", O_RDONLY);
	uint64_t count = 0;

	say_ready();
	while (clock_ns(CLOCK_MONOTONIC) < end_ns) {
		for (int i = 0; i < 100; i++) {
			void *memory = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, self, 0);

			if (memory == MAP_FAILED)
				return 2;
			munmap(memory, 4096);
		}
		count += 100;
	}
	print_line("mappings", count);
	return 0;
}
