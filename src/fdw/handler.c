/*-------------------------------------------------------------------------
 *
 * handler.c
 *	  The wrapper's table of callbacks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "foreign/fdwapi.h"

#include "fdw/ddl/ddl.h"
#include "fdw/modify/modify.h"
#include "fdw/plan/count.h"
#include "fdw/plan/plan.h"
#include "fdw/scan/analyze.h"
#include "fdw/scan/explain.h"
#include "fdw/scan/parallel.h"
#include "fdw/scan/scan.h"

PG_FUNCTION_INFO_V1(nvmkv_fdw_handler);

Datum
nvmkv_fdw_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	routine->GetForeignRelSize = nvmkvGetForeignRelSize;
	routine->GetForeignPaths = nvmkvGetForeignPaths;
	routine->GetForeignPlan = nvmkvGetForeignPlan;
	routine->GetForeignUpperPaths = nvmkvGetForeignUpperPaths;
	routine->ReparameterizeForeignPathByChild = nvmkvReparameterizeForeignPathByChild;
	routine->IsForeignScanParallelSafe = nvmkvIsForeignScanParallelSafe;

	routine->BeginForeignScan = nvmkvBeginForeignScan;
	routine->IterateForeignScan = nvmkvIterateForeignScan;
	routine->RecheckForeignScan = nvmkvRecheckForeignScan;
	routine->ReScanForeignScan = nvmkvReScanForeignScan;
	routine->EndForeignScan = nvmkvEndForeignScan;
	routine->ExplainForeignScan = nvmkvExplainForeignScan;

	routine->EstimateDSMForeignScan = nvmkvEstimateDSMForeignScan;
	routine->InitializeDSMForeignScan = nvmkvInitializeDSMForeignScan;
	routine->ReInitializeDSMForeignScan = nvmkvReInitializeDSMForeignScan;
	routine->InitializeWorkerForeignScan = nvmkvInitializeWorkerForeignScan;
	routine->ShutdownForeignScan = nvmkvShutdownForeignScan;

	routine->AnalyzeForeignTable = nvmkvAnalyzeForeignTable;
	routine->ExecForeignTruncate = nvmkvExecForeignTruncate;
	nvmkv_modify_callbacks(routine);

	PG_RETURN_POINTER(routine);
}
