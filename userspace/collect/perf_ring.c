/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int perf_ring_init(struct perf_ring *ring, int fd, size_t size_bytes)
{
	size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	void *memory = mmap(NULL, page_bytes + size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		return -errno;
	ring->page = memory;
	ring->data = (const uint8_t *)memory + page_bytes;
	ring->size_bytes = size_bytes;
	return 0;
}

void perf_ring_deinit(struct perf_ring *ring)
{
	if (ring->page)
		munmap(ring->page, (size_t)sysconf(_SC_PAGESIZE) + ring->size_bytes);
	memset(ring, 0, sizeof(*ring));
}

static void copy_out(const struct perf_ring *ring, uint64_t position, void *to, size_t size_bytes)
{
	size_t start = position & (ring->size_bytes - 1);
	size_t straight = ring->size_bytes - start;

	if (straight > size_bytes)
		straight = size_bytes;
	memcpy(to, ring->data + start, straight);
	memcpy((uint8_t *)to + straight, ring->data, size_bytes - straight);
}

struct perf_ring_result perf_ring_read(struct perf_ring *ring, void *scratch, perf_ring_fn found, void *context)
{
	struct perf_ring_result result = {0};
	uint64_t start = ring->page->data_tail; /* only we write it */
	uint64_t tail = start;
	uint64_t head = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);

	while (tail != head) {
		struct perf_event_header header;
		uint64_t left = head - tail;

		if (left >= sizeof(header))
			copy_out(ring, tail, &header, sizeof(header));
		if (left < sizeof(header) || header.size < sizeof(header) || header.size > left ||
		    header.size > ring->size_bytes) {
			result.broken = true;
			tail = head;
			break;
		}
		copy_out(ring, tail, scratch, header.size);
		tail += header.size;
		result.nr_records++;
		found(scratch, header.size, context);
	}
	__atomic_store_n(&ring->page->data_tail, tail, __ATOMIC_RELEASE);
	result.span_bytes = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE) - start;
	return result;
}
