/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows_dump.c - shows the unwind table that a file compiles to, and what CPU time compiling it costs.
 *
 *     rows_dump FILE          every row: file_addr, rule
 *     rows_dump -t FILE...    one line per file: sizes, counts, and the fastest of several compilations
 *
 * A rule is written the way readelf writes it: CFA, rbp, return address.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "memory.h"
#include "object.h"
#include "unwind.h"

enum { TIMED_RUNS = 5 };

static const char *const registers[NR_REGS] = {
	"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8",
	"r9",  "r10", "r11", "r12", "r13", "r14", "r15", "rip",
};

static void print_value(uint8_t kind, uint8_t reg, int16_t offset)
{
	switch ((enum unwind_value)kind) {
	case VALUE_SAME:
		printf(" same");
		return;
	case VALUE_AT_CFA:
		printf(" c%+d", offset);
		return;
	case VALUE_AT_REGISTER:
		printf(" *(%s%+d)", registers[reg], offset);
		return;
	case VALUE_REGISTER:
		printf(" %s%+d", registers[reg], offset);
		return;
	case NR_VALUES:
		break;
	case VALUE_UNDEFINED:
		printf(" undefined");
		return;
	}
}

static void print_rule(const struct unwind_rule *rule)
{
	switch ((enum unwind_cfa)rule->cfa) {
	case NR_CFAS:
	case CFA_NONE:
		puts("none");
		return;
	case CFA_ROOT:
		puts("root");
		return;
	case CFA_SIGNAL:
		puts("signal");
		return;
	case CFA_UNSUPPORTED:
		puts("unsupported");
		return;
	case CFA_REGISTER:
		printf("%s%+d", registers[rule->cfa_reg], rule->cfa_offset);
		break;
	case CFA_MEMORY:
		printf("*(%s%+d)%+d", registers[rule->cfa_reg], rule->cfa_offset, rule->cfa_add);
		break;
	case CFA_INDEXED:
		printf("*(rsp+8*%s%+d)%+d", registers[rule->cfa_reg], rule->cfa_offset, rule->cfa_add);
		break;
	case CFA_PLT:
		printf("plt%d", rule->cfa_offset);
		break;
	case CFA_STACK_TOP:
		puts("stack top");
		return;
	case CFA_GOROUTINE:
		puts("goroutine");
		return;
	}
	printf("  rbp");
	print_value(rule->rbp, rule->rbp_reg, rule->rbp_offset);
	printf("  ra");
	print_value(rule->ra, rule->ra_reg, rule->ra_offset);
	if (rule->rbx_offset == RBX_LOST)
		printf("  rbx lost");
	else if (rule->rbx_offset != RBX_SAME)
		printf("  rbx [cfa%+d]", rule->rbx_offset);
	putchar('\n');
}

static void print_table(const struct object_info *info, const struct unwind_table *table)
{
	for (uint32_t i = 0; i < table->nr_granules; i++) {
		const struct unwind_granule *granule = &table->granules[i];
		uint64_t addr = info->base_addr + table->start + ((uint64_t)i << (GRANULE_SHIFT + table->coarser));

		printf("%016llx+", (unsigned long long)addr);
		print_rule(&table->rules[granule->rule]);
		for (uint32_t j = 0; j < granule->nr_rows; j++) {
			const struct unwind_row *row = &table->rows[granule->first_row + j];

			printf("%016llx ", (unsigned long long)(addr + row->offset));
			print_rule(&table->rules[row->rule]);
		}
	}
}

static double cpu_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int open_object(const char *path, struct object **ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : object_create(fd, NULL, NULL, ret);
}

static int time_file(const char *path)
{
	double best_ms = 0;
	double text_mib = 0;
	struct unwind_table *table = NULL;

	for (int i = 0; i < TIMED_RUNS; i++) {
		struct object *object;
		double start_ms = cpu_ms();
		int err = open_object(path, &object);

		if (err)
			return err;
		unwind_table_destroy(table);
		table = NULL;
		err = unwind_table_compile(object, TABLE_WHOLE, &table);
		double took_ms = cpu_ms() - start_ms;

		if (i == 0 || took_ms < best_ms)
			best_ms = took_ms;
		text_mib = 0;
		for (uint32_t j = 0; j < object_info(object)->nr_segments; j++)
			text_mib += (double)object_info(object)->segments[j].file_size / (1 << 20);
		object_destroy(object);
		if (err)
			return err;
	}
	size_t bytes = table->nr_rows * sizeof(struct unwind_row) + table->nr_granules * sizeof(struct unwind_granule);

	printf("%-24s text %6.2f MiB  rows %8u  rules %4u  unsupported %4u  fdes %6u (%u broken)  inferred %4.0f "
	       "KiB of %4.0f (%.0f skipped)  %4.0f KiB per MiB  %6.2f ms  %.2f ms per MiB\n",
	       strrchr(path, '/') ? strrchr(path, '/') + 1 : path, text_mib, table->nr_rows, table->nr_rules,
	       table->nr_rows_unsupported, table->nr_fdes, table->nr_fdes_broken, (double)table->inferred.bytes / 1024,
	       (double)(table->inferred.bytes + table->inferred.bytes_unknown) / 1024,
	       (double)table->inferred.bytes_skipped / 1024, (double)bytes / 1024 / text_mib, best_ms,
	       best_ms / text_mib);
	unwind_table_destroy(table);
	return 0;
}

static int dump_file(const char *path)
{
	struct object *object;
	struct unwind_table *table;
	int err = open_object(path, &object);

	if (err)
		return err;
	err = unwind_table_compile(object, TABLE_WHOLE, &table);
	if (!err) {
		print_table(object_info(object), table);
		unwind_table_destroy(table);
	}
	object_destroy(object);
	return err;
}

int main(int argc, char **argv)
{
	bool timed = argc > 1 && strcmp(argv[1], "-t") == 0;
	int status = 0;

	if (argc < (timed ? 3 : 2)) {
		fputs("usage: rows_dump FILE | rows_dump -t FILE...\n", stderr);
		return 2;
	}
	for (int i = timed ? 2 : 1; i < argc; i++) {
		int err = timed ? time_file(argv[i]) : dump_file(argv[i]);

		if (err) {
			fprintf(stderr, "%s: %s\n", argv[i], strerror(-err));
			status = 1;
		}
	}
	return status;
}
