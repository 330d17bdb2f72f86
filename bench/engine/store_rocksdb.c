/*
 * store_rocksdb.c
 *	  RocksDB through its C interface.
 */
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/store_peer.h"

const char *const store_name = "rocksdb";
const bool store_uses_processes = false;
const char *const store_differs = "threads; reads its files by pread";

struct StoreSession
{
	rocksdb_iterator_t *iterator;
	uint64_t log_bytes;
	bool backwards;
	bool begun;
};

static rocksdb_t *db;
static rocksdb_options_t *options;
static rocksdb_readoptions_t *reading;
static rocksdb_writeoptions_t *writing, *syncing;
static uint64_t log_bytes, written_before;

static void
must(char *error)
{
	if (error != NULL)
		bench_die("rocksdb: %s", error);
}

static int
compression_code(const char *name)
{
	if (strcmp(name, "lz4") == 0)
		return rocksdb_lz4_compression;
	if (strcmp(name, "zstd") == 0)
		return rocksdb_zstd_compression;
	if (strcmp(name, "none") != 0)
		bench_die("rocksdb: --compression is none, lz4 or zstd");
	return rocksdb_no_compression;
}

void
store_open(const BenchOptions *o)
{
	rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
	char *error = NULL;

	options = rocksdb_options_create();
	rocksdb_options_set_create_if_missing(options, 1);
	rocksdb_options_set_write_buffer_size(options, o->write_buffer);
	rocksdb_options_set_max_write_buffer_number(options, (int) o->write_buffers);
	rocksdb_options_set_max_open_files(options, -1);
	rocksdb_options_set_max_background_jobs(options, 1 + (int) o->workers);
	if (o->file_bytes > 0)
		rocksdb_options_set_target_file_size_base(options, o->file_bytes);
	if (o->level1_bytes > 0)
		rocksdb_options_set_max_bytes_for_level_base(options, o->level1_bytes);
	rocksdb_options_set_compression(options, compression_code(o->compression));
	if (o->log_dir[0] != '\0')
		rocksdb_options_set_wal_dir(options, o->log_dir);
	rocksdb_block_based_options_set_block_size(table, o->block);
	rocksdb_block_based_options_set_block_cache(table, rocksdb_cache_create_lru(o->cache));
	if (o->bloom > 0)
		rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom_full((double) o->bloom));
	rocksdb_options_set_block_based_table_factory(options, table);
	reading = rocksdb_readoptions_create(); /* verifies checksums */
	writing = rocksdb_writeoptions_create();
	syncing = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_sync(syncing, 1);
	written_before = peer_bytes_written();
	db = rocksdb_open(options, o->dir, &error);
	must(error);
}

void
store_close(void)
{
	rocksdb_close(db);
}

void
store_crash(void)
{
	char *error = NULL;

	rocksdb_put(db, syncing, "~", 1, "", 0, &error);
	must(error);
	_exit(0);
}

StoreSession *
store_session_begin(unsigned worker)
{
	(void) worker;
	return bench_alloc(sizeof(StoreSession));
}

void
store_session_end(StoreSession *session)
{
	(void) __atomic_fetch_add(&log_bytes, session->log_bytes, __ATOMIC_RELAXED);
	free(session);
}

void
store_put(StoreSession *session, const void *key, size_t key_size, const void *value, size_t value_size, bool sync)
{
	char *error = NULL;

	rocksdb_put(db, sync ? syncing : writing, key, key_size, value, value_size, &error);
	must(error);
	session->log_bytes += peer_log_bytes(key_size, value_size);
}

/* Pinned: without the copy that rocksdb_get makes. */
bool
store_get(StoreSession *session, const void *key, size_t key_size, size_t *size_out)
{
	char *error = NULL;
	rocksdb_pinnableslice_t *value = rocksdb_get_pinned(db, reading, key, key_size, &error);

	(void) session;
	must(error);
	if (value == NULL)
		return false;
	(void) rocksdb_pinnableslice_value(value, size_out);
	rocksdb_pinnableslice_destroy(value);
	return true;
}

void
store_scan_begin(StoreSession *session, const void *key, size_t key_size, bool backwards, uint64_t rows)
{
	(void) rows;
	session->iterator = rocksdb_create_iterator(db, reading);
	session->backwards = backwards;
	session->begun = false;
	if (backwards)
		rocksdb_iter_seek_to_last(session->iterator);
	else if (key_size == 0)
		rocksdb_iter_seek_to_first(session->iterator);
	else
		rocksdb_iter_seek(session->iterator, key, key_size);
}

bool
store_scan_next(StoreSession *session, size_t *bytes_out)
{
	size_t key_size, value_size;
	char *error = NULL;

	if (session->begun && session->backwards)
		rocksdb_iter_prev(session->iterator);
	else if (session->begun)
		rocksdb_iter_next(session->iterator);
	session->begun = true;
	if (!rocksdb_iter_valid(session->iterator))
	{
		rocksdb_iter_get_error(session->iterator, &error);
		must(error);
		return false;
	}
	(void) rocksdb_iter_key(session->iterator, &key_size);
	(void) rocksdb_iter_value(session->iterator, &value_size);
	*bytes_out = key_size + value_size;
	return true;
}

void
store_scan_end(StoreSession *session)
{
	rocksdb_iter_destroy(session->iterator);
}

/* "Cumulative stall: 00:00:1.234 H:M:S, 5.6 percent" */
static double
stall_seconds(void)
{
	char *text = rocksdb_property_value(db, "rocksdb.dbstats");
	const char *line = text != NULL ? strstr(text, "Cumulative stall: ") : NULL;
	unsigned hours, minutes;
	double seconds, stalled = -1;

	if (line != NULL && sscanf(line, "Cumulative stall: %u:%u:%lf", &hours, &minutes, &seconds) == 3)
		stalled = hours * 3600 + minutes * 60 + seconds;
	rocksdb_free(text);
	return stalled;
}

void
store_stats(StoreStats *stats)
{
	uint64_t written = peer_bytes_written() - written_before;

	memset(stats, 0, sizeof(*stats));
	stats->log_bytes = log_bytes;
	stats->file_bytes = written > log_bytes ? written - log_bytes : 0;
	stats->stall_seconds = stall_seconds();
}

uint64_t
store_shared_memory(void)
{
	return 0;
}

void
store_print_levels(void)
{
	char *text = rocksdb_property_value(db, "rocksdb.cfstats-no-file-histogram");

	printf("%s\n", text != NULL ? text : "");
	rocksdb_free(text);
}

uint64_t
store_activity(void)
{
	uint64_t running = 0;

	/* A compaction that is due but has written nothing yet. */
	if (rocksdb_property_int(db, "rocksdb.num-running-compactions", &running) == 0 && running > 0)
		return bench_now_ns();
	return peer_bytes_written();
}

void
store_drain(void)
{
	rocksdb_flushoptions_t *flush = rocksdb_flushoptions_create();
	char *error = NULL;

	rocksdb_flush(db, flush, &error);
	must(error);
	rocksdb_flushoptions_destroy(flush);
	rocksdb_compact_range(db, NULL, 0, NULL, 0);
}

bool
store_hold_level0(bool hold)
{
	return !hold;
}
