# Standbys whose containers are not as the primary's: smaller, larger, elsewhere, none. They follow while tables are written, take
# over, and are made anew over the container that they had. How far behind they are.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $pools = PostgreSQL::Test::Utils::tempdir;
my $container = 'SELECT container_path, container_size / 1048576 FROM nvmkv.column_families';
my %container = (
	a => { 'nvmkv.nvm_path' => "$pools/a", 'nvmkv.nvm_size' => '24MB' },
	smaller => { 'nvmkv.nvm_path' => "$pools/smaller", 'nvmkv.nvm_size' => '16MB' },
	larger => { 'nvmkv.nvm_path' => '', 'nvmkv.nvm_size' => '32MB' },
	none => { 'nvmkv.nvm_path' => '', 'nvmkv.nvm_size' => '0' });

# A standby of a server, with its container: standby_of(server, whose container, name)
sub standby_of
{
	my ($primary, $kind, $name) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name // $kind);

	$primary->backup($node->name);
	$node->init_from_backup($primary, $node->name, has_streaming => 1);
	$node->append_conf('postgresql.conf', settings(%{ $container{$kind} }));
	$node->start;
	return $node;
}

sub follows
{
	my ($primary, $node, $name) = @_;

	$primary->wait_for_catchup($node, 'replay', $primary->lsn('insert'));
	twins_agree($node, $name // $node->name);
	return;
}

my $a = new_server('a', wal_keep_size => '256MB', %{ $container{a} });
make_twins($a, 5000);
my ($smaller, $larger, $none) = map { standby_of($a, $_) } qw(smaller larger none);
my $writer = start_writing($a);

is($a->safe_psql('postgres', $container), "$pools/a|24", 'the container of the primary');
is($smaller->safe_psql('postgres', $container), "$pools/smaller|16", 'a smaller one elsewhere');
like($larger->safe_psql('postgres', $container), qr{nvmkv/level0\.pool\|32$}, 'a larger one in the data directory');
is($none->safe_psql('postgres', $container), '|0', 'none');
ok(-e "$pools/a", 'whose has none leaves alone that of the server it is a copy of');
follows($a, $_) for $smaller, $larger, $none;

# How far behind one is that does not replay, as it says and as the primary says.
my $lag = q{SELECT replay_lag_bytes > 100000, replay_lag_seconds > 0 FROM nvmkv.stat_replication WHERE standby IS NOT DISTINCT FROM };
my $none_behind = q{SELECT count(*) FILTER (WHERE replay_lag_bytes = 0 AND replay_lag_seconds = 0 AND receive_lag_bytes = 0) FROM nvmkv.stat_replication};
$smaller->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
ok($a->poll_query_until('postgres', "$lag 'smaller'", 't|t'), 'the primary knows how far behind a standby is');
ok($smaller->poll_query_until('postgres', "$lag NULL", 't|t'), 'so does the standby');
is($smaller->safe_psql('postgres', 'SELECT state, sync_state FROM nvmkv.stat_replication'), 'streaming|', 'a standby has a row of itself');
$smaller->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
stop_writing($a, $writer);
ok($a->poll_query_until('postgres', $none_behind, '4'), 'none is behind any more: rows of the primary and of three standbys');
ok($_->poll_query_until('postgres', $none_behind, '1'), $_->name . ' agrees') for $smaller, $larger, $none;
is($a->safe_psql('postgres', 'SELECT standby, state, sync_state FROM nvmkv.stat_replication ORDER BY standby NULLS FIRST'),
	"|primary|\nlarger|streaming|async\nnone|streaming|async\nsmaller|streaming|async", 'who they are');

# The one without a container takes over, while it is written.
my $changes = $a->safe_psql('postgres', 'SELECT sum(n) FROM h');
$writer = start_writing($a);
$a->poll_query_until('postgres', "SELECT sum(n) > $changes + 500 FROM h") or die 'the writer does not work';
$a->stop('immediate');
$writer->finish;
$none->promote;
for my $node ($smaller, $larger)
{
	$node->enable_streaming($none);
	$node->restart;
}
$writer = start_writing($none);
$changes = $none->safe_psql('postgres', 'SELECT sum(n) FROM h');
$none->poll_query_until('postgres', "SELECT sum(n) > $changes + 500 FROM h") or die 'the writer does not work';
follows($none, $_, $_->name . ' of the new primary') for $smaller, $larger;

# The old primary made anew, where its container still is: what the new one's files know of it is from before.
my $again = standby_of($none, 'a', 'again');
is($again->safe_psql('postgres', $container), "$pools/a|24", 'made anew it takes the container that is there');
follows($none, $again);

# It takes over in its turn.
stop_writing($none, $writer);
$smaller->stop;
$larger->stop;
$none->wait_for_catchup($again, 'replay', $none->lsn('insert'));
$none->stop;
$again->promote;
$writer = start_writing($again);
stop_writing($again, $writer);
twins_agree($again, 'the third primary');
$again->stop;
done_testing();
