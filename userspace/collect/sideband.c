/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sideband.c - one dummy event and ring per CPU, read and merged.
 *
 * A task moves between CPUs, so its records lie in several rings and only their times tell their order. A drain takes
 * the time and then reads every ring once: what had happened by then is in the queue afterwards, and goes out sorted.
 * Later records wait for the next drain, because an earlier one may just be on its way into a ring that was read
 * before.
 *
 * Lost records: the kernel tells them with the next record that fits. When a CPU falls silent after its ring ran over,
 * that may never come, while a target runs on code that nobody knows of. So when a ring was so full that a record may
 * not have fitted, the event's own count of lost records is read (kernels from 6.0 have it) and told at once; the
 * kernel's own LOST record, if one comes later, only adds what is new.
 */
#include "sideband.h"

#include <errno.h>
#include <limits.h>
#include <sys/ioctl.h>
#include <time.h>

#include "perf_event.h"
#include "perf_ring.h"
#include "sideband_queue.h"
#include "time_now.h"

enum {
	RING_BYTES_DEFAULT = 256 << 10,
	RING_BYTES_MAX = 256 << 20,
	QUEUE_BYTES_MAX = 64 << 20,
	/* No record of ours is longer: a path, the fixed part, the trailer, and a LOST record in front. */
	RECORD_ROOM = PATH_MAX + 256,
};

/* Newer than some kernel headers. */
#define FORMAT_LOST (1u << 4)

struct cpu_ring {
	unsigned cpu;
	struct perf_ring ring;
	uint64_t lost_told;    /* handed out so far */
	uint64_t lost_records; /* sum of the kernel's LOST records */
};

struct sideband {
	VECTOR(struct cpu_ring) rings;
	VECTOR(int) fds; /* by ring */
	size_t ring_bytes;
	unsigned wishes;  /* SIDEBAND_WITH_* */
	bool counts_lost; /* the events tell how many records they lost */
	bool has_build_ids;
	struct sideband_queue queue;
	uint8_t *scratch; /* PERF_RECORD_SIZE_MAX */
};

/* A drain in progress. */
struct drain {
	struct sideband *sideband;
	struct cpu_ring *ring;
	uint64_t last_ns;  /* latest time in this ring, 0 = none */
	uint64_t nr_early; /* records handed out before their turn */
	sideband_fn found;
	void *context;
};

/* Smallest power of two of pages that holds size_bytes. */
static size_t round_ring(size_t size_bytes)
{
	size_t rounded = (size_t)sysconf(_SC_PAGESIZE);

	while (rounded < size_bytes)
		rounded *= 2;
	return rounded;
}

static struct perf_event_attr event_attr(const struct sideband *sideband, bool with_build_id, bool with_lost,
					 bool with_cgroups)
{
	return (struct perf_event_attr){
		.size = sizeof(struct perf_event_attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_DUMMY,
		.sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_CPU,
		.sample_id_all = 1,
		.read_format = with_lost ? FORMAT_LOST : 0,
		.mmap = 1, /* of executable mappings, in the form of mmap2 */
		.mmap2 = 1,
		.build_id = with_build_id,
		.comm = 1,
		.comm_exec = 1,
		.task = (sideband->wishes & SIDEBAND_WITH_TASKS) != 0,
		.cgroup = with_cgroups && (sideband->wishes & SIDEBAND_WITH_CGROUPS),
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
		.watermark = 1,
		.wakeup_watermark = (uint32_t)(sideband->ring_bytes / 4),
	};
}

/* Opens the event of a CPU with as much as the kernel knows of. */
static int open_event(struct sideband *sideband, unsigned cpu)
{
	static const struct {
		bool build_id, lost, cgroups;
	} wishes[] = {{true, true, true}, {true, false, true}, {false, false, true}, {false, false, false}};
	int fd = -EINVAL;

	for (size_t i = 0; i < ARRAY_SIZE(wishes) && fd == -EINVAL; i++) {
		struct perf_event_attr attr =
			event_attr(sideband, wishes[i].build_id, wishes[i].lost, wishes[i].cgroups);

		sideband->counts_lost = wishes[i].lost;
		sideband->has_build_ids = wishes[i].build_id;
		fd = perf_event_create(&attr, cpu);
	}
	return fd;
}

/* -ENODEV: the CPU is offline. */
static int add_cpu(struct sideband *sideband, unsigned cpu, struct problem *problem)
{
	_cleanup_close_ int fd = open_event(sideband, cpu);
	struct cpu_ring ring = {.cpu = cpu};
	int error;

	if (fd < 0)
		return perf_event_explain(fd, "the event for mapping records", cpu, problem);
	error = perf_ring_init(&ring.ring, fd, sideband->ring_bytes);
	if (error == -EPERM)
		return problem_set(problem, error,
				   "cannot map %zu bytes per CPU for mapping records: raise kernel.perf_event_mlock_kb "
				   "or grant CAP_IPC_LOCK",
				   sideband->ring_bytes);
	if (error < 0)
		return problem_set(problem, error, "cannot map %zu bytes for mapping records of CPU %u: %s",
				   sideband->ring_bytes, cpu, strerror(-error));
	*vector_push(&sideband->rings) = ring;
	*vector_push(&sideband->fds) = steal_fd(fd);
	return 0;
}

static int add_all(struct sideband *sideband, struct problem *problem)
{
	_cleanup_(cpu_list_deinit) struct cpu_list online = {0};
	int error = cpu_list_online(&online, problem);

	if (error < 0)
		return error;
	for (size_t i = 0; i < online.cpus.nr; i++) {
		error = add_cpu(sideband, online.cpus.data[i], problem);
		if (error < 0 && error != -ENODEV)
			return error;
	}
	/* Otherwise *problem tells why the last one could not be had. */
	return sideband->rings.nr > 0 ? 0 : error;
}

static void cleanup_sideband(struct sideband **sideband)
{
	sideband_destroy(*sideband);
}

int sideband_create(size_t ring_bytes, unsigned wishes, struct sideband **ret, struct problem *problem)
{
	_cleanup_(cleanup_sideband) struct sideband *sideband = memory_new(struct sideband);
	int error;

	if (ring_bytes > RING_BYTES_MAX)
		return problem_set(problem, -EINVAL, "a ring of %zu bytes per CPU is over the limit of %d", ring_bytes,
				   RING_BYTES_MAX);
	sideband->wishes = wishes;
	sideband->ring_bytes = round_ring(ring_bytes ? ring_bytes : RING_BYTES_DEFAULT);
	sideband->scratch = memory_zalloc(PERF_RECORD_SIZE_MAX, 1);
	sideband_queue_init(&sideband->queue, QUEUE_BYTES_MAX);
	error = add_all(sideband, problem);
	if (error < 0)
		return error;
	*ret = steal_pointer(sideband);
	return 0;
}

void sideband_destroy(struct sideband *sideband)
{
	if (!sideband)
		return;
	for (size_t i = 0; i < sideband->rings.nr; i++) {
		perf_ring_deinit(&sideband->rings.data[i].ring);
		close(sideband->fds.data[i]);
	}
	vector_free(&sideband->rings);
	vector_free(&sideband->fds);
	sideband_queue_deinit(&sideband->queue);
	free(sideband->scratch);
	free(sideband);
}

int sideband_fd(const struct sideband *sideband, unsigned cpu)
{
	for (size_t i = 0; i < sideband->rings.nr; i++) {
		if (sideband->rings.data[i].cpu == cpu)
			return sideband->fds.data[i];
	}
	return -1;
}

size_t sideband_fds(const struct sideband *sideband, const int **ret)
{
	*ret = sideband->fds.data;
	return sideband->fds.nr;
}

bool sideband_has_build_ids(const struct sideband *sideband)
{
	return sideband->has_build_ids;
}

bool sideband_counts_lost(const struct sideband *sideband)
{
	return sideband->counts_lost;
}

static void keep_record(struct drain *drain, const struct sideband_record *record)
{
	struct sideband_queue *queue = &drain->sideband->queue;

	if (sideband_queue_push(queue, record))
		return;
	/* Full: better early than never. The queue is empty afterwards, so the push can't fail again. */
	drain->nr_early += sideband_queue_flush(queue, UINT64_MAX, drain->found, drain->context);
	sideband_queue_push(queue, record);
}

static void keep_lost(struct drain *drain, uint64_t time_ns, uint64_t lost)
{
	struct sideband_record record = {.type = SIDEBAND_LOST, .time_ns = time_ns, .lost = lost};

	keep_record(drain, &record);
}

/* Brings the ring's losses up to `lost` in all. */
static void tell_lost(struct drain *drain, uint64_t time_ns, uint64_t lost)
{
	if (lost <= drain->ring->lost_told)
		return;
	keep_lost(drain, time_ns, lost - drain->ring->lost_told);
	drain->ring->lost_told = lost;
}

static void take_record(void *data, size_t size_bytes, void *context)
{
	struct drain *drain = context;
	struct sideband_record record;

	if (!sideband_decode(data, size_bytes, &record))
		return;
	if (record.time_ns > drain->last_ns)
		drain->last_ns = record.time_ns;
	if (record.type == SIDEBAND_LOST) {
		drain->ring->lost_records += record.lost;
		tell_lost(drain, record.time_ns, drain->ring->lost_records);
		return;
	}
	keep_record(drain, &record);
}

/* Records that did not fit since the last look and that no later record has told of. */
static void check_lost(struct drain *drain, int fd, uint64_t time_ns)
{
	struct {
		uint64_t value, lost;
	} counts;

	if (drain->sideband->counts_lost && read(fd, &counts, sizeof(counts)) == (ssize_t)sizeof(counts))
		tell_lost(drain, time_ns, counts.lost);
}

/* Reads a ring into the queue: the time up to which it is known, at least the one taken just before looking. */
static uint64_t drain_ring(struct drain *drain, size_t i, uint64_t before_ns)
{
	struct sideband *sideband = drain->sideband;
	struct cpu_ring *ring = &sideband->rings.data[i];
	struct perf_ring_result result;

	drain->ring = ring;
	drain->last_ns = 0;
	result = perf_ring_read(&ring->ring, sideband->scratch, take_record, drain);
	if (result.broken)
		keep_lost(drain, before_ns, 1);
	if (result.span_bytes + RECORD_ROOM > ring->ring.size_bytes)
		check_lost(drain, sideband->fds.data[i], time_now_ns(CLOCK_MONOTONIC));
	return drain->last_ns > before_ns ? drain->last_ns : before_ns;
}

/* Reads all rings into the queue: the time up to which all of them are known. */
static uint64_t drain_rings(struct sideband *sideband, sideband_fn found, void *context)
{
	struct drain drain = {.sideband = sideband, .found = found, .context = context};
	uint64_t before_ns = time_now_ns(CLOCK_MONOTONIC);
	uint64_t horizon_ns = UINT64_MAX;

	for (size_t i = 0; i < sideband->rings.nr; i++) {
		uint64_t known_ns = drain_ring(&drain, i, before_ns);

		if (known_ns < horizon_ns)
			horizon_ns = known_ns;
	}
	if (drain.nr_early)
		keep_lost(&drain, before_ns, drain.nr_early);
	return horizon_ns;
}

void sideband_drain(struct sideband *sideband, uint64_t until_ns, sideband_fn found, void *context)
{
	uint64_t horizon_ns = drain_rings(sideband, found, context);

	sideband_queue_flush(&sideband->queue, horizon_ns < until_ns ? horizon_ns : until_ns, found, context);
}

void sideband_finish(struct sideband *sideband, sideband_fn found, void *context)
{
	drain_rings(sideband, found, context);
	sideband_queue_flush(&sideband->queue, UINT64_MAX, found, context);
}
