--
-- Indexes and keys of partitioned tables, beside those whose partitions are heap tables.
--
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
\getenv abs_srcdir PG_ABS_SRCDIR
\set twins :abs_srcdir '/sql/include/twins.sql'
\set ECHO none
\i :twins
\set ECHO all

-- Indexes with the ones that they are partitions of.
CREATE FUNCTION tree(schema_name text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('%s %s %s %s %s', t.relname, i.relname, x.indisvalid, x.indislive, p.relname)
	FROM pg_index AS x JOIN pg_class AS i ON i.oid = indexrelid JOIN pg_class AS t ON t.oid = indrelid
		LEFT JOIN pg_inherits AS h ON h.inhrelid = i.oid LEFT JOIN pg_class AS p ON p.oid = h.inhparent
	WHERE t.relnamespace = schema_name::regnamespace
$$;
CREATE FUNCTION trees() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT unlike()
	UNION ALL (SELECT 'heap: ' || h FROM tree('heap_twin') AS h EXCEPT ALL SELECT 'heap: ' || n FROM tree('nvmkv_twin') AS n)
	UNION ALL (SELECT 'here: ' || n FROM tree('nvmkv_twin') AS n EXCEPT ALL SELECT 'here: ' || h FROM tree('heap_twin') AS h)
$$;

-- the key first, then partitions of all kinds
SELECT twins($$CREATE TABLE p (id bigint, v text, n int, PRIMARY KEY (id)) PARTITION BY RANGE (id)$$);
SELECT twins($$CREATE INDEX ON p (v)$$);
SELECT twins($$CREATE FOREIGN TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100) SERVER nvmkv$$);
SELECT twins($$CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (200)$$);
SELECT twins($$CREATE FOREIGN TABLE p3 (n int, id bigint NOT NULL, v text) SERVER nvmkv$$);
SELECT twins($$INSERT INTO p3 (id) VALUES (1)$$);
SELECT twins($$ALTER TABLE p ATTACH PARTITION p3 FOR VALUES FROM (200) TO (300)$$);
SELECT twins($$TRUNCATE p3$$);
SELECT twins($$ALTER TABLE p ATTACH PARTITION p3 FOR VALUES FROM (200) TO (300)$$);
SELECT twins($$CREATE FOREIGN TABLE p4 (id bigint, v text, n int, PRIMARY KEY (id)) SERVER nvmkv$$);
SELECT twins($$INSERT INTO p4 VALUES (301, 'x')$$);
SELECT twins($$ALTER TABLE p ATTACH PARTITION p4 FOR VALUES FROM (300) TO (400)$$);
SELECT trees();
SELECT tree('nvmkv_twin') ORDER BY 1;
SELECT ftoptions FROM pg_foreign_table WHERE ftrelid::regclass::text ~ 'p[134]$' ORDER BY ftrelid::regclass::text;

-- rows
SELECT twins($$INSERT INTO p VALUES (1, 'a'), (101, 'b'), (201, 'c')$$);
SELECT twins($$INSERT INTO p VALUES (1, 'a')$$);
SELECT twins($$INSERT INTO p VALUES (301, 'a')$$);
SELECT twins($$INSERT INTO p VALUES (1, 'd'), (101, 'e'), (301, 'f'), (302, 'g') ON CONFLICT (id) DO UPDATE SET v = p.v || excluded.v$$);
SELECT twins($$INSERT INTO p VALUES (1, 'h'), (101, 'i'), (303, 'j') ON CONFLICT ON CONSTRAINT p_pkey DO NOTHING$$);
SELECT twins($$UPDATE p SET id = id + 100 WHERE id = 1$$);
SELECT twins($$UPDATE p SET id = id + 99 WHERE id = 1$$);
SELECT tableoid::regclass, * FROM nvmkv_twin.p ORDER BY id;
TABLE heap_twin.p EXCEPT ALL TABLE nvmkv_twin.p;
SELECT twins($$CREATE VIEW w AS SELECT id, v, count(*) FROM p GROUP BY id$$);
SELECT twins($$DROP VIEW w$$);

-- indexes later, unique and not, of a constraint
SELECT twins($$CREATE UNIQUE INDEX ON p (id, v)$$);
SELECT twins($$CREATE INDEX pi ON p (n DESC, (lower(v))) INCLUDE (id) WHERE n > 0$$);
SELECT twins($$CREATE INDEX IF NOT EXISTS pi ON p (n)$$);
SELECT twins($$CREATE UNIQUE INDEX ON p (v)$$);
SELECT twins($$ALTER TABLE p ADD UNIQUE (n, id)$$);
SELECT twins($$ALTER TABLE p ADD PRIMARY KEY (id)$$);
SELECT twins($$CREATE INDEX ON ONLY p (n)$$);
SELECT trees();
SELECT twins($$CREATE INDEX pn1 ON p1 (n)$$);
SELECT twins($$ALTER INDEX p_n_idx ATTACH PARTITION pn1$$);
SELECT twins($$DROP INDEX pn1$$);
SELECT twins($$INSERT INTO p VALUES (202, 'x', 1), (203, 'x', 1)$$);
SELECT twins($$INSERT INTO p VALUES (203, 'y', 1) ON CONFLICT (n, id) DO UPDATE SET v = 'upserted'$$);
SELECT trees();

-- detach, drop
SELECT twins($$ALTER TABLE p DETACH PARTITION p4$$);
SELECT twins($$ALTER TABLE p DROP CONSTRAINT p_n_id_key$$);
SELECT twins($$DROP INDEX pi, p_n_idx$$);
SELECT trees();
SELECT twins($$ALTER TABLE p ATTACH PARTITION p4 FOR VALUES FROM (300) TO (400)$$);
SELECT trees();
-- the key of all
SELECT twins($$ALTER TABLE p DROP CONSTRAINT p_pkey$$);
SELECT ftoptions FROM pg_foreign_table WHERE ftrelid::regclass::text ~ 'p[134]$';
SELECT trees();
SELECT twins($$ALTER TABLE p ADD CONSTRAINT again PRIMARY KEY (id)$$);
SELECT ftoptions FROM pg_foreign_table WHERE ftrelid::regclass::text ~ 'p[134]$';
SELECT twins($$DROP TABLE p2$$);
SELECT trees();

-- two levels
SELECT twins($$CREATE TABLE q (a int, b int, c text) PARTITION BY LIST (a)$$);
SELECT twins($$CREATE TABLE q1 PARTITION OF q FOR VALUES IN (1) PARTITION BY LIST (b)$$);
SELECT twins($$CREATE FOREIGN TABLE q11 PARTITION OF q1 FOR VALUES IN (1) SERVER nvmkv$$);
SELECT twins($$CREATE TABLE q12 PARTITION OF q1 FOR VALUES IN (2)$$);
SELECT twins($$CREATE FOREIGN TABLE q2 PARTITION OF q FOR VALUES IN (2) SERVER nvmkv$$);
SELECT twins($$INSERT INTO q VALUES (1, 1, 'x'), (1, 2, 'y'), (2, 1, 'z')$$);
SELECT twins($$CREATE UNIQUE INDEX ON q (a, b)$$);
SELECT twins($$CREATE INDEX ON q (c)$$);
SELECT twins($$ALTER TABLE q ADD UNIQUE (a, b, c)$$);
SELECT trees();
SELECT twins($$INSERT INTO q VALUES (1, 1, 'u'), (2, 1, 'u'), (2, 2, 'u') ON CONFLICT (b, a) DO UPDATE SET c = q.c || 'u'$$);
SELECT * FROM nvmkv_twin.q ORDER BY a, b;

SELECT count(*) FROM nvmkv.check() AS c;
SET client_min_messages = error;
DROP SCHEMA nvmkv_twin, heap_twin CASCADE;
SELECT count(*) FROM nvmkv.storage WHERE relid NOT IN (SELECT oid FROM pg_class);
