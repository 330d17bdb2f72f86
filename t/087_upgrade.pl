# pg_upgrade makes the tables, nvmkv_upgrade brings their rows; nothing is opened or made in between.  From one version to
# the same, which pg_upgrade takes: scripts/upgrade_tests.sh is for others.
use strict;
use warnings;

use File::Copy qw(move);
use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'nvmkv_upgrade is not in the path' if system('nvmkv_upgrade >/dev/null 2>&1') >> 8 != 2;

my $old = new_server('old');
$old->safe_psql('postgres', q{
	CREATE COLLATION own (provider = libc, locale = 'C');
	CREATE TABLE t (a int PRIMARY KEY, b text COLLATE own NOT NULL) USING nvmkv;
	CREATE INDEX ON t (b);
	INSERT INTO t SELECT n, 'b ' || n FROM generate_series(1, 1000) AS n;
	ALTER TABLE t ADD COLUMN added int DEFAULT 7;
	DELETE FROM t WHERE a > 900;
});
$old->stop;

# What pg_upgrade makes of it is kept, to begin with it again.
my $new = PostgreSQL::Test::Cluster->new('new');
$new->init(allows_streaming => 1);
$new->append_conf('postgresql.conf', settings());
my $sockets = PostgreSQL::Test::Utils::tempdir_short;
chomp(my $bin = `dirname "\$(command -v pg_upgrade)"`);
{
	my $out;
	chdir $sockets;
	IPC::Run::run([ 'pg_upgrade', '-b', $bin, '-B', $bin, '-d', $old->data_dir, '-D', $new->data_dir, '-s', $sockets,
		'-p', $old->port, '-P', $new->port ], '>&', \$out)
		or BAIL_OUT($out);
	chdir '/';
}
my ($from, $to) = ($old->data_dir, $new->data_dir);
my $mark = "$to/nvmkv.origin";
is(slurp_file($mark), "nvmkv-origin 1 awaited\n", 'pg_upgrade leaves a mark');

sub says
{
	my ($what, $pattern, @command) = @_;
	my $said;
	IPC::Run::run([@command], '>&', \$said);
	like($said, $pattern, $what);
	return;
}

# How foreign tables are refused with that in the mark.
sub refuses
{
	my ($what, $pattern) = @_;
	$new->start;
	my ($rc, $out, $err) = $new->psql('postgres', 'SELECT count(*) FROM t');
	like($err, $pattern, $what);
	$new->stop;
	ok(!-d "$to/nvmkv", "$what: nothing is made");
	return;
}

sub write_mark
{
	my ($line) = @_;
	open my $file, '>', $mark or die $!;
	print $file $line;
	close $file;
	return;
}

refuses('awaited', qr/foreign tables .* are not available.*nvmkv_upgrade OLD/s);
write_mark("nvmkv-origin 2 whatever\n");
refuses('a newer format', qr/has format 2, this version reads 1: use the version that wrote it, or a newer one/);
write_mark("nvmkv-origin 1 taken 1 2 0/10\n");
refuses('the mark of another cluster', qr/is of another cluster \(system identifier 2,/);
write_mark('nvmkv-origin 1 awa');
refuses('a torn mark', qr/nvmkv.origin" is damaged/);
write_mark("nvmkv-origin 1 awaited\n");

says('wrong usage', qr/wrong usage/, 'nvmkv_upgrade', $from);
says('the wrong way round', qr/"\Q$from\E" awaits no files/, 'nvmkv_upgrade', $to, $from);
says('a check', qr/^1 column families, .* sound as far as their sizes tell\n$/, 'nvmkv_upgrade', $from, $to, '--check');
is(slurp_file($mark), "nvmkv-origin 1 awaited\n", 'a check changes nothing');

# An old cluster that was not stopped in order.
$old->start;
says('a server runs', qr/a server runs in/, 'nvmkv_upgrade', $from, $to);
$old->stop('immediate');
unlink "$from/postmaster.pid";
says('no orderly stop', qr/was not shut down in order/, 'nvmkv_upgrade', $from, $to);
$old->start;
$old->stop;

# Was it killed there?  Only a program with assertions can be.
sub killed_at
{
	my ($point, $turn, @command) = @_;
	my $said;

	local $ENV{NVMKV_UPGRADE_KILL} = "$point $turn";
	my $run = IPC::Run::start([@command], '>&', \$said);
	$run->finish;
	return ($run->full_results)[0] == 9;
}

# The bytes of all files below.
sub contents
{
	my ($dir) = @_;
	my $said;

	IPC::Run::run([ 'sh', '-c', 'cd "$1" && find . -type f | sort | xargs md5sum', 'in', $dir ], '>&', \$said) or die $said;
	return $said;
}

my $files = contents("$from/nvmkv");

# As after pg_upgrade.
sub begin_again
{
	PostgreSQL::Test::Utils::system_or_bail('rm', '-rf', map { "$to/$_" } 'nvmkv', 'nvmkv.new', 'nvmkv.anchor', 'nvmkv_kept');
	write_mark("nvmkv-origin 1 awaited\n");
	return;
}

my $can_be_killed = killed_at('upgrade.copy', 1, 'nvmkv_upgrade', $from, $to);
SKIP:
{
	my @points = (['upgrade.copy', 1], ['upgrade.copy', 3], ['upgrade.before_move', 1], ['upgrade.before_anchor', 1], ['upgrade.before_taken', 1]);

	skip 'nvmkv_upgrade has no assertions', 4 * @points if !$can_be_killed;
	for my $case (@points)
	{
		my ($point, $turn) = @$case;
		my $name = "killed at $point $turn";

		begin_again();
		ok(killed_at($point, $turn, 'nvmkv_upgrade', $from, $to), $name);
		is(slurp_file($mark), "nvmkv-origin 1 awaited\n", "$name: the files are awaited still");
		says("$name: again", qr/"\Q$to\E" has them now/, 'nvmkv_upgrade', $from, $to);
		is(contents("$to/nvmkv"), $files, "$name: all files");
	}
}
is(contents("$from/nvmkv"), $files, 'the old cluster has what it had');
begin_again();

# A copy that was interrupted, at each step.
mkdir "$to/nvmkv.new";
mkdir "$to/nvmkv.new/family-1";
append_to_file("$to/nvmkv.new/family-1/MANIFEST-000001", 'torn');
mkdir "$to/nvmkv";
append_to_file("$to/nvmkv/CURRENT", "MANIFEST-000001\n");
says('a copy', qr/"\Q$to\E" has them now/, 'nvmkv_upgrade', $from, $to);
says('once is enough', qr/has the files of foreign tables already/, 'nvmkv_upgrade', $from, $to);

my $rows = q{SELECT count(*), sum(added), min(b) FROM t; SELECT a FROM t WHERE b = 'b 77'; SELECT * FROM nvmkv.check(); SELECT * FROM nvmkv.check('t')};
$new->start;
is($new->safe_psql('postgres', $rows), "900|6300|b 1\n77", 'the rows are there');
$new->safe_psql('postgres', q{INSERT INTO t VALUES (1001, 'new'); CREATE TABLE u (a int PRIMARY KEY) USING nvmkv; INSERT INTO u VALUES (1)});
$new->stop('immediate');
$new->start;
is($new->safe_psql('postgres', 'SELECT count(*) FROM t; TABLE u; SELECT * FROM nvmkv.check()'), "901\n1", 'and new ones, after a crash');
$new->stop;

$old->start;
is($old->safe_psql('postgres', $rows), "900|6300|b 1\n77", 'the old cluster has its own');
$old->stop;

# The same by moving, killed at each step; what the old cluster has is brought back by hand then.
SKIP:
{
	my @points = ('before_move', 'before_anchor', 'before_taken', 'before_given');

	skip 'nvmkv_upgrade has no assertions', 4 * @points if !$can_be_killed;
	$files = contents("$from/nvmkv");
	for my $point (@points)
	{
		begin_again();
		ok(killed_at("upgrade.$point", 1, 'nvmkv_upgrade', $from, $to, '--link'), "moved, killed at $point");
		says("moved, killed at $point: again", qr/^(?!.*cannot)/s, 'nvmkv_upgrade', $from, $to, '--link');
		is(contents("$to/nvmkv"), $files, "moved, killed at $point: all files");
		like(slurp_file("$from/nvmkv.origin"), qr/^nvmkv-origin 1 given /, "moved, killed at $point: the old cluster says where they are");
		move("$to/nvmkv", "$from/nvmkv") or die $!;
		unlink "$from/nvmkv.origin" or die $!;
	}
}

# The same by moving, which was interrupted after it.
write_mark("nvmkv-origin 1 awaited\n");
PostgreSQL::Test::Utils::system_or_bail('rm', '-rf', "$to/nvmkv", "$to/nvmkv.anchor");
move("$from/nvmkv", "$to/nvmkv") or die $!;
$old->start;
my ($rc, $out, $err) = $old->psql('postgres', 'SELECT count(*) FROM t');
like($err, qr/holds no database, but there was one/, 'the old cluster makes no new directory while it is moved');
$old->stop;
rmdir "$from/nvmkv";
says('a move', qr/has them now/, 'nvmkv_upgrade', $from, $to, '--link');
$old->start;
($rc, $out, $err) = $old->psql('postgres', 'SELECT count(*) FROM t');
like($err, qr/moved to another cluster by nvmkv_upgrade/, 'the old cluster says where they are');
$old->stop;

done_testing();
