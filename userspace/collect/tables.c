/* SPDX-License-Identifier: Apache-2.0 */
#include "tables.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "memory.h"
#include "message.h"
#include "reader.h"
#include "table.h"
#include "vector.h"

struct request {
	uint32_t module;
	int fd;
	char *path;
};

/* A compiled table that has its place in the pool and waits to be declared ready. */
struct placed {
	uint32_t module;
	struct module_table table;
};

struct tables {
	struct programs *programs;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* a request came, the thread became idle, or it has to stop */
	bool stop, busy;
	VECTOR(struct request) queue;
	struct tables_stats stats;

	/* The thread's own. */
	struct reader *reader;
	struct table rule_ids; /* struct unwind_rule -> number in the shared list */
	uint32_t nr_rules;
	uint64_t used; /* bytes of the pool */
	VECTOR(uint8_t *) segments;
	uint32_t nr_installed; /* segments that the walker sees */
};

/* The address of a place in the pool, growing it by as many segments as that needs. NULL = the pool is full. */
static uint8_t *pool_at(struct tables *tables, uint64_t place)
{
	uint64_t segment = place >> POOL_SEGMENT_SHIFT;

	while (segment >= tables->segments.nr) {
		void *memory = programs_new_segment(tables->programs, (uint32_t)tables->segments.nr);

		if (!memory)
			return NULL;
		*vector_push(&tables->segments) = memory;
	}
	return tables->segments.data[segment] + (place & (POOL_SEGMENT_SIZE - 1));
}

/* The number of a rule in the list that all files share. */
static uint16_t shared_rule(struct tables *tables, const struct unwind_rule *rule)
{
	bool added;
	uint32_t id = table_intern(&tables->rule_ids, rule, tables->nr_rules, &added);

	if (!added)
		return (uint16_t)id;
	if (id >= RULES_MAX) {
		table_put(&tables->rule_ids, rule, RULE_UNSUPPORTED);
		return RULE_UNSUPPORTED;
	}
	programs_memory(tables->programs)->rules[id] = *rule;
	tables->nr_rules++;
	return (uint16_t)id;
}

/* The rules with fixed numbers are the same in every table. */
static void add_fixed_rules(struct tables *tables)
{
	static const struct unwind_rule fixed[RULE_FIRST_FREE] = {
		[RULE_NONE] = { .cfa = CFA_NONE },
		[RULE_ROOT] = { .cfa = CFA_ROOT },
		[RULE_SIGNAL] = { .cfa = CFA_SIGNAL },
		[RULE_UNSUPPORTED] = { .cfa = CFA_UNSUPPORTED },
	};

	for (uint32_t i = 0; i < RULE_FIRST_FREE; i++)
		shared_rule(tables, &fixed[i]);
}

/* Copies a granule's rows to the pool, whole within one segment. False = the pool is full. */
static bool place_rows(struct tables *tables, const struct unwind_row *rows, uint32_t nr, const uint16_t *rules,
		       uint32_t *first_ret)
{
	uint64_t bytes = nr * sizeof(*rows);
	uint64_t left = POOL_SEGMENT_SIZE - (tables->used & (POOL_SEGMENT_SIZE - 1));

	if (bytes > left)
		tables->used += left;
	struct unwind_row *to = (struct unwind_row *)pool_at(tables, tables->used);

	if (!to)
		return false;
	for (uint32_t i = 0; i < nr; i++)
		to[i] = (struct unwind_row){ .offset = rows[i].offset, .rule = rules[rows[i].rule] };
	*first_ret = (uint32_t)(tables->used / sizeof(*rows));
	tables->used += bytes;
	return true;
}

/* Writes a table into the pool: its index in one piece, then its rows. */
static int place_table(struct tables *tables, const struct unwind_table *table, struct module_table *ret)
{
	_cleanup_free_ uint16_t *rules = memory_new_array(uint16_t, table->nr_rules);
	uint64_t before = tables->used;

	for (uint32_t i = 0; i < table->nr_rules; i++)
		rules[i] = shared_rule(tables, &table->rules[i]);
	tables->used = (tables->used + 7) & ~7ull;
	uint64_t index = tables->used;

	tables->used += (uint64_t)table->nr_granules * sizeof(struct unwind_granule);
	for (uint32_t i = 0; i < table->nr_granules; i++) {
		struct unwind_granule granule = table->granules[i];
		struct unwind_granule *to =
			(struct unwind_granule *)pool_at(tables, index + (uint64_t)i * sizeof(granule));
		uint32_t first = 0;

		if (!to || (granule.nr_rows &&
			    !place_rows(tables, table->rows + granule.first_row, granule.nr_rows, rules, &first))) {
			tables->used = before;
			return -ENOSPC;
		}
		*to = (struct unwind_granule){ .first_row = first,
					       .nr_rows = granule.nr_rows,
					       .rule = rules[granule.rule] };
	}
	*ret = (struct module_table){
		.start = table->start,
		.nr_granules = table->nr_granules,
		.index = (uint32_t)(index / sizeof(struct unwind_granule)),
		.state = MODULE_READY,
	};
	return 0;
}

static struct placed serve(struct tables *tables, const struct request *request)
{
	struct reader_file file = { .fd = request->fd, .path = request->path };
	struct placed placed = { .module = request->module, .table = { .state = MODULE_NO_INFO } };
	struct unwind_table *table = NULL;
	int error = reader_unwind_table(tables->reader, &file, &table);

	if (error) {
		__atomic_fetch_add(&tables->stats.nr_no_unwind, 1, __ATOMIC_RELAXED);
		message_detail("'%s': no unwind rows (%s): its frames are found by frame pointer", request->path,
			       strerror(-error));
		return placed;
	}
	if (place_table(tables, table, &placed.table)) {
		__atomic_fetch_add(&tables->stats.nr_refused, 1, __ATOMIC_RELAXED);
		message_warn("the unwind rows of '%s' do not fit: its frames are found by frame pointer",
			     request->path);
	}
	reader_free_table(table);
	return placed;
}

/* Makes a batch visible: segments first, then the modules that point into them. */
static void publish(struct tables *tables, const struct placed *placed, size_t nr)
{
	const struct programs_memory *memory = programs_memory(tables->programs);
	uint32_t fresh = (uint32_t)tables->segments.nr - tables->nr_installed;
	int error = programs_install_segments(tables->programs, tables->nr_installed, fresh);

	if (error)
		message_warn("cannot install unwind tables (%s)", strerror(-error));
	else
		tables->nr_installed += fresh;
	for (size_t i = 0; i < nr; i++) {
		struct module_table *to = &memory->modules[placed[i].module];
		struct module_table table = placed[i].table;

		if (error && table.state == MODULE_READY)
			table = (struct module_table){ .state = MODULE_NO_INFO };
		to->start = table.start;
		to->nr_granules = table.nr_granules;
		to->index = table.index;
		/* The walker looks at the state first. */
		__atomic_store_n(&to->state, table.state, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&tables->stats.bytes, tables->used, __ATOMIC_RELAXED);
	__atomic_fetch_add(&tables->stats.nr_ready, nr, __ATOMIC_RELAXED);
}

static void *run(void *context)
{
	struct tables *tables = context;

	pthread_mutex_lock(&tables->lock);
	while (!tables->stop) {
		if (!tables->queue.nr) {
			tables->busy = false;
			pthread_cond_broadcast(&tables->changed);
			pthread_cond_wait(&tables->changed, &tables->lock);
			continue;
		}
		size_t nr = tables->queue.nr;
		struct request *batch = memory_dup(tables->queue.data, nr * sizeof(*batch));

		tables->queue.nr = 0;
		tables->busy = true;
		pthread_mutex_unlock(&tables->lock);

		struct placed *placed = memory_new_array(struct placed, nr);

		for (size_t i = 0; i < nr; i++) {
			placed[i] = serve(tables, &batch[i]);
			free(batch[i].path);
		}
		publish(tables, placed, nr);
		free(placed);
		free(batch);
		pthread_mutex_lock(&tables->lock);
	}
	pthread_mutex_unlock(&tables->lock);
	return NULL;
}

struct tables *tables_create(struct programs *programs)
{
	struct tables *tables = memory_new(struct tables);
	pthread_condattr_t attributes;

	tables->programs = programs;
	tables->reader = reader_create();
	table_init(&tables->rule_ids, sizeof(struct unwind_rule));
	add_fixed_rules(tables);
	pthread_mutex_init(&tables->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&tables->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	if (pthread_create(&tables->thread, NULL, run, tables)) {
		message_error("cannot start a thread for unwind tables");
		abort();
	}
	return tables;
}

void tables_destroy(struct tables *tables)
{
	if (!tables)
		return;
	pthread_mutex_lock(&tables->lock);
	tables->stop = true;
	pthread_cond_broadcast(&tables->changed);
	pthread_mutex_unlock(&tables->lock);
	pthread_join(tables->thread, NULL);
	for (size_t i = 0; i < tables->queue.nr; i++)
		free(tables->queue.data[i].path);
	vector_free(&tables->queue);
	vector_free(&tables->segments); /* the memory itself belongs to programs */
	table_deinit(&tables->rule_ids);
	reader_destroy(tables->reader);
	pthread_mutex_destroy(&tables->lock);
	pthread_cond_destroy(&tables->changed);
	free(tables);
}

void tables_request(struct tables *tables, uint32_t module, int fd, const char *path)
{
	pthread_mutex_lock(&tables->lock);
	*vector_push(&tables->queue) = (struct request){ .module = module, .fd = fd, .path = memory_strdup(path) };
	tables->busy = true;
	pthread_cond_broadcast(&tables->changed);
	pthread_mutex_unlock(&tables->lock);
}

bool tables_wait(struct tables *tables, uint64_t deadline_ns)
{
	struct timespec deadline = {
		.tv_sec = (time_t)(deadline_ns / 1000000000),
		.tv_nsec = (long)(deadline_ns % 1000000000),
	};

	pthread_mutex_lock(&tables->lock);
	while (tables->busy || tables->queue.nr)
		if (pthread_cond_timedwait(&tables->changed, &tables->lock, &deadline))
			break;
	bool idle = !tables->busy && !tables->queue.nr;

	pthread_mutex_unlock(&tables->lock);
	return idle;
}

struct tables_stats tables_stats(struct tables *tables)
{
	return (struct tables_stats){
		.bytes = __atomic_load_n(&tables->stats.bytes, __ATOMIC_RELAXED),
		.nr_ready = __atomic_load_n(&tables->stats.nr_ready, __ATOMIC_RELAXED),
		.nr_no_unwind = __atomic_load_n(&tables->stats.nr_no_unwind, __ATOMIC_RELAXED),
		.nr_refused = __atomic_load_n(&tables->stats.nr_refused, __ATOMIC_RELAXED),
	};
}
