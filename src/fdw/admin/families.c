/*
 * families.c
 *	  Column families in SQL: dropping, reshaping, looking at them.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_foreign_server.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lockdefs.h"
#include "utils/builtins.h"

#include "fdw/host/compression.h"
#include "fdw/host/family.h"
#include "fdw/host/familyoption.h"
#include "fdw/host/guc.h"
#include "fdw/host/keptpart.h"
#include "fdw/host/ready.h"
#include "fdw/host/resultrow.h"
#include "fdw/host/status.h"
#include "fdw/host/wal.h"
#include "fdw/storage/registry.h"

PG_FUNCTION_INFO_V1(nvmkv_sql_column_families);
PG_FUNCTION_INFO_V1(nvmkv_sql_drop_column_family);
PG_FUNCTION_INFO_V1(nvmkv_sql_reshape_column_family);

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
	name = nvmkv_family_read_shape(db, server->options, &shape);
	id = nvmkv_family_find(db, name, &info);
	if (id == 0 || !nvmkv_family_lock(db, name, id, ShareUpdateExclusiveLock))
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
	id = nvmkv_family_find(db, name, &info);
	if (id == 0 || !nvmkv_family_lock(db, name, id, AccessExclusiveLock))
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
	nvmkv_kept_part_drop(id);
	PG_RETURN_VOID();
}

/* ---------------------------------------------------------------- view */

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
		nvmkv_result_put_text(&row, nvmkv_format_compression(list[i].options.compression));
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
