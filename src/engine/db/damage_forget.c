/*
 * damage_forget.c
 *	  Accepting a loss: keys in damaged ranges read as absent from then on, and
 *	  the range can be written again.
 *
 * First the range is compacted as a whole, so that all damage in it has been gone
 * round.  At the lowest level that also drops keys whose values, which stand
 * apart, cannot be read (merge_copy.c).  Then one edit takes the range out of all
 * damaged ranges.  Crash outcome: either that edit is there, or nothing has
 * changed but where the damage is noted.
 */
#include "engine/db/family.h"
#include "engine/tree/damage.h"
#include "engine/tree/emptied.h"
#include "engine/tree/failure.h"
#include "engine/tree/install.h"
#include "engine/tree/tree.h"

static NvmkvStatus
clear(NvmkvDb *db, const DamageRange *range)
{
	MetaDamageClear clears = {range->lower, range->upper};
	VersionEdit edit = {0};
	VersionImage *v;
	NvmkvStatus st = NVMKV_OK;

	NVMKV_RETURN_IF(db_copy_image(db, &v));
	if (damage_is_in(v, range))
	{
		edit.damage_clears = &clears;
		edit.ndamage_clears = 1;
		st = port_fault("damage.before_forget");
		if (st == NVMKV_OK)
			st = db_install(db, &edit);
		emptied_forget(db);
		if (st == NVMKV_OK)
			damage_release_files(db, v);
	}
	port_free(v);
	return st;
}

NvmkvStatus
nvmkv_forget_damage(NvmkvDb *db, NvmkvSlice lower, NvmkvSlice upper)
{
	const DamageRange range = {lower, upper};
	unsigned cursor = 0;
	NvmkvDb *tree;
	NvmkvStatus st;

	NVMKV_RETURN_IF(db_refuse_if_sticky(db));
	db->root->forgetting = &range;
	st = nvmkv_compact_range(db, lower, upper);
	db->root->forgetting = NULL;
	NVMKV_RETURN_IF(st);
	while ((st = family_next(db, &cursor, &tree)) == NVMKV_OK && tree != NULL)
	{
		st = clear(tree, &range);
		if (st != NVMKV_OK)
		{
			family_leave(db, cursor);
			break;
		}
	}
	return st;
}
