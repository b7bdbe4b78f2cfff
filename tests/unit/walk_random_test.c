/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk_random_test.c - the walker on random programs, and on garbage.
 *
 * A random program is made forwards, as a processor would: functions of random kinds and sizes side by side, then a
 * chain of calls from a root, each of which pushes what its kind pushes, with signals in between. The expected stack is
 * the list of what was called, so nothing is unwound to know it. In garbage everything is random within its type,
 * tables and rules included, and only what holds for every walk is checked.
 */
#include "walk_home.h"

#include <string.h>

static uint64_t random_state;
static struct walk walk;

static uint64_t below(uint64_t limit)
{
	return home_random_below(&random_state, limit);
}

/* ---- random programs ---- */

enum kind {
	KIND_ROOT,
	KIND_RSP,       /* no frame pointer; rbp is left alone */
	KIND_RSP_SAVES, /* rbp is saved and used for something else */
	KIND_RBP,
	KIND_REALIGNED,
	KIND_NO_RULE, /* keeps frame pointers */
	KIND_RESTORER,
	KIND_PLT,        /* only ever interrupted */
	KIND_REGISTERED, /* likewise: the return address is in rdx, the CFA beside r12 */
	NR_KINDS,
};

enum { NR_FUNCTIONS = 120, MODULES = 3, TEXT_MAX = 64 << 10, PLT_THRESHOLD = 11, CHAIN_MAX = 80 };
static const uint64_t STACK = 0x7ffff0000000, STACK_SIZE = 0x40000;
static const uint64_t ALTERNATE = 0x7fffe0000000;
static const uint64_t JIT = 0x30000000;

struct function {
	enum kind kind;
	uint64_t pc, size;
	int32_t frame_size; /* what it takes below its return address, a multiple of 8 */
};

struct machine {
	struct function functions[NR_FUNCTIONS];
	uint64_t regs[16];
	uint64_t expected[CHAIN_MAX]; /* root first */
	uint32_t nr;
	bool on_alternate;
};

static struct machine machine;

static struct unwind_rule rule_of_function(const struct function *function)
{
	struct unwind_rule rule = rule_of_register(DWARF_RSP, function->frame_size + 8);

	switch (function->kind) {
	case KIND_RSP:
		return rule;
	case KIND_RSP_SAVES:
		return rule_saving_rbp(DWARF_RSP, function->frame_size + 8);
	case KIND_RBP:
		return rule_saving_rbp(DWARF_RBP, 16);
	case KIND_REALIGNED:
		return (struct unwind_rule){.cfa = CFA_MEMORY,
					    .cfa_reg = DWARF_RBP,
					    .cfa_offset = -8,
					    .ra = VALUE_AT_CFA,
					    .ra_offset = -8,
					    .rbp = VALUE_AT_REGISTER,
					    .rbp_reg = DWARF_RBP};
	case KIND_PLT:
		return (struct unwind_rule){
			.cfa = CFA_PLT, .cfa_offset = PLT_THRESHOLD, .ra = VALUE_AT_CFA, .ra_offset = -8};
	case KIND_REGISTERED:
		rule = rule_of_register(DWARF_R12, 24);
		rule.ra = VALUE_REGISTER;
		rule.ra_reg = DWARF_RDX;
		rule.ra_offset = -5;
		return rule;
	case KIND_ROOT:
	case KIND_NO_RULE:
	case KIND_RESTORER:
	case NR_KINDS:
		break;
	}
	fail();
	return rule;
}

static uint16_t rule_number(const struct function *function)
{
	switch (function->kind) {
	case KIND_ROOT:
		return RULE_ROOT;
	case KIND_NO_RULE:
		return RULE_NONE;
	case KIND_RESTORER:
		return RULE_SIGNAL;
	default:
		return home_add_rule(rule_of_function(function));
	}
}

/* One module: its functions from first on, in a table that starts somewhere in the file, mapped in two pieces. */
static void make_module(uint32_t first, uint32_t nr)
{
	static uint16_t map[TEXT_MAX];
	uint64_t start = below(16) << GRANULE_SHIFT, base = 0x400000 + home.modules.nr * 0x1000000 + below(64) * 0x1000;
	uint32_t size = (uint32_t)below(500), module;

	for (uint32_t i = 0; i < size; i++)
		map[i] = RULE_UNSUPPORTED;
	for (uint32_t i = first; i < first + nr; i++) {
		struct function *function = &machine.functions[i];

		/* The first three are of kinds that every chain may need. */
		function->kind = i < 3 ? (enum kind[]){KIND_ROOT, KIND_RESTORER, KIND_RSP}[i] : below(NR_KINDS);
		function->size = 1 + below(below(8) ? 60 : 3000);
		function->frame_size = 8 + 8 * (int32_t)below(below(8) ? 20 : 900);
		function->pc = base + start + size;
		if (function->kind == KIND_PLT)
			function->size = (function->size + 15) & ~15ull;
		uint16_t rule = rule_number(function);

		for (uint64_t at = 0; at < function->size && size < TEXT_MAX; at++)
			map[size++] = rule;
	}
	assert_true(size < TEXT_MAX);
	module = home_add_module(start, map, size, below(2));
	uint64_t middle = below(size) & ~0xfffull;

	if (middle + start)
		home_add_mapping(base, start + middle, module, 0);
	home_add_mapping(base + start + middle, 0x20000, module, start + middle);
}

/* The frame of a pc, by a look at all mappings. */
static uint64_t frame_of(uint64_t pc, uint64_t flags)
{
	uint64_t lookup = flags & FRAME_EXACT ? pc : pc - 1;

	for (size_t i = 0; i < home.mappings.nr; i++) {
		const struct mapping_slot *slot = &home.mappings.data[i];

		if (lookup < slot->start || lookup >= slot->end)
			continue;
		return slot->module == NO_MODULE
			       ? frame_make(FRAME_RAW, flags, pc)
			       : frame_make_file(slot->module, pc - slot->start + slot->offset, flags);
	}
	fail();
	return 0;
}

static void push(uint64_t value)
{
	machine.regs[DWARF_RSP] -= 8;
	home_put(machine.regs[DWARF_RSP], value);
}

/* Leaves the function at the top at pc, which becomes a frame of the expected stack. */
static void leave_at(uint64_t pc, uint64_t flags)
{
	assert_true(machine.nr < CHAIN_MAX);
	machine.expected[machine.nr++] = frame_of(pc, flags);
}

/* How a walk gets from a function to its caller. */
static uint64_t caller_flags(const struct function *callee)
{
	return callee->kind == KIND_NO_RULE ? FRAME_BY_FP : 0;
}

/* What a function's first instructions do. */
static void enter(const struct function *function)
{
	uint64_t *regs = machine.regs;

	switch (function->kind) {
	case KIND_RSP:
		regs[DWARF_RSP] -= (uint64_t)function->frame_size;
		break;
	case KIND_RSP_SAVES:
		push(regs[DWARF_RBP]);
		regs[DWARF_RSP] -= (uint64_t)function->frame_size - 8;
		regs[DWARF_RBP] = home_random(&random_state);
		break;
	case KIND_RBP:
	case KIND_NO_RULE:
		push(regs[DWARF_RBP]);
		regs[DWARF_RBP] = regs[DWARF_RSP];
		regs[DWARF_RSP] -= 8 * below(below(8) ? 12 : 700);
		/* What earlier programs left there is not read as a return address. */
		if (regs[DWARF_RSP] != regs[DWARF_RBP])
			home_put(regs[DWARF_RSP], home_random(&random_state));
		break;
	case KIND_REALIGNED: {
		uint64_t cfa = regs[DWARF_RSP] + 8;

		regs[DWARF_RSP] &= ~63ull;
		push(home_random(&random_state));
		push(regs[DWARF_RBP]);
		regs[DWARF_RBP] = regs[DWARF_RSP];
		push(cfa);
		regs[DWARF_RSP] -= 8 * below(50);
		break;
	}
	default:
		break;
	}
}

/* A random place in it; a return address may be its end. */
static uint64_t return_address_in(const struct function *function)
{
	return function->pc + 1 + below(function->size);
}

/* The function at the top calls another, whose frame is then at the top. */
static void call(const struct function *caller, const struct function *callee)
{
	uint64_t pc = return_address_in(caller);

	leave_at(pc, caller_flags(callee));
	push(pc);
	enter(callee);
}

/* Interrupts the function at the top and calls a handler, sometimes on the alternate stack. */
static void interrupt_by_signal(uint64_t pc, const struct function *handler)
{
	static const uint8_t order[] = {DWARF_R8,  DWARF_R9,  DWARF_R10, DWARF_R11, DWARF_R12, DWARF_R13,
					DWARF_R14, DWARF_R15, DWARF_RDI, DWARF_RSI, DWARF_RBP, DWARF_RBX,
					DWARF_RDX, DWARF_RAX, DWARF_RCX, DWARF_RSP};
	const struct function *restorer = &machine.functions[1];
	bool alternate = !machine.on_alternate && below(3) == 0;
	uint64_t rsp = machine.regs[DWARF_RSP];
	uint64_t frame = ((alternate ? ALTERNATE + STACK_SIZE : rsp - 128) - 0x380 - below(0x800)) & ~15ull;
	uint64_t context = frame + 40, return_pc = restorer->pc + 1;

	leave_at(pc, FRAME_EXACT);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		home_put(context + 8 * i, machine.regs[order[i]]);
	home_put(context + 8 * ARRAY_SIZE(order), pc);
	machine.on_alternate |= alternate;
	machine.regs[DWARF_RSP] = frame;
	leave_at(return_pc, caller_flags(handler) | FRAME_EXACT);
	push(return_pc);
	for (size_t i = 0; i < 16; i++)
		if (i != DWARF_RSP && i != DWARF_RBP)
			machine.regs[i] = home_random(&random_state);
	enter(handler);
}

/* A function that is only interrupted takes the place of one that was called: its return address is at the top. */
static uint64_t stand_in_stub(const struct function *function, uint64_t return_pc)
{
	uint64_t pc = function->pc + below(function->size);

	if (function->kind == KIND_PLT && pc % 16 >= PLT_THRESHOLD)
		push(home_random(&random_state));
	if (function->kind == KIND_REGISTERED) {
		machine.regs[DWARF_R12] = machine.regs[DWARF_RSP] + 8 - 24;
		machine.regs[DWARF_RDX] = return_pc + 5;
		home_put(machine.regs[DWARF_RSP], home_random(&random_state));
	}
	return pc;
}

static const struct function *random_function(bool stub)
{
	for (;;) {
		const struct function *function = &machine.functions[below(NR_FUNCTIONS)];
		bool is_stub = function->kind == KIND_PLT || function->kind == KIND_REGISTERED;

		if (function->kind != KIND_ROOT && function->kind != KIND_RESTORER && is_stub == stub)
			return function;
	}
}

static void make_code(void)
{
	home_init();
	memset(&machine, 0, sizeof(machine));
	for (uint32_t i = 0; i < MODULES; i++)
		make_module(i * NR_FUNCTIONS / MODULES, NR_FUNCTIONS / MODULES);
	/* The last functions that keep frame pointers are not in any file. */
	home_add_mapping(JIT, 0x10000, NO_MODULE, 0);
	for (uint32_t i = NR_FUNCTIONS - 5; i < NR_FUNCTIONS; i++)
		machine.functions[i] =
			(struct function){.kind = KIND_NO_RULE, .pc = JIT + i * 100, .size = 100, .frame_size = 16};
	home_add_memory(STACK, STACK_SIZE);
	home_add_memory(ALTERNATE, STACK_SIZE);
}

/* Calls and signals from the root on; the pc where the machine stands in the end. */
static uint64_t run_program(uint32_t length)
{
	const struct function *top = &machine.functions[0];

	machine.nr = 0;
	machine.on_alternate = false;
	for (uint32_t i = 0; i < 16; i++)
		machine.regs[i] = home_random(&random_state);
	machine.regs[DWARF_RSP] = STACK + STACK_SIZE - 8 * below(600);
	machine.regs[DWARF_RBP] = below(2) ? 0 : home_random(&random_state);
	for (uint32_t i = 0; i < length; i++) {
		const struct function *next = random_function(false);

		if (below(12) == 0) {
			const struct function *stub = random_function(true);
			uint64_t return_pc = return_address_in(top);

			leave_at(return_pc, 0);
			push(return_pc);
			interrupt_by_signal(stand_in_stub(stub, return_pc), next);
		} else if (below(12) == 0) {
			interrupt_by_signal(top->pc + below(top->size), next);
		} else {
			call(top, next);
		}
		top = next;
	}
	uint64_t pc = top->pc + below(top->size);

	leave_at(pc, FRAME_EXACT);
	return pc;
}

static void check_program(uint64_t pc)
{
	walk.pc = pc;
	memcpy(walk.regs, machine.regs, sizeof(walk.regs));
	walk.is_32bit = 0;
	home_walk(&walk, USER_FRAMES_DEFAULT);
	for (uint32_t i = 0; i < machine.nr && i < walk.nr_walked; i++)
		if (walk.frames[i] != machine.expected[machine.nr - 1 - i])
			fail_msg("frame %u is %#llx, not %#llx", i, (unsigned long long)walk.frames[i],
				 (unsigned long long)machine.expected[machine.nr - 1 - i]);
	assert_int_equal(walk.stop, STOP_complete);
	assert_int_equal(walk.nr_walked, machine.nr);
	assert_int_equal(walk.overflow, 0);
	uint32_t nr_fp_frames = 0;

	for (uint32_t i = 0; i < machine.nr; i++)
		nr_fp_frames += (machine.expected[i] & FRAME_BY_FP) != 0;
	assert_int_equal(walk.nr_fp_frames, nr_fp_frames);
}

static void random_programs(void **state)
{
	uint64_t nr_frames = 0, nr_reads = 0;

	(void)state;
	random_state = 4;
	for (uint32_t code = 0; code < 100; code++) {
		make_code();
		for (uint32_t i = 0; i < 200; i++) {
			/* In every other walk nothing that was found before is of use. */
			walk.run = i & 1 ? code + 1 : WALK_NO_RUN;
			check_program(run_program((uint32_t)below(20)));
			nr_frames += machine.nr;
		}
		nr_reads += (uint64_t)home.nr_reads;
	}
	print_message("%llu frames, %llu reads\n", (unsigned long long)nr_frames, (unsigned long long)nr_reads);
	assert_true(nr_frames > 100 * 200 * 5);
	assert_true(nr_reads < nr_frames);
	home_deinit();
}

/* ---- garbage ---- */

enum { GARBAGE_STACK = 0x10000, NR_RULES = 64 };
static const uint64_t GARBAGE = 0x7ff000000000;

/* Mostly an address that leads somewhere. */
static uint64_t random_word(void)
{
	switch (below(8)) {
	case 0:
		return home_random(&random_state) >> below(64);
	case 1:
	case 2:
	case 3:
		return GARBAGE + below(GARBAGE_STACK) / 8 * 8;
	default:
		return 0x400000 + below(12 * 0x9000);
	}
}

/* Whether a table's rules may lead to another stack, of which nothing is known. */
static bool other_stacks;
static bool garbage_in_order; /* the mappings: none overlaps another */

static struct unwind_rule garbage_rule(void)
{
	uint64_t bits[2] = {home_random(&random_state), home_random(&random_state)};
	struct unwind_rule rule;

	memcpy(&rule, bits, sizeof(rule));
	/* Most mean something: kinds in range, small offsets. */
	if (below(4)) {
		rule.cfa = below(4) ? CFA_REGISTER : (uint8_t)below(NR_CFAS);
		rule.cfa_reg = below(4) ? (below(2) ? DWARF_RSP : DWARF_RBP) : (uint8_t)below(NR_REGS);
		rule.cfa_offset = (int32_t)below(32) * (below(16) ? 16 : 8);
		rule.cfa_add = (int16_t)((int32_t)below(32) * 8 - 64);
		rule.ra = below(4) ? VALUE_AT_CFA : (uint8_t)below(VALUE_UNDEFINED + 1);
		rule.rbp = below(2) ? VALUE_SAME : (uint8_t)below(VALUE_UNDEFINED + 1);
		rule.ra_offset = below(8) ? -8 : (int16_t)((int32_t)below(32) * 8 - 128);
		rule.rbp_offset = (int16_t)((int32_t)below(32) * 8 - 128);
	}
	if (rule.cfa >= CFA_STACK_TOP && below(4)) {
		rule.cfa_offset = (int32_t)(below(32) * 8 | below(32) * 8 << 16);
		rule.rbx_offset = (int16_t)(below(32) * 8);
	}
	if (!other_stacks) {
		rule.flags &= (uint8_t)~RULE_OTHER_STACK;
		if (rule.cfa == CFA_STACK_TOP || rule.cfa == CFA_GOROUTINE)
			rule.cfa = CFA_REGISTER;
	}
	return rule;
}

/* A pool of one segment: index entries in its first half, rows in the second, either broken now and then. */
static void make_garbage_pool(void)
{
	enum { HALF = POOL_SEGMENT_SIZE / 2, ROWS_IN_HALF = HALF / sizeof(struct unwind_row) };
	uint8_t *pool = home_pool_at(0);

	for (size_t at = 0; at < POOL_SEGMENT_SIZE; at += 8) {
		uint64_t word = home_random(&random_state);
		struct unwind_granule granule = {
			.first_row = ROWS_IN_HALF + (uint32_t)below(ROWS_IN_HALF),
			.nr_rows = below(16) ? (uint16_t)below(30) : (uint16_t)word,
			.rule = (uint16_t)below(NR_RULES + 4),
		};
		struct unwind_row rows[2] = {
			{.offset = (uint16_t)below(GRANULE_SIZE), .rule = (uint16_t)below(NR_RULES)},
			{.offset = (uint16_t)below(GRANULE_SIZE), .rule = (uint16_t)below(NR_RULES)},
		};

		memcpy(pool + at, !below(16) ? (void *)&word : at < HALF ? (void *)&granule : (void *)rows, 8);
	}
}

static void make_garbage(void)
{
	bool in_order = below(8);

	garbage_in_order = in_order;
	other_stacks = below(2);

	home_init();
	home.thread_base = below(2) ? GARBAGE + below(GARBAGE_STACK) / 8 * 8 : random_word();
	for (uint32_t i = RULE_FIRST_FREE; i < NR_RULES; i++)
		home_add_rule(garbage_rule());
	make_garbage_pool();
	for (uint32_t i = 0; i < 6; i++)
		*vector_push(&home.modules) = (struct module_table){
			.start = below(4) ? 0 : home_random(&random_state) >> below(64),
			.nr_granules = below(4) ? 0x400 : (uint32_t)(home_random(&random_state) >> (32 + below(32))),
			.index = (uint32_t)below(below(8) ? POOL_SEGMENT_SIZE / 32 : UINT32_MAX),
			.state = below(6) ? MODULE_READY : (uint32_t)below(5),
		};
	for (uint32_t i = 0; i < 12; i++) {
		uint64_t start = 0x400000 + (in_order ? i * 0x9000 : below(0x80000));

		home_add_mapping(start, in_order ? 0x8000 + below(0x1000) : below(0x10000),
				 below(8) ? (uint32_t)below(6) : (uint32_t)home_random(&random_state) >> below(32),
				 below(4) ? below(0x80000) : home_random(&random_state) >> below(64));
	}
	home_add_memory(GARBAGE, GARBAGE_STACK);
	/* In turn something like a saved rbp and something like a return address: frames have a multiple of 16 bytes.
	 */
	for (uint64_t at = 0; at < GARBAGE_STACK; at += 16) {
		uint64_t rbp = GARBAGE + at + 16 * below(40), pc = 0x400000 + below(12 * 0x9000);

		home_put(GARBAGE + at, below(8) ? rbp : random_word());
		home_put(GARBAGE + at + 8, below(8) ? pc : random_word());
	}
}

static void start_garbage_walk(void)
{
	uint32_t nr = (uint32_t)home.mappings.nr;

	for (uint32_t i = 0; i < 16; i++)
		walk.regs[i] = random_word();
	if (below(8))
		walk.regs[DWARF_RSP] = GARBAGE + below(GARBAGE_STACK / 2) / 16 * 16;
	if (below(8))
		walk.regs[DWARF_RBP] = walk.regs[DWARF_RSP] + below(0x400) / 16 * 16;
	walk.pc = below(8) ? 0x400000 + below(12 * 0x9000) : random_word();
	walk.first_mapping = below(16) ? 0 : (uint32_t)below(2 * nr);
	walk.nr_mappings = below(16) ? nr : (uint32_t)home_random(&random_state) >> below(32);
	home.refused_page = below(4) ? HOME_ADDRESS_END : GARBAGE + below(GARBAGE_STACK) / WALK_PAGE * WALK_PAGE;
	walk_start(&walk, &home_seed, 1 + (uint32_t)below(USER_FRAMES_MAX));
}

/* One step; the frame that it appended goes into *key. 1 = the walk is over. */
static int check_step(struct stack_key *key, uint32_t *nr_raw)
{
	uint32_t nr = walk.nr_walked;
	uint64_t rsp = walk.regs[DWARF_RSP], rbp = walk.regs[DWARF_RBP], flags = walk.frame_flags, pc = walk.pc;
	int over = walk_step(&walk);

	assert_in_range(walk.nr_walked, nr, nr + 1);
	if (walk.nr_walked == nr)
		assert_true(over);
	else {
		uint32_t leaf = walk.nr_leaf_frames, round = walk.nr_root_frames;
		uint64_t frame = walk.frames[nr < leaf || !round ? (nr < leaf ? nr : leaf) % USER_FRAMES_MAX
								 : leaf + (nr - leaf) % round];

		assert_true(frame_kind(frame) == FRAME_FILE || frame_kind(frame) == FRAME_RAW);
		/* A trampoline was not called, so it is exact: that is found out by its rule. */
		assert_int_equal(frame & (FRAME_BY_FP | FRAME_GUESSED), flags & ~FRAME_EXACT);
		assert_int_equal(flags & ~frame & FRAME_EXACT, 0);
		if (frame_kind(frame) == FRAME_FILE)
			assert_true(frame_module(frame) < MODULES_MAX);
		else
			assert_int_equal(frame_raw_pc(frame), pc & FRAME_PAYLOAD_MASK);
		*nr_raw += frame_kind(frame) == FRAME_RAW;
		stack_key_add(key, frame);
	}
	/*
	 * Only a signal frame, and one that is told by rbp, lead to a stack that is not above; a leaf may have popped
	 * its return address.
	 */
	if (!over && !other_stacks)
		assert_true(walk.regs[DWARF_RSP] > rsp || walk.known_regs == ~0u ||
			    (walk.regs[DWARF_RSP] != rsp && walk.regs[DWARF_RSP] - rbp <= 31 * 16) ||
			    (walk.regs[DWARF_RSP] == rsp && (flags & FRAME_EXACT)));
	return over;
}

static void check_garbage_end(struct stack_key *key, uint32_t nr_raw)
{
	bool incomplete = walk.stop > STOP_absent;

	assert_true(walk.stop == STOP_complete || walk.stop == STOP_ended ||
		    (walk.stop >= STOP_no_file_table && walk.stop <= STOP_too_deep));
	assert_true(walk.nr_walked <= USER_WALK_MAX);
	assert_int_equal(walk.stop == STOP_too_deep, walk.nr_walked == USER_WALK_MAX && incomplete);
	assert_true(walk_nr_kept(&walk) <= walk.nr_leaf_frames + walk.nr_root_frames);
	assert_true(walk.nr_leaf_frames + walk.nr_root_frames <= USER_FRAMES_MAX);
	assert_int_equal(walk.has_raw, nr_raw > 0);
	assert_true(walk.nr_fp_frames <= walk.nr_walked);
	assert_true(walk.overflow <= nr_raw);
	if (incomplete) {
		assert_int_equal(frame_kind(walk.record.end_frame), FRAME_PSEUDO);
		assert_int_equal(walk.record.end_frame & 0xff, walk.stop);
		stack_key_add(key, walk.record.end_frame);
	} else {
		assert_int_equal(walk.record.end_frame, 0);
	}
	stack_key_finish(key, nr_raw ? 1 : 0);
	walk_finish(&walk, 1);
	assert_memory_equal(key, &walk.key, sizeof(*key));
}

/* A walk that can use what walks before it have found comes to the same. */
static void check_again(uint64_t pc, const uint64_t regs[16], uint32_t max_frames)
{
	struct stack_key key = walk.key;
	uint32_t nr_walked = walk.nr_walked, stop = walk.stop;

	walk.pc = pc;
	memcpy(walk.regs, regs, sizeof(walk.regs));
	walk_start(&walk, &home_seed, max_frames);
	while (!walk_step(&walk))
		;
	walk_finish(&walk, 1);
	assert_int_equal(walk.stop, stop);
	assert_int_equal(walk.nr_walked, nr_walked);
	assert_memory_equal(&walk.key, &key, sizeof(key));
}

static void garbage(void **state)
{
	enum { TABLES = 200, WALKS = 1000 };
	uint32_t nr_stops[NR_STOPS] = {0};
	uint64_t nr_frames = 0, nr_again = 0;

	(void)state;
	random_state = 5;
	memset(&walk, 0, sizeof(walk));
	for (uint32_t i = 0; i < TABLES * WALKS; i++) {
		struct stack_key key = home_seed;
		uint32_t nr_raw = 0, steps = 0;

		if (i % WALKS == 0)
			make_garbage();
		start_garbage_walk();
		uint64_t pc = walk.pc, regs[16];

		memcpy(regs, walk.regs, sizeof(regs));
		while (!check_step(&key, &nr_raw))
			assert_true(++steps <= USER_WALK_MAX);
		check_garbage_end(&key, nr_raw);
		nr_stops[walk.stop]++;
		nr_frames += walk.nr_walked;
		/* Where mappings overlap, which one is met hangs on where the walk comes from. */
		if (garbage_in_order && !walk.first_mapping && walk.nr_mappings == home.mappings.nr) {
			walk.run = i / WALKS + 1;
			check_again(pc, regs, walk.nr_leaf_frames + walk.nr_root_frames);
			walk.run = WALK_NO_RUN;
			nr_again++;
		}
	}
	assert_true(nr_again > TABLES * WALKS / 2);
	print_message("%llu frames\n", (unsigned long long)nr_frames);
	/* The garbage leads everywhere. */
	for (uint32_t stop = STOP_no_file_table; stop <= STOP_bad_frame; stop++)
		assert_true(nr_stops[stop] > 100);
	assert_true(nr_stops[STOP_complete] > 100 && nr_stops[STOP_ended] > 100);
	home_deinit();
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(random_programs), cmocka_unit_test(garbage)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
