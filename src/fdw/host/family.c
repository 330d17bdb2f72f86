/*
 * family.c
 *	  Column families in SQL: see family.h.
 *
 * The log has a record of the family before each new storage in it, so that a
 * standby, or a recovery from an older backup, makes it in time.  Replaying one
 * where another family has the number, or the name, means that what is there is
 * newer or older than the record: it is dropped, for whatever belongs to it is
 * in the log from its own record on.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogutils.h"
#include "catalog/pg_foreign_server.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "fdw/host/copy.h"
#include "fdw/host/engine.h"
#include "fdw/host/family.h"
#include "fdw/host/guc.h"
#include "fdw/host/resultrow.h"
#include "fdw/host/wal.h"
#include "fdw/storage/registry.h"
#include "fdw/table/option.h"

PG_FUNCTION_INFO_V1(nvmkv_sql_column_families);
PG_FUNCTION_INFO_V1(nvmkv_sql_drop_column_family);
PG_FUNCTION_INFO_V1(nvmkv_sql_reshape_column_family);

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

/* The number of a family; 0: there is none of this name. */
static unsigned
find_family(NvmkvDb *db, const char *name, NvmkvFamilyInfo *info_out)
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

/* Waits for the lock; false if the family of this name has gone, or is another one, by then. */
static bool
lock_family(NvmkvDb *db, const char *name, unsigned id, LOCKMODE mode)
{
	NvmkvFamilyInfo info;

	LockSharedObject(ForeignServerRelationId, id, 0, mode);
	if (find_family(db, name, &info) == id)
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
		if (lock_family(db, list[i].name, list[i].id, AccessShareLock))
		{
			/* One that could not be opened has nothing to show. */
			if (nvmkv_family(db, list[i].id, &entries[n].db) == NVMKV_OK)
				entries[n++].name = pstrdup(list[i].name);
		}
	*count_out = n;
	return entries;
}

/* ---------------------------------------------------------------- options */

static void
report_bad_value(const char *name, const char *value, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
			 errmsg("invalid value for option \"%s\": \"%s\"", name, value),
			 hint != NULL ? errhint("%s", _(hint)) : 0));
}

static int
int_option(const DefElem *def, int flags, int min, int max)
{
	const char *value = defGetString((DefElem *) unconstify(DefElem *, def));
	const char *hint = NULL;
	int result;

	if (!parse_int(value, &result, flags, &hint))
		report_bad_value(def->defname, value, hint);
	if (result < min || result > max)
		report_bad_value(def->defname, value,
						 psprintf("It must be between %d and %d%s.", min, max, flags == GUC_UNIT_KB ? " kB" : ""));
	return result;
}

/* What a server's options say of the shape, over the settings'; the name, "default" if none is given. */
static const char *
read_options(List *options, NvmkvFamilyOptions *shape, bool *shaped_out)
{
	const char *name = NVMKV_FAMILY_DEFAULT_NAME;
	bool has_container = true;
	ListCell *lc;

	*shaped_out = false;
	foreach(lc, options)
	{
		DefElem *def = (DefElem *) lfirst(lc);

		if (strcmp(def->defname, NVMKV_OPTION_COLUMN_FAMILY) == 0)
		{
			name = defGetString(def);
			continue;
		}
		*shaped_out = true;
		if (strcmp(def->defname, NVMKV_OPTION_NVM) == 0)
			has_container = defGetBoolean(def);
		else if (strcmp(def->defname, NVMKV_OPTION_NVM_SIZE) == 0)
		{
			int size = int_option(def, GUC_UNIT_MB, 0, 1048576);

			if (size != 0 && size < NVMKV_NVM_SIZE_MB_MIN)
				report_bad_value(def->defname, defGetString(def),
								 psprintf("It must be 0 or at least %dMB.", NVMKV_NVM_SIZE_MB_MIN));
			shape->own |= NVMKV_OWN_NVM_BYTES;
			shape->nvm_bytes = (uint64) size * 1024 * 1024;
		}
		else if (strcmp(def->defname, NVMKV_OPTION_WRITE_BUFFER_SIZE) == 0)
		{
			shape->own |= NVMKV_OWN_WRITE_BUFFER_BYTES;
			shape->write_buffer_bytes = (uint64) int_option(def, GUC_UNIT_KB, 1024, 1048576) * 1024;
		}
		else if (strcmp(def->defname, NVMKV_OPTION_MAX_WRITE_BUFFERS) == 0)
		{
			shape->own |= NVMKV_OWN_MAX_WRITE_BUFFERS;
			shape->max_write_buffers = (unsigned) int_option(def, 0, 2, 15);
		}
		else if (strcmp(def->defname, NVMKV_OPTION_TARGET_FILE_SIZE) == 0)
		{
			shape->own |= NVMKV_OWN_TARGET_FILE_BYTES;
			shape->target_file_bytes = (uint64) int_option(def, GUC_UNIT_KB, 1024, 1048576) * 1024;
		}
		else if (strcmp(def->defname, NVMKV_OPTION_BLOOM_BITS_PER_KEY) == 0)
		{
			shape->own |= NVMKV_OWN_BLOOM_BITS;
			shape->bloom_bits_per_key = (unsigned) int_option(def, 0, 0, 32);
		}
		else if (strcmp(def->defname, NVMKV_OPTION_COMPRESSION) == 0)
		{
			const char *detail;

			shape->own |= NVMKV_OWN_COMPRESSION;

			if (!nvmkv_parse_compression(defGetString(def), shape->compression, &detail))
				report_bad_value(def->defname, defGetString(def), detail);
		}
		else
			*shaped_out = false; /* the validator refuses what it does not know */
	}
	if (!has_container)
	{
		shape->own |= NVMKV_OWN_NVM_BYTES;
		shape->nvm_bytes = 0;
	}
	return name;
}

void
nvmkv_family_check_options(List *options)
{
	NvmkvFamilyOptions shape;
	bool shaped;
	const char *name;

	memset(&shape, 0, sizeof(shape));
	name = read_options(options, &shape, &shaped);
	if (name[0] == '\0' || strlen(name) > NVMKV_FAMILY_NAME_BYTES)
		report_bad_value(NVMKV_OPTION_COLUMN_FAMILY, name,
						 psprintf("A name has 1 to %d bytes.", NVMKV_FAMILY_NAME_BYTES));
	for (const char *p = name; *p != '\0'; p++)
		if ((unsigned char) *p < 0x20 || *p == 0x7f)
			report_bad_value(NVMKV_OPTION_COLUMN_FAMILY, name, "A name has no control characters.");
	if (shaped && strcmp(name, NVMKV_FAMILY_DEFAULT_NAME) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("the shape of the default column family cannot be an option of a server"),
				 errdetail("It is given by the settings nvmkv.*."),
				 errhint("Name a family of its own with the option \"%s\".", NVMKV_OPTION_COLUMN_FAMILY)));
}

/* ---------------------------------------------------------------- making */

static void
make_family(NvmkvDb *db, const char *name, const NvmkvFamilyOptions *shape)
{
	NvmkvFamilyInfo info;
	NvmkvStatus status = NVMKV_OK;

	/* A reason of its own to wait, and to be told apart: two sessions that make families at once. */
	LockSharedObject(ForeignServerRelationId, FAMILY_LIST_LOCK, 0, ExclusiveLock);
	if (find_family(db, name, &info) == 0)
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

/* The shape that a server's options give; the name. */
static const char *
read_shape(NvmkvDb *db, List *options, NvmkvFamilyOptions *shape)
{
	bool shaped;

	nvmkv_family_options_default(db, shape);
	shape->own = 0;
	shape->nvm_bytes = (uint64) nvmkv_nvm_size_mb * 1024 * 1024;
	return read_options(options, shape, &shaped);
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

	name = read_shape(db, options, &shape);
	if (strcmp(name, NVMKV_FAMILY_DEFAULT_NAME) == 0)
		return nvmkv_wal_new_storage_id();
	while ((id = find_family(db, name, &info)) == 0 || !lock_family(db, name, id, RowShareLock))
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
	const char *name = read_shape(db, options, &shape);

	if (find_family(db, name, &info) == 0 || (info.options.own & NVMKV_OWN_WRITE_BUFFER_BYTES) == 0)
		return "Increase nvmkv.write_buffer_size.";
	return psprintf("Column family \"%s\" has a write_buffer_size of " UINT64_FORMAT " kB of its own. Use a server that names another family, or change that option and call nvmkv.reshape_column_family().",
					name, info.options.write_buffer_bytes / 1024);
}

/* ---------------------------------------------------------------- dropping and reshaping */

/* By another transaction that has ended: not by this one, which could still roll back what it has done to a table. */
static void
refuse_in_transaction(const char *function)
{
	if (IsTransactionBlock() || IsSubTransaction() || TransactionIdIsValid(GetTopTransactionIdIfAny()))
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("%s cannot run inside a transaction block, or after a change in the same transaction", function)));
	PreventCommandDuringRecovery(function);
}

/*
 * The options are in FAMILIES before the log has them: after a crash in between they are the new ones, or those of a
 * record of before that is replayed; nobody was told which.
 */
Datum
nvmkv_sql_reshape_column_family(PG_FUNCTION_ARGS)
{
	const char *server_name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	NvmkvDb *db = nvmkv_engine();
	ForeignServer *server = GetForeignServerByName(server_name, false);
	NvmkvFamilyOptions shape;
	NvmkvFamilyInfo info;
	const char *name;
	unsigned id;

	refuse_in_transaction("nvmkv.reshape_column_family()");
	if (strcmp(GetForeignDataWrapper(server->fdwid)->fdwname, "nvmkv_fdw") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("server \"%s\" is not one of nvmkv_fdw", server_name)));
	name = read_shape(db, server->options, &shape);
	id = find_family(db, name, &info);
	if (id == 0 || !lock_family(db, name, id, ShareUpdateExclusiveLock))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 strcmp(name, NVMKV_FAMILY_DEFAULT_NAME) == 0
				 ? errmsg("the default column family is shaped by the settings nvmkv.*")
				 : errmsg("column family \"%s\" does not exist yet: it gets its shape with its first table", name)));
	nvmkv_check_status(nvmkv_family_reshape(db, id, &shape), "reshaping column family", name);
	info.options = shape;
	nvmkv_wal_family_reshaped(&info);
	ereport(NOTICE,
			(errmsg("column family \"%s\" has the new shape after the next restart", name)));
	PG_RETURN_VOID();
}

Datum
nvmkv_sql_drop_column_family(PG_FUNCTION_ARGS)
{
	const char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	NvmkvDb *db = nvmkv_engine();
	NvmkvFamilyInfo info;
	unsigned id;

	refuse_in_transaction("nvmkv.drop_column_family()");
	if (strcmp(name, NVMKV_FAMILY_DEFAULT_NAME) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the default column family cannot be dropped")));
	id = find_family(db, name, &info);
	if (id == 0 || !lock_family(db, name, id, AccessExclusiveLock))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("column family \"%s\" does not exist", name)));
	if (nvmkv_registry_has_family(id))
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot drop column family \"%s\" because tables are in it", name),
				 errhint("Drop the foreign tables of its servers, in all databases, first.")));
	nvmkv_wal_family_dropped(id);
	nvmkv_check_status(nvmkv_family_drop(db, id), "dropping column family", name);
	PG_RETURN_VOID();
}

/* ---------------------------------------------------------------- recovery */

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
	return status;
}

NvmkvStatus
nvmkv_family_redo_create(NvmkvDb *db, const NvmkvFamilyInfo *info)
{
	NvmkvFamilyInfo list[NVMKV_FAMILIES_MAX];
	unsigned count = nvmkv_family_list(db, list, lengthof(list));

	for (unsigned i = 0; i < count; i++)
		if ((list[i].id == info->id) != (strcmp(list[i].name, info->name) == 0))
			NVMKV_RETURN_IF(redo_drop(db, list[i].id));
	NVMKV_RETURN_IF(nvmkv_family_create(db, info->id, info->name, &info->options, NULL));
	return nvmkv_family_reshape(db, info->id, &info->options);
}

NvmkvStatus
nvmkv_family_redo_drop(NvmkvDb *db, uint32 id)
{
	NvmkvStatus status = redo_drop(db, id);

	/* Dropped before the crash. */
	return status == NVMKV_NOT_FOUND ? NVMKV_OK : status;
}

/* ---------------------------------------------------------------- view */

/* As it may be written in an option; palloc'd. */
static char *
describe_compression(const uint8 *compression)
{
	static const char *const names[] = {"none", "lz4", "zstd"};
	StringInfoData list;
	int last = NVMKV_LEVELS - 1;

	while (last > 1 && compression[last] == compression[last - 1])
		last--;
	initStringInfo(&list);
	for (int level = 1; level <= last; level++)
		appendStringInfo(&list, "%s%s", level > 1 ? ", " : "", names[compression[level]]);
	return list.data;
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

Datum
nvmkv_sql_column_families(PG_FUNCTION_ARGS)
{
	NvmkvDb *db = nvmkv_engine();
	NvmkvFamilyInfo list[NVMKV_FAMILIES_MAX];
	unsigned count;
	NvmkvResultRow row = {0};
	NvmkvContainerInfo container;
	NvmkvStatus status;

	InitMaterializedSRF(fcinfo, 0);
	memset(&list[0], 0, sizeof(list[0]));
	strlcpy(list[0].name, NVMKV_FAMILY_DEFAULT_NAME, sizeof(list[0].name));
	nvmkv_family_options_default(db, &list[0].options);
	list[0].options.nvm_bytes = (uint64) nvmkv_nvm_size_mb * 1024 * 1024;
	count = 1 + nvmkv_family_list(db, list + 1, lengthof(list) - 1);
	for (unsigned i = 0; i < count; i++)
	{
		nvmkv_result_put_text(&row, list[i].name);
		nvmkv_result_put_int4(&row, list[i].id);
		nvmkv_result_put_int8(&row, list[i].options.nvm_bytes);
		nvmkv_result_put_int8(&row, list[i].options.write_buffer_bytes);
		nvmkv_result_put_int4(&row, list[i].options.max_write_buffers);
		nvmkv_result_put_int8(&row, list[i].options.target_file_bytes);
		nvmkv_result_put_int4(&row, list[i].options.bloom_bits_per_key);
		nvmkv_result_put_text(&row, describe_compression(list[i].options.compression));
		/* Of one that could not be opened there is the path. */
		status = nvmkv_family_container(db, list[i].id, &container);
		if (list[i].options.nvm_bytes > 0 || container.bytes > 0)
			nvmkv_result_put_text(&row, container.path);
		else
			nvmkv_result_put_null(&row);
		if (status == NVMKV_OK)
			nvmkv_result_put_int8(&row, container.bytes);
		else
			nvmkv_result_put_null(&row);
		nvmkv_result_put_text(&row, status == NVMKV_OK ? "" : nvmkv_error()->text);
		nvmkv_result_emit(fcinfo, &row);
	}
	return (Datum) 0;
}
