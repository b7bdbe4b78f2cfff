/* SPDX-License-Identifier: Apache-2.0 */
/*
 * processes_host_test.c - where any process may be sampled next: what is known of one at its first sample?
 *
 * Until then only the side band tells of it: its birth, its exec, what it maps, its end.
 */
#include "processes_world.h"

enum { PID = 500, CHILD = 501, GRANDCHILD = 502 };

static void fork_at(uint64_t time_ns, uint32_t parent, uint32_t child)
{
	struct sideband_record record = {.type = SIDEBAND_FORK, .time_ns = time_ns, .pid = child, .tid = child};

	record.fork.parent_pid = parent;
	processes_handle_sideband(&world->processes, &record);
}

static void exit_thread(uint32_t pid, uint32_t tid)
{
	struct sideband_record record = {.type = SIDEBAND_EXIT, .pid = pid, .tid = tid};

	processes_handle_sideband(&world->processes, &record);
}

static void lose(void)
{
	struct sideband_record record = {.type = SIDEBAND_LOST, .lost = 3};

	processes_handle_sideband(&world->processes, &record);
}

/* Its mappings are known without a look at /proc. */
static void check_known(uint32_t pid, uint32_t nr_execs, const char *expected)
{
	assert_false(image(pid, nr_execs)->stale);
	assert_true(image(pid, nr_execs)->unpublished);
	check_mapped(image(pid, nr_execs), expected);
}

static void sampled_after_exec(void **state)
{
	(void)state;
	rename_thread(PID, PID, "new", true);
	map(PID, 0x2000, "b");
	map(PID, 0x1000, "a");
	assert_int_equal(world->processes.list.nr, 0);
	meet(PID, 4);
	map(PID, 0x3000, "c");
	check_known(PID, 4, "a b c");
}

static void of_the_last_exec(void **state)
{
	(void)state;
	rename_thread(PID, PID, "first", true);
	map(PID, 0x1000, "first");
	rename_thread(PID, PID, "second", true);
	map(PID, 0x2000, "second");
	meet(PID, 2);
	check_known(PID, 2, "second");
	/* It goes on becoming others: the programs tell of that, as they know it. */
	rename_thread(PID, PID, "third", true);
	map(PID, 0x3000, "third");
	become(PID, 3);
	check_known(PID, 3, "third");
	assert_true(image(PID, 2)->exited);
}

static void one_that_ran_before(void **state)
{
	(void)state;
	map(PID, 0x1000, "late"); /* not all that it has */
	meet(PID, 0);
	assert_true(image(PID, 0)->stale);
}

static void child_of_a_known_one(void **state)
{
	(void)state;
	rename_thread(PID, PID, "parent", true);
	map(PID, 0x1000, "a");
	fork_at(10, PID, CHILD);
	map(CHILD, 0x2000, "b");
	fork_at(20, CHILD, GRANDCHILD);
	map(PID, 0x3000, "c");
	meet(GRANDCHILD, 0);
	meet(CHILD, 0);
	meet(PID, 0);
	check_known(PID, 0, "a c");
	check_known(CHILD, 0, "a b");
	check_known(GRANDCHILD, 0, "a b");
}

static void child_of_a_sampled_one(void **state)
{
	(void)state;
	rename_thread(PID, PID, "parent", true);
	map(PID, 0x1000, "a");
	meet(PID, 0);
	/* Between the parent's exec mark and its identity, what it was is no longer what a child gets. */
	fork_at(10, PID, CHILD);
	rename_thread(PID, PID, "other", true);
	map(PID, 0x2000, "b");
	fork_at(20, PID, GRANDCHILD);
	meet(CHILD, 0);
	meet(GRANDCHILD, 0);
	check_known(CHILD, 0, "a");
	check_known(GRANDCHILD, 0, "b");
}

static void child_of_an_unknown_one(void **state)
{
	(void)state;
	fork_at(10, PID, CHILD);
	map(CHILD, 0x1000, "a");
	meet(CHILD, 0);
	assert_true(image(CHILD, 0)->stale);
	/* Nor of one that is about to be read again. */
	fork_at(20, CHILD, GRANDCHILD);
	meet(GRANDCHILD, 0);
	assert_true(image(GRANDCHILD, 0)->stale);
}

static void threads_are_no_children(void **state)
{
	(void)state;
	rename_thread(PID, PID, "parent", true);
	map(PID, 0x1000, "a");
	fork_at(10, PID, PID);
	meet(PID, 0);
	check_known(PID, 0, "a");
}

static void number_of_another(void **state)
{
	(void)state;
	rename_thread(PID, PID, "first", true);
	map(PID, 0x1000, "a");
	exit_thread(PID, PID + 1); /* a thread of it */
	fork_at(10, PID, CHILD);
	exit_thread(PID, PID);
	fork_at(20, 1, PID); /* of somebody unknown */
	meet(PID, 0);
	assert_true(image(PID, 0)->stale);
	meet(CHILD, 0);
	check_known(CHILD, 0, "a");
}

/* The programs' record of its end was lost. */
static void number_of_one_that_was_sampled(void **state)
{
	struct record_process again = make_record(ORIGIN_SAMPLE, PID, 1, "again");

	(void)state;
	rename_thread(PID, PID, "first", true);
	map(PID, 0x1000, "a");
	meet(PID, 0);
	fork_at(20, 1, PID);
	assert_true(image(PID, 0)->exited);
	rename_thread(PID, PID, "second", true);
	map(PID, 0x2000, "b");
	again.time_ns = 30;
	processes_handle_record(&world->processes, &again);
	check_known(PID, 1, "b");
	/* A record that comes late, of its own birth, says nothing against it. */
	fork_at(25, 1, PID);
	assert_false(image(PID, 1)->exited);
}

static void loss(void **state)
{
	(void)state;
	rename_thread(PID, PID, "first", true);
	map(PID, 0x1000, "a");
	lose();
	map(PID, 0x2000, "b");
	fork_at(10, PID, CHILD);
	meet(PID, 0);
	meet(CHILD, 0);
	assert_true(image(PID, 0)->stale);
	assert_true(image(CHILD, 0)->stale);
	/* What begins afterwards is whole again. */
	rename_thread(GRANDCHILD, GRANDCHILD, "after", true);
	map(GRANDCHILD, 0x1000, "c");
	meet(GRANDCHILD, 0);
	check_known(GRANDCHILD, 0, "c");
}

/* Taking its memory apart takes so long that the kernel's entry had gone, and it got another. */
static void sampled_once_more(void **state)
{
	struct record_process again = make_record(ORIGIN_SAMPLE, PID, 0, "again");

	(void)state;
	meet(PID, 0);
	leave(PID, 0);
	again.entry.slot = 4321;
	processes_handle_record(&world->processes, &again);
	const struct process *process = processes_find_slot(&world->processes, 4321);

	assert_non_null(process);
	assert_ptr_equal(process, processes_find_slot(&world->processes, PID * 10));
	assert_int_equal(world->processes.list.nr, 1);
	assert_true(process->exited);
	assert_true(world->processes.resting.nr > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOST_TEST(sampled_after_exec),
		HOST_TEST(of_the_last_exec),
		HOST_TEST(one_that_ran_before),
		HOST_TEST(child_of_a_known_one),
		HOST_TEST(child_of_a_sampled_one),
		HOST_TEST(child_of_an_unknown_one),
		HOST_TEST(threads_are_no_children),
		HOST_TEST(number_of_another),
		HOST_TEST(number_of_one_that_was_sampled),
		HOST_TEST(loss),
		HOST_TEST(sampled_once_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
