/*
 * familyoption.c
 *	  The options of a server that name a column family and give it a shape.
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "utils/guc.h"

#include "fdw/host/compression.h"
#include "fdw/host/familyoption.h"
#include "fdw/host/guc.h"

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

const char *
nvmkv_family_options(List *options, NvmkvFamilyOptions *shape, bool *shaped_out)
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
	name = nvmkv_family_options(options, &shape, &shaped);
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
