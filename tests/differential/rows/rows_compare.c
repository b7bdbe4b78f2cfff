/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows_compare.c - do our unwind tables say what readelf says?
 *
 *     rows_compare [-j WORKERS] [-m MAX_MIB] PATH...
 *
 * Every x86-64 ELF file below the given folders (each file and each build once) is compiled to a table, and readelf
 * interprets the same file. For every row that readelf prints, the table's rule at the row's first and at its last
 * byte has to be the same; between functions it has to be none. Exit status 1 when anything differs.
 *
 * Where the two may differ, and why that is no difference:
 *
 *   - readelf prints "u" both for "undefined" and for "never mentioned"; for rbp the second means unchanged.
 *   - Functions with the signal flag are RULE_SIGNAL whatever their instructions say, and so is the trampoline's code
 *     where no function or one without the flag describes it: the code is looked at.
 *   - The function that holds the entry point is RULE_ROOT, and so is the code that glibc's contexts return to.
 *   - Where functions overlap, a row counts only where its function is the one that holds.
 *   - What a rule can't express is RULE_UNSUPPORTED, and only that: values that are too large, expressions of other
 *     shapes, a caller's rsp that isn't the CFA.
 *   - readelf prints expressions as "exp"; the rule has to be one of those that the function's expressions mean.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "expected_rule.h"
#include "go_pclntab.h"
#include "object.h"
#include "readelf_frames.h"
#include "table.h"
#include "unwind.h"

enum { FEW_FDES = 8, SHOWN_PER_FILE = 10 };

struct tally {
	atomic_ulong next; /* file to take */
	atomic_ulong files;
	atomic_ulong files_without_info;
	atomic_ulong go_files;
	atomic_ulong rows;
	atomic_ulong equal;
	atomic_ulong different;
	atomic_ulong expressions;
	atomic_ulong unsupported;
	atomic_ulong signals;
	atomic_ulong entries;
	atomic_ulong trampolines;
	atomic_ulong context_ends;
	atomic_ulong overlapped;
	atomic_ulong outside;
	atomic_ulong gaps;
	atomic_ulong failed;
};

struct elf_path {
	char *path;
	off_t size_bytes;
};

static VECTOR(struct elf_path) paths;
static struct table seen_inodes;
static struct table seen_builds;
static unsigned long nr_same_build;
static unsigned long nr_too_large;
static off_t max_bytes = INT64_MAX;

/* --- the files ------------------------------------------------------------------------------------------------- */

static bool is_first(struct table *seen, const void *key)
{
	bool added;

	table_intern(seen, key, 0, &added);
	return added;
}

static int visit(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	uint64_t inode[2] = {status->st_dev, status->st_ino};
	struct object *object;
	uint8_t build[BUILD_ID_MAX] = {0};

	(void)walk;
	if (type != FTW_F || !S_ISREG(status->st_mode) || !is_first(&seen_inodes, inode))
		return 0;
	/* A separate debug file has its program's build-id, but not its code. */
	if (strlen(path) > 6 && strcmp(path + strlen(path) - 6, ".debug") == 0)
		return 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || object_create(fd, NULL, NULL, &object))
		return 0;
	const struct object_info *info = object_info(object);
	bool wanted = info->is_64bit_x86 && info->nr_segments;

	memcpy(build, info->build_id, info->build_id_size);
	if (wanted && info->build_id_size && !is_first(&seen_builds, build)) {
		nr_same_build++;
	} else if (wanted && status->st_size > max_bytes) {
		nr_too_large++;
		printf("left out, larger than the limit: %s\n", path);
	} else if (wanted) {
		*vector_push(&paths) = (struct elf_path){memory_strdup(path), status->st_size};
	}
	object_destroy(object);
	return 0;
}

/* Largest first, so that the last worker isn't left alone with one. */
static int compare_sizes(const void *left, const void *right)
{
	const struct elf_path *a = left;
	const struct elf_path *b = right;

	return a->size_bytes > b->size_bytes ? -1 : a->size_bytes < b->size_bytes;
}

/* --- one file -------------------------------------------------------------------------------------------------- */

struct comparison {
	const char *path;
	struct tally *tally;
	struct object *object;
	const struct object_info *info;
	struct unwind_table *table; /* NULL: none */
	struct readelf_frames frames;
	unsigned int nr_shown;
};

static const struct unwind_rule *table_rule(const struct comparison *comparison, uint64_t file_addr)
{
	static const struct unwind_rule none = {.cfa = CFA_NONE};

	return comparison->table ? unwind_table_find(comparison->table, file_addr - comparison->info->base_addr)
				 : &none;
}

static bool is_in_code(const struct object_info *info, uint64_t start, uint64_t end)
{
	for (uint32_t i = 0; i < info->nr_segments; i++) {
		const struct object_segment *segment = &info->segments[i];

		if (start >= segment->file_addr && end <= segment->file_addr + segment->file_size)
			return true;
	}
	return false;
}

/* A place within a piece of code, one byte before, or right behind it. */
static bool is_in_code_bytes(const struct comparison *comparison, uint64_t file_addr, const uint8_t *code, size_t size)
{
	for (uint32_t i = 0; i < comparison->info->nr_segments; i++) {
		const struct object_segment *segment = &comparison->info->segments[i];

		if (file_addr < segment->file_addr || file_addr - segment->file_addr >= segment->file_size)
			continue;
		for (int back = -1; back <= (int)size; back++) {
			uint8_t found[16];
			off_t offset = (off_t)(segment->file_offset + file_addr - segment->file_addr) - back;
			int fd = open(comparison->path, O_RDONLY | O_CLOEXEC);
			bool same = pread(fd, found, size, offset) == (ssize_t)size && memcmp(found, code, size) == 0;

			close(fd);
			if (same)
				return true;
		}
	}
	return false;
}

/* A place within a trampoline's code, one byte before, or right behind it. */
static bool is_trampoline(const struct comparison *comparison, uint64_t file_addr)
{
	static const uint8_t full[] = {0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};
	static const uint8_t brief[] = {0xb8, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05};

	return is_in_code_bytes(comparison, file_addr, full, sizeof(full)) ||
	       is_in_code_bytes(comparison, file_addr, brief, sizeof(brief));
}

/* A place within the code that glibc's contexts return to (26 bytes, maybe behind a landing pad), or one byte before.
 */
static bool is_context_end(const struct comparison *comparison, uint64_t file_addr)
{
	static const uint8_t first[] = {0x48, 0x89, 0xdc, 0x48, 0x8b, 0x3c, 0x24, 0x48, 0x85, 0xff, 0x74};

	return is_in_code_bytes(comparison, file_addr, first, sizeof(first)) ||
	       is_in_code_bytes(comparison, file_addr + 4, first, sizeof(first)) ||
	       is_in_code_bytes(comparison, file_addr - sizeof(first), first, sizeof(first)) ||
	       is_in_code_bytes(comparison, file_addr - 15, first, sizeof(first));
}

/* Whether another function is the one that holds at a place of this one. */
static bool is_overlapped(const struct comparison *comparison, const struct readelf_fde *fde, uint64_t file_addr)
{
	const struct readelf_frames *frames = &comparison->frames;

	for (size_t i = 0; i < frames->fdes.nr; i++) {
		const struct readelf_fde *other = &frames->fdes.data[i];

		if (other == fde || file_addr < other->start || file_addr >= other->end)
			continue;
		if (other->start > fde->start || (other->start == fde->start && other < fde))
			return true;
	}
	return false;
}

static bool is_patched(const struct comparison *comparison, const struct readelf_fde *fde, uint64_t file_addr,
		       const struct unwind_rule *rule)
{
	uint64_t entry = comparison->info->entry_addr;

	if (rule->cfa == CFA_ROOT && entry >= fde->start && entry < fde->end) {
		comparison->tally->entries++;
		return true;
	}
	if (rule->cfa == CFA_SIGNAL && is_trampoline(comparison, file_addr)) {
		comparison->tally->trampolines++;
		return true;
	}
	if (rule->cfa == CFA_ROOT && is_context_end(comparison, file_addr)) {
		comparison->tally->context_ends++;
		return true;
	}
	return false;
}

static bool compare_place(struct comparison *comparison, const struct readelf_fde *fde, const struct readelf_row *row,
			  uint64_t file_addr)
{
	const struct unwind_rule *rule = table_rule(comparison, file_addr);

	if (fde->is_signal ? rule->cfa == CFA_SIGNAL : expected_rule_is(row, fde, &comparison->frames, rule))
		return true;
	if (is_patched(comparison, fde, file_addr, rule))
		return true;
	if (is_overlapped(comparison, fde, file_addr)) {
		comparison->tally->overlapped++;
		return true;
	}
	if (comparison->nr_shown++ < SHOWN_PER_FILE)
		printf("%s: %#llx (row at %#llx of the function at %#llx): rule is cfa %u %u%+d%+d rbp %u %u%+d ra %u "
		       "%u%+d\n",
		       comparison->path, (unsigned long long)file_addr, (unsigned long long)row->start,
		       (unsigned long long)fde->start, rule->cfa, rule->cfa_reg, rule->cfa_offset, rule->cfa_add,
		       rule->rbp, rule->rbp_reg, rule->rbp_offset, rule->ra, rule->ra_reg, rule->ra_offset);
	return false;
}

static void compare_fde(struct comparison *comparison, const struct readelf_fde *fde)
{
	const struct readelf_row *rows = comparison->frames.rows.data + fde->first_row;
	struct tally *tally = comparison->tally;

	for (uint32_t i = 0; i < fde->nr_rows && rows[i].start < fde->end; i++) {
		uint64_t end = i + 1 < fde->nr_rows && rows[i + 1].start < fde->end ? rows[i + 1].start : fde->end;

		if (end <= rows[i].start) /* replaced before it held anywhere */
			continue;
		bool equal = compare_place(comparison, fde, &rows[i], rows[i].start) &&
			     compare_place(comparison, fde, &rows[i], end - 1);

		tally->rows++;
		tally->equal += equal;
		tally->different += !equal;
		tally->signals += fde->is_signal;
		tally->expressions += !fde->is_signal && row_has_expression(&rows[i]);
		tally->unsupported += table_rule(comparison, rows[i].start)->cfa == CFA_UNSUPPORTED;
	}
}

static int compare_starts(const void *left, const void *right)
{
	const struct readelf_fde *a = left;
	const struct readelf_fde *b = right;

	return a->start < b->start ? -1 : a->start > b->start;
}

/*
 * Behind a function that no other one follows directly: no rule, or one that is marked as inferred. Sorts the functions,
 * which ends their comparison.
 */
static void compare_gaps(struct comparison *comparison)
{
	struct readelf_frames *frames = &comparison->frames;
	uint64_t reached = 0;

	qsort(frames->fdes.data, frames->fdes.nr, sizeof(frames->fdes.data[0]), compare_starts);
	for (size_t i = 0; i < frames->fdes.nr; i++) {
		const struct readelf_fde *fde = &frames->fdes.data[i];

		if (fde->end > reached)
			reached = fde->end;
		if (i + 1 < frames->fdes.nr && frames->fdes.data[i + 1].start <= reached)
			continue;
		const struct unwind_rule *rule = table_rule(comparison, reached);
		bool patched = (rule->cfa == CFA_ROOT && reached == comparison->info->entry_addr) ||
			       (rule->cfa == CFA_SIGNAL && is_trampoline(comparison, reached)) ||
			       (rule->cfa == CFA_ROOT && is_context_end(comparison, reached));

		comparison->tally->gaps++;
		if (rule->cfa == CFA_NONE || rule->flags & RULE_INFERRED || patched)
			continue;
		comparison->tally->different++;
		printf("%s: %#llx is behind a function's end, but its rule is cfa %u\n", comparison->path,
		       (unsigned long long)reached, rule->cfa);
	}
}

/* Leaves out functions outside of the code, and those of .debug_frame where .eh_frame is enough. */
static void choose_fdes(struct comparison *comparison)
{
	struct readelf_frames *frames = &comparison->frames;
	size_t nr_eh_frame = 0;
	size_t nr_kept = 0;

	for (size_t i = 0; i < frames->fdes.nr; i++) {
		struct readelf_fde fde = frames->fdes.data[i];

		if (fde.start >= fde.end || !is_in_code(comparison->info, fde.start, fde.end)) {
			comparison->tally->outside++;
			continue;
		}
		nr_eh_frame += !fde.is_debug_frame;
		if (!fde.is_debug_frame || nr_eh_frame < FEW_FDES)
			frames->fdes.data[nr_kept++] = fde;
	}
	frames->fdes.nr = nr_kept;
}

static bool needs_expressions(const struct readelf_frames *frames)
{
	for (size_t i = 0; i < frames->rows.nr; i++)
		if (row_has_expression(&frames->rows.data[i]))
			return true;
	return false;
}

static int compare_frames(struct comparison *comparison)
{
	int err = readelf_frames_read(comparison->path, &comparison->frames);

	if (!err && needs_expressions(&comparison->frames))
		err = readelf_frames_read_expressions(comparison->path, &comparison->frames);
	if (err)
		return err;
	choose_fdes(comparison);
	for (size_t i = 0; i < comparison->frames.fdes.nr; i++)
		compare_fde(comparison, &comparison->frames.fdes.data[i]);
	compare_gaps(comparison);
	return 0;
}

/* Their rows come from another table, which has a comparison of its own. */
static bool is_go(const struct object *object)
{
	struct go_pclntab *go;

	if (go_pclntab_create(object, &go))
		return false;
	go_pclntab_destroy(go);
	return true;
}

static int compare_file(const char *path, struct tally *tally)
{
	struct comparison comparison = {.path = path, .tally = tally};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int err = fd < 0 ? -errno : object_create(fd, NULL, NULL, &comparison.object);

	if (err)
		return err;
	comparison.info = object_info(comparison.object);
	if (is_go(comparison.object)) {
		tally->go_files++;
		object_destroy(comparison.object);
		return 0;
	}
	err = unwind_table_compile(comparison.object, TABLE_WHOLE, &comparison.table);
	if (err == -ENODATA) {
		tally->files_without_info++;
		err = 0;
	}
	if (!err)
		err = compare_frames(&comparison);
	readelf_frames_deinit(&comparison.frames);
	unwind_table_destroy(comparison.table);
	object_destroy(comparison.object);
	return err;
}

/* --- all of them ----------------------------------------------------------------------------------------------- */

static void work(struct tally *tally)
{
	for (;;) {
		size_t i = tally->next++;

		if (i >= paths.nr)
			break;
		int err = compare_file(paths.data[i].path, tally);

		tally->files++;
		if (err) {
			tally->failed++;
			printf("%s: %s\n", paths.data[i].path, strerror(-err));
		}
		fflush(stdout);
	}
}

static bool run_workers(struct tally *tally, long nr_workers)
{
	bool good = true;

	fflush(stdout);
	for (long i = 0; i < nr_workers; i++) {
		if (fork() == 0) {
			work(tally);
			_exit(0);
		}
	}
	for (long i = 0; i < nr_workers; i++) {
		int status;

		if (wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status))
			good = false;
	}
	return good;
}

int main(int argc, char **argv)
{
	long nr_workers = sysconf(_SC_NPROCESSORS_ONLN);
	int option;

	while ((option = getopt(argc, argv, "j:m:")) != -1) {
		if (option == 'j')
			nr_workers = atol(optarg);
		else if (option == 'm')
			max_bytes = (off_t)atol(optarg) << 20;
		else
			return 2;
	}
	table_init(&seen_inodes, 2 * sizeof(uint64_t));
	table_init(&seen_builds, BUILD_ID_MAX);
	for (int i = optind; i < argc; i++)
		nftw(argv[i], visit, 32, FTW_PHYS);
	if (paths.nr)
		qsort(paths.data, paths.nr, sizeof(paths.data[0]), compare_sizes);
	struct tally *tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (tally == MAP_FAILED)
		return 2;
	time_t start = time(NULL);
	bool finished = run_workers(tally, nr_workers);

	printf("of the rows: %lu unsupported, %lu signal; places: %lu entry point, %lu trampoline, %lu end of "
	       "contexts, "
	       "%lu overlapped\n",
	       tally->unsupported, tally->signals, tally->entries, tally->trampolines, tally->context_ends,
	       tally->overlapped);
	printf("%lu gaps, %lu functions outside of the code; %ld s\n", tally->gaps, tally->outside,
	       (long)(time(NULL) - start));
	printf("files: %lu without call-frame information, %lu failed; left out: %lu of the same build, %lu too "
	       "large, %lu of Go\n",
	       tally->files_without_info, tally->failed, nr_same_build, nr_too_large, tally->go_files);
	printf("%lu files, %lu rows compared, %lu equal, %lu different, %lu expression rows\n", tally->files,
	       tally->rows, tally->equal, tally->different, tally->expressions);
	return !finished || !tally->rows || tally->different || tally->failed;
}
