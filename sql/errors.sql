--
-- What is refused, with its SQLSTATE: DDL, keys, values, statements, rights.  Nothing of it leaves a trace.
--
CREATE SCHEMA errors_test;
SET search_path = errors_test, public;

-- Runs a command that must fail; says how.
CREATE FUNCTION said(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	m text;
	d text;
	h text;
BEGIN
	EXECUTE command;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS m = message_text, d = pg_exception_detail, h = pg_exception_hint;
	RETURN sqlstate || ' ' || m || CASE WHEN d <> '' THEN ' / ' || d ELSE '' END || CASE WHEN h <> '' THEN ' / ' || h ELSE '' END;
END $$;

\pset format unaligned
\pset tuples_only on
CREATE FOREIGN TABLE t (k int, v text, n numeric) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE u (a text COLLATE "C", b int) SERVER nvmkv OPTIONS (primary_key 'a, b DESC');
CREATE FOREIGN TABLE keyless (a int) SERVER nvmkv;
INSERT INTO t SELECT g, 'v' || g, g FROM generate_series(1, 10) g;
INSERT INTO u VALUES ('a', 1), ('a', 2), ('b', 1);
INSERT INTO keyless VALUES (1), (1), (2);
SELECT count(*) AS storages FROM nvmkv.storage \gset

-- definitions
SELECT said($$CREATE SERVER bad FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (nvm_path '/tmp/x')$$);
SELECT said($$CREATE SERVER bad FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family '')$$);
SELECT said($$CREATE FOREIGN TABLE bad (a int) SERVER nvmkv OPTIONS (filename '/etc/passwd')$$);
SELECT said($$CREATE FOREIGN TABLE bad (a int) SERVER nvmkv OPTIONS (primary_key 'a', primary_key 'a')$$);
SELECT said($$CREATE FOREIGN TABLE bad (a int) SERVER nvmkv OPTIONS (index_a 'a')$$);
SELECT said($$CREATE FOREIGN TABLE bad (a int OPTIONS (x 'y')) SERVER nvmkv$$);
SELECT said($$CREATE FOREIGN TABLE bad (a int) SERVER nvmkv OPTIONS (primary_key 'b')$$);
SELECT said($$CREATE FOREIGN TABLE bad (a int) SERVER nvmkv OPTIONS (primary_key 'a, a')$$);
SELECT said($$CREATE FOREIGN TABLE bad (a int) SERVER nvmkv OPTIONS (primary_key 'a UP')$$);
SELECT said($$CREATE FOREIGN TABLE bad (a json) SERVER nvmkv OPTIONS (primary_key 'a')$$);
SELECT said($$CREATE FOREIGN TABLE bad (a int) SERVER nowhere$$);
SELECT said($$CREATE FOREIGN TABLE t (a int) SERVER nvmkv$$);
SELECT said($$CREATE FOREIGN TABLE bad (a no_such_type) SERVER nvmkv OPTIONS (primary_key 'a')$$);
SELECT said($$CREATE INDEX ON t USING hash (v)$$);
SELECT said($$CREATE UNIQUE INDEX ON t USING gist (v)$$);
SELECT said($$ALTER FOREIGN TABLE t ADD PRIMARY KEY (v)$$);
SELECT said($$ALTER FOREIGN TABLE t OPTIONS (ADD nothing 'x')$$);
SELECT said($$ALTER FOREIGN TABLE t OPTIONS (DROP nothing)$$);
SELECT said($$ALTER FOREIGN TABLE t ALTER COLUMN v TYPE varchar(1)$$);
SELECT said($$ALTER FOREIGN TABLE t ALTER COLUMN k TYPE jsonb USING to_jsonb(k)$$);
SELECT said($$ALTER FOREIGN TABLE t OPTIONS (SET primary_key 'nothing')$$);
SELECT said($$ALTER FOREIGN TABLE t ADD COLUMN must int NOT NULL$$);
SELECT said($$CLUSTER t USING t_pkey$$);
SELECT said($$ALTER TABLE t SET LOGGED$$);
SELECT said($$ALTER FOREIGN TABLE t SET TABLESPACE pg_default$$);
SELECT :storages = count(*) AS nothing_left FROM nvmkv.storage;

-- keys
SELECT said($$INSERT INTO t VALUES (NULL, 'x')$$);
SELECT said($$INSERT INTO t (v) VALUES ('x')$$);
SELECT said($$UPDATE t SET k = NULL WHERE k = 1$$);
SELECT said($$INSERT INTO t VALUES (1, 'x')$$);
SELECT said($$INSERT INTO t VALUES (11, 'x'), (11, 'y')$$);
SELECT said($$INSERT INTO t SELECT g, 'x' FROM generate_series(20, 5, -1) g$$);
SELECT said($$UPDATE t SET k = 2 WHERE k = 1$$);
SELECT said($$UPDATE u SET b = 2 WHERE a = 'a'$$);
SELECT said($$INSERT INTO u VALUES (repeat('x', 2100), 1)$$);
SELECT said($$UPDATE u SET a = repeat('x', 100000) WHERE b = 2$$);
BEGIN;
CREATE INDEX ti ON t (v);
SELECT said($$INSERT INTO t VALUES (12, repeat('x', 2100))$$);
ROLLBACK;
SELECT said($$INSERT INTO t VALUES (3000000000, 'x')$$);
SELECT said($$INSERT INTO t VALUES (1, 'x') ON CONFLICT (v) DO NOTHING$$);
SELECT said($$INSERT INTO keyless VALUES (1) ON CONFLICT (a) DO NOTHING$$);
SELECT said($$INSERT INTO t VALUES (1, 'x'), (1, 'y') ON CONFLICT (k) DO UPDATE SET v = excluded.v$$);
SELECT said($$INSERT INTO t VALUES (1, 'x') ON CONFLICT (k) DO UPDATE SET k = 2$$);

-- values and statements
SELECT said($$INSERT INTO t SELECT 12, string_agg(md5(g::text), '') FROM generate_series(1, 1082000) g$$);
SELECT said($$INSERT INTO t VALUES (12, 'x', 'seven')$$);
SELECT said($$INSERT INTO t VALUES (12, 'x', 1, 2)$$);
SELECT said($$INSERT INTO t SELECT g, 'x', 1 / (15 - g) FROM generate_series(12, 20) g$$);
SELECT said($$UPDATE t SET n = 1 / (k - 5)$$);
SELECT said($$DELETE FROM t WHERE 1 / (k - 5) > 0$$);
SELECT said($$SELECT sum(1 / (k - 5)) FROM t$$);
SELECT said($$COPY t FROM '/nowhere/at/all'$$);
SELECT said($$COPY t (k, nothing) FROM '/dev/null'$$);
SELECT said($$SELECT xmin FROM t$$);
SELECT said($$SELECT * FROM t TABLESAMPLE SYSTEM (10)$$);
SELECT said($$MERGE INTO t USING u ON t.k = u.b WHEN MATCHED THEN DELETE$$);
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT k FROM t;
FETCH c;
SELECT said($$DELETE FROM t WHERE CURRENT OF c$$);
COMMIT;
SELECT said($$INSERT INTO t VALUES (1, 'x') ON CONFLICT ON CONSTRAINT nothing DO NOTHING$$);
SELECT said($$IMPORT FOREIGN SCHEMA public FROM SERVER nvmkv INTO public$$);
SELECT said($$SELECT nvmkv.compact('pg_class'::regclass)$$);
SELECT said($$SELECT * FROM nvmkv.check('pg_class'::regclass)$$);
COPY t FROM STDIN;
30	good	1
31	bad	number
\.
COPY t FROM STDIN;
30	good	1
31
\.
COPY t FROM STDIN;
30	good	1
1	duplicate	1
\.

-- a read-only transaction
BEGIN READ ONLY;
SELECT said($$INSERT INTO t VALUES (12, 'x')$$);
SELECT said($$DELETE FROM t$$);
SELECT said($$TRUNCATE t$$);
SELECT said($$SELECT * FROM t FOR UPDATE$$);
SELECT count(*) FROM t;
COMMIT;

-- a failed transaction
BEGIN;
INSERT INTO t VALUES (12, 'x');
INSERT INTO t VALUES (1, 'x');
SELECT * FROM t;
COMMIT;

-- rights
CREATE ROLE nvmkv_stranger;
GRANT USAGE ON SCHEMA errors_test TO nvmkv_stranger;
GRANT pg_read_server_files TO nvmkv_stranger;
SET ROLE nvmkv_stranger;
SELECT said($$SELECT * FROM t$$);
SELECT said($$INSERT INTO t VALUES (12, 'x')$$);
SELECT said($$UPDATE t SET v = 'x'$$);
SELECT said($$DELETE FROM t$$);
SELECT said($$TRUNCATE t$$);
SELECT said($$ALTER FOREIGN TABLE t ADD COLUMN x int$$);
SELECT said($$DROP FOREIGN TABLE t$$);
\set VERBOSITY sqlstate
SELECT said($$ANALYZE t$$);
\set VERBOSITY default
SELECT said($$SELECT * FROM nvmkv.stat_engine$$);
SELECT said($$SELECT * FROM nvmkv.check()$$);
SELECT said($$SELECT nvmkv.compact()$$);
SELECT said($$SELECT nvmkv.reset_stats()$$);
SELECT said($$CREATE SERVER bad FOREIGN DATA WRAPPER nvmkv_fdw$$);
COPY t FROM '/dev/null';
COPY t TO STDOUT;
RESET ROLE;

-- All of it left nothing.
SELECT count(*), sum(k), sum(n), string_agg(v, '' ORDER BY k) FROM t;
SELECT * FROM u ORDER BY a, b DESC;
SELECT * FROM keyless ORDER BY a;
SELECT * FROM nvmkv.check('t') UNION ALL SELECT * FROM nvmkv.check('u') UNION ALL SELECT * FROM nvmkv.check('keyless');

SET client_min_messages = warning;
DROP SCHEMA errors_test CASCADE;
DROP ROLE nvmkv_stranger;
