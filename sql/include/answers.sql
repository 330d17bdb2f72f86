-- What a query on a heap table and on a foreign table answers, and how the foreign table was read.  Tables are h.. and n...
-- The same statement for both; @ is h and n.
CREATE PROCEDURE twice(statement text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE replace(statement, '@', 'h');
	EXECUTE replace(statement, '@', 'n');
END $$;

-- What a query answers, one line for each row, in its order.
CREATE FUNCTION answer(query text) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
	r record;
	lines text[] := '{}';
BEGIN
	FOR r IN EXECUTE query LOOP
		lines := lines || r::text;
	END LOOP;
	RETURN lines;
END $$;

-- How the foreign table was read: by which key or index, between which bounds.
CREATE FUNCTION way(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	found text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		IF line ~ '^ *(Key|Index|Index Only|Scan Direction|Key Conditions|Skipped Columns|TID Cond): ' THEN
			found := found || CASE WHEN found = '' THEN '' ELSE '; ' END || trim(line);
		END IF;
	END LOOP;
	RETURN regexp_replace(found, '\$\d+|\(InitPlan \d+\)\.col\d+', '$n', 'g');
END $$;

-- Both answers are the same: how many rows.  Without ORDER BY in any order.
CREATE FUNCTION alike(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	ours text[] := answer(replace(query, '@', 'n'));
	heaps text[] := answer(replace(query, '@', 'h'));
BEGIN
	IF query !~* 'order by' THEN
		ours := ARRAY(SELECT unnest(ours) ORDER BY 1);
		heaps := ARRAY(SELECT unnest(heaps) ORDER BY 1);
	END IF;
	IF ours = heaps THEN
		RETURN format('%s rows', cardinality(ours));
	END IF;
	RETURN format('here: %s heap: %s', ours, heaps);
END $$;
