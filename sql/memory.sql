--
-- Memory of a session: what a transaction had at once goes back to the system at its end.
--
CREATE SCHEMA memory_test;
SET search_path = memory_test;

CREATE FOREIGN TABLE t (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 10000) AS i;

-- Without what is shared, in MB.
CREATE FUNCTION own_memory() RETURNS int LANGUAGE sql AS $$
	SELECT (regexp_match(pg_read_file('/proc/self/status'), 'RssAnon:\s+(\d+) kB'))[1]::int / 1024
$$;
CREATE FUNCTION open_cursors(query text, count int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	c refcursor;
	k int;
	sum bigint := 0;
BEGIN
	FOR i IN 1 .. count LOOP
		c := 'cursor_' || i;
		OPEN c FOR EXECUTE query;
		FETCH c INTO k;
		sum := sum + k;
	END LOOP;
	RETURN sum;
END $$;

SELECT own_memory() AS before \gset
BEGIN;
SELECT open_cursors('SELECT k FROM t ORDER BY k DESC', 2000);
SELECT own_memory() > :before + 40 AS while_they_are_open;
COMMIT;
SELECT own_memory() < :before + 25 AS after_commit;
BEGIN;
SELECT open_cursors('SELECT k FROM t WHERE k > 17', 2000);
ROLLBACK;
SELECT 1;
SELECT own_memory() < :before + 25 AS after_rollback;
SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'nvmkv scan';

RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA memory_test CASCADE;
