--
-- ALTER TABLE beside a heap table: old rows read as they would there, or the
-- command is refused.
--
CREATE SCHEMA alter_test;
SET search_path = alter_test, public;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';

CREATE TABLE h (k int PRIMARY KEY, v text);
CREATE FOREIGN TABLE n (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
INSERT INTO h SELECT i, 'v' || i FROM generate_series(1, 5) AS i;
INSERT INTO n SELECT * FROM h;

-- Runs a command on both (the command says @), and tells whether they agree.
CREATE FUNCTION on_both(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	said text[] := '{}';
	name text;
	heap text;
	nv text;
BEGIN
	FOREACH name IN ARRAY ARRAY['h', 'n'] LOOP
		BEGIN
			EXECUTE replace(command, '@', name);
			said := said || 'ok'::text;
		EXCEPTION WHEN OTHERS THEN
			said := said || (sqlstate || ' ' || replace(sqlerrm, '"' || name || '"', '"@"'));
		END;
	END LOOP;
	SELECT string_agg(h::text, ' ' ORDER BY k) INTO heap FROM h;
	SELECT string_agg(n::text, ' ' ORDER BY k) INTO nv FROM n;
	RETURN CASE WHEN said[1] = said[2] THEN said[1] ELSE 'heap: ' || said[1] || ', here: ' || said[2] END ||
		CASE WHEN heap IS DISTINCT FROM nv THEN ' BUT ROWS DIFFER: ' || heap || ' AND ' || nv ELSE '' END;
END $$;

-- ADD COLUMN: old rows show the default they were born with.
SELECT on_both('ALTER TABLE @ ADD COLUMN plain int');
SELECT on_both('ALTER TABLE @ ADD COLUMN five int DEFAULT 5');
SELECT on_both('ALTER TABLE @ ADD COLUMN txt text NOT NULL DEFAULT repeat(''ab'', 5)');
SELECT on_both('ALTER TABLE @ ADD COLUMN today timestamptz DEFAULT ''2000-01-01''');
SELECT on_both('ALTER TABLE @ ADD COLUMN arr int[] DEFAULT ''{1,2}'', ADD COLUMN j jsonb DEFAULT ''{"a": 1}''');
SELECT on_both('ALTER TABLE @ ALTER COLUMN five SET DEFAULT 6');
SELECT on_both('INSERT INTO @ (k, v) VALUES (6, ''six'')');
SELECT on_both('UPDATE @ SET v = ''changed'' WHERE k = 2');
SELECT on_both('ALTER TABLE @ ALTER COLUMN five DROP DEFAULT');
SELECT on_both('INSERT INTO @ (k, v) VALUES (7, ''seven'')');
SELECT on_both('DELETE FROM @ WHERE five = 6');
SELECT * FROM n WHERE five = 5 AND k = 1;
SELECT on_both('ALTER TABLE @ ADD COLUMN must int NOT NULL');
SELECT on_both('ALTER TABLE @ ADD COLUMN five int DEFAULT 1');
SELECT on_both('ALTER TABLE @ ADD COLUMN IF NOT EXISTS five int DEFAULT 1');
SELECT on_both('ALTER TABLE @ ADD COLUMN wrong int DEFAULT ''x''::text::int');
SELECT on_both('ALTER TABLE @ ADD COLUMN checked int DEFAULT 1 CHECK (checked > 1)');
SELECT on_both('ALTER TABLE @ ADD COLUMN checked int DEFAULT 2 CHECK (checked > 1)');
SELECT on_both('INSERT INTO @ (k, checked) VALUES (100, 0)');
CREATE DOMAIN dom AS int DEFAULT 7 CHECK (value > 0);
CREATE DOMAIN dom_not_null AS int NOT NULL;
SELECT on_both('ALTER TABLE @ ADD COLUMN dom dom');
SELECT on_both('ALTER TABLE @ ADD COLUMN dom2 dom DEFAULT -1');
SELECT on_both('ALTER TABLE @ ADD COLUMN dom3 dom_not_null');
-- A default that the statement sets beside is for later rows.
SELECT on_both('ALTER TABLE @ ADD COLUMN later int, ALTER later SET DEFAULT 5, ADD COLUMN later2 int DEFAULT 1, ALTER later2 SET DEFAULT 2');
SELECT on_both('ALTER TABLE @ ADD COLUMN later3 int NOT NULL, ALTER later3 ADD GENERATED ALWAYS AS IDENTITY');
SELECT on_both('ALTER TABLE @ ALTER later4 SET DEFAULT random(), ADD COLUMN later4 float, ADD CHECK (later4 IS NULL)');
SELECT on_both('ALTER TABLE @ ADD COLUMN later5 int DEFAULT 5, ALTER later5 DROP DEFAULT');
SELECT on_both('INSERT INTO @ (k, later4) VALUES (17, NULL)');
SELECT on_both('DELETE FROM @ WHERE k = 17');
SELECT on_both('ALTER TABLE @ DROP later, DROP later2, DROP later4');
-- Rolled back with its transaction.
BEGIN;
SELECT on_both('ALTER TABLE @ ADD COLUMN passing int DEFAULT 9');
SELECT on_both('INSERT INTO @ (k, passing) VALUES (8, 10)');
ROLLBACK;
SELECT on_both('INSERT INTO @ (k) VALUES (8)');

-- DROP COLUMN: the others stay where they are.
SELECT on_both('ALTER TABLE @ DROP COLUMN txt');
SELECT on_both('ALTER TABLE @ DROP COLUMN plain, ADD COLUMN plain text DEFAULT ''new''');
SELECT on_both('INSERT INTO @ (k, v) VALUES (9, ''nine'')');
SELECT on_both('UPDATE @ SET plain = plain || k WHERE k > 4');
SELECT on_both('ALTER TABLE @ DROP COLUMN nothing');

-- ALTER COLUMN TYPE, with values that stay as they are and others.
SELECT on_both('ALTER TABLE @ ADD COLUMN vc varchar(10) DEFAULT ''abc'', ADD COLUMN nu numeric(10, 2) DEFAULT 1.5');
SELECT on_both('ALTER TABLE @ ALTER COLUMN vc TYPE varchar(20)');
SELECT on_both('ALTER TABLE @ ALTER COLUMN vc TYPE text');
SELECT on_both('ALTER TABLE @ ALTER COLUMN nu TYPE numeric(12, 2)');
SELECT on_both('ALTER TABLE @ ALTER COLUMN nu TYPE numeric');
SELECT on_both('ALTER TABLE @ ALTER COLUMN today TYPE timestamp');
SELECT on_both('ALTER TABLE @ ALTER COLUMN v TYPE text COLLATE "C"');
SELECT on_both('ALTER TABLE @ ALTER COLUMN nothing TYPE text');
SELECT on_both('ALTER TABLE @ ALTER COLUMN five TYPE no_such_type');
SELECT on_both('ALTER TABLE @ ALTER COLUMN five TYPE bigint');
SELECT on_both('ALTER TABLE @ ALTER COLUMN vc TYPE varchar(2)');
SELECT on_both('ALTER TABLE @ ALTER COLUMN nu TYPE int');
SELECT on_both('ALTER TABLE @ ALTER COLUMN j TYPE int');
SELECT on_both('ALTER TABLE @ ALTER COLUMN five TYPE bigint USING five + 1');
SELECT on_both('ALTER TABLE @ ALTER COLUMN k TYPE bigint');
SELECT on_both('SELECT 1 FROM @');
-- Free while there are no rows; rows that old snapshots could find are not read with the new type.
CREATE FOREIGN TABLE e (k int, a int, b text) SERVER nvmkv OPTIONS (primary_key 'k');
ALTER FOREIGN TABLE e ALTER COLUMN a TYPE text;
INSERT INTO e VALUES (1, 'text', 'x');
DELETE FROM e;
ALTER FOREIGN TABLE e ALTER COLUMN a TYPE int USING 1;
ALTER FOREIGN TABLE e ALTER COLUMN a TYPE text;
ALTER FOREIGN TABLE e ALTER COLUMN b TYPE bytea;
ALTER FOREIGN TABLE e ALTER COLUMN b TYPE int;
ALTER FOREIGN TABLE e ALTER COLUMN k TYPE bigint;
INSERT INTO e VALUES (2, 'more', '\x01');
SELECT * FROM e;
CREATE FOREIGN TABLE vk (k varchar(5), v int) SERVER nvmkv OPTIONS (primary_key 'k');
INSERT INTO vk VALUES ('abc', 1);
ALTER FOREIGN TABLE vk ALTER COLUMN k TYPE varchar(10);
ALTER FOREIGN TABLE vk ALTER COLUMN k TYPE text;
SELECT * FROM vk WHERE k = 'abc';

-- NOT NULL and CHECK are verified, as on the heap.
SELECT on_both('ALTER TABLE @ ALTER COLUMN plain SET NOT NULL');
SELECT on_both('ALTER TABLE @ ALTER COLUMN v SET NOT NULL');

-- A row of nulls is not null.
CREATE TYPE pair AS (a int, b int);
SELECT on_both('ALTER TABLE @ ADD COLUMN nulls pair DEFAULT ROW(NULL, NULL)');
SELECT on_both('ALTER TABLE @ ALTER COLUMN nulls SET NOT NULL');
SELECT on_both('ALTER TABLE @ DROP COLUMN nulls');
DROP TYPE pair;
SELECT on_both('INSERT INTO @ (k, plain) VALUES (20, NULL)');
SELECT on_both('ALTER TABLE @ ALTER COLUMN plain DROP NOT NULL');
SELECT on_both('ALTER TABLE @ ALTER COLUMN k DROP NOT NULL');
SELECT on_both('ALTER TABLE @ ADD CONSTRAINT high CHECK (k > 1)');
SELECT on_both('ALTER TABLE @ ADD CONSTRAINT low CHECK (k < 1000)');
SELECT on_both('ALTER TABLE @ ADD CONSTRAINT later CHECK (k > 3) NOT VALID');
SELECT on_both('INSERT INTO @ (k) VALUES (-1)');
SELECT on_both('ALTER TABLE @ VALIDATE CONSTRAINT later');
SELECT on_both('DELETE FROM @ WHERE k <= 3');
SELECT on_both('ALTER TABLE @ VALIDATE CONSTRAINT later');
SELECT on_both('ALTER TABLE @ DROP CONSTRAINT later, ADD CONSTRAINT later CHECK (k > 4)');
SET constraint_exclusion = on;
SELECT on_both('ALTER TABLE @ ADD CONSTRAINT never CHECK (k < 0)');
RESET constraint_exclusion;
SELECT on_both('ALTER TABLE @ ADD COLUMN a_check int, ADD CHECK (a_check IS NOT NULL)');

-- The option of the key.
ALTER FOREIGN TABLE n OPTIONS (SET primary_key 'v');
ALTER FOREIGN TABLE n OPTIONS (SET primary_key 'k DESC');
ALTER FOREIGN TABLE n OPTIONS (SET primary_key ' K  asc ');
SELECT on_both('INSERT INTO @ (k) VALUES (50)');
DELETE FROM e;
ALTER FOREIGN TABLE e OPTIONS (SET primary_key 'nothing');
ALTER FOREIGN TABLE e OPTIONS (SET primary_key 'a, k DESC');
INSERT INTO e VALUES (1, 'a', NULL), (2, 'a', NULL), (1, 'b', NULL);
INSERT INTO e VALUES (2, 'a', NULL);
INSERT INTO e VALUES (3, NULL, NULL);
SELECT * FROM e ORDER BY a, k DESC;
TRUNCATE e;
ALTER FOREIGN TABLE e OPTIONS (DROP primary_key);
INSERT INTO e VALUES (2, 'a', NULL), (2, 'a', NULL);
SELECT * FROM e;
ALTER FOREIGN TABLE e OPTIONS (ADD primary_key 'k');
BEGIN;
DELETE FROM e;
ALTER FOREIGN TABLE e OPTIONS (ADD primary_key 'k');
INSERT INTO e VALUES (9, 'x', NULL);
SELECT * FROM e;
ROLLBACK;
SELECT * FROM e;

-- Through a parent.
CREATE TABLE hp (k int NOT NULL, v int) PARTITION BY RANGE (k);
CREATE TABLE hp_1 PARTITION OF hp FOR VALUES FROM (0) TO (10);
CREATE FOREIGN TABLE np_1 PARTITION OF hp FOR VALUES FROM (10) TO (20) SERVER nvmkv OPTIONS (primary_key 'k');
INSERT INTO hp SELECT i, i FROM generate_series(0, 19) AS i;
ALTER TABLE hp ADD COLUMN d int NOT NULL DEFAULT 42;
SELECT tableoid::regclass, d, count(*) FROM hp GROUP BY 1, 2 ORDER BY 1;
ALTER TABLE hp ADD CHECK (v < 15);
ALTER TABLE hp ADD CHECK (v < 25);
ALTER TABLE hp ALTER COLUMN v TYPE bigint;
ALTER TABLE hp ALTER COLUMN v SET NOT NULL;
ALTER TABLE hp DROP COLUMN k;
CREATE FOREIGN TABLE np_2 (k int NOT NULL, v bigint NOT NULL, d int NOT NULL DEFAULT 42, CONSTRAINT hp_v_check CHECK (v < 25)) SERVER nvmkv OPTIONS (primary_key 'k');
INSERT INTO np_2 VALUES (25, 1), (30, 2);
ALTER TABLE hp ATTACH PARTITION np_2 FOR VALUES FROM (20) TO (30);
DELETE FROM np_2 WHERE k = 30;
ALTER TABLE hp ATTACH PARTITION np_2 FOR VALUES FROM (20) TO (30);
SELECT tableoid::regclass, count(*) FROM hp GROUP BY 1 ORDER BY 1;
ALTER TABLE hp DETACH PARTITION np_2;
SELECT count(*) FROM np_2;

-- A row type does not change under stored rows.
CREATE TYPE rt AS (a int, b text);
CREATE FOREIGN TABLE c (k int, r rt[]) SERVER nvmkv OPTIONS (primary_key 'k');
INSERT INTO c VALUES (1, ARRAY[(1, 'x')::rt]);
ALTER TYPE rt ALTER ATTRIBUTE a TYPE bigint;
ALTER TYPE rt ADD ATTRIBUTE c int;
SELECT * FROM c;

-- Nor does a table's, by a column that has a value in old rows.
CREATE FOREIGN TABLE inner_n (a int) SERVER nvmkv;
CREATE TABLE inner_h (a int);
CREATE TABLE outer_h (h inner_h, n inner_n);
CREATE FOREIGN TABLE outer_n (h inner_h, n inner_n[]) SERVER nvmkv;
INSERT INTO outer_n VALUES (ROW(1), ARRAY[ROW(1)]::inner_n[]);
\set VERBOSITY sqlstate
ALTER TABLE inner_n ADD COLUMN b int DEFAULT 5;
ALTER TABLE inner_h ADD COLUMN b int DEFAULT 5;
DROP TABLE outer_h;
ALTER TABLE inner_n ADD COLUMN b int DEFAULT 5;
ALTER TABLE inner_h ADD COLUMN b int DEFAULT 5;
ALTER TABLE inner_h ADD COLUMN IF NOT EXISTS a int DEFAULT 5;
\set VERBOSITY default
ALTER TABLE inner_n ADD COLUMN b int;
ALTER TABLE inner_h ADD COLUMN b int;
SELECT * FROM outer_n;
DROP FOREIGN TABLE outer_n, inner_n;
DROP TABLE inner_h;

-- Domains, too, are verified.
CREATE DOMAIN d1 AS int;
CREATE DOMAIN d2 AS d1;
CREATE FOREIGN TABLE dt (k int, a d1, "B b" d2) SERVER nvmkv OPTIONS (primary_key 'k');
INSERT INTO dt VALUES (1, 1, 1), (2, 20, 10), (3, 30, NULL);
ALTER DOMAIN d1 SET NOT NULL;
ALTER DOMAIN d1 ADD CONSTRAINT c1 CHECK (value < 15);
ALTER DOMAIN d2 ADD CONSTRAINT c2 CHECK (value < 10);
ALTER DOMAIN d2 ADD CONSTRAINT c2 CHECK (value < 11 AND value IS NOT NULL);
ALTER DOMAIN d2 ADD CONSTRAINT c2 CHECK (value < 11);
ALTER DOMAIN d1 ADD CONSTRAINT c1 CHECK (value < 15) NOT VALID;
INSERT INTO dt VALUES (4, 16, NULL);
ALTER DOMAIN d1 VALIDATE CONSTRAINT c1;
DELETE FROM dt WHERE k > 1;
ALTER DOMAIN d1 VALIDATE CONSTRAINT c1;
ALTER DOMAIN d1 SET NOT NULL;
INSERT INTO dt VALUES (2, 1, NULL);

-- The owner needs no more than ownership, and cannot read by it what a check may not.
CREATE ROLE nvmkv_owner;
GRANT USAGE, CREATE ON SCHEMA alter_test TO nvmkv_owner;
SET ROLE nvmkv_owner;
CREATE FOREIGN TABLE own (k int, v int) SERVER nvmkv OPTIONS (primary_key 'k');
INSERT INTO own VALUES (1, NULL);
REVOKE ALL ON own FROM nvmkv_owner;
ALTER FOREIGN TABLE own ALTER COLUMN v SET NOT NULL;
ALTER FOREIGN TABLE own ADD CHECK (k > 1);
ALTER FOREIGN TABLE own ADD CHECK (k > 0);
RESET ROLE;
SET ROLE pg_monitor;
ALTER FOREIGN TABLE own ADD CHECK (k > 0);
RESET ROLE;

SET client_min_messages = warning;
DROP SCHEMA alter_test CASCADE;
DROP ROLE nvmkv_owner;
