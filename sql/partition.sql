-- Foreign tables as partitions and inheritance children.  Heap tables in their place say the same (scripts/heap_twin.sh).
CREATE TABLE event (k int NOT NULL, kind text, v int, CHECK (v < 1000)) PARTITION BY RANGE (k);
CREATE FOREIGN TABLE event_low PARTITION OF event FOR VALUES FROM (0) TO (100) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE event_mid PARTITION OF event FOR VALUES FROM (100) TO (200) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE TABLE event_high PARTITION OF event FOR VALUES FROM (200) TO (300);

-- routing
INSERT INTO event SELECT g, 'k' || g % 3, g FROM generate_series(0, 290, 10) g;
INSERT INTO event VALUES (5, 'x', 1), (105, 'y', 2), (205, 'z', 3) RETURNING tableoid::regclass, *;
COPY event FROM stdin;
6	a	1
206	b	2
106	c	3
\.
SELECT tableoid::regclass, count(*), min(k), max(k) FROM event GROUP BY 1 ORDER BY 2, 3;
SELECT * FROM event WHERE k BETWEEN 90 AND 110 ORDER BY k;

-- what must not come in
INSERT INTO event VALUES (300, 'none', 1);
INSERT INTO event VALUES (105, 'dup', 2);
INSERT INTO event VALUES (7, 'check', 1000);
INSERT INTO event_low VALUES (150, 'wrong', 1);
\set VERBOSITY terse
COPY event_low FROM stdin;
8	ok	1
150	wrong	1
\.
\set VERBOSITY default

-- changes through the parent, in place and out of a heap into foreign tables
UPDATE event SET v = v + 1 WHERE k IN (5, 105, 205) RETURNING tableoid::regclass, *;
UPDATE event SET k = k + 1 WHERE k IN (5, 105, 205) RETURNING tableoid::regclass, k;
\set VERBOSITY terse
UPDATE event SET k = k + 1 WHERE kind = 'x';
\set VERBOSITY default
UPDATE event SET k = 107 WHERE k = 206 AND kind = 'b' RETURNING tableoid::regclass, k;
UPDATE event SET k = 50 WHERE k = 206 AND kind = 'z';
DELETE FROM event WHERE kind IN ('a', 'b', 'c') RETURNING tableoid::regclass, k;
DELETE FROM event USING generate_series(0, 290, 20) g WHERE event.k = g;
WITH new AS (UPDATE event SET v = event.v + o.v FROM event o WHERE o.k = event.k + 100 AND o.kind = 'k1' RETURNING event.*, o.tableoid::regclass) SELECT * FROM new ORDER BY k;
WITH gone AS (DELETE FROM event USING event o WHERE o.k = event.k - 20 AND event.k IN (30, 130, 230) RETURNING event.k, o.k) SELECT * FROM gone ORDER BY 1;
SELECT tableoid::regclass, count(*), sum(v) FROM event GROUP BY 1 ORDER BY 3;

-- a foreign partition lets rows go: to another one, to a heap, not when it is named itself
INSERT INTO event VALUES (11, 'go', 1), (12, 'go', 2), (13, 'go', 3), (111, 'go', 4), (211, 'go', 5) ON CONFLICT DO NOTHING;
UPDATE event SET k = k + 100 WHERE k = 11 RETURNING k, kind, v;
UPDATE event SET k = k + 100, v = v * 10 WHERE kind = 'go' AND k IN (12, 13) RETURNING k, kind, v;
UPDATE event SET k = k + 100 WHERE kind = 'go' AND k BETWEEN 111 AND 112;
SELECT tableoid::regclass, * FROM event WHERE kind = 'go' ORDER BY k, v;
UPDATE event SET k = k + 1000 WHERE k = 111;
UPDATE event SET k = 113 WHERE k = 111;
UPDATE event SET v = 5000, k = 250 WHERE k = 113;
\set VERBOSITY terse
UPDATE event_mid SET k = 250 WHERE k = 113;
\set VERBOSITY default
BEGIN;
UPDATE event SET k = 14 WHERE k = 113 RETURNING k;
SAVEPOINT a;
UPDATE event SET k = 240 WHERE k = 14 RETURNING k;
ROLLBACK TO a;
SELECT tableoid::regclass, k FROM event WHERE kind = 'go' AND k < 200 ORDER BY k;
ROLLBACK;
DELETE FROM event WHERE kind = 'go' RETURNING k;

-- row triggers of parent and partition
CREATE TABLE trail (n int GENERATED ALWAYS AS IDENTITY, what text);
CREATE FUNCTION trail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO trail (what) VALUES (TG_TABLE_NAME || ' ' || TG_WHEN || ' ' || TG_OP || ' ' || coalesce(NEW.k, OLD.k));
  RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER t BEFORE INSERT OR UPDATE OR DELETE ON event_low FOR EACH ROW EXECUTE FUNCTION trail();
CREATE TRIGGER u AFTER INSERT OR UPDATE OR DELETE ON event FOR EACH ROW EXECUTE FUNCTION trail();
INSERT INTO event VALUES (60, 't', 1), (160, 't', 1), (260, 't', 1);
UPDATE event SET v = 2 WHERE kind = 't';
UPDATE event SET k = 165 WHERE kind = 't' AND k = 60;
UPDATE event SET k = 61 WHERE kind = 't' AND k = 160;
DELETE FROM event WHERE kind = 't';
SELECT what FROM trail ORDER BY n;
TRUNCATE trail;
DROP TRIGGER u ON event;
DROP TRIGGER t ON event_low;

-- row security of the parent
CREATE ROLE nvmkv_clerk;
GRANT ALL ON event, event_low TO nvmkv_clerk;
CREATE POLICY small ON event USING (v < 500) WITH CHECK (v < 100);
ALTER TABLE event ENABLE ROW LEVEL SECURITY;
SET ROLE nvmkv_clerk;
INSERT INTO event VALUES (61, 'p', 50), (261, 'p', 50);
INSERT INTO event VALUES (62, 'p', 200);
INSERT INTO event VALUES (262, 'p', 200);
UPDATE event SET v = 99 WHERE k = 61;
UPDATE event SET v = 100 WHERE k = 61;
UPDATE event SET k = 161, v = 100 WHERE k = 61;
UPDATE event SET k = 262, v = 100 WHERE k = 61;
UPDATE event SET k = 161, v = 98 WHERE k = 61;
SELECT count(*) FROM event WHERE v >= 500;
RESET ROLE;
DROP POLICY small ON event;
ALTER TABLE event DISABLE ROW LEVEL SECURITY;

-- columns in another order
CREATE FOREIGN TABLE event_odd (v int, gone int, kind text, k int NOT NULL, CONSTRAINT event_v_check CHECK (v < 1000)) SERVER nvmkv OPTIONS (primary_key 'k');
ALTER FOREIGN TABLE event_odd DROP COLUMN gone;
ALTER TABLE event ATTACH PARTITION event_odd FOR VALUES FROM (300) TO (400);
INSERT INTO event VALUES (300, 'odd', 1), (301, 'odd', 2), (60, 'even', 3);
UPDATE event SET v = v * 10, kind = kind || '!' WHERE k >= 300 RETURNING *;
UPDATE event SET k = 350 WHERE k = 301 RETURNING tableoid::regclass, *;
UPDATE event SET k = 351 WHERE k = 205 OR kind = 'z' RETURNING tableoid::regclass, *;
DELETE FROM event WHERE k = 300 RETURNING *;
SELECT * FROM event_odd ORDER BY k;
ALTER TABLE event DETACH PARTITION event_odd;

-- inheritance
CREATE TABLE base (k int NOT NULL, v text);
CREATE FOREIGN TABLE derived (k int NOT NULL, v text, extra int) SERVER nvmkv OPTIONS (primary_key 'k');
ALTER FOREIGN TABLE derived INHERIT base;
INSERT INTO base VALUES (1, 'base');
INSERT INTO derived VALUES (1, 'derived', 10), (2, 'derived', 20);
UPDATE base SET v = v || '+' RETURNING tableoid::regclass, *;
DELETE FROM base WHERE k = 1 RETURNING tableoid::regclass, *;
SELECT * FROM ONLY base;
SELECT * FROM derived;

-- no partition has children
CREATE FOREIGN TABLE heirs (k int NOT NULL) SERVER nvmkv;
CREATE FOREIGN TABLE heir () INHERITS (heirs) SERVER nvmkv;
INSERT INTO heirs VALUES (1);
INSERT INTO heir VALUES (2);
COPY heirs TO stdout;
TRUNCATE heirs;
CREATE TABLE listed (k int NOT NULL) PARTITION BY LIST (k);
ALTER TABLE listed ATTACH PARTITION heirs FOR VALUES IN (1);
ALTER TABLE listed ATTACH PARTITION heir FOR VALUES IN (1);
DROP TABLE listed;
DROP FOREIGN TABLE heir;
DROP FOREIGN TABLE heirs;

-- the default partition, and what is below a partition, are verified
CREATE TABLE part (i int, j int) PARTITION BY RANGE (i);
CREATE FOREIGN TABLE part_rest PARTITION OF part DEFAULT SERVER nvmkv;
INSERT INTO part VALUES (110, 1), (310, 2);
CREATE TABLE part_1 (i int, j int);
\set VERBOSITY terse
ALTER TABLE part ATTACH PARTITION part_1 FOR VALUES FROM (100) TO (200);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (100) TO (200);
CREATE FOREIGN TABLE part_2 PARTITION OF part FOR VALUES FROM (100) TO (200) SERVER nvmkv;
ALTER TABLE part ATTACH PARTITION part_1 FOR VALUES FROM (200) TO (300);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (400) TO (500);
SELECT tableoid::regclass, * FROM part WHERE i = 110;
CREATE TABLE part_sub (i int, j int) PARTITION BY LIST (j);
CREATE FOREIGN TABLE part_sub_a PARTITION OF part_sub FOR VALUES IN (1) SERVER nvmkv;
CREATE FOREIGN TABLE part_sub_rest PARTITION OF part_sub DEFAULT SERVER nvmkv;
INSERT INTO part_sub VALUES (510, 1), (610, 2);
ALTER TABLE part ATTACH PARTITION part_sub FOR VALUES FROM (500) TO (600);
ALTER TABLE part ATTACH PARTITION part_sub FOR VALUES FROM (500) TO (700);
ALTER TABLE part DETACH PARTITION part_rest;
ALTER TABLE part DETACH PARTITION part_sub;
DELETE FROM part_rest;
ALTER TABLE part ATTACH PARTITION part_sub DEFAULT;
CREATE TABLE part_3 PARTITION OF part FOR VALUES FROM (600) TO (700);
CREATE TABLE part_3 PARTITION OF part FOR VALUES FROM (700) TO (800);
\set VERBOSITY default
SELECT tableoid::regclass, * FROM part ORDER BY i;
DROP TABLE part;
DROP FOREIGN TABLE part_rest;

DROP TABLE event;
DROP FOREIGN TABLE event_odd;
DROP FOREIGN TABLE derived;
DROP TABLE base, trail;
DROP FUNCTION trail();
DROP ROLE nvmkv_clerk;
