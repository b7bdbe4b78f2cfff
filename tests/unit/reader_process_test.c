/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader_process_test.c - a reader process that does its work, one that is killed, stopped or starved, and impostors
 * that misbehave in every way a process can.
 *
 * The test program is its own reader process: started again with READER_PROCESS it is the real one, with "fake-..." an
 * impostor.
 */
#include "reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "memory.h"
#include "messages.h"
#include "process.h"
#include "vector.h"
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

/* ---- the tests' side ---- */

static int own_file;

static struct reader_file own(void)
{
	return (struct reader_file){.fd = own_file, .path = "/own/file"};
}

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

static int ask_info(struct reader *reader)
{
	const struct reader_file file = own();
	struct object_info info;

	return reader_describe(reader, &file, &info);
}

static int ask_table(struct reader *reader)
{
	const struct reader_file file = own();
	struct unwind_table *table = NULL;
	int error = reader_unwind_table(reader, &file, &table);

	reader_free_table(table);
	return error;
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

static size_t nr_failures(const struct reader *reader)
{
	size_t nr;

	reader_failures(reader, &nr);
	return nr;
}

static void assert_failure(const struct reader *reader, size_t index, const char *wanted, const char *reason)
{
	size_t nr;
	const struct reader_failure *failures = reader_failures(reader, &nr);

	assert_true(index < nr);
	assert_string_equal(failures[index].path, "/own/file");
	assert_string_equal(failures[index].wanted, wanted);
	assert_string_equal(failures[index].reason, reason);
}

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

/* ---- the real process ---- */

static pid_t child_of(pid_t parent, const char *name)
{
	DIR *folder = opendir("/proc");
	struct dirent *entry;
	pid_t found = 0;

	while ((entry = readdir(folder))) {
		_cleanup_free_ char *path = memory_format("/proc/%s/stat", entry->d_name);
		_cleanup_fclose_ FILE *file = fopen(path, "r");
		char comm[32], status;
		int pid, its_parent;

		if (file && fscanf(file, "%d (%31[^)]) %c %d", &pid, comm, &status, &its_parent) == 4 &&
		    its_parent == parent && strcmp(comm, name) == 0 && status != 'Z')
			found = pid;
	}
	closedir(folder);
	return found;
}

static struct reader *real_reader(uint32_t patience_ms)
{
	const struct reader_config config = {.patience_ms = patience_ms};

	return reader_create(&config);
}

struct collected {
	VECTOR(char) text;
};

static void collect(size_t index, const struct name_frame *frames, size_t nr_frames, void *context)
{
	struct collected *collected = context;
	_cleanup_free_ char *head = memory_format("%zu:", index);

	for (const char *c = head; *c; c++)
		*vector_push(&collected->text) = *c;
	for (size_t i = 0; i < nr_frames; i++) {
		_cleanup_free_ char *line =
			memory_format("%s|%s|%s|%u|%u\n", frames[i].name ? frames[i].name : "-",
				      frames[i].system_name ? frames[i].system_name : "-",
				      frames[i].file ? frames[i].file : "-", frames[i].line, frames[i].start_line);

		for (const char *c = line; *c; c++)
			*vector_push(&collected->text) = *c;
	}
}

/* Names of many addresses of this program; the order is the library's in both modes. */
static void names_of_own(struct reader *reader, struct collected *ret, struct names_status *status)
{
	const struct reader_file file = own();
	struct object_info info;
	VECTOR(uint64_t) addrs = {0};

	assert_int_equal(reader_describe(reader, &file, &info), 0);
	for (uint64_t at = 0; at < info.segments[0].file_size; at += 16)
		*vector_push(&addrs) = info.segments[0].file_addr + at;
	assert_int_equal(reader_names(reader, &file, addrs.data, addrs.nr, collect, ret, status), 0);
	vector_free(&addrs);
}

static void answers_are_those_of_the_library(void **state)
{
	struct reader *there = real_reader(0), *here = reader_create(NULL);
	const struct reader_file file = own();
	struct object_info infos[2];
	struct unwind_table *tables[2];
	struct collected names[2] = {0};
	struct names_status status[2] = {0};
	char bytes[4];

	(void)state;
	assert_int_equal(reader_describe(there, &file, &infos[0]), 0);
	assert_int_equal(reader_describe(here, &file, &infos[1]), 0);
	assert_memory_equal(infos[0].segments, infos[1].segments, sizeof(infos[0].segments));
	assert_memory_equal(infos[0].build_id, infos[1].build_id, BUILD_ID_MAX);
	assert_int_equal(reader_unwind_table(there, &file, &tables[0]), 0);
	assert_int_equal(reader_unwind_table(here, &file, &tables[1]), 0);
	assert_int_equal(tables[0]->nr_rows, tables[1]->nr_rows);
	assert_memory_equal(tables[0]->rows, tables[1]->rows, tables[0]->nr_rows * sizeof(struct unwind_row));
	names_of_own(there, &names[0], &status[0]);
	names_of_own(here, &names[1], &status[1]);
	assert_true(names[0].text.nr > 1000);
	assert_int_equal(names[0].text.nr, names[1].text.nr);
	assert_memory_equal(names[0].text.data, names[1].text.data, names[0].text.nr);
	assert_memory_equal(&status[0], &status[1], sizeof(status[0]));
	assert_int_equal(reader_bytes(there, &file, 0, bytes, 4), 4);
	assert_memory_equal(bytes, "\177ELF", 4);
	assert_int_equal(reader_bytes(there, &file, 1, bytes, 3), 3);
	assert_int_equal(reader_bytes(here, &file, 1, bytes + 3, 1), 1);
	assert_memory_equal(bytes, "ELFE", 4);
	assert_int_equal(reader_bytes(there, &file, 1ull << 40, bytes, 4), 0);
	assert_int_equal(nr_failures(there), 0);
	for (int i = 0; i < 2; i++) {
		reader_free_table(tables[i]);
		vector_free(&names[i].text);
	}
	reader_destroy(there);
	reader_destroy(here);
}

static void what_is_no_file_is_not_opened(void **state)
{
	struct reader *reader = real_reader(0);
	char fifo[] = "/tmp/ebprof-reader-XXXXXX";
	char longest[PATH_BYTES_MAX + 10];
	_cleanup_close_ int handle = reader_open(reader, "/proc/self/exe");

	(void)state;
	assert_true(handle >= 0);
	/* A handle names a file and reads nothing; its file is read all the same. */
	assert_int_equal(read(handle, fifo, 0), -1);
	const struct reader_file file = {.fd = handle, .path = "exe"};
	char bytes[4];

	assert_int_equal(reader_bytes(reader, &file, 0, bytes, 4), 4);
	assert_non_null(mkdtemp(fifo));
	_cleanup_free_ char *pipe_path = memory_format("%s/pipe", fifo);

	assert_int_equal(mkfifo(pipe_path, 0600), 0);
	assert_int_equal(reader_open(reader, pipe_path), -EINVAL);
	assert_int_equal(reader_open(reader, "/dev/null"), -EINVAL);
	assert_int_equal(reader_open(reader, "/tmp"), -EINVAL);
	assert_int_equal(reader_open(reader, "/nonexistent"), -ENOENT);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	assert_int_equal(reader_open(reader, longest), -ENAMETOOLONG);
	assert_int_equal(nr_failures(reader), 0);
	assert_int_equal(unlink(pipe_path) | rmdir(fifo), 0);
	reader_destroy(reader);
}

/* Killed while it has nothing to do: no file pays for it. */
static void a_process_lost_between_questions_costs_nothing(void **state)
{
	struct reader *reader = real_reader(0);

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ask_info(reader), 0);
		pid_t pid = child_of(getpid(), "ebprof-reader");

		assert_true(pid > 0);
		pid_t victim = i == 1 ? child_of(pid, "ebprof-opener") : pid;

		assert_int_equal(kill(victim, SIGKILL), 0);
		/* Until its sockets are closed. */
		while (kill(victim, 0) == 0 &&
		       child_of(i == 1 ? pid : getpid(), i == 1 ? "ebprof-opener" : "ebprof-reader") == victim)
			usleep(1000);
		usleep(20000);
	}
	assert_int_equal(ask_info(reader), 0);
	assert_int_equal(nr_failures(reader), 0);
	reader_destroy(reader);
}

/* Whether it ends soon: has gone, or is a zombie. */
static bool await_end(pid_t pid)
{
	for (int i = 0; i < 200; i++) {
		_cleanup_free_ char *path = memory_format("/proc/%d/stat", (int)pid);
		_cleanup_fclose_ FILE *file = fopen(path, "r");
		char status = 'Z';

		if (!file || fscanf(file, "%*d (%*[^)]) %c", &status) != 1 || status == 'Z')
			return true;
		usleep(10000);
	}
	return false;
}

static void a_stopped_process_is_replaced(void **state)
{
	struct reader *reader = real_reader(2000);

	(void)state;
	assert_int_equal(ask_info(reader), 0);
	pid_t pid = child_of(getpid(), "ebprof-reader"), opener = child_of(pid, "ebprof-opener");

	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(ask_table(reader), -ETIMEDOUT);
	assert_failure(reader, 0, "its unwind rows", "took longer than 2 s");
	assert_int_equal(ask_info(reader), 0);
	/* Both halves have gone; of the opener its new parent may not have taken notice. */
	assert_int_equal(kill(pid, 0), -1);
	assert_true(await_end(opener));
	pid = child_of(getpid(), "ebprof-reader");
	assert_int_equal(kill(child_of(pid, "ebprof-opener"), SIGSTOP), 0);
	assert_int_equal(ask_info(reader), -ETIMEDOUT);
	assert_int_equal(ask_table(reader), 0);
	assert_int_equal(nr_failures(reader), 2);
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

static char *status_of(pid_t pid)
{
	_cleanup_free_ char *path = memory_format("/proc/%d/status", (int)pid);
	_cleanup_fclose_ FILE *file = fopen(path, "r");
	char *text = memory_zalloc(1, 8192);

	assert_non_null(file);
	assert_true(fread(text, 1, 8191, file) > 0);
	return text;
}

static void it_has_no_privileges(void **state)
{
	struct reader *reader = real_reader(0);

	(void)state;
	assert_int_equal(ask_info(reader), 0);
	_cleanup_free_ char *text = status_of(child_of(getpid(), "ebprof-reader"));

	assert_non_null(strstr(text, "\nNoNewPrivs:\t1\n"));
	assert_non_null(strstr(text, "\nSeccomp:\t2\n"));
	assert_non_null(strstr(text, "\nCapEff:\t0000000000000000\n"));
	assert_non_null(strstr(text, "\nCapPrm:\t0000000000000000\n"));
	if (geteuid() == 0)
		assert_non_null(strstr(text, "\nUid:\t65534\t65534\t65534\t65534\nGid:\t65534\t65534\t65534\t65534\n"));
	reader_destroy(reader);
}

static int open_own(void **state)
{
	(void)state;
	own_file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	return own_file < 0;
}

static int close_own(void **state)
{
	(void)state;
	return close(own_file);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(misbehaviour_costs_the_question),
		cmocka_unit_test(an_answer_without_end_meets_the_deadline),
		cmocka_unit_test(a_process_that_never_begins_is_a_failure),
		cmocka_unit_test(it_gives_up_in_the_end),
		cmocka_unit_test(answers_are_those_of_the_library),
		cmocka_unit_test(what_is_no_file_is_not_opened),
		cmocka_unit_test(a_process_lost_between_questions_costs_nothing),
		cmocka_unit_test(a_stopped_process_is_replaced),
		cmocka_unit_test(a_question_can_be_cancelled),
		cmocka_unit_test(it_has_no_privileges),
	};

	if (argc == 2)
		return strcmp(argv[1], READER_PROCESS) == 0 ? reader_process_main() : impostor_main(argv[1]);
	return cmocka_run_group_tests(tests, open_own, close_own);
}
