--
-- Options of servers and tables.
--
CREATE SCHEMA options_test;
SET search_path = options_test, public;

-- What there is.
SELECT srvname, srvoptions FROM pg_foreign_server WHERE srvname = 'nvmkv';
CREATE SERVER another FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'default');
CREATE FOREIGN TABLE on_another (a int) SERVER another OPTIONS (primary_key 'a');
INSERT INTO on_another VALUES (1);
SELECT * FROM on_another;

-- Unknown options, in every place that can have some.
CREATE SERVER bad FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (primary_key 'a');
CREATE SERVER bad FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (path '/tmp');
CREATE SERVER bad FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family '');
ALTER SERVER nvmkv OPTIONS (ADD compression 'lz4');
CREATE USER MAPPING FOR CURRENT_USER SERVER nvmkv OPTIONS (password 'secret');
CREATE FOREIGN TABLE bad (a int) SERVER nvmkv OPTIONS (column_family 'default');
CREATE FOREIGN TABLE bad (a int) SERVER nvmkv OPTIONS (primarykey 'a');
CREATE FOREIGN TABLE bad (a int OPTIONS (compression 'pglz')) SERVER nvmkv;
ALTER FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (ADD debug 'on');
CREATE FOREIGN TABLE bad (a int, b int) SERVER nvmkv OPTIONS (primary_key 'a', index_b 'b');

-- When a table is analyzed: as storage parameters of a heap table.
CREATE FOREIGN TABLE bad (a int) SERVER nvmkv OPTIONS (autovacuum_enabled 'perhaps');
CREATE FOREIGN TABLE bad (a int) SERVER nvmkv OPTIONS (autovacuum_analyze_threshold '-1');
CREATE FOREIGN TABLE bad (a int) SERVER nvmkv OPTIONS (autovacuum_analyze_scale_factor 'x');
CREATE FOREIGN TABLE bad (a int) SERVER nvmkv OPTIONS (autovacuum_vacuum_threshold '5');
CREATE FOREIGN TABLE analyzed (a int) SERVER nvmkv OPTIONS (autovacuum_enabled 'off', primary_key 'a', autovacuum_analyze_threshold '5');
ALTER FOREIGN TABLE analyzed OPTIONS (DROP autovacuum_enabled, SET autovacuum_analyze_threshold '6', ADD log_autovacuum_min_duration '0');
ALTER FOREIGN TABLE analyzed OPTIONS (SET autovacuum_analyze_threshold 'many');
SELECT ftoptions FROM pg_foreign_table WHERE ftrelid = 'analyzed'::regclass;
DROP FOREIGN TABLE analyzed;

-- The text of a key.
CREATE FOREIGN TABLE bad (a int) SERVER nvmkv OPTIONS (primary_key '');
CREATE FOREIGN TABLE bad (a int) SERVER nvmkv OPTIONS (primary_key '  ');
CREATE FOREIGN TABLE bad (a int) SERVER nvmkv OPTIONS (primary_key 'a,');
CREATE FOREIGN TABLE bad (a int) SERVER nvmkv OPTIONS (primary_key ',a');
CREATE FOREIGN TABLE bad (a int) SERVER nvmkv OPTIONS (primary_key 'a b');
CREATE FOREIGN TABLE bad (a int) SERVER nvmkv OPTIONS (primary_key 'a DESC ASC');
CREATE FOREIGN TABLE bad (a int) SERVER nvmkv OPTIONS (primary_key 'a; b');
CREATE FOREIGN TABLE bad (a int) SERVER nvmkv OPTIONS (primary_key '1');
CREATE FOREIGN TABLE bad (a int) SERVER nvmkv OPTIONS (primary_key '"a');
CREATE FOREIGN TABLE bad (a int) SERVER nvmkv OPTIONS (primary_key '""');
CREATE FOREIGN TABLE bad (a int) SERVER nvmkv OPTIONS (primary_key 'a, A');
CREATE FOREIGN TABLE bad (a int) SERVER nvmkv OPTIONS (primary_key 'b');
CREATE FOREIGN TABLE bad (a int) SERVER nvmkv OPTIONS (primary_key 'ctid');
CREATE FOREIGN TABLE bad (a int) SERVER nvmkv OPTIONS (primary_key 'A, "A"');
DO $$
DECLARE
	cols text;
	keys text;
BEGIN
	SELECT string_agg(format('c%s int', i), ', '), string_agg(format('c%s', i), ', ') INTO cols, keys FROM generate_series(1, 33) AS i;
	EXECUTE format('CREATE FOREIGN TABLE bad (%s) SERVER nvmkv OPTIONS (primary_key %L)', cols, keys);
EXCEPTION WHEN too_many_columns THEN
	RAISE NOTICE '%', sqlerrm;
END $$;

-- Names as SQL has them.
CREATE FOREIGN TABLE names (
	plain int,
	"Mixed" int,
	"a, b" int,
	"with ""quote""" int,
	"desc" int,
	U&"gr\00f6\00dfe" int
) SERVER nvmkv OPTIONS (primary_key U&'PLAIN asc,"Mixed" DeSc ,  "a, b","with ""quote""" desc, desc desc, gr\00f6\00dfe');
INSERT INTO names VALUES (1, 2, 3, 4, 5, 6), (1, 3, 3, 4, 5, 6), (1, 3, 3, 4, 6, 6);
SELECT * FROM names ORDER BY plain, "Mixed" DESC, "a, b", "with ""quote""" DESC, "desc" DESC;
INSERT INTO names VALUES (1, 2, 3, 4, 5, 6);
SELECT key_columns, key_descending FROM nvmkv.storage WHERE relid = 'names'::regclass;
\d names

-- Names longer than a name can be are cut as everywhere, with a notice each time the option is read.
SET client_min_messages = warning;
CREATE FOREIGN TABLE long_name (aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggghhhh int)
	SERVER nvmkv OPTIONS (primary_key 'aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggghhhh');
RESET client_min_messages;
SELECT attname FROM pg_attribute WHERE attrelid = 'long_name'::regclass AND attnum > 0;

DROP SERVER another CASCADE;
SET client_min_messages = warning;
DROP SCHEMA options_test CASCADE;
RESET client_min_messages;
