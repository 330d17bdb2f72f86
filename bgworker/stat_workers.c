/*
 * stat_workers.c
 *	  The function behind the view nvmkv.stat_workers.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"

#include "bgworker/worker.h"
#include "fdw/host/ready.h"
#include "fdw/host/resultrow.h"

PG_FUNCTION_INFO_V1(nvmkv_sql_stat_workers);

Datum
nvmkv_sql_stat_workers(PG_FUNCTION_ARGS)
{
	NvmkvWorkerStat workers[NVMKV_WORKERS_MAX];
	NvmkvResultRow row = {0};
	int count;

	(void) nvmkv_engine();
	InitMaterializedSRF(fcinfo, 0);
	count = nvmkv_worker_stats(workers);
	for (int i = 0; i < count; i++)
	{
		nvmkv_result_put_text(&row, nvmkv_worker_role_name(workers[i].role));
		if (workers[i].pid != 0)
			nvmkv_result_put(&row, Int32GetDatum(workers[i].pid));
		else
			nvmkv_result_put_null(&row);
		nvmkv_result_put_text(&row, workers[i].state);
		nvmkv_result_put_int8(&row, workers[i].steps);
		nvmkv_result_put_text(&row, workers[i].last_error);
		nvmkv_result_emit(fcinfo, &row);
	}
	return (Datum) 0;
}
