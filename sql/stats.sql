--
-- Statistics: ANALYZE, and the views of schema nvmkv.
--
CREATE SCHEMA stats_test;
SET search_path = stats_test, public;

CREATE FOREIGN TABLE t (k int NOT NULL, grp int, v text, n numeric) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE TABLE t_heap (k int PRIMARY KEY, grp int, v text, n numeric);
INSERT INTO t_heap SELECT i, i % 10, CASE WHEN i % 4 > 0 THEN 'value ' || i % 100 END, i / 7.0 FROM generate_series(1, 20000) AS i;
INSERT INTO t SELECT * FROM t_heap;

-- Size is known without ANALYZE.
CREATE FUNCTION plan_rows(query text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	RETURN plan->0->'Plan'->>'Plan Rows';
END $$;
SELECT plan_rows('SELECT * FROM t') BETWEEN 15000 AND 25000 AS about_right;

ANALYZE t;
ANALYZE t_heap;
SELECT reltuples, relpages > 0 AS has_pages FROM pg_class WHERE oid = 't'::regclass;
SELECT a.attname, a.null_frac = b.null_frac AS nulls, a.n_distinct = b.n_distinct AS n_distinct,
	a.avg_width = b.avg_width AS width, a.correlation = b.correlation AS correlation
FROM pg_stats AS a JOIN pg_stats AS b USING (schemaname, attname)
WHERE a.tablename = 't' AND b.tablename = 't_heap' ORDER BY 1;
SELECT query, plan_rows(format(query, 't')) BETWEEN plan_rows(format(query, 't_heap')) * 0.8 AND plan_rows(format(query, 't_heap')) * 1.25 AS about_right
FROM (VALUES
	('SELECT * FROM %s WHERE grp = 3'),
	('SELECT * FROM %s WHERE v IS NULL'),
	('SELECT * FROM %s WHERE k < 5000'),
	('SELECT * FROM %s WHERE k = 5000'),
	('SELECT DISTINCT grp FROM %s')
) AS q(query);

-- A sample that is smaller than the table is in its order, too.
SET default_statistics_target = 1;
ANALYZE t (k);
SELECT correlation FROM pg_stats WHERE tablename = 't' AND attname = 'k';
RESET default_statistics_target;

-- Only what is committed, or one's own, counts.
BEGIN;
DELETE FROM t WHERE k > 10000;
ANALYZE t;
SELECT reltuples FROM pg_class WHERE oid = 't'::regclass;
ROLLBACK;
SELECT reltuples FROM pg_class WHERE oid = 't'::regclass;

-- An empty table; one without a key; dropped and added columns; some columns only.
CREATE FOREIGN TABLE nothing (k int NOT NULL) SERVER nvmkv OPTIONS (primary_key 'k');
ANALYZE nothing;
SELECT reltuples FROM pg_class WHERE oid = 'nothing'::regclass;
CREATE FOREIGN TABLE plain (a int, b int) SERVER nvmkv;
INSERT INTO plain SELECT 1, i FROM generate_series(1, 100) AS i;
ALTER FOREIGN TABLE plain DROP COLUMN b;
ALTER FOREIGN TABLE plain ADD COLUMN c text;
ANALYZE plain (c, a);
SELECT attname, null_frac, n_distinct FROM pg_stats WHERE tablename = 'plain' ORDER BY 1;
CREATE STATISTICS t_stat (dependencies) ON grp, v FROM t;
ANALYZE t;
SELECT count(*) FROM pg_stats_ext WHERE statistics_name = 't_stat' AND dependencies IS NOT NULL;

--
-- Views: figures change with every run, their relations do not.
--
SELECT state, last_sequence >= coalesce(durable_lsn, '0/0') AS ordered, user_bytes > 0 AS user_bytes, entries_written >= 20000 AS entries,
	stalls_memtables >= 0 AS stalls, delays_debt >= 0 AS delays, errors, last_error
FROM nvmkv.stat_engine;
SELECT count(*) FILTER (WHERE state = 'active') AS active, count(*) > 1 AS some, bool_and(bytes <= capacity) AS fits FROM nvmkv.stat_memtables;
SELECT count(*) > 0 AS some, bool_and(files >= 0 AND bytes >= 0) AS sane FROM nvmkv.stat_levels;
SELECT schemaname, relname, estimated_entries >= 20000 AS entries, estimated_bytes > 20000 AS bytes, sources >= 1 AS sources
FROM nvmkv.stat_tables WHERE relid = 't'::regclass;

-- Flushed: the rows stand in the container, or in tables below it, and the memtables hold nothing of them.
SELECT nvmkv.flush();
SELECT count(*), sum(k) FROM t;
SELECT sum(entries) AS entries_in_memtables FROM nvmkv.stat_memtables WHERE state IN ('active', 'immutable');
SELECT sum(keys) > 0 AS keys, bool_and(live_keys <= keys AND live_bytes <= bytes) AS sane FROM nvmkv.stat_matrix;
SELECT count(*) > 0 AS seen FROM nvmkv.progress WHERE job = 'flush' AND phase = 'finished' AND finished >= started AND keys_done > 0;

-- Compacted: below level 0.
SELECT nvmkv.compact('t');
SELECT count(*), sum(k) FROM t;
SELECT coalesce(sum(live_keys), 0) AS keys_in_container FROM nvmkv.stat_matrix;
SELECT sum(files) > 0 AS files, sum(bytes) > 0 AS bytes FROM nvmkv.stat_levels WHERE level > 0;
SELECT bool_and(bytes_in_use <= bytes) AS sane FROM nvmkv.stat_values;
SELECT count(*) > 0 AS seen FROM nvmkv.progress WHERE job = 'column compaction' AND phase = 'finished' AND files_out > 0;

-- Read from there through the block cache: what the first query left, the second finds.
SELECT count(*) FROM t WHERE k IN (1, 5000, 20000);
SELECT hits AS hits_before FROM nvmkv.stat_cache \gset
SELECT count(*) FROM t WHERE k IN (1, 5000, 20000);
SELECT hits > :hits_before AS found, misses > 0 AS misses, blocks > 0 AS blocks, bytes BETWEEN 1 AND capacity AS fits,
	hit_ratio BETWEEN 0 AND 1 AS ratio
FROM nvmkv.stat_cache;

-- A scan leaves out what spans its table but, says the filter, has nothing of it.
CREATE FOREIGN TABLE left_of (k int NOT NULL) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE between_them (k int NOT NULL) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE right_of (k int NOT NULL) SERVER nvmkv OPTIONS (primary_key 'k');
INSERT INTO left_of VALUES (1);
INSERT INTO right_of VALUES (3);
SELECT nvmkv.flush();
SELECT sources_skipped AS skipped_before FROM nvmkv.stat_engine \gset
SELECT count(*) FROM between_them;
SELECT sources_skipped > :skipped_before AS skipped FROM nvmkv.stat_engine;
SELECT count(*) FROM left_of;
SELECT count(*) FROM right_of;

-- And sound.
SELECT * FROM nvmkv.check();
SELECT * FROM nvmkv.check('t');
SELECT * FROM nvmkv.check('plain');
SELECT * FROM nvmkv.check('t_heap');
SELECT nvmkv.compact('t_heap');

SELECT nvmkv.reset_stats();
SELECT flushes, columns_compacted FROM nvmkv.stat_engine;

-- Who may.
CREATE ROLE stats_test_nobody;
CREATE ROLE stats_test_monitor;
GRANT pg_monitor TO stats_test_monitor;
SET ROLE stats_test_nobody;
SELECT count(*) FROM nvmkv.stat_engine;
SELECT count(*) FROM nvmkv.progress;
SELECT nvmkv.flush();
SELECT nvmkv.compact();
SELECT * FROM nvmkv.check();
SELECT nvmkv.reset_stats();
SET ROLE stats_test_monitor;
SELECT count(*) FROM nvmkv.stat_engine;
SELECT count(*) > 0 AS some FROM nvmkv.stat_tables;
SELECT count(*) >= 0 AS readable FROM nvmkv.stat_workers;
SELECT count(*) >= 0 AS readable FROM nvmkv.stat_matrix;
SELECT count(*) AS readable FROM nvmkv.stat_cache;
DO $$
DECLARE
	name text;
BEGIN
	FOR name IN SELECT relname FROM pg_class WHERE relnamespace = 'nvmkv'::regnamespace AND relkind IN ('v', 'm', 'r') LOOP
		EXECUTE format('SELECT count(*) FROM nvmkv.%I', name);
	END LOOP;
END $$;
SELECT nvmkv.flush();
RESET ROLE;
DROP ROLE stats_test_nobody, stats_test_monitor;

RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA stats_test CASCADE;

-- A table's owner looks after it alone.
CREATE ROLE stats_owner;
CREATE ROLE stats_other;
SET ROLE stats_owner;
SELECT nvmkv.compact();
SELECT * FROM nvmkv.check();
RESET ROLE;
GRANT CREATE ON SCHEMA public TO stats_owner;
SET ROLE stats_owner;
CREATE FOREIGN TABLE stats_own (k int NOT NULL, v text) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE INDEX ON stats_own (v text_pattern_ops);
INSERT INTO stats_own SELECT g, 'v' || g % 7 FROM generate_series(1, 20000) g;
SELECT nvmkv.compact('stats_own');
SELECT * FROM nvmkv.check('stats_own');
SET ROLE stats_other;
SELECT nvmkv.compact('stats_own');
SELECT * FROM nvmkv.check('stats_own');
RESET ROLE;
GRANT EXECUTE ON FUNCTION nvmkv.compact(), nvmkv.check() TO stats_other;
SET ROLE stats_other;
SELECT nvmkv.compact('stats_own');
SELECT * FROM nvmkv.check('stats_own');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION nvmkv.compact(), nvmkv.check() FROM stats_other;
SELECT indexrelname, is_unique, is_valid, estimated_entries > 10000 AS has_entries FROM nvmkv.indexes WHERE relid = 'stats_own'::regclass;
-- Its size, for everybody.
SELECT estimated_bytes AS own, estimated_index_bytes AS of_indexes FROM nvmkv.stat_tables WHERE relname = 'stats_own' \gset
SET ROLE stats_other;
SELECT estimated_bytes FROM nvmkv.stat_tables;
SELECT nvmkv.table_size('stats_own', false) = :own AS alone, nvmkv.table_size('stats_own') = :own + :of_indexes AS with_indexes, :own > 0 AND :of_indexes > 0 AS both;
SELECT nvmkv.table_size('pg_class') IS NULL AS none;
RESET ROLE;
DROP FOREIGN TABLE stats_own;

--
-- Activity, beside a heap table.
--
CREATE VIEW counts AS
	SELECT relid, seq_scan, seq_tup_read, idx_scan, idx_tup_fetch, n_tup_ins, n_tup_upd, n_tup_del, n_live_tup, n_mod_since_analyze, analyze_count FROM pg_stat_all_tables
	UNION ALL
	SELECT relid, seq_scan, seq_tup_read, idx_scan, idx_tup_fetch, n_tup_ins, n_tup_upd, n_tup_del, n_live_tup, n_mod_since_analyze, analyze_count FROM nvmkv.stat_tables;
CREATE TABLE act_heap (id int PRIMARY KEY, v int UNIQUE, w int) USING heap;
CREATE TABLE act_ours (id int PRIMARY KEY, v int UNIQUE, w int) USING nvmkv;
CREATE VIEW changes AS
	SELECT relid::regclass AS act, n_tup_ins AS ins, n_tup_upd AS upd, n_tup_del AS del, n_live_tup AS live, n_mod_since_analyze AS changed, analyze_count AS analyzed
	FROM counts WHERE relid IN ('act_heap'::regclass, 'act_ours'::regclass) ORDER BY 1;
CREATE FUNCTION act(statement text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE replace(statement, 'act', 'act_heap');
	EXECUTE replace(statement, 'act', 'act_ours');
	PERFORM pg_stat_force_next_flush();
END $$;
SELECT act('INSERT INTO act SELECT g, g, 0 FROM generate_series(1, 1000) AS g');
SELECT act('ANALYZE act');
SELECT last_analyze IS NOT NULL AS analyzed FROM nvmkv.stat_tables WHERE relid = 'act_ours'::regclass;
TABLE changes;
-- a heap counts the scans that build indexes
SELECT pg_stat_reset_single_table_counters('act_heap'::regclass), pg_stat_reset_single_table_counters('act_ours'::regclass);
SET enable_bitmapscan = off;
SELECT act('UPDATE act SET w = 2 WHERE id = 5');
SELECT act('DELETE FROM act WHERE id = 8');
SELECT relid::regclass, seq_scan, seq_tup_read, idx_scan, idx_tup_fetch FROM counts WHERE relid::regclass::text LIKE 'act%' ORDER BY 1;
TABLE changes;
SET enable_seqscan = off;
SELECT act('SELECT * FROM act WHERE v = 77');
SELECT act('SELECT count(w) FROM act WHERE id BETWEEN 100 AND 199');
RESET enable_seqscan;
SELECT act('SELECT count(w) FROM act');
SELECT relid::regclass, seq_scan, seq_tup_read, idx_scan, idx_tup_fetch FROM counts WHERE relid::regclass::text LIKE 'act%' ORDER BY 1;
SELECT indexrelname, idx_scan, idx_tup_read, idx_tup_fetch FROM nvmkv.indexes WHERE relname = 'act_ours';
BEGIN;
SELECT act('DELETE FROM act');
SAVEPOINT s;
SELECT act('INSERT INTO act VALUES (1, 1, 1)');
ROLLBACK TO s;
ROLLBACK;
TABLE changes;
SELECT act('INSERT INTO act SELECT g, g, 0 FROM generate_series(999, 1010) AS g ON CONFLICT (id) DO UPDATE SET w = 1');
TABLE changes;
SELECT act('TRUNCATE act');
SELECT act('INSERT INTO act VALUES (1, 1, 1)');
TABLE changes;
SET track_counts = off;
SELECT act('INSERT INTO act VALUES (2, 2, 1)');
RESET track_counts;
SELECT act('UPDATE act SET w = 3');
TABLE changes;
-- a table that becomes one of another kind, or nearly
SELECT act('ALTER TABLE act SET ACCESS METHOD heap');
SELECT act('INSERT INTO act VALUES (3, 3, 1)');
BEGIN;
ALTER TABLE act_ours SET ACCESS METHOD nvmkv;
SELECT act('INSERT INTO act VALUES (4, 4, 1)');
ROLLBACK;
BEGIN;
ALTER TABLE act_ours SET ACCESS METHOD nvmkv;
INSERT INTO act_ours VALUES (7, 7, 1);
INSERT INTO act_heap VALUES (7, 7, 1);
ROLLBACK;
INSERT INTO act_ours VALUES (7, 7, 1);
INSERT INTO act_heap VALUES (7, 7, 1);
SELECT act('INSERT INTO act VALUES (5, 5, 1)');
ALTER TABLE act_ours SET ACCESS METHOD nvmkv;
SELECT act('UPDATE act SET w = 4');
BEGIN;
SAVEPOINT s;
ALTER TABLE act_ours SET ACCESS METHOD heap;
SELECT act('INSERT INTO act VALUES (6, 6, 1)');
ROLLBACK TO s;
SELECT act('DELETE FROM act WHERE id = 5');
COMMIT;
SELECT act('DELETE FROM act WHERE id = 3');
TABLE changes;
DROP VIEW changes, counts;
SELECT act('CREATE INDEX ON act (w); DROP TABLE act');
RESET enable_bitmapscan;
DROP FUNCTION act(text);
REVOKE CREATE ON SCHEMA public FROM stats_owner;
DROP ROLE stats_owner, stats_other;
