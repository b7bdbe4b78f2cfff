/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk_self_test.c - the walker on a real program's memory: this one's.
 *
 * Each test calls its way down to a leaf that takes its own registers, copies the stack, and asks the C library's
 * backtrace(), which reads the same call-frame information with a program of its own. The walk over the copy, with
 * tables compiled from the very files that are mapped, has to give the same addresses down to the thread's first frame.
 */
#include "walk_home.h"

#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "maps.h"
#include "modules.h"

enum { FRAMES_MAX = 1000, STACK_ABOVE = 1 << 20, STACK_BELOW = 64 << 10, ALTERNATE_SIZE = 256 << 10 };

/* Keeps a call from becoming a jump, and a function from being merged or cloned. */
#define NOT_A_TAIL_CALL() asm volatile("")
#define FUNCTION          __attribute__((noinline, noipa_if_known)) static
#ifdef __clang__
#define noipa_if_known noinline
#define WITHOUT_FRAME_POINTER
#else
#define noipa_if_known        noipa
#define WITHOUT_FRAME_POINTER __attribute__((optimize("omit-frame-pointer")))
#endif

static struct walk walk;

/* What the leaf saw; the asserts come when all is back, since not every caller can be left by a jump. */
static struct {
	uint64_t regs[16];
	uint64_t pc;
	void *in_leaf; /* where the leaf calls */
	void *backtrace[FRAMES_MAX];
	int nr_backtrace;
	uint64_t outer; /* an address on a stack below the current one, 0 = none */
	int error;
} seen;

/* ---- the program's own files ---- */

static struct reader *reader;
static struct modules modules;

static void add_table(uint32_t module)
{
	const struct module *file = &modules.list.data[module];
	struct reader_file reader_file = {.fd = file->fd, .path = file->path};
	struct unwind_table *table;
	uint16_t *rules;

	assert_int_equal(home.modules.nr, module);
	if (reader_unwind_table(reader, &reader_file, TABLE_WHOLE, &table)) {
		*vector_push(&home.modules) = (struct module_table){.state = MODULE_NO_INFO};
		return;
	}
	rules = memory_new_array(uint16_t, table->nr_rules);
	for (uint32_t i = 0; i < table->nr_rules; i++)
		rules[i] = i < RULE_FIRST_FREE ? (uint16_t)i : home_add_rule(table->rules[i]);
	*vector_push(&home.modules) = home_place_table(table, rules);
	assert_true(home.rules.nr < UINT16_MAX);
	free(rules);
	reader_free_table(table);
}

static void add_mapping(const struct map_line *line, void *context)
{
	if (!line->executable)
		return;
	struct module_source source = {
		.pid = getpid(),
		.start = line->start,
		.end = line->end,
		.path = line->path,
		.major = line->major,
		.minor = line->minor,
		.inode = line->inode,
	};
	bool added;
	uint32_t module = modules_find(&modules, &source, &added);
	uint64_t offset = 0;

	(void)context;
	if (added)
		add_table(module);
	if (module != NO_MODULE && !module_offset_of(&modules.list.data[module], line->file_offset, &offset))
		module = NO_MODULE;
	home_add_mapping(line->start, line->end - line->start, module, offset);
}

static int start_self(void **state)
{
	void *warm[4];
	int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	backtrace(warm, 4); /* loads its library, which has to be among the mappings */
	home_init();
	memset(&seen, 0, sizeof(seen));
	reader = reader_create(NULL);
	modules_init(&modules, reader, MODULES_MAX);
	int error = maps_read(proc, getpid(), add_mapping, NULL, NULL);

	close(proc);
	return error;
}

static int end_self(void **state)
{
	(void)state;
	modules_deinit(&modules);
	reader_destroy(reader);
	home_deinit();
	return 0;
}

/* ---- the leaf ---- */

/* The memory around address, without asking any other code for its opinion of these bytes. */
static int copy_stack(uint64_t address)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long start = 0, end = 0;
	char line[600];

	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx", &start, &end) == 2 && address >= start && address < end)
			break;
	if (!maps || fclose(maps) || address < start || address >= end)
		return -1;
	uint64_t page = address & ~(uint64_t)(WALK_PAGE - 1);

	start = page - start > STACK_BELOW ? page - STACK_BELOW : start;
	end = end - page > STACK_ABOVE ? page + STACK_ABOVE : end;
	home_add_memory(start, end - start);
	struct iovec from = {.iov_base = (void *)start, .iov_len = end - start};
	struct iovec to = {.iov_base = home.regions.data[home.regions.nr - 1].bytes, .iov_len = end - start};

	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == (ssize_t)(end - start) ? 0 : -1;
}

FUNCTION void look(void)
{
	seen.in_leaf = __builtin_return_address(0);
	seen.nr_backtrace = backtrace(seen.backtrace, FRAMES_MAX);
	seen.error |= copy_stack(seen.regs[DWARF_RSP]);
	if (seen.outer)
		seen.error |= copy_stack(seen.outer);
	NOT_A_TAIL_CALL();
}

FUNCTION void leaf(void)
{
	asm volatile("movq %%rbx, 24(%1)\n\t"
		     "movq %%rbp, 48(%1)\n\t"
		     "movq %%rsp, 56(%1)\n\t"
		     "movq %%r12, 96(%1)\n\t"
		     "movq %%r13, 104(%1)\n\t"
		     "movq %%r14, 112(%1)\n\t"
		     "movq %%r15, 120(%1)\n\t"
		     "leaq 1f(%%rip), %0\n"
		     "1:"
		     : "=&r"(seen.pc)
		     : "r"(seen.regs)
		     : "memory");
	look();
	NOT_A_TAIL_CALL();
}

/* ---- comparing ---- */

static uint64_t runtime_pc(uint64_t frame)
{
	if (frame_kind(frame) == FRAME_RAW)
		return frame_raw_pc(frame);
	for (size_t i = 0; i < home.mappings.nr; i++) {
		const struct mapping_slot *slot = &home.mappings.data[i];
		uint64_t into = frame_offset(frame) - slot->offset;

		if (slot->module == frame_module(frame) && into <= slot->end - slot->start)
			return slot->start + into;
	}
	return 0;
}

/* The backtrace begins in functions that were called later (sanitizers add some); the leaf's own place there. */
static int find_leaf(void)
{
	for (int i = 0; i < seen.nr_backtrace; i++)
		if (seen.backtrace[i] == seen.in_leaf)
			return i;
	return seen.nr_backtrace;
}

static void check_against_backtrace(uint32_t least)
{
	int from = find_leaf();

	assert_int_equal(seen.error, 0);
	memcpy(walk.regs, seen.regs, sizeof(walk.regs));
	walk.pc = seen.pc;
	home_walk(&walk, USER_FRAMES_MAX);
	assert_int_equal(runtime_pc(walk.frames[0]), seen.pc);
	for (uint32_t i = 1; i < walk.nr_walked && from + (int)i < seen.nr_backtrace; i++)
		if (runtime_pc(walk.frames[i]) != (uint64_t)seen.backtrace[from + (int)i])
			fail_msg("frame %u is %#llx, not %p", i, (unsigned long long)runtime_pc(walk.frames[i]),
				 seen.backtrace[from + (int)i]);
	assert_int_equal(walk.nr_walked, seen.nr_backtrace - from);
	assert_true(walk.nr_walked >= least);
	assert_int_equal(walk.stop, STOP_complete);
	assert_int_equal(walk.nr_fp_frames, 0);
	assert_false(walk.has_raw);
}

/* ---- ways down ---- */

FUNCTION WITHOUT_FRAME_POINTER int plain(int depth);

/* A frame whose size is known only at run time, in a stack that is realigned. */
FUNCTION WITHOUT_FRAME_POINTER int realigned(int depth)
{
	char aligned[64] __attribute__((aligned(64)));
	volatile char *room = __builtin_alloca((size_t)(16 + depth % 7 * 24));

	memset(aligned, depth, sizeof(aligned));
	room[0] = aligned[depth % 64];
	asm volatile("" ::"r"(aligned), "r"(room) : "memory");
	return plain(depth - 1) + room[0];
}

/* Many values that live over the call. */
FUNCTION WITHOUT_FRAME_POINTER int many_registers(int depth)
{
	int a = depth * 3, b = depth * 5, c = depth * 7, d = depth * 11, e = depth * 13, f = depth * 17;

	asm volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f));
	int below = realigned(depth - 1);

	asm volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f));
	return below + a + b + c + d + e + f;
}

FUNCTION WITHOUT_FRAME_POINTER int plain(int depth)
{
	int below = 0;

	if (depth <= 0)
		leaf();
	else if (depth % 3)
		below = plain(depth - 1);
	else
		below = many_registers(depth - 1);
	NOT_A_TAIL_CALL();
	return below + 1;
}

static void recursion(void **state)
{
	(void)state;
	plain(300);
	check_against_backtrace(300);
}

static int compare_once(const void *a, const void *b)
{
	if (!seen.nr_backtrace)
		leaf();
	NOT_A_TAIL_CALL();
	return *(const int *)a - *(const int *)b;
}

static void callback_of_the_c_library(void **state)
{
	int numbers[100];

	(void)state;
	for (int i = 0; i < 100; i++)
		numbers[i] = i * 37 % 100;
	qsort(numbers, 100, sizeof(int), compare_once);
	check_against_backtrace(5);
}

static jmp_buf back;

FUNCTION __attribute__((noreturn)) void never_returns(void)
{
	leaf();
	longjmp(back, 1);
}

/* Its last instruction is a call: the return address is behind its end. */
FUNCTION WITHOUT_FRAME_POINTER __attribute__((noreturn)) void ends_in_a_call(int depth)
{
	volatile int room[20];

	room[depth % 20] = depth;
	asm volatile("" ::"r"(room) : "memory");
	never_returns();
}

static void call_as_last_instruction(void **state)
{
	(void)state;
	if (!setjmp(back))
		ends_in_a_call(3);
	check_against_backtrace(4);
}

static void handle(int number)
{
	(void)number;
	leaf();
	NOT_A_TAIL_CALL();
}

FUNCTION WITHOUT_FRAME_POINTER void signal_inside(int depth)
{
	if (depth > 0)
		signal_inside(depth - 1);
	else
		raise(SIGUSR1);
	NOT_A_TAIL_CALL();
}

static void check_signal(int flags)
{
	struct sigaction action = {.sa_handler = handle, .sa_flags = flags}, before;

	assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
	signal_inside(10);
	sigaction(SIGUSR1, &before, NULL);
	check_against_backtrace(14);
	uint32_t nr_exact = 0;

	for (uint32_t i = 0; i < walk.nr_walked; i++)
		nr_exact += (walk.frames[i] & FRAME_EXACT) != 0;
	assert_int_equal(nr_exact, 3); /* the leaf, the trampoline, and what was interrupted */
}

static void signal_handler(void **state)
{
	(void)state;
	check_signal(0);
}

static void signal_handler_on_another_stack(void **state)
{
	int here;
	/* Pages that nobody may touch keep it apart from other mappings. */
	char *memory = mmap(NULL, 3 * ALTERNATE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t stack = {.ss_sp = memory + ALTERNATE_SIZE, .ss_size = ALTERNATE_SIZE}, before;

	(void)state;
	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_int_equal(mprotect(stack.ss_sp, ALTERNATE_SIZE, PROT_READ | PROT_WRITE), 0);
	assert_int_equal(sigaltstack(&stack, &before), 0);
	seen.outer = (uint64_t)&here;
	check_signal(SA_ONSTACK);
	sigaltstack(&before, NULL);
	munmap(memory, 3 * ALTERNATE_SIZE);
	assert_true(seen.regs[DWARF_RSP] - (uint64_t)stack.ss_sp < ALTERNATE_SIZE);
}

static void *run_thread(void *depth)
{
	plain((int)(intptr_t)depth);
	return NULL;
}

static void thread_to_its_first_frame(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, run_thread, (void *)(intptr_t)20), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	check_against_backtrace(23);
}

int main(void)
{
#define SELF_TEST(name) cmocka_unit_test_setup_teardown(name, start_self, end_self)
	const struct CMUnitTest tests[] = {
		SELF_TEST(recursion),
		SELF_TEST(callback_of_the_c_library),
		SELF_TEST(call_as_last_instruction),
		SELF_TEST(signal_handler),
		SELF_TEST(signal_handler_on_another_stack),
		SELF_TEST(thread_to_its_first_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
