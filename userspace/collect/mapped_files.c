/* SPDX-License-Identifier: Apache-2.0 */
#include "mapped_files.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "maps.h"
#include "replaced_text.h"

void mapped_files_init(struct mapped_files *files, struct modules *modules, struct tables *tables)
{
	*files = (struct mapped_files){
		.modules = modules,
		.tables = tables,
		.proc_folder = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
	};
	strings_init(&files->paths);
}

void mapped_files_deinit(struct mapped_files *files)
{
	strings_deinit(&files->paths);
	if (files->proc_folder >= 0)
		close(files->proc_folder);
}

static struct mapping make_mapping(struct mapped_files *files, const struct module_source *source, uint64_t file_offset)
{
	bool added = false;
	struct mapping mapping = {
		.start = source->start,
		.end = source->end,
		.file_offset = file_offset,
		.module = modules_find(files->modules, source, &added),
		.path = strings_intern(&files->paths, modules_is_anonymous(source->path) ? "" : source->path),
	};

	if (mapping.module == NO_MODULE)
		return mapping;
	if (!files->tables_wait)
		tables_request_module(files->tables, files->modules, mapping.module);
	/* Data mapped executable, say: no rows or names would be right for it. */
	if (!module_offset_of(&files->modules->list.data[mapping.module], file_offset, &mapping.module_offset))
		mapping.module = NO_MODULE;
	return mapping;
}

struct mapping mapped_files_make(struct mapped_files *files, const struct sideband_record *record)
{
	const struct module_source source = {
		.pid = (pid_t)record->pid,
		.start = record->mmap.start,
		.end = record->mmap.end,
		.path = record->mmap.path,
		.build_id = record->mmap.build_id,
		.build_id_size = record->mmap.build_id_size,
		.major = record->mmap.major,
		.minor = record->mmap.minor,
		.inode = record->mmap.inode,
	};

	return make_mapping(files, &source, record->mmap.file_offset);
}

struct reading {
	struct mapped_files *files;
	pid_t pid;
	struct mappings *mappings; /* NULL = only the files are of interest */
	struct first_pages first_pages;
};

static void add_map_line(const struct map_line *line, void *context)
{
	struct reading *reading = context;
	const struct module_source source = {
		.pid = reading->pid,
		.start = line->start,
		.end = line->end,
		.path = line->path,
		.major = line->major,
		.minor = line->minor,
		.inode = line->inode,
	};

	if (!line->executable) {
		if (reading->mappings)
			first_pages_add(&reading->first_pages, line);
		return;
	}
	struct mapping mapping = make_mapping(reading->files, &source, line->file_offset);

	if (reading->mappings)
		mappings_add(reading->mappings, mapping);
}

int mapped_files_read(struct mapped_files *files, pid_t pid, uint32_t *budget, struct mappings *ret)
{
	struct reading reading = {.files = files, .pid = pid, .mappings = ret};
	int error = maps_read(files->proc_folder, pid, add_map_line, &reading, NULL);

	if (!error)
		replaced_text_search(files->modules, pid, &reading.first_pages, ret, budget);
	/* It may have met files that nothing else has mapped. */
	if (!error && !files->tables_wait)
		mapped_files_request_tables(files, ret);
	first_pages_deinit(&reading.first_pages);
	return error;
}

void mapped_files_prepare(struct mapped_files *files, pid_t pid)
{
	struct reading reading = {.files = files, .pid = pid};

	maps_read(files->proc_folder, pid, add_map_line, &reading, NULL);
}

void mapped_files_request_tables(struct mapped_files *files, const struct mappings *mappings)
{
	for (size_t i = 0; i < mappings->list.nr; i++)
		if (mappings->list.data[i].module != NO_MODULE)
			tables_request_module(files->tables, files->modules, mappings->list.data[i].module);
}
