// SPDX-License-Identifier: Apache-2.0
/* names SECONDS - C++ names: templates, namespaces, operators, an exception on the way. */
#include <stdexcept>
#include <string>

#include "work.h"

namespace shapes
{
template <typename number> struct box {
	number side;

	WORK void fill(unsigned long spins)
	{
		BURN(spins);
	}

	WORK box &operator+=(unsigned long spins)
	{
		BURN(spins);
		return *this;
	}
};

namespace
{
WORK void hidden(unsigned long spins)
{
	BURN(spins);
}
}

WORK void thrower(const std::string &why)
{
	throw std::runtime_error(why);
}
}

static shapes::box<double> box;

WORK static void fill(unsigned long spins)
{
	box.fill(spins);
	NOT_A_TAIL_CALL();
}

WORK static void grow(unsigned long spins)
{
	box += spins;
	NOT_A_TAIL_CALL();
}

int main(int argc, char **argv)
{
	uint64_t third_ns = seconds_argument(argc, argv, 2) / 3;

	say_ready();
	try {
		shapes::thrower("an exception");
	} catch (const std::runtime_error &) {
	}
	print_line("fill", run_for(fill, third_ns));
	print_line("operator+=", run_for(grow, third_ns));
	print_line("hidden", run_for(shapes::hidden, third_ns));
	return 0;
}
