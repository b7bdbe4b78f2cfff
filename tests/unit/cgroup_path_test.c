/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup_path_test.c - which container, which unit do paths name that container managers and systemd really make? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cgroup_path.h"
#include "vector.h"

#define ID    "3f4e5d6c7b8a99008877665544332211ffeeddccbbaa00998877665544332211"
#define OTHER "0000000000000000000000000000000000000000000000000000000000000001"

static const struct {
	const char *path, *container, *unit;
} cases[] = {
	{"/", "", ""},
	{"", "", ""},
	{"/init.scope", "", "init.scope"},
	{"/system.slice/cron.service", "", "cron.service"},
	{"/user.slice/user-1000.slice/session-3.scope", "", "session-3.scope"},
	{"/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.gnome.Terminal.slice/vte-spawn-1.scope", "",
	 "vte-spawn-1.scope"},
	{"/user.slice/user-1000.slice/user@1000.service/app.slice", "", "user@1000.service"},
	{"/system.slice/system-getty.slice/getty@tty1.service", "", "getty@tty1.service"},
	{"/system.slice/docker-" ID ".scope", ID, "docker-" ID ".scope"},
	{"/docker/" ID, ID, ""},
	{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12.slice/cri-containerd-" ID ".scope", ID,
	 "cri-containerd-" ID ".scope"},
	{"/kubepods/besteffort/pod1234-5678/" ID, ID, ""},
	{"/kubepods.slice/crio-" ID ".scope/container", ID, "crio-" ID ".scope"},
	{"/machine.slice/libpod-" ID ".scope/container", ID, "libpod-" ID ".scope"},
	/* The process that watches over a container isn't in it. */
	{"/machine.slice/libpod-conmon-" ID ".scope", "", "libpod-conmon-" ID ".scope"},
	{"/machine.slice/machine-debian\\x2d12.scope/payload", "debian-12", "machine-debian-12.scope"},
	{"/machine.slice/systemd-nspawn@web.service/payload/system.slice/nginx.service", "web", "nginx.service"},
	/* A container in a container. */
	{"/docker/" ID "/docker/" OTHER, OTHER, ""},
	{"/docker/" ID "/system.slice/nginx.service", ID, "nginx.service"},
	/* No ids: too short, too long, upper case, and names that only look so. */
	{"/docker/3f4e5d", "", ""},
	{"/docker/" ID "0", "", ""},
	{"/docker/3F4E5D6C7B8A99008877665544332211FFEEDDCCBBAA00998877665544332211", "", ""},
	{"/docker-.scope", "", "docker-.scope"},
	{"/.service", "", ""},
	{"/machine-.scope", "", "machine-.scope"},
	{"//a//" ID "//", ID, ""},
	/* Broken escapes stay as they are; no NUL comes out of one. */
	{"/machine-a\\x2.scope", "a\\x2", "machine-a\\x2.scope"},
	{"/machine-a\\x00b.scope", "a\\x00b", "machine-a\\x00b.scope"},
	{"/machine-a\\xzz.scope", "a\\xzz", "machine-a\\xzz.scope"},
};

static void test_paths(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char container[CGROUP_NAME_MAX], unit[CGROUP_NAME_MAX];

		cgroup_path_container(cases[i].path, container);
		cgroup_path_unit(cases[i].path, unit);
		assert_string_equal(container, cases[i].container);
		assert_string_equal(unit, cases[i].unit);
	}
}

/* Longer than any name that is handed out. */
static void test_long(void **state)
{
	char path[2000] = "/machine-", name[CGROUP_NAME_MAX];

	(void)state;
	memset(path + strlen(path), 'n', 1000);
	strcat(path, ".scope");
	cgroup_path_container(path, name);
	assert_int_equal(strlen(name), CGROUP_NAME_MAX - 1);
	cgroup_path_unit(path, name);
	assert_int_equal(strlen(name), CGROUP_NAME_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_paths), cmocka_unit_test(test_long)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
