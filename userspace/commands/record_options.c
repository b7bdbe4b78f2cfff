/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record_options.c - the option table of `ebprof record` and the parsers of its special values.
 *
 * Every refusal says what would have been right. Two checks need more than the value: the rate is compared with the
 * kernel's limit (perf_event_open takes a period of any length without a word, so nobody else would), and the words of
 * the command line are counted, because the profile may tell ebprof's own words but not the command's.
 */
#include "record_options.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "cgroups.h"
#include "memory.h"
#include "text.h"

enum { PID_LARGEST = 4194304 }; /* PID_MAX_LIMIT of 64-bit kernels */

static bool has_target(const struct record_targets *targets, pid_t pid)
{
	for (size_t i = 0; i < targets->list.nr; i++) {
		if (targets->list.data[i] == pid)
			return true;
	}
	return false;
}

static int parse_targets(const struct option_row *row, const char *value, void *target, struct problem *problem)
{
	struct record_targets *targets = target;
	_cleanup_free_ char *copy = memory_strdup(value);
	const char *what = row->letter == 't' ? "thread" : "process";

	for (char *next = copy; next;) {
		const char *word = strsep(&next, ",");
		long long number;

		if (!text_parse_integer(word, &number) || number < 1 || number > PID_LARGEST)
			return problem_set(problem, -EINVAL, "give %s ids, numbers from 1 to %d separated by commas",
					   what, PID_LARGEST);
		if (has_target(targets, (pid_t)number))
			continue;
		if (targets->list.nr == TARGETS_MAX)
			return problem_set(problem, -EINVAL, "at most %d can be named", TARGETS_MAX);
		*vector_push(&targets->list) = (pid_t)number;
	}
	return 0;
}

/* kernel.perf_event_max_sample_rate; 0 when it cannot be read. */
static long long read_rate_limit(void)
{
	char text[32];
	long long limit;
	_cleanup_close_ int fd = open("/proc/sys/kernel/perf_event_max_sample_rate", O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (length <= 0)
		return 0;
	text[length] = 0;
	text[strcspn(text, "\n")] = 0;
	return text_parse_integer(text, &limit) ? limit : 0;
}

int record_rate_check(long long rate_hz, long long kernel_limit_hz, struct problem *problem)
{
	bool kernel_is_lower = kernel_limit_hz > 0 && kernel_limit_hz < RATE_MAX_HZ;
	long long limit = kernel_is_lower ? kernel_limit_hz : RATE_MAX_HZ;

	if (rate_hz >= 1 && rate_hz <= limit)
		return 0;
	if (rate_hz < 1)
		return problem_set(problem, -EINVAL, "give a whole number of samples per second from 1 to %lld", limit);
	long long wanted = rate_hz < RATE_MAX_HZ ? rate_hz : RATE_MAX_HZ;

	if (kernel_is_lower)
		return problem_set(problem, -EINVAL,
				   "this kernel allows %lld Hz: lower -F, or raise the limit with "
				   "'sudo sysctl kernel.perf_event_max_sample_rate=%lld'%s",
				   limit, wanted, rate_hz > RATE_MAX_HZ ? " (ebprof goes no higher)" : "");
	return problem_set(problem, -EINVAL,
			   "give at most %d Hz: ebprof goes no higher, whatever 'sysctl "
			   "kernel.perf_event_max_sample_rate' says",
			   RATE_MAX_HZ);
}

static int parse_rate(const struct option_row *row, const char *value, void *target, struct problem *problem)
{
	long long rate;

	(void)row;
	/* Anything but a number gets the sentence for a rate out of range: it names the range. */
	if (!text_parse_integer(value, &rate))
		rate = 0;
	int error = record_rate_check(rate, read_rate_limit(), problem);

	if (!error)
		*(uint32_t *)target = (uint32_t)rate;
	return error;
}

static int parse_name(const struct option_row *row, const char *value, void *target, struct problem *problem)
{
	struct record_names *names = target;

	(void)row;
	if (!value[0])
		return problem_set(problem, -EINVAL, "give a process's name, as `ps -o comm` shows it");
	if (names->nr == RECORD_NAMES_MAX)
		return problem_set(problem, -EINVAL, "at most %d names can be given", RECORD_NAMES_MAX);
	names->list[names->nr++] = value;
	return 0;
}

/* --cgroup and --container: the row's name tells which. */
static int parse_cgroup(const struct option_row *row, const char *value, void *target, struct problem *problem)
{
	struct record_cgroups *cgroups = target;
	bool is_container = strcmp(row->name, "container") == 0;

	if (is_container && strlen(value) < CONTAINER_PREFIX_MIN)
		return problem_set(problem, -EINVAL, "give at least %d characters of the container's id",
				   CONTAINER_PREFIX_MIN);
	if (!value[0])
		return problem_set(problem, -EINVAL, "give the path of a cgroup");
	if (cgroups->nr == RECORD_CGROUPS_MAX)
		return problem_set(problem, -EINVAL, "at most %d cgroups and containers can be given",
				   RECORD_CGROUPS_MAX);
	int error = is_container ? cgroups_find_container(value, &cgroups->list[cgroups->nr], problem)
				 : cgroups_resolve(value, &cgroups->list[cgroups->nr], problem);

	cgroups->nr += !error;
	return error;
}

static int parse_event(const struct option_row *row, const char *value, void *target, struct problem *problem)
{
	(void)row;
	if (strcmp(value, "cpu") == 0 || strcmp(value, "profile") == 0)
		*(enum session_event *)target = EVENT_CPU;
	else if (strcmp(value, "cycles") == 0)
		*(enum session_event *)target = EVENT_CYCLES;
	else
		return problem_set(problem, -EINVAL, "no such event: give cpu or cycles");
	return 0;
}

static int parse_format(const struct option_row *row, const char *value, void *target, struct problem *problem)
{
	(void)row;
	if (strcmp(value, "pprof") == 0)
		*(enum record_format *)target = FORMAT_PPROF;
	else if (strcmp(value, "folded") == 0)
		*(enum record_format *)target = FORMAT_FOLDED;
	else
		return problem_set(problem, -EINVAL, "no such format: give pprof or folded");
	return 0;
}

static const struct {
	const char *key;
	size_t offset;
} label_keys[] = {
	{"pid", offsetof(struct session_labels, pid)},
	{"comm", offsetof(struct session_labels, comm)},
	{"thread", offsetof(struct session_labels, thread)},
	{"tid", offsetof(struct session_labels, tid)},
	{"cpu", offsetof(struct session_labels, cpu)},
	{"cgroup", offsetof(struct session_labels, cgroup)},
	{"container", offsetof(struct session_labels, container)},
	{"unit", offsetof(struct session_labels, unit)},
};

/* Where a label's switch is in a set of them; SIZE_MAX = there is no such label. */
static size_t find_label(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(label_keys); i++) {
		if (strcmp(label_keys[i].key, key) == 0)
			return label_keys[i].offset;
	}
	return SIZE_MAX;
}

/* --label and --no-label: the row's name tells which. */
static int parse_label(const struct option_row *row, const char *value, void *target, struct problem *problem)
{
	struct record_labels *labels = target;
	_cleanup_free_ char *copy = memory_strdup(value);

	for (char *next = copy; next;) {
		size_t offset = find_label(strsep(&next, ","));

		if (offset == SIZE_MAX)
			return problem_set(
				problem, -EINVAL,
				"no such label: give pid, comm, thread, tid, cpu, cgroup, container or unit");
		*(bool *)((char *)&labels->on + offset) = strcmp(row->name, "label") == 0;
		*(bool *)((char *)&labels->given + offset) = true;
	}
	return 0;
}

static int parse_strict(const struct option_row *row, const char *value, void *target, struct problem *problem)
{
	struct record_strict *strict = target;
	double percent = strict->percent;

	(void)row;
	if (value && (!text_parse_decimal(value, &percent) || percent > 100))
		return problem_set(problem, -EINVAL, "give a percentage from 0 to 100, such as --strict=0.5");
	*strict = (struct record_strict){.enabled = true, .percent = percent};
	return 0;
}

#define FIELD(member) .offset = offsetof(struct record_options, member)

/* clang-format off */
static const struct option_row record_rows[] = {
	{ .kind = OPTION_GROUP, .help = "What to record" },
	{ .kind = OPTION_CUSTOM, .letter = 'p', .name = "pid", .argument = "PID[,PID...]", FIELD(pids),
	  .parse = parse_targets, .values = "<pid>",
	  .help = "these processes: all their threads, and the processes that they start meanwhile" },
	{ .kind = OPTION_FLAG, .letter = 'a', .name = "all", FIELD(all),
	  .help = "the whole host: every process, and the kernel; with a COMMAND, while that runs" },
	{ .kind = OPTION_CUSTOM, .name = "comm", .argument = "NAME", FIELD(names), .parse = parse_name,
	  .help = "processes of this name, as ps -o comm shows it, whenever they start; up to 8 times" },
	{ .kind = OPTION_CUSTOM, .name = "cgroup", .argument = "PATH", FIELD(cgroups), .parse = parse_cgroup,
	  .values = "<file>",
	  .help = "who is in this cgroup (version 2) or below, as in /sys/fs/cgroup or /proc/PID/cgroup; up to 8 times" },
	{ .kind = OPTION_CUSTOM, .name = "container", .argument = "ID", FIELD(cgroups), .parse = parse_cgroup,
	  .help = "who is in this container: the beginning of an id of docker, containerd, podman or cri-o, or a machine's "
		  "name of systemd-nspawn" },
	{ .kind = OPTION_FLAG, .name = "idle", FIELD(idle),
	  .help = "with -a: what the kernel does on idle CPUs is recorded, too, not just counted" },
	{ .kind = OPTION_UNFLAG, .name = "no-children", FIELD(with_children),
	  .help = "leave out processes that a target starts; its new threads stay in" },
	{ .kind = OPTION_CUSTOM, .letter = 't', .name = "tid", .argument = "TID[,TID...]", FIELD(tids),
	  .parse = parse_targets, .values = "<pid>", .help = "these threads alone" },
	{ .kind = OPTION_FLAG, .name = "as-root", FIELD(as_root),
	  .help = "under sudo: run COMMAND as root instead of as the user who called sudo" },
	{ .kind = OPTION_CUSTOM, .letter = 'e', .name = "event", .argument = "EVENT", FIELD(event),
	  .parse = parse_event, .values = "cpu cycles",
	  .help = "the clock: cpu (time, the default; needs no hardware) or cycles (where there are hardware counters)" },
	{ .kind = OPTION_CUSTOM, .letter = 'F', .name = "freq", .argument = "HZ", FIELD(rate_hz), .parse = parse_rate,
	  .values = "19 99 199 499 999",
	  .help = "samples per second and CPU (99); at most 100000 and kernel.perf_event_max_sample_rate" },
	{ .kind = OPTION_SECONDS, .letter = 'd', .name = "duration", .argument = "SECONDS", FIELD(seconds), .min = 0.001,
	  .max = 31536000, .values = "10 30 60",
	  .help = "how long, also as 200ms, 5m, 2h; else until Ctrl-C or until the targets have gone" },

	{ .kind = OPTION_GROUP, .help = "What to keep" },
	{ .kind = OPTION_FLAG, .name = "user", FIELD(user_only),
	  .help = "only the user part of each stack; a sample without one counts as filtered" },
	{ .kind = OPTION_FLAG, .name = "kernel", FIELD(kernel_only),
	  .help = "only the kernel part of each stack; a sample without one counts as filtered" },
	{ .kind = OPTION_CUSTOM, .name = "label", .argument = "KEY[,KEY...]", FIELD(labels), .parse = parse_label,
	  .values = "pid comm thread tid cpu cgroup container unit",
	  .help = "label samples with tid, cpu, cgroup, container or unit (of systemd) too; pid, comm and thread, and with -a "
		  "and the like container and unit, are labels unless taken away" },
	{ .kind = OPTION_CUSTOM, .name = "no-label", .argument = "KEY[,KEY...]", FIELD(labels), .parse = parse_label,
	  .values = "pid comm thread tid cpu cgroup container unit", .help = "do not label samples with KEY; fewer labels make a smaller file" },
	{ .kind = OPTION_INTEGER, .name = "max-depth", .argument = "FRAMES", FIELD(max_depth), .min = DEPTH_MIN,
	  .max = DEPTH_MAX, .help = "user frames kept of a stack, 16 to 1024 (384): of deeper ones two thirds at the leaf, the rest at the root" },

	{ .kind = OPTION_INTEGER, .name = "snapshot", .argument = "KIB", FIELD(snapshot_kib), .min = 0,
	  .max = SNAPSHOT_MAX_KIB,
	  .help = "a stack that can't be walked yet, of a program that has just started, say, is copied up to this size and "
		  "walked a moment later (16, with -a and the like 64; 0 = never): the copy stays in memory and is wiped" },
	{ .kind = OPTION_SIZE, .name = "max-unwind-memory", .argument = "SIZE", FIELD(unwind_bytes_max), .min = 1 << 20,
	  .max = UNWIND_MAX_BYTES,
	  .help = "kernel memory that the unwind tables of all files may take, also as 64m, 1g (512m; libc takes 0.2m): a "
		  "file whose table does not fit is named, and walked by frame pointer" },
	{ .kind = OPTION_GROUP, .help = "What to write" },
	{ .kind = OPTION_STRING, .letter = 'o', .name = "output", .argument = "FILE", FIELD(output_path),
	  .values = "<file>",
	  .help = "write here (ebprof.cpu.pb.gz, or .folded); an existing file becomes FILE.old; - is standard output, "
		  "and COMMAND's own output then goes to standard error" },
	{ .kind = OPTION_CUSTOM, .name = "format", .argument = "FORMAT", FIELD(format), .parse = parse_format,
	  .values = "pprof folded", .help = "pprof (profile.proto, gzipped; the default) or folded (text, for flame graphs)" },
	{ .kind = OPTION_FLAG, .name = "record-args", FIELD(record_args),
	  .help = "keep all of COMMAND's arguments in the profile's comments, not just its name; they may hold secrets" },
	{ .kind = OPTION_STRING, .name = "stats", .argument = "FILE", FIELD(stats_path), .values = "<file>",
	  .help = "write every counter of the run as JSON" },
	{ .kind = OPTION_CUSTOM, .name = "strict", .argument = "[=PERCENT]", FIELD(strict), .parse = parse_strict,
	  .help = "exit with status 1 when more than PERCENT (0.1) of the ticks were lost or have incomplete stacks" },
	{ .kind = OPTION_FLAG, .letter = 'q', .name = "quiet", FIELD(quiet), .help = "print errors only" },
	{ .kind = OPTION_FLAG, .letter = 'v', .name = "verbose", FIELD(verbose), .help = "print what is being done" },

	{ .kind = OPTION_GROUP, .help = "For debugging ebprof itself" },
	{ .kind = OPTION_FLAG, .name = "in-process-reader", FIELD(read_in_process),
	  .help = "read files within ebprof itself rather than in a process without privileges: a file made to break "
		  "its reader breaks ebprof then" },
	{ .kind = OPTION_STRING, .name = "capture-stacks", .argument = "FILE", FIELD(capture_path), .values = "<file>",
	  .help = "write each sample's registers and up to 64 KiB of its stack, to check the walker against; such a file "
		  "holds the target's memory" },
	{ .kind = OPTION_SIZE, .name = "ring", .argument = "BYTES", FIELD(ring_bytes), .min = 4096, .max = 1 << 30,
	  .help = "size of the ring for new stacks, rounded up to a power of two, also as 64k, 16m" },
	{ .kind = OPTION_SIZE, .name = "counts", .argument = "N", FIELD(counts_max), .min = 1, .max = 1 << 26,
	  .help = "different samples that a table of counts holds before it is drained" },
	{ .kind = OPTION_SIZE, .name = "known", .argument = "N", FIELD(known_max), .min = 1, .max = 1 << 26,
	  .help = "stacks that the kernel remembers to have sent" },
	{ .kind = OPTION_SIZE, .name = "processes", .argument = "N", FIELD(processes_max), .min = 1, .max = 1 << 20,
	  .help = "processes that the kernel tells apart at a time" },
	{ .kind = OPTION_SIZE, .name = "mappings", .argument = "N", FIELD(mappings_max), .min = 1, .max = 1 << 20,
	  .help = "executable mappings of all of them together" },
};
/* clang-format on */

static const struct option_example record_examples[] = {
	{"sudo ebprof record -p 1234 -d 60", "one process and its children, for a minute"},
	{"sudo ebprof record -a -d 30", "the whole host: every process, and the kernel"},
	{"sudo ebprof record -- ./program ARG", "a program from its first instruction; its exit status is ebprof's"},
	{"go tool pprof -top ebprof.cpu.pb.gz", "look at the result"},
	{"sudo ebprof record -p 1234 -d 10 -q -o - --format folded", "folded stacks on standard output"},
	{"sudo ebprof record --strict=1 --stats run.json -- ./bench",
	 "for scripts: counters as JSON, status 1 when over 1 % was lost"},
};

const struct option_table record_option_table = {
	.command = "record",
	.summary = "record where processes spend CPU time, into a profile",
	.usage = "[OPTION]... -p PID[,PID...] | -t TID | -a | OTHER TARGET | -- COMMAND ARG...",
	.description = "Records the stacks of processes, threads, a COMMAND or the whole host and writes a profile.\n"
		       "\n"
		       "The recording ends after -d, with Ctrl-C or SIGTERM (a second one ends ebprof at once, leaving "
		       "no file), "
		       "or when the targets have gone. With a COMMAND it ends when COMMAND itself has exited: "
		       "processes that it "
		       "left in the background go on, unrecorded. COMMAND runs as the user who called sudo, unless "
		       "--as-root is "
		       "given. After -d, ebprof writes the file and waits for COMMAND.",
	.rows = record_rows,
	.nr_rows = ARRAY_SIZE(record_rows),
	.examples = record_examples,
	.nr_examples = ARRAY_SIZE(record_examples),
	.takes_command = true,
};

/* The kinds of targets that were given, by the names of their options. */
static size_t list_targets(const struct record_options *options, const char *given[5])
{
	size_t nr = 0;

	if (options->pids.list.nr)
		given[nr++] = "-p";
	if (options->tids.list.nr)
		given[nr++] = "-t";
	if (options->all)
		given[nr++] = "-a";
	if (options->names.nr)
		given[nr++] = "--comm";
	if (options->cgroups.nr)
		given[nr++] = "--cgroup";
	return nr;
}

/* What is wrong only together. */
static int check_together(struct record_options *options, struct problem *problem)
{
	const char *given[5];
	size_t nr = list_targets(options, given);

	if (!nr && !options->command)
		return problem_set(problem, -EINVAL,
				   "nothing to record: name a target: -p PID, -a (the whole host), or "
				   "-- COMMAND");
	if (options->command && (options->pids.list.nr || options->tids.list.nr))
		return problem_set(problem, -EINVAL, "%s and a command (%s) exclude each other: give one of them",
				   given[0], options->command[0]);
	if (nr > 1)
		return problem_set(problem, -EINVAL, "%s and %s exclude each other: give one of them", given[0],
				   given[1]);
	if (options->idle && !options->all)
		return problem_set(problem, -EINVAL, "--idle goes with -a: an idle CPU runs no process");
	if (options->user_only && options->kernel_only)
		return problem_set(problem, -EINVAL,
				   "--user and --kernel exclude each other: leave out both to keep both");
	if (options->stats_path && strcmp(options->stats_path, options->output_path) == 0)
		return problem_set(problem, -EINVAL, "--stats and -o name the same file: give two");
	/* The default, too, may be over a limit that the kernel has lowered by itself. */
	struct problem advice;

	if (record_rate_check(options->rate_hz, read_rate_limit(), &advice))
		return problem_set(problem, -EINVAL, "-F %u: %s", options->rate_hz, advice.text);
	return 0;
}

static long long round_up_power_of_two(long long size)
{
	long long power = 1;

	while (power < size)
		power *= 2;
	return power;
}

static void complete_options(const struct option_rest *rest, int argc, struct record_options *options)
{
	options->help = rest->help;
	options->nr_command = rest->nr_operands;
	options->command = rest->nr_operands ? rest->operands : NULL;
	options->nr_own_arguments = argc - rest->nr_operands;
	if (options->ring_bytes)
		options->ring_bytes = round_up_power_of_two(options->ring_bytes);
	bool is_wide = options->all || options->names.nr || options->cgroups.nr;

	if (options->snapshot_kib < 0)
		options->snapshot_kib = is_wide ? SNAPSHOT_HOST_KIB : SNAPSHOT_DEFAULT_KIB;
	if (is_wide && !options->labels.given.container)
		options->labels.on.container = true;
	if (is_wide && !options->labels.given.unit)
		options->labels.on.unit = true;
	if (!options->output_path)
		options->output_path = options->format == FORMAT_FOLDED ? "ebprof.cpu.folded" : "ebprof.cpu.pb.gz";
}

int record_options_parse(int argc, char **argv, struct record_options *ret, struct problem *problem)
{
	struct record_options options = {
		.with_children = true,
		.rate_hz = RATE_DEFAULT_HZ,
		.labels = {.on = {.pid = true, .comm = true, .thread = true}},
		.max_depth = DEPTH_DEFAULT,
		.snapshot_kib = -1,
		.unwind_bytes_max = UNWIND_DEFAULT_BYTES,
		.strict = {.percent = 0.1},
	};
	struct option_rest rest;
	int error = option_parse(&record_option_table, argc, argv, &options, &rest, problem);

	if (!error) {
		complete_options(&rest, argc, &options);
		if (!options.help)
			error = check_together(&options, problem);
	}
	if (error) {
		record_options_deinit(&options);
		return error;
	}
	*ret = options;
	return 0;
}

void record_options_deinit(struct record_options *options)
{
	vector_free(&options->pids.list);
	vector_free(&options->tids.list);
}
