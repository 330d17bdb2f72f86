# What another session does in the middle of a statement or of a commit.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use Nvmkv;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main');

sub start_session
{
	my ($sql) = @_;

	return IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $sql ], '>', \my $out, '2>', \my $err);
}

sub wait_for_event
{
	my ($event) = @_;

	$node->poll_query_until('postgres', "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = '$event'")
	  or die "nobody waits for $event";
	return;
}

$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE t (k int NOT NULL, v int) SERVER nvmkv OPTIONS (primary_key 'k');
	INSERT INTO t VALUES (1, 1), (2, 1);
	CREATE FUNCTION is_large(v int) RETURNS bool LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM pg_advisory_xact_lock(7);
		RETURN v > 1;
	END $$;
});

# The row that WHERE turns down has changed before it is locked: WHERE is asked again.
my $gate = $node->background_psql('postgres', on_error_stop => 1);
$gate->query_safe('SELECT pg_advisory_lock(7)');
my $upsert = start_session('INSERT INTO t VALUES (1, 0) ON CONFLICT (k) DO UPDATE SET v = t.v + 100 WHERE is_large(t.v)');
wait_for_event('advisory');
$node->safe_psql('postgres', 'UPDATE t SET v = 5 WHERE k = 1');
$gate->query_safe('SELECT pg_advisory_unlock(7)');
$upsert->finish;
is($node->safe_psql('postgres', 'SELECT v FROM t WHERE k = 1'), '105', 'an upsert decides by the newest version of the row');

# The row has gone to another key before it is updated: the upsert is for the key, and has nothing to do with the row.
my $late = $node->background_psql('postgres', on_error_stop => 1);
$node->safe_psql('postgres', 'UPDATE t SET v = 5 WHERE k = 1');
$gate->query_safe('SELECT pg_advisory_lock(7)');
$late->query_safe('BEGIN');
$late->query_until(qr/^sent$/m, "\\echo sent\nINSERT INTO t VALUES (1, 7) ON CONFLICT (k) DO UPDATE SET v = t.v + 100 WHERE is_large(t.v);\n");
wait_for_event('advisory');
$node->safe_psql('postgres', 'UPDATE t SET k = 9 WHERE k = 1');
$gate->query_safe('SELECT pg_advisory_unlock(7)');
is($late->query_safe('SELECT k, v FROM t ORDER BY k'), "1|7\n2|1\n9|5", 'an upsert inserts where its row has left the key');
is($node->safe_psql('postgres', 'SELECT v FROM t WHERE k = 9 FOR UPDATE NOWAIT'), '5', 'and does not lock the row that has left');
$late->query_safe('COMMIT');
$late->quit;
$gate->quit;

# A transaction that has committed for the log, and still runs for everybody else, holds its rows: also where flush has
# found out that it committed.
$node->safe_psql('postgres', q{ALTER SYSTEM SET synchronous_standby_names = 'nobody'; SELECT pg_reload_conf()});
$node->poll_query_until('postgres', q{SELECT current_setting('synchronous_standby_names') = 'nobody'}) or die 'no reload';
my $commit = start_session('UPDATE t SET v = 2 WHERE k = 2');
wait_for_event('SyncRep');
$node->safe_psql('postgres', 'SELECT nvmkv.flush()');
is($node->safe_psql('postgres', 'SET synchronous_commit = local; SELECT v FROM t WHERE k = 2'), '1', 'its row is not seen');
my (undef, undef, $err) = $node->psql('postgres', 'SET synchronous_commit = local; SELECT v FROM t WHERE k = 2 FOR UPDATE NOWAIT');
like($err, qr/could not obtain lock on row/, 'its row is locked');
$node->safe_psql('postgres', q{ALTER SYSTEM RESET synchronous_standby_names; SELECT pg_reload_conf()});
$commit->finish;
is($node->safe_psql('postgres', 'SELECT v FROM t WHERE k = 2 FOR UPDATE'), '2', 'it has ended');

$node->stop;
done_testing();
