/*
 * salvage.c
 *	  Everything readable of a database's tables, from files alone: what the server would show if it could, row by row
 *	  around damage.
 *
 * Of each key the newest version counts whose transaction has committed.  That
 * is told by the entry itself, by the tree's record of outcomes, by the server's
 * commit log (pg_xact), or by nobody: then the entry is left out, or taken (--unknown).  A damaged block may
 * have held a newer version of a key than the one that is found elsewhere: what
 * is lost is reported with its range of keys.
 *
 * The list of tables and their definitions are rows, too (registry.h and
 * definition.h of src/fdw).  A manifest that cannot be read to its end is made up for
 * by the directory: entries carry their order with them, whatever level
 * they are in.
 */
#include "tools/salvage.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "engine/base/batch.h"
#include "engine/db/family_file.h"
#include "engine/log/kept_log.h"
#include "engine/meta/outcome_file.h"
#include "engine/sst/value_read.h"
#include "engine/sst/value_refs.h"
#include "tools/dump_fold.h"
#include "tools/dump_map.h"
#include "tools/salvage_source.h"
#include "tools/salvage_text.h"

#define PATH_BYTES 4096
#define STORAGE_ID_BYTES 8
#define REGISTRY_PREFIX UINT64_MAX
#define REGISTRY_KEY_BYTES 20
#define FAMILY_SHIFT 56

/* One tree: the database itself, or a family. */
typedef struct Tree
{
	char dir[PATH_BYTES];
	DumpState state;
	DumpPool pool;
	bool has_pool;
	TableCache *values;
	bool whole; /* the manifest could be read to its end */
	SalvageSource *sources; /* of all its files and rows; some are used for a table */
	NvmkvSlice *smallest, *largest;
	size_t nsources, capacity;
} Tree;

/* pg_xact, by segments of 2^20 transactions, two bits each. */
#define XACT_SEGMENT_BYTES (32 * 8192)
#define XACT_PER_SEGMENT (XACT_SEGMENT_BYTES * 4)

typedef struct KeptOutcomes
{
	uint64_t from, to;
	uint8_t *bits; /* NULL: none has committed */
} KeptOutcomes;

typedef struct Salvage
{
	Dump *dump;
	const SalvageOptions *options;
	Tree *trees[NVMKV_FAMILIES_MAX];
	/* kept WAL */
	SalvageEntry *entries;
	size_t nentries, entries_capacity;
	KeptOutcomes *kept_outcomes;
	size_t nkept_outcomes;
	/* the commit log */
	char xact_dir[PATH_BYTES];
	uint32_t xact_segment; /* in "xact"; UINT32_MAX: none */
	bool has_segment;
	uint8_t *xact;
	/* the tree's own: a page of a file of it */
	OutcomeFile outcome_file;
	unsigned outcome_page;
	bool has_page;
	uint8_t outcome_bits[OUTCOME_PAGE_BYTES];
	/* of the table being read */
	uint64_t rows, unknown, lost;
} Salvage;

/* ---- sources ---- */

static SalvageSource *
add_source(Tree *tree, Dump *dump, NvmkvSlice smallest, NvmkvSlice largest)
{
	SalvageSource *s;

	if (tree->nsources == tree->capacity)
	{
		size_t capacity = tree->capacity == 0 ? 64 : 2 * tree->capacity;

		tree->sources = realloc(tree->sources, capacity * sizeof(SalvageSource));
		tree->smallest = realloc(tree->smallest, capacity * sizeof(NvmkvSlice));
		tree->largest = realloc(tree->largest, capacity * sizeof(NvmkvSlice));
		if (tree->sources == NULL || tree->smallest == NULL || tree->largest == NULL)
			abort();
		tree->capacity = capacity;
	}
	tree->smallest[tree->nsources] = smallest;
	tree->largest[tree->nsources] = largest;
	s = &tree->sources[tree->nsources++];
	memset(s, 0, sizeof(*s));
	s->dump = dump;
	return s;
}

static void
add_file(Tree *tree, Dump *dump, uint64_t number, uint64_t bytes, NvmkvSlice smallest, NvmkvSlice largest)
{
	SalvageSource *s = add_source(tree, dump, smallest, largest);

	s->number = number;
	s->bytes = bytes;
	if (sst_file_name(tree->dir, number, s->path, sizeof(s->path)) != NVMKV_OK)
		dump_failure(dump);
}

/* ---- without a whole manifest: the files of the directory ---- */

typedef struct Listing
{
	Tree *tree;
	Dump *dump;
	ValueRefs refs; /* of all tables: those are no tables themselves */
} Listing;

static NvmkvSlice
copied(NvmkvSlice slice)
{
	uint8_t *copy = malloc(slice.size + 1); /* for as long as the program runs */

	if (copy == NULL)
		abort();
	memcpy(copy, slice.data, slice.size);
	return nvmkv_slice(copy, slice.size);
}

static bool
list_table(void *ctx, const char *name)
{
	Listing *l = ctx;
	char path[PATH_BYTES];
	char *end;
	uint64_t number = strtoull(name, &end, 10);
	SstTable *table;
	struct stat st;

	if (end == name || strcmp(end, ".sst") != 0)
		return true;
	if (sst_file_name(l->tree->dir, number, path, sizeof(path)) != NVMKV_OK || stat(path, &st) != 0)
		return true;
	if (sst_table_open(path, number, (uint64_t) st.st_size, NULL, &table) != NVMKV_OK)
	{
		dump_failure(l->dump);
		return true;
	}
	add_file(l->tree, l->dump, number, (uint64_t) st.st_size, copied(sst_table_props(table)->smallest),
			 copied(sst_table_props(table)->largest));
	(void) value_refs_add_list(&l->refs, sst_table_props(table)->references);
	sst_table_unref(table);
	return true;
}

static void
list_directory(Tree *tree, Dump *dump)
{
	Listing l = {.tree = tree, .dump = dump};
	size_t i, kept = 0;

	fprintf(dump->err, "nvmkv_dump: \"%s\": the manifest cannot be read: all table files of the directory are\n", tree->dir);
	if (port_files->list(tree->dir, list_table, &l) != NVMKV_OK)
		dump_failure(dump);
	for (i = 0; i < tree->nsources; i++)
		if (value_refs_find(&l.refs, tree->sources[i].number) == NULL)
		{
			tree->sources[kept] = tree->sources[i];
			tree->smallest[kept] = tree->smallest[i];
			tree->largest[kept++] = tree->largest[i];
		}
	tree->nsources = kept;
	value_refs_free(&l.refs);
}

static void
add_rows(Tree *tree, Dump *dump)
{
	const VersionDraft *live = &tree->state.live;
	uint32_t i;

	for (i = 0; i < live->nrows; i++)
	{
		NvmRowRef ref = dump_row_ref(&live->rows[i]);
		SalvageSource *s;

		if (nvm_row_check_header(&tree->pool.pool, &ref) != NVMKV_OK)
		{
			dump_failure(dump);
			fprintf(dump->err, "nvmkv_dump: lost: rows with keys from ");
			dump_bytes_to(dump->err, live->rows[i].smallest);
			fprintf(dump->err, " up to ");
			dump_bytes_to(dump->err, live->rows[i].largest);
			fputc('\n', dump->err);
			continue;
		}
		s = add_source(tree, dump, live->rows[i].smallest, live->rows[i].largest);
		s->pool = &tree->pool.pool;
		s->row = ref;
	}
}

static Tree *
open_tree(Dump *dump, const char *dir, const char *pool)
{
	Tree *tree = calloc(1, sizeof(Tree));
	char beside[PATH_BYTES + 16];
	uint32_t i;

	if (tree == NULL)
		abort();
	(void) snprintf(tree->dir, sizeof(tree->dir), "%s", dir);
	(void) snprintf(beside, sizeof(beside), "%s/level0.pool", dir);
	tree->whole = dump_fold(dump, dir, false, &tree->state);
	if (tree->whole)
		for (i = 0; i < tree->state.live.nfiles; i++)
		{
			const MetaFile *f = &tree->state.live.files[i];

			if (f->level != VERSION_VALUES)
				add_file(tree, dump, f->number, f->bytes, f->smallest, f->largest);
		}
	else
		list_directory(tree, dump);
	if (tree->state.live.nrows > 0)
	{
		tree->has_pool = dump_pool_map(pool != NULL ? pool : beside, &tree->pool) == NVMKV_OK;
		if (!tree->has_pool)
		{
			dump_failure(dump);
			fprintf(dump->err, "nvmkv_dump: lost: %" PRIu32 " rows of the container, which hold what was written last\n",
					tree->state.live.nrows);
		}
		else
			add_rows(tree, dump);
	}
	if (table_cache_create(dir, TABLE_CACHE_TABLES_DEFAULT, NULL, &tree->values) != NVMKV_OK)
		dump_failure(dump);
	return tree;
}

static void
open_trees(Salvage *sv, const char *dir)
{
	NvmkvFamilyInfo families[NVMKV_FAMILIES_MAX];
	unsigned count = 0;
	unsigned i;

	sv->trees[0] = open_tree(sv->dump, dir, sv->options->pool);
	if (family_file_read(dir, families, &count) != NVMKV_OK)
		dump_failure(sv->dump);
	for (i = 0; i < count; i++)
	{
		char family_dir[PATH_BYTES];
		char family_pool[PATH_BYTES];

		(void) snprintf(family_dir, sizeof(family_dir), "%s/family-%u", dir, families[i].id);
		(void) snprintf(family_pool, sizeof(family_pool), "%s.family-%u",
						sv->options->pool != NULL ? sv->options->pool : "", families[i].id);
		sv->trees[families[i].id] = open_tree(sv->dump, family_dir, sv->options->pool != NULL ? family_pool : NULL);
	}
}

/* ---- kept WAL ---- */

static NvmkvStatus
take_batch(Salvage *sv, NvmkvSlice batch, uint64_t base, bool base_is_end)
{
	NvmkvSlice bytes = copied(batch);
	const uint8_t *end = bytes.data + bytes.size;
	const uint8_t *cursor;
	uint32_t count, i;

	NVMKV_RETURN_IF(nvmkv_batch_open(bytes, &count, &cursor));
	if (base_is_end)
		base = base - count + 1;
	for (i = 0; i < count; i++)
	{
		NvmkvBatchRecord record;

		NVMKV_RETURN_IF(nvmkv_batch_next(&cursor, end, &record));
		if (sv->nentries == sv->entries_capacity)
		{
			sv->entries_capacity = sv->entries_capacity == 0 ? 1024 : 2 * sv->entries_capacity;
			sv->entries = realloc(sv->entries, sv->entries_capacity * sizeof(SalvageEntry));
			if (sv->entries == NULL)
				abort();
		}
		sv->entries[sv->nentries++] =
			(SalvageEntry) {record.key, record.payload, ikey_tag(base + i, record.type)};
	}
	return NVMKV_OK;
}

static NvmkvStatus
take_outcomes(Salvage *sv, const KeptItem *item)
{
	KeptOutcomes *own;

	sv->kept_outcomes = realloc(sv->kept_outcomes, (sv->nkept_outcomes + 1) * sizeof(KeptOutcomes));
	if (sv->kept_outcomes == NULL)
		abort();
	own = &sv->kept_outcomes[sv->nkept_outcomes++];
	*own = (KeptOutcomes) {item->start, item->end, NULL};
	if (item->data.size > 0)
	{
		own->bits = malloc(item->data.size);
		if (own->bits == NULL)
			abort();
		memcpy(own->bits, item->data.data, item->data.size);
	}
	return NVMKV_OK;
}

/* Of the server's records only batches have rows: XLOG_NVMKV_WRITE of fdw/wal.h. */
static NvmkvStatus
take_kept(void *ctx, const KeptItem *item)
{
	Salvage *sv = ctx;

	if (item->kind == KEPT_OUTCOMES)
		return take_outcomes(sv, item);
	if (item->kind == KEPT_ENTRY)
		return take_batch(sv, item->data, item->start, false);
	return item->info == 0 ? take_batch(sv, item->data, item->end, true) : NVMKV_OK;
}

static void
kept_problem(void *ctx, const char *text)
{
	Salvage *sv = ctx;

	fprintf(sv->dump->err, "nvmkv_dump: kept WAL: %s\n", text);
	sv->dump->failed = true;
}

static int
compare_entries(const void *a, const void *b)
{
	const SalvageEntry *x = a;
	const SalvageEntry *y = b;

	return ikey_compare(x->key, x->tag, y->key, y->tag);
}

static void
read_kept(Salvage *sv, const char *dir)
{
	KeptReading reading = {.dir = dir, .lenient = true, .each = take_kept, .problem = kept_problem, .ctx = sv};
	KeptSummary summary;
	char path[PATH_BYTES + 16];
	unsigned family;

	if (kept_read(&reading, &summary) != NVMKV_OK)
		dump_failure(sv->dump);
	/* And of families alone; of a record the rest, which the trees have, is the same once more. */
	reading.dir = path;
	for (family = 1; family < NVMKV_FAMILIES_MAX; family++)
	{
		kept_family_dir(dir, family, path, sizeof(path));
		if (kept_read(&reading, &summary) != NVMKV_OK)
			dump_failure(sv->dump);
	}
	if (sv->nentries > 1)
		qsort(sv->entries, sv->nentries, sizeof(SalvageEntry), compare_entries);
}

/* ---- outcomes ---- */

typedef enum Outcome
{
	ABORTED,
	COMMITTED,
	UNKNOWN
} Outcome;

static bool
load_segment(Salvage *sv, uint32_t segment)
{
	char path[PATH_BYTES + 16];
	PortFile *file;
	size_t got = 0;

	if (sv->xact_segment == segment)
		return sv->has_segment;
	sv->xact_segment = segment;
	sv->has_segment = false;
	(void) snprintf(path, sizeof(path), "%s/%04X", sv->xact_dir, segment);
	if (port_files->open(path, PORT_FILE_READ, &file) != NVMKV_OK)
		return false;
	memset(sv->xact, 0, XACT_SEGMENT_BYTES);
	sv->has_segment = port_files->read_some(file, 0, sv->xact, XACT_SEGMENT_BYTES, &got) == NVMKV_OK;
	port_files->close(file);
	return sv->has_segment;
}

/* What the tree itself has noted, before the server's commit log may be truncated. */
static Outcome
recorded_outcome(Salvage *sv, uint64_t fxid)
{
	const Tree *root = sv->trees[0];
	const VersionDraft *live = &root->state.live;
	uint64_t segment = fxid >> OUTCOME_SEGMENT_SHIFT;
	unsigned page = outcome_page_of(fxid);
	uint32_t i;

	if (!root->whole || fxid >= live->settled || fxid < live->outcomes_low)
		return UNKNOWN;
	for (i = 0; i < live->nlost; i++)
		if (fxid >= live->lost[i].from && fxid < live->lost[i].to)
			return UNKNOWN;
	for (i = 0; i < live->nsegments && live->segments[i].segment != segment; i++)
		;
	if (i == live->nsegments)
		return ABORTED; /* a segment without a file has no commits */
	if (sv->outcome_file.number != live->segments[i].file || sv->outcome_page != page)
	{
		sv->outcome_file = (OutcomeFile) {live->system_identifier, live->segments[i].file, segment};
		sv->outcome_page = page;
		sv->has_page = outcome_file_read(root->dir, &sv->outcome_file, page, sv->outcome_bits) == NVMKV_OK;
		if (!sv->has_page)
			dump_failure(sv->dump);
	}
	if (!sv->has_page)
		return UNKNOWN;
	return outcome_bit(sv->outcome_bits, fxid % OUTCOME_PAGE_XIDS) ? COMMITTED : ABORTED;
}

/* What it had noted and could not save. */
static Outcome
kept_outcome(const Salvage *sv, uint64_t fxid)
{
	size_t i;

	for (i = 0; i < sv->nkept_outcomes; i++)
	{
		const KeptOutcomes *kept = &sv->kept_outcomes[i];

		if (fxid < kept->from || fxid >= kept->to)
			continue;
		if (kept->bits == NULL)
			return ABORTED;
		return outcome_bit(kept->bits + (fxid / 8 - kept->from / 8), fxid % 8) ? COMMITTED : ABORTED;
	}
	return UNKNOWN;
}

static Outcome
outcome_of(Salvage *sv, uint64_t tag, uint64_t fxid)
{
	uint32_t xid = (uint32_t) fxid;
	Outcome recorded;
	unsigned status;

	if (!ikey_is_tagged(tag) || (ikey_type(tag) & NVMKV_TYPE_COMMITTED_BIT) != 0)
		return COMMITTED;
	recorded = recorded_outcome(sv, fxid);
	if (recorded == UNKNOWN)
		recorded = kept_outcome(sv, fxid);
	if (recorded != UNKNOWN)
		return recorded;
	if (!load_segment(sv, xid / XACT_PER_SEGMENT))
		return UNKNOWN;
	status = sv->xact[xid % XACT_PER_SEGMENT / 4] >> (xid % 4 * 2) & 3;
	/* In progress: the server has ended, and so has the transaction.  3: a part of one, whose end is not told here. */
	return status == 1 ? COMMITTED : status == 3 ? UNKNOWN : ABORTED;
}

/* ---- rows of a table ---- */

typedef void (*RowSink)(Salvage *sv, void *ctx, NvmkvSlice key, NvmkvSlice value);

/* A version that counts: 1 shown, 0 there is no row, -1 another version is to be asked. */
static int
show_version(Salvage *sv, Tree *tree, const SalvageSource *s, RowSink sink, void *ctx)
{
	NvmkvTxnTag txn;
	NvmkvSlice value;
	Outcome outcome;

	if (ikey_split_payload(s->tag, s->payload, &txn, &value) != NVMKV_OK)
	{
		dump_failure(sv->dump);
		return -1;
	}
	if (ikey_kind(s->tag) == NVMKV_KIND_LOCK || ikey_kind(s->tag) == NVMKV_KIND_RANGE_DELETION)
		return -1;
	outcome = outcome_of(sv, s->tag, txn.fxid);
	if (outcome == UNKNOWN)
		sv->unknown++;
	if (outcome == ABORTED || (outcome == UNKNOWN && !sv->options->keep_unknown))
		return -1;
	if (ikey_kind(s->tag) == NVMKV_KIND_DELETION)
		return 0;
	if (ikey_is_apart(s->tag))
	{
		ValueBlock apart;

		if (tree->values == NULL ||
			value_open(tree->values, s->key, s->tag, value, SST_BLOCK_PRIVATE, &apart) != NVMKV_OK)
		{
			dump_failure(sv->dump);
			fputs("nvmkv_dump: lost: the row with key ", sv->dump->err);
			dump_bytes_to(sv->dump->err, s->key);
			fputc('\n', sv->dump->err);
			sv->lost++;
			return 0; /* an older version would be another row */
		}
		sink(sv, ctx, s->key, apart.value);
		value_close(&apart);
	}
	else
		sink(sv, ctx, s->key, value);
	return 1;
}

/* Calls sink for each row of a storage, in the order of keys. */
static void
read_storage(Salvage *sv, uint64_t storage_id, RowSink sink, void *ctx)
{
	unsigned family = storage_id >> FAMILY_SHIFT < NVMKV_FAMILIES_MAX ? (unsigned) (storage_id >> FAMILY_SHIFT) : 0;
	Tree *tree = sv->trees[family];
	SalvageSource kept = {.dump = sv->dump, .entries = sv->entries, .nentries = sv->nentries};
	SalvageMerge merge = {0};
	NvmkvBuf last = {0};
	uint8_t prefix[STORAGE_ID_BYTES];
	NvmkvSlice lower = nvmkv_slice(prefix, sizeof(prefix));
	SalvageSource *s;
	bool settled = false;
	size_t i;

	for (i = 0; i < STORAGE_ID_BYTES; i++)
		prefix[i] = (uint8_t) (storage_id >> (56 - 8 * i));
	if (tree == NULL)
	{
		fprintf(sv->dump->err, "nvmkv_dump: there is no column family %u\n", family);
		sv->dump->failed = true;
		return;
	}
	merge.heap = calloc(tree->nsources + 1, sizeof(SalvageSource *));
	if (merge.heap == NULL)
		abort();
	for (i = 0; i < tree->nsources; i++)
	{
		size_t n = tree->smallest[i].size < STORAGE_ID_BYTES ? tree->smallest[i].size : STORAGE_ID_BYTES;

		if (slice_compare(tree->largest[i], lower) < 0 || memcmp(tree->smallest[i].data, prefix, n) > 0)
			continue;
		salvage_source_seek(&tree->sources[i], lower);
		merge.heap[merge.count++] = &tree->sources[i];
	}
	if (kept.entries != NULL)
	{
		salvage_source_seek(&kept, lower);
		merge.heap[merge.count++] = &kept;
	}
	salvage_merge_start(&merge);
	while ((s = salvage_merge_top(&merge)) != NULL)
	{
		if (s->key.size < STORAGE_ID_BYTES || memcmp(s->key.data, prefix, STORAGE_ID_BYTES) != 0)
		{
			/* Behind the table. */
			salvage_source_close(s);
			merge.heap[0] = merge.heap[--merge.count];
			salvage_merge_start(&merge);
			continue;
		}
		if (last.size == 0 || !slice_equal(nvmkv_buf_slice(&last), s->key))
		{
			settled = false;
			last.size = 0;
			(void) nvmkv_buf_append(&last, s->key.data, s->key.size);
		}
		if (!settled)
			settled = show_version(sv, tree, s, sink, ctx) >= 0;
		salvage_merge_next(&merge);
	}
	free(merge.heap);
	nvmkv_buf_free(&last);
}

/* ---- tables ---- */

typedef struct Listed
{
	uint32_t database;
	uint64_t storage_id;
	SalvageTable table;
	bool defined;
} Listed;

typedef struct List
{
	Listed *tables;
	size_t count, capacity;
} List;

static uint64_t
big_endian(const uint8_t *p, unsigned bytes)
{
	uint64_t n = 0;

	while (bytes-- > 0)
		n = n << 8 | *p++;
	return n;
}

static void
list_storage(Salvage *sv, void *ctx, NvmkvSlice key, NvmkvSlice value)
{
	List *list = ctx;
	Listed *listed;

	/* Without a definition it was dropped, and only its rows have stayed. */
	if (key.size != REGISTRY_KEY_BYTES || value.size == 0)
		return;
	if (list->count == list->capacity)
	{
		list->capacity = list->capacity == 0 ? 64 : 2 * list->capacity;
		list->tables = realloc(list->tables, list->capacity * sizeof(Listed));
		if (list->tables == NULL)
			abort();
	}
	listed = &list->tables[list->count++];
	memset(listed, 0, sizeof(*listed));
	listed->database = (uint32_t) big_endian(key.data + 8, 4);
	listed->storage_id = big_endian(key.data + 12, 8);
	listed->defined = salvage_table_parse(value, &listed->table) == NVMKV_OK;
	if (!listed->defined)
	{
		fprintf(sv->dump->err, "nvmkv_dump: storage %" PRIu64 ": %s\n", listed->storage_id, nvmkv_error()->text);
		sv->dump->failed = true;
	}
}

typedef struct Output
{
	FILE *file;
	SalvageTable *table;
	NvmkvBuf line;
} Output;

static void
write_row(Salvage *sv, void *ctx, NvmkvSlice key, NvmkvSlice value)
{
	Output *out = ctx;

	out->line.size = 0;
	if (salvage_row(out->table, key, value, &out->line) != NVMKV_OK)
	{
		dump_failure(sv->dump);
		fputs("nvmkv_dump: lost: the row with key ", sv->dump->err);
		dump_bytes_to(sv->dump->err, key);
		fputc('\n', sv->dump->err);
		sv->lost++;
		return;
	}
	if (fwrite(out->line.data, 1, out->line.size, out->file) != out->line.size)
		sv->dump->failed = true;
	sv->rows++;
}

/* The table as a statement, and how its rows get into it. */
static void
write_sql(Dump *dump, const Listed *listed, const char *path, const char *rows)
{
	const SalvageTable *t = &listed->table;
	FILE *f = fopen(path, "w");
	bool first = true;
	unsigned i;

	if (f == NULL)
	{
		fprintf(dump->err, "nvmkv_dump: cannot write \"%s\"\n", path);
		dump->failed = true;
		return;
	}
	fprintf(f, "-- was in the database with OID %" PRIu32 "\nCREATE TABLE %s (", listed->database, t->name);
	for (i = 0; i < t->ncolumns; i++)
	{
		const char *c;

		if (t->columns[i].dropped)
			continue;
		fprintf(f, "%s\n\t\"", first ? "" : ",");
		first = false;
		for (c = t->columns[i].name; *c != '\0'; c++)
			fprintf(f, *c == '"' ? "\"\"" : "%c", *c);
		fprintf(f, "\" %s", t->columns[i].type_name);
	}
	fprintf(f, "\n);\n\\copy %s from '%s'\n", t->name, rows);
	if (fclose(f) != 0)
		dump->failed = true;
}

static void
write_table(Salvage *sv, Listed *listed)
{
	Output out = {.table = &listed->table};
	char path[PATH_BYTES], sql[PATH_BYTES], name[128];
	size_t n = 0;
	const char *p;
	unsigned i;

	for (p = listed->table.name; *p != '\0' && n < sizeof(name) - 1; p++)
		name[n++] = isalnum((unsigned char) *p) || *p == '.' ? *p : '_';
	name[n] = '\0';
	(void) snprintf(path, sizeof(path), "%s/%" PRIu32 ".%s.%" PRIu64 ".copy", sv->options->to, listed->database, name,
					listed->storage_id);
	(void) snprintf(sql, sizeof(sql), "%s/%" PRIu32 ".%s.%" PRIu64 ".sql", sv->options->to, listed->database, name,
					listed->storage_id);
	out.file = fopen(path, "w");
	if (out.file == NULL)
	{
		fprintf(sv->dump->err, "nvmkv_dump: cannot write \"%s\"\n", path);
		sv->dump->failed = true;
		return;
	}
	sv->rows = sv->unknown = sv->lost = 0;
	read_storage(sv, listed->storage_id, write_row, &out);
	if (fclose(out.file) != 0)
	{
		fprintf(sv->dump->err, "nvmkv_dump: cannot write \"%s\"\n", path);
		sv->dump->failed = true;
	}
	nvmkv_buf_free(&out.line);
	write_sql(sv->dump, listed, sql, path);
	fprintf(sv->dump->out, "%s (database %" PRIu32 ", storage %" PRIu64 "): %" PRIu64 " rows in \"%s\"\n", listed->table.name,
			listed->database, listed->storage_id, sv->rows, path);
	if (sv->unknown > 0)
		fprintf(sv->dump->out, "    of transactions whose outcome nobody knows: %" PRIu64 " versions, %s\n", sv->unknown,
				sv->options->keep_unknown ? "taken" : "left out; --unknown keep takes them");
	for (i = 0; i < listed->table.ncolumns; i++)
		if (listed->table.columns[i].odd)
			fprintf(sv->dump->out, "    column %s of type %s: its bytes in hexadecimal\n", listed->table.columns[i].name,
					listed->table.columns[i].type_name);
}

static bool
is_wanted(const SalvageOptions *options, const Listed *listed)
{
	char number[32];

	(void) snprintf(number, sizeof(number), "%" PRIu64, listed->storage_id);
	return options->table == NULL || strcmp(options->table, number) == 0 ||
		   (listed->defined && strcmp(options->table, listed->table.name) == 0);
}

static void
each_table(Salvage *sv, List *list)
{
	bool any = false;
	size_t i;

	for (i = 0; i < list->count; i++)
	{
		Listed *listed = &list->tables[i];

		if (!is_wanted(sv->options, listed))
			continue;
		any = true;
		if (sv->options->to == NULL)
			fprintf(sv->dump->out, "%s (database %" PRIu32 ", storage %" PRIu64 "): %u columns\n",
					listed->defined ? listed->table.name : "?", listed->database, listed->storage_id,
					listed->table.ncolumns);
		else if (listed->defined)
			write_table(sv, listed);
		salvage_table_free(&listed->table);
	}
	if (!any)
	{
		fprintf(sv->dump->err, "nvmkv_dump: there is no such table\n");
		sv->dump->failed = true;
	}
}

void
dump_salvage(Dump *dump, const char *dir, const SalvageOptions *options)
{
	Salvage sv = {.dump = dump, .options = options, .xact_segment = UINT32_MAX};
	char kept[PATH_BYTES];
	List list = {0};
	struct rlimit files;
	unsigned i;
	size_t k;

	/* A table may be in more files than may be open by default. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0)
	{
		files.rlim_cur = files.rlim_max;
		(void) setrlimit(RLIMIT_NOFILE, &files);
	}
	sv.xact = malloc(XACT_SEGMENT_BYTES);
	if (sv.xact == NULL)
		abort();
	(void) snprintf(sv.xact_dir, sizeof(sv.xact_dir), options->xact != NULL ? "%s" : "%s/../pg_xact",
					options->xact != NULL ? options->xact : dir);
	(void) snprintf(kept, sizeof(kept), options->kept != NULL ? "%s" : "%s/../nvmkv_kept",
					options->kept != NULL ? options->kept : dir);
	if (options->to != NULL && mkdir(options->to, 0700) != 0 && errno != EEXIST)
	{
		fprintf(dump->err, "nvmkv_dump: cannot make directory \"%s\"\n", options->to);
		dump->failed = true;
		return;
	}
	open_trees(&sv, dir);
	read_kept(&sv, kept);
	read_storage(&sv, REGISTRY_PREFIX, list_storage, &list);
	each_table(&sv, &list);
	for (i = 0; i < NVMKV_FAMILIES_MAX; i++)
	{
		Tree *tree = sv.trees[i];

		if (tree == NULL)
			continue;
		for (k = 0; k < tree->nsources; k++)
			salvage_source_close(&tree->sources[k]);
		if (tree->values != NULL)
			table_cache_destroy(tree->values);
		if (tree->has_pool)
			dump_pool_unmap(&tree->pool);
		dump_state_free(&tree->state);
		free(tree->sources);
		free(tree->smallest);
		free(tree->largest);
		free(tree);
	}
	for (k = 0; k < sv.nkept_outcomes; k++)
		free(sv.kept_outcomes[k].bits);
	free(sv.kept_outcomes);
	free(list.tables);
	free(sv.entries);
	free(sv.xact);
}
