/* SPDX-License-Identifier: Apache-2.0 */
/*
 * processes_test.c - two streams tell of process images: which mappings does each image have in the end?
 *
 * Records are handed in as the kernel's programs and its side band send them; nothing is published, as that needs
 * loaded programs. Mappings are anonymous or of special names.
 */
#include "processes_world.h"

#include <stdio.h>
#include <unistd.h>

enum { PID = 500, CHILD = 501 };

/* As if published: it has a run of its own. */
static void give_run(struct process *process)
{
	process->run = mapping_runs_take(&world->processes.runs, (uint32_t)process->mappings.list.nr);
	process->generation++;
	process->stale = process->unpublished = false;
}

static struct process_entry entry_of(const struct process *process)
{
	const struct mapping_run *run = &world->processes.runs.list.data[process->run];

	return (struct process_entry){.first = run->first, .count = run->count, .generation = process->generation};
}

static void met_by_a_sample(void **state)
{
	(void)state;
	map(PID, 0x1000, "early"); /* of a pid that nobody asked for */
	assert_int_equal(world->processes.list.nr, 0);
	meet(PID, 3);
	assert_true(image(PID, 3)->stale);
	assert_string_equal(image(PID, 3)->comm, "met");
	map(PID, 0x5000, "b");
	map(PID, 0x1000, "a");
	check_mapped(image(PID, 3), "a b");
	assert_true(image(PID, 3)->unpublished);
	meet(PID, 3); /* two CPUs may announce it */
	check_mapped(image(PID, 3), "a b");
	assert_int_equal(world->processes.list.nr, 1);
	assert_null(processes_find_slot(&world->processes, 12345));
}

/* The side band tells of the new image's mappings before the programs tell who it is. */
static void exec(void **state)
{
	(void)state;
	meet(PID, 0);
	map(PID, 0x1000, "old");
	rename_thread(PID, PID, "new", true);
	map(PID, 0x2000, "new_1");
	map(PID, 0x3000, "new_2");
	check_mapped(image(PID, 0), "old");
	become(PID, 1);
	map(PID, 0x4000, "new_3");
	check_mapped(image(PID, 0), "old");
	check_mapped(image(PID, 1), "new_1 new_2 new_3");
	assert_false(image(PID, 1)->stale);
	assert_true(image(PID, 1)->unpublished);
	assert_string_equal(image(PID, 1)->comm, "became");
	assert_int_equal(image(PID, 1)->run, NO_RUN);
}

static void exec_after_exec(void **state)
{
	(void)state;
	meet(PID, 0);
	for (uint32_t i = 1; i < 6; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%u", i);
		rename_thread(PID, PID, "new", true);
		map(PID, 0x1000 * i, name);
		become(PID, i);
	}
	check_mapped(image(PID, 1), "1");
	check_mapped(image(PID, 4), "4");
	check_mapped(image(PID, 5), "5");
}

/* An exec that failed late leaves a mark behind: the next one begins anew. */
static void exec_mark_twice(void **state)
{
	(void)state;
	meet(PID, 0);
	rename_thread(PID, PID, "first", true);
	map(PID, 0x1000, "first");
	rename_thread(PID, PID, "second", true);
	map(PID, 0x2000, "second");
	become(PID, 1);
	check_mapped(image(PID, 1), "second");
}

/* Without the mark, its records were lost: everything has to be read again. */
static void exec_without_side_band(void **state)
{
	(void)state;
	meet(PID, 0);
	map(PID, 0x1000, "old");
	become(PID, 1);
	check_mapped(image(PID, 1), "");
	assert_true(image(PID, 1)->stale);
}

/* A command of ours is known by its pid before it has an image. */
static void expected_command(void **state)
{
	(void)state;
	processes_expect(&world->processes, PID);
	map(PID, 0x1000, "ours"); /* before its exec it is still we */
	rename_thread(PID, PID, "command", true);
	map(PID, 0x2000, "its");
	become(PID, 1);
	check_mapped(image(PID, 1), "its");
	assert_false(image(PID, 1)->stale);
}

/* What was replaced by exec runs no more: its run and its entry have to come back like those of one that exited. */
static void replaced_image_is_over(void **state)
{
	(void)state;
	meet(PID, 0);
	map(PID, 0x1000, "old");
	rename_thread(PID, PID, "new", true);
	become(PID, 1);
	assert_false(image(PID, 1)->exited);
	assert_true(image(PID, 0)->exited);
}

static void fork_shares_the_run(void **state)
{
	(void)state;
	meet(PID, 0);
	map(PID, 0x1000, "a");
	map(PID, 0x2000, "b");
	give_run(image(PID, 0));
	fork_from(PID, 0, CHILD, entry_of(image(PID, 0)));
	check_mapped(image(CHILD, 0), "a b");
	assert_false(image(CHILD, 0)->stale);
	assert_false(image(CHILD, 0)->unpublished);
	assert_int_equal(image(CHILD, 0)->run, image(PID, 0)->run);
	assert_int_equal(image(CHILD, 0)->generation, image(PID, 0)->generation);
	assert_int_equal(world->processes.runs.list.data[image(PID, 0)->run].users, 2);
	assert_string_equal(image(CHILD, 0)->comm, "forked");
	/* From here on they differ. */
	map(PID, 0x3000, "parents");
	map(CHILD, 0x4000, "childs");
	check_mapped(image(PID, 0), "a b parents");
	check_mapped(image(CHILD, 0), "a b childs");
}

/* The kernel copied the entry that it had: without a run, with an older one, with one that is long gone. */
static void fork_of_another_run(void **state)
{
	const struct process_entry none = {0}, gone = {.first = 900, .count = 3, .generation = 2};

	(void)state;
	meet(PID, 0);
	map(PID, 0x1000, "a");
	fork_from(PID, 0, CHILD, none);
	check_mapped(image(CHILD, 0), "a");
	assert_true(image(CHILD, 0)->unpublished);
	assert_int_equal(image(CHILD, 0)->run, NO_RUN);

	give_run(image(PID, 0));
	struct process_entry older = entry_of(image(PID, 0));
	uint32_t older_run = image(PID, 0)->run;

	map(PID, 0x2000, "b");
	mapping_runs_leave(&world->processes.runs, older_run);
	give_run(image(PID, 0));
	fork_from(PID, 0, CHILD + 1, older);
	check_mapped(image(CHILD + 1, 0), "a b");
	assert_true(image(CHILD + 1, 0)->unpublished);
	assert_int_equal(image(CHILD + 1, 0)->run, older_run);
	assert_int_equal(world->processes.runs.list.data[older_run].users, 1);

	fork_from(PID, 0, CHILD + 2, gone);
	check_mapped(image(CHILD + 2, 0), "a b");
	assert_true(image(CHILD + 2, 0)->unpublished);
	assert_int_equal(image(CHILD + 2, 0)->run, NO_RUN);
}

/* A parent that nobody knows, or that is known to be out of date, hands nothing on that can be trusted. */
static void fork_of_a_stale_parent(void **state)
{
	const struct process_entry none = {0};

	(void)state;
	fork_from(PID, 0, CHILD, none);
	assert_true(image(CHILD, 0)->stale);
	meet(PID, 0);
	map(PID, 0x1000, "a");
	assert_true(image(PID, 0)->stale);
	fork_from(PID, 0, CHILD + 1, none);
	assert_true(image(CHILD + 1, 0)->stale);
}

static void fork_and_exec(void **state)
{
	(void)state;
	meet(PID, 0);
	map(PID, 0x1000, "shell");
	give_run(image(PID, 0));
	fork_from(PID, 0, CHILD, entry_of(image(PID, 0)));
	rename_thread(CHILD, CHILD, "command", true);
	map(CHILD, 0x2000, "command");
	become(CHILD, 1);
	check_mapped(image(PID, 0), "shell");
	check_mapped(image(CHILD, 0), "shell");
	check_mapped(image(CHILD, 1), "command");
}

static void pid_used_again(void **state)
{
	struct record_process record = make_record(ORIGIN_FORK, CHILD, 0, "second");

	(void)state;
	meet(CHILD, 0);
	map(CHILD, 0x1000, "first");
	leave(CHILD, 0);
	record.id.start_boottime_ns += 5;
	record.entry.slot = 77;
	processes_handle_record(&world->processes, &record);
	map(CHILD, 0x2000, "second");
	check_mapped(image(CHILD, 0), "first");
	assert_true(image(CHILD, 0)->exited);
	const struct process *second = processes_find_slot(&world->processes, 77);

	check_mapped(second, "second");
	assert_false(second->exited);
}

/* Processes that our pid namespace doesn't show have no pid to tell them by. */
static void invisible_processes(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		struct record_process record = make_record(ORIGIN_SAMPLE, PID + i, 0, "hidden");

		record.pid = 0;
		processes_handle_record(&world->processes, &record);
	}
	map(0, 0x1000, "whose");
	rename_thread(0, 0, "whose", false);
	for (size_t i = 0; i < 2; i++) {
		check_mapped(&world->processes.list.data[i], "");
		assert_string_equal(world->processes.list.data[i].comm, "hidden");
	}
}

/* ---- names, losses, staleness ---- */

static void names(void **state)
{
	char longest[40];

	(void)state;
	meet(PID, 0);
	rename_thread(PID, PID + 1, "thread", false);
	assert_string_equal(image(PID, 0)->comm, "met");
	rename_thread(PID, PID, "renamed", false);
	assert_string_equal(image(PID, 0)->comm, "renamed");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	rename_thread(PID, PID, longest, false);
	assert_int_equal(strnlen(image(PID, 0)->comm, COMM_SIZE), COMM_SIZE - 1);
	rename_thread(PID, PID, "s", false);
	assert_memory_equal(image(PID, 0)->comm, "s\0\0\0\0\0\0\0\0\0\0\0\0\0\0", COMM_SIZE);
}

static void lost_records(void **state)
{
	struct sideband_record lost = {.type = SIDEBAND_LOST, .lost = 3};

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		meet(PID + i, 0);
		image(PID + i, 0)->stale = false;
	}
	leave(PID + 1, 0);
	processes_handle_sideband(&world->processes, &lost);
	assert_true(image(PID, 0)->stale);
	assert_false(image(PID + 1, 0)->stale);
	assert_true(image(PID + 2, 0)->stale);
}

/*
 * A process that maps ever new places: nobody says which of them are gone, so it is asked, long before the list is as
 * long as what it mapped in all.
 */
static void mappings_without_end(void **state)
{
	enum { NR = 100000, FEW = 500 };
	struct process *process;
	uint64_t address = 0x7f0000000000;

	(void)state;
	meet(PID, 0);
	process = image(PID, 0);
	process->stale = false;
	for (uint32_t i = 0; i < FEW; i++)
		map(PID, address -= 0x2000, "few");
	assert_false(process->stale);
	assert_int_equal(process->mappings.list.nr, FEW);
	for (uint32_t i = FEW; i < NR; i++)
		map(PID, address -= 0x2000, "many");
	assert_true(process->stale);
	assert_true(process->mappings.list.nr < NR / 10);
	assert_true(process->queued);
	/* Likewise while it becomes another image, when nobody can be asked yet. */
	rename_thread(PID, PID, "next", true);
	for (uint32_t i = 0; i < NR; i++)
		map(PID, 0x2000 * (i + 1ull), "next");
	become(PID, 1);
	assert_true(image(PID, 1)->mappings.list.nr <= 1 << 16);
}

/* Only what the walker said of the mappings that it has now. */
static void missing_mapping(void **state)
{
	struct record_no_mapping record = {.type = RECORD_NO_MAPPING, .id = image_id(PID, 0), .generation = 1};

	(void)state;
	processes_handle_no_mapping(&world->processes, &record); /* of nobody */
	meet(PID, 0);
	map(PID, 0x1000, "a");
	give_run(image(PID, 0));
	processes_handle_no_mapping(&world->processes, &record);
	assert_true(image(PID, 0)->stale);
	give_run(image(PID, 0));
	processes_handle_no_mapping(&world->processes, &record);
	assert_false(image(PID, 0)->stale);
}

static const struct process *replaced_by(uint32_t pid, uint64_t start)
{
	struct sideband_record record = mapped_at(100, pid, start, "new");

	return processes_find_replaced(&world->processes, &record);
}

static void replaced_mappings(void **state)
{
	(void)state;
	assert_null(replaced_by(PID, 0x1000)); /* of nobody */
	meet(PID, 0);
	assert_null(replaced_by(PID, 0x1000));
	map(PID, 0x1000, "a");
	map(PID, 0x5000, "b");
	assert_ptr_equal(replaced_by(PID, 0x1000), image(PID, 0));
	assert_ptr_equal(replaced_by(PID, 0x1fff), image(PID, 0));
	assert_ptr_equal(replaced_by(PID, 0x4001), image(PID, 0));
	assert_null(replaced_by(PID, 0x2000));
	assert_null(replaced_by(PID, 0x4000));
	assert_null(replaced_by(CHILD, 0x1000));
	rename_thread(PID, PID, "execing", true);
	assert_null(replaced_by(PID, 0x1000)); /* that's the next image's */
}

/* A record of before the mappings were read from /proc tells nothing new, perhaps of what is there no longer. */
static void records_of_before(void **state)
{
	(void)state;
	meet(PID, 0);
	struct process *process = image(PID, 0);
	struct sideband_record early = mapped_at(1000, PID, 0x1000, "a");
	struct sideband_record late = mapped_at(1500, PID, 0x5000, "b");

	process->known_ns = process->read_ns = 1200;
	processes_handle_sideband(&world->processes, &early);
	check_mapped(process, "");
	assert_int_equal(process->known_ns, 1200);
	processes_handle_sideband(&world->processes, &late);
	check_mapped(process, "b");
	assert_int_equal(process->known_ns, 1500);
}

/* Another CPU's record may come a round late. */
static void late_records(void **state)
{
	(void)state;
	meet(PID, 0);
	struct process *process = image(PID, 0);
	struct sideband_record first = mapped_at(2000, PID, 0x1000, "a");
	struct sideband_record late = mapped_at(1900, PID, 0x5000, "b");

	processes_handle_sideband(&world->processes, &first);
	processes_handle_sideband(&world->processes, &late);
	check_mapped(process, "a b");
	assert_int_equal(process->known_ns, 2000);
}

/* Something changed of which no record told: only when none did, the mappings have to be read again. */
static void change_without_a_record(void **state)
{
	struct record_no_mapping record = {.type = RECORD_NO_MAPPING, .id = image_id(PID, 0), .generation = 1};
	struct sideband_record mapped = mapped_at(2000, PID, 0x1000, "a");

	(void)state;
	meet(PID, 0);
	processes_handle_sideband(&world->processes, &mapped);
	give_run(image(PID, 0));
	record.fresh_ns = 1990;
	processes_handle_no_mapping(&world->processes, &record);
	assert_false(image(PID, 0)->stale);
	record.fresh_ns = 2010;
	processes_handle_no_mapping(&world->processes, &record);
	assert_true(image(PID, 0)->stale);
}

/* The child starts with what is known of its parent by now, though the kernel's entry is of before. */
static void fork_after_a_mapping(void **state)
{
	struct sideband_record mapped = mapped_at(2000, PID, 0x1000, "a");

	(void)state;
	meet(PID, 0);
	processes_handle_sideband(&world->processes, &mapped);
	give_run(image(PID, 0));
	struct process_entry entry = entry_of(image(PID, 0));
	struct sideband_record again = mapped_at(3000, PID, 0x5000, "b");

	entry.known_ns = 2000;
	processes_handle_sideband(&world->processes, &again);
	fork_from(PID, 0, CHILD, entry);
	check_mapped(image(CHILD, 0), "a b");
	assert_int_equal(image(CHILD, 0)->known_ns, 3000);
	assert_true(image(CHILD, 0)->unpublished);
}

int main(void)
{
	const struct CMUnitTest images[] = {
		PROCESS_TEST(met_by_a_sample),        PROCESS_TEST(exec),
		PROCESS_TEST(exec_after_exec),        PROCESS_TEST(exec_mark_twice),
		PROCESS_TEST(exec_without_side_band), PROCESS_TEST(expected_command),
		PROCESS_TEST(replaced_image_is_over), PROCESS_TEST(fork_shares_the_run),
		PROCESS_TEST(fork_of_another_run),    PROCESS_TEST(fork_of_a_stale_parent),
		PROCESS_TEST(fork_and_exec),          PROCESS_TEST(pid_used_again),
		PROCESS_TEST(invisible_processes),
	};
	const struct CMUnitTest others[] = {
		PROCESS_TEST(names),
		PROCESS_TEST(lost_records),
		PROCESS_TEST(mappings_without_end),
		PROCESS_TEST(missing_mapping),
		PROCESS_TEST(replaced_mappings),
		PROCESS_TEST(records_of_before),
		PROCESS_TEST(late_records),
		PROCESS_TEST(change_without_a_record),
		PROCESS_TEST(fork_after_a_mapping),
	};

	return cmocka_run_group_tests(images, NULL, NULL) + cmocka_run_group_tests(others, NULL, NULL);
}
