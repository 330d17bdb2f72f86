/*
 * script.h
 *	  Writes, syncs, flushes, compactions and reopens at random, and the model of what they leave.
 */
#ifndef NVMKV_TEST_SCRIPT_H
#define NVMKV_TEST_SCRIPT_H

#include "lib/rig.h"

/* Plays it from its seed; the exit code of who does. */
extern int script_play(Rig *rig, uint64_t seed);

/* A batch, taken down in the record. */
extern void script_write(NvmkvDb *db);

/* Does the database hold what the writes up to "last" left, in all families?  Prints the first difference. */
extern bool script_holds(NvmkvDb *db, uint64_t last, bool reverse);

/* Learns which families are there; false: not those that should be. */
extern bool script_look_at_families(NvmkvDb *db);

#endif
