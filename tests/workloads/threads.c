/* SPDX-License-Identifier: Apache-2.0 */
/* threads SECONDS - threads named alpha, beta and gamma use 50, 30 and 20 % of SECONDS, each in its own function. */
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "work.h"

struct thread {
	const char *name;
	work_fn *work;
	double share;
	uint64_t total_ns;
	uint64_t used_ns;
	pid_t tid;
	pthread_t handle;
};

static pthread_barrier_t start;

WORK void alpha_work(unsigned long spins)
{
	BURN(spins);
}

WORK void beta_work(unsigned long spins)
{
	BURN(spins);
}

WORK void gamma_work(unsigned long spins)
{
	BURN(spins);
}

static void *run_thread(void *argument_)
{
	struct thread *thread = argument_;

	pthread_setname_np(pthread_self(), thread->name);
	thread->tid = (pid_t)syscall(SYS_gettid);
	pthread_barrier_wait(&start); /* the name and the tid are known */
	pthread_barrier_wait(&start); /* and printed */
	thread->used_ns = run_for(thread->work, (uint64_t)(thread->share * (double)thread->total_ns));
	return NULL;
}

int main(int argc, char **argv)
{
	struct thread threads[3] = { { .name = "alpha", .work = alpha_work, .share = 0.5 },
				     { .name = "beta", .work = beta_work, .share = 0.3 },
				     { .name = "gamma", .work = gamma_work, .share = 0.2 } };
	uint64_t total_ns = seconds_argument(argc, argv, 2);
	char name[32];

	pthread_barrier_init(&start, NULL, 4);
	for (int i = 0; i < 3; i++) {
		threads[i].total_ns = total_ns;
		pthread_create(&threads[i].handle, NULL, run_thread, &threads[i]);
	}
	pthread_barrier_wait(&start);
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s_tid", threads[i].name);
		print_line(name, (uint64_t)threads[i].tid);
	}
	say_ready();
	pthread_barrier_wait(&start);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i].handle, NULL);
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s_work", threads[i].name);
		print_line(name, threads[i].used_ns);
	}
	return 0;
}
