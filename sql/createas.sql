--
-- CREATE TABLE AS and SELECT INTO that make foreign tables.  As a heap table does, see scripts/heap_twin.sh.
--
CREATE SCHEMA createas_test;
SET search_path = createas_test, public;
SET default_table_access_method = nvmkv;
CREATE FUNCTION columns_of(r regclass) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(format('%s %s %s', attname, format_type(atttypid, atttypmod), nullif(attcollation, 0)::regcollation), ', ' ORDER BY attnum)
	FROM pg_attribute WHERE attrelid = r AND attnum > 0 $$;
-- EXPLAIN without what is measured, and plans by the kind of table.
CREATE FUNCTION explained(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) ' || statement LOOP
		RETURN NEXT regexp_replace(line, 'rows=(\d+)\.\d+ ', 'rows=\1 ');
	END LOOP;
END $$;

\set QUIET off
CREATE TABLE t AS SELECT g AS a, 'row ' || g AS b, g::numeric(10, 2) AS c, 'x'::varchar(5) COLLATE "C" AS d FROM generate_series(1, 5000) g;
SELECT 1 AS one, NULL AS nothing, now() > '2000-01-01' AS later INTO one;
CREATE TABLE named (x, "y Y") AS SELECT a, b, c FROM t WHERE a <= 2;
CREATE TABLE too_many (x, y, z) AS SELECT a, b FROM t;
CREATE TABLE empty AS SELECT * FROM t WITH NO DATA;
CREATE TABLE empty_named (x) AS SELECT * FROM t WITH NO DATA;
CREATE TABLE too_many (x, y, z) AS SELECT a, b FROM t WITH NO DATA;
CREATE TABLE no_columns AS SELECT FROM t WHERE a < 3;
CREATE TABLE IF NOT EXISTS t AS SELECT 1;
CREATE TABLE IF NOT EXISTS empty AS SELECT 1 WITH NO DATA;
CREATE TABLE t AS SELECT 1;
CREATE TABLE t AS SELECT 1 WITH NO DATA;
CREATE TABLE with_values AS VALUES (1, 'a'), (2, 'b');
CREATE TABLE of_table AS TABLE with_values;
CREATE TABLE bad WITH (fillfactor = 7) AS SELECT 1;
CREATE TABLE filled WITH (fillfactor = 70) AS SELECT 1 AS a;
CREATE TABLE twice AS SELECT 1 AS a, 2 AS a;
CREATE TABLE failing AS SELECT 1 / (a - 4000) FROM t;
CREATE TABLE mixed_collations AS SELECT d || (b COLLATE "POSIX") FROM t;
CREATE TABLE changed AS UPDATE t SET a = 1 RETURNING a;
CREATE TABLE of_changed AS WITH u AS (UPDATE t SET b = 'changed' WHERE a = 4 RETURNING a, b) SELECT * FROM u;
PREPARE q (int) AS SELECT a, b FROM t WHERE a <= $1 ORDER BY a;
CREATE TABLE prepared AS EXECUTE q (3);
CREATE TABLE prepared_2 (n) AS EXECUTE q (2);
CREATE TABLE prepared_empty AS EXECUTE q (3) WITH NO DATA;
CREATE TABLE IF NOT EXISTS prepared AS EXECUTE q (3);
\set QUIET on
SELECT columns_of('t'), columns_of('one'), columns_of('named');
SELECT columns_of('empty'), columns_of('empty_named'), columns_of('with_values');
SELECT count(*), sum(a), min(b), max(c), min(d) FROM t;
SELECT * FROM one;
SELECT * FROM named ORDER BY 1;
SELECT (SELECT count(*) FROM empty) AS empty, (SELECT count(*) FROM no_columns) AS no_columns, (SELECT count(*) FROM of_table) AS of_table,
	(SELECT string_agg(b, ' ' ORDER BY a) FROM prepared) AS prepared, (SELECT max(n) FROM prepared_2) AS prepared_2, (SELECT count(*) FROM prepared_empty) AS prepared_empty;
SELECT relname FROM pg_class WHERE relname IN ('failing', 'bad', 'twice', 'changed', 'too_many', 'mixed_collations', 'of_changed');

-- Undone, and seen by the same transaction.
BEGIN;
CREATE TABLE gone AS SELECT * FROM t WHERE a < 4;
UPDATE gone SET a = a + 1;
SELECT sum(a) FROM gone;
SAVEPOINT s;
CREATE TABLE gone_2 AS SELECT * FROM gone;
DELETE FROM gone_2;
ROLLBACK TO s;
CREATE TABLE gone_2 AS SELECT a FROM gone;
SELECT sum(a) FROM gone_2;
ROLLBACK;
SELECT to_regclass('gone'), to_regclass('gone_2');
BEGIN READ ONLY;
CREATE TABLE gone AS SELECT 1;
ROLLBACK;
BEGIN READ ONLY;
CREATE TABLE gone AS SELECT 1 WITH NO DATA;
ROLLBACK;

-- A function of the query looks at the table while it is filled, and makes one itself.
CREATE FUNCTION rows_so_far() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM watched); END $$;
CREATE TABLE watched AS SELECT g, rows_so_far() AS n FROM generate_series(1, 4) g;
SELECT * FROM watched ORDER BY g;
CREATE FUNCTION another(name text, kind text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
	EXECUTE format('CREATE %s %I AS SELECT g FROM generate_series(1, 10) g', kind, name);
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END $$;
CREATE TABLE outer_1 AS SELECT name, another(name, kind) FROM (VALUES ('inner_1', 'TABLE'), ('inner_2', 'TEMP TABLE'), ('inner_3', 'MATERIALIZED VIEW'), ('inner_4', 'TABLE')) AS v (name, kind);
SELECT * FROM outer_1 ORDER BY 1;
CREATE TEMP TABLE outer_2 AS SELECT another('inner_5', 'TABLE');
SELECT (SELECT count(*) FROM inner_1) + (SELECT count(*) FROM inner_2) + (SELECT count(*) FROM inner_3) + (SELECT count(*) FROM inner_4) + (SELECT count(*) FROM inner_5) AS fifty;

-- In parallel.
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
CREATE TABLE from_parallel AS SELECT a, b FROM t WHERE a % 2 = 0;
SELECT count(*), sum(a) FROM from_parallel;
CREATE TABLE from_parallel_2 AS SELECT count(*) AS n, sum(a) AS s FROM from_parallel;
SELECT * FROM from_parallel_2;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;

-- EXPLAIN executes it, too.
SELECT explained('CREATE TABLE explained_1 AS SELECT g FROM generate_series(1, 3) g');
SELECT explained('CREATE TABLE explained_2 AS SELECT g FROM generate_series(1, 3) g WITH NO DATA');
SELECT explained('CREATE TABLE IF NOT EXISTS explained_1 AS SELECT 1');
PREPARE series AS SELECT g FROM generate_series(1, 5) g;
SELECT explained('CREATE TABLE explained_3 AS EXECUTE series');
SELECT explained('CREATE TEMP TABLE explained_4 AS EXECUTE series');
EXPLAIN (COSTS OFF) CREATE TABLE explained_5 AS EXECUTE series;
SELECT (SELECT count(*) FROM explained_1), (SELECT count(*) FROM explained_2), (SELECT count(*) FROM explained_3), (SELECT count(*) FROM explained_4), to_regclass('explained_5');

-- Rights.
CREATE ROLE nvmkv_as;
GRANT USAGE ON SCHEMA createas_test TO nvmkv_as;
SET ROLE nvmkv_as;
CREATE TABLE createas_test.forbidden AS SELECT 1;
RESET ROLE;
GRANT CREATE ON SCHEMA createas_test TO nvmkv_as;
SET ROLE nvmkv_as;
CREATE TABLE createas_test.mine AS SELECT 1 AS a;
SELECT * FROM mine;
RESET ROLE;
SELECT relowner::regrole FROM pg_class WHERE oid = 'mine'::regclass;

-- Event triggers.
CREATE FUNCTION ended() RETURNS event_trigger LANGUAGE plpgsql AS $$ DECLARE r record; BEGIN
	FOR r IN SELECT * FROM pg_event_trigger_ddl_commands() LOOP RAISE NOTICE '% ended: % %', tg_tag, r.command_tag, r.object_identity; END LOOP;
END $$;
CREATE EVENT TRIGGER nvmkv_ended ON ddl_command_end EXECUTE FUNCTION ended();
CREATE TABLE triggered AS SELECT 1;
CREATE TABLE triggered_2 AS SELECT 1 AS a WITH NO DATA;
SELECT 1 AS a INTO triggered_3;
CREATE TABLE IF NOT EXISTS triggered AS SELECT 1;
DROP EVENT TRIGGER nvmkv_ended;

-- The other kinds.
CREATE UNLOGGED TABLE unlogged AS SELECT 1 AS a;
SELECT 1 AS a INTO TEMP temporary;
CREATE TEMP TABLE temporary_2 AS SELECT 1 AS a WITH NO DATA;
SELECT relname, relkind, relpersistence, amname FROM pg_class LEFT JOIN pg_am ON relam = pg_am.oid
WHERE relname IN ('temporary', 'temporary_2', 'unlogged', 'inner_3') ORDER BY relname COLLATE "C";

RESET default_table_access_method;
SET client_min_messages = warning;
DROP SCHEMA createas_test CASCADE;
DROP ROLE nvmkv_as;
