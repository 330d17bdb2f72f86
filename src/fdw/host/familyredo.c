/*
 * familyredo.c
 *	  Column families in recovery.
 *
 * Replaying a record where another family has the number, or the name, means
 * that what is there is newer or older than the record: it is dropped, for
 * whatever belongs to it is in the log from its own record on.
 */
#include "postgres.h"

#include "access/xlogutils.h"
#include "catalog/pg_foreign_server.h"
#include "storage/lock.h"

#include "fdw/host/copies.h"
#include "fdw/host/familyredo.h"
#include "fdw/host/keptpart.h"

/*
 * On a standby those who read the family's tables have gone, for the locks of their DROPs are in the log.  The lock on
 * the family itself is not: here it is taken anew, so that those who look at its statistics are waited for, or are
 * cancelled when that takes too long, as they would be for a table.
 */
static NvmkvStatus
redo_drop(NvmkvDb *db, unsigned id)
{
	LOCKTAG tag;
	NvmkvStatus status;

	SET_LOCKTAG_OBJECT(tag, InvalidOid, ForeignServerRelationId, id, 0);
	nvmkv_copies_break(db, "A column family was dropped.");
	if (InHotStandby)
		(void) LockAcquire(&tag, AccessExclusiveLock, true, false);
	status = nvmkv_family_drop(db, id);
	if (InHotStandby)
		(void) LockRelease(&tag, AccessExclusiveLock, true);
	if (status == NVMKV_OK)
		nvmkv_kept_part_drop(id);
	return status;
}

NvmkvStatus
nvmkv_family_redo_create(NvmkvDb *db, const NvmkvFamilyInfo *info)
{
	NvmkvFamilyInfo list[NVMKV_FAMILIES_MAX];
	unsigned count = nvmkv_family_list(db, list, lengthof(list));
	NvmkvDb *family;
	bool was_there;

	for (unsigned i = 0; i < count; i++)
		if ((list[i].id == info->id) != (strcmp(list[i].name, info->name) == 0))
			NVMKV_RETURN_IF(redo_drop(db, list[i].id));
	was_there = nvmkv_family(db, info->id, &family) == NVMKV_OK;
	NVMKV_RETURN_IF(nvmkv_family_create(db, info->id, info->name, &info->options, NULL));
	/* What is kept, if it is made anew in a copy, is of before. */
	if (!was_there && nvmkv_family(db, info->id, &family) == NVMKV_OK)
		nvmkv_kept_part_drop(info->id);
	return nvmkv_family_reshape(db, info->id, &info->options);
}

NvmkvStatus
nvmkv_family_redo_drop(NvmkvDb *db, uint32 id)
{
	NvmkvStatus status = redo_drop(db, id);

	/* Dropped before the crash. */
	return status == NVMKV_NOT_FOUND ? NVMKV_OK : status;
}
