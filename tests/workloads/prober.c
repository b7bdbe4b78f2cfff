/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prober FILE OFFSET entry|return... - puts probes of another tool into a program: at each file offset, on the
 * instruction there or on the function's return. Prints "ready", and removes them when its input ends.
 *
 * perf_event_open() uprobes: they vanish with this process whatever happens to it.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static long read_number(const char *path, const char *format)
{
	FILE *file = fopen(path, "r");
	long number = -1;

	if (!file || fscanf(file, format, &number) != 1) {
		fprintf(stderr, "cannot read %s\n", path);
		exit(2);
	}
	fclose(file);
	return number;
}

static void add_probe(const char *path, unsigned long offset, int is_return)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = (unsigned int)read_number("/sys/bus/event_source/devices/uprobe/type", "%ld"),
		.uprobe_path = (unsigned long)path,
		.probe_offset = offset,
	};

	if (is_return)
		attr.config |=
			1ull << read_number("/sys/bus/event_source/devices/uprobe/format/retprobe", "config:%ld");
	/* One CPU is enough for the probe to be there for all. */
	int fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0 || ioctl(fd, PERF_EVENT_IOC_ENABLE, 0)) {
		fprintf(stderr, "cannot probe %s+%#lx: %s\n", path, offset, strerror(errno));
		exit(2);
	}
}

int main(int argc, char **argv)
{
	for (int i = 2; i + 1 < argc; i += 2)
		add_probe(argv[1], strtoul(argv[i], NULL, 0), strcmp(argv[i + 1], "return") == 0);
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}
