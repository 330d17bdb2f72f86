/*
 * dump_version.h
 *	  Parts of a version, and of an edit, in words: a line each.
 */
#ifndef NVMKV_TOOLS_DUMP_VERSION_H
#define NVMKV_TOOLS_DUMP_VERSION_H

#include "engine/meta/edit.h"
#include "tools/dump.h"

extern void dump_damage(Dump *dump, const MetaDamage *damage);
extern void dump_row(Dump *dump, const MetaRow *row);
extern void dump_file(Dump *dump, const MetaFile *file);
extern void dump_segment(Dump *dump, const VersionSegment *segment);
extern void dump_xids(Dump *dump, const char *what, const VersionXids *xids);
extern const char * dump_closed_name(bool closed);
extern void dump_generation(Dump *dump, uint64_t generation, uint64_t successor);
extern void dump_incarnation(Dump *dump, uint64_t incarnation, uint64_t predecessor);
extern void dump_number(Dump *dump, bool has, const char *name, uint64_t value);
/* Lists in the order in which they are applied. */
extern void dump_edit(Dump *dump, const VersionEdit *e);

#endif
