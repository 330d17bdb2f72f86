--
-- VACUUM of foreign tables and of partitioned tables that have some: nothing to do, but what ANALYZE does.  ALTER TABLE of
-- what is about a heap's files.  As on a heap table, see scripts/heap_twin.sh.
--
CREATE SCHEMA maintenance_test;
SET search_path = maintenance_test, public;
SET default_table_access_method = nvmkv;
-- The error of a statement, whatever the kind of table is called in it.
CREATE FUNCTION error_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN EXECUTE statement; RETURN 'none';
EXCEPTION WHEN OTHERS THEN RETURN replace(SQLERRM, 'foreign table', 'table');
END $$;
CREATE TABLE a (id int PRIMARY KEY, v text);
CREATE TABLE b (v text);
INSERT INTO a SELECT g, g % 10 FROM generate_series(1, 100) g;
INSERT INTO b SELECT g FROM generate_series(1, 20) g;
CREATE TABLE h (id int) USING heap;
INSERT INTO h SELECT generate_series(1, 30);
CREATE TABLE p (k int, v text) PARTITION BY RANGE (k);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20) USING heap;
INSERT INTO p SELECT g, g FROM generate_series(0, 19) g;
-- Who has statistics, of how many columns, and how many rows.
CREATE VIEW known AS SELECT relname, reltuples, (SELECT count(*) FROM pg_statistic WHERE starelid = c.oid) AS columns
	FROM pg_class c WHERE relnamespace = 'maintenance_test'::regnamespace AND relkind IN ('r', 'f', 'p') ORDER BY relname COLLATE "C";
VACUUM h, p;
SELECT * FROM known WHERE relname NOT IN ('a', 'b', 'p1');
VACUUM a;
VACUUM (FULL) a;
VACUUM (FREEZE, SKIP_LOCKED, DISABLE_PAGE_SKIPPING, INDEX_CLEANUP off, TRUNCATE off, PARALLEL 2) a, b;
SELECT count(*) FROM pg_stats WHERE schemaname = 'maintenance_test';
VACUUM (ANALYZE) a (v);
SELECT attname FROM pg_stats WHERE schemaname = 'maintenance_test' AND tablename = 'a';
VACUUM ANALYZE a, h, b;
SELECT * FROM known WHERE relname <> 'p1';
VACUUM (ANALYZE, SKIP_LOCKED) p;
SELECT * FROM known;
VACUUM (ANALYZE false) a;
-- Errors.
VACUUM a (v);
VACUUM (ANALYZE) a (none);
VACUUM (FOO) a;
VACUUM (PARALLEL) a;
VACUUM a, none;
BEGIN;
VACUUM a;
ROLLBACK;
BEGIN;
VACUUM (ANALYZE) a, p;
ROLLBACK;
CREATE FUNCTION vacuumed() RETURNS void LANGUAGE plpgsql AS 'BEGIN VACUUM maintenance_test.a; END';
SELECT vacuumed();
-- Rights.
CREATE ROLE nvmkv_vacuums;
GRANT USAGE ON SCHEMA maintenance_test TO nvmkv_vacuums;
ALTER TABLE b OWNER TO nvmkv_vacuums;
SET ROLE nvmkv_vacuums;
VACUUM (ANALYZE) b;
\set VERBOSITY sqlstate
VACUUM a, h;
VACUUM (ANALYZE) h, a, p;
\set VERBOSITY default
ALTER TABLE b SET (fillfactor = 60);
ALTER TABLE b SET TABLESPACE pg_default;
RESET ROLE;
-- Parameters of storage.
ALTER TABLE a SET (fillfactor = 60, autovacuum_enabled = off, toast.autovacuum_enabled = off);
ALTER TABLE a RESET (fillfactor), ADD COLUMN n int DEFAULT 1, SET LOGGED, SET WITHOUT CLUSTER;
SELECT count(*), sum(n) FROM a;
SELECT ftoptions FROM pg_foreign_table WHERE ftrelid = 'a'::regclass;
ALTER TABLE a SET (autovacuum_enabled, autovacuum_analyze_threshold = 10), RESET (autovacuum_vacuum_cost_limit);
SELECT ftoptions FROM pg_foreign_table WHERE ftrelid = 'a'::regclass;
ALTER TABLE a RESET (autovacuum_enabled, toast.autovacuum_enabled), SET (autovacuum_analyze_scale_factor = 0.5), RESET (autovacuum_analyze_scale_factor);
SELECT ftoptions FROM pg_foreign_table WHERE ftrelid = 'a'::regclass;
BEGIN;
ALTER TABLE a RESET (autovacuum_analyze_threshold);
SELECT mode FROM pg_locks WHERE locktype = 'relation' AND relation = 'a'::regclass AND pid = pg_backend_pid();
ROLLBACK;
ALTER TABLE a SET (autovacuum_analyze_threshold = 'few');
ALTER TABLE a RESET (autovacuum_analyze_threshold = 1);
ALTER TABLE a SET (fillfactor = 6);
ALTER TABLE a SET (foo = 6);
ALTER TABLE a SET (fillfactor = 50), ALTER foo TYPE int;
ALTER TABLE a SET TABLESPACE none;
ALTER TABLE a SET TABLESPACE pg_global;
ALTER TABLE IF EXISTS none SET (fillfactor = 50);
ALTER TABLE none SET (fillfactor = 50);
SELECT error_of('ALTER TABLE p SET (fillfactor = 50)') <> 'none' AS refused;
SET ROLE nvmkv_vacuums;
SELECT error_of('ALTER TABLE a SET (fillfactor = 6)');
SELECT error_of('ALTER TABLE a SET (autovacuum_enabled = off)');
RESET ROLE;
RESET default_table_access_method;
SET client_min_messages = warning;
DROP SCHEMA maintenance_test CASCADE;
DROP ROLE nvmkv_vacuums;
