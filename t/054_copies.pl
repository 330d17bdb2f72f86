# Copies of a primary's files: by pg_basebackup with the server's progress reports off, several at once and slow, by
# pg_backup_start() and by hand, and as an image of all files at one moment.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_server('primary', wal_keep_size => '1GB', 'nvmkv.copy_space_limit' => 0, track_activities => 'off', 'nvmkv.l0_write_amplification' => 1.5);

make_twins($primary);
my $writer = start_writing($primary);

# What is made of a copy: it starts, its tables agree, it can be written.
sub opens
{
	my ($copy, $name) = @_;

	ok($copy->start(fail_ok => 1), "$name: starts") or return;
	$copy->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
	twins_agree($copy, $name);
	$copy->stop;
	return;
}

sub copy_of
{
	my ($name, $dir) = @_;
	my $copy = PostgreSQL::Test::Cluster->new($name);

	rename($dir, $copy->data_dir) or die "rename: $!";
	chmod(0700, $copy->data_dir);
	$copy->append_conf('postgresql.conf', join("\n", 'port = ' . $copy->port, "unix_socket_directories = '" . $copy->host . "'", ''));
	return $copy;
}

# Two at once, which meet several checkpoints: they stand still meanwhile.
my @backups = map {
	my ($out, $err) = ('', '');
	IPC::Run::start([ 'pg_basebackup', '-D', $primary->backup_dir . "/slow$_", '-h', $primary->host, '-p', $primary->port,
			'-c', 'fast', '--max-rate=8M', '--no-sync' ], '>', \$out, '2>', \$err);
} 1 .. 2;
ok($primary->poll_query_until('postgres', q{SELECT count(*) = 2 FROM nvmkv.copies WHERE kind = 'base backup' AND position IS NOT NULL}),
	'both backups are shown');
$_->signal('STOP') for @backups;
for (1 .. 3)
{
	$primary->safe_psql('postgres', 'CHECKPOINT; SELECT nvmkv.compact()');
}
cmp_ok($primary->safe_psql('postgres', 'SELECT max(held_bytes) FROM nvmkv.copies'), '>', 0, 'files are kept for them');
$_->signal('CONT') for @backups;
$_->finish for @backups;
for (1 .. 2)
{
	command_ok([ 'pg_verifybackup', '-n', $primary->backup_dir . "/slow$_" ], "slow $_: pg_verifybackup accepts it");
	opens(copy_of("slow$_", $primary->backup_dir . "/slow$_"), "slow $_");
}

# By hand.
my $session = $primary->background_psql('postgres', on_error_stop => 1);
$session->query_safe(q{SELECT pg_backup_start('by hand', true)});
is($primary->safe_psql('postgres', q{SELECT kind || (position IS NOT NULL) FROM nvmkv.copies}), 'pg_backup_starttrue', 'pg_backup_start() is shown');
$primary->safe_psql('postgres', 'CHECKPOINT; SELECT nvmkv.compact()');
my $dir = $primary->backup_dir . '/hand';
system_or_bail('sh', '-c', "cp -a '" . $primary->data_dir . "' '$dir' 2>/dev/null; true");
$primary->safe_psql('postgres', 'SELECT nvmkv.compact(); CHECKPOINT');
my $label = $session->query_safe(q{SELECT labelfile FROM pg_backup_stop(false)});
$session->quit;
unlink("$dir/postmaster.pid", "$dir/postmaster.opts");
system_or_bail('sh', '-c', "rm -rf '$dir'/pg_wal/*; cp -a '" . $primary->data_dir . "'/pg_wal/0* '$dir/pg_wal/'; mkdir -p '$dir/pg_wal/archive_status'");
append_to_file("$dir/backup_label", "$label\n");
opens(copy_of('hand', $dir), 'by hand');

# All files at one moment, outside of any backup: an image as a crash leaves it.
sub image
{
	my ($to) = @_;
	my ($pid) = slurp_file($primary->data_dir . '/postmaster.pid') =~ /^(\d+)/;
	my @all = ($pid, map { m{/proc/(\d+)/stat} && parent_of($1) == $pid ? $1 : () } glob('/proc/[0-9]*/stat'));

	kill('STOP', @all);
	system_or_bail('cp', '-a', $primary->data_dir, $to);
	kill('CONT', reverse @all);
	unlink("$to/postmaster.pid");
	return;
}

sub parent_of
{
	my ($pid) = @_;
	open(my $stat, '<', "/proc/$pid/stat") or return 0;
	my ($parent) = (<$stat> // '') =~ /\) \S (\d+)/;
	return $parent // 0;
}

image($primary->backup_dir . '/image');
opens(copy_of('image', $primary->backup_dir . '/image'), 'an image');

$session = $primary->background_psql('postgres', on_error_stop => 1);
$session->query_safe(q{SELECT pg_backup_start('image', true)});
$primary->safe_psql('postgres', 'SELECT nvmkv.compact()');
$dir = $primary->backup_dir . '/image2';
image($dir);
ok(scalar(glob("$dir/nvmkv/BACKUP-*")), 'an image during a backup has its description');
$label = $session->query_safe(q{SELECT labelfile FROM pg_backup_stop(false)});
$session->quit;
system_or_bail('cp', '-a', $dir, "${dir}_labelled");
my $as_crash = copy_of('image2', $dir);
opens($as_crash, 'an image during a backup');
is(scalar(glob($as_crash->data_dir . '/nvmkv/BACKUP-*')), undef, 'descriptions that came along go');
system_or_bail('sh', '-c', "cp -a '" . $primary->data_dir . "'/pg_wal/0* '${dir}_labelled/pg_wal/'");
append_to_file("${dir}_labelled/backup_label", "$label\n");
opens(copy_of('image3', "${dir}_labelled"), 'the same with its label');

ok($primary->poll_query_until('postgres', q{SELECT count(*) = 0 FROM nvmkv.copies}), 'no copy is left');
ok($primary->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_ls_dir('nvmkv') AS name WHERE name LIKE 'BACKUP-%'}),
	'no description is left');
stop_writing($primary, $writer);
twins_agree($primary, 'the source');
$primary->stop;
done_testing();
