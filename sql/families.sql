--
-- Column families: tables of servers that name one.  The library keeps at
-- most four here (nvmkv.max_column_families).
--
CREATE SCHEMA families_test;
SET search_path = families_test, public;
SHOW nvmkv.max_column_families;

-- The shape is checked when a server is made or changed.
CREATE SERVER bad FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (nvm 'off');
CREATE SERVER bad FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'default', nvm 'off');
CREATE SERVER bad FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'f', nvm 'perhaps');
CREATE SERVER bad FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'f', write_buffer_size '64');
CREATE SERVER bad FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'f', write_buffer_size '1 apple');
CREATE SERVER bad FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'f', max_write_buffers '1');
CREATE SERVER bad FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'f', bloom_bits_per_key '33');
CREATE SERVER bad FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'f', compression 'gzip');
CREATE SERVER bad FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'f', compression 'lz4 zstd');
CREATE SERVER bad FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'f', compression 'lz4,lz4,lz4,lz4,lz4,lz4,zstd');
CREATE SERVER hot FOREIGN DATA WRAPPER nvmkv_fdw
	OPTIONS (column_family 'hot', write_buffer_size '4MB', max_write_buffers '2', target_file_size '2MB');
CREATE SERVER cold FOREIGN DATA WRAPPER nvmkv_fdw
	OPTIONS (column_family 'cold', nvm 'off', write_buffer_size '2MB', bloom_bits_per_key '0', compression 'lz4, zstd');
ALTER SERVER cold OPTIONS (SET nvm 'maybe');

-- A family is made with its first table.
SELECT column_family, number FROM nvmkv.column_families;
CREATE FOREIGN TABLE h (k int NOT NULL, v text) SERVER hot OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE c (k int NOT NULL, v text) SERVER cold OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE d (k int NOT NULL, v text) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE nokey (v text) SERVER hot;
SELECT column_family, number, nvm_size, write_buffer_size, max_write_buffers, target_file_size, bloom_bits_per_key, compression
	FROM nvmkv.column_families;
SELECT c.relname, s.storage_id >> 56 AS family
FROM nvmkv.storage s JOIN pg_class c ON c.oid = s.relid WHERE c.relnamespace = 'families_test'::regnamespace ORDER BY 1;

-- One transaction over all of them.
INSERT INTO h SELECT g, 'h' || g FROM generate_series(1, 1000) g;
INSERT INTO c SELECT g, 'c' || g FROM generate_series(1, 1000) g;
INSERT INTO d SELECT g, 'd' || g FROM generate_series(1, 1000) g;
INSERT INTO nokey VALUES ('x'), ('x');
BEGIN;
UPDATE h SET v = 'rolled back' WHERE k <= 500;
DELETE FROM c WHERE k > 10;
INSERT INTO d VALUES (1001, 'rolled back');
SAVEPOINT s;
INSERT INTO c VALUES (500, 'back');
ROLLBACK TO s;
SELECT (SELECT count(*) FROM h WHERE v = 'rolled back'), (SELECT count(*) FROM c), (SELECT count(*) FROM d);
ROLLBACK;
SELECT (SELECT count(*) FROM h WHERE v = 'rolled back'), (SELECT count(*) FROM c), (SELECT count(*) FROM d);
INSERT INTO c VALUES (1, 'again');
INSERT INTO h VALUES (1, 'new') ON CONFLICT (k) DO UPDATE SET v = excluded.v || ' and ' || h.v RETURNING *;
SELECT h.k, h.v, c.v, d.v FROM h JOIN c USING (k) JOIN d USING (k) WHERE h.k IN (1, 7, 1000) ORDER BY h.k;
EXPLAIN (COSTS OFF) SELECT * FROM c WHERE k BETWEEN 5 AND 10 ORDER BY k DESC;
SELECT * FROM c WHERE k BETWEEN 5 AND 8 ORDER BY k DESC;
SELECT * FROM nokey;

-- Through the levels of each, and views that tell them apart, or count all.
SELECT files_written AS files_before FROM nvmkv.stat_engine \gset
SELECT nvmkv.flush();
SELECT files_written > :files_before AS counted FROM nvmkv.stat_engine;
SELECT count(*) > 0 AS seen, bool_and(files_out = 1) AS each_has_a_file FROM nvmkv.progress
WHERE column_family = 'cold' AND job = 'flush' AND phase = 'finished' AND keys_done > 0;
SELECT nvmkv.compact();
SELECT column_family, sum(files) > 0 AS has_files FROM nvmkv.stat_levels GROUP BY 1 ORDER BY 1;
SELECT column_family, count(*) FROM nvmkv.stat_memtables GROUP BY 1 ORDER BY 1;
SELECT (SELECT count(*) FROM h), (SELECT count(*) FROM c), (SELECT count(*) FROM d), (SELECT sum(k) FROM c WHERE v LIKE 'c%');
SELECT * FROM nvmkv.check();
SELECT * FROM nvmkv.check('c');
ANALYZE c;
SELECT reltuples FROM pg_class WHERE oid = 'c'::regclass;
TRUNCATE c;
SELECT count(*) FROM c;
INSERT INTO c VALUES (1, 'after');

-- The same family through another server, and no more families than there can be.
CREATE SERVER hot2 FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'hot');
CREATE SERVER third FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'third', nvm 'off');
CREATE SERVER fourth FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'fourth', nvm 'off');
CREATE FOREIGN TABLE h2 (k int NOT NULL) SERVER hot2 OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE t3 (k int NOT NULL) SERVER third OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE t4 (k int NOT NULL) SERVER fourth OPTIONS (primary_key 'k');
SELECT column_family, number FROM nvmkv.column_families;

-- A server with tables keeps its family.
ALTER SERVER cold OPTIONS (SET column_family 'hot');
ALTER SERVER cold OPTIONS (DROP column_family);
ALTER SERVER cold OPTIONS (SET column_family 'cold', SET write_buffer_size '2MB');
CREATE SERVER fifth FOREIGN DATA WRAPPER nvmkv_fdw;
ALTER SERVER fifth OPTIONS (ADD column_family 'third');
DROP SERVER fifth;

-- A family goes when nothing is in it.
SELECT nvmkv.drop_column_family('hot');
SELECT nvmkv.drop_column_family('default');
SELECT nvmkv.drop_column_family('nowhere');
BEGIN;
SELECT nvmkv.drop_column_family('third');
ROLLBACK;
DROP FOREIGN TABLE t3;
SELECT nvmkv.drop_column_family('third');
CREATE FOREIGN TABLE t4 (k int NOT NULL) SERVER fourth OPTIONS (primary_key 'k');
INSERT INTO t4 SELECT generate_series(1, 10);
SELECT column_family, number FROM nvmkv.column_families;
SELECT sum(k) FROM t4;

SET client_min_messages = warning;
DROP SCHEMA families_test CASCADE;
DROP SERVER hot;
DROP SERVER hot2;
DROP SERVER cold;
DROP SERVER third;
DROP SERVER fourth;
SELECT nvmkv.drop_column_family(column_family) FROM nvmkv.column_families WHERE number > 0;
SELECT column_family, number FROM nvmkv.column_families;
