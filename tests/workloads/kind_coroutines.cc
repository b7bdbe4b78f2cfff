/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kind_coroutines SECONDS - C++20 coroutines: a generator that is resumed for each slice and works in its body; and a
 * task that awaits another one, which starts by symmetric transfer: the awaiting body has left the stack when the
 * awaited one works, so the caller of both is whoever resumed the first.
 */
#include <coroutine>
#include <exception>

#include "work.h"

static unsigned long wanted_spins;

extern "C" WORK void generator_work(unsigned long spins)
{
	BURN(spins);
}

extern "C" WORK void awaited_work(unsigned long spins)
{
	BURN(spins);
}

extern "C" WORK void awaiting_work(unsigned long spins)
{
	BURN(spins);
}

struct generator {
	struct promise_type {
		generator get_return_object() { return { std::coroutine_handle<promise_type>::from_promise(*this) }; }
		std::suspend_always initial_suspend() noexcept { return {}; }
		std::suspend_always final_suspend() noexcept { return {}; }
		std::suspend_always yield_value(int) { return {}; }
		void return_void() {}
		void unhandled_exception() { std::terminate(); }
	};
	std::coroutine_handle<promise_type> handle;
};

static generator slices()
{
	for (int i = 0;; i++) {
		generator_work(wanted_spins);
		co_yield i;
	}
}

struct task {
	struct promise_type {
		std::coroutine_handle<> waiting = std::noop_coroutine();

		task get_return_object() { return { std::coroutine_handle<promise_type>::from_promise(*this) }; }
		std::suspend_always initial_suspend() noexcept { return {}; }
		struct back {
			bool await_ready() noexcept { return false; }
			std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> done) noexcept
			{
				return done.promise().waiting;
			}
			void await_resume() noexcept {}
		};
		back final_suspend() noexcept { return {}; }
		void return_void() {}
		void unhandled_exception() { std::terminate(); }
	};
	std::coroutine_handle<promise_type> handle;

	bool await_ready() { return false; }
	std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiting)
	{
		handle.promise().waiting = waiting;
		return handle;
	}
	void await_resume() { handle.destroy(); }
};

static task awaited()
{
	awaited_work(wanted_spins);
	co_return;
}

static task awaiting()
{
	co_await awaited();
	awaiting_work(wanted_spins);
}

static generator generating;

extern "C" WORK void resume_generator(unsigned long spins)
{
	wanted_spins = spins;
	generating.handle.resume();
	NOT_A_TAIL_CALL();
}

extern "C" WORK void resume_task(unsigned long spins)
{
	wanted_spins = spins / 2;
	task first = awaiting();

	first.handle.resume();
	first.handle.destroy();
	NOT_A_TAIL_CALL();
}

int main(int argc, char **argv)
{
	uint64_t limit_ns = seconds_argument(argc, argv, 1);

	generating = slices();
	say_ready();
	print_line("generator", run_for(resume_generator, limit_ns / 2));
	print_line("task", run_for(resume_task, limit_ns / 2));
	return 0;
}
