/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shape_library - libraries of shape_plt, one by each macro: STUBS (targets of its stubs), LAZY (a count of functions
 * without end, from LIST), RESOLVE (functions chosen by resolvers), MEMBER (one of many), PROGRAM (what has the many).
 */
#include "work.h"

#ifdef STUBS
#define TARGET(n)                                                                                                      \
	WORK void stub_target_##n(void)                                                                                \
	{                                                                                                              \
		__asm__ volatile("");                                                                                  \
	}
TARGET(0)
TARGET(1) TARGET(2) TARGET(3) TARGET(4) TARGET(5) TARGET(6) TARGET(7) TARGET(8) TARGET(9) TARGET(10) TARGET(11)
	TARGET(12) TARGET(13) TARGET(14) TARGET(15)
#endif

#ifdef LAZY
#define TEN(F, n) F(n##0) F(n##1) F(n##2) F(n##3) F(n##4) F(n##5) F(n##6) F(n##7) F(n##8) F(n##9)
#define HUNDRED(F, n)                                                                                                  \
	TEN(F, n##0)                                                                                                   \
	TEN(F, n##1) TEN(F, n##2) TEN(F, n##3) TEN(F, n##4) TEN(F, n##5) TEN(F, n##6) TEN(F, n##7) TEN(F, n##8)        \
		TEN(F, n##9)
#define THOUSAND(F, n)                                                                                                 \
	HUNDRED(F, n##0)                                                                                               \
	HUNDRED(F, n##1) HUNDRED(F, n##2) HUNDRED(F, n##3) HUNDRED(F, n##4) HUNDRED(F, n##5) HUNDRED(F, n##6)          \
		HUNDRED(F, n##7) HUNDRED(F, n##8) HUNDRED(F, n##9)
#define DEFINE(n)                                                                                                      \
	void lazy_##n(void)                                                                                            \
	{                                                                                                              \
		__asm__ volatile("");                                                                                  \
	}
#define CALL(n) lazy_##n();
		THOUSAND(DEFINE, 1) THOUSAND(DEFINE, 2) THOUSAND(DEFINE, 3)

			WORK void call_all(void)
{
	THOUSAND(CALL, 1) THOUSAND(CALL, 2) THOUSAND(CALL, 3)
}

static __thread volatile char block[1 << 20] = {1};

WORK void touch_block(void)
{
	block[random_below(1 << 20)]++;
	for (volatile int i = 0; i < 1000; i++)
		;
}
#endif

#ifdef RESOLVE
enum { RESOLVER_SPINS = 1000000 };

static void chosen(void)
{
	__asm__ volatile("");
}

WORK void resolver_work(void)
{
	BURN(RESOLVER_SPINS);
}

#define RESOLVED(n)                                                                                                    \
	static void (*resolve_##n(void))(void)                                                                         \
	{                                                                                                              \
		resolver_work();                                                                                       \
		NOT_A_TAIL_CALL();                                                                                     \
		return chosen;                                                                                         \
	}                                                                                                              \
	void resolved_##n(void) __attribute__((ifunc("resolve_" #n)));
RESOLVED(0)
RESOLVED(1) RESOLVED(2) RESOLVED(3)

	WORK void call_chosen(void)
{
	resolved_0();
	resolved_1();
	resolved_2();
	resolved_3();
	NOT_A_TAIL_CALL();
}
#endif

#ifdef MEMBER
#define JOIN(a, b) a##b
#define NAME(a, b) JOIN(a, b)
void NAME(member_, MEMBER)(void);
void NAME(member_, MEMBER)(void)
{
	puts("");
}
#endif

#ifdef PROGRAM
int main(void)
{
	return 0;
}
#endif
