-- Tables over several servers, on the coordinator: scripts/shards.sh runs this, doc/scaling.md tells of it.  Nothing but
-- PostgreSQL's own postgres_fdw and dblink; each foreign server of postgres_fdw is a shard.
--
-- A table is partitioned by hash on the coordinator.  A partition is a foreign table whose rows are in a table of the same
-- name, of nvmkv, on a shard.  dblink's statements on shards commit by themselves: what fails half way is said, and can be
-- done again.
CREATE EXTENSION IF NOT EXISTS postgres_fdw;
CREATE EXTENSION IF NOT EXISTS dblink;
CREATE SCHEMA IF NOT EXISTS shards;
SET check_function_bodies = on;

-- The shards, in the order of their numbers.
CREATE OR REPLACE VIEW shards.servers AS
	SELECT s.oid, s.srvname AS shard
	FROM pg_foreign_server AS s JOIN pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw
	WHERE w.fdwname = 'postgres_fdw' ORDER BY length(s.srvname), s.srvname;

CREATE OR REPLACE VIEW shards.partitions AS
	SELECT i.inhparent::regclass AS of, c.oid::regclass AS partition, s.shard, pg_get_expr(c.relpartbound, c.oid) AS bound
	FROM pg_foreign_table AS f JOIN pg_class AS c ON c.oid = f.ftrelid JOIN pg_inherits AS i ON i.inhrelid = c.oid
		JOIN shards.servers AS s ON s.oid = f.ftserver;

-- Runs a statement on all shards.
CREATE OR REPLACE FUNCTION shards.everywhere(statement text) RETURNS TABLE (shard name, result text) LANGUAGE sql AS $$
	SELECT s.shard, dblink_exec(s.shard, statement) FROM shards.servers AS s;
$$;

-- A partition's foreign table here.
CREATE OR REPLACE FUNCTION shards.attach(parent regclass, partition name, bound text, shard name) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE FOREIGN TABLE %I.%I PARTITION OF %s %s SERVER %I',
				   (SELECT n.nspname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = parent),
				   partition, parent, bound, shard);
END $$;

-- A table of so many partitions, on the shards in turn.  columns: as in CREATE TABLE; primary_key: names of columns, with
-- commas; by: those that say on which shard a row is, of the primary key; partitions: many more than shards, so that there
-- is something to move to those that come later.
CREATE OR REPLACE FUNCTION shards.create_table(name name, columns text, primary_key text, by text, partitions int DEFAULT 16)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	all_shards name[] := ARRAY(SELECT s.shard FROM shards.servers AS s);
	shard name;
BEGIN
	EXECUTE format('CREATE TABLE %I (%s) PARTITION BY HASH (%s)', name, columns, by);
	FOR i IN 0 .. partitions - 1 LOOP
		shard := all_shards[1 + i % cardinality(all_shards)];
		PERFORM dblink_exec(shard, format('CREATE TABLE %I (%s, PRIMARY KEY (%s)) USING nvmkv', name || '_' || i, columns, primary_key));
		PERFORM shards.attach(name::text::regclass, (name || '_' || i)::name, format('FOR VALUES WITH (MODULUS %s, REMAINDER %s)', partitions, i), shard);
	END LOOP;
END $$;

-- An index of all partitions.  definition: what comes behind the table's name in CREATE INDEX.
CREATE OR REPLACE FUNCTION shards.create_index(of regclass, definition text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	part record;
BEGIN
	FOR part IN SELECT p.partition, p.shard FROM shards.partitions AS p WHERE p.of = create_index.of LOOP
		PERFORM dblink_exec(part.shard, format('CREATE INDEX ON %s %s', part.partition, definition));
	END LOOP;
END $$;

-- Makes a restore point of this name in the logs of the coordinator and of all shards, and ends their log files, so that
-- they are archived.  No transaction that came through the coordinator is on one side of it on one shard and on the other
-- side on another: postgres_fdw commits on the shards before the coordinator lets go of its locks, so nobody is in the midst
-- of that while this one has the tables for itself.  Writers wait for the moment that it takes; readers do not.
CREATE OR REPLACE FUNCTION shards.restore_point(name text) RETURNS TABLE (server name, "position" pg_lsn) LANGUAGE plpgsql AS $$
DECLARE
	make text := format('SELECT p, pg_switch_wal() FROM pg_create_restore_point(%L) AS p', name);
	parent regclass;
BEGIN
	FOR parent IN SELECT DISTINCT p.of FROM shards.partitions AS p ORDER BY p.of LOOP
		EXECUTE format('LOCK TABLE %s IN SHARE MODE', parent);
	END LOOP;
	FOR server IN SELECT s.shard FROM shards.servers AS s LOOP
		SELECT d.p INTO "position" FROM dblink(server, make) AS d (p pg_lsn, ended pg_lsn);
		RETURN NEXT;
	END LOOP;
	server := 'coordinator';
	EXECUTE make INTO "position";
	RETURN NEXT;
END $$;

-- Takes changes of a partition that is being moved, from the shard it comes from to the shard it goes to, and returns how
-- many keys that were.  One snapshot of the source (postgres_fdw reads it in one REPEATABLE READ transaction): what is
-- committed while this runs stays in the list for the next time.
CREATE OR REPLACE FUNCTION shards.catch_up(partition name, target name, keys text[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	list text := (SELECT string_agg(quote_ident(k), ', ') FROM unnest(keys) AS k);
	same text := (SELECT string_agg(format('t.%1$I = c.%1$I', k), ' AND ') FROM unnest(keys) AS k);
	moved bigint;
BEGIN
	PERFORM dblink_connect('moving', target);
	BEGIN
		PERFORM dblink_exec('moving', 'BEGIN');
		PERFORM dblink_exec('moving', format('CREATE TEMPORARY TABLE changed ON COMMIT DROP AS SELECT DISTINCT %s FROM moving.%I', list, partition || '_changed'));
		PERFORM dblink_exec('moving', 'ANALYZE changed');
		PERFORM dblink_exec('moving', format('DELETE FROM %I AS t USING changed AS c WHERE %s', partition, same));
		PERFORM dblink_exec('moving', format('INSERT INTO %I SELECT t.* FROM moving.%I AS t JOIN changed AS c ON %s', partition, partition, same));
		PERFORM dblink_exec('moving', format('DELETE FROM moving.%I', partition || '_changed'));
		SELECT n INTO moved FROM dblink('moving', 'SELECT count(*) FROM changed') AS (n bigint);
		PERFORM dblink_exec('moving', 'COMMIT');
	EXCEPTION WHEN OTHERS THEN
		PERFORM dblink_disconnect('moving');
		RAISE;
	END;
	PERFORM dblink_disconnect('moving');
	RETURN moved;
END $$;

-- What a move leaves on the shards, of one that has been given up or is about to begin.
CREATE OR REPLACE FUNCTION shards.clean_up(partition name, source name, target name, drop_target bool) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM dblink_exec(source, format('SET client_min_messages = error; DROP TRIGGER IF EXISTS shards_moving ON %I', partition));
	PERFORM dblink_exec(source, format('SET client_min_messages = error; DROP FUNCTION IF EXISTS %I(); DROP TABLE IF EXISTS %I', partition || '_note', partition || '_changed'));
	PERFORM dblink_exec(target, 'SET client_min_messages = error; DROP SCHEMA IF EXISTS moving CASCADE');
	IF drop_target THEN
		PERFORM dblink_exec(target, format('SET client_min_messages = error; DROP TABLE IF EXISTS %I', partition));
	END IF;
END $$;

-- Moves a partition to another shard while it is read and written: copies it, catches up with what has been changed
-- meanwhile, and then, for the moment that the last changes take, keeps everybody away from the table.  Interrupted, it is to be
-- called again; until the last step the partition is where it was.  Writers are to go by the coordinator.
CREATE OR REPLACE PROCEDURE shards.move(partition regclass, target name) LANGUAGE plpgsql AS $$
DECLARE
	part record;
	table_name name := (SELECT relname FROM pg_class WHERE oid = partition);
	keys text[];
	key_list text;
	definition text;
	indexes text[];
	moved bigint;
BEGIN
	SELECT p.of, p.shard, p.bound INTO STRICT part FROM shards.partitions AS p WHERE p.partition = move.partition;
	IF part.shard = target THEN
		RETURN;
	END IF;
	PERFORM shards.clean_up(table_name, part.shard, target, true);
	SELECT k INTO keys FROM dblink(part.shard, format(
		'SELECT array_agg(attname::text ORDER BY array_position(indkey::int2[], attnum)) FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey) WHERE indisprimary AND indrelid = %L::regclass', table_name)) AS (k text[]);
	key_list := (SELECT string_agg(quote_ident(k), ', ') FROM unnest(keys) AS k);

	-- From now on changes are noted.  CREATE TRIGGER has waited for those who were writing.  postgres_fdw's sessions have no
	-- search_path.
	PERFORM dblink_exec(part.shard, format('CREATE TABLE %I USING heap AS SELECT %s FROM %I WITH NO DATA', table_name || '_changed', key_list, table_name));
	PERFORM dblink_exec(part.shard, format(
		'CREATE FUNCTION %1$I() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN IF TG_OP <> ''INSERT'' THEN INSERT INTO public.%2$I SELECT %3$s; END IF; IF TG_OP <> ''DELETE'' THEN INSERT INTO public.%2$I SELECT %4$s; END IF; RETURN NULL; END $f$',
		table_name || '_note', table_name || '_changed',
		(SELECT string_agg('OLD.' || quote_ident(k), ', ') FROM unnest(keys) AS k), (SELECT string_agg('NEW.' || quote_ident(k), ', ') FROM unnest(keys) AS k)));
	PERFORM dblink_exec(part.shard, format('CREATE TRIGGER shards_moving AFTER INSERT OR UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION %I()', table_name, table_name || '_note'));

	-- The copy, from server to server.
	SELECT d INTO definition FROM dblink(part.shard, format(
		'SELECT string_agg(format(''%%I %%s%%s'', attname, format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN '' NOT NULL'' ELSE '''' END) || coalesce('' COLLATE '' || (SELECT format(''%%I.%%I'', nspname, collname) FROM pg_collation AS c JOIN pg_namespace AS n ON n.oid = collnamespace WHERE c.oid = attcollation AND collname <> ''default''), ''''), '', '' ORDER BY attnum) FROM pg_attribute WHERE attrelid = %L::regclass AND attnum > 0 AND NOT attisdropped', table_name)) AS (d text);
	PERFORM dblink_exec(target, format('CREATE TABLE %I (%s, PRIMARY KEY (%s)) USING nvmkv', table_name, definition, key_list));
	PERFORM dblink_exec(target, format('CREATE SCHEMA moving; IMPORT FOREIGN SCHEMA public LIMIT TO (%I, %I) FROM SERVER %I INTO moving', table_name, table_name || '_changed', part.shard));
	PERFORM dblink_exec(target, format('INSERT INTO %I SELECT * FROM moving.%I', table_name, table_name));
	SELECT array_agg(d) INTO indexes FROM dblink(part.shard, format('SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = %L::regclass AND NOT indisprimary', table_name)) AS (d text);
	FOR i IN 1 .. coalesce(cardinality(indexes), 0) LOOP
		PERFORM dblink_exec(target, replace(replace(indexes[i], ' ON ONLY ', ' ON '), ' USING btree ', ' '));
	END LOOP;

	-- Until little is left.
	FOR i IN 1 .. 20 LOOP
		moved := shards.catch_up(table_name, target, keys);
		EXIT WHEN moved < 1000;
	END LOOP;
	COMMIT;

	-- Nobody else uses the table, and who did has committed on the shard, too.
	EXECUTE format('ALTER TABLE %s DETACH PARTITION %s', part.of, partition);
	PERFORM shards.catch_up(table_name, target, keys);
	EXECUTE format('DROP FOREIGN TABLE %s', partition);
	PERFORM shards.attach(part.of, table_name, part.bound, target);
	COMMIT;
	PERFORM shards.clean_up(table_name, part.shard, target, false);
	PERFORM dblink_exec(part.shard, format('DROP TABLE %I', table_name));
END $$;
