/*
 * pool_owner.h
 *	  Whose is a pool?
 */
#ifndef NVMKV_NVM_POOL_OWNER_H
#define NVMKV_NVM_POOL_OWNER_H

#include "engine/nvm/pool_stamp.h"

/* What a tree knows of its pool. */
typedef struct NvmPoolOwner
{
	uint64_t system_identifier;
	uint64_t pool_id;
	uint64_t generation; /* of its last opening; 0: it was never opened */
	uint64_t successor;	 /* unless 0: the one after that may have begun */
} NvmPoolOwner;

/* Was it the owner who opened the pool last? */
extern bool nvm_pool_is_owned(const NvmPoolOwner *owner, const NvmPoolHeader *header, const NvmPoolStamp *stamp);

/* Is it an ordinary file within the directory, where no other database has its own?  A link is none. */
extern bool nvm_pool_is_inside(const char *path, const char *dir);

/*
 * Removes a pool in which no row is and nobody is at work: the file, not a link to it.  What is not a pool of this
 * system stays, and, with a warning, one that somebody else has opened since, unless it is inside "dir".  OK also when
 * there is nothing; IO.
 */
extern NvmkvStatus nvm_pool_remove(const char *path, const char *dir, const NvmPoolOwner *owner);

#endif
