/*
 * write_room.h
 *	  Waiting for room for writes, and lending a hand.
 */
#ifndef NVMKV_DB_WRITE_ROOM_H
#define NVMKV_DB_WRITE_ROOM_H

#include "engine/mem/mempool.h"
#include "engine/tree/tree.h"

/* Waits a little for room for an entry of a replayed batch, doing what work it takes. */
extern NvmkvStatus db_replay_room(NvmkvDb *db, size_t bytes, MemRoom *room_out);

#endif
