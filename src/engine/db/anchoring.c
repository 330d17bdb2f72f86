/*
 * anchoring.c
 *	  The database's anchor while it is open, and what goes with it: which trees
 *	  the log has something for, and how far the log may be let go.
 *
 * Life of a tree, as its MANIFEST says it:
 *	  closed	the log holds nothing for it behind its durable sequence.  Who has closed it installs nothing more, so
 *				that the anchor is exact
 *	  open		it may; so no log is let go above the durable sequence the MANIFEST says
 * It is opened before the first record is written, or replayed, for any tree,
 * and raised to the log's end with that, since nothing of the log before was
 * for it.  It is closed when writers have gone and everything is flushed: the
 * host may then go on with its log alone.
 *
 * The anchor is written after MANIFESTs have been synced and before the host
 * relies on what they say, under a claim: what it names is always there.  A
 * family is taken out of it before it goes, and comes into it once it is there.
 */
#include "engine/db/anchoring.h"

#include <inttypes.h>

#include "engine/db/family.h"
#include "engine/tree/claim.h"
#include "engine/tree/failure.h"
#include "engine/tree/install.h"

/* Waits for the claim: others hold it for a few syncs. */
static NvmkvStatus
claim_anchor(NvmkvDb *root)
{
	while (!db_claim(root, DB_CLAIM_ANCHOR))
		NVMKV_RETURN_IF(db_wait_progress(root));
	return NVMKV_OK;
}

/* An edit that is about the log, and not about rows and tables: the state of the pool is no reason against it. */
static NvmkvStatus
install_mark(NvmkvDb *tree, const VersionEdit *edit)
{
	NvmkvStatus st = versions_install(&tree->versions, edit);

	if (st != NVMKV_OK && versions_are_sticky(&tree->versions))
		db_set_sticky(tree);
	return st;
}

/*
 * Families that cannot be used stay as the last anchor has them: who puts their files right gets them back.  By family,
 * as the list is.  What the log lets go, up to "position", has nothing for them that they do not have: where it has, the
 * database is not used (nvmkv_replay), or the host keeps it (nvmkv_family_set_kept), and from there on the anchor does
 * not vouch for them.  NVMKV_SEQUENCE_MAX while the database is closed: the log may go on as it likes.
 */
static void
keep_broken(NvmkvDb *root, const Anchor *last, Anchor *next, uint64_t position)
{
	unsigned i;

	for (i = 0; i < last->ntrees; i++)
	{
		const AnchorTree *tree = &last->trees[i];
		const uint64_t kept_from = family_kept_from(root, tree->family);
		unsigned at = next->ntrees;

		if (!family_is_broken(root, tree->family) || anchor_tree(next, tree->family) != NULL)
			continue;
		while (at > 0 && next->trees[at - 1].family > tree->family)
		{
			next->trees[at] = next->trees[at - 1];
			at--;
		}
		next->trees[at] = *tree;
		if (position != 0 &&
			(next->trees[at].durable_seq < position || next->trees[at].durable_seq == NVMKV_SEQUENCE_MAX))
			next->trees[at].durable_seq = position;
		if (kept_from != 0 && next->trees[at].durable_seq > kept_from)
			next->trees[at].durable_seq = kept_from;
		next->ntrees++;
	}
}

/*
 * A tree that was away may not reach up to where the log had nothing for it, which the last anchor says, before it is
 * opened (mark_trees).
 */
static void
keep_position(const Anchor *last, AnchorTree *tree)
{
	const AnchorTree *before = anchor_tree(last, tree->family);

	if (before != NULL && before->durable_seq > tree->durable_seq)
		tree->durable_seq = before->durable_seq;
}

/*
 * REQUIRES the claim.  What is there already is not written again.  position: see keep_broken; 0: as before.  settling:
 * the trees were found to be those of the last anchor.
 */
static NvmkvStatus
write_anchor(NvmkvDb *root, bool create, uint64_t position, bool settling)
{
	Anchor *last = &root->shm->anchor;
	Anchor next = {0};
	unsigned cursor = 0;
	NvmkvDb *tree;
	NvmkvStatus st;

	next.system_identifier = root->options.system_identifier;
	next.incarnation = root->shm->incarnation;
	while ((st = family_next(root, &cursor, &tree)) == NVMKV_OK && tree != NULL)
	{
		AnchorTree *mark = &next.trees[next.ntrees++];

		versions_mark(&tree->versions, mark, NULL);
		mark->family = tree->family;
		mark->incarnation = next.incarnation;
		if (settling)
			keep_position(last, mark);
	}
	NVMKV_RETURN_IF(st);
	keep_broken(root, last, &next, position);
	next.sequence = last->sequence;
	if (!create && memcmp(&next, last, sizeof(next)) == 0)
		return NVMKV_OK;
	next.sequence++;
	NVMKV_RETURN_IF(anchor_write(root->dir, &next, create));
	*last = next;
	return NVMKV_OK;
}

/* ---- opening ---- */

NvmkvStatus
anchoring_begin(NvmkvDb *root, Agreement *a)
{
	if (!root->options.anchored)
		return NVMKV_OK;
	NVMKV_RETURN_IF(agreement_load(a, root->dir, root->options.system_identifier));
	NVMKV_RETURN_IF(anchor_random(&a->incarnation));
	a->log_begin = root->options.log_begin;
	memcpy(a->family_log_begin, root->options.family_log_begin, sizeof(a->family_log_begin));
	a->log_end = root->options.log_end;
	a->restored = root->options.restore_from != 0;
	root->agreement = a;
	return NVMKV_OK;
}

/* The anchor names the new incarnation, so that the trees need not know the one before any more. */
static NvmkvStatus
forget_predecessor(NvmkvDb *tree)
{
	VersionEdit edit = {0};
	const VersionImage *v = versions_current(&tree->versions); /* nobody else is there yet */

	if (v->predecessor == 0)
		return NVMKV_OK;
	edit.has_incarnation = true;
	edit.incarnation = v->incarnation;
	return install_mark(tree, &edit);
}

NvmkvStatus
anchoring_settle(NvmkvDb *root)
{
	const Agreement *a = root->agreement;
	char path[ANCHOR_PATH_MAX];

	if (a == NULL)
		return NVMKV_OK;
	root->agreement = NULL;
	root->shm->anchor = a->anchor;
	NVMKV_RETURN_IF(write_anchor(root, a->anchor_found != NVMKV_OK, 0, a->anchor_found == NVMKV_OK && !a->restored));
	NVMKV_RETURN_IF(family_each(root, forget_predecessor));
	anchor_accept_path(root->dir, path, sizeof(path));
	return a->accept ? port_files->unlink(path) : NVMKV_OK;
}

/* ---- families ---- */

NvmkvStatus
anchoring_hold(NvmkvDb *root)
{
	return root->options.anchored ? claim_anchor(root) : NVMKV_OK;
}

NvmkvStatus
anchoring_note(NvmkvDb *root)
{
	return root->options.anchored ? write_anchor(root, false, 0, false) : NVMKV_OK;
}

void
anchoring_release(NvmkvDb *root)
{
	if (root->options.anchored)
		db_unclaim(root, DB_CLAIM_ANCHOR);
}

bool
anchoring_is_closed(NvmkvDb *root)
{
	AnchorTree mark;
	bool closed;

	versions_mark(&root->versions, &mark, &closed);
	return closed;
}

/* ---- the log ---- */

/*
 * Everything of the log's past is in rows and tables: every tree (db: a family's handle, that one) is durable up to the
 * log's end, and open or closed.  The positions first, then the log: see sync_log in flush.c.
 */
static NvmkvStatus
mark_trees(NvmkvDb *db, bool closed)
{
	NvmkvDb *root = db->root;
	uint64_t durable[NVMKV_FAMILIES_MAX] = {0};
	uint64_t looked_at = root->log.position(root->log.ctx);
	unsigned cursor = 0;
	NvmkvDb *tree;
	NvmkvStatus st;

	NVMKV_RETURN_IF(nvmkv_switch_memtable(db)); /* empty ones: their start moves up */
	while ((st = family_next(db, &cursor, &tree)) == NVMKV_OK && tree != NULL)
		durable[tree->family] = mempool_durable_seq(&tree->mem);
	NVMKV_RETURN_IF(st);
	NVMKV_RETURN_IF(db_flush_log(root, NVMKV_SEQUENCE_MAX));
	cursor = 0;
	while ((st = family_next(db, &cursor, &tree)) == NVMKV_OK && tree != NULL)
	{
		VersionEdit edit = {0};

		edit.has_durable = edit.has_closed = true;
		edit.durable_seq = durable[tree->family];
		edit.closed = closed;
		st = install_mark(tree, &edit);
		if (st != NVMKV_OK)
		{
			family_leave(db, cursor);
			return st;
		}
	}
	NVMKV_RETURN_IF(st);
	/* In replay the log may have something for a family that cannot be used which other trees have already. */
	if (looked_at > durable[0])
		looked_at = durable[0];
	return write_anchor(root, false, closed ? NVMKV_SEQUENCE_MAX : looked_at, false);
}

NvmkvStatus
nvmkv_log_opens(NvmkvDb *db)
{
	NvmkvDb *root = db->root;
	NvmkvStatus st;

	if (!root->options.anchored)
		return NVMKV_OK;
	NVMKV_RETURN_IF(claim_anchor(root));
	st = mark_trees(db, false);
	anchoring_release(root);
	return st;
}

NvmkvStatus
nvmkv_log_closes(NvmkvDb *db)
{
	NvmkvDb *root = db->root;
	NvmkvStatus st = NVMKV_OK;

	if (!root->options.anchored)
		return NVMKV_OK;
	NVMKV_RETURN_IF(claim_anchor(root));
	if (!anchoring_is_closed(root))
		st = mark_trees(root, true);
	anchoring_release(root);
	return st;
}

static NvmkvStatus
note_durable(NvmkvDb *tree, uint64_t position)
{
	VersionEdit edit = {0};
	AnchorTree mark;
	bool closed;

	versions_mark(&tree->versions, &mark, &closed);
	if (closed || mark.durable_seq >= position)
		return NVMKV_OK;
	edit.has_durable = true;
	edit.durable_seq = position;
	return install_mark(tree, &edit);
}

NvmkvStatus
nvmkv_log_let_go(NvmkvDb *db, uint64_t position)
{
	NvmkvDb *root = db->root;
	unsigned cursor = 0;
	NvmkvDb *tree;
	NvmkvStatus st;

	if (!root->options.anchored)
		return NVMKV_OK;
	NVMKV_RETURN_IF(claim_anchor(root));
	while ((st = family_next(root, &cursor, &tree)) == NVMKV_OK && tree != NULL)
	{
		st = note_durable(tree, position);
		if (st != NVMKV_OK)
		{
			family_leave(root, cursor);
			break;
		}
	}
	if (st == NVMKV_OK)
		st = write_anchor(root, false, position, false);
	anchoring_release(root);
	return st;
}

NvmkvStatus
nvmkv_check_log_end(NvmkvDb *db, uint64_t end)
{
	unsigned cursor = 0;
	NvmkvDb *tree;
	NvmkvStatus st;

	while ((st = family_next(db, &cursor, &tree)) == NVMKV_OK && tree != NULL)
	{
		AnchorTree mark;

		versions_mark(&tree->versions, &mark, NULL);
		if (mark.durable_seq > end)
		{
			family_leave(db, cursor);
			return NVMKV_FAIL(NVMKV_CORRUPTION, "\"%s\" has what was written up to log position %" PRIX32 "/%" PRIX32
							  ", but the log ends at %" PRIX32 "/%" PRIX32 ": it is of a later time, or of another server; put back the files that belong together",
							  tree->dir, (uint32_t) (mark.durable_seq >> 32), (uint32_t) mark.durable_seq,
							  (uint32_t) (end >> 32), (uint32_t) end);
		}
	}
	return st;
}

/* ---- verification ---- */

/* What a start would refuse, of the files as they are now. */
NvmkvStatus
anchoring_check(NvmkvDb *root, void (*problem)(void *ctx, const char *text), void *ctx)
{
	const Anchor *last = &root->shm->anchor;
	char path[ANCHOR_PATH_MAX];
	Anchor anchor;
	NvmkvStatus st;

	if (!root->options.anchored)
		return NVMKV_OK;
	anchor_path(root->dir, path, sizeof(path));
	NVMKV_RETURN_IF(claim_anchor(root));
	st = anchor_read(root->dir, &anchor);
	if (st == NVMKV_OK && memcmp(&anchor, last, sizeof(anchor)) != 0)
		st = NVMKV_FAIL(NVMKV_CORRUPTION, "anchor \"%s\" is not the one that was written: it is number %" PRIu64 " of incarnation %016" PRIx64
						", expected %" PRIu64 " of %016" PRIx64, path, anchor.sequence, anchor.incarnation, last->sequence,
						last->incarnation);
	else if (st == NVMKV_NOT_FOUND)
		st = NVMKV_FAIL(NVMKV_CORRUPTION, "anchor \"%s\" is missing", path);
	anchoring_release(root);
	if (st != NVMKV_CORRUPTION && st != NVMKV_VERSION)
		return st;
	problem(ctx, nvmkv_error()->text);
	return NVMKV_OK;
}
