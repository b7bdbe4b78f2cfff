/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_walk.c - the stack walker in a world that the input makes up: rules, tables, mappings, registers, memory.
 *
 * Nothing of that world has to make sense, but most numbers lead somewhere: a stack word is made of two bytes that say
 * "an address of the stack", "an address of the code" or "as it is", so that walks get deep. Code is there only as what
 * precedes an address: mostly calls. The pool is a segment of memory with a guard around it, its index at the start and
 * its rows behind; entries are as the input says, so they point anywhere in the pool and out of it. Each step is
 * checked against what holds of all steps, and the key is made again from the frames as they come.
 *
 * Of what is read here make_seeds.py writes whole worlds, a kind of rule each: an order of its parts that changes here
 * changes there.
 */
#include <string.h>

#include "entries.h"
#include "table_check.h"
#include "walk.h"

enum {
	RULES = 32,
	MAPPINGS = 8,
	MODULES = 4,
	GRANULES = 32,
	ROWS = 128,
	CODE_WORDS = 8,
	STACK_BYTES = 2 * WALK_PAGE,
	MODULE_BYTES = GRANULES / MODULES * GRANULE_SIZE,
};
static const uint64_t STACK = 0x7ff000000000, CODE = 0x400000;

/* The world. Segment 0 is there, 1 is there and empty, others are not. */
static struct {
	struct unwind_rule rules[RULES];
	struct mapping_slot mappings[MAPPINGS];
	struct module_table modules[MODULES];
	uint64_t stack[STACK_BYTES / 8];
	uint64_t code[CODE_WORDS]; /* the bytes before a place in the code, by its low bits */
	uint64_t refused_page;
	uint64_t nr_reads;
	uint64_t thread_base;
	bool has_other_stacks; /* some rule leads to a stack that may lie below */
	bool has_rbp_frames;   /* some rule tells the frame by rbp, while rsp may be on another stack */
	uint64_t probed;       /* a pc in whose place there is another, 0 = none */
	uint64_t real;
} world;
static const struct stack_key seed = {.hash = {0x0123456789abcdefull, 0xfedcba9876543210ull}};
enum { PROCESS = 7 };

/* What a walk starts with. */
struct start {
	uint64_t pc, regs[16];
	uint32_t max_frames;
};

static uint8_t pool[2][POOL_SEGMENT_SIZE];
static struct walk walk;

WALK_INLINE const struct mapping_slot *walk_get_mapping(__u32 index)
{
	return index < MAPPINGS ? &world.mappings[index] : NULL;
}

WALK_INLINE const struct module_table *walk_get_module(__u32 module)
{
	return module < MODULES ? &world.modules[module] : NULL;
}

WALK_INLINE const void *walk_get_segment(__u32 segment)
{
	return segment < 2 ? pool[segment] : NULL;
}

WALK_INLINE const struct unwind_rule *walk_get_rule(__u32 rule)
{
	return rule < RULES ? &world.rules[rule] : NULL;
}

WALK_INLINE int walk_read_user(void *buffer, __u32 size_bytes, __u64 address)
{
	world.nr_reads++;
	CHECK(size_bytes >= 1 && size_bytes <= WALK_WINDOW);
	/* Code is read to a place of its own, a word at a time. */
	if (address - (CODE - 8) < MODULES * MODULE_BYTES && size_bytes == 8) {
		memcpy(buffer, &world.code[address % CODE_WORDS], 8);
		return 0;
	}
	if (size_bytes > 8)
		CHECK((uint8_t *)buffer >= (uint8_t *)&walk &&
		      (uint8_t *)buffer + size_bytes <= (uint8_t *)(&walk + 1));
	if (address - STACK >= STACK_BYTES || size_bytes > STACK_BYTES - (address - STACK))
		return -14;
	if (address / WALK_PAGE == world.refused_page || (address + size_bytes - 1) / WALK_PAGE == world.refused_page)
		return -14;
	memcpy(buffer, (uint8_t *)world.stack + (address - STACK), size_bytes);
	return 0;
}

WALK_INLINE __u64 walk_probed_pc(__u64 pc, __u64 *rsp)
{
	if (!world.probed || pc != world.probed)
		return 0;
	*rsp += 8;
	return world.real;
}

WALK_INLINE __u64 walk_thread_base(void)
{
	return world.thread_base;
}

/* ---- making the world ---- */

struct source {
	const uint8_t *at, *end;
};

static uint64_t take(struct source *source, size_t size)
{
	size_t rest = (size_t)(source->end - source->at);
	uint64_t value = 0;

	if (size > rest)
		size = rest;
	memcpy(&value, source->at, size);
	source->at += size;
	return value;
}

/* A word that mostly leads somewhere. */
static uint64_t take_word(struct source *source)
{
	uint64_t bits = take(source, 2), low = bits >> 3;

	switch (bits & 7) {
	case 0:
		return low;
	case 1:
		return 0;
	case 2:
	case 3:
	case 4:
		return STACK + low * 8 % STACK_BYTES;
	case 5:
		return take(source, 8);
	default:
		return CODE + low * 5 % (MODULES * MODULE_BYTES);
	}
}

/* Where runtimes keep things: near, and aligned. */
static int16_t take_near(struct source *source)
{
	return (int16_t)(8 * (int8_t)take(source, 1));
}

static struct unwind_rule take_switch(struct source *source, struct unwind_rule rule)
{
	uint16_t low = (uint16_t)take_near(source), high = (uint16_t)take_near(source);

	rule.cfa_offset = (int32_t)(low | (uint32_t)high << 16);
	rule.rbx_offset = take_near(source);
	rule.ra_offset = take_near(source);
	rule.cfa_add = take_near(source);
	return rule;
}

/* A rule in 33 bits; the usual forms are likely. */
struct rule_shape {
	uint64_t cfa : 4, from_rsp : 1, reg : 4, ra_at_cfa : 1, ra : 3, ra_reg : 4, rbp : 3, rbp_reg : 4, rbp_place : 3,
		cfa_place : 4, near_ra : 1, odd : 1;
};

static struct unwind_rule take_rule(struct source *source)
{
	uint64_t bits = take(source, 5);
	struct rule_shape shape;

	memcpy(&shape, &bits, sizeof(shape));
	struct unwind_rule rule = {
		.cfa = shape.cfa < NR_CFAS ? shape.cfa : CFA_REGISTER,
		.cfa_reg = shape.from_rsp ? DWARF_RSP : shape.reg,
		.ra = shape.ra_at_cfa ? VALUE_AT_CFA : shape.ra,
		.ra_reg = shape.ra_reg,
		.rbp = shape.rbp,
		.rbp_reg = shape.rbp_reg,
		.rbp_offset = (int16_t)(-16 + 8 * (int)shape.rbp_place),
		.cfa_offset = (int32_t)(8 * shape.cfa_place),
		.rbx_offset = RBX_SAME,
	};

	rule.ra_offset = shape.near_ra ? -8 : (int16_t)take(source, 2);
	if (rule.cfa >= CFA_STACK_TOP)
		rule = take_switch(source, rule);
	if (shape.odd) {
		rule.flags = (uint8_t)take(source, 1);
		rule.rbx_offset = (int16_t)take(source, 2);
		rule.cfa_offset = (int32_t)take(source, 4);
		rule.cfa_add = (int16_t)take(source, 2);
	}
	world.has_other_stacks |= rule.cfa >= CFA_STACK_TOP || rule.flags & RULE_OTHER_STACK;
	world.has_rbp_frames |= rule.cfa == CFA_REGISTER && rule.cfa_reg == DWARF_RBP;
	return rule;
}

static void make_tables(struct source *source, uint64_t odd)
{
	uint64_t *granules = (uint64_t *)pool[0];
	struct unwind_row *rows = (struct unwind_row *)(granules + GRANULES);

	for (uint32_t i = 0; i < GRANULES; i++) {
		uint64_t bits = take(source, 2);
		struct unwind_granule granule = {
			.first_row = GRANULES * 2 + (uint32_t)(bits & (ROWS - 1)),
			.nr_rows = bits >> 7 & 7,
			.rule = bits >> 10 & (RULES - 1),
		};

		memcpy(&granules[i], &granule, sizeof(granule));
		if (bits >> 15)
			granules[i] = take(source, 8);
	}
	for (uint32_t i = 0; i < ROWS; i++) {
		uint64_t bits = take(source, 2);

		rows[i] = (struct unwind_row){.offset = bits & (GRANULE_SIZE - 1), .rule = bits >> 10 & (RULES - 1)};
		if (bits >> 15) {
			bits = take(source, 4);
			memcpy(&rows[i], &bits, sizeof(rows[i]));
		}
	}
	for (uint32_t i = 0; i < MODULES; i++) {
		world.modules[i] = (struct module_table){
			.nr_granules = GRANULES / MODULES,
			.index = i * GRANULES / MODULES,
			.state = odd >> 2 * i & 3 ? MODULE_READY : (uint32_t)take(source, 1) & 3,
		};
		if (odd >> (8 + i) & 1) {
			world.modules[i].start = take(source, 8);
			world.modules[i].nr_granules = (uint32_t)take(source, 4);
			world.modules[i].index = (uint32_t)take(source, 4);
			world.modules[i].coarser = (uint32_t)take(source, 1);
		}
	}
}

static void make_mappings(struct source *source, uint64_t odd)
{
	for (uint32_t i = 0; i < MAPPINGS; i++) {
		struct mapping_slot *slot = &world.mappings[i];

		*slot = (struct mapping_slot){
			.start = CODE + i * (uint64_t)(MODULE_BYTES / 2),
			.end = CODE + (i + 1) * (uint64_t)(MODULE_BYTES / 2),
			.offset = i % 2 * (MODULE_BYTES / 2),
			.module = i / 2,
		};
		if (odd >> i & 1) {
			uint64_t bits = take(source, 2);

			slot->module = bits & 1 ? NO_MODULE : bits & 2 ? (uint32_t)take(source, 4) : slot->module;
			slot->offset = bits & 4 ? take(source, 8) : slot->offset;
			slot->start = bits & 8 ? take(source, 8) : slot->start;
			slot->end = bits & 16 ? take(source, 8) : slot->end;
		}
	}
}

static void make_code(struct source *source)
{
	for (uint32_t i = 0; i < CODE_WORDS; i++) {
		uint64_t kind = take(source, 1);

		if (kind & 1)
			world.code[i] = 0xe8000000; /* call rel32 */
		else if (kind & 2)                  /* call *operand, of any length */
			world.code[i] = (0xff | take(source, 2) << 8) << (kind >> 2 & 7) * 8;
		else
			world.code[i] = take(source, 8);
	}
}

static void make_world(struct source *source)
{
	uint64_t odd = take(source, 4);

	memset(world.rules, 0, sizeof(world.rules));
	world.has_other_stacks = world.has_rbp_frames = false;
	for (uint32_t i = 0; i < RULES; i++) {
		world.rules[i].cfa = i < RULE_FIRST_FREE ? i : CFA_NONE;
		if (i >= RULE_FIRST_FREE)
			world.rules[i] = take_rule(source);
	}
	make_tables(source, odd);
	make_mappings(source, odd >> 16);
	make_code(source);
	walk.is_32bit = odd >> 28 & 1;
	world.probed = odd >> 29 & 1 ? take_word(source) : 0;
	world.real = take_word(source);
	world.refused_page = odd >> 24 & 8 ? STACK / WALK_PAGE + (odd >> 24 & 1) : 0;
	for (uint32_t i = 0; i < 16; i++)
		walk.regs[i] = take_word(source);
	world.thread_base = take_word(source);
	walk.pc = take_word(source);
	walk.first_mapping = odd >> 30 & 1 ? (uint32_t)take(source, 4) : 0;
	walk.nr_mappings = odd >> 31 & 1 ? (uint32_t)take(source, 4) : MAPPINGS;
	/* The rest of the input is the stack, over and over. */
	struct source words = *source;

	for (uint32_t i = 0; i < STACK_BYTES / 8; i++) {
		if (words.at == words.end)
			words = *source;
		world.stack[i] = take_word(&words);
	}
}

/* ---- what holds of every walk ---- */

/* The frame appended last, when it is still held. */
static uint64_t last_frame(void)
{
	uint32_t at = walk.nr_walked - 1;

	if (at >= walk.nr_leaf_frames)
		at = walk.nr_leaf_frames + (walk.nr_root_frames ? (at - walk.nr_leaf_frames) % walk.nr_root_frames : 0);
	return walk.frames[at % USER_FRAMES_MAX];
}

static void check_frame(uint64_t frame, uint64_t flags, uint64_t pc)
{
	CHECK(frame_kind(frame) == FRAME_FILE || frame_kind(frame) == FRAME_RAW);
	/* A signal's trampoline is exact, however it was reached. */
	CHECK((frame & (FRAME_BY_FP | FRAME_GUESSED)) == (flags & ~FRAME_EXACT));
	CHECK(!(flags & ~frame & FRAME_EXACT));
	if (frame_kind(frame) == FRAME_FILE)
		CHECK(frame_module(frame) < MODULES_MAX);
	else
		CHECK(frame_raw_pc(frame) == (pc & FRAME_PAYLOAD_MASK) ||
		      (pc == world.probed && frame_raw_pc(frame) == (world.real & FRAME_PAYLOAD_MASK)));
}

/* Whether what precedes pc can be a call: the opcode of one is in the bytes of one. */
static bool may_follow_call(uint64_t pc)
{
	uint8_t before[8];

	if (walk_read_user(before, sizeof(before), pc - sizeof(before)))
		return false;
	return before[3] == 0xe8 || memchr(before + 1, 0xff, 6);
}

/* 1 = the walk is over. Adds the frames that came to the key. */
static int check_step(struct stack_key *key)
{
	uint32_t nr = walk.nr_walked;
	uint64_t flags = walk.frame_flags, pc = walk.pc, rsp = walk.regs[DWARF_RSP], nr_reads = world.nr_reads;
	int over = walk_step(&walk);

	CHECK(walk.nr_walked == nr + 1 || (walk.nr_walked == nr && over));
	CHECK(walk.nr_walked <= USER_WALK_MAX);
	CHECK(walk.window_size <= WALK_WINDOW && walk_nr_kept(&walk) <= USER_FRAMES_MAX);
	CHECK(world.nr_reads - nr_reads <= 16);
	if (walk.nr_walked > nr) {
		check_frame(last_frame(), flags, pc);
		stack_key_add(key, last_frame());
	}
	/*
	 * Callers lie higher, but for a signal's; a leaf may have taken its return address off the stack already. One
	 * that rbp leads to has to prove that it is a caller.
	 */
	if (!over && !world.has_other_stacks)
		CHECK(walk.regs[DWARF_RSP] > rsp || walk.known_regs == ~0u ||
		      (walk.regs[DWARF_RSP] == rsp && (flags & FRAME_EXACT)) ||
		      (world.has_rbp_frames && may_follow_call(walk.pc)));
	return over;
}

static void check_end(struct stack_key *key)
{
	bool incomplete = walk.stop > STOP_absent;

	CHECK(walk.stop < NR_STOPS && walk.stop != STOP_absent && walk.stop != STOP_walker_limit);
	CHECK(walk.nr_fp_frames + walk.nr_guessed_frames <= walk.nr_walked && walk.overflow <= walk.nr_walked);
	CHECK(incomplete == (walk.record.end_frame != 0));
	if (incomplete) {
		CHECK(frame_kind(walk.record.end_frame) == FRAME_PSEUDO);
		CHECK((walk.record.end_frame & 0xff) == walk.stop);
		stack_key_add(key, walk.record.end_frame);
	}
}

/* What leaves with the frames; only a stack with raw addresses is the process's own. */
static void check_record(struct stack_key *key)
{
	walk_finish(&walk, PROCESS);
	stack_key_finish(key, walk.has_raw ? PROCESS : 0);
	CHECK(memcmp(key, &walk.record.key, sizeof(*key)) == 0);
	CHECK(walk.record.nr_frames <= walk.record.nr_walked && walk.record.nr_walked == walk.nr_walked);
	CHECK(walk.record.nr_leaf_frames >= 1 && walk.record.nr_leaf_frames <= USER_FRAMES_MAX);
	CHECK(!walk.record.is_kernel && walk.record.process == PROCESS);
}

/* Where mappings overlap, which one is met hangs on where the walk comes from. */
static bool mappings_are_in_order(void)
{
	for (uint32_t i = 0; i < MAPPINGS; i++)
		if (world.mappings[i].start >= world.mappings[i].end ||
		    (i && world.mappings[i - 1].end > world.mappings[i].start))
			return false;
	return !walk.first_mapping && walk.nr_mappings == MAPPINGS;
}

/* The same walk with what it finds kept for it: in the second round it finds nearly everything kept. */
static void check_again(const struct start *start, const struct stack_key *key)
{
	uint32_t nr_walked = walk.nr_walked, stop = walk.stop;

	walk.run = 1;
	for (int round = 0; round < 2; round++) {
		walk.pc = start->pc;
		memcpy(walk.regs, start->regs, sizeof(walk.regs));
		walk_start(&walk, &seed, start->max_frames);
		while (!walk_step(&walk))
			;
		walk_finish(&walk, PROCESS);
		CHECK(walk.stop == stop && walk.nr_walked == nr_walked);
		CHECK(memcmp(key, &walk.record.key, sizeof(*key)) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source source = {.at = data, .end = data + size};
	struct stack_key key = seed;
	uint32_t nr_steps = 0;

	memset(&walk, 0, sizeof(walk));
	world.nr_reads = 0;
	struct start start = {.max_frames = (uint32_t)take(&source, 2)};

	make_world(&source);
	walk_start(&walk, &seed, start.max_frames);
	start.pc = walk.pc;
	memcpy(start.regs, walk.regs, sizeof(start.regs));
	while (!check_step(&key))
		CHECK(++nr_steps <= USER_WALK_MAX);
	check_end(&key);
	check_record(&key);
	if (mappings_are_in_order())
		check_again(&start, &key);
	return 0;
}
