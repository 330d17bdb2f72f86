--
-- Foreign keys of partitioned tables with foreign partitions.  The expected output is a heap table's (scripts/heap_twin.sh).
--
SET default_table_access_method = nvmkv;
CREATE VIEW keys AS SELECT c.conrelid::regclass AS of, CASE WHEN c.conrelid = (SELECT conrelid FROM pg_constraint WHERE oid = c.conparentid) THEN '(a part)' ELSE conname END AS conname, c.confrelid::regclass AS referenced, (SELECT conrelid::regclass FROM pg_constraint WHERE oid = c.conparentid) AS parent, conislocal, coninhcount, convalidated,
	(SELECT count(*) FROM pg_trigger WHERE tgconstraint = c.oid AND tgrelid = c.conrelid AND tgdeferrable = condeferrable) AS checks, (SELECT count(*) FROM pg_trigger WHERE tgconstraint = c.oid AND tgrelid = c.confrelid) AS actions,
	(SELECT count(*) FROM pg_trigger WHERE tgconstraint = c.oid AND tgparentid <> 0) AS tied FROM pg_constraint AS c WHERE contype = 'f' ORDER BY 1, 2, 3;
CREATE TABLE customer (id int PRIMARY KEY, name text UNIQUE);
INSERT INTO customer SELECT i, 'c' || i FROM generate_series(1, 10) AS i;

-- partitions that are made
CREATE TABLE visit (id int, day int, customer int NOT NULL REFERENCES customer ON DELETE CASCADE ON UPDATE CASCADE, name text) PARTITION BY RANGE (day);
CREATE TABLE visit1 PARTITION OF visit FOR VALUES FROM (0) TO (10);
CREATE TABLE visit2 PARTITION OF visit (FOREIGN KEY (customer) REFERENCES customer ON UPDATE CASCADE ON DELETE CASCADE) FOR VALUES FROM (10) TO (20);
SELECT * FROM keys;
ALTER TABLE visit2 DROP CONSTRAINT visit2_customer_fkey;
INSERT INTO visit VALUES (1, 1, 1, 'c1'), (2, 12, 2, 'c2'), (3, 3, 3, 'c3');
INSERT INTO visit VALUES (4, 4, 11, 'c4');
INSERT INTO visit1 VALUES (4, 4, 11, 'c4');
UPDATE visit SET customer = 12 WHERE id = 2;
UPDATE visit SET day = 13, customer = 12 WHERE id = 1;
UPDATE visit SET day = 13, customer = 4 WHERE id = 1;
UPDATE customer SET id = 20 WHERE id = 4;
DELETE FROM customer WHERE id = 3;
SELECT tableoid::regclass, * FROM visit ORDER BY id;
ALTER TABLE visit1 DROP CONSTRAINT visit_customer_fkey;

-- partitions that are attached
CREATE TABLE visit3 (id int, day int, customer int NOT NULL, name text);
INSERT INTO visit3 VALUES (30, 30, 1, 'c1'), (31, 31, 99, 'c2');
ALTER TABLE visit ATTACH PARTITION visit3 FOR VALUES FROM (30) TO (40);
DELETE FROM visit3 WHERE id = 31;
ALTER TABLE visit ATTACH PARTITION visit3 FOR VALUES FROM (30) TO (40);
CREATE TABLE visit4 (name text, gone int, customer int NOT NULL, id int, day int, CONSTRAINT own FOREIGN KEY (customer) REFERENCES customer ON UPDATE CASCADE ON DELETE CASCADE);
ALTER TABLE visit4 DROP COLUMN gone;
ALTER TABLE visit ATTACH PARTITION visit4 FOR VALUES FROM (40) TO (50);
CREATE TABLE visit5 (id int, day int, customer int NOT NULL, name text, CONSTRAINT visit_customer_fkey CHECK (id > 0), FOREIGN KEY (customer) REFERENCES customer);
ALTER TABLE visit ATTACH PARTITION visit5 FOR VALUES FROM (50) TO (60);
SELECT * FROM keys;
INSERT INTO visit VALUES (41, 41, 5, 'c5'), (51, 51, 5, 'c5');
INSERT INTO visit VALUES (42, 42, 77, 'c5');
INSERT INTO visit VALUES (52, 52, 77, 'c5');
DELETE FROM customer WHERE id = 5;
SELECT tableoid::regclass, * FROM visit ORDER BY id;
CREATE TABLE visit6 (id int, day int, customer int NOT NULL, name text) USING heap;
INSERT INTO visit6 VALUES (60, 60, 88, 'c8');
ALTER TABLE visit ATTACH PARTITION visit6 FOR VALUES FROM (60) TO (70);
UPDATE visit6 SET customer = 8;
ALTER TABLE visit ATTACH PARTITION visit6 FOR VALUES FROM (60) TO (70);
INSERT INTO visit VALUES (61, 61, 88, 'c8');

-- partitions that leave
ALTER TABLE visit DETACH PARTITION visit3;
ALTER TABLE visit DETACH PARTITION visit6;
SELECT * FROM keys WHERE of::text IN ('visit3', 'visit6');
INSERT INTO visit3 VALUES (32, 32, 99, 'c9');
INSERT INTO visit6 VALUES (32, 32, 99, 'c9');
UPDATE customer SET id = 21 WHERE id IN (1);
DELETE FROM customer WHERE id = 8;
SELECT * FROM visit3;
SELECT * FROM visit6;
ALTER TABLE visit3 DROP CONSTRAINT visit_customer_fkey;
INSERT INTO visit3 VALUES (32, 32, 99, 'c9');
DROP TABLE visit5;
SELECT * FROM keys;

-- keys that are added, altered and dropped, or made anew
ALTER TABLE visit ALTER customer TYPE bigint;
INSERT INTO visit VALUES (16, 16, 99, 'c1');
INSERT INTO visit VALUES (16, 16, 7, 'c7');
ALTER TABLE visit ADD CONSTRAINT by_name FOREIGN KEY (name) REFERENCES customer (name) DEFERRABLE INITIALLY DEFERRED;
UPDATE visit SET name = 'c2';
ALTER TABLE visit1 ADD CONSTRAINT own_by_name FOREIGN KEY (name) REFERENCES customer (name) DEFERRABLE INITIALLY DEFERRED;
INSERT INTO visit2 VALUES (14, 14, 2, 'nobody');
ALTER TABLE visit ADD CONSTRAINT by_name FOREIGN KEY (name) REFERENCES customer (name) DEFERRABLE INITIALLY DEFERRED;
DELETE FROM visit2 WHERE name = 'nobody';
ALTER TABLE visit ADD CONSTRAINT by_name FOREIGN KEY (name) REFERENCES customer (name) DEFERRABLE INITIALLY DEFERRED;
SELECT * FROM keys;
BEGIN;
INSERT INTO visit VALUES (5, 5, 2, 'late'), (15, 15, 2, 'late'), (45, 45, 2, 'late');
SET CONSTRAINTS by_name IMMEDIATE;
ROLLBACK;
BEGIN;
INSERT INTO visit VALUES (5, 5, 2, 'late'), (15, 15, 2, 'late'), (45, 45, 2, 'late');
INSERT INTO customer VALUES (70, 'late');
COMMIT;
ALTER TABLE visit ALTER CONSTRAINT by_name NOT DEFERRABLE;
SELECT * FROM keys WHERE conname LIKE '%name';
INSERT INTO visit VALUES (6, 6, 2, 'later');
DELETE FROM customer WHERE name = 'late';
ALTER TABLE visit4 DROP CONSTRAINT by_name;
ALTER TABLE visit DROP CONSTRAINT by_name;
SELECT * FROM keys;
INSERT INTO visit VALUES (6, 6, 2, 'later');
TRUNCATE customer;
TRUNCATE customer CASCADE;
SELECT count(*) FROM visit;

-- trees, and references to partitioned tables
CREATE TABLE area (code int PRIMARY KEY, v int) PARTITION BY RANGE (code);
CREATE TABLE area1 PARTITION OF area FOR VALUES FROM (0) TO (10) USING heap;
CREATE TABLE area2 PARTITION OF area FOR VALUES FROM (10) TO (20) USING heap;
INSERT INTO area VALUES (1, 1), (11, 1);
CREATE TABLE shop (id int, area int, FOREIGN KEY (area) REFERENCES area ON DELETE SET NULL) PARTITION BY LIST (id);
CREATE TABLE shop1 PARTITION OF shop FOR VALUES IN (1, 2, 3) PARTITION BY HASH (area);
CREATE TABLE shop11 PARTITION OF shop1 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE shop12 PARTITION OF shop1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE shop2 (id int, area int) PARTITION BY LIST (id);
CREATE TABLE shop21 PARTITION OF shop2 FOR VALUES IN (4);
ALTER TABLE shop ATTACH PARTITION shop2 FOR VALUES IN (4, 5);
SELECT * FROM keys WHERE of::text LIKE 'shop%';
INSERT INTO shop VALUES (1, 1), (2, 11), (4, 11);
INSERT INTO shop VALUES (3, 3);
INSERT INTO shop VALUES (4, 3);
DELETE FROM area WHERE code = 11;
SELECT tableoid::regclass, * FROM shop WHERE id = 4;
ALTER TABLE shop DETACH PARTITION shop2;
SELECT * FROM keys WHERE of::text LIKE 'shop2%';
INSERT INTO shop2 VALUES (4, 3);
INSERT INTO shop2 VALUES (4, 1);
DELETE FROM area WHERE code = 1;
SELECT * FROM shop2 ORDER BY 2;
DROP TABLE visit, visit3, visit6, customer, shop, shop2, area;
DROP VIEW keys;
