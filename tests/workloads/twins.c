/* SPDX-License-Identifier: Apache-2.0 */
/*
 * twin_1 TURNS - works for 20 ms, becomes twin_2, which does the same and becomes twin_1: TURNS images of one process.
 * Both are linked to the same addresses, without libraries, and their code is the same but for the size of a frame: who
 * takes one for the other doesn't find the caller.
 */
#include <string.h>
#include <unistd.h>

#include "work.h"

#define NAME_(stage, what) twin_##stage##_##what
#define NAME(stage, what)  NAME_(stage, what)
/* A page has no probe, and both sizes have an operand of 4 bytes. */
#define ROOM (STAGE == 1 ? 0x200 : 0xe00)

WORK void NAME(STAGE, work)(unsigned long spins)
{
	BURN(spins);
}

WORK void NAME(STAGE, calls)(unsigned long spins)
{
	volatile unsigned char room[ROOM];

	room[0] = (unsigned char)spins;
	NAME(STAGE, work)(spins);
	room[1] = room[0];
}

int main(int argc, char **argv)
{
	int turns = (int)argument(argc, argv, 1, 50);
	char left[16];
	char *name = strrchr(argv[0], '_');

	run_for(NAME(STAGE, calls), 20000000);
	print_line(STAGE == 1 ? "twin_1" : "twin_2", (uint64_t)(uintptr_t)NAME(STAGE, calls));
	if (turns <= 1)
		return 0;
	if (!name)
		return 2;
	name[1] = STAGE == 1 ? '2' : '1';
	snprintf(left, sizeof(left), "%d", turns - 1);
	execl(argv[0], argv[0], left, (char *)NULL);
	perror(argv[0]);
	return 2;
}
