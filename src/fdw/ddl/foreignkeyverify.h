/*
 * foreignkeyverify.h
 *	  Rows that are there, and a foreign key.
 */
#ifndef NVMKV_FDW_FOREIGNKEYVERIFY_H
#define NVMKV_FDW_FOREIGNKEYVERIFY_H

#include "postgres.h"

/*
 * Raises what the server does for a row of the table that references none by this foreign key.  The caller has locked
 * both tables.
 */
extern void nvmkv_foreign_key_verify(Oid constraint);

#endif
