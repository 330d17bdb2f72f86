/*
 * keytype.h
 *	  Which types can be in keys, and what their bytes tell.
 */
#ifndef NVMKV_FDW_KEYTYPE_H
#define NVMKV_FDW_KEYTYPE_H

#include "fdw/key/layout.h"

/*
 * Fills how, element, ordered, image_equal, opfamily, opcintype, collation_version for a type and collation; false when
 * the type cannot be a key (reason_out: sentences for a hint, translated).  col->opfamily: that of the index's operator
 * class; InvalidOid: the type's own.
 */
extern bool nvmkv_key_column_setup(NvmkvKeyColumn *col, const char **reason_out);

/* Makes one of text in its collation's order, set up, one of the text's bytes. */
extern void nvmkv_key_column_by_bytes(NvmkvKeyColumn *col);

/* Is it the extension's type, by the function that compares its values?  It compares text in lower case. */
extern bool nvmkv_is_citext(Oid type);

/* Does an operator class of this family compare the bytes of text, whatever the collation is? */
extern bool nvmkv_key_is_pattern_family(Oid opfamily);

#endif
