/* SPDX-License-Identifier: Apache-2.0 */
/*
 * get_stack PID HZ - samples a process with get_stack.bpf.c on one clock per CPU, as ebprof does, until standard input
 * ends, and prints "samples N", "frames N" (user frames in all), "runs N" and "run_time_ns N" of the program.
 * kernel.bpf_stats_enabled has to be 1.
 */
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "get_stack.skel.h"

static int open_clock(int cpu, unsigned long rate_hz)
{
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attributes),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = 1000000000 / rate_hz,
	};

	return (int)syscall(SYS_perf_event_open, &attributes, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

static int attach_clocks(struct get_stack_bpf *skeleton, unsigned long rate_hz)
{
	for (int cpu = 0; cpu < libbpf_num_possible_cpus(); cpu++) {
		int clock = open_clock(cpu, rate_hz);

		/* Offline CPUs have no clock; the links live as long as this process. */
		if (clock >= 0 && !bpf_program__attach_perf_event(skeleton->progs.take_stack, clock))
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct bpf_prog_info info = {0};
	__u32 size = sizeof(info);
	struct get_stack_bpf *skeleton;

	if (argc != 3)
		return 2;
	skeleton = get_stack_bpf__open();
	if (!skeleton)
		return 2;
	skeleton->rodata->target = (__u32)atoi(argv[1]);
	if (get_stack_bpf__load(skeleton) || attach_clocks(skeleton, strtoul(argv[2], NULL, 10)))
		return 2;
	while (getchar() != EOF)
		;
	if (bpf_obj_get_info_by_fd(bpf_program__fd(skeleton->progs.take_stack), &info, &size))
		return 2;
	printf("samples %llu\nframes %llu\nruns %llu\nrun_time_ns %llu\n", (unsigned long long)skeleton->bss->samples,
	       (unsigned long long)skeleton->bss->user_frames, (unsigned long long)info.run_cnt,
	       (unsigned long long)info.run_time_ns);
	get_stack_bpf__destroy(skeleton);
	return 0;
}
