-- INSERT, UPDATE, DELETE.  A heap table with the same primary key says the same (scripts/heap_twin.sh).
\set VERBOSITY default
CREATE FOREIGN TABLE item (k int NOT NULL, name text, price numeric(10,2), qty int DEFAULT 1) SERVER nvmkv OPTIONS (primary_key 'k');

-- insert in all forms
INSERT INTO item VALUES (1, 'one', 1.10, 10);
INSERT INTO item (k, name) VALUES (2, 'two'), (3, 'three'), (-4, NULL);
INSERT INTO item SELECT g, 'row ' || g, g * 1.5, g FROM generate_series(10, 400) g;
INSERT INTO item SELECT g, 'row ' || g, NULL FROM generate_series(500, 401, -1) g;
INSERT INTO item VALUES (5, 'five') RETURNING *;
INSERT INTO item VALUES (6, 'six'), (7, 'seven') RETURNING k + 1, name, tableoid::regclass;
SELECT count(*), sum(k), sum(price), sum(qty), count(name) FROM item;
SELECT * FROM item WHERE k < 12 ORDER BY k;

-- duplicate keys: with committed rows, with the command's own, within one batch
INSERT INTO item VALUES (1, 'again');
INSERT INTO item VALUES (900, 'x'), (901, 'y'), (900, 'z');
INSERT INTO item SELECT g FROM generate_series(1000, 2000) g UNION ALL SELECT 1500;
INSERT INTO item SELECT g FROM generate_series(490, 600) g;
SELECT count(*) FROM item;

-- update: one row, many, with the old value, of a default, returning
UPDATE item SET qty = qty + 1 WHERE k = 1;
UPDATE item SET qty = qty * 2, name = upper(name) WHERE k BETWEEN 2 AND 5 RETURNING *;
UPDATE item SET qty = DEFAULT WHERE k = 3 RETURNING k, qty;
UPDATE item SET price = NULL WHERE price > 500;
UPDATE item SET qty = 0 WHERE k = 77777;
UPDATE item SET (name, price) = ('both', 9.99) WHERE k = 6 RETURNING *;
SELECT count(*), sum(price), sum(qty) FROM item;

-- the key itself
UPDATE item SET k = 8 WHERE k = 7 RETURNING *;
UPDATE item SET k = k WHERE k = 8;
UPDATE item SET k = 1 WHERE k = 8;
UPDATE item SET k = k + 100000;
UPDATE item SET k = k - 100000;
UPDATE item SET k = k + 1 WHERE k IN (1, 4);
SELECT k, name FROM item WHERE k < 12 ORDER BY k;
SELECT count(*), sum(k) FROM item;

-- one command sees none of its own changes
WITH w AS (UPDATE item SET qty = (SELECT max(qty) FROM item) + 1 WHERE k IN (1, 2, 3) RETURNING k, qty) SELECT * FROM w ORDER BY k;
INSERT INTO item SELECT k + 1000000, name FROM item WHERE k <= 8;
SELECT count(*) FROM item;

-- from a join; a row that is met twice is changed once
CREATE TABLE delta (k int, d int);
INSERT INTO delta VALUES (1, 5), (1, 5), (2, 7);
UPDATE item SET qty = qty + d FROM delta WHERE delta.k = item.k;
SELECT k, qty FROM item WHERE k IN (1, 2) ORDER BY k;
DELETE FROM item USING delta WHERE delta.k = item.k RETURNING item.k, name;

-- the whole row in the condition of a join, and in what is assigned
CREATE FOREIGN TABLE whole (k int NOT NULL, gone int, v int, t text) SERVER nvmkv OPTIONS (primary_key 'k');
INSERT INTO whole VALUES (1, 0, 10, 'a'), (2, 0, 20, 'b'), (3, 0, 30, NULL);
ALTER TABLE whole DROP COLUMN gone;
ALTER TABLE whole ADD COLUMN more int DEFAULT 7;
CREATE FUNCTION sum_of(whole) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN $1.k + $1.v + $1.more; END';
UPDATE whole SET v = x FROM generate_series(2, 3) x WHERE whole::text LIKE '(' || x || ',%' RETURNING whole, x;
UPDATE whole SET t = whole::text || x FROM generate_series(2, 3) x WHERE k = x RETURNING whole;
UPDATE whole SET v = sum_of(whole) + x FROM generate_series(1, 2) x WHERE sum_of(whole) - x IN (11, 17) RETURNING whole, x;
UPDATE whole SET v = 0 FROM whole o WHERE whole = o AND o.k = 1 RETURNING whole, o;
UPDATE whole SET v = 1 FROM generate_series(1, 3) x WHERE EXISTS (SELECT FROM generate_series(1, 2) y WHERE sum_of(whole) > x + y + 5) AND whole IS NOT NULL AND k = x RETURNING whole;
DELETE FROM whole USING generate_series(1, 2) x WHERE whole::text LIKE '(' || x || ',%' RETURNING whole, x;
DELETE FROM whole USING generate_series(1, 3) x WHERE sum_of(whole) > x AND (SELECT whole.k FROM generate_series(1, 1)) = x RETURNING whole.*;
DROP FUNCTION sum_of(whole);
-- what fails first is told, though rows are kept back
INSERT INTO item (k) SELECT CASE g WHEN 3 THEN 1 / (g - 3) ELSE 7777 END FROM generate_series(1, 3) g;

DROP FOREIGN TABLE whole;

-- delete
DELETE FROM item WHERE k = 3 RETURNING *;
DELETE FROM item WHERE k > 1000000;
DELETE FROM item WHERE k = 424242;
WITH gone AS (DELETE FROM item WHERE k BETWEEN 10 AND 12 RETURNING *), fresh AS (INSERT INTO item SELECT -k, name FROM gone RETURNING k)
SELECT (SELECT count(*) FROM gone), (SELECT min(k) FROM fresh);
SELECT count(*) FROM item;
DELETE FROM item;
SELECT * FROM item;
INSERT INTO item VALUES (3, 'again');
SELECT * FROM item;
DELETE FROM item;

-- in one transaction, by one key
BEGIN;
INSERT INTO item VALUES (1, 'first');
DELETE FROM item WHERE k = 1;
INSERT INTO item VALUES (1, 'second');
UPDATE item SET name = 'third' WHERE k = 1;
SELECT k, name FROM item;
COMMIT;
SELECT k, name FROM item;

-- prepared statements, functions, cursors
PREPARE put(int, text) AS INSERT INTO item VALUES ($1, $2);
PREPARE chg(int, text) AS UPDATE item SET name = $2 WHERE k = $1;
PREPARE del(int) AS DELETE FROM item WHERE k = $1;
EXECUTE put(20, 'a'); EXECUTE put(21, 'b'); EXECUTE put(22, 'c'); EXECUTE put(23, 'd'); EXECUTE put(24, 'e'); EXECUTE put(25, 'f'); EXECUTE put(26, 'g');
EXECUTE chg(20, 'A'); EXECUTE chg(21, 'B'); EXECUTE chg(22, 'C'); EXECUTE chg(23, 'D'); EXECUTE chg(24, 'E'); EXECUTE chg(25, 'F'); EXECUTE chg(26, 'G');
EXECUTE del(20); EXECUTE del(21); EXECUTE del(22); EXECUTE del(23); EXECUTE del(24); EXECUTE del(25);
SELECT k, name FROM item ORDER BY k;

-- a volatile function sees the rows the statement has put in so far
CREATE FUNCTION rows_so_far() RETURNS int LANGUAGE plpgsql VOLATILE AS $$ BEGIN RETURN (SELECT count(*) FROM item); END $$;
INSERT INTO item SELECT g, 'x', 1, rows_so_far() FROM generate_series(100, 104) g;
INSERT INTO item (k, qty) VALUES (110, rows_so_far()), (111, rows_so_far());
SELECT k, qty FROM item WHERE k >= 100 ORDER BY k;
UPDATE item SET qty = rows_so_far() WHERE k >= 110 RETURNING k, qty;
WITH later AS MATERIALIZED (SELECT g, rows_so_far() AS n FROM generate_series(120, 124) g)
INSERT INTO item SELECT g, 'x', 1, n FROM later;
SELECT k, qty FROM item WHERE k >= 120 ORDER BY k;

-- parts of a statement take turns
WITH gone AS (DELETE FROM item WHERE k >= 120 RETURNING *) INSERT INTO item SELECT k + 1, name, 1, qty FROM gone;
WITH gone AS (DELETE FROM item WHERE k >= 120 RETURNING *) INSERT INTO item SELECT k, name, 1, qty FROM gone;
SELECT k, qty FROM item WHERE k >= 120 ORDER BY k;

-- no primary key: duplicates are welcome
CREATE FOREIGN TABLE log (at int, what text) SERVER nvmkv;
INSERT INTO log VALUES (1, 'a'), (1, 'a'), (NULL, NULL);
INSERT INTO log SELECT 2, 'b' FROM generate_series(1, 1000);
SELECT at, what, count(*) FROM log GROUP BY 1, 2 ORDER BY 1;
UPDATE log SET what = 'c' WHERE at = 1;
UPDATE log SET at = 3 WHERE at IS NULL RETURNING *;
DELETE FROM log WHERE at = 2;
SELECT * FROM log ORDER BY at;
SELECT count(DISTINCT ctid) FROM log;
DELETE FROM log WHERE ctid = (SELECT min(ctid) FROM log WHERE at = 1);
SELECT * FROM log ORDER BY at;
INSERT INTO log VALUES (4, 'd') ON CONFLICT DO NOTHING RETURNING *;

-- wide rows
CREATE FOREIGN TABLE wide (k text COLLATE "C" NOT NULL, big text, tail int) SERVER nvmkv OPTIONS (primary_key 'k');
INSERT INTO wide SELECT 'k' || g, repeat(md5(g::text), 400 * g), g FROM generate_series(1, 20) g;
SELECT k, length(big), md5(big), tail FROM wide ORDER BY tail;
UPDATE wide SET tail = -tail WHERE k IN ('k1', 'k20') RETURNING k, length(big), tail;
UPDATE wide SET big = big || big WHERE k = 'k20' RETURNING length(big);
WITH w AS (DELETE FROM wide WHERE length(big) > 100000 RETURNING k, length(big), tail) SELECT * FROM w ORDER BY abs(tail);

-- several columns, another order
CREATE FOREIGN TABLE multi (a int NOT NULL, b text COLLATE "C" NOT NULL, c date NOT NULL, v int) SERVER nvmkv OPTIONS (primary_key 'c, a, b');
INSERT INTO multi SELECT a, b, date '2020-01-01' + c, a * c FROM generate_series(1, 5) a, unnest('{x,"",y z}'::text[]) b, generate_series(0, 3) c;
INSERT INTO multi VALUES (1, '', '2020-01-03', 0);
UPDATE multi SET v = -1 WHERE c = '2020-01-02' AND a < 3;
UPDATE multi SET b = b || '!', a = a + 10 WHERE c = '2020-01-03' AND b = 'x';
SELECT * FROM multi WHERE c <= '2020-01-03' AND c > '2020-01-01' ORDER BY c, a, b;
DELETE FROM multi WHERE (c, a) > ('2020-01-01', 2);
SELECT count(*) FROM multi;

DROP FOREIGN TABLE item;
DROP FOREIGN TABLE log;
DROP FOREIGN TABLE wide;
DROP FOREIGN TABLE multi;
DROP TABLE delta;
DROP FUNCTION rows_so_far();
