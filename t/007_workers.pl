# Background workers that are told to end come back; sessions notice nothing but a wait, and nothing is lost.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use Test::More;

my $node = new_server('main');
my $expected = 0;

# Statements that return when the process has gone; none is left of a worker that is about to be started again.
sub terminate
{
	my ($worker) = @_;
	return qq{SELECT pg_terminate_backend(pid, 60000) FROM nvmkv.stat_workers WHERE role = '$worker' AND pid IS NOT NULL;};
}

$node->safe_psql('postgres', q{CREATE FOREIGN TABLE t (k int NOT NULL, v text) SERVER nvmkv OPTIONS (primary_key 'k')});

for my $worker (qw(barrier flush compact analyze))
{
	my $first = $expected + 1;
	my $middle = $expected + 2;
	my $last = $expected + 3000;
	my $statements = terminate($worker);

	is($node->safe_psql('postgres', qq{
		BEGIN;
		INSERT INTO t VALUES ($first, 'before');
		$statements
		INSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series($middle, $last) g;
		COMMIT}), 't', "$worker: a transaction goes on without it");
	$expected = $last;
	like($node->safe_psql('postgres', "$statements SELECT count(*) FROM t"), qr/^(t\n)?$expected$/, "$worker: a new session reads");
	$node->safe_psql('postgres', 'CHECKPOINT');
	$node->stop('immediate');
	$node->start;
	is($node->safe_psql('postgres', 'SELECT count(*) FROM t'), $expected, "$worker: nothing is lost");
}
sound($node, 'the engine is sound');

# In the midst of a statement writers wait for the one who lets them in, however often it is another.
my $first = $expected + 1;
my $end = $expected + 40_000;
my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->query_until(qr/begun/, "\\echo begun\nINSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series($first, $end) g;\n\\echo ended\n");
my $writing = q{SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE 'INSERT INTO t SELECT%' AND state = 'active' AND pid <> pg_backend_pid()};
my $times = 0;
while ($times < 20 && $node->safe_psql('postgres', $writing) eq 't')
{
	$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM nvmkv.stat_workers WHERE role = 'barrier' AND pid <> 0});

	$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM nvmkv.stat_workers WHERE role = 'barrier' AND pid <> 0});
	$times++;
}
$session->query_until(qr/ended/, '');
is($session->{stderr}, '', 'a statement goes on without them');
$session->quit;
is($node->safe_psql('postgres', 'SELECT count(*) FROM t'), $end, 'and has written everything');
note("ended $times times");

# The barrier, which checkpoints and writers need, outlives an error: the commit log cannot be read for a while.
my $barrier = q{SELECT pid FROM nvmkv.stat_workers WHERE role = 'barrier'};
my $log = $node->data_dir . '/pg_xact';
my $old = $node->safe_psql('postgres', $barrier);
chmod 0, $log or die $!;
$node->safe_psql('postgres', terminate('barrier'));
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM nvmkv.stat_workers WHERE role = 'barrier' AND pid NOT IN (0, $old)");
my $new = $node->safe_psql('postgres', $barrier);
$node->safe_psql('postgres', 'INSERT INTO t VALUES (0)');
ok($node->poll_query_until('postgres', q{SELECT last_error LIKE 'could not stat file "pg_xact/%' FROM nvmkv.stat_workers WHERE role = 'barrier'}),
	'an error while outcomes are settled is told');
is($node->safe_psql('postgres', $barrier), $new, 'and does not end the process');
chmod 0700, $log or die $!;
ok($node->poll_query_until('postgres', 'SELECT settled = pg_snapshot_xmin(pg_current_snapshot())::text::bigint FROM nvmkv.stat_outcomes'),
	'which goes on when the cause is gone');

# A compaction that an error ends leaves nothing claimed: a part of the commit log, which no buffer holds after the restart,
# cannot be read for a while.  The prepared transaction, of another part, keeps outcomes from being settled before; those
# of the rows are not known when they are flushed.
my $part = q{DO $$ BEGIN
	FOR i IN 1 .. 33000 LOOP BEGIN INSERT INTO h VALUES (i); EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP;
END $$;};
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 2');
$node->restart;
$node->safe_psql('postgres', qq{
	CREATE TABLE h (i int) USING heap;
	BEGIN;
	SELECT pg_current_xact_id();
	PREPARE TRANSACTION 'old';
	$part
	BEGIN;
	INSERT INTO t SELECT g, repeat('y', 1000) FROM generate_series(-3000, -1) g;
	SELECT nvmkv.flush();
	COMMIT;
	$part});
$node->restart;
chmod 0, $log or die $!;
my $told = -s $node->logfile;
$first = $end + 1;
$end += 30_000;
$session = $node->background_psql('postgres', on_error_stop => 0);
$session->query_until(qr/begun/, "\\echo begun\nINSERT INTO t SELECT g, repeat('x', 1000) FROM generate_series($first, $end) g;\n\\echo ended\n");
ok($node->wait_for_log(qr/could not access status of transaction.*exited with exit code 1/s, $told), 'a compaction is ended by an error');
chmod 0700, $log or die $!;
$session->query_until(qr/ended/, '');
is($session->{stderr}, '', 'who waits for it goes on');
$session->quit;
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'old'});
is($node->safe_psql('postgres', 'SELECT count(*) FROM t WHERE k <> 0'), $end + 3000, 'nothing is lost');
ok($node->poll_query_until('postgres', q{SELECT bool_and(state = 'idle') FROM nvmkv.stat_workers WHERE role = 'compact'}), 'and it is done');
sound($node, 'the engine is sound then, too');

# Many checkpoints in a row: each is let go.
$node->safe_psql('postgres', join ';', ('CHECKPOINT') x 50);
pass('checkpoints end');

$node->stop;
done_testing();
