-- Rows that a plan has found and then changes: what has come to them in between, within the statement.  Values that
-- are to be unique, there or gone.  Heap tables say the same (scripts/heap_twin.sh).
\set VERBOSITY terse
CREATE FOREIGN TABLE f (k int NOT NULL, a int, t text) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE INDEX f_a ON f (a);
CREATE TABLE twice (k int, n int) USING heap;
INSERT INTO twice SELECT g / 2, g FROM generate_series(2, 401) g;
ANALYZE twice;
CREATE VIEW sums AS SELECT count(*) AS rows, sum(k) AS k, sum(a) AS a, count(t) AS t FROM f;
INSERT INTO f SELECT g, g * 7 % 1000, 'Row ' || g FROM generate_series(1, 600) g;
ANALYZE f;
CREATE FUNCTION changed(statement text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE n int;
BEGIN
	EXECUTE statement;
	GET DIAGNOSTICS n = ROW_COUNT;
	RETURN n;
END $$;

-- met twice, by joins of all kinds: the first time counts
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT changed('UPDATE f SET a = a + 1 FROM twice WHERE f.k = twice.k');
SELECT changed('DELETE FROM f USING twice WHERE f.k = twice.k AND f.k <= 20');
RESET enable_mergejoin;
SET enable_nestloop = off;
SELECT changed('UPDATE f SET a = a + 1 FROM twice WHERE f.k = twice.k');
SELECT changed('DELETE FROM f USING twice WHERE f.k = twice.k AND f.k <= 40');
RESET enable_hashjoin;
SET enable_mergejoin = off;
SELECT changed('UPDATE f SET a = a + 1 FROM twice WHERE f.k = twice.k');
SELECT changed('DELETE FROM f USING twice WHERE f.k = twice.k AND f.k <= 60');
RESET enable_mergejoin;
RESET enable_nestloop;
SELECT * FROM sums;

-- changed by what the statement calls, before the plan comes to them
CREATE FUNCTION meddle(i int, statement text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	IF i = 100 THEN
		EXECUTE statement;
	END IF;
	RETURN i;
END $$;
UPDATE f SET a = meddle(k, 'UPDATE f SET a = -1 WHERE k = 105') WHERE k BETWEEN 90 AND 110;
UPDATE f SET a = meddle(k, 'DELETE FROM f WHERE k = 105') WHERE k BETWEEN 90 AND 110;
UPDATE f SET a = meddle(k, 'UPDATE f SET k = 2000 WHERE k = 105') WHERE k BETWEEN 90 AND 110;
UPDATE f SET a = meddle(k, 'UPDATE f SET a = -2 WHERE k = 95') WHERE k BETWEEN 90 AND 110;
UPDATE f SET a = meddle(k, 'SELECT FROM f WHERE k BETWEEN 95 AND 105 FOR UPDATE') WHERE k BETWEEN 90 AND 110;
SELECT k, a FROM f WHERE k BETWEEN 94 AND 106 ORDER BY k;
DELETE FROM f WHERE meddle(k, 'UPDATE f SET a = -3 WHERE k = 105') BETWEEN 98 AND 106;
DELETE FROM f WHERE meddle(k, 'DELETE FROM f WHERE k = 105') BETWEEN 98 AND 106 RETURNING k, a;
DELETE FROM f WHERE meddle(k, 'SELECT FROM f WHERE k = 103 FOR SHARE') BETWEEN 98 AND 103 RETURNING k, a;
SELECT * FROM sums;

-- what the same transaction has done before, rolled back or not
BEGIN;
UPDATE f SET a = a + 1 WHERE k BETWEEN 200 AND 220;
SAVEPOINT s;
UPDATE f SET a = a + 1000 WHERE k BETWEEN 205 AND 230;
DELETE FROM f WHERE k BETWEEN 228 AND 240;
ROLLBACK TO s;
UPDATE f SET a = a + 1 WHERE k BETWEEN 210 AND 240 RETURNING k, a;
SAVEPOINT s;
UPDATE f SET a = 1 / (k - 235) WHERE k BETWEEN 225 AND 245;
ROLLBACK TO s;
UPDATE f SET a = a + 1, k = k + 1000 WHERE k BETWEEN 225 AND 235;
UPDATE f SET a = a + 1 WHERE k > 220;
COMMIT;
SELECT * FROM sums;
SELECT count(*), sum(a) FROM f WHERE a BETWEEN -10 AND 5000;

-- a row trigger that looks at the table, and one that changes it
CREATE FUNCTION looks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.t := (SELECT count(*) FROM f WHERE a = 0 AND k BETWEEN 300 AND 310)::text;
	RETURN NEW;
END $$;
CREATE TRIGGER looks BEFORE UPDATE ON f FOR EACH ROW EXECUTE FUNCTION looks();
UPDATE f SET a = 0 WHERE k BETWEEN 300 AND 310 RETURNING k, t;
DROP TRIGGER looks ON f;
CREATE FUNCTION changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE f SET a = a + 1 WHERE k = OLD.k + 1;
	RETURN NEW;
END $$;
CREATE TRIGGER changes BEFORE UPDATE OF t ON f FOR EACH ROW EXECUTE FUNCTION changes();
UPDATE f SET t = 'x' WHERE k BETWEEN 300 AND 310;
DROP TRIGGER changes ON f;
CREATE TRIGGER changes AFTER UPDATE OF t ON f FOR EACH ROW EXECUTE FUNCTION changes();
UPDATE f SET t = 'x' WHERE k BETWEEN 300 AND 310;
SELECT k, a, t FROM f WHERE k BETWEEN 299 AND 312 ORDER BY k;
DROP TRIGGER changes ON f;

-- through a cursor, forwards over rows that change behind and before it
DO $$
DECLARE
	c CURSOR FOR SELECT k, a FROM f WHERE k BETWEEN 400 AND 450 ORDER BY k;
	r record;
BEGIN
	FOR r IN c LOOP
		IF r.k % 5 = 0 THEN
			UPDATE f SET a = a + 10000 WHERE CURRENT OF c;
		ELSIF r.k % 5 = 1 THEN
			DELETE FROM f WHERE CURRENT OF c;
		ELSIF r.k % 5 = 2 THEN
			UPDATE f SET a = -5 WHERE k = r.k + 1;
		ELSE
			UPDATE f SET t = 'now ' || r.a WHERE CURRENT OF c;
		END IF;
	END LOOP;
END $$;
SELECT k, a, t FROM f WHERE k BETWEEN 400 AND 420 ORDER BY k;

-- rows that a deferred key points to
CREATE FOREIGN TABLE r (k int NOT NULL, f int) SERVER nvmkv OPTIONS (primary_key 'k');
ALTER TABLE r ADD CONSTRAINT r_f FOREIGN KEY (f) REFERENCES f (k) DEFERRABLE INITIALLY DEFERRED;
INSERT INTO r SELECT g, g FROM generate_series(500, 510) g;
BEGIN;
DELETE FROM f WHERE k BETWEEN 505 AND 515;
SELECT * FROM sums;
INSERT INTO f SELECT g, g, 'again' FROM generate_series(505, 510) g;
COMMIT;
BEGIN;
DELETE FROM f USING twice WHERE f.k = twice.k + 350 AND f.k BETWEEN 505 AND 515;
COMMIT;
SELECT * FROM sums;
DROP FOREIGN TABLE r;

-- values that are to be unique: part of another one, rolled back, deleted, moved to another row
CREATE FOREIGN TABLE u (k int NOT NULL, a text, b text) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE UNIQUE INDEX u_a ON u (a);
CREATE UNIQUE INDEX u_ab ON u (b, a);
INSERT INTO u VALUES (1, 'ab', 'x'), (2, 'a', 'x'), (3, '', 'x'), (4, 'abc', 'x'), (5, NULL, 'x'), (6, NULL, 'x');
INSERT INTO u VALUES (7, 'ab', 'y');
INSERT INTO u VALUES (7, 'a', 'y');
INSERT INTO u VALUES (7, '', 'y');
INSERT INTO u VALUES (7, 'b', 'x'), (8, 'b', 'y');
BEGIN;
INSERT INTO u VALUES (7, 'b', 'x');
SAVEPOINT s;
INSERT INTO u VALUES (8, 'c', 'x');
ROLLBACK TO s;
INSERT INTO u VALUES (9, 'c', 'x');
DELETE FROM u WHERE a = 'b';
INSERT INTO u VALUES (8, 'b', 'x');
INSERT INTO u VALUES (10, 'b', 'z');
ROLLBACK;
INSERT INTO u VALUES (11, 'b', 'x'), (12, 'c', 'x');
DELETE FROM u WHERE a = 'c';
INSERT INTO u VALUES (13, 'c', 'y');
UPDATE u SET a = 'd' WHERE k = 13;
INSERT INTO u VALUES (14, 'c', 'y');
INSERT INTO u VALUES (15, 'd', 'y');
INSERT INTO u SELECT 100 + g, 'v' || g, 'x' FROM generate_series(1, 300) g;
INSERT INTO u SELECT 500 + g, 'v' || g + 299, 'x' FROM generate_series(1, 300) g;
INSERT INTO u SELECT 500 + g, 'v' || g + 300, 'x' FROM generate_series(1, 300) g;
SELECT count(*), count(a), count(DISTINCT a), sum(k) FROM u;

DROP FOREIGN TABLE f, u CASCADE;
DROP TABLE twice;
DROP FUNCTION changed, meddle, looks, changes;
