/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor_host.c - how probes read the host's files, below a root that tests can replace.
 *
 * Which namespaces are the kernel's first ones is told by their inode numbers, which are the same everywhere and for
 * good. A container is recognised by its pid namespace or by the marks that its engines leave, since one that shares
 * the host's pids is one all the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"
#include "input.h"
#include "memory.h"
#include "text.h"

enum { MOUNTS_MAX_BYTES = 16 << 20 };
static const uint64_t FIRST_USER_NAMESPACE = 0xeffffffd, FIRST_PID_NAMESPACE = 0xeffffffc;

static char *path_of(const struct host *host, const char *path)
{
	return memory_format("%s%s", host->root, path);
}

static bool has_file(const struct host *host, const char *path)
{
	_cleanup_free_ char *full = path_of(host, path);

	return access(full, F_OK) == 0;
}

static bool is_container(const struct host *host)
{
	return !host->sees_all_pids || has_file(host, "/.dockerenv") || has_file(host, "/run/.containerenv") ||
	       has_file(host, "/run/host/container-manager");
}

bool host_may_record(const struct host *host)
{
	bool may = !host->in_user_namespace;

	for (size_t i = 0; i < NR_PRIVILEGES; i++)
		may &= !privileges[i].is_required || privileges_hold(host->effective, &privileges[i]);
	return may;
}

int host_read_line(const struct host *host, const char *path, char *ret, size_t size)
{
	_cleanup_free_ char *full = path_of(host, path);
	_cleanup_close_ int fd = open(full, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, ret, size - 1);

	if (got < 0)
		return -errno;
	ret[got] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	return 0;
}

int host_read_number(const struct host *host, const char *path, long long *ret)
{
	char line[64];
	int error = host_read_line(host, path, line, sizeof(line));
	bool is_negative = !error && line[0] == '-';

	if (error)
		return error;
	if (!text_parse_integer(line + is_negative, ret))
		return -EBADMSG;
	*ret = is_negative ? -*ret : *ret;
	return 0;
}

uint64_t host_namespace(const struct host *host, const char *name)
{
	_cleanup_free_ char *path = memory_format("%s/proc/self/ns/%s", host->root, name);
	char link[64];
	ssize_t length = readlink(path, link, sizeof(link) - 1);
	uint64_t inode;

	if (length < 0)
		return 0;
	link[length] = '\0';
	return sscanf(link, "%*[a-z]:[%" SCNu64 "]", &inode) == 1 ? inode : 0;
}

/* Whether a list such as "rw,hidepid=2" has that word. */
static bool has_option(const char *list, const char *word)
{
	size_t length = strlen(word);

	while (*list) {
		size_t next = strcspn(list, ",");

		if (next == length && strncmp(list, word, length) == 0)
			return true;
		list += next + (list[next] == ',');
	}
	return false;
}

/* ID PARENT DEVICE ROOT FOLDER OPTIONS [TAG...] - TYPE SOURCE OPTIONS */
static bool read_mount(char *line, const char *type, const char *option, struct host_mount *ret)
{
	char found_type[64];
	const char *rest = strstr(line, " - ");

	if (!rest || sscanf(line, "%*s %*s %*s %*s %511s", ret->folder) != 1 ||
	    sscanf(rest, " - %63s %*s %511s", found_type, ret->options) != 2)
		return false;
	return strcmp(found_type, type) == 0 && (!option || has_option(ret->options, option));
}

int host_find_mount(const struct host *host, const char *type, const char *option, struct host_mount *ret)
{
	_cleanup_free_ char *path = path_of(host, "/proc/self/mountinfo");
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	struct host_mount mount;
	size_t size;
	int error = fd < 0 ? -errno : input_read(fd, MOUNTS_MAX_BYTES, &text, &size);
	char *next = text, *line;

	if (error)
		return error;
	error = -ENOENT;
	while ((line = strsep(&next, "\n"))) {
		/* One over another, at the same place, is what is seen there. */
		if (!read_mount(line, type, option, &mount) || (!error && strcmp(mount.folder, ret->folder) != 0))
			continue;
		*ret = mount;
		error = 0;
	}
	return error;
}

bool host_has_program(const struct host *host, const char *name)
{
	_cleanup_free_ char *copy = memory_strdup(host->path ? host->path : "/usr/local/bin:/usr/bin:/bin");
	char *next = copy, *folder;

	while ((folder = strsep(&next, ":"))) {
		_cleanup_free_ char *path = memory_format("%s%s/%s", host->root, folder, name);

		if (folder[0] == '/' && access(path, X_OK) == 0)
			return true;
	}
	return false;
}

/* A value of /etc/os-release without its quotes; "" = it has none. */
static const char *read_release(const struct host *host, const char *name, char *ret, size_t size)
{
	_cleanup_free_ char *path = path_of(host, "/etc/os-release");
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	size_t length = strlen(name);
	char line[256];

	ret[0] = '\0';
	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, name, length) != 0 || line[length] != '=')
			continue;
		const char *value = line + length + 1 + (line[length + 1] == '"');

		snprintf(ret, size, "%.*s", (int)strcspn(value, "\"\n"), value);
		break;
	}
	return ret;
}

static bool has_word(const char *list, const char *word)
{
	_cleanup_free_ char *copy = memory_strdup(list);
	char *next = copy, *found;

	while ((found = strsep(&next, " "))) {
		if (strcmp(found, word) == 0)
			return true;
	}
	return false;
}

/*
 * A release's newest kernel is of another suite (Debian) or name (Ubuntu) than the one that it was made with, and those
 * carry the release's own name.
 */
static void newest_kernel(const struct host *host, const char *plain, char *ret, size_t size)
{
	char id[64], release[64];

	read_release(host, "ID", id, sizeof(id));
	if (strcmp(id, "debian") == 0 && read_release(host, "VERSION_CODENAME", release, sizeof(release))[0])
		snprintf(ret, size, "sudo apt-get install -t %s-backports linux-image-amd64 && sudo reboot", release);
	else if (strcmp(id, "ubuntu") == 0 && read_release(host, "VERSION_ID", release, sizeof(release))[0])
		snprintf(ret, size, "sudo apt-get install linux-generic-hwe-%s && sudo reboot", release);
	else
		snprintf(ret, size, "%s", plain);
}

static void find_commands(struct host *host)
{
	static const struct {
		const char *id, *commands[NR_PACKAGES];
	} distributions[] = {
		{"debian",
		 {"sudo apt-get install linux-image-amd64 && sudo reboot", "sudo apt-get install libc6-dbg",
		  "sudo apt-get install debuginfod"}},
		{"fedora",
		 {"sudo dnf upgrade kernel && sudo reboot", "sudo dnf debuginfo-install glibc",
		  "sudo dnf install elfutils-debuginfod-client"}},
		{"suse",
		 {"sudo zypper update kernel-default && sudo reboot", "sudo zypper install glibc-debuginfo",
		  "sudo zypper install debuginfod-client"}},
		{"arch", {"sudo pacman -Syu linux && sudo reboot", "", "sudo pacman -S debuginfod"}},
	};
	char id[64], like[128];

	read_release(host, "ID", id, sizeof(id));
	read_release(host, "ID_LIKE", like, sizeof(like));
	memset(host->install, 0, sizeof(host->install));
	for (size_t i = 0; i < ARRAY_SIZE(distributions); i++) {
		if (strcmp(distributions[i].id, id) != 0 && !has_word(like, distributions[i].id))
			continue;
		for (size_t j = 0; j < NR_PACKAGES; j++)
			snprintf(host->install[j], sizeof(host->install[j]), "%s", distributions[i].commands[j]);
		newest_kernel(host, distributions[i].commands[PACKAGE_KERNEL], host->install[PACKAGE_KERNEL],
			      sizeof(host->install[PACKAGE_KERNEL]));
		return;
	}
}

void host_init(struct host *host)
{
	_cleanup_free_ char *status = path_of(host, "/proc/self/status");
	uint64_t users = host_namespace(host, "user"), pids = host_namespace(host, "pid");

	host->effective = privileges_read(status, "CapEff");
	host->bounding = privileges_read(status, "CapBnd");
	host->in_user_namespace = users && users != FIRST_USER_NAMESPACE;
	host->sees_all_pids = !pids || pids == FIRST_PID_NAMESPACE;
	find_commands(host);
	host->in_container = is_container(host);
}

/* ---- findings ---- */

void finding_set(struct finding *finding, enum finding_status status, const char *format, ...)
{
	va_list args;

	*finding = (struct finding){.status = status};
	va_start(args, format);
	vsnprintf(finding->text, sizeof(finding->text), format, args);
	va_end(args);
}

void finding_set_cost(struct finding *finding, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(finding->cost, sizeof(finding->cost), format, args);
	va_end(args);
}

void finding_set_fix(struct finding *finding, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(finding->fix, sizeof(finding->fix), format, args);
	va_end(args);
}

void finding_set_unread(struct finding *finding, const char *path, int error)
{
	if (error == -EACCES || error == -EPERM)
		finding_set(finding, FINDING_UNKNOWN, "needs root");
	else
		finding_set(finding, FINDING_UNKNOWN, "cannot read '%s': %s", path, strerror(-error));
}

const char *finding_status_name(enum finding_status status)
{
	static const char *const names[] = {
		[FINDING_OK] = "ok",
		[FINDING_NOTE] = "note",
		[FINDING_MISSING] = "missing",
		[FINDING_UNKNOWN] = "unknown",
	};

	return names[status];
}
