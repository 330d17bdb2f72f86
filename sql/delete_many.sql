-- DELETE of many rows, which the scan itself does in batches.  Heap tables say the same (scripts/heap_twin.sh).
\set VERBOSITY default
CREATE FOREIGN TABLE b (k int NOT NULL, a int, t text) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE d (k int, a int, t text) SERVER nvmkv;
CREATE INDEX b_a ON b (a);
CREATE UNIQUE INDEX b_t ON b (lower(t)) WHERE a > 100;
CREATE INDEX d_a ON d (a) INCLUDE (t);
CREATE FUNCTION fill(n int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM b;
	DELETE FROM d;
	INSERT INTO b SELECT g, g * 7 % 1000, 'Row ' || g FROM generate_series(1, n) g;
	INSERT INTO d SELECT * FROM b;
END $$;
CREATE VIEW sums AS SELECT 'b' AS of, count(*) AS rows, sum(k) AS k, sum(a) AS a, count(t) AS t FROM b UNION ALL SELECT 'd', count(*), sum(k), sum(a), count(t) FROM d;
CREATE FUNCTION deleted(statement text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE n int;
BEGIN
	EXECUTE statement;
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END $$;

-- none, one, what ends with a batch, and what does not
SELECT fill(1000);
SELECT n, deleted('DELETE FROM b WHERE k <= ' || n), deleted('DELETE FROM d WHERE k <= ' || n) FROM unnest(ARRAY[0, 1, 2, 65, 66, 129, 130, 200, 391, 391]) n;
SELECT * FROM sums;
SELECT deleted('DELETE FROM b'), deleted('DELETE FROM d');
SELECT deleted('DELETE FROM b'), deleted('DELETE FROM d');
SELECT * FROM sums;

-- by ranges, lists, indexes, conditions of all kinds, with rows that are not meant in between
SELECT fill(1000);
SELECT c, deleted('DELETE FROM b WHERE ' || c), deleted('DELETE FROM d WHERE ' || c)
	FROM unnest(ARRAY['k BETWEEN 100 AND 300 AND k % 3 = 0', 'a < 50', 'a IN (51, 58, 65, 700) AND t LIKE ''Row %''', 'k IN (1, 2, 999, 5000)',
		'a BETWEEN 900 AND 950 OR k = 77', 't IS NULL', 'k = ANY (ARRAY[400, 401, NULL])', 'lower(t) = ''row 555''',
		'k > (SELECT max(k) - 5 FROM b)', 'EXISTS (SELECT FROM d d2 WHERE d2.k = 500) AND k < 20', 'false', 'k IS NULL', 'length(t) < 6']) c;
SELECT * FROM sums;
SELECT count(*), sum(k) FROM b WHERE a BETWEEN 0 AND 2000;
SELECT count(*), min(t), max(t) FROM d WHERE a BETWEEN 0 AND 2000;

-- the command's tag, and that of a rule
SELECT fill(200);
CREATE TABLE plain (k int) USING heap;
INSERT INTO plain VALUES (1), (2);
CREATE RULE also AS ON DELETE TO plain DO ALSO DELETE FROM b WHERE k <= 100;
\set QUIET off
DELETE FROM b WHERE k > 190;
DELETE FROM plain;
\set QUIET on
SELECT * FROM sums;
DROP TABLE plain;

-- what the same transaction has inserted, updated, moved, locked, and deleted before
BEGIN;
SELECT fill(200);
INSERT INTO b SELECT g, g, 'new ' || g FROM generate_series(201, 300) g;
UPDATE b SET a = a + 1 WHERE k % 2 = 0;
UPDATE b SET k = k + 1000 WHERE k % 10 = 0;
SELECT count(*) FROM (SELECT k FROM b WHERE k < 50 FOR UPDATE) s;
DELETE FROM b WHERE k = 33;
SELECT deleted('DELETE FROM b WHERE k BETWEEN 20 AND 250');
SELECT * FROM sums;
COMMIT;
SELECT * FROM sums;

-- all or nothing, with a savepoint, with an exception block, with an error behind rows that were deleted
SELECT fill(300);
DELETE FROM b WHERE 100 / (k - 250) < 1000;
DELETE FROM d WHERE 100 / (k - 250) < 1000;
SELECT * FROM sums;
BEGIN;
DELETE FROM b WHERE k <= 50;
SAVEPOINT s;
DELETE FROM b WHERE k <= 150;
DELETE FROM d WHERE k <= 150;
SELECT * FROM sums;
ROLLBACK TO s;
SELECT * FROM sums;
DELETE FROM b WHERE k <= 60;
COMMIT;
DO $$
BEGIN
	DELETE FROM b WHERE k <= 100;
	DELETE FROM b WHERE 1 / (k - 200) < 10;
EXCEPTION WHEN division_by_zero THEN
	RAISE NOTICE '% rows', (SELECT count(*) FROM b);
END $$;
SELECT * FROM sums;

-- functions that look at the table while it is done: what is stable sees none of it, what is volatile all that came before
SELECT fill(300);
CREATE FUNCTION seen() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT count(*) FROM b';
CREATE FUNCTION seen_now() RETURNS bigint VOLATILE LANGUAGE sql AS 'SELECT count(*) FROM b';
SELECT deleted('DELETE FROM b WHERE seen() = 300 AND k <= 100');
SELECT deleted('DELETE FROM b WHERE seen() + k > 290 AND k < 250 ');
SELECT fill(300);
SELECT deleted('DELETE FROM b WHERE seen_now() > 100');
SELECT * FROM sums;

-- cursors keep what they see, and WHERE CURRENT OF meets rows that are gone
SELECT fill(300);
BEGIN;
DECLARE c CURSOR FOR SELECT k FROM b WHERE k <= 150;
MOVE 50 IN c;
SELECT deleted('DELETE FROM b WHERE k <= 100');
DELETE FROM b WHERE CURRENT OF c;
FETCH 1 FROM c;
DELETE FROM b WHERE CURRENT OF c;
MOVE 70 IN c;
FETCH 2 FROM c;
DELETE FROM b WHERE CURRENT OF c;
SELECT count(*) FROM b;
COMMIT;

-- triggers, and foreign keys: rows are looked at one by one
SELECT fill(100);
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '% % % %', TG_OP, TG_WHEN, TG_LEVEL, (SELECT count(*) FROM b);
	IF TG_LEVEL = 'ROW' AND OLD.k = 2 THEN
		RETURN NULL;
	END IF;
	RETURN OLD;
END $$;
CREATE TRIGGER s1 BEFORE DELETE ON b FOR EACH STATEMENT EXECUTE FUNCTION tell();
CREATE TRIGGER s2 AFTER DELETE ON b FOR EACH STATEMENT EXECUTE FUNCTION tell();
SELECT deleted('DELETE FROM b WHERE k > 10');
CREATE TRIGGER r1 BEFORE DELETE ON b FOR EACH ROW EXECUTE FUNCTION tell();
SELECT deleted('DELETE FROM b WHERE k < 4');
DROP TRIGGER r1 ON b;
CREATE TRIGGER r2 AFTER DELETE ON b FOR EACH ROW EXECUTE FUNCTION tell();
SELECT deleted('DELETE FROM b WHERE k < 5');
DROP TRIGGER r2 ON b;
DROP TRIGGER s1 ON b;
DROP TRIGGER s2 ON b;
CREATE FOREIGN TABLE child (k int NOT NULL, p int) SERVER nvmkv OPTIONS (primary_key 'k');
ALTER TABLE child ADD CONSTRAINT child_p FOREIGN KEY (p) REFERENCES b ON DELETE CASCADE;
INSERT INTO child SELECT k, k FROM b WHERE k > 6;
SELECT deleted('DELETE FROM b WHERE k < 9');
SELECT * FROM child ORDER BY k;
SELECT deleted('DELETE FROM child WHERE k < 10');
SELECT * FROM child ORDER BY k;
DROP FOREIGN TABLE child;

-- prepared, with plans that are kept while functions and indexes change
SELECT fill(300);
PREPARE p (int, int) AS DELETE FROM b WHERE k BETWEEN $1 AND $2;
SET plan_cache_mode = force_generic_plan;
EXECUTE p (1, 70);
CREATE INDEX b_more ON b (a DESC, t);
EXECUTE p (71, 140);
SELECT count(*) FROM b WHERE a >= 0;
DROP INDEX b_more;
EXECUTE p (141, 200);
EXECUTE p (200, 100);
RESET plan_cache_mode;
SELECT * FROM sums;

-- views with conditions, security barriers, WITH, joins, RETURNING
SELECT fill(300);
CREATE VIEW few AS SELECT k, t FROM b WHERE a < 500;
SELECT deleted('DELETE FROM few WHERE k > 150');
CREATE FUNCTION leaks(int) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN RETURN 100 / ($1 - 149) < 1000; END $$ IMMUTABLE;
CREATE VIEW hidden WITH (security_barrier) AS SELECT k, t FROM b WHERE k % 149 > 1;
SELECT deleted('DELETE FROM hidden WHERE leaks(k) AND k > 140');
SELECT deleted('DELETE FROM b WHERE leaks(k) AND k > 140');
SELECT * FROM sums;
WITH gone AS (DELETE FROM b WHERE k < 30) DELETE FROM b WHERE k BETWEEN 20 AND 40;
WITH gone AS (DELETE FROM d WHERE k < 30 RETURNING k) DELETE FROM b WHERE k IN (SELECT k + 50 FROM gone);
DELETE FROM b USING d WHERE b.k = d.k AND d.a < 300;
DELETE FROM d WHERE k NOT IN (SELECT k FROM b);
SELECT * FROM sums;
DROP VIEW few, hidden;

-- partitions of both kinds, and children
CREATE TABLE part (k int, v int) PARTITION BY RANGE (k);
CREATE FOREIGN TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (100) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE TABLE part2 PARTITION OF part FOR VALUES FROM (100) TO (200);
CREATE FOREIGN TABLE part3 PARTITION OF part FOR VALUES FROM (200) TO (300) SERVER nvmkv OPTIONS (primary_key 'k');
INSERT INTO part SELECT g, g FROM generate_series(0, 299) g;
SELECT deleted('DELETE FROM part WHERE v % 3 = 0');
SELECT deleted('DELETE FROM part WHERE k BETWEEN 90 AND 210');
SELECT deleted('DELETE FROM part WHERE k = 250');
SELECT tableoid::regclass, count(*), sum(k) FROM part GROUP BY 1 ORDER BY 1;
DROP TABLE part;
CREATE TABLE parent (k int, v int);
CREATE FOREIGN TABLE kid (more int) INHERITS (parent) SERVER nvmkv;
INSERT INTO parent SELECT g, g FROM generate_series(1, 10) g;
INSERT INTO kid SELECT g, g FROM generate_series(1, 200) g;
SELECT deleted('DELETE FROM parent WHERE v BETWEEN 5 AND 150');
SELECT tableoid::regclass, count(*) FROM parent GROUP BY 1 ORDER BY 1;
DROP FOREIGN TABLE kid;
DROP TABLE parent;

DROP VIEW sums;
DROP FOREIGN TABLE b, d;
DROP FUNCTION fill, deleted, seen, seen_now, tell, leaks;
