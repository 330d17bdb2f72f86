--
-- What users of tables take for granted, a statement or two each.
--
CREATE SCHEMA behaviour_test;
SET search_path = behaviour_test, public;
CREATE FOREIGN TABLE t (k bigint, v text) SERVER nvmkv OPTIONS (primary_key 'k');
INSERT INTO t VALUES (1, 'one');

-- ROLLBACK takes back inserts, updates and deletes; ROLLBACK TO a part of them; a failed COPY all of it.
BEGIN;
INSERT INTO t VALUES (2, 'two');
UPDATE t SET v = 'changed' WHERE k = 1;
ROLLBACK;
BEGIN;
SAVEPOINT s;
DELETE FROM t WHERE k = 1;
ROLLBACK TO s;
COMMIT;
COPY t FROM STDIN;
5	first
x	second
\.
SELECT * FROM t;

-- A key is there once, and the first row stays.
INSERT INTO t VALUES (1, 'second');
INSERT INTO t VALUES (1, 'third') ON CONFLICT DO NOTHING;
INSERT INTO t VALUES (1, 'third'), (2, 'two') ON CONFLICT (k) DO NOTHING RETURNING k;
SELECT * FROM t ORDER BY k;

-- A changed key moves the row.
UPDATE t SET k = 10 WHERE k = 1;
SELECT * FROM t ORDER BY k;
TRUNCATE t;

-- Correlated subqueries, of every kind of parameter, see their row.
INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 10) g;
SELECT x, (SELECT count(*) FROM t WHERE t.k <= o.x) FROM generate_series(1, 4) o(x);
SELECT x, (SELECT v FROM t WHERE t.k = o.x) FROM generate_series(1, 3) o(x);
CREATE FUNCTION look(x bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	r text;
BEGIN
	SELECT v INTO r FROM t WHERE k = x;
	RETURN r;
END $$;
SELECT string_agg(look(g), ',') FROM generate_series(1, 10) g;
SET plan_cache_mode = force_generic_plan;
PREPARE by_key(bigint) AS SELECT * FROM t WHERE k = $1;
EXECUTE by_key(3);
EXECUTE by_key(NULL);
EXECUTE by_key(30);
CREATE FOREIGN TABLE s (k text COLLATE "C", n int) SERVER nvmkv OPTIONS (primary_key 'k');
INSERT INTO s VALUES ('', 0), ('a', 1);
PREPARE by_text(text) AS SELECT * FROM s WHERE k = $1;
EXECUTE by_text(NULL);
EXECUTE by_text('');
EXECUTE by_text('a');
RESET plan_cache_mode;

-- A constant of a near type finds what it equals.
CREATE FOREIGN TABLE f (k real, v int) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE d (k date, v int) SERVER nvmkv OPTIONS (primary_key 'k');
INSERT INTO f VALUES (1.5, 1), (0.1, 2);
INSERT INTO d VALUES ('2020-01-01', 1), ('2020-01-02', 2);
SELECT * FROM f WHERE k = 1.5;
SELECT * FROM f WHERE k = 0.1;
SELECT * FROM f WHERE k = 0.1::real;
SELECT * FROM f WHERE k > 0.1 ORDER BY k;
SELECT * FROM d WHERE k = timestamp '2020-01-01 00:00';
SELECT * FROM d WHERE k = timestamp '2020-01-01 00:01';
SELECT * FROM d WHERE k < timestamp '2020-01-01 00:01';
SELECT * FROM t WHERE k = 3::smallint;
SELECT * FROM t WHERE k = 3.0;
SELECT * FROM t WHERE k = 3.5;
SELECT * FROM t WHERE k > 8.5 ORDER BY k;

-- Definitions belong to transactions.
BEGIN;
DROP FOREIGN TABLE t;
ROLLBACK;
SELECT count(*) FROM t;
SELECT count(*) AS storages FROM nvmkv.storage \gset
BEGIN;
CREATE FOREIGN TABLE gone (a int) SERVER nvmkv;
INSERT INTO gone VALUES (1);
ROLLBACK;
SELECT count(*) - :storages AS more FROM nvmkv.storage;
CREATE FOREIGN TABLE IF NOT EXISTS t (k bigint) SERVER nvmkv;
SELECT count(*) FROM t;
ALTER FOREIGN TABLE t ADD COLUMN more int DEFAULT 7;
SELECT * FROM t WHERE k = 1;
ALTER FOREIGN TABLE t DROP COLUMN more;

-- COPY obeys WHERE, CHECK, NOT NULL, triggers and rights, and counts.
CREATE FOREIGN TABLE c (k int CHECK (k < 100), v text NOT NULL) SERVER nvmkv OPTIONS (primary_key 'k');
COPY c FROM STDIN WHERE k <= 3;
1	a
2	b
3	c
4	d
\.
COPY c FROM STDIN;
7	g
100	too large
\.
COPY c FROM STDIN;
7	\N
\.
SELECT * FROM c ORDER BY k;
DO $$
DECLARE
	n int;
BEGIN
	COPY c FROM PROGRAM 'printf "8\thello\n9\tworld\n"';
	GET DIAGNOSTICS n = ROW_COUNT;
	RAISE NOTICE '% rows', n;
END $$;
CREATE ROLE nvmkv_outsider;
GRANT USAGE ON SCHEMA behaviour_test TO nvmkv_outsider;
GRANT pg_read_server_files TO nvmkv_outsider;
SET ROLE nvmkv_outsider;
COPY c FROM '/dev/null';
SELECT * FROM c;
RESET ROLE;

-- A partition among others.
CREATE TABLE p (k int, v text) PARTITION BY RANGE (k);
CREATE FOREIGN TABLE p_1 PARTITION OF p FOR VALUES FROM (0) TO (10) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE TABLE p_2 PARTITION OF p FOR VALUES FROM (10) TO (20);
INSERT INTO p SELECT g, 'p' || g FROM generate_series(5, 15) g;
COPY p FROM STDIN;
1	from outside
\.
UPDATE p SET k = 4 WHERE k = 8;
-- Rows move between partitions of both kinds.
UPDATE p SET k = 3 WHERE k = 15;
UPDATE p SET k = 19 WHERE k = 9;
SELECT tableoid::regclass, count(*), sum(k) FROM p GROUP BY 1 ORDER BY 1;

-- Errors in scans end them and nothing else.
SELECT sum(1 / (k - 5)) FROM t;
SELECT count(*) FROM t;

-- A point costs what a point costs: far less than what makes compiling worth while.
CREATE FOREIGN TABLE big (k bigint, v text) SERVER nvmkv OPTIONS (primary_key 'k');
INSERT INTO big SELECT g, repeat('x', 50) FROM generate_series(1, 50000) g;
ANALYZE big;
CREATE FUNCTION plan_of(query text, OUT cost float8, OUT rows float8, OUT node text) LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	cost := plan->0->'Plan'->>'Total Cost';
	rows := plan->0->'Plan'->>'Plan Rows';
	node := plan->0->'Plan'->>'Node Type';
END $$;
SELECT cost < current_setting('jit_above_cost')::float8 / 1000 AS cheap, rows, node FROM plan_of('SELECT * FROM big WHERE k = 77');
SELECT cost < current_setting('jit_above_cost')::float8 / 100 AS cheap, rows < 1000 AS few FROM plan_of('SELECT * FROM big WHERE k BETWEEN 100 AND 200');
SELECT a.cost > 100 * b.cost AS differ FROM plan_of('SELECT * FROM big') AS a, plan_of('SELECT * FROM big WHERE k = 1') AS b;

\getenv abs_srcdir PG_ABS_SRCDIR
\set explained :abs_srcdir '/sql/include/explained.sql'
\set ECHO none
\i :explained
\set ECHO all
-- Ranges, order, limits, lists and joins use the key.
EXPLAIN (COSTS OFF) SELECT * FROM big WHERE k = 77;
EXPLAIN (COSTS OFF) SELECT * FROM big WHERE k > 10 AND k <= 20;
EXPLAIN (COSTS OFF) SELECT * FROM big ORDER BY k LIMIT 5;
EXPLAIN (COSTS OFF) SELECT * FROM big ORDER BY k DESC LIMIT 5;
EXPLAIN (COSTS OFF) SELECT * FROM big WHERE k = ANY ('{1,5,9}');
SELECT explained('SELECT max(k) FROM big');
SET enable_mergejoin = off;
SET enable_hashjoin = off;
EXPLAIN (COSTS OFF) SELECT * FROM t JOIN big USING (k);
SELECT count(*) FROM big WHERE k > 10 AND k <= 20;
SELECT k FROM big ORDER BY k DESC LIMIT 3;
SELECT k FROM big WHERE k = ANY ('{9,1,5,-1,1}') ORDER BY k;
SELECT max(k), min(k) FROM big;
SELECT count(*), sum(k) FROM t JOIN big USING (k);
RESET enable_mergejoin;
RESET enable_hashjoin;

SET client_min_messages = warning;
DROP SCHEMA behaviour_test CASCADE;
DROP ROLE nvmkv_outsider;
