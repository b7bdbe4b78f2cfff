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
#include "text.h"
#include "time_now.h"
#include "vector.h"

enum {
	PLACE_EVERY_NS = 40000000,
	REFUSED_TOLD = 5, /* files that are told of one by one */
};

struct request {
	uint32_t module;
	int fd;
	char *path;
	enum table_effort effort;
	bool has_table; /* of less effort, which the walker uses meanwhile */
};

/* A compiled table on its way: first without a place, then with one that the walker can't see yet. */
struct compiled {
	struct request request;
	struct unwind_table *rows; /* NULL = the file has none */
	struct module_table table;
};

struct tables {
	struct programs *programs; /* NULL until tables_attach: compiled tables wait for their place */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* a request came, the thread became idle, or it has to stop */
	bool stop;
	bool busy;      /* with what the walker can have at once */
	bool finishing; /* with what takes long */
	VECTOR(struct request) queue;
	VECTOR(struct request) later; /* files that take long: after all others */
	struct tables_stats stats;

	/* The thread's own. */
	struct reader *reader; /* borrowed */
	VECTOR(struct compiled) done;
	uint64_t placed_ns;    /* CLOCK_MONOTONIC of the last time that tables were placed */
	struct table rule_ids; /* struct unwind_rule -> number in the shared list */
	uint32_t nr_rules;
	uint64_t used; /* bytes of the pool */
	uint64_t max_bytes;
	VECTOR(struct refused_table) refused;
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
		[RULE_NONE] = {.cfa = CFA_NONE},
		[RULE_ROOT] = {.cfa = CFA_ROOT},
		[RULE_SIGNAL] = {.cfa = CFA_SIGNAL},
		[RULE_UNSUPPORTED] = {.cfa = CFA_UNSUPPORTED},
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
		to[i] = (struct unwind_row){.offset = rows[i].offset, .rule = rules[rows[i].rule]};
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
		*to = (struct unwind_granule){
			.first_row = first, .nr_rows = granule.nr_rows, .rule = rules[granule.rule]};
	}
	*ret = (struct module_table){
		.start = table->start,
		.nr_granules = table->nr_granules,
		.index = (uint32_t)(index / sizeof(struct unwind_granule)),
		.state = MODULE_READY,
		.coarser = table->coarser,
	};
	return 0;
}

static struct compiled compile(struct tables *tables, const struct request *request)
{
	struct reader_file file = {.fd = request->fd, .path = request->path};
	struct compiled compiled = {.request = *request};
	int error =
		file.fd < 0 ? -ECANCELED : reader_unwind_table(tables->reader, &file, request->effort, &compiled.rows);

	if (error)
		compiled.rows = NULL;
	if (error && !request->has_table) {
		/* A file at which the reader was lost is counted as that. */
		if (!reader_lost(error) && error != -ECANCELED)
			__atomic_fetch_add(&tables->stats.nr_no_unwind, 1, __ATOMIC_RELAXED);
		message_detail("'%s': no unwind rows (%s): its frames are found by frame pointer", request->path,
			       strerror(-error));
	}
	return compiled;
}

static uint64_t table_bytes(const struct unwind_table *table)
{
	return (uint64_t)table->nr_granules * sizeof(struct unwind_granule) +
	       (uint64_t)table->nr_rows * sizeof(struct unwind_row);
}

static void refuse(struct tables *tables, const struct compiled *compiled)
{
	const double mib = 1 << 20;
	uint64_t bytes = table_bytes(compiled->rows);
	uint64_t left = tables->used < tables->max_bytes ? tables->max_bytes - tables->used : 0;
	char path[256];

	text_printable_path(compiled->request.path, path, sizeof(path));
	/* It keeps the rows that it has, or was told of already. */
	if (compiled->request.has_table) {
		message_detail("the unwind rows of hand-written code in '%s' do not fit", path);
		return;
	}
	*vector_push(&tables->refused) =
		(struct refused_table){.path = memory_strdup(compiled->request.path), .bytes = bytes};
	__atomic_fetch_add(&tables->stats.nr_refused, 1, __ATOMIC_RELAXED);
	if (tables->refused.nr > REFUSED_TOLD)
		message_detail("the unwind rows of '%s', %.1f MiB, do not fit", path, (double)bytes / mib);
	else if (bytes <= left)
		message_warn("the kernel has no memory for the unwind rows of '%s', %.1f MiB: its frames are found by "
			     "frame pointer",
			     path, (double)bytes / mib);
	else
		message_warn("the unwind rows of '%s' need %.1f MiB, and %.1f of %.1f MiB are left: its frames are "
			     "found by frame pointer; raise --max-unwind-memory",
			     path, (double)bytes / mib, (double)left / mib, (double)tables->max_bytes / mib);
}

/* Gives a compiled table its place. What does not fit counts as a file without rows. */
static void place(struct tables *tables, struct compiled *compiled)
{
	bool unfinished =
		compiled->request.effort == TABLE_QUICK && compiled->rows && compiled->rows->inferred.bytes_skipped;

	compiled->table = (struct module_table){.state = MODULE_NO_INFO};
	if (compiled->rows && (tables->used + table_bytes(compiled->rows) > tables->max_bytes ||
			       place_table(tables, compiled->rows, &compiled->table)))
		refuse(tables, compiled);
	if (unfinished && compiled->table.state == MODULE_READY)
		compiled->table.state = MODULE_UNFINISHED;
	if (compiled->rows)
		reader_free_table(compiled->rows);
	compiled->rows = NULL;
}

static struct module_table *walkers_table(struct tables *tables, const struct compiled *compiled)
{
	return &programs_memory(tables->programs)->modules[compiled->request.module];
}

/* Tells the walker. */
static void publish(struct tables *tables, struct compiled *compiled, bool visible)
{
	struct module_table *to = walkers_table(tables, compiled);
	struct module_table table = compiled->table;

	if (!visible)
		table = (struct module_table){.state = MODULE_NO_INFO};
	to->start = table.start;
	to->nr_granules = table.nr_granules;
	to->index = table.index;
	to->coarser = table.coarser;
	/* The walker looks at the state first. */
	__atomic_store_n(&to->state, table.state, __ATOMIC_RELEASE);
	if (!compiled->request.has_table)
		__atomic_fetch_add(&tables->stats.nr_ready, 1, __ATOMIC_RELAXED);
	free(compiled->request.path);
}

/* There is no more to come for a file than what it has. */
static void keep(struct tables *tables, struct compiled *compiled)
{
	struct module_table *to = walkers_table(tables, compiled);

	if (to->state == MODULE_UNFINISHED)
		__atomic_store_n(&to->state, MODULE_READY, __ATOMIC_RELEASE);
	free(compiled->request.path);
}

/*
 * Takes tables away that others will replace: a walker may have read a part of one. Until then stacks that pass there
 * wait for their second chance.
 */
static void withdraw(struct tables *tables)
{
	bool any = false;

	for (size_t i = 0; i < tables->done.nr; i++) {
		struct compiled *compiled = &tables->done.data[i];

		if (!compiled->request.has_table || compiled->table.state != MODULE_READY)
			continue;
		__atomic_store_n(&walkers_table(tables, compiled)->state, MODULE_PENDING, __ATOMIC_RELEASE);
		any = true;
	}
	/* Installing waits for running programs, whatever is installed. */
	if (any && tables->nr_installed)
		programs_install_segments(tables->programs, 0, 1);
}

static uint64_t visible_bytes(const struct tables *tables)
{
	return (uint64_t)tables->nr_installed * POOL_SEGMENT_SIZE;
}

/*
 * Makes new segments visible, and one more than needed: installing waits for running programs, which the table of a
 * file that is mapped later is then spared.
 */
static bool install_segments(struct tables *tables)
{
	if (tables->used + 2 * POOL_SEGMENT_SIZE <= tables->max_bytes)
		pool_at(tables, tables->used + POOL_SEGMENT_SIZE);
	uint32_t fresh = (uint32_t)tables->segments.nr - tables->nr_installed;
	int error = programs_install_segments(tables->programs, tables->nr_installed, fresh);

	if (error)
		message_warn("cannot install unwind tables (%s)", strerror(-error));
	else
		tables->nr_installed += fresh;
	return !error;
}

/* Places all compiled tables; those in visible memory are ready at once, the others after one installation. */
static void place_all(struct tables *tables)
{
	size_t waiting = 0;

	for (size_t i = 0; i < tables->done.nr; i++)
		place(tables, &tables->done.data[i]);
	withdraw(tables);
	for (size_t i = 0; i < tables->done.nr; i++) {
		struct compiled *compiled = &tables->done.data[i];

		if (compiled->request.has_table && compiled->table.state != MODULE_READY)
			keep(tables, compiled);
		else if (tables->used <= visible_bytes(tables))
			publish(tables, compiled, true);
		else
			tables->done.data[waiting++] = *compiled;
	}
	if (tables->used + POOL_SEGMENT_SIZE / 2 > visible_bytes(tables)) {
		bool visible = install_segments(tables);

		for (size_t i = 0; i < waiting; i++)
			publish(tables, &tables->done.data[i], visible);
	}
	tables->done.nr = 0;
	__atomic_store_n(&tables->stats.bytes, tables->used, __ATOMIC_RELAXED);
}

/*
 * Whether compiled tables should get their place now: nothing more is asked for, or some have waited for a while (each
 * time may cost a wait for running programs). Called with the lock held.
 */
static bool placing_is_due(const struct tables *tables)
{
	if (!tables->programs || !tables->done.nr)
		return false;
	return !tables->queue.nr || time_now_ns(CLOCK_MONOTONIC) - tables->placed_ns > PLACE_EVERY_NS;
}

/* Takes the oldest request, and of files that take long only when there is no other. Called with the lock held. */
static struct request next_request(struct tables *tables)
{
	struct request *list = tables->queue.nr ? tables->queue.data : tables->later.data;
	size_t *nr = tables->queue.nr ? &tables->queue.nr : &tables->later.nr;
	struct request request = list[0];

	--*nr;
	memmove(list, list + 1, *nr * sizeof(request));
	return request;
}

/*
 * A file that takes long gets what the walker can have at once, unless that is nothing, and the rest later. Called with
 * the lock held.
 */
static void take_compiled(struct tables *tables, struct compiled *compiled)
{
	struct request later = compiled->request;

	/* Padding between functions, say: the first table was all that there is. */
	if (compiled->request.has_table && compiled->rows && !compiled->rows->inferred.bytes) {
		reader_free_table(compiled->rows);
		compiled->rows = NULL;
	}
	if (compiled->request.effort == TABLE_WHOLE || !compiled->rows || !compiled->rows->inferred.bytes_skipped) {
		*vector_push(&tables->done) = *compiled;
		return;
	}
	later.effort = TABLE_WHOLE;
	if (compiled->rows->nr_granules) {
		later.has_table = true;
		later.path = memory_strdup(later.path);
		*vector_push(&tables->done) = *compiled;
	} else {
		reader_free_table(compiled->rows);
	}
	*vector_push(&tables->later) = later;
	tables->finishing = true;
}

static void *run(void *context)
{
	struct tables *tables = context;

	pthread_mutex_lock(&tables->lock);
	while (!tables->stop) {
		/* Compiling needs no programs. */
		if ((tables->queue.nr || tables->later.nr) && !placing_is_due(tables)) {
			struct request request = next_request(tables);

			if (request.effort == TABLE_WHOLE) {
				tables->busy = tables->done.nr > 0;
				pthread_cond_broadcast(&tables->changed);
			}
			pthread_mutex_unlock(&tables->lock);
			struct compiled compiled = compile(tables, &request);

			pthread_mutex_lock(&tables->lock);
			take_compiled(tables, &compiled);
		} else if (placing_is_due(tables)) {
			pthread_mutex_unlock(&tables->lock);
			place_all(tables);
			tables->placed_ns = time_now_ns(CLOCK_MONOTONIC);
			pthread_mutex_lock(&tables->lock);
		} else {
			tables->busy = tables->finishing = tables->done.nr > 0;
			pthread_cond_broadcast(&tables->changed);
			pthread_cond_wait(&tables->changed, &tables->lock);
		}
	}
	pthread_mutex_unlock(&tables->lock);
	return NULL;
}

struct tables *tables_create(struct reader *reader, uint64_t max_bytes)
{
	struct tables *tables = memory_new(struct tables);
	pthread_condattr_t attributes;

	tables->reader = reader;
	tables->max_bytes = max_bytes < TABLES_BYTES_MAX ? max_bytes : TABLES_BYTES_MAX;
	table_init(&tables->rule_ids, sizeof(struct unwind_rule));
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

void tables_attach(struct tables *tables, struct programs *programs)
{
	pthread_mutex_lock(&tables->lock);
	tables->programs = programs;
	add_fixed_rules(tables);
	pthread_cond_broadcast(&tables->changed);
	pthread_mutex_unlock(&tables->lock);
}

void tables_stop(struct tables *tables)
{
	if (tables->stop)
		return;
	pthread_mutex_lock(&tables->lock);
	tables->stop = true;
	pthread_cond_broadcast(&tables->changed);
	pthread_mutex_unlock(&tables->lock);
	reader_cancel(tables->reader);
	pthread_join(tables->thread, NULL);
}

void tables_destroy(struct tables *tables)
{
	if (!tables)
		return;
	tables_stop(tables);
	for (size_t i = 0; i < tables->queue.nr; i++)
		free(tables->queue.data[i].path);
	for (size_t i = 0; i < tables->later.nr; i++)
		free(tables->later.data[i].path);
	for (size_t i = 0; i < tables->done.nr; i++) {
		free(tables->done.data[i].request.path);
		reader_free_table(tables->done.data[i].rows);
	}
	vector_free(&tables->queue);
	vector_free(&tables->later);
	vector_free(&tables->done);
	for (size_t i = 0; i < tables->refused.nr; i++)
		free((char *)tables->refused.data[i].path);
	vector_free(&tables->refused);
	vector_free(&tables->segments); /* the memory itself belongs to programs */
	table_deinit(&tables->rule_ids);
	pthread_mutex_destroy(&tables->lock);
	pthread_cond_destroy(&tables->changed);
	free(tables);
}

void tables_request(struct tables *tables, uint32_t module, int fd, const char *path, bool first)
{
	pthread_mutex_lock(&tables->lock);
	struct request *request = vector_push(&tables->queue);

	if (first) {
		memmove(tables->queue.data + 1, tables->queue.data, (tables->queue.nr - 1) * sizeof(*request));
		request = tables->queue.data;
	}
	*request = (struct request){.module = module, .fd = fd, .path = memory_strdup(path), .effort = TABLE_QUICK};
	tables->busy = true;
	pthread_cond_broadcast(&tables->changed);
	pthread_mutex_unlock(&tables->lock);
}

static bool is_at_work(const struct tables *tables, enum table_effort effort)
{
	return tables->busy || tables->queue.nr || (effort == TABLE_WHOLE && tables->finishing);
}

void tables_request_module(struct tables *tables, struct modules *modules, uint32_t id)
{
	struct module *module = &modules->list.data[id];

	if (module->is_table_requested)
		return;
	module->is_table_requested = true;
	const char *name = module_name(module);
	bool first = module->info.is_executable || strncmp(name, "libc.", 5) == 0 || strncmp(name, "libc-", 5) == 0;

	tables_request(tables, id, module->is_lost ? -1 : module->fd, module->path, first);
}

bool tables_wait(struct tables *tables, enum table_effort effort, uint64_t deadline_ns)
{
	struct timespec deadline = {
		.tv_sec = (time_t)(deadline_ns / 1000000000),
		.tv_nsec = (long)(deadline_ns % 1000000000),
	};

	pthread_mutex_lock(&tables->lock);
	while (is_at_work(tables, effort))
		if (pthread_cond_timedwait(&tables->changed, &tables->lock, &deadline))
			break;
	bool idle = !is_at_work(tables, effort);

	pthread_mutex_unlock(&tables->lock);
	return idle;
}

const struct refused_table *tables_refused(const struct tables *tables, size_t *nr_ret)
{
	*nr_ret = tables->refused.nr;
	return tables->refused.data;
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
