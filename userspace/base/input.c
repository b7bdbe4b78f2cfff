/* SPDX-License-Identifier: Apache-2.0 */
#include "input.h"

#include <errno.h>
#include <unistd.h>

#include "memory.h"

enum { STEP_BYTES = 1 << 16 };

int input_read(int fd, size_t max_bytes, char **ret, size_t *ret_size)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0, capacity = 0;

	for (;;) {
		/* Room for the NUL as well. */
		if (capacity - size <= STEP_BYTES) {
			capacity = capacity ? capacity * 2 : 2 * STEP_BYTES;
			text = memory_realloc(text, capacity, 1);
		}
		ssize_t got = read(fd, text + size, capacity - size - 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		size += (size_t)got;
		if (size > max_bytes)
			return -E2BIG;
	}
	text[size] = '\0';
	*ret = steal_pointer(text);
	*ret_size = size;
	return 0;
}
