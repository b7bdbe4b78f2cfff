/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_test.c - does the account of a run add up?
 *
 * The public functions read counters from loaded programs, which the system tests do. What they make of the counters
 * is tested here with made-up ones: the source file itself is part of this program, so its inner functions are seen.
 */
#include "report.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const uint64_t PERIOD = 10101010;

static uint64_t random_state = 7;

static uint64_t below(uint64_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state * 0x2545f4914f6cdd1dull >> 11) % limit;
}

/* ---- ticks ---- */

/* Ticks 0..nr-1 of a CPU's clock, of which some are skipped in the middle; each is up to a third of a period late. */
static struct cpu_counters ticks(uint64_t nr, uint64_t skipped)
{
	uint64_t start = 123456789 + below(1000000000);

	return (struct cpu_counters){
		.first_ns = start + below(PERIOD / 3),
		.last_ns = start + (nr - 1) * PERIOD + below(PERIOD / 3),
		.runs = nr - skipped,
	};
}

static void skipped_ticks_are_unexplained(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 2000; i++) {
		uint64_t nr = 2 + below(i % 2 ? 10 : 10000000), skipped = below(2) ? 0 : below(nr - 1);
		struct cpu_counters counters = ticks(nr, skipped);
		struct cpu_balance balance = balance_cpu(&counters, i, PERIOD, 0);

		assert_int_equal(balance.cpu, i);
		assert_int_equal(balance.runs, nr - skipped);
		assert_int_equal(balance.expected, nr);
		assert_int_equal(balance.unexplained, skipped);
	}
}

static void odd_balances(void **state)
{
	struct cpu_counters none = {0}, once = {.first_ns = 5, .last_ns = 5, .runs = 1};
	/* More runs than ticks, which would be a fault of ours, shows as a negative number. */
	struct cpu_counters many = {.first_ns = 1000, .last_ns = 1000 + PERIOD, .runs = 5};

	(void)state;
	assert_int_equal(balance_cpu(&none, 0, PERIOD, 0).expected, 0);
	assert_int_equal(balance_cpu(&once, 0, PERIOD, 0).expected, 1);
	assert_int_equal(balance_cpu(&once, 0, PERIOD, 0).unexplained, 0);
	assert_int_equal(balance_cpu(&many, 0, PERIOD, 0).unexplained, -3);
	/* Cycles are not a matter of time: what ran is all that can be expected. */
	assert_int_equal(balance_cpu(&many, 0, 0, 0).expected, 5);
	assert_int_equal(balance_cpu(&many, 0, 0, 0).unexplained, 0);
}

/* As many as the CPU was idle for, less those that came, and no more than are missing. */
static void idle_cpus_skip_ticks(void **state)
{
	struct cpu_counters counters = ticks(1000, 300);

	(void)state;
	assert_int_equal(balance_cpu(&counters, 0, PERIOD, 200 * PERIOD).idle_skipped, 200);
	assert_int_equal(balance_cpu(&counters, 0, PERIOD, 200 * PERIOD).unexplained, 100);
	counters.value[COUNTER_idle] = 150;
	assert_int_equal(balance_cpu(&counters, 0, PERIOD, 200 * PERIOD).idle_skipped, 50);
	assert_int_equal(balance_cpu(&counters, 0, PERIOD, 100 * PERIOD).idle_skipped, 0);
	assert_int_equal(balance_cpu(&counters, 0, PERIOD, 900 * PERIOD).idle_skipped, 300);
	assert_int_equal(balance_cpu(&counters, 0, PERIOD, 900 * PERIOD).unexplained, 0);
}

/* Exactly the outcomes; every other counter may be anything. */
static void named_is_the_sum_of_the_outcomes(void **state)
{
	static const enum counter outcomes[] = {
		COUNTER_samples,
		COUNTER_filtered,
		COUNTER_idle,
		COUNTER_lost_scratch,
		COUNTER_lost_counts_full,
		COUNTER_lost_counts_busy,
		COUNTER_lost_processes_full,
	};
	struct cpu_counters counters = {.runs = 1};
	uint64_t sum = 0, totals[NR_COUNTERS] = {0};

	(void)state;
	for (size_t i = 0; i < NR_COUNTERS; i++)
		counters.value[i] = 1ull << 40;
	for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++) {
		counters.value[outcomes[i]] = 1ull << i;
		sum += 1ull << i;
	}
	assert_int_equal(balance_cpu(&counters, 0, PERIOD, 0).named, sum);
	add_up(&counters, 1, totals);
	assert_int_equal(sum_losses(totals), sum - 1 - 2 - 4);
}

static void cpus_add_up(void **state)
{
	struct cpu_counters cpus[5] = {ticks(100, 7), {0}, ticks(50, 0), {0}, ticks(1000, 100)};
	struct report_input input = {.period_ns = PERIOD};
	struct run_report report = {0};

	(void)state;
	make_balances(&input, cpus, ARRAY_SIZE(cpus), &report);
	/* CPUs that never ticked, possible ones among them, are left out. */
	assert_int_equal(report.nr_cpus, 3);
	assert_int_equal(report.cpus[0].cpu, 0);
	assert_int_equal(report.cpus[1].cpu, 2);
	assert_int_equal(report.cpus[2].cpu, 4);
	assert_int_equal(report.expected, 1150);
	assert_int_equal(report.runs, 1043);
	assert_int_equal(report.unexplained, 107);
	report_deinit(&report);
	assert_null(report.cpus);
}

static void totals_over_cpus(void **state)
{
	struct cpu_counters cpus[3] = {{0}};
	uint64_t totals[NR_COUNTERS] = {0};

	(void)state;
	for (size_t cpu = 0; cpu < 3; cpu++)
		for (size_t i = 0; i < NR_COUNTERS; i++)
			cpus[cpu].value[i] = i * (cpu ? 100 * cpu : 1);
	add_up(cpus, 3, totals);
	for (size_t i = 0; i < NR_COUNTERS; i++)
		assert_int_equal(totals[i], i * 301);
}

/* A user stack is complete, ended, absent or incomplete. */
static void every_stop_but_the_good_ones_is_incomplete(void **state)
{
	uint64_t totals[NR_COUNTERS] = {0};

	(void)state;
	totals[COUNTER_user_complete] = totals[COUNTER_user_ended] = totals[COUNTER_user_absent] = 1000;
	totals[COUNTER_user_frames] = totals[COUNTER_samples] = 1000;
	assert_int_equal(sum_incomplete(totals), 0);
	totals[COUNTER_user_no_process_table] = 1;
	totals[COUNTER_user_no_file_table] = 2;
	totals[COUNTER_user_no_mapping] = 4;
	totals[COUNTER_user_no_unwind_info] = 8;
	totals[COUNTER_user_unsupported_rule] = 16;
	totals[COUNTER_user_leaf_register] = 32;
	totals[COUNTER_user_unreadable] = 64;
	totals[COUNTER_user_bad_frame] = 128;
	totals[COUNTER_user_too_deep] = 256;
	totals[COUNTER_user_table_changed] = 512;
	totals[COUNTER_user_not_64bit] = 1024;
	totals[COUNTER_user_walker_limit] = 2048;
	assert_int_equal(sum_incomplete(totals), 4095);
}

static void earliest_time(void **state)
{
	struct cpu_counters cpus[4] = {{0}, {.first_ns = 500}, {.first_ns = 300}, {.first_ns = 400}};
	const size_t field = offsetof(struct cpu_counters, first_ns);

	(void)state;
	assert_int_equal(earliest(cpus, 4, field, 100), 200);
	assert_int_equal(earliest(cpus, 2, field, 100), 400);
	assert_int_equal(earliest(cpus, 1, field, 100), 0);
	assert_int_equal(earliest(cpus, 4, field, 1000), 0);
	assert_int_equal(earliest(cpus, 4, offsetof(struct cpu_counters, first_complete_ns), 100), 0);
}

/* ---- lines ---- */

static const struct counter_line *find_line(const struct run_report *report, const char *name)
{
	for (size_t i = 0; i < report->nr_lines; i++)
		if (strcmp(report->lines[i].name, name) == 0)
			return &report->lines[i];
	fail_msg("no counter '%s'", name);
	return NULL;
}

static void check_line(const struct run_report *report, const char *name, enum counter_group group, uint64_t value)
{
	const struct counter_line *line = find_line(report, name);

	assert_int_equal(line->group, group);
	assert_int_equal(line->value, value);
}

static void check_names(const struct run_report *report)
{
	for (size_t i = 0; i < report->nr_lines; i++) {
		const struct counter_line *line = &report->lines[i];

		assert_ptr_equal(find_line(report, line->name), line); /* the only one of this name */
		assert_int_equal(strspn(line->name, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(line->name));
		assert_non_null(line->text);
		assert_non_null(line->advice);
	}
}

/* Nothing counted is left out, whoever counted it. */
static void all_counters_are_lines(void **state)
{
	struct modules modules = {.nr_unreadable = 1, .nr_broken = 2, .nr_refused = 4};
	struct processes processes = {.nr_rescans = 8, .nr_mappings_refused = 16};
	struct store store = {.nr_mismatches = 32};
	struct report_input input = {
		.processes = &processes,
		.modules = &modules,
		.store = &store,
		.tables = {.nr_no_unwind = 64, .nr_refused = 128},
		.naming = {.nr_stack_lost = 256, .nr_frames_unnamed = 512, .nr_kernel_unnamed = 1024},
		.nr_sideband_lost = 2048,
		.nr_throttled = 4096,
		.nr_failures = 8192,
	};
	struct run_report report = {0};
	uint64_t totals[NR_COUNTERS], sum = 0;

	(void)state;
	for (size_t i = 0; i < NR_COUNTERS; i++)
		totals[i] = 10000000 + i;
	make_lines(&input, totals, &report);
	check_names(&report);
	check_line(&report, "samples", COUNTER_OUTCOME, totals[COUNTER_samples]);
	check_line(&report, "idle", COUNTER_OUTCOME, totals[COUNTER_idle]);
	check_line(&report, "lost_scratch", COUNTER_LOSS, totals[COUNTER_lost_scratch]);
	check_line(&report, "lost_processes_full", COUNTER_LOSS, totals[COUNTER_lost_processes_full]);
	check_line(&report, "user_complete", COUNTER_USER_END, totals[COUNTER_user_complete]);
	check_line(&report, "user_walker_limit", COUNTER_USER_END, totals[COUNTER_user_walker_limit]);
	check_line(&report, "ring_full", COUNTER_EVENT, totals[COUNTER_ring_full]);
	check_line(&report, "stack_lost", COUNTER_LOADER, 256);
	check_line(&report, "tables_refused", COUNTER_LOADER, 128 + 4);
	for (size_t i = 0; i < report.nr_lines; i++)
		sum += report.lines[i].group == COUNTER_LOADER ? report.lines[i].value : 0;
	assert_int_equal(sum, 16383); /* each of the loader's, once */
	report_deinit(&report);
}

/* ---- the language of the target ---- */

struct world {
	struct modules modules;
	struct processes processes;
	struct store store;
};

static int start_world(void **state)
{
	static const struct stack_key seed = {{1, 2}};
	struct world *world = memory_new(struct world);

	modules_init(&world->modules, NULL, 16);
	processes_init(&world->processes, &world->modules, NULL, false);
	store_init(&world->store, &seed);
	*state = world;
	return 0;
}

static int end_world(void **state)
{
	struct world *world = *state;

	store_deinit(&world->store);
	processes_deinit(&world->processes);
	modules_deinit(&world->modules);
	free(world);
	return 0;
}

/* A process that has mapped a library and, behind it, an executable. */
static void add_process(struct world *world, uint32_t slot, const char *executable, uint64_t samples)
{
	struct count_key key = {.process = slot};
	uint32_t first = (uint32_t)world->modules.list.nr, index = (uint32_t)world->processes.list.nr;

	*vector_push(&world->modules.list) = (struct module){.fd = -1, .path = memory_strdup("/usr/lib/java.so")};
	*vector_push(&world->modules.list) = (struct module){
		.fd = -1, .path = memory_strdup(executable), .info = {.is_executable = true}, .is_elf = true};
	*vector_push(&world->processes.list) = (struct process){.slot = slot, .executable = NO_MODULE};
	table_put(&world->processes.by_slot, &slot, index);
	struct mappings *mappings = &world->processes.list.data[index].mappings;

	mappings_add(mappings, (struct mapping){.start = 0x1000, .end = 0x2000, .module = NO_MODULE});
	mappings_add(mappings, (struct mapping){.start = 0x3000, .end = 0x4000, .module = first});
	mappings_add(mappings, (struct mapping){.start = 0x5000, .end = 0x6000, .module = first + 1});
	processes_place_modules(&world->processes, &world->processes.list.data[index]);
	store_add_count(&world->store, &key, samples);
	key.tid = 1;
	store_add_count(&world->store, &key, samples);
}

static enum target_runtime runtime_of(const struct world *world)
{
	struct report_input input = {
		.modules = &world->modules, .processes = &world->processes, .store = &world->store};

	return find_runtime(&input);
}

static void runtime_of_the_heaviest(void **state)
{
	struct world *world = *state;

	assert_int_equal(runtime_of(world), RUNTIME_NATIVE);
	add_process(world, 5, "/usr/bin/python3.11", 10);
	assert_int_equal(runtime_of(world), RUNTIME_PYTHON);
	add_process(world, 2, "/opt/node-20/bin/node", 11);
	assert_int_equal(runtime_of(world), RUNTIME_NODE);
	add_process(world, 9, "/usr/lib/jvm/bin/java", 12);
	assert_int_equal(runtime_of(world), RUNTIME_JAVA);
	add_process(world, 0, "/usr/bin/sqlite3", 13);
	assert_int_equal(runtime_of(world), RUNTIME_NATIVE);
	add_process(world, 1, "/usr/bin/xpython", 14);
	assert_int_equal(runtime_of(world), RUNTIME_NATIVE);
}

/* Samples of a slot that no process is known for. */
static void runtime_of_nobody(void **state)
{
	struct world *world = *state;
	struct count_key key = {.process = 1000};

	add_process(world, 5, "/usr/bin/python3.11", 10);
	store_add_count(&world->store, &key, 100);
	assert_int_equal(runtime_of(world), RUNTIME_NATIVE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(skipped_ticks_are_unexplained),
		cmocka_unit_test(idle_cpus_skip_ticks),
		cmocka_unit_test(odd_balances),
		cmocka_unit_test(named_is_the_sum_of_the_outcomes),
		cmocka_unit_test(cpus_add_up),
		cmocka_unit_test(totals_over_cpus),
		cmocka_unit_test(every_stop_but_the_good_ones_is_incomplete),
		cmocka_unit_test(earliest_time),
		cmocka_unit_test(all_counters_are_lines),
		cmocka_unit_test_setup_teardown(runtime_of_the_heaviest, start_world, end_world),
		cmocka_unit_test_setup_teardown(runtime_of_nobody, start_world, end_world),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
