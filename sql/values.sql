-- Rows of which the largest part stands apart from the key once it is in files, against a heap table.
CREATE SCHEMA values_test;
SET search_path = values_test, public;
SELECT nvmkv.compact();
SELECT sum(bytes_in_use) AS before FROM nvmkv.stat_values \gset
CREATE FOREIGN TABLE large (k int NOT NULL, n int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE TABLE twin (k int PRIMARY KEY, n int, v text);

INSERT INTO twin SELECT i * 7 % 2003, i, repeat(md5(i::text), i % 150) FROM generate_series(1, 2000) i;
INSERT INTO large SELECT * FROM twin;
SELECT nvmkv.compact();
SELECT files > 0 AS files, bytes_in_use BETWEEN 1 AND bytes AS in_use FROM nvmkv.stat_values WHERE column_family = 'default';
SELECT sum(value_bytes) > 0 AS apart FROM nvmkv.stat_levels WHERE column_family = 'default';

-- Reading: all, in order, backwards, one, keys only, other columns only.
SELECT count(*) FROM (SELECT * FROM large EXCEPT SELECT * FROM twin) d;
SELECT count(*) FROM (SELECT * FROM twin EXCEPT SELECT * FROM large) d;
SELECT md5(string_agg(v, ',' ORDER BY k)) = (SELECT md5(string_agg(v, ',' ORDER BY k)) FROM twin) AS forwards FROM large;
SELECT (SELECT md5(string_agg(v, ',')) FROM (SELECT v FROM large ORDER BY k DESC LIMIT 100) s) =
	   (SELECT md5(string_agg(v, ',')) FROM (SELECT v FROM twin ORDER BY k DESC LIMIT 100) s) AS backwards;
SELECT l.v = t.v AS one FROM large l JOIN twin t USING (k) WHERE l.k = 777;
SELECT count(*), sum(k) FROM large;
SELECT sum(n), max(length(v)) FROM large;

-- Older versions and other transactions.
BEGIN;
UPDATE large SET v = repeat('x', 5000) WHERE k < 500;
DELETE FROM large WHERE k >= 1500;
SELECT count(*), sum(length(v)) FROM large;
ROLLBACK;
SELECT count(*) FROM (SELECT * FROM large EXCEPT SELECT * FROM twin) d;
UPDATE large SET v = v || 'y' WHERE k % 3 = 0;
UPDATE twin SET v = v || 'y' WHERE k % 3 = 0;
DELETE FROM large WHERE k % 5 = 0;
DELETE FROM twin WHERE k % 5 = 0;
SELECT nvmkv.compact('large');
SELECT count(*) FROM (SELECT * FROM large EXCEPT SELECT * FROM twin) d;
SELECT count(*) FROM (SELECT * FROM twin EXCEPT SELECT * FROM large) d;
SELECT * FROM nvmkv.check('large');

-- What is gone gives its space back.
DELETE FROM large;
SELECT nvmkv.compact('large');
SELECT count(*) FROM large;
SELECT sum(bytes_in_use) <= :before AS all_gone FROM nvmkv.stat_values;
DROP FOREIGN TABLE large;
DROP TABLE twin;
