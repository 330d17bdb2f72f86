/*
 * keyrange.h
 *	  What a scan asks of the engine: one or several byte ranges, in order.
 */
#ifndef NVMKV_FDW_KEYRANGE_H
#define NVMKV_FDW_KEYRANGE_H

#include "postgres.h"

#include "engine/nvmkv.h"

typedef struct NvmkvKeyRange
{
	NvmkvSlice lower; /* inclusive */
	NvmkvSlice upper; /* exclusive; a point when point is true (upper unused) */
	bool point;		  /* the whole key is known: lower is it */
} NvmkvKeyRange;

#endif
