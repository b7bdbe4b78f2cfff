/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor_surroundings.c - where does ebprof run, and what will it be able to name?
 *
 * A container hides pids, files of the host and most of its cgroups; names of kernel functions hang on two sysctls and
 * a capability, and the file that has them is the judge: an unprivileged reader sees it in full length, with zeros for
 * addresses.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"
#include "memory.h"

enum { SYMBOLS_LOOKED_AT = 4096 };

void probe_container(const struct host *host, const struct probe *probe, struct finding *ret)
{
	(void)probe;
	if (!host_namespace(host, "pid")) {
		finding_set(ret, FINDING_UNKNOWN, "no /proc/self/ns/pid");
	} else if (!host->in_container) {
		finding_set(ret, FINDING_OK, "none: all processes of the host can be seen");
	} else if (host->sees_all_pids) {
		finding_set(ret, FINDING_OK, "in one that sees all processes of the host");
	} else {
		finding_set(ret, FINDING_NOTE, "in one, or in a pid namespace of its own: pids are those of here");
		finding_set_cost(ret, "processes outside of it: they have no pid here that -p could name");
		finding_set_fix(ret, "docker run --pid=host ...   (or run ebprof on the host)");
	}
}

void probe_proc(const struct host *host, const struct probe *probe, struct finding *ret)
{
	struct host_mount mount;
	int error = host_find_mount(host, "proc", NULL, &mount);
	bool may_trace = host->effective >> CAP_SYS_PTRACE & 1;
	const char *hidden = error ? NULL : strstr(mount.options, "hidepid=");

	(void)probe;
	if (error == -ENOENT) {
		finding_set(ret, FINDING_MISSING, "/proc is not mounted");
		finding_set_cost(ret, "everything: mappings and names are read there");
		finding_set_fix(ret, "sudo mount -t proc proc /proc");
	} else if (error) {
		finding_set_unread(ret, "/proc/self/mountinfo", error);
	} else if (hidden && strncmp(hidden, "hidepid=0", 9) != 0 && strncmp(hidden, "hidepid=off", 11) != 0 &&
		   !may_trace) {
		finding_set(ret, FINDING_NOTE, "mounted with %.*s", (int)strcspn(hidden, ","), hidden);
		finding_set_cost(ret, "other users' processes: their mappings can't be read");
		finding_set_fix(ret, "sudo ebprof record ...   (CAP_SYS_PTRACE)");
	} else {
		finding_set(ret, FINDING_OK, "mounted; processes are not hidden");
	}
}

void probe_cgroups(const struct host *host, const struct probe *probe, struct finding *ret)
{
	struct host_mount unified, old;
	int error = host_find_mount(host, "cgroup2", NULL, &unified);
	bool is_hybrid = host_find_mount(host, "cgroup", NULL, &old) == 0;

	(void)probe;
	if (!error && !is_hybrid) {
		finding_set(ret, FINDING_OK, "version 2, at %s", unified.folder);
	} else if (!error) {
		finding_set(ret, FINDING_NOTE, "version 2 at %s, beside version 1", unified.folder);
		finding_set_cost(ret, "groups that exist in version 1 only can't be told apart");
		finding_set_fix(ret, "boot with systemd.unified_cgroup_hierarchy=1");
	} else if (error == -ENOENT) {
		finding_set(ret, FINDING_NOTE, "version 2 is not mounted");
		finding_set_cost(ret, "cgroups and containers can't be told apart");
		finding_set_fix(ret, "sudo mount -t cgroup2 cgroup2 /sys/fs/cgroup");
	} else {
		finding_set_unread(ret, "/proc/self/mountinfo", error);
	}
}

/* Whether the addresses in kallsyms can be read: 1 yes, 0 they are hidden, or a negative errno. */
static int symbols_readable(const struct host *host)
{
	_cleanup_free_ char *path = memory_format("%s/proc/kallsyms", host->root);
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	size_t nr = 0;
	char line[1024], type;
	uint64_t address;

	if (!file)
		return -errno;
	while (nr < SYMBOLS_LOOKED_AT && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%" SCNx64 " %c", &address, &type) != 2 || !strchr("tTwW", type))
			continue;
		if (address)
			return 1;
		nr++;
	}
	return nr ? 0 : -ENODATA;
}

void probe_kernel_symbols(const struct host *host, const struct probe *probe, struct finding *ret)
{
	bool has_syslog = host->effective >> CAP_SYSLOG & 1;
	int readable = symbols_readable(host);
	long long restricted = 0;

	(void)probe;
	if (readable == 1) {
		finding_set(ret, FINDING_OK, "/proc/kallsyms is readable");
		return;
	}
	if (readable == -EACCES || readable == -EPERM) {
		finding_set_unread(ret, "/proc/kallsyms", readable);
		return;
	}
	finding_set(ret, FINDING_NOTE, "%s",
		    readable ? "there are none in /proc/kallsyms" : "/proc/kallsyms shows no addresses");
	finding_set_cost(ret, "names of kernel functions");
	int error = host_read_number(host, "/proc/sys/kernel/kptr_restrict", &restricted);

	if (readable < 0)
		finding_set_fix(ret, "%s", host->install[PACKAGE_KERNEL]);
	else if (!error && restricted >= 2)
		finding_set_fix(ret, "sudo sysctl kernel.kptr_restrict=1");
	else if (host->in_user_namespace)
		finding_set_fix(ret, "sudo ebprof record ...   (outside of the user namespace)");
	else if (!has_syslog)
		finding_set_fix(ret, "sudo ebprof record ...   (CAP_SYSLOG; kernel.kptr_restrict is %lld)", restricted);
}

/* Whether a folder that holds debug files by build-id has any. */
static bool has_debug_files(const struct host *host)
{
	_cleanup_free_ char *path = memory_format("%s/usr/lib/debug/.build-id", host->root);
	DIR *folder = opendir(path);
	bool found = false;

	for (struct dirent *entry = NULL; folder && !found && (entry = readdir(folder));)
		found = entry->d_name[0] != '.';
	if (folder)
		closedir(folder);
	return found;
}

void probe_debug_files(const struct host *host, const struct probe *probe, struct finding *ret)
{
	(void)probe;
	if (has_debug_files(host)) {
		finding_set(ret, FINDING_OK, "some are installed in /usr/lib/debug");
		return;
	}
	finding_set(ret, FINDING_NOTE, "none are installed in /usr/lib/debug");
	finding_set_cost(ret,
			 "of stripped files: names of functions that they don't export, inlined ones, source lines");
	finding_set_fix(ret, "%s", host->install[PACKAGE_LIBC_DEBUG]);
}

void probe_debuginfod(const struct host *host, const struct probe *probe, struct finding *ret)
{
	bool has_urls = host->debuginfod_urls && host->debuginfod_urls[0];
	bool has_program = host_has_program(host, "debuginfod-find");

	(void)probe;
	if (has_urls && has_program) {
		finding_set(ret, FINDING_OK, "debuginfod-find can fetch debug files by hand (ebprof asks no server)");
		return;
	}
	if (has_debug_files(host)) {
		finding_set(ret, FINDING_OK, "not set up (ebprof asks no server)");
		return;
	}
	finding_set(ret, FINDING_NOTE, "%s",
		    has_urls      ? "debuginfod-find is not installed"
		    : has_program ? "DEBUGINFOD_URLS is not set"
				  : "debuginfod-find is not installed, DEBUGINFOD_URLS not set");
	finding_set_cost(ret,
			 "debug files that no package brings can't be fetched by hand; ebprof itself asks no server");
	const char *install = has_program ? "" : host->install[PACKAGE_DEBUGINFOD];
	const char *export = has_urls ? "" : "export DEBUGINFOD_URLS=https://debuginfod.elfutils.org/";

	finding_set_fix(ret, "%s%s%s", install, install[0] && export[0] ? " && " : "", export);
}
