/*
 * lost.h
 *	  What is said of rows whose transactions' outcomes are lost.
 */
#ifndef NVMKV_FDW_LOST_H
#define NVMKV_FDW_LOST_H

#include "postgres.h"

#include "engine/nvmkv.h"
#include "fdw/compat/compat.h"

/*
 * ERROR that names the table and, as far as the user may see it, the key.  In a transaction; may be called inside the
 * engine and with latches held, which are left first.
 */
pg_noreturn extern void nvmkv_report_lost_outcome(uint64 fxid, NvmkvSlice key);

/*
 * What there is of such rows: report(ctx, table, text), a call for each table.  Tables of other databases go by their
 * storages.  In a transaction, outside of the engine; takes AccessShareLock on the tables in turn.  ERROR: as a scan.
 */
extern void nvmkv_list_lost_rows(NvmkvDb *db, void (*report)(void *ctx, const char *where, const char *text),
								 void *ctx);

#endif
