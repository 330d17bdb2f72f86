/*
 * settings.c
 *	  The engine's options from the settings nvmkv.*.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/proc.h"

#include "fdw/host/compression.h"
#include "fdw/host/guc.h"
#include "fdw/host/settings.h"
#include "fdw/key/layout.h"

/*
 * Room for a version: 100 000 tables with short keys, a few thousand with the longest.  Pages that are not used take
 * no memory.
 */
#define ENGINE_VERSION_BYTES (UINT64_C(16) << 20)

/* What nvmkv_options_cover has found when the server was started: shared memory was sized by it. */
static bool covered;
static unsigned family_slots;
static uint64 family_memtables_bytes;

/* A container holds three write buffers at least. */
#define ENGINE_CONTAINER_BUFFERS 3

/* Write buffers that are too large for the container are made smaller: that costs speed only. */
static void
fit_write_buffers(NvmkvOptions *options, bool complain)
{
	uint64 fits = options->nvm_bytes / ENGINE_CONTAINER_BUFFERS;

	if (options->nvm_bytes == 0 || options->write_buffer_bytes <= fits)
		return;
	options->write_buffer_bytes = fits;
	if (complain)
		ereport(WARNING,
				(errmsg("nvmkv.write_buffer_size is %d kB, and nvmkv.nvm_size is %d MB: write buffers have " UINT64_FORMAT " kB, so that the container can hold %d of them",
						nvmkv_write_buffer_size_kb, nvmkv_nvm_size_mb, fits / 1024, ENGINE_CONTAINER_BUFFERS),
				 errhint("Increase nvmkv.nvm_size, decrease nvmkv.write_buffer_size, or set nvmkv.nvm_size to 0.")));
}

void
nvmkv_settings(NvmkvOptions *options, bool complain)
{
	const char *detail;

	nvmkv_options_default(options);
	options->write_buffer_bytes = (uint64) nvmkv_write_buffer_size_kb * 1024;
	options->max_write_buffers = (unsigned) nvmkv_max_write_buffers;
	options->nvm_bytes = (uint64) nvmkv_nvm_size_mb * 1024 * 1024;
	fit_write_buffers(options, complain);
	options->nvm_path = nvmkv_nvm_path != NULL && nvmkv_nvm_path[0] != '\0' ? nvmkv_nvm_path : NULL;
	options->target_file_bytes = (uint64) nvmkv_target_file_size_kb * 1024;
	options->block_cache_bytes = (uint64) nvmkv_block_cache_size_mb * 1024 * 1024;
	options->bloom_bits_per_key = (unsigned) nvmkv_bloom_bits_per_key;
	options->value_threshold_bytes = (uint32) nvmkv_value_threshold;
	options->prefix_bytes = NVMKV_STORAGE_ID_BYTES;
	options->prefix_is_sequence = true; /* nvmkv_family_new_storage_id */
	options->l0_write_amplification = nvmkv_l0_write_amplification;
	/* It was checked when it was set. */
	(void) nvmkv_parse_compression(nvmkv_compression, options->compression, &detail);
	options->compaction_bytes_per_second = (uint64) nvmkv_compaction_rate_limit_kb * 1024;
	options->process_slots = (unsigned) (MaxBackends + NUM_AUXILIARY_PROCS);
	options->version_slot_bytes = ENGINE_VERSION_BYTES;
	options->max_families = (unsigned) nvmkv_max_column_families;
	options->standalone_log = false;
	/* What the families that there are need, whatever the settings are now: memory is reserved once, at start. */
	if (!covered)
	{
		char dir[MAXPGPATH];

		snprintf(dir, sizeof(dir), "%s/nvmkv", DataDir);
		nvmkv_options_cover(options, dir);
		family_slots = options->family_slots;
		family_memtables_bytes = options->family_memtables_bytes;
		covered = true;
	}
	options->family_slots = family_slots;
	options->family_memtables_bytes = family_memtables_bytes;
}

Size
nvmkv_settings_shm_bytes(bool complain)
{
	NvmkvOptions options;
	size_t bytes;

	nvmkv_settings(&options, complain);
	bytes = nvmkv_shm_bytes(&options);
	if (bytes == 0)
		ereport(FATAL,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("settings of nvmkv_fdw do not fit together"),
				 errdetail("%s", nvmkv_error()->text),
				 errhint("Increase nvmkv.nvm_size, decrease nvmkv.write_buffer_size, or set nvmkv.nvm_size to 0.")));
	return add_size(bytes, PG_CACHE_LINE_SIZE);
}
