# Cursors left open while others load several times what the container holds: the load is not held up by them, and
# they read to the end what they saw at their start.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main', 'nvmkv.nvm_size' => '16MB', max_wal_size => '128MB');

$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE t (k int, n int, pad text) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE keyless (n int, pad text) SERVER nvmkv;
	INSERT INTO t SELECT g * 10, 0, repeat(md5(g::text), 8) FROM generate_series(1, 10000) g;
	INSERT INTO keyless SELECT 0, repeat(md5(g::text), 4) FROM generate_series(1, 5000) g;
});

my %cursors = (
	'a repeatable-read cursor' => [ 'BEGIN ISOLATION LEVEL REPEATABLE READ; DECLARE c CURSOR FOR SELECT k, n FROM t ORDER BY k', 10000 ],
	'a read-committed cursor' => [ 'BEGIN; DECLARE c CURSOR FOR SELECT k, n FROM t ORDER BY k DESC', 10000 ],
	'a cursor with a writing transaction' =>
	  [ 'BEGIN; UPDATE t SET n = 0 WHERE k = 5000; DECLARE c CURSOR FOR SELECT k, n FROM t WHERE k <= 50000', 5000 ],
	'a cursor without a key' => [ 'BEGIN; DECLARE c CURSOR FOR SELECT 1, n FROM keyless', 5000 ],
	'a scrollable cursor' => [ 'BEGIN; DECLARE c SCROLL CURSOR FOR SELECT k, n FROM t ORDER BY k', 10000 ]);
my %sessions;

# Sends to a session and waits for its last word.
sub say_to
{
	my ($name, $sql) = @_;
	my $s = $sessions{$name};

	$s->{out} = '';
	$s->{in} = "$sql; SELECT 'said';\n";
	$s->{run}->pump until $s->{out} =~ /^said$/m || !$s->{run}->pumpable;
	return $s->{out};
}

for my $name (sort keys %cursors)
{
	my %s = (in => '', out => '', err => '', timer => IPC::Run::timeout(600));

	$s{run} = IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-f', '-', '-d', $node->connstr('postgres') ],
		'<', \$s{in}, '>', \$s{out}, '2>', \$s{err}, $s{timer});
	$sessions{$name} = \%s;
	like(say_to($name, "$cursors{$name}[0]; FETCH 3 FROM c"), qr/^(\d+\|0\n){3}said/, "$name has begun") or diag($s{err});
}

# Each round writes about 10 MB in a container of 16.
my $counters = 'SELECT flushes, columns_compacted FROM nvmkv.stat_engine';
my ($flushes, $columns) = (0, 0);
for my $round (1 .. 8)
{
	$node->safe_psql('postgres', qq{
		SET statement_timeout = '300s';
		INSERT INTO t SELECT g * 10 + $round, $round, repeat(md5((g + $round)::text), 12) FROM generate_series(1, 10000) g;
		INSERT INTO keyless SELECT $round, repeat(md5(g::text), 8) FROM generate_series(1, 10000) g;
		UPDATE t SET n = $round WHERE k <> 5000 AND k % 3 = 0;
		DELETE FROM t WHERE k <> 5000 AND k % 7 = $round % 7 AND k % 10 = 0});
	my ($f, $c) = split /\|/, $node->safe_psql('postgres', $counters);
	cmp_ok($f, '>', $flushes, "round $round: memtables are flushed");
	($flushes, $columns) = ($f, $c);
}
cmp_ok($columns, '>', 10, 'columns were compacted under the open cursors');

my $left = $node->safe_psql('postgres', 'SELECT count(*), sum(k) FROM t');
for my $name (sort keys %cursors)
{
	my $expected = $cursors{$name}[1];
	my $out = say_to($name, 'FETCH ALL FROM c');
	my @rows = $out =~ /^\d+\|0$/mg;

	is(scalar @rows, $expected - 3, "$name sees the rows it began with");
	unlike($out, qr/^\d+\|[1-9]/m, "$name sees nothing newer");
	if ($name =~ /scrollable/)
	{
		$out = say_to($name, 'MOVE ABSOLUTE 0 FROM c; FETCH ALL FROM c');
		@rows = $out =~ /^\d+\|0$/mg;
		is(scalar @rows, $expected, "$name sees them again from the start");
	}
	$sessions{$name}{in} = "COMMIT;\n\\q\n";
	$sessions{$name}{run}->finish;
}
is($node->safe_psql('postgres', 'SELECT count(*), sum(k) FROM t'), $left, 'everybody else sees what was loaded');

# With nobody looking the old versions go.
my $versions = $node->safe_psql('postgres', 'SELECT entries_dropped_obsolete FROM nvmkv.stat_engine');
$node->safe_psql('postgres', 'UPDATE t SET n = 99; SELECT nvmkv.flush(); SELECT nvmkv.compact()');
cmp_ok($node->safe_psql('postgres', 'SELECT entries_dropped_obsolete FROM nvmkv.stat_engine'), '>', $versions + 10000,
	'old versions go when nobody needs them');
sound($node, 'the engine is sound');
$node->restart;
is($node->safe_psql('postgres', 'SELECT count(*), sum(k) FROM t'), $left, 'after a restart, too');
sound($node, 'and still sound');

$node->stop;
done_testing();
