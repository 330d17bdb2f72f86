-- COPY.  A heap table with the same primary key says the same (scripts/heap_twin.sh).
CREATE FOREIGN TABLE load (k int NOT NULL, v text, n int DEFAULT 7, CHECK (n < 1000)) SERVER nvmkv OPTIONS (primary_key 'k');

COPY load FROM stdin;
3	three	3
1	one	1
2	\N	\N
\.
COPY load (v, k) FROM stdin WITH (FORMAT csv, HEADER);
v,k
four,4
"with, comma",5
\.
SELECT * FROM load ORDER BY k;

-- to: through a query, in both formats
COPY (SELECT * FROM load ORDER BY k) TO stdout;
COPY (SELECT k, v FROM load WHERE k > 3 ORDER BY k) TO stdout WITH (FORMAT csv);

-- only some lines
COPY load FROM stdin WHERE k % 2 = 0;
10	ten	10
11	eleven	11
12	twelve	12
\.
SELECT k FROM load ORDER BY k;

-- all or nothing
\set VERBOSITY terse
COPY load FROM stdin;
20	a	1
21	b	not a number
\.
COPY load FROM stdin;
20	a	1
1	again	1
22	c	1
\.
COPY load FROM stdin;
20	a	1
20	b	1
\.
COPY load FROM stdin;
20	a	1
21	b	1000
\.
COPY load FROM stdin;
20	a	1
\N	b	1
\.
\set VERBOSITY default
SELECT k FROM load ORDER BY k;

-- in a transaction that goes on and is rolled back
BEGIN;
COPY load FROM stdin;
30	a	1
31	b	2
\.
UPDATE load SET n = n + 100 WHERE k = 31;
SELECT * FROM load WHERE k >= 30 ORDER BY k;
SAVEPOINT a;
COPY load FROM stdin;
32	c	3
\.
ROLLBACK TO a;
SELECT count(*) FROM load WHERE k >= 30;
ROLLBACK;
SELECT count(*) FROM load WHERE k >= 30;

-- a default that looks at the table sees the lines so far
CREATE FUNCTION lines_so_far() RETURNS int LANGUAGE plpgsql VOLATILE AS $$ BEGIN RETURN (SELECT count(*) FROM load); END $$;
ALTER FOREIGN TABLE load ALTER n SET DEFAULT lines_so_far();
COPY load (k, v) FROM stdin;
40	a
41	b
42	c
\.
SELECT * FROM load WHERE k >= 40 ORDER BY k;

-- triggers: before each line, after each line, after all
CREATE TABLE seen (what text, n bigint);
CREATE FUNCTION note_line() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO seen SELECT TG_WHEN || ' ' || TG_LEVEL, count(*) FROM load;
  IF TG_LEVEL = 'ROW' AND TG_WHEN = 'BEFORE' THEN
    IF NEW.v = 'skip' THEN RETURN NULL; END IF;
    NEW.v := NEW.v || '!';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER before_line BEFORE INSERT ON load FOR EACH ROW EXECUTE FUNCTION note_line();
CREATE TRIGGER after_line AFTER INSERT ON load FOR EACH ROW EXECUTE FUNCTION note_line();
CREATE TRIGGER after_all AFTER INSERT ON load FOR EACH STATEMENT EXECUTE FUNCTION note_line();
COPY load FROM stdin;
50	a	1
51	skip	1
52	c	1
\.
SELECT * FROM load WHERE k >= 50 ORDER BY k;
SELECT * FROM seen;
DROP TRIGGER before_line ON load;
DROP TRIGGER after_line ON load;
TRUNCATE seen;
COPY load FROM stdin;
60	a	1
61	b	1
\.
SELECT * FROM seen;
DROP TRIGGER after_all ON load;

-- more than a buffer, in another order than the key's
ALTER FOREIGN TABLE load ALTER n SET DEFAULT 7;
COPY load (k) FROM PROGRAM 'seq 100 6000 | sort';
SELECT count(*), sum(k), sum(n), count(v) FROM load WHERE k >= 100;
\set VERBOSITY terse
COPY load (k) FROM PROGRAM 'seq 6000 -1 3000';
COPY load (k) FROM PROGRAM 'seq 7000 9000; seq 7500 7500';
\set VERBOSITY default
SELECT count(*), max(k) FROM load WHERE k >= 100;

-- no primary key
CREATE FOREIGN TABLE heapish (v text) SERVER nvmkv;
COPY heapish FROM stdin;
a
a
b
\.
SELECT v, count(*) FROM heapish GROUP BY v ORDER BY v;

-- FREEZE, for a table that the same subtransaction has made or truncated
COPY heapish FROM PROGRAM 'echo x' (FREEZE);
BEGIN;
TRUNCATE heapish;
COPY heapish FROM PROGRAM 'printf "a\nb\n"' (FREEZE);
SELECT count(*) FROM heapish;
COPY heapish FROM PROGRAM 'printf "c\n"' (FREEZE true, FORMAT csv);
SAVEPOINT a;
COPY heapish FROM PROGRAM 'echo x' (FREEZE);
ROLLBACK TO a;
COPY heapish FROM PROGRAM 'printf "d\n"' (FREEZE);
COMMIT;
SELECT * FROM heapish ORDER BY v;
BEGIN;
SAVEPOINT a;
TRUNCATE heapish, load;
RELEASE a;
COPY heapish FROM PROGRAM 'printf "e\n"' (FREEZE);
COPY load FROM PROGRAM 'printf "1\tone\t1\n"' (FREEZE 1);
COMMIT;
SELECT * FROM heapish;
BEGIN;
SAVEPOINT a;
TRUNCATE heapish;
ROLLBACK TO a;
COPY heapish FROM PROGRAM 'echo x' (FREEZE);
ROLLBACK;
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM seen;
TRUNCATE heapish;
COPY heapish FROM PROGRAM 'echo x' (FREEZE);
ROLLBACK;
BEGIN;
TRUNCATE heapish;
COPY heapish FROM PROGRAM 'echo x' (FREEZE, FREEZE off);
ROLLBACK;
BEGIN;
TRUNCATE heapish;
COPY heapish FROM PROGRAM 'echo x' (FREEZE 2);
ROLLBACK;
BEGIN;
TRUNCATE heapish;
COPY heapish FROM PROGRAM 'printf "f\n"' (FREEZE off);
COMMIT;
COPY heapish FROM PROGRAM 'echo x' (FREEZE);
SELECT * FROM heapish;
BEGIN;
CREATE FOREIGN TABLE fresh (v text) SERVER nvmkv;
COPY fresh FROM PROGRAM 'printf "a\n"' (FREEZE);
SELECT * FROM fresh;
COMMIT;
DROP FOREIGN TABLE fresh;

DROP FOREIGN TABLE load;
DROP FOREIGN TABLE heapish;
DROP TABLE seen;
DROP FUNCTION note_line(), lines_so_far();
