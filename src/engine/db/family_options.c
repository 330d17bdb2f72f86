/*
 * family_options.c
 *	  See family_options.h.
 */
#include "engine/db/family_options.h"

#include <inttypes.h>

#include "engine/db/family_file.h"
#include "engine/db/family_slots.h"
#include "engine/tree/tree_memory.h"
#include "engine/tree/tree_open.h"

void
nvmkv_family_options_default(const NvmkvDb *db, NvmkvFamilyOptions *options)
{
	const NvmkvOptions *o = &db->root->options;

	memset(options, 0, sizeof(*options));
	options->own = NVMKV_OWN_ALL;
	options->write_buffer_bytes = o->write_buffer_bytes;
	options->max_write_buffers = o->max_write_buffers;
	options->nvm_bytes = 0;
	options->target_file_bytes = o->target_file_bytes;
	options->block_bytes = o->block_bytes;
	options->bloom_bits_per_key = o->bloom_bits_per_key;
	options->l0_write_amplification = o->l0_write_amplification;
	memcpy(options->compression, o->compression, sizeof(options->compression));
}

void
family_fill_in(const NvmkvOptions *root, NvmkvFamilyOptions *options)
{
	if ((options->own & NVMKV_OWN_WRITE_BUFFER_BYTES) == 0)
		options->write_buffer_bytes = root->write_buffer_bytes;
	if ((options->own & NVMKV_OWN_MAX_WRITE_BUFFERS) == 0)
		options->max_write_buffers = root->max_write_buffers;
	if ((options->own & NVMKV_OWN_NVM_BYTES) == 0)
		options->nvm_bytes = root->nvm_bytes;
	if ((options->own & NVMKV_OWN_TARGET_FILE_BYTES) == 0)
		options->target_file_bytes = root->target_file_bytes;
	if ((options->own & NVMKV_OWN_BLOOM_BITS) == 0)
		options->bloom_bits_per_key = root->bloom_bits_per_key;
	if ((options->own & NVMKV_OWN_COMPRESSION) == 0)
		memcpy(options->compression, root->compression, sizeof(options->compression));
	if ((options->own & NVMKV_OWN_REST) == 0)
	{
		options->block_bytes = root->block_bytes;
		options->l0_write_amplification = root->l0_write_amplification;
	}
}

void
family_merge_options(const NvmkvOptions *root, const NvmkvFamilyOptions *family, NvmkvOptions *options)
{
	NvmkvFamilyOptions own = *family;

	family_fill_in(root, &own);
	*options = *root;
	options->write_buffer_bytes = own.write_buffer_bytes;
	options->max_write_buffers = own.max_write_buffers;
	options->nvm_bytes = own.nvm_bytes;
	options->target_file_bytes = own.target_file_bytes;
	options->block_bytes = own.block_bytes;
	options->bloom_bits_per_key = own.bloom_bits_per_key;
	options->l0_write_amplification = own.l0_write_amplification;
	memcpy(options->compression, own.compression, sizeof(options->compression));
	options->standalone_log = false;
	options->max_families = 1;
	options->family_slots = 0;
}

void
nvmkv_options_cover(NvmkvOptions *options, const char *dir)
{
	NvmkvFamilyInfo list[NVMKV_FAMILIES_MAX];
	unsigned count, i;

	if (family_file_read(dir, list, &count) != NVMKV_OK)
		return;
	for (i = 0; i < count; i++)
	{
		NvmkvOptions merged;
		size_t bytes;

		if (list[i].id >= family_slots(options))
			options->family_slots = list[i].id + 1;
		family_merge_options(options, &list[i].options, &merged);
		bytes = mempool_shm_bytes(merged.max_write_buffers, merged.write_buffer_bytes);
		if (nvmkv_options_check(&merged) == NVMKV_OK && bytes > options->family_memtables_bytes)
			options->family_memtables_bytes = bytes;
	}
}

NvmkvStatus
family_check_options(const NvmkvDb *root, const NvmkvFamilyOptions *own)
{
	NvmkvOptions options;

	family_merge_options(&root->options, own, &options);
	NVMKV_RETURN_IF(tree_check_options(&options));
	if (tree_shm_bytes(&options, false) > family_shm(root)->tree_bytes)
		return NVMKV_FAIL(NVMKV_LIMIT, "%u write buffers of %" PRIu64 " bytes are more than what %s (%u) and %s (%" PRIu64 " bytes) reserve",
						  options.max_write_buffers, options.write_buffer_bytes, option_name("max_write_buffers"),
						  root->options.max_write_buffers, option_name("write_buffer_bytes"), root->options.write_buffer_bytes);
	return NVMKV_OK;
}

#define CONTAINER_MEMTABLES_MIN 3 /* as in tree_check_options */
#define WRITE_BUFFER_BYTES_MIN (UINT64_C(64) << 10)

void
family_fit_options(const NvmkvDb *root, const char *name, NvmkvOptions *o, bool complain)
{
	const NvmkvOptions asked = *o;

	if (o->nvm_bytes > 0 && o->write_buffer_bytes > o->nvm_bytes / CONTAINER_MEMTABLES_MIN)
		o->write_buffer_bytes = o->nvm_bytes / CONTAINER_MEMTABLES_MIN;
	while (tree_shm_bytes(o, false) > family_shm(root)->tree_bytes && o->max_write_buffers > 2)
		o->max_write_buffers--;
	while (tree_shm_bytes(o, false) > family_shm(root)->tree_bytes &&
		   o->write_buffer_bytes / 2 >= WRITE_BUFFER_BYTES_MIN)
		o->write_buffer_bytes /= 2;
	if (complain &&
		(o->write_buffer_bytes != asked.write_buffer_bytes || o->max_write_buffers != asked.max_write_buffers))
		port_log(PORT_LOG_WARNING, "column family \"%s\" has %u write buffers of %" PRIu64 " kB instead of %u of %" PRIu64
				 " kB: %s, %s and %s leave no room for more", name, o->max_write_buffers, o->write_buffer_bytes / 1024,
				 asked.max_write_buffers, asked.write_buffer_bytes / 1024, option_name("max_write_buffers"),
				 option_name("write_buffer_bytes"), option_name("nvm_bytes"));
}
