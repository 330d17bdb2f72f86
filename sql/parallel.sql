--
-- Parallel scans.
--
CREATE SCHEMA parallel_test;
SET search_path = parallel_test, public;

CREATE FUNCTION same(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	a text[];
	b text[];
BEGIN
	EXECUTE 'SELECT array_agg(q::text) FROM (' || replace(query, '@', 'kv') || ') AS q' INTO a;
	EXECUTE 'SELECT array_agg(q::text) FROM (' || replace(query, '@', 'heap') || ') AS q' INTO b;
	IF a IS NOT DISTINCT FROM b THEN
		RETURN 'same, ' || coalesce(cardinality(a), 0) || ' rows';
	END IF;
	RETURN 'DIFFERENT: ' || left(coalesce(a::text, 'none'), 1000) || ' instead of ' || left(coalesce(b::text, 'none'), 1000);
END $$;

CREATE FOREIGN TABLE kv (a int NOT NULL, b text COLLATE "C" NOT NULL, v int) SERVER nvmkv OPTIONS (primary_key 'a, b');
CREATE TABLE heap (a int NOT NULL, b text COLLATE "C" NOT NULL, v int, PRIMARY KEY (a, b));
INSERT INTO heap SELECT i / 4, 'b' || i % 4, i FROM generate_series(1, 20000) AS i;
INSERT INTO kv SELECT * FROM heap;
ANALYZE kv;
ANALYZE heap;
CREATE FOREIGN TABLE plain (v int) SERVER nvmkv;
INSERT INTO plain SELECT v FROM heap;
ANALYZE plain;

SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET min_parallel_index_scan_size = 0;
SET max_parallel_workers_per_gather = 3;

EXPLAIN (COSTS OFF) SELECT count(*) FROM kv;
EXPLAIN (COSTS OFF) SELECT count(*) FROM kv WHERE a > 1000 AND v % 2 = 0;
EXPLAIN (COSTS OFF) SELECT * FROM kv WHERE v % 2 = 0 ORDER BY a, b;
EXPLAIN (COSTS OFF) SELECT * FROM kv WHERE v % 2 = 0 ORDER BY a DESC, b DESC;
EXPLAIN (COSTS OFF) SELECT sum(v) FROM plain;

SELECT same('SELECT count(*), sum(v), min(b), max(a) FROM @');
SELECT same('SELECT count(*), sum(v) FROM @ WHERE a BETWEEN 777 AND 3333');
SELECT same('SELECT * FROM @ WHERE v % 2 = 0 ORDER BY a, b');
SELECT same('SELECT * FROM @ WHERE v % 2 = 0 ORDER BY a DESC, b DESC');
SELECT same('SELECT * FROM @ WHERE a > 4000 AND v % 3 = 0 ORDER BY a, b');
SELECT same('SELECT count(*), sum(v) FROM @ WHERE a IN (SELECT i * 7 FROM generate_series(1, 500) AS i)');
SELECT same('SELECT count(*), sum(v) FROM @ WHERE a < 0');
SELECT same('SELECT x.a, count(*) FROM @ AS x JOIN @ AS y USING (a, b) WHERE x.v % 5 = 0 GROUP BY 1 ORDER BY 1');
SELECT count(*), sum(v), count(DISTINCT v) FROM plain;

-- Several ranges are shared out among the workers.
SET enable_seqscan = off;
SELECT same('SELECT count(*), sum(v) FROM @ WHERE a = ANY ((SELECT array_agg(i * 3) FROM generate_series(1, 900) AS i)::int[]) AND v % 2 = 0');
SELECT same('SELECT * FROM @ WHERE a = ANY ((SELECT array_agg(i * 3) FROM generate_series(1, 900) AS i)::int[]) AND v % 2 = 0 ORDER BY a, b');
SELECT same('SELECT count(*), sum(v) FROM @ WHERE (a < 500 OR a BETWEEN 400 AND 2000 OR a = 3000 OR a IN (3001, 3003)) AND v % 2 = 0');
-- Each key is counted once, whoever has looked it up.
CREATE FUNCTION looked_up(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF, FORMAT JSON) ' || query INTO plan;
	RETURN format('parallel: %s, keys: %s, found: %s', plan::text ~ '"Parallel Aware": true', (regexp_match(plan::text, '"Keys Looked Up": (\d+)'))[1],
				  (regexp_match(plan::text, '"Keys Found": (\d+)'))[1]);
END $$;
SELECT looked_up('SELECT count(*) FROM kv WHERE a = ANY ((SELECT array_agg(i * 7) FROM generate_series(1, 900) AS i)::int[]) AND b = ''b1'' AND v % 2 >= 0');
RESET enable_seqscan;

-- Started again, with other parameters.
SET enable_material = off;
SELECT same('SELECT x, (SELECT count(*) FROM @ WHERE a < x * 100 AND v % 2 = 0 AND x IS NOT NULL) FROM generate_series(1, 5) AS x ORDER BY x');
SELECT same('SELECT x, s.* FROM generate_series(1, 3) AS x LEFT JOIN (SELECT count(*), sum(v) FROM @ WHERE v % 2 = 0) AS s ON true ORDER BY x');
RESET enable_material;

-- What this transaction has written, also in a subtransaction, is seen by its workers; what it has taken back is not.
BEGIN;
DELETE FROM kv WHERE a <= 2500;
SAVEPOINT s;
INSERT INTO kv SELECT 10000 + i, 'new', -i FROM generate_series(1, 1000) AS i;
SELECT count(*), sum(v) FROM kv;
ROLLBACK TO s;
SELECT count(*), sum(v) FROM kv;
ROLLBACK;
SELECT count(*), sum(v) FROM kv;

-- From every level of the storage.
SELECT nvmkv.flush();
UPDATE kv SET v = v + 1 WHERE a % 10 = 0;
UPDATE heap SET v = v + 1 WHERE a % 10 = 0;
SELECT nvmkv.flush();
SELECT nvmkv.compact('kv');
UPDATE kv SET v = v + 1 WHERE a % 10 = 5;
UPDATE heap SET v = v + 1 WHERE a % 10 = 5;
SELECT nvmkv.flush();
DELETE FROM kv WHERE a % 10 = 7;
DELETE FROM heap WHERE a % 10 = 7;
SELECT same('SELECT count(*), sum(v), min(b), max(a) FROM @');
SELECT same('SELECT * FROM @ WHERE v % 2 = 0 ORDER BY a, b');
SELECT same('SELECT * FROM @ WHERE v % 2 = 0 ORDER BY a DESC, b DESC');

BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT same('SELECT count(*), sum(v) FROM @');
COMMIT;

-- Through indexes: entries alone, rows by them, both ways, several values; what this transaction has written, too.
ALTER TABLE kv ADD w int DEFAULT 7;
ALTER TABLE heap ADD w int DEFAULT 7;
CREATE INDEX kv_by_v ON kv (v);
CREATE INDEX heap_by_v ON heap (v);
CREATE INDEX kv_by_b ON kv (b DESC, v) INCLUDE (a);
CREATE INDEX heap_by_b ON heap (b DESC, v) INCLUDE (a);
VACUUM (ANALYZE) kv, heap;
SET enable_seqscan = off;
SET enable_sort = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM kv WHERE v BETWEEN 3000 AND 12000;
EXPLAIN (COSTS OFF) SELECT sum(w) FROM kv WHERE v BETWEEN 3000 AND 12000;
EXPLAIN (COSTS OFF) SELECT * FROM kv WHERE v > 5000 ORDER BY v DESC;
SELECT same('SELECT count(*) FROM @ WHERE v BETWEEN 3000 AND 12000');
SELECT same('SELECT sum(w), count(DISTINCT b) FROM @ WHERE v BETWEEN 3000 AND 12000');
SELECT same('SELECT * FROM @ WHERE v > 5000 ORDER BY v DESC, a, b');
SELECT same('SELECT v, count(*), min(b) FROM @ WHERE v < 15000 GROUP BY v ORDER BY v');
SELECT same('SELECT b, count(*), sum(v), max(a) FROM @ WHERE b IN (''b1'', ''b3'') AND v > 700 GROUP BY b ORDER BY b DESC');
SELECT same('SELECT count(*), sum(v) FROM @ WHERE v = ANY ((SELECT array_agg(i * 3) FROM generate_series(1, 900) AS i)::int[])');
BEGIN;
UPDATE kv SET v = v + 100000 WHERE a % 3 = 0;
UPDATE heap SET v = v + 100000 WHERE a % 3 = 0;
SELECT same('SELECT count(*), sum(a + w) FROM @ WHERE v BETWEEN 3000 AND 112000');
SELECT same('SELECT v FROM @ WHERE v > 100100 ORDER BY v');
ROLLBACK;
SELECT same('SELECT count(*), sum(a + w) FROM @ WHERE v BETWEEN 3000 AND 112000');
RESET enable_seqscan;
RESET enable_sort;

-- An error in a worker, and one row wanted of many.
SELECT sum(1 / (v - 7777)) FROM kv;
SELECT count(*) FROM (SELECT * FROM kv WHERE v > 100 LIMIT 5) AS s;

RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA parallel_test CASCADE;
