# The server forgets outcomes of transactions (VACUUM truncates the commit log), the tree does not: whatever way its
# entries were written and wherever they stand then, in a memtable, in rows or in tables, they stay equal to those of a
# heap table.  On a primary, after crash recovery, on a standby and a standby without queries, and promoted.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Nvmkv;

my $subtransactions = $ENV{NVMKV_SUBTRANSACTIONS} // 66_000;

my $primary = new_server('primary', autovacuum => 'off', synchronous_commit => 'off', 'nvmkv.write_buffer_size' => '8MB',
	'nvmkv.nvm_size' => '64MB', wal_keep_size => '512MB');

sub make_tables
{
	my ($name) = @_;

	$primary->safe_psql('postgres', qq{
		CREATE TABLE h_$name (k bigint PRIMARY KEY, v text);
		CREATE FOREIGN TABLE f_$name (k bigint, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	});
	return;
}

sub same
{
	my ($node, $name, $what) = @_;
	my ($heap, $foreign) = map {
		$node->safe_psql('postgres', "SELECT count(*), md5(string_agg(k || v, ',' ORDER BY k)) FROM $_\_$name")
	} 'h', 'f';

	is($foreign, $heap, $what);
	return;
}

# Both tables, a transaction each row: four of five commit, of the others half roll a savepoint back.
my $writer = q{
	CREATE PROCEDURE write_rows(name text, first int, count int) LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN first .. first + count - 1 LOOP
			EXECUTE format('INSERT INTO h_%s VALUES (%s, %s)', name, i, i);
			EXECUTE format('INSERT INTO f_%s VALUES (%s, %s)', name, i, i);
			IF i % 5 = 3 THEN ROLLBACK; ELSE COMMIT; END IF;
		END LOOP;
	END $$;
	CREATE FUNCTION write_in_blocks(name text, first int, count int) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN first .. first + count - 1 LOOP
			BEGIN
				EXECUTE format('INSERT INTO h_%s VALUES (%s, %s)', name, i, i);
				EXECUTE format('INSERT INTO f_%s VALUES (%s, %s)', name, i, i);
				IF i % 3 = 1 THEN RAISE EXCEPTION 'no'; END IF;
			EXCEPTION WHEN raise_exception THEN NULL;
			END;
		END LOOP;
	END $$;
};
$primary->safe_psql('postgres', $writer);

my @tables = qw(memtable prepared blocks);

# ---- everything below a boundary of the commit log's files, and then over it

set_next_xid($primary, segment_start($primary, 2) - $subtransactions - 2000);
make_tables($_) foreach @tables;
$primary->backup('base');
my %standbys;
foreach my $mode (qw(on off))
{
	my $standby = PostgreSQL::Test::Cluster->new("standby_$mode");

	$standby->init_from_backup($primary, 'base', has_streaming => 1);
	$standby->append_conf('postgresql.conf', "hot_standby = $mode");
	$standby->start if $mode eq 'on';
	system_or_bail('pg_ctl', '-D', $standby->data_dir, '-l', $standby->logfile, '-W', 'start') if $mode eq 'off';
	$standbys{$mode} = $standby;
}

# More subtransactions in one transaction than any list holds; flushed while it runs.
my $session = $primary->background_psql('postgres');
$session->query_safe('BEGIN');
$session->query_safe("SELECT write_in_blocks('blocks', 1, $subtransactions)");
$primary->safe_psql('postgres', 'SELECT nvmkv.flush()');
$session->query_safe('COMMIT');
$session->quit;
same($primary, 'blocks', 'many subtransactions');

$primary->safe_psql('postgres', q{
	BEGIN;
	INSERT INTO h_prepared SELECT g, g FROM generate_series(1, 100) g;
	INSERT INTO f_prepared SELECT g, g FROM generate_series(1, 100) g;
	SAVEPOINT a;
	INSERT INTO h_prepared SELECT g, g FROM generate_series(101, 200) g;
	INSERT INTO f_prepared SELECT g, g FROM generate_series(101, 200) g;
	ROLLBACK TO a;
	SAVEPOINT b;
	INSERT INTO h_prepared SELECT g, g FROM generate_series(201, 300) g;
	INSERT INTO f_prepared SELECT g, g FROM generate_series(201, 300) g;
	RELEASE b;
	PREPARE TRANSACTION 'p';
	CALL write_rows('memtable', 1, 1000);
});
consume_xids($primary, 3000);
freeze_all($primary);
my $truncated = segment_start($primary, -1);
ok(has_commit_log($primary, $truncated),
	'while a transaction is prepared its commit log is kept');
$primary->safe_psql('postgres', "COMMIT PREPARED 'p'");
freeze_all($primary);
ok(!has_commit_log($primary, $truncated), 'the commit log is truncated');
cmp_ok($primary->safe_psql('postgres', 'SELECT sum(entries) FROM nvmkv.stat_memtables'),
	'>', 1000, 'entries are in a memtable');
same($primary, $_, "$_: after a truncation") foreach @tables;

# ---- crash recovery, standbys

$primary->stop('immediate');
$primary->start;
same($primary, $_, "$_: the same after crash recovery") foreach @tables;

$primary->safe_psql('postgres', "CALL write_rows('memtable', 2001, 100)");
my $end = $primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
$primary->poll_query_until('postgres',
	"SELECT count(*) = 2 FROM pg_stat_replication WHERE replay_lsn >= '$end'") or die 'standbys do not follow';
ok(!has_commit_log($standbys{$_}, $truncated), "hot_standby $_: the commit log is truncated")
  foreach qw(on off);
same($standbys{on}, $_, "$_: the same on a standby") foreach @tables;
$primary->stop;
foreach my $mode (qw(on off))
{
	my $standby = $standbys{$mode};

	system_or_bail('pg_ctl', '-D', $standby->data_dir, '-l', $standby->logfile, '-w', 'promote');
	$standby->_update_pid(1);
	same($standby, $_, "$_: the same on a promoted standby, hot_standby $mode") foreach @tables;
	$standby->safe_psql('postgres', "CALL write_rows('memtable', 2101, 100)");
	set_next_xid($standby, segment_start($standby, 3));
	freeze_all($standby);
	same($standby, $_, "$_: after three million ids on it, hot_standby $mode") foreach @tables;
	$standby->safe_psql('postgres', 'SELECT nvmkv.compact()');
	same($standby, $_, "$_: the same when it is compacted, hot_standby $mode") foreach @tables;
	sound($standby, "the promoted standby is sound, hot_standby $mode");
	$standby->stop;
}

# ---- three million transaction ids, and almost half of the circle

$primary->start;
foreach my $ahead (3, 1900)
{
	my $left = segment_start($primary, 0);

	set_next_xid($primary, segment_start($primary, $ahead));
	same($primary, $_, "$_: after $ahead million transaction ids") foreach @tables;
	$primary->safe_psql('postgres', "CALL write_rows('memtable', 3000 + $ahead, 100)");
	freeze_all($primary);
	ok(!has_commit_log($primary, $left), "the commit log of $ahead million transactions is gone");
	same($primary, $_, "$_: frozen after that") foreach @tables;
}
$primary->safe_psql('postgres', 'SELECT nvmkv.compact()');
same($primary, $_, "$_: compacted") foreach @tables;
sound($primary, 'the primary is sound');
$primary->stop;

done_testing();
