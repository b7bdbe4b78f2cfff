/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inferred_compare.c - are rows that were deduced from instructions the same as those that the compiler wrote?
 *
 *     inferred_compare [-v] FILE...
 *
 * Each file's code is looked at as if it had no call-frame information; then every instruction of every function that
 * has some is asked about in both tables. "Equal" is the same CFA, of the same form. "Other form" is a CFA by another
 * register, or by memory: right as well, mostly, but not comparable without running the code. "Unknown" is no row,
 * which costs nothing but a guess. "Wrong" is the same form with another distance. Fails when more than 0.1 % of all
 * instructions are wrong, or fewer than half known: large files, such as compilers, are not looked at whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "cfi_sections.h"
#include "inferred_rows.h"
#include "instruction.h"
#include "memory.h"
#include "object_private.h"
#include "unwind.h"

enum {
	FUNCTION_BYTES_MAX = 16 << 20,
	WRONG_PER_100000_MAX = 100,
	KNOWN_PERCENT_MIN = 50,
};

struct tally {
	uint64_t equal, other_form, unknown, wrong;
	uint64_t rbp_wrong; /* of those whose CFA is equal: rbp is saved elsewhere, though both know where */
	uint64_t undecoded; /* functions that don't decode to their end */
};

struct comparison {
	const char *path;
	bool verbose;
	struct object *object;
	struct unwind_table *told;     /* what the file says */
	struct unwind_table *inferred; /* what its instructions say */
	struct tally tally;
};

/* The table that the file would have if it said nothing. */
static int infer_table(const struct object *object, struct unwind_table **ret)
{
	const struct object_info *info = object_info(object);
	uint64_t origin_addr = info->segments[0].file_addr & ~(uint64_t)(GRANULE_SIZE - 1);
	struct unwind_table *table = memory_new(struct unwind_table);
	struct row_ranges ranges = {0};
	struct rule_rows rows = {0};
	struct rule_rows merged = {0};
	struct rule_patches roots = {0};
	struct unwind_rules rules;

	unwind_rules_init(&rules);
	int err = inferred_rows_add(object, TABLE_WHOLE, origin_addr, &rules, &ranges, &rows, &roots, &table->inferred);

	rule_rows_merge(&ranges, &rows, &merged);
	unwind_table_fill(table, &merged, origin_addr - info->base_addr);
	table->nr_rules = (uint32_t)rules.list.nr;
	table->rules = memory_dup(rules.list.data, rules.list.nr * sizeof(struct unwind_rule));
	unwind_rules_deinit(&rules);
	vector_free(&ranges.list);
	vector_free(&rows.list);
	vector_free(&merged.list);
	vector_free(&roots.list);
	*ret = table;
	return err;
}

static bool is_same_rbp(const struct unwind_rule *told, const struct unwind_rule *inferred)
{
	/* Compilers don't say where rbp is saved once they have restored it or before they change it; both are right.
	 */
	if (told->rbp != VALUE_AT_CFA || inferred->rbp != VALUE_AT_CFA)
		return true;
	return told->rbp_offset == inferred->rbp_offset;
}

static void compare_rules(struct comparison *comparison, uint64_t addr, const struct unwind_rule *told,
			  const struct unwind_rule *inferred)
{
	struct tally *tally = &comparison->tally;

	if (told->cfa != CFA_REGISTER && told->cfa != CFA_MEMORY)
		return;
	if (inferred->cfa == CFA_NONE) {
		tally->unknown++;
	} else if (told->cfa != inferred->cfa || told->cfa_reg != inferred->cfa_reg) {
		tally->other_form++;
	} else if (told->cfa_offset != inferred->cfa_offset || told->cfa_add != inferred->cfa_add) {
		tally->wrong++;
		if (comparison->verbose)
			printf("%s %llx: register %u %+d, inferred %+d\n", comparison->path, (unsigned long long)addr,
			       told->cfa_reg, told->cfa_offset, inferred->cfa_offset);
	} else {
		tally->equal++;
		tally->rbp_wrong += !is_same_rbp(told, inferred);
	}
}

static void compare_function(struct comparison *comparison, uint64_t start, uint64_t end)
{
	uint64_t base_addr = object_info(comparison->object)->base_addr;
	struct instruction instruction;

	if (start >= end || end - start > FUNCTION_BYTES_MAX)
		return;
	_cleanup_free_ uint8_t *code = memory_zalloc(end - start, 1);

	if (object_read_addr(comparison->object, start, code, end - start))
		return;
	for (uint64_t at = 0; at < end - start; at += instruction.length) {
		if (!instruction_decode(code + at, end - start - at, start + at, &instruction)) {
			comparison->tally.undecoded++;
			return;
		}
		compare_rules(comparison, start + at, unwind_table_find(comparison->told, start + at - base_addr),
			      unwind_table_find(comparison->inferred, start + at - base_addr));
	}
}

static int compare_functions(struct comparison *comparison)
{
	_cleanup_(cfi_sections_deinit) struct cfi_sections sections = {0};
	int err = cfi_sections_add_eh_frame(&sections, comparison->object);

	for (size_t i = 0; !err && i < sections.list.nr; i++) {
		_cleanup_(cfi_entries_deinit) struct cfi_entries entries;
		struct cfi_fde fde;

		cfi_entries_init(&entries, &sections.list.data[i]);
		while (cfi_entries_next(&entries, &fde))
			if (!fde.cie->is_signal)
				compare_function(comparison, fde.start, fde.end);
	}
	return err;
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void print_tally(const char *name, const struct tally *tally)
{
	uint64_t total = tally->equal + tally->other_form + tally->unknown + tally->wrong;

	printf("%s: %llu instructions, equal %.3f %%, other form %.3f %%, unknown %.3f %%, wrong %llu (%.4f %%), rbp "
	       "wrong %.4f %%\n",
	       name, (unsigned long long)total, percent(tally->equal, total), percent(tally->other_form, total),
	       percent(tally->unknown, total), (unsigned long long)tally->wrong, percent(tally->wrong, total),
	       percent(tally->rbp_wrong, total));
}

static int compare_file(const char *path, bool verbose, struct tally *sum)
{
	struct comparison comparison = {.path = path, .verbose = verbose};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int err = fd < 0 ? -errno : object_create(fd, NULL, NULL, &comparison.object);

	if (err)
		return err;
	err = unwind_table_compile(comparison.object, TABLE_WHOLE, &comparison.told);
	if (!err)
		err = infer_table(comparison.object, &comparison.inferred);
	if (!err)
		err = compare_functions(&comparison);
	if (!err)
		print_tally(path, &comparison.tally);
	sum->equal += comparison.tally.equal;
	sum->other_form += comparison.tally.other_form;
	sum->unknown += comparison.tally.unknown;
	sum->wrong += comparison.tally.wrong;
	sum->rbp_wrong += comparison.tally.rbp_wrong;
	sum->undecoded += comparison.tally.undecoded;
	unwind_table_destroy(comparison.told);
	unwind_table_destroy(comparison.inferred);
	object_destroy(comparison.object);
	return err;
}

int main(int argc, char **argv)
{
	bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
	struct tally sum = {0};
	int status = 0;

	for (int i = 1 + verbose; i < argc; i++) {
		int err = compare_file(argv[i], verbose, &sum);

		if (err) {
			printf("%s: %s\n", argv[i], strerror(-err));
			status = 1;
		}
	}
	uint64_t total = sum.equal + sum.other_form + sum.unknown + sum.wrong;

	if (sum.wrong * 100000 > total * WRONG_PER_100000_MAX ||
	    sum.rbp_wrong * 100000 > total * WRONG_PER_100000_MAX ||
	    (total - sum.unknown) * 100 < total * KNOWN_PERCENT_MIN || !total)
		status = 1;
	print_tally("all", &sum);
	return status;
}
