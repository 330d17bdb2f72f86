/*
 * origin.h
 *	  The file beside a database's directory that says where the directory has
 *	  come from, or that it is elsewhere: <dir>.origin.
 *
 * The trees of a database carry the identifier of the system they were made
 * in.  An upgrade to another major version of the host makes a new system, with
 * an identifier of its own, to which the directory is brought (doc/upgrade.md);
 * nothing in it is written anew.  This file alone says that the two belong
 * together, so that one rename is the moment from which they do.
 *
 * What it can say:
 *	  awaited		the host's catalogue names tables, and their rows are still in the system it was upgraded from:
 *					nothing is opened, nor made, before they have come
 *	  taken			they have: the trees are of system "tree", and this one is "system"; its log began behind "position",
 *					and what the trees held then is all from before
 *	  given			the directory was taken from here, by "system": nothing is opened
 * Without the file a directory is of the system that it is in.
 *
 * File: one line of words, at most ORIGIN_BYTES_MAX with its newline, made durable by a rename:
 *	  nvmkv-origin 1 awaited
 *	  nvmkv-origin 1 taken TREE SYSTEM POSITION
 *	  nvmkv-origin 1 given SYSTEM
 * with identifiers in decimal, and the position as two hexadecimal numbers with a slash, as the host writes it.
 *
 * Example: "nvmkv-origin 1 taken 4711 4712 0/5000028".
 */
#ifndef NVMKV_META_ORIGIN_H
#define NVMKV_META_ORIGIN_H

#include "engine/port/port.h"

#define ORIGIN_BYTES_MAX 128

typedef enum OriginKind
{
	ORIGIN_NONE, /* there is no such file */
	ORIGIN_AWAITED,
	ORIGIN_TAKEN,
	ORIGIN_GIVEN
} OriginKind;

typedef struct Origin
{
	OriginKind kind;
	uint64_t tree;	   /* TAKEN */
	uint64_t system;   /* TAKEN, GIVEN */
	uint64_t position; /* TAKEN */
} Origin;

/* "<dir>.origin" */
extern void origin_path(const char *dir, char *buf, size_t size);

/* OK: "origin_out" is what the file says, or ORIGIN_NONE.  CORRUPTION, VERSION, IO, NO_MEMORY. */
extern NvmkvStatus origin_read(const char *dir, Origin *origin_out);

/* Durable when it returns; a crash leaves what was there before, or this. */
extern NvmkvStatus origin_write(const char *dir, const Origin *origin);

#endif
