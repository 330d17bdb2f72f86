/*
 * nvmkv_fdw--1.0--1.1.sql
 *	  What ALTER EXTENSION ... UPDATE changes, so that everything is as nvmkv_fdw--1.1.sql makes it.
 *
 * The library is that of 1.1 already: the server has to be restarted before.  Rows of tables stay as they are.  What has
 * been granted on objects that are made anew here - nvmkv.storage, nvmkv.compact() and nvmkv.check() - has to be granted
 * again; views and functions of others that depend on them are in the way, and nothing is changed then.
 */
\echo Use "ALTER EXTENSION nvmkv_fdw UPDATE TO '1.1'" to load this file. \quit

-- ---------------------------------------------------------------- wrapper

CREATE FUNCTION nvmkv.table_am_handler(internal)
RETURNS table_am_handler
AS 'MODULE_PATHNAME', 'nvmkv_sql_table_am_handler'
LANGUAGE C STRICT;

CREATE ACCESS METHOD nvmkv TYPE TABLE HANDLER nvmkv.table_am_handler;

-- ---------------------------------------------------------------- catalogue

/*
 * The columns of a materialized view cannot be changed, so there is another one.  Its query takes the rows of the one that
 * has this name (src/fdw/table/catalog.c).  What others have not committed yet is waited for, and they wait for us.
 */
ALTER MATERIALIZED VIEW nvmkv.storage RENAME TO storage_1_0;
ALTER INDEX nvmkv.storage_relid RENAME TO storage_1_0_relid;
ALTER FUNCTION nvmkv.stored_tables() RENAME TO stored_tables_1_0;

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

CREATE OR REPLACE VIEW nvmkv.progress AS
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

CREATE OR REPLACE VIEW nvmkv.stat_tables AS
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

-- Nothing refers to these any more.
DROP MATERIALIZED VIEW nvmkv.storage_1_0;
DROP FUNCTION nvmkv.stored_tables_1_0();

-- ---------------------------------------------------------------- work

DROP FUNCTION nvmkv.compact(regclass);
DROP FUNCTION nvmkv."check"(regclass);

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

-- ---------------------------------------------------------------- who may

REVOKE ALL ON FUNCTION nvmkv.compact(), nvmkv."check"() FROM PUBLIC;
GRANT SELECT ON nvmkv.indexes, nvmkv.stat_replication TO pg_monitor;
