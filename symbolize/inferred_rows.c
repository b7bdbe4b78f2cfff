/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inferred_rows.c - how is the caller found from here, if nobody wrote it down?
 *
 * A gap's bytes are decoded in order while the state of the frame (stack_effect) is carried along, to the next
 * instruction and to the targets of jumps. Where several ways lead to an instruction, what they agree on holds. As
 * jumps also go back, a stretch is swept until nothing changes; stretches end where a function may begin, and once
 * something changed across them all of the gap is swept again.
 *
 * Behind a jump or a return it has to be guessed what begins there: what a jump from elsewhere leads to is known, and
 * so is a function that somebody names or calls. Otherwise a function may begin, if data or code hold this address or
 * if it is aligned; or it is one of the places that the function's indirect jump leads to. And a call that is followed
 * by an aligned address may never return. An assumption is refuted by a return at which rsp does not point at the
 * return address or rbp and rbx are not the caller's, or by a jump to where a different distance is known for certain;
 * then the stretch is swept without it. It is confirmed by a return that it fits. Rows that rest on one that is neither
 * are not written.
 *
 * Constants between functions decode to nonsense; no state leads there and nobody's rsp is ever looked up there.
 */
#include "inferred_rows.h"

#include <stdlib.h>
#include <string.h>

#include "code_gaps.h"
#include "code_starts.h"
#include "instruction.h"
#include "memory.h"
#include "pending_rows.h"
#include "stack_effect.h"

enum {
	SWEEPS_MAX = 8,             /* of a gap, on average over its bytes */
	PASSES_MAX = 3,             /* over a gap */
	SWEPT_BYTES_MAX = 40 << 20, /* of a file: about a second, where compilers' code says nothing of its frames */
	FUNCTION_ALIGNMENT = 16,
	QUICK_BYTES_MAX = 16 << 10, /* of gaps: takes 1 to 3 ms */
	TARGETS_MAX = 1 << 17, /* jump targets of a piece of code whose states are kept, 32 MiB; more are unknown */
};

/* What a flow rests on: of each kind the last, later kinds on earlier ones. */
enum assumption {
	ASSUMED_ENTRY,  /* a function begins there */
	ASSUMED_CASE,   /* the indirect jump before leads there */
	ASSUMED_RETURN, /* the call before returns there */
	NR_ASSUMPTIONS,
};

struct assumed_place {
	uint32_t at;      /* in the gap */
	uint8_t mark;     /* what refutes it; 0 = nothing is assumed */
	bool is_doubtful; /* rather so than others of its kind */
};

/* What may be known when an instruction is reached. */
struct flow {
	bool is_live; /* execution comes here */
	struct assumed_place assumed[NR_ASSUMPTIONS];
	struct stack_state state;
};

/* All that the instructions before a place say about it. */
struct position {
	struct flow flow;  /* at the instruction that is looked at */
	struct flow cases; /* at this function's last indirect jump */
	bool after_call;   /* nothing but padding since */
	uint32_t call_end; /* then: where it returns to */
	bool after_end;    /* likewise since a jump, a return or what is no code */
	bool is_written;   /* there is a row for the state */
};

struct sweep {
	struct code_gaps *gaps;
	const struct code_gap *gap;
	const uint8_t *code;
	uint8_t *marks;
	uint8_t *plain;
	struct unwind_rules *rules;
	struct pending_rows rows;
	uint64_t origin_addr;

	uint32_t *index; /* by place: its flow in targets, counted from 1; 0 = no jump came yet */
	VECTOR(struct flow) targets;

	struct position now;
	uint32_t stretch_start; /* what is swept at the moment */
	bool changed;           /* within the stretch: another sweep would find more */
	bool changed_before;    /* in a stretch before */
	bool refuted;
	bool confirmed;
	bool undecided;  /* of two assumptions that contradict each other, neither was confirmed */
	bool is_waiting; /* some target of jumps was not reached by any, in this sweep */
	bool is_settled; /* nor will it be */

	uint64_t bytes_swept; /* in this file */
	uint64_t bytes_left;  /* that may be looked at in this gap before its next sweep is its last */
};

/* The last assumption is the first to fall. */
static void refute(struct sweep *sweep, const struct flow *flow)
{
	for (int i = NR_ASSUMPTIONS - 1; i >= 0; i--) {
		const struct assumed_place *assumed = &flow->assumed[i];
		uint8_t *mark = &sweep->marks[assumed->at];

		if (!assumed->mark || *mark & assumed->mark)
			continue;
		*mark |= assumed->mark;
		*mark &= (uint8_t)~MARK_CONFIRMED;
		sweep->refuted = true;
		sweep->changed_before |= assumed->at < sweep->stretch_start;
		return;
	}
}

static void confirm(struct sweep *sweep, const struct flow *flow)
{
	for (int i = 0; i < NR_ASSUMPTIONS; i++) {
		const struct assumed_place *assumed = &flow->assumed[i];
		uint8_t *mark = &sweep->marks[assumed->at];

		if (!assumed->mark || *mark & (MARK_CONFIRMED | assumed->mark))
			continue;
		*mark |= MARK_CONFIRMED;
		sweep->confirmed = true;
	}
}

static bool is_refuted(const struct sweep *sweep, const struct flow *flow)
{
	for (int i = 0; i < NR_ASSUMPTIONS; i++)
		if (sweep->marks[flow->assumed[i].at] & flow->assumed[i].mark)
			return true;
	return false;
}

static bool is_confirmed(const struct sweep *sweep, const struct assumed_place *assumed)
{
	return !assumed->mark || sweep->marks[assumed->at] & MARK_CONFIRMED;
}

/* 2 = certain, 1 = confirmed, or that a call returns, which nearly all do; 0 = neither. */
static int trust_in(const struct sweep *sweep, const struct flow *flow)
{
	const struct assumed_place *assumed = flow->assumed;

	if (!is_confirmed(sweep, &assumed[ASSUMED_ENTRY]) || !is_confirmed(sweep, &assumed[ASSUMED_CASE]))
		return 0;
	return assumed[ASSUMED_ENTRY].mark || assumed[ASSUMED_CASE].mark ||
			       !is_confirmed(sweep, &assumed[ASSUMED_RETURN])
		       ? 1
		       : 2;
}

static bool is_contradicted(const struct flow *flow, const struct flow *other)
{
	const struct known_value *rsp = &flow->state.regs[DWARF_RSP];
	const struct known_value *other_rsp = &other->state.regs[DWARF_RSP];

	return other->is_live && rsp->kind == KNOWN_CFA && other_rsp->kind == KNOWN_CFA &&
	       rsp->offset != other_rsp->offset;
}

/* Joins two flows. What is trusted more wins over what contradicts it. True: ret has changed. */
static bool join(struct sweep *sweep, struct flow *ret, const struct flow *other)
{
	int trust = trust_in(sweep, ret);
	int other_trust = trust_in(sweep, other);

	if (!other->is_live || is_refuted(sweep, other))
		return false;
	if (!ret->is_live || is_refuted(sweep, ret)) {
		*ret = *other;
		return true;
	}
	if (is_contradicted(ret, other) && (trust != other_trust || !trust)) {
		/* Of two assumptions the first is followed, until a return speaks for it or against. */
		if (trust == other_trust) {
			sweep->undecided = true;
			return false;
		}
		refute(sweep, trust < other_trust ? ret : other);
		if (trust < other_trust)
			*ret = *other;
		return trust < other_trust;
	}
	bool changed = stack_state_meet(&ret->state, &other->state);

	/* What both say rests on the better of the two. */
	if (ret->state.regs[DWARF_RSP].kind != KNOWN_CFA) {
		return changed;
	} else if (trust < other_trust) {
		confirm(sweep, ret);
		memcpy(ret->assumed, other->assumed, sizeof(ret->assumed));
	} else if (trust > other_trust) {
		confirm(sweep, other);
	}
	return changed;
}

static struct flow *find_target(const struct sweep *sweep, uint32_t at)
{
	uint32_t index = sweep->index[at];

	return index ? &sweep->targets.data[index - 1] : NULL;
}

/* The current flow also goes on at a place of the gap. */
static void flow_to(struct sweep *sweep, uint32_t from, uint32_t to)
{
	sweep->marks[to] |= MARK_TARGET;
	if (!sweep->index[to]) {
		if (sweep->targets.nr == TARGETS_MAX)
			return;
		vector_push(&sweep->targets);
		sweep->index[to] = (uint32_t)sweep->targets.nr;
	}
	/* What lies ahead is reached in this sweep. */
	if (join(sweep, find_target(sweep, to), &sweep->now.flow) && to <= from) {
		sweep->changed |= to >= sweep->stretch_start;
		sweep->changed_before |= to < sweep->stretch_start;
	}
}

/* refuting is the mark that would refute it; 0 = certain. */
static void begin_function(struct sweep *sweep, uint32_t at, uint8_t refuting)
{
	struct flow *flow = &sweep->now.flow;

	*flow = (struct flow){.is_live = true, .assumed[ASSUMED_ENTRY] = {.at = at, .mark = refuting}};
	stack_state_enter(&flow->state);
	sweep->now.cases.is_live = false;
}

static bool is_aligned(const struct sweep *sweep, uint32_t at)
{
	return (sweep->origin_addr + sweep->gap->start + at) % FUNCTION_ALIGNMENT == 0;
}

/* Execution does not come here from the instruction before, nor from any jump known so far. */
static void assume(struct sweep *sweep, uint32_t at)
{
	uint8_t mark = sweep->marks[at];
	bool is_free = sweep->now.after_end && !(mark & MARK_TARGET);
	bool is_start = mark & MARK_POINTER || (is_free && is_aligned(sweep, at));
	bool is_case = sweep->now.cases.is_live && !(mark & MARK_NO_CASE) &&
		       (is_free || (sweep->now.after_end && sweep->is_settled));

	/* Who jumps here may be reached from elsewhere yet. Or never, as a loop that begins with its first instruction.
	 */
	sweep->is_waiting |= sweep->now.after_end && mark & MARK_TARGET;

	if (is_start && !(mark & MARK_NO_ENTRY) && (!is_case || is_aligned(sweep, at))) {
		struct flow cases = sweep->now.cases;

		begin_function(sweep, at, MARK_NO_ENTRY);
		/* A label, rather: the function before may go on. */
		if (mark & MARK_POINTER)
			sweep->now.cases = cases;
		/* Some functions never return: who points at them has to do. */
		if (mark & MARK_POINTER && sweep->now.after_end && is_aligned(sweep, at) && !is_case)
			sweep->marks[at] |= MARK_CONFIRMED;
	} else if (is_case) {
		sweep->now.flow = sweep->now.cases;
		sweep->now.flow.assumed[ASSUMED_CASE] = (struct assumed_place){.at = at, .mark = MARK_NO_CASE};
		sweep->now.flow.assumed[ASSUMED_RETURN] = (struct assumed_place){0};
	}
}

/*
 * A call before an aligned place might be one that doesn't return: rather so if there was need for padding, less so if
 * the call just happens to end there.
 */
static void doubt_call(struct sweep *sweep, uint32_t at)
{
	bool is_padded = at != sweep->now.call_end;
	struct flow *flow = &sweep->now.flow;

	if (sweep->marks[at] & MARK_NO_RETURN) {
		flow->is_live = false;
		sweep->now.after_end = true;
	} else if (is_padded || !flow->assumed[ASSUMED_RETURN].is_doubtful) {
		flow->assumed[ASSUMED_RETURN] =
			(struct assumed_place){.at = at, .mark = MARK_NO_RETURN, .is_doubtful = is_padded};
	}
}

/* Works out the flow at an instruction. Padding is looked at only if it is run through. */
static void arrive(struct sweep *sweep, uint32_t at, bool is_padding)
{
	uint8_t mark = sweep->marks[at];
	struct flow *flow = &sweep->now.flow;
	struct flow *target = find_target(sweep, at);

	if (mark & MARK_ENTRY) {
		begin_function(sweep, at, 0);
		return;
	}
	if (flow->is_live && sweep->now.after_call && !is_padding && is_aligned(sweep, at))
		doubt_call(sweep, at);
	/* A call that something else follows may not come back; and what jumps here say of rsp goes before. */
	if (flow->is_live && sweep->now.after_call &&
	    (mark & MARK_POINTER || (target && is_contradicted(flow, target)))) {
		flow->is_live = false;
		sweep->now.after_end = at != sweep->now.call_end;
	}
	if (target && target->is_live && !is_refuted(sweep, target)) {
		/* Kept as well: the next sweep's jumps there are measured by it. */
		if (flow->is_live)
			join(sweep, target, flow);
		*flow = *target;
	} else if (!flow->is_live && !is_padding) {
		assume(sweep, at);
	}
}

static void write_rule(struct sweep *sweep, uint32_t at)
{
	const struct flow *flow = &sweep->now.flow;
	struct pending_row row = {.at = at};
	struct unwind_rule rule = {0};

	if (flow->is_live) {
		const struct assumed_place *assumed = &flow->assumed[ASSUMED_ENTRY];

		if (flow->assumed[ASSUMED_CASE].mark)
			assumed = &flow->assumed[ASSUMED_CASE];
		if (flow->assumed[ASSUMED_RETURN].is_doubtful)
			assumed = &flow->assumed[ASSUMED_RETURN];
		rule = stack_state_rule(&flow->state);
		row.is_assumed = assumed->mark != 0;
		row.assumed_at = assumed->mark ? assumed->at : 0;
	}
	pending_rows_add(&sweep->rows, sweep->rules, &row, &rule);
	sweep->now.is_written = true;
}

static bool is_in_gap(const struct sweep *sweep, uint64_t target)
{
	return target - sweep->gap->start < sweep->gap->size;
}

/* At a return, or at a jump out of the function: that may just be to another part of it, so it refutes only. */
static void check_return(struct sweep *sweep, bool may_confirm)
{
	const struct flow *flow = &sweep->now.flow;

	if (!stack_state_may_return(&flow->state))
		refute(sweep, flow);
	else if (may_confirm && flow->state.regs[DWARF_RSP].kind == KNOWN_CFA)
		confirm(sweep, flow);
}

static void jump(struct sweep *sweep, uint32_t at, const struct instruction *instruction)
{
	uint32_t to = (uint32_t)(instruction->target - sweep->gap->start);

	if (!instruction->target)
		sweep->now.cases = sweep->now.flow;
	else if (!is_in_gap(sweep, instruction->target))
		check_return(sweep, false);
	else if (sweep->marks[to] & MARK_ENTRY)
		check_return(sweep, true);
	else
		flow_to(sweep, at, to);
	sweep->now.flow.is_live = false;
}

/*
 * Hand-written code knows which registers its own subroutines leave alone, and relies on it: its stack pointer may be
 * in one of those that others could change.
 */
static void step_over_call(struct sweep *sweep, const struct instruction *instruction)
{
	struct instruction call = *instruction;

	if (is_in_gap(sweep, call.target))
		call.lost = 1u << DWARF_RAX;
	stack_state_step(&sweep->now.flow.state, &call);
}

/* Passes the flow on to wherever the instruction leads. */
static void execute(struct sweep *sweep, uint32_t at, const struct instruction *instruction)
{
	static const struct instruction push = {.kind = INSTRUCTION_PUSH, .reg = NO_REGISTER, .base = NO_REGISTER};
	uint64_t next = sweep->gap->start + (uint64_t)at + instruction->length;
	struct flow *flow = &sweep->now.flow;

	switch ((enum instruction_kind)instruction->kind) {
	case INSTRUCTION_BRANCH:
		stack_state_step(&flow->state, instruction);
		if (is_in_gap(sweep, instruction->target))
			flow_to(sweep, at, (uint32_t)(instruction->target - sweep->gap->start));
		break;
	case INSTRUCTION_JUMP:
		jump(sweep, at, instruction);
		break;
	case INSTRUCTION_RETURN:
		check_return(sweep, true);
		flow->is_live = false;
		break;
	case INSTRUCTION_END:
		flow->is_live = false;
		break;
	case INSTRUCTION_CALL:
		/* A call of the next instruction pushes where it is. */
		if (instruction->target == next)
			stack_state_step(&flow->state, &push);
		else
			step_over_call(sweep, instruction);
		break;
	default:
		stack_state_step(&flow->state, instruction);
		break;
	}
}

/* Whether something may be assumed to begin at a place that nothing leads to. */
static bool may_assume(const struct sweep *sweep, uint32_t at)
{
	return sweep->marks[at] & MARK_AFTER_END && (sweep->now.cases.is_live || is_aligned(sweep, at));
}

/* Constants, or code whose beginning nobody knows: up to the next place that something is noted about. */
static uint32_t skip_dead(struct sweep *sweep, uint32_t at)
{
	enum { NOTED = MARK_ENTRY | MARK_POINTER | MARK_TARGET };
	uint32_t next = at + 1;

	while (next < sweep->gap->size && !(sweep->marks[next] & NOTED) && !may_assume(sweep, next))
		next++;
	sweep->now.after_call = false;
	sweep->now.after_end = next < sweep->gap->size && sweep->marks[next] & MARK_AFTER_END;
	return next - at;
}

/* Most instructions of hand-written code are about vectors: nothing is said about the place, and nothing changes. */
static bool is_plain(const struct sweep *sweep, uint32_t at)
{
	return sweep->plain[at] && !sweep->marks[at] && sweep->now.flow.is_live && sweep->now.is_written &&
	       !sweep->now.after_call;
}

static uint32_t sweep_instruction(struct sweep *sweep, uint32_t at)
{
	if (is_plain(sweep, at)) {
		sweep->now.after_end = false;
		return sweep->plain[at];
	}
	uint32_t rest = sweep->gap->size - at;
	struct position *now = &sweep->now;
	struct instruction instruction;
	bool decoded = instruction_decode(sweep->code + at, rest, sweep->gap->start + (uint64_t)at, &instruction);
	bool is_padding = sweep->code[at] == 0 || (decoded && instruction.kind == INSTRUCTION_FILLER);

	if (decoded)
		arrive(sweep, at, is_padding);
	else
		now->flow.is_live = false;
	write_rule(sweep, at);
	if (!now->flow.is_live && !is_padding)
		return skip_dead(sweep, at);
	if (now->flow.is_live)
		execute(sweep, at, &instruction);
	if (!is_padding) {
		now->after_call = instruction.kind == INSTRUCTION_CALL;
		now->call_end = at + instruction.length;
		now->after_end = instruction_ends_flow(instruction.kind);
		now->is_written = instruction.kind == INSTRUCTION_OTHER && !instruction.lost;
	}
	return now->flow.is_live || sweep->code[at] ? instruction.length : 1;
}

/* Where something else may begin: as far as one sweeps before going back. */
static uint32_t find_stretch_end(const struct sweep *sweep, uint32_t start)
{
	uint32_t end = start + 1;

	while (end < sweep->gap->size && !(sweep->marks[end] & (MARK_ENTRY | MARK_POINTER)))
		end++;
	return end;
}

/* Returns how far it came: an instruction may reach into the next stretch. */
static uint32_t sweep_stretch(struct sweep *sweep, uint32_t start, uint32_t end)
{
	struct position before = sweep->now;
	size_t nr_rows = sweep->rows.list.nr;
	uint32_t at = start;

	sweep->stretch_start = start;
	sweep->is_settled = false;
	for (;;) {
		sweep->changed = false;
		sweep->refuted = false;
		sweep->confirmed = false;
		sweep->undecided = false;
		sweep->is_waiting = false;
		for (at = start; at < end;)
			at += sweep_instruction(sweep, at);
		bool is_stable = !sweep->changed && !sweep->refuted && !(sweep->confirmed && sweep->undecided);

		sweep->bytes_swept += at - start;
		sweep->bytes_left -= at - start < sweep->bytes_left ? at - start : sweep->bytes_left;
		if (!sweep->bytes_left || (is_stable && (sweep->is_settled || !sweep->is_waiting)))
			break;
		sweep->is_settled |= is_stable;
		sweep->now = before;
		pending_rows_cut(&sweep->rows, sweep->rules, nr_rows);
	}
	return at;
}

static void enter_gap(struct sweep *sweep, const struct code_gap *gap)
{
	sweep->gap = gap;
	sweep->code = sweep->gaps->code + gap->place;
	sweep->marks = sweep->gaps->marks + gap->place;
	sweep->plain = sweep->gaps->plain + gap->place;
}

static void sweep_gap(struct sweep *sweep, const struct code_gap *gap)
{
	enter_gap(sweep, gap);
	memset(sweep->index, 0, gap->size * sizeof(sweep->index[0]));
	sweep->targets.nr = 0;
	sweep->bytes_left = SWEEPS_MAX * (uint64_t)gap->size;
	if (sweep->bytes_left > SWEPT_BYTES_MAX - sweep->bytes_swept)
		sweep->bytes_left = SWEPT_BYTES_MAX - sweep->bytes_swept;
	for (int pass = 0; pass < PASSES_MAX; pass++) {
		sweep->now = (struct position){.after_end = !gap->is_continued};
		pending_rows_cut(&sweep->rows, sweep->rules, 0);
		sweep->changed_before = false;
		for (uint32_t at = 0; at < gap->size;)
			at = sweep_stretch(sweep, at, find_stretch_end(sweep, at));
		if (!sweep->changed_before || !sweep->bytes_left)
			break;
	}
}

static void sweep_gaps(struct sweep *sweep, struct row_ranges *ranges, struct rule_rows *rows,
		       struct inferred_stats *ret)
{
	struct code_gaps *gaps = sweep->gaps;

	for (size_t i = 0; i < gaps->list.nr; i++) {
		if (sweep->bytes_swept >= SWEPT_BYTES_MAX) {
			ret->bytes_skipped += gaps->list.data[i].size;
			continue;
		}
		sweep_gap(sweep, &gaps->list.data[i]);
		ret->bytes += pending_rows_finish(&sweep->rows, sweep->gap, sweep->marks, ranges, rows);
	}
	ret->bytes_unknown = gaps->size + gaps->bytes_skipped - ret->bytes_skipped - ret->bytes;
}

int inferred_rows_add(const struct object *object, enum table_effort effort, uint64_t origin_addr,
		      struct unwind_rules *rules, struct row_ranges *ranges, struct rule_rows *rows,
		      struct rule_patches *patches, struct inferred_stats *ret)
{
	_cleanup_(code_gaps_deinit) struct code_gaps gaps = {0};
	_cleanup_free_ struct sweep *sweep = memory_new(struct sweep);
	int err = code_gaps_find(object, origin_addr, ranges, &gaps);

	*ret = (struct inferred_stats){0};
	if (!err && effort == TABLE_QUICK && gaps.size > QUICK_BYTES_MAX) {
		ret->bytes_skipped = gaps.size + gaps.bytes_skipped;
		return 0;
	}
	if (!err)
		err = code_starts_mark(object, origin_addr, &gaps);
	if (err)
		return err;
	ret->bytes_skipped = gaps.bytes_skipped;
	if (!gaps.list.nr)
		return 0;
	sweep->gaps = &gaps;
	sweep->rules = rules;
	sweep->origin_addr = origin_addr;
	sweep->index = memory_zalloc(code_gaps_largest(&gaps), sizeof(sweep->index[0]));
	sweep_gaps(sweep, ranges, rows, ret);
	for (size_t i = 0; i < gaps.roots.list.nr; i++)
		*vector_push(&patches->list) = gaps.roots.list.data[i];
	vector_free(&sweep->targets);
	vector_free(&sweep->rows.list);
	free(sweep->index);
	return 0;
}
