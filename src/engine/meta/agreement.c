/*
 * agreement.c
 *	  See agreement.h.
 */
#include "engine/meta/agreement.h"

#include <inttypes.h>
#include <stdio.h>

/*
 * How far the log may have gone on since a tree was closed, where no anchor vouches for it: a shutdown that other
 * processes end meanwhile.
 */
#define CLOSED_DISTANCE_MAX (UINT64_C(32) << 20)

/* A position of the log as the server writes it. */
#define POSITION "%" PRIX32 "/%" PRIX32
#define POSITION_ARGS(p) (uint32_t) ((p) >> 32), (uint32_t) (p)

/* What all refusals end with. */
#define REMEDY "put back the files that belong together, or create \"%s.accept\" to go on with these"

NvmkvStatus
agreement_load(Agreement *a, const char *dir, uint64_t system_identifier)
{
	char path[ANCHOR_PATH_MAX];
	PortFile *file;
	NvmkvStatus st;

	memset(a, 0, sizeof(*a));
	(void) snprintf(a->dir, sizeof(a->dir), "%s", dir);
	a->system_identifier = system_identifier;
	a->anchor_found = anchor_read(dir, &a->anchor);
	if (a->anchor_found == NVMKV_OK && system_identifier != 0 && a->anchor.system_identifier != system_identifier)
	{
		anchor_path(dir, path, sizeof(path));
		a->anchor_found = NVMKV_FAIL(NVMKV_INVALID, "anchor \"%s\" belongs to another system (identifier %" PRIu64 ", expected %" PRIu64 ")",
									 path, a->anchor.system_identifier, system_identifier);
	}
	if (a->anchor_found == NVMKV_IO || a->anchor_found == NVMKV_NO_MEMORY)
		return a->anchor_found;
	if (a->anchor_found != NVMKV_OK)
		(void) snprintf(a->anchor_problem, sizeof(a->anchor_problem), "%s", nvmkv_error()->text);
	anchor_accept_path(dir, path, sizeof(path));
	st = port_files->open(path, PORT_FILE_READ, &file);
	a->accept = st == NVMKV_OK;
	if (st == NVMKV_OK)
		port_files->close(file);
	return st == NVMKV_NOT_FOUND ? NVMKV_OK : st;
}

/* Nothing was ever written to it: the first opening ended before there was an anchor. */
static bool
is_new(const VersionDraft *draft)
{
	return draft->nrows == 0 && draft->nfiles == 0 && draft->durable_seq == 0;
}

static NvmkvStatus
judge_by_anchor(const Agreement *a, unsigned family, const VersionDraft *draft, const char *manifest)
{
	const AnchorTree *tree = anchor_tree(&a->anchor, family);
	uint64_t expected = anchor_incarnation(&a->anchor, family);

	if (a->anchor_found == NVMKV_NOT_FOUND)
	{
		if (draft == NULL || is_new(draft))
			return NVMKV_OK;
		return NVMKV_FAIL(NVMKV_CORRUPTION, "\"%s.anchor\" is missing, which says how far manifest \"%s\" must go (it ends with edit %" PRIu64
						  ", at log position " POSITION "); " REMEDY, a->dir, manifest, draft->edits,
						  POSITION_ARGS(draft->durable_seq), a->dir);
	}
	if (a->anchor_found != NVMKV_OK)
		return NVMKV_FAIL(a->anchor_found, "%s; " REMEDY, a->anchor_problem, a->dir);
	if (draft == NULL)
	{
		if (tree == NULL || tree->empty)
			return NVMKV_OK;
		return NVMKV_FAIL(NVMKV_CORRUPTION, "\"%s\" holds no database, but there was one up to log position " POSITION
						  " (edit %" PRIu64 "), says \"%s.anchor\"; " REMEDY, manifest, POSITION_ARGS(tree->durable_seq),
						  tree->edits, a->dir, a->dir);
	}
	if (draft->incarnation != expected && draft->predecessor != expected)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "manifest \"%s\" is of another time or another server: it is of incarnation %016" PRIx64
						  " and ends at log position " POSITION ", \"%s.anchor\" says %016" PRIx64 " and " POSITION "; " REMEDY,
						  manifest, draft->incarnation, POSITION_ARGS(draft->durable_seq), a->dir,
						  expected, POSITION_ARGS(tree != NULL ? tree->durable_seq : 0), a->dir);
	if (tree != NULL && draft->edits < tree->edits && !(tree->empty && draft->nrows == 0 && draft->nfiles == 0))
		return NVMKV_FAIL(NVMKV_CORRUPTION, "manifest \"%s\" has lost its end, or is an earlier one: it ends with edit %" PRIu64
						  ", at log position " POSITION ", \"%s.anchor\" says %" PRIu64 " and " POSITION " (MANIFEST-%06" PRIu64
						  ", %" PRIu64 " bytes); " REMEDY, manifest, draft->edits, POSITION_ARGS(draft->durable_seq), a->dir,
						  tree->edits, POSITION_ARGS(tree->durable_seq), tree->manifest_number,
						  tree->manifest_bytes, a->dir);
	return NVMKV_OK;
}

uint64_t
agreement_log_begin(const Agreement *a, unsigned family)
{
	return a->family_log_begin[family] != 0 ? a->family_log_begin[family] : a->log_begin;
}

/*
 * trusted: the anchor says that it is the right tree.  It also knows how far the log had nothing more for a family
 * that could not be used: behind that it had, whatever the tree says.
 */
static NvmkvStatus
judge_by_log(const Agreement *a, unsigned family, const VersionDraft *draft, const char *manifest, bool trusted)
{
	const AnchorTree *tree = trusted ? anchor_tree(&a->anchor, family) : NULL;
	const uint64_t log_begin = agreement_log_begin(a, family);

	if (draft == NULL || log_begin == 0 || draft->durable_seq >= log_begin || is_new(draft) ||
		(tree != NULL && tree->durable_seq >= log_begin))
		return NVMKV_OK;
	if (draft->closed && (tree == NULL || tree->durable_seq <= draft->durable_seq) &&
		(trusted || log_begin - draft->durable_seq <= CLOSED_DISTANCE_MAX))
		return NVMKV_OK;
	return NVMKV_FAIL(NVMKV_CORRUPTION, "manifest \"%s\" has what was written up to log position " POSITION
					  ", but the log begins at " POSITION ": what is between is lost; " REMEDY, manifest,
					  POSITION_ARGS(draft->durable_seq), POSITION_ARGS(log_begin), a->dir);
}

static NvmkvStatus
judge(const Agreement *a, unsigned family, const VersionDraft *draft, const char *manifest)
{
	if (!a->restored)
		NVMKV_RETURN_IF(judge_by_anchor(a, family, draft, manifest));
	return judge_by_log(a, family, draft, manifest, !a->restored && a->anchor_found == NVMKV_OK);
}

NvmkvStatus
agreement_judge(const Agreement *a, unsigned family, const VersionDraft *draft, const char *manifest,
				bool *accepted_out)
{
	NvmkvStatus st;

	*accepted_out = false;
	if (draft != NULL && a->log_end != 0 && draft->durable_seq > a->log_end)
		return NVMKV_FAIL(NVMKV_CORRUPTION, "manifest \"%s\" has what was written up to log position " POSITION
						  ", but the log ends at " POSITION ": it is of a later time, or of another server; put back the files that belong together",
						  manifest, POSITION_ARGS(draft->durable_seq), POSITION_ARGS(a->log_end));
	st = judge(a, family, draft, manifest);
	if (st == NVMKV_OK || !a->accept)
		return st;
	port_log(PORT_LOG_WARNING, "accepted, as \"%s.accept\" says: %s", a->dir, nvmkv_error()->text);
	*accepted_out = true;
	return NVMKV_OK;
}

NvmkvStatus
agreement_judge_families(const Agreement *a, uint32_t families)
{
	unsigned i;

	if (a->anchor_found != NVMKV_OK || a->restored || a->accept)
		return NVMKV_OK;
	for (i = 0; i < a->anchor.ntrees; i++)
	{
		const AnchorTree *tree = &a->anchor.trees[i];

		if ((families >> tree->family & 1) == 0)
			return NVMKV_FAIL(NVMKV_CORRUPTION, "\"%s/FAMILIES\" does not name column family %u, which was there up to log position " POSITION
							  " (edit %" PRIu64 "), says \"%s.anchor\"; " REMEDY, a->dir, tree->family,
							  POSITION_ARGS(tree->durable_seq), tree->edits, a->dir, a->dir);
	}
	return NVMKV_OK;
}
