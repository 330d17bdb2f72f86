/*
 * model_test.c
 *	  Random operations on a database and on a plain model of it, compared all
 *	  the time, under random options.
 *
 * The model keeps every version ever written.  What a snapshot sees of a key
 * is the newest version that belongs to a transaction it sees.  A kill takes
 * away a tail of the unsynced log: the database says how long it is, the model
 * checks that it is allowed and forgets the same.
 *
 * In some rounds the storages are in several column families, which batches
 * write across, and which come and go.
 *
 * NVMKV_SEED repeats a run, NVMKV_MODEL_SECONDS makes it long; a failure
 * prints the seed of the round it happened in: with it in NVMKV_SEED that
 * round comes first.
 */
#include "lib/rig.h"

#include "lib/check.h"

#define MIB (UINT64_C(1) << 20)

#define SCANS 4
#define TXNS 6
#define SNAPSHOTS 5
#define STORAGES 4
#define FAMILIES 4
#define DEFAULT_SECONDS 8.0

typedef enum Mode
{
	MODE_UNTAGGED, /* as in the standalone library */
	MODE_TAGGED,   /* all by transactions */
	MODE_MIXED,
	MODES
} Mode;

typedef struct Ver
{
	uint64_t seq;
	uint64_t fxid; /* 0: untagged */
	uint32_t cid;
	uint8_t kind;
	uint32_t size;
	uint64_t seed;
} Ver;

typedef struct Key
{
	uint8_t *data;
	size_t size;
	unsigned storage;
	unsigned family;
	Ver *versions; /* oldest first */
	unsigned nversions, capacity;
	struct Key *next_dead;
} Key;

typedef struct OpenTxn
{
	uint64_t fxid; /* 0: none */
	uint32_t cid;
	uint64_t last_seq;
} OpenTxn;

typedef struct OpenScan
{
	NvmkvScan *scan; /* NULL: none */
	RigSnapshot *snapshot;
	bool reverse;
	unsigned family;
	Key **keys; /* what it must show */
	Ver *versions;
	unsigned n, at;
} OpenScan;

typedef struct Model
{
	Rig rig;
	RigTxns *txns;
	Mode mode;
	Key **keys; /* in order, by family */
	unsigned nkeys;
	Key *dead; /* of dropped storages, until the end: scans may show them */
	unsigned nstorages;
	unsigned home[STORAGES]; /* the family each is in */
	unsigned max_families;
	uint32_t families; /* bit i: there is family i */
	uint64_t next_family; /* a name for it */
	uint64_t next_storage;
	uint32_t value_max;
	bool deep; /* enough data to need level 2 */
	OpenTxn open[TXNS];
	RigSnapshot *snapshots[SNAPSHOTS];
	OpenScan scans[SCANS];
	uint64_t synced;   /* sequence that must survive a kill */
	uint64_t assigned; /* last sequence written */
	uint64_t *ends;	   /* last sequences of batches since the last kill */
	unsigned nends, ends_capacity;
	uint64_t ops;
	unsigned failures; /* check_failures at the start of the round */
	uint8_t *scratch;
} Model;

static bool
failed(const Model *m)
{
	return check_failures > m->failures;
}

static uint64_t
below(uint64_t bound)
{
	return check_random_below(bound);
}

static bool
one_in(uint64_t n)
{
	return below(n) == 0;
}

static void *
grow(void *p, size_t bytes)
{
	p = realloc(p, bytes > 0 ? bytes : 1);
	if (p == NULL)
		exit(2);
	return p;
}

static void
fill(uint8_t *data, size_t size, uint64_t seed)
{
	size_t i;

	for (i = 0; i < size; i += 8)
	{
		size_t n = size - i < 8 ? size - i : 8;

		seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		memcpy(data + i, &seed, n);
	}
}

static NvmkvSlice
key_slice(const Key *key)
{
	return nvmkv_slice(key->data, key->size);
}

static bool
value_is(const Model *m, const Ver *version, NvmkvSlice value)
{
	if (value.size != version->size)
		return false;
	fill(m->scratch, version->size, version->seed);
	return version->size == 0 || memcmp(m->scratch, value.data, value.size) == 0;
}

/* ---- keys ---- */

static int
compare_keys(const void *a, const void *b)
{
	const Key *x = *(Key *const *) a;
	const Key *y = *(Key *const *) b;

	if (x->family != y->family)
		return x->family < y->family ? -1 : 1;
	return slice_compare(key_slice(x), key_slice(y));
}

static Key *
make_key(unsigned storage, unsigned family, uint64_t id)
{
	Key *key = calloc(1, sizeof(Key));

	if (key == NULL)
		exit(2);
	/* The 8 bytes alone are where a storage is dropped. */
	key->size = 9 + (one_in(20) ? below(300) : below(12));
	key->data = grow(NULL, key->size);
	put_be64(key->data, id);
	check_random_bytes(key->data + 8, key->size - 8);
	/* Long common prefixes and zero bytes are where comparisons go wrong. */
	if (key->size > 12 && one_in(2))
		memset(key->data + 8, one_in(2) ? 0 : 0xff, key->size - 12);
	key->storage = storage;
	key->family = family;
	return key;
}

static void
sort_keys(Model *m)
{
	unsigned i, kept = 0;

	qsort(m->keys, m->nkeys, sizeof(Key *), compare_keys);
	for (i = 0; i < m->nkeys; i++)
	{
		if (kept > 0 && compare_keys(&m->keys[kept - 1], &m->keys[i]) == 0)
		{
			/* A new key that exists already: the one with a history stays. */
			if (m->keys[kept - 1]->nversions == 0)
			{
				Key *swap = m->keys[kept - 1];

				m->keys[kept - 1] = m->keys[i];
				m->keys[i] = swap;
			}
			m->keys[i]->next_dead = m->dead;
			m->dead = m->keys[i];
		}
		else
			m->keys[kept++] = m->keys[i];
	}
	m->nkeys = kept;
}

static void
add_version(Key *key, const Ver *version)
{
	if (key->nversions == key->capacity)
	{
		key->capacity = key->capacity == 0 ? 4 : 2 * key->capacity;
		key->versions = grow(key->versions, key->capacity * sizeof(Ver));
	}
	key->versions[key->nversions++] = *version;
}

static bool
is_aborted(const Model *m, const Ver *v)
{
	return v->fxid != 0 && m->txns->txn[v->fxid].state == RIG_TXN_ABORTED;
}

static bool
is_running(const Model *m, const Ver *v)
{
	return v->fxid != 0 && m->txns->txn[v->fxid].state == RIG_TXN_RUNNING;
}

/* What the snapshot (NULL: all untagged) sees of the key: NULL when nothing, or a deletion. */
static const Ver *
visible(const Key *key, const RigSnapshot *snapshot)
{
	unsigned i;

	for (i = key->nversions; i-- > 0;)
	{
		const Ver *v = &key->versions[i];

		if (v->kind == NVMKV_KIND_LOCK || v->kind == NVMKV_KIND_RANGE_DELETION)
			continue;
		if (v->fxid == 0 || (snapshot != NULL && rig_sees(snapshot, v->fxid, v->cid)))
			return v->kind == NVMKV_KIND_VALUE ? v : NULL;
	}
	return NULL;
}

/* May a writer (fxid, or 0) write the key?  Not over data of another running transaction. */
static bool
may_write(const Model *m, const Key *key, uint64_t fxid)
{
	unsigned i;

	for (i = key->nversions; i-- > 0;)
	{
		const Ver *v = &key->versions[i];

		if (v->kind == NVMKV_KIND_LOCK || is_aborted(m, v))
			continue;
		return !is_running(m, v) || v->fxid == fxid;
	}
	return true;
}

/* ---- database ---- */

static void
random_options(Model *m)
{
	NvmkvOptions *o = &m->rig.options;
	unsigned i;

	rig_options(o);
	o->write_buffer_bytes = (1 + below(4)) * MIB;
	o->max_write_buffers = (unsigned) (2 + below(5));
	o->nvm_bytes = one_in(4) ? 0 : (16 + below(17)) * MIB;
	o->target_file_bytes = one_in(3) ? (1 + below(4)) * MIB : 1 * MIB;
	o->block_bytes = 1024u << below(7);
	o->restart_interval = (unsigned) (1 + below(32));
	o->bloom_bits_per_key = (unsigned) below(16);
	o->prefix_bytes = (unsigned) below(9);
	o->value_threshold_bytes = one_in(4) ? 0 : (uint32_t) (64 + below(2000));
	for (i = 0; i < NVMKV_LEVELS; i++)
		o->compression[i] = (uint8_t) below(3);
	o->l0_write_amplification = 1.5 + (double) below(100) / 20.0;
	o->log_buffer_bytes = (64 + below(1000)) * 1024;
	if (m->deep)
	{
		o->write_buffer_bytes = 1 * MIB;
		o->nvm_bytes = one_in(4) ? 16 * MIB : 0;
		o->target_file_bytes = 1 * MIB;
	}
	o->max_families = m->max_families;
	/* What is reserved for a family is as much as the database itself has. */
	if (m->max_families > 1 && o->nvm_bytes == 0)
		o->nvm_bytes = 16 * MIB;
}

/* ---- families ---- */

static bool
has_family(const Model *m, unsigned family)
{
	return (m->families >> family & 1) != 0;
}

static unsigned
some_family(const Model *m)
{
	unsigned family;

	while (!has_family(m, family = (unsigned) below(m->max_families)))
		;
	return family;
}

/* NULL after a failure. */
static NvmkvDb *
family_db(Model *m, unsigned family)
{
	NvmkvDb *db = NULL;

	if (m->rig.db != NULL)
		CHECK_OK(nvmkv_family(m->rig.db, family, &db));
	return db;
}

static void
make_family(Model *m, unsigned family)
{
	NvmkvFamilyOptions shape;
	char name[24];
	unsigned id = 0, i;

	nvmkv_family_options_default(m->rig.db, &shape);
	shape.write_buffer_bytes = 1 * MIB;
	shape.max_write_buffers = 2;
	shape.nvm_bytes = one_in(2) ? 0 : 16 * MIB;
	shape.target_file_bytes = (1 + below(3)) * MIB;
	shape.block_bytes = 1024u << below(7);
	shape.bloom_bits_per_key = (unsigned) below(16);
	for (i = 0; i < NVMKV_LEVELS; i++)
		shape.compression[i] = (uint8_t) below(3);
	(void) snprintf(name, sizeof(name), "%" PRIu64, m->next_family++);
	CHECK_OK(nvmkv_family_create(m->rig.db, one_in(2) ? family : 0, name, &shape, &id));
	m->families |= UINT32_C(1) << id;
}

static void
close_scan(OpenScan *s)
{
	nvmkv_scan_destroy(s->scan);
	rig_release(s->snapshot);
	free(s->keys);
	free(s->versions);
	memset(s, 0, sizeof(*s));
}

static void
open_database(Model *m)
{
	CHECK_OK(rig_open(&m->rig));
	if (m->rig.db != NULL && m->mode != MODE_UNTAGGED)
		rig_txns_use(m->txns, m->rig.db);
}

/* A kill: what was not synced may be gone. */
static void
kill_and_recover(Model *m)
{
	NvmkvStats stats;
	uint64_t durable = nvmkv_durable_seq(m->rig.db);
	uint64_t last;
	unsigned i;

	for (i = 0; i < SCANS; i++)
		close_scan(&m->scans[i]);
	if (durable > m->synced)
		m->synced = durable;
	rig_close(&m->rig);
	if (one_in(3))
		random_options(m);
	open_database(m);
	if (m->rig.db == NULL)
		return;
	nvmkv_stats(m->rig.db, &stats);
	last = stats.last_sequence;
	CHECK(last >= m->synced);
	CHECK(last <= m->assigned);
	/* A batch is there whole or not at all. */
	for (i = 0; i < m->nends && m->ends[i] != last; i++)
		;
	CHECK(i < m->nends || last == (m->nends == 0 ? m->assigned : 0));
	for (i = 0; i < m->nkeys; i++)
	{
		Key *key = m->keys[i];

		while (key->nversions > 0 && key->versions[key->nversions - 1].seq > last)
			key->nversions--;
	}
	m->assigned = m->synced = last;
	m->ends[0] = last;
	m->nends = 1;
	for (i = 0; i < SNAPSHOTS; i++)
	{
		rig_release(m->snapshots[i]);
		m->snapshots[i] = NULL;
	}
	if (m->mode != MODE_UNTAGGED)
		rig_abort_running(m->txns);
	memset(m->open, 0, sizeof(m->open));
}

/* ---- writing ---- */

static OpenTxn *
some_txn(Model *m)
{
	OpenTxn *t = &m->open[below(TXNS)];

	if (m->mode == MODE_UNTAGGED || (m->mode == MODE_MIXED && one_in(2)))
		return NULL;
	if (t->fxid == 0)
	{
		t->fxid = rig_begin(m->txns);
		t->cid = 0;
		t->last_seq = 0;
	}
	return t;
}

/* Ends the transaction, and what reads in its name. */
static void
end_txn(Model *m, OpenTxn *t)
{
	unsigned i;

	if (t->fxid == 0)
		return;
	for (i = 0; i < SCANS; i++)
		if (m->scans[i].snapshot != NULL && m->scans[i].snapshot->own_fxid == t->fxid)
			close_scan(&m->scans[i]);
	for (i = 0; i < SNAPSHOTS; i++)
		if (m->snapshots[i] != NULL && m->snapshots[i]->own_fxid == t->fxid)
		{
			rig_release(m->snapshots[i]);
			m->snapshots[i] = NULL;
		}
	if (one_in(4))
		rig_abort(m->txns, t->fxid);
	else
	{
		/* The log first, as a commit does. */
		CHECK_OK(nvmkv_sync(m->rig.db, t->last_seq));
		if (t->last_seq > m->synced)
			m->synced = t->last_seq;
		rig_commit(m->txns, t->fxid);
	}
	memset(t, 0, sizeof(*t));
}

static void
note_written(Model *m, uint64_t last, unsigned count)
{
	CHECK_EQ(last, m->assigned + count);
	m->assigned = last;
	if (m->nends == m->ends_capacity)
	{
		m->ends_capacity *= 2;
		m->ends = grow(m->ends, m->ends_capacity * sizeof(uint64_t));
	}
	m->ends[m->nends++] = last;
}

static void
op_write(Model *m)
{
	NvmkvBatch batch = {0};
	OpenTxn *t = some_txn(m);
	uint64_t fxid = t != NULL ? t->fxid : 0;
	unsigned want = (unsigned) (one_in(3) ? 1 + below(20) : 1);
	unsigned base_storage = (unsigned) below(m->nkeys);
	Key *keys[20];
	Ver versions[20];
	unsigned n = 0;
	uint64_t last = 0;
	unsigned i;

	for (i = 0; i < want; i++)
	{
		/* Neighbours often, so that ranges get dense. */
		Key *key = m->keys[one_in(2) ? below(m->nkeys) : (base_storage + below(10)) % m->nkeys];
		Ver *v = &versions[n];
		NvmkvStatus st;

		if (!may_write(m, key, fxid))
			continue;
		memset(v, 0, sizeof(*v));
		v->fxid = fxid;
		v->cid = t != NULL ? t->cid : 0;
		v->kind = one_in(5) ? NVMKV_KIND_DELETION : NVMKV_KIND_VALUE;
		if (fxid != 0 && one_in(10))
			v->kind = NVMKV_KIND_LOCK;
		v->seed = check_random();
		if (v->kind == NVMKV_KIND_VALUE)
			v->size = (uint32_t) (one_in(50) ? below(m->value_max) : below(m->value_max / 20 + 1));
		else if (v->kind == NVMKV_KIND_LOCK)
			v->size = 1;
		fill(m->scratch, v->size, v->seed);
		nvmkv_batch_family(&batch, key->family);
		if (fxid != 0)
			st = nvmkv_batch_put_tagged(&batch, v->kind | NVMKV_TYPE_TAGGED_BIT, key_slice(key), fxid, v->cid,
										nvmkv_slice(m->scratch, v->size));
		else
			st = nvmkv_batch_put(&batch, v->kind, key_slice(key), nvmkv_slice(NULL, 0),
								 nvmkv_slice(m->scratch, v->size));
		CHECK_OK(st);
		keys[n++] = key;
		if (batch.memtable_bytes > 512 * 1024)
			break;
	}
	if (n > 0)
	{
		CHECK_OK(rig_write(m->rig.db, &batch, &last));
		if (!failed(m))
		{
			note_written(m, last, n);
			for (i = 0; i < n; i++)
			{
				versions[i].seq = last - n + 1 + i;
				add_version(keys[i], &versions[i]);
			}
			if (t != NULL)
			{
				t->last_seq = last;
				t->cid += one_in(2) ? 1 : 0;
			}
		}
	}
	nvmkv_batch_free(&batch);
}

/* Nobody uses them any more. */
static void
end_all(Model *m)
{
	unsigned i;

	for (i = 0; i < TXNS; i++)
		end_txn(m, &m->open[i]);
	for (i = 0; i < SCANS; i++)
		close_scan(&m->scans[i]);
}

/* The storage's keys are gone, others take their place, perhaps in another family. */
static void
renew_storage(Model *m, unsigned storage)
{
	unsigned i, kept, dropped = 0;

	for (i = kept = 0; i < m->nkeys; i++)
	{
		Key *key = m->keys[i];

		if (key->storage == storage)
		{
			key->next_dead = m->dead;
			m->dead = key;
			dropped++;
		}
		else
			m->keys[kept++] = key;
	}
	m->next_storage++;
	m->home[storage] = some_family(m);
	for (i = 0; i < dropped; i++)
		m->keys[kept++] = make_key(storage, m->home[storage], m->next_storage);
	sort_keys(m);
}

/* A family that is there goes, with all that is in it; one that is not there is made. */
static void
op_family(Model *m)
{
	unsigned family = (unsigned) below(m->max_families);
	unsigned storage;

	if (family == 0)
		return;
	if (!has_family(m, family))
	{
		make_family(m, family);
		return;
	}
	end_all(m);
	if (failed(m))
		return;
	CHECK_OK(nvmkv_family_drop(m->rig.db, family));
	m->families &= ~(UINT32_C(1) << family);
	/* At once, so that its number is used again while the log has much of the old one. */
	if (one_in(2))
		make_family(m, family);
	for (storage = 0; storage < m->nstorages && !failed(m); storage++)
		if (m->home[storage] == family)
			renew_storage(m, storage);
}

/* DROP TABLE: another storage takes its place. */
static void
op_drop_storage(Model *m)
{
	unsigned storage = (unsigned) below(m->nstorages);
	uint8_t prefix[8];
	uint64_t fxid = 0;
	bool aborts = m->mode != MODE_UNTAGGED && one_in(3);
	NvmkvBatch batch = {0};
	uint64_t last;
	unsigned i;

	end_all(m);
	for (i = 0; i < m->nkeys && m->keys[i]->storage != storage; i++)
		;
	if (i == m->nkeys || failed(m))
		return;
	memcpy(prefix, m->keys[i]->data, sizeof(prefix));
	nvmkv_batch_family(&batch, m->home[storage]);
	if (m->mode == MODE_UNTAGGED)
		CHECK_OK(nvmkv_batch_put(&batch, NVMKV_TYPE_RANGE_DELETION, nvmkv_slice(prefix, 8), nvmkv_slice(NULL, 0),
								 nvmkv_slice(NULL, 0)));
	else
	{
		fxid = rig_begin(m->txns);
		CHECK_OK(nvmkv_batch_put_tagged(&batch, NVMKV_TYPE_TAGGED_RANGE_DELETION, nvmkv_slice(prefix, 8), fxid, 0,
										nvmkv_slice(NULL, 0)));
	}
	CHECK_OK(rig_write(m->rig.db, &batch, &last));
	nvmkv_batch_free(&batch);
	if (failed(m))
		return;
	note_written(m, last, 1);
	CHECK_OK(nvmkv_sync(m->rig.db, last));
	m->synced = last;
	if (aborts)
	{
		rig_abort(m->txns, fxid);
		return;
	}
	if (fxid != 0)
		rig_commit(m->txns, fxid);
	renew_storage(m, storage);
}

/* ---- reading ---- */

/* Held as long as the caller uses it; NULL in untagged mode. */
static RigSnapshot *
take_snapshot(Model *m)
{
	OpenTxn *t = &m->open[below(TXNS)];

	if (m->mode == MODE_UNTAGGED)
		return NULL;
	if (t->fxid != 0 && one_in(3))
	{
		/* With or without what the current command wrote; what comes later belongs to a later one. */
		t->cid += (uint32_t) below(2);
		return rig_snapshot(m->txns, t->fxid, t->cid);
	}
	return rig_snapshot(m->txns, 0, 0);
}

static void
check_get(Model *m, const Key *key, const RigSnapshot *snapshot)
{
	NvmkvBuf value = {0};
	NvmkvVersion version;
	NvmkvStatus st = nvmkv_get(family_db(m, key->family), key_slice(key), snapshot != NULL ? &snapshot->base : NULL,
							   &value, &version);
	const Ver *expected = visible(key, snapshot);

	if (!CHECK_STATUS(st, expected != NULL ? NVMKV_OK : NVMKV_NOT_FOUND))
		;
	else if (expected != NULL)
	{
		CHECK_EQ(version.sequence, expected->seq);
		CHECK(value_is(m, expected, nvmkv_buf_slice(&value)));
	}
	nvmkv_buf_free(&value);
}

static void
op_get(Model *m)
{
	RigSnapshot *held = m->snapshots[below(SNAPSHOTS)];
	RigSnapshot *fresh = held == NULL || one_in(2) ? take_snapshot(m) : NULL;

	check_get(m, m->keys[below(m->nkeys)], fresh != NULL ? fresh : held);
	rig_release(fresh);
}

typedef struct Seen
{
	Model *m;
	const Key *key;
	uint64_t last_seq;
	bool found[4096]; /* of the key's versions */
} Seen;

static bool
see_version(void *ctx, const NvmkvVersion *version)
{
	Seen *seen = ctx;
	const Key *key = seen->key;
	unsigned i;

	CHECK(version->sequence <= seen->last_seq);
	seen->last_seq = version->sequence;
	for (i = key->nversions; i-- > 0 && key->versions[i].seq != version->sequence;)
		;
	CHECK(i < key->nversions);
	if (i < key->nversions)
	{
		const Ver *v = &key->versions[i];

		CHECK_EQ(version->type & NVMKV_TYPE_KIND_MASK, v->kind);
		CHECK(value_is(seen->m, v, version->value));
		if ((version->type & NVMKV_TYPE_TAGGED_BIT) != 0)
		{
			CHECK_EQ(version->txn.fxid, v->fxid);
			CHECK_EQ(version->txn.cid, v->cid);
		}
		if (i < 4096)
			seen->found[i] = true;
	}
	return true;
}

/*
 * What a conflict check walks: nothing is invented, the newest come first, and all that runs is there down to the
 * newest data that is not of an aborted transaction.
 */
static void
op_versions(Model *m)
{
	static Seen seen;
	const Key *key = m->keys[below(m->nkeys)];
	unsigned i;

	memset(&seen, 0, sizeof(seen));
	seen.m = m;
	seen.key = key;
	seen.last_seq = UINT64_MAX;
	CHECK_OK(nvmkv_versions(family_db(m, key->family), key_slice(key), see_version, &seen));
	for (i = key->nversions; i-- > 0;)
	{
		const Ver *v = &key->versions[i];

		if (is_running(m, v) && i < 4096)
			CHECK(seen.found[i]);
		if (v->kind != NVMKV_KIND_LOCK && !is_aborted(m, v))
			break;
	}
}

/* The family's keys: [first, end). */
static void
keys_of_family(const Model *m, unsigned family, unsigned *first, unsigned *end)
{
	unsigned i;

	for (i = 0; i < m->nkeys && m->keys[i]->family < family; i++)
		;
	*first = i;
	for (; i < m->nkeys && m->keys[i]->family == family; i++)
		;
	*end = i;
}

/* Bounds of a scan: often close together, sometimes absent, in front of or behind everything.  Returns the family. */
static unsigned
random_range(Model *m, NvmkvSlice *lower, NvmkvSlice *upper, unsigned *first, unsigned *end)
{
	unsigned family = m->keys[below(m->nkeys)]->family;
	unsigned low, high, a, b;

	keys_of_family(m, family, &low, &high);
	a = low + (unsigned) below(high - low);
	b = one_in(2) ? low + (unsigned) below(high - low) : a + (unsigned) below(30);
	if (b >= high)
		b = high - 1;
	if (a > b)
	{
		unsigned swap = a;

		a = b;
		b = swap;
	}
	*lower = key_slice(m->keys[a]);
	*first = a;
	if (one_in(5))
	{
		*lower = nvmkv_slice(NULL, 0);
		*first = low;
	}
	*upper = key_slice(m->keys[b]);
	*end = b;
	if (one_in(5))
	{
		*upper = nvmkv_slice(NULL, 0);
		*end = high;
	}
	return family;
}

/* Starts a scan in the slot, whose snapshot it takes over. */
static void
start_scan(Model *m, OpenScan *s, RigSnapshot *snapshot, unsigned family, NvmkvSlice lower, NvmkvSlice upper,
		   unsigned first, unsigned end)
{
	unsigned i;

	s->snapshot = snapshot;
	s->family = family;
	s->reverse = one_in(2);
	s->keys = grow(NULL, (end - first) * sizeof(Key *));
	s->versions = grow(NULL, (end - first) * sizeof(Ver));
	for (i = first; i < end; i++)
	{
		unsigned at = s->reverse ? end - 1 - (i - first) : i;
		const Ver *v = visible(m->keys[at], snapshot);

		if (v == NULL)
			continue;
		s->keys[s->n] = m->keys[at];
		s->versions[s->n++] = *v;
	}
	CHECK_OK(nvmkv_scan_create(family_db(m, family), &s->scan));
	if (s->scan != NULL)
		CHECK_OK(nvmkv_scan_start(s->scan, lower, upper, s->reverse, snapshot != NULL ? &snapshot->base : NULL));
}

/* Rows of storages that are gone may or may not be there any more. */
static bool
is_of_the_model(const Model *m, unsigned family, NvmkvSlice key)
{
	Key probe;
	Key *p = &probe;

	memset(&probe, 0, sizeof(probe));
	probe.family = family;
	probe.data = (uint8_t *) (uintptr_t) key.data;
	probe.size = key.size;
	return bsearch(&p, m->keys, m->nkeys, sizeof(Key *), compare_keys) != NULL;
}

/* One batch; false: the scan is over. */
static bool
continue_scan(Model *m, OpenScan *s)
{
	const NvmkvScanRow *rows;
	unsigned n, i;

	if (s->scan == NULL ||
		!CHECK_STATUS(nvmkv_scan_batch(s->scan, (unsigned) (1 + below(40)), (size_t) (1 + below(100000)), &rows, &n),
					  NVMKV_OK))
		return false;
	for (i = 0; i < n && !failed(m); i++)
	{
		if (rows[i].beneath || !is_of_the_model(m, s->family, rows[i].key))
			continue; /* hints: unit/own_test.c */
		CHECK(s->at < s->n);
		if (s->at < s->n)
		{
			CHECK(slice_equal(rows[i].key, key_slice(s->keys[s->at])));
			CHECK_EQ(rows[i].sequence, s->versions[s->at].seq);
			CHECK(value_is(m, &s->versions[s->at], rows[i].value));
		}
		s->at++;
	}
	if (n == 0)
		CHECK_EQ(s->at, s->n);
	return n > 0 && !failed(m);
}

static void
op_scan(Model *m)
{
	OpenScan *s = &m->scans[below(SCANS)];
	NvmkvSlice lower, upper;
	unsigned family, first, end;
	RigSnapshot *snapshot;
	OpenScan whole;

	if (s->scan != NULL)
	{
		if (!continue_scan(m, s))
			close_scan(s);
		return;
	}
	family = random_range(m, &lower, &upper, &first, &end);
	snapshot = take_snapshot(m);
	if (m->mode == MODE_TAGGED && snapshot != NULL && one_in(2))
	{
		start_scan(m, s, snapshot, family, lower, upper, first, end);
		return;
	}
	memset(&whole, 0, sizeof(whole));
	start_scan(m, &whole, snapshot, family, lower, upper, first, end);
	while (continue_scan(m, &whole))
		;
	close_scan(&whole);
}

static void
scan_all(Model *m)
{
	unsigned i;

	for (i = 0; i < 2 * m->max_families && !failed(m); i++)
	{
		OpenScan whole;
		unsigned first, end;

		if (!has_family(m, i / 2))
			continue;
		keys_of_family(m, i / 2, &first, &end);
		memset(&whole, 0, sizeof(whole));
		start_scan(m, &whole, take_snapshot(m), i / 2, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0), first, end);
		while (continue_scan(m, &whole))
			;
		close_scan(&whole);
	}
}

static void
print_problem(void *ctx, const char *where, const char *text)
{
	(void) ctx;
	check_failed(__FILE__, __LINE__, text);
	fprintf(stderr, "    check: %s: %s\n", where, text);
}

/* ---- other operations ---- */

static void
op_work(Model *m)
{
	NvmkvDb *db = m->rig.db;
	NvmkvEstimate estimate;
	NvmkvSlice lower, upper;
	unsigned first, end;
	bool did, more;
	NvmkvStatus st = NVMKV_OK;

	switch (below(9))
	{
		case 0:
		case 1:
			st = nvmkv_switch_memtable(family_db(m, some_family(m)));
			break;
		case 2:
		case 3:
			st = nvmkv_work(db, NVMKV_WORK_FLUSH, &did, &more);
			if (st == NVMKV_NO_SPACE)
				st = nvmkv_work(db, NVMKV_WORK_COMPACT, &did, &more);
			break;
		case 4:
		case 5:
			st = nvmkv_work(db, NVMKV_WORK_COMPACT, &did, &more);
			break;
		case 6:
			st = nvmkv_work(db, NVMKV_WORK_RECLAIM, &did, &more);
			break;
		case 7:
			st = rig_settle(m->txns, db, below(2) == 0);
			break;
		case 8:
			db = family_db(m, random_range(m, &lower, &upper, &first, &end));
			st = nvmkv_estimate(db, lower, upper, &estimate);
			CHECK(estimate.entries >= 0 && estimate.bytes >= 0);
			nvmkv_tidy(m->rig.db);
			break;
	}
	if (st != NVMKV_BUSY)
		CHECK_OK(st);
}

static void
op_snapshot(Model *m)
{
	RigSnapshot **held = &m->snapshots[below(SNAPSHOTS)];

	if (*held != NULL)
	{
		rig_release(*held);
		*held = NULL;
	}
	else
		*held = take_snapshot(m);
}

static void
operation(Model *m)
{
	uint64_t dice = below(1000);

	m->ops++;
	if (dice < 600)
		op_write(m);
	else if (dice < 740)
		op_get(m);
	else if (dice < 820)
		op_scan(m);
	else if (dice < 850)
		op_versions(m);
	else if (dice < 900)
		end_txn(m, &m->open[below(TXNS)]);
	else if (dice < 930)
		op_snapshot(m);
	else if (dice < 985)
		op_work(m);
	else if (dice < 990)
		CHECK_OK(nvmkv_flush_all(m->rig.db));
	else if (dice < 993)
		CHECK_OK(nvmkv_compact_all(m->rig.db));
	else if (dice < 995)
		op_drop_storage(m);
	else if (dice < 996)
		op_family(m);
	else if (dice < 997)
		scan_all(m);
	else if (dice < 998)
		CHECK_OK(nvmkv_check(m->rig.db, print_problem, NULL));
	else if (one_in(2))
	{
		kill_and_recover(m);
		if (!failed(m))
			scan_all(m);
	}
}

/* ---- rounds ---- */

static void
free_key(Key *key)
{
	free(key->data);
	free(key->versions);
	free(key);
}

static void
round_end(Model *m)
{
	unsigned i;

	for (i = 0; i < SCANS; i++)
		close_scan(&m->scans[i]);
	rig_remove(&m->rig);
	for (i = 0; i < m->nkeys; i++)
		free_key(m->keys[i]);
	while (m->dead != NULL)
	{
		Key *next = m->dead->next_dead;

		free_key(m->dead);
		m->dead = next;
	}
	free(m->keys);
	free(m->ends);
	free(m->scratch);
	rig_txns_destroy(m->txns);
}

static uint64_t
play_round(uint64_t ops)
{
	Model m;
	unsigned i;

	memset(&m, 0, sizeof(m));
	m.failures = check_failures;
	m.txns = rig_txns_create();
	m.mode = (Mode) below(MODES);
	m.deep = one_in(5);
	m.max_families = (unsigned) (one_in(2) ? 1 : 2 + below(FAMILIES - 1));
	m.families = 1;
	rig_init(&m.rig);
	random_options(&m);
	m.nstorages = (unsigned) (1 + below(STORAGES));
	m.next_storage = 1000;
	m.nkeys = (unsigned) (m.deep ? 3500 : one_in(3) ? 20 + below(100) : 500 + below(3000));
	m.value_max = m.deep ? 150000 : (uint32_t) (100u << below(12));
	m.scratch = grow(NULL, (size_t) m.value_max + 64);
	m.ends_capacity = 1024;
	m.ends = grow(NULL, m.ends_capacity * sizeof(uint64_t));
	m.ends[0] = 0;
	m.nends = 1;
	open_database(&m);
	for (i = 1; i < m.max_families && !failed(&m); i++)
		make_family(&m, i);
	for (i = 0; i < m.nstorages; i++)
		m.home[i] = some_family(&m);
	m.keys = grow(NULL, m.nkeys * sizeof(Key *));
	for (i = 0; i < m.nkeys; i++)
	{
		unsigned storage = (unsigned) below(m.nstorages);

		m.keys[i] = make_key(storage, m.home[storage], storage + 1);
	}
	sort_keys(&m);
	while (m.ops < ops && !failed(&m) && m.txns->next_fxid < RIG_TXNS - 10)
		operation(&m);
	if (!failed(&m))
		kill_and_recover(&m);
	if (!failed(&m))
		CHECK_OK(nvmkv_compact_all(m.rig.db));
	if (!failed(&m))
		scan_all(&m);
	if (!failed(&m))
		CHECK_OK(nvmkv_check(m.rig.db, print_problem, NULL));
	round_end(&m);
	return m.ops;
}

TEST(random_operations)
{
	const char *text = getenv("NVMKV_MODEL_SECONDS");
	double seconds = text != NULL ? atof(text) : DEFAULT_SECONDS;
	uint64_t start = port_now_us();
	uint64_t ops = 0;
	unsigned rounds = 0;

	/* Only kills are played here: what the kernel has, it keeps. */
	port_files = &rig_quick_files;
	do
	{
		uint64_t seed = check_random_state;

		ops += play_round(4000 + below(8000));
		rounds++;
		if (check_failures > 0)
		{
			printf("round %u failed: NVMKV_SEED=%" PRIu64 "\n", rounds, seed);
			break;
		}
	} while ((double) (port_now_us() - start) < seconds * 1e6);
	port_files = &port_posix_files;
	printf("%" PRIu64 " operations in %u rounds\n", ops, rounds);
}

TEST_MAIN()
