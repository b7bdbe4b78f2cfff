/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sideband.h - what the kernel tells about mappings and names while recording.
 *
 * One dummy perf event per CPU asks for MMAP2 (with build-ids where the kernel knows them), COMM and perhaps FORK and
 * EXIT records of every process; each CPU has its own ring, time is CLOCK_MONOTONIC. Records of different rings are
 * merged by time: a record is handed out once every ring has been read up to its time. Each counts as read up to the
 * time taken just before looking. A record gets its time a moment before it can be seen, so one whose CPU was
 * interrupted in that moment can still come late: it goes out with the next drain, after records of later times.
 */
#ifndef EBPROF_COLLECT_SIDEBAND_H
#define EBPROF_COLLECT_SIDEBAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "message.h"

struct sideband;

enum sideband_type {
	SIDEBAND_MMAP,     /* an executable mapping appeared */
	SIDEBAND_COMM,     /* a thread got a new name; is_exec: by exec, its mappings are gone */
	SIDEBAND_FORK,     /* a task was born: a thread if its pid is its parent's */
	SIDEBAND_EXIT,     /* a thread is over */
	SIDEBAND_CGROUP,   /* a cgroup was made */
	SIDEBAND_LOST,     /* the kernel dropped records */
	SIDEBAND_THROTTLE, /* the kernel paused a clock whose output goes to this ring */
};

struct sideband_record {
	enum sideband_type type;
	uint64_t time_ns;
	/* Of the pid namespace in which sideband_create ran; 0: not visible there, or LOST and nobody's. */
	uint32_t pid, tid;
	union {
		struct {
			uint64_t start, end, file_offset;
			uint8_t build_id[20];
			uint8_t build_id_size; /* 0: inode, major, minor are valid instead */
			uint64_t inode;
			uint32_t major, minor;
			const char *path; /* as in maps.h, borrowed; never with " (deleted)" */
			bool deleted;
		} mmap;
		struct {
			bool is_exec;
			const char *name; /* borrowed */
		} comm;
		struct {
			uint32_t parent_pid;
		} fork;
		struct {
			uint64_t id;
			const char *path; /* borrowed */
		} cgroup;
		uint64_t lost;
	};
};

typedef void (*sideband_fn)(const struct sideband_record *record, void *context);

/*
 * Opens the events, enabled. ring_bytes per CPU (rounded to a power of two of pages; 0 = 256 KiB). Offline CPUs are
 * skipped. wishes: SIDEBAND_WITH_*; CGROUP records are left out where the kernel has none (before 5.7).
 */
enum { SIDEBAND_WITH_TASKS = 1, SIDEBAND_WITH_CGROUPS = 2 };
int sideband_create(size_t ring_bytes, unsigned wishes, struct sideband **ret, struct problem *problem);
void sideband_destroy(struct sideband *sideband);

/* What this kernel's records can do: name files by build-id; tell of losses before the next record. */
bool sideband_has_build_ids(const struct sideband *sideband);
bool sideband_counts_lost(const struct sideband *sideband);

/* The event of a CPU, so that a clock on that CPU can send its THROTTLE records there (PERF_EVENT_IOC_SET_OUTPUT). -1 =
 * none. */
int sideband_fd(const struct sideband *sideband, unsigned cpu);

/* Descriptors to poll for POLLIN (a ring is a quarter full); borrowed. */
size_t sideband_fds(const struct sideband *sideband, const int **ret);

/*
 * Reads all rings and hands out, in time order, what is complete and not later than until_ns; the rest waits. What the
 * memory for waiting records can't hold is handed out before its turn and counted by a LOST record.
 */
void sideband_drain(struct sideband *sideband, uint64_t until_ns, sideband_fn found, void *context);
/* The same, and then everything that is left: after the clocks have stopped. */
void sideband_finish(struct sideband *sideband, sideband_fn found, void *context);

/*
 * Decodes one record of the ring, header included, from size_bytes of memory: false when it is of another type or
 * malformed (hostile lengths, unterminated names). Names in *ret point into data, where " (deleted)" has been cut off
 * in place. data may have any alignment. Exposed for tests.
 */
bool sideband_decode(void *data, size_t size_bytes, struct sideband_record *ret);

#endif
