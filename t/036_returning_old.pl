# RETURNING names rows as they were, too, from PostgreSQL 18 on: also those that an upsert has met, that another transaction
# changed while the statement waited, and that go to another partition.  Heap tables are asked the same.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main');
plan skip_all => 'this server has no RETURNING old' if $node->safe_psql('postgres', 'SHOW server_version_num') < 180000;

my @kinds = ('heap', 'nvmkv');
$node->safe_psql('postgres', "CREATE SCHEMA of_$_") for @kinds;

# For each kind of tables: what a statement says in a schema of its own.
sub say_all
{
	my ($sql) = @_;

	return map { (($node->psql('postgres', "SET search_path = of_$_, public; SET default_table_access_method = $_; $sql", on_error_stop => 0))[1]) } @kinds;
}

sub same
{
	my ($name, $sql, $like) = @_;
	my ($heap, $nvmkv) = say_all($sql);

	is($nvmkv, $heap, $name);
	like($nvmkv, $like, "$name: as it was") if defined $like;
	return;
}

same('tables', q{
	CREATE TABLE t (a int PRIMARY KEY, b int, c text);
	INSERT INTO t VALUES (1, 1, 'x'), (2, 2, repeat('long', 3000)), (3, 3, NULL);
	CREATE TABLE u (a int UNIQUE, b int, v int GENERATED ALWAYS AS (b * 2) VIRTUAL, s int GENERATED ALWAYS AS (b * 3) STORED);
	INSERT INTO u VALUES (1, 1);
	CREATE TABLE p (a int, b int, c text DEFAULT 'x', PRIMARY KEY (a)) PARTITION BY RANGE (a);
	CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
	CREATE TABLE p2 (c text DEFAULT 'x', gone int, b int, a int NOT NULL);
	ALTER TABLE p2 DROP COLUMN gone;
	ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20);
	CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (20) TO (30) USING heap;
	INSERT INTO p SELECT g, g FROM generate_series(0, 29, 2) g;
	CREATE FUNCTION more() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.b := NEW.b + 100; RETURN NEW; END';
	CREATE FUNCTION upsert(k int) RETURNS int LANGUAGE sql AS
		'INSERT INTO t VALUES (k, 1) ON CONFLICT (a) DO UPDATE SET b = t.b + 1 RETURNING old.b'});

same('an upsert of rows that are there, and of others', q{
	INSERT INTO t VALUES (1, 5), (7, 7), (2, 6), (8, 8) ON CONFLICT (a) DO UPDATE SET b = t.b + excluded.b
		RETURNING old, new, old.*, new.b - old.b, old IS NULL, old.tableoid = new.tableoid, old.ctid IS NULL, coalesce(old.b, -1)},
	qr/^\(1,1,x\)\|\(1,6,x\)\|1\|1\|x\|5\|f\|t\|f\|1\n\|\(7,7,\)\|\|\|\|\|t\|/);
same('with WHERE, and with nothing to do', q{
	INSERT INTO t VALUES (1, 9), (3, 9) ON CONFLICT (a) DO UPDATE SET b = 9 WHERE t.a > 1 RETURNING old, new;
	INSERT INTO t VALUES (1, 9), (9, 9) ON CONFLICT DO NOTHING RETURNING old, new});
same('of a table with no primary key', q{
	INSERT INTO u VALUES (1, 4), (2, 4) ON CONFLICT (a) DO UPDATE SET b = excluded.b RETURNING old, new, old.v, new.v, old.s});
same('through the partitioned table', q{
	INSERT INTO p VALUES (4, -4), (5, -5), (14, -14), (15, -15), (24, -24) ON CONFLICT (a) DO UPDATE SET b = excluded.b
		RETURNING old, new, old.a, old.tableoid::regclass});
same('within another one, prepared, in a cursor of WITH', q{
	INSERT INTO t VALUES (1, 0), (2, 0) ON CONFLICT (a) DO UPDATE SET b = upsert(3) RETURNING old.b, new.b, upsert(1), upsert(3);
	PREPARE again AS INSERT INTO t VALUES ($1, 0) ON CONFLICT (a) DO UPDATE SET b = t.b + 1 RETURNING old.b, new.b;
	EXECUTE again(1); EXECUTE again(1); EXECUTE again(77); EXECUTE again(77);
	WITH changed AS (INSERT INTO t VALUES (1, 0), (66, 0) ON CONFLICT (a) DO UPDATE SET b = 0 RETURNING old.b AS o, new.b AS n)
		SELECT count(*), sum(o), sum(n) FROM changed});
same('an error in between', q{
	INSERT INTO t VALUES (1, 2), (2, 2) ON CONFLICT (a) DO UPDATE SET b = 3 RETURNING 1 / (old.a - 1);
	INSERT INTO t VALUES (1, 2), (2, 2) ON CONFLICT (a) DO UPDATE SET b = 3 RETURNING old.b, new.b});
same('UPDATE and DELETE', q{
	UPDATE t SET b = b + 1, a = a + 200 WHERE a IN (1, 3) RETURNING old, new, old.ctid = new.ctid, a, old.tableoid = tableoid;
	UPDATE u SET b = 0 RETURNING old, new, old.v, new.v, old.s, new.s;
	DELETE FROM u WHERE a = 1 RETURNING old, new, old.v, new.v, v;
	UPDATE t AS x SET b = y.b FROM t AS y WHERE x.a = y.a - 1 RETURNING old.b, new.b, y.b, x.b});
same('rows that go to other partitions', q{
	UPDATE p SET a = a + 9, b = -b WHERE a IN (2, 4) RETURNING old, new, old.a, new.a, a, old.tableoid::regclass, new.tableoid::regclass;
	UPDATE p SET a = a - 13 WHERE a = 16 RETURNING old, new, old.a, new.a, a, old.tableoid::regclass, tableoid::regclass;
	UPDATE p SET a = a + 11 WHERE a IN (10, 18) RETURNING old, new, old.a, new.a, old.tableoid::regclass, new.tableoid::regclass;
	UPDATE p SET a = a - 20 WHERE a IN (21, 29) RETURNING old, new, old.a, new.a, old.tableoid::regclass, new.tableoid::regclass;
	SELECT * FROM p ORDER BY a},
	qr/^\(2,2,x\)\|\(11,-2,x\)\|2\|11\|11\|p1\|p2$/m);
same('with triggers', q{
	CREATE TRIGGER more BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION more();
	UPDATE t SET b = 1 WHERE a < 7 RETURNING old.b, new.b, b;
	INSERT INTO t VALUES (2, 5) ON CONFLICT (a) DO UPDATE SET b = excluded.b RETURNING old.b, new.b;
	DROP TRIGGER more ON t});

# Another transaction changes the row while the statement waits for it: what was is what that one has left.
sub wait_meanwhile
{
	my ($kind, $statement) = @_;
	my $other = $node->background_psql('postgres', on_error_stop => 1);
	my ($out, $err);

	$other->query_safe("BEGIN; UPDATE of_$kind.w SET b = b + 10");
	my $run = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', "SET search_path = of_$kind, public",
		'-c', $statement ], '>', \$out, '2>', \$err);
	$node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'})
	  or die "it does not wait: $statement";
	$other->query_safe('COMMIT');
	$other->quit;
	$run->finish;
	return "$out$err";
}

for my $triggers ('', 'CREATE TRIGGER more BEFORE UPDATE ON w FOR EACH ROW EXECUTE FUNCTION more(); ')
{
	my $with = $triggers eq '' ? 'waits' : 'waits, with a trigger';

	for my $statement ('UPDATE w SET b = b + 1 WHERE b > 0 RETURNING old, new, old.b, new.b, b',
		'UPDATE w SET a = 9, b = b + 1 RETURNING old, new',
		'DELETE FROM w RETURNING old, new, old.b, b',
		'INSERT INTO w VALUES (1, 7) ON CONFLICT (a) DO UPDATE SET b = w.b + 100 RETURNING old, new, old.b, new.b')
	{
		say_all("DROP TABLE IF EXISTS w; CREATE TABLE w (a int PRIMARY KEY, b int); $triggers INSERT INTO w VALUES (1, 1)");
		my ($heap, $nvmkv) = map { wait_meanwhile($_, $statement) } @kinds;

		is($nvmkv, $heap, "$with: $statement");
		like($nvmkv, qr/\(1,1?11\)/, "$with: what the other one has left is told");
	}
}

$node->stop;
done_testing();
