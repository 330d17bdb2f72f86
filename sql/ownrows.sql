--
-- What functions, checks, domains, triggers and others see of the rows of their own statement, and which row's error
-- ends it.  As a heap table, see scripts/heap_twin.sh.
--
CREATE SCHEMA ownrows_test;
SET search_path = ownrows_test, public;
\set VERBOSITY terse

CREATE FOREIGN TABLE t (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE FUNCTION next_free(int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT coalesce(max(k), 0) + 1 FROM t); END $$;
CREATE FUNCTION rows_of_t() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM t';
CREATE FUNCTION rows_of_t_stable() RETURNS bigint STABLE LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM t); END $$;

-- Functions in the source: in FROM, in the select list, in WHERE, in VALUES, in subqueries.
INSERT INTO t SELECT f.k, 'from' FROM generate_series(1, 4) g, LATERAL next_free(g) f(k);
INSERT INTO t SELECT next_free(g), 'list' FROM generate_series(1, 4) g;
INSERT INTO t SELECT 20 + g, 'where' FROM generate_series(1, 4) g WHERE rows_of_t() < 10;
INSERT INTO t VALUES (next_free(0), 'values 1'), (next_free(0), 'values 2'), (next_free(0), rows_of_t()), (next_free(0), rows_of_t_stable());
INSERT INTO t SELECT 30 + g, (SELECT rows_of_t() + 0 * g) FROM generate_series(1, 4) g;
INSERT INTO t SELECT 40 + g, (SELECT count(*) FROM t WHERE k > g) FROM generate_series(1, 4) g;
WITH w AS MATERIALIZED (SELECT g, rows_of_t() AS n FROM generate_series(1, 4) g) INSERT INTO t SELECT 50 + g, n FROM w;
INSERT INTO t SELECT 60 + g, rows_of_t_stable() FROM generate_series(1, 4) g;
INSERT INTO t SELECT 70 + g, v FROM generate_series(1, 4) g JOIN t ON t.k = g + rows_of_t() - rows_of_t();
INSERT INTO t SELECT 80 + g, rows_of_t() FROM generate_series(1, 3) g RETURNING k, v, rows_of_t();
SELECT * FROM t ORDER BY k;
TRUNCATE t;

-- Statements in functions, which look, change and insert.
CREATE FUNCTION touch(int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	n int;
BEGIN
	UPDATE t SET v = v || '+' WHERE k < $1;
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END $$;
INSERT INTO t SELECT g, touch(g) FROM generate_series(1, 4) g;
CREATE FUNCTION add_row(int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t VALUES ($1, 'inner'), ($1 + 1, 'inner');
	RETURN 'outer';
EXCEPTION WHEN unique_violation THEN
	RETURN 'failed';
END $$;
INSERT INTO t SELECT 10 * g, add_row(10 * g + 1) FROM generate_series(1, 3) g;
INSERT INTO t SELECT 10 * g + 2, add_row(10 * g + 1) FROM generate_series(4, 5) g;
INSERT INTO t SELECT 10 * g + 3, add_row(10 * g + 1) FROM generate_series(4, 5) g;
CREATE FUNCTION remove_row(int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN DELETE FROM t WHERE k = $1; RETURN FOUND; END $$;
INSERT INTO t SELECT 100 + g % 2, remove_row(100 + g % 2) FROM generate_series(1, 4) g;
CREATE FUNCTION lock_row(int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM 1 FROM t WHERE k = $1 FOR UPDATE; RETURN FOUND; END $$;
INSERT INTO t SELECT 110 + g, lock_row(109 + g) FROM generate_series(1, 3) g;
CREATE FUNCTION upsert_row(int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t VALUES ($1, 'new') ON CONFLICT (k) DO UPDATE SET v = t.v || ' again';
	RETURN '';
END $$;
INSERT INTO t SELECT 120 + g, upsert_row(119 + g) FROM generate_series(1, 3) g;
SELECT * FROM t ORDER BY k;
TRUNCATE t;

-- CHECK, and a domain's check.
CREATE FUNCTION is_free(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN NOT EXISTS (SELECT FROM u WHERE email = $1); END $$;
CREATE FOREIGN TABLE u (k int, email text CHECK (is_free(email))) SERVER nvmkv OPTIONS (primary_key 'k');
INSERT INTO u VALUES (1, 'a'), (2, 'a');
INSERT INTO u SELECT g, 'b' FROM generate_series(1, 3) g;
INSERT INTO u SELECT g, 'c' || g / 2 FROM generate_series(1, 3) g;
INSERT INTO u SELECT g, 'c' || g FROM generate_series(1, 3) g;
UPDATE u SET email = 'd';
SELECT * FROM u ORDER BY k;
COPY u FROM STDIN;
11	e
12	e
\.
COPY u FROM STDIN;
13	c1
14	f
\.
SELECT * FROM u ORDER BY k;
DROP FOREIGN TABLE u;
CREATE FUNCTION is_free_name(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN NOT EXISTS (SELECT FROM d WHERE n = $1); END $$;
CREATE DOMAIN free_name AS text CHECK (is_free_name(VALUE));
CREATE FOREIGN TABLE d (k int, n free_name) SERVER nvmkv OPTIONS (primary_key 'k');
INSERT INTO d VALUES (1, 'a'), (2, 'a');
INSERT INTO d SELECT g, 'b' FROM generate_series(1, 3) g;
INSERT INTO d SELECT g, ('b' || g)::text FROM generate_series(1, 3) g;
COPY d FROM STDIN;
11	e
12	e
\.
SELECT * FROM d ORDER BY k;
DROP FOREIGN TABLE d;
DROP DOMAIN free_name;

-- Defaults, with nextval and with a look.
CREATE SEQUENCE s;
CREATE FUNCTION rows_of_f() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM f); END $$;
CREATE FOREIGN TABLE f (k int DEFAULT nextval('s'), n bigint DEFAULT rows_of_f(), v text, w text GENERATED ALWAYS AS (v || '!') STORED) SERVER nvmkv OPTIONS (primary_key 'k');
INSERT INTO f (v) VALUES ('a'), ('b'), ('c');
INSERT INTO f (v) SELECT 'd' || g FROM generate_series(1, 3) g;
COPY f (v) FROM STDIN;
e
f
\.
SELECT * FROM f ORDER BY k;
DROP FOREIGN TABLE f;

-- A trigger of one partition opens a cursor on the other, and reads it when it fires again.
CREATE TABLE p (k int, n bigint) PARTITION BY RANGE (k);
CREATE FOREIGN TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (200) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE FUNCTION fetched() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	c refcursor := 'of_one_row';
BEGIN
	IF NOT EXISTS (SELECT FROM pg_cursors WHERE name = 'of_one_row') THEN
		OPEN c FOR SELECT count(k) FROM p1;
	ELSE
		FETCH c INTO NEW.n;
		CLOSE c;
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER f BEFORE INSERT ON p2 FOR EACH ROW EXECUTE FUNCTION fetched();
COPY p (k) FROM STDIN;
1
101
2
102
3
103
4
104
\.
SELECT * FROM p ORDER BY k;
DROP TABLE p;

-- Row triggers, before and after, and of the statement.
CREATE FUNCTION say() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '% % %: % rows', tg_when, tg_op, CASE WHEN tg_level = 'ROW' THEN (CASE WHEN tg_op = 'DELETE' THEN OLD ELSE NEW END)::text ELSE tg_level END, (SELECT count(*) FROM t);
	RETURN CASE WHEN tg_op = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER b BEFORE INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION say();
INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c');
UPDATE t SET v = v || rows_of_t();
DELETE FROM t WHERE rows_of_t() > 1;
COPY t FROM STDIN;
11	e
12	f
\.
DROP TRIGGER b ON t;
TRUNCATE t;
CREATE TRIGGER a AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION say();
INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c');
UPDATE t SET v = v || rows_of_t();
DELETE FROM t WHERE rows_of_t() > 1;
COPY t FROM STDIN;
11	e
12	f
\.
INSERT INTO t VALUES (4, 'd'), (5, 'e'), (11, 'f');
COPY t FROM STDIN;
4	d
5	e
11	f
\.
DROP TRIGGER a ON t;
TRUNCATE t;
CREATE TRIGGER sb BEFORE INSERT OR UPDATE OR DELETE ON t EXECUTE FUNCTION say();
CREATE TRIGGER sa AFTER INSERT OR UPDATE OR DELETE ON t EXECUTE FUNCTION say();
INSERT INTO t SELECT g, 'x' FROM generate_series(1, 3) g;
UPDATE t SET v = v || rows_of_t();
COPY t FROM STDIN;
11	e
12	f
\.
INSERT INTO t SELECT g, 'x' FROM generate_series(10, 13) g;
COPY t FROM STDIN;
4	d
5	e
11	f
\.
DROP TRIGGER sb ON t;
DROP TRIGGER sa ON t;

-- AFTER triggers that do not look: a duplicate key is told before they run, with its line.
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '% %', tg_when, tg_level; RETURN NULL; END $$;
CREATE TRIGGER a AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION shout();
CREATE TRIGGER sa AFTER INSERT ON t EXECUTE FUNCTION shout();
\set VERBOSITY default
COPY t FROM STDIN;
4	d
11	e
5	f
\.
INSERT INTO t SELECT g, 'x' FROM generate_series(10, 13) g;
COPY t FROM STDIN;
4	d
5	f
\.
DROP TRIGGER a ON t;
COPY t FROM STDIN;
6	d
11	e
7	f
\.
DROP TRIGGER sa ON t;
COPY t FROM STDIN;
6	d
7	e
11	f
6	g
\.
COPY t FROM STDIN;
6	d
7	e
11	f
8	g	h
\.
\set VERBOSITY terse
TRUNCATE t;

-- Of several errors the heap's, in INSERT the first row's; in COPY checks come before duplicates.
CREATE FOREIGN TABLE e (k int, v int CHECK (v < 100)) SERVER nvmkv OPTIONS (primary_key 'k');
INSERT INTO e VALUES (1, 1), (2, 2);
INSERT INTO e VALUES (3, 3), (1, 1), (4, 400);
INSERT INTO e VALUES (3, 3), (4, 400), (1, 1);
INSERT INTO e VALUES (9, 3), (2, 1), (1, 1);
INSERT INTO e VALUES (9, 3), (7, 1), (9, 1), (2, 2);
INSERT INTO e SELECT g, 10 / (g - 3) FROM generate_series(0, 5) g;
INSERT INTO e SELECT g, 10 / (g - 3) FROM generate_series(3, 0, -1) g;
INSERT INTO e SELECT 5 - g, 10 / (g - 3) FROM generate_series(-20, 5) g;
INSERT INTO e SELECT g, CASE WHEN g = 700 THEN 100 ELSE 1 END FROM generate_series(3000, 1, -1) g;
INSERT INTO e SELECT g, CASE WHEN g = 1 THEN 100 ELSE 1 END FROM generate_series(3000, 1, -1) g;
INSERT INTO e SELECT g % 2000 + 10, g % 50 FROM generate_series(1, 3000) g;
INSERT INTO e VALUES (3, 3), (1, 1), (NULL, 1);
INSERT INTO e VALUES (3, 3), (NULL, 1), (1, 1);
COPY e FROM STDIN;
3	3
1	1
4	400
\.
COPY e FROM STDIN;
3	3
1	1
x	4
\.
COPY e FROM STDIN;
9	3
2	1
1	1
\.
CREATE FUNCTION write_lines(bad int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('COPY (SELECT CASE WHEN g = 500 THEN 1 ELSE g + 100 END, CASE WHEN g = %s THEN 100 ELSE 1 END FROM generate_series(1, 3000) g) TO %L',
		bad, current_setting('data_directory') || '/ownrows.data');
	EXECUTE format('COPY e FROM %L', current_setting('data_directory') || '/ownrows.data');
END $$;
SELECT write_lines(999);
SELECT write_lines(1001);
SELECT * FROM e ORDER BY k;

-- A partitioned table, and one with children.
CREATE TABLE p (k int, v text) PARTITION BY RANGE (k);
CREATE FOREIGN TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE FUNCTION rows_of_p() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM p';
INSERT INTO p SELECT g, rows_of_p() FROM generate_series(8, 11) g;
INSERT INTO p SELECT g, 'x' FROM generate_series(12, 6, -1) g;
INSERT INTO p SELECT g, 'x' FROM generate_series(5, 15) g;
INSERT INTO p VALUES (1, 'x'), (12, 'x'), (1, 'x'), (12, 'x');
UPDATE p SET k = 21 - k - 1, v = v || rows_of_p() WHERE k <> 10;
COPY p FROM STDIN;
1	a
12	a
2	a
\.
COPY p FROM STDIN;
3	a
12	a
2	a
\.
CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (20) TO (30);
INSERT INTO p SELECT g, rows_of_p() FROM generate_series(19, 21) g;
INSERT INTO p VALUES (18, 'x'), (22, 'x'), (18, 'y');
SELECT tableoid::regclass, * FROM p ORDER BY k;
DROP TABLE p;

-- Children by INHERITS: a foreign parent, foreign and heap children, one of them with a child of its own.
CREATE FOREIGN TABLE h (k int NOT NULL, v text) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE h1 (a int) INHERITS (h) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE TABLE h2 (b int, PRIMARY KEY (k)) INHERITS (h);
CREATE FOREIGN TABLE h11 (c int) INHERITS (h1) SERVER nvmkv;
CREATE FUNCTION rows_of_h() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM h';
INSERT INTO h SELECT g, rows_of_h() FROM generate_series(1, 2) g;
INSERT INTO h1 SELECT g, rows_of_h(), g FROM generate_series(1, 2) g RETURNING *, rows_of_h();
INSERT INTO h2 SELECT g, rows_of_h(), g FROM generate_series(1, 2) g;
INSERT INTO h11 SELECT 1, rows_of_h(), g, (SELECT count(*) FROM h1) FROM generate_series(1, 2) g;
INSERT INTO h SELECT k + 100, v FROM h;
INSERT INTO h SELECT k + 100, v FROM h WHERE tableoid = 'h2'::regclass AND rows_of_h() > 0;
INSERT INTO h1 SELECT k + 10, v FROM ONLY h WHERE k < 100;
INSERT INTO h1 VALUES (3, rows_of_h(), 1), (1, '', 1);
SELECT tableoid::regclass, * FROM h ORDER BY k, v;
UPDATE h SET v = v || ' ' || rows_of_h() WHERE k < 10 RETURNING tableoid::regclass, *;
UPDATE h SET k = k + 1000 WHERE k < 3 AND rows_of_h() > 0 AND tableoid <> 'h11'::regclass RETURNING tableoid::regclass, k;
UPDATE h SET k = 1001 WHERE k = 1002;
UPDATE h1 SET v = 'up', a = 5 FROM h WHERE h.k = h1.k AND h.tableoid = 'h2'::regclass RETURNING h1.tableoid::regclass, h1.*, h.*;
UPDATE ONLY h SET v = 'only' WHERE k > 1000;
DELETE FROM h WHERE k > 1000 AND rows_of_h() > 3 RETURNING tableoid::regclass, k;
CREATE FUNCTION say_h() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '% % % %: % rows', tg_table_name, tg_when, tg_op, CASE WHEN tg_op = 'DELETE' THEN OLD ELSE NEW END, rows_of_h();
	RETURN CASE WHEN tg_op = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER b BEFORE INSERT OR UPDATE OR DELETE ON h1 FOR EACH ROW EXECUTE FUNCTION say_h();
CREATE TRIGGER a AFTER INSERT OR UPDATE OR DELETE ON h FOR EACH ROW EXECUTE FUNCTION say_h();
CREATE TRIGGER a AFTER INSERT OR UPDATE OR DELETE ON h11 FOR EACH ROW EXECUTE FUNCTION say_h();
INSERT INTO h VALUES (5, 'a'), (6, 'b');
INSERT INTO h1 VALUES (5, 'a'), (6, 'b');
INSERT INTO h11 VALUES (5, 'a'), (5, 'b');
UPDATE h SET v = v || rows_of_h() WHERE k = 5;
COPY h1 (k, v) FROM STDIN;
7	c
8	d
\.
DELETE FROM h WHERE k = 5;
DELETE FROM h WHERE k BETWEEN 6 AND 8;
UPDATE h SET v = 'same' WHERE k < 20 AND EXISTS (SELECT FROM h2 WHERE h2.k = h.k - 1000);
SELECT tableoid::regclass, * FROM h ORDER BY k, v, 1;
SELECT count(*) FROM ONLY h1;
TRUNCATE h1;
SELECT tableoid::regclass, count(*) FROM h GROUP BY 1 ORDER BY 1::text;
CREATE TABLE hp (k int NOT NULL, v text);
ALTER FOREIGN TABLE h INHERIT hp;
UPDATE hp SET v = rows_of_h() RETURNING tableoid::regclass, *;
DELETE FROM hp USING h2 WHERE h2.k = hp.k RETURNING hp.tableoid::regclass, hp.*, h2.*;

-- No key: nothing conflicts, all is seen.
CREATE FOREIGN TABLE n (k int, v text) SERVER nvmkv;
CREATE FUNCTION rows_of_n() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM n';
INSERT INTO n SELECT g, rows_of_n() FROM generate_series(1, 3) g;
INSERT INTO n SELECT g, 'x' FROM generate_series(1, 3) g;
INSERT INTO n SELECT * FROM n;
UPDATE n SET v = v || rows_of_n() WHERE k = 1;
DELETE FROM n WHERE k = 2 AND rows_of_n() > 10;
SELECT * FROM n ORDER BY k, v;

-- Cursors that were opened within the statement.
CREATE FUNCTION fetched(int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	c refcursor := 'ownrows_cursor';
	r record;
BEGIN
	IF $1 = 1 THEN
		OPEN c FOR SELECT k FROM t ORDER BY k;
		MOVE ABSOLUTE 0 FROM c;
	END IF;
	FETCH c INTO r;
	RETURN r.k;
END $$;
INSERT INTO t VALUES (1, 'a'), (2, 'b');
BEGIN;
INSERT INTO t SELECT 10 + g, fetched(g) FROM generate_series(1, 2) g;
COMMIT;
SELECT * FROM t ORDER BY k;

-- Scans from within the statement that are still open when it writes the next row: it is not seen, nor is what it removes missed.
TRUNCATE t;
INSERT INTO t SELECT g, 'x' FROM generate_series(1, 100) g;
CREATE FUNCTION all_k() RETURNS SETOF int LANGUAGE sql AS 'SELECT k FROM t';
INSERT INTO t SELECT all_k() + 1000, 'y';
SELECT v, count(*), min(k), max(k) FROM t GROUP BY 1 ORDER BY 1;
CREATE FUNCTION next_k(int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	c refcursor := 'ownrows_next';
	r record;
BEGIN
	IF $1 = 1 THEN
		OPEN c FOR SELECT k FROM t;
	END IF;
	FETCH c INTO r;
	RETURN r.k;
END $$;
BEGIN;
INSERT INTO t SELECT coalesce(5000 + next_k(g), -g), 'z' FROM generate_series(1, 205) g;
COMMIT;
SELECT v, count(*), min(k), max(k) FROM t GROUP BY 1 ORDER BY 1;
DELETE FROM t WHERE k < 0;
BEGIN;
DELETE FROM t WHERE k BETWEEN 1 AND 50 AND next_k(k) IS NOT NULL;
FETCH 5 FROM ownrows_next;
COMMIT;
BEGIN;
UPDATE t SET v = v || next_k(k - 50) WHERE k BETWEEN 51 AND 100;
SELECT v, count(*) FROM t WHERE k BETWEEN 51 AND 100 AND v <> 'x' || k GROUP BY v;
COMMIT;

\set VERBOSITY default
SET client_min_messages = warning;
DROP SCHEMA ownrows_test CASCADE;
