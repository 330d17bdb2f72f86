/*
 * nth_test.c
 *	  Every allocation and every file operation of a fixed scenario fails once.
 *
 * The scenario opens a database, writes, syncs, flushes, drains columns, moves
 * tables down, reads and scans both ways, checks, makes a backup point, reopens
 * and does it again.  It is played once for each n; the n-th allocation (or
 * operation) fails, and perhaps some that follow.  Whatever fails must
 *	  - return a clean status whose text names the file, or what there was no
 *		memory for;
 *	  - leave nothing behind: a failed write is not there, a failed step of work
 *		can be done again, no memory is lost (with AddressSanitizer);
 *	  - lose nothing: when the failure is over all that was acknowledged is
 *		there, and the database goes on, or refuses writes for the cause until
 *		it is opened again, which works.
 *
 * All memory counts, not only port_alloc: malloc is wrapped (see engine.mk).
 *
 * NVMKV_NTH=all tries every n, not only some, on all processors; NVMKV_NTH=17
 * only this one.
 */
#include <errno.h>
#include <sys/wait.h>

#include "lib/rig.h"

#include "lib/check.h"

#define KEYS 240
#define WRITES_MAX 8192
#define VALUE_MAX 65000
#if defined(__SANITIZE_ADDRESS__)
#define RUNS_QUICK 7 /* of one kind of failure in one shape; each looks for leaks, which takes long */
#else
#define RUNS_QUICK 20
#endif
#define LENGTH_MAX 4

/* ---- the failure ---- */

typedef enum Kind
{
	KIND_MEMORY, /* an allocation */
	KIND_IO,     /* any file operation: EIO */
	KIND_SPACE,  /* one that needs space: ENOSPC */
	KIND_FILES,  /* one that needs a descriptor: EMFILE */
	KINDS
} Kind;

static const char *const kind_names[] = {"memory", "input/output", "space", "descriptors"};

static struct
{
	Kind kind;
	uint64_t at;     /* from 1; 0: never */
	uint64_t length; /* so many in a row */
	uint64_t count;  /* what could have failed so far */
	bool armed;      /* the engine is at work */
	unsigned fired;
	char paths[LENGTH_MAX][700]; /* of those that failed */
} fault;

static bool
strikes(Kind kind, const char *path)
{
	if (!fault.armed || fault.kind != kind)
		return false;
	fault.count++;
	if (fault.at == 0 || fault.count < fault.at || fault.count >= fault.at + fault.length)
		return false;
	snprintf(fault.paths[fault.fired++], sizeof(fault.paths[0]), "%s", path);
	return true;
}

extern void *__real_malloc(size_t size);
extern void *__real_calloc(size_t n, size_t size);
extern void *__real_realloc(void *p, size_t size);
extern void *__wrap_malloc(size_t size);
extern void *__wrap_calloc(size_t n, size_t size);
extern void *__wrap_realloc(void *p, size_t size);

void *
__wrap_malloc(size_t size)
{
	return strikes(KIND_MEMORY, "") ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return strikes(KIND_MEMORY, "") ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t size)
{
	return strikes(KIND_MEMORY, "") ? NULL : __real_realloc(p, size);
}

/* What an operation needs: always a working disk, and perhaps space or a descriptor. */
#define NEEDS_SPACE 1
#define NEEDS_FILE 2

/* As port_files.c says it. */
static NvmkvStatus
before(const char *what, const char *path, unsigned needs)
{
	if (strikes(KIND_IO, path))
	{
		errno = EIO;
		return NVMKV_FAIL_ERRNO(NVMKV_IO, "could not %s \"%s\"", what, path);
	}
	if ((needs & NEEDS_SPACE) != 0 && strikes(KIND_SPACE, path))
	{
		errno = ENOSPC;
		return NVMKV_FAIL_ERRNO(NVMKV_NO_SPACE, "could not %s \"%s\"", what, path);
	}
	if ((needs & NEEDS_FILE) != 0 && strikes(KIND_FILES, path))
	{
		errno = EMFILE;
		return NVMKV_FAIL_ERRNO(NVMKV_NO_MEMORY, "could not %s \"%s\"", what, path);
	}
	return NVMKV_OK;
}

static NvmkvStatus
failing_open(const char *path, int flags, PortFile **file_out)
{
	bool creates = (flags & (PORT_FILE_CREATE | PORT_FILE_EXCLUSIVE)) != 0 && access(path, F_OK) != 0;

	*file_out = NULL;
	NVMKV_RETURN_IF(before("open", path, NEEDS_FILE | (creates ? NEEDS_SPACE : 0)));
	return rig_quick_files.open(path, flags, file_out);
}

static NvmkvStatus
failing_read(PortFile *file, uint64_t offset, void *data, size_t size)
{
	NVMKV_RETURN_IF(before("read file", port_file_path(file), 0));
	return rig_quick_files.read(file, offset, data, size);
}

static NvmkvStatus
failing_read_some(PortFile *file, uint64_t offset, void *data, size_t size, size_t *got_out)
{
	*got_out = 0;
	NVMKV_RETURN_IF(before("read file", port_file_path(file), 0));
	return rig_quick_files.read_some(file, offset, data, size, got_out);
}

static NvmkvStatus
failing_write(PortFile *file, uint64_t offset, const void *data, size_t size)
{
	NVMKV_RETURN_IF(before("write file", port_file_path(file), NEEDS_SPACE));
	return rig_quick_files.write(file, offset, data, size);
}

static NvmkvStatus
failing_preallocate(PortFile *file, uint64_t size)
{
	NVMKV_RETURN_IF(before("allocate space for file", port_file_path(file), NEEDS_SPACE));
	return rig_quick_files.preallocate(file, size);
}

static NvmkvStatus
failing_sync(PortFile *file)
{
	return before("sync file", port_file_path(file), 0);
}

static NvmkvStatus
failing_size(PortFile *file, uint64_t *size_out)
{
	NVMKV_RETURN_IF(before("stat file", port_file_path(file), 0));
	return rig_quick_files.size(file, size_out);
}

static NvmkvStatus
failing_truncate(PortFile *file, uint64_t size)
{
	NVMKV_RETURN_IF(before("truncate file", port_file_path(file), 0));
	return rig_quick_files.truncate(file, size);
}

static void
failing_close(PortFile *file)
{
	rig_quick_files.close(file);
}

static NvmkvStatus
failing_unlink(const char *path)
{
	NVMKV_RETURN_IF(before("remove file", path, 0));
	return rig_quick_files.unlink(path);
}

static NvmkvStatus
failing_rename(const char *from, const char *to)
{
	NVMKV_RETURN_IF(before("rename a file to", to, NEEDS_FILE | NEEDS_SPACE));
	return rig_quick_files.rename(from, to);
}

static NvmkvStatus
failing_mkdir(const char *path)
{
	NVMKV_RETURN_IF(before("create directory", path, NEEDS_FILE | NEEDS_SPACE));
	return rig_quick_files.mkdir(path);
}

static NvmkvStatus
failing_sync_dir(const char *path)
{
	return before("sync", path, NEEDS_FILE);
}

static NvmkvStatus
failing_list(const char *dir, bool (*each)(void *ctx, const char *name), void *ctx)
{
	NVMKV_RETURN_IF(before("open directory", dir, NEEDS_FILE));
	return rig_quick_files.list(dir, each, ctx);
}

static const PortFileOps failing_files = {
	.open = failing_open,
	.read = failing_read,
	.read_some = failing_read_some,
	.write = failing_write,
	.preallocate = failing_preallocate,
	.sync = failing_sync,
	.size = failing_size,
	.truncate = failing_truncate,
	.close = failing_close,
	.unlink = failing_unlink,
	.rename = failing_rename,
	.mkdir = failing_mkdir,
	.sync_dir = failing_sync_dir,
	.list = failing_list,
};

/* ---- what the database should hold ---- */

typedef struct Write
{
	uint64_t seq;
	uint32_t size;
	uint16_t key;
	bool deletes;
} Write;

typedef struct Play
{
	Rig rig;
	bool levels; /* small memtables and tables, no container: deeper levels */
	Write *writes;
	uint32_t nwrites;
	uint64_t assigned, synced;
	uint64_t outcomes_saved; /* settled for good */
	uint64_t dice;
	uint8_t *buffer;
	bool good;
} Play;

static void
complain(Play *p, const char *what, const char *text)
{
	if (p->good)
		fprintf(stderr, "    %s: %s\n", what, text);
	p->good = false;
}

static uint64_t
roll(Play *p, uint64_t bound)
{
	p->dice = p->dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (p->dice >> 33) % bound;
}

/* Does the text name one of the files that failed? */
static bool
names_a_file(const char *text)
{
	unsigned i;

	for (i = 0; i < fault.fired; i++)
	{
		const char *name = strrchr(fault.paths[i], '/');

		if (name != NULL && strstr(text, name + 1) != NULL)
			return true;
	}
	return false;
}

/*
 * A call has ended with this status.  Is that as it should be?  true: it succeeded.
 * "others": a status that is no failure here.
 */
static bool
ended(Play *p, const char *what, NvmkvStatus st, NvmkvStatus others)
{
	const char *text = nvmkv_error()->text;
	bool clean;

	fault.armed = false;
	if (st == NVMKV_OK)
		return true;
	if (st == others)
		return false;
	clean = fault.fired > 0 && nvmkv_error()->status == st && text[0] != '\0';
	switch (fault.kind)
	{
		case KIND_MEMORY:
			clean = clean && st == NVMKV_NO_MEMORY;
			break;
		case KIND_IO:
			clean = clean && (st == NVMKV_IO || st == NVMKV_READ_ONLY);
			break;
		case KIND_SPACE:
			clean = clean && (st == NVMKV_NO_SPACE || st == NVMKV_READ_ONLY);
			break;
		case KIND_FILES:
			clean = clean && (st == NVMKV_NO_MEMORY || st == NVMKV_READ_ONLY);
			break;
		case KINDS:
			break;
	}
	if (!clean || (fault.kind != KIND_MEMORY && !names_a_file(text)))
	{
		char line[NVMKV_ERROR_TEXT_MAX + 800];

		snprintf(line, sizeof(line), "\"%s\": %s (failed: \"%s\")", nvmkv_status_name(st), text, fault.paths[0]);
		complain(p, what, line);
	}
	return false;
}

/* Calls the engine with the failure armed. */
#define CALL(p, expr) (fault.armed = true, ended((p), #expr, (expr), NVMKV_OK))
#define CALL_OR(p, expr, others) (fault.armed = true, ended((p), #expr, (expr), (others)))

static NvmkvSlice
value_of(Play *p, const Write *w)
{
	memset(p->buffer, (int) (w->seq % 251), w->size);
	if (w->size >= 8)
		put_u64(p->buffer, w->seq);
	return nvmkv_slice(p->buffer, w->size);
}

static const Write *
newest(const Play *p, unsigned key)
{
	uint32_t i;

	for (i = p->nwrites; i-- > 0;)
		if (p->writes[i].key == key)
			return p->writes[i].deletes ? NULL : &p->writes[i];
	return NULL;
}

/* ---- steps ---- */

/* Most are small beside a memtable, some large beside the log's buffer and a part of the block cache. */
static uint64_t
value_size_in_levels(Play *p, bool may_be_large)
{
	if (may_be_large && roll(p, 8) == 0)
		return 20000 + roll(p, VALUE_MAX - 20000);
	return 2500 + roll(p, 5000);
}

static void
write_some(Play *p, unsigned batches)
{
	NvmkvBatch batch = {0};
	unsigned b, i;

	for (b = 0; b < batches && p->good; b++)
	{
		unsigned count = (unsigned) (1 + roll(p, 4));
		uint64_t last = 0;
		bool done = true;

		if (p->nwrites + count > WRITES_MAX)
			break;
		nvmkv_batch_clear(&batch);
		for (i = 0; i < count && done; i++)
		{
			Write *w = &p->writes[p->nwrites + i];

			w->seq = p->assigned + 1 + i;
			w->key = (uint16_t) roll(p, KEYS);
			w->deletes = roll(p, 8) == 0;
			w->size = w->deletes ? 0 : (uint32_t) (p->levels ? value_size_in_levels(p, i == 0) : roll(p, 2500));
			done = CALL(p, nvmkv_batch_put(&batch, w->deletes ? NVMKV_TYPE_DELETION : NVMKV_TYPE_VALUE,
										   rig_key(w->key), nvmkv_slice(NULL, 0), value_of(p, w)));
		}
		if (!done || !CALL(p, rig_write(p->rig.db, &batch, &last)))
			continue;
		if (last != p->assigned + count)
			complain(p, "write", "the sequence of a failed write is missing");
		p->assigned = last;
		p->nwrites += count;
	}
	nvmkv_batch_free(&batch);
}

static void
sync_all(Play *p)
{
	uint64_t upto = p->assigned;

	if (CALL(p, nvmkv_sync(p->rig.db, upto)))
		p->synced = upto;
}

static void
flush(Play *p)
{
	uint64_t upto = p->assigned;

	if (CALL_OR(p, nvmkv_flush_all(p->rig.db), NVMKV_BUSY) && upto > p->synced)
		p->synced = upto;
}

static void
work(Play *p, NvmkvWork kind, unsigned steps)
{
	bool did = true;
	bool more = true;

	while (steps-- > 0 && did && more)
	{
		if (!CALL_OR(p, nvmkv_work(p->rig.db, kind, &did, &more), NVMKV_BUSY))
			break;
	}
}

static void
get_some(Play *p, unsigned n)
{
	NvmkvBuf value = {0};

	while (n-- > 0 && p->good)
	{
		unsigned key = (unsigned) roll(p, KEYS);
		const Write *w = newest(p, key);
		NvmkvVersion version;
		NvmkvStatus st;

		fault.armed = true;
		st = nvmkv_get(p->rig.db, rig_key(key), NULL, &value, &version);
		if (ended(p, "nvmkv_get", st, NVMKV_NOT_FOUND))
		{
			if (w == NULL || version.sequence != w->seq || !slice_equal(nvmkv_buf_slice(&value), value_of(p, w)))
				complain(p, "nvmkv_get", "shows what is not there");
		}
		else if (st == NVMKV_NOT_FOUND && w != NULL)
			complain(p, "nvmkv_get", "does not find what is there");
	}
	nvmkv_buf_free(&value);
}

/* Every key; a batch that fails is fetched again, and goes on where the last one ended. */
static void
scan_all(Play *p, bool reverse)
{
	const NvmkvScanRow *rows;
	NvmkvScan *s = NULL;
	unsigned key = reverse ? KEYS : 0;
	unsigned n = 1, i, tries = 0;

	if (!CALL(p, nvmkv_scan_create(p->rig.db, &s)))
		return;
	if (!CALL(p, nvmkv_scan_start(s, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0), reverse, NULL)))
		n = 0;
	while (n > 0 && p->good)
	{
		const Write *w = NULL;

		if (!CALL(p, nvmkv_scan_batch(s, 17, 100000, &rows, &n)))
		{
			n = tries++ < 100;
			continue;
		}
		for (i = 0; i < n && p->good; i++)
		{
			w = NULL;
			while (w == NULL && (reverse ? key > 0 : key < KEYS))
				w = newest(p, reverse ? --key : key++);
			if (w == NULL || !slice_equal(rows[i].key, rig_key(w->key)) || rows[i].sequence != w->seq ||
				!slice_equal(rows[i].value, value_of(p, w)))
				complain(p, "nvmkv_scan_batch", "shows what is not next");
		}
		while (n == 0 && (reverse ? key > 0 : key < KEYS))
			if (newest(p, reverse ? --key : key++) != NULL)
				complain(p, "nvmkv_scan_batch", "ends too early");
	}
	nvmkv_scan_destroy(s);
}

/* Findings are as good as a failure while something fails. */
static void
see_problem(void *ctx, const char *where, const char *text)
{
	Play *p = ctx;
	char line[NVMKV_ERROR_TEXT_MAX + 200];

	if (fault.fired > 0 && fault.count <= fault.at + fault.length + 50)
		return;
	snprintf(line, sizeof(line), "%s: %s", where, text);
	complain(p, "nvmkv_check", line);
}

/* Opens; a failure that passes does not spoil the next try. */
static bool
open_database(Play *p)
{
	unsigned tries;
	NvmkvStats stats;

	rig_close(&p->rig);
	for (tries = 0; p->rig.db == NULL && tries < 60 && p->good; tries++)
		(void) CALL(p, rig_open(&p->rig));
	if (p->rig.db == NULL)
	{
		complain(p, "open", nvmkv_error()->text);
		return false;
	}
	nvmkv_stats(p->rig.db, &stats);
	if (stats.last_sequence < p->synced || stats.last_sequence > p->assigned)
		complain(p, "open", "has lost a synced write, or holds one that failed");
	while (p->nwrites > 0 && p->writes[p->nwrites - 1].seq > stats.last_sequence)
		p->nwrites--;
	p->assigned = p->synced = stats.last_sequence;
	if (nvmkv_settled(p->rig.db) < p->outcomes_saved)
		complain(p, "open", "has lost outcomes that were saved");
	return p->good;
}

/* ---- outcomes ---- */

static bool
has_committed(uint64_t fxid)
{
	return fxid % 5 < 2;
}

/* Of a transaction that is settled; a failure to read it is one. */
static void
check_outcome(Play *p, uint64_t fxid)
{
	NvmkvSettled settled;

	if (nvmkv_settled_outcome(p->rig.db, fxid, &settled) == NVMKV_OK &&
		settled != (has_committed(fxid) ? NVMKV_SETTLED_COMMITTED : NVMKV_SETTLED_ABORTED))
		complain(p, "nvmkv_settled_outcome", "tells what was not settled");
}

/* The beginning of a segment, or the rest of it. */
static void
settle(Play *p)
{
	static uint8_t bits[NVMKV_SETTLE_SEGMENT_XIDS / 8];
	NvmkvDb *db = p->rig.db;
	NvmkvOutcomeStats stats;
	uint64_t from = nvmkv_settled(db);
	uint64_t to = from % NVMKV_SETTLE_SEGMENT_XIDS == 0 ? from + 5000
		: (from / NVMKV_SETTLE_SEGMENT_XIDS + 1) * NVMKV_SETTLE_SEGMENT_XIDS;
	uint64_t fxid;

	memset(bits, 0, sizeof(bits));
	for (fxid = from; fxid < to; fxid++)
		if (has_committed(fxid))
			bits[fxid / 8 - from / 8] |= (uint8_t) (1 << fxid % 8);
	if (!CALL(p, nvmkv_settle_begin(db)))
		return;
	if (CALL(p, nvmkv_settle_prepare(db, from, to)))
		nvmkv_settle(db, from, to, bits, 0);
	nvmkv_settle_end(db);
	if (CALL(p, nvmkv_save_outcomes(db)))
		p->outcomes_saved = nvmkv_settled(db);
	nvmkv_outcome_stats(db, &stats);
	for (fxid = stats.low; fxid < stats.settled; fxid += 9973)
		check_outcome(p, fxid);
}

static void
scenario(Play *p)
{
	unsigned round;
	NvmkvEstimate estimate;
	uint64_t position;

	if (!open_database(p))
		return;
	for (round = 0; round < 3 && p->good; round++)
	{
		write_some(p, p->levels ? 45 : 150);
		sync_all(p);
		(void) CALL_OR(p, nvmkv_switch_memtable(p->rig.db), NVMKV_BUSY);
		work(p, NVMKV_WORK_FLUSH, 1);
		write_some(p, 20);
		get_some(p, 20);
		flush(p);
		work(p, NVMKV_WORK_COMPACT, 2);
		settle(p);
		scan_all(p, round % 2 == 1);
		work(p, NVMKV_WORK_RECLAIM, 2);
		get_some(p, 20);
		if (round == 1)
		{
			(void) CALL_OR(p, nvmkv_compact_all(p->rig.db), NVMKV_BUSY);
			(void) nvmkv_copy_begin(p->rig.db);
			(void) CALL_OR(p, nvmkv_copy_point(p->rig.db, &position), NVMKV_BUSY);
			write_some(p, 10);
			fault.armed = true;
			nvmkv_copy_oldest(p->rig.db, 0);
			nvmkv_copy_release(p->rig.db);
			fault.armed = false;
			if (!open_database(p))
				return;
		}
		(void) CALL(p, nvmkv_estimate(p->rig.db, rig_key(10), rig_key(100), &estimate));
	}
	(void) CALL_OR(p, nvmkv_compact_all(p->rig.db), NVMKV_BUSY);
	work(p, NVMKV_WORK_COMPACT, 10);
	scan_all(p, true);
	(void) CALL(p, nvmkv_check(p->rig.db, see_problem, p));
	fault.armed = true;
	nvmkv_tidy(p->rig.db);
	fault.armed = false;
}

/* The failure is over. */
static void
aftermath(Play *p)
{
	NvmkvStats stats;
	unsigned lives;

	fault.at = 0;
	fault.fired = 0;
	for (lives = 0; lives < 2 && p->good; lives++)
	{
		nvmkv_stats(p->rig.db, &stats);
		if (stats.sticky)
		{
			if (lives > 0 || fault.kind == KIND_MEMORY)
				complain(p, "sticky", stats.last_error);
			if (rig_put(p->rig.db, "x", "y") != NVMKV_READ_ONLY)
				complain(p, "sticky", "takes writes");
		}
		scan_all(p, false);
		get_some(p, 50);
		if (!stats.sticky)
		{
			write_some(p, 10);
			sync_all(p);
			flush(p);
			(void) CALL(p, nvmkv_compact_all(p->rig.db));
		}
		(void) CALL(p, nvmkv_check(p->rig.db, see_problem, p));
		scan_all(p, true);
		(void) open_database(p);
	}
}

/* Leaks count where the build can find them. */
extern int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

/* true: all is well.  *count_out: so many could have failed. */
static bool
play(Kind kind, uint64_t at, uint64_t length, bool levels, uint64_t *count_out)
{
	Play p;
	bool good;

	memset(&p, 0, sizeof(p));
	memset(&fault, 0, sizeof(fault));
	fault.kind = kind;
	fault.at = at;
	fault.length = length;
	p.levels = levels;
	p.good = true;
	p.dice = 1;
	p.writes = calloc(WRITES_MAX, sizeof(Write));
	p.buffer = malloc(VALUE_MAX + 8);
	rig_init(&p.rig);
	p.rig.options.max_write_buffers = 4;
	if (levels)
	{
		p.rig.options.nvm_bytes = 0;
		p.rig.options.write_buffer_bytes = 128 * 1024;
		p.rig.options.target_file_bytes = 320 * 1024;
	}
	scenario(&p);
	*count_out = fault.count;
	if (p.good)
		aftermath(&p);
	rig_remove(&p.rig);
	free(p.writes);
	free(p.buffer);
	good = p.good;
	if (good && __lsan_do_recoverable_leak_check != NULL && __lsan_do_recoverable_leak_check() != 0)
	{
		fprintf(stderr, "    memory is lost\n");
		good = false;
	}
	if (!good)
		fprintf(stderr, "    failure: %s number %" PRIu64 " and %" PRIu64 " more, %s\n", kind_names[kind], at, length - 1,
				levels ? "deeper levels" : "container");
	return good;
}

/* ---- all of them ---- */

#define JOBS_MAX 64
#define FAILED_MAX 10

/* Shared with the children that play: a crash is a result, too. */
typedef struct Progress
{
	uint64_t total, next, stride, played, failed;
	uint64_t at[JOBS_MAX]; /* what each child plays */
} Progress;

static bool
goes_on(Progress *progress)
{
	return port_load_seq(&progress->next) <= progress->total && port_load_seq(&progress->failed) < FAILED_MAX;
}

static void
play_some(Progress *progress, unsigned job, Kind kind, uint64_t length, bool levels)
{
	uint64_t ignored;

	while (goes_on(progress))
	{
		progress->at[job] = port_fetch_add(&progress->next, progress->stride);
		if (progress->at[job] > progress->total)
			break;
		port_count(&progress->played, 1);
		if (!play(kind, progress->at[job], length, levels, &ignored))
			port_count(&progress->failed, 1);
	}
	fflush(NULL);
	_exit(0);
}

/* One child ends, or none is left: false. */
static bool
reap(Progress *progress, pid_t *pids, Kind kind, bool levels)
{
	int status = 0;
	pid_t pid = wait(&status);
	unsigned job = 0;

	if (pid < 0)
		return false;
	while (job < JOBS_MAX - 1 && pids[job] != pid)
		job++;
	pids[job] = 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
	{
		fprintf(stderr, "    %s number %" PRIu64 "%s ended the process (%s %d)\n", kind_names[kind], progress->at[job],
				levels ? ", deeper levels," : "", WIFSIGNALED(status) ? "signal" : "exit code",
				WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		port_count(&progress->failed, 1);
	}
	return true;
}

/* By so many children at a time. */
static void
play_all(Progress *progress, unsigned jobs, Kind kind, uint64_t length, bool levels)
{
	pid_t pids[JOBS_MAX] = {0};
	unsigned job;

	do
	{
		for (job = 0; job < jobs; job++)
		{
			if (pids[job] != 0 || !goes_on(progress))
				continue;
			fflush(NULL);
			pids[job] = fork();
			if (pids[job] == 0)
				play_some(progress, job, kind, length, levels);
			REQUIRE(pids[job] > 0);
		}
	} while (reap(progress, pids, kind, levels));
}

static void
every_nth(Kind kind, bool levels)
{
	const char *text = getenv("NVMKV_NTH");
	bool all = text != NULL && strcmp(text, "all") == 0;
	uint64_t only = text != NULL && !all ? strtoull(text, NULL, 10) : 0;
	Progress *progress = port_posix_shared_alloc(sizeof(Progress));
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t length;

	REQUIRE(progress != NULL);
	port_files = &failing_files;
	CHECK(play(kind, 0, 1, levels, &progress->total));
	CHECK(progress->total > 20);
	progress->stride = all ? 1 : progress->total / RUNS_QUICK + 1;
	progress->next = only > 0 ? only : 1 + check_random_below(progress->stride);
	length = all || check_random_below(3) > 0 ? 1 : LENGTH_MAX;
	if (only > 0)
		progress->total = only;
	if (check_failures == 0)
		play_all(progress, !all || processors < 1 ? 1 : processors > JOBS_MAX ? JOBS_MAX : (unsigned) processors, kind,
				 length, levels);
	CHECK_EQ(progress->failed, 0);
	printf("%s: %" PRIu64 " of %" PRIu64 " tried\n", kind_names[kind], progress->played, progress->total);
	port_files = &port_posix_files;
	port_posix_shared_free(progress, sizeof(Progress));
}

TEST(nth_allocation)
{
	every_nth(KIND_MEMORY, false);
}

TEST(nth_operation)
{
	every_nth(KIND_IO, false);
}

TEST(nth_without_space)
{
	every_nth(KIND_SPACE, false);
}

TEST(nth_without_descriptor)
{
	every_nth(KIND_FILES, false);
}

TEST(nth_allocation_in_levels)
{
	every_nth(KIND_MEMORY, true);
}

TEST(nth_operation_in_levels)
{
	every_nth(KIND_IO, true);
}

TEST(nth_without_space_in_levels)
{
	every_nth(KIND_SPACE, true);
}

TEST(nth_without_descriptor_in_levels)
{
	every_nth(KIND_FILES, true);
}

TEST_MAIN()
