# Containers and column families whose settings go down and up again, with rows in them, after crashes and on a standby;
# links, moving, and a container that is missing.
use strict;
use warnings;

use File::Copy;
use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main', 'nvmkv.max_column_families' => 3, 'nvmkv.write_buffer_size' => '2MB', 'nvmkv.nvm_size' => '24MB');
my $dir = $node->data_dir;
my $sums = q{
	SELECT 'd', count(*), sum(k), sum(length(v)), md5(max(v)) FROM d UNION ALL
	SELECT 'own', count(*), sum(k), sum(length(v)), md5(max(v)) FROM own UNION ALL
	SELECT 'follows', count(*), sum(k), sum(length(v)), md5(max(v)) FROM follows ORDER BY 1};
my $containers = q{SELECT column_family, nvm_size >> 20, container_size >> 20 FROM nvmkv.column_families ORDER BY number};

$node->safe_psql('postgres', q{
	CREATE SERVER own FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'own', nvm_size '32MB', write_buffer_size '2MB', max_write_buffers '4');
	CREATE SERVER follows FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'follows');
	CREATE FOREIGN TABLE d (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE own (k int, v text) SERVER own OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE follows (k int, v text) SERVER follows OPTIONS (primary_key 'k');
	INSERT INTO d SELECT g, repeat(md5(g::text), 8) FROM generate_series(1, 20000) g;
	INSERT INTO own SELECT * FROM d;
	INSERT INTO follows SELECT * FROM d;
});
fails($node, q{CREATE SERVER bad FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'f', nvm_size '8MB')},
	qr/HV024: .*invalid value for option "nvm_size".*HINT: .*0 or at least 16MB/s, 'a container that is too small');
is($node->safe_psql('postgres', $containers), "default|24|24\nown|32|32\nfollows|24|24", 'sizes of containers');
is($node->safe_psql('postgres', 'SELECT container_path FROM nvmkv.column_families ORDER BY number'),
	"$dir/nvmkv/level0.pool\n$dir/nvmkv/family-1/level0.pool\n$dir/nvmkv/family-2/level0.pool", 'and where they are');

my $conf = slurp_file("$dir/postgresql.conf");

sub restart
{
	my ($how, @settings) = @_;

	$node->stop($how);
	unlink "$dir/postgresql.conf";
	append_to_file("$dir/postgresql.conf", join("\n", $conf, @settings, ''));
	$node->start;
	return;
}

# A standby with less of everything follows, and recovers from a crash.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "nvmkv.write_buffer_size = '1MB'\nnvmkv.max_write_buffers = 2\nnvmkv.nvm_size = 0\nnvmkv.max_column_families = 1\n");
$standby->start;

# Down and up again, each time over a crash: nothing is lost, sizes follow.
my $random = q{(SELECT string_agg(md5((k + g)::text), '') FROM generate_series(1, 50000) g)};
$node->safe_psql('postgres', "UPDATE follows SET v = $random WHERE k = 77");
my @rounds = (
	[ 'smaller', '16|16', q{nvmkv.nvm_size = '16MB'}, q{nvmkv.write_buffer_size = '1MB'}, 'nvmkv.max_write_buffers = 2', 'nvmkv.max_column_families = 1' ],
	[ 'none', '0|0', 'nvmkv.nvm_size = 0', q{nvmkv.write_buffer_size = '1MB'}, 'nvmkv.max_column_families = 2' ],
	[ 'larger', '64|64', q{nvmkv.nvm_size = '64MB'} ]);
for my $round (@rounds)
{
	my ($name, $sizes, @settings) = @$round;

	$node->safe_psql('postgres', q{
		UPDATE d SET v = v || 'x' WHERE k % 3 = 0;
		UPDATE own SET v = v || 'x' WHERE k % 3 = 0;
		UPDATE follows SET v = v || 'x' WHERE k % 3 = 0});
	my $before = $node->safe_psql('postgres', $sums);
	restart('immediate', @settings);
	is($node->safe_psql('postgres', $sums), $before, "$name: all rows are there after a crash");
	$node->safe_psql('postgres', q{UPDATE d SET v = v || 'y' WHERE k % 4 = 0; UPDATE follows SET v = v || 'y' WHERE k % 4 = 0 AND k <> 77; CHECKPOINT});
	ok($node->poll_query_until('postgres', $containers, "default|$sizes\nown|32|32\nfollows|$sizes"), "$name: containers get the size wanted");
	sound($node, "$name: the engine is sound");
}
my $expected = $node->safe_psql('postgres', $sums);
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is($standby->safe_psql('postgres', $sums), $expected, 'a standby with smaller settings has all rows');
$standby->stop('immediate');
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is($standby->safe_psql('postgres', $sums), $expected, 'also after a crash');
$standby->stop;

# A row larger than a write buffer is read, and not written again.
restart('fast', q{nvmkv.write_buffer_size = '1MB'});
is($node->safe_psql('postgres', $sums), $expected, 'rows larger than a write buffer');
fails($node, 'UPDATE follows SET v = v WHERE k = 77', qr/54000: .*does not fit into a memtable.*HINT: .*write_buffer_size/s, 'are too large to be written');

# No more families than the setting says, but those that are there work.
restart('fast', 'nvmkv.max_column_families = 2');
$node->safe_psql('postgres', q{CREATE SERVER more FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'more')});
fails($node, 'CREATE FOREIGN TABLE more (k int) SERVER more', qr/53400: .*cannot be made.*max_column_families.*HINT: /s, 'no further family');
is($node->safe_psql('postgres', $sums), $expected, 'those that are there work');

# A family's own size.
fails($node, q{SELECT nvmkv.reshape_column_family('nvmkv')}, qr/42704: the default column family is shaped by the settings/, 'the default family');
fails($node, q{SELECT nvmkv.reshape_column_family('more')}, qr/42704: .*does not exist yet/, 'a family that is not there');
$node->safe_psql('postgres', q{ALTER SERVER own OPTIONS (SET nvm_size '16MB', DROP max_write_buffers)});
$node->safe_psql('postgres', q{SELECT nvmkv.reshape_column_family('own')});
restart('immediate');
ok($node->poll_query_until('postgres', q{SELECT container_size >> 20 FROM nvmkv.column_families WHERE column_family = 'own'}, '16'), 'a family gets another shape');
is($node->safe_psql('postgres', $sums), $expected, 'and keeps its rows');

# A link leads to another medium; moved containers are found by the path.
$node->safe_psql('postgres', q{UPDATE own SET v = v || 'z' WHERE k % 5 = 0; UPDATE d SET v = v || 'z' WHERE k % 5 = 0; SELECT nvmkv.flush()});
$expected = $node->safe_psql('postgres', $sums);
$node->stop;
my $media = $node->basedir . '/media';
mkdir $media;
mkdir "$media/new";
move("$dir/nvmkv/level0.pool", "$media/pool");
symlink("$media/pool", "$dir/nvmkv/level0.pool");
$node->start;
is($node->safe_psql('postgres', $sums), $expected, 'a container behind a link');
$node->safe_psql('postgres', 'SELECT nvmkv.compact()');
restart('fast', 'nvmkv.nvm_size = 0');
ok($node->poll_query_until('postgres', q{SELECT container_size FROM nvmkv.column_families WHERE number = 0}, '0'), 'given up');
$node->safe_psql('postgres', q{SELECT nvmkv.compact()});
restart('fast', 'nvmkv.nvm_size = 0');
ok(!-e "$media/pool", 'and removed where it was');
restart('fast');
ok(-f "$media/pool" && -l "$dir/nvmkv/level0.pool", 'a new one is made where the link leads');
$node->safe_psql('postgres', q{UPDATE own SET v = v || 'z' WHERE k % 5 = 1; UPDATE d SET v = v || 'z' WHERE k % 5 = 1; SELECT nvmkv.flush()});
$expected = $node->safe_psql('postgres', $sums);
$node->stop;
move("$media/pool", "$media/new/pool");
move("$dir/nvmkv/family-1/level0.pool", "$media/new/pool.family-1");
move("$dir/nvmkv/family-2/level0.pool", "$media/new/pool.family-2");
my $path = "nvmkv.nvm_path = '$media/new/pool'";
append_to_file("$dir/postgresql.conf", "$path\n");
$node->start;
is($node->safe_psql('postgres', $sums), $expected, 'containers that were moved');
is($node->safe_psql('postgres', 'SELECT container_path FROM nvmkv.column_families ORDER BY number'),
	join("\n", map { "$media/new/pool$_" } '', '.family-1', '.family-2'), 'are shown where they are');

# One that is missing costs its family.
$node->stop;
move("$media/new/pool.family-1", "$media/aside");
$node->start;
my $missing = qr/55000: foreign tables of a column family are not available.*"own".*pool\.family-1" is missing.*HINT/s;
fails($node, 'SELECT * FROM own', $missing, 'a family without its container: reading');
fails($node, q{INSERT INTO own VALUES (0, '')}, $missing, 'a family without its container: writing');
is($node->safe_psql('postgres', 'SELECT count(*) FROM d'), '20000', 'other families can be read');
$node->safe_psql('postgres', q{INSERT INTO follows VALUES (0, 'written'); DELETE FROM follows WHERE k = 0; CHECKPOINT});
like($node->safe_psql('postgres', q{SELECT error FROM nvmkv.column_families WHERE column_family = 'own'}), qr/is missing/, 'the view says why');
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', 'SELECT count(*) FROM d'), '20000', 'also after a crash');
$node->stop;
move("$media/aside", "$media/new/pool.family-1");
$node->start;
is($node->safe_psql('postgres', $sums), $expected, 'put right, all rows are there');
sound($node, 'put right, the engine is sound');
$node->stop;

done_testing();
