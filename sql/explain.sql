--
-- What EXPLAIN says of scans.
--
CREATE SCHEMA explain_test;
SET search_path = explain_test, public;
\getenv abs_srcdir PG_ABS_SRCDIR
\set explained :abs_srcdir '/sql/include/explained.sql'
\set ECHO none
\i :explained
\set ECHO all

CREATE FOREIGN TABLE t (a int NOT NULL, b text COLLATE "C" NOT NULL, v int) SERVER nvmkv OPTIONS (primary_key 'a, b DESC');
CREATE FOREIGN TABLE "Odd ""name""" ("K 1" int NOT NULL) SERVER nvmkv OPTIONS (primary_key '"K 1"');
INSERT INTO t SELECT a, 'b' || b, a * b FROM generate_series(1, 20) AS a, generate_series(1, 20) AS b;
ANALYZE t;

EXPLAIN (COSTS OFF, VERBOSE) SELECT v FROM t WHERE a = 1 AND b = 'b1';
EXPLAIN (COSTS OFF, VERBOSE) SELECT b FROM t WHERE a = 1 AND v > 3 ORDER BY b;
EXPLAIN (COSTS OFF) SELECT * FROM t ORDER BY a DESC, b;
EXPLAIN (COSTS OFF) SELECT * FROM "Odd ""name""" WHERE "K 1" > 5 ORDER BY "K 1";
SELECT explained('SELECT v FROM t WHERE a = 1 AND b > ''b1'' AND v = 2 ORDER BY b', ', FORMAT JSON');
SELECT explained('SELECT v FROM t WHERE v = 2', ', FORMAT YAML');

-- Parameters of joins have names.
EXPLAIN (COSTS OFF) SELECT * FROM (VALUES (1), (2)) AS o(x) JOIN t ON t.a = o.x AND t.b LIKE 'b1%' ORDER BY o.x;
SELECT explained('SELECT * FROM t WHERE a = (SELECT max(v) FROM t AS u WHERE u.a = 3)');

-- What was done: lookups are counted apart from ranges.
SELECT explained('SELECT v FROM t WHERE a = 1 AND b = ''b1''', ', ANALYZE');
SELECT explained('SELECT v FROM t WHERE a IN (1, 2, 99) AND b = ''b1''', ', ANALYZE');

-- Where rows come from depends on what was flushed; how many there are does not.
CREATE FUNCTION explain_run(query text) RETURNS TABLE (what text, value text) LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF, FORMAT JSON) ' || query INTO plan;
	plan := plan->0->'Plan';
	what := 'ranges'; value := plan->>'Key Ranges'; RETURN NEXT;
	what := 'rows read'; value := plan->>'Rows Read'; RETURN NEXT;
	what := 'rows returned'; value := (plan->>'Actual Rows')::numeric::int; RETURN NEXT;
	what := 'batches'; value := plan->>'Batches'; RETURN NEXT;
	what := 'sources add up'; value := (plan->>'Memtable Rows')::int + (plan->>'Container Rows')::int + (plan->>'Table Rows')::int = (plan->>'Rows Read')::int; RETURN NEXT;
END $$;
SELECT * FROM explain_run('SELECT v FROM t WHERE a = 5');
SELECT * FROM explain_run('SELECT v FROM t WHERE a IN (5, 6, 30)');
SELECT * FROM explain_run('SELECT v FROM t WHERE v = 7');

-- Never run, nothing to say.
SELECT explained('SELECT * FROM t WHERE a = 1 AND b = ''b1'' AND false', ', ANALYZE');
SELECT explained('SELECT * FROM t LIMIT 0', ', ANALYZE');

RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA explain_test CASCADE;
