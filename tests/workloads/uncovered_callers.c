/* SPDX-License-Identifier: Apache-2.0 */
/* uncovered_callers.c - compiled twice: with unwind information (HOW is covered) and without (bare). */
#include "uncovered.h"

#define JOIN(a, b) a##b
#define NAME(a, b) JOIN(a, b)

#define CALLERS(name)                                                                                                  \
	static work_fn *volatile name##_pointer = spin_##name;                                                         \
	WORK void NAME(name##_direct_, HOW)(unsigned long spins)                                                       \
	{                                                                                                              \
		spin_##name(spins);                                                                                    \
		NOT_A_TAIL_CALL();                                                                                     \
	}                                                                                                              \
	WORK void NAME(name##_pointer_, HOW)(unsigned long spins)                                                      \
	{                                                                                                              \
		name##_pointer(spins);                                                                                 \
		NOT_A_TAIL_CALL();                                                                                     \
	}
UNCOVERED(CALLERS)
