/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c - how is a question asked of a process that may crash, hang or lie?
 *
 * A question goes out in two pieces: the file's handle and path to the opener, the rest to the reader, which gets the
 * opened file from there. Then the answer is received against a deadline that depends on what was asked and on the
 * file's size. Whatever goes wrong in between ends the process, and the file is listed with the reason, found in the
 * process's exit status where there is one. The next question starts another process.
 *
 * So that a recording can't be held up by many bad files, deadlines become short after some time was lost to them, and
 * after a number of failures nothing more is asked.
 *
 * What waits for the agent's drain (headers, opening) has a short deadline from the beginning.
 */
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "answers.h"
#include "child.h"
#include "memory.h"
#include "messages.h"
#include "process.h"
#include "strings.h"
#include "time_now.h"
#include "wire.h"

enum {
	START_MS = 5000,              /* to load and to greet */
	SHORT_MS = 2000,              /* headers, first bytes, opening: the agent's drain waits for these ... */
	SHORT_IMPATIENT_MS = 500,     /* ... so they get this after a deadline was missed */
	LONG_MS = 10000,              /* rows and names ... */
	LONG_BYTES_PER_MS = 16 << 10, /* ... and time for the size, as if read at 16 MiB/s ... */
	LONGEST_MS = 60000,           /* ... up to this; */
	LOST_MS_MAX = 30000,          /* after so much was lost to deadlines, LONG_MS is: */
	IMPATIENT_MS = 1000,
	FAILURES_MAX = 1000,
	TIMEOUTS_MAX = 64,
	WIRE_ERRNO_MAX = 4095,
};

/* Bytes of names that a question may bring: the usual, and per address. */
#define NAMES_BYTES_MAX(nr) (((uint64_t)64 << 20) + (uint64_t)(nr)*4096)

/* Of an unwind table, with its head. */
#define TABLE_BYTES_MAX                                                                                                \
	(sizeof(struct told_table) + (uint64_t)GRANULES_MAX_TOLD * sizeof(struct unwind_granule) +                     \
	 (uint64_t)ROWS_MAX_TOLD * sizeof(struct unwind_row) + (uint64_t)RULES_MAX * sizeof(struct unwind_rule))

struct client {
	const char *program, *argument;
	uint32_t patience_ms;
	struct child child;
	int cancel_fd;
	bool cancelled;

	VECTOR(struct reader_failure) failures;
	struct strings texts; /* of the failures */
	uint32_t nr_timeouts;
	uint64_t lost_ms;
};

/* What is being asked. */
struct call {
	const struct reader_file *file;
	const char *wanted;
	uint32_t limit_ms;
	struct wire_wait wait;
};

struct client *client_create(const struct reader_config *config)
{
	struct client *client = memory_new(struct client);

	client->program = config->program ? config->program : "/proc/self/exe";
	client->argument = config->argument ? config->argument : READER_PROCESS;
	client->patience_ms = config->patience_ms;
	client->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	strings_init(&client->texts);
	child_init(&client->child);
	/* A failure is found, and told, when the first question is asked. */
	child_start(&client->child, client->program, client->argument);
	return client;
}

void client_destroy(struct client *client)
{
	if (!client)
		return;
	child_deinit(&client->child);
	if (client->cancel_fd >= 0)
		close(client->cancel_fd);
	vector_free(&client->failures);
	strings_deinit(&client->texts);
	free(client);
}

void client_cancel(struct client *client)
{
	__atomic_store_n(&client->cancelled, true, __ATOMIC_RELAXED);
	eventfd_write(client->cancel_fd, 1);
}

void client_release(struct client *client)
{
	client_cancel(client);
	child_dismiss(&client->child);
}

const struct reader_failure *client_failures(const struct client *client, size_t *nr_ret)
{
	*nr_ret = client->failures.nr;
	return client->failures.data;
}

/* ---- failing ---- */

/* Why a process ended by itself. Free with free(). */
static char *describe_end(int status)
{
	if (status == -1)
		return memory_strdup("closed its connection");
	if (WIFSIGNALED(status)) {
		int number = WTERMSIG(status);
		const char *name = sigabbrev_np(number);

		return memory_format("%s (SIG%s)", number == SIGKILL ? "was killed" : "crashed", name ? name : "?");
	}
	switch (WEXITSTATUS(status)) {
	case READER_EXIT_NO_MEMORY:
		return memory_strdup("ran out of memory");
	case READER_EXIT_NO_OPENER:
		return memory_strdup("lost the process that opens files");
	}
	return memory_format("ended (status %d)", WEXITSTATUS(status));
}

static char *describe_failure(const struct call *call, int error, int status)
{
	switch (error) {
	case -ETIMEDOUT:
		return call->limit_ms % 1000 ? memory_format("took longer than %u ms", call->limit_ms)
					     : memory_format("took longer than %u s", call->limit_ms / 1000);
	case -EPROTO:
		return memory_strdup("answered nonsense");
	case -EPIPE:
		return describe_end(status);
	case -EUSERS:
		return memory_strdup("is not asked any more: too many files made it fail");
	}
	return memory_format("could not be used (%s)", strerror(-error));
}

/* Ends the process after an error in a call, and lists the file. Returns what the caller gets to see. */
static int fail(struct client *client, const struct call *call, int error)
{
	int status;

	child_end(&client->child, &status);
	if (error == -ECANCELED)
		return error;
	_cleanup_free_ char *reason = describe_failure(call, error, status);
	const char *path = call->file->path;

	if (error == -ETIMEDOUT) {
		client->nr_timeouts++;
		client->lost_ms += call->limit_ms;
	}
	*vector_push(&client->failures) = (struct reader_failure){
		.path = strings_text(&client->texts, strings_intern(&client->texts, path)),
		.wanted = call->wanted,
		.reason = strings_text(&client->texts, strings_intern(&client->texts, reason)),
	};
	return error == -ETIMEDOUT || error == -EPROTO || error == -EUSERS ? error : -EPIPE;
}

/* ---- asking ---- */

/* How long a question about a file may take. */
static uint32_t limit_of(const struct client *client, const struct reader_file *file, bool is_short)
{
	struct statx status;
	uint64_t size_ms = 0;

	if (client->patience_ms)
		return client->patience_ms;
	if (is_short)
		return client->nr_timeouts ? SHORT_IMPATIENT_MS : SHORT_MS;
	/* The size that is known, without asking its owner. */
	if (statx(file->fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE, &status) == 0)
		size_ms = status.stx_size / LONG_BYTES_PER_MS;
	uint64_t limit_ms = size_ms + (client->lost_ms < LOST_MS_MAX ? LONG_MS : IMPATIENT_MS);

	limit_ms = limit_ms < LONGEST_MS ? limit_ms : LONGEST_MS;
	return (uint32_t)((limit_ms + 999) / 1000 * 1000);
}

/* A process that is there and has greeted. */
static int prepare_child(struct client *client)
{
	const struct wire_wait start = {
		.deadline_ns = time_now_ns(CLOCK_MONOTONIC) +
			       (client->patience_ms ? client->patience_ms : START_MS) * 1000000ull,
		.cancel_fd = client->cancel_fd,
	};
	int status;

	if (__atomic_load_n(&client->cancelled, __ATOMIC_RELAXED))
		return -ECANCELED;
	if (client->nr_timeouts >= TIMEOUTS_MAX || client->failures.nr >= FAILURES_MAX)
		return -EUSERS;
	/* Lost while it had nothing to do: no file is to blame. */
	if (client->child.pid && child_is_lost(&client->child))
		child_end(&client->child, &status);
	int error = client->child.pid ? 0 : child_start(&client->child, client->program, client->argument);

	return error ? error : child_greet(&client->child, &start);
}

/* A message in one piece wakes the other side once. */
static int send_path(struct client *client, const struct call *call, enum opener_kind kind, int handle)
{
	struct {
		struct opener_request request;
		char path[PATH_BYTES_MAX];
	} message;
	size_t size = strlen(call->file->path) + 1;
	const char *path = size <= sizeof(message.path) ? call->file->path : "";

	size = strlen(path) + 1;
	message.request = (struct opener_request){.kind = kind, .path_size = (uint32_t)size};
	memcpy(message.path, path, size);
	return wire_send_with_fd(client->child.opener_socket, &message, sizeof(message.request) + size, handle,
				 &call->wait);
}

/* Prepares a call and its process. */
static int begin(struct client *client, struct call *call, bool is_short)
{
	int error = prepare_child(client);

	call->limit_ms = limit_of(client, call->file, is_short);
	call->wait = (struct wire_wait){
		.deadline_ns = time_now_ns(CLOCK_MONOTONIC) + call->limit_ms * 1000000ull,
		.cancel_fd = client->cancel_fd,
	};
	return error;
}

/* Asks; the answer is received by the caller. */
static int ask(struct client *client, struct call *call, enum question_kind kind, const uint64_t *addrs, size_t nr)
{
	size_t size = sizeof(struct question) + nr * sizeof(*addrs);
	_cleanup_free_ struct question *question = memory_zalloc(1, size);
	int error = begin(client, call, kind == QUESTION_INFO || kind == QUESTION_BYTES);

	*question = (struct question){.kind = kind, .nr_addrs = (uint32_t)nr};
	if (nr)
		memcpy(question + 1, addrs, nr * sizeof(*addrs));
	if (!error)
		error = send_path(client, call, OPENER_FILE, call->file->fd);
	return error ? error : wire_send(client->child.reader_socket, question, size, &call->wait);
}

static int receive(struct client *client, const struct call *call, void *ret, size_t size_bytes)
{
	return wire_receive(client->child.reader_socket, ret, size_bytes, &call->wait);
}

static int receive_part(struct client *client, const struct call *call, struct part *ret)
{
	int error = receive(client, call, ret, sizeof(*ret));

	if (error)
		return error;
	if (ret->kind > PART_END || ret->error > 0 || ret->error < -WIRE_ERRNO_MAX ||
	    (ret->error && (ret->size_bytes || ret->kind != PART_END)))
		return -EPROTO;
	return 0;
}

/* The end of an answer that says size_bytes, into ret. *answer_ret is what the file is like: 0 or a negative errno. */
static int receive_end(struct client *client, const struct call *call, void *ret, size_t size_bytes, int *answer_ret)
{
	struct part part;
	int error = receive_part(client, call, &part);

	*answer_ret = 0;
	if (error)
		return error;
	/* An error that says that the process is lost is not the process's to say. */
	if (part.kind != PART_END || (part.error && reader_lost(part.error)) ||
	    (!part.error && part.size_bytes != size_bytes))
		return -EPROTO;
	*answer_ret = part.error;
	return part.error ? 0 : receive(client, call, ret, size_bytes);
}

int client_open(struct client *client, const char *path, bool for_caller)
{
	const struct reader_file file = {.fd = -1, .path = path};
	struct call call = {.file = &file, .wanted = "the file"};
	struct opener_reply reply = {0};
	_cleanup_close_ int fd = -1;

	if (strlen(path) + 1 > PATH_BYTES_MAX)
		return -ENAMETOOLONG;
	int error = begin(client, &call, true);

	if (!error)
		error = send_path(client, &call, for_caller ? OPENER_CALLER : OPENER_HANDLE, -1);
	if (!error)
		error = wire_receive_with_fd(client->child.opener_socket, &reply, sizeof(reply), &fd, &call.wait);
	if (!error && !reply.error && fd < 0)
		error = -EPROTO;
	if (error)
		return fail(client, &call, error);
	return reply.error ? reply.error : steal_fd(fd);
}

int client_info(struct client *client, const struct reader_file *file, struct object_info *ret)
{
	struct call call = {.file = file, .wanted = "what kind of file it is"};
	struct told_info told;
	int answer = 0;
	int error = ask(client, &call, QUESTION_INFO, NULL, 0);

	if (!error)
		error = receive_end(client, &call, &told, sizeof(told), &answer);
	if (!error && !answer)
		error = answer_take_info(&told, ret);
	return error ? fail(client, &call, error) : answer;
}

_Static_assert((int)READER_BYTES_MAX <= FILE_BYTES_MAX, "what may be asked for can be answered");

ssize_t client_bytes(struct client *client, const struct reader_file *file, uint64_t file_offset, void *ret,
		     size_t size_bytes)
{
	struct call call = {.file = file, .wanted = file_offset ? "its code" : "its first line"};
	char bytes[FILE_BYTES_MAX];
	struct part part = {0};
	int error = ask(client, &call, QUESTION_BYTES, &file_offset, 1);

	if (!error)
		error = receive_part(client, &call, &part);
	if (!error && (part.kind != PART_END || part.size_bytes > sizeof(bytes) || reader_lost(part.error)))
		error = -EPROTO;
	if (!error)
		error = receive(client, &call, bytes, part.size_bytes);
	if (error)
		return fail(client, &call, error);
	if (part.error)
		return part.error;
	size_t length = part.size_bytes < size_bytes ? part.size_bytes : size_bytes;

	memcpy(ret, bytes, length);
	return (ssize_t)length;
}

static int receive_table(struct client *client, const struct call *call, struct unwind_table **ret, int *answer_ret)
{
	struct unwind_table *table = NULL;
	struct told_table told;
	struct part part;
	int error = receive_part(client, call, &part);

	*answer_ret = part.error;
	if (!error && (part.kind != PART_END || reader_lost(part.error)))
		return -EPROTO;
	if (error || part.error)
		return error;
	if (part.size_bytes < sizeof(told) || part.size_bytes > TABLE_BYTES_MAX)
		return -EPROTO;
	error = receive(client, call, &told, sizeof(told));
	if (!error && part.size_bytes != sizeof(told) + answer_table_bytes(&told))
		error = -EPROTO;
	if (!error)
		error = answer_new_table(&told, &table);
	if (!error)
		error = receive(client, call, table->granules, table->nr_granules * sizeof(*table->granules));
	if (!error)
		error = receive(client, call, table->rows, table->nr_rows * sizeof(*table->rows));
	if (!error)
		error = receive(client, call, table->rules, table->nr_rules * sizeof(*table->rules));
	if (!error)
		error = answer_check_table(table);
	if (error)
		answer_free_table(table);
	else
		*ret = table;
	return error;
}

int client_table(struct client *client, const struct reader_file *file, enum table_effort effort,
		 struct unwind_table **ret)
{
	struct call call = {.file = file, .wanted = "its unwind rows"};
	int answer = 0;
	int error = ask(client, &call, effort == TABLE_QUICK ? QUESTION_QUICK_TABLE : QUESTION_TABLE, NULL, 0);

	if (!error)
		error = receive_table(client, &call, ret, &answer);
	return error ? fail(client, &call, error) : answer;
}

/* Parts until the end, each taken apart when it has come whole. */
static int receive_names(struct client *client, const struct call *call, struct answer_names *names,
			 struct names_status *status, int *answer_ret)
{
	uint64_t left = NAMES_BYTES_MAX(names->nr);
	_cleanup_free_ uint8_t *bytes = NULL;
	size_t room = 0;
	struct told_status told;
	struct part part;
	int error;

	while (!(error = receive_part(client, call, &part)) && part.kind == PART_NAMES) {
		if (part.size_bytes > NAMES_PART_MAX || part.size_bytes > left)
			return -EPROTO;
		left -= part.size_bytes;
		if (part.size_bytes > room) {
			room = part.size_bytes;
			bytes = memory_realloc(bytes, room, 1);
		}
		error = receive(client, call, bytes, part.size_bytes);
		if (!error)
			error = answer_take_names(names, bytes, part.size_bytes);
		if (error)
			return error;
	}
	if (error)
		return error;
	*answer_ret = part.error;
	if (part.error)
		return reader_lost(part.error) ? -EPROTO : 0;
	if (part.size_bytes != sizeof(told) || memchr(names->seen, false, names->nr))
		return -EPROTO;
	error = receive(client, call, &told, sizeof(told));
	return error ? error : answer_take_status(&told, status);
}

int client_names(struct client *client, const struct reader_file *file, const uint64_t *addrs, size_t nr,
		 names_found_fn found, void *context, struct names_status *status)
{
	struct call call = {.file = file, .wanted = "its names"};
	_cleanup_free_ bool *seen = memory_new_array(bool, nr);
	struct answer_names names = {.nr = nr, .seen = seen, .found = found, .context = context};
	struct names_status ignored;
	int answer = 0;

	if (nr > ADDRS_MAX)
		return -E2BIG;
	int error = ask(client, &call, QUESTION_NAMES, addrs, nr);

	if (!error)
		error = receive_names(client, &call, &names, status ? status : &ignored, &answer);
	return error ? fail(client, &call, error) : answer;
}

int client_starts(struct client *client, const struct reader_file *file, const uint64_t *addrs, size_t nr,
		  uint64_t *starts_ret)
{
	struct call call = {.file = file, .wanted = "where its functions begin"};
	int answer = 0;

	if (nr > ADDRS_MAX)
		return -E2BIG;
	int error = ask(client, &call, QUESTION_STARTS, addrs, nr);

	if (!error)
		error = receive_end(client, &call, starts_ret, nr * sizeof(*starts_ret), &answer);
	if (!error && !answer)
		error = answer_check_starts(addrs, starts_ret, nr);
	return error ? fail(client, &call, error) : answer;
}
