# A container that fills many times over, under an old snapshot: readers stay consistent, space comes back.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main', 'nvmkv.nvm_size' => '16MB', max_wal_size => '256MB');

$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE t (k int NOT NULL, n int, pad text) SERVER nvmkv OPTIONS (primary_key 'k');
	INSERT INTO t SELECT g, 0, repeat(md5(g::text), 8) FROM generate_series(1, 20000) g;
});

# A cursor that has read a few rows and waits.
my ($in, $out, $err, $timer) = ('', '', '', IPC::Run::timeout(600));
my $old = IPC::Run::start(
	[ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-f', '-', '-d', $node->connstr('postgres') ],
	'<', \$in, '>', \$out, '2>', \$err, $timer);
$in = "BEGIN ISOLATION LEVEL REPEATABLE READ; DECLARE c CURSOR FOR SELECT k, n FROM t ORDER BY k; "
  . "FETCH 3 FROM c; SELECT 'opened';\n";
$old->pump until $out =~ /opened/ || !$old->pumpable;
like($out, qr/^1\|0\n2\|0\n3\|0\nopened/m, 'the old cursor has started') or diag($err);

for my $round (1 .. 12)
{
	$node->safe_psql('postgres', "UPDATE t SET n = $round, pad = repeat(md5((k + $round)::text), 8)");
}
is($node->safe_psql('postgres', 'SELECT count(*), min(n), max(n), count(DISTINCT k) FROM t'), '20000|12|12|20000',
	'new readers see the newest versions');
cmp_ok($node->safe_psql('postgres', 'SELECT columns_compacted FROM nvmkv.stat_engine'), '>', 0, 'columns were compacted');

$out = '';
$in = "FETCH ALL FROM c; SELECT 'fetched';\n";
$old->pump until $out =~ /fetched/ || !$old->pumpable;
my @rows = $out =~ /^\d+\|0$/mg;
is(scalar @rows, 19997, 'the old cursor goes on in its own time');
unlike($out, qr/^\d+\|[1-9]/m, 'and sees nothing newer');
$in = "COMMIT;\n\\q\n";
$old->finish;

$node->safe_psql('postgres', 'DELETE FROM t WHERE k % 2 = 0');
$node->safe_psql('postgres', 'SELECT nvmkv.flush(); SELECT nvmkv.compact()');
is($node->safe_psql('postgres', 'SELECT count(*), sum(k) FROM t'), '10000|100000000', 'rows are right after compaction');
sound($node, 'the engine is sound');
$node->restart;
is($node->safe_psql('postgres', 'SELECT count(*), sum(k) FROM t'), '10000|100000000', 'and after a restart');
sound($node, 'and still sound');

$node->stop;
done_testing();
