/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sideband_decode.c - one record of a perf ring as a struct sideband_record.
 *
 * A record is a header, a body by type, and a trailer that every record but a sample has because the events ask for
 * sample_id_all. With TID, TIME and CPU as sample type the trailer is
 *
 *     u32 pid, tid;  u64 time;  u32 cpu, reserved
 *
 * and stands at the record's end, so a name in the body lies between the body's fixed part and the trailer, padded with
 * NULs. A mapping identifies its file in one of two ways: by build-id when the kernel found one in the page cache at
 * that moment, by device and inode otherwise; a bit of the header tells which.
 */
#include <linux/perf_event.h>
#include <string.h>
#include <sys/mman.h>

#include "maps.h"
#include "sideband.h"

/* Newer than some kernel headers. */
#ifndef PERF_RECORD_MISC_MMAP_BUILD_ID
#define PERF_RECORD_MISC_MMAP_BUILD_ID (1 << 14)
#endif

struct trailer {
	uint32_t pid, tid;
	uint64_t time_ns;
	uint32_t cpu, reserved;
};

struct mmap2_body {
	uint32_t pid, tid;
	uint64_t start, size_bytes, file_offset;
	union {
		struct {
			uint32_t major, minor;
			uint64_t inode, generation;
		};
		struct {
			uint8_t build_id_size, reserved[3];
			uint8_t build_id[20];
		};
	};
	uint32_t protection, flags;
	/* char path[] */
};

struct comm_body {
	uint32_t pid, tid;
	/* char name[] */
};

/* Of FORK and EXIT. */
struct task_body {
	uint32_t pid, parent_pid;
	uint32_t tid, parent_tid;
	uint64_t time_ns;
};

struct lost_body {
	uint64_t event_id, lost;
};

struct throttle_body {
	uint64_t time_ns, event_id, stream_id;
};

_Static_assert(sizeof(struct trailer) == 24, "as the kernel writes it");
_Static_assert(sizeof(struct mmap2_body) == 64, "as the kernel writes it");
_Static_assert(sizeof(struct task_body) == 24, "as the kernel writes it");
_Static_assert(sizeof(struct throttle_body) == 24, "as the kernel writes it");

/* What stands between header and trailer. */
struct body {
	char *data;
	size_t size_bytes;
};

/* Copies the fixed part, because a record may lie at any address. */
static bool read_fixed(const struct body *body, void *ret, size_t size_bytes)
{
	if (body->size_bytes < size_bytes)
		return false;
	memcpy(ret, body->data, size_bytes);
	return true;
}

/* The text behind the fixed part, or NULL when it does not end. */
static char *text_behind(const struct body *body, size_t fixed_bytes)
{
	char *text = body->data + fixed_bytes;

	return memchr(text, '\0', body->size_bytes - fixed_bytes) ? text : NULL;
}

static bool decode_mmap(const struct body *body, uint16_t misc, struct sideband_record *record)
{
	struct mmap2_body fixed;
	char *path;

	if (!read_fixed(body, &fixed, sizeof(fixed)) || !(fixed.protection & PROT_EXEC))
		return false;
	if (fixed.size_bytes == 0 || fixed.start + fixed.size_bytes < fixed.start)
		return false;
	path = text_behind(body, sizeof(fixed));
	if (!path)
		return false;
	record->type = SIDEBAND_MMAP;
	record->pid = fixed.pid;
	record->tid = fixed.tid;
	record->mmap.start = fixed.start;
	record->mmap.end = fixed.start + fixed.size_bytes;
	record->mmap.file_offset = fixed.file_offset;
	if (misc & PERF_RECORD_MISC_MMAP_BUILD_ID) {
		/* 0 would say that the inode is valid, which it is not. */
		if (fixed.build_id_size == 0 || fixed.build_id_size > sizeof(fixed.build_id))
			return false;
		record->mmap.build_id_size = fixed.build_id_size;
		memcpy(record->mmap.build_id, fixed.build_id, fixed.build_id_size);
	} else {
		record->mmap.major = fixed.major;
		record->mmap.minor = fixed.minor;
		record->mmap.inode = fixed.inode;
	}
	record->mmap.deleted = maps_cut_deleted(path);
	record->mmap.path = path;
	return true;
}

static bool decode_comm(const struct body *body, uint16_t misc, struct sideband_record *record)
{
	struct comm_body fixed;

	if (!read_fixed(body, &fixed, sizeof(fixed)))
		return false;
	record->type = SIDEBAND_COMM;
	record->pid = fixed.pid;
	record->tid = fixed.tid;
	record->comm.is_exec = misc & PERF_RECORD_MISC_COMM_EXEC;
	record->comm.name = text_behind(body, sizeof(fixed));
	return record->comm.name != NULL;
}

static bool decode_task(const struct body *body, enum sideband_type type, struct sideband_record *record)
{
	struct task_body fixed;

	if (!read_fixed(body, &fixed, sizeof(fixed)))
		return false;
	record->type = type;
	record->pid = fixed.pid;
	record->tid = fixed.tid;
	record->fork.parent_pid = fixed.parent_pid;
	return true;
}

static bool decode_cgroup(const struct body *body, struct sideband_record *record)
{
	if (!read_fixed(body, &record->cgroup.id, sizeof(record->cgroup.id)))
		return false;
	record->type = SIDEBAND_CGROUP;
	record->cgroup.path = text_behind(body, sizeof(record->cgroup.id));
	return record->cgroup.path != NULL;
}

static bool decode_lost(const struct body *body, struct sideband_record *record)
{
	struct lost_body fixed;

	if (!read_fixed(body, &fixed, sizeof(fixed)))
		return false;
	record->type = SIDEBAND_LOST;
	/* The trailer tells who wrote next, not whose records are missing. */
	record->pid = 0;
	record->tid = 0;
	record->lost = fixed.lost;
	return true;
}

static bool decode_throttle(const struct body *body, struct sideband_record *record)
{
	if (body->size_bytes < sizeof(struct throttle_body))
		return false;
	record->type = SIDEBAND_THROTTLE;
	return true;
}

bool sideband_decode(void *data, size_t size_bytes, struct sideband_record *ret)
{
	struct sideband_record record = {0};
	struct perf_event_header header;
	struct trailer trailer;
	struct body body;
	bool good;

	if (size_bytes < sizeof(header))
		return false;
	memcpy(&header, data, sizeof(header));
	if (header.size > size_bytes || header.size < sizeof(header) + sizeof(trailer))
		return false;
	memcpy(&trailer, (char *)data + header.size - sizeof(trailer), sizeof(trailer));
	body.data = (char *)data + sizeof(header);
	body.size_bytes = header.size - sizeof(header) - sizeof(trailer);
	record.time_ns = trailer.time_ns;
	record.pid = trailer.pid;
	record.tid = trailer.tid;
	switch (header.type) {
	case PERF_RECORD_MMAP2:
		good = decode_mmap(&body, header.misc, &record);
		break;
	case PERF_RECORD_COMM:
		good = decode_comm(&body, header.misc, &record);
		break;
	case PERF_RECORD_FORK:
		good = decode_task(&body, SIDEBAND_FORK, &record);
		break;
	case PERF_RECORD_EXIT:
		good = decode_task(&body, SIDEBAND_EXIT, &record);
		break;
	case PERF_RECORD_CGROUP:
		good = decode_cgroup(&body, &record);
		break;
	case PERF_RECORD_LOST:
		good = decode_lost(&body, &record);
		break;
	case PERF_RECORD_THROTTLE:
		good = decode_throttle(&body, &record);
		break;
	default: /* UNTHROTTLE, and whatever later kernels invent */
		good = false;
	}
	if (good)
		*ret = record;
	return good;
}
