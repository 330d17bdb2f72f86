# A streaming standby answers what the primary answered, follows it, and can take over.
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

$primary->safe_psql('postgres', q{
	CREATE FOREIGN TABLE t (k int NOT NULL, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	INSERT INTO t SELECT g, repeat('x', g % 3000) FROM generate_series(1, 20000) g;
	CHECKPOINT;
});
$primary->backup('base');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is($standby->safe_psql('postgres', $sums), $primary->safe_psql('postgres', $sums), 'a standby from a base backup has the rows');

$primary->safe_psql('postgres', q{
	UPDATE t SET v = v || 'y' WHERE k % 3 = 0;
	DELETE FROM t WHERE k % 5 = 0;
	INSERT INTO t SELECT g, 'new' FROM generate_series(30001, 30100) g;
	BEGIN; INSERT INTO t VALUES (40001, 'rolled back'); ROLLBACK;
	CREATE FOREIGN TABLE later (a int) SERVER nvmkv;
	INSERT INTO later SELECT generate_series(1, 10);
});
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is($standby->safe_psql('postgres', $sums), $primary->safe_psql('postgres', $sums), 'it follows');
is($standby->safe_psql('postgres', 'SELECT sum(a) FROM later'), '55', 'new tables come, too');

my ($out, $err);
isnt($standby->psql('postgres', q{INSERT INTO t VALUES (50001, 'no')}, stderr => \$err), 0, 'it cannot be written');
like($err, qr/read-only transaction/, 'and says why');

$standby->restart;
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is($standby->safe_psql('postgres', $sums), $primary->safe_psql('postgres', $sums), 'a restart changes nothing');

my $expected = $primary->safe_psql('postgres', $sums);
$primary->stop;
$standby->promote;
is($standby->safe_psql('postgres', $sums), $expected, 'promoted, it has the rows');
$standby->safe_psql('postgres', q{INSERT INTO t VALUES (50001, 'yes'); INSERT INTO later VALUES (11)});
is($standby->safe_psql('postgres', 'SELECT count(*), (SELECT sum(a) FROM later) FROM t WHERE k = 50001'), '1|66',
	'and can be written');
sound($standby, 'its engine is sound');
$standby->stop('immediate');
$standby->start;
is($standby->safe_psql('postgres', 'SELECT v FROM t WHERE k = 50001'), 'yes', 'and recovers by itself');

$standby->stop;
done_testing();
