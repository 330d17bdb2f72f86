--
-- ctid of tables with a primary key: which version of a row it is.  As a heap table, see scripts/heap_twin.sh.
--
CREATE SCHEMA ctid_test;
SET search_path = ctid_test, public;

CREATE FOREIGN TABLE t (k int NOT NULL, v text) SERVER nvmkv OPTIONS (primary_key 'k');
INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 2000) g;
CREATE TABLE seen (k int, at tid);

-- It is the row's, whoever looks, and however.
INSERT INTO seen SELECT k, ctid FROM t;
SELECT count(*), count(DISTINCT at) FROM seen;
SELECT count(*) FROM seen JOIN t ON t.ctid = seen.at AND t.k = seen.k;
SELECT count(*) FROM seen JOIN t ON t.k = seen.k WHERE t.ctid <> seen.at;
SELECT t.k FROM seen, t WHERE t.ctid = seen.at AND seen.k BETWEEN 10 AND 12 ORDER BY 1;
SELECT count(*) FROM t a JOIN t b ON a.ctid = b.ctid;
SELECT ctid = (SELECT at FROM seen WHERE k = 7) AS same FROM t WHERE k = 7;
SELECT k, ctid = (SELECT at FROM seen s WHERE s.k = t.k) AS same FROM t WHERE k IN (3, 5, 3000) ORDER BY k;
SELECT bool_and(t.ctid = at) FROM t, seen WHERE seen.k = t.k AND t.k > 1990;

-- Conditions.
SELECT * FROM t WHERE ctid = (SELECT at FROM seen WHERE k = 42);
SELECT * FROM t WHERE (SELECT at FROM seen WHERE k = 43) = ctid;
SELECT * FROM t WHERE ctid = ANY (ARRAY(SELECT at FROM seen WHERE k IN (44, 45)) || ARRAY['(0,0)', NULL]::tid[]) ORDER BY k;
SELECT * FROM t WHERE ctid IN (SELECT at FROM seen WHERE k IN (46, 47)) ORDER BY k DESC;
SELECT * FROM t WHERE k = 48 AND ctid = (SELECT at FROM seen WHERE k = 48);
SELECT * FROM t WHERE k = 48 AND ctid = (SELECT at FROM seen WHERE k = 49);
SELECT * FROM t WHERE ctid = NULL OR ctid = (SELECT at FROM seen WHERE k = 50);
SELECT * FROM t WHERE ctid = NULL;
SELECT * FROM t WHERE ctid = ANY (NULL::tid[]);
SELECT * FROM t WHERE ctid = '(0,0)';
SELECT s.k, (SELECT v FROM t WHERE ctid = s.at) FROM seen s WHERE s.k < 4 ORDER BY 1;
SELECT count(*) FROM t WHERE ctid <> (SELECT at FROM seen WHERE k = 42);
SELECT k FROM t WHERE ctid = ANY (ARRAY(SELECT at FROM seen WHERE k <= 3)) ORDER BY k DESC LIMIT 2;
PREPARE by_ctid(tid) AS SELECT * FROM t WHERE ctid = $1;
SELECT format('EXECUTE by_ctid(%L)', at) AS statement FROM seen WHERE k = 51 \gset
:statement;

-- A changed row has another, and the old one is nobody's.
UPDATE t SET v = v || '+' WHERE k <= 5;
SELECT count(*) FROM seen JOIN t ON t.ctid = seen.at WHERE seen.k <= 5;
UPDATE t SET v = 'never' WHERE ctid = (SELECT at FROM seen WHERE k = 1);
DELETE FROM t WHERE ctid = ANY (ARRAY(SELECT at FROM seen WHERE k <= 6)) RETURNING k;
UPDATE t SET v = v || '-' FROM seen WHERE t.ctid = seen.at AND seen.k IN (1, 7, 8) RETURNING t.k, v;
UPDATE t SET k = -k WHERE ctid = (SELECT at FROM seen WHERE k = 9) RETURNING k;
SELECT count(*) FROM t WHERE ctid = (SELECT at FROM seen WHERE k = 9);
DELETE FROM t WHERE k = 10;
INSERT INTO t VALUES (10, 'again');
SELECT count(*) FROM t WHERE ctid = (SELECT at FROM seen WHERE k = 10);
BEGIN;
UPDATE t SET v = 'undone' WHERE k = 11;
SELECT count(*) FROM t WHERE ctid = (SELECT at FROM seen WHERE k = 11);
ROLLBACK;
SELECT count(*) FROM t WHERE ctid = (SELECT at FROM seen WHERE k = 11);
DELETE FROM t a USING t b WHERE a.ctid > b.ctid AND a.k = b.k;
WITH few AS (SELECT ctid FROM t WHERE k > 1000 LIMIT 10) DELETE FROM t USING few WHERE t.ctid = few.ctid;
DELETE FROM t WHERE ctid IN (SELECT ctid FROM t WHERE k > 1000 LIMIT 10);
SELECT count(*) FROM t;

-- RETURNING tells the new one, of a deleted row the one it had.
TRUNCATE seen;
WITH w AS (INSERT INTO t VALUES (3000, 'a'), (3001, 'b') RETURNING k, ctid) INSERT INTO seen SELECT * FROM w;
SELECT t.k FROM t, seen WHERE t.ctid = seen.at ORDER BY 1;
WITH w AS (UPDATE t SET v = v || '!' WHERE k >= 3000 RETURNING k, ctid) UPDATE seen SET at = w.ctid FROM w WHERE w.k = seen.k;
SELECT t.k FROM t, seen WHERE t.ctid = seen.at ORDER BY 1;
WITH w AS (UPDATE t SET k = k + 10 WHERE k >= 3000 RETURNING k - 10 AS k, ctid) UPDATE seen SET at = w.ctid FROM w WHERE w.k = seen.k;
SELECT t.k FROM t, seen WHERE t.ctid = seen.at ORDER BY 1;
WITH w AS (INSERT INTO t VALUES (3010, 'c'), (3012, 'd') ON CONFLICT (k) DO UPDATE SET v = 'e' RETURNING k, ctid) UPDATE seen SET at = w.ctid FROM w WHERE w.k - 10 = seen.k;
SELECT t.* FROM t, seen WHERE t.ctid = seen.at ORDER BY 1;
WITH w AS (DELETE FROM t WHERE k IN (3010, 3011) RETURNING k, ctid) SELECT w.k FROM w, seen WHERE w.ctid = seen.at ORDER BY 1;

-- Rows that are locked.
TRUNCATE seen;
BEGIN;
WITH locked AS (SELECT k, ctid FROM t WHERE k BETWEEN 100 AND 104 FOR UPDATE) INSERT INTO seen SELECT * FROM locked;
SELECT k, v FROM t WHERE ctid = (SELECT at FROM seen WHERE k = 100);
UPDATE t SET v = 'locked ' || v WHERE ctid = (SELECT at FROM seen WHERE k = 101) RETURNING *;
UPDATE t SET v = 'twice ' || v WHERE ctid = (SELECT at FROM seen WHERE k = 101) RETURNING *;
SAVEPOINT a;
DELETE FROM t WHERE ctid = ANY (ARRAY(SELECT at FROM seen WHERE k IN (102, 103))) RETURNING k;
ROLLBACK TO a;
SELECT k FROM t WHERE ctid = ANY (ARRAY(SELECT at FROM seen)) ORDER BY k;
SELECT k FROM t WHERE ctid = ANY (ARRAY(SELECT at FROM seen)) ORDER BY k DESC;
WITH locked AS (SELECT ctid FROM t ORDER BY k LIMIT 3 FOR UPDATE SKIP LOCKED) DELETE FROM t USING locked WHERE t.ctid = locked.ctid RETURNING k;
SELECT a.k, b.k FROM t a, t b WHERE a.k = 200 AND b.k = 201 AND a.ctid <> b.ctid FOR UPDATE;
COMMIT;
SELECT k FROM t WHERE ctid = ANY (ARRAY(SELECT at FROM seen)) ORDER BY k;

-- A cursor's rows are changed one by one.
DO $$
DECLARE
	r record;
BEGIN
	FOR r IN SELECT ctid, k FROM t WHERE k BETWEEN 300 AND 303 ORDER BY k FOR UPDATE LOOP
		UPDATE t SET v = 'loop' WHERE ctid = r.ctid;
	END LOOP;
END $$;
SELECT k FROM t WHERE v = 'loop' ORDER BY k;

-- Partitions and children.
CREATE TABLE p (k int NOT NULL, v text) PARTITION BY RANGE (k);
CREATE FOREIGN TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (20) TO (30);
INSERT INTO p SELECT g, 'v' || g FROM generate_series(5, 24, 2) g;
SELECT count(DISTINCT (tableoid, ctid)) FROM p;
WITH w AS (INSERT INTO p VALUES (1, 'a'), (12, 'a'), (26, 'a') RETURNING tableoid, ctid) SELECT count(DISTINCT (tableoid, ctid)) FROM w;
BEGIN;
CREATE TEMP TABLE place AS SELECT tableoid AS rel, ctid AS at, k FROM p WHERE k IN (7, 17, 21) FOR UPDATE;
UPDATE p SET v = 'found' FROM place WHERE p.tableoid = place.rel AND p.ctid = place.at RETURNING p.k;
COMMIT;
SELECT p.k FROM p JOIN place ON p.tableoid = rel AND p.ctid = at;
DROP TABLE place;
DROP TABLE p;

-- postgres_fdw locks rows with their ctids and changes them by these, one by one, unless it can send the statement whole.
SET client_min_messages = warning;
CREATE EXTENSION postgres_fdw;
DO $$
BEGIN
	EXECUTE format('CREATE SERVER loopback FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname %L, port %L, host %L)',
		current_database(), current_setting('port'), split_part(current_setting('unix_socket_directories'), ',', 1));
	EXECUTE format('CREATE USER MAPPING FOR CURRENT_USER SERVER loopback OPTIONS (user %L)', current_user);
END $$;
RESET client_min_messages;
CREATE FOREIGN TABLE remote (k int NOT NULL, v text) SERVER loopback OPTIONS (schema_name 'ctid_test', table_name 't');
CREATE FUNCTION local_only(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN $1 || ' here'; END $$;
CREATE TABLE want (k int, n int);
INSERT INTO want VALUES (400, 1), (401, 2), (401, 3), (5000, 4);
EXPLAIN (VERBOSE, COSTS OFF) UPDATE remote SET v = local_only(v) WHERE k = 400;
UPDATE remote SET v = local_only(v) WHERE k BETWEEN 400 AND 402 RETURNING *;
UPDATE remote SET v = v || want.n FROM want WHERE want.k = remote.k AND want.n <> 3 RETURNING remote.*;
UPDATE remote SET v = 'once' FROM want WHERE want.k = remote.k AND want.k = 401;
SELECT k, v FROM t WHERE k BETWEEN 400 AND 402 ORDER BY k;
UPDATE remote SET k = k + 2000 WHERE local_only(v) LIKE 'v41%' AND k BETWEEN 410 AND 415 RETURNING k;
DELETE FROM remote USING want WHERE want.k = remote.k RETURNING remote.k;
DELETE FROM remote WHERE local_only(v) LIKE 'v5_ here' AND k > 49 RETURNING k;
BEGIN;
UPDATE remote SET v = local_only(v) WHERE k BETWEEN 420 AND 421;
UPDATE remote SET v = local_only(v) WHERE k BETWEEN 420 AND 421;
SAVEPOINT a;
DELETE FROM remote WHERE local_only(v) LIKE '%' AND k = 420;
ROLLBACK TO a;
COMMIT;
SELECT k, v FROM t WHERE k BETWEEN 420 AND 421 OR k > 2000 ORDER BY k;
SELECT count(*) FROM t;

SET client_min_messages = warning;
DROP EXTENSION postgres_fdw CASCADE;
DROP SCHEMA ctid_test CASCADE;
