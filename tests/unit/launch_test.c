/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running COMMAND: found or not, released or not, as whom, and with what status. Also which capabilities are named when
 * they are missing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* After the four headers that it needs. */
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "interrupt.h"
#include "launch.h"
#include "memory.h"
#include "privileges.h"
#include "test_folder.h"

static void write_program(const char *name, const char *text, size_t size, mode_t mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, size), size);
	close(fd);
}

/*
 * Each launch in a process of its own: handlers and the watched child are one per process. Returns the exit status;
 * what it printed is in the file "out".
 */
static int in_process(int (*run)(const struct launch_config *config), char **arguments, bool as_root)
{
	const struct launch_config config = {.arguments = arguments, .as_root = as_root};
	int status;

	fflush(stdout);
	pid_t pid = fork();

	if (pid == 0) {
		int fd = open("out", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

		dup2(fd, STDOUT_FILENO);
		interrupts_install();
		_exit(run(&config));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static const char *output_text(void)
{
	static char text[4096];
	FILE *file = fopen("out", "r");

	assert_non_null(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = 0;
	fclose(file);
	return text;
}

static int run_to_end(const struct launch_config *config)
{
	struct launch *launch;
	struct problem problem;

	if (launch_start(config, &launch, &problem))
		return 99;
	int status = launch_release(launch, &problem);

	launch_destroy(launch);
	int wait_status = interrupts_wait_command();

	return status ? status : launch_exit_status(wait_status);
}

static int run_shell(const char *script)
{
	char shell[] = "sh", option[] = "-c";
	char *text = memory_strdup(script);
	char *arguments[] = {shell, option, text, NULL};
	int status = in_process(run_to_end, arguments, false);

	free(text);
	return status;
}

static void test_check(void **state)
{
	(void)state;
	struct problem problem;

	write_program("program", "#!/bin/sh\n", 10, 0755);
	write_program("text", "text", 4, 0644);
	assert_int_equal(mkdir("folder", 0755), 0);
	assert_int_equal(launch_check("sh", "/bin", &problem), 0);
	assert_int_equal(launch_check("sh", NULL, &problem), 0);
	assert_int_equal(launch_check("./program", "", &problem), 0);
	assert_int_equal(launch_check("program", "/nosuch::/bin", &problem), 0);
	assert_int_equal(launch_check("program", "/bin", &problem), STATUS_NOT_FOUND);
	assert_string_equal(problem.text, "'program' was not found: check its name, or give its path");
	assert_int_equal(launch_check("./nosuch", "/bin", &problem), STATUS_NOT_FOUND);
	assert_int_equal(launch_check("text/under", "/bin", &problem), STATUS_NOT_FOUND);
	assert_int_equal(launch_check("", "/bin", &problem), STATUS_NOT_FOUND);
	assert_int_equal(launch_check("./folder", "/bin", &problem), STATUS_NOT_EXECUTABLE);
	assert_int_equal(launch_check("./text", "/bin", &problem), STATUS_NOT_EXECUTABLE);
	assert_string_equal(problem.text, "cannot execute './text': it is not an executable file");
	/* A later folder of PATH may have what an earlier one has only by name. */
	assert_int_equal(launch_check("text", ".:/bin", &problem), STATUS_NOT_EXECUTABLE);
	assert_int_equal(mkdir("later", 0755), 0);
	write_program("later/text", "#!/bin/sh\n", 10, 0755);
	assert_int_equal(launch_check("text", ".:later", &problem), 0);
}

static void test_statuses(void **state)
{
	(void)state;
	assert_int_equal(run_shell("exit 0"), 0);
	assert_int_equal(run_shell("exit 7"), 7);
	assert_int_equal(run_shell("kill -KILL $$"), 137);
	assert_int_equal(run_shell("kill -TERM $$"), 143);
	assert_int_equal(run_shell("echo said"), 0);
	assert_string_equal(output_text(), "said\n");
}

static void test_refused_by_the_kernel(void **state)
{
	(void)state;
	char interpreter[] = "./interpreter", binary[] = "./binary", script[] = "./script", word[] = "a b";
	char *lines[][3] = {{interpreter, NULL}, {binary, NULL}, {script, word, NULL}};

	write_program("interpreter", "#!/no/such/interpreter\n", 23, 0755);
	write_program("binary", "\177ELF\2\1\1\0\0\0\0", 11, 0755);
	write_program("script", "echo \"$0 $1\"; exit 5\n", 21, 0755);
	assert_int_equal(in_process(run_to_end, lines[0], false), STATUS_NOT_EXECUTABLE);
	assert_int_equal(in_process(run_to_end, lines[1], false), STATUS_NOT_EXECUTABLE);
	assert_int_equal(in_process(run_to_end, lines[2], false), 5);
	assert_string_equal(output_text(), "./script a b\n");
}

static int never_release(const struct launch_config *config)
{
	struct launch *launch;
	struct problem problem;
	int status;

	if (launch_start(config, &launch, &problem))
		return 99;
	pid_t pid = launch_pid(launch);

	launch_destroy(launch);
	/* Reaped, and with the status of one that gave up. */
	if (kill(pid, 0) == 0 || errno != ESRCH || !interrupts_command_ended(&status))
		return 98;
	return launch_exit_status(status);
}

static int vanish(const struct launch_config *config)
{
	struct launch *launch;
	struct problem problem;

	if (launch_start(config, &launch, &problem))
		return 99;
	_exit(0);
}

static int kill_waiting(const struct launch_config *config)
{
	struct launch *launch;
	struct problem problem;

	if (launch_start(config, &launch, &problem))
		return 99;
	kill(launch_pid(launch), SIGKILL);
	interrupts_wait_command();
	int status = launch_release(launch, &problem);

	launch_destroy(launch);
	return status;
}

static void test_never_unrecorded(void **state)
{
	(void)state;
	char touch[] = "touch", mark[] = "mark";
	char *arguments[] = {touch, mark, NULL};

	assert_int_equal(in_process(never_release, arguments, false), STATUS_FAILED_COMMAND);
	assert_int_equal(in_process(vanish, arguments, false), 0);
	assert_int_equal(in_process(kill_waiting, arguments, false), STATUS_FAILED_COMMAND);
	usleep(200000);
	assert_int_equal(access("mark", F_OK), -1);
	assert_int_equal(in_process(run_to_end, arguments, false), 0);
	assert_int_equal(access("mark", F_OK), 0);
}

static int terminate_once(const struct launch_config *config)
{
	struct launch *launch;
	struct problem problem;

	if (launch_start(config, &launch, &problem) || launch_release(launch, &problem))
		return 99;
	usleep(300000); /* until the shell has set its trap */
	raise(SIGTERM);
	if (interrupts_signal() != SIGTERM || !*interrupts_stop())
		return 98;
	launch_destroy(launch);
	return launch_exit_status(interrupts_wait_command());
}

static int interrupt_twice(const struct launch_config *config)
{
	(void)config;
	raise(SIGINT);
	if (!*interrupts_stop())
		return 98;
	raise(SIGTERM);
	return 99;
}

static void test_signals(void **state)
{
	(void)state;
	char shell[] = "sh", option[] = "-c", script[] = "trap 'exit 5' TERM; while :; do sleep 0.05; done";
	char *arguments[] = {shell, option, script, NULL};

	assert_int_equal(in_process(terminate_once, arguments, false), 5);
	assert_int_equal(in_process(interrupt_twice, arguments, false), 143);
}

/* The lines of /proc/self/status that tell which signals this program blocks and ignores. */
static void own_signals(char *ret, size_t size)
{
	_cleanup_fclose_ FILE *status = fopen("/proc/self/status", "re");
	char line[128];

	assert_non_null(status);
	ret[0] = '\0';
	while (fgets(line, sizeof(line), status))
		if (strncmp(line, "SigBlk:", 7) == 0 || strncmp(line, "SigIgn:", 7) == 0)
			strncat(ret, line, size - strlen(ret) - 1);
}

static void test_signals_of_the_command(void **state)
{
	(void)state;
	char own[256];

	/* As they were before: nothing of ours ignored or blocked, but what our own caller ignored. */
	own_signals(own, sizeof(own));
	assert_int_equal(run_shell("grep -E '^Sig(Blk|Ign)' /proc/self/status"), 0);
	assert_string_equal(output_text(), own);
	signal(SIGHUP, SIG_IGN);
	int status = run_shell("grep -E '^Sig(Blk|Ign)' /proc/self/status");

	own_signals(own, sizeof(own));
	signal(SIGHUP, SIG_DFL);
	assert_int_equal(status, 0);
	assert_string_equal(output_text(), own);
	/* Signal 1 is the lowest bit. */
	assert_int_equal(own[strlen(own) - 2] & 1, 1);
}

static void test_caller_of_sudo(void **state)
{
	(void)state;
	char shell[] = "sh", option[] = "-c";
	char script[] = "id -u; id -g; id -G; echo $HOME $USER $LOGNAME; env | grep -c ^SUDO_; "
			"grep CapEff /proc/self/status";
	char *arguments[] = {shell, option, script, NULL};

	if (geteuid() != 0) {
		print_message("only root can become somebody else\n");
		skip();
	}
	setenv("SUDO_UID", "65534", 1);
	setenv("SUDO_GID", "65534", 1);
	setenv("SUDO_USER", "nobody", 1);
	setenv("SUDO_COMMAND", "x", 1);
	assert_int_equal(in_process(run_to_end, arguments, false), 0);
	assert_string_equal(output_text(),
			    "65534\n65534\n65534\n/nonexistent nobody nobody\n0\nCapEff:\t0000000000000000\n");
	/* Somebody whom the user database does not know. */
	setenv("SUDO_UID", "4242", 1);
	setenv("SUDO_GID", "4243", 1);
	assert_int_equal(in_process(run_to_end, arguments, false), 0);
	assert_int_equal(strncmp(output_text(), "4242\n4243\n4243\n", 15), 0);
	assert_int_equal(in_process(run_to_end, arguments, true), 0);
	assert_int_equal(strncmp(output_text(), "0\n0\n", 4), 0);
	/* A file that root may execute and the caller may not. */
	char secret[] = "./secret";
	char *line[] = {secret, NULL};

	write_program("secret", "#!/bin/sh\n", 10, 0700);
	assert_int_equal(in_process(run_to_end, line, false), STATUS_NOT_EXECUTABLE);
	unsetenv("SUDO_USER");
	unsetenv("SUDO_COMMAND");
}

static void test_environment(void **state)
{
	(void)state;
	setenv("SUDO_A", "1", 1);
	setenv("SUDO_B", "2", 1);
	setenv("SUDOKU", "3", 1);
	launch_restore_environment("someone", "/home/someone", "/bin/zsh");
	assert_null(getenv("SUDO_A"));
	assert_null(getenv("SUDO_B"));
	assert_string_equal(getenv("SUDOKU"), "3");
	assert_string_equal(getenv("HOME"), "/home/someone");
	assert_string_equal(getenv("SHELL"), "/bin/zsh");
	launch_restore_environment("", "", "");
	assert_string_equal(getenv("USER"), "someone");
}

/* --- privileges ----------------------------------------------------------------------------------------------------
 */

static uint64_t bit(int capability)
{
	return 1ull << capability;
}

static void test_missing_capabilities(void **state)
{
	(void)state;
	char program[] = "./ebprof", record[] = "record", command[] = "a b";
	char *words[] = {program, record, command};
	struct problem problem;
	uint64_t all = bit(CAP_BPF) | bit(CAP_PERFMON) | bit(CAP_SYS_PTRACE) | bit(CAP_DAC_READ_SEARCH) |
		       bit(CAP_CHECKPOINT_RESTORE) | bit(CAP_SYSLOG);

	assert_int_equal(privileges_check(UINT64_MAX, words, 3, "/x/ebprof", &problem), 0);
	assert_string_equal(problem.text, "");
	assert_int_equal(privileges_check(all, words, 3, "/x/ebprof", &problem), 0);
	assert_string_equal(problem.text, "");
	/* The old all-embracing one stands for the newer ones. */
	assert_int_equal(privileges_check(bit(CAP_SYS_ADMIN), words, 3, "/x/ebprof", &problem), 0);
	assert_string_equal(problem.text,
			    "without CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH and CAP_SYSLOG this is missing: the "
			    "stacks of other users' processes, names from files that only others may read, "
			    "names of kernel functions");
	assert_int_equal(privileges_check(all & ~bit(CAP_PERFMON), words, 3, "/x/ebprof", &problem), -EPERM);
	assert_string_equal(problem.text,
			    "missing CAP_PERFMON: run once 'sudo setcap cap_bpf,cap_perfmon,cap_sys_ptrace,"
			    "cap_dac_read_search,cap_checkpoint_restore,cap_syslog=ep /x/ebprof', or each time: sudo "
			    "./ebprof record 'a b'");
	assert_int_equal(privileges_check(0, words, 3, "/x/ebprof", &problem), -EPERM);
	assert_non_null(strstr(problem.text, "missing CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, "
					     "CAP_CHECKPOINT_RESTORE and CAP_SYSLOG:"));
}

static void test_sudo_finds_the_program(void **state)
{
	(void)state;
	char program[] = "ebprof", record[] = "record";
	char *words[] = {program, record};
	struct problem problem;

	assert_int_equal(privileges_check(0, words, 2, "/usr/local/bin/ebprof", &problem), -EPERM);
	assert_non_null(strstr(problem.text, "each time: sudo ebprof record"));
	/* Found through the caller's PATH, which is not sudo's. */
	assert_int_equal(privileges_check(0, words, 2, "/home/me/bin/ebprof", &problem), -EPERM);
	assert_non_null(strstr(problem.text, "each time: sudo /home/me/bin/ebprof record"));
}

static void test_long_command_line(void **state)
{
	(void)state;
	static char word[4000];
	char program[] = "ebprof";
	char *words[] = {program, word};
	struct problem problem;

	memset(word, 'w', sizeof(word) - 1);
	assert_int_equal(privileges_check(0, words, 2, "/usr/bin/ebprof", &problem), -EPERM);
	assert_non_null(strstr(problem.text, "/usr/bin/ebprof'"));
	assert_string_equal(problem.text + strlen(problem.text) - 3, "...");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_check, enter_folder, leave_folder),
		cmocka_unit_test_setup_teardown(test_statuses, enter_folder, leave_folder),
		cmocka_unit_test_setup_teardown(test_refused_by_the_kernel, enter_folder, leave_folder),
		cmocka_unit_test_setup_teardown(test_never_unrecorded, enter_folder, leave_folder),
		cmocka_unit_test_setup_teardown(test_signals, enter_folder, leave_folder),
		cmocka_unit_test_setup_teardown(test_signals_of_the_command, enter_folder, leave_folder),
		cmocka_unit_test_setup_teardown(test_caller_of_sudo, enter_folder, leave_folder),
		cmocka_unit_test_setup_teardown(test_environment, enter_folder, leave_folder),
		cmocka_unit_test(test_missing_capabilities),
		cmocka_unit_test(test_sudo_finds_the_program),
		cmocka_unit_test(test_long_command_line),
	};

	return cmocka_run_group_tests_name("launch", tests, NULL, NULL);
}
