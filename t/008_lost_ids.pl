# The id of a transaction that a crash has ended is not given out again while rows carry it: also when its rows were
# written from within a subtransaction that has no id.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use Nvmkv;
use PostgreSQL::Test::Utils;
use Test::More;

# Nobody else logs an id.
my $node = new_server('main', autovacuum => 'off');

$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE t (k int NOT NULL) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE FUNCTION look(k int) RETURNS int LANGUAGE plpgsql STABLE AS $$
	BEGIN
		BEGIN
			PERFORM count(*) FROM t; -- writes the rows before this one
		EXCEPTION WHEN division_by_zero THEN
			RAISE;
		END;
		IF k = 3 THEN
			PERFORM pg_sleep(1000); -- until the crash
		END IF;
		RETURN k;
	END $$;
});
# Nothing is left for the session to tidy up, which would log its id, too.
$node->safe_psql('postgres', $_) for 'VACUUM FREEZE', 'CHECKPOINT';

my $session = IPC::Run::start(
	[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'INSERT INTO t SELECT look(g) FROM generate_series(1, 3) g' ],
	'>', \my $out, '2>', \my $err);

$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'})
	or die 'INSERT does not get to its third row';
my $lost = $node->safe_psql('postgres', q{SELECT backend_xid FROM pg_stat_activity WHERE wait_event = 'PgSleep'});

# What is in the log so far becomes durable, without another transaction.
$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
$node->stop('immediate');
$session->finish;
$node->start;

my ($id, $count) = split /\n/, $node->safe_psql('postgres', q{BEGIN; SELECT pg_current_xact_id(); COMMIT; SELECT count(*) FROM t});
cmp_ok($id, '>', $lost, 'a new transaction has a new id');
is($count, 0, 'the rows of the lost one are not there');

$node->stop;
done_testing();
