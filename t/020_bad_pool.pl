# A container or a database directory that is not what it should be: the server starts and serves everything
# else, foreign tables say what is wrong, and put right they have all their rows.
use strict;
use warnings;

use File::Copy;
use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $sums = 'SELECT count(*), sum(k), sum(length(v)), max(v) FROM t';

# A stopped server whose rows are partly in the container, partly in table files.
sub stopped_server
{
	my ($name, %settings) = @_;
	my $node = new_server($name, %settings);

	$node->safe_psql('postgres', q{
		CREATE TABLE h (k int PRIMARY KEY);
		INSERT INTO h SELECT generate_series(1, 10);
		CREATE FOREIGN TABLE t (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
		INSERT INTO t SELECT g, repeat(md5(g::text), 4) FROM generate_series(1, 5000) g;
		SELECT nvmkv.compact();
		INSERT INTO t SELECT g, 'needle' || repeat(md5(g::text), 4) FROM generate_series(5001, 10000) g;
	});
	$node->stop;
	return $node;
}

my $node = stopped_server('main');
my $other = stopped_server('other');
my $dir = $node->data_dir . '/nvmkv';
my $pool = "$dir/level0.pool";
my $saved = $node->data_dir . '/saved';

$node->start;
my $before = $node->safe_psql('postgres', $sums);
$node->stop;

sub spoil_bytes
{
	my ($file, $at, $bytes) = @_;

	open(my $f, '+<:raw', $file) or die "$file: $!";
	seek($f, $at, 0);
	print $f $bytes;
	close $f;
	return;
}

# Starts with what a test has spoilt; the tables' error must match.
sub unavailable
{
	my ($what, $expected) = @_;

	is($node->start(fail_ok => 1), 1, "$what: the server starts") or return;
	is($node->safe_psql('postgres', 'SELECT sum(k) FROM h'), '55', "$what: local tables work");
	fails($node, 'SELECT * FROM t', $expected, "$what: reading");
	fails($node, q{INSERT INTO t VALUES (0, '')}, $expected, "$what: writing");
	fails($node, 'SELECT nvmkv.flush()', $expected, "$what: maintenance");
	is($node->safe_psql('postgres', 'CREATE TABLE made (a int); DROP TABLE made; SELECT 1'), '1', "$what: the server goes on");
	$node->stop;
	return;
}

sub available
{
	my ($what) = @_;

	$node->start;
	is($node->safe_psql('postgres', $sums), $before, "$what: put right, all rows are there");
	sound($node, "$what: put right, the engine is sound");
	$node->stop;
	return;
}

# The file is moved away, a test puts something in its place or nothing, then it comes back.
sub with_file
{
	my ($what, $file, $spoil, $expected) = @_;

	copy($file, $saved) or die "$file: $!";
	$spoil->($file);
	unavailable($what, $expected);
	chmod 0600, $file;
	copy($saved, $file) or die "$file: $!";
	available($what);
	return;
}

with_file('no pool', $pool, sub { unlink $_[0] }, qr/55000: .*not available.*"[^"]*level0\.pool" is missing.*HINT/s);
with_file('a pool cut short', $pool, sub { truncate $_[0], 1 << 20 }, qr/XX001: .*level0\.pool" is truncated: it has 1048576 bytes, at least \d{7,8} are expected.*HINT/s);
with_file('a tiny pool', $pool, sub { truncate $_[0], 100 }, qr/XX001: .*level0\.pool" is truncated: it has 100 bytes, at least/s);
with_file('an empty pool', $pool, sub { truncate $_[0], 0 }, qr/XX001: .*level0\.pool" is truncated: it has 0 bytes, at least/s);
with_file('a pool of zeros', $pool, sub { spoil_bytes($_[0], 0, "\0" x 4096) }, qr/XX001: .*level0\.pool" has no header/s);
with_file('a spoilt header', $pool, sub { spoil_bytes($_[0], 16, "\xff") }, qr/XX001: .*level0\.pool": header has crc/s);
with_file('another file', $pool, sub { spoil_bytes($_[0], 0, 'not a pool') }, qr/XX001: .*level0\.pool" is not a pool/s);
with_file('the pool of another server', $pool, sub { copy($other->data_dir . '/nvmkv/level0.pool', $_[0]) },
	qr/55000: .*level0\.pool" belongs to system \d+, this is system \d+/s);
SKIP:
{
	skip 'permissions do not bind the superuser', 9 if $> == 0;
	with_file('a pool that cannot be opened', $pool, sub { chmod 0, $_[0] }, qr/level0\.pool": Permission denied/s);
}
my ($table) = glob("$dir/*.sst");
ok($table, 'there is a table file');
with_file('no CURRENT', "$dir/CURRENT", sub { unlink $_[0] }, qr/XX001: .*holds database files but no file CURRENT/s);
with_file('a spoilt CURRENT', "$dir/CURRENT", sub { spoil_bytes($_[0], 0, 'X') }, qr/XX001: .*CURRENT" does not name a manifest/s);
my $manifest = sub { (glob("$dir/MANIFEST-*"))[0] };
with_file('no manifest', $manifest->(), sub { unlink $_[0] }, qr/XX001: .*CURRENT names "[^"]*MANIFEST-\d+", which does not exist/s);
with_file('a spoilt manifest', $manifest->(), sub { spoil_bytes($_[0], 40, "\xff" x 8) }, qr/XX001: .*MANIFEST-/s);

# Bytes that rot where only a reader comes: an error to that reader, and a finding of the check; never another row.
my $rotten = 'needle' . `printf 7777 | md5sum`;
$rotten =~ s/\s.*//s;
my $at = index(slurp_file($pool), $rotten);
cmp_ok($at, '>', 0, 'the container has the row in plain bytes');
copy($pool, $saved);
spoil_bytes($pool, $at + 8, 'rot');
$node->start;
fails($node, 'SELECT * FROM t WHERE k = 7777', qr/XX001: .*HINT/s, 'reading rotten bytes');
fails($node, 'SELECT count(*) FROM t', qr/XX001: /s, 'scanning rotten bytes');
is($node->safe_psql('postgres', 'SELECT left(v, 6) FROM t WHERE k = 9999'), 'needle', 'other rows can be read');
isnt($node->safe_psql('postgres', 'SELECT * FROM nvmkv.check()'), '', 'the check finds rotten bytes');
# Compaction may have gone round the row: then it is lost, until the table is written again.
$node->safe_psql('postgres', q{TRUNCATE t;
	INSERT INTO t SELECT g, repeat(md5(g::text), 4) FROM generate_series(1, 5000) g;
	SELECT nvmkv.compact();
	INSERT INTO t SELECT g, 'needle' || repeat(md5(g::text), 4) FROM generate_series(5001, 10000) g});
is($node->safe_psql('postgres', $sums), $before, 'rotten bytes: what is lost can be written again');
$node->stop;

# The same in a table file; what compaction makes of it is another test's matter.
($table) = sort { -s $b <=> -s $a } glob("$dir/*.sst");
copy($table, $saved);
spoil_bytes($table, (-s $table) / 2, 'rotten bytes in the middle');
$node->start;
fails($node, 'SELECT count(*) FROM t', qr/XX001: .*\.sst.*HINT/s, 'scanning a rotten table file');
isnt($node->safe_psql('postgres', 'SELECT * FROM nvmkv.check()'), '', 'the check finds a rotten table file');
$node->stop;
copy($saved, $table);
available('a rotten table file');

# A place for the container.
sub with_setting
{
	my ($what, $path, $expected) = @_;

	$node->append_conf('postgresql.conf', "nvmkv.nvm_path = '$path'\n");
	unavailable($what, $expected);
	$node->append_conf('postgresql.conf', "nvmkv.nvm_path = ''\n");
	available($what);
	return;
}

with_setting('a directory that does not exist', $node->data_dir . '/nowhere/pool', qr/55000: .*nowhere\/pool" is missing/s);
with_setting('a directory for a pool', $node->data_dir . '/base', qr/55000: .*base" is neither a regular file nor a DAX device/s);
with_setting('a device that is none', '/dev/null', qr/55000: .*null" is a device, but not a DAX device/s);
with_setting('a path that is too long', 'x/' x 600, qr/55000: .*(path|too long)/s);
$other->start;
with_setting('the pool of a server that runs', $other->data_dir . '/nvmkv/level0.pool', qr/55000: .*(in use by another process|belongs to system)/s);
is($other->safe_psql('postgres', $sums), $before, 'the other server has not noticed');
$other->stop;

# The same before there is any row: nothing can be made.
my $fresh = PostgreSQL::Test::Cluster->new('fresh');
$fresh->init(extra => ['--allow-group-access']);
mkdir $fresh->data_dir . '/locked';
chmod 0555, $fresh->data_dir . '/locked';
SKIP:
{
	skip 'permissions do not bind the superuser', 2 if $> == 0;
	$fresh->append_conf('postgresql.conf', settings('nvmkv.nvm_path' => $fresh->data_dir . '/locked/pool'));
	$fresh->start;
	$fresh->safe_psql('postgres', q{
		CREATE EXTENSION nvmkv_fdw;
		CREATE FOREIGN TABLE t (k int) SERVER nvmkv});
	fails($fresh, 'SELECT * FROM t', qr/55000: .*locked\/pool\.new": Permission denied.*HINT/s, 'a directory that cannot be written');
	$fresh->stop;
}
$fresh->append_conf('postgresql.conf', settings('nvmkv.nvm_path' => $fresh->data_dir . '/nowhere/pool'));
$fresh->start;
$fresh->safe_psql('postgres', q{
	CREATE EXTENSION IF NOT EXISTS nvmkv_fdw;
	CREATE FOREIGN TABLE IF NOT EXISTS t (k int) SERVER nvmkv});
fails($fresh, 'SELECT * FROM t', qr/55000: .*nowhere\/pool\.new": No such file or directory.*HINT/s, 'a directory that is not there');
$fresh->stop;
$fresh->append_conf('postgresql.conf', "nvmkv.nvm_path = ''\n");
$fresh->start;
is($fresh->safe_psql('postgres', 'INSERT INTO t VALUES (1); SELECT k FROM t'), '1',
	'with a good path it works');
ok(check_mode_recursive($fresh->data_dir . '/nvmkv', 0750, 0640), 'files are readable for the group where the cluster is');
ok(check_mode_recursive($dir, 0700, 0600), 'and elsewhere for their owner only');
$fresh->stop;

# After a crash, too; what could not be replayed without the container is kept until it comes back (063_kept.pl).
$node->start;
$node->safe_psql('postgres', q{INSERT INTO t VALUES (0, 'zzz')});
$before = $node->safe_psql('postgres', $sums);
$node->stop('immediate');
move($pool, $saved);
unavailable('a container lost in a crash', qr/55000: .*not available.*level0\.pool" is missing/s);
move($saved, $pool);
available('a container lost in a crash');

# The directory itself: without rights, and gone.  A new one is no reason to show empty tables.
SKIP:
{
	skip 'permissions do not bind the superuser', 9 if $> == 0;
	chmod 0500, $dir;
	unavailable('a directory that cannot be written', qr/nvmkv\/[^"]*": Permission denied/s);
	chmod 0700, $dir;
	available('a directory that cannot be written');
}
move($dir, "$saved.d");
unavailable('no directory', qr/XX001: .*not available.*nvmkv" holds no database, but there was one up to log position .*nvmkv\.accept/s);
ok(!-e $dir, 'no directory: none is made');
move("$saved.d", $dir);
available('no directory');
system('rm', '-r', $dir);
append_to_file($node->data_dir . '/nvmkv.accept', '');
$node->start;
ok(!-e $node->data_dir . '/nvmkv.accept', 'the directory is given up: that is said once');
is($node->safe_psql('postgres', 'SELECT sum(k) FROM h'), '55', 'a new directory: local tables work');
my $missing = qr/XX001: rows of foreign table "t" are missing.*HINT/s;
fails($node, 'SELECT * FROM t', $missing, 'a new directory: reading');
fails($node, q{INSERT INTO t VALUES (0, '')}, $missing, 'a new directory: writing');
fails($node, q{COPY t FROM '/dev/null'}, $missing, 'a new directory: COPY');
fails($node, q{ANALYZE t}, $missing, 'a new directory: ANALYZE');
is($node->safe_psql('postgres', q{
	BEGIN; DROP FOREIGN TABLE t; ROLLBACK;
	TRUNCATE t;
	INSERT INTO t VALUES (1, 'new');
	SELECT v FROM t;
	TRUNCATE t;
	SELECT count(*) FROM t}), "new\n0", 'who gives up the rows can go on');
sound($node, 'who gives up the rows has a sound engine');
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', 'SELECT count(*) FROM t'), '0', 'also after a crash');
$node->safe_psql('postgres', 'DROP FOREIGN TABLE t');
$node->stop;

done_testing();
