--
-- DDL that writes the rows of a table anew, beside a heap table.
--
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
SET TimeZone = 'UTC';
\getenv abs_srcdir PG_ABS_SRCDIR
\set twins :abs_srcdir '/sql/include/twins.sql'
\set ECHO none
\i :twins
-- Where rows and columns of the tables differ; nothing where they do not.
CREATE FUNCTION differ(name text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format('(SELECT ''heap: '' || t::text FROM heap_twin.%1$I AS t EXCEPT ALL SELECT ''heap: '' || t::text FROM nvmkv_twin.%1$I AS t)
		UNION ALL (SELECT ''here: '' || t::text FROM nvmkv_twin.%1$I AS t EXCEPT ALL SELECT ''here: '' || t::text FROM heap_twin.%1$I AS t)', name);
	RETURN QUERY
		WITH c AS (SELECT relnamespace::regnamespace::text AS s, format('%s %s %s %s %s %s %s', attnum, attname, format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated,
				replace(pg_get_expr(adbin, adrelid), relnamespace::regnamespace || '.', '')) AS what
			FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE relname = name)
		(SELECT 'heap: ' || what FROM c WHERE s = 'heap_twin' EXCEPT ALL SELECT 'heap: ' || what FROM c WHERE s = 'nvmkv_twin')
		UNION ALL (SELECT 'here: ' || what FROM c WHERE s = 'nvmkv_twin' EXCEPT ALL SELECT 'here: ' || what FROM c WHERE s = 'heap_twin');
	RETURN QUERY SELECT 'damaged: ' || c::text FROM pg_class AS t, nvmkv.check(t.oid) AS c
		WHERE relnamespace = 'nvmkv_twin'::regnamespace AND relkind = 'f' AND (relname = name OR t.oid IN (SELECT relid FROM pg_partition_tree(format('nvmkv_twin.%I', name))));
END $$;
\set ECHO all

-- ALTER COLUMN TYPE
SELECT twins($$CREATE FOREIGN TABLE t (k int PRIMARY KEY, a int, b text, c numeric NOT NULL DEFAULT 1, d date, CONSTRAINT low CHECK (a < 1000), CONSTRAINT sum CHECK (k + a >= 0)) SERVER nvmkv$$);
SELECT twins($$INSERT INTO t SELECT n, n * 2, n::text, n / 10.0, date '2020-01-01' + n FROM generate_series(1, 300) AS n$$);
SELECT twins($$CREATE INDEX t_a ON t (a)$$);
SELECT twins($$CREATE UNIQUE INDEX t_ab ON t (a, b DESC) INCLUDE (d) WHERE a > 5$$);
SELECT twins($$CREATE INDEX t_expr ON t ((a + 1))$$);
SELECT twins($$CREATE INDEX t_c ON t (c)$$);
SELECT twins($$COMMENT ON INDEX t_a IS 'an index'$$);
SELECT twins($$ALTER TABLE t ADD COLUMN five int DEFAULT 5$$);
SELECT twins($$ALTER TABLE t ALTER a TYPE bigint$$);
SELECT differ('t');
SELECT unlike();
SELECT twins($$ALTER TABLE t ALTER five TYPE text$$);
SELECT differ('t');
SELECT twins($$ALTER TABLE t ALTER b TYPE int$$);
SELECT twins($$ALTER TABLE t ALTER b TYPE int USING b::int + 1$$);
SELECT differ('t');
SELECT twins($$ALTER TABLE t ALTER b TYPE int USING d$$);
SELECT twins($$ALTER TABLE t ALTER b TYPE int USING nothing$$);
SELECT twins($$ALTER TABLE t ALTER b TYPE int USING count(*)$$);
SELECT twins($$ALTER TABLE t ALTER b TYPE int USING 1 / (b - 7)$$);
SELECT differ('t');
SELECT twins($$ALTER TABLE t ALTER c TYPE int USING NULL$$);
SELECT twins($$ALTER TABLE t ALTER a TYPE int USING a + 900$$);
SELECT twins($$ALTER TABLE t ALTER a TYPE int USING 7$$);
SELECT differ('t');
SELECT unlike();
-- several at once, with other subcommands; USING sees the old row
SELECT twins($$ALTER TABLE t ALTER a TYPE int USING b, ALTER b TYPE text USING a::text || 'x', DROP COLUMN five, ADD COLUMN six int DEFAULT 6, ADD COLUMN seven int NOT NULL DEFAULT 7, ADD CONSTRAINT six CHECK (six = 6)$$);
SELECT differ('t');
SELECT unlike();
SELECT twins($$ALTER TABLE t ALTER a TYPE text, ALTER a TYPE bigint$$);
SELECT twins($$ALTER TABLE t ALTER d TYPE timestamptz, ALTER c TYPE numeric(6, 1), ALTER c SET DEFAULT 3$$);
SELECT twins($$INSERT INTO t (k, a) VALUES (1000, 1)$$);
SELECT differ('t');
-- the key
SELECT twins($$ALTER TABLE t ALTER k TYPE numeric(8, 2)$$);
SELECT differ('t');
SELECT unlike();
SELECT twins($$ALTER TABLE t ALTER k TYPE int USING k / 2$$);
SELECT twins($$ALTER TABLE t ALTER k TYPE int USING NULL$$);
SELECT twins($$ALTER TABLE t DROP CONSTRAINT sum, ALTER k TYPE text COLLATE "C" USING 'key ' || k$$);
SELECT differ('t');
SELECT unlike();
SELECT twins($$ALTER TABLE t ALTER k TYPE text COLLATE "POSIX"$$);
SELECT twins($$INSERT INTO t (k, a) VALUES ('key 3.00', 1)$$);
ALTER TABLE nvmkv_twin.t ALTER k TYPE jsonb USING to_jsonb(k);
SELECT differ('t');
SELECT unlike();
-- views, triggers, rules, generated columns
SELECT twins($$CREATE VIEW v AS SELECT a FROM t$$);
SELECT twins($$ALTER TABLE t ALTER a TYPE bigint$$);
SELECT twins($$DROP VIEW v$$);
SELECT twins($$CREATE FOREIGN TABLE g (a int, b int GENERATED ALWAYS AS (a * 2) STORED, p point) SERVER nvmkv$$);
SELECT twins($$INSERT INTO g SELECT n FROM generate_series(1, 10) AS n$$);
SELECT twins($$ALTER TABLE g ALTER a TYPE bigint$$);
SELECT twins($$ALTER TABLE g ALTER b TYPE bigint$$);
SELECT twins($$ALTER TABLE g ALTER b TYPE text$$);
SELECT twins($$ALTER TABLE g ALTER b TYPE int USING 1$$);
SELECT differ('g');
SELECT twins($$ALTER TABLE g ALTER b DROP EXPRESSION$$);
SELECT twins($$UPDATE g SET b = 3 WHERE a = 1$$);
SELECT differ('g');
-- without rows, and with rows that are gone
SELECT twins($$DELETE FROM g$$);
SELECT twins($$ALTER TABLE g ALTER a TYPE text USING a::text || 'x'$$);
SELECT twins($$INSERT INTO g VALUES ('a', 1, NULL)$$);
SELECT differ('g');
-- rows that this transaction has written, and savepoints
BEGIN;
INSERT INTO nvmkv_twin.g VALUES ('b', 2, NULL);
SAVEPOINT s;
ALTER TABLE nvmkv_twin.g ALTER b TYPE text USING 'B' || b;
SELECT * FROM nvmkv_twin.g ORDER BY a;
ROLLBACK TO s;
SELECT * FROM nvmkv_twin.g ORDER BY a;
UPDATE nvmkv_twin.g SET b = 5 WHERE a = 'a';
ALTER TABLE nvmkv_twin.g ALTER b TYPE text USING 'C' || b;
UPDATE nvmkv_twin.g SET b = b || '!' WHERE a = 'b';
SELECT * FROM nvmkv_twin.g ORDER BY a;
ROLLBACK;
SELECT * FROM nvmkv_twin.g ORDER BY a;
-- rows without a key keep their place
SELECT twins($$CREATE FOREIGN TABLE h (a int, b text) SERVER nvmkv$$);
SELECT twins($$INSERT INTO h SELECT n, 'row ' || n FROM generate_series(1, 1000) AS n$$);
SELECT twins($$ALTER TABLE h ALTER a TYPE text USING chr(32 + a % 90)$$);
SELECT array_agg(b) = (SELECT array_agg('row ' || n) FROM generate_series(1, 1000) AS n) FROM nvmkv_twin.h;
SELECT differ('h');
-- domains and row types
CREATE DOMAIN positive AS int CHECK (value > 0);
SELECT twins($$CREATE FOREIGN TABLE d (a int) SERVER nvmkv$$);
SELECT twins($$INSERT INTO d VALUES (1), (-1)$$);
SELECT twins($$ALTER TABLE d ALTER a TYPE positive$$);
SELECT twins($$ALTER TABLE d ALTER a TYPE positive USING abs(a)$$);
SELECT twins($$CREATE FOREIGN TABLE r (d d) SERVER nvmkv$$);
SELECT twins($$ALTER TABLE d ALTER a TYPE text$$);
SELECT twins($$INSERT INTO r VALUES (ROW(1))$$);
SELECT twins($$ALTER TABLE d ALTER a TYPE text$$);
SELECT twins($$DROP FOREIGN TABLE r$$);
SELECT differ('d');

-- another key
SELECT twins($$CREATE FOREIGN TABLE p (a int PRIMARY KEY, b int, c text) SERVER nvmkv$$);
SELECT twins($$CREATE INDEX p_c ON p (c)$$);
SELECT twins($$INSERT INTO p SELECT n, 1000 - n, 'c' || n % 7 FROM generate_series(1, 500) AS n$$);
SELECT twins($$ALTER TABLE p DROP CONSTRAINT p_pkey$$);
SELECT differ('p');
SELECT unlike();
SELECT twins($$INSERT INTO p VALUES (1, 1, '1')$$);
SELECT twins($$ALTER TABLE p ADD PRIMARY KEY (a)$$);
SELECT twins($$ALTER TABLE p ADD PRIMARY KEY (b)$$);
SELECT twins($$INSERT INTO p VALUES (1, 1, '1')$$);
SELECT twins($$ALTER TABLE p DROP CONSTRAINT p_pkey, ADD PRIMARY KEY (c, b)$$);
SELECT twins($$INSERT INTO p VALUES (1, 1, '1')$$);
SELECT differ('p');
SELECT unlike();
SELECT twins($$ALTER TABLE p DROP CONSTRAINT p_pkey, ADD PRIMARY KEY (a)$$);
SELECT twins($$ALTER TABLE p DROP COLUMN c$$);
SELECT differ('p');
SELECT unlike();
ALTER FOREIGN TABLE nvmkv_twin.p OPTIONS (ADD primary_key 'b DESC, a');
SELECT * FROM nvmkv_twin.p WHERE b > 995;
ALTER FOREIGN TABLE nvmkv_twin.p OPTIONS (SET primary_key 'a');
ALTER FOREIGN TABLE nvmkv_twin.p OPTIONS (SET primary_key 'b');
SELECT * FROM nvmkv_twin.p WHERE b > 995;
ALTER FOREIGN TABLE nvmkv_twin.p OPTIONS (SET primary_key 'b DESC');
SELECT * FROM nvmkv_twin.p WHERE b > 995;
ALTER FOREIGN TABLE nvmkv_twin.p OPTIONS (DROP primary_key);
SELECT differ('p');
SELECT unlike();

-- columns that are added
SELECT twins($$CREATE FOREIGN TABLE c (k int PRIMARY KEY, a int) SERVER nvmkv$$);
SELECT twins($$CREATE INDEX c_a ON c (a)$$);
SELECT twins($$INSERT INTO c SELECT n, n % 10 FROM generate_series(1, 100) AS n$$);
SELECT twins($$ALTER TABLE c ADD COLUMN n serial$$);
SELECT twins($$ALTER TABLE c ADD COLUMN i int GENERATED ALWAYS AS IDENTITY$$);
SELECT twins($$ALTER TABLE c ADD COLUMN g int GENERATED ALWAYS AS (a * 10) STORED$$);
SELECT twins($$ALTER TABLE c ADD COLUMN h text NOT NULL GENERATED ALWAYS AS (nullif(a, 5)::text) STORED$$);
SELECT twins($$ALTER TABLE c ADD COLUMN h text GENERATED ALWAYS AS (nullif(a, 5)::text) STORED, ADD COLUMN two int DEFAULT 2, ADD COLUMN j bigserial UNIQUE CHECK (j < 50)$$);
SELECT twins($$ALTER TABLE c ADD COLUMN h text GENERATED ALWAYS AS (nullif(a, 5)::text) STORED, ADD COLUMN two int DEFAULT 2, ADD COLUMN j bigserial UNIQUE CHECK (j < 500)$$);
SELECT twins($$ALTER TABLE c ADD COLUMN w int DEFAULT random() + 2 PRIMARY KEY$$);
SELECT twins($$ALTER TABLE c ADD COLUMN w positive DEFAULT -random()$$);
SELECT twins($$INSERT INTO c (k, a) VALUES (101, 5)$$);
SELECT differ('c');
SELECT unlike();
SELECT twins($$ALTER TABLE c ADD COLUMN r float8 DEFAULT random()$$);
SELECT count(DISTINCT r) FROM nvmkv_twin.c;
SELECT twins($$ALTER TABLE c DROP COLUMN r, ALTER n DROP DEFAULT$$);
SELECT twins($$ALTER TABLE c ADD COLUMN five int DEFAULT 5, ADD COLUMN nth serial, ADD COLUMN sum int GENERATED ALWAYS AS (five * nth + a) STORED$$);
SELECT differ('c');
SELECT twins($$ALTER TABLE c DROP COLUMN sum, DROP COLUMN nth, DROP COLUMN five$$);
SELECT twins($$ALTER TABLE c ALTER n ADD GENERATED BY DEFAULT AS IDENTITY (START 1000)$$);
SELECT twins($$ALTER TABLE c ALTER i DROP IDENTITY, ALTER n SET GENERATED ALWAYS$$);
SELECT twins($$INSERT INTO c (k, a, i) VALUES (102, 5, 1)$$);
SELECT differ('c');
SELECT unlike();

-- event triggers
CREATE TABLE rewritten (t text, reason int);
CREATE FUNCTION note_rewrite() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO rewritten VALUES (pg_event_trigger_table_rewrite_oid()::regclass::text, pg_event_trigger_table_rewrite_reason());
END $$;
CREATE EVENT TRIGGER note_rewrite ON table_rewrite EXECUTE FUNCTION note_rewrite();
SELECT twins($$ALTER TABLE c ALTER two TYPE bigint$$);
SELECT twins($$ALTER TABLE c ADD COLUMN s serial$$);
SELECT twins($$ALTER TABLE c ADD COLUMN one int DEFAULT 1$$);
SELECT reason, count(*) FROM rewritten GROUP BY reason ORDER BY reason;
DROP EVENT TRIGGER note_rewrite;
DROP TABLE rewritten;

-- tables that inherit
SELECT twins($$CREATE FOREIGN TABLE parent (a int, b text) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE child (c int, b text, PRIMARY KEY (c)) INHERITS (parent) SERVER nvmkv$$);
SELECT twins($$INSERT INTO parent VALUES (1, '1')$$);
SELECT twins($$INSERT INTO child VALUES (2, '2', 2)$$);
SELECT twins($$ALTER TABLE parent ALTER b TYPE int USING b::int + a$$);
SELECT twins($$ALTER TABLE parent ALTER b TYPE text USING parent::text$$);
SELECT twins($$ALTER TABLE child ALTER b TYPE text$$);
SELECT twins($$ALTER TABLE ONLY parent ALTER b TYPE text$$);
SELECT differ('parent');
SELECT differ('child');

-- partitions, with indexes; theirs have names of their own
SELECT twins($$CREATE TABLE m (a int, b text, c int) PARTITION BY RANGE (c)$$);
SELECT twins($$CREATE FOREIGN TABLE m1 PARTITION OF m FOR VALUES FROM (0) TO (10) SERVER nvmkv$$);
SELECT twins($$CREATE TABLE m2 PARTITION OF m FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (c)$$);
SELECT twins($$CREATE FOREIGN TABLE m21 (c int, b text, x int, a int) SERVER nvmkv$$);
SELECT twins($$ALTER TABLE m21 DROP COLUMN x$$);
SELECT twins($$ALTER TABLE m2 ATTACH PARTITION m21 FOR VALUES FROM (10) TO (15)$$);
SELECT twins($$CREATE TABLE m22 PARTITION OF m2 FOR VALUES FROM (15) TO (20)$$);
SELECT twins($$INSERT INTO m SELECT n, n::text, n % 20 FROM generate_series(1, 200) AS n$$);
SELECT twins($$CREATE INDEX own ON m1 (b)$$);
SELECT twins($$CREATE INDEX m_b ON m (b)$$);
SELECT twins($$CREATE INDEX m_a ON m (a DESC)$$);
SELECT twins($$ALTER TABLE m ADD PRIMARY KEY (a, c)$$);
SELECT twins($$COMMENT ON INDEX m_a IS 'of all'$$);
SELECT twins($$ALTER INDEX m21_a_idx RENAME TO renamed$$);
SELECT unlike();
SELECT twins($$ALTER TABLE m ALTER a TYPE bigint$$);
SELECT unlike();
SELECT differ('m');
SELECT twins($$ALTER TABLE m1 ALTER a TYPE int$$);
SELECT twins($$ALTER TABLE m ALTER c TYPE bigint$$);
SELECT twins($$ALTER TABLE m ALTER b TYPE varchar(2)$$);
SELECT twins($$ALTER TABLE m ALTER b TYPE varchar(20)$$);
ALTER TABLE nvmkv_twin.m ALTER a TYPE int USING a - 1;
SELECT twins($$ALTER TABLE m ADD COLUMN s serial, ADD COLUMN g bigint GENERATED ALWAYS AS (a + 1) STORED$$);
SELECT twins($$INSERT INTO m VALUES (5, 'x', 5), (999, 'x', 16)$$);
SELECT twins($$INSERT INTO m VALUES (999, 'x', 5), (999, 'x', 16)$$);
SELECT unlike();
SELECT nspname, obj_description(c.oid) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace WHERE relname = 'm_a' ORDER BY 1;

-- foreign keys
SELECT twins($$CREATE FOREIGN TABLE pk (a int PRIMARY KEY, b int UNIQUE, c int REFERENCES pk) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE fk (a int REFERENCES pk ON DELETE CASCADE, b int CONSTRAINT by_b REFERENCES pk (b), c text) SERVER nvmkv$$);
SELECT twins($$CREATE TABLE heap_fk (a int REFERENCES pk, b int)$$);
SELECT twins($$COMMENT ON CONSTRAINT by_b ON fk IS 'a key'$$);
SELECT twins($$INSERT INTO pk SELECT n, n + 100, n FROM generate_series(1, 10) AS n$$);
SELECT twins($$INSERT INTO fk SELECT n, n + 100 FROM generate_series(1, 10) AS n$$);
SELECT twins($$INSERT INTO heap_fk SELECT n FROM generate_series(1, 10) AS n$$);
SELECT twins($$ALTER TABLE pk ALTER a TYPE bigint$$);
SELECT twins($$ALTER TABLE fk ALTER a TYPE bigint, ALTER b TYPE bigint USING b + 1$$);
SELECT twins($$ALTER TABLE fk ALTER a TYPE bigint, ALTER b TYPE bigint$$);
SELECT twins($$ALTER TABLE heap_fk ALTER a TYPE bigint$$);
SELECT twins($$ALTER TABLE pk ALTER b TYPE text$$);
SELECT twins($$ALTER TABLE pk DROP CONSTRAINT pk_pkey$$);
SELECT twins($$INSERT INTO fk VALUES (11, 101)$$);
SELECT twins($$INSERT INTO heap_fk VALUES (11)$$);
SELECT twins($$DELETE FROM pk WHERE a = 3$$);
SELECT twins($$DELETE FROM heap_fk WHERE a = 3$$);
SELECT differ('pk');
SELECT differ('fk');
SELECT nspname, conname, contype, pg_get_constraintdef(c.oid), obj_description(c.oid) FROM pg_constraint AS c JOIN pg_namespace AS n ON n.oid = connamespace
	WHERE nspname = 'nvmkv_twin' AND contype = 'f' ORDER BY 1, 2;
SELECT unlike();
SELECT twins($$ALTER TABLE pk DROP COLUMN a CASCADE$$);
SELECT differ('pk');
SELECT unlike();

-- Indexes that do not have the column stay as they are, with their statistics.
SELECT twins($$CREATE FOREIGN TABLE other (a int, b text, c int) SERVER nvmkv$$);
SELECT twins($$CREATE INDEX other_expr ON other ((a + 1))$$);
SELECT twins($$CREATE INDEX other_pred ON other (a) WHERE b > 'x'$$);
SELECT twins($$CREATE INDEX other_row ON other ((other IS NULL))$$);
SELECT twins($$ALTER INDEX other_expr ALTER COLUMN 1 SET STATISTICS 17$$);
SELECT oid AS expr_before FROM pg_class WHERE oid = 'nvmkv_twin.other_expr'::regclass \gset
SELECT twins($$ALTER TABLE other ALTER c TYPE bigint, ALTER b TYPE varchar$$);
SELECT oid = :expr_before, attstattarget FROM pg_class JOIN pg_attribute ON attrelid = oid WHERE oid = 'nvmkv_twin.other_expr'::regclass;
SELECT differ('other');
SELECT unlike();

-- The owner needs no right to create what is made anew.
CREATE ROLE nvmkv_rewrites;
GRANT USAGE ON SCHEMA heap_twin, nvmkv_twin TO nvmkv_rewrites;
SELECT twins($$CREATE FOREIGN TABLE own (a int, b int) SERVER nvmkv$$);
SELECT twins($$CREATE INDEX own_a ON own (a)$$);
SELECT twins($$INSERT INTO own VALUES (1, 2)$$);
SELECT twins($$ALTER TABLE own OWNER TO nvmkv_rewrites$$);
SET ROLE nvmkv_rewrites;
ALTER TABLE heap_twin.own ALTER a TYPE bigint;
ALTER TABLE nvmkv_twin.own ALTER a TYPE bigint;
RESET ROLE;
SELECT differ('own');
SELECT unlike();

DROP SCHEMA heap_twin, nvmkv_twin CASCADE;
DROP ROLE nvmkv_rewrites;
DROP DOMAIN positive;
DROP FUNCTION differ(text), note_rewrite();
