/*
 * port_pg.h
 *	  What the extension's set-up and its workers tell the server's port.
 *
 * Needs postgres.h before it.  Seen only by src/fdw and bgworker.
 */
#ifndef NVMKV_PORT_PORT_PG_H
#define NVMKV_PORT_PORT_PG_H

#include <signal.h>

#include "engine/port/port.h"

/* Shown as the wait event of the engine's locks. */
#define PORT_PG_TRANCHE_NAME "nvmkv_engine"

/*
 * Tranche of every PortLock.  Set it before the engine lays out its shared
 * memory (LWLockNewTrancheId, once a cluster start), and register the name in
 * every process (LWLockRegisterTranche; forked children inherit it).
 */
extern int port_pg_tranche;

/*
 * A worker's request to stop, besides the server's own cancel and die: points
 * to ShutdownRequestPending while the worker does ordinary work, to NULL (the
 * initial value) while it must finish, as in the last flush.
 */
extern volatile sig_atomic_t *port_pg_stop_flag;

#ifdef USE_ASSERT_CHECKING
/* Does this process hold any PortLock? */
extern bool port_pg_holds_lock(void);
#endif

#endif
