# Space that runs out, in the container and on the file system: whoever cannot write is told so or waits for
# compaction, nothing acknowledged is lost, and work goes on by itself when there is space.
#
# The file system is a small one in a mount namespace of the server; where an ordinary user may not make one, and
# besides, the size of files is limited.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $sums = 'SELECT count(*), sum(k), sum(length(v)) FROM t';
my $no_space = qr/53100: .*HINT: +Make space/s;

# Inserts 1 MB a statement until the server refuses; returns the refusal and how many rows were acknowledged.
sub fill
{
	my ($node, $first, $statements) = @_;
	my $rows = 0;

	for my $i (0 .. $statements - 1)
	{
		my ($out, $err) = ('', '');
		my $from = $first + $i * 1000;
		my $rc = $node->psql('postgres',
			"INSERT INTO t SELECT g, repeat(md5(g::text), 32) FROM generate_series($from, $from + 999) g",
			stdout => \$out, stderr => \$err, extra_params => [ '-v', 'VERBOSITY=verbose' ], timeout => 600);

		return ($err, $rows) if $rc != 0;
		$rows += 1000;
	}
	return ('', $rows);
}

# After space came back: writers get on without anybody's help.
sub recovers
{
	my ($node, $how, $first, $rows) = @_;
	my $until = time + 600;
	my $err;

	do
	{
		$node->psql('postgres', "INSERT INTO t VALUES ($first, 'after')", stderr => \$err);
	} while ($err ne '' && time < $until);
	is($err, '', "$how: writing goes on by itself");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM t'), $rows + 1, "$how: exactly what was acknowledged is there");
	# Until a job has found that there is space again, who needs room may still be told that there is none.
	do
	{
		($err) = fill($node, ++$first, 20);
		$first += 20000;
	} while ($err =~ /53100/ && time < $until);
	is($err, '', "$how: as much as before can be written");
	$node->safe_psql('postgres', 'CHECKPOINT; SELECT nvmkv.flush(); SELECT nvmkv.compact()');
	sound($node, "$how: the engine is sound");
	return;
}

sub table
{
	my ($node) = @_;

	$node->safe_psql('postgres', q{
		CREATE EXTENSION IF NOT EXISTS nvmkv_fdw;
		CREATE FOREIGN TABLE t (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
		CREATE TABLE h (k int)});
	return;
}

# A container much smaller than the load, and no space problem elsewhere: nobody is refused.
my $node = new_server('main', max_wal_size => '256MB');
table($node);
my ($err, $rows) = fill($node, 1, 48);
is($err, '', 'a load of three times the container is taken');
is($node->safe_psql('postgres', 'SELECT count(*) FROM t'), $rows, 'all of it is there');
cmp_ok($node->safe_psql('postgres', 'SELECT columns_compacted FROM nvmkv.stat_engine'), '>', 0, 'because columns are compacted');

# A transaction several times as large as the container, rolled back.
$node->safe_psql('postgres', q{
	BEGIN;
	INSERT INTO t SELECT g, repeat(md5(g::text), 32) FROM generate_series(1000001, 1040000) g;
	ROLLBACK});
is($node->safe_psql('postgres', 'SELECT count(*) FROM t'), $rows, 'of a large transaction that was rolled back nothing is there');
sound($node, 'and the engine is sound');

# Table files may not be made: the container fills up, then writers are refused.  Limits of running processes
# can be changed by their owner; the server starts others with those of the postmaster.
sub limit_files
{
	my ($node, $bytes) = @_;
	my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
	my @pids = ($postmaster, split /\s+/, slurp_file("/proc/$postmaster/task/$postmaster/children"));

	for my $pid (@pids)
	{
		system_log('prlimit', '--pid', $pid, "--fsize=$bytes:");
	}
	return;
}

# WAL segments of 1 MB fit the limit, and so do the small files of the server.
my $limited = PostgreSQL::Test::Cluster->new('limited');
$limited->init(extra => ['--wal-segsize=1']);
$limited->append_conf('postgresql.conf', settings('nvmkv.target_file_size' => '4MB', max_wal_size => '64MB', autovacuum => 'off'));
$limited->start;
table($limited);
SKIP:
{
	skip 'prlimit is not installed', 21 if system('prlimit --version >/dev/null 2>&1') != 0;
	($err, $rows) = fill($limited, 1, 5);
	limit_files($limited, 2 << 20);
	my ($more, $n) = fill($limited, 5001, 100);
	like($more, $no_space, 'files limited: writers are told');
	like($more, qr/\.sst/, 'files limited: and which file it is about');
	$rows += $n;
	cmp_ok($n, '<', 40000, 'files limited: when memtables and container are full');
	is($limited->safe_psql('postgres', 'SELECT count(*), count(DISTINCT k) FROM t'), "$rows|$rows", 'files limited: reading works');
	is($limited->safe_psql('postgres', 'INSERT INTO h VALUES (1); SELECT count(*) FROM h'), '1', 'files limited: local tables work');
	isnt($limited->safe_psql('postgres', q{SELECT last_error FROM nvmkv.stat_engine}), '', 'files limited: the view shows the error');
	limit_files($limited, 'unlimited');
	recovers($limited, 'files limited', 200001, $rows);
	my $before = $limited->safe_psql('postgres', $sums);

	# The same, and a crash while there is no space.
	limit_files($limited, 2 << 20);
	($more, $n) = fill($limited, 300001, 100);
	like($more, $no_space, 'files limited again: writers are told');
	$before = $limited->safe_psql('postgres', $sums);
	$limited->stop('immediate');
	$limited->start;
	is($limited->safe_psql('postgres', $sums), $before, 'files limited again: a crash loses nothing');
	sound($limited, 'files limited again: the engine is sound after the crash');

	# A shutdown checkpoint would cut off WAL that is still needed: the server stops without one.
	limit_files($limited, 2 << 20);
	($more, $n) = fill($limited, 500001, 100);
	like($more, $no_space, 'stopped without space: writers are told');
	$before = $limited->safe_psql('postgres', $sums);
	$limited->stop('fast', fail_ok => 1);
	$limited->start;
	is($limited->safe_psql('postgres', $sums), $before, 'stopped without space: nothing is lost');
	sound($limited, 'stopped without space: the engine is sound');

	# Recovery needs space, too: it says so, and goes on where there is some.
	limit_files($limited, 2 << 20);
	($more, $n) = fill($limited, 700001, 100);
	like($more, $no_space, 'recovery without space: writers are told');
	$before = $limited->safe_psql('postgres', $sums);
	$limited->stop('immediate');
	my $size = -s $limited->logfile;
	system_log('prlimit', '--pid', $$, '--fsize=' . (2 << 20) . ':');
	is($limited->start(fail_ok => 1), 0, 'recovery without space: the server does not start');
	system_log('prlimit', '--pid', $$, '--fsize=unlimited:');
	like(substr(slurp_file($limited->logfile), $size), qr/FATAL: .*could not (replay|flush) foreign-table WAL.*File too large/s,
		'recovery without space: it says why');
	$limited->start;
	is($limited->safe_psql('postgres', $sums), $before, 'recovery without space: nothing is lost');
	sound($limited, 'recovery without space: the engine is sound');
}
$limited->stop;

# A whole file system that is full.  The engine's directory is on it; a large file makes it full, and is removed.
my $full = PostgreSQL::Test::Cluster->new('full');
$full->init;
$full->append_conf('postgresql.conf', settings(max_wal_size => '256MB'));
mkdir $full->data_dir . '/nvmkv', 0700;
my $dir = $full->data_dir . '/nvmkv';
my @inside = ('unshare', '--user', '--map-root-user', '--mount', 'sh', '-c',
	'mount -t tmpfs -o size=$0 tmpfs "$1" && shift && exec unshare --user --map-user=' . $> . ' --map-group=' . ($) + 0) . ' "$@"');

SKIP:
{
	skip 'no mount namespaces for ordinary users', 16 if system(@inside, '1M', $dir, 'true') != 0;

	# Not even the container fits.
	my @start = ($full->installed_command('pg_ctl'), '-D', $full->data_dir, '-l', $full->logfile, '-w', '-o',
		'--cluster-name=full', 'start');
	my $start = sub
	{
		my ($size) = @_;

		is(system(@inside, $size, $dir, @start), 0, "the server starts on a file system of $size");
		$full->_update_pid(1);
		return;
	};

	$start->('10M');
	table($full);
	fails($full, 'INSERT INTO t VALUES (1)', qr/53100: .*not available.*allocate space.*level0\.pool.*HINT/s, 'no space for the container');
	is($full->safe_psql('postgres', 'SELECT count(*) FROM h'), '0', 'no space for the container: local tables work');
	$full->stop;

	$start->('80M');
	$full->safe_psql('postgres', 'DROP FOREIGN TABLE t; DROP TABLE h');
	table($full);
	($err, $rows) = fill($full, 1, 5);
	is($err, '', 'there is space at first');
	$full->psql('postgres', "COPY (SELECT 1) TO PROGRAM 'cat /dev/zero >$dir/filler'");
	my ($more, $n) = fill($full, 5001, 100);
	like($more, $no_space, 'disk full: writers are told');
	$rows += $n;
	is($full->safe_psql('postgres', 'SELECT count(*), count(DISTINCT k) FROM t'), "$rows|$rows", 'disk full: reading works');
	is($full->safe_psql('postgres', 'INSERT INTO h VALUES (1); SELECT count(*) FROM h'), '1', 'disk full: local tables work');
	$full->safe_psql('postgres', "COPY (SELECT 1) TO PROGRAM 'rm $dir/filler'");
	recovers($full, 'disk full', 200001, $rows);
	$full->stop;
}

$node->stop;
done_testing();
