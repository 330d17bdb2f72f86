/*
 * family.c
 *	  Column families: see family.h.
 *
 * The log has a record of the family before each new storage in it, so that a
 * standby, or a recovery from an older backup, makes it in time (familyredo.c).
 */
#include "postgres.h"

#include "catalog/pg_foreign_server.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "storage/lmgr.h"

#include "fdw/host/engine.h"
#include "fdw/host/family.h"
#include "fdw/host/familyoption.h"
#include "fdw/host/guc.h"
#include "fdw/host/ready.h"
#include "fdw/host/status.h"
#include "fdw/host/wal.h"

/* Who makes families takes turns: the object that this lock is on is no server's, and no family's. */
#define FAMILY_LIST_LOCK 0

/* ---------------------------------------------------------------- handles */

/* Its tables are not available, and no others.  *db: the engine's handle, then the family's. */
static void
open_family(unsigned id, NvmkvDb **db)
{
	NvmkvStatus status = nvmkv_family(*db, id, db);

	if (likely(status == NVMKV_OK))
		return;
	ereport(ERROR,
			(errcode(status == NVMKV_CORRUPTION ? ERRCODE_DATA_CORRUPTED
					 : status == NVMKV_NO_SPACE ? ERRCODE_DISK_FULL
												: ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("foreign tables of a column family are not available"),
			 errdetail("%s", nvmkv_error()->text),
			 errhint("Put right what the message says and restart the server; nvmkv.column_families shows where containers are.")));
}

NvmkvDb *
nvmkv_engine_of(uint64 storage_id)
{
	NvmkvDb *db = nvmkv_engine();
	unsigned id = nvmkv_family_of_storage(storage_id);

	if (id != 0)
		open_family(id, &db);
	return db;
}

NvmkvDb *
nvmkv_engine_of_or_null(uint64 storage_id)
{
	NvmkvDb *db = nvmkv_engine_or_null();
	unsigned id = nvmkv_family_of_storage(storage_id);

	if (db != NULL && id != 0 && nvmkv_family(db, id, &db) != NVMKV_OK)
		return NULL;
	return db;
}

NvmkvDb *
nvmkv_engine_of_any(uint64 storage_id)
{
	NvmkvDb *db = nvmkv_engine();
	unsigned id = nvmkv_family_of_storage(storage_id);

	if (id != 0)
		LockSharedObject(ForeignServerRelationId, id, 0, AccessShareLock);
	return id == 0 ? db : nvmkv_engine_of_or_null(storage_id);
}

unsigned
nvmkv_family_find(NvmkvDb *db, const char *name, NvmkvFamilyInfo *info_out)
{
	NvmkvFamilyInfo list[NVMKV_FAMILIES_MAX];
	unsigned count = nvmkv_family_list(db, list, lengthof(list));

	for (unsigned i = 0; i < count; i++)
		if (strcmp(list[i].name, name) == 0)
		{
			*info_out = list[i];
			return list[i].id;
		}
	return 0;
}

bool
nvmkv_family_lock(NvmkvDb *db, const char *name, unsigned id, LOCKMODE mode)
{
	NvmkvFamilyInfo info;

	LockSharedObject(ForeignServerRelationId, id, 0, mode);
	if (nvmkv_family_find(db, name, &info) == id)
		return true;
	UnlockSharedObject(ForeignServerRelationId, id, 0, mode);
	return false;
}

NvmkvFamilyEntry *
nvmkv_families(unsigned *count_out)
{
	NvmkvDb *db = nvmkv_engine();
	NvmkvFamilyInfo list[NVMKV_FAMILIES_MAX];
	unsigned count = nvmkv_family_list(db, list, lengthof(list));
	NvmkvFamilyEntry *entries = palloc((count + 1) * sizeof(NvmkvFamilyEntry));
	unsigned n = 0;

	entries[n].name = NVMKV_FAMILY_DEFAULT_NAME;
	entries[n++].db = db;
	for (unsigned i = 0; i < count; i++)
		if (nvmkv_family_lock(db, list[i].name, list[i].id, AccessShareLock))
		{
			/* One that could not be opened has nothing to show. */
			if (nvmkv_family(db, list[i].id, &entries[n].db) == NVMKV_OK)
				entries[n++].name = pstrdup(list[i].name);
		}
	*count_out = n;
	return entries;
}

/* ---------------------------------------------------------------- making */

static void
make_family(NvmkvDb *db, const char *name, const NvmkvFamilyOptions *shape)
{
	NvmkvFamilyInfo info;
	NvmkvStatus status = NVMKV_OK;

	/* A reason of its own to wait, and to be told apart: two sessions that make families at once. */
	LockSharedObject(ForeignServerRelationId, FAMILY_LIST_LOCK, 0, ExclusiveLock);
	if (nvmkv_family_find(db, name, &info) == 0)
		status = nvmkv_family_create(db, 0, name, shape, NULL);
	if (status == NVMKV_LIMIT || status == NVMKV_INVALID)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("column family \"%s\" cannot be made", name),
				 errdetail("%s", nvmkv_error()->text),
				 errhint("Increase the settings that it names and restart the server, or change the options of the foreign server.")));
	nvmkv_check_status(status, "making column family", name);
	UnlockSharedObject(ForeignServerRelationId, FAMILY_LIST_LOCK, 0, ExclusiveLock);
}

const char *
nvmkv_family_read_shape(NvmkvDb *db, List *options, NvmkvFamilyOptions *shape)
{
	bool shaped;

	nvmkv_family_options_default(db, shape);
	shape->own = 0;
	shape->nvm_bytes = (uint64) nvmkv_nvm_size_mb * 1024 * 1024;
	return nvmkv_family_options(options, shape, &shaped);
}

uint64
nvmkv_family_new_storage_id(Relation rel)
{
	NvmkvDb *db = nvmkv_engine();
	List *options = GetForeignServer(GetForeignTable(RelationGetRelid(rel))->serverid)->options;
	NvmkvFamilyOptions shape;
	NvmkvFamilyInfo info;
	const char *name;
	unsigned id;

	name = nvmkv_family_read_shape(db, options, &shape);
	if (strcmp(name, NVMKV_FAMILY_DEFAULT_NAME) == 0)
		return nvmkv_wal_new_storage_id();
	while ((id = nvmkv_family_find(db, name, &info)) == 0 || !nvmkv_family_lock(db, name, id, RowShareLock))
	{
		CHECK_FOR_INTERRUPTS();
		if (id == 0)
			make_family(db, name, &shape);
	}
	nvmkv_wal_family_created(&info);
	return nvmkv_wal_new_storage_id() | (uint64) id << NVMKV_STORAGE_FAMILY_SHIFT;
}

const char *
nvmkv_family_larger_buffer(Relation rel)
{
	NvmkvDb *db = nvmkv_engine();
	NvmkvFamilyOptions shape;
	NvmkvFamilyInfo info;
	List *options = GetForeignServer(GetForeignTable(RelationGetRelid(rel))->serverid)->options;
	const char *name = nvmkv_family_read_shape(db, options, &shape);

	if (nvmkv_family_find(db, name, &info) == 0 || (info.options.own & NVMKV_OWN_WRITE_BUFFER_BYTES) == 0)
		return "Increase nvmkv.write_buffer_size.";
	return psprintf("Column family \"%s\" has a write_buffer_size of " UINT64_FORMAT " kB of its own. Use a server that names another family, or change that option and call nvmkv.reshape_column_family().",
					name, info.options.write_buffer_bytes / 1024);
}

void
nvmkv_broken_families(NvmkvDb *db, void (*report)(void *ctx, const char *family, const char *problem), void *ctx)
{
	NvmkvFamilyInfo list[NVMKV_FAMILIES_MAX];
	unsigned count = nvmkv_family_list(db, list, lengthof(list));
	NvmkvDb *family;

	for (unsigned i = 0; i < count; i++)
		if (nvmkv_family(db, list[i].id, &family) != NVMKV_OK)
			report(ctx, list[i].name, pstrdup(nvmkv_error()->text));
}
