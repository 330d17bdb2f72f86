/*
 * port_guard.h
 *	  Maps of files whose pages may turn out not to be there.
 *
 * A file that is truncated under its map, a hole that the file system has no
 * block for, a page the medium cannot read: touching it raises SIGBUS in
 * whoever reads.  The handler must not jump, since the reader may be anywhere;
 * it notes the page, puts a page of zeros in its place and lets the reader go
 * on.  So the rule for readers is:
 *
 *	  What was read through a guarded map counts for nothing until, after the
 *	  last byte was used, the guard says that no page of it was lost.
 *
 * The page is noted before the zeros are put there: whoever has read zeros
 * finds the note.  It stays lost to the process (and to what it forks later)
 * until the map is made anew.
 *
 * The handler is the host's to install (port_guard_install), once, before it
 * forks; SIGBUS for other addresses goes to the handler that was there before.
 * Without it, or where the system refuses the page of zeros, SIGBUS does what
 * it always did.
 */
#ifndef NVMKV_PORT_PORT_GUARD_H
#define NVMKV_PORT_PORT_GUARD_H

#include "engine/port/port.h"

#define PORT_GUARD_PAGES 32

/* Process-local.  Zero: of a map nobody guards; nothing of it is ever lost. */
typedef struct PortGuard
{
	uint8_t *base;
	uint64_t bytes;
	bool writable;                    /* the map is written by stores: those to a lost page are lost, too */
	uint32_t lost;                    /* pages; may be more than the list holds */
	uint64_t pages[PORT_GUARD_PAGES]; /* their offsets + 1; 0: being noted */
} PortGuard;

/* Idempotent.  IO when the system refuses. */
extern NvmkvStatus port_guard_install(void);

/*
 * The guard must stay where it is until it is removed, and be removed before the map is.  false: it guards nothing,
 * there are too many of them or no handler is installed; it is to be removed all the same, as one may be later.
 */
extern bool port_guard_add(PortGuard *guard, void *base, uint64_t bytes, bool writable);
extern void port_guard_remove(PortGuard *guard);

/* Only grows. */
static inline uint32_t
port_guard_lost(const PortGuard *guard)
{
	return port_load_acquire(&guard->lost);
}

/* May a lost page be in [offset, offset + size)?  Also true when there are too many to tell. */
extern bool port_guard_lost_in(const PortGuard *guard, uint64_t offset, uint64_t size);

#endif
