/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_folder.h - a folder that a test is in and that goes with it: set-up enter_folder(), tear-down leave_folder().
 * Nothing says who called sudo, whatever runs the tests.
 */
#ifndef EBPROF_TESTS_TEST_FOLDER_H
#define EBPROF_TESTS_TEST_FOLDER_H

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory.h"

static char folder[64];

static inline int enter_folder(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/ebprof-test-XXXXXX");
	unsetenv("SUDO_UID");
	unsetenv("SUDO_GID");
	/* Others may write there as well: a command is run with their rights. */
	return !mkdtemp(folder) || chmod(folder, 0777) != 0 || chdir(folder) != 0;
}

static inline int leave_folder(void **state)
{
	(void)state;
	_cleanup_free_ char *command = memory_format("rm -rf %s", folder);

	return chdir("/") != 0 || system(command) != 0;
}

#endif
