/* SPDX-License-Identifier: Apache-2.0 */
/* libraries SECONDS LIBRARY... - a program with many libraries mapped, busy in busy_work. */
#include <dlfcn.h>

#include "work.h"

WORK void busy_work(unsigned long spins)
{
	BURN(spins);
}

int main(int argc, char **argv)
{
	uint64_t limit_ns = seconds_argument(argc, argv, 2);
	uint64_t loaded = 0;

	for (int i = 2; i < argc; i++)
		loaded += dlopen(argv[i], RTLD_LAZY) != NULL;
	print_line("libraries", loaded);
	say_ready();
	print_line("busy_work", run_for(busy_work, limit_ns));
	return 0;
}
