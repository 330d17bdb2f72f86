--
-- Scans by key: every key type, operator and direction gives what a heap
-- table gives.
--
CREATE SCHEMA scan_test;
SET search_path = scan_test, public;
SET TimeZone = 'Europe/Berlin';
SET DateStyle = 'ISO';

-- Runs a query on a foreign table and on its heap twin (the query says @), and compares all rows, in the order they come.
CREATE FUNCTION same(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	a text[];
	b text[];
BEGIN
	EXECUTE 'SELECT array_agg(q::text) FROM (' || replace(query, '@', 'kv') || ') AS q' INTO a;
	EXECUTE 'SELECT array_agg(q::text) FROM (' || replace(query, '@', 'heap') || ') AS q' INTO b;
	IF a IS NOT DISTINCT FROM b THEN
		RETURN 'same, ' || coalesce(cardinality(a), 0) || ' rows';
	END IF;
	RETURN 'DIFFERENT: ' || coalesce(a::text, 'none') || ' instead of ' || coalesce(b::text, 'none');
END $$;

-- All comparisons of a key column of one type with values of another, upwards and downwards; how many there were, how many
-- rows they gave, and those that went wrong.
CREATE FUNCTION compare_all(coltype text, probetype text, vals text[], probes text[], direction text DEFAULT '',
							OUT queries int, OUT result_rows int, OUT wrong text[])
LANGUAGE plpgsql AS $$
DECLARE
	op text;
	probe text;
	query text;
	ord text;
	verdict text;
BEGIN
	EXECUTE format('CREATE FOREIGN TABLE kv (k %s NOT NULL, n int) SERVER nvmkv OPTIONS (primary_key ''k %s'')', coltype, direction);
	EXECUTE format('CREATE TABLE heap (k %s NOT NULL, n int)', coltype);
	EXECUTE format('INSERT INTO heap SELECT v::%s, i FROM unnest($1) WITH ORDINALITY AS u(v, i)', coltype) USING vals;
	EXECUTE format('CREATE UNIQUE INDEX ON heap (k %s)', direction);
	INSERT INTO kv SELECT * FROM heap;
	queries := 0;
	result_rows := 0;
	FOREACH ord IN ARRAY ARRAY['', 'DESC'] LOOP
		FOREACH op IN ARRAY ARRAY['=', '<', '<=', '>', '>='] LOOP
			FOREACH probe IN ARRAY probes LOOP
				query := format('SELECT k, n FROM @ WHERE k %s %L::%s ORDER BY k %s', op, probe, probetype, ord);
				verdict := same(query);
				queries := queries + 1;
				IF verdict NOT LIKE 'same%' THEN
					wrong := wrong || (query || ': ' || verdict);
				ELSE
					result_rows := result_rows + substring(verdict FROM '\d+')::int;
				END IF;
				-- the commuted form, and as an array
				verdict := same(format('SELECT k, n FROM @ WHERE %L::%s %s k ORDER BY k %s', probe, probetype, op, ord));
				IF verdict NOT LIKE 'same%' THEN
					wrong := wrong || (query || ' (commuted): ' || verdict);
				END IF;
			END LOOP;
		END LOOP;
		verdict := same(format('SELECT k, n FROM @ WHERE k = ANY (%L::%s[]) ORDER BY k %s', probes || probes || NULL::text, probetype, ord));
		IF verdict NOT LIKE 'same%' THEN
			wrong := wrong || ('= ANY: ' || verdict);
		END IF;
	END LOOP;
	DROP FOREIGN TABLE kv;
	DROP TABLE heap;
END $$;

SET enable_seqscan = off;	-- small tables are scanned by key, too
\getenv abs_srcdir PG_ABS_SRCDIR
\set explained :abs_srcdir '/sql/include/explained.sql'
\set ECHO none
\i :explained
\set ECHO all
SET enable_sort = off;		-- and the order is the key's

-- Integers, and across their widths.
SELECT a.coltype, b.probetype, c.*
FROM unnest(ARRAY['int2', 'int4', 'int8']) AS a(coltype)
	CROSS JOIN unnest(ARRAY['int2', 'int4', 'int8']) AS b(probetype)
	CROSS JOIN LATERAL compare_all(a.coltype, b.probetype,
		ARRAY['-32768', '-32767', '-256', '-1', '0', '1', '255', '256', '257', '32767'] ||
			CASE a.coltype WHEN 'int2' THEN '{}' ELSE ARRAY['-2147483648', '-32769', '32768', '65536', '2147483647'] END ||
			CASE a.coltype WHEN 'int8' THEN ARRAY['-9223372036854775808', '-2147483649', '2147483648', '9223372036854775807'] ELSE '{}' END,
		ARRAY['-32768', '-1', '0', '2', '256', '32767'] ||
			CASE b.probetype WHEN 'int2' THEN '{}' ELSE ARRAY['-2147483648', '-32769', '32768', '65537', '2147483647'] END ||
			CASE b.probetype WHEN 'int8' THEN ARRAY['-9223372036854775808', '-2147483649', '2147483648', '9223372036854775807'] ELSE '{}' END) AS c
ORDER BY 1, 2;

-- Floating point: -0 is 0, NaN is the greatest, a real is compared as a double.
SELECT a.coltype, b.probetype, c.*
FROM unnest(ARRAY['float4', 'float8']) AS a(coltype)
	CROSS JOIN unnest(ARRAY['float4', 'float8']) AS b(probetype)
	CROSS JOIN LATERAL compare_all(a.coltype, b.probetype,
		ARRAY['-Infinity', '-3.4e38', '-1.5', '-0.1', '-1e-45', '0', '1e-45', '0.1', '0.3', '1.5', '16777216', '3.4e38', 'Infinity', 'NaN'],
		ARRAY['-Infinity', '-1.5', '-0.1', '-0', '0', '0.1', '0.3', '1.5', '16777217', 'Infinity', 'NaN'] ||
			CASE b.probetype WHEN 'float8' THEN ARRAY['1e-300', '-1e-300', '1e300', '-1e300', '0.30000001192092896'] ELSE '{}' END) AS c
ORDER BY 1, 2;

SELECT 'numeric' AS coltype, c.*
FROM compare_all('numeric', 'numeric',
	ARRAY['-Infinity', '-1e100', '-10000.0001', '-10000', '-9999.9999', '-1', '-0.00001', '0', '1e-50', '0.1', '0.11', '1', '1.0001', '9999', '10000', '10001', '1e50', 'Infinity', 'NaN'],
	ARRAY['-Infinity', '-10000.00', '-0.5', '0.000', '0.10', '1.00', '9999.5', '1e50', 'Infinity', 'NaN']) AS c;

-- Dates and times, and across; the time zone has gaps and overlaps.
SELECT a.coltype, b.probetype, c.*
FROM unnest(ARRAY['date', 'timestamp', 'timestamptz']) AS a(coltype)
	CROSS JOIN unnest(ARRAY['date', 'timestamp', 'timestamptz']) AS b(probetype)
	CROSS JOIN LATERAL compare_all(a.coltype, b.probetype,
		ARRAY['-infinity', '4713-01-02 BC', '1969-12-31', '1970-01-01', '2000-01-01', '2020-02-29', '2021-03-27', '2021-03-28', '2021-03-29', '2021-10-31', '2021-11-01', 'infinity'] ||
			CASE a.coltype WHEN 'date' THEN ARRAY['5874897-12-31'] ELSE ARRAY['2000-01-01 00:00:00.000001', '2021-03-28 01:59:59', '2021-03-28 03:00', '2021-10-31 01:30', '2021-10-31 03:00', '294276-12-31 12:00'] END,
		ARRAY['-infinity', '1970-01-01', '2000-01-01', '2021-03-28', '2021-10-31', 'infinity'] ||
			CASE b.probetype WHEN 'date' THEN ARRAY['5874897-12-31', '4714-11-24 BC'] ELSE ARRAY['1969-12-31 23:59:59.999999', '2000-01-01 00:00:00.000001', '2021-03-28 02:30', '2021-10-31 02:30', '294276-12-31 12:00'] END) AS c
ORDER BY 1, 2;

-- West of Greenwich a date begins later than its day there; where the date line was moved, one is missing.
SET TimeZone = 'America/New_York';
SELECT a.coltype, c.*
FROM unnest(ARRAY['date', 'timestamp']) AS a(coltype)
	CROSS JOIN LATERAL compare_all(a.coltype, 'timestamptz',
		ARRAY['-infinity', '2021-03-12', '2021-03-13', '2021-03-14', '2021-03-15', '2021-11-06', '2021-11-07', '2021-11-08', 'infinity'],
		ARRAY['2021-03-13 19:00', '2021-03-14', '2021-03-14 02:30', '2021-03-14 20:00', '2021-11-07', '2021-11-07 01:30', '2021-11-07 23:00']) AS c
ORDER BY 1;
SET TimeZone = 'Pacific/Apia';
SELECT a.coltype, c.*
FROM unnest(ARRAY['date', 'timestamp']) AS a(coltype)
	CROSS JOIN LATERAL compare_all(a.coltype, 'timestamptz',
		ARRAY['2011-12-27', '2011-12-28', '2011-12-29', '2011-12-30', '2011-12-31', '2012-01-01', '2012-01-02'],
		ARRAY['2011-12-28 23:00', '2011-12-29', '2011-12-29 10:00', '2011-12-29 23:59', '2011-12-31', '2011-12-31 10:00', '2012-01-01']) AS c
ORDER BY 1;
SET TimeZone = 'Europe/Berlin';

SELECT a.coltype, c.*
FROM (VALUES
	('bool', ARRAY['f', 't'], ARRAY['f', 't']),
	('time', ARRAY['00:00', '00:00:00.000001', '12:00', '23:59:59.999999', '24:00'], ARRAY['00:00', '11:00', '12:00', '24:00']),
	('timetz', ARRAY['00:00+02', '00:00+01', '01:00+02', '12:00-05', '12:00+00', '24:00-15:59'], ARRAY['00:00+01', '01:00+02', '12:00+00', '17:00+00']),
	('money', ARRAY['-92233720368547758.08', '-1', '0', '0.01', '92233720368547758.07'], ARRAY['-1', '0', '1']),
	('uuid', ARRAY['00000000-0000-0000-0000-000000000000', '7fffffff-ffff-ffff-ffff-ffffffffffff', '80000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
		ARRAY['00000000-0000-0000-0000-000000000000', '7fffffff-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff']),
	('macaddr', ARRAY['00:00:00:00:00:00', '08:00:2b:01:02:03', '80:00:00:00:00:00', 'ff:ff:ff:ff:ff:ff'], ARRAY['08:00:2b:01:02:03', '81:00:00:00:00:00']),
	('oid', ARRAY['0', '1', '2147483647', '2147483648', '4294967295'], ARRAY['0', '2147483648', '4294967295']),
	('pg_lsn', ARRAY['0/0', '0/1', '1/0', 'FFFFFFFF/FFFFFFFF'], ARRAY['0/1', '7/7', 'FFFFFFFF/FFFFFFFF']),
	('"char"', ARRAY['', 'A', 'a', 'z'], ARRAY['A', 'b']),
	('bytea', ARRAY['', '\x00', '\x0000', '\x0001', '\x00ff', '\x01', '\x61', '\x6100', '\x6101', '\x61ff', '\xff', '\xff00', '\xffff'], ARRAY['', '\x00', '\x0000', '\x61', '\xff', '\xffffff']),
	('text COLLATE "C"', ARRAY['', ' ', 'A', 'B', 'Z', 'a', 'aa', 'ab', 'abc', 'b', 'z', 'zz', '~', U&'\00e9', U&'\65e5\672c'], ARRAY['', 'A', 'a', 'aa', 'abd', 'zz', U&'\00e9', U&'\65e5']),
	('varchar(10) COLLATE "C"', ARRAY['', 'A', 'a', 'aa', 'abc', 'b'], ARRAY['', 'a', 'aa', 'c']),
	('name', ARRAY['', 'A', 'a', 'aa', 'abc', 'b'], ARRAY['', 'a', 'aa', 'c']),
	('char(4) COLLATE "C"', ARRAY['', 'A', 'a', 'aa', 'abc', 'b'], ARRAY['', 'a', 'a  ', 'c'])
) AS a(coltype, vals, probes)
	CROSS JOIN LATERAL compare_all(a.coltype, regexp_replace(a.coltype, '\(.*| COLLATE.*', ''), a.vals, a.probes) AS c;

-- Names and texts compare with each other.
SELECT a.coltype, a.probetype, c.*
FROM (VALUES ('name', 'text'), ('text COLLATE "C"', 'name')) AS a(coltype, probetype)
	CROSS JOIN LATERAL compare_all(a.coltype, a.probetype,
		ARRAY['', 'A', 'a', 'aa', 'abc', 'b', repeat('x', 63)], ARRAY['', 'a', 'aa', 'c', repeat('x', 62), repeat('x', 63), repeat('x', 100)]) AS c;

-- Descending keys.
SELECT a.coltype, c.*
FROM (VALUES
	('int4', ARRAY['-5', '0', '7', '2147483647', '-2147483648'], ARRAY['-6', '0', '7', '2147483647', '-2147483648']),
	('text COLLATE "C"', ARRAY['', 'a', 'aa', 'ab', 'b'], ARRAY['', 'a', 'aa', 'c']),
	('numeric', ARRAY['-1', '0', '1', '1.5', 'NaN'], ARRAY['-1', '1.50', '2', 'NaN']),
	('timestamptz', ARRAY['-infinity', '2020-01-01', '2021-01-01', 'infinity'], ARRAY['2020-01-01', '2020-06-01', 'infinity'])
) AS a(coltype, vals, probes)
	CROSS JOIN LATERAL compare_all(a.coltype, regexp_replace(a.coltype, ' COLLATE.*', ''), a.vals, a.probes, 'DESC') AS c;

-- A comparison value of another type, too, with descending keys.
SELECT * FROM compare_all('int4', 'int8', ARRAY['-5', '0', '7', '2147483647', '-2147483648'],
	ARRAY['-9223372036854775808', '-2147483649', '-2147483648', '0', '1', '2147483647', '2147483648', '9223372036854775807'], 'DESC');
SELECT * FROM compare_all('float4', 'float8', ARRAY['-0.1', '0', '0.1', '0.3', 'NaN'], ARRAY['-0.1', '0.1', '0.3', '1e-300', '1e300', 'NaN'], 'DESC');

-- A domain's order is its base type's.
CREATE DOMAIN positive AS int4 CHECK (VALUE > 0);
SELECT * FROM compare_all('positive', 'int8', ARRAY['1', '2', '300', '70000'], ARRAY['-1', '1', '3', '300', '3000000000']);

-- A collation of ICU's, and comparisons under another one.
CREATE FOREIGN TABLE kv (k text COLLATE "en-x-icu" NOT NULL, n int) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE TABLE heap (k text COLLATE "en-x-icu" PRIMARY KEY, n int);
INSERT INTO heap VALUES ('a', 1), ('B', 2), ('b', 3), ('Z', 4), (U&'\00e4', 5), ('', 6);
INSERT INTO kv SELECT * FROM heap;
RESET enable_sort;
SELECT same('SELECT * FROM @ WHERE k = ''b''');
SELECT same('SELECT * FROM @ WHERE k = ''x''');
SELECT same('SELECT * FROM @ WHERE k > ''a'' ORDER BY k');
SELECT same('SELECT * FROM @ WHERE k <= ''b'' ORDER BY k DESC');
SELECT same('SELECT * FROM @ WHERE k IN (''Z'', U&''\00e4'', ''q'') ORDER BY n');
SELECT same('SELECT * FROM @ WHERE k = ''b'' COLLATE "C"');
SELECT same('SELECT * FROM @ WHERE k < ''b'' COLLATE "C" ORDER BY k');
SELECT same('SELECT * FROM @ ORDER BY k COLLATE "C"');
SELECT same('SELECT min(k), max(k) FROM @');
DROP FOREIGN TABLE kv;
DROP TABLE heap;

--
-- Keys of several columns.
--
CREATE FOREIGN TABLE kv (a int NOT NULL, b text COLLATE "C" NOT NULL, c timestamp NOT NULL, v text) SERVER nvmkv OPTIONS (primary_key 'a, b, c DESC');
CREATE TABLE heap (a int NOT NULL, b text COLLATE "C" NOT NULL, c timestamp NOT NULL, v text);
CREATE UNIQUE INDEX ON heap (a, b, c DESC);
INSERT INTO heap
	SELECT a, chr(96 + b) || repeat('x', b % 3), timestamp '2020-01-01' + c * interval '1 day', 'v' || a * 100 + b * 10 + c
	FROM generate_series(-3, 6) AS a, generate_series(1, 5) AS b, generate_series(0, 4) AS c;
INSERT INTO kv SELECT * FROM heap;
SELECT same('SELECT * FROM @ ORDER BY a, b, c DESC');
SELECT same('SELECT * FROM @ ORDER BY a DESC, b DESC, c');
SELECT same('SELECT * FROM @ WHERE a = 2 ORDER BY a, b, c DESC');
SELECT same('SELECT * FROM @ WHERE a = 2 AND b = ''bxx'' ORDER BY c');
SELECT same('SELECT * FROM @ WHERE a = 2 AND b = ''bxx'' AND c = ''2020-01-03''');
SELECT same('SELECT * FROM @ WHERE a = 2 AND b = ''bxx'' AND c > ''2020-01-02'' ORDER BY c DESC');
SELECT same('SELECT * FROM @ WHERE a = 2 AND b = ''bxx'' AND c >= ''2020-01-02'' AND c < ''2020-01-05'' ORDER BY c');
SELECT same('SELECT * FROM @ WHERE a = 2 AND b > ''b'' AND b <= ''d'' ORDER BY b, c DESC');
SELECT same('SELECT * FROM @ WHERE a = 2 AND c = ''2020-01-03'' ORDER BY b');
SELECT same('SELECT * FROM @ WHERE a > 2 AND b = ''bxx'' ORDER BY a, c');
SELECT same('SELECT * FROM @ WHERE a BETWEEN 0 AND 2 AND a > 0 AND a < 2 ORDER BY a, b, c');
SELECT same('SELECT * FROM @ WHERE a > 3 AND a < 3');
SELECT same('SELECT * FROM @ WHERE a = 1 AND a = 2');
SELECT same('SELECT * FROM @ WHERE b = ''bxx'' ORDER BY a, c');
SELECT same('SELECT * FROM @ WHERE a IN (1, 3, 3, NULL, 99) ORDER BY a, b, c');
SELECT same('SELECT * FROM @ WHERE a IN (5, 1) AND b IN (''bxx'', ''a'', ''nowhere'', ''cx'') ORDER BY a, b, c');
SELECT same('SELECT * FROM @ WHERE a IN (5, 1) AND b IN (''bxx'', ''cx'', ''c'') AND c IN (''2020-01-01'', ''2020-01-04'') ORDER BY a DESC, b DESC, c');
SELECT same('SELECT * FROM @ WHERE a = ANY (''{}''::int[])');
SELECT same('SELECT * FROM @ WHERE a = ANY (NULL::int[])');
SELECT same('SELECT * FROM @ WHERE a < ANY (''{-2, 0}''::int[]) ORDER BY a, b, c');
SELECT same('SELECT * FROM @ WHERE a = ALL (''{2, 2}''::int[]) ORDER BY a, b, c');
SELECT same('SELECT * FROM @ WHERE (a, b) > (2, ''bxx'') ORDER BY a, b, c');
SELECT same('SELECT * FROM @ WHERE (a, b) >= (2, ''bxx'') ORDER BY a, b, c');
SELECT same('SELECT * FROM @ WHERE (a, b) < (2, ''bxx'') ORDER BY a DESC, b DESC, c');
SELECT same('SELECT * FROM @ WHERE (a, b) <= (2, ''bxx'') ORDER BY a, b, c');
SELECT same('SELECT * FROM @ WHERE (2, ''bxx'') < (a, b) ORDER BY a, b, c');
SELECT same('SELECT * FROM @ WHERE (a, b, c) > (2, ''bxx'', ''2020-01-03'') ORDER BY a, b, c');
SELECT same('SELECT * FROM @ WHERE (a, c) > (2, ''2020-01-03'') ORDER BY a, b, c');
SELECT same('SELECT * FROM @ WHERE (a, b) > (2, NULL) ORDER BY a, b, c');
SELECT same('SELECT * FROM @ WHERE (a, b) >= (NULL, ''b'')');
SELECT same('SELECT * FROM @ WHERE (a, b) > (3000000000, ''b'')');
SELECT same('SELECT * FROM @ WHERE (a, b) > (-3000000000, ''b'') ORDER BY a, b, c');
SELECT same('SELECT * FROM @ WHERE (a, b) < (3000000000, ''b'') ORDER BY a, b, c');
SELECT same('SELECT * FROM @ WHERE (a, v) > (4, ''v440'') ORDER BY a, b, c');
SELECT same('SELECT * FROM @ WHERE a = 4 AND (b, a) > (''bxx'', 0) ORDER BY a, b, c');
SELECT same('SELECT * FROM @ WHERE a = 4 AND b LIKE ''b%'' ORDER BY b, c');
SELECT same('SELECT * FROM @ WHERE a = 4 AND b LIKE ''_x'' ORDER BY b, c');
SELECT same('SELECT * FROM @ WHERE a = 4 AND b ~ ''^c'' ORDER BY b, c');
SELECT same('SELECT * FROM @ WHERE a = 4 AND starts_with(b, ''d'') ORDER BY b, c');
SELECT same('SELECT * FROM @ WHERE a = 4 AND b = ' || quote_literal(repeat('x', 5000)));
SELECT same('SELECT * FROM @ WHERE a = 4 AND b > ' || quote_literal(repeat('b', 5000)) || ' ORDER BY b, c');
SELECT same('SELECT * FROM @ WHERE a = 4 AND b < ' || quote_literal(repeat('b', 5000)) || ' ORDER BY b, c');
SELECT same('SELECT * FROM @ WHERE a IS NULL');
SELECT same('SELECT count(*) FROM @ WHERE a IS NOT NULL');
SELECT same('SELECT * FROM @ WHERE NULL::bool');
SELECT same('SELECT * FROM @ WHERE a = NULL');
SELECT same('SELECT * FROM @ WHERE a = 1 OR (a = 2 AND b = ''a'') ORDER BY a, b, c');
SELECT same('SELECT * FROM @ WHERE a = 1 OR a = 3 OR a = 1 ORDER BY a, b, c');
SELECT same('SELECT * FROM @ WHERE a < 0 OR a > 4 OR a BETWEEN -2 AND 1 ORDER BY a DESC, b DESC, c');
SELECT same('SELECT * FROM @ WHERE (a = 1 AND b = ''bxx'' AND c = ''2020-01-02'') OR (a = 1 AND b > ''a'') OR (a = 1 AND b = ''bxx'' AND c = ''2020-01-01'') ORDER BY a, b, c');
SELECT same('SELECT * FROM @ WHERE (a = 1 AND b = ''bxx'' AND c = ''2020-01-02'') OR (a = 4 AND b = ''c'' AND c = ''2020-01-02'') OR (a = 1 AND b = ''bxx'' AND c = ''2020-01-02'')');
SELECT same('SELECT * FROM @ WHERE (a IN (1, 3, 5) AND b = ''c'') OR (a, b) > (5, ''bxx'') OR a = NULL ORDER BY a, b, c');
SELECT same('SELECT * FROM @ WHERE (a = 1 OR a = 3) AND (b = ''c'' OR b = ''dx'') ORDER BY a, b, c');
SELECT same('SELECT * FROM @ WHERE a = 1 OR v = ''v311'' ORDER BY a, b, c');
SELECT same('SELECT x.v, y.v FROM @ AS x JOIN @ AS y ON y.a = x.a + 1 OR (y.a = x.a - 1 AND y.b = x.b) WHERE x.a = 2 AND x.b = ''c'' ORDER BY 1, 2');
SELECT same('SELECT min(a), max(a), count(*), count(DISTINCT b) FROM @');
SELECT same('SELECT a, min(b), max(c) FROM @ GROUP BY a ORDER BY a');
SELECT same('SELECT DISTINCT ON (a) * FROM @ ORDER BY a, b, c DESC');
SELECT same('SELECT * FROM @ ORDER BY a, b, c DESC LIMIT 7 OFFSET 20');
SELECT same('SELECT * FROM @ ORDER BY a DESC, b DESC, c LIMIT 7 OFFSET 20');

-- Which columns are taken makes no difference to the others.
SELECT same('SELECT v FROM @ ORDER BY a, b, c');
SELECT same('SELECT b FROM @ ORDER BY a, b, c');
SELECT same('SELECT 1 FROM @ WHERE v LIKE ''%40''');
SELECT same('SELECT @ FROM @ WHERE a = 1 ORDER BY a, b, c');
SELECT same('SELECT a, v FROM (SELECT * FROM @ OFFSET 0) AS s WHERE b = ''a'' ORDER BY a, c');
SELECT same('SELECT count(*) FROM @');
SELECT same('SELECT x.v, y.v FROM @ AS x JOIN @ AS y USING (a, b, c) ORDER BY a, b, c');
DROP FOREIGN TABLE kv;
DROP TABLE heap;

--
-- System columns.
--
CREATE FOREIGN TABLE keyed (k int NOT NULL, v text) SERVER nvmkv OPTIONS (primary_key 'k');
INSERT INTO keyed VALUES (1, 'one');
SELECT tableoid::regclass, k FROM keyed;
SELECT count(ctid) FROM keyed;
SELECT * FROM keyed WHERE ctid = '(0,0)';
SELECT explained('SELECT v FROM keyed WHERE ''(0,1)'' = ctid');
EXPLAIN (COSTS OFF) SELECT v FROM keyed WHERE k = 1 AND ctid = ANY ('{"(0,1)"}');
EXPLAIN (COSTS OFF) DELETE FROM keyed WHERE CURRENT OF c;
SELECT xmin FROM keyed;

-- Rows without a key are told apart by their ctid.
CREATE FOREIGN TABLE unkeyed (v text) SERVER nvmkv;
INSERT INTO unkeyed VALUES ('one'), ('two'), ('two');
SELECT count(*), count(DISTINCT ctid) FROM unkeyed;
SELECT v FROM unkeyed ORDER BY ctid;
SELECT count(*) FROM unkeyed AS a JOIN unkeyed AS b ON a.ctid = b.ctid;
INSERT INTO unkeyed SELECT i::text FROM generate_series(1, 1000) AS i;
ANALYZE unkeyed;
CREATE FUNCTION ctid_of(text) RETURNS tid LANGUAGE sql STABLE AS 'SELECT ctid FROM unkeyed WHERE v = $1';
EXPLAIN (COSTS OFF) SELECT v FROM unkeyed WHERE ctid = ctid_of('5');
SELECT v FROM unkeyed WHERE ctid = ctid_of('5');
SELECT v FROM unkeyed WHERE ctid = ANY (ARRAY[ctid_of('7'), '(0,0)', ctid_of('5'), NULL]) ORDER BY ctid DESC;
EXPLAIN (COSTS OFF) SELECT v FROM unkeyed WHERE ctid > ctid_of('995') ORDER BY ctid DESC;
SELECT v FROM unkeyed WHERE ctid > ctid_of('995') ORDER BY ctid DESC;
SELECT count(*) FROM unkeyed WHERE ctid < ctid_of('11') AND ctid >= ctid_of('1');
-- the offset of a ctid starts with 1
SELECT count(*) FILTER (WHERE ctid = before) AS equal, count(*) FILTER (WHERE ctid > before) AS greater
FROM unkeyed, LATERAL (SELECT format('(%s,0)', split_part(trim(ctid::text, '()'), ',', 1)::int8 + 1)::tid AS before) AS b;
SELECT count(*) FROM unkeyed WHERE ctid >= '(0,0)';
SELECT count(*) FROM unkeyed WHERE ctid < '(0,0)' OR ctid = '(0,0)';
SELECT sum((SELECT count(*) FROM unkeyed AS u WHERE u.ctid = b.before)) AS equal,
	sum((SELECT count(*) FROM unkeyed AS u WHERE u.ctid < b.before) + (SELECT count(*) FROM unkeyed AS u WHERE u.ctid >= b.before))::int8 / 1003 AS all
FROM (SELECT format('(%s,0)', split_part(trim(ctid::text, '()'), ',', 1))::tid AS before FROM unkeyed) AS b;
-- the first of equal rows stays
DELETE FROM unkeyed AS a USING unkeyed AS b WHERE a.ctid > b.ctid AND a.v = b.v;
SELECT v, count(*) FROM unkeyed WHERE v IN ('one', 'two') GROUP BY 1 ORDER BY 1;
DROP FOREIGN TABLE keyed, unkeyed;

RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA scan_test CASCADE;
