# A disk that is full when the server stops: it stops without a crash, and nothing is lost; nor is it when WAL that is
# to be kept finds no room, or is not there whole.
#
# The disk is a small file system in a mount namespace that outlives the server.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run ();
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $err;
my $sums = 'SELECT count(*), sum(k), md5(string_agg(k || v, \',\' ORDER BY k)) FROM t';

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', settings(max_wal_size => '256MB', autovacuum => 'off'));
my $data = $node->data_dir;
my $disk = "$data/disk";
mkdir $disk, 0700;
symlink('disk/nvmkv', "$data/nvmkv") or die;

# Somebody has to be in the namespace for it to be there.
my ($in, $out) = ('', '');
my @namespace = ('unshare', '--user', '--map-root-user', '--mount', 'sh', '-c',
	'mount -t tmpfs -o size=80M tmpfs "$0" && mkdir -m 700 "$0/nvmkv" "$0/kept" && echo $$ && read end', $disk);
plan skip_all => 'no mount namespaces for ordinary users' if system('unshare', '--user', '--map-root-user', '--mount', 'true') != 0;
my $holder = IPC::Run::start(\@namespace, '<', \$in, '>', \$out);
$holder->pump until $out =~ /\n/;
my @inside = ('nsenter', '--preserve-credentials', '--user', '--mount', '-t', $out =~ /(\d+)/, 'unshare', '--user',
	"--map-user=$>", '--map-group=' . ($) + 0));

# A shell command that sees the disk.
sub inside
{
	my ($command) = @_;

	return system(@inside, 'sh', '-c', $command) == 0;
}

sub start
{
	my $ok = system(@inside, $node->installed_command('pg_ctl'), '-D', $data, '-l', $node->logfile, '-w', '-o',
		'--cluster-name=main', 'start') == 0;

	$node->_update_pid(1) if $ok;
	return $ok;
}

sub log_from
{
	my ($from) = @_;

	return substr(slurp_file($node->logfile), $from);
}

# Writes until the disk, which is filled up, has no room left for a memtable that is not empty; what is there is returned.
sub fill
{
	my ($first) = @_;
	my $refused = 0;

	for my $i (0 .. 199)
	{
		my $from = $first + 1000 * $i;

		inside("cat /dev/zero >>$disk/filler 2>/dev/null");
		$node->psql('postgres', "INSERT INTO t SELECT g, repeat(md5(g::text), 32) FROM generate_series($from, $from + 999) g",
			stderr => \$err, timeout => 600);
		$refused = $node->psql('postgres', 'SELECT nvmkv.flush()', stderr => \$err, timeout => 600) == 0 ? 0 : $refused + 1;
		last if $refused == 3;
	}
	is($refused, 3, 'the disk is full');
	return $node->safe_psql('postgres', $sums);
}

# ---- the tree's disk is full, the data directory's is not

ok(start(), 'the server starts');
$node->safe_psql('postgres', q{
	CREATE EXTENSION nvmkv_fdw;
	CREATE FOREIGN TABLE t (k bigint, v text) SERVER nvmkv OPTIONS (primary_key 'k')});
my $rows = fill(1);
my $from = -s $node->logfile;
$node->safe_psql('postgres', 'CHECKPOINT');
like(log_from($from), qr/could not be flushed; their memtables are kept in "nvmkv_kept".*DETAIL: .*No space/s,
	'a checkpoint ends, and says what it keeps');
ok($node->stop('fast', fail_ok => 1), 'a fast stop ends');
unlike(log_from($from), qr/PANIC|abnormal|terminating any other/, 'it is no crash');

ok(start(), 'the server starts while the disk is full');
is($node->safe_psql('postgres', 'SELECT 1'), '1', 'local tables work');
fails($node, 'SELECT * FROM t', qr/53100: .*not available.*No space.*HINT: +.*restart/s, 'the tables are not available');
ok($node->stop('fast', fail_ok => 1), 'the server stops');
inside("truncate -s -400K $disk/filler");
ok(start(), 'the server starts with a little space');
# Whether it is enough depends on what the container has room for.
like($err, qr/53100: .*not available yet.*kept.*No space.*HINT/s, 'not enough')
  if $node->psql('postgres', 'SELECT count(*) FROM t', stderr => \$err, extra_params => [ '-v', 'VERBOSITY=verbose' ]) != 0;
inside("rm $disk/filler");
ok($node->poll_query_until('postgres', 'SELECT count(*) > 0 FROM t'), 'the tables are there when there is space');
is($node->safe_psql('postgres', $sums), $rows, 'all rows are there');
sound($node, 'the engine is sound');
is(join(' ', glob("$data/nvmkv_kept/*.kept")), '', 'nothing is kept any more');

# ---- nor is there room for what is to be kept

$node->stop;
rmdir "$data/nvmkv_kept";
symlink('disk/kept', "$data/nvmkv_kept") or die;
ok(start(), 'the server starts with what is kept on the same disk');
$node->safe_psql('postgres', 'TRUNCATE t');
$rows = fill(1000001);
fails($node, 'CHECKPOINT', qr/53100: .*checkpoint is not complete.*neither flushed nor kept.*DETAIL: .*No space.*HINT: .*by itself/s, 'a checkpoint does not wait for ever');
$from = -s $node->logfile;
ok($node->stop('fast', fail_ok => 1), 'a fast stop ends without room for anything');
like(log_from($from), qr/stopping without a checkpoint, because foreign tables could not be flushed.*HINT: +Nothing is lost/s,
	'it says that the next start recovers');
unlike(log_from($from), qr/PANIC/, 'it does not panic');
$from = -s $node->logfile;
ok(!start(), 'recovery finds no space');
like(log_from($from), qr/FATAL: .*could not (replay|flush|keep) .*No space/s, 'it says so');
inside("rm $disk/filler");
ok(start(), 'there is space: the server starts');
is($node->safe_psql('postgres', $sums), $rows, 'all rows are there');
sound($node, 'the engine is sound');

# ---- a crash, a tree that is missing, and no room for its WAL

$node->safe_psql('postgres', 'CHECKPOINT; DELETE FROM t WHERE k % 3 = 0');
$rows = $node->safe_psql('postgres', $sums);
$node->stop('immediate');
inside("mv $disk/nvmkv/CURRENT $disk/saved; cat /dev/zero >$disk/filler 2>/dev/null");
$from = -s $node->logfile;
ok(!start(), 'WAL cannot be kept: the server does not start');
like(log_from($from), qr/FATAL: .*could not keep WAL of foreign tables.*No space.*HINT: +Make space/s, 'it says why');
inside("rm $disk/filler");
ok(start(), 'there is space: it starts');
fails($node, 'SELECT * FROM t', qr/not available/, 'without the tree');
$node->stop;

# ---- what is kept is not there whole

my $kept;
ok(inside("mkdir $disk/away && cp -p $disk/kept/*.kept $disk/away/ && mv $disk/saved $disk/nvmkv/CURRENT"), 'the tree is back');
inside("for f in $disk/kept/*.kept; do truncate -s 4096 \$f; done");
ok(start(), 'what is kept is cut short: the server starts');
fails($node, 'SELECT * FROM t', qr/XX001: .*not available.*nvmkv_kept.*(breaks off at|damaged)/s, 'cut short');
$node->stop;
inside("cp -p $disk/away/*.kept $disk/kept/");
ok(start(), 'it is put right: the server starts');
is($node->safe_psql('postgres', $sums), $rows, 'all rows are there');
sound($node, 'the engine is sound');
$node->stop;
$in = "\n";
$holder->finish;

done_testing();
