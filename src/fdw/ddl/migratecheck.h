/*
 * migratecheck.h
 *	  What keeps a heap table from becoming one of ours.
 */
#ifndef NVMKV_FDW_MIGRATECHECK_H
#define NVMKV_FDW_MIGRATECHECK_H

#include "postgres.h"

#include "utils/rel.h"

/* ERROR 0A000 that names what the table has and foreign tables cannot have. */
extern void nvmkv_refuse_migration(Relation rel);

#endif
