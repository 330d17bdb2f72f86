-- Transactions.  A heap table with the same primary key says the same (scripts/heap_twin.sh).
CREATE FOREIGN TABLE acct (k int NOT NULL, v int) SERVER nvmkv OPTIONS (primary_key 'k');
INSERT INTO acct SELECT g, g FROM generate_series(1, 5) g;

-- rollback of everything
BEGIN;
INSERT INTO acct VALUES (6, 6);
UPDATE acct SET v = v * 10;
DELETE FROM acct WHERE k = 1;
SELECT * FROM acct ORDER BY k;
ROLLBACK;
SELECT * FROM acct ORDER BY k;

-- savepoints, released and rolled back
BEGIN;
UPDATE acct SET v = 100 WHERE k = 1;
SAVEPOINT a;
UPDATE acct SET v = 200 WHERE k = 1;
INSERT INTO acct VALUES (7, 7);
SAVEPOINT b;
DELETE FROM acct WHERE k = 1;
INSERT INTO acct VALUES (1, 300);
SELECT * FROM acct WHERE k IN (1, 7) ORDER BY k;
ROLLBACK TO b;
SELECT * FROM acct WHERE k IN (1, 7) ORDER BY k;
ROLLBACK TO a;
SELECT * FROM acct WHERE k IN (1, 7) ORDER BY k;
UPDATE acct SET v = v + 1 WHERE k = 1;
SAVEPOINT c;
UPDATE acct SET v = v + 1 WHERE k = 1;
RELEASE c;
COMMIT;
SELECT * FROM acct WHERE k IN (1, 7) ORDER BY k;

-- a key that a rolled-back savepoint has used is free
BEGIN;
SAVEPOINT a;
INSERT INTO acct VALUES (8, 1);
ROLLBACK TO a;
INSERT INTO acct VALUES (8, 2);
COMMIT;
SELECT * FROM acct WHERE k = 8;

-- an error in a subtransaction
DO $$
BEGIN
  INSERT INTO acct VALUES (9, 9);
  BEGIN
    INSERT INTO acct VALUES (10, 10);
    INSERT INTO acct VALUES (1, 0);
  EXCEPTION WHEN unique_violation THEN
    INSERT INTO acct VALUES (11, 11);
  END;
END $$;
SELECT * FROM acct WHERE k >= 9 ORDER BY k;

-- many subtransactions
DO $$
BEGIN
  FOR i IN 1..200 LOOP
    BEGIN
      UPDATE acct SET v = v + 1 WHERE k = 2;
      INSERT INTO acct VALUES (1000 + i, i);
      IF i % 3 = 0 THEN
        RAISE EXCEPTION 'no';
      END IF;
    EXCEPTION WHEN raise_exception THEN
      NULL;
    END;
  END LOOP;
END $$;
SELECT v FROM acct WHERE k = 2;
SELECT count(*), sum(v) FROM acct WHERE k > 1000;

-- a cursor sees the table as it was when it was opened
BEGIN;
DECLARE old CURSOR FOR SELECT * FROM acct WHERE k < 6 ORDER BY k;
FETCH 2 FROM old;
UPDATE acct SET v = -v WHERE k < 6;
DELETE FROM acct WHERE k = 4;
INSERT INTO acct VALUES (0, 0);
FETCH ALL FROM old;
SELECT * FROM acct WHERE k < 6 ORDER BY k;
ROLLBACK;

-- a cursor that goes back, and one that outlives its transaction
BEGIN;
DECLARE both_ways SCROLL CURSOR FOR SELECT * FROM acct WHERE k < 6 ORDER BY k;
DECLARE stays CURSOR WITH HOLD FOR SELECT * FROM acct WHERE k < 6 ORDER BY k;
FETCH 3 FROM both_ways;
FETCH BACKWARD 2 FROM both_ways;
FETCH LAST FROM both_ways;
FETCH FIRST FROM both_ways;
COMMIT;
UPDATE acct SET v = 0 WHERE k = 3;
FETCH ALL FROM stays;
CLOSE stays;

-- a function's snapshot: a volatile one sees what its statement has done so far, a stable one does not
CREATE FUNCTION volatile_sum() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$ BEGIN RETURN (SELECT sum(v) FROM acct WHERE k <= 3); END $$;
CREATE FUNCTION stable_sum() RETURNS bigint LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT sum(v) FROM acct WHERE k <= 3); END $$;
WITH w AS (UPDATE acct SET v = 1000 WHERE k <= 3 RETURNING v, volatile_sum() AS volatile, stable_sum() AS stable)
SELECT count(*), sum(v), max(volatile), max(stable), min(stable) FROM w;

-- two writes, one read: a data-modifying WITH
WITH w AS (UPDATE acct SET v = v + 1 WHERE k = 3 RETURNING *) SELECT w.v AS after, acct.v AS before FROM w JOIN acct USING (k);
SELECT v FROM acct WHERE k = 3;

-- repeatable read
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM acct WHERE k < 6;
INSERT INTO acct VALUES (-1, -1);
SELECT count(*) FROM acct WHERE k < 6;
COMMIT;

-- read only
BEGIN READ ONLY;
SELECT count(*) FROM acct WHERE k < 6;
SAVEPOINT a;
INSERT INTO acct VALUES (77, 77);
ROLLBACK TO a;
UPDATE acct SET v = 1;
ROLLBACK TO a;
DELETE FROM acct;
ROLLBACK TO a;
SELECT * FROM acct FOR UPDATE;
COMMIT;

-- chained, and a constraint trigger of a heap beside it
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
BEGIN;
INSERT INTO acct VALUES (500, 1);
INSERT INTO child VALUES (1);
COMMIT;
SELECT * FROM acct WHERE k = 500;
BEGIN;
INSERT INTO acct VALUES (500, 1);
COMMIT AND CHAIN;
INSERT INTO acct VALUES (501, 1);
ROLLBACK;
SELECT * FROM acct WHERE k IN (500, 501);

-- in a procedure
CREATE PROCEDURE half_of_it() LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 600..609 LOOP
    INSERT INTO acct VALUES (i, i);
    IF i % 2 = 0 THEN COMMIT; ELSE ROLLBACK; END IF;
  END LOOP;
END $$;
CALL half_of_it();
SELECT k FROM acct WHERE k BETWEEN 600 AND 609 ORDER BY k;

DROP FOREIGN TABLE acct;
DROP TABLE child, parent;
DROP FUNCTION volatile_sum(), stable_sum();
DROP PROCEDURE half_of_it();
