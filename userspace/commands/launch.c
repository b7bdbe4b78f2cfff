/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launch.c - two pipes between ebprof and the child that becomes COMMAND.
 *
 *     go:      ebprof -> child   one byte: the clocks run; end of file: ebprof has gone, exit
 *     report:  child -> ebprof   a struct launch_report per step; closed by the exec itself (O_CLOEXEC)
 *
 * What ebprof reads from `report` tells the outcomes apart: nothing = the child died waiting; STEP_EXEC with no error
 * and then the end = it became COMMAND; any error = that step failed. So a program that cannot be executed is known
 * before a file is written.
 *
 * The program is looked for once, before the fork. A text file without a #! line is given to sh, as execvp() does; a
 * binary that the kernel refuses is not, since a shell would take its bytes for words.
 *
 * Under sudo the child becomes the user who called it: groups, gid, uid, in this order, because each needs the
 * privilege that the last one gives up.
 */
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "interrupt.h"
#include "memory.h"
#include "text.h"

enum { NAME_SHOWN = 200 };

enum launch_step { STEP_STREAMS, STEP_USER, STEP_EXEC };

struct launch_report {
	int step;  /* enum launch_step */
	int error; /* errno; 0 = the step comes next */
};

/* The user who called sudo; names are empty where the user database does not know the uid. */
struct caller {
	bool exists;
	uid_t uid;
	gid_t gid;
	const char *user, *home, *shell;
};

struct launch {
	struct launch_config config;
	char *path;		/* of the program */
	char **shell_arguments; /* the same as arguments of sh, with path in the place of the name */
	struct caller caller;
	pid_t pid;
	int go_fd, report_fd;
	bool released;
};

/* 0, ENOENT, or EACCES for what is there but is not a program. */
static int check_file(const char *path)
{
	struct stat stat;

	if (fstatat(AT_FDCWD, path, &stat, 0) < 0)
		return errno == ENOTDIR ? ENOENT : errno;
	if (!S_ISREG(stat.st_mode))
		return EACCES;
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? errno : 0;
}

/* The first executable file of that name in PATH; a file that is no program is remembered for the message. */
static int search_path(const char *program, const char *path, char **ret)
{
	_cleanup_free_ char *copy = memory_strdup(path ? path : "/usr/local/bin:/usr/bin:/bin");
	int result = ENOENT;

	for (char *next = copy; next;) {
		const char *folder = strsep(&next, ":");
		_cleanup_free_ char *file = memory_format("%s/%s", folder[0] ? folder : ".", program);
		int error = check_file(file);

		if (!error) {
			*ret = steal_pointer(file);
			return 0;
		}
		if (error == EACCES)
			result = EACCES;
	}
	return result;
}

/* 0 and the path for free(), or an errno. */
static int find_program(const char *program, const char *path, char **ret)
{
	if (!program[0])
		return ENOENT;
	if (!strchr(program, '/'))
		return search_path(program, path, ret);
	int error = check_file(program);

	if (!error)
		*ret = memory_strdup(program);
	return error;
}

/* Whether a file that the kernel refused (ENOEXEC) may be a shell script without a #! line: text, as shells judge it.
 */
static bool is_text(const char *path)
{
	char start[128];
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, start, sizeof(start));

	return length >= 0 && !memchr(start, 0, (size_t)length);
}

static int explain(const char *program, int error, struct problem *problem)
{
	char shown[NAME_SHOWN];

	text_printable(program, shown, sizeof(shown));
	if (error == ENOENT && strchr(program, '/') && access(program, F_OK) == 0)
		return problem_set(problem, STATUS_NOT_EXECUTABLE, "cannot execute '%s': its interpreter is missing",
				   shown);
	if (error == ENOENT)
		return problem_set(problem, STATUS_NOT_FOUND, "'%s' was not found: check its name%s", shown,
				   strchr(program, '/') ? "" : ", or give its path");
	return problem_set(problem, STATUS_NOT_EXECUTABLE, "cannot execute '%s': %s", shown,
			   error == EACCES ? "it is not an executable file" : strerror(error));
}

int launch_check(const char *program, const char *path, struct problem *problem)
{
	_cleanup_free_ char *file = NULL;
	int error = find_program(program, path, &file);

	return error ? explain(program, error, problem) : 0;
}

/* Looked up before the fork: the user database may be anything, even another process. */
static struct caller find_caller(void)
{
	struct caller caller = {.user = "", .home = "", .shell = ""};
	const char *uid_text = getenv("SUDO_UID"), *gid_text = getenv("SUDO_GID");
	long long uid, gid;

	if (geteuid() != 0 || !uid_text || !gid_text || !text_parse_integer(uid_text, &uid) ||
	    !text_parse_integer(gid_text, &gid) || uid == 0 || uid >= UINT32_MAX || gid >= UINT32_MAX)
		return caller;
	caller.exists = true;
	caller.uid = (uid_t)uid;
	caller.gid = (gid_t)gid;
	const struct passwd *entry = getpwuid(caller.uid);

	if (entry) {
		caller.user = memory_strdup(entry->pw_name);
		caller.home = memory_strdup(entry->pw_dir);
		caller.shell = memory_strdup(entry->pw_shell);
	}
	return caller;
}

static void caller_deinit(struct caller *caller)
{
	if (!caller->user[0])
		return;
	free((void *)caller->user);
	free((void *)caller->home);
	free((void *)caller->shell);
}

static int become(const struct caller *caller)
{
	int failed = caller->user[0] ? initgroups(caller->user, caller->gid) : setgroups(1, &caller->gid);

	if (failed || setresgid(caller->gid, caller->gid, caller->gid) < 0 ||
	    setresuid(caller->uid, caller->uid, caller->uid) < 0)
		return errno;
	return 0;
}

void launch_restore_environment(const char *user, const char *home, const char *shell)
{
	if (user[0]) {
		setenv("USER", user, 1);
		setenv("LOGNAME", user, 1);
		setenv("HOME", home, 1);
		setenv("SHELL", shell, 1);
	}
	for (char **entry = environ; entry && *entry;) {
		const char *equals = strchr(*entry, '=');

		if (strncmp(*entry, "SUDO_", 5) != 0 || !equals) {
			entry++;
			continue;
		}
		char *name = memory_strdup(*entry);

		name[equals - *entry] = 0;
		/* unsetenv() moves the later entries up, so the place is looked at again. */
		if (unsetenv(name) != 0)
			entry++;
		free(name);
	}
}

static void __attribute__((noreturn)) child_fail(int report_fd, enum launch_step step, int error)
{
	struct launch_report report = {.step = step, .error = error};
	ssize_t written = write(report_fd, &report, sizeof(report));

	/* Nobody left to tell. */
	(void)written;
	_exit(STATUS_FAILED_COMMAND);
}

static void __attribute__((noreturn)) run_child(const struct launch *launch, int go_fd, int report_fd)
{
	const struct launch_report next = {.step = STEP_EXEC};
	ssize_t length;
	char byte;

	do {
		length = read(go_fd, &byte, 1);
	} while (length < 0 && errno == EINTR);
	if (length != 1)
		_exit(STATUS_FAILED_COMMAND);
	if (launch->config.stdout_to_stderr && dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		child_fail(report_fd, STEP_STREAMS, errno);
	if (launch->caller.exists && !launch->config.as_root) {
		int error = become(&launch->caller);

		if (error)
			child_fail(report_fd, STEP_USER, error);
		launch_restore_environment(launch->caller.user, launch->caller.home, launch->caller.shell);
	}
	if (write(report_fd, &next, sizeof(next)) != sizeof(next))
		_exit(STATUS_FAILED_COMMAND);
	execv(launch->path, launch->config.arguments);
	int error = errno;

	if (error == ENOEXEC && is_text(launch->path))
		execv("/bin/sh", launch->shell_arguments);
	child_fail(report_fd, STEP_EXEC, error);
}

static char **make_shell_arguments(const char *path, char *const *arguments)
{
	static char shell[] = "sh";
	size_t nr = 0;

	while (arguments[nr])
		nr++;
	char **made = memory_new_array(char *, nr + 2);

	made[0] = shell;
	made[1] = (char *)path;
	for (size_t i = 1; i < nr; i++)
		made[i + 1] = arguments[i];
	return made;
}

/* Both pipes, or none and a negative errno. */
static int make_pipes(int go[2], int report[2])
{
	if (pipe2(go, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(report, O_CLOEXEC) < 0) {
		int error = -errno;

		close(go[0]);
		close(go[1]);
		return error;
	}
	return 0;
}

/* Everything that allocates is done before the fork. */
static int launch_fork(struct launch *launch)
{
	int go[2], report[2];
	int error = make_pipes(go, report);

	if (error)
		return error;
	launch->go_fd = go[1];
	launch->report_fd = report[0];
	launch->pid = interrupts_fork_command();
	if (launch->pid == 0) {
		/* Our end must not keep the child's own read from ending. */
		close(go[1]);
		close(report[0]);
		run_child(launch, go[0], report[1]);
	}
	error = launch->pid < 0 ? -errno : 0;
	close(go[0]);
	close(report[1]);
	return error;
}

int launch_start(const struct launch_config *config, struct launch **ret, struct problem *problem)
{
	struct launch *launch = memory_new(struct launch);
	const char *program = config->arguments[0];

	launch->go_fd = -1;
	launch->report_fd = -1;
	launch->config = *config;
	launch->caller = find_caller();
	int error = find_program(program, getenv("PATH"), &launch->path);

	if (error) {
		launch_destroy(launch);
		explain(program, error, problem);
		return -error;
	}
	launch->shell_arguments = make_shell_arguments(launch->path, config->arguments);
	error = launch_fork(launch);
	if (error) {
		launch_destroy(launch);
		return problem_set(problem, error, "cannot start the command: %s", strerror(-error));
	}
	*ret = launch;
	return 0;
}

const char *launch_path(const struct launch *launch)
{
	return launch->path;
}

pid_t launch_pid(const struct launch *launch)
{
	return launch->pid;
}

/* False at the end of file. */
static bool read_report(int fd, struct launch_report *ret)
{
	size_t got = 0;

	while (got < sizeof(*ret)) {
		ssize_t length = read(fd, (char *)ret + got, sizeof(*ret) - got);

		if (length < 0 && errno == EINTR)
			continue;
		if (length <= 0)
			return false;
		got += (size_t)length;
	}
	return true;
}

int launch_release(struct launch *launch, struct problem *problem)
{
	const char *program = launch->config.arguments[0];
	struct launch_report report = {0};
	bool about_to_exec = false;

	/* A child that died while waiting gives EPIPE here, and nothing to read below. */
	bool went = write(launch->go_fd, "", 1) == 1;

	launch->released = true;
	while (went && read_report(launch->report_fd, &report) && !report.error)
		about_to_exec = true;
	if (report.error && report.step == STEP_EXEC)
		return explain(program, report.error, problem);
	if (report.error)
		return problem_set(problem, STATUS_FAILED_COMMAND, "cannot run the command as uid %d: %s",
				   (int)launch->caller.uid, strerror(report.error));
	if (!about_to_exec)
		return problem_set(problem, STATUS_FAILED_COMMAND,
				   "the process that was to run the command was killed: try again");
	return 0;
}

void launch_destroy(struct launch *launch)
{
	if (!launch)
		return;
	if (launch->go_fd >= 0)
		close(launch->go_fd);
	if (launch->report_fd >= 0)
		close(launch->report_fd);
	if (!launch->released && launch->pid > 0)
		interrupts_wait_command();
	caller_deinit(&launch->caller);
	free(launch->shell_arguments);
	free(launch->path);
	free(launch);
}

int launch_exit_status(int wait_status)
{
	return WIFSIGNALED(wait_status) ? STATUS_SIGNAL_BASE + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}
