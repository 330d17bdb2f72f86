# A standby that restarts from a restartpoint has what lies before it, whichever checkpoint record it was made of.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $sums = 'SELECT count(*), sum(k), sum(length(v)) FROM t';
my $primary = new_server('primary');

$primary->safe_psql('postgres', q{CREATE FOREIGN TABLE t (k int NOT NULL, v text) SERVER nvmkv OPTIONS (primary_key 'k')});
$primary->backup('base');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

# What the standby has received is replayed; then a restartpoint, and a crash.
sub crash_after_restartpoint
{
	$standby->poll_query_until('postgres', 'SELECT pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()')
		or die 'the standby does not replay';
	$standby->safe_psql('postgres', 'CHECKPOINT');
	$standby->stop('immediate');
	$standby->start;
	return;
}

$primary->safe_psql('postgres', q{INSERT INTO t SELECT g, repeat('x', g % 30) FROM generate_series(1, 500) g});
my $expected = $primary->safe_psql('postgres', $sums);
$primary->stop('fast');
crash_after_restartpoint();
is($standby->safe_psql('postgres', $sums), $expected, 'restartpoint of the checkpoint at shutdown');

$primary->start;
$primary->safe_psql('postgres', q{INSERT INTO t SELECT g, repeat('y', g % 30) FROM generate_series(501, 1000) g});
$expected = $primary->safe_psql('postgres', $sums);
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
$primary->stop('immediate');
$primary->start;
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('flush'));
crash_after_restartpoint();
is($standby->safe_psql('postgres', $sums), $expected, 'restartpoint of the checkpoint at the end of recovery');

$primary->safe_psql('postgres', q{INSERT INTO t SELECT g, repeat('z', g % 30) FROM generate_series(1001, 1500) g; CHECKPOINT});
$expected = $primary->safe_psql('postgres', $sums);
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
crash_after_restartpoint();
is($standby->safe_psql('postgres', $sums), $expected, 'restartpoint of any checkpoint');
sound($standby, 'the engine is sound');

$standby->stop;
$primary->stop;
done_testing();
