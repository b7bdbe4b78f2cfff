// SPDX-License-Identifier: Apache-2.0
/*
 * shape_throws SECONDS MODE - C++ whose callers are not where they seem to be:
 *
 *   throw   an exception goes through six frames, each with something to destroy; most samples are in the unwinder
 *   sort    std::sort, whose comparison is what works
 *   local   the destructor of a thread_local object
 *   static  the constructor of a static object
 */
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <thread>

#include "work.h"

namespace {

volatile unsigned long sink;
uint64_t limit_ns;

struct guard {
	WORK ~guard();
};

struct local_object {
	int value = 1;

	WORK ~local_object();
};

struct static_object {
	WORK static_object();
};

} // namespace

extern "C" {

WORK void throw_leaf(unsigned long spins)
{
	BURN(spins);
}

WORK void spin_until_limit()
{
	while (thread_cpu_ns() < limit_ns)
		throw_leaf(100000);
}

WORK void throw_deep(int depth)
{
	guard kept;

	if (!depth)
		throw 1;
	throw_deep(depth - 1);
	NOT_A_TAIL_CALL();
}

WORK void catch_one()
{
	try {
		throw_deep(5);
	} catch (int value) {
		sink += static_cast<unsigned long>(value);
		throw_leaf(500);
	}
}

WORK void run_throw(unsigned long spins)
{
	for (unsigned long left = spins / 20000 + 1; left; left--)
		catch_one();
	NOT_A_TAIL_CALL();
}

WORK bool is_less(unsigned int a, unsigned int b)
{
	throw_leaf(200);
	return a < b;
}

WORK void run_sort(unsigned long spins)
{
	unsigned int numbers[300];

	for (unsigned long left = spins / 500000 + 1; left; left--) {
		for (unsigned int i = 0; i < 300; i++)
			numbers[i] = i * 7919u % 1009;
		std::sort(numbers, numbers + 300, is_less);
		sink += numbers[3];
	}
	NOT_A_TAIL_CALL();
}

} // extern "C"

namespace {

guard::~guard()
{
	throw_leaf(500);
	NOT_A_TAIL_CALL();
}

local_object::~local_object()
{
	spin_until_limit();
	NOT_A_TAIL_CALL();
}

/* Before main: the arguments are not known yet. */
static_object::static_object()
{
	const char *seconds = getenv("SHAPE_STATIC_SECONDS");

	if (seconds) {
		limit_ns = static_cast<uint64_t>(atof(seconds) * 1e9);
		spin_until_limit();
	}
	NOT_A_TAIL_CALL();
}

thread_local local_object local;
static_object object;

void use_local()
{
	sink += static_cast<unsigned long>(local.value);
}

} // namespace

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	limit_ns = seconds_argument(argc, argv, 1);
	say_ready();
	if (!strcmp(argv[2], "throw"))
		run_for(run_throw, limit_ns);
	else if (!strcmp(argv[2], "sort"))
		run_for(run_sort, limit_ns);
	else if (!strcmp(argv[2], "local"))
		std::thread(use_local).join();
	else if (strcmp(argv[2], "static"))
		return 2;
	return 0;
}
