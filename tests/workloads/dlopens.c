/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dlopens SECONDS - a third of the time in host_work, then in a library loaded while it runs, then, that one closed,
 * in another, which usually gets the addresses of the first.
 */
#include <dlfcn.h>
#include <libgen.h>
#include <unistd.h>

#include "work.h"

WORK void host_work(unsigned long spins)
{
	BURN(spins);
}

static void *plugin_work;

WORK void call_plugin(unsigned long spins)
{
	((work_fn *)plugin_work)(spins);
	NOT_A_TAIL_CALL();
}

static uint64_t run_plugin(const char *folder, const char *name, uint64_t total_ns)
{
	uint64_t used_ns;
	char text[4200];
	void *library;

	snprintf(text, sizeof(text), "%s/lib%s.so", folder, name);
	library = dlopen(text, RTLD_NOW);
	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		exit(2);
	}
	snprintf(text, sizeof(text), "%s_work", name);
	plugin_work = dlsym(library, text);
	if (!plugin_work)
		exit(2);
	print_line("plugin_address", (uint64_t)plugin_work);
	used_ns = run_for(call_plugin, total_ns);
	dlclose(library);
	return used_ns;
}

int main(int argc, char **argv)
{
	uint64_t third_ns = seconds_argument(argc, argv, 3) / 3;
	uint64_t used_ns;
	char path[4096];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *folder;

	if (length < 0)
		return 2;
	path[length] = '\0';
	folder = dirname(path);
	say_ready();
	print_line("host_work", run_for(host_work, third_ns));
	used_ns = run_plugin(folder, "first_plugin", third_ns);
	print_line("first_plugin_work", used_ns);
	used_ns = run_plugin(folder, "second_plugin", third_ns);
	print_line("second_plugin_work", used_ns);
	return 0;
}
