/* SPDX-License-Identifier: Apache-2.0 */
/* kind_remap - the library of kind_remap.h. */
#include "kind_remap.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int anonymous_over(char *start, const char *aside, size_t size)
{
	if (mmap(start, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != start)
		return -1;
	madvise(start, size, MADV_HUGEPAGE);
	memcpy(start, aside, size);
	return mprotect(start, size, PROT_READ | PROT_EXEC);
}

static int shared_over(char *start, size_t size)
{
	int fd = memfd_create("text", 0);

	if (fd < 0 || write(fd, start, size) != (ssize_t)size)
		return -1;
	return mmap(start, size, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, fd, 0) == start ? 0 : -1;
}

int remap_text(char *start, size_t size, enum remap_how how, const void *code, size_t code_size)
{
	char *aside = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (aside == MAP_FAILED)
		return -1;
	memcpy(aside, start, size);
	if (how == REMAP_JIT) {
		/* All of it: not a byte is the file's. */
		memset(aside, 0xcc, size);
		memcpy(aside, code, code_size);
	}
	if (how == REMAP_SHARED)
		return shared_over(start, size);
	if (how != REMAP_MREMAP)
		return anonymous_over(start, aside, size);
	if (mprotect(aside, size, PROT_READ | PROT_EXEC))
		return -1;
	return mremap(aside, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, start) == start ? 0 : -1;
}
