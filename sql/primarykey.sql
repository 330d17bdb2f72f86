--
-- PRIMARY KEY: a constraint in the catalogue, which says what the option says.
--
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
\getenv abs_srcdir PG_ABS_SRCDIR
\set twins :abs_srcdir '/sql/include/twins.sql'
\set ECHO none
\i :twins
\set ECHO all

-- beside heap tables
SELECT twins($$CREATE FOREIGN TABLE t (id bigint PRIMARY KEY, email text, region int) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE u (a int, b int, c text, CONSTRAINT mykey PRIMARY KEY (b, a) INCLUDE (c) WITH (fillfactor = 70)) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE l (LIKE u INCLUDING INDEXES) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE s (id serial PRIMARY KEY, v text) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE "T ""x""" (id text COLLATE "C" PRIMARY KEY) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE a_table_with_a_name_that_is_rather_long_for_a_name_of_sixty_three (id int PRIMARY KEY) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE IF NOT EXISTS t (id int PRIMARY KEY) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE bad (a int PRIMARY KEY, b int PRIMARY KEY) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE bad (a int, PRIMARY KEY (a, a)) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE bad (a int, PRIMARY KEY (x)) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE bad (a int CONSTRAINT mykey PRIMARY KEY) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE bad (a int PRIMARY KEY WITH (nothing = 1)) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE t (a int PRIMARY KEY) SERVER nvmkv$$);
SELECT twins($$INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2)$$);
SELECT twins($$INSERT INTO t VALUES (1, 'c', 1)$$);
SELECT twins($$INSERT INTO t VALUES (NULL, 'c', 1)$$);
SELECT twins($$INSERT INTO t VALUES (1, 'c', 1) ON CONFLICT (id) DO UPDATE SET email = excluded.email$$);
SELECT twins($$INSERT INTO t VALUES (2, 'd', 1) ON CONFLICT ON CONSTRAINT t_pkey DO UPDATE SET email = excluded.email$$);
SELECT twins($$INSERT INTO t VALUES (2, 'd', 1) ON CONFLICT ON CONSTRAINT nothing DO NOTHING$$);
SELECT twins($$INSERT INTO t VALUES (2, 'd', 1) ON CONFLICT (email) DO NOTHING$$);
SELECT twins($$INSERT INTO t VALUES (2, 'e', 1) ON CONFLICT (id int8_ops) DO UPDATE SET region = 7$$);
SELECT twins($$INSERT INTO t VALUES (2, 'e', 1) ON CONFLICT (id text_ops) DO UPDATE SET region = 8$$);
SELECT * FROM nvmkv_twin.t ORDER BY id;
TABLE heap_twin.t EXCEPT ALL TABLE nvmkv_twin.t;
SELECT twins($$CREATE VIEW grouped AS SELECT id, email, count(*) FROM t GROUP BY id$$);
SELECT twins($$ALTER TABLE t DROP CONSTRAINT t_pkey$$);
SELECT twins($$DROP VIEW grouped$$);
SELECT twins($$DROP INDEX t_pkey$$);
SELECT twins($$ALTER TABLE t ALTER id DROP NOT NULL$$);
SELECT twins($$ALTER TABLE t RENAME id TO "the id"$$);
SELECT twins($$INSERT INTO t VALUES (1, 'c', 1)$$);
SELECT twins($$ALTER TABLE t RENAME CONSTRAINT t_pkey TO renamed$$);
SELECT twins($$INSERT INTO t VALUES (1, 'c', 1)$$);
SELECT twins($$ALTER INDEX renamed RENAME TO renamed_again$$);
SELECT twins($$INSERT INTO t VALUES (1, 'c', 1)$$);
SELECT twins($$ALTER TABLE t RENAME TO t2$$);
SELECT twins($$INSERT INTO t2 VALUES (1, 'c', 1)$$);
SELECT twins($$ALTER TABLE t2 ADD PRIMARY KEY (email)$$);
SELECT twins($$COMMENT ON CONSTRAINT mykey ON u IS 'a key'$$);
SELECT twins($$COMMENT ON INDEX mykey IS 'its index'$$);
SELECT twins($$ALTER TABLE u ALTER c TYPE varchar(20)$$);
SELECT twins($$ALTER TABLE u ALTER c TYPE varchar(30), ALTER a TYPE int$$);
SELECT n.nspname, description FROM pg_description JOIN pg_constraint AS c ON c.oid = objoid JOIN pg_namespace AS n ON n.oid = connamespace WHERE conname = 'mykey' ORDER BY 1;
SELECT n.nspname, description FROM pg_description JOIN pg_class AS c ON c.oid = objoid JOIN pg_namespace AS n ON n.oid = relnamespace WHERE relname = 'mykey' ORDER BY 1;
SELECT unlike();
SELECT twins($$ALTER TABLE u DROP CONSTRAINT mykey$$);
SELECT twins($$ALTER TABLE u ADD COLUMN d int, ADD CONSTRAINT another PRIMARY KEY (d, a)$$);
SELECT twins($$ALTER TABLE u DROP CONSTRAINT another, ADD PRIMARY KEY (a)$$);
SELECT twins($$ALTER TABLE s ADD COLUMN w int PRIMARY KEY$$);
SELECT twins($$ALTER TABLE l DROP CONSTRAINT IF EXISTS nothing$$);
SELECT twins($$ALTER TABLE IF EXISTS nothing ADD PRIMARY KEY (a)$$);
SELECT unlike();
ALTER TABLE nvmkv_twin.l SET SCHEMA public;
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname ~ '^l' ORDER BY 1;
DROP FOREIGN TABLE l;

-- what drivers ask
SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey) WHERE indisprimary AND indrelid = 'nvmkv_twin.u'::regclass;

-- the option makes the constraint
CREATE FOREIGN TABLE o (a int, b text, c int) SERVER nvmkv OPTIONS (primary_key 'b, a DESC');
SELECT indexes_in('public');
INSERT INTO o VALUES (1, 'x', 1), (2, 'x', 2);
INSERT INTO o VALUES (1, 'x', 1) ON CONFLICT (a, b) DO UPDATE SET c = 10 RETURNING *;
SELECT * FROM o;
ALTER FOREIGN TABLE o OPTIONS (SET primary_key 'a');
SELECT * FROM o;
TRUNCATE o;
ALTER FOREIGN TABLE o OPTIONS (SET primary_key 'c');
SELECT indexes_in('public');
ALTER FOREIGN TABLE o OPTIONS (DROP primary_key);
SELECT indexes_in('public');
ALTER FOREIGN TABLE o OPTIONS (ADD primary_key 'a DESC, b');
SELECT indexes_in('public');
-- as pg_dump writes it: the constraint agrees
ALTER TABLE ONLY o ADD CONSTRAINT o_pkey PRIMARY KEY (a, b);
ALTER TABLE ONLY o ADD CONSTRAINT o_key PRIMARY KEY (a, b);
ALTER TABLE ONLY o ADD PRIMARY KEY (a, b);
SELECT indexes_in('public');
ALTER TABLE ONLY o ADD CONSTRAINT other_order PRIMARY KEY (b, a) INCLUDE (c);
SELECT indexes_in('public');
SELECT ftoptions FROM pg_foreign_table WHERE ftrelid = 'o'::regclass;
INSERT INTO o VALUES (1, 'x', 1);
INSERT INTO o VALUES (1, 'x', 1);
ALTER TABLE o ADD PRIMARY KEY (a);
ALTER TABLE o DROP CONSTRAINT other_order;
-- a table with rows and without a key: they are written anew
CREATE FOREIGN TABLE r (a int, b int) SERVER nvmkv;
CREATE INDEX r_b ON r (b);
INSERT INTO r VALUES (3, 1), (1, 1), (2, 5), (1, 7), (NULL, 8);
ALTER TABLE r ADD PRIMARY KEY (a);
DELETE FROM r WHERE a IS NULL;
ALTER TABLE r ADD CONSTRAINT r_key PRIMARY KEY (a);
DELETE FROM r WHERE b = 7;
BEGIN;
ALTER TABLE r ADD PRIMARY KEY (a);
SELECT * FROM r ORDER BY a;
ROLLBACK;
SELECT * FROM r ORDER BY a;
ALTER TABLE r ADD PRIMARY KEY (a);
SELECT * FROM r ORDER BY a;
SELECT a FROM r WHERE b = 1 ORDER BY a;
SELECT * FROM nvmkv.check('r');
INSERT INTO r VALUES (1, 1), (1, 2);
DROP FOREIGN TABLE r;
-- constraint and option, told together
CREATE FOREIGN TABLE r (a int, b int, PRIMARY KEY (a, b)) SERVER nvmkv OPTIONS (primary_key 'b DESC, a');
SELECT indexes_in('public');
DROP FOREIGN TABLE r;
CREATE FOREIGN TABLE r (a int PRIMARY KEY, b int) SERVER nvmkv OPTIONS (primary_key 'b');
CREATE FOREIGN TABLE r (a int PRIMARY KEY DEFERRABLE) SERVER nvmkv OPTIONS (primary_key 'a');
CREATE FOREIGN TABLE r (a int PRIMARY KEY DEFERRABLE, b int) SERVER nvmkv;
ALTER FOREIGN TABLE r OPTIONS (ADD primary_key 'b');
SELECT indexes_in('public');
SELECT ftoptions FROM pg_foreign_table WHERE ftrelid = 'r'::regclass;
DROP FOREIGN TABLE r;
CREATE FOREIGN TABLE r (a json PRIMARY KEY) SERVER nvmkv;

-- rollback
BEGIN;
SAVEPOINT s;
CREATE FOREIGN TABLE r (a int PRIMARY KEY, b int) SERVER nvmkv;
INSERT INTO r VALUES (1, 1);
ROLLBACK TO s;
CREATE FOREIGN TABLE r (a int, b int) SERVER nvmkv;
SAVEPOINT s2;
ALTER TABLE r ADD PRIMARY KEY (a);
INSERT INTO r VALUES (1, 1);
ROLLBACK TO s2;
INSERT INTO r VALUES (1, 1), (1, 1);
COMMIT;
SELECT count(*), (SELECT count(*) FROM pg_index WHERE indrelid = 'r'::regclass) FROM r;
DROP FOREIGN TABLE r;

-- owners and privileges
CREATE ROLE nvmkv_key_owner;
CREATE ROLE nvmkv_key_other;
GRANT USAGE, CREATE ON SCHEMA nvmkv_twin TO nvmkv_key_owner, nvmkv_key_other;
ALTER FOREIGN TABLE nvmkv_twin.u OWNER TO nvmkv_key_owner;
SELECT relname, relowner::regrole FROM pg_class WHERE relnamespace = 'nvmkv_twin'::regnamespace AND relname ~ '^u' ORDER BY 1;
SET ROLE nvmkv_key_other;
ALTER TABLE nvmkv_twin.u DROP CONSTRAINT u_pkey;
ALTER TABLE nvmkv_twin.u ADD PRIMARY KEY (a);
SET ROLE nvmkv_key_owner;
ALTER TABLE nvmkv_twin.u DROP CONSTRAINT u_pkey;
ALTER TABLE nvmkv_twin.u ADD PRIMARY KEY (a);
RESET ROLE;
REASSIGN OWNED BY nvmkv_key_owner TO nvmkv_key_other;
SELECT relname, relowner::regrole FROM pg_class WHERE relnamespace = 'nvmkv_twin'::regnamespace AND relname ~ '^u' ORDER BY 1;
DROP OWNED BY nvmkv_key_owner, nvmkv_key_other;
DROP ROLE nvmkv_key_owner, nvmkv_key_other;

-- event triggers
CREATE FUNCTION told() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE
	c record;
BEGIN
	RAISE WARNING '% %', tg_event, tg_tag;
	IF tg_event = 'ddl_command_end' THEN
		FOR c IN SELECT * FROM pg_event_trigger_ddl_commands() LOOP
			RAISE WARNING '  % % %', c.command_tag, c.object_type, c.object_identity;
		END LOOP;
	END IF;
END $$;
CREATE EVENT TRIGGER told_start ON ddl_command_start EXECUTE FUNCTION told();
CREATE EVENT TRIGGER told_end ON ddl_command_end EXECUTE FUNCTION told();
CREATE FOREIGN TABLE r (a int PRIMARY KEY, b int) SERVER nvmkv;
ALTER TABLE r DROP CONSTRAINT r_pkey;
ALTER TABLE r ADD PRIMARY KEY (b);
DROP EVENT TRIGGER told_start;
DROP EVENT TRIGGER told_end;

DROP FOREIGN TABLE r, o;
SET client_min_messages = error;
DROP SCHEMA nvmkv_twin, heap_twin CASCADE;
SELECT count(*) FROM nvmkv.storage WHERE relid NOT IN (SELECT oid FROM pg_class);
