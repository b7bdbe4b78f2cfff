/* SPDX-License-Identifier: Apache-2.0 */
/* bits32 - a 32-bit process without any library; spins for about a second, then exits with 0. */
void _start(void);

static void work_32(unsigned long spins)
{
	for (; spins; spins--)
		__asm__ volatile("" : "+r"(spins));
}

void _start(void)
{
	work_32(2000000000);
	__asm__ volatile("int $0x80" : : "a"(1), "b"(0));
}
