--
-- Rows that an UPDATE moves between partitions: RETURNING, checks of views, generated columns.  As heap partitions, see
-- scripts/heap_twin.sh.
--
CREATE SCHEMA rowmove_test;
SET search_path = rowmove_test, public;
CREATE TABLE event (k int NOT NULL, kind text, v int, CHECK (v < 1000)) PARTITION BY RANGE (k);
CREATE FOREIGN TABLE event_low PARTITION OF event FOR VALUES FROM (0) TO (100) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE event_mid PARTITION OF event FOR VALUES FROM (100) TO (200) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE TABLE event_high PARTITION OF event FOR VALUES FROM (200) TO (300);
INSERT INTO event VALUES (11, 'go', 1), (12, 'go', 2), (13, 'go', 3), (211, 'go', 5);
UPDATE event SET k = k + 100 WHERE k = 11 RETURNING tableoid::regclass, *;
UPDATE event SET k = k + 100, v = v * 10 WHERE kind = 'go' AND k IN (12, 13) RETURNING tableoid::regclass, k, kind, v;
BEGIN;
UPDATE event SET k = 14 WHERE k = 113 RETURNING tableoid::regclass, k;
SAVEPOINT a;
UPDATE event SET k = 240 WHERE k = 14 RETURNING tableoid::regclass, k;
ROLLBACK TO a;
UPDATE event SET k = CASE k WHEN 211 THEN 111 ELSE 211 END WHERE k IN (211, 111) RETURNING tableoid::regclass, k, tableoid = (SELECT e.tableoid FROM event e WHERE e.k = event.k) AS same;
ROLLBACK;

-- RETURNING and views' checks are for the row where it has gone, and those that stay are as ever
CREATE FUNCTION of_kind(event) RETURNS text LANGUAGE sql AS $$ SELECT $1.kind || ' ' || $1.k $$;
CREATE VIEW small_event AS SELECT * FROM event WHERE v < 100 WITH CHECK OPTION;
CREATE FUNCTION halve() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := NEW.v / 2; NEW.kind := NEW.kind || ' ' || TG_TABLE_NAME; RETURN NEW; END $$;
CREATE TRIGGER halve BEFORE INSERT ON event_mid FOR EACH ROW EXECUTE FUNCTION halve();
CREATE TRIGGER halve BEFORE INSERT ON event_high FOR EACH ROW EXECUTE FUNCTION halve();
CREATE FOREIGN TABLE event_odd (v int, gone int, kind text, k int NOT NULL, CONSTRAINT event_v_check CHECK (v < 1000)) SERVER nvmkv OPTIONS (primary_key 'k');
ALTER FOREIGN TABLE event_odd DROP COLUMN gone;
ALTER TABLE event ATTACH PARTITION event_odd FOR VALUES FROM (300) TO (400);
INSERT INTO event VALUES (71, 'a', 1), (72, 'a', 2), (73, 'a', 3), (74, 'a', 4), (75, 'a', 5);
UPDATE event SET k = CASE k WHEN 71 THEN 171 WHEN 73 THEN 273 WHEN 74 THEN 374 ELSE k END, v = 40 + v WHERE kind = 'a' RETURNING tableoid::regclass, event, event.*, of_kind(event);
UPDATE event SET k = CASE k WHEN 374 THEN 174 WHEN 171 THEN 371 WHEN 72 THEN 172 ELSE k END FROM (VALUES ('a', 'b')) AS n (from_kind, kind) WHERE left(event.kind, 1) = from_kind RETURNING event.tableoid::regclass, n.kind, event.*;
UPDATE small_event SET v = 150 WHERE k = 75;
UPDATE small_event SET v = 150, k = 176 WHERE k = 75 RETURNING *;
UPDATE small_event SET v = 250, k = 177 WHERE k = 176 RETURNING *;
UPDATE small_event SET v = 250, k = 77 WHERE k = 176 RETURNING *;
UPDATE small_event SET v = 350, k = 378 WHERE k = 176 RETURNING *;
UPDATE small_event SET v = 80, k = 378 WHERE k = 176 RETURNING *;
UPDATE small_event SET v = 190, k = CASE k WHEN 378 THEN 178 ELSE k END WHERE k IN (273, 378) RETURNING *;
UPDATE small_event SET v = 190, k = 178 WHERE k = 378 RETURNING *;
WITH moved AS (UPDATE event SET k = k - 100 WHERE k = 178 RETURNING tableoid::regclass AS rel, k) SELECT * FROM moved;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON event_low FOR EACH ROW WHEN (NEW.k < 50) EXECUTE FUNCTION refuse();
UPDATE event SET k = CASE k WHEN 371 THEN 41 ELSE k END WHERE k IN (371, 273) RETURNING tableoid::regclass, *;
DROP TRIGGER refuse ON event_low;
DROP FUNCTION refuse();
SELECT tableoid::regclass, * FROM event WHERE left(kind, 1) = 'a' ORDER BY k;
DELETE FROM event WHERE left(kind, 1) = 'a';
DROP TRIGGER halve ON event_mid;
DROP TRIGGER halve ON event_high;
DROP VIEW small_event;
DROP FUNCTION halve(), of_kind(event);

-- stored generated columns, which are the partition's own, come after BEFORE triggers
CREATE FUNCTION portion(text, int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '% of %', $1, $2; RETURN 100 / $2; END $$;
CREATE FUNCTION not_zero() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '% % %: %', TG_TABLE_NAME, TG_WHEN, TG_OP, NEW; IF NEW.v = 0 THEN NEW.v := 5; END IF; RETURN NEW; END $$;
CREATE TABLE calc (k int NOT NULL, v int, w int GENERATED ALWAYS AS (portion('p', v)) STORED, x int) PARTITION BY RANGE (k);
CREATE FOREIGN TABLE calc1 PARTITION OF calc FOR VALUES FROM (0) TO (10) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE calc2 PARTITION OF calc FOR VALUES FROM (10) TO (20) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE TABLE calc3 PARTITION OF calc FOR VALUES FROM (20) TO (30);
INSERT INTO calc VALUES (1, 1), (2, 2), (12, 4), (23, 5);
\set VERBOSITY terse
UPDATE calc SET v = 0 WHERE k = 1;
UPDATE calc SET x = 1 RETURNING *;
UPDATE calc SET k = k + 10, x = 2 WHERE k = 1 RETURNING *;
CREATE TRIGGER a BEFORE UPDATE ON calc FOR EACH ROW EXECUTE FUNCTION not_zero();
UPDATE calc SET v = 0 WHERE k IN (2, 12, 23) RETURNING *;
UPDATE calc SET x = 3 RETURNING *;
UPDATE calc SET v = 0, k = k + 10 WHERE k IN (2, 11) RETURNING *;
UPDATE calc SET v = v + 1, k = k - 10 WHERE k IN (12, 23) RETURNING *;
UPDATE calc SET v = v + 1, k = 9 WHERE k = 21 RETURNING *;
CREATE TRIGGER b BEFORE INSERT ON calc FOR EACH ROW EXECUTE FUNCTION not_zero();
UPDATE calc SET v = 0, k = CASE WHEN k < 20 THEN k + 10 ELSE k - 20 END RETURNING *;
INSERT INTO calc VALUES (3, 0) RETURNING *;
INSERT INTO calc1 VALUES (3, 0) ON CONFLICT (k) DO UPDATE SET v = 0 RETURNING *;
DROP TRIGGER a ON calc;
UPDATE calc SET v = 10, k = 13 WHERE k = 3 RETURNING *;
\set VERBOSITY default
SELECT tableoid::regclass, * FROM calc ORDER BY k;
DROP TABLE calc;
DROP FUNCTION portion(text, int), not_zero();

SET client_min_messages = warning;
DROP SCHEMA rowmove_test CASCADE;
