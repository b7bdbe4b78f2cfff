/* SPDX-License-Identifier: Apache-2.0 */
#include "targets.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

enum target_kind targets_kind(const struct session_config *config)
{
	if (config->all)
		return TARGET_ALL;
	if (config->nr_names)
		return TARGET_NAMED;
	if (config->nr_cgroups)
		return TARGET_CGROUPS;
	return config->nr_tids ? TARGET_THREADS : TARGET_PROCESSES;
}

bool targets_are_described(const struct session_config *config)
{
	enum target_kind kind = targets_kind(config);

	return kind != TARGET_PROCESSES && kind != TARGET_THREADS;
}

void targets_describe(const struct session_config *config, struct targets_described *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < config->nr_names && i < TARGET_NAMES_MAX; i++)
		strncpy(ret->names[ret->nr_names++].text, config->names[i], COMM_SIZE - 1);
	for (size_t i = 0; i < config->nr_cgroups && i < TARGET_CGROUPS_MAX; i++) {
		ret->cgroups[ret->nr_cgroups].id = config->cgroups[i].id;
		ret->cgroups[ret->nr_cgroups++].level = config->cgroups[i].level;
	}
}

struct task_list {
	VECTOR(struct task_entry) tasks;
};

static void keep_task(const struct task_entry *task, void *context)
{
	struct task_list *list = context;

	*vector_push(&list->tasks) = *task;
}

/* is_command: it has not executed its program yet. */
static int add_process(const struct task_list *list, struct programs *programs, struct processes *processes, pid_t pid,
		       bool is_command, struct problem *problem)
{
	for (size_t i = 0; i < list->tasks.nr; i++) {
		const struct task_entry *task = &list->tasks.data[i];

		if (task->pid != (uint32_t)pid || task->tid != task->id.tgid)
			continue;
		if (task->flags & TASK_IS_EXITING)
			return problem_set(problem, -ESRCH, "process %d has exited already", pid);
		int error = programs_add_target(programs, task->id.tgid, is_command ? TARGET_AWAIT_EXEC : 0);

		if (error)
			return problem_set(problem, error, "cannot add process %d as a target (%s)", pid,
					   strerror(-error));
		if (is_command)
			processes_expect(processes, (uint32_t)pid);
		else
			processes_add_running(processes, task);
		return 0;
	}
	if (kill(pid, 0) == 0 || errno == EPERM)
		return problem_set(problem, -ESRCH, "the kernel does not show process %d to BPF programs here", pid);
	return problem_set(problem, -ESRCH, "there is no process %d: check with `ps -p %d`", pid, pid);
}

static int add_thread(const struct task_list *list, struct programs *programs, struct processes *processes, pid_t tid,
		      struct problem *problem)
{
	for (size_t i = 0; i < list->tasks.nr; i++) {
		const struct task_entry *task = &list->tasks.data[i];

		if (task->ns_tid != (uint32_t)tid)
			continue;
		int error = programs_add_target(programs, task->tid, 0);

		if (error)
			return problem_set(problem, error, "cannot add thread %d as a target (%s)", tid,
					   strerror(-error));
		processes_add_running(processes, task);
		return 0;
	}
	return problem_set(problem, -ESRCH, "there is no thread %d: check with `ps -L -p PID`", tid);
}

int targets_add(const struct session_config *config, struct programs *programs, struct processes *processes,
		struct problem *problem)
{
	struct task_list list = {0};

	if (targets_are_described(config))
		return 0;
	int error = programs_each_task(programs, keep_task, &list);

	if (error)
		problem_set(problem, error, "cannot list the running processes (%s)", strerror(-error));
	for (size_t i = 0; !error && i < config->nr_pids; i++)
		error = add_process(&list, programs, processes, config->pids[i], false, problem);
	for (size_t i = 0; !error && i < config->nr_tids; i++)
		error = add_thread(&list, programs, processes, config->tids[i], problem);
	if (!error && config->command_pid)
		error = add_process(&list, programs, processes, config->command_pid, true, problem);
	vector_free(&list.tasks);
	return error;
}
