# Writers that come faster than room is made are slowed down and not refused, and can be interrupted; compaction keeps
# to its limit, but not at their expense.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = new_server('main', max_wal_size => '256MB');
my $running = q{SELECT count(*) FROM nvmkv.progress WHERE job = 'column compaction' AND finished IS NULL};

sub insert
{
	my ($from, $rows) = @_;

	$node->safe_psql('postgres',
		"INSERT INTO t SELECT g, repeat(md5(g::text), 32) FROM generate_series($from, $from + $rows - 1) g");
	return;
}

sub set_limit
{
	my ($limit) = @_;

	$node->safe_psql('postgres', "ALTER SYSTEM SET nvmkv.compaction_rate_limit = '$limit'");
	$node->reload;
	return;
}

# The limit, set while the server runs.  It holds when workers have read the file; the barrier has before it lets a
# checkpoint go that comes after the postmaster has.
fails($node, q{ALTER SYSTEM SET nvmkv.compaction_rate_limit = '10kB'}, qr/22023: .*DETAIL: .*at least 64kB/s, 'a limit too low');
$node->safe_psql('postgres', q{CREATE FOREIGN TABLE t (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k')});
set_limit('64kB');
$node->poll_query_until('postgres', q{SELECT current_setting('nvmkv.compaction_rate_limit') = '64kB'}) or die 'no reload';
$node->safe_psql('postgres', 'CHECKPOINT');
insert(1, 8000);
ok($node->poll_query_until('postgres', "$running", '1'), 'level 0 is large enough to be drained');
my $columns = $node->safe_psql('postgres', 'SELECT columns_compacted FROM nvmkv.stat_engine');
insert(100001, 10);
is($node->safe_psql('postgres', $running), '1', 'a column takes its time under a limit');
set_limit('0');
ok($node->poll_query_until('postgres', "SELECT columns_compacted > $columns + 2 FROM nvmkv.stat_engine"),
	'a reload lifts the limit, also from a step that is under way');
cmp_ok($node->safe_psql('postgres', q{SELECT steps FROM nvmkv.stat_workers WHERE role = 'compact'}), '>', 1, 'the worker counts its steps');

# Writers come first: at 64 kB a second this would take a quarter of an hour.
set_limit('64kB');
my $start = time;
insert(200001 + $_ * 4000, 4000) for 0 .. 11;
cmp_ok(time - $start, '<', 600, 'writers do not wait for a limit');
is($node->safe_psql('postgres', 'SELECT count(*), sum(length(v)) FROM t'), '56010|' . 56010 * 1024, 'all is there');

# Whoever waits for compaction need not, either.
$start = time;
$node->safe_psql('postgres', 'SELECT nvmkv.compact()');
cmp_ok(time - $start, '<', 600, 'nor does one who asks for compaction');
set_limit('0');

# Delays and stalls are counted by cause, and a delayed writer can be cancelled.
my ($out, $err) = ('', '');
my $flood = IPC::Run::start([ 'psql', '-X', '-d', $node->connstr('postgres'), '-c',
		q{INSERT INTO t SELECT g, repeat(md5(g::text), 32) FROM generate_series(1000001, 100000000) g} ], '>', \$out, '2>', \$err);
ok($node->poll_query_until('postgres', q{
	SELECT delays_memtables + delays_extents + delays_debt > 0
	   AND delay_time_memtables + delay_time_extents + delay_time_debt > 0 FROM nvmkv.stat_engine}),
	'writers are slowed down');
$node->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'INSERT INTO t%'});
$flood->finish;
like($err, qr/canceling statement due to user request/, 'a flood can be interrupted');
is($node->safe_psql('postgres', 'SELECT count(*) FROM t'), '56010', 'nothing of it is there');
sound($node, 'the engine is sound');

$node->stop;
done_testing();
