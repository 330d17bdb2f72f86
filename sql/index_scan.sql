-- Queries through indexes: the same answers as a heap table's, whatever the condition, and by which index they were found.
CREATE SCHEMA index_scan_test;
SET search_path = index_scan_test, public;

CREATE FOREIGN TABLE n (id int NOT NULL, a int, b text, c numeric, d date, f float8, v varchar COLLATE "C", k int NOT NULL) SERVER nvmkv
	OPTIONS (primary_key 'id');
CREATE TABLE h (LIKE n, PRIMARY KEY (id));
CREATE FOREIGN TABLE n2 (a int, b text, c numeric, d date, ts timestamptz, e text COLLATE "C") SERVER nvmkv; -- by row id
CREATE TABLE h2 (LIKE n2);

\getenv abs_srcdir PG_ABS_SRCDIR
\set answers :abs_srcdir '/sql/include/answers.sql'
\set ECHO none
\i :answers
\set ECHO all

-- And the way to them.
CREATE FUNCTION same(query text) RETURNS text LANGUAGE sql AS $$
	SELECT alike(query) || '; ' || way(replace(query, '@', 'n'))
$$;

INSERT INTO h SELECT i, nullif(i % 50, 7), nullif('k' || i % 13, 'k5'), (i % 20)::numeric / 4, date '2020-01-01' + i % 100,
	CASE i % 30 WHEN 3 THEN float8 'NaN' WHEN 4 THEN '-0' WHEN 5 THEN 'infinity' WHEN 6 THEN NULL ELSE i % 30 - 15 END,
	CASE WHEN i % 9 > 0 THEN chr(97 + i % 5) || chr(97 + i % 7) || i % 3 END, i % 10
	FROM generate_series(1, 1500) AS i;
INSERT INTO h VALUES (2001, 1, 'k1', 1.250, '2020-01-05', 0, 'ab', 3), (2002, 1, 'k1', 1.25, 'infinity', '-0', '', 3);
INSERT INTO n SELECT * FROM h;
INSERT INTO h2 SELECT a, b, c, d, d + interval '1 hour', v FROM h;
INSERT INTO n2 SELECT a, b, c, d, d + interval '1 hour', v FROM h;

CALL twice('CREATE INDEX @_a ON @ (a)');
CALL twice('CREATE INDEX @_ab ON @ (a DESC, b NULLS FIRST) INCLUDE (c)');
CALL twice('CREATE INDEX @_c ON @ (c DESC NULLS LAST)');
CALL twice('CREATE INDEX @_fk ON @ (f, k DESC)');
CALL twice('CREATE INDEX @_lower ON @ (lower(b), (a + k))');
CALL twice('CREATE INDEX @_part ON @ (d) WHERE a > 40');
CALL twice('CREATE UNIQUE INDEX @_u ON @ (d, id)');
CALL twice('CREATE INDEX @_v ON @ (v)');
CALL twice('CREATE INDEX @_b ON @ (b text_pattern_ops)');
CALL twice('CREATE INDEX @2_a ON @2 (a, b)');
CALL twice('CREATE INDEX @2_b ON @2 (b NULLS FIRST, a DESC) INCLUDE (d)');
CALL twice('CREATE INDEX @2_ts ON @2 (ts)');
CALL twice('CREATE INDEX @2_e ON @2 (e DESC, c)');
CALL twice('ANALYZE @');
CALL twice('ANALYZE @2');

SET enable_seqscan = off;

-- Equality, NULL, lists.
SELECT same('SELECT * FROM @ WHERE a = 5');
SELECT same('SELECT * FROM @ WHERE a = 5::int8');
SELECT same('SELECT * FROM @ WHERE a = 5.0');
SELECT same('SELECT * FROM @ WHERE a IS NULL');
SELECT same('SELECT * FROM @ WHERE a IS NOT NULL AND k = 3 AND c = 1.25');
SELECT same('SELECT a FROM @ WHERE a IS NULL');
SELECT same('SELECT a FROM @ WHERE a IS NOT NULL');
SELECT same('SELECT * FROM @ WHERE a = NULL');
SELECT same('SELECT * FROM @ WHERE a IN (1, 7, 99, NULL, 1)');
SELECT same('SELECT * FROM @ WHERE a = ANY (NULL::int[])');
SELECT same('SELECT a, b, c, id FROM @ WHERE a = 5 AND b IS NULL');
SELECT same('SELECT a, b, c FROM @ WHERE a = 5 AND b IS NOT NULL');
SELECT same('SELECT a, b, c FROM @ WHERE a IS NULL AND b = ''k3''');
SELECT same('SELECT a, b, c FROM @ WHERE a IN (3, 9) AND b IS NULL');
SELECT same('SELECT a, b, c FROM @ WHERE a IS NULL AND b IS NULL');
SELECT same('SELECT c FROM @ WHERE c = 1.25');
SELECT same('SELECT c, id FROM @ WHERE c = 1.250');
SELECT same('SELECT f, k FROM @ WHERE f = 0');
SELECT same('SELECT f, k FROM @ WHERE f = ''NaN''');
SELECT same('SELECT * FROM @ WHERE d = ''2020-02-01'' AND id = 32');
SELECT same('SELECT * FROM @ WHERE d = ''2020-02-01'' AND id = 33');
SELECT same('SELECT d, id FROM @ WHERE d = ''2020-02-01'' AND id = 32');

-- Ranges, in each direction of the column and with NULLs at either end.
SELECT same('SELECT * FROM @ WHERE a < 5');
SELECT same('SELECT a FROM @ WHERE a <= 5');
SELECT same('SELECT a FROM @ WHERE a > 45');
SELECT same('SELECT a FROM @ WHERE a >= 45 AND a < 47');
SELECT same('SELECT a FROM @ WHERE a > 2147483648');
SELECT same('SELECT a FROM @ WHERE a < 2147483648');
SELECT same('SELECT a FROM @ WHERE a > 5 AND a < 3');
SELECT same('SELECT a, b, c FROM @ WHERE a = 5 AND b > ''k3''');
SELECT same('SELECT a, b, c FROM @ WHERE a = 5 AND b < ''k3''');
SELECT same('SELECT c FROM @ WHERE c > 3.5');
SELECT same('SELECT c FROM @ WHERE c < 0.75');
SELECT same('SELECT c FROM @ WHERE c BETWEEN 1 AND 1.5');
SELECT same('SELECT f, k FROM @ WHERE f > 10');
SELECT same('SELECT f, k FROM @ WHERE f < -10::float4');
SELECT same('SELECT f, k FROM @ WHERE f >= ''infinity''');
SELECT same('SELECT f, k FROM @ WHERE f = 3 AND k > 4');
SELECT same('SELECT f, k FROM @ WHERE f = 3 AND k <= 4');
SELECT same('SELECT d, id FROM @ WHERE d > ''2020-04-07''');
SELECT same('SELECT d, id FROM @ WHERE d > timestamp ''2020-04-07 13:00''');
SELECT same('SELECT v FROM @ WHERE v > ''ee''');
SELECT same('SELECT v FROM @ WHERE v < ''ab''');
SELECT same('SELECT b FROM @ WHERE b ~>~ ''k8''');

-- Row comparisons.
SELECT same('SELECT a, b, c FROM @ WHERE (a, b) = (5, ''k3'')');
SELECT same('SELECT a, id FROM @ WHERE (a, id) > (47, 100)');
SELECT same('SELECT a, id FROM @ WHERE (a, id) <= (1, 100)');
SELECT same('SELECT f, k FROM @ WHERE (f, k) < (-14, 4)');
SELECT same('SELECT a, b FROM @2 WHERE (a, b) > (47, ''k4'')');
SELECT same('SELECT a, b FROM @2 WHERE (a, b) < (1, ''k4'')');
SELECT same('SELECT a, b FROM @2 WHERE (a, b) >= (48, NULL)');
SELECT same('SELECT a, b FROM @2 WHERE (a, b) < (1, NULL)');

-- Prefixes.
SELECT same('SELECT v FROM @ WHERE v LIKE ''ab%''');
SELECT same('SELECT * FROM @ WHERE v LIKE ''ab_''');
SELECT same('SELECT b FROM @ WHERE b LIKE ''k1%''');
SELECT same('SELECT * FROM @ WHERE b LIKE ''k1%2''');
SELECT same('SELECT v FROM @ WHERE v ~ ''^a[bc]''');
SELECT same('SELECT v FROM @ WHERE starts_with(v, ''ab'')');

-- Expressions and partial indexes.
SELECT same('SELECT * FROM @ WHERE lower(b) = ''k3''');
SELECT same('SELECT * FROM @ WHERE lower(b) = ''k3'' AND a + k > 40');
SELECT same('SELECT * FROM @ WHERE lower(b) IS NULL');
SELECT same('SELECT d FROM @ WHERE a > 40 AND d = ''2020-02-17''');
SELECT same('SELECT * FROM @ WHERE a > 45 AND d = ''2020-02-17''');
SELECT same('SELECT d FROM @ WHERE a > 30 AND d = ''2020-02-17''');
SELECT same('SELECT count(*) FROM @ WHERE a > 40');

-- Order, limits, smallest and greatest.
SELECT same('SELECT a, id FROM @ ORDER BY a, id');
SELECT same('SELECT a, id FROM @ ORDER BY a DESC, id DESC LIMIT 40');
SELECT same('SELECT * FROM @ ORDER BY a NULLS FIRST, id LIMIT 3');
SELECT same('SELECT a, b, c, id FROM @ ORDER BY a DESC, b NULLS FIRST, id');
SELECT same('SELECT a, b, c, id FROM @ ORDER BY a, b DESC NULLS LAST, id DESC');
SELECT same('SELECT a, b, c, id FROM @ WHERE a = 5 ORDER BY b NULLS FIRST, id LIMIT 7');
SELECT same('SELECT c, id FROM @ ORDER BY c DESC NULLS LAST, id LIMIT 100');
SELECT same('SELECT c, id FROM @ ORDER BY c NULLS FIRST, id DESC LIMIT 100');
SELECT same('SELECT f, k, id FROM @ ORDER BY f, k DESC, id');
SELECT same('SELECT f, k, id FROM @ ORDER BY f DESC, k, id DESC OFFSET 1400');
SELECT same('SELECT b, a FROM @2 ORDER BY b NULLS FIRST, a DESC');
SELECT same('SELECT b, a FROM @2 ORDER BY b DESC NULLS LAST, a');
SELECT same('SELECT e, c FROM @2 ORDER BY e DESC, c');
SELECT same('SELECT min(a), max(a) FROM @');
SELECT same('SELECT min(c), max(c), min(d), max(d), min(f), max(f) FROM @');
SELECT same('SELECT min(b) FROM @2 WHERE a = 3');
SELECT same('SELECT min(a), max(a) FROM @2 WHERE b || '''' IS NULL');
SELECT same('SELECT DISTINCT a FROM @ ORDER BY a');
SELECT same('SELECT a, count(*) FROM @ GROUP BY a ORDER BY a');
SELECT same('SELECT * FROM @ WHERE (a, id) > (3, 100) ORDER BY a, id LIMIT 5');

-- Several indexes.
SELECT same('SELECT * FROM @ WHERE a = 5 OR c = 1.25 OR id = 3');
SELECT same('SELECT * FROM @ WHERE a = 5 OR a < 2 OR a > 47');
SELECT same('SELECT * FROM @ WHERE (a = 5 AND b IS NULL) OR (c = 1.25 AND k = 3) OR d > ''2020-04-07''');
SELECT same('SELECT count(*) FROM @ WHERE a < 10 OR c < 1');
SELECT same('SELECT * FROM @ WHERE a = 5 OR k = 3');
SELECT same('SELECT * FROM @ WHERE a = 5 AND c = 1.25');
SELECT same('SELECT * FROM @2 WHERE a = 5 OR b = ''k3'' OR ts < ''2020-01-03''');

-- Joins.
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_material = off;
SELECT alike('SELECT x.id, y.id FROM @ AS x JOIN @ AS y ON y.a = x.k AND y.c = x.c WHERE x.id < 20');
SELECT alike('SELECT x.id, y.b, y.d FROM @ AS x JOIN @2 AS y ON y.a = x.a AND y.b > x.b WHERE x.id < 20');
SELECT alike('SELECT x.id, (SELECT count(*) FROM @2 AS y WHERE y.a = x.a AND y.b IS NOT DISTINCT FROM x.b) FROM @ AS x WHERE x.id < 60');
SELECT alike('SELECT x.id FROM @ AS x WHERE x.id < 100 AND EXISTS (SELECT FROM @2 AS y WHERE y.a = x.id AND y.b = x.b)');
SELECT alike('SELECT x.id FROM @ AS x WHERE x.id < 100 AND NOT EXISTS (SELECT FROM @2 AS y WHERE y.a = x.id)');
SELECT alike('SELECT x.id, z.* FROM @ AS x, LATERAL (SELECT a, b, c FROM @ AS y WHERE y.a > x.k ORDER BY a, b, id LIMIT 2) AS z WHERE x.id < 30 ORDER BY x.id, z.a, z.b, z.c');
SELECT alike('SELECT x.id, y.id FROM @ AS x LEFT JOIN @ AS y ON y.a = x.id OR y.c = x.id WHERE x.id < 10');
SET enable_nestloop = off;
SET enable_mergejoin = on;
SELECT alike('SELECT x.a, count(*) FROM @ AS x JOIN @2 AS y ON y.a = x.a GROUP BY x.a');
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_material;
RESET enable_nestloop;

-- A join that a unique index makes superfluous, and grouping by one.
SELECT way('SELECT x.a, x.f FROM n AS x LEFT JOIN n AS y ON y.d = x.d AND y.id = x.id WHERE x.a = 3');

-- Prepared statements: with parameters, and after the index is gone.
SET plan_cache_mode = force_generic_plan;
PREPARE find AS SELECT a, b, c FROM n WHERE a = $1 AND b = $2 ORDER BY id;
EXECUTE find(5, 'k3');
EXECUTE find(NULL, 'k3');
PREPARE list AS SELECT count(*) FROM n WHERE a = ANY ($1) OR c = $2;
EXECUTE list('{1,2}', 1.25);
EXECUTE list('{}', NULL);
SELECT way('EXECUTE find(5, ''k3'')');
DROP INDEX n_ab;
SELECT way('EXECUTE find(5, ''k3'')');
EXECUTE find(5, 'k3');
CALL twice('DROP INDEX IF EXISTS @_ab');
RESET plan_cache_mode;

-- Cursors, backwards and again.
BEGIN;
DECLARE both_ways SCROLL CURSOR FOR SELECT a, id FROM n WHERE a > 46 ORDER BY a, id;
FETCH 3 FROM both_ways;
FETCH BACKWARD 2 FROM both_ways;
MOVE LAST FROM both_ways;
FETCH RELATIVE 0 FROM both_ways;
COMMIT;

-- Changes through an index, while its column changes, and what is seen of them.
CALL twice('UPDATE @ SET a = a + 1 WHERE a > 30');
SELECT same('SELECT * FROM @ WHERE a > 30');
CALL twice('DELETE FROM @ WHERE a = 40 AND c < 2');
SELECT same('SELECT * FROM @ WHERE a = 40');
CALL twice('UPDATE @2 SET b = NULL, a = a % 5 WHERE ts < ''2020-01-20'' AND b > ''k3''');
SELECT same('SELECT * FROM @2 WHERE b IS NULL');
SELECT same('SELECT a, b FROM @2 WHERE a < 5');
BEGIN;
SELECT id FROM n WHERE a = 35 ORDER BY id LIMIT 2 FOR UPDATE;
SAVEPOINT s;
CALL twice('UPDATE @ SET c = 99 WHERE a = 35');
SELECT same('SELECT a, c FROM @ WHERE c = 99');
ROLLBACK TO s;
SELECT same('SELECT a, c FROM @ WHERE c = 99');
COMMIT;
SELECT same('SELECT ctid IS NOT NULL, id FROM @ WHERE a = 35');

-- What EXPLAIN says, and what EXPLAIN ANALYZE counts.
\getenv abs_srcdir PG_ABS_SRCDIR
\set explained :abs_srcdir '/sql/include/explained.sql'
\set ECHO none
\i :explained
\set ECHO all
SELECT explained('SELECT * FROM n WHERE a = 35', ', ANALYZE');
SELECT explained('SELECT a FROM n WHERE a = 35 ORDER BY id DESC', ', ANALYZE');
SELECT explained('SELECT * FROM n WHERE a = 35 OR c = 1.25', ', ANALYZE');
SELECT explained('SELECT a FROM n WHERE a = 35 ORDER BY id', ', FORMAT JSON');
SELECT explained('SELECT f, k FROM n ORDER BY f, k DESC');
SELECT explained('SELECT b, a FROM n2 ORDER BY b NULLS FIRST, a DESC');

-- Lists whose values are not known when nothing has been analyzed: rows are taken for read in the table's order.
CREATE FOREIGN TABLE listed (id int NOT NULL, k int, pad text) SERVER nvmkv OPTIONS (primary_key 'id');
INSERT INTO listed SELECT g, g, repeat('x', 200) FROM generate_series(1, 20000) g;
CREATE INDEX listed_k ON listed (k);
SET plan_cache_mode = force_generic_plan;
PREPARE in_list AS SELECT id FROM listed WHERE k IN ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AND pad <> '';
PREPARE any_list (int[]) AS SELECT id FROM listed WHERE k = ANY ($1) AND pad <> '';
SELECT way('EXECUTE in_list (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)');
SELECT way('EXECUTE any_list (''{1, 20000}'')');
EXECUTE any_list ('{20000, 1, 20001, 1}');
RESET plan_cache_mode;
-- More entries than work_mem holds wait for their rows in turn.
SET work_mem = '64kB';
SET enable_seqscan = off;
SELECT way('SELECT count(*), sum(id) FROM listed WHERE k > 1 AND pad <> $$$$');
SELECT count(*), sum(id) FROM listed WHERE k > 1 AND pad <> '';
RESET enable_seqscan;
RESET work_mem;

-- Rows without a key that come after their index.
INSERT INTO n2 (a, b) SELECT g, 'later' FROM generate_series(1001, 1100) g;
SET enable_seqscan = off;
SELECT * FROM n2 WHERE a IN (1001, 1100) ORDER BY a;
RESET enable_seqscan;

SET client_min_messages = warning;
DROP SCHEMA index_scan_test CASCADE;
