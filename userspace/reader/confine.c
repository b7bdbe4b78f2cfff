/* SPDX-License-Identifier: Apache-2.0 */
/*
 * confine.c - what can a reader still do once somebody's file has taken it over?
 *
 * Read the descriptors that it is given, compute, and answer. Measures overlap on purpose, because each of them is
 * refused somewhere (no root, no user of that number in a container, no seccomp): another user without capabilities,
 * namespaces without mounts, network or IPC of anybody else's, a root folder without files, no memory beyond a limit,
 * no file to write, and a filter of system calls.
 *
 * The order is that of the privilege each needs: namespaces and the root folder first, then the user, last the filter,
 * which needs no privilege but new_privileges. The filter refuses (EPERM) rather than kills, so that a C library that
 * tries another call first goes on with the one it falls back to.
 */
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "memory.h"
#include "messages.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAS_SHADOW_MEMORY 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_SHADOW_MEMORY 1
#endif
#endif
#ifndef HAS_SHADOW_MEMORY
#define HAS_SHADOW_MEMORY 0
#endif

enum { DESCRIPTORS_MAX = 64 };

#define MEMORY_LEAST ((rlim_t)512 << 20)

/* Needed as they are: reading descriptors, answering, memory, and ending. */
static const int allowed[] = {
	SYS_read,         SYS_pread64,        SYS_recvmsg,     SYS_recvfrom,    SYS_write,           SYS_sendmsg,
	SYS_sendto,       SYS_poll,           SYS_close,       SYS_fstat,       SYS_newfstatat,      SYS_lseek,
	SYS_brk,          SYS_munmap,         SYS_mremap,      SYS_madvise,     SYS_futex,           SYS_clock_gettime,
	SYS_getrandom,    SYS_getpid,         SYS_gettid,      SYS_exit,        SYS_exit_group,      SYS_rt_sigreturn,
	SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_sigaltstack, SYS_sched_yield, SYS_restart_syscall, SYS_wait4,
	SYS_sysinfo, /* qsort asks it how much memory there is, and takes what it finds there even when refused */
};

#define LOAD(field)              BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define LOAD_ARGUMENT(n)         BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 8 * (n))
#define END(action)              BPF_STMT(BPF_RET | BPF_K, (action))
#define SKIP_UNLESS(value, nr)   BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (nr))
#define SKIP_IF_BELOW(value, nr) BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (value), 0, (nr))
#define SKIP_IF_BIT(bit, nr)     BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (bit), (nr), 0)
#define SKIP_UNLESS_BIT(bit, nr) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (bit), 0, (nr))
#define SKIP_IF(value, nr)       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (nr), 0)
#define REFUSE                   END(SECCOMP_RET_ERRNO | EPERM)
#define ALLOW                    END(SECCOMP_RET_ALLOW)

enum { X32_CALLS = 0x40000000 };

static int filter_calls(void)
{
	const struct sock_filter head[] = {
		LOAD(arch),
		SKIP_IF(AUDIT_ARCH_X86_64, 1),
		END(SECCOMP_RET_KILL_PROCESS),
		LOAD(nr),
		SKIP_IF_BELOW(X32_CALLS, 1),
		END(SECCOMP_RET_KILL_PROCESS),
		/* Memory: anonymous (a mapped file could be truncated), and never code. */
		SKIP_UNLESS(SYS_mmap, 7),
		LOAD_ARGUMENT(3),
		SKIP_IF_BIT(MAP_ANONYMOUS, 1),
		REFUSE,
		LOAD_ARGUMENT(2),
		SKIP_UNLESS_BIT(PROT_EXEC, 1),
		REFUSE,
		ALLOW,
		SKIP_UNLESS(SYS_mprotect, 4),
		LOAD_ARGUMENT(2),
		SKIP_UNLESS_BIT(PROT_EXEC, 1),
		REFUSE,
		ALLOW,
		/* What is asked of a descriptor; others of these calls have its owner signalled. */
		SKIP_UNLESS(SYS_fcntl, 6),
		LOAD_ARGUMENT(1),
		SKIP_IF(F_GETFL, 3),
		SKIP_IF(F_GETFD, 2),
		SKIP_IF(F_DUPFD_CLOEXEC, 1),
		REFUSE,
		ALLOW,
		/* abort() signals its own process. */
		SKIP_UNLESS(SYS_tgkill, 4),
		LOAD_ARGUMENT(0),
		SKIP_IF((uint32_t)getpid(), 1),
		REFUSE,
		ALLOW,
	};
	struct sock_filter code[ARRAY_SIZE(head) + 2 * ARRAY_SIZE(allowed) + 1];
	size_t nr = ARRAY_SIZE(head);

	memcpy(code, head, sizeof(head));
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++) {
		code[nr++] = (struct sock_filter)SKIP_UNLESS((uint32_t)allowed[i], 1);
		code[nr++] = (struct sock_filter)ALLOW;
	}
	code[nr++] = (struct sock_filter)REFUSE;
	const struct sock_fprog program = {.len = (unsigned short)nr, .filter = code};

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int set_limit(int resource, rlim_t value)
{
	const struct rlimit limit = {.rlim_cur = value, .rlim_max = value};

	return setrlimit((__rlimit_resource_t)resource, &limit);
}

/*
 * No processor time: a deadline per question, which the agent keeps, ends what never ends, and a long recording is
 * allowed to ask a lot.
 */
static int limit_resources(void)
{
	rlim_t memory = (rlim_t)sysconf(_SC_PHYS_PAGES) * (rlim_t)sysconf(_SC_PAGESIZE) / 2;
	int failed = set_limit(RLIMIT_CORE, 0) | set_limit(RLIMIT_FSIZE, 0) | set_limit(RLIMIT_NOFILE, DESCRIPTORS_MAX);

	/* A sanitizer's shadow takes terabytes of addresses. */
	if (!HAS_SHADOW_MEMORY)
		failed |= set_limit(RLIMIT_AS, memory > MEMORY_LEAST ? memory : MEMORY_LEAST);
	return failed;
}

/* A folder that holds nothing but the numbers of our own descriptors. */
static int empty_root(void)
{
	return chroot("/proc/self/fdinfo") || chdir("/");
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return (int)syscall(SYS_capset, &header, none);
}

static int become_nobody(void)
{
	if (geteuid() != 0)
		return 0; /* no privilege of a user's to give up */
	return setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY);
}

/* If memory runs out, this process is the one to go. */
static void prefer_as_victim(void)
{
	_cleanup_close_ int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		(void)!write(fd, "1000", 4);
}

uint32_t confine_process(void)
{
	uint32_t refused = 0;

#define CONFINE(name, failed) refused |= (uint32_t)((failed) != 0) << CONFINED_##name
	prefer_as_victim();
	CONFINE(namespaces, unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS));
	CONFINE(root, empty_root());
	CONFINE(limits, limit_resources());
	CONFINE(user, become_nobody());
	CONFINE(capabilities, drop_capabilities());
	prctl(PR_SET_DUMPABLE, 0);
	/* Changing the user takes it back. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	CONFINE(new_privileges, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	CONFINE(system_calls, filter_calls());
#undef CONFINE
	return refused;
}
