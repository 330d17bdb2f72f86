/*
 * nvmkv_fdw--1.1.sql
 *	  What CREATE EXTENSION makes: the wrapper, a ready server, the catalogue of
 *	  storages, the views and the functions.
 */
\echo Use "CREATE EXTENSION nvmkv_fdw" to load this file. \quit

-- A member of the extension: it cannot exist before, and goes with it.
CREATE SCHEMA nvmkv;
GRANT USAGE ON SCHEMA nvmkv TO PUBLIC;

-- ---------------------------------------------------------------- wrapper

CREATE FUNCTION nvmkv.nvmkv_fdw_handler()
RETURNS fdw_handler
AS 'MODULE_PATHNAME', 'nvmkv_fdw_handler'
LANGUAGE C STRICT;

CREATE FUNCTION nvmkv.nvmkv_fdw_validator(text[], oid)
RETURNS void
AS 'MODULE_PATHNAME', 'nvmkv_fdw_validator'
LANGUAGE C STRICT;

CREATE FOREIGN DATA WRAPPER nvmkv_fdw
	HANDLER nvmkv.nvmkv_fdw_handler
	VALIDATOR nvmkv.nvmkv_fdw_validator;

-- Whoever may create tables may create them here, too.
CREATE SERVER nvmkv FOREIGN DATA WRAPPER nvmkv_fdw;
GRANT USAGE ON FOREIGN SERVER nvmkv TO PUBLIC;

/*
 * CREATE TABLE ... USING nvmkv, and CREATE TABLE with default_table_access_method = nvmkv, make foreign tables of that
 * server (src/fdw/ddl/createtable.c).  The handler only says why that is not so where the library is not loaded.
 */
CREATE FUNCTION nvmkv.table_am_handler(internal)
RETURNS table_am_handler
AS 'MODULE_PATHNAME', 'nvmkv_sql_table_am_handler'
LANGUAGE C STRICT;

CREATE ACCESS METHOD nvmkv TYPE TABLE HANDLER nvmkv.table_am_handler;

-- ---------------------------------------------------------------- catalogue

/*
 * Where the rows of a foreign table are, and the key they were written with.
 * The library reads and writes it by itself, whoever runs; it is
 * transactional, so that CREATE, TRUNCATE and DROP are.
 *
 * A materialized view takes no part in logical replication, and nobody else
 * can write to it (src/fdw/table/catalog.c).  Its query says what it holds.
 *
 * Not dumped: a storage id means something in this cluster only, and a
 * restored table gets a new one.  A row whose dboid is not this database's came
 * with a copy of the database by CREATE DATABASE ... TEMPLATE; the rows it names
 * are not the copy's.
 */
CREATE FUNCTION nvmkv.stored_tables(
	OUT relid oid,
	OUT dboid oid,
	OUT storage_id int8,
	OUT key_columns int2[],				-- attribute numbers; empty: hidden row id
	OUT key_types oid[],				-- of domains: the type below
	OUT key_collations oid[],
	OUT key_descending bool[],
	OUT key_versions text[],			-- of ICU's collations; empty where the bytes depend on none
	OUT column_types oid[])				-- by attribute number; 0: dropped
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'nvmkv_sql_stored_tables'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION nvmkv.stored_tables() FROM PUBLIC;

CREATE MATERIALIZED VIEW nvmkv.storage USING heap AS
	SELECT * FROM nvmkv.stored_tables();
CREATE UNIQUE INDEX storage_relid ON nvmkv.storage (relid);
GRANT SELECT ON nvmkv.storage TO pg_monitor;

-- ---------------------------------------------------------------- definitions

/*
 * Where the server has not loaded the library, this loads it before what could change a definition behind the back of
 * stored rows, which is refused then; DROP goes through (src/fdw/ddl/ddl.c).  With the library loaded it does nothing.
 */
CREATE FUNCTION nvmkv.require_library()
RETURNS event_trigger
AS 'MODULE_PATHNAME', 'nvmkv_sql_require_library'
LANGUAGE C;

CREATE EVENT TRIGGER nvmkv_require_library ON ddl_command_start
	WHEN TAG IN ('ALTER TABLE', 'ALTER FOREIGN TABLE', 'ALTER DOMAIN', 'ALTER TYPE', 'ALTER SCHEMA',
		'ALTER MATERIALIZED VIEW', 'ALTER INDEX', 'REFRESH MATERIALIZED VIEW', 'ALTER EXTENSION', 'DROP MATERIALIZED VIEW',
		'DROP TABLE', 'DROP FOREIGN TABLE', 'DROP SCHEMA', 'DROP SERVER', 'DROP FOREIGN DATA WRAPPER', 'DROP EXTENSION',
		'DROP OWNED', 'DROP TYPE', 'DROP DOMAIN', 'DROP COLLATION')
	EXECUTE FUNCTION nvmkv.require_library();
ALTER EVENT TRIGGER nvmkv_require_library ENABLE ALWAYS;

/* Stand in triggers of foreign keys of foreign tables (src/fdw/modify/foreignkey.c). */
CREATE FUNCTION nvmkv.foreign_key_check()
RETURNS trigger
AS 'MODULE_PATHNAME', 'nvmkv_sql_foreign_key_check'
LANGUAGE C;

CREATE FUNCTION nvmkv.foreign_key_action()
RETURNS trigger
AS 'MODULE_PATHNAME', 'nvmkv_sql_foreign_key_action'
LANGUAGE C;

/* In triggers of unique constraints that are DEFERRABLE (src/fdw/modify/doubts.c). */
CREATE FUNCTION nvmkv.unique_check()
RETURNS trigger
AS 'MODULE_PATHNAME', 'nvmkv_sql_unique_check'
LANGUAGE C;

-- ---------------------------------------------------------------- views

CREATE FUNCTION nvmkv.progress(
	OUT column_family text,
	OUT job_id int8,
	OUT job text,
	OUT pid int4,
	OUT phase text,
	OUT started timestamptz,
	OUT finished timestamptz,
	OUT keys_done int8,
	OUT keys_total int8,
	OUT bytes_done int8,
	OUT bytes_total int8,
	OUT first_key bytea,
	OUT last_key bytea,
	OUT rows_in int4,
	OUT files_in int4,
	OUT files_out int4,
	OUT level int4,						-- the inputs' level (0: the container), and that of the tables made of them
	OUT output_level int4)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'nvmkv_sql_progress'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE;

CREATE VIEW nvmkv.progress AS
	SELECT job_id, job, pid, column_family, phase, started, finished,
		   keys_done, keys_total, bytes_done, bytes_total, first_key, last_key,
		   rows_in, files_in, files_out, level, output_level
	FROM nvmkv.progress()
	UNION ALL
	-- DDL that writes the rows of a table anew, in this database.
	SELECT NULL, 'rewrite of ' || p.relid::pg_catalog.regclass, p.pid, NULL,
		   CASE p.param2 WHEN 0 THEN 'reading' WHEN 1 THEN 'sorting' ELSE 'writing' END, a.query_start, NULL,
		   CASE p.param2 WHEN 0 THEN p.param4 ELSE p.param5 END, CASE p.param2 WHEN 0 THEN NULL ELSE p.param4 END,
		   NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
	FROM pg_catalog.pg_stat_get_progress_info('CLUSTER') AS p JOIN pg_catalog.pg_stat_activity AS a ON a.pid = p.pid
	WHERE p.param1 = 100 AND a.datname = pg_catalog.current_database();

-- Times in milliseconds, sequences as positions in the write-ahead log.
CREATE FUNCTION nvmkv.stat_engine(
	OUT state text,						-- 'open', 'read only', 'failed'
	OUT nvm_is_pmem bool,
	OUT last_sequence pg_lsn,
	OUT durable_lsn pg_lsn,
	OUT version_number int8,
	OUT extents_total int4,
	OUT extents_free int4,
	OUT user_bytes int8,
	OUT log_bytes int8,
	OUT nvm_bytes int8,
	OUT file_bytes int8,
	OUT file_read_bytes int8,
	OUT manifest_bytes int8,
	OUT writes int8,
	OUT entries_written int8,
	OUT gets int8,
	OUT get_hits int8,
	OUT scans int8,
	OUT filter_useful int8,
	OUT filter_passed int8,
	OUT data_reads int8,
	OUT sources_skipped int8,
	OUT switches int8,
	OUT flushes int8,
	OUT columns_compacted int8,
	OUT batches int8,
	OUT files_written int8,
	OUT files_deleted int8,
	OUT entries_frozen int8,
	OUT entries_dropped_aborted int8,
	OUT entries_dropped_obsolete int8,
	OUT stalls_memtables int8,
	OUT stall_time_memtables float8,
	OUT stalls_extents int8,
	OUT stall_time_extents float8,
	OUT delays_memtables int8,
	OUT delay_time_memtables float8,
	OUT delays_extents int8,
	OUT delay_time_extents float8,
	OUT delays_debt int8,
	OUT delay_time_debt float8,
	OUT write_rate_limit int8,
	OUT errors int8,
	OUT last_error text,
	OUT last_error_time timestamptz)
RETURNS record
AS 'MODULE_PATHNAME', 'nvmkv_sql_stat_engine'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE;

CREATE VIEW nvmkv.stat_engine AS
	SELECT s.*,
		   (s.nvm_bytes + s.file_bytes)::float8 / nullif(s.user_bytes, 0) AS write_amplification
	FROM nvmkv.stat_engine() AS s;

CREATE FUNCTION nvmkv.stat_memtables(
	OUT column_family text,
	OUT buffer int4,
	OUT state text,
	OUT bytes int8,
	OUT capacity int8,
	OUT entries int8,
	OUT first_sequence pg_lsn,
	OUT last_sequence pg_lsn)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'nvmkv_sql_stat_memtables'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE;

CREATE VIEW nvmkv.stat_memtables AS
	SELECT * FROM nvmkv.stat_memtables();

CREATE FUNCTION nvmkv.stat_matrix(
	OUT column_family text,
	OUT row_id int8,
	OUT role text,
	OUT keys int8,
	OUT live_keys int8,
	OUT bytes int8,
	OUT live_bytes int8,
	OUT extents int4,
	OUT hints_used bool)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'nvmkv_sql_stat_matrix'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE;

CREATE VIEW nvmkv.stat_matrix AS
	SELECT * FROM nvmkv.stat_matrix();

CREATE FUNCTION nvmkv.stat_levels(
	OUT column_family text,
	OUT level int4,
	OUT files int8,
	OUT bytes int8,
	OUT value_bytes int8,				-- of values apart that its files refer to
	OUT target_bytes int8,				-- of both
	OUT score float8,
	OUT bytes_read int8,
	OUT bytes_written int8,
	OUT write_amplification float8)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'nvmkv_sql_stat_levels'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE;

CREATE VIEW nvmkv.stat_levels AS
	SELECT * FROM nvmkv.stat_levels();

-- Tables of the values that others keep apart.
CREATE FUNCTION nvmkv.stat_values(
	OUT column_family text,
	OUT files int8,
	OUT bytes int8,
	OUT bytes_in_use int8)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'nvmkv_sql_stat_values'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE;

CREATE VIEW nvmkv.stat_values AS
	SELECT * FROM nvmkv.stat_values();

CREATE FUNCTION nvmkv.stat_cache(
	OUT capacity int8,
	OUT bytes int8,						-- of blocks that can be found
	OUT blocks int8,
	OUT hits int8,
	OUT misses int8,
	OUT inserts int8,
	OUT evictions int8,
	OUT refused int8)					-- blocks not kept: asked for once only, too large, or no room at that moment
RETURNS record
AS 'MODULE_PATHNAME', 'nvmkv_sql_stat_cache'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE;

CREATE VIEW nvmkv.stat_cache AS
	SELECT s.*, s.hits::float8 / nullif(s.hits + s.misses, 0) AS hit_ratio
	FROM nvmkv.stat_cache() AS s;

CREATE FUNCTION nvmkv.stat_workers(
	OUT role text,
	OUT pid int4,
	OUT state text,
	OUT steps int8,
	OUT last_error text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'nvmkv_sql_stat_workers'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE;

CREATE VIEW nvmkv.stat_workers AS
	SELECT * FROM nvmkv.stat_workers();

-- Who copies the data directory, and what is kept for that.
CREATE FUNCTION nvmkv.copies(
	OUT pid int4,
	OUT kind text,
	OUT since timestamptz,
	OUT "position" pg_lsn,
	OUT held_files int8,
	OUT held_bytes int8,
	OUT broken text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'nvmkv_sql_copies'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

CREATE VIEW nvmkv.copies AS
	SELECT * FROM nvmkv.copies();

-- The tree's own commit log: transactions from kept_from to before settled.
CREATE FUNCTION nvmkv.stat_outcomes(
	OUT settled int8,
	OUT saved int8,						-- up to there in files, the rest in the WAL
	OUT kept_from int8,
	OUT segments int8,					-- files, of a million transactions each
	OUT bytes int8,						-- of them, at most
	OUT unknown int8,					-- transactions of which it cannot be told; nvmkv.check() says whether there are rows of theirs
	OUT unknown_ranges text)			-- 'first-last, ...'
RETURNS record
AS 'MODULE_PATHNAME', 'nvmkv_sql_stat_outcomes'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE;

CREATE VIEW nvmkv.stat_outcomes AS
	SELECT * FROM nvmkv.stat_outcomes();

-- Rows that are lost, or cannot be read at the moment, as far as anybody has come to them: nvmkv.check() looks for more.
-- A row for each table that a damaged range reaches into.
CREATE FUNCTION nvmkv.damage(
	OUT relation regclass,				-- NULL: none of this database
	OUT column_family text,
	OUT storage_id int8,				-- -1: the list of storages
	OUT keys text,						-- those of the table that are concerned
	OUT state text,						-- 'lost': compaction went round it; 'missing', 'wrong size': a file that may come back
	OUT source text,					-- what is damaged
	OUT "position" int8,				-- in it: offset of the first damaged block, number of the row's entry; NULL: all of it
	OUT newest pg_lsn,					-- nothing written later is lost
	OUT found timestamptz,				-- NULL: it is missing now
	OUT kept_bytes int8,				-- of the damaged file, which stays
	OUT low bytea,						-- the whole range: from this key
	OUT high bytea)						-- to before this
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'nvmkv_sql_damage'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;

CREATE VIEW nvmkv.damage AS
	SELECT * FROM nvmkv.damage();

-- How far behind standbys are, in positions of the log, in bytes, and in seconds since what is to be replayed next was committed: a
-- row of this server, with "standby" NULL, and one of each that streams from it.
CREATE VIEW nvmkv.stat_replication AS
	WITH here AS MATERIALIZED (
		SELECT p.is_standby, p.replayed,
			   CASE WHEN p.is_standby THEN greatest(pg_catalog.pg_last_wal_receive_lsn(), p.replayed) ELSE p.replayed END AS received
		FROM (SELECT pg_catalog.pg_is_in_recovery() AS is_standby,
					 CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
						  ELSE pg_catalog.pg_current_wal_lsn() END AS replayed) AS p)
	SELECT NULL::pg_catalog.text AS standby, r.pid,
		   CASE WHEN here.is_standby THEN coalesce(r.status, 'not streaming') ELSE 'primary' END AS state, NULL::pg_catalog.text AS sync_state,
		   here.received AS received_lsn, here.replayed AS replayed_lsn,
		   0::pg_catalog.int8 AS receive_lag_bytes, (here.received - here.replayed)::pg_catalog.int8 AS replay_lag_bytes,
		   CASE WHEN NOT here.is_standby OR r.status = 'streaming' AND here.received = here.replayed THEN 0
				ELSE pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp()) END
				AS replay_lag_seconds
	FROM here LEFT JOIN pg_catalog.pg_stat_wal_receiver AS r ON true
	UNION ALL
	SELECT s.application_name, s.pid, s.state, s.sync_state, s.flush_lsn, s.replay_lsn,
		   greatest(here.received - s.flush_lsn, 0)::pg_catalog.int8, greatest(here.received - s.replay_lsn, 0)::pg_catalog.int8,
		   CASE WHEN s.replay_lsn >= here.received THEN 0 ELSE pg_catalog.date_part('epoch', s.replay_lag) END
	FROM here CROSS JOIN pg_catalog.pg_stat_replication AS s;

-- What there is, with the shape that the next start gives it; sizes in bytes.
CREATE FUNCTION nvmkv.column_families(
	OUT column_family text,
	OUT number int4,
	OUT nvm_size int8,					-- 0: no container
	OUT write_buffer_size int8,
	OUT max_write_buffers int4,
	OUT target_file_size int8,
	OUT bloom_bits_per_key int4,
	OUT compression text,
	OUT container_path text,			-- NULL: no container
	OUT container_size int8,			-- what it takes now; not nvm_size while it is drained to become smaller
	OUT error text)						-- why its tables are not available; '' if they are
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'nvmkv_sql_column_families'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE;

CREATE VIEW nvmkv.column_families AS
	SELECT * FROM nvmkv.column_families();

-- Entries are versions and row locks too, so they are more than rows.
CREATE FUNCTION nvmkv.storage_estimate(
	storage_id int8,
	OUT entries float8,
	OUT bytes float8,
	OUT sources float8)
RETURNS record
AS 'MODULE_PATHNAME', 'nvmkv_sql_storage_estimate'
LANGUAGE C STRICT VOLATILE PARALLEL SAFE;

-- The storages of this database: of foreign tables, and of their indexes but for the primary key's, which is the table.
CREATE VIEW nvmkv.indexes AS
	SELECT i.indrelid AS relid, c.oid AS indexrelid, n.nspname AS schemaname, t.relname, c.relname AS indexrelname,
		   i.indisunique AS is_unique, i.indisvalid AND i.indisready AS is_valid, s.storage_id,
		   e.entries AS estimated_entries, e.bytes AS estimated_bytes, e.sources,
		   pg_catalog.pg_stat_get_numscans(c.oid) AS idx_scan,
		   pg_catalog.pg_stat_get_tuples_returned(c.oid) AS idx_tup_read,
		   pg_catalog.pg_stat_get_tuples_fetched(c.oid) AS idx_tup_fetch
	FROM nvmkv.storage AS s
		JOIN pg_catalog.pg_database AS d ON d.oid = s.dboid AND d.datname = pg_catalog.current_database()
		JOIN pg_catalog.pg_class AS c ON c.oid = s.relid AND c.relkind = 'I'
		JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
		JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
		JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		CROSS JOIN LATERAL nvmkv.storage_estimate(s.storage_id) AS e;

CREATE VIEW nvmkv.stat_tables AS
	SELECT c.oid AS relid, n.nspname AS schemaname, c.relname, s.storage_id,
		   e.entries AS estimated_entries, e.bytes AS estimated_bytes, e.sources,
		   (SELECT coalesce(pg_catalog.sum(x.estimated_bytes), 0) FROM nvmkv.indexes AS x
			WHERE x.relid = c.oid) AS estimated_index_bytes,
		   pg_catalog.pg_stat_get_numscans(c.oid) AS seq_scan,
		   pg_catalog.pg_stat_get_tuples_returned(c.oid) AS seq_tup_read,
		   i.scans AS idx_scan,
		   coalesce(i.fetched, 0) + pg_catalog.pg_stat_get_tuples_fetched(c.oid) AS idx_tup_fetch,
		   pg_catalog.pg_stat_get_tuples_inserted(c.oid) AS n_tup_ins,
		   pg_catalog.pg_stat_get_tuples_updated(c.oid) AS n_tup_upd,
		   pg_catalog.pg_stat_get_tuples_deleted(c.oid) AS n_tup_del,
		   pg_catalog.pg_stat_get_live_tuples(c.oid) AS n_live_tup,
		   pg_catalog.pg_stat_get_mod_since_analyze(c.oid) AS n_mod_since_analyze,
		   pg_catalog.pg_stat_get_last_analyze_time(c.oid) AS last_analyze,
		   pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid) AS last_autoanalyze,
		   pg_catalog.pg_stat_get_analyze_count(c.oid) AS analyze_count,
		   pg_catalog.pg_stat_get_autoanalyze_count(c.oid) AS autoanalyze_count
	FROM nvmkv.storage AS s
		JOIN pg_catalog.pg_database AS d ON d.oid = s.dboid AND d.datname = pg_catalog.current_database()
		JOIN pg_catalog.pg_class AS c ON c.oid = s.relid AND c.relkind = 'f'
		JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		CROSS JOIN LATERAL nvmkv.storage_estimate(s.storage_id) AS e
		CROSS JOIN LATERAL (SELECT pg_catalog.sum(pg_catalog.pg_stat_get_numscans(x.indexrelid))::pg_catalog.int8 AS scans,
								   pg_catalog.sum(pg_catalog.pg_stat_get_tuples_fetched(x.indexrelid))::pg_catalog.int8 AS fetched
							FROM pg_catalog.pg_index AS x WHERE x.indrelid = c.oid) AS i;

-- Bytes of a foreign table, with its indexes as pg_total_relation_size() or without them as pg_table_size(), as far as they
-- are in sorted sources; NULL: it is none of ours.  For everybody, as those are, though the view is not.
CREATE FUNCTION nvmkv.table_size(relation regclass, with_indexes bool DEFAULT true)
RETURNS int8
LANGUAGE sql STABLE STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT (estimated_bytes + CASE WHEN with_indexes THEN estimated_index_bytes ELSE 0 END)::int8
	FROM nvmkv.stat_tables WHERE relid = relation
$$;

-- ---------------------------------------------------------------- work

-- Everything written so far into rows of the container or files.
CREATE FUNCTION nvmkv.flush()
RETURNS void
AS 'MODULE_PATHNAME', 'nvmkv_sql_flush'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

-- Drains the container, takes the table with its indexes (or everything) down to the lowest level that has any of it, and
-- writes that anew: what was deleted, rolled back or dropped gives its space back.  Of a table: for its owner.
CREATE FUNCTION nvmkv.compact()
RETURNS void
AS 'MODULE_PATHNAME', 'nvmkv_sql_compact_all'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE FUNCTION nvmkv.compact(relation regclass)
RETURNS void
AS 'MODULE_PATHNAME', 'nvmkv_sql_compact'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

-- The table, or each partition of a partitioned one, gets the access method: a heap table becomes a foreign table of the
-- server nvmkv, or the other way round, as by ALTER TABLE ... SET ACCESS METHOD.
CREATE FUNCTION nvmkv.migrate(relation regclass, access_method name DEFAULT 'nvmkv')
RETURNS void
AS 'MODULE_PATHNAME', 'nvmkv_sql_migrate'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

-- A row for each problem; none when all is sound.  With a table: its rows are decoded, and its indexes compared with it, too;
-- for its owner that is all.
CREATE FUNCTION nvmkv."check"()
RETURNS TABLE (object text, problem text)
AS 'MODULE_PATHNAME', 'nvmkv_sql_check_all'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

CREATE FUNCTION nvmkv."check"(relation regclass)
RETURNS TABLE (object text, problem text)
AS 'MODULE_PATHNAME', 'nvmkv_sql_check'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

-- Your word for transactions whose outcomes are lost, as nvmkv.check() lists them: from now on their rows are there, or are not.
-- Returns how many transactions it was about; others keep the outcomes they have.
CREATE FUNCTION nvmkv.set_outcome(first xid8, last xid8, committed bool)
RETURNS int8
AS 'MODULE_PATHNAME', 'nvmkv_sql_set_outcome'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

-- Accepts the loss of what is damaged in a table, or in all of the foreign tables' files: those keys are as what is left
-- says, absent most often, and can be written again.  Compacts the table first, so that all damage in it is found.  Takes effect
-- at once, and is not undone by a rollback.  It concerns this server's files: standbys keep their rows.
CREATE FUNCTION nvmkv.accept_damage(relation regclass)
RETURNS void
AS 'MODULE_PATHNAME', 'nvmkv_sql_accept_damage'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE FUNCTION nvmkv.accept_damage()
RETURNS void
AS 'MODULE_PATHNAME', 'nvmkv_sql_accept_damage'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

-- Gives the space of a column family back that no table is in any more.  Takes effect at once.
CREATE FUNCTION nvmkv.drop_column_family(column_family text)
RETURNS void
AS 'MODULE_PATHNAME', 'nvmkv_sql_drop_column_family'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

-- For copiers that the server does not know: what they may need stays until copy_stop(), or the end of the session.
CREATE FUNCTION nvmkv.copy_start()
RETURNS pg_lsn
AS 'MODULE_PATHNAME', 'nvmkv_sql_copy_start'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE FUNCTION nvmkv.copy_stop()
RETURNS void
AS 'MODULE_PATHNAME', 'nvmkv_sql_copy_stop'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

-- Gives the column family of a server the shape that the server's options say now, from the next start on.
CREATE FUNCTION nvmkv.reshape_column_family(server_name text)
RETURNS void
AS 'MODULE_PATHNAME', 'nvmkv_sql_reshape_column_family'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;

CREATE FUNCTION nvmkv.reset_stats()
RETURNS void
AS 'MODULE_PATHNAME', 'nvmkv_sql_reset_stats'
LANGUAGE C VOLATILE PARALLEL UNSAFE;

REVOKE ALL ON FUNCTION
	nvmkv.progress(), nvmkv.stat_engine(), nvmkv.stat_memtables(), nvmkv.stat_matrix(),
	nvmkv.stat_levels(), nvmkv.stat_values(), nvmkv.stat_cache(), nvmkv.stat_workers(), nvmkv.column_families(), nvmkv.storage_estimate(int8),
	nvmkv.stat_outcomes(), nvmkv.set_outcome(xid8, xid8, bool), nvmkv.damage(), nvmkv.accept_damage(regclass), nvmkv.accept_damage(),
	nvmkv.flush(), nvmkv.compact(), nvmkv."check"(),
	nvmkv.drop_column_family(text), nvmkv.reshape_column_family(text), nvmkv.copies(), nvmkv.copy_start(), nvmkv.copy_stop(), nvmkv.reset_stats()
FROM PUBLIC;

-- A view's functions are called with the rights of whoever reads it.
GRANT EXECUTE ON FUNCTION
	nvmkv.progress(), nvmkv.stat_engine(), nvmkv.stat_memtables(), nvmkv.stat_matrix(),
	nvmkv.stat_levels(), nvmkv.stat_values(), nvmkv.stat_cache(), nvmkv.stat_workers(), nvmkv.column_families(),
	nvmkv.copies(), nvmkv.stat_outcomes(), nvmkv.damage(), nvmkv.storage_estimate(int8)
TO pg_monitor;

GRANT SELECT ON
	nvmkv.progress, nvmkv.stat_engine, nvmkv.stat_memtables, nvmkv.stat_matrix,
	nvmkv.stat_levels, nvmkv.stat_values, nvmkv.stat_cache, nvmkv.stat_workers, nvmkv.stat_tables, nvmkv.indexes,
	nvmkv.column_families, nvmkv.copies, nvmkv.stat_outcomes, nvmkv.damage, nvmkv.stat_replication
TO pg_monitor;
