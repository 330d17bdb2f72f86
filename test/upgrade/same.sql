-- Lines that say what differs between the schemas "ours" and "heap", and what is not sound; none when all is well.
SET client_min_messages = warning;
SELECT format('SELECT %L, count(*) AS differences FROM ((TABLE ours.%2$I EXCEPT ALL TABLE heap.%2$I) UNION ALL (TABLE heap.%2$I EXCEPT ALL TABLE ours.%2$I)) AS d HAVING count(*) > 0',
			  'rows of ' || c.relname, c.relname)
FROM pg_class AS c WHERE c.relnamespace = 'ours'::regnamespace AND c.relkind IN ('f', 'p', 'r', 'v') ORDER BY c.relname \gexec
SELECT 'index', c.relname, d.definition, count(*)
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_class AS t ON t.oid = i.indrelid,
	 replace(replace(replace(replace(pg_get_indexdef(i.indexrelid), 'ours.', ''), 'heap.', ''), 'ONLY ', ''), 'INCLUDE ', '') AS d (definition)
WHERE c.relnamespace IN ('ours'::regnamespace, 'heap'::regnamespace)
GROUP BY c.relname, d.definition, i.indisunique, i.indisvalid HAVING count(*) <> 2;
SELECT 'constraint', c.conname, d.definition, count(*)
FROM pg_constraint AS c, replace(replace(pg_get_constraintdef(c.oid), 'ours.', ''), 'heap.', '') AS d (definition)
WHERE c.connamespace IN ('ours'::regnamespace, 'heap'::regnamespace) AND c.contype IN ('p', 'u', 'f', 'c')
GROUP BY c.conname, d.definition, (SELECT relname FROM pg_class WHERE oid = conrelid), c.convalidated HAVING count(*) <> 2;
SELECT * FROM nvmkv.check();
SELECT format('SELECT * FROM nvmkv.check(%L)', c.oid::regclass) FROM pg_class AS c
WHERE c.relnamespace = 'ours'::regnamespace AND c.relkind = 'f' \gexec
-- The same through indexes.
SET enable_seqscan = off;
SELECT 'by page' WHERE (SELECT array_agg(id ORDER BY id) FROM ours.rows_ WHERE page = 'Page 3')
	IS DISTINCT FROM (SELECT array_agg(id ORDER BY id) FROM heap.rows_ WHERE page = 'Page 3');
SELECT 'by expression' WHERE (SELECT array_agg(id ORDER BY id) FROM ours.rows_ WHERE lower(page) = 'page 7' AND mood = 'glad')
	IS DISTINCT FROM (SELECT array_agg(id ORDER BY id) FROM heap.rows_ WHERE lower(page) = 'page 7' AND mood = 'glad');
SELECT 'by number' WHERE (SELECT array_agg(id ORDER BY id) FROM ours.rows_ WHERE number < 500)
	IS DISTINCT FROM (SELECT array_agg(id ORDER BY id) FROM heap.rows_ WHERE number < 500);
SELECT 'by german' WHERE (SELECT array_agg(word ORDER BY german, word) FROM ours.letters WHERE german > 'b')
	IS DISTINCT FROM (SELECT array_agg(word ORDER BY german, word) FROM heap.letters WHERE german > 'b');
SELECT 'by word' WHERE (SELECT array_agg(word ORDER BY word) FROM ours.letters WHERE word > 'w15')
	IS DISTINCT FROM (SELECT array_agg(word ORDER BY word) FROM heap.letters WHERE word > 'w15');
