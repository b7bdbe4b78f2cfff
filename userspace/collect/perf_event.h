/* SPDX-License-Identifier: Apache-2.0 */
/* perf_event.h - what every user of perf events needs: the system call, the CPUs, an explanation of a refusal. */
#ifndef EBPROF_COLLECT_PERF_EVENT_H
#define EBPROF_COLLECT_PERF_EVENT_H

#include <linux/perf_event.h>

#include "message.h"
#include "vector.h"

#define CPUS_ONLINE_PATH "/sys/devices/system/cpu/online"

enum {
	CPUS_MAX = 8192, /* the largest NR_CPUS of an x86-64 kernel */
};

/* CPU numbers, ascending. */
struct cpu_list {
	VECTOR(unsigned) cpus;
};

/* Opens an event of all tasks on one CPU, close-on-exec: a descriptor or a negative errno. */
int perf_event_create(const struct perf_event_attr *attr, unsigned cpu);

/* Fills *problem with why `what` ("a clock") could not be had on cpu, and what to do about it; returns error. */
int perf_event_explain(int error, const char *what, unsigned cpu, struct problem *problem);

/*
 * Appends the CPUs of a list such as "0-3,8\n" to *ret. -EBADMSG: not such a list or a number from CPUS_MAX on;
 * *ret is unchanged then.
 */
int cpu_list_parse(const char *text, struct cpu_list *ret);
/* Reads CPUS_ONLINE_PATH. */
int cpu_list_online(struct cpu_list *ret, struct problem *problem);
void cpu_list_deinit(struct cpu_list *list);

#endif
