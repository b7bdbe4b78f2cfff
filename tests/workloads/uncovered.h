/* SPDX-License-Identifier: Apache-2.0 */
/* uncovered.h - the functions of uncovered.S, and their callers: each directly and through a pointer. */
#ifndef EBPROF_WORKLOADS_UNCOVERED_H
#define EBPROF_WORKLOADS_UNCOVERED_H

#include "work.h"

#define UNCOVERED(F)                                                                                                   \
	F(leaf)                                                                                                        \
	F(pushes)                                                                                                      \
	F(locals)                                                                                                      \
	F(realigned)                                                                                                   \
	F(spilled)                                                                                                     \
	F(calls)                                                                                                       \
	F(spilled_calls)                                                                                               \
	F(tail)                                                                                                        \
	F(loops)                                                                                                       \
	F(returns)                                                                                                     \
	F(rbp)                                                                                                         \
	F(rbp_calls)                                                                                                   \
	F(frame)                                                                                                       \
	F(enter)                                                                                                       \
	F(alloca)                                                                                                      \
	F(constants)                                                                                                   \
	F(switch)

#define DECLARE(name)                                                                                                  \
	extern work_fn spin_##name, name##_direct_covered, name##_pointer_covered, name##_direct_bare,                 \
		name##_pointer_bare;
UNCOVERED(DECLARE)

#endif
