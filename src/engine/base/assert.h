/*
 * assert.h
 *	  NVMKV_ASSERT: statements about this code, never about input or media.
 *
 * Checked when USE_ASSERT_CHECKING is defined, otherwise not even evaluated.
 */
#ifndef NVMKV_BASE_ASSERT_H
#define NVMKV_BASE_ASSERT_H

#ifdef USE_ASSERT_CHECKING
#include <assert.h>
#define NVMKV_ASSERT(cond) assert(cond)
#else
#define NVMKV_ASSERT(cond) ((void) sizeof(cond))
#endif

#endif
