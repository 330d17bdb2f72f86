/*
 * options_test.c
 *	  The same operations under many options must show the same.
 *
 * A script of writes, commits, reads, scans, work and reopens is drawn from a
 * seed and played once for each set of options; what the reads show is folded
 * into a digest after every so many operations, and all digests must agree with
 * those of the first set.  Options decide where data is, never what it is.
 *
 * Some sets spread the keys over column families, some have worker processes
 * beside the one that plays, one changes the
 * options at each reopen.  NVMKV_OPTIONS_SECONDS goes on with new scripts.
 */
#include <signal.h>
#include <sys/wait.h>

#include "engine/base/filter.h"

#include "lib/rig.h"

#include "lib/check.h"

#define MIB (UINT64_C(1) << 20)

#define KEYS 1200
#define OPERATIONS 4000
#define STRIDE 250 /* operations between two digests */
#define SNAPSHOTS 3
#define TXNS 4
#define WORKERS_MAX 3
#define VALUE_MAX 30000
#define DEFAULT_SECONDS 5.0

/* ---- sets of options ---- */

typedef struct Set
{
	const char *name;
	void (*change)(NvmkvOptions *o);
	unsigned workers;
	bool wanders; /* takes another set's options at each reopen */
} Set;

static void
as_they_are(NvmkvOptions *o)
{
	(void) o;
}

static void
small_blocks(NvmkvOptions *o)
{
	o->block_bytes = 1024;
	o->restart_interval = 1;
}

static void
large_blocks(NvmkvOptions *o)
{
	o->block_bytes = 256 * 1024;
	o->restart_interval = 128;
}

static void
no_filters(NvmkvOptions *o)
{
	o->bloom_bits_per_key = 0;
}

static void
large_filters(NvmkvOptions *o)
{
	o->bloom_bits_per_key = 24;
}

static void
short_prefixes(NvmkvOptions *o)
{
	o->prefix_bytes = 6;
}

static void
long_prefixes(NvmkvOptions *o)
{
	o->prefix_bytes = 7;
	o->nvm_bytes = 0;
}

static void
no_container(NvmkvOptions *o)
{
	o->nvm_bytes = 0;
}

static void
no_container_no_filters(NvmkvOptions *o)
{
	o->nvm_bytes = 0;
	o->bloom_bits_per_key = 0;
	o->block_bytes = 4096;
}

static void
large_container(NvmkvOptions *o)
{
	o->nvm_bytes = 48 * MIB;
	o->l0_write_amplification = 20.0;
}

static void
eager_batches(NvmkvOptions *o)
{
	o->l0_write_amplification = 20.0;
	o->target_file_bytes = 1 * MIB;
	o->max_write_buffers = 2;
}

static void
large_memtables(NvmkvOptions *o)
{
	o->write_buffer_bytes = 5 * MIB;
	o->max_write_buffers = 3;
	o->target_file_bytes = 4 * MIB;
}

static void
many_memtables(NvmkvOptions *o)
{
	o->max_write_buffers = NVMKV_MEMTABLES_MAX;
	o->log_buffer_bytes = 2 * MIB;
}

static void
large_cache(NvmkvOptions *o)
{
	o->block_cache_bytes = 32 * MIB;
	o->block_bytes = 16 * 1024;
}

static void
small_cache(NvmkvOptions *o)
{
	o->block_cache_bytes = 1 * MIB;
	o->nvm_bytes = 0;
}

static void
values_apart(NvmkvOptions *o)
{
	o->value_threshold_bytes = 64;
}

static void
values_apart_without_container(NvmkvOptions *o)
{
	o->value_threshold_bytes = 200;
	o->nvm_bytes = 0;
	memset(o->compression, NVMKV_COMPRESSION_LZ4, sizeof(o->compression));
}

static void
values_with_keys(NvmkvOptions *o)
{
	o->value_threshold_bytes = 0;
}

static void
limited_compaction(NvmkvOptions *o)
{
	o->compaction_bytes_per_second = 256 * MIB;
}

static void
several_families(NvmkvOptions *o)
{
	o->max_families = 3;
	o->write_buffer_bytes = 2 * MIB;
}

/* The keys are spread over all that there are. */
static void
three_families(NvmkvOptions *o)
{
	o->max_families = 3;
}

static void
lz4(NvmkvOptions *o)
{
	memset(o->compression, NVMKV_COMPRESSION_LZ4, sizeof(o->compression));
}

static void
zstd_below(NvmkvOptions *o)
{
	memset(o->compression, NVMKV_COMPRESSION_ZSTD, sizeof(o->compression));
	o->compression[1] = NVMKV_COMPRESSION_NONE;
	o->block_cache_bytes = 1 * MIB;
}

static const Set sets[] = {
	{"the test's own", as_they_are, 0, false},
	{"small blocks", small_blocks, 0, false},
	{"large blocks", large_blocks, 0, false},
	{"no filters", no_filters, 0, false},
	{"large filters", large_filters, 0, false},
	{"prefixes of 6 bytes in the filters", short_prefixes, 0, false},
	{"prefixes of 7 bytes in the filters, no container", long_prefixes, 0, false},
	{"no container", no_container, 0, false},
	{"no container, no filters", no_container_no_filters, 0, false},
	{"large container", large_container, 0, false},
	{"eager batches", eager_batches, 0, false},
	{"large memtables", large_memtables, 0, false},
	{"many memtables", many_memtables, 0, false},
	{"large block cache", large_cache, 0, false},
	{"small block cache", small_cache, 0, false},
	{"limited compaction", limited_compaction, 0, false},
	{"values apart", values_apart, 0, false},
	{"values apart, a worker", values_apart, 1, false},
	{"values apart, no container", values_apart_without_container, 1, false},
	{"values with keys", values_with_keys, 0, false},
	{"room for families", several_families, 0, false},
	{"three families", three_families, 0, false},
	{"three families, two workers", three_families, 2, false},
	{"LZ4", lz4, 0, false},
	{"Zstandard from level 2 on, small block cache", zstd_below, 0, false},
	{"a worker", as_they_are, 1, false},
	{"a worker, limited compaction", limited_compaction, 1, false},
	{"two workers, no container", no_container, 2, false},
	{"two workers, small cache", small_cache, 2, false},
	{"two workers", as_they_are, 2, false},
	{"three workers, eager batches", eager_batches, 3, false},
	{"other options at each reopen", as_they_are, 0, true},
};

#define SETS (sizeof(sets) / sizeof(sets[0]))

/* ---- the player ---- */

typedef struct Play
{
	const Set *set;
	Rig rig;
	unsigned families;
	RigTxns *txns;
	RigSnapshot *snapshots[SNAPSHOTS];
	uint64_t open[TXNS];  /* fxid, 0: none */
	uint32_t cid;
	uint64_t writer[KEYS]; /* the transaction that wrote last: 0, or one that has ended, or one of open[] */
	uint64_t dice;
	uint64_t digest;
	unsigned reopens;
	pid_t workers[WORKERS_MAX];
	uint8_t *buffer;
	uint64_t digests[OPERATIONS / STRIDE];
} Play;

static uint64_t
roll(Play *p, uint64_t bound)
{
	uint64_t z = (p->dice += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return (z ^ (z >> 31)) % bound;
}

static void
fold(Play *p, uint64_t value)
{
	p->digest = (p->digest ^ value) * UINT64_C(0x100000001B3) + (p->digest >> 29);
}

static void
fold_slice(Play *p, NvmkvSlice s)
{
	fold(p, s.size);
	fold(p, filter_hash(s));
}

static void
be_worker(NvmkvDb *db)
{
	for (;;)
	{
		bool did = false, any = false, more;

		if (nvmkv_work(db, NVMKV_WORK_FLUSH, &did, &more) == NVMKV_OK)
			any |= did;
		if (nvmkv_work(db, NVMKV_WORK_COMPACT, &did, &more) == NVMKV_OK)
			any |= did;
		(void) nvmkv_work(db, NVMKV_WORK_RECLAIM, &did, &more);
		nvmkv_tidy(db);
		if (!any)
			port_sleep_us(300);
	}
}

static void
start_workers(Play *p)
{
	unsigned i;

	fflush(NULL);
	for (i = 0; i < p->set->workers; i++)
	{
		p->workers[i] = fork();
		if (p->workers[i] == 0)
		{
			port_posix_set_slot((int) i + 1);
			be_worker(p->rig.db);
		}
	}
}

/* With them goes all that they hold: so the database is opened anew next. */
static void
stop_workers(Play *p)
{
	unsigned i;

	for (i = 0; i < p->set->workers; i++)
	{
		if (p->workers[i] <= 0)
			continue;
		(void) kill(p->workers[i], SIGKILL);
		(void) waitpid(p->workers[i], NULL, 0);
		p->workers[i] = 0;
	}
}

/* Those that are not there yet. */
static void
make_families(Play *p)
{
	NvmkvFamilyOptions shape;
	char name[16];
	unsigned family;

	nvmkv_family_options_default(p->rig.db, &shape);
	for (family = 1; family < p->families; family++)
	{
		(void) snprintf(name, sizeof(name), "%u", family);
		shape.nvm_bytes = family == 1 ? 16 * MIB : 0;
		CHECK_OK(nvmkv_family_create(p->rig.db, family, name, &shape, NULL));
	}
}

static void
open_database(Play *p)
{
	rig_options(&p->rig.options);
	p->set->change(&p->rig.options);
	if (p->set->wanders)
		sets[p->reopens++ % SETS].change(&p->rig.options);
	CHECK_OK(rig_open(&p->rig));
	if (p->rig.db == NULL)
		return;
	rig_txns_use(p->txns, p->rig.db);
	make_families(p);
	start_workers(p);
}

/* What is not over ends; what was written is kept. */
static void
reopen(Play *p)
{
	unsigned i;

	CHECK_OK(nvmkv_sync(p->rig.db, NVMKV_SEQUENCE_MAX));
	stop_workers(p);
	for (i = 0; i < SNAPSHOTS; i++)
	{
		rig_release(p->snapshots[i]);
		p->snapshots[i] = NULL;
	}
	rig_abort_running(p->txns);
	memset(p->open, 0, sizeof(p->open));
	rig_close(&p->rig);
	open_database(p);
}

static NvmkvSlice
make_value(Play *p, uint64_t seed, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
	{
		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		/* Half of it can be compressed. */
		p->buffer[i] = (uint8_t) (i % 2 == 0 ? 'x' : seed >> 56);
	}
	return nvmkv_slice(p->buffer, size);
}

static unsigned
family_of(const Play *p, uint64_t key)
{
	return (unsigned) (key % p->families);
}

static NvmkvDb *
family_db(Play *p, unsigned family)
{
	NvmkvDb *db = p->rig.db;

	CHECK_OK(nvmkv_family(p->rig.db, family, &db));
	return db;
}

static bool
is_running(const Play *p, uint64_t fxid)
{
	return fxid != 0 && p->txns->txn[fxid].state == RIG_TXN_RUNNING;
}

static void
op_write(Play *p)
{
	NvmkvBatch batch = {0};
	uint64_t *slot = &p->open[roll(p, TXNS)];
	unsigned count = (unsigned) (1 + roll(p, 8));
	uint64_t first = roll(p, KEYS);
	bool tagged = roll(p, 3) > 0;
	uint64_t fxid;
	unsigned i;

	if (*slot == 0)
		*slot = rig_begin(p->txns);
	fxid = tagged ? *slot : 0;
	for (i = 0; i < count; i++)
	{
		uint64_t key = roll(p, 2) == 0 ? roll(p, KEYS) : (first + i) % KEYS;
		bool deletes = roll(p, 6) == 0;
		size_t size = deletes ? 0 : (size_t) (roll(p, 40) == 0 ? roll(p, VALUE_MAX) : roll(p, 1200));
		NvmkvSlice value = make_value(p, roll(p, UINT64_MAX), size);

		if (is_running(p, p->writer[key]) && p->writer[key] != fxid)
			continue;
		p->writer[key] = fxid;
		nvmkv_batch_family(&batch, family_of(p, key));
		if (fxid == 0)
			CHECK_OK(nvmkv_batch_put(&batch, deletes ? NVMKV_TYPE_DELETION : NVMKV_TYPE_VALUE, rig_key(key),
									 nvmkv_slice(NULL, 0), value));
		else
			CHECK_OK(nvmkv_batch_put_tagged(&batch, deletes ? NVMKV_TYPE_TAGGED_DELETION : NVMKV_TYPE_TAGGED_VALUE,
											rig_key(key), fxid, p->cid++, value));
	}
	if (batch.count > 0)
		CHECK_OK(rig_write(p->rig.db, &batch, NULL));
	nvmkv_batch_free(&batch);
}

static void
op_end(Play *p)
{
	uint64_t *slot = &p->open[roll(p, TXNS)];
	bool aborts = roll(p, 4) == 0;

	if (*slot == 0)
		return;
	CHECK_OK(nvmkv_sync(p->rig.db, NVMKV_SEQUENCE_MAX));
	if (aborts)
		rig_abort(p->txns, *slot);
	else
		rig_commit(p->txns, *slot);
	*slot = 0;
}

static RigSnapshot *
op_snapshot(Play *p)
{
	RigSnapshot **s = &p->snapshots[roll(p, SNAPSHOTS)];

	if (*s == NULL || roll(p, 4) == 0)
	{
		rig_release(*s);
		*s = rig_snapshot(p->txns, 0, 0);
	}
	return *s;
}

static void
op_get(Play *p)
{
	RigSnapshot *s = op_snapshot(p);
	NvmkvBuf value = {0};
	NvmkvVersion version;
	unsigned i;

	for (i = 0; i < 5; i++)
	{
		uint64_t key = roll(p, KEYS + 50);
		NvmkvStatus st = nvmkv_get(family_db(p, family_of(p, key)), rig_key(key), &s->base, &value, &version);

		CHECK(st == NVMKV_OK || st == NVMKV_NOT_FOUND);
		fold(p, st);
		if (st == NVMKV_OK)
		{
			fold(p, version.sequence);
			fold_slice(p, nvmkv_buf_slice(&value));
		}
	}
	nvmkv_buf_free(&value);
}

/* A row that a scan has shown. */
typedef struct Row
{
	uint64_t sequence, value_size, value_hash;
} Row;

/* Notes the rows of one family, by key. */
static void
scan_family(Play *p, unsigned family, uint64_t from, uint64_t to, bool reverse, const RigSnapshot *s, Row *rows_out)
{
	const NvmkvScanRow *rows;
	NvmkvScan *scan;
	uint64_t next = reverse ? to : from;
	unsigned n = 0, i;

	REQUIRE_OK(nvmkv_scan_create(family_db(p, family), &scan));
	CHECK_OK(nvmkv_scan_start(scan, rig_key(from), rig_key(to), reverse, &s->base));
	do
	{
		if (!CHECK_STATUS(nvmkv_scan_batch(scan, 20, 65536, &rows, &n), NVMKV_OK))
			n = 0;
		for (i = 0; i < n; i++)
		{
			char text[16] = {0};
			uint64_t key;

			memcpy(text, rows[i].key.data, rows[i].key.size < 15 ? rows[i].key.size : 15);
			key = strtoull(text, NULL, 10);
			CHECK(key < KEYS && family_of(p, key) == family && (reverse ? key < next : key >= next));
			if (key >= KEYS)
				continue;
			next = reverse ? key : key + 1;
			rows_out[key].sequence = rows[i].sequence;
			rows_out[key].value_size = rows[i].value.size;
			rows_out[key].value_hash = filter_hash(rows[i].value);
		}
	} while (n > 0);
	nvmkv_scan_destroy(scan);
}

static void
op_scan(Play *p)
{
	static Row seen[KEYS];
	RigSnapshot *s = op_snapshot(p);
	uint64_t from = roll(p, KEYS);
	uint64_t to = roll(p, 3) == 0 ? KEYS : from + roll(p, 60);
	bool reverse = roll(p, 2) == 0;
	uint64_t key;
	unsigned family;

	memset(seen, 0, sizeof(seen));
	for (family = 0; family < p->families; family++)
		scan_family(p, family, from, to, reverse, s, seen);
	for (key = 0; key < KEYS; key++)
	{
		if (seen[key].sequence == 0)
			continue;
		fold(p, key);
		fold(p, seen[key].sequence);
		fold(p, seen[key].value_size);
		fold(p, seen[key].value_hash);
	}
}

/* What is done where there are no workers; whether it finds anything to do is the options' business. */
static void
op_work(Play *p)
{
	NvmkvDb *db = p->rig.db;
	bool did, more;
	NvmkvStatus st = NVMKV_OK;

	switch (roll(p, 6))
	{
		case 0:
			st = nvmkv_switch_memtable(db);
			break;
		case 1:
			st = nvmkv_work(db, NVMKV_WORK_FLUSH, &did, &more);
			break;
		case 2:
			st = nvmkv_work(db, NVMKV_WORK_COMPACT, &did, &more);
			break;
		case 3:
			st = nvmkv_work(db, NVMKV_WORK_RECLAIM, &did, &more);
			break;
		case 4:
			st = rig_settle(p->txns, db, roll(p, 2) == 0);
			break;
		case 5:
			nvmkv_tidy(db);
			break;
	}
	CHECK(st == NVMKV_OK || st == NVMKV_BUSY || st == NVMKV_NO_SPACE);
}

static void
count_problem(void *ctx, const char *where, const char *text)
{
	(void) ctx;
	check_failed(__FILE__, __LINE__, text);
	fprintf(stderr, "    check: %s\n", where);
}

static void
operation(Play *p)
{
	uint64_t dice = roll(p, 1000);

	if (dice < 560)
		op_write(p);
	else if (dice < 680)
		op_get(p);
	else if (dice < 780)
		op_scan(p);
	else if (dice < 850)
		op_end(p);
	else if (dice < 985)
		op_work(p);
	else if (dice < 990)
		CHECK_OK(nvmkv_flush_all(p->rig.db));
	else if (dice < 994)
		CHECK_OK(nvmkv_compact_all(p->rig.db));
	else if (dice < 997)
		CHECK_OK(nvmkv_check(p->rig.db, count_problem, NULL));
	else
		reopen(p);
}

/* Plays the script; what was seen is in digests. */
static void
play(Play *p, const Set *set, uint64_t seed)
{
	unsigned before = check_failures;
	unsigned i;

	memset(p, 0, sizeof(*p));
	p->set = set;
	p->dice = seed;
	p->txns = rig_txns_create();
	p->buffer = malloc(VALUE_MAX);
	REQUIRE(p->buffer != NULL);
	rig_init(&p->rig);
	p->families = set->change == three_families ? 3 : 1;
	open_database(p);
	for (i = 0; i < check_part(OPERATIONS) && check_failures == before; i++)
	{
		operation(p);
		if (i % STRIDE == STRIDE - 1)
			p->digests[i / STRIDE] = p->digest;
	}
	stop_workers(p);
	for (i = 0; i < SNAPSHOTS; i++)
		rig_release(p->snapshots[i]);
	rig_remove(&p->rig);
	rig_txns_destroy(p->txns);
	free(p->buffer);
	if (check_failures != before)
		fprintf(stderr, "    options: %s, seed %" PRIu64 "\n", set->name, seed);
}

TEST(options_change_nothing_that_is_seen)
{
	static Play first, other;
	const char *text = getenv("NVMKV_OPTIONS_SECONDS");
	double seconds = text != NULL ? atof(text) : DEFAULT_SECONDS;
	uint64_t start = port_now_us();
	unsigned scripts = 0;
	unsigned plays = 0;

	port_files = &rig_quick_files;
	do
	{
		uint64_t seed = check_random();
		size_t s;
		unsigned i;

		play(&first, &sets[0], seed);
		for (s = 1; s < SETS && check_failures == 0; s++)
		{
			/* Of the second script on, as many sets as there is time for. */
			if (scripts > 0 && (double) (port_now_us() - start) >= seconds * 1e6)
				break;
			play(&other, &sets[s], seed);
			plays++;
			for (i = 0; i < check_part(OPERATIONS) / STRIDE && first.digests[i] == other.digests[i]; i++)
				;
			if (i < check_part(OPERATIONS) / STRIDE)
			{
				check_failed(__FILE__, __LINE__, "all options show the same");
				fprintf(stderr, "    options: %s, seed %" PRIu64 ": other within operations %u to %u\n", sets[s].name, seed,
						i * STRIDE, (i + 1) * STRIDE - 1);
			}
		}
		scripts++;
	} while (check_failures == 0 && (double) (port_now_us() - start) < seconds * 1e6);
	port_files = &port_posix_files;
	printf("%u scripts, %u comparisons\n", scripts, plays);
}

TEST_MAIN()
