/*
 * agreement.h
 *	  The server's side of engine/meta/agreement.h: where its log begins and
 *	  ends, and when the engine is told that there is something for it in it.
 *
 * Begins: at the redo point of the control file's checkpoint, or of the backup
 * that is about to be restored.  So every checkpoint, and every checkpoint
 * record a standby replays, is let go (nvmkv_log_let_go) before it counts.
 *
 * Ends: at the checkpoint of the control file after an orderly shutdown; else
 * it is known when everything has been replayed.
 *
 * The log has something for the engine from when the barrier lets writers in,
 * or the first record of ours is replayed, to when the barrier has kept them
 * out or recovery has ended.  In between, checkpoints that nobody holds back -
 * at the end of recovery, at shutdown - may pass: there is nothing before them
 * that is not in files.
 */
#ifndef NVMKV_FDW_AGREEMENT_H
#define NVMKV_FDW_AGREEMENT_H

#include "postgres.h"

#include "access/xlogdefs.h"

#include "engine/nvmkv.h"

/* Fills in what the control file says.  restore_from is filled in already. */
extern void nvmkv_agreement_options(NvmkvOptions *options);

/* Before writers are let in.  CORRUPTION: the engine's files are of a later time than the server's log. */
extern NvmkvStatus nvmkv_agreement_open(NvmkvDb *db);

/* Before a record of ours is replayed. */
extern NvmkvStatus nvmkv_agreement_before_redo(NvmkvDb *db);

/* Everything has been replayed, up to there: FATAL if the engine has more. */
extern void nvmkv_agreement_check_end(NvmkvDb *db, XLogRecPtr end);

#endif
