/* SPDX-License-Identifier: Apache-2.0 */
/* clock_test.c - rates and their sentences, steal time, and real clocks with a program that counts their ticks. */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "clock.h"
#include "memory.h"
#include "perf_event.h"
#include "sideband.h"

/* A file with this text, removed again by whoever made it. */
static char *make_file(const char *text)
{
	char *path = memory_strdup("/tmp/clock_test.XXXXXX");
	_cleanup_close_ int fd = mkstemp(path);

	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	return path;
}

static void drop_file(char *path)
{
	unlink(path);
	free(path);
}

static void test_rate(void **state)
{
	char *path = make_file("5000\n"), *nonsense = make_file("many\n");
	struct problem problem = {""};

	(void)state;
	assert_int_equal(clock_check_rate_in(path, 1, NULL), 0);
	assert_int_equal(clock_check_rate_in(path, 5000, &problem), 0);
	assert_string_equal(problem.text, "");
	assert_int_equal(clock_check_rate_in(path, 5001, &problem), -EINVAL);
	assert_non_null(strstr(problem.text, "limit of 5000"));
	assert_non_null(strstr(problem.text, "sysctl -w kernel.perf_event_max_sample_rate=5001"));
	assert_int_equal(clock_check_rate_in(path, 0, &problem), -EINVAL);
	assert_int_equal(clock_check_rate_in("/nowhere", 100000, NULL), 0);
	assert_int_equal(clock_check_rate_in("/nowhere", 100001, &problem), -EINVAL);
	assert_non_null(strstr(problem.text, "at most 100000"));
	assert_null(strstr(problem.text, "sysctl"));
	assert_int_equal(clock_check_rate_in("/nowhere", UINT64_MAX, &problem), -EINVAL);
	assert_int_equal(clock_check_rate_in(nonsense, 100000, NULL), 0);
	assert_int_equal(clock_check_rate(99, &problem), 0);
	drop_file(path);
	drop_file(nonsense);
}

static void test_idle_times(void **state)
{
	const uint64_t tick_ns = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
	char *good =
		make_file("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 40 5 6 7 8 9 10\ncpu3 1 2 3 70 0 6\nintr 1 2 3\n");
	char *odd = make_file("cpu0 1 2\ncpux 1 2 3 4 5 6\ncpu99999 1 2 3 4 5 6\n");
	struct idle_times times = {0}, none = {0};

	(void)state;
	clock_idle_times_in(good, &times);
	assert_int_equal(times.ns.nr, 4);
	assert_int_equal(times.ns.data[0], 45 * tick_ns);
	assert_int_equal(times.ns.data[1], 0);
	assert_int_equal(times.ns.data[3], 70 * tick_ns);
	clock_idle_times_in(odd, &none);
	clock_idle_times_in("/nowhere", &none);
	assert_int_equal(none.ns.nr, 0);
	vector_free(&times.ns);
	drop_file(good);
	drop_file(odd);
}

static void test_steal(void **state)
{
	char *good = make_file("cpu  1 2 3 4 5 6 7 250 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\n");
	char *cut = make_file("cpu  1 2 3 4 5 6 7\n"), *other = make_file("btime 1 2 3 4 5 6 7 8 9\n");

	(void)state;
	assert_int_equal(clock_steal_ns_in(good), 250ull * 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
	assert_int_equal(clock_steal_ns_in(cut), 0);
	assert_int_equal(clock_steal_ns_in(other), 0);
	assert_int_equal(clock_steal_ns_in("/nowhere"), 0);
	assert_true(clock_steal_ns() <= clock_steal_ns());
	drop_file(good);
	drop_file(cut);
	drop_file(other);
}

/* --- a program that adds 1 to its map's only value ------------------------------------------------------------------
 */

struct counting {
	int map_fd, prog_fd;
};

static struct counting load_or_skip(void)
{
	struct counting counting = {.map_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "clock_test", 4, 8, 1, NULL)};
	const struct bpf_insn program[] = {
		{.code = BPF_ST | BPF_MEM | BPF_W, .dst_reg = 10, .off = -4, .imm = 0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 2, .src_reg = 10},
		{.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 2, .imm = -4},
		{.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD, .imm = counting.map_fd},
		{0},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_map_lookup_elem},
		{.code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = 0, .off = 2, .imm = 0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 1, .imm = 1},
		{.code = BPF_STX | BPF_ATOMIC | BPF_DW, .dst_reg = 0, .src_reg = 1, .imm = BPF_ADD},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};

	if (counting.map_fd < 0) {
		print_message("skipped: cannot create a BPF map: %s\n", strerror(errno));
		skip();
	}
	counting.prog_fd =
		bpf_prog_load(BPF_PROG_TYPE_PERF_EVENT, "clock_test", "GPL", program, ARRAY_SIZE(program), NULL);
	if (counting.prog_fd < 0) {
		close(counting.map_fd);
		print_message("skipped: cannot load a BPF program: %s\n", strerror(errno));
		skip();
	}
	return counting;
}

static uint64_t count_now(const struct counting *counting)
{
	uint64_t value = 0;
	uint32_t key = 0;

	assert_int_equal(bpf_map_lookup_elem(counting->map_fd, &key, &value), 0);
	return value;
}

static void counting_close(struct counting *counting)
{
	close(counting->map_fd);
	close(counting->prog_fd);
}

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void spin(double seconds)
{
	double end = seconds_now() + seconds;

	while (seconds_now() < end)
		;
}

static void see_throttle(const struct sideband_record *record, void *context)
{
	if (record->type == SIDEBAND_THROTTLE)
		++*(unsigned *)context;
}

/* An idle CPU without a scheduler tick is throttled at any rate. */
static void see_busy_throttle(const struct sideband_record *record, void *context)
{
	if (record->pid)
		see_throttle(record, context);
}

/* Ticks come between start and stop only, about as many as the period says. */
static void test_real_ticks(void **state)
{
	struct counting counting = load_or_skip();
	struct sideband *sideband = NULL;
	struct clocks *clocks = NULL;
	struct problem problem = {""};
	double begin, seconds, expected;
	uint64_t nr;
	unsigned nr_throttled = 0;

	(void)state;
	assert_int_equal(sideband_create(0, false, &sideband, &problem), 0);
	assert_int_equal(clocks_create(CLOCK_CPU, 1000000, counting.prog_fd, sideband, &clocks, &problem), 0);
	assert_int_equal(clocks_nr_cpus(clocks), sysconf(_SC_NPROCESSORS_ONLN));
	assert_int_equal(clocks_nr_reporting(clocks), clocks_nr_cpus(clocks));
	spin(0.02);
	assert_int_equal(count_now(&counting), 0);
	begin = seconds_now();
	assert_int_equal(clocks_start(clocks, &problem), 0);
	spin(0.5);
	clocks_stop(clocks);
	seconds = seconds_now() - begin;
	nr = count_now(&counting);
	expected = seconds * 1000 * clocks_nr_cpus(clocks);
	print_message("%llu ticks, %.0f expected\n", (unsigned long long)nr, expected);
	/* A busy host takes ticks away; it never adds any. */
	assert_true((double)nr > expected * 0.5 && (double)nr <= expected + clocks_nr_cpus(clocks));
	spin(0.02);
	assert_int_equal(count_now(&counting), nr);
	assert_int_equal(clocks_start(clocks, &problem), 0);
	spin(0.1);
	clocks_destroy(clocks);
	assert_true(count_now(&counting) > nr);
	/* The program returns 0: no sample has reached the sideband's rings and nothing in them is foreign. */
	sideband_finish(sideband, see_busy_throttle, &nr_throttled);
	assert_int_equal(nr_throttled, 0);
	sideband_destroy(sideband);
	counting_close(&counting);
}

/*
 * 100,000 ticks a second on an idle machine are more than the kernel bears between two scheduler ticks: it pauses the
 * clock, which has to be told on the sideband. Whether it comes to that is the kernel's business: several rounds.
 */
static void test_real_throttle(void **state)
{
	enum { ROUNDS = 60 };
	struct counting counting = load_or_skip();
	struct sideband *sideband = NULL;
	struct clocks *clocks = NULL;
	unsigned nr_throttled = 0;

	(void)state;
	assert_int_equal(sideband_create(0, false, &sideband, NULL), 0);
	assert_int_equal(clocks_create(CLOCK_CPU, 10000, counting.prog_fd, sideband, &clocks, NULL), 0);
	for (int i = 0; i < ROUNDS && nr_throttled == 0; i++) {
		assert_int_equal(clocks_start(clocks, NULL), 0);
		usleep(100000);
		clocks_stop(clocks);
		sideband_finish(sideband, see_throttle, &nr_throttled);
	}
	clocks_destroy(clocks);
	sideband_destroy(sideband);
	counting_close(&counting);
	if (nr_throttled == 0) {
		print_message("skipped: the kernel did not throttle a clock of 100,000 ticks a second\n");
		skip();
	}
}

static void test_without_sideband(void **state)
{
	struct counting counting = load_or_skip();
	struct clocks *clocks = NULL;

	(void)state;
	assert_int_equal(clocks_create(CLOCK_CPU, 1000000, counting.prog_fd, NULL, &clocks, NULL), 0);
	assert_int_equal(clocks_nr_reporting(clocks), 0);
	assert_int_equal(clocks_start(clocks, NULL), 0);
	spin(0.05);
	clocks_destroy(clocks);
	assert_true(count_now(&counting) > 0);
	counting_close(&counting);
}

static void test_refusals(void **state)
{
	struct counting counting = load_or_skip();
	_cleanup_close_ int not_a_program = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct clocks *clocks = NULL;
	struct problem problem = {""};
	int error;

	(void)state;
	assert_int_equal(clocks_create(CLOCK_CPU, 0, counting.prog_fd, NULL, &clocks, &problem), -EINVAL);
	assert_true(clocks_create(CLOCK_CPU, 1000000, not_a_program, NULL, &clocks, &problem) < 0);
	assert_non_null(strstr(problem.text, "cannot attach the BPF program"));
	assert_null(clocks);
	error = clocks_create(CLOCK_CYCLES, 1000000, counting.prog_fd, NULL, &clocks, &problem);
	if (error == 0) {
		assert_true(clocks_nr_cpus(clocks) > 0);
		clocks_destroy(clocks);
	} else {
		assert_int_equal(error, -EOPNOTSUPP);
		assert_string_equal(problem.text, "this machine offers no cycle counter: use -e cpu");
	}
	clocks_destroy(NULL);
	counting_close(&counting);
}

static void test_explanations(void **state)
{
	struct problem problem;

	(void)state;
	assert_int_equal(perf_event_explain(-EACCES, "a clock", 3, &problem), -EACCES);
	assert_non_null(strstr(problem.text, "CPU 3"));
	assert_non_null(strstr(problem.text, "CAP_PERFMON"));
	assert_non_null(strstr(problem.text, "perf_event_paranoid"));
	assert_int_equal(perf_event_explain(-EMFILE, "a clock", 3, &problem), -EMFILE);
	assert_non_null(strstr(problem.text, "ulimit -n"));
	assert_int_equal(perf_event_explain(-EBUSY, "a clock", 3, &problem), -EBUSY);
	assert_non_null(strstr(problem.text, strerror(EBUSY)));
}

int main(void)
{
	const struct CMUnitTest pure[] = {
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_idle_times),
		cmocka_unit_test(test_steal),
		cmocka_unit_test(test_explanations),
	};
	const struct CMUnitTest real[] = {
		cmocka_unit_test(test_real_ticks),
		cmocka_unit_test(test_real_throttle),
		cmocka_unit_test(test_without_sideband),
		cmocka_unit_test(test_refusals),
	};
	int failed = cmocka_run_group_tests(pure, NULL, NULL);

	return failed + cmocka_run_group_tests(real, NULL, NULL);
}
