/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

/* A counter's description; the kernel's list comes first, in the order of enum counter. */
struct description {
	const char *name, *text, *advice;
	enum counter_group group;
};

static const struct description kernel_counters[NR_COUNTERS] = {
#define COUNTER(name, group, text, advice) [COUNTER_##name] = {#name, text, advice, COUNTER_##group},
	OUTCOME_COUNTERS(COUNTER)
#undef COUNTER
#define STOP(name, text, advice) [COUNTER_user_##name] = {"user_" #name, text, advice, COUNTER_USER_END},
		STOPS(STOP)
#undef STOP
#define COUNTER(name, group, text, advice) [COUNTER_##name] = {#name, text, advice, COUNTER_##group},
			EVENT_COUNTERS(COUNTER)
#undef COUNTER
};

static const struct description loader_counters[NR_LOADER_COUNTERS] = {
#define LOADER_COUNTER(name, text, advice) [LOADER_##name] = {#name, text, advice, COUNTER_LOADER},
	LOADER_COUNTERS(LOADER_COUNTER)
#undef LOADER_COUNTER
};

static void add_up(const struct cpu_counters *cpus, size_t nr, uint64_t *totals)
{
	for (size_t cpu = 0; cpu < nr; cpu++)
		for (size_t i = 0; i < NR_COUNTERS; i++)
			totals[i] += cpus[cpu].value[i];
}

/* What the loader has walked counts like what the kernel has. */
static void add_second_chances(const struct second_chance_stats *stats, uint64_t *totals)
{
	for (int stop = 0; stop < NR_STOPS; stop++)
		totals[counter_of_stop(stop)] += stats->nr_ends[stop];
	totals[COUNTER_user_frames] += stats->nr_frames;
	totals[COUNTER_fp_frames] += stats->nr_fp_frames;
	totals[COUNTER_fp_stacks] += stats->nr_fp_stacks;
	totals[COUNTER_guessed_frames] += stats->nr_guessed_frames;
	totals[COUNTER_guessed_stacks] += stats->nr_guessed_stacks;
	totals[COUNTER_elided_stacks] += stats->nr_elided;
}

static bool is_loss(const char *name)
{
	return strncmp(name, "lost_", 5) == 0;
}

static uint64_t sum_losses(const uint64_t *totals)
{
	uint64_t lost = 0;

	for (size_t i = 0; i < NR_COUNTERS; i++)
		if (kernel_counters[i].group == COUNTER_OUTCOME && is_loss(kernel_counters[i].name))
			lost += totals[i];
	return lost;
}

/* Stacks that ended for a reason that is worth a pseudo-frame. */
static uint64_t sum_incomplete(const uint64_t *totals)
{
	uint64_t sum = 0;

	for (int stop = STOP_absent + 1; stop < NR_STOPS; stop++)
		sum += totals[counter_of_stop(stop)];
	return sum;
}

int report_progress(const struct programs *programs, struct session_progress *ret)
{
	struct cpu_counters *cpus;
	uint64_t totals[NR_COUNTERS] = {0};
	size_t nr;
	int error = programs_read_counters(programs, &cpus, &nr);

	if (error)
		return error;
	add_up(cpus, nr, totals);
	free(cpus);
	uint64_t complete = totals[COUNTER_user_complete];
	uint64_t stacks = complete + totals[COUNTER_user_ended] + sum_incomplete(totals);

	ret->samples = totals[COUNTER_samples];
	ret->lost = sum_losses(totals);
	ret->complete_share = stacks ? (double)complete / (double)stacks : NAN;
	return 0;
}

static struct cpu_balance balance_cpu(const struct cpu_counters *counters, uint32_t cpu, uint64_t period_ns,
				      uint64_t idle_ns)
{
	struct cpu_balance balance = {.cpu = cpu, .runs = counters->runs};

	for (size_t i = 0; i < NR_COUNTERS; i++)
		if (kernel_counters[i].group == COUNTER_OUTCOME)
			balance.named += counters->value[i];
	/* Ticks come on a grid of one period, each a little late: the distance is rounded. */
	if (counters->runs && period_ns)
		balance.expected = 1 + (counters->last_ns - counters->first_ns + period_ns / 2) / period_ns;
	else
		balance.expected = counters->runs;
	uint64_t missing = balance.expected > balance.runs ? balance.expected - balance.runs : 0;
	uint64_t idle = period_ns ? idle_ns / period_ns : 0;
	uint64_t ticked = counters->value[COUNTER_idle] + counters->value[COUNTER_idle_samples];

	idle = idle > ticked ? idle - ticked : 0;
	balance.idle_skipped = idle < missing ? idle : missing;
	balance.unexplained = (int64_t)(balance.expected - balance.runs - balance.idle_skipped);
	return balance;
}

static void make_balances(const struct report_input *input, const struct cpu_counters *cpus, size_t nr,
			  struct run_report *report)
{
	VECTOR(struct cpu_balance) list = {0};

	for (size_t cpu = 0; cpu < nr; cpu++) {
		if (!cpus[cpu].runs)
			continue;
		uint64_t idle_ns = cpu < input->nr_idle ? input->idle_ns[cpu] : 0;
		/* Of what lies before the first tick and behind the last one, all may have been idle. */
		uint64_t run_ns = input->stopped_ns - input->started_ns,
			 ticks_ns = cpus[cpu].last_ns - cpus[cpu].first_ns;
		uint64_t outside_ns = run_ns > ticks_ns ? run_ns - ticks_ns : 0;

		idle_ns = idle_ns > outside_ns ? idle_ns - outside_ns : 0;
		struct cpu_balance balance = balance_cpu(&cpus[cpu], (uint32_t)cpu, input->period_ns, idle_ns);

		*vector_push(&list) = balance;
		report->expected += balance.expected;
		report->runs += balance.runs;
		report->idle_skipped += balance.idle_skipped;
	}
	uint64_t known = report->runs + report->idle_skipped;

	report->unexplained = report->expected > known ? report->expected - known : 0;
	report->nr_cpus = list.nr;
	report->cpus = list.data;
}

static uint64_t earliest(const struct cpu_counters *cpus, size_t nr, size_t field, uint64_t since_ns)
{
	uint64_t first = 0;

	for (size_t cpu = 0; cpu < nr; cpu++) {
		uint64_t time;

		memcpy(&time, (const char *)&cpus[cpu] + field, sizeof(time));
		if (time && (!first || time < first))
			first = time;
	}
	return first > since_ns ? first - since_ns : 0;
}

static void make_lines(const struct report_input *input, const uint64_t *totals, struct run_report *report)
{
	const struct modules *modules = input->modules;
	const uint64_t loader[NR_LOADER_COUNTERS] = {
		[LOADER_stack_lost] = input->naming.nr_stack_lost,
		[LOADER_hash_mismatch] = input->store->nr_mismatches,
		[LOADER_sideband_lost] = input->nr_sideband_lost,
		[LOADER_throttled] = input->nr_throttled,
		[LOADER_files_unreadable] = modules->nr_unreadable,
		[LOADER_files_broken] = modules->nr_broken,
		[LOADER_files_failed] = input->nr_failures,
		[LOADER_files_no_unwind] = input->tables.nr_no_unwind,
		[LOADER_tables_refused] = input->tables.nr_refused + modules->nr_refused,
		[LOADER_mappings_refused] = input->processes->nr_mappings_refused,
		[LOADER_frames_unnamed] = input->naming.nr_frames_unnamed,
		[LOADER_kernel_unnamed] = input->naming.nr_kernel_unnamed,
		[LOADER_snapshots_hurried] = input->second_chance ? input->second_chance->nr_hurried : 0,
		[LOADER_snapshots_broken] = input->second_chance ? input->second_chance->nr_broken : 0,
		[LOADER_rescans] = input->processes->nr_rescans,
	};
	struct counter_line *lines = memory_new_array(struct counter_line, NR_COUNTERS + NR_LOADER_COUNTERS);

	for (size_t i = 0; i < NR_COUNTERS + NR_LOADER_COUNTERS; i++) {
		bool is_kernel = i < NR_COUNTERS;
		const struct description *description =
			is_kernel ? &kernel_counters[i] : &loader_counters[i - NR_COUNTERS];
		enum counter_group group = description->group;

		if (group == COUNTER_OUTCOME && is_loss(description->name))
			group = COUNTER_LOSS;
		lines[i] = (struct counter_line){
			.name = description->name,
			.text = description->text,
			.advice = description->advice,
			.group = group,
			.value = is_kernel ? totals[i] : loader[i - NR_COUNTERS],
		};
	}
	report->lines = lines;
	report->nr_lines = NR_COUNTERS + NR_LOADER_COUNTERS;
}

/* Which language's interpreter or machine the heaviest process is, by the name of its executable. */
static enum target_runtime find_runtime(const struct report_input *input)
{
	static const struct {
		const char *prefix;
		enum target_runtime runtime;
	} known[] = {{"python", RUNTIME_PYTHON}, {"node", RUNTIME_NODE}, {"java", RUNTIME_JAVA}};
	VECTOR(uint64_t) samples = {0};
	uint32_t heaviest = 0;

	for (size_t i = 0; i < input->store->counts.nr; i++) {
		const struct stack_count *count = &input->store->counts.data[i];

		while (samples.nr <= count->key.process)
			vector_push(&samples);
		samples.data[count->key.process] += count->count;
		if (samples.data[count->key.process] > samples.data[heaviest])
			heaviest = count->key.process;
	}
	vector_free(&samples);
	const struct process *process = processes_find_slot(input->processes, heaviest);

	if (!process || process->executable == NO_MODULE)
		return RUNTIME_NATIVE;
	const char *name = module_name(&input->modules->list.data[process->executable]);

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strncmp(name, known[i].prefix, strlen(known[i].prefix)) == 0)
			return known[i].runtime;
	return RUNTIME_NATIVE;
}

int report_make(const struct report_input *input, struct run_report *ret)
{
	struct cpu_counters *cpus;
	uint64_t totals[NR_COUNTERS] = {0};
	struct utsname name;
	size_t nr;
	int error = programs_read_counters(input->programs, &cpus, &nr);

	if (error)
		return error;
	memset(ret, 0, sizeof(*ret));
	add_up(cpus, nr, totals);
	if (input->second_chance)
		add_second_chances(input->second_chance, totals);
	make_balances(input, cpus, nr, ret);
	make_lines(input, totals, ret);
	ret->first_tick_ns = earliest(cpus, nr, offsetof(struct cpu_counters, first_ns), input->created_ns);
	ret->first_complete_ns =
		earliest(cpus, nr, offsetof(struct cpu_counters, first_complete_ns), input->created_ns);
	free(cpus);
	uint64_t second_ns = input->second_chance ? input->second_chance->first_complete_ns : 0;

	if (second_ns > input->created_ns &&
	    (!ret->first_complete_ns || second_ns - input->created_ns < ret->first_complete_ns))
		ret->first_complete_ns = second_ns - input->created_ns;

	ret->failures = input->failures;
	ret->nr_failures = input->nr_failures;
	ret->refused_tables = input->refused_tables;
	ret->nr_refused_tables = input->nr_refused_tables;
	ret->table_bytes_max = input->table_bytes_max;
	ret->seconds = (double)(input->stopped_ns - input->started_ns) / 1e9;
	ret->period_ns = input->period_ns;
	ret->rate_hz = input->rate_hz;
	ret->samples = totals[COUNTER_samples];
	ret->lost = sum_losses(totals) + input->naming.nr_stack_lost +
		    (input->second_chance ? input->second_chance->nr_broken : 0);
	ret->complete = totals[COUNTER_user_complete];
	ret->ended = totals[COUNTER_user_ended];
	ret->incomplete = sum_incomplete(totals);
	ret->user_stacks = ret->complete + ret->ended + ret->incomplete;
	ret->by_frame_pointer = totals[COUNTER_fp_stacks];
	ret->steal_seconds = (double)input->steal_ns / 1e9;
	ret->nr_processes = input->processes->list.nr;
	ret->nr_files = input->modules->list.nr;
	ret->nr_stacks = input->store->bodies.nr;
	ret->table_bytes = input->tables.bytes;
	ret->runtime = find_runtime(input);
	if (uname(&name) == 0)
		snprintf(ret->kernel, sizeof(ret->kernel), "%s %s %s", name.sysname, name.release, name.machine);
	return 0;
}

void report_deinit(struct run_report *report)
{
	free((void *)report->lines);
	free((void *)report->cpus);
	memset(report, 0, sizeof(*report));
}
