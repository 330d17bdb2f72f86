-- What an upgrade has to take along, in the schema and with the access method of the variables "schema" and "method".
CREATE SCHEMA :schema;
SET search_path = :schema, public;
SET default_table_access_method = :method;

CREATE TABLE parents (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO parents SELECT n, 'parent ' || n FROM generate_series(1, 100) AS n;

-- Indexes of all forms, large values, rows that are gone.
CREATE TABLE rows_ (
	id bigserial PRIMARY KEY,
	page text NOT NULL,
	number int CHECK (number > 0),
	mood mood,
	big text,
	parent int REFERENCES parents,
	changed timestamptz DEFAULT '2020-01-01');
CREATE INDEX rows_page ON rows_ (page);
CREATE UNIQUE INDEX rows_partial ON rows_ (number) WHERE number < 1000;
CREATE INDEX rows_expression ON rows_ (lower(page), mood DESC NULLS LAST) INCLUDE (number);
ALTER TABLE rows_ ADD CONSTRAINT rows_deferred UNIQUE (number, id) DEFERRABLE INITIALLY DEFERRED;
INSERT INTO rows_ (page, number, mood, big, parent)
	SELECT 'Page ' || n % 50, n, (ARRAY['sad', 'ok', 'glad']::mood[])[1 + n % 3],
		   repeat(md5(n::text), CASE WHEN n % 100 = 0 THEN 1000 ELSE 1 END), 1 + n % 100
	FROM generate_series(1, 5000) AS n;
DELETE FROM rows_ WHERE id % 7 = 0;
UPDATE rows_ SET page = page || ' changed' WHERE id % 11 = 0;
BEGIN;
INSERT INTO rows_ (page, number) SELECT 'never', 10000 + n FROM generate_series(1, 100) AS n;
ROLLBACK;

CREATE TABLE children (id int PRIMARY KEY DEFERRABLE, row_id bigint REFERENCES rows_ ON DELETE CASCADE DEFERRABLE);
INSERT INTO children SELECT n, (SELECT min(id) FROM rows_ WHERE id >= n) FROM generate_series(1, 100) AS n;

CREATE TABLE without_key (a int, b text);
INSERT INTO without_key SELECT n % 10, 'row ' || n % 5 FROM generate_series(1, 100) AS n;

CREATE TABLE parts (id int, k int REFERENCES parents, words text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (1000);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (1000) TO (2000);
CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM (2000) TO (3000) USING heap;
CREATE INDEX parts_k ON parts (k);
INSERT INTO parts SELECT n, 1 + n % 100, 'words ' || n FROM generate_series(1, 2999) AS n;

-- Columns that have gone, and one that rows written before do not have.
CREATE TABLE altered (gone int, a int PRIMARY KEY, gone_too text, b text);
INSERT INTO altered SELECT n, n, 'gone', 'b ' || n FROM generate_series(1, 10) AS n;
ALTER TABLE altered DROP COLUMN gone, DROP COLUMN gone_too;
ALTER TABLE altered ADD COLUMN added text NOT NULL DEFAULT 'it''s "new", {all}', ADD COLUMN number int DEFAULT 7;
INSERT INTO altered VALUES (11, 'b', 'own', NULL);
CREATE TABLE heirs (more int) INHERITS (altered);
INSERT INTO heirs VALUES (100, 'heir', DEFAULT, 1, 2);
ALTER TABLE heirs ADD UNIQUE (more);

CREATE TABLE generated (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int, twice int GENERATED ALWAYS AS (n * 2) STORED);
INSERT INTO generated (n) SELECT n FROM generate_series(1, 10) AS n;

-- Text under a collation of one's own, whose OID is another one in the new cluster; sort keys of ICU.
CREATE TABLE letters (word text COLLATE own_c PRIMARY KEY, german text COLLATE german);
CREATE INDEX letters_german ON letters (german);
CREATE INDEX letters_both ON letters (word, german);
INSERT INTO letters SELECT 'w' || n, (ARRAY[U&'\00C4pfel', 'Zorn', 'apfel', 'zebra'])[1 + n % 4] || n FROM generate_series(1, 200) AS n;
CREATE TABLE emptied (a int PRIMARY KEY);
INSERT INTO emptied SELECT n FROM generate_series(1, 100) AS n;
TRUNCATE emptied;
CREATE VIEW rows_of_parents AS SELECT p.name, count(*) FROM parents AS p JOIN rows_ AS r ON r.parent = p.id GROUP BY p.name;
