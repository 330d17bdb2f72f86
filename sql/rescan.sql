--
-- Scans that are started again: joins, subqueries, cursors, prepared plans.
--
CREATE SCHEMA rescan_test;
SET search_path = rescan_test, public;

CREATE FOREIGN TABLE t (k int NOT NULL, v text) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE pairs (a int NOT NULL, b int NOT NULL, v int) SERVER nvmkv OPTIONS (primary_key 'a, b DESC');
INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 1000) AS i;
INSERT INTO pairs SELECT a, b, a * b FROM generate_series(1, 30) AS a, generate_series(1, 30) AS b;
ANALYZE t;
ANALYZE pairs;

-- Each outer row has its own range.
SELECT x, (SELECT count(*) FROM t WHERE t.k <= o.x) FROM generate_series(1, 4) AS o(x);
SELECT x, (SELECT v FROM t WHERE t.k = o.x) FROM generate_series(0, 3) AS o(x);
SELECT x, (SELECT v FROM t WHERE t.k < o.x ORDER BY k DESC LIMIT 1) FROM unnest(ARRAY[500, 1, 3, NULL, 5000]) AS o(x);
SELECT x, (SELECT max(b) FROM pairs WHERE a = o.x) FROM generate_series(29, 32) AS o(x);
SELECT x, (SELECT string_agg(b::text, ' ' ORDER BY b) FROM pairs WHERE a = o.x AND b IN (o.x, o.x + 1, 7)) FROM generate_series(5, 8) AS o(x);

-- The same inner scan again and again, with nothing changed.
SET enable_material = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT count(*), sum(a.k), sum(b.k) FROM t AS a JOIN t AS b ON a.k < 30 AND b.k < 20 AND a.k <> b.k + 3;
SELECT count(*) FROM generate_series(1, 3) AS g(x) LEFT JOIN t ON true;

-- Nested loops by key, two deep; a parameter that is NULL finds nothing.
EXPLAIN (COSTS OFF)
	SELECT count(*), sum(p.v), count(t.v) FROM generate_series(1, 10) AS o(x) JOIN pairs AS p ON p.a = o.x AND p.b < o.x JOIN t ON t.k = p.v;
SELECT count(*), sum(p.v), count(t.v) FROM generate_series(1, 10) AS o(x) JOIN pairs AS p ON p.a = o.x AND p.b < o.x JOIN t ON t.k = p.v;
SELECT o.x, t.v FROM (VALUES (1), (NULL), (3)) AS o(x) LEFT JOIN t ON t.k = o.x ORDER BY o.x;
SELECT o.x, count(t.k) FROM (VALUES (1::int8), (5000000000), (-5000000000)) AS o(x) LEFT JOIN t ON t.k > o.x GROUP BY 1 ORDER BY 1;
RESET enable_material;
RESET enable_hashjoin;
RESET enable_mergejoin;

-- LATERAL with a limit: each inner scan stops early.
SELECT o.x, s.* FROM generate_series(10, 12) AS o(x), LATERAL (SELECT b, v FROM pairs WHERE a = o.x ORDER BY b DESC LIMIT 2) AS s;
SELECT o.x, s.* FROM generate_series(10, 12) AS o(x), LATERAL (SELECT b, v FROM pairs WHERE a = o.x ORDER BY b LIMIT 2) AS s;

-- EXISTS, recursion.
SELECT count(*) FROM generate_series(990, 1010) AS o(x) WHERE EXISTS (SELECT FROM t WHERE k = o.x);
SELECT count(*) FROM generate_series(990, 1010) AS o(x) WHERE NOT EXISTS (SELECT FROM t WHERE k = o.x OFFSET 0);
WITH RECURSIVE walk(k, depth) AS (
	SELECT 1, 1
	UNION ALL
	SELECT t.k, depth + 1 FROM walk JOIN t ON t.k = walk.k * 3 + 1
) SELECT * FROM walk ORDER BY depth;

-- Plans kept for several executions.
SET plan_cache_mode = force_generic_plan;
PREPARE get(int) AS SELECT * FROM t WHERE k = $1;
EXECUTE get(1);
EXECUTE get(NULL);
EXECUTE get(1000);
EXECUTE get(1001);
PREPARE get_range(int8, int8) AS SELECT count(*), min(k), max(k) FROM t WHERE k BETWEEN $1 AND $2;
EXECUTE get_range(10, 20);
EXECUTE get_range(-9000000000, 9000000000);
EXECUTE get_range(20, 10);
EXECUTE get_range(20, NULL);
PREPARE get_any(int[]) AS SELECT array_agg(k ORDER BY k) FROM t WHERE k = ANY ($1);
EXECUTE get_any('{5,1,5,NULL,2000}');
EXECUTE get_any('{}');
EXECUTE get_any(NULL);
DEALLOCATE ALL;
RESET plan_cache_mode;

CREATE FUNCTION walk_keys() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	found_v text;
	result text := '';
BEGIN
	FOR i IN 995..1003 LOOP
		SELECT v INTO found_v FROM t WHERE k = i;
		result := result || ' ' || coalesce(found_v, '-');
	END LOOP;
	RETURN result;
END $$;
SELECT walk_keys();

-- Cursors: forwards and backwards, held, and left alone while the table changes.
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT k FROM t WHERE k BETWEEN 100 AND 110 ORDER BY k;
FETCH 3 FROM c;
FETCH BACKWARD 2 FROM c;
DELETE FROM t WHERE k BETWEEN 100 AND 110;
INSERT INTO t VALUES (105, 'new');
FETCH ABSOLUTE 6 FROM c;
FETCH FORWARD ALL FROM c;
SELECT k, v FROM t WHERE k BETWEEN 100 AND 110;
ROLLBACK;
BEGIN;
DECLARE c CURSOR WITH HOLD FOR SELECT k FROM t ORDER BY k DESC LIMIT 3;
COMMIT;
FETCH ALL FROM c;
CLOSE c;

-- A cursor sees neither what its own transaction writes later nor what it forgets.
BEGIN;
DECLARE c NO SCROLL CURSOR FOR SELECT count(*) OVER (), k FROM t WHERE k > 995;
UPDATE t SET k = k + 10000 WHERE k > 995;
FETCH ALL FROM c;
SELECT array_agg(k) FROM t WHERE k > 990;
ROLLBACK;

-- A scan that fails in the middle leaves nothing behind that the next one minds.
SELECT sum(1 / (k - 500)) FROM t;
SELECT sum(1 / (k - 500)) FROM t WHERE k > 300;
BEGIN;
SAVEPOINT s;
SELECT sum(1 / (k - 500)) FROM t;
ROLLBACK TO s;
SELECT count(*) FROM t;
COMMIT;

-- A statement does not see the rows it writes.
INSERT INTO t SELECT k + 100000, v FROM t;
SELECT count(*), max(k) FROM t;
UPDATE t SET k = k + 1000000;
SELECT count(*), min(k), max(k) FROM t;

RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA rescan_test CASCADE;
