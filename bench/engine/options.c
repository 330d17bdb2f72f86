/*
 * options.c
 *	  The command line.
 */
#include "engine/bench.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef enum OptionKind
{
	OPTION_TEXT,
	OPTION_NUMBER, /* with K, M, G for powers of 1024 */
	OPTION_REAL,
	OPTION_FLAG
} OptionKind;

typedef struct Option
{
	const char *name;
	OptionKind kind;
	size_t offset;
	const char *preset;
	bool matters; /* to the figures */
	const char *help;
} Option;

#define AT(field) offsetof(BenchOptions, field)

static const Option option_table[] = {
	{"workloads", OPTION_TEXT, AT(workloads), "fillrandom,readrandom", false, "what to run, in this order"},
	{"dir", OPTION_TEXT, AT(dir), "", false, "the database, made anew"},
	{"keep", OPTION_FLAG, AT(keep), "0", false, "use the database that is there"},
	{"log-dir", OPTION_TEXT, AT(log_dir), "", false, "where the log goes"},
	{"pool", OPTION_TEXT, AT(pool), "", false, "file of nvmkv's container"},
	{"keys", OPTION_NUMBER, AT(keys), "1000000", true, "key numbers"},
	{"reads", OPTION_NUMBER, AT(reads), "0", true, "operations that read, 0: as many as keys"},
	{"key-bytes", OPTION_NUMBER, AT(key_bytes), "16", true, "size of a key"},
	{"value-bytes", OPTION_NUMBER, AT(value_bytes), "100", true, "size of a value"},
	{"compressibility", OPTION_REAL, AT(compressibility), "0.5", true, "size of values when compressed"},
	{"key-style", OPTION_TEXT, AT(key_style), "decimal", true, "decimal, or binary: 8 bytes and zeros"},
	{"threads", OPTION_NUMBER, AT(threads), "1", true, "readers or writers at a time"},
	{"found", OPTION_REAL, AT(found), "-1", true, "share of looked-up keys that exist; -1: any key"},
	{"nexts", OPTION_NUMBER, AT(nexts), "50", true, "steps after a seek"},
	{"writer-rate", OPTION_NUMBER, AT(writer_rate), "0", true, "writes a second in readwhilewriting, 0: no limit"},
	{"load-rate", OPTION_NUMBER, AT(load_rate), "0", true, "bytes a second of other writers, 0: no limit"},
	{"seconds", OPTION_NUMBER, AT(seconds), "0", true, "end of a workload, 0: when it is through"},
	{"seed", OPTION_NUMBER, AT(seed), "301", true, "of all random numbers"},
	{"sync", OPTION_FLAG, AT(sync), "0", true, "every write is durable before the next"},
	{"write-buffer", OPTION_NUMBER, AT(write_buffer), "64M", true, "one memtable"},
	{"write-buffers", OPTION_NUMBER, AT(write_buffers), "4", true, "memtables (LevelDB has 2)"},
	{"cache", OPTION_NUMBER, AT(cache), "64M", true, "block cache"},
	{"container", OPTION_NUMBER, AT(container), "512M", true, "nvmkv's level 0; 0: none"},
	{"block", OPTION_NUMBER, AT(block), "4K", true, "data block"},
	{"bloom", OPTION_NUMBER, AT(bloom), "10", true, "filter bits a key, 0: no filter"},
	{"file-bytes", OPTION_NUMBER, AT(file_bytes), "0", true, "table, 0: the engine's default"},
	{"level1-bytes", OPTION_NUMBER, AT(level1_bytes), "0", true, "RocksDB's target for level 1, 0: its default"},
	{"workers", OPTION_NUMBER, AT(workers), "1", true, "compactions at a time (LevelDB has 1)"},
	{"compression", OPTION_TEXT, AT(compression), "none", true, "none, lz4, zstd (LevelDB: snappy)"},
	{"round", OPTION_NUMBER, AT(round), "1", false, "noted in the row"},
	{"label", OPTION_TEXT, AT(label), "", false, "noted in the row"},
	{"as", OPTION_TEXT, AT(as), "", false, "another name for a workload"},
	{"csv", OPTION_TEXT, AT(csv), "", false, "file to append rows to"},
	{"series", OPTION_TEXT, AT(series), "", false, "directory for series of each workload"},
};

#define OPTIONS (sizeof(option_table) / sizeof(option_table[0]))

void
bench_die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void) vfprintf(stderr, fmt, args);
	va_end(args);
	(void) fputc('\n', stderr);
	exit(1);
}

void *
bench_alloc(uint64_t size)
{
	void *p = calloc(1, size);

	if (p == NULL)
		bench_die("out of memory");
	return p;
}

void *
bench_shared_alloc(uint64_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		bench_die("out of shared memory");
	return p;
}

static void
usage(const char *program)
{
	unsigned i;

	printf("%s --name=value ...\n", program);
	for (i = 0; i < OPTIONS; i++)
		printf("  --%-16s %s [%s]\n", option_table[i].name, option_table[i].help, option_table[i].preset);
	exit(2);
}

static uint64_t
parse_number(const Option *option, const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (*end == 'K')
		value *= 1024;
	else if (*end == 'M')
		value *= 1024 * 1024;
	else if (*end == 'G')
		value *= 1024.0 * 1024 * 1024;
	if (end == text || value < 0 || value > 1e18 || (*end != '\0' && end[1] != '\0') ||
		(*end != '\0' && strchr("KMG", *end) == NULL))
		bench_die("--%s=%s: a number is wanted", option->name, text);
	return (uint64_t) value;
}

static void
set_option(BenchOptions *options, const Option *option, const char *text)
{
	uint8_t *field = (uint8_t *) options + option->offset;
	uint64_t number;
	double real;
	bool flag;
	char *end;

	switch (option->kind)
	{
		case OPTION_TEXT:
			memcpy(field, &text, sizeof(text));
			break;
		case OPTION_NUMBER:
			number = parse_number(option, text);
			memcpy(field, &number, sizeof(number));
			break;
		case OPTION_REAL:
			real = strtod(text, &end);
			if (end == text || *end != '\0')
				bench_die("--%s=%s: a number is wanted", option->name, text);
			memcpy(field, &real, sizeof(real));
			break;
		case OPTION_FLAG:
			flag = strcmp(text, "0") != 0;
			memcpy(field, &flag, sizeof(flag));
			break;
	}
}

static const Option *
find_option(const char *name, size_t size)
{
	unsigned i;

	for (i = 0; i < OPTIONS; i++)
		if (strlen(option_table[i].name) == size && memcmp(option_table[i].name, name, size) == 0)
			return &option_table[i];
	return NULL;
}

void
bench_options_set(BenchOptions *options, const char *text)
{
	const char *value = strchr(text, '=');
	const Option *option = find_option(text, value != NULL ? (size_t) (value - text) : strlen(text));

	if (option == NULL || (value == NULL && option->kind != OPTION_FLAG))
		bench_die("%s: no such option", text);
	set_option(options, option, value != NULL ? value + 1 : "1");
}

static void
check_options(BenchOptions *options)
{
	if (options->keys == 0 || options->threads == 0 || options->threads > 64)
		bench_die("there must be keys, and 1 to 64 threads");
	if (options->key_bytes < 16 || options->key_bytes > 1024)
		bench_die("keys have 16 to 1024 bytes");
	if (options->value_bytes > 1024 * 1024)
		bench_die("values have up to 1 MiB");
}

void
bench_options_parse(BenchOptions *options, int argc, char **argv)
{
	unsigned i;
	int arg;

	for (i = 0; i < OPTIONS; i++)
		set_option(options, &option_table[i], option_table[i].preset);
	for (arg = 1; arg < argc; arg++)
	{
		if (strncmp(argv[arg], "--", 2) != 0 || strcmp(argv[arg], "--help") == 0)
			usage(argv[0]);
		bench_options_set(options, argv[arg] + 2);
	}
	if (options->dir[0] == '\0')
		bench_die("--dir is wanted");
	if (options->reads == 0)
		options->reads = options->keys;
	check_options(options);
}

void
bench_options_print(const BenchOptions *options, char *text, uint64_t size)
{
	const uint8_t *base = (const uint8_t *) options;
	size_t at = 0;
	unsigned i;

	text[0] = '\0';
	for (i = 0; i < OPTIONS && at < size; i++)
	{
		const Option *option = &option_table[i];
		const uint8_t *field = base + option->offset;
		const char *string;
		uint64_t number;
		double real;
		bool flag;
		int n = 0;

		if (!option->matters)
			continue;
		switch (option->kind)
		{
			case OPTION_TEXT:
				memcpy(&string, field, sizeof(string));
				n = snprintf(text + at, size - at, "%s=%s ", option->name, string);
				break;
			case OPTION_NUMBER:
				memcpy(&number, field, sizeof(number));
				n = snprintf(text + at, size - at, "%s=%llu ", option->name, (unsigned long long) number);
				break;
			case OPTION_REAL:
				memcpy(&real, field, sizeof(real));
				n = snprintf(text + at, size - at, "%s=%g ", option->name, real);
				break;
			case OPTION_FLAG:
				memcpy(&flag, field, sizeof(flag));
				n = snprintf(text + at, size - at, "%s=%d ", option->name, flag);
				break;
		}
		at += (size_t) n;
	}
	if (at > 0 && at < size)
		text[at - 1] = '\0';
}
