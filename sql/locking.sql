-- Row locks in one session; specs/ has the rest.  A heap table with the same primary key says the same (scripts/heap_twin.sh).
CREATE FOREIGN TABLE job (k int NOT NULL, state text, v int) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE TABLE owner (id int, job int);
INSERT INTO job SELECT g, CASE WHEN g % 2 = 0 THEN 'open' ELSE 'done' END, g FROM generate_series(1, 10) g;
INSERT INTO owner SELECT g % 3, g FROM generate_series(1, 10) g;

SELECT * FROM job WHERE k = 1 FOR UPDATE;
SELECT * FROM job WHERE k < 4 ORDER BY k FOR NO KEY UPDATE;
SELECT * FROM job WHERE k < 4 ORDER BY k DESC FOR SHARE;
SELECT * FROM job WHERE k < 4 ORDER BY k FOR KEY SHARE NOWAIT;
SELECT * FROM job WHERE state = 'open' ORDER BY v DESC LIMIT 2 FOR UPDATE SKIP LOCKED;
SELECT job.k, owner.id FROM job JOIN owner ON owner.job = job.k WHERE owner.id = 1 ORDER BY k FOR UPDATE;
SELECT job.k, owner.id FROM job JOIN owner ON owner.job = job.k WHERE owner.id = 1 ORDER BY k FOR UPDATE OF owner;
SELECT job.k, owner.id FROM job LEFT JOIN owner ON owner.job = job.k AND owner.id = 1 ORDER BY k FOR SHARE OF job;
SELECT * FROM (SELECT * FROM job WHERE k < 3 FOR UPDATE) s ORDER BY k;
WITH picked AS (SELECT k FROM job WHERE state = 'open' ORDER BY k LIMIT 2 FOR UPDATE SKIP LOCKED) UPDATE job SET state = 'taken' FROM picked WHERE job.k = picked.k RETURNING job.*;
SELECT count(*) FROM job FOR UPDATE;
SELECT state FROM job GROUP BY state FOR UPDATE;

-- locks and changes of one transaction
BEGIN;
SELECT * FROM job WHERE k = 1 FOR SHARE;
SELECT * FROM job WHERE k = 1 FOR UPDATE;
UPDATE job SET v = 100 WHERE k = 1;
SELECT * FROM job WHERE k = 1 FOR UPDATE;
DELETE FROM job WHERE k = 1;
SELECT * FROM job WHERE k = 1 FOR UPDATE;
INSERT INTO job VALUES (1, 'back', 1);
SELECT * FROM job WHERE k = 1 FOR UPDATE;
SAVEPOINT a;
SELECT * FROM job WHERE k = 2 FOR UPDATE;
ROLLBACK TO a;
UPDATE job SET v = 200 WHERE k = 2;
COMMIT;
SELECT * FROM job WHERE k < 3 ORDER BY k;

-- a row that the same command has changed is not there any more for its locks
BEGIN;
WITH changed AS (UPDATE job SET v = v + 1 WHERE k = 3 RETURNING k) SELECT job.* FROM job JOIN changed USING (k) FOR UPDATE OF job;
WITH gone AS (DELETE FROM job WHERE k = 4 RETURNING k) SELECT job.* FROM job JOIN gone USING (k) FOR UPDATE OF job;
ROLLBACK;

-- a loop as applications write it
DO $$
DECLARE
  r record;
BEGIN
  FOR r IN SELECT * FROM job WHERE v > 3 ORDER BY k FOR UPDATE LOOP
    UPDATE job SET v = r.v * 2 WHERE k = r.k;
  END LOOP;
END $$;
SELECT k, v FROM job ORDER BY k;

-- no primary key
CREATE FOREIGN TABLE bag (v int) SERVER nvmkv;
INSERT INTO bag VALUES (1), (1), (2);
SELECT * FROM bag ORDER BY v FOR UPDATE;
WITH one AS (SELECT ctid FROM bag WHERE v = 1 LIMIT 1 FOR UPDATE) DELETE FROM bag USING one WHERE bag.ctid = one.ctid RETURNING v;
SELECT * FROM bag ORDER BY v;

DROP FOREIGN TABLE job;
DROP FOREIGN TABLE bag;
DROP TABLE owner;
