/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jit SECONDS [map] [moved] - code made at run time, in anonymous memory, with a frame pointer. map: its name stands in
 * /tmp/perf-PID.map. moved: it is then moved by mremap, of which the kernel tells nobody.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "work.h"

/* void (unsigned long): push rbp; mov rbp,rsp; 1: sub rdi,1; jne 1b; pop rbp; ret */
static const unsigned char code[] = { 0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xef, 0x01, 0x75, 0xfa, 0x5d, 0xc3 };
static void *memory;

WORK void call_code(unsigned long spins)
{
	((work_fn *)memory)(spins);
	NOT_A_TAIL_CALL();
}

static int write_map(void)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
	file = fopen(path, "w");
	if (!file)
		return -1;
	fprintf(file, "%lx %zx jitted_work\n", (unsigned long)memory, sizeof(code));
	return fclose(file);
}

int main(int argc, char **argv)
{
	uint64_t limit_ns = seconds_argument(argc, argv, 2);
	size_t size = 1 << 16;

	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memcpy(memory, code, sizeof(code));
	if (mprotect(memory, size, PROT_READ | PROT_EXEC))
		return 2;
	if (argc > 2 && !strcmp(argv[2], "map") && write_map())
		return 2;
	say_ready();
	if (argc > 2 && !strcmp(argv[2], "moved")) {
		void *target;

		run_for(call_code, limit_ns / 2);
		target = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		memory = mremap(memory, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, target);
		if (memory == MAP_FAILED)
			return 2;
		run_for(call_code, limit_ns / 2);
		return 0;
	}
	print_line("call_code", run_for(call_code, limit_ns));
	return 0;
}
