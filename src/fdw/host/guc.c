/*
 * guc.c
 *	  Settings nvmkv.*: nearly all of them shape shared memory or files, and so
 *	  need a restart.
 */
#include "postgres.h"

#include <limits.h>

#include "utils/guc.h"

#include "engine/base/options.h"
#include "fdw/host/compression.h"
#include "fdw/host/guc.h"

int nvmkv_write_buffer_size_kb = 65536;
int nvmkv_max_write_buffers = 4;
int nvmkv_nvm_size_mb = 512;
char *nvmkv_nvm_path = NULL;
int nvmkv_target_file_size_kb = 32768;
int nvmkv_block_cache_size_mb = 64;
int nvmkv_bloom_bits_per_key = 10;
int nvmkv_value_threshold = 1024;
double nvmkv_l0_write_amplification = 3.0;
char *nvmkv_compression = NULL;
int nvmkv_compaction_workers = 1;
int nvmkv_max_column_families = 1;
int nvmkv_compaction_rate_limit_kb = 0;
int nvmkv_copy_space_limit_mb = -1;
bool nvmkv_ignore_lost_wal = false;

/* A reference takes about a third of it. */
#define VALUE_THRESHOLD_MIN 64

/* A job would seem to stand still. */
#define COMPACTION_RATE_KB_MIN 64

static bool
check_nvm_size(int *newval, void **extra, GucSource source)
{
	if (*newval == 0 || *newval >= NVMKV_NVM_SIZE_MB_MIN)
		return true;
	GUC_check_errdetail("\"nvmkv.nvm_size\" must be 0 or at least %dMB.", NVMKV_NVM_SIZE_MB_MIN);
	return false;
}

static bool
check_value_threshold(int *newval, void **extra, GucSource source)
{
	if (*newval == 0 || *newval >= VALUE_THRESHOLD_MIN)
		return true;
	GUC_check_errdetail("\"nvmkv.value_threshold\" must be 0 or at least %dB.", VALUE_THRESHOLD_MIN);
	return false;
}

static bool
check_compaction_rate_limit(int *newval, void **extra, GucSource source)
{
	if (*newval == 0 || *newval >= COMPACTION_RATE_KB_MIN)
		return true;
	GUC_check_errdetail("\"nvmkv.compaction_rate_limit\" must be 0 or at least %dkB.", COMPACTION_RATE_KB_MIN);
	return false;
}

static bool
check_compression(char **newval, void **extra, GucSource source)
{
	uint8 compression[NVMKV_LEVELS];
	const char *detail;

	if (nvmkv_parse_compression(*newval, compression, &detail))
		return true;
	GUC_check_errdetail("%s", detail);
	return false;
}

/* As users know what the engine's messages name. */
static const NvmkvOptionName setting_names[] = {
	{"write_buffer_bytes", "nvmkv.write_buffer_size"},
	{"max_write_buffers", "nvmkv.max_write_buffers"},
	{"nvm_bytes", "nvmkv.nvm_size"},
	{"nvm_path", "nvmkv.nvm_path"},
	{"target_file_bytes", "nvmkv.target_file_size"},
	{"block_cache_bytes", "nvmkv.block_cache_size"},
	{"bloom_bits_per_key", "nvmkv.bloom_bits_per_key"},
	{"value_threshold_bytes", "nvmkv.value_threshold"},
	{"l0_write_amplification", "nvmkv.l0_write_amplification"},
	{"compression", "nvmkv.compression"},
	{"compaction_bytes_per_second", "nvmkv.compaction_rate_limit"},
	{"max_families", "nvmkv.max_column_families"},
	{NULL, NULL}};

void
nvmkv_guc_init(void)
{
	nvmkv_options_name(setting_names);
	DefineCustomIntVariable("nvmkv.write_buffer_size",
							"Size of one memtable.",
							"A full memtable becomes one row of the container in persistent memory.",
							&nvmkv_write_buffer_size_kb, 65536, 1024, 1048576,
							PGC_POSTMASTER, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("nvmkv.max_write_buffers",
							"Number of memtables in shared memory.",
							NULL,
							&nvmkv_max_write_buffers, 4, 2, 15,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("nvmkv.nvm_size",
							"Size of the level-0 container; 0 runs without one.",
							"An existing container becomes larger or smaller at the next start.",
							&nvmkv_nvm_size_mb, 512, 0, 1048576,
							PGC_POSTMASTER, GUC_UNIT_MB, check_nvm_size, NULL, NULL);
	DefineCustomStringVariable("nvmkv.nvm_path",
							   "File or DAX device of the level-0 container; empty means nvmkv/level0.pool in the data directory.",
							   NULL,
							   &nvmkv_nvm_path, "",
							   PGC_POSTMASTER, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
	DefineCustomIntVariable("nvmkv.target_file_size",
							"Size at which a table file of level 1 is ended.",
							NULL,
							&nvmkv_target_file_size_kb, 32768, 1024, 1048576,
							PGC_POSTMASTER, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("nvmkv.block_cache_size",
							"Shared memory for blocks of table files.",
							NULL,
							&nvmkv_block_cache_size_mb, 64, 1, 1048576,
							PGC_POSTMASTER, GUC_UNIT_MB, NULL, NULL, NULL);
	DefineCustomIntVariable("nvmkv.bloom_bits_per_key",
							"Bits of the bloom filters for each key; 0 turns filters off.",
							NULL,
							&nvmkv_bloom_bits_per_key, 10, 0, 32,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("nvmkv.value_threshold",
							"Size from which on table files keep a row's values apart from its key; 0: never.",
							"Larger rows are then written once, and not again each time that their keys move down a level.",
							&nvmkv_value_threshold, 1024, 0, 1024 * 1024,
							PGC_POSTMASTER, GUC_UNIT_BYTE, check_value_threshold, NULL, NULL);
	DefineCustomRealVariable("nvmkv.l0_write_amplification",
							 "Bytes that draining level 0 may write for each byte taken from it.",
							 "A batch is drained once it is large enough for this, or when the container fills up.",
							 &nvmkv_l0_write_amplification, 3.0, 1.5, 20.0,
							 PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("nvmkv.compression",
							   "Compression of table files: none, lz4 or zstd, or a list of them by level.",
							   "The last one of a list is that of all further levels.",
							   &nvmkv_compression, "none",
							   PGC_POSTMASTER, 0, check_compression, NULL, NULL);
	DefineCustomIntVariable("nvmkv.compaction_workers",
							"Number of compaction workers.",
							NULL,
							&nvmkv_compaction_workers, 1, 1, 8,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("nvmkv.compaction_rate_limit",
							"Most that compaction writes to files in a second; 0 is no limit.",
							"It does not apply while writers would have to wait for compaction.",
							&nvmkv_compaction_rate_limit_kb, 0, 0, MAX_KILOBYTES,
							PGC_SIGHUP, GUC_UNIT_KB, check_compaction_rate_limit, NULL, NULL);
	DefineCustomIntVariable("nvmkv.copy_space_limit",
							"Most that obsolete files kept for copies of the data directory may take; 0 is no limit.",
							"-1: as much as the tables take, at least 1GB. The oldest copy is given up when it is exceeded.",
							&nvmkv_copy_space_limit_mb, -1, -1, MAX_KILOBYTES / 1024,
							PGC_SIGHUP, GUC_UNIT_MB, NULL, NULL, NULL);
	DefineCustomIntVariable("nvmkv.max_column_families",
							"Number of column families there can be, the default one included.",
							"For each, address space for its memtables is reserved at server start.",
							&nvmkv_max_column_families, 1, 1, NVMKV_FAMILIES_MAX,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("nvmkv.ignore_lost_wal",
							 "Gives up WAL of foreign tables that cannot be replayed.",
							 "Rows that were written last are lost, or come back as they were before.  Only as a last resort.",
							 &nvmkv_ignore_lost_wal, false,
							 PGC_POSTMASTER, GUC_SUPERUSER_ONLY | GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);
	MarkGUCPrefixReserved("nvmkv");
}
