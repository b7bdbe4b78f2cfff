/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "perf_event.h"

struct clocks {
	enum clock_kind kind;
	uint64_t period;
	VECTOR(int) fds;
	unsigned nr_reporting;
};

/*
 * A ring can be shared only by events of the same clockid, and its reader takes every record's trailer for the
 * sideband's: both have to be as there. Samples themselves never reach the ring, because the program returns 0.
 */
static struct perf_event_attr clock_attr(enum clock_kind kind, uint64_t period)
{
	return (struct perf_event_attr){
		.size = sizeof(struct perf_event_attr),
		.type = kind == CLOCK_CPU ? PERF_TYPE_SOFTWARE : PERF_TYPE_HARDWARE,
		.config = kind == CLOCK_CPU ? (uint64_t)PERF_COUNT_SW_CPU_CLOCK : (uint64_t)PERF_COUNT_HW_CPU_CYCLES,
		.sample_period = period,
		.sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_CPU,
		.sample_id_all = 1,
		.disabled = 1,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
	};
}

static int open_problem(enum clock_kind kind, int error, unsigned cpu, struct problem *problem)
{
	if (kind == CLOCK_CYCLES && (error == -ENOENT || error == -EOPNOTSUPP))
		return problem_set(problem, -EOPNOTSUPP, "this machine offers no cycle counter: use -e cpu");
	return perf_event_explain(error, "a clock", cpu, problem);
}

/* -ENODEV: the CPU is offline. */
static int add_cpu(struct clocks *clocks, unsigned cpu, int prog_fd, const struct sideband *sideband,
		   struct problem *problem)
{
	struct perf_event_attr attr = clock_attr(clocks->kind, clocks->period);
	_cleanup_close_ int fd = perf_event_create(&attr, cpu);
	int ring_fd = sideband ? sideband_fd(sideband, cpu) : -1;

	if (fd < 0)
		return open_problem(clocks->kind, fd, cpu, problem);
	if (ring_fd >= 0 && ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, ring_fd) == 0)
		clocks->nr_reporting++;
	if (ioctl(fd, PERF_EVENT_IOC_SET_BPF, prog_fd) < 0)
		return problem_set(problem, -errno, "cannot attach the BPF program to the clock of CPU %u: %s", cpu,
				   strerror(errno));
	*vector_push(&clocks->fds) = steal_fd(fd);
	return 0;
}

static int add_all(struct clocks *clocks, int prog_fd, const struct sideband *sideband, struct problem *problem)
{
	_cleanup_(cpu_list_deinit) struct cpu_list online = {0};
	int error = cpu_list_online(&online, problem);

	if (error < 0)
		return error;
	for (size_t i = 0; i < online.cpus.nr; i++) {
		error = add_cpu(clocks, online.cpus.data[i], prog_fd, sideband, problem);
		if (error < 0 && error != -ENODEV)
			return error;
	}
	/* Otherwise *problem tells why the last one could not be had. */
	return clocks->fds.nr > 0 ? 0 : error;
}

static void cleanup_clocks(struct clocks **clocks)
{
	clocks_destroy(*clocks);
}

int clocks_create(enum clock_kind kind, uint64_t period, int prog_fd, const struct sideband *sideband,
		  struct clocks **ret, struct problem *problem)
{
	_cleanup_(cleanup_clocks) struct clocks *clocks = memory_new(struct clocks);
	int error;

	if (period == 0)
		return problem_set(problem, -EINVAL, "a clock needs a period over 0");
	clocks->kind = kind;
	clocks->period = period;
	error = add_all(clocks, prog_fd, sideband, problem);
	if (error < 0)
		return error;
	*ret = steal_pointer(clocks);
	return 0;
}

void clocks_destroy(struct clocks *clocks)
{
	if (!clocks)
		return;
	for (size_t i = 0; i < clocks->fds.nr; i++)
		close(clocks->fds.data[i]);
	vector_free(&clocks->fds);
	free(clocks);
}

int clocks_start(struct clocks *clocks, struct problem *problem)
{
	for (size_t i = 0; i < clocks->fds.nr; i++) {
		if (ioctl(clocks->fds.data[i], PERF_EVENT_IOC_ENABLE, 0) < 0) {
			int error = -errno;

			clocks_stop(clocks);
			return problem_set(problem, error, "cannot start a clock: %s", strerror(-error));
		}
	}
	return 0;
}

void clocks_stop(struct clocks *clocks)
{
	/* DISABLE has no way to fail on an open event; it waits for the event's CPU to have done it. */
	for (size_t i = 0; i < clocks->fds.nr; i++)
		ioctl(clocks->fds.data[i], PERF_EVENT_IOC_DISABLE, 0);
}

unsigned clocks_nr_cpus(const struct clocks *clocks)
{
	return (unsigned)clocks->fds.nr;
}

unsigned clocks_nr_reporting(const struct clocks *clocks)
{
	return clocks->nr_reporting;
}

int clock_check_rate_in(const char *limit_path, uint64_t rate_hz, struct problem *problem)
{
	_cleanup_fclose_ FILE *file = NULL;
	uint64_t limit_hz;

	if (rate_hz == 0)
		return problem_set(problem, -EINVAL, "a rate of 0 samples per second would sample nothing");
	if (rate_hz > CLOCK_RATE_MAX_HZ)
		return problem_set(problem, -EINVAL,
				   "%" PRIu64
				   " samples per second is more than the kernel's clock can do: use at most %d",
				   rate_hz, CLOCK_RATE_MAX_HZ);
	file = fopen(limit_path, "re");
	if (file && fscanf(file, "%" SCNu64, &limit_hz) == 1 && rate_hz > limit_hz)
		return problem_set(problem, -EINVAL,
				   "%" PRIu64 " samples per second is over the kernel's limit of %" PRIu64
				   ": use a lower rate or run: sysctl -w kernel.perf_event_max_sample_rate=%" PRIu64,
				   rate_hz, limit_hz, rate_hz);
	return 0;
}

int clock_check_rate(uint64_t rate_hz, struct problem *problem)
{
	return clock_check_rate_in("/proc/sys/kernel/perf_event_max_sample_rate", rate_hz, problem);
}

static uint64_t ns_per_stat_tick(void)
{
	long ticks_per_second = sysconf(_SC_CLK_TCK);

	return ticks_per_second > 0 ? 1000000000u / (uint64_t)ticks_per_second : 0;
}

void clock_idle_times_in(const char *stat_path, struct idle_times *ret)
{
	_cleanup_fclose_ FILE *file = fopen(stat_path, "re");
	char line[512];

	while (file && fgets(line, sizeof(line), file)) {
		uint64_t idle, waiting;
		unsigned cpu;

		/* cpuN user nice system idle iowait ...; offline CPUs have no line, all together have no number. */
		if (strncmp(line, "cpu", 3) != 0 || line[3] < '0' || line[3] > '9')
			continue;
		if (sscanf(line, "cpu%u %*u %*u %*u %" SCNu64 " %" SCNu64, &cpu, &idle, &waiting) != 3 ||
		    cpu >= CPUS_MAX)
			continue;
		while (ret->ns.nr <= cpu)
			*vector_push(&ret->ns) = 0;
		ret->ns.data[cpu] = (idle + waiting) * ns_per_stat_tick();
	}
}

void clock_idle_times(struct idle_times *ret)
{
	clock_idle_times_in("/proc/stat", ret);
}

uint64_t clock_steal_ns_in(const char *stat_path)
{
	_cleanup_fclose_ FILE *file = fopen(stat_path, "re");
	uint64_t ticks;

	/* cpu  user nice system idle iowait irq softirq steal ... */
	if (!file || fscanf(file, "cpu %*u %*u %*u %*u %*u %*u %*u %" SCNu64, &ticks) != 1)
		return 0;
	return ticks * ns_per_stat_tick();
}

uint64_t clock_steal_ns(void)
{
	return clock_steal_ns_in("/proc/stat");
}
