# A tree that cannot be opened when there is WAL to be replayed into it: the server starts all the same, after a crash,
# as a standby and promoted; what was written to foreign tables is kept, and comes back with the tree.  The table's changes are
# told, so that its records have notes, which is nothing that is kept.
use strict;
use warnings;

use File::Copy;
use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $sums = 'SELECT count(*), sum(k), sum(length(v)), md5(string_agg(k || v, \',\' ORDER BY k)) FROM ';
my $unavailable = qr/not available.*HINT/s;

sub kept_files
{
	my ($node) = @_;

	my @files = glob($node->data_dir . '/nvmkv_kept/*.kept');

	return @files;
}

sub log_from
{
	my ($node, $from) = @_;

	return substr(slurp_file($node->logfile), $from);
}

# The same in a heap table, so that there is something to compare with.
sub twins
{
	my ($node, $sql) = @_;

	$node->safe_psql('postgres', join ';', map { my $s = $sql; $s =~ s/\bT\b/$_/g; $s } 't', 'h');
	return;
}

sub equal
{
	my ($node, $what) = @_;

	is($node->safe_psql('postgres', "$sums t"), $node->safe_psql('postgres', "$sums h"), "$what: as the heap table");
	return;
}

my $node = new_server('main', wal_level => 'logical', max_wal_size => '64MB', autovacuum => 'off', 'nvmkv.max_column_families' => 2);
$node->safe_psql('postgres', q{
	CREATE TABLE h (k int PRIMARY KEY, v text);
	CREATE FOREIGN TABLE t (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k', changes 'full')});
twins($node, q{INSERT INTO T SELECT g, repeat(md5(g::text), 4) FROM generate_series(1, 5000) g});
$node->safe_psql('postgres', 'CHECKPOINT');

my $pool = $node->data_dir . '/nvmkv/level0.pool';
my $saved = $node->data_dir . '/saved';

# ---- a crash, and no container

my $batch = 1;

sub write_some
{
	my ($round) = @_;
	my $first = 10000 * $batch++ + 10000;

	twins($node, "UPDATE T SET v = v || '$round' WHERE k % 7 = $round; DELETE FROM T WHERE k % 11 = $round;"
		. "INSERT INTO T SELECT g, repeat(md5(g::text), 4) FROM generate_series($first, $first + 2000) g");
	twins($node, "BEGIN; DELETE FROM T; ROLLBACK");
	return;
}

write_some(1);
$node->safe_psql('postgres', q{
	BEGIN; INSERT INTO t VALUES (-1, 'p'); SAVEPOINT s; INSERT INTO t VALUES (-2, 'p');
	INSERT INTO h VALUES (-1, 'p'), (-2, 'p'); PREPARE TRANSACTION 'p'});
my $open = $node->background_psql('postgres');
$open->query_safe('BEGIN; INSERT INTO t VALUES (-3, \'running\'); INSERT INTO h VALUES (-3, \'running\')');
$node->safe_psql('postgres', 'SELECT pg_switch_wal()'); # of which the running transaction's records are part
$node->stop('immediate');
$open->quit;

move($pool, $saved);
my $from = -s $node->logfile;
is($node->start(fail_ok => 1), 1, 'a crash without container: the server starts');
like(log_from($node, $from), qr/keeping WAL of foreign tables in "nvmkv_kept" from/, 'it says what it keeps');
is($node->safe_psql('postgres', 'SELECT count(*) > 0 FROM h'), 't', 'local tables work');
fails($node, 'SELECT * FROM t', qr/55000: .*$unavailable/s, 'reading');
fails($node, q{INSERT INTO t VALUES (0, '')}, qr/55000: .*$unavailable/s, 'writing');
like($node->safe_psql('postgres', 'SELECT * FROM nvmkv.check()'), qr/nvmkv\|foreign tables are not available: .*level0\.pool" is missing/,
	'the check reports it');
$node->safe_psql('postgres', q{INSERT INTO h VALUES (-5, 'local'); DELETE FROM h WHERE k = -5; CHECKPOINT; VACUUM FREEZE});
cmp_ok(scalar(kept_files($node)), '>', 0, 'something is kept');

# Restarts of all kinds in between; none of them has anything to keep.
$node->safe_psql('postgres', q{COMMIT PREPARED 'p'});
$node->restart;
$node->safe_psql('postgres', 'CREATE TABLE other AS SELECT 1; CHECKPOINT');
$node->stop('immediate');
$node->start;
$node->stop('immediate');
$node->start;
$node->stop;

move($saved, $pool);
$node->start;
equal($node, 'the container is back');
is($node->safe_psql('postgres', 'SELECT count(*) FROM t WHERE k < 0'), '2', 'what was prepared is there, what was running is not');
is(scalar(kept_files($node)), 0, 'nothing is kept any more');
sound($node, 'the engine is sound');

# ---- again, with a crash before the replay of what was kept is through; and families that came meanwhile

$node->safe_psql('postgres', q{
	CREATE SERVER fast FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'fast', nvm 'off');
	CREATE FOREIGN TABLE f (k int, v text) SERVER fast OPTIONS (primary_key 'k');
	INSERT INTO f SELECT g, 'f' FROM generate_series(1, 1000) g});
write_some(2);
$node->stop('immediate');
move($pool, $saved);
$node->start;
$node->stop('immediate');
$node->start;
$node->stop('immediate');
move($saved, $pool);
for my $round (0 .. 4)
{
	my $offset = -s $node->logfile;

	system_log('pg_ctl', '-D', $node->data_dir, '-l', $node->logfile, '-W', 'start');
	for (1 .. 6000)
	{
		last if log_from($node, $offset) =~ /replaying WAL of foreign tables|ready to accept connections/;
		select(undef, undef, undef, 0.01);
	}
	select(undef, undef, undef, 0.01 * $round * $round); # somewhere in it, or behind
	my ($pid) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
	kill 'KILL', $pid;
	wait_for_death($node);
}
$node->start;
equal($node, 'killed while it is replayed');
is($node->safe_psql('postgres', 'SELECT count(*) FROM f'), '1000', 'killed while it is replayed: the family is there');
write_some(3);
$node->stop('immediate');
$node->start;
equal($node, 'and after one more crash');
sound($node, 'and the engine is sound');

# ---- a kept file that rots is told of, and nothing of it is used

write_some(4);
$node->safe_psql('postgres', 'CHECKPOINT');
write_some(5);
$node->stop('immediate');
move($pool, $saved);
$node->start;
$node->stop;
move($saved, $pool);
my ($kept) = kept_files($node);
copy($kept, $saved);
{
	open(my $f, '+<:raw', $kept) or die;
	seek($f, (-s $kept) / 2, 0);
	print $f 'rot rot rot';
}
$node->start;
fails($node, 'SELECT * FROM t', qr/XX001: .*not available.*nvmkv_kept.*damaged/s, 'a rotten kept file');
is($node->safe_psql('postgres', 'SELECT 1'), '1', 'a rotten kept file: the server goes on');
$node->stop;
copy($saved, $kept);
$node->start;
equal($node, 'put right');
sound($node, 'put right: the engine is sound');

# ---- what is lost by an explicit setting

write_some(6);
$node->safe_psql('postgres', 'CHECKPOINT');
twins($node, q{INSERT INTO T VALUES (1000001, 'lost')});
$node->stop('immediate');
move($pool, $saved);
$node->append_conf('postgresql.conf', "nvmkv.ignore_lost_wal = on\n");
$from = -s $node->logfile;
$node->start;
like(log_from($node, $from), qr/WARNING: .*WAL of foreign tables is lost/, 'lost WAL is told of');
is(scalar(kept_files($node)), 0, 'nothing is kept');
$node->stop;
move($saved, $pool);
$node->start;
is($node->safe_psql('postgres', 'SELECT count(*) FROM t WHERE k = 1000001'), '0', 'what was given up is lost');
$node->safe_psql('postgres', 'DELETE FROM h WHERE k = 1000001');
equal($node, 'the rest is there');
$node->append_conf('postgresql.conf', "nvmkv.ignore_lost_wal = off\n");
$node->restart;

# ---- a standby

$node->safe_psql('postgres', 'CHECKPOINT');
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
$standby->stop;
my $standby_pool = $standby->data_dir . '/nvmkv/CURRENT'; # its container may be empty, and would be made anew
move($standby_pool, $saved);
write_some(5);
$standby->start;
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', "$sums h"), $node->safe_psql('postgres', "$sums h"), 'standby without a container: local tables follow');
fails($standby, 'SELECT * FROM t', $unavailable, 'standby without a container: reading');
$node->safe_psql('postgres', 'CHECKPOINT');
write_some(4);
$node->wait_for_catchup($standby);
$standby->safe_psql('postgres', 'CHECKPOINT');
cmp_ok(scalar(kept_files($standby)), '>', 0, 'standby without a container: WAL is kept');
$standby->stop;
$standby->start;
write_some(3);
$node->wait_for_catchup($standby);
$standby->stop('immediate');
move($saved, $standby_pool) or die;
$standby->start;
write_some(2);
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', "$sums t"), $node->safe_psql('postgres', "$sums t"), 'standby with its container: all rows are there');
is(scalar(kept_files($standby)), 0, 'standby with its container: nothing is kept any more');

# Promoted without it.
$standby->stop;
move($standby_pool, $saved);
$standby->start;
write_some(1);
my $rows = $node->safe_psql('postgres', "$sums t");
$node->wait_for_catchup($standby);
$standby->promote;
$standby->safe_psql('postgres', q{INSERT INTO h VALUES (-7, 'promoted'); CHECKPOINT});
fails($standby, 'SELECT * FROM t', $unavailable, 'promoted without a container: reading');
$standby->stop;
move($saved, $standby_pool);
$standby->start;
is($standby->safe_psql('postgres', "$sums t"), $rows, 'promoted, and with its container: all rows are there');
is($standby->safe_psql('postgres', q{INSERT INTO t VALUES (-7, 'promoted'); SELECT count(*) FROM t WHERE k = -7}), '1', 'promoted, and with its container: writing');
sound($standby, 'promoted, and with its container: the engine is sound');
$standby->stop;
$node->stop;

done_testing();
