/*
 * sync_test.c
 *	  What is relied upon is durable: at the moments at which something comes to
 *	  name files, or to store what the log says, those files and the log have
 *	  been synced.  And a sync that fails is told, and ends writing.
 */
#include "lib/check.h"
#include "lib/rig.h"
#include "lib/unsynced.h"

#include <pthread.h>

#include "engine/log/kept_log.h"
#include "engine/log/log_group.h"
#include "engine/tree/failure.h"
#include "engine/tree/tree.h"

/* ---- the host's log, as far as it is written and as far as it is synced ---- */

typedef struct HostLog
{
	uint64_t last, flushed;
	bool fails;
} HostLog;

static HostLog host;

static NvmkvStatus
host_append(void *ctx, NvmkvSlice batch, uint32_t count, uint64_t *last_sequence_out)
{
	HostLog *log = ctx;

	(void) batch;
	log->last += count;
	*last_sequence_out = log->last;
	return NVMKV_OK;
}

static NvmkvStatus
host_flush(void *ctx, uint64_t sequence)
{
	HostLog *log = ctx;

	if (log->fails)
		return NVMKV_FAIL(NVMKV_IO, "wanted");
	log->flushed = sequence < log->last ? sequence : log->last;
	return NVMKV_OK;
}

static uint64_t
host_position(void *ctx)
{
	return ((HostLog *) ctx)->last;
}

/* ---- watching ---- */

static Rig rig;
static unsigned seen_points;
static const char *fails_at; /* a point */
static uint64_t version_before;

/* That nothing of these could be lost. */
static void
expect_durable(const char *point, const char *part)
{
	const char *path = unsynced_of(part);

	if (path == NULL)
		return;
	fprintf(stderr, "at %s: \"%s\" is not durable\n", point, path);
	CHECK(path == NULL);
}

static void
expect_log(const char *point)
{
	if (host.flushed == host.last)
		return;
	fprintf(stderr, "at %s: the log is not durable\n", point);
	CHECK_EQ(host.flushed, host.last);
}

static uint64_t
version_number(void)
{
	return rig.db == NULL || !versions_are_there(&rig.db->versions) ? 0 : versions_current(&rig.db->versions)->number;
}

static NvmkvStatus
watch(const char *point)
{
	static const char *const installs[] = {"flush.before_install", "column.before_install", "level.before_install",
										   "drop.before_install"};
	unsigned i;

	for (i = 0; i < 4; i++)
		if (strcmp(point, installs[i]) == 0)
		{
			expect_durable(point, ".sst");
			expect_log(point);
			version_before = version_number();
			seen_points |= 1u << i;
		}
	if (strcmp(point, "manifest.appended") == 0 && version_before != 0)
	{
		CHECK_EQ(version_number(), version_before);
		version_before = 0;
	}
	if (strcmp(point, "manifest.before_current") == 0 || strcmp(point, "manifest.synced") == 0)
		expect_durable(point, "MANIFEST-");
	if (strcmp(point, "outcomes.written") == 0)
		expect_log(point);
	if (strcmp(point, "outcomes.synced") == 0)
		expect_durable(point, ".xct");
	if (strcmp(point, "anchor.written") == 0)
		expect_durable(point, ".anchor");
	if (strcmp(point, "backup.before_rename") == 0 || strcmp(point, "family.before_list") == 0)
		expect_log(point);
	if (fails_at != NULL && strcmp(point, fails_at) == 0)
	{
		fails_at = NULL;
		return NVMKV_FAIL(NVMKV_NO_SPACE, "wanted");
	}
	return NVMKV_OK;
}

static NvmkvStatus
reopen(void)
{
	NvmkvLogOps ops = {&host, host_append, host_flush, host_position};

	rig_close(&rig);
	rig.memory_bytes = nvmkv_shm_bytes(&rig.options);
	rig.memory = port_posix_shared_alloc(rig.memory_bytes);
	if (rig.memory == NULL)
		return NVMKV_NO_MEMORY;
	NVMKV_RETURN_IF(nvmkv_open(rig.memory, rig.path, &rig.options, &ops, &rig.db));
	nvmkv_open_gate(rig.db);
	return NVMKV_OK;
}

static void
start(bool container)
{
	memset(&host, 0, sizeof(host));
	seen_points = 0;
	version_before = 0;
	fails_at = NULL;
	unsynced_reset();
	port_files = &unsynced_files;
	rig_init(&rig);
	rig.options.standalone_log = false;
	rig.options.anchored = true;
	rig.options.max_families = 3;
	rig.options.target_file_bytes = 65536;
	if (!container)
		rig.options.nvm_bytes = 0;
	port_fault_hook = watch;
	CHECK_OK(reopen());
	CHECK_OK(nvmkv_log_opens(rig.db));
}

static void
finish(void)
{
	port_fault_hook = NULL;
	unsynced_fail = NULL;
	rig_remove(&rig);
	port_files = &port_posix_files;
}

/* Of the storage, which is eight bytes. */
static void
put_some(const char *storage, unsigned from, unsigned count)
{
	char value[1500];
	unsigned i;

	memset(value, 'v', sizeof(value));
	for (i = from; i < from + count; i++)
	{
		char key[32];

		snprintf(key, sizeof(key), "%s%06u", storage, i);
		CHECK_OK(rig_entry(rig.db, NVMKV_KIND_VALUE, rig_slice(key), 0, 0,
						   nvmkv_slice(value, i % 3 == 0 ? 1500 : 300)));
	}
}

/* ---- tables, rows, edits ---- */

static void
write_flush_compact(bool container)
{
	start(container);
	put_some("storage1", 0, 900);
	put_some("storage2", 0, 900);
	CHECK_OK(nvmkv_flush_all(rig.db));
	/* What is in the log meanwhile must not be lost either, with what a merge learns by it. */
	put_some("storage3", 0, 1);
	CHECK_OK(nvmkv_compact_all(rig.db));
	put_some("storage1", 300, 900);
	CHECK_OK(nvmkv_flush_all(rig.db));
	put_some("storage3", 0, 1);
	CHECK_OK(nvmkv_compact_range(rig.db, nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0)));
	CHECK_OK(rig_entry(rig.db, NVMKV_KIND_RANGE_DELETION, rig_slice("storage2"), 0, 0, nvmkv_slice(NULL, 0)));
	CHECK_OK(nvmkv_flush_all(rig.db));
	put_some("storage3", 0, 1);
	CHECK_OK(nvmkv_compact_all(rig.db));
	CHECK_EQ(seen_points, 15);
	finish();
}

TEST(what_edits_name_with_a_container)
{
	write_flush_compact(true);
}

TEST(what_edits_name_without_container)
{
	write_flush_compact(false);
}

TEST(edit_that_was_taken_back)
{
	start(true);
	put_some("storage1", 0, 10);
	fails_at = "manifest.appended";
	CHECK_STATUS(nvmkv_flush_all(rig.db), NVMKV_NO_SPACE);
	CHECK(fails_at == NULL);
	expect_durable("the end", "MANIFEST-");
	CHECK_OK(nvmkv_flush_all(rig.db));
	finish();
}

static const char *broken; /* part of a path */

static NvmkvStatus
fail_sync(const char *what, const char *path)
{
	if (strcmp(what, "sync") != 0 || strstr(path, broken) == NULL)
		return NVMKV_OK;
	return NVMKV_FAIL(NVMKV_IO, "wanted: sync of \"%s\"", path);
}

static bool
count_tables(void *ctx, const char *name)
{
	*(unsigned *) ctx += strstr(name, ".sst") != NULL;
	return true;
}

TEST(failed_sync_of_the_manifest)
{
	unsigned tables = 0;

	start(false);
	put_some("storage1", 0, 10);
	broken = "MANIFEST-";
	unsynced_fail = fail_sync;
	CHECK_STATUS(nvmkv_flush_all(rig.db), NVMKV_IO);
	unsynced_fail = NULL;
	CHECK(versions_are_sticky(&rig.db->versions));
	CHECK(db_is_sticky(rig.db));
	/* It may name the tables or not: they stay until the next open. */
	CHECK_OK(port_files->list(rig.path, count_tables, &tables));
	CHECK(tables > 0);
	finish();
}

TEST(failed_sync_of_the_log)
{
	start(true);
	put_some("storage1", 0, 10);
	host.fails = true;
	CHECK_STATUS(nvmkv_sync(rig.db, NVMKV_SEQUENCE_MAX), NVMKV_IO);
	CHECK(db_is_sticky(rig.db));
	finish();
}

/* ---- outcomes, copies, families, the log's marks ---- */

TEST(outcomes_that_are_saved)
{
	static const uint8_t bits[2] = {0xff, 0xff};

	start(true);
	put_some("storage1", 0, 1);
	CHECK_OK(nvmkv_settle_begin(rig.db));
	CHECK_OK(nvmkv_settle_prepare(rig.db, 3, 10));
	nvmkv_settle(rig.db, 3, 10, bits, host.last);
	nvmkv_settle_end(rig.db);
	CHECK_OK(nvmkv_save_outcomes(rig.db));
	expect_log("the end");
	finish();
}

TEST(point_of_a_copy)
{
	NvmkvFamilyOptions options;
	NvmkvBatch batch = {0};
	uint64_t last, position;
	unsigned id;

	start(true);
	nvmkv_family_options_default(rig.db, &options);
	CHECK_OK(nvmkv_family_create(rig.db, 0, "other", &options, &id));
	/* Not for the tree whose point comes first. */
	nvmkv_batch_family(&batch, id);
	CHECK_OK(nvmkv_batch_put(&batch, NVMKV_TYPE_VALUE, rig_slice("k"), nvmkv_slice(NULL, 0), rig_slice("v")));
	CHECK_OK(nvmkv_write(rig.db, &batch, &last));
	(void) nvmkv_copy_begin(rig.db);
	CHECK_OK(nvmkv_copy_point(rig.db, &position));
	nvmkv_copy_oldest(rig.db, 0);
	nvmkv_batch_free(&batch);
	finish();
}

TEST(birth_of_a_family)
{
	NvmkvFamilyOptions options;
	unsigned id;

	start(true);
	put_some("storage1", 0, 1);
	nvmkv_family_options_default(rig.db, &options);
	CHECK_OK(nvmkv_family_create(rig.db, 0, "other", &options, &id));
	finish();
}

TEST(marks_of_the_log_s_end)
{
	start(true);
	CHECK_OK(nvmkv_log_closes(rig.db));
	host.last += 100; /* what is nobody's */
	CHECK_OK(nvmkv_log_opens(rig.db));
	expect_log("the end");
	expect_durable("the end", ".anchor");
	expect_durable("the end", "MANIFEST-");
	finish();
}

/* ---- the engine's own log ---- */

static LogGroup group;
static char group_dir[256];

static void
start_group(void)
{
	size_t bytes = log_group_shm_bytes(65536);
	LogGroupShm *shm = port_posix_shared_alloc(bytes);

	unsynced_reset();
	port_files = &unsynced_files;
	check_make_dir(group_dir, sizeof(group_dir));
	REQUIRE(shm != NULL);
	log_group_shm_init(shm, 65536, 1 << 20);
	CHECK_OK(log_group_attach(&group, shm, group_dir));
	CHECK_OK(log_group_start(&group, 1, 0));
	expect_durable("the start", ".log");
}

static void
finish_group(void)
{
	LogGroupShm *shm = group.shm;

	log_group_detach(&group);
	port_posix_shared_free(shm, log_group_shm_bytes(65536));
	check_remove_dir(group_dir);
	port_files = &port_posix_files;
}

static NvmkvStatus
fail_at_sync(const char *point)
{
	return strcmp(point, "log.sync") == 0 ? NVMKV_FAIL(NVMKV_IO, "wanted") : NVMKV_OK;
}

static void *
flush_group(void *ctx)
{
	*(NvmkvStatus *) ctx = log_group_flush(&group, UINT64_MAX, true);
	return NULL;
}

/* Another thread asks meanwhile.  It is interrupted, or it would wait for this one. */
static NvmkvStatus
ask_at_sync(const char *point)
{
	NvmkvStatus st = NVMKV_OK;
	pthread_t thread;

	if (strcmp(point, "log.sync") != 0)
		return NVMKV_OK;
	port_posix_set_interrupted(true);
	CHECK(pthread_create(&thread, NULL, flush_group, &st) == 0 && pthread_join(thread, NULL) == 0);
	port_posix_set_interrupted(false);
	CHECK_EQ(st, NVMKV_CANCELLED);
	return NVMKV_OK;
}

TEST(group_has_synced_what_it_says)
{
	uint64_t last;

	start_group();
	CHECK_OK(log_group_append(&group, rig_slice("one"), 1, &last));
	CHECK_OK(log_group_flush(&group, last, true));
	expect_durable("the flush", ".log");
	CHECK_OK(log_group_append(&group, rig_slice("two"), 1, &last));
	port_fault_hook = ask_at_sync;
	CHECK_OK(log_group_flush(&group, last, true));
	port_fault_hook = NULL;
	CHECK_OK(log_group_append(&group, rig_slice("three"), 1, &last));
	CHECK_OK(log_group_rotate(&group, 2, 0, &last));
	expect_durable("the next file", ".log");
	CHECK_OK(log_group_append(&group, rig_slice("four"), 1, &last));
	port_fault_hook = fail_at_sync;
	CHECK_STATUS(log_group_flush(&group, last, true), NVMKV_IO);
	port_fault_hook = NULL;
	/* The kernel may have forgotten what it could not write: no later sync means anything. */
	CHECK_STATUS(log_group_flush(&group, last, true), NVMKV_READ_ONLY);
	CHECK(log_group_has_failed(&group));
	finish_group();
}

static NvmkvStatus
watch_recovery(const char *point)
{
	if (strcmp(point, "flush.before_install") == 0)
		expect_durable(point, ".log");
	return NVMKV_OK;
}

TEST(log_that_is_recovered)
{
	unsynced_reset();
	port_files = &unsynced_files;
	rig_init(&rig);
	CHECK_OK(rig_open(&rig));
	CHECK_OK(rig_put(rig.db, "k", "v"));
	/* A kill: the system still has what was only written. */
	CHECK_OK(log_group_flush(rig.db->own_log, UINT64_MAX, false));
	CHECK(unsynced_of(".log") != NULL);
	port_fault_hook = watch_recovery;
	CHECK_OK(rig_reopen(&rig));
	finish();
}

static NvmkvStatus
fail_write_of_log(const char *what, const char *path)
{
	if (strcmp(what, "write") != 0 || strstr(path, ".log") == NULL)
		return NVMKV_OK;
	return NVMKV_FAIL(NVMKV_IO, "wanted: write of \"%s\"", path);
}

/* The first to find it broken says so, not the next. */
TEST(log_that_cannot_be_written)
{
	NvmkvBatch batch = {0};
	uint64_t last;
	size_t bytes = 200000;
	uint8_t *value = calloc(1, bytes);

	unsynced_reset();
	port_files = &unsynced_files;
	rig_init(&rig);
	CHECK_OK(rig_open(&rig));
	REQUIRE(value != NULL);
	CHECK_OK(nvmkv_batch_put(&batch, NVMKV_TYPE_VALUE, rig_slice("k"), nvmkv_slice(NULL, 0), nvmkv_slice(value, bytes)));
	unsynced_fail = fail_write_of_log;
	CHECK_STATUS(nvmkv_write(rig.db, &batch, &last), NVMKV_IO);
	CHECK(db_is_sticky(rig.db));
	nvmkv_batch_free(&batch);
	free(value);
	finish();
}

/* ---- kept records ---- */

static unsigned unlinks_left;

static NvmkvStatus
fail_later_unlink(const char *what, const char *path)
{
	if (strcmp(what, "unlink") != 0 || unlinks_left-- > 0)
		return NVMKV_OK;
	return NVMKV_FAIL(NVMKV_IO, "wanted: unlink of \"%s\"", path);
}

TEST(kept_records)
{
	char dir[256];
	KeptWriter w;
	unsigned i;
	uint64_t from;
	bool found;

	unsynced_reset();
	port_files = &unsynced_files;
	check_make_dir(dir, sizeof(dir));
	for (i = 1; i <= 3; i++)
	{
		CHECK_OK(kept_writer_begin(&w, dir, 42, i * 100, false));
		expect_durable("the beginning", ".kept");
		CHECK_OK(kept_writer_record(&w, 1, i * 100, i * 100 + 100, rig_slice("r")));
		CHECK_OK(kept_writer_mark(&w, i * 100 + 100, false));
		expect_durable("the mark", ".kept");
		kept_writer_close(&w);
	}
	/* Whatever is left when they go ends where all of them ended: nothing seems to be missing behind it. */
	unlinks_left = 1;
	unsynced_fail = fail_later_unlink;
	CHECK_STATUS(kept_remove(dir, UINT64_MAX), NVMKV_IO);
	unsynced_fail = NULL;
	CHECK_OK(kept_start(dir, 42, &found, &from));
	CHECK(found);
	CHECK_EQ(from, 200);
	port_files = &port_posix_files;
	check_remove_dir(dir);
}

TEST_MAIN()
