--
-- Foreign keys that are checked at the end of the transaction.  The expected output is a heap table's (scripts/heap_twin.sh).
--
CREATE FOREIGN TABLE parent (id int PRIMARY KEY, code text UNIQUE, v int) SERVER nvmkv;
CREATE FOREIGN TABLE child (id int PRIMARY KEY, parent int CONSTRAINT late REFERENCES parent DEFERRABLE INITIALLY DEFERRED, code text CONSTRAINT soon REFERENCES parent (code) DEFERRABLE, v int) SERVER nvmkv;
SELECT conname, condeferrable, condeferred, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f' ORDER BY 1;
SELECT tgrelid::regclass, tgtype, tgdeferrable, tginitdeferred FROM pg_trigger ORDER BY 1, 2, 3, 4;
INSERT INTO parent VALUES (1, 'a'), (2, 'b'), (3, 'c');

-- a single statement is its own transaction
INSERT INTO child VALUES (1, 9);
INSERT INTO child VALUES (1, 1, 'x');
INSERT INTO child VALUES (1, 1, 'a');
UPDATE child SET parent = 9;
UPDATE child SET code = 'x';
DELETE FROM parent WHERE id = 1;
UPDATE parent SET id = 10 WHERE id = 1;
UPDATE parent SET code = 'z' WHERE id = 1;

-- children first
BEGIN;
INSERT INTO child VALUES (2, 4), (3, 5);
INSERT INTO parent VALUES (4), (5);
COMMIT;
BEGIN;
INSERT INTO child VALUES (4, 6);
INSERT INTO child VALUES (5, 7), (6, 8);
INSERT INTO parent VALUES (7);
COMMIT;
BEGIN;
INSERT INTO child VALUES (4, 1, 'y');
COMMIT;

-- the row changes before it is checked
BEGIN;
INSERT INTO child VALUES (4, 6);
DELETE FROM child WHERE id = 4;
COMMIT;
BEGIN;
INSERT INTO child VALUES (4, 6);
UPDATE child SET parent = 1 WHERE id = 4;
COMMIT;
BEGIN;
INSERT INTO child VALUES (5, 6);
UPDATE child SET v = 1 WHERE id = 5;
COMMIT;
BEGIN;
INSERT INTO child VALUES (5, 6);
UPDATE child SET id = 50 WHERE id = 5;
COMMIT;
BEGIN;
INSERT INTO child VALUES (5, 6);
UPDATE child SET id = 50 WHERE id = 5;
UPDATE child SET parent = NULL WHERE id = 50;
COMMIT;
BEGIN;
UPDATE child SET parent = 9 WHERE id = 50;
UPDATE child SET parent = 8 WHERE id = 50;
UPDATE child SET parent = 2 WHERE id = 50;
COMMIT;
BEGIN;
INSERT INTO child VALUES (6, 6) ON CONFLICT (id) DO UPDATE SET parent = 1;
INSERT INTO child VALUES (6, 6) ON CONFLICT (id) DO UPDATE SET parent = 1;
COMMIT;
BEGIN;
INSERT INTO child VALUES (6, 3) ON CONFLICT (id) DO UPDATE SET parent = 66;
COMMIT;
SELECT * FROM child ORDER BY id;

-- the referenced row goes, and comes back
BEGIN;
DELETE FROM parent WHERE id = 1;
SELECT count(*) FROM parent;
COMMIT;
BEGIN;
DELETE FROM parent WHERE id = 2;
INSERT INTO parent VALUES (2, 'b', 2);
COMMIT;
BEGIN;
UPDATE parent SET id = id + 1;
ROLLBACK;
BEGIN;
UPDATE parent SET id = 100 WHERE id = 2;
UPDATE parent SET id = 2 WHERE id = 100;
COMMIT;
BEGIN;
UPDATE parent SET id = 100 WHERE id = 2;
UPDATE child SET parent = 100 WHERE parent = 2;
COMMIT;
BEGIN;
DELETE FROM parent WHERE id = 100;
DELETE FROM child WHERE parent = 100;
COMMIT;
BEGIN;
DELETE FROM parent WHERE id = 4;
UPDATE child SET parent = NULL WHERE parent = 4;
INSERT INTO child VALUES (7, 4);
COMMIT;

-- SET CONSTRAINTS
BEGIN;
INSERT INTO child VALUES (7, 70);
SET CONSTRAINTS ALL IMMEDIATE;
COMMIT;
BEGIN;
INSERT INTO child VALUES (7, 70);
SET CONSTRAINTS soon IMMEDIATE;
INSERT INTO parent VALUES (70);
SET CONSTRAINTS late IMMEDIATE;
INSERT INTO child VALUES (8, 71);
COMMIT;
BEGIN;
SET CONSTRAINTS soon DEFERRED;
INSERT INTO child VALUES (7, 1, 'later');
INSERT INTO parent VALUES (70, 'later');
SET CONSTRAINTS soon IMMEDIATE;
INSERT INTO child VALUES (8, 1, 'never');
COMMIT;
BEGIN;
SET CONSTRAINTS ALL DEFERRED;
INSERT INTO child VALUES (7, 70, 'later');
SET CONSTRAINTS late IMMEDIATE;
COMMIT;
BEGIN;
SET CONSTRAINTS late IMMEDIATE;
SET CONSTRAINTS late DEFERRED;
INSERT INTO child VALUES (7, 70);
INSERT INTO parent VALUES (70);
COMMIT;
BEGIN;
SET CONSTRAINTS late IMMEDIATE;
DELETE FROM parent WHERE id = 70;
ROLLBACK;
BEGIN;
DELETE FROM parent WHERE id = 70;
SET CONSTRAINTS late IMMEDIATE;
ROLLBACK;

-- savepoints
BEGIN;
SAVEPOINT s;
INSERT INTO child VALUES (10, 80);
ROLLBACK TO s;
COMMIT;
BEGIN;
INSERT INTO child VALUES (10, 80);
SAVEPOINT s;
INSERT INTO child VALUES (11, 81);
ROLLBACK TO s;
INSERT INTO parent VALUES (80);
COMMIT;
BEGIN;
INSERT INTO child VALUES (12, 82);
SAVEPOINT s;
DELETE FROM child WHERE id = 12;
ROLLBACK TO s;
COMMIT;
BEGIN;
SAVEPOINT s;
INSERT INTO child VALUES (12, 82);
RELEASE s;
SAVEPOINT s;
INSERT INTO parent VALUES (82);
ROLLBACK TO s;
COMMIT;
BEGIN;
INSERT INTO child VALUES (12, 82);
SAVEPOINT s;
SET CONSTRAINTS ALL IMMEDIATE;
ROLLBACK TO s;
INSERT INTO parent VALUES (82);
SAVEPOINT t;
SET CONSTRAINTS ALL IMMEDIATE;
INSERT INTO child VALUES (13, 83);
ROLLBACK TO t;
DELETE FROM parent WHERE id = 82;
INSERT INTO child VALUES (14, 83);
COMMIT;
BEGIN;
SAVEPOINT a;
INSERT INTO child VALUES (15, 84);
SAVEPOINT b;
INSERT INTO child VALUES (16, 85);
SAVEPOINT c;
INSERT INTO child VALUES (17, 86);
RELEASE c;
RELEASE b;
INSERT INTO parent VALUES (84), (86);
SAVEPOINT d;
INSERT INTO parent VALUES (85);
SET CONSTRAINTS ALL IMMEDIATE;
RELEASE d;
ROLLBACK TO a;
INSERT INTO child VALUES (15, 87);
COMMIT;
BEGIN;
SAVEPOINT a;
INSERT INTO parent VALUES (90), (91);
SAVEPOINT b;
INSERT INTO child VALUES (20, 90), (21, 91), (22, 92);
SAVEPOINT c;
DELETE FROM child WHERE id = 22;
SET CONSTRAINTS ALL IMMEDIATE;
ROLLBACK TO c;
RELEASE b;
COMMIT;
SELECT * FROM child ORDER BY id;
SELECT * FROM parent ORDER BY id;

-- statements within a trigger: checked when the inner one ends, if it is not deferred
CREATE FUNCTION also() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.id < 1000 THEN
		BEGIN
			INSERT INTO child VALUES (NEW.id + 1000, 1, 'none');
		EXCEPTION WHEN foreign_key_violation THEN
			RAISE NOTICE 'caught: %', SQLERRM;
		END;
		INSERT INTO child VALUES (NEW.id + 2000, NEW.id + 2000);
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER also AFTER INSERT ON child FOR EACH ROW EXECUTE FUNCTION also();
INSERT INTO child VALUES (30, 1), (31, 1);
BEGIN;
INSERT INTO child VALUES (30, 1), (31, 1);
INSERT INTO parent VALUES (2030), (2031);
COMMIT;
BEGIN;
SET CONSTRAINTS soon DEFERRED;
INSERT INTO child VALUES (32, 1), (33, 1);
INSERT INTO parent VALUES (2032), (2033);
COMMIT;
DROP TRIGGER also ON child;
SELECT * FROM child WHERE id >= 30 ORDER BY id;

-- what waits keeps DDL away
BEGIN;
INSERT INTO child VALUES (40, 1);
ALTER TABLE child ADD COLUMN w int;
ROLLBACK;
BEGIN;
INSERT INTO child VALUES (40, 1);
TRUNCATE child;
ROLLBACK;
BEGIN;
INSERT INTO child VALUES (40, 1);
DROP TABLE child;
ROLLBACK;
BEGIN;
INSERT INTO child VALUES (40, 1);
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE child ADD COLUMN w int;
ROLLBACK;

-- disabled, and replication
ALTER TABLE child DISABLE TRIGGER ALL;
BEGIN;
INSERT INTO child VALUES (41, 141);
COMMIT;
DELETE FROM child WHERE id = 41;
ALTER TABLE child ENABLE TRIGGER ALL;
SET session_replication_role = replica;
INSERT INTO child VALUES (41, 141);
RESET session_replication_role;
DELETE FROM child WHERE id = 41;

-- from not deferrable to deferrable, and back
ALTER TABLE child ALTER CONSTRAINT late NOT DEFERRABLE;
BEGIN;
INSERT INTO child VALUES (41, 141);
ROLLBACK;
BEGIN;
DELETE FROM parent WHERE id = 3;
DELETE FROM parent WHERE id = 1;
ROLLBACK;
ALTER TABLE child ALTER CONSTRAINT late DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE child ALTER CONSTRAINT missing DEFERRABLE;
ALTER TABLE child ALTER CONSTRAINT child_pkey DEFERRABLE;
BEGIN;
INSERT INTO child VALUES (41, 141);
DELETE FROM parent WHERE id = 1;
INSERT INTO parent VALUES (141), (1, 'a');
COMMIT;
SELECT tgrelid::regclass, tgtype, tgdeferrable, tginitdeferred FROM pg_trigger WHERE tgisinternal ORDER BY 1, 2, 3, 4;

-- COPY, and more rows than fit into memory
SET work_mem = '64kB';
BEGIN;
INSERT INTO child SELECT i, i FROM generate_series(10000, 20000) AS i;
SAVEPOINT s;
INSERT INTO child SELECT i, i FROM generate_series(20001, 30000) AS i;
ROLLBACK TO s;
INSERT INTO child SELECT i, i FROM generate_series(30001, 31000) AS i;
INSERT INTO parent SELECT i FROM generate_series(10000, 20000) AS i;
INSERT INTO parent SELECT i FROM generate_series(30001, 31000) AS i;
COMMIT;
BEGIN;
INSERT INTO child SELECT i, i FROM generate_series(40000, 45000) AS i;
INSERT INTO parent SELECT i FROM generate_series(40000, 44000) AS i;
COMMIT;
BEGIN;
COPY child FROM stdin;
60	160	\N	\N
61	161	\N	\N
\.
INSERT INTO parent VALUES (160);
SAVEPOINT s;
INSERT INTO parent VALUES (161);
RELEASE s;
COMMIT;
COPY child FROM stdin;
62	162	\N	\N
\.
RESET work_mem;
SELECT count(*), sum(parent) FROM child;

-- a table that references itself, one of several columns, with an option of its own
CREATE FOREIGN TABLE node (id int PRIMARY KEY, up int REFERENCES node DEFERRABLE INITIALLY DEFERRED, a text, b int, UNIQUE (a, b), x text, y int, FOREIGN KEY (x, y) REFERENCES node (a, b) MATCH FULL DEFERRABLE INITIALLY DEFERRED) SERVER nvmkv;
BEGIN;
INSERT INTO node (id, up) VALUES (1, 2), (2, 3), (3, 1);
COMMIT;
BEGIN;
DELETE FROM node WHERE id = 1;
UPDATE node SET up = 2 WHERE id = 3;
COMMIT;
INSERT INTO node (id, x) VALUES (4, 'half');
BEGIN;
INSERT INTO node (id, x) VALUES (4, 'half');
UPDATE node SET y = 1 WHERE id = 4;
INSERT INTO node (id, a, b) VALUES (5, 'half', 1);
COMMIT;
DELETE FROM node;
SELECT count(*) FROM node;

-- actions do not wait
CREATE FOREIGN TABLE act (id int PRIMARY KEY, p int REFERENCES parent ON DELETE CASCADE ON UPDATE RESTRICT DEFERRABLE INITIALLY DEFERRED, q int REFERENCES parent ON DELETE SET NULL ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED) SERVER nvmkv;
SELECT tgrelid::regclass, tgtype, tgdeferrable, tginitdeferred FROM pg_trigger JOIN pg_constraint AS c ON c.oid = tgconstraint WHERE conrelid = 'act'::regclass ORDER BY 1, 2, 3, 4;
BEGIN;
INSERT INTO act VALUES (1, 500, 501), (2, 502, 501);
INSERT INTO parent VALUES (500), (501), (502);
UPDATE parent SET id = 601 WHERE id = 501;
SELECT * FROM act ORDER BY id;
DELETE FROM parent WHERE id = 502;
SELECT * FROM act ORDER BY id;
DELETE FROM parent WHERE id = 601;
SELECT * FROM act ORDER BY id;
COMMIT;
DO $$ BEGIN UPDATE parent SET id = 600 WHERE id = 500; EXCEPTION WHEN foreign_key_violation OR restrict_violation THEN RAISE NOTICE 'refused: %', sqlerrm ~ 'foreign key constraint "act_p_fkey" on table "act"'; END $$;

-- a value that was stored elsewhere, and has gone
CREATE FOREIGN TABLE word (w text COLLATE "C" PRIMARY KEY) SERVER nvmkv;
CREATE FOREIGN TABLE says (id int PRIMARY KEY, w text COLLATE "C" REFERENCES word DEFERRABLE INITIALLY DEFERRED) SERVER nvmkv;
CREATE TABLE source (w text COLLATE "C", more text) USING heap;
ALTER TABLE source ALTER w SET STORAGE EXTERNAL, ALTER more SET STORAGE PLAIN;
INSERT INTO source VALUES (repeat('x', 1900), repeat('y', 400));
SELECT pg_relation_size(reltoastrelid) > 0 FROM pg_class WHERE oid = 'source'::regclass;
BEGIN;
INSERT INTO says SELECT 1, w FROM source;
DROP TABLE source;
INSERT INTO word VALUES (repeat('x', 1900));
COMMIT;
SELECT id, length(w) FROM says JOIN word USING (w);

-- without a primary key
CREATE FOREIGN TABLE loose (parent int REFERENCES parent DEFERRABLE INITIALLY DEFERRED, v int) SERVER nvmkv;
BEGIN;
INSERT INTO loose VALUES (700), (1);
DELETE FROM loose WHERE parent = 700;
COMMIT;
BEGIN;
INSERT INTO loose VALUES (700);
UPDATE loose SET parent = 2 WHERE parent = 700;
UPDATE loose SET parent = 3 WHERE parent = 2;
COMMIT;
BEGIN;
INSERT INTO loose VALUES (700), (700);
DELETE FROM loose WHERE parent = 700;
INSERT INTO loose VALUES (700);
COMMIT;
BEGIN;
INSERT INTO loose VALUES (700), (701);
SAVEPOINT s;
DELETE FROM loose WHERE parent = 700;
ROLLBACK TO s;
INSERT INTO parent VALUES (701);
COMMIT;
SELECT * FROM loose ORDER BY 1;

-- between kinds of tables
CREATE TABLE of_heap (id int PRIMARY KEY, parent int REFERENCES parent DEFERRABLE INITIALLY DEFERRED) USING heap;
CREATE FOREIGN TABLE of_both (id int PRIMARY KEY, h int REFERENCES of_heap DEFERRABLE INITIALLY DEFERRED) SERVER nvmkv;
BEGIN;
INSERT INTO of_both VALUES (1, 1), (2, 2);
INSERT INTO of_heap VALUES (1, 800), (2, 800);
INSERT INTO parent VALUES (800);
COMMIT;
BEGIN;
DELETE FROM parent WHERE id = 800;
DELETE FROM of_heap;
DELETE FROM of_both;
ROLLBACK;
BEGIN;
DELETE FROM parent WHERE id = 800;
COMMIT;
BEGIN;
DELETE FROM of_heap;
COMMIT;

-- partitions
CREATE TABLE parts (id int, parent int) PARTITION BY RANGE (id);
CREATE FOREIGN TABLE part1 (id int PRIMARY KEY, parent int CONSTRAINT part1_parent REFERENCES parent DEFERRABLE INITIALLY DEFERRED) SERVER nvmkv;
CREATE FOREIGN TABLE part2 (id int PRIMARY KEY, parent int CONSTRAINT part2_parent REFERENCES parent DEFERRABLE INITIALLY DEFERRED) SERVER nvmkv;
ALTER TABLE parts ATTACH PARTITION part1 FOR VALUES FROM (0) TO (10);
ALTER TABLE parts ATTACH PARTITION part2 FOR VALUES FROM (10) TO (20);
BEGIN;
INSERT INTO parts VALUES (1, 901), (11, 902);
INSERT INTO parent VALUES (901), (902);
COMMIT;
BEGIN;
UPDATE parts SET parent = 903 WHERE id = 1;
UPDATE parts SET id = 12 WHERE id = 1;
INSERT INTO parent VALUES (903);
COMMIT;
BEGIN;
UPDATE parts SET id = 2, parent = 904 WHERE id = 12;
COMMIT;
BEGIN;
COPY parts FROM stdin;
3	905
13	906
\.
INSERT INTO parent VALUES (905);
COMMIT;
SELECT * FROM parts ORDER BY id;

-- prepared transactions, and procedures
BEGIN;
INSERT INTO child VALUES (50, 150);
PREPARE TRANSACTION 'bad';
BEGIN;
INSERT INTO child VALUES (50, 150);
INSERT INTO parent VALUES (150);
PREPARE TRANSACTION 'good';
COMMIT PREPARED 'good';
DO $$
BEGIN
	INSERT INTO child VALUES (51, 151);
	INSERT INTO parent VALUES (151);
	COMMIT;
	INSERT INTO child VALUES (52, 152);
	COMMIT;
END $$;
SELECT * FROM child WHERE id BETWEEN 50 AND 59;
DROP TABLE parts, of_both, of_heap, loose, says, word, act, node, child, parent;
