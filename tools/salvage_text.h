/*
 * salvage_text.h
 *	  Text of rows, by the definition that the tree holds of their table (fdw/definition.h): COPY's.
 */
#ifndef NVMKV_TOOLS_SALVAGE_TEXT_H
#define NVMKV_TOOLS_SALVAGE_TEXT_H

#include "tools/salvage_table.h"

/*
 * Appends the row's line.  key: with the storage id before it.  CORRUPTION: the bytes are not such a row; nothing was
 * appended.
 */
extern NvmkvStatus salvage_row(SalvageTable *table, NvmkvSlice key, NvmkvSlice value, NvmkvBuf *line);

#endif
