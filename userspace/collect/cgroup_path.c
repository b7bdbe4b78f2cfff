/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroup_path.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include "vector.h"

enum { CONTAINER_ID_LENGTH = 64 };

static bool is_container_id(const char *text, size_t length)
{
	if (length != CONTAINER_ID_LENGTH)
		return false;
	for (size_t i = 0; i < length; i++)
		if (!isdigit((unsigned char)text[i]) && (text[i] < 'a' || text[i] > 'f'))
			return false;
	return true;
}

static int hex_digit(char digit)
{
	return isdigit((unsigned char)digit) ? digit - '0' : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* systemd writes \x2d for a '-' that belongs to a name. */
static void copy_unescaped(const char *text, size_t length, char ret[CGROUP_NAME_MAX])
{
	size_t nr = 0;

	for (size_t i = 0; i < length && nr < CGROUP_NAME_MAX - 1; i++) {
		int high = i + 3 < length && text[i] == '\\' && text[i + 1] == 'x' ? hex_digit(text[i + 2]) : -1;
		int low = high >= 0 ? hex_digit(text[i + 3]) : -1;

		ret[nr++] = low >= 0 && (high || low) ? (char)(high * 16 + low) : text[i];
		i += low >= 0 && (high || low) ? 3 : 0;
	}
	ret[nr] = '\0';
}

/* The middle of a name that begins and ends so; 0 = it doesn't, or nothing is between. */
static size_t between(const char *name, size_t length, const char *prefix, const char *suffix)
{
	size_t before = strlen(prefix), behind = strlen(suffix);

	if (length <= before + behind || memcmp(name, prefix, before) != 0 ||
	    memcmp(name + length - behind, suffix, behind) != 0)
		return 0;
	return length - before - behind;
}

static bool find_container(const char *name, size_t length, char ret[CGROUP_NAME_MAX])
{
	static const char *const managers[] = {"docker-", "cri-containerd-", "containerd-", "crio-", "libpod-"};
	static const struct {
		const char *prefix, *suffix;
	} machines[] = {{"machine-", ".scope"}, {"systemd-nspawn@", ".service"}};

	if (is_container_id(name, length)) {
		copy_unescaped(name, length, ret);
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(managers); i++) {
		size_t middle = between(name, length, managers[i], ".scope");

		if (!middle || !is_container_id(name + strlen(managers[i]), middle))
			continue;
		copy_unescaped(name + strlen(managers[i]), middle, ret);
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
		size_t middle = between(name, length, machines[i].prefix, machines[i].suffix);

		if (!middle)
			continue;
		copy_unescaped(name + strlen(machines[i].prefix), middle, ret);
		return true;
	}
	return false;
}

bool cgroup_name_container(const char *name, char ret[CGROUP_NAME_MAX])
{
	return find_container(name, strlen(name), ret);
}

void cgroup_path_container(const char *path, char ret[CGROUP_NAME_MAX])
{
	ret[0] = '\0';
	while (*path) {
		size_t length = strcspn(path, "/");

		find_container(path, length, ret);
		path += length + (path[length] == '/');
	}
}

void cgroup_path_unit(const char *path, char ret[CGROUP_NAME_MAX])
{
	ret[0] = '\0';
	while (*path) {
		size_t length = strcspn(path, "/");

		if (between(path, length, "", ".service") || between(path, length, "", ".scope"))
			copy_unescaped(path, length, ret);
		path += length + (path[length] == '/');
	}
}
