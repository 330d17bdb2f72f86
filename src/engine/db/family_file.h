/*
 * family_file.h
 *	  The file that names a database's column families: <dir>/FAMILIES.
 *
 * Absent while the default family is the only one.  Replaced as a whole, by a
 * durable rename, so a crash leaves the old list or the new one.
 *
 * Little-endian:
 *	  offset	bytes
 *	  0			8		magic "NVMKVFAM"
 *	  8			4		format (2)
 *	  12		4		count of families
 *	  16		count x 128, by id:
 *		  0		4		id, 1 .. NVMKV_FAMILIES_MAX - 1
 *		  4		4		memtables
 *		  8		8		bytes of a memtable
 *		  16	8		bytes of the container, 0: none
 *		  24	8		bytes of a table file
 *		  32	4		bytes of a data block
 *		  36	4		bits per key of filters
 *		  40	8		write amplification of the batch gate, in thousandths
 *		  48	7		compression of each level (NvmkvCompression), a zero
 *		  56	64		name, padded with zeros; at least one zero
 *		  120	4		which of the options are its own (NVMKV_OWN_*); the others say what they were when it was made
 *		  124	4		zero
 *	  end		4		crc32c of all before it, masked
 */
#ifndef NVMKV_DB_FAMILY_FILE_H
#define NVMKV_DB_FAMILY_FILE_H

#include "engine/nvmkv.h"

/* Reads the list; none when the file is absent.  CORRUPTION, VERSION, IO: the text names the file. */
extern NvmkvStatus family_file_read(const char *dir, NvmkvFamilyInfo list_out[NVMKV_FAMILIES_MAX], unsigned *count_out);

/* Replaces the list, durably.  After a failure the old one is in place; if *doubtful_out, the old or the new one. */
extern NvmkvStatus family_file_write(const char *dir, const NvmkvFamilyInfo *list, unsigned count, bool *doubtful_out);

/* Can a family be called this?  1 .. NVMKV_FAMILY_NAME_BYTES bytes, none of them a control character.  INVALID. */
extern NvmkvStatus family_name_check(const char *name);

#endif
