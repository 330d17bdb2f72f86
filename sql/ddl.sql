--
-- CREATE, TRUNCATE, DROP, RENAME, COPY TO: storages come and go with the
-- transaction, definitions round-trip.
--
CREATE SCHEMA ddl_test;
SET search_path = ddl_test, public;

-- How many storages our tables have, by their keys.
CREATE VIEW storages AS
	SELECT relid::regclass AS relation, key_columns, key_descending FROM nvmkv.storage
	WHERE relid IN (SELECT oid FROM pg_class WHERE relnamespace = 'ddl_test'::regnamespace) ORDER BY relid::regclass::text COLLATE "C";

CREATE FOREIGN TABLE t (a int, b text, c int) SERVER nvmkv OPTIONS (primary_key 'c, a DESC');
CREATE FOREIGN TABLE IF NOT EXISTS t (x int) SERVER nvmkv;
CREATE FOREIGN TABLE no_key (a int) SERVER nvmkv;
SELECT * FROM storages;

-- Creation that fails or is rolled back leaves nothing.
CREATE FOREIGN TABLE bad (a int) SERVER nvmkv OPTIONS (primary_key 'b');
BEGIN;
CREATE FOREIGN TABLE gone (a int) SERVER nvmkv OPTIONS (primary_key 'a');
INSERT INTO gone VALUES (1);
SELECT * FROM gone;
ROLLBACK;
CREATE FOREIGN TABLE gone (a int) SERVER nvmkv OPTIONS (primary_key 'a');
SELECT * FROM gone;
DROP FOREIGN TABLE gone;

-- Temporary ones are refused, by any spelling.
CREATE FOREIGN TABLE pg_temp.tmp (a int) SERVER nvmkv;

-- TRUNCATE is transactional, and the transaction sees its own.
INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2);
BEGIN;
TRUNCATE t;
SELECT * FROM t;
INSERT INTO t VALUES (3, 'three', 3);
SAVEPOINT s;
TRUNCATE t;
INSERT INTO t VALUES (4, 'four', 4);
SELECT * FROM t;
ROLLBACK TO s;
SELECT * FROM t;
ROLLBACK;
SELECT * FROM t ORDER BY a;
BEGIN;
TRUNCATE t, no_key;
INSERT INTO t VALUES (1, 'again', 1);
COMMIT;
SELECT * FROM t;

-- A prepared statement follows.
PREPARE all_t AS SELECT count(*) FROM t;
EXECUTE all_t;
TRUNCATE t;
EXECUTE all_t;
INSERT INTO t SELECT i, 'row ' || i, i FROM generate_series(1, 10) AS i;
EXECUTE all_t;

-- TRUNCATE of a partitioned table and its identity.
CREATE TABLE parts (id int GENERATED ALWAYS AS IDENTITY, k int NOT NULL, v text) PARTITION BY RANGE (k);
CREATE FOREIGN TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
INSERT INTO parts (k, v) VALUES (1, 'a'), (11, 'b');
TRUNCATE parts RESTART IDENTITY;
INSERT INTO parts (k, v) VALUES (2, 'c'), (12, 'd');
SELECT tableoid::regclass, * FROM parts ORDER BY k;

-- DROP, also by what the table depends on or belongs to, and undone.
BEGIN;
DROP FOREIGN TABLE t;
ROLLBACK;
EXECUTE all_t;
SELECT * FROM storages;
CREATE SCHEMA inner_test;
CREATE FOREIGN TABLE inner_test.t (a int) SERVER nvmkv OPTIONS (primary_key 'a');
CREATE SERVER doomed FOREIGN DATA WRAPPER nvmkv_fdw;
CREATE FOREIGN TABLE on_doomed (a int) SERVER doomed;
SELECT count(*) AS before FROM nvmkv.storage \gset
DROP SCHEMA inner_test CASCADE;
DROP SERVER doomed CASCADE;
SELECT :before - count(*) AS dropped FROM nvmkv.storage;
DROP TABLE parts;
SELECT * FROM storages;

-- A table of the same name starts empty.
DROP FOREIGN TABLE no_key;
CREATE FOREIGN TABLE no_key (a int) SERVER nvmkv;
SELECT * FROM no_key;

-- RENAME: of the table, of key columns (the option follows), of a parent's column.
CREATE TABLE family (k int, v text);
CREATE FOREIGN TABLE child () INHERITS (family) SERVER nvmkv OPTIONS (primary_key 'k DESC');
INSERT INTO child VALUES (1, 'one'), (2, 'two');
ALTER TABLE family RENAME COLUMN k TO "Key, the";
ALTER FOREIGN TABLE t RENAME COLUMN a TO b2;
ALTER TABLE t RENAME COLUMN c TO "select";
ALTER FOREIGN TABLE t RENAME COLUMN b TO c;
ALTER FOREIGN TABLE t RENAME TO t2;
ALTER FOREIGN TABLE t2 SET SCHEMA public;
ALTER FOREIGN TABLE public.t2 SET SCHEMA ddl_test;
SELECT ftrelid::regclass, ftoptions FROM pg_foreign_table WHERE ftrelid IN ('t2'::regclass, 'child'::regclass) ORDER BY 1;
SELECT * FROM child ORDER BY "Key, the";
INSERT INTO child VALUES (1, 'one');
INSERT INTO t2 VALUES (3, 'dup', 3);
SELECT * FROM t2 WHERE "select" = 3;

-- COPY TO, which the server has for tables only.
COPY t2 TO STDOUT;
COPY t2 (c, b2) TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE (c));
COPY family TO STDOUT;
COPY t2 (nothing) TO STDOUT;
CREATE FOREIGN TABLE computed (a int, b int GENERATED ALWAYS AS (a * 2) STORED) SERVER nvmkv;
INSERT INTO computed VALUES (1), (2);
COPY computed TO STDOUT;
COPY computed (b) TO STDOUT;
COPY (SELECT * FROM computed) TO STDOUT;
DO $$ BEGIN COPY computed TO '/dev/null'; END $$;
CREATE ROLE nvmkv_nobody;
GRANT USAGE ON SCHEMA ddl_test TO nvmkv_nobody;
GRANT SELECT (a) ON computed TO nvmkv_nobody;
SET ROLE nvmkv_nobody;
COPY t2 TO STDOUT;
COPY computed (a) TO STDOUT;
COPY computed TO STDOUT;
RESET ROLE;

-- An owner without superuser's rights; the DETAIL shows what may be seen.
GRANT CREATE ON SCHEMA ddl_test TO nvmkv_nobody;
SET ROLE nvmkv_nobody;
CREATE FOREIGN TABLE mine (a int, b int) SERVER nvmkv OPTIONS (primary_key 'a');
INSERT INTO mine VALUES (1, 1);
TRUNCATE mine;
INSERT INTO mine VALUES (1, 2);
INSERT INTO mine VALUES (1, 3);
RESET ROLE;
CREATE FOREIGN TABLE secret (a int, b int) SERVER nvmkv OPTIONS (primary_key 'a, b');
INSERT INTO secret VALUES (1, 1);
GRANT INSERT ON secret TO nvmkv_nobody;
SET ROLE nvmkv_nobody;
INSERT INTO secret VALUES (1, 1);
TRUNCATE secret;
DROP FOREIGN TABLE secret;
SELECT * FROM nvmkv.storage;
SELECT nvmkv.flush();
RESET ROLE;

-- Views and statistics work on the tables.
SELECT relname FROM nvmkv.stat_tables WHERE schemaname = 'ddl_test' ORDER BY relname;

SET client_min_messages = warning;
DROP SCHEMA ddl_test CASCADE;
RESET client_min_messages;
DROP ROLE nvmkv_nobody;

-- A copied database has the tables without the rows, and leaves the original alone.
SELECT current_database() AS original \gset
CREATE DATABASE nvmkv_ddl_a TEMPLATE template0;
\c nvmkv_ddl_a
CREATE EXTENSION nvmkv_fdw;
CREATE FOREIGN TABLE t (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE u (k int) SERVER nvmkv;
CREATE INDEX ON t (v);
INSERT INTO t VALUES (1, 'original'), (2, 'original');
\c template1
CREATE DATABASE nvmkv_ddl_b TEMPLATE nvmkv_ddl_a;
\c nvmkv_ddl_b
SELECT * FROM t;
SELECT * FROM t WHERE k = 1;
SELECT * FROM t WHERE v = 'original';
BEGIN READ ONLY;
SELECT count(*) FROM t;
COMMIT;
BEGIN;
INSERT INTO t VALUES (1, 'rolled back');
SELECT * FROM t;
ROLLBACK;
SELECT * FROM t;
INSERT INTO t VALUES (1, 'copy');
INSERT INTO t VALUES (3, 'copy');
SELECT * FROM t ORDER BY k;
SELECT k FROM t WHERE v = 'copy' ORDER BY v, k;
TRUNCATE t;
DROP FOREIGN TABLE u;
\c nvmkv_ddl_a
SELECT * FROM t ORDER BY k;
INSERT INTO t VALUES (1, 'again');

-- The extension takes everything with it, and comes back.
DROP EXTENSION nvmkv_fdw;
BEGIN;
DROP EXTENSION nvmkv_fdw CASCADE;
SELECT to_regnamespace('nvmkv');
ROLLBACK;
SELECT * FROM t ORDER BY k;
DROP EXTENSION nvmkv_fdw CASCADE;
CREATE EXTENSION nvmkv_fdw;
CREATE FOREIGN TABLE t (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
SELECT * FROM t;
\c :original
DROP DATABASE nvmkv_ddl_a;
DROP DATABASE nvmkv_ddl_b;
