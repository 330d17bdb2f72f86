/*
 * emptied_test.c
 *	  Scans leap over keys of which nobody can see anything, and over no others.
 *
 * What is counted is entries passed, not time.
 */
#include "engine/nvmkv.h"

#include <signal.h>
#include <sys/wait.h>

#include "lib/check.h"
#include "lib/rig.h"

#define KEYS 2000
#define PASSED_MAX 200 /* by a scan that leaps */

/* Keys "00000000" to "00009999" have one prefix. */
static void
init(Rig *rig)
{
	rig_init(rig);
	rig->options.prefix_bytes = 4;
	REQUIRE_OK(rig_open(rig));
}

static void
fill(NvmkvDb *db, unsigned kind, unsigned from, unsigned to, uint64_t fxid)
{
	for (unsigned i = from; i < to; i++)
		CHECK_OK(rig_entry(db, kind, rig_key(i), fxid, 0, rig_slice(kind == NVMKV_KIND_VALUE ? "v" : "")));
}

/* All of it by a transaction of its own, which commits. */
static void
do_all(NvmkvDb *db, RigTxns *txns, unsigned kind, unsigned from, unsigned to)
{
	uint64_t fxid = rig_begin(txns);

	fill(db, kind, from, to, fxid);
	rig_commit(txns, fxid);
}

typedef struct Seen
{
	unsigned rows;
	unsigned first; /* key; UINT_MAX: none */
	uint64_t passed, leaps;
} Seen;

static unsigned
number_of(NvmkvSlice key)
{
	char text[16] = {0};

	memcpy(text, key.data, key.size < 15 ? key.size : 15);
	return (unsigned) strtoul(text, NULL, 10);
}

/* Up to max rows of [from, to). */
static Seen
scan_range(NvmkvDb *db, const NvmkvSnapshot *snapshot, bool reverse, unsigned from, unsigned to, unsigned max)
{
	Seen seen = {0, UINT32_MAX, 0, 0};
	const NvmkvScanRow *rows;
	NvmkvScan *scan;
	unsigned n = 1;

	if (!CHECK_OK(nvmkv_scan_create(db, &scan)))
		return seen;
	CHECK_OK(nvmkv_scan_start(scan, from == 0 ? rig_slice("0000") : rig_key(from), rig_key(to), reverse, snapshot));
	while (n > 0 && seen.rows < max)
	{
		if (!CHECK_OK(nvmkv_scan_batch(scan, 8, 1 << 20, &rows, &n)))
			break;
		if (n > 0 && seen.rows == 0)
			seen.first = number_of(rows[0].key);
		for (unsigned i = 0; i < n; i++)
			seen.rows += !rows[i].beneath;
	}
	seen.passed = nvmkv_scan_stats(scan)->versions_passed;
	seen.leaps = nvmkv_scan_stats(scan)->leaps;
	nvmkv_scan_destroy(scan);
	return seen;
}

/* A new snapshot's. */
static Seen
scan_all(NvmkvDb *db, RigTxns *txns, bool reverse, unsigned max)
{
	RigSnapshot *snapshot = rig_snapshot(txns, 0, 0);
	Seen seen = scan_range(db, &snapshot->base, reverse, 0, 9999, max);

	rig_release(snapshot);
	return seen;
}

static void
check_leaps(NvmkvDb *db, RigTxns *txns, bool reverse, unsigned rows, unsigned first)
{
	Seen seen = scan_all(db, txns, reverse, UINT32_MAX);

	CHECK_EQ(seen.rows, rows);
	CHECK_EQ(seen.first, first);
	CHECK(seen.passed <= PASSED_MAX);
	CHECK(seen.leaps > 0);
}

TEST(what_is_deleted_is_passed_once)
{
	for (unsigned reverse = 0; reverse < 2; reverse++)
		for (unsigned flushed = 0; flushed < 2; flushed++)
		{
			RigTxns *txns = rig_txns_create();
			unsigned live = reverse ? 0 : KEYS - 1; /* what stays */
			Seen seen;
			Rig rig;

			init(&rig);
			rig_txns_use(txns, rig.db);
			do_all(rig.db, txns, NVMKV_KIND_VALUE, 0, KEYS);
			do_all(rig.db, txns, NVMKV_KIND_DELETION, reverse ? 1 : 0, reverse ? KEYS : KEYS - 1);
			seen = scan_all(rig.db, txns, reverse, 1);
			CHECK_EQ(seen.first, live);
			CHECK(seen.passed >= 2 * (KEYS - 1) && seen.passed < 2 * KEYS + 200);
			check_leaps(rig.db, txns, reverse, 1, live);
			/* From within the range, in the other direction, and after the sources have changed. */
			check_leaps(rig.db, txns, !reverse, 1, live);
			if (flushed)
				CHECK_OK(nvmkv_flush_all(rig.db));
			check_leaps(rig.db, txns, reverse, 1, live);
			rig_close(&rig);
			rig_txns_destroy(txns);
			rig_remove(&rig);
		}
}

TEST(memory_only)
{
	RigTxns *txns = rig_txns_create();
	RigSnapshot *old;
	Rig rig;

	init(&rig);
	rig_txns_use(txns, rig.db);
	do_all(rig.db, txns, NVMKV_KIND_VALUE, 0, KEYS);
	old = rig_snapshot(txns, 0, 0);
	do_all(rig.db, txns, NVMKV_KIND_DELETION, 0, KEYS - 1);
	rig_release(old);
	CHECK_EQ(scan_all(rig.db, txns, false, 1).first, KEYS - 1);
	check_leaps(rig.db, txns, false, 1, KEYS - 1);
	/* What is flushed is kept for this one. */
	old->held = true;
	CHECK_OK(nvmkv_flush_all(rig.db));
	REQUIRE_OK(rig_reopen(&rig));
	rig_txns_use(txns, rig.db);
	rig_release(old);
	CHECK(scan_all(rig.db, txns, false, 1).passed > KEYS);
	check_leaps(rig.db, txns, false, 1, KEYS - 1);
	rig_close(&rig);
	rig_txns_destroy(txns);
	rig_remove(&rig);
}

/* Whoever writes into a range makes it smaller before he commits. */
TEST(writes_into_a_range)
{
	for (unsigned reverse = 0; reverse < 2; reverse++)
	{
		RigTxns *txns = rig_txns_create();
		uint64_t fxid;
		Rig rig;

		init(&rig);
		rig_txns_use(txns, rig.db);
		do_all(rig.db, txns, NVMKV_KIND_VALUE, 0, KEYS);
		do_all(rig.db, txns, NVMKV_KIND_DELETION, 0, KEYS);
		(void) scan_all(rig.db, txns, reverse, 1);
		check_leaps(rig.db, txns, reverse, 0, UINT32_MAX);

		/* Rolled back, and running. */
		fxid = rig_begin(txns);
		fill(rig.db, NVMKV_KIND_VALUE, 700, 701, fxid);
		CHECK_EQ(scan_all(rig.db, txns, reverse, 1).rows, 0);
		rig_abort(txns, fxid);
		CHECK_EQ(scan_all(rig.db, txns, reverse, 1).rows, 0);
		fxid = rig_begin(txns);
		fill(rig.db, NVMKV_KIND_VALUE, 300, 301, fxid);
		for (unsigned i = 0; i < 3; i++)
			CHECK_EQ(scan_all(rig.db, txns, reverse, 1).rows, 0);
		rig_commit(txns, fxid);
		CHECK_EQ(scan_all(rig.db, txns, reverse, 9).first, 300);
		CHECK_EQ(scan_all(rig.db, txns, !reverse, 9).first, 300);
		check_leaps(rig.db, txns, reverse, 1, 300);

		/* At the ends, and what goes again. */
		do_all(rig.db, txns, NVMKV_KIND_VALUE, 0, 1);
		do_all(rig.db, txns, NVMKV_KIND_VALUE, KEYS - 1, KEYS);
		CHECK_EQ(scan_all(rig.db, txns, false, 9).rows, 3);
		CHECK_EQ(scan_all(rig.db, txns, true, 9).rows, 3);
		do_all(rig.db, txns, NVMKV_KIND_DELETION, 0, KEYS);
		(void) scan_all(rig.db, txns, reverse, 9);
		check_leaps(rig.db, txns, reverse, 0, UINT32_MAX);
		rig_close(&rig);
		rig_txns_destroy(txns);
		rig_remove(&rig);
	}
}

/* A row that nobody sees yet is not gone: its transaction may run, or be prepared, while the range is made. */
TEST(rows_of_running_transactions)
{
	for (unsigned reverse = 0; reverse < 2; reverse++)
	{
		RigTxns *txns = rig_txns_create();
		uint64_t inserter, deleter;
		Rig rig;

		init(&rig);
		rig_txns_use(txns, rig.db);
		do_all(rig.db, txns, NVMKV_KIND_VALUE, 0, KEYS);
		inserter = rig_begin(txns);
		deleter = rig_begin(txns);
		do_all(rig.db, txns, NVMKV_KIND_DELETION, 0, 500);
		do_all(rig.db, txns, NVMKV_KIND_DELETION, 501, KEYS);
		fill(rig.db, NVMKV_KIND_VALUE, 1000, 1001, inserter);
		fill(rig.db, NVMKV_KIND_DELETION, 500, 501, deleter);
		for (unsigned i = 0; i < 4; i++)
			CHECK_EQ(scan_all(rig.db, txns, reverse, 9).first, 500);
		/* Now nothing is seen, and no key may be leapt over that was deleted after the oldest of the running. */
		rig_commit(txns, deleter);
		for (unsigned i = 0; i < 4; i++)
			CHECK_EQ(scan_all(rig.db, txns, reverse, 9).rows, 0);
		rig_commit(txns, inserter);
		for (unsigned i = 0; i < 4; i++)
			CHECK_EQ(scan_all(rig.db, txns, reverse, 9).first, 1000);
		check_leaps(rig.db, txns, reverse, 1, 1000);
		rig_close(&rig);
		rig_txns_destroy(txns);
		rig_remove(&rig);
	}
}

TEST(old_snapshots)
{
	RigTxns *txns = rig_txns_create();
	RigSnapshot *old;
	Rig rig;

	init(&rig);
	rig_txns_use(txns, rig.db);
	do_all(rig.db, txns, NVMKV_KIND_VALUE, 0, KEYS);
	old = rig_snapshot(txns, 0, 0);
	do_all(rig.db, txns, NVMKV_KIND_DELETION, 0, KEYS - 1);
	for (unsigned i = 0; i < 4; i++)
	{
		Seen seen = scan_all(rig.db, txns, i % 2 == 0, 9);

		CHECK_EQ(seen.rows, 1);
		CHECK_EQ(seen.leaps, 0);
		CHECK_EQ(scan_range(rig.db, &old->base, i % 2 == 0, 0, 9999, UINT32_MAX).rows, KEYS);
	}
	rig_release(old);
	(void) scan_all(rig.db, txns, false, 9);
	check_leaps(rig.db, txns, false, 1, KEYS - 1);
	rig_close(&rig);
	rig_txns_destroy(txns);
	rig_remove(&rig);
}

/* A queue: each job is passed a few times, however many there were. */
TEST(queue)
{
	RigTxns *txns = rig_txns_create();
	uint64_t passed = 0;
	uint64_t most = 0;
	Rig rig;

	init(&rig);
	rig_txns_use(txns, rig.db);
	do_all(rig.db, txns, NVMKV_KIND_VALUE, 0, 100);
	for (unsigned i = 0; i < 5000; i++)
	{
		uint64_t fxid = rig_begin(txns);
		Seen seen = scan_all(rig.db, txns, false, 1);

		passed += seen.passed;
		if (seen.passed > most)
			most = seen.passed;
		CHECK_EQ(seen.first, i);
		fill(rig.db, NVMKV_KIND_VALUE, 100 + i, 101 + i, fxid);
		fill(rig.db, NVMKV_KIND_LOCK, i, i + 1, fxid);
		fill(rig.db, NVMKV_KIND_DELETION, i, i + 1, fxid);
		rig_commit(txns, fxid);
		if (i == 2500)
			CHECK_OK(nvmkv_flush_all(rig.db));
	}
	CHECK(passed < UINT64_C(5000) * 80);
	CHECK(most < 1000);
	rig_close(&rig);
	rig_txns_destroy(txns);
	rig_remove(&rig);
}

/* Many ranges of one prefix, and keys that are too long for a range's end. */
TEST(many_ranges_and_long_keys)
{
	RigTxns *txns = rig_txns_create();
	RigSnapshot *snapshot;
	char text[400];
	uint64_t fxid;
	Rig rig;

	init(&rig);
	rig_txns_use(txns, rig.db);
	do_all(rig.db, txns, NVMKV_KIND_VALUE, 0, 4000);
	for (unsigned i = 0; i < 20; i++)
		do_all(rig.db, txns, NVMKV_KIND_DELETION, 200 * i, 200 * i + 199);
	for (unsigned turn = 0; turn < 4; turn++)
	{
		CHECK_EQ(scan_all(rig.db, txns, turn % 2 == 0, UINT32_MAX).rows, 20);
		snapshot = rig_snapshot(txns, 0, 0);
		for (unsigned i = 0; i < 20; i++)
		{
			Seen seen = scan_range(rig.db, &snapshot->base, turn % 2 == 0, 200 * i + 10, 200 * i + 200, 1);

			CHECK_EQ(seen.first, 200 * i + 199);
		}
		rig_release(snapshot);
	}
	/* "0000" and 300 of one letter, then a number. */
	for (unsigned kind = NVMKV_KIND_VALUE;; kind = NVMKV_KIND_DELETION)
	{
		fxid = rig_begin(txns);
		for (unsigned i = 0; i < 400; i++)
		{
			memset(text, 'a', sizeof(text));
			memcpy(text, "0000", 4);
			(void) snprintf(text + 300, sizeof(text) - 300, "%04u", i);
			if (kind == NVMKV_KIND_VALUE || (i != 0 && i != 200 && i != 399))
				CHECK_OK(rig_entry(rig.db, kind, rig_slice(text), fxid, 0, rig_slice("")));
		}
		rig_commit(txns, fxid);
		if (kind == NVMKV_KIND_DELETION)
			break;
	}
	for (unsigned turn = 0; turn < 8; turn++)
	{
		Seen seen = {0, 0, 0, 0};
		const NvmkvScanRow *rows;
		NvmkvScan *scan;
		unsigned n = 1;

		snapshot = rig_snapshot(txns, 0, 0);
		REQUIRE_OK(nvmkv_scan_create(rig.db, &scan));
		CHECK_OK(nvmkv_scan_start(scan, rig_slice("0000"), rig_slice("0001"), turn % 2 == 0, &snapshot->base));
		while (n > 0 && CHECK_OK(nvmkv_scan_batch(scan, 8, 1 << 20, &rows, &n)))
			seen.rows += n;
		nvmkv_scan_destroy(scan);
		rig_release(snapshot);
		CHECK_EQ(seen.rows, 23);
	}
	rig_close(&rig);
	rig_txns_destroy(txns);
	rig_remove(&rig);
}

/* ---- against a model ---- */

#define MODEL_KEYS 600
#define MODEL_VERSIONS 64 /* of one key */
#define MODEL_OPEN 6

typedef struct ModelVersion
{
	uint64_t fxid;
	bool is_value;
} ModelVersion;

typedef struct Model
{
	Rig rig;
	RigTxns *txns;
	ModelVersion versions[MODEL_KEYS][MODEL_VERSIONS]; /* oldest first */
	unsigned count[MODEL_KEYS];
	uint64_t open[MODEL_OPEN]; /* running transactions; 0: none */
	RigSnapshot *held[MODEL_OPEN];
} Model;

static bool
model_shows(const Model *m, const RigSnapshot *snapshot, unsigned key)
{
	for (unsigned i = m->count[key]; i-- > 0;)
		if (rig_sees(snapshot, m->versions[key][i].fxid, 0))
			return m->versions[key][i].is_value;
	return false;
}

/* Writers of a key wait for each other. */
static bool
model_may_write(const Model *m, unsigned key, uint64_t fxid)
{
	const ModelVersion *last;

	if (m->count[key] == 0 || m->count[key] == MODEL_VERSIONS)
		return m->count[key] == 0;
	last = &m->versions[key][m->count[key] - 1];
	return last->fxid == fxid || m->txns->txn[last->fxid].state != RIG_TXN_RUNNING;
}

static void
model_write(Model *m, unsigned from, unsigned to, bool is_value, uint64_t fxid)
{
	for (unsigned key = from; key < to; key++)
	{
		if (!model_may_write(m, key, fxid))
			continue;
		CHECK_OK(rig_entry(m->rig.db, is_value ? NVMKV_KIND_VALUE : NVMKV_KIND_DELETION, rig_key(key), fxid,
						   m->count[key], rig_slice(is_value ? "v" : "")));
		m->versions[key][m->count[key]++] = (ModelVersion){fxid, is_value};
	}
}

static void
model_scan(Model *m, const RigSnapshot *snapshot)
{
	bool reverse = check_random() % 2 == 0;
	unsigned from = check_random() % 2 == 0 ? 0 : (unsigned) (check_random() % MODEL_KEYS);
	unsigned to = check_random() % 2 == 0 ? 9999 : from + (unsigned) (check_random() % 400);
	unsigned at = reverse ? (to < MODEL_KEYS ? to : MODEL_KEYS) : from;
	const NvmkvScanRow *rows;
	NvmkvScan *scan;
	unsigned n = 1;

	REQUIRE_OK(nvmkv_scan_create(m->rig.db, &scan));
	CHECK_OK(nvmkv_scan_start(scan, from == 0 ? rig_slice("0000") : rig_key(from), rig_key(to), reverse, &snapshot->base));
	while (n > 0 && CHECK_OK(nvmkv_scan_batch(scan, 1 + (unsigned) (check_random() % 30), 1 << 20, &rows, &n)))
	{
		for (unsigned i = 0; i < n; i++)
		{
			if (reverse)
				while (at > from && !model_shows(m, snapshot, at - 1))
					at--;
			else
				while (at < to && at < MODEL_KEYS && !model_shows(m, snapshot, at))
					at++;
			CHECK_EQ(number_of(rows[i].key), reverse ? at - 1 : at);
			at += reverse ? -1u : 1u;
		}
		/* Somebody writes while the scan stands between two batches. */
		if (check_random() % 4 == 0)
		{
			unsigned key = (unsigned) (check_random() % MODEL_KEYS);
			uint64_t fxid = rig_begin(m->txns);

			model_write(m, key, key + 1, check_random() % 3 > 0, fxid);
			if (check_random() % 4 > 0)
				rig_commit(m->txns, fxid);
			else
				rig_abort(m->txns, fxid);
		}
	}
	nvmkv_scan_destroy(scan);
	if (reverse)
		while (at > from && !model_shows(m, snapshot, at - 1))
			at--;
	else
		while (at < to && at < MODEL_KEYS && !model_shows(m, snapshot, at))
			at++;
	CHECK(reverse ? at == from : at >= to || at == MODEL_KEYS);
}

static void
model_step(Model *m)
{
	unsigned which = (unsigned) (check_random() % MODEL_OPEN);
	unsigned from = (unsigned) (check_random() % MODEL_KEYS);
	unsigned to = from + (unsigned) (check_random() % (MODEL_KEYS - from)) + 1;

	switch (check_random() % 12)
	{
		case 0:
			if (m->open[which] == 0)
				m->open[which] = rig_begin(m->txns);
			if (check_random() % 2 == 0)
				to = from + 1;
			model_write(m, from, to, check_random() % 4 == 0, m->open[which]);
			break;
		case 1:
			if (m->open[which] != 0 && check_random() % 3 > 0)
				rig_commit(m->txns, m->open[which]);
			else if (m->open[which] != 0)
				rig_abort(m->txns, m->open[which]);
			m->open[which] = 0;
			break;
		case 2:
			if (m->held[which] == NULL)
				m->held[which] = rig_snapshot(m->txns, 0, 0);
			else
			{
				rig_release(m->held[which]);
				m->held[which] = NULL;
			}
			break;
		case 3:
			if (m->held[which] != NULL)
				model_scan(m, m->held[which]);
			break;
		case 4:
			if (check_random() % 20 == 0)
				CHECK_OK(nvmkv_flush_all(m->rig.db));
			break;
		case 5:
		{
			uint64_t fxid = rig_begin(m->txns);
			bool is_value = check_random() % 4 == 0;

			model_write(m, from, is_value ? from + 1 : to, is_value, fxid);
			rig_commit(m->txns, fxid);
			break;
		}
		default:
		{
			RigSnapshot *snapshot = rig_snapshot(m->txns, 0, 0);

			model_scan(m, snapshot);
			rig_release(snapshot);
		}
	}
}

TEST(against_a_model)
{
	static Model m;

	for (unsigned round = 0; round < 8; round++)
	{
		uint64_t fxid;

		memset(&m, 0, sizeof(m));
		m.txns = rig_txns_create();
		init(&m.rig);
		rig_txns_use(m.txns, m.rig.db);
		fxid = rig_begin(m.txns);
		model_write(&m, 0, MODEL_KEYS, true, fxid);
		rig_commit(m.txns, fxid);
		for (unsigned step = 0; step < 400; step++)
			model_step(&m);
		rig_close(&m.rig);
		rig_txns_destroy(m.txns);
		rig_remove(&m.rig);
	}
}

/* ---- a writer and a scanner at the same time ---- */

#define RACE_KEYS 300
#define RACE_TXNS 20000
#define RACE_TXNS_PER_LEAP 100 /* whatever the scheduler does, both run until there were so many leaps */

typedef struct Race
{
	uint64_t done; /* transactions up to this one have committed, in order */
	uint64_t stop;
	unsigned key[RIG_TXNS]; /* of each transaction */
	uint64_t taken;			/* the scanner's snapshot */
	uint64_t leaps;			/* the scanner's, which the writer does not leave far behind */
} Race;

static NvmkvSight
race_visible(void *ctx, NvmkvSlice key, uint64_t fxid, uint32_t cid, bool committed_hint, uint8_t *memo)
{
	const Race *race = ctx;

	(void) key;
	(void) cid;
	(void) committed_hint;
	(void) memo;
	return fxid <= race->taken ? NVMKV_SEEN : NVMKV_UNSEEN;
}

static uint64_t
race_horizon(void *ctx)
{
	const Race *race = ctx;

	return race->taken + 1;
}

/*
 * Puts a row somewhere and takes it away again: after an odd number of transactions there is one.  It waits, between
 * two transactions, for a scanner that has no processor: the race is within them.
 */
static void
race_write(NvmkvDb *db, Race *race)
{
	uint64_t random = 1;

	port_posix_set_slot(1);
	for (uint64_t fxid = 3; fxid < RIG_TXNS && port_load_acquire(&race->stop) == 0; fxid++)
	{
		while (fxid / RACE_TXNS_PER_LEAP > port_load_acquire(&race->leaps) + 1 &&
			   port_load_acquire(&race->stop) == 0)
			port_sleep_us(10);
		random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		race->key[fxid] = fxid % 2 == 0 ? race->key[fxid - 1] : (unsigned) (random >> 33) % RACE_KEYS;
		if (rig_entry(db, fxid % 2 == 0 ? NVMKV_KIND_DELETION : NVMKV_KIND_VALUE, rig_key(race->key[fxid]), fxid, 0,
					  rig_slice("")) != NVMKV_OK)
			_exit(1);
		port_store_release(&race->done, fxid);
	}
	_exit(0);
}

TEST(a_writer_beside_the_scanner)
{
	Race *race = port_posix_shared_alloc(sizeof(Race));
	NvmkvSnapshot snapshot = {race, race_visible, NVMKV_SEQUENCE_MAX, race_horizon};
	uint64_t leaps = 0;
	uint64_t scans = 0;
	int status = 0;
	pid_t writer;
	Rig rig;

	init(&rig);
	fill(rig.db, NVMKV_KIND_VALUE, 0, RACE_KEYS, 1);
	fill(rig.db, NVMKV_KIND_DELETION, 0, RACE_KEYS, 2);
	race->done = 2;
	writer = fork();
	if (writer == 0)
		race_write(rig.db, race);
	REQUIRE(writer > 0);
	while (port_load_acquire(&race->done) < RACE_TXNS && scans < 1000000)
	{
		Seen seen;

		race->taken = port_load_acquire(&race->done);
		seen = scan_range(rig.db, &snapshot, scans++ % 2 == 0, 0, 9999, 9);
		leaps += seen.leaps;
		port_store_release(&race->leaps, leaps);
		CHECK_EQ(seen.rows, race->taken % 2);
		if (seen.rows > 0)
			CHECK_EQ(seen.first, race->key[race->taken]);
	}
	port_store_release(&race->stop, 1);
	CHECK(waitpid(writer, &status, 0) == writer && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK(leaps >= RACE_TXNS / RACE_TXNS_PER_LEAP - 2);
	rig_close(&rig);
	port_posix_shared_free(race, sizeof(Race));
	rig_remove(&rig);
}

TEST_MAIN()
