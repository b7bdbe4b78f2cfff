// SPDX-License-Identifier: Apache-2.0
/*
 * exceptions.cc - C++ whose stacks are hard to walk: exceptions thrown through frames that have to be cleaned up, so
 * that many samples fall into the run-time's own unwinder and into landing pads; deep templates, virtual calls, a
 * comparison that throws out of the middle of a sort, variable stack frames, and all of it in threads as well.
 *
 *   exceptions SECONDS
 */
#include <alloca.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace
{

struct Guard {
	std::string text;
	unsigned *counter;
	Guard(unsigned *where, unsigned number) : text("guard " + std::to_string(number)), counter(where)
	{
	}
	~Guard()
	{
		*counter += text.size();
	}
};

class Node
{
      public:
	virtual ~Node() = default;
	virtual unsigned visit(unsigned depth) const = 0;
};

class Leaf : public Node
{
      public:
	unsigned visit(unsigned depth) const override
	{
		if (depth % 3 == 0)
			throw std::out_of_range("leaf at depth " + std::to_string(depth));
		return depth;
	}
};

class Branch : public Node
{
      public:
	std::unique_ptr<Node> left, right;
	unsigned visit(unsigned depth) const override
	{
		unsigned cleaned = 0;
		Guard guard(&cleaned, depth);

		try {
			return left->visit(depth + 1) + right->visit(depth + 2) + cleaned;
		} catch (const std::length_error &) {
			return cleaned;
		}
	}
};

std::unique_ptr<Node> make_tree(unsigned depth)
{
	if (!depth)
		return std::make_unique<Leaf>();
	auto branch = std::make_unique<Branch>();

	branch->left = make_tree(depth - 1);
	branch->right = make_tree(depth / 2);
	return branch;
}

/* alloca makes the frame's size unknown, so the CFA comes from rbp. */
__attribute__((noinline)) unsigned variable_frame(unsigned size, const std::function<unsigned(char *)> &work)
{
	char *buffer = static_cast<char *>(alloca(size));

	memset(buffer, size & 0x7f, size);
	return work(buffer) + buffer[size - 1];
}

unsigned sort_and_throw(unsigned seed)
{
	std::vector<std::string> words;
	unsigned compared = 0;

	for (unsigned i = 0; i < 200; i++)
		words.push_back("word " + std::to_string((i * 7919 + seed) % 997));
	try {
		std::sort(words.begin(), words.end(), [&](const std::string &a, const std::string &b) {
			if (++compared > 900)
				throw std::runtime_error("enough");
			return a < b;
		});
	} catch (const std::runtime_error &) {
		compared /= 2;
	}
	return compared;
}

/* Over-aligned locals: the prologue aligns rsp, and the CFA is an expression. */
__attribute__((noinline)) unsigned aligned_frame(unsigned number)
{
	alignas(64) volatile double values[16];

	for (unsigned i = 0; i < 16; i++)
		values[i] = number * (i + 0.5);
	std::ostringstream out;

	for (unsigned i = 0; i < 16; i++)
		out << values[i] << ' ';
	return static_cast<unsigned>(out.str().size());
}

unsigned one_round(const Node &tree, unsigned round)
{
	unsigned sum = 0;

	try {
		sum += tree.visit(round % 7);
	} catch (const std::out_of_range &error) {
		sum += strlen(error.what());
	}
	sum += sort_and_throw(round);
	sum += variable_frame(64 + round % 512, [&](char *buffer) {
		std::map<unsigned, std::string> map;

		for (unsigned i = 0; i < 50; i++)
			map[i * 37 % 101] = buffer[i % 64] ? std::to_string(i) : "";
		try {
			return aligned_frame(std::stoi(map.at(round % 150)));
		} catch (const std::exception &) {
			return static_cast<unsigned>(map.size());
		}
	});
	return sum;
}

void work(double seconds)
{
	auto tree = make_tree(9);
	unsigned sum = 0;
	timespec now;

	for (unsigned round = 0;; round++) {
		sum += one_round(*tree, round);
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
		if (now.tv_sec + now.tv_nsec / 1e9 >= seconds)
			break;
	}
	fprintf(stderr, "%u\n", sum);
}

} // namespace

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 1;
	std::thread other(work, seconds / 2);

	work(seconds / 2);
	other.join();
	return 0;
}
