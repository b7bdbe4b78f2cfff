/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_1 SECONDS - works in image_1_work, becomes exec_2, works in image_2_work, becomes exec_3: one pid, three images
 * at (without randomisation) the same addresses. Built three times with another STAGE.
 */
#include <string.h>
#include <unistd.h>

#include "work.h"

#define NAME_(stage)     image_##stage##_work
#define NAME(stage)      NAME_(stage)
#define TEXT_(something) #something
#define TEXT(something)  TEXT_(something)

WORK void NAME(STAGE)(unsigned long spins)
{
	BURN(spins);
}

int main(int argc, char **argv)
{
	uint64_t limit_ns = seconds_argument(argc, argv, 1);
	char path[4096];
	char *name;

	if (STAGE == 1)
		say_ready();
	print_line(TEXT(NAME(STAGE)), run_for(NAME(STAGE), limit_ns));
	if (STAGE == 3)
		return 0;
	snprintf(path, sizeof(path), "%s", argv[0]);
	name = strrchr(path, '_');
	if (!name)
		return 2;
	name[1] = '1' + STAGE;
	argv[0] = path;
	execv(path, argv);
	perror(path);
	return 2;
}
