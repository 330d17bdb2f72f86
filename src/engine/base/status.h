/*
 * status.h
 *	  Result codes of the engine, with a thread-local record of the detail.
 *
 * Every function that can fail returns a NvmkvStatus.  The failing function
 * fills the detail record through NVMKV_FAIL; nothing is allocated on the
 * error path.  The record stays valid until the next failure in the thread.
 */
#ifndef NVMKV_BASE_STATUS_H
#define NVMKV_BASE_STATUS_H

#include <stddef.h>
#include <stdint.h>

typedef enum NvmkvStatus
{
	NVMKV_OK = 0,
	NVMKV_NOT_FOUND,  /* no such key, no more entries */
	NVMKV_INVALID,    /* a caller broke the contract, or an option is out of range */
	NVMKV_CORRUPTION, /* bytes on a medium fail their checksum or their grammar */
	NVMKV_VERSION,    /* a format version this code does not know */
	NVMKV_IO,         /* the operating system refused */
	NVMKV_NO_SPACE,   /* disk or pool full */
	NVMKV_NO_MEMORY,  /* process memory */
	NVMKV_LIMIT,      /* key, value or object count beyond a documented limit */
	NVMKV_BUSY,       /* no room right now; wait and try again */
	NVMKV_CANCELLED,  /* the caller asked to stop (port_interrupted) */
	NVMKV_READ_ONLY,  /* writes are refused: gate closed or a sticky failure */
	NVMKV_NOT_SUPPORTED
} NvmkvStatus;

/* What a message of NVMKV_VERSION ends with. */
#define NVMKV_USE_NEWER ": use the version that wrote it, or a newer one"

#define NVMKV_ERROR_TEXT_MAX 512
#define NVMKV_ERROR_KEY_BYTES 256

typedef struct NvmkvError
{
	NvmkvStatus status;
	int sys_errno;    /* 0 when no system call is to blame */
	const char *file; /* where it was detected */
	int line;
	char text[NVMKV_ERROR_TEXT_MAX];
	/* Of damage: the keys it costs, [low, upper), cut short; low_size 0: they are not known. */
	uint32_t low_size, upper_size;
	uint64_t newest; /* nothing of a larger sequence is lost */
	uint8_t low[NVMKV_ERROR_KEY_BYTES], upper[NVMKV_ERROR_KEY_BYTES];
} NvmkvError;

/* The last failure of this thread.  Never NULL. */
extern const NvmkvError *nvmkv_error(void);

/* Fixed lower-case name of a status, for logs and tests. */
extern const char *nvmkv_status_name(NvmkvStatus status);

/* Records a failure and returns "status".  Every detection passes here: one breakpoint sees all.  Preserves errno. */
extern NvmkvStatus nvmkv_fail_at(NvmkvStatus status, int sys_errno, const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 5, 6), cold));

/*
 * Adds to the failure just recorded which keys it is about, and up to which sequence; two sizes of 0 take that away
 * again.
 */
extern void nvmkv_fail_keys(const uint8_t *low, size_t low_size, const uint8_t *upper, size_t upper_size,
							uint64_t newest);

/* The value is "status" itself, evaluated twice, so that compilers see that it is not NVMKV_OK. */
#define NVMKV_FAIL(status, ...) \
	((void) nvmkv_fail_at((status), 0, __FILE__, __LINE__, __VA_ARGS__), (status))
#define NVMKV_FAIL_ERRNO(status, ...) \
	((void) nvmkv_fail_at((status), errno, __FILE__, __LINE__, __VA_ARGS__), (status))

#define NVMKV_RETURN_IF(expr) \
	do \
	{ \
		NvmkvStatus return_if_status_ = (expr); \
		if (return_if_status_ != NVMKV_OK) \
			return return_if_status_; \
	} while (0)

#endif
