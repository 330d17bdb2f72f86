/*
 * check.h
 *	  The harness of the engine's tests: one executable a file.
 *
 *	  TEST(sorts_empty_input) { CHECK(cond); CHECK_OK(status); CHECK_STATUS(status, NVMKV_BUSY); }
 *	  TEST_MAIN()
 *
 * A failed check prints where and goes on, so that clean-up runs; REQUIRE ends
 * the test.  Arguments select tests by a part of their name.  The seed of
 * check_random() is printed; it is always the same unless NVMKV_SEED gives a
 * number, or the word "random".
 * NVMKV_TEST_STOP ends the executable with the first test that fails.
 * The last line of output is "N passed, N failed".
 */
#ifndef NVMKV_TEST_CHECK_H
#define NVMKV_TEST_CHECK_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/status.h"

#define CHECK_FAILURES_SHOWN 10 /* of one test */

typedef struct CheckTest
{
	const char *name;
	void (*run)(void);
	struct CheckTest *next;
} CheckTest;

static CheckTest *check_tests;
static CheckTest **check_tests_tail = &check_tests;
static unsigned check_failures; /* of the running test */
static uint64_t check_seed;
static int check_argc; /* words that select tests, and 1 */
static _Thread_local uint64_t check_random_state;

#define TEST(name_) \
	static void test_##name_(void); \
	static CheckTest test_entry_##name_ = {#name_, test_##name_, NULL}; \
	__attribute__((constructor)) static void test_register_##name_(void) \
	{ \
		*check_tests_tail = &test_entry_##name_; \
		check_tests_tail = &test_entry_##name_.next; \
	} \
	static void test_##name_(void)

#define CHECK(cond) \
	do \
	{ \
		if (!(cond)) \
			check_failed(__FILE__, __LINE__, #cond); \
	} while (0)

/* Ends the test (a void function) at failure. */
#define REQUIRE(cond) \
	do \
	{ \
		if (!(cond)) \
		{ \
			check_failed(__FILE__, __LINE__, #cond); \
			return; \
		} \
	} while (0)

#define CHECK_OK(expr) CHECK_STATUS(expr, NVMKV_OK)

#define CHECK_STATUS(expr, expected) check_status(__FILE__, __LINE__, #expr, (expr), (expected))

#define REQUIRE_OK(expr) \
	do \
	{ \
		if (!check_status(__FILE__, __LINE__, #expr, (expr), NVMKV_OK)) \
			return; \
	} while (0)

/* Both sides as uint64_t, printed at failure. */
#define CHECK_EQ(a, b) \
	do \
	{ \
		uint64_t check_a_ = (uint64_t) (a); \
		uint64_t check_b_ = (uint64_t) (b); \
		if (check_a_ != check_b_) \
		{ \
			check_failed(__FILE__, __LINE__, #a " == " #b); \
			if (check_failures <= CHECK_FAILURES_SHOWN) \
				fprintf(stderr, "    %" PRIu64 " and %" PRIu64 "\n", check_a_, check_b_); \
		} \
	} while (0)

static inline void
check_failed(const char *file, int line, const char *what)
{
	/* A loop that fails a thousand times says no more than one that fails ten times. */
	if (++check_failures <= CHECK_FAILURES_SHOWN)
		fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
}

static inline bool
check_status(const char *file, int line, const char *what, NvmkvStatus got, NvmkvStatus expected)
{
	if (got == expected)
		return true;
	check_failed(file, line, what);
	if (check_failures > CHECK_FAILURES_SHOWN)
		return false;
	fprintf(stderr, "    got \"%s\", expected \"%s\"", nvmkv_status_name(got), nvmkv_status_name(expected));
	if (got != NVMKV_OK)
		fprintf(stderr, ": %s (%s:%d, errno %d)", nvmkv_error()->text, nvmkv_error()->file, nvmkv_error()->line, nvmkv_error()->sys_errno);
	fputc('\n', stderr);
	return false;
}

#if defined(__SANITIZE_ADDRESS__)
#define CHECK_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CHECK_ADDRESS_SANITIZER 1
#endif
#endif

/*
 * How many of so many repetitions a test makes: a third; with AddressSanitizer, where each takes four times as long, a
 * twelfth.  NVMKV_TEST_ALL: all.
 */
static inline unsigned
check_part(unsigned n)
{
#ifdef CHECK_ADDRESS_SANITIZER
	const unsigned divisor = 12;
#else
	const unsigned divisor = 3;
#endif

	return getenv("NVMKV_TEST_ALL") != NULL ? n : (n + divisor - 1) / divisor;
}

/* Is it a build in which each repetition takes long and shows little? */
static inline bool
check_sanitized(void)
{
#ifdef CHECK_ADDRESS_SANITIZER
	return getenv("NVMKV_TEST_ALL") == NULL;
#else
	return false;
#endif
}

/* splitmix64: one word of state, any seed is good. */
static inline uint64_t
check_random(void)
{
	uint64_t z = (check_random_state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/* 0 .. bound - 1 */
static inline uint64_t
check_random_below(uint64_t bound)
{
	return check_random() % bound;
}

static inline void
check_random_bytes(void *data, size_t size)
{
	uint8_t *p = data;
	size_t i;

	for (i = 0; i < size; i++)
		p[i] = (uint8_t) check_random();
}

/* A new empty directory below $TMPDIR or /tmp; the caller removes it with check_remove_dir. */
static inline void
check_make_dir(char *path_out, size_t size)
{
	const char *base = getenv("TMPDIR");

	snprintf(path_out, size, "%s/nvmkv-test-XXXXXX", base != NULL ? base : "/tmp");
	if (mkdtemp(path_out) == NULL)
	{
		perror(path_out);
		exit(2);
	}
}

static inline void
check_remove_dir(const char *path)
{
	char command[4200];

	if (path[0] != '/' || strchr(path, '\'') != NULL)
		return;
	snprintf(command, sizeof(command), "rm -rf '%s'", path);
	if (system(command) != 0)
		fprintf(stderr, "cannot remove %s\n", path);
}

static inline bool
check_selected(const char *name, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
	{
		if (strstr(name, argv[i]) != NULL)
			return true;
	}
	return argc <= 1;
}

/* Seconds of processor time of this process and its children that have ended. */
static inline double
check_cpu_seconds(void)
{
	static const int whose[] = {RUSAGE_SELF, RUSAGE_CHILDREN};
	double seconds = 0;
	unsigned i;

	for (i = 0; i < 2; i++)
	{
		struct rusage usage;

		if (getrusage(whose[i], &usage) == 0)
			seconds += (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
				(double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
	}
	return seconds;
}

static inline int
check_main(int argc, char **argv)
{
	const char *seed = getenv("NVMKV_SEED");
	unsigned passed = 0;
	unsigned failed = 0;
	CheckTest *test;

	check_argc = argc;

	if (seed != NULL && strcmp(seed, "random") == 0)
		check_seed = (uint64_t) time(NULL) << 16 ^ (uint64_t) getpid();
	else
		check_seed = seed != NULL ? (uint64_t) strtoull(seed, NULL, 0) : 1;
	printf("NVMKV_SEED=%" PRIu64 "\n", check_seed);
	for (test = check_tests; test != NULL; test = test->next)
	{
		double started;

		if (!check_selected(test->name, argc, argv))
			continue;
		/* Each test starts from the seed, so that one alone repeats what it did among all. */
		check_random_state = check_seed;
		check_failures = 0;
		fflush(stdout);
		started = check_cpu_seconds();
		test->run();
		printf("%s %s  %.1f s\n", check_failures == 0 ? "ok    " : "FAILED", test->name, check_cpu_seconds() - started);
		if (check_failures == 0)
			passed++;
		else
			failed++;
		if (failed > 0 && getenv("NVMKV_TEST_STOP") != NULL)
			break;
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed == 0 ? 0 : 1;
}

#define TEST_MAIN() \
	int main(int argc, char **argv) \
	{ \
		return check_main(argc, argv); \
	}

#endif
