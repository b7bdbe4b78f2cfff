/* SPDX-License-Identifier: Apache-2.0 */
/*
 * privileges.c - root is not needed, capabilities are.
 *
 * Two of them carry the recording itself; without the others it works and knows less. CAP_SYS_ADMIN contains the newer
 * ones that were cut out of it. What counts is the effective set, not the uid: root in a container may lack them.
 */
#include "privileges.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"
#include "text.h"

const struct privilege privileges[NR_PRIVILEGES] = {
	{CAP_BPF, true, true, "CAP_BPF", "everything: no program can be loaded"},
	{CAP_PERFMON, true, true, "CAP_PERFMON", "everything: no clock can be opened"},
	{CAP_SYS_PTRACE, false, false, "CAP_SYS_PTRACE", "the stacks of other users' processes"},
	{CAP_DAC_READ_SEARCH, false, false, "CAP_DAC_READ_SEARCH", "names from files that only others may read"},
	{CAP_CHECKPOINT_RESTORE, false, true, "CAP_CHECKPOINT_RESTORE", "names from deleted files"},
	{CAP_SYSLOG, false, false, "CAP_SYSLOG", "names of kernel functions"},
};

uint64_t privileges_read(const char *status_path, const char *set)
{
	_cleanup_fclose_ FILE *file = fopen(status_path, "re");
	size_t length = strlen(set);
	unsigned long long held;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, set, length) == 0 && sscanf(line + length, ": %llx", &held) == 1)
			return held;
	}
	return 0;
}

uint64_t privileges_effective(void)
{
	return privileges_read("/proc/self/status", "CapEff");
}

bool privileges_hold(uint64_t set, const struct privilege *privilege)
{
	bool admin = set >> CAP_SYS_ADMIN & 1;

	return (set >> privilege->number & 1) || (admin && privilege->in_sys_admin);
}

/* Appends to a sentence, cut at its end. */
static void append(struct problem *text, const char *what)
{
	size_t length = strlen(text->text);

	snprintf(text->text + length, sizeof(text->text) - length, "%s", what);
}

/* "CAP_A, CAP_B and CAP_C" */
static void list_missing(uint64_t effective, struct problem *ret)
{
	size_t nr = 0, at = 0;

	ret->text[0] = 0;
	for (size_t i = 0; i < NR_PRIVILEGES; i++)
		nr += !privileges_hold(effective, &privileges[i]);
	for (size_t i = 0; i < NR_PRIVILEGES; i++) {
		if (privileges_hold(effective, &privileges[i]))
			continue;
		if (at)
			append(ret, at + 1 == nr ? " and " : ", ");
		append(ret, privileges[i].name);
		at++;
	}
}

static void list_effects(uint64_t effective, struct problem *ret)
{
	ret->text[0] = 0;
	for (size_t i = 0; i < NR_PRIVILEGES; i++) {
		if (privileges_hold(effective, &privileges[i]))
			continue;
		append(ret, ret->text[0] ? ", " : "");
		append(ret, privileges[i].without);
	}
}

/* "cap_bpf,cap_perfmon,...=ep": all of them, because a file's set replaces the earlier one. */
static void list_setcap(struct problem *ret)
{
	ret->text[0] = 0;
	for (size_t i = 0; i < NR_PRIVILEGES; i++) {
		char name[32] = "";

		for (size_t c = 0; privileges[i].name[c]; c++)
			name[c] = (char)tolower((unsigned char)privileges[i].name[c]);
		append(ret, i ? "," : "");
		append(ret, name);
	}
	append(ret, "=ep");
}

char *privileges_setcap_line(const char *executable)
{
	_cleanup_free_ char *file = text_shell_quote(executable);
	struct problem list;

	list_setcap(&list);
	return memory_format("sudo setcap %s %s", list.text, file);
}

/* The same command under sudo. sudo searches its own PATH, so a name found elsewhere becomes its path. */
static char *sudo_line(char *const *words, size_t nr_words, const char *executable)
{
	static const char *const sudo_folders[] = {"/usr/bin/", "/usr/sbin/", "/usr/local/bin/", "/usr/local/sbin/",
						   "/bin/"};
	bool found = strchr(words[0], '/') != NULL;

	for (size_t i = 0; i < ARRAY_SIZE(sudo_folders); i++)
		found |= strncmp(executable, sudo_folders[i], strlen(sudo_folders[i])) == 0;
	_cleanup_free_ char *program = text_shell_quote(found ? words[0] : executable);
	_cleanup_free_ char *rest = text_shell_join(words + 1, nr_words - 1);

	return memory_format("sudo %s %s", program, rest);
}

int privileges_check(uint64_t effective, char *const *words, size_t nr_words, const char *executable,
		     struct problem *problem)
{
	struct problem missing, more;
	bool can_record = true;
	char shown[260];

	problem->text[0] = 0;
	for (size_t i = 0; i < NR_PRIVILEGES; i++)
		can_record &= !privileges[i].is_required || privileges_hold(effective, &privileges[i]);
	list_missing(effective, &missing);
	if (!missing.text[0])
		return 0;
	if (can_record) {
		list_effects(effective, &more);
		return problem_set(problem, 0, "without %s this is missing: %s", missing.text, more.text);
	}
	_cleanup_free_ char *line = sudo_line(words, nr_words, executable);
	_cleanup_free_ char *setcap = privileges_setcap_line(executable);

	/* It stands last, so that it can be copied, and is cut visibly when too long for the sentence. */
	text_printable(line, shown, sizeof(shown));
	return problem_set(problem, -EPERM, "missing %s: run once '%s', or each time: %s", missing.text, setcap, shown);
}
