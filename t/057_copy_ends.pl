# What was kept for copies goes: after crashes, when it takes too much space; and copies that cannot be used say so.
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
my $primary = new_server('primary', wal_keep_size => '1GB', 'nvmkv.copy_space_limit' => '0', 'nvmkv.nvm_path' => "$pools/pool");
my $kept = q{SELECT held_files FROM nvmkv.copies};

make_twins($primary, 5000);
$primary->safe_psql('postgres', 'SELECT nvmkv.compact()');

# Makes files obsolete until this is true.
sub compact_until
{
	my ($condition, $name) = @_;

	for (1 .. 100)
	{
		$primary->safe_psql('postgres', 'UPDATE f SET n = n + 1; UPDATE h SET n = n + 1; SELECT nvmkv.compact()');
		return ok(1, $name) if $primary->safe_psql('postgres', "SELECT coalesce(($condition), false)") eq 't';
	}
	return ok(0, $name);
}

sub table_files { return scalar(my @files = glob($primary->data_dir . '/nvmkv/*.sst')); }

sub base_backup
{
	my ($name, $out, $err) = @_;

	return IPC::Run::start([ 'pg_basebackup', '-D', $primary->backup_dir . "/$name", '-h', $primary->host, '-p', $primary->port, '-c', 'fast',
			'--max-rate=1M', '--no-sync', '-X', 'none' ], '>', $out, '2>', $err);
}

# A crash while a backup runs.
my ($out, $err) = ('', '');
my $backup = base_backup('crash', \$out, \$err);
ok($primary->poll_query_until('postgres', 'SELECT count(*) = 1 FROM nvmkv.copies WHERE position IS NOT NULL'), 'a backup runs');
compact_until('SELECT sum(held_files) > 10 FROM nvmkv.copies', 'files are kept for it');
my $files = table_files();
ok(scalar(my @points = glob($primary->data_dir . '/nvmkv/BACKUP-*')), 'there is a description');
$primary->kill9;
$backup->finish;
start_after_kill($primary);
is_deeply([ glob($primary->data_dir . '/nvmkv/BACKUP*') ], [], 'it is gone after the crash');
is($primary->safe_psql('postgres', 'SELECT count(*) FROM nvmkv.copies'), '0', 'there is no copy');
cmp_ok(table_files(), '<', $files, 'nor its files');

my $session = $primary->background_psql('postgres', on_error_stop => 0);
$session->query_safe('SELECT nvmkv.copy_start()');
compact_until('SELECT sum(held_files) > 3 FROM nvmkv.copies', 'files are kept for a session');
$session->quit;
ok($primary->poll_query_until('postgres', 'SELECT count(*) = 0 FROM nvmkv.copies'), 'a copy ends with its session');
$primary->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_ls_dir('nvmkv') AS name WHERE name LIKE 'BACKUP-%'});

# Too much space.
$primary->safe_psql('postgres', q{ALTER SYSTEM SET nvmkv.copy_space_limit = '4MB'; SELECT pg_reload_conf()});
($out, $err) = ('', '');
$backup = base_backup('space', \$out, \$err);
ok($primary->poll_query_until('postgres', 'SELECT count(*) = 1 FROM nvmkv.copies WHERE position IS NOT NULL'), 'another backup runs');
compact_until('SELECT count(*) = 0 FROM nvmkv.copies', 'it is given up');
$backup->finish;
ok($backup->result, 'pg_basebackup fails');
like($err, qr/terminating connection due to administrator command|COPY stream ended/, 'and says that it was ended');
like(slurp_file($primary->logfile), qr/the copy of the data directory that process \d+ makes cannot be used.*?kept for it exceed nvmkv\.copy_space_limit/s,
	'the log says why');

$session = $primary->background_psql('postgres', on_error_stop => 0);
$session->query_safe(q{SELECT pg_backup_start('large', true)});
compact_until('SELECT count(*) = 1 FROM nvmkv.copies WHERE broken IS NOT NULL AND held_files = 0', 'so is one by pg_backup_start()');
$session->query('SELECT pg_backup_stop()');
like($session->{stderr}, qr/this copy of the data directory cannot be used.*nvmkv\.copy_space_limit/s, 'pg_backup_stop() says so');
$session->quit;
$session = $primary->background_psql('postgres', on_error_stop => 0);
$session->query_safe('SELECT nvmkv.copy_start()');
compact_until('SELECT count(*) = 1 FROM nvmkv.copies WHERE broken IS NOT NULL', 'so is one by nvmkv.copy_start()');
$session->query('SELECT nvmkv.copy_stop()');
like($session->{stderr}, qr/this copy of the data directory cannot be used.*nvmkv\.copy_space_limit/s, 'nvmkv.copy_stop() says so');
$session->quit;
ok($primary->poll_query_until('postgres', 'SELECT count(*) = 0 FROM nvmkv.copies'), 'no copy is left');
fails($primary, 'SELECT nvmkv.copy_stop()', qr/55000.*nvmkv\.copy_start\(\) was not called/s, 'copy_stop() without copy_start()');

# A copy whose first start fails is still a copy at the second, whether its label is still there or not.
$primary->backup('pool');
my $copy = PostgreSQL::Test::Cluster->new('pool');
$copy->init_from_backup($primary, 'pool');
ok(!$copy->start(fail_ok => 1), 'a copy does not open with the pool of its source');
like(slurp_file($copy->logfile), qr/is in use by another process; give each server its own pool/, 'which says so');
ok(-e $copy->data_dir . '/backup_label', 'nothing was done');
$copy->append_conf('postgresql.conf', "nvmkv.nvm_path = '$pools/other'");
$copy->start;
twins_agree($copy, 'a copy with its own pool');
$copy->restart;
ok(!-e $copy->data_dir . '/nvmkv/RESTORE', 'it is no copy any more');
$copy->stop;

$copy = PostgreSQL::Test::Cluster->new('later');
$copy->init_from_backup($primary, 'pool', has_streaming => 1);
$copy->append_conf('postgresql.conf', "nvmkv.nvm_path = '$pools/third'");
my ($table) = glob($copy->data_dir . '/nvmkv/*.sst');
rename($table, "$pools/table") or die "rename: $!";
$copy->start;
fails($copy, 'SELECT * FROM f', qr/XX001: .*not available.*is an incomplete copy: table file .* is missing/s, 'a copy without one of its files');
ok(!-e $copy->data_dir . '/backup_label', 'the label has been used up');
$copy->stop;
rename("$pools/table", $table) or die "rename: $!";
$copy->start;
$copy->promote;
twins_agree($copy, 'the completed copy');
$copy->stop;

# A copier that nobody knows: a backup label from elsewhere, so to say.
$primary->safe_psql('postgres', q{ALTER SYSTEM RESET nvmkv.copy_space_limit; SELECT pg_reload_conf()});

{
	my $name = 'unknown';
	my $dir = $primary->backup_dir . "/$name";
	my ($redo, $checkpoint) = split /\|/, $primary->safe_psql('postgres', 'CHECKPOINT; SELECT redo_lsn, checkpoint_lsn FROM pg_control_checkpoint()');
	my $wal = $primary->safe_psql('postgres', "SELECT pg_walfile_name('$redo')");

	$primary->safe_psql('postgres', 'UPDATE f SET n = n + 1 WHERE k < 100; UPDATE h SET n = n + 1 WHERE k < 100; SELECT nvmkv.compact()');
	system_or_bail('sh', '-c', "cp -a '" . $primary->data_dir . "' '$dir' 2>/dev/null; rm -f '$dir/postmaster.pid'");
	my $end = $primary->safe_psql('postgres', 'CREATE TABLE IF NOT EXISTS nothing(); SELECT pg_switch_wal()');
	system_or_bail('sh', '-c', "cp -a '" . $primary->data_dir . "'/pg_wal/0* '$dir/pg_wal/'");
	append_to_file("$dir/backup_label", "START WAL LOCATION: $redo (file $wal)\nCHECKPOINT LOCATION: $checkpoint\nBACKUP METHOD: pg_rewind\n"
		. "BACKUP FROM: standby\nSTART TIME: 2026-01-01 00:00:00 UTC\n");
	$copy = PostgreSQL::Test::Cluster->new($name);
	rename($dir, $copy->data_dir) or die "rename: $!";
	$copy->append_conf('postgresql.conf', join("\n", 'port = ' . $copy->port, "unix_socket_directories = '" . $copy->host . "'", ''));
	ok(!$copy->start(fail_ok => 1), 'a copy by an unknown copier, which the server refuses, too');
	like(slurp_file($copy->logfile),
		qr/not available: .*is a copy without a description of its tables.*SELECT nvmkv\.copy_start\(\) on the source/s,
		'and its tables say what to do');
}

twins_agree($primary, 'the source');
$primary->stop;
done_testing();
