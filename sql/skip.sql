-- Conditions behind key columns that have none: the same answers as a heap table's, and how they are found.
CREATE SCHEMA skip_test;
SET search_path = skip_test, public;

CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE h (a int, b int, c int, v text, PRIMARY KEY (a, b, c));
CREATE FOREIGN TABLE n (a int, b int, c int, v text) SERVER nvmkv OPTIONS (primary_key 'a, b DESC, c');
CREATE TABLE h2 (m mood, t text, n int, d date, x numeric);
CREATE FOREIGN TABLE n2 (m mood, t text, n int, d date, x numeric) SERVER nvmkv;
CREATE INDEX n2_m_t_n ON n2 (m, t DESC NULLS LAST, n NULLS FIRST) INCLUDE (x);
CREATE INDEX n2_t_d ON n2 ((t || '!'), d) WHERE n > 1;
CREATE FOREIGN TABLE n3 (a boolean, b text COLLATE "C", c float8, d int) SERVER nvmkv OPTIONS (primary_key 'a DESC, b, c DESC, d');

\getenv abs_srcdir PG_ABS_SRCDIR
\set answers :abs_srcdir '/sql/include/answers.sql'
\set ECHO none
\i :answers
\set ECHO all

CREATE FUNCTION look(query text, OUT rows text, OUT found_by text) LANGUAGE sql AS $$
	SELECT alike(query), way(replace(query, '@', 'n'));
$$;

CALL twice('INSERT INTO @ SELECT g % 5, g / 5 % 40, g, g FROM generate_series(1, 2000) g');
CALL twice('INSERT INTO @2 SELECT (ARRAY[''sad'', ''ok'', ''happy'']::mood[])[g % 4 + 1], (ARRAY[''a'', ''b'', ''''])[g % 4 + 1],
	nullif(g % 50, 7), date ''2020-01-01'' + g, g / 3.0 FROM generate_series(1, 2000) g');
INSERT INTO n3 SELECT g % 2 = 0, (ARRAY['x', 'y', ''])[g % 3 + 1], g % 7 / 2.0, g FROM generate_series(1, 2000) g;
ANALYZE h, n, h2, n2, n3;
ALTER TABLE n SET (autovacuum_enabled = off);

-- The planner does not know of these: values of "a" with one row each, and with some.
CALL twice('INSERT INTO @ SELECT 1000 + g, g % 40, g, g FROM generate_series(1, 100) g');
CALL twice('INSERT INTO @ SELECT -g % 7, g % 40, g, g FROM generate_series(3000, 3200) g');

SELECT * FROM look('SELECT * FROM @ WHERE b = 7');
SELECT * FROM look('SELECT * FROM @ WHERE b = 7 ORDER BY a, b DESC, c');
SELECT * FROM look('SELECT * FROM @ WHERE b = 7 ORDER BY a DESC, b, c DESC');
SELECT * FROM look('SELECT * FROM @ WHERE b > 37');
SELECT * FROM look('SELECT * FROM @ WHERE b > 37 ORDER BY a DESC, b, c DESC');
SELECT * FROM look('SELECT * FROM @ WHERE b BETWEEN 3 AND 4 AND a BETWEEN 1 AND 3');
SELECT * FROM look('SELECT * FROM @ WHERE b IN (3, 30, 99) AND a > 2 AND c > 500');
SELECT alike('SELECT * FROM @ WHERE b = ANY (ARRAY[39, 0, 5]) ORDER BY a DESC, b, c DESC');
SELECT * FROM look('SELECT * FROM @ WHERE b = 7 AND c = 1037');
SELECT alike('SELECT * FROM @ WHERE b = 7 AND c IN (1037, 1038, 38) ORDER BY a, b DESC, c');
SELECT alike('SELECT * FROM @ WHERE b = 7 AND c IN (1037, 1038, 38) ORDER BY a DESC, b, c DESC');
SELECT * FROM look('SELECT * FROM @ WHERE (b, c) < (1, 30)');
SELECT * FROM look('SELECT * FROM @ WHERE a IN (1, 4) AND c BETWEEN 500 AND 520');
SELECT * FROM look('SELECT * FROM @ WHERE b = 1000');
SELECT * FROM look('SELECT * FROM @ WHERE b = 7 AND a = 2050');
SELECT alike('SELECT * FROM @ WHERE b = 7 AND b = 8');
SELECT * FROM look('SELECT * FROM @ WHERE b = 1 OR (a = 2 AND b = 3)');
SELECT * FROM look('SELECT min(a), max(a) FROM @ WHERE b = 7');
SELECT * FROM look('SELECT a FROM @ WHERE b = 7 ORDER BY a LIMIT 3');
SELECT * FROM look('SELECT x.c, y.c FROM @ AS x JOIN @ AS y ON x.c = y.c WHERE x.b = 3 AND y.b = 3');
SELECT * FROM look('SELECT s, (SELECT count(*) FROM @ WHERE b = s) FROM generate_series(-1, 41, 7) AS s');

-- Entries of indexes: NULLs, columns whose order is not that of their bytes, expressions.
SELECT * FROM look('SELECT m, t, n, x FROM @2 WHERE t = ''b'' AND n = 3');
SELECT * FROM look('SELECT m, t, n FROM @2 WHERE n = 8');
SELECT * FROM look('SELECT m, t, n, d FROM @2 WHERE n = 8');
SELECT * FROM look('SELECT m, t, n, d FROM @2 WHERE n IS NULL');
SELECT * FROM look('SELECT m, t, n, d FROM @2 WHERE t IS NULL AND n > 45');
SELECT * FROM look('SELECT m, t, n, d FROM @2 WHERE t IS NULL AND n IS NULL');
SELECT * FROM look('SELECT m, t, n FROM @2 WHERE m = ''happy'' AND n < 2');
SELECT alike('SELECT m, t, n, d FROM @2 WHERE d = ''2021-01-01'' AND n > 1');
SELECT alike('SELECT m, t, n, d FROM @2 WHERE d BETWEEN ''2021-01-01'' AND ''2021-01-10'' AND n > 1');

-- Several columns are skipped.
CREATE TABLE h3_twin AS SELECT * FROM n3;
SELECT way('SELECT * FROM n3 WHERE d = 77'), count(*), min(b), min(c) FROM n3 WHERE d = 77;
SELECT way('SELECT * FROM n3 WHERE c = 1.5 AND d < 60'), count(*), sum(d),
	(SELECT sum(d) = sum(n3.d) FROM h3_twin WHERE c = 1.5 AND d < 60) FROM n3 WHERE c = 1.5 AND d < 60;
SELECT way('SELECT * FROM n3 WHERE b = ''y'' AND d < 60'), count(*), sum(d),
	(SELECT sum(d) = sum(n3.d) FROM h3_twin WHERE b = 'y' AND d < 60) FROM n3 WHERE b = 'y' AND d < 60;

-- What this transaction has written, savepoints, deleted rows, cursors; then the same where it was flushed and compacted.
CREATE PROCEDURE check_all() LANGUAGE plpgsql AS $$
DECLARE
	condition text;
	said text;
BEGIN
	FOREACH condition IN ARRAY ARRAY['b = 5', 'b = 5 AND a < 3', 'b IN (1, 5, 9)', 'b > 30 AND a BETWEEN 1 AND 2', 'b = 5 AND c > 900',
		'b < 2', 'a = 1 AND c IN (6, 206, 406, 500)', 'b = 5 AND c = ANY (ARRAY[25, 26, 27])', '(b, c) >= (39, 1000)'] LOOP
		FOREACH said IN ARRAY ARRAY[alike('SELECT * FROM @ WHERE ' || condition), alike('SELECT * FROM @ WHERE ' || condition ||
			' ORDER BY a, b DESC, c'), alike('SELECT * FROM @ WHERE ' || condition || ' ORDER BY a DESC, b, c DESC')] LOOP
			IF said ~ 'here' THEN
				RAISE WARNING '%: %', condition, said;
			END IF;
		END LOOP;
	END LOOP;
END $$;

CALL check_all();
BEGIN;
CALL twice('INSERT INTO @ SELECT 100 + g % 3, g % 40, 10000 + g, g FROM generate_series(1, 300) g');
SAVEPOINT s;
CALL twice('DELETE FROM @ WHERE a IN (1, 3) OR b = 9');
CALL twice('UPDATE @ SET b = 5 WHERE b = 6');
CALL check_all();
ROLLBACK TO s;
CALL check_all();
CALL twice('UPDATE @ SET a = a + 50 WHERE b = 5 AND a = 2');
CALL check_all();
COMMIT;
CALL check_all();
SELECT nvmkv.flush();
CALL check_all();
CALL twice('DELETE FROM @ WHERE a = 4');
CALL check_all();
SELECT nvmkv.compact();
CALL check_all();

BEGIN;
DECLARE forth SCROLL CURSOR FOR SELECT a, b, c FROM n WHERE b = 3 AND c < 120 ORDER BY a, b DESC, c;
FETCH 3 FROM forth;
FETCH BACKWARD 2 FROM forth;
FETCH LAST FROM forth;
MOVE ABSOLUTE 0 IN forth;
FETCH 2 FROM forth;
COMMIT;

-- Values that come later, by parameters and from another table; NULL among them.
PREPARE later(int, int[]) AS SELECT count(*), sum(c) FROM n WHERE b = $1 AND c <> ALL ($2);
SET plan_cache_mode = force_generic_plan;
EXECUTE later(5, '{}');
EXECUTE later(NULL, '{}');
EXECUTE later(7, '{37, NULL}');
SELECT way('EXECUTE later(5, ''{}'')');
RESET plan_cache_mode;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_material = off;
SET enable_memoize = off;
SELECT * FROM look('SELECT x.s, y.a, y.c FROM (VALUES (1), (NULL), (39), (77), (1)) AS x (s) JOIN @ AS y ON y.b = x.s');
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_material;
RESET enable_memoize;

-- In parallel.
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET min_parallel_index_scan_size = 0;
SET enable_seqscan = off;
CALL check_all();
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET min_parallel_index_scan_size;
RESET enable_seqscan;

-- A column with a value for each row is not skipped: that would be more work than to read all.
CREATE FOREIGN TABLE unlike (a int, b int) SERVER nvmkv OPTIONS (primary_key 'a, b');
INSERT INTO unlike SELECT g, g % 10 FROM generate_series(1, 2000) g;
ANALYZE unlike;
SELECT way('SELECT * FROM unlike WHERE b = 3'), count(*) FROM unlike WHERE b = 3;

SET client_min_messages = warning;
DROP SCHEMA skip_test CASCADE;
