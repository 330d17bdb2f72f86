-- The same statements on a heap table and on a foreign table, each in a schema of its own: heap, nvmkv.
CREATE SCHEMA heap_twin;
CREATE SCHEMA nvmkv_twin;

-- The statement for a heap table.
CREATE OR REPLACE FUNCTION of_heap(statement text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT regexp_replace(regexp_replace(statement, '\mFOREIGN TABLE\M', 'TABLE', 'g'), ' SERVER nvmkv( OPTIONS \([^)]*\))?', '', 'g')
$$;

-- What it says in a schema: its SQLSTATE and message.
CREATE OR REPLACE FUNCTION said_in(schema_name text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	m text;
	d text;
BEGIN
	PERFORM set_config('search_path', schema_name || ', public', true);
	EXECUTE statement;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS m = message_text, d = pg_exception_detail;
	RETURN replace(sqlstate || ' ' || m || CASE WHEN d <> '' THEN ' / ' || d ELSE '' END, 'foreign table', 'table');
END $$;

-- Such an answer, of whatever version of the server, in the words of the oldest.
CREATE OR REPLACE FUNCTION in_old_words(answer text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT regexp_replace(regexp_replace(answer,
		'"([^"]*)" of the referencing table and "([^"]*)" of the referenced table are', '"\1" and "\2" are'),
		'^23001 (.*) violates RESTRICT setting of (.*) is referenced from', '23503 \1 violates \2 is still referenced from')
$$;

-- Runs it in both; one answer where they agree.
CREATE OR REPLACE FUNCTION twins(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	path text := current_setting('search_path');
	heap text := said_in('heap_twin', of_heap(statement));
	ours text := said_in('nvmkv_twin', statement);
BEGIN
	PERFORM set_config('search_path', path, true);
	IF heap = ours THEN
		RETURN NEXT in_old_words(ours);
	ELSE
		RETURN NEXT 'heap: ' || heap;
		RETURN NEXT 'here: ' || ours;
	END IF;
END $$;

-- Indexes and constraints of a schema's tables, as the catalogues have them.
CREATE OR REPLACE FUNCTION indexes_in(schema_name text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT replace(replace(format('%s: %s %s %s %s %s [%s] [%s] [%s] %s%s%s%s%s%s%s%s %s %s %s %s', t.relname, i.relname, am.amname, x.indnatts,
			x.indnkeyatts, x.indkey, x.indoption, (SELECT string_agg(opcname, ' ' ORDER BY n) FROM unnest(x.indclass::oid[]) WITH ORDINALITY AS c(o, n) JOIN pg_opclass ON pg_opclass.oid = o),
			(SELECT string_agg(coalesce(collname, '-'), ' ' ORDER BY n) FROM unnest(x.indcollation::oid[]) WITH ORDINALITY AS c(o, n) LEFT JOIN pg_collation ON pg_collation.oid = o),
			x.indisunique, x.indnullsnotdistinct, x.indisprimary, x.indimmediate, x.indisvalid, x.indisready, x.indislive, i.relispartition,
			i.reloptions, (SELECT string_agg(attname || ':' || format_type(atttypid, atttypmod), ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = i.oid),
			pg_get_indexdef(i.oid), coalesce((SELECT string_agg(format('%s %s %s %s %s', conname, contype, conkey, pg_get_constraintdef(k.oid),
				conislocal), ' ' ORDER BY conname) FROM pg_constraint AS k WHERE conindid = i.oid AND conrelid = t.oid), 'no constraint')),
		schema_name || '.', ''), ' ON ONLY ', ' ON ')
	FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid JOIN pg_class AS t ON t.oid = x.indrelid JOIN pg_am AS am ON am.oid = i.relam
	WHERE t.relnamespace = schema_name::regnamespace AND i.relnamespace = t.relnamespace AND i.relowner = t.relowner AND t.relhasindex
$$;

-- What one has and the other has not; nothing where they agree.
CREATE OR REPLACE FUNCTION unlike() RETURNS SETOF text LANGUAGE sql AS $$
	(SELECT 'heap: ' || h FROM indexes_in('heap_twin') AS h EXCEPT ALL SELECT 'heap: ' || n FROM indexes_in('nvmkv_twin') AS n)
	UNION ALL
	(SELECT 'here: ' || n FROM indexes_in('nvmkv_twin') AS n EXCEPT ALL SELECT 'here: ' || h FROM indexes_in('heap_twin') AS h)
$$;
