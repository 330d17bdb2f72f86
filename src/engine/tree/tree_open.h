/*
 * tree_open.h
 *	  One tree is opened and closed.
 */
#ifndef NVMKV_TREE_TREE_OPEN_H
#define NVMKV_TREE_TREE_OPEN_H

#include "engine/tree/tree.h"

/* Options that fit together. */
extern NvmkvStatus tree_check_options(const NvmkvOptions *options);

/* Of a tree that could not be opened: its durable sequence, if its manifest could be read, else 0. */
extern uint64_t tree_durable_if_known(const NvmkvDb *db);

/* A handle with paths and options, and nothing open.  root NULL: it is one. */
extern NvmkvStatus tree_handle(const char *dir, const NvmkvOptions *options, NvmkvDb *root, NvmkvDb **db_out);

/* Brings a tree that is laid out to where its files are; without the log. */
extern NvmkvStatus tree_recover(NvmkvDb *db);

/* Lays a family's tree out in memory, and does that. */
extern NvmkvStatus tree_open(NvmkvDb *db, void *memory);

/* The same tree, of a family, in a process that was forked before it was opened. */
extern NvmkvStatus tree_attach(NvmkvDb *db, void *memory);
extern void tree_close(NvmkvDb *db);

#endif
