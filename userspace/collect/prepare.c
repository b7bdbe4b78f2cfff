/* SPDX-License-Identifier: Apache-2.0 */
#include "prepare.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "strings.h"
#include "vector.h"

enum {
	LIBRARIES_MAX = 512,
	LOST_MAX = 2,    /* files that nobody answers for, until no more are looked for: each costs a second or two */
	SCRIPTS_MAX = 5, /* as many as exec follows */
	PATH_BYTES = 4096,
};

struct preparation {
	struct modules *modules;
	struct tables *tables;
	char own_folder[PATH_BYTES]; /* of the C library that we use ourselves; "" = unknown */
	struct strings names;        /* of libraries looked for; ids from 0 */
	VECTOR(uint32_t) found;      /* modules */
};

/*
 * Asks for the table of a file that will be mapped; the module, NO_MODULE when there is no such file. on_word: it is a
 * file of the command's that says so, which may say anything: it must not have files read that the caller could not.
 */
static uint32_t prepare_file(struct preparation *preparation, const char *path, bool on_word)
{
	bool added;
	size_t nr_lost;

	reader_failures(preparation->modules->reader, &nr_lost);
	if (nr_lost >= LOST_MAX)
		return NO_MODULE;
	uint32_t id = modules_add_path(preparation->modules, path, on_word, &added);

	/* A script has no table, and is not mapped either. */
	if (id != NO_MODULE && added && preparation->modules->list.data[id].is_elf) {
		tables_request_module(preparation->tables, preparation->modules, id);
		*vector_push(&preparation->found) = id;
	}
	return id;
}

static const struct module *module_of(const struct preparation *preparation, uint32_t id)
{
	return id == NO_MODULE ? NULL : &preparation->modules->list.data[id];
}

/* The program that a script's first line names; false when the file is no script. */
static bool script_interpreter(struct reader *reader, const struct module *module, char *ret, size_t size_bytes)
{
	const struct reader_file file = {.fd = module->fd, .path = module->path};
	char line[256] = "";

	if (module->is_elf || module->is_lost || reader_bytes(reader, &file, 0, line, sizeof(line) - 1) < 3 ||
	    strncmp(line, "#!", 2) != 0)
		return false;
	const char *start = line + 2 + strspn(line + 2, " \t");

	snprintf(ret, size_bytes, "%.*s", (int)strcspn(start, " \t\n"), start);
	return true;
}

static size_t folder_length(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash - path) : 0;
}

static void note_own_folder(struct preparation *preparation)
{
	Dl_info info;

	if (dladdr(stdout, &info) && info.dli_fname)
		snprintf(preparation->own_folder, sizeof(preparation->own_folder), "%.*s",
			 (int)folder_length(info.dli_fname), info.dli_fname);
}

/* In one folder of a library path, where $ORIGIN stands for the file's own. False = it isn't there. */
static bool prepare_in(struct preparation *preparation, const char *folder, size_t length, const char *origin,
		       const char *name)
{
	static const char *const marks[] = {"$ORIGIN", "${ORIGIN}"};
	char path[PATH_BYTES];
	int own = 0;

	for (size_t i = 0; i < 2; i++) {
		size_t mark = strlen(marks[i]);

		if (length < mark || strncmp(folder, marks[i], mark) != 0)
			continue;
		own = (int)folder_length(origin);
		folder += mark;
		length -= mark;
		break;
	}
	/* Not what is relative to a current folder. */
	if (!own && (!length || folder[0] != '/'))
		return false;
	int size = snprintf(path, sizeof(path), "%.*s%.*s/%s", own, origin, (int)length, folder, name);

	return size < (int)sizeof(path) && prepare_file(preparation, path, true) != NO_MODULE;
}

static bool prepare_in_path(struct preparation *preparation, const char *path, const char *origin, const char *name)
{
	while (*path) {
		size_t length = strcspn(path, ":");

		if (prepare_in(preparation, path, length, origin, name))
			return true;
		path += length + (path[length] == ':');
	}
	return false;
}

/* A library that a file needs; executable is whose library path counts as well. */
static void prepare_library(struct preparation *preparation, uint32_t user, uint32_t executable, const char *name)
{
	static const char usual[] = "/lib64:/usr/lib64:/lib:/usr/lib:/usr/local/lib";
	const uint32_t askers[] = {user, executable};

	for (size_t i = 0; i < 2; i++) {
		/* Copies: the list of modules grows. */
		struct needed_libraries needed = module_of(preparation, askers[i])->info.needed;
		_cleanup_free_ char *origin = memory_strdup(module_of(preparation, askers[i])->path);

		if (prepare_in_path(preparation, needed.path, origin, name))
			return;
	}
	if (!prepare_in_path(preparation, preparation->own_folder, "", name))
		prepare_in_path(preparation, usual, "", name);
}

static void prepare_needed(struct preparation *preparation, uint32_t user, uint32_t executable)
{
	struct needed_libraries needed = module_of(preparation, user)->info.needed;

	for (const char *name = needed.names; *name; name += strlen(name) + 1) {
		size_t nr_names = preparation->names.texts.nr;

		/* Each once; a name with a folder in it is taken as it is. */
		strings_intern(&preparation->names, name);
		if (preparation->names.texts.nr == nr_names || nr_names >= LIBRARIES_MAX)
			continue;
		if (name[0] == '/')
			prepare_file(preparation, name, true);
		else if (!strchr(name, '/'))
			prepare_library(preparation, user, executable, name);
	}
}

static void prepare_dynamic(struct preparation *preparation, uint32_t executable)
{
	char interpreter[sizeof(((struct object_info *)0)->interpreter)];

	memcpy(interpreter, module_of(preparation, executable)->info.interpreter, sizeof(interpreter));
	if (!interpreter[0])
		return;
	prepare_file(preparation, interpreter, true);
	note_own_folder(preparation);
	for (size_t i = 0; i < preparation->found.nr; i++)
		prepare_needed(preparation, preparation->found.data[i], executable);
}

void prepare_executable(struct modules *modules, struct tables *tables, const char *path)
{
	struct preparation preparation = {.modules = modules, .tables = tables};
	char interpreter[256];

	strings_init(&preparation.names);
	uint32_t id = prepare_file(&preparation, path, false);

	for (int i = 0;
	     i < SCRIPTS_MAX && id != NO_MODULE &&
	     script_interpreter(modules->reader, module_of(&preparation, id), interpreter, sizeof(interpreter));
	     i++)
		id = prepare_file(&preparation, interpreter, true);
	if (id != NO_MODULE)
		prepare_dynamic(&preparation, id);
	strings_deinit(&preparation.names);
	vector_free(&preparation.found);
}
