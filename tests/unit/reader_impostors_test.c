/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader_impostors_test.c - reader processes that misbehave in every way a process can: what does that cost?
 *
 * The test program is its own reader process: started again with "fake-..." it is an impostor, which takes questions
 * as the real one does and then crashes, hangs, lies, floods or says nothing.
 */
#include "reader_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

#include "messages.h"
#include "wire.h"

static const struct wire_wait patient = {.deadline_ns = WIRE_NO_DEADLINE, .cancel_fd = -1};

/* ---- impostors ---- */

static void greet(void)
{
	const struct hello hello = {.magic = HELLO_MAGIC};
	const struct opener_reply reply = {0};

	wire_send(READER_SOCKET, &hello, sizeof(hello), &patient);
	wire_send(OPENER_SOCKET, &reply, sizeof(reply), &patient);
}

/* Takes one question, file and all, and throws it away. */
static struct question take_question(void)
{
	struct opener_request request;
	struct question question;
	char bytes[PATH_BYTES_MAX];
	int fd;

	if (wire_receive_with_fd(OPENER_SOCKET, &request, sizeof(request), &fd, &patient) ||
	    wire_receive(OPENER_SOCKET, bytes, request.path_size, &patient) ||
	    wire_receive(READER_SOCKET, &question, sizeof(question), &patient))
		_exit(0);
	for (uint32_t i = 0; i < question.nr_addrs; i++)
		wire_receive(READER_SOCKET, bytes, 8, &patient);
	return question;
}

static void say(const void *data, size_t size_bytes)
{
	if (wire_send(READER_SOCKET, data, size_bytes, &patient))
		_exit(0);
}

static void say_part(uint32_t kind, int32_t error, uint64_t size_bytes)
{
	const struct part part = {.kind = kind, .error = error, .size_bytes = size_bytes};

	say(&part, sizeof(part));
}

static void hang(void)
{
	for (;;)
		pause();
}

static void fake_crash(void)
{
	signal(SIGSEGV, SIG_DFL); /* a sanitizer would make an exit of it */
	raise(SIGSEGV);
}

static void fake_abort(void)
{
	raise(SIGABRT);
}

static void fake_no_memory(void)
{
	_exit(READER_EXIT_NO_MEMORY);
}

static void fake_exit(void)
{
	_exit(3);
}

static void fake_noise(void)
{
	static char noise[1 << 20];

	memset(noise, 0xff, sizeof(noise));
	say(noise, sizeof(noise));
}

static void fake_half(void)
{
	say("half", 4);
	_exit(0);
}

static void fake_wrong_size(void)
{
	say_part(PART_END, 0, UINT64_MAX);
}

static void fake_positive_error(void)
{
	say_part(PART_END, 1, 0);
}

/* Says what only the agent may find. */
static void fake_lost(void)
{
	say_part(PART_END, -ETIMEDOUT, 0);
}

static void fake_huge_table(void)
{
	const struct told_table told = {.nr_granules = 1 << 22, .nr_rows = UINT32_MAX, .nr_rules = RULES_MAX};

	say_part(PART_END, 0, sizeof(told) + 8ull * told.nr_granules + 4ull * told.nr_rows + 16ull * told.nr_rules);
	say(&told, sizeof(told));
}

static void fake_unsorted_table(void)
{
	enum { NR_RULES = 20 };
	const struct told_table told = {.nr_granules = 1, .nr_rows = 2, .nr_rules = NR_RULES};
	const struct unwind_granule granule = {.nr_rows = 2};
	const struct unwind_row rows[] = {{.offset = 8}, {.offset = 4}};
	const struct unwind_rule rules[NR_RULES] = {
		{.cfa = CFA_NONE}, {.cfa = CFA_ROOT}, {.cfa = CFA_SIGNAL}, {.cfa = CFA_UNSUPPORTED}};

	say_part(PART_END, 0, sizeof(told) + sizeof(granule) + sizeof(rows) + sizeof(rules));
	say(&told, sizeof(told));
	say(&granule, sizeof(granule));
	say(rows, sizeof(rows));
	say(rules, sizeof(rules));
}

/* Names for ever, of an address that was not asked for in the end. */
static void fake_flood(void)
{
	const uint32_t one[] = {0, 0}, other[] = {UINT32_MAX, 0};

	say_part(PART_NAMES, 0, sizeof(one));
	say(one, sizeof(one));
	for (;;) {
		say_part(PART_NAMES, 0, 0);
		say_part(PART_NAMES, 0, sizeof(other));
		say(other, sizeof(other));
	}
}

/* Parts without anything in them: nothing to refuse but their being there for ever. */
static void fake_empty_parts(void)
{
	for (;;)
		say_part(PART_NAMES, 0, 0);
}

static void fake_huge_part(void)
{
	say_part(PART_NAMES, 0, UINT64_MAX);
}

/* A descriptor where none belongs. */
static void fake_descriptors(void)
{
	const struct part part = {.kind = PART_END, .error = -ENOEXEC};

	wire_send_with_fd(READER_SOCKET, &part, sizeof(part), STDERR_FILENO, &patient);
}

static const struct {
	const char *name;
	void (*misbehave)(void);
	const char *reason; /* NULL = nothing is wrong */
} impostors[] = {
	{"fake-crash", fake_crash, "crashed (SIGSEGV)"},
	{"fake-abort", fake_abort, "crashed (SIGABRT)"},
	{"fake-no-memory", fake_no_memory, "ran out of memory"},
	{"fake-exit", fake_exit, "ended (status 3)"},
	{"fake-noise", fake_noise, "answered nonsense"},
	{"fake-half", fake_half, "ended (status 0)"},
	{"fake-wrong-size", fake_wrong_size, "answered nonsense"},
	{"fake-positive-error", fake_positive_error, "answered nonsense"},
	{"fake-lost", fake_lost, "answered nonsense"},
	{"fake-huge-table", fake_huge_table, "answered nonsense"},
	{"fake-unsorted-table", fake_unsorted_table, "answered nonsense"},
	{"fake-flood", fake_flood, "answered nonsense"},
	{"fake-huge-part", fake_huge_part, "answered nonsense"},
	{"fake-hang", hang, "took longer than 300 ms"},
	{"fake-descriptors", fake_descriptors, NULL},
};

/* Never says a word; ends at once; is silent in the middle of its greeting. */
static int impostor_main(const char *name)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (strcmp(name, "fake-mute") == 0)
		hang();
	if (strcmp(name, "fake-still-born") == 0)
		return 5;
	if (strcmp(name, "fake-stranger") == 0)
		fake_noise();
	greet();
	if (strcmp(name, "fake-empty-parts") == 0) {
		take_question();
		fake_empty_parts();
	}
	for (size_t i = 0; i < ARRAY_SIZE(impostors); i++)
		while (strcmp(name, impostors[i].name) == 0) {
			take_question();
			impostors[i].misbehave();
		}
	return 1;
}

/* ---- questions ---- */

static void ignore_names(size_t index, const struct name_frame *frames, size_t nr_frames, void *context)
{
	(void)index;
	(void)frames;
	(void)nr_frames;
	(void)context;
}

static int ask_names(struct reader *reader)
{
	const struct reader_file file = own();
	const uint64_t addrs[] = {1, 2};

	return reader_names(reader, &file, addrs, 2, ignore_names, NULL, NULL);
}

static int ask_starts(struct reader *reader)
{
	const struct reader_file file = own();
	const uint64_t addrs[] = {1, 2};
	uint64_t starts[2];

	return reader_function_starts(reader, &file, addrs, 2, starts);
}

static int ask_bytes(struct reader *reader)
{
	const struct reader_file file = own();
	char bytes[10];

	return (int)reader_bytes(reader, &file, 0, bytes, sizeof(bytes));
}

static const struct {
	int (*ask)(struct reader *reader);
	const char *wanted;
} questions[] = {
	{ask_names, "its names"},       {ask_info, "what kind of file it is"},
	{ask_table, "its unwind rows"}, {ask_starts, "where its functions begin"},
	{ask_bytes, "its first line"},
};

static size_t nr_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	size_t nr = 0;

	while (readdir(folder))
		nr++;
	closedir(folder);
	return nr;
}

/* ---- misbehaviour ---- */

/* Every way to misbehave at every question is an error of that question, with its reason, and nothing else. */
static void misbehaviour_costs_the_question(void **state)
{
	size_t before = nr_descriptors();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(impostors); i++) {
		const struct reader_config config = {
			.argument = impostors[i].name,
			.patience_ms = impostors[i].misbehave == hang ? 300 : 20000,
		};
		struct reader *reader = reader_create(&config);

		for (size_t j = 0; j < ARRAY_SIZE(questions); j++) {
			int error = questions[j].ask(reader);

			if (!impostors[i].reason) {
				assert_int_equal(error, -ENOEXEC);
				continue;
			}
			assert_true(reader_lost(error));
			assert_int_equal(nr_failures(reader), j + 1);
			assert_failure(reader, j, questions[j].wanted, impostors[i].reason);
		}
		assert_int_equal(nr_failures(reader), impostors[i].reason ? ARRAY_SIZE(questions) : 0);
		reader_destroy(reader);
	}
	assert_int_equal(nr_descriptors(), before);
}

static void an_answer_without_end_meets_the_deadline(void **state)
{
	const struct reader_config config = {.argument = "fake-empty-parts", .patience_ms = 300};
	struct reader *reader = reader_create(&config);

	(void)state;
	assert_int_equal(ask_names(reader), -ETIMEDOUT);
	assert_failure(reader, 0, "its names", "took longer than 300 ms");
	reader_destroy(reader);
}

static void a_process_that_never_begins_is_a_failure(void **state)
{
	static const char *const arguments[] = {"fake-mute", "fake-still-born", "fake-stranger"};
	static const char *const reasons[] = {"took longer than 300 ms", "ended (status 5)", "answered nonsense"};
	const struct reader_config missing = {.program = "/nonexistent"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(arguments); i++) {
		const struct reader_config config = {.argument = arguments[i], .patience_ms = i ? 20000 : 300};
		struct reader *reader = reader_create(&config);

		assert_true(reader_lost(ask_info(reader)));
		assert_failure(reader, 0, "what kind of file it is", reasons[i]);
		reader_destroy(reader);
	}
	struct reader *reader = reader_create(&missing);

	assert_true(reader_lost(ask_info(reader)));
	assert_failure(reader, 0, "what kind of file it is", "could not be used (No such file or directory)");
	reader_destroy(reader);
}

/* Many bad files don't make a storm of processes. */
static void it_gives_up_in_the_end(void **state)
{
	const struct reader_config config = {.argument = "fake-crash"};
	struct reader *reader = reader_create(&config);
	unsigned int nr = 0;

	(void)state;
	while (ask_info(reader) != -EUSERS) {
		nr++;
		assert_true(nr <= 1000);
	}
	assert_int_equal(nr, 1000);
	assert_failure(reader, 1000, "what kind of file it is", "is not asked any more: too many files made it fail");
	reader_destroy(reader);
}

static void *cancel_soon(void *context)
{
	usleep(50000);
	reader_cancel(context);
	return NULL;
}

static void a_question_can_be_cancelled(void **state)
{
	const struct reader_config config = {.argument = "fake-hang"};
	struct reader *reader = reader_create(&config);
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, cancel_soon, reader), 0);
	assert_int_equal(ask_table(reader), -ECANCELED);
	pthread_join(thread, NULL);
	assert_int_equal(ask_table(reader), -ECANCELED);
	assert_int_equal(nr_failures(reader), 0);
	reader_destroy(reader);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(misbehaviour_costs_the_question),
		cmocka_unit_test(an_answer_without_end_meets_the_deadline),
		cmocka_unit_test(a_process_that_never_begins_is_a_failure),
		cmocka_unit_test(it_gives_up_in_the_end),
		cmocka_unit_test(a_question_can_be_cancelled),
	};

	if (argc == 2)
		return impostor_main(argv[1]);
	return cmocka_run_group_tests(tests, open_own, close_own);
}
