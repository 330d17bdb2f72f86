/*
 * ownercontext.h
 *	  Functions that an index names run as the owner of its table, and leave no
 *	  trace in the session's settings.
 */
#ifndef NVMKV_FDW_OWNERCONTEXT_H
#define NVMKV_FDW_OWNERCONTEXT_H

#include "postgres.h"

typedef struct NvmkvOwnerContext
{
	Oid user; /* who runs the command */
	int security;
	int guc_level;
	Oid owner;
} NvmkvOwnerContext;

extern void nvmkv_become_owner(NvmkvOwnerContext *context, Oid owner);

/* Back again.  An error needs no call: the transaction's end does the same. */
extern void nvmkv_become_user(NvmkvOwnerContext *context);

#endif
