--
-- SELECT count(*): scans that count.
--
CREATE SCHEMA count_test;
SET search_path = count_test, public;
\getenv abs_srcdir PG_ABS_SRCDIR
\set explained :abs_srcdir '/sql/include/explained.sql'
\set ECHO none
\i :explained
\set ECHO all

-- What both kinds of tables say; and whether the scan has counted.
CREATE FUNCTION alike(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	a text;
	b text;
	line text;
	counts boolean := false;
BEGIN
	EXECUTE 'SELECT string_agg(q::text, '' '') FROM (' || replace(query, '@', 'kv') || ') AS q' INTO a;
	EXECUTE 'SELECT string_agg(q::text, '' '') FROM (' || replace(query, '@', 'heap') || ') AS q' INTO b;
	FOR line IN EXECUTE 'EXPLAIN ' || replace(query, '@', 'kv') LOOP
		counts := counts OR line ~ 'Rows Counted Of';
	END LOOP;
	RETURN format('%s%s', CASE WHEN a IS NOT DISTINCT FROM b THEN a ELSE 'DIFFERENT: ' || a || ' instead of ' || b END,
				  CASE WHEN counts THEN ', counted by the scan' END);
END $$;

CREATE FOREIGN TABLE kv (a int NOT NULL, b text COLLATE "C" NOT NULL, v int, w int) SERVER nvmkv OPTIONS (primary_key 'a, b DESC');
CREATE TABLE heap (a int NOT NULL, b text COLLATE "C" NOT NULL, v int, w int, PRIMARY KEY (a, b));
INSERT INTO heap SELECT i / 4, 'b' || i % 4, CASE WHEN i % 10 > 0 THEN i % 1000 END, i FROM generate_series(1, 5000) AS i;
INSERT INTO kv SELECT * FROM heap;
CREATE INDEX kv_v ON kv (v);
CREATE INDEX heap_v ON heap (v);
CREATE INDEX kv_w ON kv (w) WHERE v > 500;
CREATE INDEX heap_w ON heap (w) WHERE v > 500;
VACUUM (ANALYZE) kv, heap;

EXPLAIN (COSTS OFF) SELECT count(*) FROM kv;
EXPLAIN (COSTS OFF, VERBOSE) SELECT count(*) + 1 AS more, count(*), 'x' AS x FROM kv AS t WHERE a > 10 AND a <= 1000 ORDER BY 1;
EXPLAIN (COSTS OFF) SELECT count(*) FROM kv WHERE v BETWEEN 10 AND 20;
EXPLAIN (COSTS OFF) SELECT count(*) FROM kv WHERE w > 4000 AND v > 500;
EXPLAIN (COSTS OFF) SELECT x, (SELECT count(*) FROM kv WHERE a < x) FROM generate_series(1, 3) AS x;
SELECT explained('SELECT count(*) FROM kv WHERE a = 7', ', ANALYZE');

-- Counted by the scan: what ranges hold.
SELECT alike('SELECT count(*) FROM @');
SELECT alike('SELECT count(*) FROM @ WHERE a >= 100 AND a < 777');
SELECT alike('SELECT count(*) FROM @ WHERE a = 100');
SELECT alike('SELECT count(*) FROM @ WHERE a = 100 AND b > ''b1''');
SELECT alike('SELECT count(*) FROM @ WHERE a = 100 AND b = ''b1''');
SELECT alike('SELECT count(*) FROM @ WHERE a = -1 AND b = ''b1''');
SELECT alike('SELECT count(*) FROM @ WHERE a IN (3, 5, 7, 5, NULL, 5000)');
SELECT alike('SELECT count(*) FROM @ WHERE (a, b) > (700, ''b1'') AND a < 800');
SELECT alike('SELECT count(*) FROM @ WHERE a < 0');
SELECT alike('SELECT count(*) FROM @ WHERE a > 5 AND a < 5');
SELECT alike('SELECT count(*) FROM @ WHERE v BETWEEN 10 AND 20');
SELECT alike('SELECT count(*) FROM @ WHERE v IS NULL');
SELECT alike('SELECT count(*) FROM @ WHERE v IS NOT NULL AND v < 50');
SELECT alike('SELECT count(*) FROM @ WHERE w > 4000 AND v > 500');
SELECT alike('SELECT count(*) + 1, count(*)::text || ''!'', 7 FROM @ WHERE a > 10 LIMIT 3');
SELECT alike('SELECT x, (SELECT count(*) FROM @ WHERE a < x) FROM generate_series(-1, 4) AS x ORDER BY x');
SELECT alike('SELECT x, n FROM generate_series(1, 4) AS x, LATERAL (SELECT count(*) AS n FROM @ WHERE a = x AND b >= ''b'' || x % 3) AS s ORDER BY x');
SELECT alike('SELECT (SELECT count(*) FROM @) = (SELECT count(*) FROM @ WHERE a < 500) + (SELECT count(*) FROM @ WHERE a >= 500)');
SELECT alike('SELECT count(*) FROM @ WHERE a < (SELECT max(a) / 2 FROM @)');
SELECT alike('WITH c AS MATERIALIZED (SELECT count(*) AS n FROM @) SELECT n, (SELECT count(*) FROM @ WHERE a < n / 100) FROM c');
SELECT alike('SELECT count(*), row_number() OVER () FROM @');

-- Counted above it.
SELECT alike('SELECT count(*) FROM @ WHERE w > 100 AND a > 10');
SELECT alike('SELECT count(*) FROM @ WHERE a < 100 OR a > 1200');
SELECT alike('SELECT count(*) FROM @ WHERE b = ''b1'' AND a > 3');
SELECT alike('SELECT count(v), count(w) FROM @');
SELECT alike('SELECT count(*) FILTER (WHERE a > 10) FROM @');
SELECT alike('SELECT count(*), sum(w) FROM @');
SELECT alike('SELECT count(*), count(DISTINCT b) FROM @');
SELECT alike('SELECT count(*) FROM @ HAVING count(*) > 10');
SELECT alike('SELECT count(*) FROM @ HAVING count(*) > 10000');
SELECT alike('SELECT count(*) FROM @ GROUP BY ()');
SELECT alike('SELECT a, count(*) FROM @ WHERE a < 3 GROUP BY a ORDER BY a');
SELECT alike('SELECT count(*) FROM @ GROUP BY GROUPING SETS ((), ())');
SELECT alike('SELECT count(*) FROM @ AS x JOIN @ AS y USING (a, b)');
SELECT alike('SELECT count(*) FROM (SELECT * FROM @ LIMIT 10) AS s');
SELECT alike('SELECT count(*) FROM @ WHERE random() >= 0');
SELECT alike('SELECT count(*) FROM @ WHERE 1 = (SELECT 1)');
SELECT alike('SELECT count(*) FROM @ WHERE false');
SELECT alike('SELECT 1 FROM @ HAVING true');

-- Plans that are kept, cursors, statements that write.
SET plan_cache_mode = force_generic_plan;
PREPARE counted(int, int) AS SELECT count(*) FROM kv WHERE a BETWEEN $1 AND $2;
EXPLAIN (COSTS OFF) EXECUTE counted(1, 2);
EXECUTE counted(1, 2);
EXECUTE counted(10, 1000);
EXECUTE counted(NULL, 1);
RESET plan_cache_mode;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT count(*) FROM kv;
DELETE FROM kv WHERE a < 100;
FETCH c;
FETCH c;
FETCH BACKWARD c;
SELECT count(*) FROM kv;
ROLLBACK;

-- Without a primary key; empty; nothing but deleted rows.
CREATE FOREIGN TABLE plain (v int) SERVER nvmkv;
SELECT count(*) FROM plain;
INSERT INTO plain SELECT (SELECT count(*) FROM plain) + i FROM generate_series(1, 1000) AS i;
EXPLAIN (COSTS OFF) SELECT count(*) FROM plain;
SELECT count(*) FROM plain;
DELETE FROM plain;
SELECT count(*) FROM plain;

-- What this transaction and its subtransactions have written, deleted, written again; rows beneath its own deletions.
BEGIN;
DELETE FROM kv WHERE a % 3 = 0;
DELETE FROM heap WHERE a % 3 = 0;
SELECT alike('SELECT count(*) FROM @');
SAVEPOINT s;
INSERT INTO kv SELECT a, 'new', a, a FROM generate_series(1, 3000) AS a;
INSERT INTO heap SELECT a, 'new', a, a FROM generate_series(1, 3000) AS a;
UPDATE kv SET a = a + 10000 WHERE a % 5 = 0;
UPDATE heap SET a = a + 10000 WHERE a % 5 = 0;
SELECT alike('SELECT count(*) FROM @');
SELECT alike('SELECT count(*) FROM @ WHERE a > 10000');
SELECT alike('SELECT count(*) FROM @ WHERE v BETWEEN 10 AND 2000');
ROLLBACK TO s;
SELECT alike('SELECT count(*) FROM @');
SELECT alike('SELECT count(*) FROM @ WHERE v BETWEEN 10 AND 2000');
ROLLBACK;
SELECT alike('SELECT count(*) FROM @');

-- By several processes.
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET min_parallel_index_scan_size = 0;
SET max_parallel_workers_per_gather = 3;
EXPLAIN (COSTS OFF) SELECT count(*) FROM kv;
SELECT alike('SELECT count(*) FROM @');
SELECT alike('SELECT count(*) + 1 FROM @ WHERE a > 10');
SELECT alike('SELECT count(*) FROM @ WHERE v < 800');
SELECT alike('SELECT count(*) FROM @ WHERE v < -1');
BEGIN;
DELETE FROM kv WHERE a % 3 = 0;
DELETE FROM heap WHERE a % 3 = 0;
SELECT alike('SELECT count(*) FROM @');
ROLLBACK;

-- Parts of a union are run by workers only where they can have all columns.
SET min_parallel_table_scan_size = '1GB';
SET min_parallel_index_scan_size = '1GB';
EXPLAIN (COSTS OFF) SELECT count(*), 1 FROM kv UNION ALL SELECT count(*), 1 FROM kv;
EXPLAIN (COSTS OFF) SELECT count(*), pg_backend_pid() FROM kv UNION ALL SELECT count(*), 1 FROM kv;
SELECT pid = pg_backend_pid() AS here, count
  FROM (SELECT count(*), pg_backend_pid() AS pid FROM kv UNION ALL SELECT count(*), pg_backend_pid() FROM kv) AS counts;
RESET min_parallel_table_scan_size;
RESET min_parallel_index_scan_size;
RESET max_parallel_workers_per_gather;

-- Partitions of both kinds.
CREATE TABLE parts (a int, b int) PARTITION BY RANGE (a);
CREATE FOREIGN TABLE parts1 PARTITION OF parts FOR VALUES FROM (0) TO (100) SERVER nvmkv OPTIONS (primary_key 'a');
CREATE TABLE parts2 PARTITION OF parts FOR VALUES FROM (100) TO (200) USING heap;
CREATE FOREIGN TABLE parts3 PARTITION OF parts FOR VALUES FROM (200) TO (300) SERVER nvmkv;
INSERT INTO parts SELECT i, i FROM generate_series(0, 299) AS i;
ANALYZE parts;
SELECT count(*) FROM parts;
SET enable_partitionwise_aggregate = on;
SET max_parallel_workers_per_gather = 0;
EXPLAIN (COSTS OFF) SELECT count(*) FROM parts;
EXPLAIN (COSTS OFF) SELECT count(*) FROM parts WHERE a >= 50;
SELECT count(*) FROM parts;
SELECT count(*) FROM parts WHERE a >= 50;
SELECT a < 100 AS less, count(*) FROM parts GROUP BY 1 ORDER BY 1;
RESET enable_partitionwise_aggregate;

-- Rights are asked for, and conditions of a view hold.
CREATE ROLE counter;
GRANT USAGE ON SCHEMA count_test TO counter;
CREATE VIEW small WITH (security_barrier) AS SELECT * FROM kv WHERE a < 10;
GRANT SELECT ON small TO counter;
SET ROLE counter;
SELECT count(*) FROM kv;
SELECT count(*) FROM small;
RESET ROLE;
GRANT SELECT (v) ON kv TO counter;
SET ROLE counter;
SELECT count(*) FROM kv WHERE v < 10;
SELECT count(*) FROM kv WHERE a < 10;
RESET ROLE;
DROP OWNED BY counter;
DROP ROLE counter;

RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA count_test CASCADE;
