--
-- Foreign keys between foreign tables, and between these and heap tables: the same as between heap tables.
--
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
\getenv abs_srcdir PG_ABS_SRCDIR
\set twins :abs_srcdir '/sql/include/twins.sql'
\set ECHO none
\i :twins
\set ECHO all

-- The statement fails with the same constraint and table, too.
CREATE FUNCTION blamed_in(schema_name text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	c text;
	t text;
	k text;
	s text;
BEGIN
	PERFORM set_config('search_path', schema_name || ', public', true);
	EXECUTE statement;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS c = constraint_name, t = table_name, k = column_name, s = schema_name;
	RETURN concat_ws(' ', sqlstate, c, t, k, replace(s, schema_name, 'twin'));
END $$;
CREATE FUNCTION blamed(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	path text := current_setting('search_path');
	heap text := blamed_in('heap_twin', of_heap(statement));
	ours text := blamed_in('nvmkv_twin', statement);
BEGIN
	PERFORM set_config('search_path', path, true);
	RETURN NEXT CASE WHEN heap = ours THEN ours ELSE 'heap: ' || heap || ', here: ' || ours END;
END $$;

-- What the catalogues and the information schema say of foreign keys, but for the functions of triggers.
CREATE FUNCTION keys_in(schema_name text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT replace(format('%s %s %s %s %s %s %s %s %s %s %s %s %s %s', conname, conrelid::regclass, confrelid::regclass, conindid::regclass, pg_get_constraintdef(c.oid),
		condeferrable, condeferred, convalidated, conislocal, conkey, confkey, confdelsetcols, connoinherit,
		(SELECT string_agg(format('%s %s %s %s %s', tgrelid::regclass, tgtype, tgenabled, tgisinternal, tgdeferrable), ', ' ORDER BY tgrelid, tgtype)
		 FROM pg_trigger WHERE tgconstraint = c.oid)), schema_name || '.', '')
	FROM pg_constraint AS c WHERE contype = 'f' AND connamespace = schema_name::regnamespace
	UNION ALL
	SELECT concat_ws(' ', constraint_name, unique_constraint_name, match_option, update_rule, delete_rule)
	FROM information_schema.referential_constraints WHERE constraint_schema = schema_name AND constraint_name NOT LIKE '%heap%'
$$;
CREATE FUNCTION unlike_keys() RETURNS SETOF text LANGUAGE sql AS $$
	(SELECT 'heap: ' || h FROM keys_in('heap_twin') AS h EXCEPT ALL SELECT 'heap: ' || n FROM keys_in('nvmkv_twin') AS n)
	UNION ALL
	(SELECT 'here: ' || n FROM keys_in('nvmkv_twin') AS n EXCEPT ALL SELECT 'here: ' || h FROM keys_in('heap_twin') AS h)
$$;

-- A table's rows, where both have the same.
CREATE FUNCTION rows_of(name text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format('(SELECT ''heap: '' || h::text FROM heap_twin.%1$I AS h EXCEPT ALL SELECT ''heap: '' || n::text FROM nvmkv_twin.%1$I AS n) UNION ALL
		(SELECT ''here: '' || n::text FROM nvmkv_twin.%1$I AS n EXCEPT ALL SELECT ''here: '' || h::text FROM heap_twin.%1$I AS h) ORDER BY 1', name);
	IF NOT FOUND THEN
		RETURN QUERY EXECUTE format('SELECT n::text FROM nvmkv_twin.%I AS n ORDER BY n', name);
	END IF;
END $$;

-- ---------------------------------------------------------------- columns and tables
SELECT twins($$CREATE FOREIGN TABLE p (id bigint PRIMARY KEY, u int UNIQUE, v text, other int) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE c (x bigint REFERENCES p, y int CONSTRAINT named REFERENCES p (u) ON UPDATE CASCADE ON DELETE SET NULL) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE bad (x bigint REFERENCES nothing) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE bad (x bigint REFERENCES p (other)) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE bad (x bigint REFERENCES p (nothing)) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE bad (x text REFERENCES p) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE bad (x bigint, FOREIGN KEY (x, y) REFERENCES p) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE bad (x bigint, FOREIGN KEY (x) REFERENCES p (id, u)) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE bad (x bigint, FOREIGN KEY (x) REFERENCES p ON DELETE SET NULL (y)) SERVER nvmkv$$);
SELECT twins($$INSERT INTO p VALUES (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c')$$);
SELECT twins($$INSERT INTO c VALUES (1, 10), (2, NULL), (NULL, 30)$$);
SELECT twins($$INSERT INTO c VALUES (4, 10)$$);
SELECT blamed($$INSERT INTO c VALUES (4, 10)$$);
SELECT twins($$INSERT INTO c VALUES (1, 40)$$);
SELECT twins($$UPDATE c SET x = 9$$);
SELECT blamed($$UPDATE c SET x = 9$$);
SELECT twins($$UPDATE c SET y = y$$);
SELECT twins($$UPDATE p SET id = 7 WHERE id = 1$$);
SELECT blamed($$UPDATE p SET id = 7 WHERE id = 1$$);
SELECT twins($$DELETE FROM p WHERE id = 2$$);
SELECT blamed($$DELETE FROM p WHERE id = 2$$);
SELECT twins($$UPDATE p SET v = 'changed', u = u + 1$$);
SELECT rows_of('c');
SELECT twins($$DELETE FROM p WHERE id = 3$$);
SELECT rows_of('c');
SELECT twins($$TRUNCATE p$$);
SELECT twins($$TRUNCATE p, c$$);
SELECT twins($$DROP FOREIGN TABLE p$$);
SELECT unlike_keys();

-- ---------------------------------------------------------------- ALTER TABLE
SELECT twins($$INSERT INTO p VALUES (1, 10, 'a'), (2, 20, 'b')$$);
SELECT twins($$CREATE FOREIGN TABLE a (id int PRIMARY KEY, x bigint, y int) SERVER nvmkv$$);
SELECT twins($$INSERT INTO a VALUES (1, 1, 1), (2, 5, 2)$$);
SELECT twins($$ALTER TABLE a ADD FOREIGN KEY (x) REFERENCES p$$);
SELECT blamed($$ALTER TABLE a ADD FOREIGN KEY (x) REFERENCES p$$);
SELECT twins($$ALTER TABLE a ADD CONSTRAINT later FOREIGN KEY (x) REFERENCES p NOT VALID$$);
SELECT unlike_keys();
SELECT twins($$INSERT INTO a VALUES (3, 5, 2)$$);
SELECT twins($$UPDATE a SET y = 3 WHERE id = 2$$);
SELECT twins($$ALTER TABLE a VALIDATE CONSTRAINT later$$);
-- tables that were shown to the server as its own were given nothing
SELECT count(*) FROM pg_depend JOIN pg_class AS c ON c.oid = objid WHERE classid = 'pg_class'::regclass AND relkind = 't' AND refobjid IN ('nvmkv_twin.p'::regclass, 'nvmkv_twin.a'::regclass);
SELECT twins($$UPDATE a SET x = 2 WHERE id = 2$$);
SELECT twins($$ALTER TABLE a VALIDATE CONSTRAINT later$$);
SELECT twins($$ALTER TABLE a VALIDATE CONSTRAINT later$$);
SELECT twins($$ALTER TABLE a VALIDATE CONSTRAINT nothing$$);
SELECT twins($$ALTER TABLE a RENAME CONSTRAINT later TO renamed$$);
SELECT twins($$INSERT INTO a VALUES (3, 5, 2)$$);
SELECT twins($$ALTER TABLE a ADD CONSTRAINT renamed FOREIGN KEY (x) REFERENCES p$$);
SELECT unlike_keys();
SELECT twins($$ALTER TABLE a DROP CONSTRAINT renamed$$);
SELECT twins($$INSERT INTO a VALUES (3, 5, 2)$$);
SELECT twins($$ALTER TABLE a ADD COLUMN z int REFERENCES p (u), ADD COLUMN w bigint DEFAULT 1 REFERENCES p$$);
SELECT twins($$ALTER TABLE a ADD COLUMN IF NOT EXISTS w bigint DEFAULT 1 REFERENCES nothing$$);
SELECT twins($$ALTER TABLE a ADD COLUMN q bigint DEFAULT 77 REFERENCES p$$);
SELECT twins($$ALTER TABLE a ADD COLUMN q int UNIQUE, ADD FOREIGN KEY (q) REFERENCES a (q), ADD CHECK (y > 0)$$);
SELECT twins($$ALTER TABLE IF EXISTS nothing ADD FOREIGN KEY (q) REFERENCES a (q)$$);
SELECT twins($$ALTER TABLE a DROP COLUMN z$$);
SELECT twins($$ALTER TABLE p DROP COLUMN id$$);
SELECT twins($$ALTER TABLE p DROP CONSTRAINT p_u_key$$);
SELECT unlike_keys();
SELECT rows_of('a');
SELECT twins($$ALTER TABLE a DISABLE TRIGGER ALL$$);
SELECT twins($$INSERT INTO a (id, w) VALUES (50, 99)$$);
SELECT twins($$ALTER TABLE a ENABLE TRIGGER ALL$$);
SELECT twins($$INSERT INTO a (id, w) VALUES (51, 99)$$);
SELECT twins($$DROP FOREIGN TABLE p CASCADE$$);
SELECT unlike_keys();
SELECT rows_of('c');

-- ---------------------------------------------------------------- several columns, MATCH FULL, actions
SELECT twins($$CREATE FOREIGN TABLE pp (a int, b text COLLATE "C", v int, PRIMARY KEY (a, b), UNIQUE (b, v)) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE simple (a int, b text COLLATE "C", FOREIGN KEY (a, b) REFERENCES pp ON UPDATE CASCADE ON DELETE RESTRICT) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE full_ (a int, b text COLLATE "C", FOREIGN KEY (a, b) REFERENCES pp MATCH FULL ON UPDATE SET NULL ON DELETE SET NULL) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE defaults (id int PRIMARY KEY, a int DEFAULT 2, b text COLLATE "C" DEFAULT 'two', FOREIGN KEY (a, b) REFERENCES pp ON UPDATE SET DEFAULT ON DELETE SET DEFAULT) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE lists (a int DEFAULT 2, b text COLLATE "C" DEFAULT 'two', FOREIGN KEY (a, b) REFERENCES pp (a, b) ON DELETE SET NULL (a)) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE crossed (v int, b text COLLATE "C", FOREIGN KEY (v, b) REFERENCES pp (v, b) ON DELETE CASCADE) SERVER nvmkv$$);
SELECT unlike_keys();
SELECT twins($$INSERT INTO pp VALUES (1, 'one', 1), (2, 'two', 2), (3, 'three', 3), (4, 'four', 4)$$);
SELECT twins($$INSERT INTO simple VALUES (1, 'one'), (1, NULL), (NULL, 'x'), (9, NULL)$$);
SELECT twins($$INSERT INTO simple VALUES (1, 'two')$$);
SELECT twins($$INSERT INTO full_ VALUES (3, 'three'), (NULL, NULL)$$);
SELECT twins($$INSERT INTO full_ VALUES (3, NULL)$$);
SELECT blamed($$INSERT INTO full_ VALUES (3, NULL)$$);
SELECT twins($$INSERT INTO defaults VALUES (1, 3, 'three'), (2, 4, 'four')$$);
SELECT twins($$INSERT INTO lists VALUES (3, 'three'), (4, 'four')$$);
SELECT twins($$INSERT INTO crossed VALUES (3, 'three'), (1, 'one')$$);
SELECT twins($$UPDATE pp SET a = a + 10 WHERE a = 1$$);
SELECT twins($$DELETE FROM pp WHERE a = 11$$);
SELECT twins($$DELETE FROM pp WHERE a = 3$$);
SELECT rows_of('simple');
SELECT rows_of('full_');
SELECT rows_of('defaults');
SELECT rows_of('lists');
SELECT rows_of('crossed');
SELECT twins($$DELETE FROM lists$$);
SELECT twins($$UPDATE pp SET a = 40, b = 'forty' WHERE a = 4$$);
SELECT twins($$DELETE FROM pp WHERE a = 2$$);
SELECT rows_of('defaults');
SELECT twins($$DROP FOREIGN TABLE simple, full_, defaults, lists, crossed, pp$$);

-- ---------------------------------------------------------------- itself
SELECT twins($$CREATE FOREIGN TABLE tree (id int PRIMARY KEY, up int REFERENCES tree ON DELETE CASCADE ON UPDATE CASCADE) SERVER nvmkv$$);
SELECT twins($$INSERT INTO tree VALUES (3, 2), (2, 1), (1, NULL), (4, 4)$$);
SELECT twins($$INSERT INTO tree VALUES (5, 6)$$);
SELECT twins($$UPDATE tree SET id = 20 WHERE id = 2$$);
SELECT rows_of('tree');
SELECT twins($$DELETE FROM tree WHERE id IN (1, 4)$$);
SELECT rows_of('tree');
SELECT twins($$CREATE FOREIGN TABLE chain (id int PRIMARY KEY, up int REFERENCES chain) SERVER nvmkv$$);
SELECT twins($$INSERT INTO chain SELECT i, nullif(i - 1, 0) FROM generate_series(1, 100) AS i$$);
SELECT twins($$DELETE FROM chain WHERE id = 50$$);
SELECT twins($$DELETE FROM chain WHERE id >= 50$$);
SELECT twins($$UPDATE chain SET id = id + 1$$);
SELECT twins($$UPDATE chain SET id = id + 100, up = up + 100$$);
SELECT twins($$DROP FOREIGN TABLE tree, chain$$);

-- ---------------------------------------------------------------- with heap tables
CREATE TABLE heap_twin.hp (id int PRIMARY KEY, v int);
CREATE TABLE nvmkv_twin.hp (id int PRIMARY KEY, v int);
SELECT twins($$CREATE FOREIGN TABLE ofheap (id int PRIMARY KEY, x int REFERENCES hp ON DELETE SET NULL ON UPDATE CASCADE) SERVER nvmkv$$);
SELECT twins($$INSERT INTO hp VALUES (1, 1), (2, 2), (3, 3)$$);
SELECT twins($$INSERT INTO ofheap VALUES (1, 1), (2, 2), (3, 3)$$);
SELECT twins($$INSERT INTO ofheap VALUES (4, 4)$$);
SELECT twins($$UPDATE hp SET id = 10 WHERE id = 1$$);
SELECT twins($$DELETE FROM hp WHERE id = 2$$);
SELECT rows_of('ofheap');
SELECT twins($$CREATE TABLE heap_of (id int PRIMARY KEY, x int REFERENCES ofheap ON DELETE CASCADE, y int, FOREIGN KEY (y) REFERENCES ofheap)$$);
SELECT twins($$INSERT INTO heap_of VALUES (1, 1, 2), (2, 2, 3)$$);
SELECT twins($$INSERT INTO heap_of VALUES (3, 7, 2)$$);
SELECT twins($$DELETE FROM ofheap WHERE id = 3$$);
SELECT twins($$DELETE FROM ofheap WHERE id = 1$$);
SELECT rows_of('heap_of');
SELECT twins($$TRUNCATE ofheap$$);
SELECT twins($$ALTER TABLE heap_of ADD COLUMN w int REFERENCES ofheap$$);
SELECT twins($$ALTER TABLE heap_of ADD CONSTRAINT again FOREIGN KEY (id) REFERENCES ofheap (id) NOT VALID$$);
SELECT twins($$ALTER TABLE heap_of VALIDATE CONSTRAINT again$$);
SELECT twins($$INSERT INTO heap_of VALUES (6)$$);
SELECT twins($$TRUNCATE hp CASCADE$$);
SELECT rows_of('heap_of');
SELECT unlike_keys();
SELECT twins($$DROP TABLE hp CASCADE$$);
SELECT twins($$DROP FOREIGN TABLE ofheap CASCADE$$);
SELECT unlike_keys();

-- ---------------------------------------------------------------- triggers, upserts, COPY
SELECT twins($$CREATE FOREIGN TABLE tp (id int PRIMARY KEY, v int) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE tc (id int PRIMARY KEY, x int REFERENCES tp ON DELETE CASCADE) SERVER nvmkv$$);
SELECT twins($$INSERT INTO tp VALUES (1), (2), (3)$$);
SELECT twins($$INSERT INTO tc VALUES (1, 1), (2, 2)$$);
SELECT twins($$INSERT INTO tc VALUES (1, 3) ON CONFLICT (id) DO UPDATE SET x = excluded.x$$);
SELECT twins($$INSERT INTO tc VALUES (1, 4) ON CONFLICT (id) DO UPDATE SET x = excluded.x$$);
SELECT twins($$INSERT INTO tc VALUES (1, 4) ON CONFLICT (id) DO NOTHING$$);
SELECT twins($$WITH d AS (DELETE FROM tp WHERE id = 3 RETURNING *) INSERT INTO tc SELECT 7, 1 FROM d$$);
SELECT rows_of('tc');
-- the row's trigger sets right what the row's foreign key would not have let pass
SELECT twins($f$CREATE FUNCTION set_right() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN UPDATE tc SET x = 1 WHERE id = new.id AND x = 99; RETURN NULL; END$$$f$);
SELECT twins($$CREATE TRIGGER "A first" AFTER INSERT OR UPDATE ON tc FOR EACH ROW EXECUTE FUNCTION set_right()$$);
SELECT twins($$INSERT INTO tc VALUES (8, 99)$$);
SELECT twins($$UPDATE tc SET x = 99 WHERE id = 8$$);
SELECT twins($$INSERT INTO tc VALUES (9, 98)$$);
SELECT rows_of('tc');
SET search_path = nvmkv_twin, public;
COPY tc FROM stdin;
20	1
21	55
\.
RESET search_path;
SELECT rows_of('tc');
DROP FUNCTION heap_twin.set_right, nvmkv_twin.set_right CASCADE;
SELECT twins($$DROP FOREIGN TABLE tp, tc$$);

-- ---------------------------------------------------------------- privileges
CREATE ROLE regress_fk_owner;
CREATE ROLE regress_fk_other;
GRANT USAGE ON FOREIGN SERVER nvmkv TO regress_fk_owner;
GRANT ALL ON SCHEMA heap_twin, nvmkv_twin TO regress_fk_owner, regress_fk_other;
SELECT twins($$CREATE FOREIGN TABLE lp (id int PRIMARY KEY, v int) SERVER nvmkv$$);
SELECT twins($$INSERT INTO lp VALUES (1), (2)$$);
SET ROLE regress_fk_owner;
SELECT twins($$CREATE FOREIGN TABLE lc (x int) SERVER nvmkv$$);
SELECT twins($$INSERT INTO lc VALUES (1), (5), (NULL)$$);
SELECT twins($$ALTER TABLE lc ADD FOREIGN KEY (x) REFERENCES lp$$);
SELECT twins($$ALTER TABLE lp ADD FOREIGN KEY (v) REFERENCES lp$$);
RESET ROLE;
SELECT twins($$GRANT REFERENCES ON lp TO regress_fk_owner$$);
SET ROLE regress_fk_owner;
-- who may not read the referenced table may reference it; rows are verified one by one
SELECT twins($$ALTER TABLE lc ADD FOREIGN KEY (x) REFERENCES lp$$);
SELECT twins($$DELETE FROM lc WHERE x = 5$$);
SELECT twins($$ALTER TABLE lc ADD FOREIGN KEY (x) REFERENCES lp$$);
SELECT twins($$INSERT INTO lc VALUES (2)$$);
SELECT twins($$INSERT INTO lc VALUES (3)$$);
SELECT twins($$SELECT * FROM lp$$);
RESET ROLE;
SELECT twins($$GRANT INSERT ON lc TO regress_fk_other$$);
SET ROLE regress_fk_other;
SELECT twins($$INSERT INTO lc VALUES (3)$$);
SELECT twins($$ALTER TABLE lc DROP CONSTRAINT lc_x_fkey$$);
RESET ROLE;
SELECT twins($$DELETE FROM lp$$);
SELECT unlike_keys();
SELECT twins($$DROP FOREIGN TABLE lc, lp$$);
DROP OWNED BY regress_fk_owner, regress_fk_other;
DROP ROLE regress_fk_owner, regress_fk_other;

-- ---------------------------------------------------------------- transactions
SELECT twins($$CREATE FOREIGN TABLE xp (id int PRIMARY KEY) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE xc (x int) SERVER nvmkv$$);
BEGIN;
ALTER TABLE nvmkv_twin.xc ADD FOREIGN KEY (x) REFERENCES nvmkv_twin.xp;
SAVEPOINT s;
INSERT INTO nvmkv_twin.xc VALUES (1);
ROLLBACK TO s;
ROLLBACK;
INSERT INTO nvmkv_twin.xc VALUES (1);
BEGIN;
ALTER TABLE nvmkv_twin.xc ADD FOREIGN KEY (x) REFERENCES nvmkv_twin.xp;
ROLLBACK;
SELECT count(*), sum((relkind = 'f')::int) FROM pg_class WHERE relname IN ('xp', 'xc') AND relnamespace = 'nvmkv_twin'::regnamespace;
SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('nvmkv_twin.xp'::regclass, 'nvmkv_twin.xc'::regclass);

-- ---------------------------------------------------------------- what there is not
SELECT nvmkv.foreign_key_check();
SELECT nvmkv.foreign_key_action();
CREATE TRIGGER t AFTER INSERT ON nvmkv_twin.xc FOR EACH ROW EXECUTE FUNCTION nvmkv.foreign_key_check();
INSERT INTO nvmkv_twin.xc VALUES (5);
DROP SCHEMA heap_twin, nvmkv_twin CASCADE;
