/*
 * fuzz.h
 *	  What the fuzz targets share.
 *
 * A target is one file: LLVMFuzzerTestOneInput (libFuzzer's name) takes an
 * input apart and feeds it to a reader of the engine, which must refuse or
 * answer, never crash; and fuzz_seeds makes the inputs to start from, with the
 * engine's own writers.
 *
 * The targets are linked with a crc that is always the same (no_crc.c): a
 * changed byte is then not caught by its checksum, and the checks behind it are
 * what is tested.
 */
#ifndef NVMKV_TEST_FUZZ_H
#define NVMKV_TEST_FUZZ_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/coding.h"
#include "engine/base/slice.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Of each target: calls fuzz_seed for every input to start from. */
extern void fuzz_seeds(void);

/* One input to start from; a file of the corpus when NVMKV_FUZZ_SEEDS names a directory. */
extern void fuzz_seed(const void *data, size_t size);
extern void fuzz_seed_file(const char *path);

/* "<a directory of this process>/name"; good until the next call but three. */
extern const char *fuzz_path(const char *name);

/* Makes "data" the content of the file. */
extern void fuzz_write_file(const char *path, const void *data, size_t size);

/* The content of a file, to be freed. */
extern uint8_t *fuzz_read_file(const char *path, size_t *size_out);

/* Ends the process, which the fuzzer reports, when a statement does not hold or a status is not OK. */
#define FUZZ_REQUIRE(cond) \
	do \
	{ \
		if (!(cond)) \
			fuzz_fail(__FILE__, __LINE__, #cond); \
	} while (0)
#define FUZZ_OK(expr) FUZZ_REQUIRE((expr) == NVMKV_OK)

extern _Noreturn void fuzz_fail(const char *file, int line, const char *what);

/* Reads every byte, so that AddressSanitizer sees a slice that is not all there. */
extern void fuzz_touch(NvmkvSlice s);

/* An input, taken from its front; zeros when it is used up. */
typedef struct FuzzInput
{
	const uint8_t *p;
	size_t left;
} FuzzInput;

static inline uint8_t
fuzz_u8(FuzzInput *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->p++;
}

static inline uint16_t
fuzz_u16(FuzzInput *in)
{
	uint16_t low = fuzz_u8(in);

	return (uint16_t) (low | (fuzz_u8(in) << 8));
}

static inline uint32_t
fuzz_u32(FuzzInput *in)
{
	uint32_t low = fuzz_u16(in);

	return low | ((uint32_t) fuzz_u16(in) << 16);
}

/* At most "size" bytes. */
static inline NvmkvSlice
fuzz_bytes(FuzzInput *in, size_t size)
{
	NvmkvSlice s = nvmkv_slice(in->p, size < in->left ? size : in->left);

	in->p += s.size;
	in->left -= s.size;
	return s;
}

#endif
