/*
 * origin.c
 *	  See origin.h.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "common/file_perm.h"
#include "miscadmin.h"

#include "engine/meta/origin.h"
#include "engine/port/port.h"
#include "fdw/host/origin.h"
#include "fdw/host/status.h"

/* Read before there is any child. */
static Origin origin;

static const char *
database_dir(char buf[MAXPGPATH])
{
	snprintf(buf, MAXPGPATH, "%s/nvmkv", DataDir);
	return buf;
}

NvmkvStatus
nvmkv_origin_find(void)
{
	char dir[MAXPGPATH];

	NVMKV_RETURN_IF(origin_read(database_dir(dir), &origin));
	switch (origin.kind)
	{
		case ORIGIN_AWAITED:
			return NVMKV_FAIL(NVMKV_INVALID, "their definitions have come by pg_upgrade, and their rows are still in the old cluster: stop this server, and run \"nvmkv_upgrade OLD %s\" with the old cluster's data directory", DataDir);
		case ORIGIN_GIVEN:
			return NVMKV_FAIL(NVMKV_INVALID, "their files were moved to another cluster by nvmkv_upgrade (system identifier " UINT64_FORMAT "): use that, or see doc/upgrade.md for the way back",
							  origin.system);
		case ORIGIN_TAKEN:
			if (origin.system == GetSystemIdentifier())
				return NVMKV_OK;
			return NVMKV_FAIL(NVMKV_INVALID, "\"%s.origin\" is of another cluster (system identifier " UINT64_FORMAT ", this one has " UINT64_FORMAT "): put back the file that belongs here",
							  dir, origin.system, GetSystemIdentifier());
		case ORIGIN_NONE:
			break;
	}
	return NVMKV_OK;
}

uint64
nvmkv_origin_identifier(void)
{
	return origin.kind == ORIGIN_TAKEN ? origin.tree : GetSystemIdentifier();
}

bool
nvmkv_origin_is_before(uint64 position)
{
	return origin.kind == ORIGIN_TAKEN && position <= origin.position;
}

void
nvmkv_origin_await(void)
{
	const Origin awaited = {.kind = ORIGIN_AWAITED};
	char dir[MAXPGPATH];

	nvmkv_check_status(origin_read(database_dir(dir), &origin), "reading where foreign tables have come from", NULL);
	if (origin.kind == ORIGIN_AWAITED)
		return;
	port_file_mode = (mode_t) pg_file_create_mode;
	nvmkv_check_status(origin_write(dir, &awaited), "noting that rows of foreign tables are awaited", NULL);
}
