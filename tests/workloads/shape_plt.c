/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shape_plt SECONDS MODE - calls through the dynamic linker's stubs, and the dynamic linker at work:
 *
 *   stubs    run_stubs calls 16 functions of another library that return at once: much of the time is in their stubs
 *   lazy     a library of 3,000 functions, each called for the first time through its own stub, then unloaded
 *   tls      a thread-local variable of that library, whose block each thread allocates at its first access
 *   resolve  functions chosen by resolvers (IFUNC) that work for a while
 *   libraries  the program is executed again and again; it has 50 libraries
 */
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "work.h"

/* plt_library.c's; F(0) to F(15). */
#define FUNCTIONS(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) F(12) F(13) F(14) F(15)
#define DECLARE(n)   void stub_target_##n(void);
FUNCTIONS(DECLARE)

WORK void run_stubs(unsigned long spins)
{
#define CALL(n) stub_target_##n();
	for (unsigned long left = spins / 48 + 1; left; left--) {
		FUNCTIONS(CALL)
	}
	NOT_A_TAIL_CALL();
}

static const char *folder;

static void *load(const char *name, int flags)
{
	char path[4096];
	void *library;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	library = dlopen(path, flags);
	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		exit(2);
	}
	return library;
}

WORK void call_library(void (*function)(void))
{
	function();
	NOT_A_TAIL_CALL();
}

static void load_and_call(const char *name, const char *function)
{
	void *library = load(name, RTLD_LAZY | RTLD_LOCAL);
	void (*address)(void);

	*(void **)&address = dlsym(library, function);
	if (!address)
		exit(2);
	call_library(address);
	dlclose(library);
}

WORK void run_lazy(unsigned long spins)
{
	(void)spins;
	load_and_call("libshape_lazy.so", "call_all");
	NOT_A_TAIL_CALL();
}

WORK void run_resolve(unsigned long spins)
{
	(void)spins;
	load_and_call("libshape_resolve.so", "call_chosen");
	NOT_A_TAIL_CALL();
}

static void (*touch)(void);

static void *thread_that_touches(void *unused)
{
	(void)unused;
	touch();
	NOT_A_TAIL_CALL();
	return NULL;
}

WORK void run_tls(unsigned long spins)
{
	(void)spins;
	for (int i = 0; i < 20; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, thread_that_touches, NULL))
			exit(2);
		pthread_join(thread, NULL);
	}
}

static uint64_t limit_ns;

/* Runs one program over and over; its own main does nothing. */
static int run_programs(void)
{
	char path[4096];
	uint64_t start_ns = clock_ns(CLOCK_MONOTONIC);

	snprintf(path, sizeof(path), "%s/shape_libraries", folder);
	while (clock_ns(CLOCK_MONOTONIC) - start_ns < limit_ns) {
		pid_t child = fork();
		int status;

		if (!child) {
			execl(path, path, NULL);
			_exit(127);
		}
		if (waitpid(child, &status, 0) != child || status)
			return 2;
	}
	return 0;
}

int main(int argc, char **argv)
{
	char *slash;

	if (argc < 3)
		return 2;
	limit_ns = seconds_argument(argc, argv, 1);
	slash = strrchr(argv[0], '/');
	*slash = 0;
	folder = argv[0];
	say_ready();
	if (!strcmp(argv[2], "stubs"))
		run_for(run_stubs, limit_ns);
	else if (!strcmp(argv[2], "lazy"))
		run_for(run_lazy, limit_ns);
	else if (!strcmp(argv[2], "resolve"))
		run_for(run_resolve, limit_ns);
	else if (!strcmp(argv[2], "libraries"))
		return run_programs();
	else if (!strcmp(argv[2], "tls")) {
		void *library = load("libshape_lazy.so", RTLD_LAZY);

		*(void **)&touch = dlsym(library, "touch_block");
		for (uint64_t start_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
		     clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start_ns < limit_ns;)
			run_tls(0);
	} else {
		return 2;
	}
	return 0;
}
