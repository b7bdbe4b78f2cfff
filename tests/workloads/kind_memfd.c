/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kind_memfd SECONDS MODE - code in files that are only in memory:
 *
 *   exec    becomes the program "shares" from a memfd, by fexecve
 *   dlopen  loads libfirst_plugin.so from one
 *   jit     code made at run time in one that is mapped twice, to write and to run; it keeps the frame pointer
 *   shared  the same code in memory that is shared with children, which the kernel calls by the name of a device
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "work.h"

/* push rbp; mov rbp,rsp; 1: sub rdi,1; jne 1b; pop rbp; ret */
static const unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xef, 0x01, 0x75, 0xfa, 0x5d, 0xc3};
static work_fn *memfd_code;

WORK void call_memfd(unsigned long spins)
{
	memfd_code(spins);
	NOT_A_TAIL_CALL();
}

/* A copy of a file beside this program. */
static int copy_file(const char *program, const char *name)
{
	char path[4096], folder[4096];
	int from, to = memfd_create(name, 0);
	ssize_t got;

	snprintf(folder, sizeof(folder), "%s", program);
	snprintf(path, sizeof(path), "%s/%s", dirname(folder), name);
	from = open(path, O_RDONLY);
	while ((got = read(from, path, sizeof(path))) > 0)
		if (write(to, path, (size_t)got) != got)
			return -1;
	return got ? -1 : to;
}

static work_fn *load(const char *program)
{
	char path[64];
	void *library;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", copy_file(program, "libfirst_plugin.so"));
	library = dlopen(path, RTLD_NOW);
	return library ? (work_fn *)dlsym(library, "first_plugin_work") : NULL;
}

static work_fn *make(void)
{
	int fd = memfd_create("made code", 0);
	char *to_write, *to_run;

	if (ftruncate(fd, 4096))
		return NULL;
	to_write = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	to_run = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	if (to_write == MAP_FAILED || to_run == MAP_FAILED)
		return NULL;
	memcpy(to_write, code, sizeof(code));
	return (work_fn *)to_run;
}

static work_fn *make_shared(void)
{
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return NULL;
	memcpy(page, code, sizeof(code));
	return (work_fn *)page;
}

int main(int argc, char **argv, char **environment)
{
	uint64_t limit_ns = seconds_argument(argc, argv, 1);
	const char *mode = argc > 2 ? argv[2] : "";

	if (!strcmp(mode, "exec")) {
		char *arguments[] = {"shares", argv[1], NULL};

		fexecve(copy_file(argv[0], "shares"), arguments, environment);
		return 2;
	}
	memfd_code = !strcmp(mode, "dlopen") ? load(argv[0]) : !strcmp(mode, "shared") ? make_shared() : make();
	if (!memfd_code)
		return 2;
	say_ready();
	print_line(mode, run_for(call_memfd, limit_ns));
	return 0;
}
