-- Lines that say what differs between the schemas "ours" and "heap", and what is not sound; none when all is well.
SET client_min_messages = warning;
SELECT format('SELECT %L, count(*) AS differences FROM ((TABLE ours.%2$I EXCEPT ALL TABLE heap.%2$I) UNION ALL (TABLE heap.%2$I EXCEPT ALL TABLE ours.%2$I)) AS d HAVING count(*) > 0',
			  'rows of ' || c.relname, c.relname)
FROM pg_class AS c WHERE c.relnamespace = 'ours'::regnamespace AND c.relkind IN ('f', 'p') ORDER BY c.relname \gexec
-- Each row by its key, and in the key's order.
SELECT format('SELECT %L, h.k FROM heap.%2$I AS h WHERE NOT EXISTS (SELECT FROM ours.%2$I AS o WHERE o.k = h.k AND o.v = h.v)', 'by key of ' || c.relname, c.relname)
FROM pg_class AS c WHERE c.relnamespace = 'ours'::regnamespace AND c.relkind = 'f' AND c.relname ~ '^(up|down)_' ORDER BY c.relname \gexec
SELECT format('SELECT %L WHERE (SELECT array_agg(k ORDER BY k) FROM heap.%2$I) IS DISTINCT FROM (SELECT array_agg(k) FROM (SELECT k FROM ours.%2$I ORDER BY k) AS s)', 'order of ' || c.relname, c.relname)
FROM pg_class AS c WHERE c.relnamespace = 'ours'::regnamespace AND c.relkind = 'f' AND c.relname ~ '^(up|down)_' ORDER BY c.relname \gexec
SELECT format('SELECT %L, count(*) FROM ours.%2$I AS o WHERE o.k > (SELECT k FROM heap.%2$I ORDER BY k LIMIT 1) HAVING count(*) <> (SELECT count(*) - 1 FROM heap.%2$I)', 'range of ' || c.relname, c.relname)
FROM pg_class AS c WHERE c.relnamespace = 'ours'::regnamespace AND c.relkind = 'f' AND c.relname ~ '^(up|down)_' ORDER BY c.relname \gexec
-- Version 1.0 has one function for everything and for a table.
SELECT CASE WHEN to_regprocedure('nvmkv.check()') IS NULL THEN 'SELECT * FROM nvmkv.check(NULL)' ELSE 'SELECT * FROM nvmkv.check()' END \gexec
SELECT format('SELECT * FROM nvmkv.check(%L)', c.oid::regclass) FROM pg_class AS c
WHERE c.relnamespace = 'ours'::regnamespace AND c.relkind = 'f' \gexec
