# What happens to a cluster in a long life, at random and fast: writers, checkpoints, crashes, kills, backups of primary and
# standby, restores, recovery to a point in time, promotions, rewinds, truncations of the commit log, damage.  Foreign tables
# and their heap twins change in the same transactions, so they are equal in every snapshot of every server and copy.
#
# NVMKV_LIFE_SECONDS=n goes on for n seconds (else a few steps), NVMKV_SEED=n repeats the choices, NVMKV_LIFE_STEPS=a,b,c
# does these and no others.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use File::Copy;
use File::Path qw(rmtree);
use IPC::Run;
use Life;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::RecursiveCopy;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $seconds = $ENV{NVMKV_LIFE_SECONDS} || 0;
my $seed = $ENV{NVMKV_SEED} // ($seconds ? int(time) : 1);
my @script = split /,/, $ENV{NVMKV_LIFE_STEPS} // ($seconds ? '' : 'clog,kill,damage,backup_standby,rewind');

srand($seed);
note("seed $seed");
my $rows = $seconds ? 15000 : 4000;

sub pick { return $_[ int rand @_ ] }
sub chance { return rand() < $_[0] }

# ---------------------------------------------------------------- servers

my $serial = 0;   # of servers and backups
my $primary;
my $standby;      # may be undefined for a while
my @backups;      # [name, of which server] that have not been restored yet
my $point;        # name and number of a restore point that the last backup of the primary can reach, or undefined
my @writers;
my $prepared = 0;

my %conf = (
	max_prepared_transactions => 20,
	wal_log_hints => 'on',
	wal_keep_size => '2GB',
	max_wal_size => '1GB',
	hot_standby => 'on',
	# A query of a standby that waits for a lock which recovery holds, while recovery waits for its snapshot, is cancelled.
	max_standby_streaming_delay => '30s',
	max_standby_archive_delay => '30s',
	restart_after_crash => 'on',
	autovacuum_naptime => '5s',
	checkpoint_timeout => '30s',
	log_min_messages => 'log',
	fsync => 'off',
	'nvmkv.max_column_families' => 2);

sub new_primary
{
	$primary = PostgreSQL::Test::Cluster->new('life' . ++$serial);
	$primary->init(allows_streaming => 1, has_archiving => 1);
	$primary->append_conf('postgresql.conf', settings(%conf));
	$primary->start;
	$primary->safe_psql('postgres', life_schema($rows));
	return;
}

sub drop_server
{
	my ($node) = @_;

	return unless defined $node;
	$node->stop('immediate') if defined $node->{_pid};
	rmtree($node->data_dir);
	rmtree($node->archive_dir) if -d $node->archive_dir && $node != $primary;
	return;
}

sub new_standby
{
	my ($of) = @_;
	my $name = 'life' . ++$serial;

	($of // $primary)->backup("for_$name");
	$standby = PostgreSQL::Test::Cluster->new($name);
	$standby->init_from_backup($of // $primary, "for_$name", has_streaming => 1);
	rmtree(($of // $primary)->backup_dir . "/for_$name");
	follow($standby, $primary);
	$standby->start;
	return;
}

# What a standby needs to follow another primary than the one it was made from.
sub follow
{
	my ($node, $other) = @_;
	my $connstr = $other->connstr;

	$node->append_conf('postgresql.conf', "primary_conninfo = '$connstr application_name=" . $node->name . "'\n");
	$node->append_conf('postgresql.conf', "archive_mode = off\nrestore_command = ''\n");
	return;
}

sub catch_up
{
	my $lsn = $primary->safe_psql('postgres', 'SELECT pg_current_wal_insert_lsn()');

	$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
	return $standby->poll_query_until('postgres', "SELECT pg_last_wal_replay_lsn() >= '$lsn'");
}

# ---------------------------------------------------------------- writers

sub start_writers
{
	return if @writers;
	for my $who (0, 1)
	{
		my $io = { out => '', err => '' };

		$io->{run} = IPC::Run::start([ 'psql', '-X', '-d', $primary->connstr('postgres'), '-c', "CALL work($who)" ],
			'>', \$io->{out}, '2>', \$io->{err});
		push @writers, $io;
	}
	return;
}

# Ends them; what they say must be what they were told to.
sub stop_writers
{
	my ($expected) = @_;

	return unless @writers;
	$primary->psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL work%'})
	  if defined $primary->{_pid};
	$_->{run}->finish for @writers;
	for (@writers)
	{
		fail("a writer failed: $_->{err}")
		  if $_->{err} !~ /terminating connection|closed the connection|the database system is|not available|Permission denied|deadlock detected|could not connect|No such file/;
	}
	@writers = ();
	return;
}

# Lets writers do something.
sub let_them_write
{
	my $until = $primary->safe_psql('postgres', 'SELECT n FROM tick') + ($seconds ? 20 + int rand 60 : 5 + int rand 10);

	start_writers();
	for (1 .. 20)
	{
		return 1 if $primary->poll_query_until('postgres', "SELECT n >= $until FROM tick");
	}
	return 0;
}

# ---------------------------------------------------------------- what must be true

my %failed;

sub agree
{
	my ($node, $what) = @_;
	my $found = eval { differences($node) };

	$found = $@ if $@;
	is(substr($found, 0, 2000), '', "$what: the twins agree") or $failed{$what} = 1;
	my $check = eval { ask($node, q{SELECT * FROM nvmkv.check('f') UNION ALL SELECT * FROM nvmkv.check('f_apart') UNION ALL SELECT * FROM nvmkv.check('f_log')}) };
	is($@ || $check, '', "$what: the engine finds itself sound") or $failed{$what} = 1;
	return;
}

# A copy that is started, compared, written to, killed, compared again, and thrown away.
sub try_copy
{
	my ($copy, $what) = @_;

	unlink $copy->data_dir . '/standby.signal'; # of a standby's copy
	if (!$copy->start(fail_ok => 1))
	{
		fail("$what: it starts");
		diag(substr(slurp_file($copy->logfile), -3000));
		$failed{$what} = 1;
		return;
	}
	$copy->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
	agree($copy, $what);
	$copy->safe_psql('postgres', $_)
	  for grep { $_ } split /\n/,
	  $copy->safe_psql('postgres', q{SELECT format('ROLLBACK PREPARED %L', gid) FROM pg_prepared_xacts});
	$copy->safe_psql('postgres', 'CALL change(3)') for 1 .. 10;
	$copy->stop('immediate');
	$copy->start;
	agree($copy, "$what, written and killed");
	drop_server($copy);
	return;
}

# ---------------------------------------------------------------- steps

my %steps = (
	checkpoint => sub { $_->safe_psql('postgres', 'CHECKPOINT') for grep { defined } $primary, $standby },
	flush => sub { $primary->safe_psql('postgres', 'SELECT nvmkv.flush()') },
	compact => sub { pick($primary, grep { defined } $standby)->psql('postgres', 'SELECT nvmkv.compact()') },
	restart => sub {
		stop_writers() if chance(0.5);
		$primary->stop('fast');
		stop_writers();
		$primary->start;
	},
	crash => sub {
		$primary->stop('immediate');
		stop_writers();
		$primary->start;
	},
	crash_standby => sub {
		return unless defined $standby;
		$standby->stop(pick('immediate', 'fast'));
		$standby->start;
	},
	kill => sub {
		my @pids = split /\n/, $primary->safe_psql('postgres',
			q{SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND (backend_type LIKE 'nvmkv%' OR query LIKE 'CALL work%')});

		my $before = -s $primary->logfile;

		return if kill('KILL', pick(@pids)) == 0;
		stop_writers();
		$primary->wait_for_log(qr/database system is ready to accept connections/, $before);
	},
	terminate_worker => sub {
		$primary->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type LIKE 'nvmkv%' ORDER BY random() LIMIT 1});
	},
	prepared => sub {
		my $gid = 'p' . ++$prepared;

		$primary->psql('postgres', "SET lock_timeout = '5s'; BEGIN; CALL change(2); CALL change(2); PREPARE TRANSACTION '$gid'");
		for my $old (split /\n/, $primary->safe_psql('postgres', q{SELECT gid FROM pg_prepared_xacts ORDER BY random()}))
		{
			$primary->safe_psql('postgres', pick('COMMIT', 'ROLLBACK') . " PREPARED '$old'") if chance(0.7);
		}
	},
	subtransactions => sub {
		my $n = pick(100, 1000, $seconds ? 100000 : 5000);

		$primary->safe_psql('postgres', qq{
			DO \$\$ BEGIN FOR i IN 1 .. $n LOOP
				BEGIN INSERT INTO f_log VALUES (-i, 's'); INSERT INTO h_log VALUES (-i, 's');
				EXCEPTION WHEN division_by_zero THEN NULL; END;
			END LOOP; END \$\$});
	},
	clog => sub { cut_commit_log() },
	# The server runs without the library, and forgets.
	without_library => sub {
		stop_writers() if chance(0.5);
		end_prepared();
		$primary->stop('fast');
		stop_writers();
		$primary->adjust_conf('postgresql.conf', 'shared_preload_libraries', "''");
		$primary->start;
		cut_commit_log();
		$primary->stop(pick('fast', 'immediate'));
		$primary->adjust_conf('postgresql.conf', 'shared_preload_libraries', "'nvmkv_fdw'");
		$primary->start;
	},
	# The same by force, which no standby survives.
	reset_ids => sub {
		stop_writers();
		end_prepared();
		$primary->stop('fast');
		my $data = $primary->data_dir;
		my ($next) = said_by([ 'pg_controldata', $data ]) =~ /NextXID:\s+\d+:(\d+)/;
		my $to = ($next + 3_000_000) & ~0xfffff;
		my $segment = sprintf '%s/pg_xact/%04X', $data, $to >> 20;

		open(my $file, '>>', $segment) or die "$segment: $!";
		truncate($file, 262144) or die $!;
		close $file;
		IPC::Run::run([ 'pg_resetwal', '-x', $to + 3, $data ], '>', '/dev/null') or die 'pg_resetwal';
		$primary->start;
		drop_server($standby);
		$standby = undef;
		$point = undef;
		forget_backups();
	},
	backup => sub {
		my $name = 'b' . ++$serial;

		$primary->backup($name, backup_options => chance(0.5) ? [ '--max-rate=40M' ] : []);
		push @backups, [ $name, $primary ];
	},
	backup_standby => sub {
		return unless defined $standby;
		my $name = 'b' . ++$serial;

		$standby->backup($name, backup_options => chance(0.5) ? [ '--max-rate=40M' ] : []);
		push @backups, [ $name, $standby ];
		try_backup();
	},
	restore => sub { try_backup() },
	# By hand: start, copy file by file, stop.
	low_level => sub {
		my $node = pick($primary, grep { defined } $standby);
		my $copy = PostgreSQL::Test::Cluster->new('copy' . ++$serial);
		my $session = $node->background_psql('postgres');

		$session->query_safe("SELECT pg_backup_start('by hand', true)");
		copy_dir($node->data_dir, $copy->data_dir);
		my $label = $session->query_safe(q{SELECT labelfile FROM pg_backup_stop(false)});
		$session->quit;
		make_copy($copy, $label, $node);
		try_copy($copy, 'a copy by hand of the ' . ($node == $primary ? 'primary' : 'standby'));
	},
	# To a restore point, from a backup of the primary.
	pitr => sub {
		my $name = 'b' . ++$serial;
		my $point = "here$serial";

		$primary->backup($name);
		let_them_write();
		$primary->safe_psql('postgres', "SELECT pg_create_restore_point('$point')");
		let_them_write();
		$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
		my $copy = PostgreSQL::Test::Cluster->new("copy$serial");
		$copy->init_from_backup($primary, $name);
		$copy->append_conf('recovery.signal', '');
		$copy->append_conf('postgresql.conf', "restore_command = 'cp \"" . $primary->data_dir . "/pg_wal/%f\" \"%p\"'\n");
		$copy->append_conf('postgresql.conf', "archive_mode = off\nrecovery_target_name = '$point'\nrecovery_target_action = promote\n");
		try_copy($copy, 'a point in time');
		rmtree($primary->backup_dir . "/$name");
	},
	# The standby takes over; the old primary follows it.
	rewind => sub {
		return unless defined $standby;
		my $live = chance(0.5);

		end_prepared();
		if (chance(0.5))
		{
			stop_writers();
			catch_up();
		}
		$standby->promote;
		let_them_write() if chance(0.5); # the old primary goes its own way
		stop_writers();
		my $old = $primary;

		$old->stop('fast');
		$primary = $standby;
		$standby = undef;
		$primary->safe_psql('postgres', 'CHECKPOINT');
		start_writers() if $live;
		my $conf = slurp_file($old->data_dir . '/postgresql.conf');
		my $ok = IPC::Run::run([ 'pg_rewind', '--target-pgdata', $old->data_dir, '--source-server', $primary->connstr('postgres') ],
			'>', \my $out, '2>', \my $err);

		ok($ok, 'pg_rewind works') or diag($err);
		open(my $file, '>', $old->data_dir . '/postgresql.conf') or die $!;
		print $file $conf;
		close $file;
		follow($old, $primary);
		$old->set_standby_mode;
		forget_backups();
		if (ok($old->start(fail_ok => 1), 'the rewound server starts as a standby'))
		{
			$standby = $old;
		}
		else
		{
			diag(substr(slurp_file($old->logfile), -3000));
			$failed{rewind} = 1;
		}
	},
	# The image that a snapshot of the file system would have.
	snapshot => sub {
		my $copy = PostgreSQL::Test::Cluster->new('copy' . ++$serial);
		my @pids = grep { (readlink("/proc/$_/cwd") // '') eq $primary->data_dir } map { m{(\d+)} } glob('/proc/[0-9]*');

		kill 'STOP', @pids;
		copy_dir($primary->data_dir, $copy->data_dir);
		kill 'CONT', @pids;
		make_copy($copy, undef, $primary);
		try_copy($copy, 'a snapshot');
	},
	# A file of the tree is damaged: what is lost says so, everything else is as it was and can be written, until it is
	# given up, or the tables are written anew.
	damage => sub {
		my $node = pick($primary, grep { defined } $standby);

		stop_writers();
		end_prepared();
		$node->stop(pick('fast', 'immediate'));
		note(spoil_tree($node));
		$node->start;
		my %lost = what_is_lost($node, 'damaged');
		if ($node == $primary)
		{
			change_around_damage() for 1 .. 10;
			$primary->restart if chance(0.3);
		}
		else
		{
			let_them_write();
			stop_writers();
			ok(catch_up(), 'a damaged standby follows');
		}
		$node->safe_psql('postgres', 'SELECT nvmkv.compact()');
		$node->safe_psql('postgres', 'CHECKPOINT');
		%lost = what_is_lost($node, 'compacted');
		if (chance(0.3))
		{
			$node->stop('immediate');
			$node->start;
			%lost = what_is_lost($node, 'after a crash');
		}
		mend(%lost) if $node == $primary;
		drop_server($standby); # its rows are others now, or damaged
		$standby = undef;
		@backups = grep { $_->[1] == $primary } @backups;
	},
	# Files without which there is no tree, or no family, are away for a while.  What the log has for a family meanwhile
	# keeps all tables away until it is back.
	unopenable => sub {
		my $what = pick('/CURRENT', '/MANIFEST-*', '/level0.pool', '/family-1/CURRENT', '/family-1/MANIFEST-*', '/family-1/level0.pool', '.anchor', '');
		my ($node, $how) = (pick($primary, grep { defined } $standby), pick('fast', 'immediate'));
		my $away = $node->basedir . '/away';

		$what = $node->data_dir . "/nvmkv$what";
		note("$what, $how");
		$node->stop($how);
		stop_writers() if $node == $primary;
		my ($file) = glob($what);
		rename($file, $away) or die "$file: $!";
		$node->start;
		cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM h'), '>', 0, 'local tables are there');
		if ($node == $primary)
		{
			$node->safe_psql('postgres', 'UPDATE tick SET n = n + 1; CHECKPOINT; SELECT pg_switch_wal()');
		}
		else
		{
			let_them_write();
			ok(catch_up(), 'a standby without its tree follows');
			$node->safe_psql('postgres', 'CHECKPOINT');
		}
		$node->stop(pick('fast', 'immediate'));
		# An empty container is made anew.
		if (-e $file)
		{
			unlink $away or die "$away: $!";
		}
		else
		{
			rename($away, $file) or die "$file: $!";
		}
		$node->start;
	},
	# As a disk that takes no new file.
	unwritable => sub {
		my @dirs = grep { -d } glob($primary->data_dir . '/nvmkv ' . $primary->data_dir . '/nvmkv/family-*');

		stop_writers() if chance(0.5);
		chmod 0500, @dirs;
		change_without_disk() for 1 .. 15;
		$primary->psql('postgres', 'SELECT nvmkv.compact()');
		$primary->safe_psql('postgres', 'CHECKPOINT');
		if (chance(0.3))
		{
			$primary->stop(pick('fast', 'immediate'));
			$primary->start;
			cmp_ok($primary->safe_psql('postgres', 'SELECT count(*) FROM h'), '>', 0, 'local tables are there');
			stop_writers();
			$primary->stop(pick('fast', 'immediate'));
			chmod 0700, @dirs;
			$primary->start;
		}
		chmod 0700, @dirs;
		stop_writers();
		my $tries = 0;
		$tries++ while $primary->psql('postgres', "SET lock_timeout = '5s'; CALL change(3)") != 0 && $tries < 60;
		cmp_ok($tries, '<', 60, 'writing goes on');
	},
	new_standby => sub {
		drop_server($standby);
		$standby = undef;
		@backups = grep { $_->[1] == $primary } @backups;
		new_standby();
	});

# ---------------------------------------------------------------- their parts

sub said_by
{
	my ($command) = @_;

	IPC::Run::run($command, '>', \my $out) or die "@$command";
	return $out;
}

# What a server cannot read of the tables; dies if a row is not its twin's.
sub what_is_lost
{
	my ($node, $what) = @_;
	my %lost = (lost_keys($node), log_is_lost($node) ? (f_log => ['?']) : ());

	note("$what: " . join ', ', map { "$_ " . @{ $lost{$_} } } sort keys %lost);
	for my $table (grep { @{ $lost{$_} } } keys %lost)
	{
		isnt($node->safe_psql('postgres', "SELECT * FROM nvmkv.check('$table')"), '', "$what: the check names it");
	}
	return %lost;
}

# Whoever comes to lost rows fails, and with him the change of the twin.
sub change_around_damage
{
	my $err;

	$primary->psql('postgres', 'CALL change(' . pick(0 .. 3) . ')', stderr => \$err);
	$err =~ s/^\S*WARNING.*\n//mg;
	like($err, qr/^$|ERROR: .*foreign table "f\w*" failed/, 'a change is made, or meets lost rows') or $failed{damage} = 1;
	return;
}

sub change_without_disk
{
	my $err;

	$primary->psql('postgres', "SET lock_timeout = '5s'; CALL change(3)", stderr => \$err);
	like($err, qr/^$|Permission denied|lock timeout/, 'a change is made, or cannot be') or $failed{unwritable} = 1;
	return;
}

# Gives up what is lost, or empties the tables; and fills them from the twins.
sub mend
{
	my (%lost) = @_;
	my $give_up = chance(0.6);

	if ($give_up)
	{
		$primary->safe_psql('postgres', 'SELECT nvmkv.accept_damage()');
	}
	for my $table (sort keys %lost)
	{
		my $twin = $table =~ s/^f/h/r;
		my $keys = join ',', @{ $lost{$table} };

		next if $keys eq '' && ($give_up || chance(0.5));
		if ($give_up && $table ne 'f_log')
		{
			$primary->safe_psql('postgres', "DELETE FROM $table WHERE k IN ($keys); INSERT INTO $table SELECT * FROM $twin WHERE k IN ($keys)");
		}
		else
		{
			$primary->safe_psql('postgres', "TRUNCATE $table; INSERT INTO $table TABLE $twin");
		}
	}
	$primary->safe_psql('postgres', 'SELECT nvmkv.accept_damage()') if !$give_up;
	agree($primary, 'mended');
	is($primary->safe_psql('postgres', 'SELECT count(*) FROM nvmkv.damage'), '0', 'nothing is damaged any more');
	return;
}

# Everything is frozen and the commit log cut off.
sub cut_commit_log
{
	$primary->safe_psql('postgres', 'CALL use_ids(' . pick(10000, $seconds ? 1100000 : 30000) . ')');
	$primary->safe_psql('postgres', 'ALTER DATABASE template0 ALLOW_CONNECTIONS on');
	$primary->safe_psql($_, 'VACUUM (FREEZE, SKIP_LOCKED)') for 'template0', 'template1', 'postgres';
	return;
}

sub end_prepared
{
	$primary->safe_psql('postgres', $_)
	  for grep { $_ } split /\n/,
	  $primary->safe_psql('postgres', q{SELECT format('%s PREPARED %L', CASE WHEN random() < 0.5 THEN 'COMMIT' ELSE 'ROLLBACK' END, gid) FROM pg_prepared_xacts});
	return;
}

# File by file, as a backup program does it; files may come and go.
sub copy_dir
{
	my ($from, $to) = @_;

	system('cp', '-a', '--no-target-directory', $from, $to) if !-d $to;
	return;
}

# Makes a copied directory one that can be started as a server of its own.
sub make_copy
{
	my ($copy, $label, $of) = @_;
	my $data = $copy->data_dir;

	unlink "$data/postmaster.pid", "$data/postmaster.opts", "$data/standby.signal";
	if (defined $label)
	{
		open(my $file, '>', "$data/backup_label") or die $!;
		print $file "$label\n";
		close $file;
		# Its WAL is that of the source.
		copy($_, "$data/pg_wal/") for grep { -f } glob($of->data_dir . '/pg_wal/0*');
	}
	$copy->append_conf('postgresql.conf', "port = " . $copy->port . "\nunix_socket_directories = '" . $copy->host . "'\narchive_mode = off\nprimary_conninfo = ''\nrestore_command = ''\n");
	return;
}

sub try_backup
{
	my $backup = pop @backups or return;
	my ($name, $of) = @$backup;
	my $copy = PostgreSQL::Test::Cluster->new('copy' . ++$serial);

	is(system('pg_verifybackup', '-q', $of->backup_dir . "/$name"), 0, 'pg_verifybackup accepts it');
	$copy->init_from_backup($of, $name);
	$copy->append_conf('postgresql.conf', "archive_mode = off\nprimary_conninfo = ''\n");
	try_copy($copy, 'a backup of ' . ($of == $primary ? 'the primary' : 'the standby'));
	rmtree($of->backup_dir . "/$name");
	return;
}

sub forget_backups
{
	rmtree($_->[1]->backup_dir . "/$_->[0]") for @backups;
	@backups = ();
	return;
}

# ---------------------------------------------------------------- a life

my @kinds = sort keys %steps;
my $until = time + $seconds;
my %done;

new_primary();
new_standby();
while (@script || time < $until)
{
	my $step = @script ? shift @script : pick(@kinds);

	note(sprintf '%s -- %s', scalar localtime, $step);
	new_standby() unless defined $standby;
	ok(let_them_write(), "$step: writers work");
	eval { $steps{$step}->(); 1 } or do { fail("$step: $@"); $failed{$step} = 1 };
	$done{$step}++;
	last if %failed;
	if (chance(0.4) || !@script)
	{
		stop_writers() if chance(0.5);
		agree($primary, "after $step, the primary");
		if (defined $standby)
		{
			ok(catch_up(), "after $step, the standby follows");
			agree($standby, "after $step, the standby");
		}
	}
	last if %failed;
}
stop_writers();
agree($primary, 'at the end') unless %failed;
note('steps: ' . join ', ', map { "$_ $done{$_}" } sort keys %done);
diag("seed $seed failed in " . join ', ', sort keys %failed) if %failed;
$_->stop('immediate') for grep { defined && defined $_->{_pid} } $standby, $primary;
done_testing();
