/* SPDX-License-Identifier: Apache-2.0 */
#include "perf_event.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>

int perf_event_create(const struct perf_event_attr *attr, unsigned cpu)
{
	/* The kernel writes the size it knows into attr when it refuses one: give it a copy. */
	struct perf_event_attr copy = *attr;
	long fd = syscall(SYS_perf_event_open, &copy, -1, (int)cpu, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : (int)fd;
}

/* The value of kernel.perf_event_paranoid, 0 when unreadable. */
static int paranoid_level(void)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/sys/kernel/perf_event_paranoid", "re");
	int level;

	return file && fscanf(file, "%d", &level) == 1 ? level : 0;
}

int perf_event_explain(int error, const char *what, unsigned cpu, struct problem *problem)
{
	switch (-error) {
	case EACCES:
	case EPERM:
		return problem_set(problem, error,
				   "cannot open %s on CPU %u: %s: run as root or grant CAP_PERFMON "
				   "(kernel.perf_event_paranoid is %d)",
				   what, cpu, strerror(-error), paranoid_level());
	case EMFILE:
	case ENFILE:
		return problem_set(problem, error, "cannot open %s on CPU %u: %s: raise the limit (ulimit -n)", what,
				   cpu, strerror(-error));
	case ENOSYS:
		return problem_set(problem, error,
				   "cannot open %s: this kernel was built without perf events (CONFIG_PERF_EVENTS)",
				   what);
	default:
		return problem_set(problem, error, "cannot open %s on CPU %u: %s", what, cpu, strerror(-error));
	}
}

/* A decimal number below CPUS_MAX at *text, which moves behind it. */
static bool take_cpu(const char **text, unsigned *ret)
{
	unsigned value = 0;

	if (**text < '0' || **text > '9')
		return false;
	for (; **text >= '0' && **text <= '9'; (*text)++) {
		value = value * 10 + (unsigned)(**text - '0');
		if (value >= CPUS_MAX)
			return false;
	}
	*ret = value;
	return true;
}

/* One "N" or "N-M" at *text. */
static bool take_range(const char **text, unsigned *ret_first, unsigned *ret_last)
{
	if (!take_cpu(text, ret_first))
		return false;
	*ret_last = *ret_first;
	if (**text != '-')
		return true;
	(*text)++;
	return take_cpu(text, ret_last) && *ret_last >= *ret_first;
}

int cpu_list_parse(const char *text, struct cpu_list *ret)
{
	size_t nr_before = ret->cpus.nr;
	unsigned next = 0; /* ascending order also bounds the length of the list */

	for (;;) {
		unsigned first, last;

		if (!take_range(&text, &first, &last) || first < next)
			break;
		for (next = first; next <= last; next++)
			*vector_push(&ret->cpus) = next;
		if (*text == '\0' || (text[0] == '\n' && text[1] == '\0'))
			return 0;
		if (*text++ != ',')
			break;
	}
	ret->cpus.nr = nr_before;
	return -EBADMSG;
}

int cpu_list_online(struct cpu_list *ret, struct problem *problem)
{
	_cleanup_close_ int fd = open(CPUS_ONLINE_PATH, O_RDONLY | O_CLOEXEC);
	char text[4097]; /* a sysfs file is at most a page */
	ssize_t size;

	if (fd < 0)
		return problem_set(problem, -errno, "cannot read '%s': %s: is /sys mounted?", CPUS_ONLINE_PATH,
				   strerror(errno));
	size = read(fd, text, sizeof(text) - 1);
	if (size < 0)
		return problem_set(problem, -errno, "cannot read '%s': %s", CPUS_ONLINE_PATH, strerror(errno));
	text[size] = '\0';
	if (cpu_list_parse(text, ret) < 0)
		return problem_set(problem, -EBADMSG, "'%s' is not a list of CPUs", CPUS_ONLINE_PATH);
	return 0;
}

void cpu_list_deinit(struct cpu_list *list)
{
	vector_free(&list->cpus);
}
