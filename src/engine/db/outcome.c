/*
 * outcome.c
 *	  The outcome record: the tree's own commit log.
 *
 * A tagged entry is worth what the outcome of its transaction is.  The host
 * does not keep outcomes for ever (PostgreSQL truncates its commit log without
 * asking), entries may stay tagged for as long as they like.  So the tree keeps
 * a bit for each transaction that has ended: committed or not.
 *
 *	  outcomes_low          settled
 *	 -----|-------------------|------------------>	transaction ids
 *	 gone |  told by the tree | told by the host
 *
 * The host settles: it says of the transactions from "settled" up to where all
 * have ended which of them committed, first in its log, then here.  It must not
 * forget an outcome before that, and never needs to tell one after it.
 * "settled" only moves up, and after the bits are there; so whoever has found a
 * transaction below it may ask, without a lock.
 *
 * Bits stand in segments of 2^20 transactions.  The tail, the segment where the
 * host settles, is in shared memory; when it moves on, and when the log is to
 * be cut off (nvmkv_flush_all), it is written to a file that the version of the
 * root's tree names in place of the one before, with the position up to which
 * it is complete.  A segment without a file has no committed transaction: a gap
 * of any size costs nothing.  Older segments are read page by page through a
 * small cache of the process.
 *
 * Crash outcome: the record is where the version says, and the host's log is
 * replayed from there: settling again what is settled changes nothing.
 *
 * Going.  Below the oldest transaction that a row, a table or a memtable of any
 * family may have an entry of, nobody asks.  What is found to be that low is
 * given up only when the readers of that time have left, since they may look at
 * entries that the version has no more; and not while files are held for a
 * copy, which replays entries that are resolved by now.
 *
 * Lost outcomes.  Where the host no longer knows, or a file is damaged, the
 * version lists the transactions as lost.  Their entries stay as they are;
 * readers are told so; the host may have somebody decide (nvmkv_set_outcome).
 *
 * One process at a time settles, saves, or decides: the claim OUTCOMES.
 */
#include "engine/db/outcome.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/base/assert.h"
#include "engine/db/family.h"
#include "engine/meta/outcome_file.h"
#include "engine/tree/claim.h"
#include "engine/tree/failure.h"
#include "engine/tree/install.h"
#include "engine/tree/retire.h"

#define CACHE_PAGES 16

struct OutcomeShm
{
	_Alignas(64) uint64_t settled;
	uint64_t generation; /* odd while the tail becomes another segment */
	uint64_t segment;	 /* of the tail */
	uint32_t nlost;		 /* ranges the version lists; 0: nobody needs to look */
	uint32_t dirty;		 /* bits of the tail are in no file */
	uint64_t sequence;	 /* of the log, for what is settled and not saved */
	uint64_t saved;		 /* "settled" in the version */
	uint64_t low_stamp, next_low; /* it may become outcomes_low when readers of that time have left; 0: none */
	_Alignas(64) uint64_t written; /* largest transaction id of an entry since the memory was made */
	_Alignas(64) uint8_t bits[OUTCOME_SEGMENT_BYTES];
};

/* Pages read lately, by number of file and page: a file never changes, and no number comes twice in one process. */
typedef struct CachedPage
{
	uint64_t file; /* 0: none */
	unsigned page;
	uint8_t bits[OUTCOME_PAGE_BYTES];
} CachedPage;

struct OutcomeCache
{
	CachedPage page[CACHE_PAGES];
};

size_t
outcomes_shm_bytes(void)
{
	return sizeof(OutcomeShm);
}

void
outcomes_init(OutcomeShm *shm)
{
	memset(shm, 0, sizeof(*shm));
}

void
outcomes_close(NvmkvDb *root)
{
	port_free(root->outcome_cache);
	root->outcome_cache = NULL;
}

static OutcomeFile
file_of(const NvmkvDb *root, uint64_t segment, uint64_t number)
{
	OutcomeFile file = {root->options.system_identifier, number, segment};

	return file;
}

/* ---- the claim ---- */

static NvmkvStatus
claim(NvmkvDb *root)
{
	while (!db_claim(root, DB_CLAIM_OUTCOMES))
	{
		NVMKV_RETURN_IF(db_refuse_if_sticky(root));
		NVMKV_RETURN_IF(db_wait_progress(root));
	}
	return NVMKV_OK;
}

/* ---- asking ---- */

/*
 * One page of a segment that is not the tail, in this process's cache.  REQUIRES an epoch, in which the file stays.
 */
static NvmkvStatus
cached_page(NvmkvDb *root, uint64_t segment, uint64_t number, unsigned page, const uint8_t **bits_out)
{
	OutcomeFile file = file_of(root, segment, number);
	CachedPage *cached;

	if (root->outcome_cache == NULL)
		root->outcome_cache = port_alloc_zero(sizeof(OutcomeCache));
	if (root->outcome_cache == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for outcomes of transactions");
	cached = &root->outcome_cache->page[(number * OUTCOME_PAGES + page) % CACHE_PAGES];
	if (cached->file != number || cached->page != page)
	{
		cached->file = 0;
		NVMKV_RETURN_IF(outcome_file_read(root->dir, &file, page, cached->bits));
		cached->file = number;
		cached->page = page;
	}
	*bits_out = cached->bits;
	return NVMKV_OK;
}

static NvmkvStatus
ask_file(NvmkvDb *root, uint64_t fxid, bool *committed_out)
{
	uint64_t segment = fxid >> OUTCOME_SEGMENT_SHIFT;
	uint64_t number = version_outcome_file(versions_current(&root->versions), segment);
	const uint8_t *bits;

	*committed_out = false;
	if (number == 0)
		return NVMKV_OK;
	NVMKV_RETURN_IF(cached_page(root, segment, number, outcome_page_of(fxid), &bits));
	*committed_out = outcome_bit(bits, fxid % OUTCOME_PAGE_XIDS);
	return NVMKV_OK;
}

/* false: the transaction is not in the tail. */
static bool
ask_tail(const OutcomeShm *shm, uint64_t fxid, bool *committed_out)
{
	for (;;)
	{
		uint64_t generation = port_load_acquire(&shm->generation);
		bool there = port_load_relaxed(&shm->segment) == fxid >> OUTCOME_SEGMENT_SHIFT;

		*committed_out = there && outcome_bit(shm->bits, fxid % OUTCOME_SEGMENT_XIDS);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (generation % 2 == 0 && port_load_relaxed(&shm->generation) == generation)
			return there;
	}
}

NvmkvStatus
nvmkv_settled_outcome(NvmkvDb *db, uint64_t fxid, NvmkvSettled *outcome_out)
{
	NvmkvDb *root = db->root;
	OutcomeShm *shm = root->outcomes;
	bool committed = false;
	bool lost = false;
	NvmkvStatus st = NVMKV_OK;

	*outcome_out = NVMKV_SETTLED_NOT_YET;
	if (fxid >= port_load_acquire(&shm->settled))
		return NVMKV_OK;
	/* In this order: bits are there before a transaction is lost no more, and in a file before the tail moves on. */
	if (port_load_acquire(&shm->nlost) != 0)
	{
		db_enter(root);
		lost = version_outcome_is_lost(versions_current(&root->versions), fxid);
		db_leave(root);
	}
	if (!lost && !ask_tail(shm, fxid, &committed))
	{
		db_enter(root);
		lost = fxid < versions_current(&root->versions)->outcomes_low;
		if (!lost)
			st = ask_file(root, fxid, &committed);
		db_leave(root);
	}
	/* A file that is damaged tells as much as none. */
	if (st == NVMKV_CORRUPTION || st == NVMKV_VERSION)
	{
		lost = true;
		st = NVMKV_OK;
	}
	*outcome_out = lost ? NVMKV_SETTLED_LOST : committed ? NVMKV_SETTLED_COMMITTED : NVMKV_SETTLED_ABORTED;
	return st;
}

uint64_t
nvmkv_settled(NvmkvDb *db)
{
	return port_load_acquire(&db->root->outcomes->settled);
}

/* ---- settling ---- */

void
outcomes_note_written(NvmkvDb *root, uint64_t fxid)
{
	uint64_t *written = &root->outcomes->written;
	uint64_t seen = port_load_relaxed(written);

	while (fxid > seen && !__atomic_compare_exchange_n(written, &seen, fxid, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
}

uint64_t
nvmkv_last_written_fxid(NvmkvDb *db)
{
	return port_load_seq(&db->root->outcomes->written);
}

NvmkvStatus
nvmkv_settle_begin(NvmkvDb *db)
{
	NVMKV_RETURN_IF(db_refuse_if_sticky(db->root));
	return claim(db->root);
}

void
nvmkv_settle_end(NvmkvDb *db)
{
	db_unclaim(db->root, DB_CLAIM_OUTCOMES);
}

/* Makes another segment the tail.  REQUIRES the claim, and that the old one is saved. */
static void
move_tail(OutcomeShm *shm, uint64_t segment)
{
	size_t i;

	NVMKV_ASSERT(shm->dirty == 0);
	port_store_seq(&shm->generation, shm->generation + 1);
	port_store_seq(&shm->segment, segment);
	for (i = 0; i < OUTCOME_SEGMENT_BYTES; i += sizeof(uint64_t))
		port_store_relaxed((PortWord *) (void *) (shm->bits + i), 0);
	port_store_seq(&shm->generation, shm->generation + 1);
}

static NvmkvStatus save(NvmkvDb *root, const VersionXids *lost);

NvmkvStatus
nvmkv_settle_prepare(NvmkvDb *db, uint64_t from, uint64_t to)
{
	NvmkvDb *root = db->root;
	OutcomeShm *shm = root->outcomes;

	if (from >= to || from >> OUTCOME_SEGMENT_SHIFT != (to - 1) >> OUTCOME_SEGMENT_SHIFT)
		return NVMKV_FAIL(NVMKV_INVALID, "transactions %" PRIu64 " to %" PRIu64 " are not of one segment", from, to);
	if (from >> OUTCOME_SEGMENT_SHIFT == shm->segment)
		return NVMKV_OK;
	if (shm->dirty != 0)
		NVMKV_RETURN_IF(save(root, NULL));
	move_tail(shm, from >> OUTCOME_SEGMENT_SHIFT);
	return NVMKV_OK;
}

void
nvmkv_settle(NvmkvDb *db, uint64_t from, uint64_t to, const uint8_t *bits, uint64_t sequence)
{
	OutcomeShm *shm = db->root->outcomes;
	uint64_t settled = shm->settled;
	uint64_t byte;

	if (to <= settled)
		return; /* a replay of what is known */
	if (bits != NULL)
	{
		NVMKV_ASSERT(from >> OUTCOME_SEGMENT_SHIFT == shm->segment);
		for (byte = from / 8; byte <= (to - 1) / 8; byte++)
		{
			uint8_t own = bits[byte - from / 8];
			uint8_t *at = &shm->bits[byte % OUTCOME_SEGMENT_BYTES];

			if (byte == from / 8)
				own &= (uint8_t) (0xff << from % 8);
			if (byte == (to - 1) / 8)
				own &= (uint8_t) (0xff >> (7 - (to - 1) % 8));
			if (own == 0)
				continue;
			port_store_relaxed(at, (uint8_t) (*at | own));
			shm->dirty = 1;
		}
	}
	shm->sequence = sequence;
	port_store_seq(&shm->settled, to);
}

NvmkvStatus
nvmkv_settle_lost(NvmkvDb *db, uint64_t from, uint64_t to, uint64_t sequence)
{
	NvmkvDb *root = db->root;
	OutcomeShm *shm = root->outcomes;
	VersionXids lost = {from > shm->settled ? from : shm->settled, to};

	if (to <= shm->settled)
		return NVMKV_OK;
	shm->sequence = sequence;
	NVMKV_RETURN_IF(save(root, &lost));
	port_store_seq(&shm->settled, to);
	shm->saved = to;
	return NVMKV_OK;
}

/* ---- saving ---- */

/* The pages up to the last one with a committed transaction, at least one. */
static unsigned
used_pages(const uint8_t *bits)
{
	size_t n = OUTCOME_SEGMENT_BYTES;

	while (n > 1 && bits[n - 1] == 0)
		n--;
	return (unsigned) ((n + OUTCOME_PAGE_BYTES - 1) / OUTCOME_PAGE_BYTES);
}

/*
 * Smallest transaction that any entry that is not resolved may be of, or that is not settled.  0: cannot be told, as of
 * a family that cannot be used, or of which the host keeps something.
 */
static uint64_t
oldest_needed(NvmkvDb *root)
{
	uint64_t low = port_load_seq(&root->outcomes->settled);
	unsigned cursor = 0;
	NvmkvDb *tree;
	NvmkvStatus st;

	if (family_any_is_away(root))
		return 0;

	while ((st = family_next(root, &cursor, &tree)) == NVMKV_OK && tree != NULL)
	{
		uint64_t stored;
		MemList list;
		unsigned i;

		/* The memtables first: what a flush takes out of them is in the version before. */
		db_enter(tree);
		mempool_list(&tree->mem, &list);
		for (i = 0; i < list.count; i++)
		{
			uint64_t first = memtable_first_fxid(list.memtable[i]);

			if (first < low)
				low = first;
		}
		stored = version_min_unresolved(versions_current(&tree->versions));
		db_leave(tree);
		if (stored != 0 && stored < low)
			low = stored;
	}
	return st == NVMKV_OK ? low : 0;
}

/*
 * Finds out what may go at the next save, and what may go now; *low_out 0: nothing.  A copy that is made replays
 * entries from its beginning on.
 */
static void
look_for_low(NvmkvDb *root, uint64_t *low_out)
{
	OutcomeShm *shm = root->outcomes;

	*low_out = 0;
	if (nvmkv_copy_is_held(root))
	{
		shm->next_low = 0;
		return;
	}
	if (shm->next_low != 0)
	{
		if (!epoch_is_safe(root->epochs, shm->low_stamp))
			return;
		*low_out = shm->next_low;
	}
	shm->next_low = oldest_needed(root);
	shm->low_stamp = epoch_retire_stamp(root->epochs);
}

typedef struct Saving
{
	VersionSegment *segments;
	uint64_t *gone; /* files */
	uint32_t nsegments, ngone;
} Saving;

/* What the edit says of segments: the tail's file, and those that go.  REQUIRES the claim: nobody else changes them. */
static NvmkvStatus
list_segments(NvmkvDb *root, uint64_t low, uint64_t tail, uint64_t tail_file, Saving *s)
{
	const VersionImage *v;
	uint32_t i;
	NvmkvStatus st = NVMKV_OK;

	db_enter(root);
	v = versions_current(&root->versions);
	s->segments = port_alloc((v->nsegments + 1) * sizeof(VersionSegment));
	s->gone = port_alloc((v->nsegments + 1) * sizeof(uint64_t));
	if (s->segments == NULL || s->gone == NULL)
		st = NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for %" PRIu32 " segments of outcomes", v->nsegments);
	for (i = 0; st == NVMKV_OK && i < v->nsegments; i++)
	{
		const VersionSegment *own = &version_segments(v)[i];
		bool replaced = tail_file != 0 && own->segment == tail;

		if (!replaced && (own->segment + 1) << OUTCOME_SEGMENT_SHIFT > low)
			continue;
		s->gone[s->ngone++] = own->file;
		if (replaced)
			continue;
		s->segments[s->nsegments].segment = own->segment;
		s->segments[s->nsegments++].file = 0;
	}
	db_leave(root);
	if (st == NVMKV_OK && tail_file != 0)
	{
		s->segments[s->nsegments].segment = tail;
		s->segments[s->nsegments++].file = tail_file;
	}
	return st;
}

static void
set_nlost(NvmkvDb *root)
{
	db_enter(root);
	port_store_seq(&root->outcomes->nlost, versions_current(&root->versions)->nunknown);
	db_leave(root);
}

/* Installs what is asked for, with a new file of the given segment unless bits is NULL.  REQUIRES the claim. */
static NvmkvStatus
install(NvmkvDb *root, VersionEdit *edit, uint64_t segment, const uint8_t *bits, uint64_t low)
{
	Saving s = {0};
	OutcomeFile file = file_of(root, segment, 0);
	uint32_t i;
	NvmkvStatus st;

	if (bits != NULL)
		file.number = port_fetch_add(&root->shm->next_file, 1);
	st = list_segments(root, low, segment, file.number, &s);
	if (st == NVMKV_OK && bits != NULL)
		st = outcome_file_write(root->dir, &file, bits, used_pages(bits));
	if (st == NVMKV_OK)
	{
		edit->segments = s.segments;
		edit->nsegments = s.nsegments;
		edit->has_next_file = true;
		edit->next_file = port_load_seq(&root->shm->next_file);
		st = db_install(root, edit);
		if (st != NVMKV_OK && bits != NULL && !db_is_sticky(root))
		{
			char path[MANIFEST_PATH_MAX];
			const NvmkvError cause = *nvmkv_error();

			outcome_file_path(root->dir, file.number, path, sizeof(path));
			(void) port_files->unlink(path);
			(void) nvmkv_fail_at(cause.status, cause.sys_errno, cause.file, cause.line, "%s", cause.text);
		}
	}
	for (i = 0; st == NVMKV_OK && i < s.ngone; i++)
		retired_add_outcomes(root, s.gone[i]);
	port_free(s.segments);
	port_free(s.gone);
	return st;
}

/* "lost": transactions from "settled" on, which the host will then call settled; NULL: none.  REQUIRES the claim. */
static NvmkvStatus
save(NvmkvDb *root, const VersionXids *lost)
{
	OutcomeShm *shm = root->outcomes;
	VersionEdit edit = {0};
	VersionXids not_needed;
	uint64_t settled = shm->settled;
	uint64_t low;
	NvmkvStatus st;

	look_for_low(root, &low);
	NVMKV_RETURN_IF(db_refuse_if_sticky(root));
	edit.has_settled = true;
	edit.settled = lost != NULL ? lost->to : settled;
	edit.lost = lost;
	edit.nlost = lost != NULL;
	if (low != 0)
	{
		edit.has_outcomes_low = true;
		edit.outcomes_low = low;
		not_needed.from = 0;
		not_needed.to = low;
		edit.found = &not_needed;
		edit.nfound = 1;
	}
	if (shm->sequence != 0)
		NVMKV_RETURN_IF(db_flush_log(root, shm->sequence));
	st = install(root, &edit, shm->segment, shm->dirty != 0 ? shm->bits : NULL, low);
	if (st == NVMKV_OK)
	{
		shm->dirty = 0;
		shm->saved = settled;
		set_nlost(root);
	}
	return st;
}

NvmkvStatus
nvmkv_save_outcomes(NvmkvDb *db)
{
	NvmkvDb *root = db->root;
	OutcomeShm *shm = root->outcomes;
	NvmkvStatus st = NVMKV_OK;

	NVMKV_RETURN_IF(claim(root));
	if (shm->dirty != 0 || shm->saved != shm->settled)
		st = save(root, NULL);
	db_unclaim(root, DB_CLAIM_OUTCOMES);
	return st;
}

NvmkvStatus
nvmkv_unsaved_outcomes(NvmkvDb *db,
					   NvmkvStatus (*visit)(void *ctx, uint64_t from, uint64_t to, const uint8_t *bits), void *ctx,
					   uint64_t *sequence_out)
{
	NvmkvDb *root = db->root;
	const OutcomeShm *shm = root->outcomes;
	NvmkvStatus st = claim(root);
	bool claimed = st == NVMKV_OK;
	uint64_t from, to, tail, tail_end;

	/* After a failure that stays nobody settles. */
	if (!claimed && !db_is_sticky(root))
		return st;
	*sequence_out = shm->sequence;
	from = shm->saved;
	to = shm->settled;
	tail = shm->segment << OUTCOME_SEGMENT_SHIFT;
	tail_end = tail + OUTCOME_SEGMENT_XIDS;
	st = NVMKV_OK;
	/* What the tail has moved on from, or has not come to, has no commits since it was saved. */
	if (from < to && from < tail)
	{
		st = visit(ctx, from, tail < to ? tail : to, NULL);
		from = tail;
	}
	if (st == NVMKV_OK && from < to && from < tail_end)
	{
		uint64_t end = tail_end < to ? tail_end : to;

		st = visit(ctx, from, end, shm->dirty != 0 ? shm->bits + (from - tail) / 8 : NULL);
		from = end;
	}
	if (st == NVMKV_OK && from < to)
		st = visit(ctx, from, to, NULL);
	if (claimed)
		db_unclaim(root, DB_CLAIM_OUTCOMES);
	return st;
}

/* ---- opening ---- */

static NvmkvStatus
list_lost(VersionXids **list, uint32_t *count, VersionXids lost)
{
	VersionXids *grown = port_realloc(*list, (*count + 1) * sizeof(VersionXids));

	if (grown == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for lost outcomes");
	grown[(*count)++] = lost;
	*list = grown;
	return NVMKV_OK;
}

/*
 * Reads all pages of a segment; of those that are damaged the settled transactions are added to the list.  A file of
 * another format is none that is damaged: who can read it is to open the tree.
 */
static NvmkvStatus
read_segment(NvmkvDb *root, const VersionSegment *segment, uint64_t settled, uint8_t *bits, VersionXids **list,
			 uint32_t *count)
{
	OutcomeFile file = file_of(root, segment->segment, segment->file);
	unsigned page;

	for (page = 0; page < OUTCOME_PAGES; page++)
	{
		VersionXids lost;
		NvmkvStatus st = outcome_file_read(root->dir, &file, page, bits + (size_t) page * OUTCOME_PAGE_BYTES);

		if (st == NVMKV_OK)
			continue;
		if (st != NVMKV_CORRUPTION)
			return st;
		memset(bits + (size_t) page * OUTCOME_PAGE_BYTES, 0, OUTCOME_PAGE_BYTES);
		lost.from = (segment->segment << OUTCOME_SEGMENT_SHIFT) + (uint64_t) page * OUTCOME_PAGE_XIDS;
		lost.to = lost.from + OUTCOME_PAGE_XIDS < settled ? lost.from + OUTCOME_PAGE_XIDS : settled;
		if (lost.from >= lost.to)
			continue;
		port_log(PORT_LOG_WARNING, "outcomes of transactions %" PRIu64 " to %" PRIu64 " are lost: %s", lost.from, lost.to - 1,
				 nvmkv_error()->text);
		NVMKV_RETURN_IF(list_lost(list, count, lost));
	}
	return NVMKV_OK;
}

NvmkvStatus
outcomes_open(NvmkvDb *root)
{
	OutcomeShm *shm = root->outcomes;
	const VersionImage *v = versions_current(&root->versions);
	VersionEdit edit = {0};
	VersionXids *lost = NULL;
	uint32_t nlost = 0;
	uint32_t i;
	NvmkvStatus st = NVMKV_OK;

	shm->settled = shm->saved = v->settled;
	shm->segment = v->settled >> OUTCOME_SEGMENT_SHIFT;
	for (i = 0; st == NVMKV_OK && i < v->nsegments; i++)
	{
		bool is_tail = version_segments(v)[i].segment == shm->segment;

		st = read_segment(root, &version_segments(v)[i], v->settled, shm->bits, &lost, &nlost);
		if (is_tail)
			continue;
		memset(shm->bits, 0, OUTCOME_SEGMENT_BYTES);
		/* It may be read another time. */
		if (st == NVMKV_IO)
		{
			port_log(PORT_LOG_WARNING, "%s", nvmkv_error()->text);
			st = NVMKV_OK;
		}
	}
	if (st == NVMKV_OK && nlost > 0)
	{
		edit.lost = lost;
		edit.nlost = nlost;
		st = versions_install(&root->versions, &edit);
		shm->dirty = 1; /* the tail's file may be one of the damaged */
	}
	port_free(lost);
	if (st == NVMKV_OK)
		set_nlost(root);
	return st;
}

/* ---- checking ---- */

NvmkvStatus
outcomes_check(NvmkvDb *root, void (*report)(void *ctx, const char *text), void *ctx)
{
	VersionImage *v;
	uint8_t *bits = port_alloc(OUTCOME_PAGE_BYTES);
	uint32_t i;
	NvmkvStatus st;

	if (bits == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for outcomes of transactions");
	st = db_copy_image(root, &v);
	if (st != NVMKV_OK)
	{
		port_free(bits);
		return st;
	}
	for (i = 0; i < v->nsegments; i++)
	{
		const VersionSegment *segment = &version_segments(v)[i];
		OutcomeFile file = file_of(root, segment->segment, segment->file);
		unsigned page;

		db_enter(root);
		if (version_outcome_file(versions_current(&root->versions), segment->segment) == segment->file)
			for (page = 0; page < OUTCOME_PAGES; page++)
				if (outcome_file_read(root->dir, &file, page, bits) != NVMKV_OK)
				{
					report(ctx, nvmkv_error()->text);
					if (strstr(nvmkv_error()->text, "page") == NULL)
						break; /* it will be the same of every page */
				}
		db_leave(root);
	}
	port_free(v);
	port_free(bits);
	return NVMKV_OK;
}

/* ---- somebody's word ---- */

typedef struct Decision
{
	VersionXids *lost; /* ranges of the version that it meets, cut to it */
	uint32_t nlost;
} Decision;

static NvmkvStatus
meet_lost(NvmkvDb *root, uint64_t from, uint64_t to, Decision *d)
{
	const VersionImage *v;
	uint32_t i;
	NvmkvStatus st = NVMKV_OK;

	db_enter(root);
	v = versions_current(&root->versions);
	for (i = 0; st == NVMKV_OK && i < v->nunknown; i++)
	{
		VersionXids own = version_unknown(v)[i];

		if (own.from < from)
			own.from = from;
		if (own.to > to)
			own.to = to;
		if (own.from < own.to)
			st = list_lost(&d->lost, &d->nlost, own);
	}
	db_leave(root);
	return st;
}

static void
set_bits(uint8_t *bits, const VersionXids *xids)
{
	uint64_t fxid;

	for (fxid = xids->from; fxid < xids->to; fxid++)
	{
		uint8_t *byte = &bits[fxid % OUTCOME_SEGMENT_XIDS / 8];

		port_store_relaxed(byte, (uint8_t) (*byte | 1u << fxid % 8));
	}
}

/*
 * Of transactions of one segment, all of them lost.  A file that is damaged is written anew, with what is sound in it;
 * what else is damaged in it is in the list of the lost already, or becomes so.
 */
static NvmkvStatus
decide_segment(NvmkvDb *root, const VersionXids *xids, bool committed, uint8_t *bits)
{
	OutcomeShm *shm = root->outcomes;
	VersionSegment segment = {xids->from >> OUTCOME_SEGMENT_SHIFT, 0};
	VersionEdit edit = {0};
	VersionXids *lost = NULL;
	uint32_t nlost = 0;
	NvmkvStatus st = NVMKV_OK;

	edit.found = xids;
	edit.nfound = 1;
	if (segment.segment == shm->segment)
	{
		if (committed)
			set_bits(shm->bits, xids);
		st = install(root, &edit, segment.segment, shm->bits, 0);
		if (st == NVMKV_OK)
			shm->dirty = 0;
		return st;
	}
	db_enter(root);
	segment.file = version_outcome_file(versions_current(&root->versions), segment.segment);
	db_leave(root);
	memset(bits, 0, OUTCOME_SEGMENT_BYTES);
	if (segment.file != 0)
		st = read_segment(root, &segment, shm->settled, bits, &lost, &nlost);
	if (st == NVMKV_OK)
	{
		edit.lost = lost;
		edit.nlost = nlost;
		if (committed)
			set_bits(bits, xids);
		st = install(root, &edit, segment.segment, segment.file != 0 || committed ? bits : NULL, 0);
	}
	port_free(lost);
	return st;
}

static NvmkvStatus
decide(NvmkvDb *root, VersionXids xids, bool committed, uint8_t *bits)
{
	while (xids.from < xids.to)
	{
		uint64_t end = ((xids.from >> OUTCOME_SEGMENT_SHIFT) + 1) << OUTCOME_SEGMENT_SHIFT;
		VersionXids part = {xids.from, xids.to < end ? xids.to : end};

		NVMKV_RETURN_IF(decide_segment(root, &part, committed, bits));
		xids.from = part.to;
	}
	return NVMKV_OK;
}

NvmkvStatus
nvmkv_set_outcome(NvmkvDb *db, uint64_t from, uint64_t to, bool committed, uint64_t sequence, uint64_t *count_out)
{
	NvmkvDb *root = db->root;
	uint8_t *bits = port_alloc(OUTCOME_SEGMENT_BYTES);
	Decision d = {0};
	uint32_t i;
	NvmkvStatus st;

	*count_out = 0;
	if (bits == NULL)
		return NVMKV_FAIL(NVMKV_NO_MEMORY, "out of memory for a segment of outcomes");
	st = meet_lost(root, from, to, &d);
	if (st == NVMKV_OK && d.nlost > 0 && sequence != 0)
		st = db_flush_log(root, sequence);
	for (i = 0; st == NVMKV_OK && i < d.nlost; i++)
	{
		st = decide(root, d.lost[i], committed, bits);
		*count_out += d.lost[i].to - d.lost[i].from;
	}
	set_nlost(root);
	port_free(d.lost);
	port_free(bits);
	return st;
}

/* ---- statistics ---- */

void
nvmkv_outcome_stats(NvmkvDb *db, NvmkvOutcomeStats *stats)
{
	NvmkvDb *root = db->root;
	const VersionImage *v;
	uint32_t i;

	memset(stats, 0, sizeof(*stats));
	stats->settled = nvmkv_settled(db);
	db_enter(root);
	v = versions_current(&root->versions);
	stats->saved = v->settled;
	stats->low = v->outcomes_low;
	stats->segments = v->nsegments;
	stats->segment_bytes = OUTCOME_FILE_HEAD + OUTCOME_SEGMENT_BYTES;
	stats->lost_ranges = v->nunknown;
	for (i = 0; i < v->nunknown; i++)
		stats->lost += version_unknown(v)[i].to - version_unknown(v)[i].from;
	db_leave(root);
}

unsigned
nvmkv_lost_outcomes(NvmkvDb *db, NvmkvLostOutcomes *list_out, unsigned max)
{
	NvmkvDb *root = db->root;
	const VersionImage *v;
	unsigned count;
	unsigned i;

	db_enter(root);
	v = versions_current(&root->versions);
	count = v->nunknown;
	for (i = 0; i < count && i < max; i++)
	{
		list_out[i].from = version_unknown(v)[i].from;
		list_out[i].to = version_unknown(v)[i].to;
	}
	db_leave(root);
	return count;
}
