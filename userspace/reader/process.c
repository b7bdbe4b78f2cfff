/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.c - who reads foreign files, and how do its answers reach the agent?
 *
 * First the process becomes two: a child that opens files, with the privileges that are still there (opener.c), and
 * this one, which gives up everything (confine.c) and then serves. A question comes from the agent, its file from the
 * opener; the answer is asked of the library and sent as plain data. Names are sent as they are found, in parts, so
 * neither side holds all of them.
 *
 * Nothing that a file says ends the process on purpose but lack of memory: the agent sees how it ended, counts the file
 * and starts another. Between questions no file is open and nothing is remembered.
 */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "answers.h"
#include "confine.h"
#include "inline.h"
#include "memory.h"
#include "messages.h"
#include "opener.h"
#include "reader.h"
#include "wire.h"

static const struct wire_wait patient = {.deadline_ns = WIRE_NO_DEADLINE, .cancel_fd = -1};

static int opener_socket;
static pid_t opener_pid;
static bool opener_is_closing;

static void __attribute__((noreturn)) end_without_memory(void)
{
	_exit(READER_EXIT_NO_MEMORY);
}

/* ---- the opener ---- */

/*
 * The opener says when it has let go of a file as well. That is waited for before anything else is taken from it or the
 * answer ends, by when it has long been said, unless the file's owner holds it up: then it is this question that is
 * late.
 */
static void await_closed(void)
{
	struct opener_reply closed;

	if (opener_is_closing && wire_receive(opener_socket, &closed, sizeof(closed), &patient))
		_exit(READER_EXIT_NO_OPENER);
	opener_is_closing = false;
}

/* The file that the opener gives, or a negative errno; without an opener there is nothing left to do here. */
static int take_file(void)
{
	struct opener_reply reply;
	_cleanup_close_ int fd = -1;

	await_closed();
	if (wire_receive_with_fd(opener_socket, &reply, sizeof(reply), &fd, &patient))
		_exit(READER_EXIT_NO_OPENER);
	opener_is_closing = true;
	if (reply.error)
		return reply.error;
	return fd < 0 ? -EBADF : steal_fd(fd);
}

/* A related_open_fn. */
static int ask_for_related(const struct related_file *file, void *context)
{
	size_t name_size = file->name ? strlen(file->name) + 1 : 0;
	struct related_request request = {
		.kind = file->kind,
		.crc = file->crc,
		.name_size = (uint32_t)name_size,
		.build_id_size = (uint32_t)file->build_id_size,
	};

	(void)context;
	if (name_size > NAME_MAX_BYTES || file->build_id_size > BUILD_ID_MAX)
		return -ENOENT;
	if (file->build_id_size)
		memcpy(request.build_id, file->build_id, file->build_id_size);
	if (wire_send(opener_socket, &request, sizeof(request), &patient) ||
	    wire_send(opener_socket, file->name, name_size, &patient))
		_exit(READER_EXIT_NO_OPENER);
	return take_file();
}

/* ---- answers ---- */

_Static_assert(sizeof(struct told_info) >= FILE_BYTES_MAX && sizeof(struct told_info) >= sizeof(struct told_table),
	       "send_end() has room for the largest");

/* The end of an answer, with `size_bytes` of what it says, and more to come. */
static int send_end(int error, const void *data, size_t size_bytes, uint64_t more_bytes)
{
	struct {
		struct part part;
		uint8_t data[sizeof(struct told_info)];
	} message;

	await_closed();
	/* What would mean that this process is lost means here that the file could not be read. */
	if (reader_lost(error))
		error = -EIO;
	message.part =
		(struct part){.kind = PART_END, .error = error, .size_bytes = error ? 0 : size_bytes + more_bytes};
	if (error)
		size_bytes = 0;
	if (size_bytes)
		memcpy(message.data, data, size_bytes);
	return wire_send(READER_SOCKET, &message, sizeof(message.part) + size_bytes, &patient);
}

static int answer_info(int fd)
{
	struct object_info info;
	struct told_info told = {0};
	int error = inline_describe(fd, &info);

	if (!error)
		answer_put_info(&info, &told);
	return send_end(error, &told, sizeof(told), 0);
}

static int send_table(const struct unwind_table *table)
{
	const struct told_table told = answer_put_table(table);
	int error = send_end(0, &told, sizeof(told), answer_table_bytes(&told));

	if (!error)
		error = wire_send(READER_SOCKET, table->granules, table->nr_granules * sizeof(*table->granules),
				  &patient);
	if (!error)
		error = wire_send(READER_SOCKET, table->rows, table->nr_rows * sizeof(*table->rows), &patient);
	return error ? error
		     : wire_send(READER_SOCKET, table->rules, table->nr_rules * sizeof(*table->rules), &patient);
}

static int answer_table(int fd, enum table_effort effort)
{
	struct unwind_table *table = NULL;
	int error = inline_unwind_table(fd, effort, &table);

	if (error)
		return send_end(error, NULL, 0, 0);
	error = send_table(table);
	answer_free_table(table);
	return error;
}

struct names_sender {
	struct answer_bytes bytes;
	int error;
};

static void send_names(struct names_sender *sender)
{
	const struct part part = {.kind = PART_NAMES, .size_bytes = sender->bytes.nr};

	if (!sender->error && sender->bytes.nr)
		sender->error = wire_send(READER_SOCKET, &part, sizeof(part), &patient);
	if (!sender->error)
		sender->error = wire_send(READER_SOCKET, sender->bytes.data, sender->bytes.nr, &patient);
	sender->bytes.nr = 0;
}

static void name_found(size_t index, const struct name_frame *frames, size_t nr_frames, void *context)
{
	struct names_sender *sender = context;

	answer_put_names(&sender->bytes, index, frames, nr_frames);
	if (sender->bytes.nr >= NAMES_PART_USUAL)
		send_names(sender);
}

static int answer_names(int fd, const uint64_t *addrs, size_t nr)
{
	struct names_sender sender = {0};
	struct names_status status = {0};
	int error = inline_names(fd, ask_for_related, NULL, addrs, nr, name_found, &sender, &status);
	const struct told_status told = {status.has_symtab, status.has_debug_info, status.debug_file_used};

	send_names(&sender);
	vector_free(&sender.bytes);
	return sender.error ? sender.error : send_end(error, &told, sizeof(told), 0);
}

static int answer_starts(int fd, const uint64_t *addrs, size_t nr)
{
	_cleanup_free_ uint64_t *starts = memory_new_array(uint64_t, nr);
	int error = inline_function_starts(fd, ask_for_related, NULL, addrs, nr, starts);
	int sent = send_end(error, NULL, 0, nr * sizeof(*starts));

	return sent || error ? sent : wire_send(READER_SOCKET, starts, nr * sizeof(*starts), &patient);
}

static int answer_bytes(int fd, uint64_t file_offset)
{
	char bytes[FILE_BYTES_MAX];
	ssize_t length = inline_bytes(fd, file_offset, bytes, sizeof(bytes));

	return length < 0 ? send_end((int)length, NULL, 0, 0) : send_end(0, bytes, (size_t)length, 0);
}

static int answer_question(const struct question *question, const uint64_t *addrs)
{
	int fd = take_file();

	if (fd < 0)
		return send_end(fd, NULL, 0, 0);
	switch (question->kind) {
	case QUESTION_INFO:
		return answer_info(fd);
	case QUESTION_QUICK_TABLE:
		return answer_table(fd, TABLE_QUICK);
	case QUESTION_TABLE:
		return answer_table(fd, TABLE_WHOLE);
	case QUESTION_NAMES:
		return answer_names(fd, addrs, question->nr_addrs);
	case QUESTION_STARTS:
		return answer_starts(fd, addrs, question->nr_addrs);
	case QUESTION_BYTES:
		return answer_bytes(fd, question->nr_addrs ? addrs[0] : 0);
	}
	close(fd);
	return send_end(-EOPNOTSUPP, NULL, 0, 0);
}

static int serve_question(void)
{
	struct question question;
	int error = wire_receive(READER_SOCKET, &question, sizeof(question), &patient);

	if (error)
		return error;
	if (question.nr_addrs > ADDRS_MAX)
		return -EPROTO;
	_cleanup_free_ uint64_t *addrs = memory_new_array(uint64_t, question.nr_addrs);

	error = wire_receive(READER_SOCKET, addrs, question.nr_addrs * sizeof(*addrs), &patient);
	return error ? error : answer_question(&question, addrs);
}

/* ---- the two processes ---- */

/* The agent's terminal and service manager tell the agent, which tells us by closing the sockets. */
static void ignore_signals(void)
{
	const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE};

	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
}

/* Tells the agent which process it has to end when this one hangs. */
static void __attribute__((noreturn)) run_opener(int reader)
{
	struct opener_reply reply = {0};
	_cleanup_close_ int self = (int)syscall(SYS_pidfd_open, getpid(), 0);

	if (self < 0)
		reply.error = -errno;
	prctl(PR_SET_NAME, "ebprof-opener");
	prctl(PR_SET_DUMPABLE, 0);
	if (wire_send_with_fd(OPENER_SOCKET, &reply, sizeof(reply), self, &patient) == 0)
		opener_serve(OPENER_SOCKET, reader);
	_exit(0);
}

static int start_opener(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	pid_t pid = fork();

	if (pid == 0) {
		close(READER_SOCKET);
		close(pair[0]);
		run_opener(pair[1]);
	}
	int error = pid < 0 ? -errno : 0;

	opener_pid = pid;
	close(OPENER_SOCKET);
	close(pair[1]);
	opener_socket = pair[0];
	return error;
}

int reader_process_main(void)
{
	struct hello hello = {.magic = HELLO_MAGIC};
	int error;

	/* Nothing of whoever started this but the two sockets. */
	close_range(OPENER_SOCKET + 1, ~0u, 0);
	ignore_signals();
	prctl(PR_SET_NAME, "ebprof-reader");
	memory_set_exhausted(end_without_memory);
	if (start_opener())
		return READER_EXIT_NO_OPENER;
	hello.refused = confine_process();
	error = wire_send(READER_SOCKET, &hello, sizeof(hello), &patient);
	while (!error)
		error = serve_question();
	/* The opener ends as well, and is collected here rather than by whoever inherits orphans. */
	close(opener_socket);
	waitpid(opener_pid, NULL, 0);
	/* Without the destructors of a program that this isn't. */
	_exit(error == -EPIPE ? 0 : READER_EXIT_CONFUSED);
}
