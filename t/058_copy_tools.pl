# pgBackRest (full, differential, incremental, of a standby, restore, point in time) and Barman (rsync, here and over ssh, and
# streaming) with a server that is written, flushed and compacted meanwhile.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Cwd ();
use IPC::Run;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $long = $ENV{NVMKV_LONG}; # all kinds of backups; else some
my $user = getpwuid($>);
my $dir = PostgreSQL::Test::Utils::tempdir;

sub write_file
{
	my ($path, $text) = @_;

	open(my $file, '>', $path) or die "$path: $!";
	print $file $text;
	close($file);
	return;
}

mkdir("$dir/$_") or die "$dir/$_: $!" for qw(repo log lock spool barman barman.d incoming);

my $rest = "pgbackrest --config=$dir/pgbackrest.conf --stanza=demo";
my $primary = new_server(
	'primary',
	archive_mode => 'on',
	archive_command => "$rest archive-push %p && cp %p $dir/barman/rsync/incoming/%f && cp %p $dir/barman/ssh/incoming/%f",
	'nvmkv.copy_space_limit' => 0, # on a busy machine a copy may take long
	'nvmkv.l0_write_amplification' => 1.5);
my ($data, $host, $port) = ($primary->data_dir, $primary->host, $primary->port);

write_file("$dir/pgbackrest.conf", <<"END");
[global]
repo1-path=$dir/repo
repo1-retention-full=9
log-path=$dir/log
lock-path=$dir/lock
spool-path=$dir/spool
log-level-file=off
start-fast=y
compress-type=none
archive-timeout=600
exclude=nvmkv/level0.pool
[demo]
pg1-path=$data
pg1-socket-path=$host
pg1-port=$port
pg1-user=$user
END

# The same with a standby, whose files are copied where they are like the primary's.
my $of_standby = "pgbackrest --config=$dir/pgbackrest_standby.conf --stanza=demo";

sub configure_standby
{
	my ($standby) = @_;

	write_file("$dir/pgbackrest_standby.conf", slurp_file("$dir/pgbackrest.conf") . join("\n", 'pg2-path=' . $standby->data_dir,
		'pg2-socket-path=' . $standby->host, 'pg2-port=' . $standby->port, "pg2-user=$user", '[global:backup]', 'backup-standby=y', ''));
	return;
}

write_file("$dir/barman.conf", <<"END");
[barman]
barman_user = $user
configuration_files_directory = $dir/barman.d
barman_home = $dir/barman
barman_lock_directory = $dir/lock
log_file = $dir/log/barman.log
log_level = INFO
END
my $conninfo = "host=$host port=$port user=$user dbname=postgres";
my ($path_prefix) = grep { -x "$_/pg_basebackup" } split(/:/, $ENV{PATH});
write_file("$dir/barman.d/streaming.conf", <<"END");
[streaming]
description = "streaming"
conninfo = $conninfo
streaming_conninfo = host=$host port=$port user=$user
backup_method = postgres
streaming_archiver = on
slot_name = barman
path_prefix = "$path_prefix"
archiver = off
immediate_checkpoint = true
END
write_file("$dir/barman.d/rsync.conf", <<"END");
[rsync]
description = "rsync"
conninfo = $conninfo
backup_method = local-rsync
reuse_backup = link
archiver = on
immediate_checkpoint = true
END
system_or_bail('mkdir', '-p', "$dir/barman/rsync/incoming", "$dir/barman/ssh/incoming", "$dir/ssh");

# A server of its own for ssh; the methods of Barman's that there are: the short test has one.
my @methods = ('rsync');
my $sshd;

sub start_sshd
{
	my $ssh_port = PostgreSQL::Test::Cluster::get_free_port();
	my ($out, $err) = ('', '');

	system_or_bail('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', "$dir/ssh/$_") for qw(host key);
	write_file("$dir/ssh/config", join("\n", "Port $ssh_port", 'ListenAddress 127.0.0.1', "HostKey $dir/ssh/host", "AuthorizedKeysFile $dir/ssh/key.pub",
		'StrictModes no', 'UsePAM no', 'PasswordAuthentication no', "PidFile $dir/ssh/pid", ''));
	$sshd = IPC::Run::start([ '/usr/sbin/sshd', '-D', '-e', '-f', "$dir/ssh/config" ], '>', \$out, '2>', \$err);
	$sshd->pump until $err =~ /Server listening/ || !$sshd->pumpable;
	write_file("$dir/barman.d/ssh.conf", <<"END");
[ssh]
description = "ssh"
conninfo = $conninfo
ssh_command = ssh -F none -p $ssh_port -i $dir/ssh/key -o BatchMode=yes -o LogLevel=ERROR -o StrictHostKeyChecking=no -o UserKnownHostsFile=$dir/ssh/known $user\@127.0.0.1
backup_method = rsync
reuse_backup = link
archiver = on
immediate_checkpoint = true
END
	return;
}

if ($long)
{
	push @methods, 'streaming';
	# scripts/long_tests.sh sees to it.
	if (-x '/usr/sbin/sshd')
	{
		start_sshd();
		push @methods, 'ssh';
	}
	else
	{
		note('no openssh-server: Barman over ssh is left out');
	}
}

sub barman { return ('barman', '-c', "$dir/barman.conf", @_); }

make_twins($primary, $long ? 10000 : 2000);
$primary->safe_psql('postgres', q{
	CREATE FOREIGN TABLE mark_f (t text NOT NULL) SERVER nvmkv OPTIONS (primary_key 't');
	CREATE TABLE mark_h (t text);
});
my $writer = start_writing($primary);
my ($out, $err) = ('', '');
my $busy = IPC::Run::start([ 'psql', '-X', '-d', $primary->connstr('postgres'), '-c',
		q{DO $$BEGIN LOOP PERFORM nvmkv.compact(); PERFORM pg_sleep(1); END LOOP; END$$} ], '>', \$out, '2>', \$err);

sub mark
{
	my ($text) = @_;

	$primary->safe_psql('postgres', "BEGIN; INSERT INTO mark_f VALUES ('$text'); INSERT INTO mark_h VALUES ('$text'); COMMIT");
	return;
}

# A restored directory is a server whose tables agree, and has these marks.
sub opens
{
	my ($node, $marks, $name) = @_;

	$node->append_conf('postgresql.conf', join("\n", "port = " . $node->port, "unix_socket_directories = '" . $node->host . "'", 'archive_mode = off', ''));
	ok($node->start(fail_ok => 1), "$name: starts") or return;
	$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
	twins_agree($node, $name);
	is($node->safe_psql('postgres', q{SELECT string_agg(t, ' ' ORDER BY t) FROM mark_f}), $marks, "$name: what was written before, and no more");
	is($node->safe_psql('postgres', q{SELECT string_agg(t, ' ' ORDER BY t) FROM mark_h}), $marks, "$name: as in a heap table");
	$node->stop;
	return;
}

# pgBackRest
command_ok([ split(/ /, $rest), 'stanza-create' ], 'pgbackrest stanza-create');
command_ok([ split(/ /, $rest), 'check' ], 'pgbackrest check');
for my $type ($long ? qw(full diff incr) : qw(full incr))
{
	mark("a-$type");
	command_ok([ split(/ /, $rest), 'backup', "--type=$type" ], "pgbackrest backup --type=$type");
}
mark('b-before');
$primary->safe_psql('postgres', q{SELECT pg_create_restore_point('here')});
mark('c-after');
$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');

my ($full) = `$rest info --output=json` =~ /"label":"(\d+-\d+F)"/;
my $node = PostgreSQL::Test::Cluster->new('pit');
command_ok([ split(/ /, $rest), '--pg1-path=' . $node->data_dir, '--type=name', '--target=here', '--target-action=promote', 'restore' ],
	'pgbackrest restore of the incremental backup, to a point in time');
my $marks = ($long ? 'a-diff ' : '') . 'a-full a-incr b-before';
opens($node, $marks, 'point in time');
if ($long)
{
	$node = PostgreSQL::Test::Cluster->new('full');
	command_ok([ split(/ /, $rest), '--pg1-path=' . $node->data_dir, "--set=$full", '--type=immediate', '--target-action=promote', 'restore' ],
		'pgbackrest restore of the full backup');
	opens($node, 'a-full', 'full');
}

if ($long)
{
	$primary->backup('standby');
	my $standby = PostgreSQL::Test::Cluster->new('standby');
	$standby->init_from_backup($primary, 'standby', has_streaming => 1);
	$standby->append_conf('postgresql.conf', 'archive_mode = off');
	$standby->start;
	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
	configure_standby($standby);
	mark('c-standby');
	command_ok([ split(/ /, $of_standby), 'backup', '--type=full' ], 'pgbackrest backup of a standby');
	mark('c-then');
	$node = PostgreSQL::Test::Cluster->new('of_standby');
	command_ok([ split(/ /, $rest), '--pg1-path=' . $node->data_dir, '--type=immediate', '--target-action=promote', 'restore' ],
		'pgbackrest restore of that');
	opens($node, "$marks c-after c-standby", 'of a standby');
	$standby->stop;
	$marks .= ' c-after c-standby c-then';
}
else
{
	$marks .= ' c-after';
}

# Barman
my $receiver;
if ($long)
{
	my ($rout, $rerr) = ('', '');

	command_ok([ barman('receive-wal', '--create-slot', 'streaming') ], 'barman receive-wal --create-slot');
	$receiver = IPC::Run::start([ barman('receive-wal', 'streaming') ], '>', \$rout, '2>', \$rerr);
	$primary->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_replication WHERE state = 'streaming'});
}
mark('d-barman');
# Barman wants an archive before it makes a backup.
command_ok([ barman('switch-wal', '--force', '--archive', $_) ], "barman switch-wal $_") for @methods;
command_ok([ barman('backup', $_) ], "barman backup $_") for @methods;
mark('e-second');
if ($long)
{
	command_ok([ barman('backup', $_) ], "barman backup $_, which shares files with the first") for grep { $_ ne 'streaming' } @methods;
}
mark('f-last');
$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');

for my $method (@methods)
{
	command_ok([ barman('switch-wal', '--force', '--archive', $method) ], "barman switch-wal $method at the end");
	$node = PostgreSQL::Test::Cluster->new("barman_$method");
	command_ok([ barman('recover', $method, 'latest', $node->data_dir) ], "barman recover $method");
	opens($node, "$marks d-barman e-second f-last", "barman $method");
}
if ($long)
{
	$receiver->signal('INT');
	$receiver->finish;
}
$sshd->kill_kill if defined $sshd;

ok($primary->poll_query_until('postgres', 'SELECT count(*) = 0 FROM nvmkv.copies'), 'no copy is left');
stop_writing($primary, $writer);
$busy->finish;
twins_agree($primary, 'the source');
$primary->stop('immediate');
done_testing();
