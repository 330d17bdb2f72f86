# Rows that are deleted for everybody are passed once: later scans leap over them, and over nothing that anybody can see,
# whatever others write meanwhile, after a crash, on a standby, and when that takes over.  Counted in versions passed, as
# EXPLAIN ANALYZE tells them.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $first = 'SELECT id FROM jobs ORDER BY id LIMIT 1';
my $last = 'SELECT id FROM jobs ORDER BY id DESC LIMIT 1';
my $min = 'SELECT min(id) FROM jobs';
my $waiting = 'SELECT id FROM jobs WHERE status = 0 ORDER BY number LIMIT 1';
my $node = new_server('main', autovacuum => 'off', max_prepared_transactions => 5);

# Versions that a statement passes, and what it shows.
sub passed
{
	my ($on, $query) = @_;
	my $plan = $on->safe_psql('postgres', "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) $query");
	my $sum = 0;

	$sum += $1 while $plan =~ /Versions Passed: (\d+)/g;
	return $sum;
}

sub leaps
{
	my ($on, $query, $row, $name) = @_;
	my $passed;

	$on->safe_psql('postgres', $query); # the one that finds out
	$passed = passed($on, $query);
	cmp_ok($passed, '<=', 300, "$name: few are passed");
	is($on->safe_psql('postgres', $query), $row, "$name: the row");
	return;
}

$node->safe_psql('postgres', q{
	CREATE TABLE jobs (id int PRIMARY KEY, status int NOT NULL, number bigserial, job text) USING nvmkv;
	CREATE INDEX ON jobs (status, number);
	INSERT INTO jobs SELECT g, 0, g, repeat('x', 50) FROM generate_series(1, 20000) g;
	ANALYZE jobs;
	DELETE FROM jobs WHERE id <= 15000;
});
cmp_ok(passed($node, $first), '>=', 30000, 'what was deleted is passed');
leaps($node, $first, 15001, 'by the key');
leaps($node, $min, 15001, 'min');
leaps($node, $waiting, 15001, 'by an index');
leaps($node, 'SELECT id FROM jobs WHERE id < 15000 ORDER BY id DESC LIMIT 1', '', 'backwards');
$node->safe_psql('postgres', 'UPDATE jobs SET status = 1 WHERE id <= 18000');
leaps($node, $waiting, 18001, 'what has another status');
$node->safe_psql('postgres', 'DELETE FROM jobs WHERE id > 19000');
leaps($node, $last, 19000, 'the other end');
is(passed($node, 'SELECT count(*) FROM jobs') <= 10000 ? 1 : 0, 1, 'a whole scan leaps, too');
is($node->safe_psql('postgres', 'SELECT count(*) FROM jobs'), 4000, 'and counts what there is');
$node->safe_psql('postgres', 'CHECKPOINT');
leaps($node, $first, 15001, 'from the container');

# A queue while it is worked off.
$node->safe_psql('postgres', q{
	DO $$
	BEGIN
		FOR i IN 1 .. 1000 LOOP
			INSERT INTO jobs VALUES (20000 + i, 0, 20000 + i, 'x');
			DELETE FROM jobs WHERE id = (SELECT id FROM jobs ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED);
			COMMIT;
		END LOOP;
	END $$;
});
leaps($node, $first, 16001, 'a queue');

# Others write into the range: in a subtransaction that is rolled back, one that is released, and prepared.
my $a = $node->background_psql('postgres');
my $b = $node->background_psql('postgres', on_error_stop => 0);

$a->query_safe(q{
	BEGIN;
	SAVEPOINT s; INSERT INTO jobs VALUES (100, 0, 100, 'back'); ROLLBACK TO s;
	SAVEPOINT s; INSERT INTO jobs VALUES (200, 0, 200, 'stays'); RELEASE s;
});
is($a->query_safe($first), 200, 'the writer sees its row');
is($node->safe_psql('postgres', $first), 16001, 'nobody else');
$node->safe_psql('postgres', $first) for 1 .. 3;
$a->query_safe(q{PREPARE TRANSACTION 'p'});
$node->safe_psql('postgres', $first) for 1 .. 3;
is($node->safe_psql('postgres', $first), 16001, 'nor when it is prepared');
$node->safe_psql('postgres', q{COMMIT PREPARED 'p'});
is($node->safe_psql('postgres', $first), 200, 'all when it has committed');
is($node->safe_psql('postgres', $waiting), 200, 'by the index as well');

# A snapshot from before keeps its rows, and nothing is leapt over for its sake.
$a->query_safe(q{BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1});
$node->safe_psql('postgres', 'DELETE FROM jobs WHERE id <= 17000');
is($node->safe_psql('postgres', $first), 17001, 'deleted for the others');
$node->safe_psql('postgres', $first);
cmp_ok(passed($node, $first), '>', 1000, 'which pass what the snapshot holds');
is($a->query_safe($first), 200, 'there for the snapshot');
is($a->query_safe('SELECT count(*) FROM jobs WHERE id <= 17000'), 1001, 'all of them');
$a->query_safe('COMMIT');
leaps($node, $first, 17001, 'afterwards');

# Serializable: what was leapt over was read all the same.
$a->query_safe(qq{BEGIN ISOLATION LEVEL SERIALIZABLE; $first});
$b->query_safe(qq{BEGIN ISOLATION LEVEL SERIALIZABLE; $first});
$a->query_safe(q{INSERT INTO jobs VALUES (300, 0, 300, 'a')});
$b->query_safe(q{INSERT INTO jobs VALUES (400, 0, 400, 'b')});
$a->query_safe('COMMIT');
$b->query('COMMIT');
is($node->safe_psql('postgres', 'SELECT count(*) FROM jobs WHERE id IN (300, 400)'), 1, 'write skew in a range is found');
$a->quit;
$b->quit;
$node->safe_psql('postgres', 'DELETE FROM jobs WHERE id = 300');

# A standby makes ranges of its own, by its own snapshots; what is replayed makes them smaller.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
sub catch_up { $node->wait_for_catchup($standby, 'replay', $node->lsn('insert')); return }
$node->safe_psql('postgres', q{
	INSERT INTO jobs SELECT g, 0, g, 'x' FROM generate_series(1, 10000) g;
	DELETE FROM jobs WHERE id < 10000;
});
catch_up();
cmp_ok(passed($standby, $first), '>', 10000, 'a standby passes what was deleted');
leaps($standby, $first, 10000, 'a standby');
my $reader = $standby->background_psql('postgres');
$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
$node->safe_psql('postgres', q{INSERT INTO jobs VALUES (500, 0, 500, 'x')});
catch_up();
is($standby->safe_psql('postgres', $first), 500, 'what is replayed into a range is seen');
is($reader->query_safe($first), 10000, 'but by a snapshot from before');
$reader->quit;
$node->safe_psql('postgres', 'DELETE FROM jobs WHERE id = 500');
catch_up();
leaps($standby, $first, 10000, 'the standby again');

# Memory only: after a crash it has to be found out again.
leaps($node, $first, 10000, 'before the crash');
$node->kill9;
start_after_kill($node);
is($node->safe_psql('postgres', $first), 10000, 'after a crash');
leaps($node, $first, 10000, 'and then');
sound($node, 'the engine is sound');

$node->stop('immediate');
$standby->promote;
leaps($standby, $first, 10000, 'promoted');
$standby->safe_psql('postgres', q{INSERT INTO jobs VALUES (600, 0, 600, 'x')});
is($standby->safe_psql('postgres', $first), 600, 'and written');
is($standby->safe_psql('postgres', $waiting), 600, 'by the index, too');
$standby->stop;

done_testing();
