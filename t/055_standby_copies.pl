# Base backups of a standby while its primary is written: whatever it replays, flushes and compacts meanwhile, each
# opens and has what a heap table has.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rounds = $ENV{NVMKV_COPY_ROUNDS} // 2;
my $primary = new_server('primary', wal_keep_size => '1GB', 'nvmkv.copy_space_limit' => 0, 'nvmkv.l0_write_amplification' => 1.5, 'nvmkv.max_column_families' => 3);

make_twins($primary);
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', 'track_activities = off');
$standby->start;
my $writer = start_writing($primary);

# What is replayed has checkpoints, too.
my ($out, $err) = ('', '');
my $checkpoints = IPC::Run::start([ 'psql', '-X', '-d', $primary->connstr('postgres'), '-c',
		q{DO $$BEGIN LOOP PERFORM pg_sleep(1); PERFORM nvmkv.flush(); END LOOP; END$$} ], '>', \$out, '2>', \$err);

for my $round (1 .. $rounds)
{
	my $dir = $standby->backup_dir . "/live$round";
	my ($bout, $berr) = ('', '');
	my $backup = IPC::Run::start([ 'pg_basebackup', '-D', $dir, '-h', $standby->host, '-p', $standby->port, '-c', 'fast',
			'--max-rate=16M', '--no-sync' ], '>', \$bout, '2>', \$berr);

	ok($standby->poll_query_until('postgres', q{SELECT count(*) > 0 FROM nvmkv.copies WHERE kind = 'base backup' AND position IS NOT NULL}),
		"round $round: the backup is shown");
	$primary->safe_psql('postgres', q{
		CREATE SERVER extra FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'extra');
		CREATE FOREIGN TABLE g (k int NOT NULL) SERVER extra OPTIONS (primary_key 'k');
		INSERT INTO g SELECT generate_series(1, 1000);
	}) if $round == 1;
	$primary->safe_psql('postgres', 'CHECKPOINT');
	$standby->safe_psql('postgres', 'CHECKPOINT; SELECT nvmkv.compact()');
	$backup->finish;
	ok(!$backup->result, "round $round: the backup is made") or diag($berr);
	command_ok([ 'pg_verifybackup', '-n', $dir ], "round $round: pg_verifybackup accepts it");

	my $copy = PostgreSQL::Test::Cluster->new("copy$round");
	$copy->init_from_backup($standby, "live$round", $round % 2 == 0 ? (has_streaming => 1) : ());
	$copy->start;
	if ($round % 2 == 0)
	{
		$standby->wait_for_catchup($copy, 'replay', $standby->lsn('replay'));
		# A standby that streams from here is no copy any more.
		ok($standby->poll_query_until('postgres', q{SELECT count(*) = 0 FROM nvmkv.copies}), "round $round: streaming is no copy");
	}
	$copy->poll_query_until('postgres', 'SELECT sum(k) = 500500 FROM g');
	$copy->promote;
	twins_agree($copy, "round $round");
	is($copy->safe_psql('postgres', 'SELECT sum(k) FROM g'), '500500', "round $round: a column family made meanwhile");
	$copy->stop;
}

# A column family that is dropped ends a backup that has it.
{
	my ($bout, $berr) = ('', '');
	my $backup = IPC::Run::start([ 'pg_basebackup', '-D', $standby->backup_dir . '/dropped', '-h', $standby->host, '-p', $standby->port, '-c', 'fast',
			'--max-rate=8M', '--no-sync' ], '>', \$bout, '2>', \$berr);

	# It stands still until the standby has replayed that.
	$standby->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_replication WHERE state = 'backup'});
	$backup->signal('STOP');
	$primary->safe_psql('postgres', 'DROP FOREIGN TABLE g');
	$primary->safe_psql('postgres', q{SELECT nvmkv.drop_column_family('extra')});
	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('write'));
	$backup->signal('CONT');
	$backup->finish;
	ok($backup->result, 'a backup ends when a column family is dropped');
	ok($standby->log_contains('cannot be used\n.*DETAIL:  A column family was dropped'), 'the log says so');
}

# By hand, on the standby: between pg_backup_start() and pg_backup_stop(), and between the functions for tools that do
# without them.
for my $how ('pg_backup_start', 'copy_start')
{
	my $session = $standby->background_psql('postgres', on_error_stop => 1);
	my $dir = $standby->backup_dir . "/$how";
	my $data = $standby->data_dir;
	my $label;

	$session->query_safe($how eq 'copy_start' ? 'SELECT nvmkv.copy_start()' : q{SELECT pg_backup_start('by hand', true)});
	my ($redo, $checkpoint, $wal) = split /\|/,
		$standby->safe_psql('postgres', 'SELECT redo_lsn, checkpoint_lsn, redo_wal_file FROM pg_control_checkpoint()');
	$standby->safe_psql('postgres', 'SELECT nvmkv.compact()');
	system_or_bail('sh', '-c', "cp -a '$data' '$dir' 2>/dev/null; cp '$data/global/pg_control' '$dir/global/pg_control'");
	$standby->safe_psql('postgres', 'SELECT nvmkv.compact()');
	if ($how eq 'copy_start')
	{
		$label = "START WAL LOCATION: $redo (file $wal)\nCHECKPOINT LOCATION: $checkpoint\nBACKUP METHOD: pg_rewind\n"
			. "BACKUP FROM: standby\nSTART TIME: 2026-01-01 00:00:00 UTC\n";
		$session->query_safe('SELECT nvmkv.copy_stop()');
	}
	else
	{
		$label = $session->query_safe(q{SELECT labelfile FROM pg_backup_stop(false)}) . "\n";
	}
	$session->quit;
	system_or_bail('sh', '-c', "rm -f '$dir/postmaster.pid' '$dir'/pg_wal/0*; cp -a '$data'/pg_wal/0* '$dir/pg_wal/'");
	append_to_file("$dir/backup_label", $label);
	my $hand = PostgreSQL::Test::Cluster->new($how);
	$hand->init_from_backup($standby, $how, has_streaming => 1);
	$hand->start;
	$standby->wait_for_catchup($hand, 'replay', $standby->lsn('replay'));
	$hand->promote;
	twins_agree($hand, $how);
	$hand->stop;
}

# Promoted meanwhile: the server's own error.
my ($bout, $berr) = ('', '');
my $backup = IPC::Run::start([ 'pg_basebackup', '-D', $standby->backup_dir . '/promoted', '-h', $standby->host, '-p', $standby->port,
		'-c', 'fast', '--max-rate=8M', '--no-sync' ], '>', \$bout, '2>', \$berr);
$standby->poll_query_until('postgres', q{SELECT count(*) > 0 FROM nvmkv.copies WHERE kind = 'base backup' AND position IS NOT NULL});
$standby->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_stat_replication WHERE state = 'backup'});
$backup->signal('STOP');
$standby->promote;
$backup->signal('CONT');
$backup->finish;
ok($backup->result, 'a backup of a standby that is promoted meanwhile fails');
like($berr, qr/the standby was promoted during online backup/, 'with the server\'s message');

ok($standby->poll_query_until('postgres', q{SELECT count(*) = 0 FROM nvmkv.copies}), 'no copy is left');
ok($standby->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_ls_dir('nvmkv') AS name WHERE name LIKE 'BACKUP-%'}),
	'no description is left');
twins_agree($standby, 'the promoted standby');
stop_writing($primary, $writer);
$checkpoints->finish;
$standby->stop;
$primary->stop;
done_testing();
