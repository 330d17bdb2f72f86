-- What EXPLAIN says of a query, without what every version of the server says in another way.
CREATE FUNCTION explained(query text, options text DEFAULT '') RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE format('EXPLAIN (COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF %s) %s', options, query) LOOP
		-- Subqueries that are executed first, and their results.
		line := regexp_replace(line, '(InitPlan \d+) \(returns \$\d+\)', '\1');
		line := regexp_replace(line, '\$\d+|\(InitPlan \d+\)\.col\d+', '$n', 'g');
		-- Numbers of rows that are an average.
		line := regexp_replace(line, 'rows=(\d+)\.\d+ ', 'rows=\1 ');
		-- Nodes of a kind that is switched off, and the others.
		CONTINUE WHEN line ~ '^ *Disabled: ';
		line := regexp_replace(line, '\n *"?Disabled"?: (true|false),?', '');
		RETURN NEXT line;
	END LOOP;
END $$;
