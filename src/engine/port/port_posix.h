/*
 * port_posix.h
 *	  What the library, the tools and the tests tell the POSIX port.
 */
#ifndef NVMKV_PORT_PORT_POSIX_H
#define NVMKV_PORT_PORT_POSIX_H

#include "engine/port/port.h"

/* This thread's slot number (port_process_slot); 0 until set.  A forked child must choose its own. */
extern void port_posix_set_slot(int slot);

/* What port_interrupted() answers in this process; safe in a signal handler. */
extern void port_posix_set_interrupted(bool value);

/* Lines at or above this level go to stderr; none do until it is called. */
extern void port_posix_log_from(PortLogLevel level);

/*
 * Zeroed memory that forked children share, or NULL.  Page-aligned.
 * A lock held by a process that is killed stays held: then all processes must stop and start anew.
 */
extern void *port_posix_shared_alloc(size_t size);
extern void port_posix_shared_free(void *p, size_t size);

#endif
