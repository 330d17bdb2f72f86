--
-- Types: each key type sorts and compares as its B-tree does and comes back
-- as it was; every other type lives in the row.
--
CREATE SCHEMA types_test;
SET search_path = types_test, public;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SET bytea_output = 'hex';

-- A heap table and a foreign one with the values as key, in both directions; differences are rows.
CREATE FUNCTION compare(type text, vals text) RETURNS TABLE (what text, problem text) LANGUAGE plpgsql AS $$
DECLARE
	up text;
	down text;
	direction text;
BEGIN
	EXECUTE format('CREATE TABLE heap_t (k %1$s PRIMARY KEY, v text)', type);
	EXECUTE format('INSERT INTO heap_t SELECT v, v::text FROM (SELECT DISTINCT ON (v) v FROM (SELECT unnest(%L::%s[])) AS x (v) WHERE v IS NOT NULL) AS d',
				   vals, regexp_replace(type, ' COLLATE.*', ''));
	FOREACH direction IN ARRAY ARRAY['ASC', 'DESC'] LOOP
		EXECUTE format('CREATE FOREIGN TABLE nv_t (k %s, v text) SERVER nvmkv OPTIONS (primary_key %L)', type, 'k ' || direction);
		INSERT INTO nv_t SELECT * FROM heap_t;
		-- The same rows, in the same order both ways, equal to the last digit.
		RETURN QUERY SELECT type || ' ' || direction || ': rows', format('%s %s', h, n)
			FROM (SELECT array_agg(k::text || '=' || v ORDER BY k) AS h FROM heap_t) AS a,
				 (SELECT array_agg(k::text || '=' || v ORDER BY k) AS n FROM nv_t) AS b
			WHERE h IS DISTINCT FROM n;
		SET LOCAL enable_sort = off;
		SELECT string_agg(x, '|') INTO up FROM (SELECT k::text AS x FROM nv_t ORDER BY k) AS s;
		SELECT string_agg(x, '|') INTO down FROM (SELECT k::text AS x FROM nv_t ORDER BY k DESC) AS s;
		SET LOCAL enable_sort = on;
		RETURN QUERY SELECT type || ' ' || direction || ': order', up
			WHERE up IS DISTINCT FROM (SELECT string_agg(k::text, '|' ORDER BY k) FROM heap_t);
		RETURN QUERY SELECT type || ' ' || direction || ': order backwards', down
			WHERE down IS DISTINCT FROM (SELECT string_agg(k::text, '|' ORDER BY k DESC) FROM heap_t);
		-- Each value is found, and is a duplicate.
		RETURN QUERY SELECT type || ' ' || direction || ': lookup', h.k::text FROM heap_t AS h
			WHERE NOT EXISTS (SELECT FROM nv_t AS n WHERE n.k = h.k AND n.v = h.v);
		BEGIN
			INSERT INTO nv_t SELECT k, 'again' FROM heap_t ORDER BY v DESC LIMIT 1;
			RETURN QUERY SELECT type || ' ' || direction || ': duplicate', 'accepted';
		EXCEPTION WHEN unique_violation THEN
			NULL;
		END;
		DROP FOREIGN TABLE nv_t;
	END LOOP;
	DROP TABLE heap_t;
END $$;

SELECT * FROM compare('bool', '{f,t}');
SELECT * FROM compare('int2', '{-32768,-256,-1,0,1,255,256,32767}');
SELECT * FROM compare('int4', '{-2147483648,-65536,-1,0,1,255,256,65536,2147483647}');
SELECT * FROM compare('int8', '{-9223372036854775808,-4294967296,-1,0,1,4294967296,9223372036854775807}');
SELECT * FROM compare('oid', '{0,1,2147483647,2147483648,4294967295}');
SELECT * FROM compare('"char"', '{a,b,A,~,"\\200","\\377"}');
SELECT * FROM compare('name', U&'{"",a,b,ab,Abc,a b,\00e4\00f6\00fc,xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx}');
SELECT * FROM compare('date', '{-infinity,"4713-01-01 BC",1999-12-31,2000-01-01,2000-01-02,5874897-12-31,infinity}');
SELECT * FROM compare('time', '{00:00,00:00:00.000001,12:00,23:59:59.999999,24:00}');
SELECT * FROM compare('timetz', '{00:00+00,00:00+15:59,24:00-15:59,12:00+02,10:00+00,11:00+01,12:00:00.000001+02}');
SELECT * FROM compare('timestamp', '{-infinity,"4713-01-01 BC","1999-12-31 23:59:59.999999",2000-01-01,"294276-12-31",infinity}');
SELECT * FROM compare('timestamptz', '{-infinity,"4713-01-01 BC","1999-12-31 23:59:59.999999+00","2000-01-01 00:00+01","294276-12-31",infinity}');
SELECT * FROM compare('interval', '{-178000000 years,-1 mon,-30 days -00:00:01,-29 days -24:00:00,-1 day,-00:00:00.000001,0,00:00:00.000001,24:00:00,1 day 00:00:01,1 mon -1 day,30 days,1 mon 00:00:01,1 year,178000000 years 2147483647 days 2562047788:00:54}');
SELECT * FROM compare('money', '{-92233720368547758.08,-1,0,0.01,92233720368547758.07}');
SELECT * FROM compare('uuid', '{00000000-0000-0000-0000-000000000000,00000000-0000-0000-0000-000000000001,7fffffff-ffff-ffff-ffff-ffffffffffff,80000000-0000-0000-0000-000000000000,ffffffff-ffff-ffff-ffff-ffffffffffff}');
SELECT * FROM compare('macaddr', '{00:00:00:00:00:00,08:00:2b:01:02:03,80:00:2b:01:02:03,ff:ff:ff:ff:ff:ff}');
SELECT * FROM compare('macaddr8', '{00:00:00:00:00:00:00:00,08:00:2b:01:02:03:04:05,ff:ff:ff:ff:ff:ff:ff:ff}');
SELECT * FROM compare('bytea', '{"","\\x00","\\x0000","\\x0001","\\x00ff","\\x01","\\x6100","\\x61","\\x6162","\\x610001","\\xff","\\xff00","\\xffff","\\xfffe","\\x00fe"}');
SELECT * FROM compare('text COLLATE "C"', U&'{"",a,b,ab,B,"a b",a\00e9,\00ff,aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}');
SELECT * FROM compare('text', U&'{"",a,b,ab,B,"a b",a\00e9,\00ff}');
SELECT * FROM compare('text COLLATE "en-x-icu"', U&'{"",a,b,ab,B,"a b",a\00e9,\00ff}');
SELECT * FROM compare('varchar(10) COLLATE "POSIX"', U&'{"",a,b,ab,B,"a b",a\00e9}');
SELECT * FROM compare('pg_lsn', '{0/0,0/1,1/0,FFFFFFFF/FFFFFFFF}');
SELECT * FROM compare('xid8', '{0,1,18446744073709551615}');
SELECT * FROM compare('float4', '{-Infinity,-3e38,-1,-1e-45,0,1e-45,1,1.5,3e38,Infinity,NaN}');
SELECT * FROM compare('float8', '{-Infinity,-1.7e308,-1,-5e-324,0,5e-324,1,1.5,1.7e308,Infinity,NaN}');
SELECT * FROM compare('numeric', '{-Infinity,-1e100,-10000.0001,-10000,-9999.99990,-1.50,-1e-100,0,0.000,1e-100,0.0001,0.00010001,1.000,1.5,9999,10000,10001.00,99990000,100000000,1e100,Infinity,NaN}');
SELECT * FROM compare('numeric(12, 4)', '{-1,0,1,1.5,1.25,99999999.9999}');
SELECT * FROM compare('bpchar COLLATE "C"', '{"",a,"a b",ab," a",b}');
SELECT * FROM compare('char(4) COLLATE "C"', '{"",a,"a b",ab," a",b,abcd}');

CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
ALTER TYPE mood ADD VALUE 'fine' BEFORE 'happy';
CREATE DOMAIN positive AS int CHECK (value > 0);
CREATE DOMAIN small_positive AS positive CHECK (value < 1000);
SELECT * FROM compare('mood', '{sad,ok,fine,happy}');
SELECT * FROM compare('positive', '{1,2,3}');
SELECT * FROM compare('small_positive', '{1,2,256,999}');

-- A key that forgets what equality ignores does not make the row forget it.
CREATE FOREIGN TABLE exact (n numeric, f float8, c char(5), v int) SERVER nvmkv OPTIONS (primary_key 'n, f, c');
INSERT INTO exact VALUES (1.50, '-0', 'a', 1), (100.000, 0.1, 'b  ', 2);
SELECT n, f, '[' || c::text || ']', octet_length(c), v FROM exact ORDER BY n;
SELECT v FROM exact WHERE n = 1.5 AND f = 0 AND c = 'a    ';
INSERT INTO exact VALUES (1.5, 0, 'a ', 3);
UPDATE exact SET n = 1.5000 WHERE v = 1;
SELECT n, f, c, v FROM exact ORDER BY n;

CREATE FOREIGN TABLE blank (c bpchar COLLATE "C") SERVER nvmkv OPTIONS (primary_key 'c');
INSERT INTO blank VALUES ('a  '), ('b');
INSERT INTO blank VALUES ('a');
SELECT octet_length(c) FROM blank WHERE c = 'a';
DROP FOREIGN TABLE blank;

CREATE FOREIGN TABLE span (i interval) SERVER nvmkv OPTIONS (primary_key 'i DESC');
INSERT INTO span VALUES ('1 mon'), ('-1 day'), ('25:00');
INSERT INTO span VALUES ('30 days');
SELECT * FROM span WHERE i IN ('30 days', '1 day 1 hour') ORDER BY i;
UPDATE span SET i = '720:00' WHERE i = '29 days 24:00';
SELECT * FROM span ORDER BY i DESC;
DROP FOREIGN TABLE span;

-- Numbers of any size, in conditions and in keys; these have more than 32767 digits to the base of 10000.
CREATE TABLE heap_big (n numeric);
CREATE FOREIGN TABLE nv_big (n numeric) SERVER nvmkv OPTIONS (primary_key 'n');
INSERT INTO heap_big VALUES (0), (1), (-1), (1e131071), (-1e131071), (1e131000), (9e131071), ('NaN');
INSERT INTO nv_big SELECT * FROM heap_big;
SELECT i, (SELECT count(*) FROM heap_big WHERE n < b) AS heap, (SELECT count(*) FROM nv_big WHERE n < b) AS nvmkv
	FROM unnest(ARRAY[9e131071 + 1, 1e131071 + 1, 1e131071 - 1, 1e131071 - 1e-16383, -1e131071 - 1, -9e131071 - 1e-16383])
		WITH ORDINALITY AS x (b, i);
SELECT count(*) FROM nv_big WHERE n < 9e131071 + 1;
SELECT count(*) FROM nv_big WHERE n > -1e131071 - 1;
SELECT count(*) FROM nv_big WHERE n = 1e131071 + 1;
INSERT INTO nv_big VALUES (9e131071 + 1);
UPDATE nv_big SET n = n - 1e-16383 WHERE n = 9e131071;
SELECT count(*) FROM nv_big;
DROP TABLE heap_big;
DROP FOREIGN TABLE nv_big;

-- Composite keys, directions mixed, strings that begin one another.
CREATE TABLE heap_c (a text COLLATE "C", b bytea, c int, d numeric, PRIMARY KEY (a, b, c, d));
CREATE FOREIGN TABLE nv_c (a text COLLATE "C", b bytea, c int, d numeric) SERVER nvmkv OPTIONS (primary_key 'a, b DESC, c DESC, d');
INSERT INTO heap_c SELECT a, b, c, d
	FROM unnest(ARRAY['', 'a', 'aa', 'a' || chr(1), 'b']) AS a, unnest(ARRAY['', '\x00', '\x0001', '\xff']::bytea[]) AS b,
		 unnest(ARRAY[-1, 0, 1]) AS c, unnest(ARRAY[-1.5, 0, 1.5]) AS d;
INSERT INTO nv_c SELECT * FROM heap_c;
SET enable_sort = off;
SELECT count(*), array_agg((a, b, c, d)) = (SELECT array_agg((a, b, c, d) ORDER BY a, b DESC, c DESC, d) FROM heap_c) AS same
	FROM (SELECT * FROM nv_c ORDER BY a, b DESC, c DESC, d) AS x;
SELECT array_agg((a, b, c, d)) = (SELECT array_agg((a, b, c, d) ORDER BY a DESC, b, c, d DESC) FROM heap_c) AS same
	FROM (SELECT * FROM nv_c ORDER BY a DESC, b, c, d DESC) AS x;
RESET enable_sort;
SELECT count(*) FROM heap_c JOIN nv_c USING (a, b, c, d);

-- What cannot be a key.
CREATE FOREIGN TABLE bad (k jsonb) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE bad (k jsonb[]) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE bad (k oidvector) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE bad (k heap_c[]) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE bad (k heap_c) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE bad (k int4multirange) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE TYPE pattern_range AS RANGE (subtype = text, subtype_opclass = text_pattern_ops);
CREATE FOREIGN TABLE bad (k pattern_range) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE bad (k point) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE FOREIGN TABLE bad (k text[] COLLATE caseless) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE bad (k text COLLATE caseless) SERVER nvmkv OPTIONS (primary_key 'k');

-- NULL, and what is too long.
CREATE FOREIGN TABLE k (a int, b text) SERVER nvmkv OPTIONS (primary_key 'a, b');
\d k
INSERT INTO k VALUES (NULL, 'x');
INSERT INTO k VALUES (1, NULL);
INSERT INTO k VALUES (1, repeat('x', 2021));
INSERT INTO k VALUES (2, repeat('x', 2040));
INSERT INTO k VALUES (2, repeat('x', 100000));
SELECT a, length(b) FROM k;

-- Values that are no keys: each type, long and short, compressed or not, with and without NULL.
CREATE TYPE pair AS (x int, y text);
CREATE TABLE heap_v (
	id int PRIMARY KEY, b bool, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, n numeric, t text, vc varchar(50), c char(10), ba bytea,
	nm name, ch "char", d date, tm time, tmtz timetz, ts timestamp, tstz timestamptz, iv interval, u uuid, j json, jb jsonb, ia int[], ta text[],
	ir int4range, ip inet, mc macaddr, pt point, pg polygon, bt bit(5), vb varbit, p pair, pa pair[], tsv tsvector, x xml, e mood, dm positive, m money);
INSERT INTO heap_v SELECT
	i, i % 2 = 0, i, i * 1000, i::int8 << 32, i / 3.0, i / 7.0, i * 1.10, repeat('text ', i % 40), 'v' || i, 'c' || i, decode(repeat('00ff', i), 'hex'),
	'n' || i, 'x', date '2000-01-01' + i, time '01:00' + i * interval '1 second', timetz '01:00+02', timestamp '2000-01-01' + i * interval '1 hour',
	timestamptz '2000-01-01' + i * interval '1 day', i * interval '1 month', md5(i::text)::uuid, json_build_object('i', i), jsonb_build_object('i', i, 's', repeat('s', i)),
	ARRAY[i, NULL, i + 1], ARRAY['a', repeat('b', i)], int4range(i, i + 10), '10.0.0.1', '08:00:2b:01:02:03', point(i, -i), polygon '((0,0),(1,1),(1,0))',
	B'10101', repeat('1', i % 20)::varbit, (i, 'y' || i)::pair, ARRAY[(i, 'a')::pair, NULL, (i, repeat('b', i))::pair], to_tsvector('simple', 'a b c' || i),
	xmlparse(content '<a>' || i || '</a>'), 'ok', i + 1, i::money
	FROM generate_series(0, 200) AS i;
INSERT INTO heap_v (id) VALUES (1000);
INSERT INTO heap_v (id, t, ba, jb) SELECT i, repeat('long and compressible ', i), decode(string_agg(md5((i * j)::text), ''), 'hex'), jsonb_build_object('k', repeat('z', i))
	FROM unnest(ARRAY[1001, 2002, 50000]) AS i, generate_series(1, 1000) AS j GROUP BY i;
CREATE FOREIGN TABLE nv_v (
	id int, b bool, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, n numeric, t text, vc varchar(50), c char(10), ba bytea,
	nm name, ch "char", d date, tm time, tmtz timetz, ts timestamp, tstz timestamptz, iv interval, u uuid, j json, jb jsonb, ia int[], ta text[],
	ir int4range, ip inet, mc macaddr, pt point, pg polygon, bt bit(5), vb varbit, p pair, pa pair[], tsv tsvector, x xml, e mood, dm positive, m money)
	SERVER nvmkv OPTIONS (primary_key 'id');
INSERT INTO nv_v SELECT * FROM heap_v;
SELECT count(*), count(*) FILTER (WHERE nv_v::text IS DISTINCT FROM heap_v::text) AS different FROM heap_v FULL JOIN nv_v USING (id);
SELECT id, length(t), length(ba), pg_column_size(t) < length(t) AS compressed FROM nv_v WHERE id > 1000 ORDER BY id;

-- The same without a key, with duplicates.
CREATE FOREIGN TABLE nv_d (id int, t text, p pair) SERVER nvmkv;
INSERT INTO nv_d SELECT id % 10, t, p FROM heap_v;
INSERT INTO nv_d SELECT id % 10, t, p FROM heap_v;
SELECT count(*), count(DISTINCT id), (SELECT count(*) FROM (SELECT nv_d::text FROM nv_d EXCEPT ALL SELECT row(id % 10, t, p)::text FROM (SELECT * FROM heap_v UNION ALL SELECT * FROM heap_v) AS x) AS y) AS different FROM nv_d;

-- Rows of no column, of a thousand columns.
CREATE FOREIGN TABLE nv_0 () SERVER nvmkv;
INSERT INTO nv_0 SELECT FROM generate_series(1, 3);
SELECT count(*) FROM nv_0;
DO $$
DECLARE
	cols text;
	vals text;
BEGIN
	SELECT string_agg(format('c%s %s', i, CASE i % 3 WHEN 0 THEN 'int' WHEN 1 THEN 'text' ELSE 'int8' END), ', '),
		   string_agg(CASE WHEN i % 7 = 0 THEN 'NULL' ELSE i::text END, ', ')
		INTO cols, vals FROM generate_series(1, 1000) AS i;
	EXECUTE format('CREATE FOREIGN TABLE nv_1000 (%s) SERVER nvmkv OPTIONS (primary_key %L)', cols, 'c3, c1000');
	EXECUTE format('INSERT INTO nv_1000 VALUES (%s)', vals);
END $$;
SELECT c1, c3, c7, c998, c999, c1000 FROM nv_1000;

-- A row that is too long.
INSERT INTO nv_d (t) SELECT string_agg(md5(i::text), '') FROM generate_series(1, 1100000) AS i;

SET client_min_messages = warning;
DROP SCHEMA types_test CASCADE;
RESET client_min_messages;
