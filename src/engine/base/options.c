/*
 * options.c
 *	  Defaults and ranges of what a database is opened with.
 */
#include "engine/base/options.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

static const NvmkvOptionName own_names[] = {{NULL, NULL}};
static const NvmkvOptionName *option_names = own_names;

void
nvmkv_options_name(const NvmkvOptionName *names)
{
	option_names = names;
}

const char *
option_name(const char *option)
{
	const NvmkvOptionName *n;

	for (n = option_names; n->option != NULL; n++)
		if (strcmp(n->option, option) == 0)
			return n->name;
	return option;
}

void
nvmkv_options_default(NvmkvOptions *options)
{
	options->write_buffer_bytes = 64 * MIB;
	options->max_write_buffers = 4;
	options->nvm_bytes = 1 * GIB;
	options->nvm_path = NULL;
	options->target_file_bytes = 32 * MIB;
	options->block_bytes = 8 * KIB;
	options->restart_interval = 16;
	options->bloom_bits_per_key = 10;
	options->value_threshold_bytes = 1024;
	options->prefix_bytes = 0;
	options->prefix_is_sequence = false;
	options->l0_write_amplification = 3.0;
	memset(options->compression, NVMKV_COMPRESSION_NONE, sizeof(options->compression));
	options->block_cache_bytes = 64 * MIB;
	options->compaction_bytes_per_second = 0;
	options->version_slot_bytes = 4 * MIB;
	options->process_slots = 256;
	options->max_families = 1;
	options->family_slots = 0;
	options->family_memtables_bytes = 0;
	options->restore_from = 0;
	options->anchored = false;
	options->loses_log = false;
	options->log_begin = 0;
	memset(options->family_log_begin, 0, sizeof(options->family_log_begin));
	options->log_end = 0;
	options->system_identifier = 0;
	options->log_buffer_bytes = 4 * MIB;
	options->log_dir = NULL;
	options->standalone_log = true;
}

static NvmkvStatus
check_range(const char *option, uint64_t value, uint64_t min, uint64_t max)
{
	if (value < min || value > max)
		return NVMKV_FAIL(NVMKV_INVALID, "option %s is %" PRIu64 ", must be between %" PRIu64 " and %" PRIu64,
						  option_name(option), value, min, max);
	return NVMKV_OK;
}

NvmkvStatus
nvmkv_options_check(const NvmkvOptions *options)
{
	unsigned level;

	NVMKV_RETURN_IF(check_range("write_buffer_bytes", options->write_buffer_bytes, 64 * KIB, 1 * GIB));
	NVMKV_RETURN_IF(check_range("max_write_buffers", options->max_write_buffers, 2, NVMKV_MEMTABLES_MAX));
	if (options->nvm_bytes != 0)
		NVMKV_RETURN_IF(check_range("nvm_bytes", options->nvm_bytes, 16 * MIB, UINT64_C(1) << 46));
	NVMKV_RETURN_IF(check_range("target_file_bytes", options->target_file_bytes, 64 * KIB, 1 * GIB));
	NVMKV_RETURN_IF(check_range("block_bytes", options->block_bytes, 1 * KIB, 1 * MIB));
	NVMKV_RETURN_IF(check_range("restart_interval", options->restart_interval, 1, 128));
	NVMKV_RETURN_IF(check_range("bloom_bits_per_key", options->bloom_bits_per_key, 0, 32));
	if (options->value_threshold_bytes != 0)
		NVMKV_RETURN_IF(check_range("value_threshold_bytes", options->value_threshold_bytes, 64, 1 * GIB));
	NVMKV_RETURN_IF(check_range("prefix_bytes", options->prefix_bytes, 0, NVMKV_PREFIX_BYTES_MAX));
	/* Written so that a NaN fails. */
	if (!(options->l0_write_amplification >= 1.5 && options->l0_write_amplification <= 20.0))
		return NVMKV_FAIL(NVMKV_INVALID, "option %s is %g, must be between 1.5 and 20",
						  option_name("l0_write_amplification"), options->l0_write_amplification);
	NVMKV_RETURN_IF(check_range("block_cache_bytes", options->block_cache_bytes, 64 * KIB, 1024 * GIB));
	if (options->compaction_bytes_per_second != 0)
		NVMKV_RETURN_IF(check_range("compaction_bytes_per_second", options->compaction_bytes_per_second, 64 * KIB,
									UINT64_C(1) << 46));
	for (level = 0; level < NVMKV_LEVELS; level++)
		NVMKV_RETURN_IF(check_range("compression", options->compression[level], NVMKV_COMPRESSION_NONE, NVMKV_COMPRESSION_ZSTD));
	NVMKV_RETURN_IF(check_range("version_slot_bytes", options->version_slot_bytes, 64 * KIB, 1 * GIB));
	NVMKV_RETURN_IF(check_range("process_slots", options->process_slots, 1, 65535));
	NVMKV_RETURN_IF(check_range("max_families", options->max_families, 1, NVMKV_FAMILIES_MAX));
	if (options->standalone_log)
		NVMKV_RETURN_IF(check_range("log_buffer_bytes", options->log_buffer_bytes, 64 * KIB, 1 * GIB));
	return NVMKV_OK;
}
