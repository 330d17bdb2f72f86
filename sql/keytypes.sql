--
-- Types of keys, with random values: through an index rows come in the order that a heap's sort has, both ways,
-- whatever direction the index has and wherever its NULLs are, and comparisons find what a heap finds; as primary keys,
-- too.
--
CREATE SCHEMA keytypes_test;
SET search_path = keytypes_test, public;
SET TimeZone = 'UTC';
SET IntervalStyle = 'postgres';
SET jit = off;
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA public;
RESET client_min_messages;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
ALTER TYPE mood ADD VALUE 'low' BEFORE 'sad';
ALTER TYPE mood ADD VALUE 'fine' BEFORE 'happy';
CREATE DOMAIN short AS varbit(12);
CREATE DOMAIN tags AS text[] COLLATE "C";
CREATE TYPE floatrange AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE TYPE icurange AS RANGE (subtype = text, collation = "en-x-icu");
SELECT setseed(0.12);

CREATE FUNCTION r(n int) RETURNS int LANGUAGE sql VOLATILE AS $$SELECT floor(random() * n)::int$$;
CREATE FUNCTION pick(VARIADIC a text[]) RETURNS text LANGUAGE sql VOLATILE AS $$SELECT a[1 + r(cardinality(a))]$$;
-- Text out of few characters, so that many begin alike and some are equal.
CREATE FUNCTION some_text(longest int, alphabet text) RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT coalesce(string_agg(substr(alphabet, 1 + r(length(alphabet)), 1), ''), '') FROM generate_series(1, r(longest + 1)) $$;
CREATE FUNCTION some_bits(longest int) RETURNS text LANGUAGE sql VOLATILE AS $$SELECT some_text(longest, '01')$$;
CREATE FUNCTION some_address() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	IF r(2) = 0 THEN
		RETURN format('%s.%s.%s.%s/%s', pick('10', '10', '192'), r(2), pick('0', '128', '255'), r(3), pick('0', '1', '7', '8', '9', '15', '24', '31', '32'));
	END IF;
	RETURN format('%s:%s::%s/%s', pick('2001', '2001', 'fe80'), r(2), r(3), pick('0', '3', '16', '32', '63', '64', '127', '128'));
END $$;

-- What a query says on both tables; a row if it is not the same.
CREATE FUNCTION differ(what text, query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	h text;
	n text;
BEGIN
	EXECUTE replace(query, '@', 'heap_t') INTO h;
	EXECUTE replace(query, '@', 'nv_t') INTO n;
	IF h IS DISTINCT FROM n THEN
		RETURN NEXT format('%s: %s: %s %s', what, query, left(h, 200), left(n, 200));
	END IF;
END $$;

-- Do rows of nv_t come in this order, without a sort?  collected: how often one is before the one it should follow.
CREATE FUNCTION order_of(what text, direction text, nulls text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	query text := format('SELECT k FROM nv_t ORDER BY k %s NULLS %s', direction, nulls);
	line text;
	wrong int;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		IF line ~ 'Sort' THEN
			RETURN NEXT format('%s: %s %s is sorted', what, direction, nulls);
		END IF;
	END LOOP;
	EXECUTE format('SELECT count(*) FROM (SELECT k, lag(k) OVER () AS p, row_number() OVER () AS n FROM (%s) AS s) AS x WHERE k %s p OR n > 1 AND %s',
				   query, CASE direction WHEN 'ASC' THEN '<' ELSE '>' END,
				   CASE nulls WHEN 'FIRST' THEN '(k IS NULL AND p IS NOT NULL)' ELSE '(p IS NULL AND k IS NOT NULL)' END) INTO wrong;
	IF wrong > 0 THEN
		RETURN NEXT format('%s: %s %s: %s out of order', what, direction, nulls, wrong);
	END IF;
	RETURN QUERY SELECT differ(what, format('SELECT count(*) || '' '' || count(k) || '' '' || md5(string_agg(t, '','' ORDER BY t COLLATE "C")) FROM (SELECT k, k::text || id AS t FROM @ ORDER BY k %s NULLS %s) AS s', direction, nulls));
END $$;

CREATE TABLE problems (problem text);

-- 300 rows of what the expression makes, with 10 NULLs, under each form of an index; then those that are not equal by key.
CREATE PROCEDURE check_type(type text, expression text, ordered bool = true) LANGUAGE plpgsql AS $$
DECLARE
	base text := regexp_replace(type, ' COLLATE.*', '');
	form text;
	up text;
	first text;
	what text;
	op text;
	probe text;
BEGIN
	EXECUTE format('CREATE TABLE heap_t (id int, k %s)', type);
	EXECUTE format('CREATE FOREIGN TABLE nv_t (id int, k %s) SERVER nvmkv', type);
	EXECUTE format('INSERT INTO heap_t SELECT i, CASE WHEN i %% 30 <> 0 THEN (%s)::%s END FROM generate_series(1, 300) AS i', expression, base);
	INSERT INTO nv_t SELECT * FROM heap_t;
	FOREACH form IN ARRAY ARRAY['ASC NULLS LAST', 'ASC NULLS FIRST', 'DESC NULLS LAST', 'DESC NULLS FIRST'] LOOP
		what := type || ', index ' || form;
		EXECUTE 'CREATE INDEX nv_i ON nv_t (k ' || form || ')';
		COMMIT; -- an index is for snapshots that are younger
		IF ordered THEN
			up := split_part(form, ' ', 1);
			first := split_part(form, ' ', 3);
			INSERT INTO problems SELECT order_of(what, up, first);
			INSERT INTO problems SELECT order_of(what, CASE up WHEN 'ASC' THEN 'DESC' ELSE 'ASC' END, CASE first WHEN 'FIRST' THEN 'LAST' ELSE 'FIRST' END);
			INSERT INTO problems SELECT differ(what, 'SELECT ((SELECT max(k) FROM @) = (SELECT max(k) FROM heap_t))::text || ((SELECT min(k) FROM @) = (SELECT min(k) FROM heap_t))')
				WHERE EXISTS (SELECT FROM pg_aggregate WHERE aggfnoid::regprocedure::text = format('max(%s)', base));
		END IF;
		FOR probe IN SELECT k::text FROM heap_t WHERE k IS NOT NULL ORDER BY id LIMIT 9 LOOP
			FOREACH op IN ARRAY ARRAY['<', '<=', '=', '>=', '>'] LOOP
				INSERT INTO problems SELECT differ(what, format('SELECT count(*) || '' '' || coalesce(sum(id), 0) FROM @ WHERE k %s %L::%s', op, probe, type));
			END LOOP;
		END LOOP;
		INSERT INTO problems SELECT differ(what, 'SELECT count(*) || '' '' || sum(id) FROM @ WHERE k IN (SELECT k FROM heap_t WHERE id < 20)');
		DROP INDEX nv_i;
	END LOOP;
	DROP FOREIGN TABLE nv_t;

	-- Each once, as a primary key.
	what := type || ', key';
	EXECUTE format('CREATE FOREIGN TABLE nv_t (id int, k %s) SERVER nvmkv OPTIONS (primary_key ''k'')', type);
	DELETE FROM heap_t WHERE k IS NULL;
	DELETE FROM heap_t AS a USING heap_t AS b WHERE a.k = b.k AND a.id > b.id;
	INSERT INTO nv_t SELECT * FROM heap_t ORDER BY md5(id::text);
	IF ordered THEN
		INSERT INTO problems SELECT order_of(what, 'ASC', 'LAST');
		INSERT INTO problems SELECT order_of(what, 'DESC', 'FIRST');
	END IF;
	INSERT INTO problems SELECT differ(what, 'SELECT count(*) || md5(string_agg(id || k::text, '','' ORDER BY id)) FROM @');
	INSERT INTO nv_t SELECT -id, k FROM heap_t ON CONFLICT (k) DO NOTHING;
	INSERT INTO problems SELECT what || ': not known as a duplicate: ' || k::text FROM nv_t WHERE id < 0;
	UPDATE nv_t SET id = id + 1000 WHERE k IN (SELECT k FROM heap_t WHERE id % 3 = 0);
	UPDATE heap_t SET id = id + 1000 WHERE id % 3 = 0;
	DELETE FROM nv_t WHERE k IN (SELECT k FROM heap_t WHERE id % 3 = 1 AND id < 1000);
	DELETE FROM heap_t WHERE id % 3 = 1 AND id < 1000;
	INSERT INTO problems SELECT differ(what, 'SELECT count(*) || md5(string_agg(id || k::text, '','' ORDER BY id)) FROM @');
	DROP TABLE heap_t;
	DROP FOREIGN TABLE nv_t;
END $$;

-- The planner takes whichever is cheapest; here an index has to be.
SET enable_seqscan = off;
SET enable_sort = off;

-- Numbers.
CALL check_type('numeric', $$CASE r(12) WHEN 0 THEN 'NaN' WHEN 1 THEN 'Infinity' WHEN 2 THEN '-Infinity' ELSE pick('', '-') || r(3) || pick('', '.', '.0', '.50', '.000100') || repeat('0', r(3)) || pick('', 'e7', 'e-7', 'e30') END$$);
CALL check_type('float8', $$CASE r(12) WHEN 0 THEN 'NaN' WHEN 1 THEN 'Infinity' WHEN 2 THEN '-Infinity' WHEN 3 THEN '-0' ELSE pick('', '-') || r(3) || pick('', '.5', 'e300', 'e-300') END$$);
CALL check_type('float4', $$CASE r(12) WHEN 0 THEN 'NaN' WHEN 1 THEN 'Infinity' WHEN 2 THEN '-Infinity' WHEN 3 THEN '-0' ELSE pick('', '-') || r(3) || pick('', '.5', 'e30', 'e-30') END$$);
CALL check_type('money', $$(random() * 1000 - 500)::numeric$$);

-- Times.
CALL check_type('interval', $$format('%s years %s mons %s days %s hours %s', r(3) - 1, r(5) - 2, (r(5) - 2) * 30, (r(3) - 1) * 24, pick('', '1 s', '-1 us'))$$);
CALL check_type('timetz', $$format('%s:%s%s', r(24), pick('00', '30'), pick('+02', '-03', '+00', '+05:30'))$$);
CALL check_type('timestamptz', $$CASE r(12) WHEN 0 THEN 'infinity' WHEN 1 THEN '-infinity' ELSE (timestamptz '2000-01-01' + (r(100) - 50) * interval '1 hour 7 us')::text END$$);

-- Addresses, bits, bytes.
CALL check_type('inet', 'some_address()');
CALL check_type('cidr', 'network(some_address()::inet)');
CALL check_type('macaddr', $$format('08:00:2b:0%s:%s0:0%s', r(4), r(10), r(3))$$);
CALL check_type('macaddr8', $$format('08:00:2b:0%s:%s0:0%s:ff:fe', r(4), r(10), r(3))$$);
CALL check_type('bit(11)', $$lpad(some_bits(11), 11, '0')$$);
CALL check_type('varbit', 'some_bits(20)');
CALL check_type('short', 'some_bits(12)');
CALL check_type('bytea', $$decode(repeat(pick('00', '01', 'ff', ''), r(3)) || repeat(pick('00', '01', 'ff', ''), r(3)), 'hex')$$);
CALL check_type('uuid', $$md5(r(200)::text)$$);

-- Text.
CALL check_type('text COLLATE "C"', $$some_text(6, 'aAbB zé-')$$);
CALL check_type('text COLLATE "en-x-icu"', $$some_text(6, 'aAbBéÉ zZß-_''1٣日')$$);
CALL check_type('varchar(20) COLLATE "de-x-icu"', $$some_text(5, 'aAäÄ oOöÖßs')$$);
CALL check_type('bpchar COLLATE "sv-x-icu"', $$some_text(5, 'aAäÄåÅoOöÖ ')$$);
CALL check_type('char(7) COLLATE "en-x-icu"', $$some_text(7, 'aA b')$$);
CALL check_type('name COLLATE "en-x-icu"', $$some_text(7, 'aA b')$$);
CREATE COLLATION numbers (provider = icu, locale = 'en-u-ka-shifted-kn');
CALL check_type('text COLLATE numbers', $$some_text(3, 'a -.') || r(100) || some_text(2, ' b')$$);
CALL check_type('citext COLLATE "C"', $$some_text(5, 'aAbB-')$$);
CALL check_type('citext COLLATE "en-x-icu"', $$some_text(5, 'aAbB-')$$);

-- Containers.
CALL check_type('int[]', $$pick('{}', '{NULL}', '{NULL,1}', '[0:1]={1,2}', '{{1,2},{3,4}}', '{{1,2,3,4}}', '{{1},{2},{3},{4}}', '{1,2,3,4}', '[-1:0]={1,2}', format('{%s}', r(4)), format('{%s,%s}', r(3), pick('NULL', '1', '-1')), format('{%s,%s,%s}', r(2), r(2), r(2)))$$);
CALL check_type('text[] COLLATE "en-x-icu"', $$ARRAY(SELECT pick(some_text(3, 'aAbéz'), some_text(2, ', "{'), NULL) FROM generate_series(1, r(4)))$$);
CALL check_type('tags', $$ARRAY(SELECT some_text(3, 'aAbéz') FROM generate_series(1, r(4)))$$);
CALL check_type('numeric[]', $$ARRAY(SELECT pick('NaN', '1', '1.0', '1.00', '-1', '0', '-Infinity')::numeric FROM generate_series(1, r(4)))$$);
CALL check_type('float8[]', $$ARRAY(SELECT pick('NaN', '1', '0', '-0', '-Infinity')::float8 FROM generate_series(1, r(4)))$$);
CALL check_type('mood[]', $$ARRAY(SELECT pick('sad', 'happy')::mood FROM generate_series(1, r(4)))$$, false);
CALL check_type('int4range', $$int4range(r(5), 4 + r(3), pick('[]', '[)', '(]', '()'))$$);
CALL check_type('numrange', $$numrange(pick(NULL, '1', '1.0', '2', '0')::numeric, pick(NULL, '2', '2.00', '3')::numeric, pick('[]', '[)', '(]', '()'))$$);
CALL check_type('tstzrange', $$tstzrange(now() - r(3) * interval '1 day', pick(NULL, 'infinity')::timestamptz)$$);
CALL check_type('floatrange', $$floatrange(pick(NULL, '-0', '0', '-Infinity')::float8, pick(NULL, '1', 'NaN')::float8, pick('[]', '[)', '(]', '()'))$$);
CALL check_type('icurange', $$icurange(pick('a', 'B', 'b', 'é'), pick('z', 'Z', NULL), pick('[]', '[)', '(]', '()'))$$);

-- An order that can change, or that bytes do not have: equality alone.
CALL check_type('mood', $$pick('low', 'sad', 'ok', 'fine', 'happy')$$, false);

SELECT * FROM problems;

-- Sort keys of another version of ICU: an index is made anew, a table can be read.
CREATE FOREIGN TABLE versioned (id int, w text COLLATE "en-x-icu", PRIMARY KEY (id)) SERVER nvmkv;
CREATE INDEX versioned_w ON versioned (w);
CREATE FOREIGN TABLE versioned_twice (id int, w text COLLATE "en-x-icu", PRIMARY KEY (id)) SERVER nvmkv;
CREATE INDEX versioned_twice_w ON versioned_twice (w);
CREATE INDEX versioned_twice_id_w ON versioned_twice (id, w);
CREATE FOREIGN TABLE by_word (w text COLLATE "en-x-icu" PRIMARY KEY, id int) SERVER nvmkv;
INSERT INTO versioned VALUES (1, 'b'), (2, 'a'), (3, 'B');
INSERT INTO by_word SELECT w, id FROM versioned;
INSERT INTO versioned_twice TABLE versioned;
CREATE FUNCTION hint_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE hint text;
BEGIN
	EXECUTE statement;
	RETURN 'no error';
EXCEPTION WHEN index_corrupted THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN hint;
END $$;
SET allow_system_table_mods = on;
BEGIN;
UPDATE pg_class SET relkind = 'r', relhasrules = false WHERE oid = 'nvmkv.storage'::regclass;
UPDATE nvmkv.storage SET key_versions = (SELECT array_agg(CASE WHEN v <> '' THEN '1.2' ELSE '' END) FROM unnest(key_versions) AS v)
	WHERE relid IN ('versioned_w'::regclass, 'versioned_twice_w'::regclass, 'versioned_twice_id_w'::regclass, 'by_word'::regclass);
UPDATE pg_class SET relkind = 'm', relhasrules = true WHERE oid = 'nvmkv.storage'::regclass;
COMMIT;
\c -
SET search_path = keytypes_test, public;
SET client_min_messages = error;
\set VERBOSITY terse
SELECT * FROM versioned ORDER BY w;
REINDEX INDEX versioned_w;
SELECT * FROM versioned ORDER BY w;
-- Several are made anew together.
SELECT hint_of('SELECT * FROM versioned_twice');
REINDEX INDEX versioned_twice_w;
REINDEX TABLE versioned_twice;
SELECT * FROM versioned_twice ORDER BY w;
SELECT * FROM by_word ORDER BY id;
INSERT INTO by_word VALUES ('x', 1);
DELETE FROM by_word WHERE w = 'a';
TRUNCATE by_word;
INSERT INTO by_word VALUES ('x', 1);
SELECT * FROM by_word;

SET client_min_messages = warning;
DROP SCHEMA keytypes_test CASCADE;
