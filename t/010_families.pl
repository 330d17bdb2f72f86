# Column families outlive crashes, reach standbys and backups, and keep to themselves what is theirs.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my %settings = ('nvmkv.max_column_families' => 4, wal_keep_size => '1GB'); # nobody waits for the standby
my $primary = new_server('primary', %settings);
my $sums = q{
	SELECT 'hot' AS t, count(*), sum(k), sum(length(v)) FROM hot UNION ALL
	SELECT 'cold', count(*), sum(k), sum(length(v)) FROM cold UNION ALL
	SELECT 'plain', count(*), sum(k), sum(length(v)) FROM plain
	ORDER BY 1
};
my $families = 'SELECT number, column_family FROM nvmkv.column_families ORDER BY 1';

$primary->backup('early');
my $early = PostgreSQL::Test::Cluster->new('early');
$early->init_from_backup($primary, 'early', has_streaming => 1);
$early->start;

$primary->safe_psql('postgres', q{
	CREATE SERVER hot FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'hot', max_write_buffers '2');
	CREATE SERVER cold FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'cold', nvm 'off');
	CREATE FOREIGN TABLE hot (k int NOT NULL, v text) SERVER hot OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE cold (k int NOT NULL, v text) SERVER cold OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE plain (k int NOT NULL, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	INSERT INTO hot SELECT g, repeat('h', 200) FROM generate_series(1, 20000) g;
	INSERT INTO cold SELECT g, repeat('c', 300) FROM generate_series(1, 20000) g;
	INSERT INTO plain SELECT g, repeat('p', 100) FROM generate_series(1, 20000) g;
});
my $expected = $primary->safe_psql('postgres', $sums);

$primary->wait_for_catchup($early, 'replay', $primary->lsn('insert'));
is($early->safe_psql('postgres', $sums), $expected, 'a standby that was there before makes the families');
is($early->safe_psql('postgres', $families), "0|default\n1|hot\n2|cold", 'under their numbers');

# A transaction over all families is there whole, or not at all, after a crash in which memtables were not flushed.
$primary->safe_psql('postgres', q{
	CHECKPOINT;
	BEGIN;
	UPDATE hot SET v = v || 'x' WHERE k % 10 = 0;
	DELETE FROM cold WHERE k % 10 = 0;
	INSERT INTO plain SELECT -k, 'committed' FROM hot WHERE k % 10 = 0;
	COMMIT;
});
$expected = $primary->safe_psql('postgres', $sums);
my $open = $primary->background_psql('postgres');
$open->query_safe(q{
	BEGIN;
	UPDATE hot SET v = 'lost';
	DELETE FROM cold;
	INSERT INTO plain SELECT -100000 - k, 'lost' FROM hot;
});
$primary->kill9;
$open->{run}->kill_kill;
start_after_kill($primary);
is($primary->safe_psql('postgres', $sums), $expected, 'committed rows of all families are there after a kill, others are not');
sound($primary, 'all families are sound');

# A backup while the families are written.
$primary->backup('late');
my $late = PostgreSQL::Test::Cluster->new('late');
$late->init_from_backup($primary, 'late');
$late->start;
is($late->safe_psql('postgres', $sums), $expected, 'a backup has the families');
$late->stop;

# On a standby, too, who looks at the statistics of a family is waited for by who drops it.
my $reader = $early->background_psql('postgres');
my $storage = $primary->safe_psql('postgres', q{
	SELECT storage_id FROM nvmkv.stat_tables WHERE relname = 'hot'
});
$reader->query_safe('BEGIN');
$reader->query_safe("SELECT * FROM nvmkv.storage_estimate($storage)");
$reader->query_safe('SELECT count(*) FROM nvmkv.stat_levels');

# A dropped family's number serves another; what the log says of the first is not taken for the second's.
$primary->safe_psql('postgres', q{INSERT INTO hot SELECT 100000 + g, 'of a dropped family' FROM generate_series(1, 1000) g});
$primary->safe_psql('postgres', 'DROP FOREIGN TABLE hot; DROP SERVER hot');
$primary->safe_psql('postgres', q{SELECT nvmkv.drop_column_family('hot')});
$primary->safe_psql('postgres', q{
	CREATE SERVER hot FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'warm');
	CREATE FOREIGN TABLE hot (k int NOT NULL, v text) SERVER hot OPTIONS (primary_key 'k');
	INSERT INTO hot SELECT g, 'warm' FROM generate_series(1, 100) g;
});
$expected = $primary->safe_psql('postgres', $sums);
like($expected, qr/^hot\|100\|5050\|400$/m, 'the new family has its own rows alone');
is($primary->safe_psql('postgres', $families), "0|default\n1|warm\n2|cold", 'and the number of the dropped one');
is($primary->safe_psql('postgres', 'SELECT entries FROM nvmkv.storage_estimate(3::int8 << 56)'), '0', 'nothing is estimated of a family that is not there');
ok($early->poll_query_until('postgres', q{
	SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE backend_type = 'startup'
}), 'a standby does not drop a family whose statistics are read');
like($early->safe_psql('postgres', $families), qr/^1\|hot$/m, 'it is still there');
$reader->query_safe('SELECT count(*) FROM nvmkv.stat_levels');
$reader->query_safe('COMMIT');
$reader->quit;
$primary->wait_for_catchup($early, 'replay', $primary->lsn('insert'));
is($early->safe_psql('postgres', $sums), $expected, 'also on the standby');
is($early->safe_psql('postgres', $families), "0|default\n1|warm\n2|cold", 'with the same numbers');

$primary->kill9;
start_after_kill($primary);
is($primary->safe_psql('postgres', $sums), $expected, 'and after a kill');
is($primary->safe_psql('postgres', $families), "0|default\n1|warm\n2|cold", 'with the same families');

# Fewer than there are: those stay.
$primary->stop;
$primary->append_conf('postgresql.conf', "nvmkv.max_column_families = 2\n");
$primary->start;
is($primary->safe_psql('postgres', $sums), $expected, 'a setting smaller than the number of families costs none of them');
$primary->stop;
$primary->append_conf('postgresql.conf', "nvmkv.max_column_families = 4\n");
$primary->start;
is($primary->safe_psql('postgres', $sums), $expected, 'nothing is lost by that');

# The standby takes over.
$primary->stop;
$early->promote;
$early->safe_psql('postgres', q{INSERT INTO cold VALUES (-1, 'promoted'); CHECKPOINT});
is($early->safe_psql('postgres', 'SELECT v FROM cold WHERE k = -1'), 'promoted', 'a promoted standby writes to the families');
sound($early, 'and is sound');
$early->stop;

done_testing();
