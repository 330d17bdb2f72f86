--
-- Plans: what the key is used for.
--
CREATE SCHEMA plan_test;
SET search_path = plan_test, public;
\getenv abs_srcdir PG_ABS_SRCDIR
\set explained :abs_srcdir '/sql/include/explained.sql'
\set ECHO none
\i :explained
\set ECHO all

CREATE FOREIGN TABLE orders (
	customer int8 NOT NULL,
	placed timestamp NOT NULL,
	item text,
	amount numeric
) SERVER nvmkv OPTIONS (primary_key 'customer, placed');
INSERT INTO orders
	SELECT c, timestamp '2020-01-01' + o * interval '1 hour', 'item ' || o, c * o
	FROM generate_series(1, 1000) AS c, generate_series(1, 10) AS o;
CREATE TABLE customers (customer int8 PRIMARY KEY, name text);
INSERT INTO customers SELECT c, 'customer ' || c FROM generate_series(1, 1000) AS c;
ANALYZE orders;
ANALYZE customers;

-- Whole keys, prefixes, ranges.
EXPLAIN (COSTS OFF) SELECT * FROM orders WHERE customer = 7 AND placed = '2020-01-01 05:00';
EXPLAIN (COSTS OFF) SELECT * FROM orders WHERE customer = 7;
EXPLAIN (COSTS OFF) SELECT * FROM orders WHERE customer = 7 AND placed >= '2020-01-01 05:00' AND placed < '2020-01-01 08:00' AND amount > 10;
EXPLAIN (COSTS OFF) SELECT * FROM orders WHERE customer BETWEEN 7 AND 9;
EXPLAIN (COSTS OFF) SELECT * FROM orders WHERE customer IN (1, 5, 9);
EXPLAIN (COSTS OFF) SELECT * FROM orders WHERE (customer, placed) > (990, '2020-01-01 05:00');
EXPLAIN (COSTS OFF) SELECT * FROM orders WHERE placed = '2020-01-01 05:00';
EXPLAIN (COSTS OFF) SELECT * FROM orders WHERE 7 = customer AND item LIKE 'item%';
EXPLAIN (COSTS OFF) SELECT * FROM orders WHERE customer > 995 AND placed = '2020-01-01 05:00';

-- Joined by OR: the ranges of all arms, and the condition tested again.
EXPLAIN (COSTS OFF) SELECT * FROM orders WHERE customer = 7 OR customer > 998;
EXPLAIN (COSTS OFF) SELECT * FROM orders WHERE (customer = 7 AND placed < '2020-01-01 05:00') OR (customer > 990 AND amount < 5);
EXPLAIN (COSTS OFF) SELECT * FROM orders WHERE customer = 7 OR amount = 9;
EXPLAIN (COSTS OFF) SELECT * FROM orders WHERE (customer = 7 OR customer > 998) AND customer > 8;
SELECT count(item) FROM orders WHERE customer BETWEEN 5 AND 8 OR customer = 7 OR customer BETWEEN 7 AND 10;
SELECT count(item) FROM orders WHERE (customer = 7 AND placed = '2020-01-01 05:00') OR ((customer, placed) >= (7, '2020-01-01 05:00') AND customer < 9);

-- A list for a column that is not the first one.
CREATE FOREIGN TABLE wide (a int NOT NULL, b int NOT NULL, v text) SERVER nvmkv OPTIONS (primary_key 'a, b');
INSERT INTO wide SELECT a, b, repeat('v', 100) FROM generate_series(1, 5) AS a, generate_series(1, 2000) AS b;
ANALYZE wide;
EXPLAIN (COSTS OFF) SELECT * FROM wide WHERE a = 3 AND b IN (5, 60);

-- Types across: exactly, or as bounds with the condition tested again.
EXPLAIN (COSTS OFF) SELECT * FROM orders WHERE customer = 7::int2 AND placed < date '2020-01-02';
EXPLAIN (COSTS OFF) SELECT * FROM orders WHERE customer = 7 AND placed < timestamptz '2020-01-02 00:00+00';
EXPLAIN (COSTS OFF) SELECT * FROM orders WHERE customer = 7.0;

-- Order.
EXPLAIN (COSTS OFF) SELECT * FROM orders ORDER BY customer, placed;
EXPLAIN (COSTS OFF) SELECT * FROM orders ORDER BY customer DESC, placed DESC LIMIT 5;
EXPLAIN (COSTS OFF) SELECT * FROM orders ORDER BY customer, placed DESC LIMIT 5;
EXPLAIN (COSTS OFF) SELECT * FROM orders WHERE customer = 7 ORDER BY placed DESC LIMIT 1;
SELECT explained('SELECT min(customer), max(customer) FROM orders');
EXPLAIN (COSTS OFF) SELECT customer, count(*) FROM orders GROUP BY customer ORDER BY customer;
EXPLAIN (COSTS OFF) SELECT DISTINCT ON (customer) * FROM orders ORDER BY customer, placed;

-- Joins: by key for few rows, merged for many.
EXPLAIN (COSTS OFF) SELECT * FROM customers JOIN orders USING (customer) WHERE name = 'customer 7';
EXPLAIN (COSTS OFF) SELECT * FROM customers LEFT JOIN orders USING (customer) WHERE customer IN (1, 2);
SET enable_hashjoin = off;
SET enable_nestloop = off;
EXPLAIN (COSTS OFF) SELECT * FROM customers JOIN orders USING (customer);
EXPLAIN (COSTS OFF) SELECT * FROM orders AS a JOIN orders AS b USING (customer, placed);
RESET enable_hashjoin;
RESET enable_nestloop;

-- A join that adds nothing is not done: the key is known to be unique.
EXPLAIN (COSTS OFF) SELECT c.* FROM customers AS c LEFT JOIN orders AS o ON o.customer = c.customer AND o.placed = '2020-01-01';
EXPLAIN (COSTS OFF) SELECT c.* FROM customers AS c LEFT JOIN orders AS o ON o.customer = c.customer;

-- A lookup costs what it costs in a heap table, and never wakes the compiler.
CREATE TABLE orders_heap (LIKE orders, PRIMARY KEY (customer, placed));
INSERT INTO orders_heap SELECT * FROM orders;
ANALYZE orders_heap;
SELECT nvmkv.flush();	-- rows that are being flushed count twice in estimates
CREATE FUNCTION plan_cost(query text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	RETURN plan->0->'Plan'->>'Total Cost';
END $$;
CREATE FUNCTION plan_rows(query text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	RETURN plan->0->'Plan'->>'Plan Rows';
END $$;
SELECT what, plan_cost(format(query, 'orders')) BETWEEN 0.01 AND plan_cost(format(query, 'orders_heap')) * 2 AS cost_like_heap,
	plan_rows(format(query, 'orders')) BETWEEN plan_rows(format(query, 'orders_heap')) / 2 AND plan_rows(format(query, 'orders_heap')) * 2 AS rows_like_heap
FROM (VALUES
	('one key', 'SELECT * FROM %s WHERE customer = 7 AND placed = ''2020-01-01 05:00'''),
	('one customer', 'SELECT * FROM %s WHERE customer = 7'),
	('some customers', 'SELECT * FROM %s WHERE customer BETWEEN 100 AND 200'),
	('all', 'SELECT * FROM %s'),
	('in order', 'SELECT * FROM %s ORDER BY customer, placed'),
	('first', 'SELECT * FROM %s ORDER BY customer, placed LIMIT 1'),
	('join', 'SELECT * FROM customers JOIN %s USING (customer) WHERE name = ''customer 7''')
) AS q(what, query);

-- Planned while nearly empty, still good when it has grown.
CREATE FOREIGN TABLE growing (k int NOT NULL, v text) SERVER nvmkv OPTIONS (primary_key 'k');
EXPLAIN (COSTS OFF) SELECT * FROM growing WHERE k = 1;
EXPLAIN (COSTS OFF) SELECT * FROM growing WHERE k > 1 AND k < 3;
SET plan_cache_mode = force_generic_plan;
PREPARE get_one(int) AS SELECT * FROM growing WHERE k = $1;
EXPLAIN (COSTS OFF) EXECUTE get_one(1);
DEALLOCATE get_one;
RESET plan_cache_mode;

-- Prefix conditions on text; what the prefix does not say is tested.
CREATE FOREIGN TABLE words (w text COLLATE "C" NOT NULL, n int) SERVER nvmkv OPTIONS (primary_key 'w');
EXPLAIN (COSTS OFF) SELECT * FROM words WHERE w LIKE 'ab%';
EXPLAIN (COSTS OFF) SELECT * FROM words WHERE w LIKE 'ab%d';
EXPLAIN (COSTS OFF) SELECT * FROM words WHERE w ~ '^ab';
EXPLAIN (COSTS OFF) SELECT * FROM words WHERE w LIKE 'ab';

-- An order of ICU's, which a prefix says nothing about.
CREATE FOREIGN TABLE wort (w text COLLATE "en-x-icu" NOT NULL, n int NOT NULL) SERVER nvmkv OPTIONS (primary_key 'w, n');
EXPLAIN (COSTS OFF) SELECT * FROM wort WHERE w = 'ab' AND n > 5;
EXPLAIN (COSTS OFF) SELECT * FROM wort WHERE w > 'ab';
EXPLAIN (COSTS OFF) SELECT * FROM wort ORDER BY w;
EXPLAIN (COSTS OFF) SELECT * FROM wort WHERE w LIKE 'ab%';
EXPLAIN (COSTS OFF) SELECT c.* FROM customers AS c LEFT JOIN wort ON w = name AND n = 1;

-- Descending columns.
CREATE FOREIGN TABLE news (topic int NOT NULL, at timestamptz NOT NULL) SERVER nvmkv OPTIONS (primary_key 'topic, at DESC');
EXPLAIN (COSTS OFF) SELECT * FROM news ORDER BY topic, at DESC;
EXPLAIN (COSTS OFF) SELECT * FROM news ORDER BY topic DESC, at;
EXPLAIN (COSTS OFF) SELECT * FROM news WHERE topic = 1 AND at < now() ORDER BY at DESC LIMIT 10;
EXPLAIN (COSTS OFF) SELECT * FROM news WHERE (topic, at) > (1, '2020-01-01');

-- Booleans as conditions.
CREATE FOREIGN TABLE flags (done bool NOT NULL, id int NOT NULL) SERVER nvmkv OPTIONS (primary_key 'done, id');
EXPLAIN (COSTS OFF) SELECT * FROM flags WHERE done AND id > 5;
EXPLAIN (COSTS OFF) SELECT * FROM flags WHERE NOT done;
EXPLAIN (COSTS OFF) SELECT * FROM flags WHERE done IS TRUE ORDER BY id;

-- Partitions by key, and joined partition by partition.
CREATE TABLE parted (k int NOT NULL, v int) PARTITION BY RANGE (k);
CREATE FOREIGN TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (1000) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE parted_2 PARTITION OF parted FOR VALUES FROM (1000) TO (2000) SERVER nvmkv OPTIONS (primary_key 'k');
INSERT INTO parted SELECT i, i % 10 FROM generate_series(0, 1999) AS i;
ANALYZE parted_1;
ANALYZE parted_2;
EXPLAIN (COSTS OFF) SELECT * FROM parted WHERE k = 5;
EXPLAIN (COSTS OFF) SELECT * FROM parted WHERE k > 990 AND k < 1010;
EXPLAIN (COSTS OFF) SELECT * FROM parted ORDER BY k LIMIT 3;
SET enable_partitionwise_join = on;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
EXPLAIN (COSTS OFF) SELECT * FROM parted AS a JOIN parted AS b USING (k) WHERE a.v = 3;
SELECT count(*), sum(k) FROM parted AS a JOIN parted AS b USING (k) WHERE a.v = 3;
RESET enable_partitionwise_join;
RESET enable_hashjoin;
RESET enable_mergejoin;

-- No key: the whole table.
CREATE FOREIGN TABLE plain (a int, b int) SERVER nvmkv;
EXPLAIN (COSTS OFF) SELECT * FROM plain WHERE a = 1 ORDER BY a;
SELECT explained('SELECT a, b FROM plain GROUP BY a, b');

-- A table that has grown is asked again.
CREATE FOREIGN TABLE grows (k int NOT NULL) SERVER nvmkv OPTIONS (primary_key 'k');
INSERT INTO grows SELECT generate_series(1, 20);
ANALYZE grows;
SELECT plan_rows('SELECT * FROM grows') < 200 AS small;
INSERT INTO grows SELECT generate_series(21, 5000);
SELECT plan_rows('SELECT * FROM grows') > 1000 AS large;

RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA plan_test CASCADE;
