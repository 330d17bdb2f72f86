-- What a release of the extension has written: foreign tables in schema "ours", and the same in heap tables in schema "heap".
-- In the words of the first release; it makes part of the rows old enough to be in files and the container.
SET client_min_messages = warning;
CREATE EXTENSION nvmkv_fdw;
CREATE SCHEMA ours;
CREATE SCHEMA heap;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad');
CREATE DOMAIN short AS varchar(20) CHECK (value <> '');
CREATE SERVER hot FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'hot', nvm 'off', compression 'lz4');
CREATE SERVER cold FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'cold', compression 'zstd', bloom_bits_per_key '0');

-- A statement for both.
CREATE PROCEDURE twice(statement text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('search_path', 'heap, public', true);
	EXECUTE statement;
	PERFORM set_config('search_path', 'ours, public', true);
	EXECUTE statement;
END $$;

CREATE PROCEDURE make(name text, columns text, key text, server text DEFAULT 'nvmkv') LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE heap.%I (%s)', name, columns);
	EXECUTE format('CREATE FOREIGN TABLE ours.%I (%s) SERVER %I', name, columns, server) ||
		CASE WHEN key <> '' THEN format(' OPTIONS (primary_key %L)', key) ELSE '' END;
END $$;

-- A table for each type of a key, forwards and backwards.
CREATE TABLE key_types (name text, type text, value text);
INSERT INTO key_types VALUES
	('bool', 'bool', 'n = 1'), ('int2', 'int2', '(n - 20)::int2'), ('int4', 'int4', '(n - 20) * 100000'),
	('int8', 'int8', '(n - 20) * 10000000000'), ('oid', 'oid', '(n::int8 * 100000000)::oid'), ('char', '"char"', 'chr(n + 60)::"char"'),
	('date', 'date', 'date ''2000-01-01'' + (n - 20) * 1000'), ('time', 'time', 'time ''00:00'' + n * interval ''17 min'''),
	('timetz', 'timetz', '(time ''00:00'' + n * interval ''17 min'')::text::timetz'),
	('timestamp', 'timestamp', 'timestamp ''2000-01-01'' + (n - 20) * interval ''1000 d'''),
	('timestamptz', 'timestamptz', 'timestamptz ''2000-01-01 UTC'' + (n - 20) * interval ''1000 d'''),
	('money', 'money', '((n - 20) * 1.5)::numeric::money'), ('interval', 'interval', '(n - 20) * interval ''1 mon 3 d'''),
	('numeric', 'numeric', '(n - 20) * 12345678901.50'), ('float4', 'float4', '(n - 20)::float4 / 3'),
	('float8', 'float8', '(n - 20)::float8 / 3'), ('uuid', 'uuid', 'md5(n::text)::uuid'),
	('macaddr', 'macaddr', 'substr(md5(n::text), 1, 12)::macaddr'), ('macaddr8', 'macaddr8', 'substr(md5(n::text), 1, 16)::macaddr8'),
	('pg_lsn', 'pg_lsn', '(''0/'' || n)::pg_lsn'), ('xid8', 'xid8', 'n::text::xid8'), ('name', 'name', '(''name '' || n)::name'),
	('text', 'text', 'md5(n::text)'), ('text_libc', 'text COLLATE "C.utf8"', '''Wort '' || n'),
	('text_icu', 'text COLLATE "de-x-icu"', 'chr(n + 60) || ''ort '' || n'), ('varchar', 'varchar(40)', '''v'' || n'),
	('bpchar', 'char(10)', '''c'' || n'), ('bytea', 'bytea', 'decode(md5(n::text) || ''00'', ''hex'')'),
	('enum', 'mood', '(ARRAY[''sad'', ''ok'', ''glad'']::mood[])[n]'), ('domain', 'short', '''d'' || n');
SELECT format('CALL make(%L, %L, %L)', direction || '_' || name, 'k ' || type || ' NOT NULL, v text',
			  'k' || CASE direction WHEN 'down' THEN ' DESC' ELSE '' END)
FROM key_types, unnest(ARRAY['up', 'down']) AS direction \gexec
CREATE VIEW key_inserts AS
	SELECT format('CALL twice($$INSERT INTO %I SELECT %s, repeat(%L, n) FROM generate_series(%s, %s) AS n$$)', direction || '_' || name,
				  value, name || ' ', part.first, part.last) AS statement, part.number
	FROM key_types, unnest(ARRAY['up', 'down']) AS direction,
		 (VALUES (1, 1, 2), (2, 3, 40)) AS part (number, first, last)
	WHERE part.number = 1 OR name NOT IN ('bool', 'enum');
SELECT statement FROM key_inserts WHERE number = 1 \gexec

-- Rows without a key, that may be equal; other families; several columns; a table whose columns have changed; partitions.
CALL make('ids', 'a int, b text', '');
CALL make('hot', 'a int NOT NULL, b text', 'a', 'hot');
CALL make('cold', 'a int NOT NULL, b text', 'a', 'cold');
CALL make('pairs', 'a text NOT NULL, b int NOT NULL, big text, n int CHECK (n > 0)', 'a, b DESC');
CALL make('altered', 'gone int, a int NOT NULL, b text', 'a');
CALL make('emptied', 'a int NOT NULL', 'a');
CALL make('unused', 'a int NOT NULL', 'a');
CREATE TABLE heap.parts (a int NOT NULL, b text) PARTITION BY RANGE (a);
CREATE TABLE heap.parts_1 PARTITION OF heap.parts FOR VALUES FROM (0) TO (100);
CREATE TABLE heap.parts_2 PARTITION OF heap.parts FOR VALUES FROM (100) TO (1000);
CREATE TABLE ours.parts (a int NOT NULL, b text) PARTITION BY RANGE (a);
CREATE FOREIGN TABLE ours.parts_1 PARTITION OF ours.parts FOR VALUES FROM (0) TO (100) SERVER nvmkv OPTIONS (primary_key 'a');
CREATE FOREIGN TABLE ours.parts_2 PARTITION OF ours.parts FOR VALUES FROM (100) TO (1000) SERVER cold OPTIONS (primary_key 'a');

CALL twice($$INSERT INTO ids SELECT n % 10, 'row ' || n % 5 FROM generate_series(1, 100) AS n$$);
CALL twice($$INSERT INTO hot SELECT n, 'hot ' || n FROM generate_series(1, 1000) AS n$$);
CALL twice($$INSERT INTO cold SELECT n, 'cold ' || n FROM generate_series(1, 1000) AS n$$);
CALL twice($$INSERT INTO pairs SELECT 'a' || n % 7, n, repeat('x' || n, CASE WHEN n % 50 = 0 THEN 1000 ELSE 1 END), n FROM generate_series(1, 1500) AS n$$);
CALL twice($$INSERT INTO altered SELECT n, n, 'b ' || n FROM generate_series(1, 10) AS n$$);
ALTER TABLE heap.altered DROP COLUMN gone;
ALTER TABLE heap.altered ADD COLUMN added text DEFAULT 'it''s "new"', ADD COLUMN number int DEFAULT 7;
ALTER FOREIGN TABLE ours.altered DROP COLUMN gone;
ALTER FOREIGN TABLE ours.altered ADD COLUMN added text DEFAULT 'it''s "new"', ADD COLUMN number int DEFAULT 7;
CALL twice($$INSERT INTO altered VALUES (11, 'b', 'own', NULL)$$);
CALL twice($$INSERT INTO emptied SELECT n FROM generate_series(1, 100) AS n$$);
CALL twice($$INSERT INTO parts SELECT n, 'part ' || n FROM generate_series(1, 999) AS n$$);
SELECT nvmkv.compact();

-- Newer versions than those in files, in the container.
CALL twice($$DELETE FROM pairs WHERE b % 5 = 0$$);
CALL twice($$UPDATE pairs SET n = n + 1 WHERE b % 3 = 0$$);
CALL twice($$UPDATE pairs SET b = b + 10000 WHERE b % 11 = 0$$);
CALL twice($$DELETE FROM ids WHERE a = 3$$);
CALL twice($$UPDATE ids SET b = 'changed' WHERE a = 4$$);
CALL twice($$DELETE FROM parts WHERE a % 2 = 0$$);
CALL twice($$TRUNCATE emptied$$);
CALL twice($$INSERT INTO pairs SELECT 'apart', n, repeat(md5(n::text), 100), 1 FROM generate_series(1, 20) AS n$$);
BEGIN;
CALL twice($$INSERT INTO pairs SELECT 'never', n, '', 1 FROM generate_series(1, 100) AS n$$);
ROLLBACK;
SELECT nvmkv.flush();
