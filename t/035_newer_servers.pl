# What servers newer than 15 have: foreign tables say what heap tables say, or why not.  On an older one there is less to ask.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main');
my $version = int($node->safe_psql('postgres', 'SHOW server_version_num') / 10000);

# All that psql says of a script.
sub said
{
	my ($sql) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', $sql, on_error_stop => 0);

	$err =~ s/^psql:<stdin>:\d+: //gm;
	return "$out\n$err";
}

# Do both kinds of tables say the same?  TABLE(name: columns: key) makes one; KIND is its access method, OTHER the other's.
sub as_heap
{
	my ($since, $name, $sql) = @_;
	return if $version < $since;
	my %said;

	for my $kind ('heap', 'nvmkv')
	{
		my $script = $sql;
		$script =~ s{TABLE\((\w+): (.*?): ([\w, ]*)\)}{
			$kind eq 'heap' ? "CREATE TABLE $1 ($2" . ($3 ne '' ? ", PRIMARY KEY ($3))" : ')')
			  : "CREATE FOREIGN TABLE $1 ($2) SERVER nvmkv" . ($3 ne '' ? " OPTIONS (primary_key '$3')" : '')
		}ge;
		my $other = $kind eq 'heap' ? 'nvmkv' : 'heap';

		$script =~ s/\bKIND\b/$kind/g;
		$script =~ s/\bOTHER\b/$other/g;
		$said{$kind} = said("CREATE SCHEMA s; SET search_path = s, public; $script;");
		$said{$kind} =~ s/\bforeign table\b/table/g;
		$node->safe_psql('postgres', 'SET client_min_messages = warning; DROP SCHEMA s CASCADE');
	}
	is($said{nvmkv}, $said{heap}, "$since: $name");
	unlike($said{heap}, qr/syntax error/, "$since: $name: the server knows it");
	return;
}

as_heap(15, 'grouping by columns of a table without a key', q{
	TABLE(t: a int, b int: );
	INSERT INTO t SELECT g % 2, g % 3 FROM generate_series(1, 12) g;
	SELECT a, b, count(*) FROM t GROUP BY a, b ORDER BY a, b;
	SELECT count(*) FROM t AS x JOIN t AS y USING (a, b) GROUP BY x.a, x.b, y.a, y.b ORDER BY 1});
as_heap(15, 'grouping by the key and what depends on it', q{
	TABLE(t: a int, b int, v text: a, b);
	INSERT INTO t SELECT g, g % 3, g FROM generate_series(1, 4) g;
	SELECT a, b, v, count(*) FROM t GROUP BY a, b, v ORDER BY a});

as_heap(15, 'event triggers hear of REINDEX where the server tells them', q{
	TABLE(t: a int, b int: a);
	CREATE INDEX i ON t (b);
	CREATE FUNCTION told() RETURNS event_trigger LANGUAGE plpgsql AS $$
	DECLARE
		c record;
	BEGIN
		RAISE WARNING '% %', tg_event, tg_tag;
		IF tg_event = 'ddl_command_end' THEN
			FOR c IN SELECT * FROM pg_event_trigger_ddl_commands() LOOP
				RAISE WARNING '  % % %', c.command_tag, c.object_type, c.object_identity;
			END LOOP;
		END IF;
	END $$;
	CREATE EVENT TRIGGER told_start ON ddl_command_start EXECUTE FUNCTION told();
	CREATE EVENT TRIGGER told_end ON ddl_command_end EXECUTE FUNCTION told();
	REINDEX INDEX i;
	REINDEX TABLE t;
	CREATE FUNCTION within() RETURNS int LANGUAGE plpgsql AS 'BEGIN REINDEX TABLE t; RETURN 1; END';
	CREATE TABLE made AS SELECT within()});

as_heap(16, 'any value, hexadecimal numbers, names of subqueries left out', q{
	TABLE(t: a int, b int: a);
	INSERT INTO t SELECT g, 0x10 FROM generate_series(1, 4) g;
	SELECT any_value(b), count(*) FROM (SELECT * FROM t WHERE a > 0b1)});
as_heap(16, 'full joins', q{
	TABLE(t: a int, b int: a);
	INSERT INTO t SELECT g, g % 7 FROM generate_series(1, 3000) g;
	SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0;
	SET min_parallel_table_scan_size = 0; SET enable_mergejoin = off;
	SELECT count(*), sum(x.a), sum(y.b) FROM t AS x FULL JOIN (SELECT a + 1000 AS a, b FROM t) AS y USING (a)});

as_heap(17, 'what COPY leaves out', q{
	TABLE(t: a int, b int: a);
	COPY t FROM PROGRAM 'printf "1\\\\t1\\\\nx\\\\t2\\\\n3\\\\t3\\\\n"' WITH (ON_ERROR ignore);
	SELECT * FROM t ORDER BY a});
as_heap(17, 'lists and alternatives', q{
	TABLE(t: a int, b int, v int: a, b);
	INSERT INTO t SELECT g % 10, g, g FROM generate_series(1, 1000) g;
	SELECT * FROM t WHERE a = 3 AND b IN (13, 14, 23) ORDER BY b DESC;
	SELECT * FROM t WHERE a = 3 AND (b = 13 OR b = 14 OR b = 23) ORDER BY b;
	SELECT * FROM t WHERE a IN (1, 3) AND b = ANY (ARRAY[11, 13, 12]) ORDER BY a, b LIMIT 2});
as_heap(17, 'a new expression of a generated column', q{
	TABLE(t: a int, b int GENERATED ALWAYS AS (a * 2) STORED, c int CHECK (b < 20): a);
	ALTER TABLE t ALTER COLUMN b SET EXPRESSION AS (a * 3);
	INSERT INTO t VALUES (1);
	CREATE INDEX t_b ON t (b);
	ALTER TABLE t ALTER COLUMN b SET EXPRESSION AS (a * 4);
	ALTER TABLE t ALTER COLUMN b SET EXPRESSION AS (a * 40);
	SELECT * FROM t WHERE b = 4});

as_heap(18, 'rows as they were and as they are', q{
	TABLE(t: a int, b int: a);
	INSERT INTO t SELECT g, g FROM generate_series(1, 3) g RETURNING old.a, new.b;
	UPDATE t SET b = b + 10 WHERE a < 3 RETURNING old.*, new.*, b;
	UPDATE t SET a = a + 10 WHERE a = 2 RETURNING old.a, new.a;
	INSERT INTO t VALUES (1, 5), (4, 4) ON CONFLICT (a) DO UPDATE SET b = t.b + excluded.b RETURNING old.b AS o, new.b AS n;
	DELETE FROM t WHERE a = 3 RETURNING old.b, new.b;
	SELECT * FROM t ORDER BY a});
as_heap(18, 'columns that are generated when they are read', q{
	TABLE(t: a int, b int, c int GENERATED ALWAYS AS (a + b) VIRTUAL: a);
	INSERT INTO t VALUES (1, 2), (3, 4) RETURNING *;
	UPDATE t SET b = 5 WHERE c = 3 RETURNING c;
	SELECT * FROM t WHERE c > 6 ORDER BY c;
	ALTER TABLE t ADD COLUMN d int GENERATED ALWAYS AS (100 / (a - 2)) VIRTUAL;
	SELECT * FROM t ORDER BY a;
	ALTER TABLE t ADD COLUMN e int GENERATED ALWAYS AS (nullif(a, 1)) VIRTUAL NOT NULL;
	ALTER TABLE t ALTER COLUMN c SET NOT NULL;
	ALTER TABLE t ALTER COLUMN c SET EXPRESSION AS (nullif(b, 4));
	ALTER TABLE t ALTER COLUMN c SET EXPRESSION AS (b - a);
	INSERT INTO t VALUES (7, NULL);
	SELECT * FROM t ORDER BY a;
	DELETE FROM t WHERE c = 1});
as_heap(18, 'such columns with triggers, views, conflicts, partitions, other types of what they come from', q{
	SET default_table_access_method = KIND;
	CREATE TABLE t (a int PRIMARY KEY, b int, c int GENERATED ALWAYS AS (a + b) VIRTUAL, d text GENERATED ALWAYS AS ('x' || b) VIRTUAL);
	INSERT INTO t (a, b) SELECT g, g % 5 FROM generate_series(1, 20) g;
	ALTER TABLE t ADD CHECK (c < 10);
	ALTER TABLE t ADD CHECK (c < 100);
	INSERT INTO t VALUES (99, 9);
	INSERT INTO t VALUES (100, 9, 1);
	UPDATE t SET c = 1;
	UPDATE t SET b = 3 WHERE c = 10 RETURNING *;
	SELECT x.a, y.c FROM t x JOIN t y ON x.c = y.c AND x.a <> y.a ORDER BY 1, 2 LIMIT 5;
	SELECT * FROM t WHERE a = 3 FOR UPDATE;
	INSERT INTO t (a, b) VALUES (3, 1) ON CONFLICT (a) DO UPDATE SET b = excluded.c WHERE t.c > 0 RETURNING *;
	CREATE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		RAISE WARNING '% % % %', TG_OP, TG_WHEN, OLD, NEW;
		IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
		RETURN NEW;
	END $$;
	CREATE TRIGGER b BEFORE INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION told();
	CREATE TRIGGER a AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION told();
	CREATE TRIGGER w BEFORE UPDATE ON t FOR EACH ROW WHEN (NEW.c > 5) EXECUTE FUNCTION told();
	CREATE TRIGGER w AFTER UPDATE ON t FOR EACH ROW WHEN (OLD.c IS DISTINCT FROM NEW.c) EXECUTE FUNCTION told();
	INSERT INTO t (a, b) VALUES (60, 1);
	UPDATE t SET b = 2 WHERE a = 60;
	DELETE FROM t WHERE a = 60;
	ALTER TABLE t ALTER COLUMN b TYPE bigint;
	ALTER TABLE t ALTER COLUMN c TYPE bigint;
	ALTER TABLE t ALTER COLUMN c SET EXPRESSION AS (a - b);
	ALTER TABLE t ALTER COLUMN c DROP EXPRESSION;
	SELECT * FROM t ORDER BY a LIMIT 3;
	CREATE VIEW v AS SELECT a, c FROM t WHERE c > 0 WITH CHECK OPTION;
	UPDATE v SET a = 0 WHERE a = 20;
	UPDATE v SET a = 31 WHERE a = 20 RETURNING *;
	SELECT nvmkv.migrate('t', 'OTHER');
	SELECT nvmkv.migrate('t', 'KIND');
	ALTER TABLE t DROP COLUMN b;
	ALTER TABLE t DROP COLUMN b CASCADE;
	CREATE TABLE p (a int, b int, c int GENERATED ALWAYS AS (a * 10) VIRTUAL) PARTITION BY RANGE (a);
	CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
	CREATE TABLE p2 (b int, c int GENERATED ALWAYS AS (a * 20) VIRTUAL, a int);
	ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20);
	INSERT INTO p VALUES (1, 1), (11, 1) RETURNING *, tableoid::regclass;
	UPDATE p SET a = a + 10 WHERE a = 1 RETURNING *;
	UPDATE p SET a = a - 10 WHERE a = 11 AND c = 110 RETURNING *;
	SELECT * FROM p ORDER BY 1, 2, 3});
as_heap(18, 'indexes on such columns', q{
	TABLE(t: a int, b int, c int GENERATED ALWAYS AS (a + b) VIRTUAL: a);
	CREATE INDEX ON t (c);
	CREATE INDEX ON t ((c + 1));
	CREATE INDEX ON t (b) WHERE c > 1;
	CREATE INDEX ON t (b) INCLUDE (c);
	CREATE UNIQUE INDEX ON t (b, c);
	ALTER TABLE t ADD UNIQUE (c);
	ALTER TABLE t ADD FOREIGN KEY (c) REFERENCES t (a)});
as_heap(18, 'a key on such a column', q{TABLE(t: a int, b int GENERATED ALWAYS AS (a * 2) VIRTUAL: b)});
as_heap(18, 'constraints that are not valid yet', q{
	TABLE(t: a int, b int: a);
	INSERT INTO t VALUES (1, NULL);
	ALTER TABLE t ADD CONSTRAINT b_there NOT NULL b NOT VALID;
	INSERT INTO t VALUES (2, NULL);
	ALTER TABLE t VALIDATE CONSTRAINT b_there;
	UPDATE t SET b = 1;
	ALTER TABLE t VALIDATE CONSTRAINT b_there;
	SELECT conname, contype, convalidated FROM pg_constraint WHERE conrelid = 't'::regclass AND contype = 'n' ORDER BY 1;
	ALTER TABLE t ADD CONSTRAINT large CHECK (b > 5) NOT ENFORCED;
	ALTER TABLE t ALTER CONSTRAINT large ENFORCED;
	SELECT * FROM t});
my $not_null = q{SELECT conname, conrelid::regclass, convalidated, connoinherit, conislocal, coninhcount, conkey, obj_description(oid, 'pg_constraint')
	FROM pg_constraint WHERE connamespace = 's'::regnamespace AND contype = 'n' ORDER BY 1, 2};
as_heap(18, 'constraints NOT NULL: names, NO INHERIT, keys', qq{
	SET default_table_access_method = KIND;
	CREATE TABLE t (a int CONSTRAINT a_nn NOT NULL PRIMARY KEY, b int NOT NULL, c int, d int CONSTRAINT dd NOT NULL NO INHERIT, CONSTRAINT cc NOT NULL c);
	ALTER TABLE t RENAME CONSTRAINT cc TO cc2;
	INSERT INTO t VALUES (1, 1, NULL, 1);
	ALTER TABLE t DROP CONSTRAINT cc2;
	INSERT INTO t VALUES (1, 1, NULL, 1);
	ALTER TABLE t ADD CONSTRAINT cc NOT NULL c;
	ALTER TABLE t ADD CONSTRAINT cc NOT NULL c NOT VALID;
	INSERT INTO t VALUES (2, 1, NULL, 1);
	SELECT count(*) FROM t WHERE c IS NULL;
	$not_null;
	ALTER TABLE t VALIDATE CONSTRAINT cc;
	DELETE FROM t WHERE c IS NULL;
	ALTER TABLE t VALIDATE CONSTRAINT cc;
	ALTER TABLE t ALTER b DROP NOT NULL;
	ALTER TABLE t ALTER a DROP NOT NULL;
	ALTER TABLE t DROP CONSTRAINT a_nn;
	ALTER TABLE t DROP CONSTRAINT t_pkey;
	ALTER TABLE t DROP CONSTRAINT a_nn;
	ALTER TABLE t ADD CONSTRAINT n2 NOT NULL b NO INHERIT;
	ALTER TABLE t ALTER CONSTRAINT n2 INHERIT;
	COMMENT ON CONSTRAINT n2 ON t IS 'a comment';
	ALTER TABLE t ADD PRIMARY KEY (a);
	CREATE TABLE l (LIKE t INCLUDING ALL);
	CREATE TABLE ch () INHERITS (t);
	ALTER TABLE t ADD COLUMN e int CONSTRAINT enn NOT NULL DEFAULT 1;
	ALTER TABLE ch DROP CONSTRAINT enn;
	ALTER TABLE t DROP CONSTRAINT enn;
	CREATE TABLE u (a int, b int CONSTRAINT u_b NOT NULL NO INHERIT);
	INSERT INTO u VALUES (NULL, 1), (1, 1);
	ALTER TABLE u ADD CONSTRAINT u_nn NOT NULL a NOT VALID;
	ALTER TABLE u ADD PRIMARY KEY (a);
	DELETE FROM u WHERE a IS NULL;
	ALTER TABLE u ADD PRIMARY KEY (a);
	ALTER TABLE u ADD PRIMARY KEY (b);
	ALTER TABLE u VALIDATE CONSTRAINT u_nn;
	ALTER TABLE u ADD PRIMARY KEY (a);
	$not_null});
as_heap(18, 'constraints NOT NULL: partitions, rewriting, migration', qq{
	SET default_table_access_method = KIND;
	CREATE TABLE p (a int, b int CONSTRAINT pnn NOT NULL) PARTITION BY RANGE (a);
	CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
	CREATE TABLE p2 (a int, b int);
	ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20);
	ALTER TABLE p2 ALTER b SET NOT NULL;
	ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20);
	ALTER TABLE p ADD CONSTRAINT ann NOT NULL a NOT VALID;
	INSERT INTO p1 VALUES (NULL, 1);
	$not_null;
	ALTER TABLE p VALIDATE CONSTRAINT ann;
	ALTER TABLE p DETACH PARTITION p1;
	CREATE TABLE r (a int PRIMARY KEY, b int CONSTRAINT rb NOT NULL, c int CONSTRAINT rc NOT NULL NO INHERIT, d int);
	INSERT INTO r VALUES (1, 2, 3);
	ALTER TABLE r ADD CONSTRAINT rd NOT NULL d NOT VALID;
	ALTER TABLE r ALTER b TYPE bigint;
	ALTER TABLE r ALTER a TYPE text;
	ALTER TABLE r ALTER c TYPE text;
	$not_null;
	SELECT nvmkv.migrate('r', 'OTHER');
	SELECT nvmkv.migrate('r', 'KIND');
	$not_null;
	ALTER TABLE r DROP COLUMN c;
	CREATE TABLE g (a int GENERATED ALWAYS AS IDENTITY, b serial, c int GENERATED ALWAYS AS (1) STORED CONSTRAINT gc NOT NULL);
	CREATE TABLE made AS SELECT * FROM r;
	$not_null});
as_heap(18, 'constraints of a key', q{
	TABLE(t: a int, b int, c int: a, b);
	SELECT conname, contype, convalidated, conkey FROM pg_constraint WHERE conrelid = 't'::regclass AND contype = 'n' ORDER BY 1;
	INSERT INTO t VALUES (1, NULL, 2);
	ALTER TABLE t ALTER COLUMN a DROP NOT NULL});
as_heap(18, 'conditions on all but the first column of a key', q{
	TABLE(t: a int, b int, v text: a, b);
	INSERT INTO t SELECT g % 3, g, g FROM generate_series(1, 3000) g;
	ANALYZE t;
	SELECT * FROM t WHERE b = 77;
	SELECT * FROM t WHERE b BETWEEN 100 AND 103 ORDER BY a, b});

# What the server offers to wrappers is used, or is not needed.
my $lines = join '', map { join("\t", $_, $_ % 7, $_) . "\n" } 1 .. 3000;
$node->safe_psql('postgres', q{
	CREATE EXTENSION pg_walinspect;
	CREATE FOREIGN TABLE copied (a int, b int, c int) SERVER nvmkv OPTIONS (primary_key 'a');
	CREATE INDEX ON copied (b, c);
	CREATE TABLE parted (a int, b int, c int) PARTITION BY RANGE (a);
	CREATE FOREIGN TABLE part_1 PARTITION OF parted FOR VALUES FROM (0) TO (1500) SERVER nvmkv OPTIONS (primary_key 'a');
	CREATE TABLE part_2 PARTITION OF parted FOR VALUES FROM (1500) TO (10000)});
for my $table ('copied', 'parted')
{
	my $begin = $node->safe_psql('postgres', 'SELECT pg_current_wal_lsn()');

	$node->safe_psql('postgres', "COPY $table FROM stdin;\n$lines\\.\n");
	cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM pg_get_wal_records_info('$begin', pg_current_wal_flush_lsn())
		WHERE resource_manager = 'nvmkv_fdw' AND record_type = 'WRITE'"), '<', 100, "COPY writes rows of $table in batches");
	is($node->safe_psql('postgres', "SELECT count(*), sum(b) FROM $table"), '3000|8998', "all rows of $table are there");
}

# What EXPLAIN says of a query that was executed.
sub explained
{
	my ($query, @settings) = @_;

	return $node->safe_psql('postgres', join('', map { "SET $_; " } @settings) .
		"ANALYZE copied; EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) $query");
}

for (['a', 'Key: copied_pkey'], ['c', 'Index(?: Only)?: copied_b_c_idx'])
{
	my ($column, $way) = @$_;
	my $first = $column eq 'c' ? 'b = 3 AND ' : '';

	for my $condition ("$first$column IN (10, 17, 703)", "$first$column = ANY (ARRAY[703, 17, 10, 17])",
		"$first($column = 10 OR $column = 17 OR $column = 703)")
	{
		my $plan = explained("SELECT $column FROM copied WHERE $condition", 'enable_seqscan = off');

		like($plan, qr/$way\n.*Key Ranges: 3\n/s, "$condition: as ranges of keys");
		unlike($plan, qr/Rows Removed/, "$condition: nothing else is read");
	}
}
like(explained('SELECT b, c FROM copied WHERE c = 710'), qr/Index Only: copied_b_c_idx.*Key Conditions: \(c = 710\).*Skipped Columns: b/s,
	'a column is skipped: as a skip scan of 18, on all versions');
if ($version >= 16)
{
	my $plan = explained('SELECT count(*) FROM copied AS x FULL JOIN copied AS y ON x.b = y.a',
		'max_parallel_workers_per_gather = 2', 'parallel_setup_cost = 0', 'parallel_tuple_cost = 0',
		'min_parallel_table_scan_size = 0', 'min_parallel_index_scan_size = 0', 'enable_mergejoin = off');

	like($plan, qr/Parallel Hash Full Join.*Parallel Foreign Scan on copied.*Parallel Foreign Scan on copied/s,
		'16: a full join in parallel');
}

# What heap tables can and foreign ones cannot.
if ($version >= 17)
{
	$node->safe_psql('postgres', q{
		CREATE FOREIGN TABLE t (a int, b int GENERATED ALWAYS AS (a * 2) STORED) SERVER nvmkv OPTIONS (primary_key 'a');
		INSERT INTO t VALUES (1);
	});
	fails($node, 'MERGE INTO t USING (VALUES (1)) AS v(k) ON a = k WHEN MATCHED THEN DELETE',
		qr/0A000: cannot execute MERGE on relation "t"/, '17: MERGE');
	is($node->safe_psql('postgres', 'SELECT * FROM t'), '1|2', '17: nothing has changed');
}

if ($version >= 18)
{
	my $storage = 'id=\d+ entries=\d+ bytes=\d+ sources=\d+';

	$node->safe_psql('postgres', q{
		CREATE FOREIGN TABLE wide (a int, b int, v text) SERVER nvmkv OPTIONS (primary_key 'a');
		CREATE INDEX ON wide (b);
		INSERT INTO wide SELECT g, g, 'v' FROM generate_series(1, 3000) g;
		ANALYZE wide});
	like($node->safe_psql('postgres', 'EXPLAIN (COSTS OFF, NVMKV) SELECT * FROM wide WHERE b = 3'),
		qr/Index: wide_b_idx\n.*\n *Storage: wide $storage\n *Storage: wide_b_idx $storage$/,
		'18: EXPLAIN has an option of ours: what the engine has of a table and its index');
	like($node->safe_psql('postgres', 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, NVMKV ON) SELECT b FROM copied WHERE b = 3'),
		qr/Index Only: copied_b_c_idx\n.*\n *Storage: copied_b_c_idx $storage\n.*Rows Read/s, '18: with ANALYZE, of what is read');
	unlike($node->safe_psql('postgres', 'EXPLAIN (COSTS OFF, NVMKV FALSE) SELECT * FROM copied'), qr/Storage/, '18: if it is wanted');
	like($node->safe_psql('postgres', 'EXPLAIN (NVMKV, FORMAT JSON) SELECT * FROM copied'),
		qr/"Storages": \[\s*\{\s*"Name": "copied",\s*"Id": \d+,\s*"Entries": \d+,\s*"Bytes": \d+,\s*"Sorted Sources": \d+\s*\}\s*\]/,
		'18: in JSON');
	$node->safe_psql('postgres', 'CREATE FOREIGN TABLE hollow (a int) SERVER nvmkv');
	like($node->safe_psql('postgres', 'EXPLAIN (COSTS OFF, NVMKV) SELECT * FROM hollow'), qr/Storage: hollow id=\d+ entries=0/, '18: of an empty table');
	unlike($node->safe_psql('postgres', 'EXPLAIN (COSTS OFF, NVMKV) SELECT * FROM pg_class'), qr/Storage/, '18: other tables have none');
}

$node->stop;
done_testing();
