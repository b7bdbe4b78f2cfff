/* SPDX-License-Identifier: Apache-2.0 */
/*
 * naming_test.c - what depends on the machine or has no file: kernel frames, lost stacks, the profile's first mapping.
 *
 * Names of file frames and the whole of a profile are compared with stored texts elsewhere.
 */
#include "naming.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "stacks.h"

static const struct stack_key seed = {{3, 4}};

struct world {
	struct reader *reader;
	struct modules modules;
	struct processes processes;
	struct store store;
	struct profile *profile;
	struct naming_stats stats;
};

static int start_world(void **state)
{
	struct world *world = memory_new(struct world);

	world->reader = reader_create(NULL);
	modules_init(&world->modules, world->reader, 16);
	processes_init(&world->processes, &world->modules, NULL, false);
	store_init(&world->store, &seed);
	world->profile = profile_create();
	profile_add_sample_type(world->profile, "samples", "count");
	profile_add_sample_type(world->profile, "cpu", "nanoseconds");
	*state = world;
	return 0;
}

static int end_world(void **state)
{
	struct world *world = *state;

	profile_destroy(world->profile);
	store_deinit(&world->store);
	processes_deinit(&world->processes);
	modules_deinit(&world->modules);
	reader_destroy(world->reader);
	free(world);
	return 0;
}

static void build(struct world *world)
{
	const struct naming_config config = {.period = 1000};

	for (size_t i = 0; i < world->processes.list.nr; i++)
		processes_place_modules(&world->processes, &world->processes.list.data[i]);
	naming_build(&config, world->reader, &world->modules, &world->processes, &world->store, world->profile,
		     &world->stats);
}

static struct stack_key add_stack(struct world *world, const uint64_t *frames, uint32_t nr)
{
	struct {
		struct record_stack record;
		uint64_t frames[4];
	} body = {.record = {.type = RECORD_STACK, .nr_frames = nr, .nr_walked = nr, .nr_leaf_frames = 4}};

	assert_true(nr <= 4);
	stack_key_start(&body.record.key, &seed);
	for (uint32_t i = 0; i < nr; i++) {
		body.frames[i] = frames[i];
		stack_key_add(&body.record.key, frames[i]);
	}
	stack_key_finish(&body.record.key, 0);
	store_add_body(&world->store, &body.record, sizeof(body));
	assert_int_equal(world->store.nr_mismatches, 0);
	return body.record.key;
}

/* The name of a sample's frame, 0 being the leaf; "" = it has not so many. */
static const char *frame_name(const struct profile *profile, size_t sample, uint32_t frame)
{
	const struct profile_sample *at = &profile->samples.data[sample];

	assert_true(sample < profile->samples.nr);
	if (frame >= at->nr_locations)
		return "";
	const struct profile_location *location =
		&profile->locations.data[profile->sample_locations.data[at->first_location + frame]];
	const struct profile_line *line = &profile->lines.data[location->first_line];

	return profile_text(profile, profile->functions.data[line->function].name);
}

/* ---- the kernel ---- */

struct found_symbol {
	uint64_t start;
	char name[200];
};

/*
 * The kernel's own word: a symbol in its text, and the one before it at another address. False: addresses are hidden.
 */
static bool read_kallsyms(const char *wanted, struct found_symbol *ret, struct found_symbol *before)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	struct found_symbol at, previous = {0};
	char line[600];
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%" SCNx64 " %*c %199s", &at.start, at.name) != 2)
			continue;
		if (strcmp(at.name, wanted) == 0 && at.start) {
			*ret = at;
			*before = previous;
			found = previous.start < at.start && previous.start;
		}
		if (at.start != previous.start)
			previous = at;
	}
	if (file)
		fclose(file);
	return found;
}

/* A kernel part lies on the leaf's side of the user part, and return addresses are looked up inside their call. */
static void kernel_frames(void **state)
{
	struct world *world = *state;
	struct found_symbol symbol, before;
	bool visible = read_kallsyms("vfs_read", &symbol, &before);
	uint64_t start = visible ? symbol.start : 0xffffffff81000000;
	const uint64_t kernel[] = {
		frame_make(FRAME_KERNEL, FRAME_EXACT, start),
		frame_make(FRAME_KERNEL, 0, start + 5),
		frame_make(FRAME_KERNEL, 0, start),
	};
	const uint64_t user[] = {frame_make_stop(STOP_unreadable, NO_MODULE)};
	struct count_key key = {.kernel = add_stack(world, kernel, 3), .user = add_stack(world, user, 1)};

	store_add_count(&world->store, &key, 7);
	build(world);
	assert_int_equal(world->profile->samples.nr, 1);
	assert_int_equal(world->profile->samples.data[0].values[0], 7);
	assert_int_equal(world->profile->samples.data[0].values[1], 7000);
	assert_string_equal(frame_name(world->profile, 0, 3), "[stack not readable]");
	assert_int_equal(world->profile->samples.data[0].nr_locations, 4);
	if (!visible) {
		print_message("kernel addresses are hidden: only that is tested\n");
		assert_string_equal(frame_name(world->profile, 0, 0), "[kernel: names hidden]");
		assert_int_equal(world->stats.nr_kernel_unnamed, 3);
		return;
	}
	assert_string_equal(frame_name(world->profile, 0, 0), "vfs_read");
	assert_string_equal(frame_name(world->profile, 0, 1), "vfs_read");
	assert_string_not_equal(frame_name(world->profile, 0, 2), "vfs_read");
	assert_int_equal(world->stats.nr_kernel_unnamed, 0);
}

/* ---- what is not there ---- */

/* A sample whose stack is lost keeps its weight, and each such sample is counted. */
static void lost_stacks(void **state)
{
	struct world *world = *state;
	const uint64_t frames[] = {frame_make_stop(STOP_unreadable, NO_MODULE)};
	struct stack_key held = add_stack(world, frames, 1), lost = {{5, 6}}, other = {{7, 8}};
	struct count_key keys[] = {{.user = lost}, {.user = held, .kernel = other}, {.user = lost, .kernel = other}};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		store_add_count(&world->store, &keys[i], 1 + i);
	build(world);
	/* Without labels the first and the last are one. */
	assert_int_equal(world->profile->samples.nr, 2);
	assert_int_equal(world->profile->samples.data[0].values[0], 1 + 3);
	assert_string_equal(frame_name(world->profile, 0, 0), "[stack lost: ring full]");
	assert_string_equal(frame_name(world->profile, 1, 0), "[stack not readable]");
	assert_string_equal(frame_name(world->profile, 1, 1), "[stack lost: ring full]");
	assert_int_equal(world->stats.nr_stack_lost, 6);
}

/* A sample that has no stack at all was not lost: the profile must not say so when the counter doesn't. */
static void sample_without_any_stack(void **state)
{
	struct world *world = *state;
	struct count_key key = {.process = 1};

	store_add_count(&world->store, &key, 1);
	build(world);
	assert_int_equal(world->profile->samples.nr, 1);
	bool said = strcmp(frame_name(world->profile, 0, 0), "[stack lost: ring full]") == 0;

	assert_int_equal(world->stats.nr_stack_lost, said ? 1 : 0);
}

static void nothing_at_all(void **state)
{
	struct world *world = *state;

	build(world);
	assert_int_equal(world->profile->samples.nr, 0);
	assert_int_equal(world->profile->mappings.nr, 1); /* a profile's first mapping names it */
}

/* ---- the first mapping ---- */

static void add_process(struct world *world, uint32_t slot, const char *comm)
{
	uint32_t index = (uint32_t)world->processes.list.nr;

	memcpy(vector_push(&world->processes.list)->comm, comm, strlen(comm));
	world->processes.list.data[index].slot = slot;
	world->processes.list.data[index].executable = NO_MODULE;
	table_put(&world->processes.by_slot, &slot, index);
}

/* Without an executable, as for a kernel thread, the process's name stands there. */
static void named_by_the_process(void **state)
{
	struct world *world = *state;

	add_process(world, 0, "kworker/0:1");
	build(world);
	assert_string_equal(profile_text(world->profile, world->profile->mappings.data[0].filename), "[kworker/0:1]");
}

static void named_by_the_executable(void **state)
{
	struct world *world = *state;
	struct object_info info = {.is_executable = true, .nr_segments = 1, .segments = {{.size = 0x1800}}};

	*vector_push(&world->modules.list) = (struct module){.fd = -1, .path = memory_strdup("/lib/some.so")};
	*vector_push(&world->modules.list) =
		(struct module){.fd = -1, .path = memory_strdup("/usr/bin/some program"), .info = info};
	add_process(world, 0, "some");
	struct mappings *mappings = &world->processes.list.data[0].mappings;

	mappings_add(mappings, (struct mapping){.start = 0x10000, .end = 0x11000, .module = 0});
	/* Only a piece of it is mapped as code; the profile's mapping spans the segment. */
	mappings_add(mappings,
		     (struct mapping){.start = 0x51000, .end = 0x52000, .module = 1, .module_offset = 0x1000});
	build(world);
	const struct profile_mapping *first = &world->profile->mappings.data[0];

	assert_string_equal(profile_text(world->profile, first->filename), "/usr/bin/some program");
	assert_int_equal(first->start, 0x50000);
	assert_int_equal(first->limit, 0x52000);
}

int main(void)
{
#define NAMING_TEST(name) cmocka_unit_test_setup_teardown(name, start_world, end_world)
	const struct CMUnitTest tests[] = {
		NAMING_TEST(kernel_frames),  NAMING_TEST(lost_stacks),          NAMING_TEST(sample_without_any_stack),
		NAMING_TEST(nothing_at_all), NAMING_TEST(named_by_the_process), NAMING_TEST(named_by_the_executable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
