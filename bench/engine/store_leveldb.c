/*
 * store_leveldb.c
 *	  LevelDB through its C interface.
 */
#include <leveldb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/store_peer.h"

const char *const store_name = "leveldb";
const bool store_uses_processes = false;
const char *const store_differs = "threads; two memtables, one compaction at a time; reads its files through mmap; the "
								  "log is where the tables are";

struct StoreSession
{
	leveldb_iterator_t *iterator;
	uint64_t log_bytes;
	bool backwards;
	bool begun;
};

static leveldb_t *db;
static leveldb_options_t *options;
static leveldb_cache_t *cache;
static leveldb_filterpolicy_t *filter;
static leveldb_readoptions_t *reading, *scanning;
static leveldb_writeoptions_t *writing, *syncing;
static uint64_t log_bytes, written_before;

static void
must(char *error)
{
	if (error != NULL)
		bench_die("leveldb: %s", error);
}

void
store_open(const BenchOptions *o)
{
	char *error = NULL;

	if (o->log_dir[0] != '\0')
		bench_die("leveldb: --log-dir is not supported");
	options = leveldb_options_create();
	leveldb_options_set_create_if_missing(options, 1);
	leveldb_options_set_write_buffer_size(options, o->write_buffer);
	leveldb_options_set_max_open_files(options, 10000);
	leveldb_options_set_block_size(options, o->block);
	if (o->file_bytes > 0)
		leveldb_options_set_max_file_size(options, o->file_bytes);
	leveldb_options_set_compression(options, strcmp(o->compression, "none") == 0 ? leveldb_no_compression
																				 : leveldb_snappy_compression);
	cache = leveldb_cache_create_lru(o->cache);
	leveldb_options_set_cache(options, cache);
	if (o->bloom > 0)
	{
		filter = leveldb_filterpolicy_create_bloom((int) o->bloom);
		leveldb_options_set_filter_policy(options, filter);
	}
	reading = leveldb_readoptions_create();
	leveldb_readoptions_set_verify_checksums(reading, 1);
	/* Scans of everything would turn the cache over, in all engines. */
	scanning = leveldb_readoptions_create();
	leveldb_readoptions_set_verify_checksums(scanning, 1);
	writing = leveldb_writeoptions_create();
	syncing = leveldb_writeoptions_create();
	leveldb_writeoptions_set_sync(syncing, 1);
	written_before = peer_bytes_written();
	db = leveldb_open(options, o->dir, &error);
	must(error);
}

void
store_close(void)
{
	leveldb_close(db);
}

void
store_crash(void)
{
	char *error = NULL;

	leveldb_put(db, syncing, "~", 1, "", 0, &error);
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

	leveldb_put(db, sync ? syncing : writing, key, key_size, value, value_size, &error);
	must(error);
	session->log_bytes += peer_log_bytes(key_size, value_size);
}

bool
store_get(StoreSession *session, const void *key, size_t key_size, size_t *size_out)
{
	char *error = NULL;
	char *value = leveldb_get(db, reading, key, key_size, size_out, &error);

	(void) session;
	must(error);
	if (value == NULL)
		return false;
	leveldb_free(value);
	return true;
}

void
store_scan_begin(StoreSession *session, const void *key, size_t key_size, bool backwards, uint64_t rows)
{
	(void) rows;
	session->iterator = leveldb_create_iterator(db, scanning);
	session->backwards = backwards;
	session->begun = false;
	if (backwards)
		leveldb_iter_seek_to_last(session->iterator);
	else if (key_size == 0)
		leveldb_iter_seek_to_first(session->iterator);
	else
		leveldb_iter_seek(session->iterator, key, key_size);
}

bool
store_scan_next(StoreSession *session, size_t *bytes_out)
{
	size_t key_size, value_size;
	char *error = NULL;

	if (session->begun && session->backwards)
		leveldb_iter_prev(session->iterator);
	else if (session->begun)
		leveldb_iter_next(session->iterator);
	session->begun = true;
	if (!leveldb_iter_valid(session->iterator))
	{
		leveldb_iter_get_error(session->iterator, &error);
		must(error);
		return false;
	}
	(void) leveldb_iter_key(session->iterator, &key_size);
	(void) leveldb_iter_value(session->iterator, &value_size);
	*bytes_out = key_size + value_size;
	return true;
}

void
store_scan_end(StoreSession *session)
{
	leveldb_iter_destroy(session->iterator);
}

void
store_stats(StoreStats *stats)
{
	uint64_t written = peer_bytes_written() - written_before;

	memset(stats, 0, sizeof(*stats));
	stats->log_bytes = log_bytes;
	stats->file_bytes = written > log_bytes ? written - log_bytes : 0;
	stats->stall_seconds = -1;
}

uint64_t
store_shared_memory(void)
{
	return 0;
}

void
store_print_levels(void)
{
	char *text = leveldb_property_value(db, "leveldb.stats");

	printf("%s\n", text != NULL ? text : "");
	leveldb_free(text);
}

uint64_t
store_activity(void)
{
	return peer_bytes_written();
}

void
store_drain(void)
{
	leveldb_compact_range(db, NULL, 0, NULL, 0);
}

bool
store_hold_level0(bool hold)
{
	return !hold;
}
