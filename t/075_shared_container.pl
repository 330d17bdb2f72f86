# A container outside the data directory, and copies of that directory that were made while the server was stopped: one of
# them goes on with the container, the others are told at their start, be it used at the moment or not, and take nothing away from it.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $pools = PostgreSQL::Test::Utils::tempdir;
my $pool = "$pools/pool";
my $sums = 'SELECT count(*), sum(k), md5(string_agg(k || v, \',\' ORDER BY k)) FROM t';

# A copy of a stopped server, which differs in the port.
sub copy_of
{
	my ($node, $name) = @_;
	my $copy = PostgreSQL::Test::Cluster->new($name);

	system('cp', '-a', $node->data_dir, $copy->data_dir) == 0 or die;
	$copy->append_conf('postgresql.conf', 'port = ' . $copy->port . "\n");
	return $copy;
}

# The files say it, the server does, and its check.
sub told
{
	my ($node, $expected) = @_;
	my $said = '';

	if (system('nvmkv_dump >/dev/null 2>&1') >> 8 == 2)
	{
		IPC::Run::run([ 'nvmkv_dump', 'check', $node->data_dir . '/nvmkv', '--pool', $pool ], '>&', \$said);
		like($said, qr/pool" is of another time or another server: it was opened since with another copy of the database/, $node->name . ': nvmkv_dump says so');
	}
	ok($node->start(fail_ok => 1), $node->name . ' starts');
	fails($node, 'SELECT count(*) FROM t', qr/not available.*$expected/s, $node->name . ' is told');
	like($node->safe_psql('postgres', 'SELECT problem FROM nvmkv.check()'), qr/$expected/s, $node->name . ': the check says so');
	is($node->safe_psql('postgres', 'SELECT a FROM h'), '1', $node->name . ': local tables work');
	$node->stop;
	return;
}

my $one = new_server('one', 'nvmkv.nvm_path' => $pool, autovacuum => 'off');
$one->safe_psql('postgres', q{
	CREATE TABLE h AS SELECT 1 AS a;
	CREATE FOREIGN TABLE t (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	INSERT INTO t SELECT g, md5(g::text) FROM generate_series(1, 3000) g;
	SELECT nvmkv.compact();
	INSERT INTO t SELECT g, md5(g::text) FROM generate_series(3001, 6000) g});
$one->stop;

# The copy is the first that goes on.
my $two = copy_of($one, 'two');
$two->start;
$two->safe_psql('postgres', q{INSERT INTO t SELECT g, 'two' FROM generate_series(6001, 9000) g; SELECT nvmkv.flush()});
my $rows = $two->safe_psql('postgres', $sums);
ok($one->start(fail_ok => 1), 'the copy is running: the server starts');
fails($one, 'SELECT count(*) FROM t', qr/55000: .*pool" is in use by another process; give each server its own pool/s, 'the copy is running');
$one->stop;
$two->stop;
my $since = qr/pool" is of another time or another server: it was opened since with another copy of the database, as generation [0-9a-f]{16}, at log position [0-9A-F]+\/[0-9A-F]+; the manifest names [0-9a-f]{16}, and has what was written up to [0-9A-F]+\/[0-9A-F]+.*nvmkv\.accept/;
told($one, $since);
$two->start;
is($two->safe_psql('postgres', $sums), $rows, 'the copy has lost nothing by that');

# With nothing in it, nobody takes it away either; with another one the copy has every row.
$two->safe_psql('postgres', 'SELECT nvmkv.compact()');
$two->stop;
my $three = copy_of($two, 'three');
$two->start;
$two->safe_psql('postgres', q{UPDATE t SET v = v || 'x' WHERE k % 5 = 0; SELECT nvmkv.flush()});
my $changed = $two->safe_psql('postgres', $sums);
$two->stop;
told($three, qr/opened since with another copy.*nothing of this database is in it: name another file \(nvmkv\.nvm_path\), or remove this one/);
$three->append_conf('postgresql.conf', "nvmkv.nvm_size = 0\n");
$three->start;
is($three->safe_psql('postgres', $sums), $rows, 'without a container it has every row');
ok(-e $pool, 'and has not removed it');
$three->stop;
$three->append_conf('postgresql.conf', "nvmkv.nvm_size = '16MB'\nnvmkv.nvm_path = '$pools/three'\n");
$three->start;
is($three->safe_psql('postgres', $sums), $rows, 'and with one of its own');
sound($three, 'it is sound');
$two->start;
is($two->safe_psql('postgres', $sums), $changed, 'the one goes on beside the other');
sound($two, 'and is sound');
$three->stop;
$two->stop('immediate');
$two->start;
is($two->safe_psql('postgres', $sums), $changed, 'after a crash, too');
$two->stop;

# Somebody answers for it: what is not in the container is lost, and only that; the other one is told.
append_to_file($one->data_dir . '/nvmkv.accept', '');
$one->start;
is($one->safe_psql('postgres', 'SELECT count(*) FROM t WHERE k <= 3000'), '3000', 'accepted: what is in files is there');
$one->restart;
like($one->safe_psql('postgres', q{SELECT nvmkv.accept_damage('t'); SELECT count(*) FROM t}), qr/^\n[3-6]\d\d\d$/, 'what the other one has written over can be given up');
sound($one, 'then it is sound');
$one->stop;
told($two, $since);

done_testing();
