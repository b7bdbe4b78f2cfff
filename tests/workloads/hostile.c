/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile SECONDS MODE [PATH] - a process whose mappings are made to trouble whoever reads them:
 *
 *   many          as many mappings as the kernel allows, all executable: anonymous, of a file and of a device in turn
 *   many-later    the same, but "ready" comes first
 *   descending    as many single pages as the kernel allows, each below the one before, after "ready"
 *   churn         two libraries in turn at much the same addresses, some hundred times a second
 *   churn-forks   the same, and each time a child that is forked when the library is there runs in it too
 *   pieces        nothing but host_work, whose page gets a flag of its own after a third of the time
 *   files FOLDER  code from files that are afterwards replaced by a FIFO, a folder or a socket, deleted, cut, or that
 *                 were empty or no files in the first place
 *   library PATH  code at 0x1000 of a library that no dynamic linker has looked at
 *
 * Half of the time is spent in host_work, whatever is mapped, and the rest in what was mapped, where that can run.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "work.h"

enum { PAGE = 4096, MANY = 65530, SPARE = 64 };

WORK void host_work(unsigned long spins)
{
	BURN(spins);
}

static work_fn *foreign_code;

WORK void call_first(unsigned long spins)
{
	foreign_code(spins);
	NOT_A_TAIL_CALL();
}

WORK void call_second(unsigned long spins)
{
	foreign_code(spins);
	NOT_A_TAIL_CALL();
}

WORK void call_file(unsigned long spins)
{
	foreign_code(spins);
	NOT_A_TAIL_CALL();
}

/* ---- many ---- */

/* Maps single pages until the kernel refuses, then gives some back so that the process can live on. */
static uint64_t map_many(void)
{
	static char *pages[MANY];
	int files[] = {-1, open("/proc/self/exe", O_RDONLY), open("/dev/zero", O_RDONLY)};
	char *memory = mmap(NULL, (size_t)MANY * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t nr = 0;

	for (; nr < MANY; nr++) {
		int file = files[nr % 3];

		pages[nr] = mmap(memory + nr * PAGE, PAGE, PROT_READ | PROT_EXEC,
				 MAP_PRIVATE | MAP_FIXED | (file < 0 ? MAP_ANONYMOUS : 0), file, 0);
		if (pages[nr] == MAP_FAILED)
			break;
	}
	for (int i = 0; i < SPARE && nr; i++)
		munmap(pages[--nr], PAGE);
	return nr;
}

/* Two pages apart, from high to low: the order in which the kernel itself hands addresses out. */
static uint64_t map_descending(void)
{
	char *memory = mmap(NULL, 2ul * MANY * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int file = open("/proc/self/exe", O_RDONLY);
	size_t nr = 0;

	munmap(memory, 2ul * MANY * PAGE);
	for (; nr < MANY; nr++) {
		char *page = memory + 2 * (MANY - 1 - nr) * PAGE;

		if (mmap(page, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, file, 0) == MAP_FAILED)
			break;
	}
	for (size_t i = 0; i < SPARE && i < nr; i++)
		munmap(memory + 2 * (MANY - nr + i) * PAGE, PAGE);
	return nr - SPARE;
}

static void run_many(uint64_t limit_ns, uint64_t (*map)(void), int ready_first)
{
	uint64_t before = thread_cpu_ns();

	if (ready_first)
		say_ready();
	print_line("mappings", map());
	print_line("mapping_ns", thread_cpu_ns() - before);
	if (!ready_first)
		say_ready();
	print_line("host_work", run_for(host_work, limit_ns));
}

/* ---- churn ---- */

static int churn_forks; /* a child runs in each library as well */

static void run_library(const char *folder, const char *name, work_fn *call, uint64_t *used_ns)
{
	char text[4200];
	void *library;
	pid_t child = -1;

	snprintf(text, sizeof(text), "%s/lib%s.so", folder, name);
	library = dlopen(text, RTLD_NOW);
	if (!library)
		exit(2);
	snprintf(text, sizeof(text), "%s_work", name);
	foreign_code = (work_fn *)dlsym(library, text);
	if (churn_forks)
		child = fork();
	if (child == 0) {
		run_slice(call, 1000000);
		_exit(0);
	}
	*used_ns += run_slice(call, 1000000);
	if (child > 0)
		waitpid(child, NULL, 0);
	dlclose(library);
}

static void run_churn(uint64_t limit_ns, int with_forks)
{
	uint64_t host_ns = 0, first_ns = 0, second_ns = 0, rounds = 0;
	char path[4096];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *folder;

	if (length < 0)
		exit(2);
	path[length] = '\0';
	folder = dirname(path);
	churn_forks = with_forks;
	say_ready();
	while (host_ns < limit_ns / 2) {
		run_library(folder, "first_plugin", call_first, &first_ns);
		run_library(folder, "second_plugin", call_second, &second_ns);
		host_ns += run_slice(host_work, 2000000);
		rounds++;
	}
	print_line("host_work", host_ns);
	print_line("first", first_ns);
	print_line("second", second_ns);
	print_line("rounds", rounds);
}

/* ---- pieces ---- */

static void run_pieces(uint64_t limit_ns)
{
	void *page = (void *)((uintptr_t)host_work & ~(uintptr_t)(PAGE - 1));
	uint64_t used_ns;

	say_ready();
	used_ns = run_for(host_work, limit_ns / 3);
	if (madvise(page, PAGE, MADV_DONTDUMP))
		exit(2);
	print_line("host_work", used_ns + run_for(host_work, limit_ns * 2 / 3));
}

/* ---- files ---- */

/* 1: dec %rdi; jne 1b; ret */
static const unsigned char spin_code[] = {0x48, 0xff, 0xcf, 0x75, 0xfb, 0xc3};

enum { FATE_STAYS, FATE_FIFO, FATE_FOLDER, FATE_SOCKET, FATE_DELETED, FATE_CUT, FATE_EMPTY, FATE_DEVICE, NR_FATES };
static const char *const fates[NR_FATES] = {"stays", "fifo", "folder", "socket", "deleted", "cut", "empty", "device"};

static void put_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	if (bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&address, sizeof(address)))
		exit(2);
}

/* Maps code from a file of its own and then does to the file what its name says. */
static work_fn *map_file(const char *folder, int fate)
{
	char path[100];
	int file;
	void *code;

	snprintf(path, sizeof(path), "%s/%s", folder, fates[fate]);
	file = fate == FATE_DEVICE ? open("/dev/zero", O_RDWR) : open(path, O_RDWR | O_CREAT | O_TRUNC, 0700);
	if (fate < FATE_EMPTY && write(file, spin_code, sizeof(spin_code)) < 0)
		exit(2);
	code = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
	if (file < 0 || code == MAP_FAILED)
		exit(2);
	if (fate == FATE_CUT && ftruncate(file, 0))
		exit(2);
	if (fate >= FATE_FIFO && fate <= FATE_DELETED)
		unlink(path);
	if (fate == FATE_FIFO)
		mkfifo(path, 0700);
	if (fate == FATE_FOLDER)
		mkdir(path, 0700);
	if (fate == FATE_SOCKET)
		put_socket(path);
	close(file);
	return (work_fn *)code;
}

static void run_files(uint64_t limit_ns, const char *folder)
{
	work_fn *code[NR_FATES];
	uint64_t used_ns = 0;
	int nr_run = 0;

	for (int i = 0; i < NR_FATES; i++)
		code[i] = map_file(folder, i);
	say_ready();
	for (int i = 0; i <= FATE_DELETED; i++, nr_run++) {
		foreign_code = code[i];
		used_ns += run_for(call_file, limit_ns / 2 / (FATE_DELETED + 1));
	}
	print_line("files", used_ns);
	print_line("host_work", run_for(host_work, limit_ns / 2));
}

static void run_library_code(uint64_t limit_ns, const char *path)
{
	int file = open(path, O_RDONLY);
	void *code = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, PAGE);

	if (file < 0 || code == MAP_FAILED)
		exit(2);
	say_ready();
	foreign_code = (work_fn *)code;
	print_line("library", run_for(call_file, limit_ns / 2));
	print_line("host_work", run_for(host_work, limit_ns / 2));
}

int main(int argc, char **argv)
{
	uint64_t limit_ns = seconds_argument(argc, argv, 1);
	const char *mode = argc > 2 ? argv[2] : "";

	if (!strcmp(mode, "many") || !strcmp(mode, "many-later"))
		run_many(limit_ns, map_many, mode[4] != '\0');
	else if (!strcmp(mode, "descending"))
		run_many(limit_ns, map_descending, 1);
	else if (!strcmp(mode, "pieces"))
		run_pieces(limit_ns);
	else if (!strncmp(mode, "churn", 5))
		run_churn(limit_ns, mode[5] != '\0');
	else if (!strcmp(mode, "files") && argc > 3)
		run_files(limit_ns, argv[3]);
	else if (!strcmp(mode, "library") && argc > 3)
		run_library_code(limit_ns, argv[3]);
	else
		return 2;
	return 0;
}
