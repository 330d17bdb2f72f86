# Many single-row transactions that stay in a memtable: crash recovery brings them back, standbys follow, also one
# without queries, which is promoted, and one that pg_resetwal makes a server of its own.  Then millions of transaction
# ids go by and the server forgets the outcomes; the rows stay equal to those of a heap table.
#
# NVMKV_TRANSACTIONS: how many, default 3000; from 100000 on, three million ids are really given out, and autovacuum
# alone truncates the commit log.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Nvmkv;

my $transactions = $ENV{NVMKV_TRANSACTIONS} // 3000;
my $long = $transactions >= 100_000;
my $ahead = 3; # million

my $primary = new_server('primary', autovacuum => 'off', autovacuum_naptime => '1s', autovacuum_freeze_max_age => 100000,
	synchronous_commit => 'off', 'nvmkv.write_buffer_size' => '64MB', 'nvmkv.nvm_size' => '256MB', wal_keep_size => '2GB',
	max_wal_size => '4GB', checkpoint_timeout => '1h');

sub same
{
	my ($node, $what) = @_;
	my ($heap, $foreign) =
	  map { $node->safe_psql('postgres', "SELECT count(*), md5(string_agg(k || ' ' || v, ',' ORDER BY k)) FROM $_") } 'h', 'f';

	is($foreign, $heap, $what);
	return;
}

# Transactions [first, first + count): most insert a row, every tenth updates and every eleventh deletes an older one,
# every fifth is rolled back.
$primary->safe_psql('postgres', q{
	CREATE TABLE h (k int PRIMARY KEY, v text);
	CREATE FOREIGN TABLE f (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE PROCEDURE write_rows(first int, count int) LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN first .. first + count - 1 LOOP
			IF i % 10 = 9 THEN
				UPDATE h SET v = v || i WHERE k = i / 2;
				UPDATE f SET v = v || i WHERE k = i / 2;
			ELSIF i % 11 = 10 THEN
				DELETE FROM h WHERE k = i / 3;
				DELETE FROM f WHERE k = i / 3;
			ELSE
				INSERT INTO h VALUES (i, i);
				INSERT INTO f VALUES (i, i);
			END IF;
			IF i % 5 = 3 THEN ROLLBACK; ELSE COMMIT; END IF;
		END LOOP;
	END $$;
});
$primary->backup('base');
my %standbys;
foreach my $name (qw(silent reset))
{
	my $standby = PostgreSQL::Test::Cluster->new($name);

	$standby->init_from_backup($primary, 'base', has_streaming => 1);
	$standby->append_conf('postgresql.conf', 'hot_standby = ' . ($name eq 'silent' ? 'off' : 'on'));
	system_or_bail('pg_ctl', '-D', $standby->data_dir, '-l', $standby->logfile, '-W', 'start');
	$standbys{$name} = $standby;
}

# All standbys have replayed what there is.
sub follow
{
	my $end = $primary->safe_psql('postgres', 'SELECT pg_switch_wal()');

	$primary->poll_query_until('postgres',
		"SELECT count(*) = 2 FROM pg_stat_replication WHERE replay_lsn >= '$end'") or die 'standbys do not follow';
	$standbys{reset}->_update_pid(1);
	return;
}

# ---- a crash

$primary->safe_psql('postgres', "CALL write_rows(1, $transactions)");
$primary->safe_psql('postgres', 'SELECT pg_switch_wal()'); # the last of them is on disk
same($primary, 'written');
cmp_ok($primary->safe_psql('postgres', 'SELECT sum(entries) FROM nvmkv.stat_memtables'),
	'>', $transactions / 2, 'the rows are in a memtable');
$primary->stop('immediate');
$primary->start;
same($primary, 'the same after crash recovery');
$primary->safe_psql('postgres', "CALL write_rows($transactions + 1, 200)");
follow();
same($standbys{reset}, 'the same on a standby');

# ---- the commit log goes on the primary, and with it on the standbys

my $left = segment_start($primary, 0);
if ($long)
{
	consume_xids($primary, $ahead * 1_000_000);
	$primary->append_conf('postgresql.conf', 'autovacuum = on');
	$primary->reload;
	$primary->poll_query_until('postgres',
		sprintf(q{SELECT pg_stat_file('pg_xact/%04X', true) IS NULL}, $left >> 20)) or die 'autovacuum truncates nothing';
}
else
{
	consume_xids($primary, 2000);
	freeze_all($primary);
}
same($primary, 'frozen');
$primary->safe_psql('postgres', "CALL write_rows($transactions + 2000, 200)");
follow();
same($standbys{reset}, 'the same on a standby that has replayed it');
if ($long)
{
	ok(!has_commit_log($standbys{$_}, $left), "$_: the commit log is truncated") foreach sort keys %standbys;
}
$primary->stop;

# ---- a standby that becomes a server of its own without promotion

# pg_resetwal takes it from its last restartpoint on: the checkpoint the primary has ended with.  That nothing is lost by
# that nobody knows but who does it.
{
	my $node = $standbys{reset};
	my ($control) = run_command([ 'pg_controldata', $primary->data_dir ]);
	my ($checkpoint) = $control =~ /^Latest checkpoint location:\s+(\S+)/m;
	my $xid = segment_start($node, $ahead);

	$node->poll_query_until('postgres', "SELECT pg_last_wal_replay_lsn() > '$checkpoint'") or die 'the standby does not follow';
	$node->stop;
	unlink $node->data_dir . '/standby.signal' or die "standby.signal: $!";
	system_or_bail('pg_resetwal', '-f', '-x', $xid, $node->data_dir);
	append_to_file($node->data_dir . sprintf('/pg_xact/%04X', $xid >> 20), "\0" x 262144);
	$node->start;
	fails($node, 'SELECT * FROM f', qr/up to log position .*but the log begins at .*nvmkv\.accept/s, 'a log that begins later');
	$node->stop;
	append_to_file($node->data_dir . '/nvmkv.accept', '');
	$node->start;
	same($node, 'a standby after pg_resetwal');
	my $boundary = segment_start($node, -$ahead);

	freeze_all($node);
	ok(!has_commit_log($node, $boundary), 'its commit log is truncated');
	same($node, 'the same after that');
	$node->safe_psql('postgres', "CALL write_rows($transactions + 3000, 200)");
	$node->stop('immediate');
	$node->start;
	same($node, 'the same after a crash of it');
	$node->safe_psql('postgres', 'SELECT nvmkv.compact()');
	same($node, 'the same when it is compacted');
	sound($node, 'it is sound');
	$node->stop;
}

# ---- promoted

{
	my $node = $standbys{silent};

	system_or_bail('pg_ctl', '-D', $node->data_dir, '-l', $node->logfile, '-w', 'promote');
	$node->_update_pid(1);
	same($node, 'the same on a promoted standby without queries');
	$node->safe_psql('postgres', "CALL write_rows($transactions + 3000, 200)");
	my $boundary = segment_start($node, 0);

	set_next_xid($node, segment_start($node, $ahead));
	freeze_all($node);
	ok(!has_commit_log($node, $boundary), 'its commit log is truncated');
	same($node, 'the same after that');
	$node->stop('immediate');
	$node->start;
	same($node, 'the same after a crash of it');
	$node->safe_psql('postgres', 'SELECT nvmkv.compact()');
	same($node, 'the same when it is compacted');
	sound($node, 'it is sound');
	$node->stop;
}

# ---- and on the primary, with pg_resetwal

$primary->start;
my $boundary = segment_start($primary, 0);
set_next_xid($primary, segment_start($primary, $ahead));
same($primary, 'three million ids later');
freeze_all($primary);
ok(!has_commit_log($primary, $boundary), 'the commit log is truncated');
same($primary, 'the same after that');
$primary->stop('immediate');
$primary->start;
same($primary, 'the same after another crash');
$primary->safe_psql('postgres', 'SELECT nvmkv.compact()');
same($primary, 'the same when it is compacted');
sound($primary, 'the primary is sound');
$primary->stop;

done_testing();
