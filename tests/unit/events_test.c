/* SPDX-License-Identifier: Apache-2.0 */
/* Records come in any order, leave in order of time, and none is lost or seen twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "events.h"

static struct events events;

static int end(void **state)
{
	(void)state;
	events_deinit(&events);
	memset(&events, 0, sizeof(events));
	return 0;
}

static void add_exit(uint64_t time_ns)
{
	struct record_exit record = {.type = RECORD_EXIT, .time_ns = time_ns, .pid = (uint32_t)time_ns};

	events_add(&events, &record, sizeof(record), RECORD_EXIT);
}

static void check_next(uint64_t until_ns, uint64_t time_ns)
{
	const struct event *event = events_take(&events, until_ns);

	assert_non_null(event);
	assert_int_equal(event->time_ns, time_ns);
	assert_int_equal(event->exit.pid, time_ns);
}

static void in_order_of_time(void **state)
{
	(void)state;
	assert_null(events_take(&events, UINT64_MAX));
	add_exit(30);
	add_exit(10);
	add_exit(20);
	events_sort(&events);
	assert_null(events_take(&events, 9));
	check_next(10, 10);
	check_next(25, 20);
	assert_null(events_take(&events, 29));
	/* What is left waits for the next round, and comes in between there. */
	assert_int_equal(events_keep_rest(&events), 1);
	add_exit(40);
	add_exit(25);
	events_sort(&events);
	check_next(UINT64_MAX, 25);
	check_next(UINT64_MAX, 30);
	check_next(UINT64_MAX, 40);
	assert_null(events_take(&events, UINT64_MAX));
	assert_int_equal(events_keep_rest(&events), 0);
	assert_null(events_take(&events, UINT64_MAX));
}

static void each_kind(void **state)
{
	struct record_process process = {.type = RECORD_PROCESS, .time_ns = 1, .pid = 11};
	struct record_no_mapping no_mapping = {.type = RECORD_NO_MAPPING, .time_ns = 3, .process = 33};

	(void)state;
	events_add(&events, &no_mapping, sizeof(no_mapping), RECORD_NO_MAPPING);
	add_exit(2);
	events_add(&events, &process, sizeof(process), RECORD_PROCESS);
	events_sort(&events);
	assert_int_equal(events_take(&events, 5)->process.pid, 11);
	assert_int_equal(events_take(&events, 5)->exit.pid, 2);
	assert_int_equal(events_take(&events, 5)->no_mapping.process, 33);
}

/* A record that is shorter than its kind leaves the rest of the event alone, and a longer one is cut. */
static void odd_sizes(void **state)
{
	uint8_t bytes[sizeof(struct event) + 64];

	(void)state;
	memset(bytes, 0x11, sizeof(bytes));
	events_add(&events, bytes, 4, RECORD_EXIT);
	events_add(&events, bytes, sizeof(bytes), RECORD_PROCESS);
	events_sort(&events);
	assert_non_null(events_take(&events, UINT64_MAX));
	assert_non_null(events_take(&events, UINT64_MAX));
	assert_null(events_take(&events, UINT64_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(in_order_of_time, end),
		cmocka_unit_test_teardown(each_kind, end),
		cmocka_unit_test_teardown(odd_sizes, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
