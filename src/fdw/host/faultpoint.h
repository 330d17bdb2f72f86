/*
 * faultpoint.h
 *	  Failures on demand, for tests of a server: in builds with assertions only.
 *
 * nvmkv.fail_at = 'POINT STATUS', or 'POINT STATUS PROCESS': from the next
 * reload on each call of port_fault(POINT) (src/engine/port/port.h; "port.alloc"
 * is every allocation) fails; STATUS: io, no_space, no_memory; PROCESS: the
 * type of backend alone to which it happens, as in pg_stat_activity ("startup").
 */
#ifndef NVMKV_FDW_FAULTPOINT_H
#define NVMKV_FDW_FAULTPOINT_H

/* Defines the setting.  Without assertions there is none. */
extern void nvmkv_faultpoint_init(void);

#endif
