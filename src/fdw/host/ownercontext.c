/*
 * ownercontext.c
 *	  See ownercontext.h.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/guc.h"

#include "fdw/compat/compat.h"
#include "fdw/host/ownercontext.h"

void
nvmkv_become_owner(NvmkvOwnerContext *context, Oid owner)
{
	context->guc_level = NewGUCNestLevel();
	GetUserIdAndSecContext(&context->user, &context->security);
	context->owner = owner;
	SetUserIdAndSecContext(owner, context->security | SECURITY_RESTRICTED_OPERATION);
	RestrictSearchPath();
}

void
nvmkv_become_user(NvmkvOwnerContext *context)
{
	AtEOXact_GUC(false, context->guc_level);
	SetUserIdAndSecContext(context->user, context->security);
}
