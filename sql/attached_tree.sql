--
-- Partitioned tables with foreign partitions that become partitions: indexes, keys.  The expected output is a heap table's (scripts/heap_twin.sh).
--
SET default_table_access_method = nvmkv;
CREATE VIEW parts AS SELECT i.indrelid::regclass AS of, i.indexrelid::regclass AS index, (SELECT inhparent::regclass FROM pg_inherits WHERE inhrelid = i.indexrelid) AS part_of, indisunique AS u, indisprimary AS p, indisvalid AS v, (SELECT conname FROM pg_constraint WHERE conindid = i.indexrelid AND contype IN ('p', 'u')) AS con, (SELECT (SELECT conname FROM pg_constraint WHERE oid = c.conparentid) FROM pg_constraint AS c WHERE conindid = i.indexrelid AND contype IN ('p', 'u')) AS con_part_of FROM pg_index AS i JOIN pg_class AS c ON c.oid = indrelid WHERE relname LIKE 'tree%' ORDER BY 1, 2;
CREATE TABLE tree (k int, v text, w int, PRIMARY KEY (k), UNIQUE (w, k)) PARTITION BY RANGE (k);
CREATE INDEX ON tree (v);
CREATE INDEX ON tree ((w + 1)) WHERE w > 0;
CREATE TABLE tree1 (w int, k int NOT NULL, v text) PARTITION BY RANGE (k);
CREATE TABLE tree11 PARTITION OF tree1 FOR VALUES FROM (0) TO (5);
CREATE TABLE tree12 (gone int, v text, w int, k int NOT NULL) PARTITION BY RANGE (k);
ALTER TABLE tree12 DROP COLUMN gone;
CREATE TABLE tree121 PARTITION OF tree12 FOR VALUES FROM (5) TO (7);
CREATE TABLE tree122 PARTITION OF tree12 FOR VALUES FROM (7) TO (8) USING heap;
ALTER TABLE tree1 ATTACH PARTITION tree12 FOR VALUES FROM (5) TO (10);
CREATE INDEX own ON tree11 (v);
CREATE UNIQUE INDEX own_unique ON tree121 (w, k);
INSERT INTO tree1 (k, v, w) VALUES (1, 'a', 1), (2, 'b', 1), (5, 'c', 2), (6, 'd', 2), (7, 'e', 2);
ALTER TABLE tree ATTACH PARTITION tree1 FOR VALUES FROM (0) TO (10);
SELECT * FROM parts;
INSERT INTO tree VALUES (5, 'x', 3);
INSERT INTO tree VALUES (7, 'x', 3);
INSERT INTO tree VALUES (5, 'x', 3) ON CONFLICT (k) DO UPDATE SET v = EXCLUDED.v RETURNING *;
CREATE TABLE tree2 (k int NOT NULL, v text, w int) PARTITION BY RANGE (k);
CREATE TABLE tree21 PARTITION OF tree2 FOR VALUES FROM (10) TO (15);
INSERT INTO tree2 VALUES (11, 'x', 0), (11, 'y', 1);
ALTER TABLE tree ATTACH PARTITION tree2 FOR VALUES FROM (10) TO (20);
DELETE FROM tree2 WHERE w = 0;
ALTER TABLE tree ATTACH PARTITION tree2 FOR VALUES FROM (10) TO (20);
CREATE TABLE tree3 (k int, v text, w int) PARTITION BY RANGE (k);
CREATE TABLE tree31 PARTITION OF tree3 FOR VALUES FROM (20) TO (25);
ALTER TABLE tree ATTACH PARTITION tree3 FOR VALUES FROM (20) TO (30);
CREATE TABLE tree4 (k int, v text, w int, CONSTRAINT mine PRIMARY KEY (k)) PARTITION BY RANGE (k);
CREATE TABLE tree41 PARTITION OF tree4 FOR VALUES FROM (30) TO (35);
ALTER TABLE tree ATTACH PARTITION tree4 FOR VALUES FROM (30) TO (40);
CREATE TABLE tree5 (k int NOT NULL, v text, w int) PARTITION BY RANGE (k);
CREATE UNIQUE INDEX own5 ON tree5 (k);
CREATE TABLE tree51 PARTITION OF tree5 FOR VALUES FROM (40) TO (45);
ALTER TABLE tree ATTACH PARTITION tree5 FOR VALUES FROM (40) TO (50);
SELECT * FROM parts;
ALTER TABLE tree DETACH PARTITION tree1;
INSERT INTO tree1 (k) VALUES (5);
SELECT * FROM parts WHERE of::text ~ 'tree1';
ALTER TABLE tree ATTACH PARTITION tree1 FOR VALUES FROM (0) TO (10);
SELECT * FROM parts WHERE of::text ~ 'tree1';
SELECT tableoid::regclass, * FROM tree ORDER BY k;
DROP INDEX tree_v_idx;
ALTER TABLE tree DROP CONSTRAINT tree_pkey;
SELECT * FROM parts;
DROP TABLE tree, tree3;
DROP VIEW parts;

-- a partition of a partition that references its own tree; versions of the server have names of their own for parts of keys
CREATE TABLE node (id int PRIMARY KEY, up int CONSTRAINT of_node REFERENCES node) PARTITION BY RANGE (id);
CREATE TABLE node1 PARTITION OF node FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (id);
CREATE TABLE node11 PARTITION OF node1 FOR VALUES FROM (0) TO (5);
CREATE TABLE node12 PARTITION OF node1 FOR VALUES FROM (5) TO (10);
CREATE TABLE node2 PARTITION OF node FOR VALUES FROM (10) TO (20) USING heap;
INSERT INTO node VALUES (1, 1), (6, 1), (11, 1), (7, 11);
ALTER TABLE node1 DETACH PARTITION node12;
\set VERBOSITY sqlstate
INSERT INTO node12 VALUES (8, 12);
INSERT INTO node12 VALUES (8, 6);
DELETE FROM node WHERE id = 11;
ALTER TABLE node1 ATTACH PARTITION node12 FOR VALUES FROM (5) TO (10);
DELETE FROM node12 WHERE id = 8;
ALTER TABLE node1 ATTACH PARTITION node12 FOR VALUES FROM (5) TO (10);
INSERT INTO node VALUES (9, 12);
DELETE FROM node WHERE id = 11;
DELETE FROM node WHERE id = 7;
DELETE FROM node WHERE id = 11;
DELETE FROM node WHERE id = 1;
\set VERBOSITY default
SELECT tableoid::regclass, * FROM node ORDER BY id;
DROP TABLE node;
