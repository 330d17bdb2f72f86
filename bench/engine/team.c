/*
 * team.c
 *	  See team.h.
 */
#include "engine/team.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND_NS UINT64_C(1000000000)

struct TeamShared
{
	pthread_barrier_t start;
	uint64_t began_ns;
	uint32_t working; /* workers that have not ended and are not aside */
};

typedef struct Member
{
	Worker worker;
	WorkerMain main;
	pthread_t thread;
	pid_t pid;
} Member;

static void
member_run(Member *member)
{
	Worker *w = &member->worker;

	w->session = store_session_begin(w->index);
	if (pthread_barrier_wait(&w->shared->start) == PTHREAD_BARRIER_SERIAL_THREAD)
		w->shared->began_ns = bench_now_ns();
	(void) pthread_barrier_wait(&w->shared->start);
	w->began_ns = w->shared->began_ns;
	w->next_second_ns = w->began_ns + SECOND_NS;
	w->result->begin_ns = w->last_ns = bench_now_ns();
	member->main(w);
	w->result->end_ns = bench_now_ns();
	if (!w->result->aside)
		(void) __atomic_fetch_sub(&w->shared->working, 1, __ATOMIC_RELAXED);
	store_session_end(w->session);
}

static void *
thread_main(void *arg)
{
	member_run(arg);
	return NULL;
}

static void
start_member(Member *member)
{
	int rc;

	if (!store_uses_processes)
	{
		rc = pthread_create(&member->thread, NULL, thread_main, member);
		if (rc != 0)
			bench_die("cannot start a thread: %s", strerror(rc));
		return;
	}
	member->pid = fork();
	if (member->pid < 0)
		bench_die("cannot fork: %s", strerror(errno));
	if (member->pid == 0)
	{
		member_run(member);
		_exit(0);
	}
}

/* One that failed leaves the others at the barrier: they end with it. */
static void
await_member(Member *members, unsigned count, unsigned i)
{
	int status;

	if (!store_uses_processes)
	{
		(void) pthread_join(members[i].thread, NULL);
		return;
	}
	if (waitpid(members[i].pid, &status, 0) != members[i].pid || status != 0)
	{
		for (i = 0; i < count; i++)
			(void) kill(members[i].pid, SIGKILL);
		bench_die("%s: a worker failed", store_name);
	}
}

void
team_run(const BenchOptions *options, WorkerMain main, unsigned count, const DataZipf *zipf, WorkerResult *results)
{
	TeamShared *shared = bench_shared_alloc(sizeof(TeamShared));
	Member *members = bench_alloc(count * sizeof(Member));
	pthread_barrierattr_t attr;
	unsigned i;

	memset(results, 0, count * sizeof(WorkerResult));
	(void) pthread_barrierattr_init(&attr);
	(void) pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	(void) pthread_barrier_init(&shared->start, &attr, count);
	shared->working = count;
	for (i = 0; i < count; i++)
	{
		Worker *w = &members[i].worker;

		members[i].main = main;
		w->options = options;
		w->index = i;
		w->count = count;
		w->result = &results[i];
		w->shared = shared;
		w->random = data_mix(options->seed + i) << 8;
		w->zipf = zipf;
	}
	for (i = 0; i < count; i++)
		start_member(&members[i]);
	for (i = 0; i < count; i++)
		await_member(members, count, i);
	free(members);
}

/* Time has gone over the end of a second.  An operation belongs to the second it ends in. */
static bool
next_second(Worker *w, uint64_t now)
{
	while (now >= w->next_second_ns)
	{
		w->next_second_ns += SECOND_NS;
		if (w->second + 1 < TEAM_SECONDS_MAX)
			w->second++;
	}
	return w->options->seconds == 0 || now - w->began_ns < w->options->seconds * SECOND_NS;
}

bool
worker_count(Worker *w, uint64_t n)
{
	WorkerResult *r = w->result;
	uint64_t now = bench_now_ns();
	uint64_t took = now - w->last_ns;
	bool go_on = true;

	if (__builtin_expect(now >= w->next_second_ns, 0))
		go_on = next_second(w, now);
	w->last_ns = now;
	histogram_add(&r->latency, took);
	r->operations += n;
	r->seconds[w->second] += (uint32_t) n;
	if (__builtin_expect(took > TEAM_SLOW_NS, 0) && r->writes)
		r->slow_ns += took;
	if (r->aside && __atomic_load_n(&w->shared->working, __ATOMIC_RELAXED) <= 1)
		go_on = false;
	return go_on;
}

void
worker_pace(Worker *w, double done, double per_second)
{
	uint64_t due = w->began_ns + (uint64_t) (done / per_second * 1e9);

	if (due > w->last_ns)
	{
		struct timespec t = {(time_t) ((due - w->last_ns) / SECOND_NS), (long) ((due - w->last_ns) % SECOND_NS)};

		(void) nanosleep(&t, NULL);
		w->last_ns = bench_now_ns(); /* waiting is not the operation's time */
	}
}
