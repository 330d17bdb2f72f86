--
-- Unique constraints and primary keys that are checked at the end of the statement or transaction.  The expected output is a
-- heap table's (scripts/heap_twin.sh).
--
CREATE FOREIGN TABLE t (k int PRIMARY KEY, a int CONSTRAINT soon UNIQUE DEFERRABLE, b text CONSTRAINT late UNIQUE DEFERRABLE INITIALLY DEFERRED) SERVER nvmkv;
SELECT conname, condeferrable, condeferred, indimmediate, pg_get_constraintdef(c.oid) FROM pg_constraint AS c JOIN pg_index ON indexrelid = conindid WHERE conrelid = 't'::regclass ORDER BY 1;
SELECT tgname ~ '^Unique_Constraint', tgdeferrable, tginitdeferred, tgisinternal FROM pg_trigger WHERE tgrelid = 't'::regclass ORDER BY 3;
INSERT INTO t SELECT i, i, 'v' || i FROM generate_series(1, 5) AS i;

-- at the end of the statement
UPDATE t SET a = a + 1;
UPDATE t SET a = 8 - a;
UPDATE t SET a = 3 WHERE k = 1;
UPDATE t SET a = CASE a WHEN 2 THEN 3 WHEN 3 THEN 2 ELSE a END;
INSERT INTO t VALUES (6, 2, 'v6');
INSERT INTO t VALUES (6, 60, 'v6'), (7, 60, 'v7');
INSERT INTO t VALUES (6, NULL, NULL), (7, NULL, NULL);
WITH gone AS (DELETE FROM t WHERE k = 6 RETURNING k) INSERT INTO t SELECT 8, 2, 'v8' FROM gone;
COPY t FROM stdin;
8	70	v8
9	70	v9
\.
SELECT * FROM t ORDER BY k;

-- at the end of the transaction
INSERT INTO t VALUES (8, 80, 'v1');
BEGIN;
INSERT INTO t VALUES (8, 80, 'v1');
SELECT k FROM t WHERE b = 'v1' ORDER BY k;
UPDATE t SET b = 'w1' WHERE k = 1;
COMMIT;
BEGIN;
INSERT INTO t VALUES (9, 90, 'v2');
DELETE FROM t WHERE k = 9;
COMMIT;
BEGIN;
INSERT INTO t VALUES (9, 90, 'v2');
UPDATE t SET k = 10 WHERE k = 9;
UPDATE t SET a = 91 WHERE k = 10;
COMMIT;
BEGIN;
INSERT INTO t VALUES (9, 90, 'v2');
UPDATE t SET b = 'v9' WHERE k = 9;
COMMIT;
SELECT * FROM t ORDER BY k;

-- SET CONSTRAINTS
BEGIN;
SET CONSTRAINTS soon DEFERRED;
UPDATE t SET a = 3 WHERE k <= 3;
SELECT count(*) FROM t WHERE a = 3;
SET CONSTRAINTS soon IMMEDIATE;
ROLLBACK;
BEGIN;
SET CONSTRAINTS ALL DEFERRED;
UPDATE t SET a = 3 WHERE k <= 3;
UPDATE t SET a = 100 + k WHERE k <= 3;
SET CONSTRAINTS soon IMMEDIATE;
UPDATE t SET a = 100 WHERE k IN (1, 2);
ROLLBACK;
BEGIN;
SET CONSTRAINTS late IMMEDIATE;
UPDATE t SET b = 'v2' WHERE k = 3;
ROLLBACK;

-- savepoints
BEGIN;
INSERT INTO t VALUES (11, 110, 'v2');
SAVEPOINT s;
UPDATE t SET b = 'v11' WHERE k = 11;
SET CONSTRAINTS late IMMEDIATE;
ROLLBACK TO s;
SET CONSTRAINTS late IMMEDIATE;
ROLLBACK;
BEGIN;
SAVEPOINT s;
INSERT INTO t VALUES (11, 110, 'v2');
ROLLBACK TO s;
INSERT INTO t VALUES (11, 110, 'v11');
COMMIT;
BEGIN;
SAVEPOINT s;
INSERT INTO t VALUES (12, 120, 'v2');
RELEASE s;
COMMIT;
SELECT * FROM t ORDER BY k;

-- while such rows are there
BEGIN;
INSERT INTO t VALUES (12, 120, 'v2');
ALTER TABLE t ADD COLUMN c int;
ROLLBACK;
BEGIN;
INSERT INTO t VALUES (12, 120, 'v2');
TRUNCATE t;
ROLLBACK;
BEGIN;
INSERT INTO t VALUES (12, 120, 'v2');
DROP TABLE t;
ROLLBACK;

-- ON CONFLICT
INSERT INTO t VALUES (1, 1, 'x') ON CONFLICT DO NOTHING;
INSERT INTO t VALUES (1, 1, 'x') ON CONFLICT (a) DO NOTHING;
INSERT INTO t VALUES (1, 1, 'x') ON CONFLICT ON CONSTRAINT late DO UPDATE SET a = 1;
INSERT INTO t VALUES (1, 1, 'x') ON CONFLICT (k) DO NOTHING;
INSERT INTO t VALUES (20, 3, 'x') ON CONFLICT (k) DO NOTHING;
INSERT INTO t VALUES (20, 200, 'x') ON CONFLICT (k) DO NOTHING;
INSERT INTO t VALUES (20, 1, 'x') ON CONFLICT (k) DO UPDATE SET b = 'v3';
INSERT INTO t VALUES (20, 1, 'x') ON CONFLICT (k) DO UPDATE SET b = 'v20';

-- nothing else can be sure of such values
CREATE TABLE other (a int REFERENCES t (a));
SELECT a, count(*), b FROM t GROUP BY a;

-- the primary key
CREATE FOREIGN TABLE p (id int PRIMARY KEY DEFERRABLE, v text) SERVER nvmkv;
CREATE FOREIGN TABLE q (i int, j text, PRIMARY KEY (i, j) INCLUDE (v) DEFERRABLE INITIALLY DEFERRED, v int) SERVER nvmkv;
INSERT INTO p SELECT i, 'v' || i FROM generate_series(1, 5) AS i;
UPDATE p SET id = id + 1;
UPDATE p SET id = 7 - id RETURNING id, v;
INSERT INTO p VALUES (3, 'x');
INSERT INTO p VALUES (NULL, 'x');
INSERT INTO p VALUES (3, 'x') ON CONFLICT DO NOTHING;
SELECT * FROM p WHERE id = 3;
SELECT * FROM p ORDER BY id;
CREATE TABLE other (a int REFERENCES p);
SELECT id, v FROM p GROUP BY id;
BEGIN;
INSERT INTO q VALUES (1, 'a', 1), (1, 'a', 2), (1, 'b', 3);
SELECT * FROM q ORDER BY v;
DELETE FROM q WHERE v = 1;
COMMIT;
INSERT INTO q VALUES (1, 'a', 1);
ALTER TABLE p DROP CONSTRAINT p_pkey;
INSERT INTO p VALUES (3, 'x'), (NULL, 'y');
ALTER TABLE p ADD PRIMARY KEY (id) DEFERRABLE;
DELETE FROM p WHERE v IN ('x', 'y');
ALTER TABLE p ADD PRIMARY KEY (id) DEFERRABLE;
ALTER TABLE p ADD PRIMARY KEY (v);
UPDATE p SET id = id - 1;
ALTER TABLE p ALTER id TYPE bigint;
UPDATE p SET id = id + 1;
SELECT * FROM p ORDER BY id;
REINDEX TABLE p;
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid IN ('p'::regclass, 'q'::regclass) AND contype <> 'n' ORDER BY 1;

-- ALTER TABLE
ALTER TABLE t ADD COLUMN c int CONSTRAINT c_key UNIQUE DEFERRABLE INITIALLY DEFERRED;
CREATE UNIQUE INDEX ab ON t (a, b);
ALTER TABLE t ADD CONSTRAINT ab UNIQUE USING INDEX ab DEFERRABLE;
ALTER TABLE t DROP CONSTRAINT soon;
INSERT INTO t VALUES (30, 3, 'v3');
UPDATE t SET a = 4, b = 'v' WHERE k IN (1, 2);
UPDATE t SET c = 1 WHERE k IN (1, 2);
SELECT conname, condeferrable, condeferred, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 't'::regclass AND contype = 'u' ORDER BY 1;
ALTER TABLE t ADD UNIQUE (c) NOT DEFERRABLE INITIALLY DEFERRED;

-- a statement that another one calls, in the middle of it
CREATE FOREIGN TABLE n (k int PRIMARY KEY, a int UNIQUE DEFERRABLE, v int) SERVER nvmkv;
INSERT INTO n VALUES (1, 1), (2, 2), (3, 3), (11, 11), (12, 12);
CREATE FUNCTION swap() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF OLD.k = 2 THEN
		UPDATE n SET a = CASE a WHEN 11 THEN 12 ELSE 11 END WHERE k > 10;
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER swap BEFORE UPDATE ON n FOR EACH ROW WHEN (OLD.k < 10) EXECUTE FUNCTION swap();
UPDATE n SET a = a + 1 WHERE k < 10;
SELECT * FROM n ORDER BY k;
BEGIN;
SET CONSTRAINTS ALL DEFERRED;
UPDATE n SET a = a + 1 WHERE k < 10;
UPDATE n SET a = 12 WHERE k = 1;
UPDATE n SET a = a + 1 WHERE k = 3;
COMMIT;
SELECT * FROM n ORDER BY k;

-- partitions
CREATE TABLE parent (k int, a int, UNIQUE (k) DEFERRABLE INITIALLY DEFERRED) PARTITION BY RANGE (k);
CREATE FOREIGN TABLE part1 (k int, a int, UNIQUE (k) DEFERRABLE INITIALLY DEFERRED) SERVER nvmkv;
ALTER TABLE parent ATTACH PARTITION part1 FOR VALUES FROM (0) TO (10);
CREATE FOREIGN TABLE part2 (k int, a int) SERVER nvmkv;
ALTER TABLE parent ATTACH PARTITION part2 FOR VALUES FROM (10) TO (20);
INSERT INTO parent SELECT i, i FROM generate_series(1, 15) AS i;
UPDATE parent SET k = k + 1;
INSERT INTO parent VALUES (5, 0);
INSERT INTO part2 VALUES (12, 0);
BEGIN;
UPDATE parent SET k = 12 WHERE k = 5;
SELECT count(*) FROM parent WHERE k = 12;
SET CONSTRAINTS parent_k_key IMMEDIATE;
ROLLBACK;
SELECT tableoid::regclass, count(*), min(k), max(k) FROM parent GROUP BY 1 ORDER BY 1;

-- many rows, more than memory
CREATE FOREIGN TABLE many (k int PRIMARY KEY, a int UNIQUE DEFERRABLE INITIALLY DEFERRED) SERVER nvmkv;
INSERT INTO many SELECT i, i FROM generate_series(1, 3000) AS i;
BEGIN;
SET LOCAL work_mem = '64kB';
UPDATE many SET a = a + 1;
UPDATE many SET a = 3000 - a;
COMMIT;
SELECT count(DISTINCT a), min(a), max(a) FROM many;
BEGIN;
SET LOCAL work_mem = '64kB';
UPDATE many SET a = a + 1;
UPDATE many SET a = 700 WHERE k = 1;
COMMIT;

DROP TABLE parent;
DROP FOREIGN TABLE t, p, q, n, many;
DROP FUNCTION swap();
