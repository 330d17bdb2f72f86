# Files and log agree: a start proves that the foreign tables' files are those the control file and the log speak of.
# What lost its end, what is of an earlier time and what is another server's is refused by name, and put right it has
# every row, as a heap table has that was changed alike.
use strict;
use warnings;

use File::Copy;
use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main', 'nvmkv.max_column_families' => 2, autovacuum => 'off');
my $data = $node->data_dir;
my $base = $node->basedir;

$node->safe_psql('postgres', q{
	CREATE SERVER other FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'other');
	CREATE TABLE h (k int PRIMARY KEY, v text);
	CREATE FOREIGN TABLE t (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE f (k int, v text) SERVER other OPTIONS (primary_key 'k');
	INSERT INTO h SELECT g, md5(g::text) FROM generate_series(1, 10000) g;
	INSERT INTO t SELECT * FROM h;
	INSERT INTO f SELECT * FROM h;
	CHECKPOINT});

# The same changes of all three.
sub change
{
	my ($on, $mark) = @_;

	$on->safe_psql('postgres', join ';', map { "DELETE FROM $_ WHERE k % 7 = ${mark} % 7; UPDATE $_ SET v = v || '$mark' WHERE k % 3 = 0; "
		. "INSERT INTO $_ SELECT 100000 * $mark + g, 'new' FROM generate_series(1, 500) g" } qw(h t f));
	return;
}

sub same
{
	my ($on, $what) = @_;

	is($on->safe_psql('postgres', q{
		SELECT (SELECT count(*) FROM (TABLE h EXCEPT TABLE t) x), (SELECT count(*) FROM (TABLE t EXCEPT TABLE h) x),
			(SELECT count(*) FROM (TABLE h EXCEPT TABLE f) x), (SELECT count(*) FROM (TABLE f EXCEPT TABLE h) x)}),
		'0|0|0|0', "$what: the rows of the heap table");
	return;
}

sub sh { system('sh', '-c', $_[0]) == 0 or die "$_[0] failed" }

# Files of the foreign tables, by name of the moment.
sub save { sh("rm -rf '$base/$_[1]'; mkdir '$base/$_[1]'; cp -a '" . $_[0]->data_dir . "'/nvmkv* '$base/$_[1]/'") }
sub put_back { sh("rm -rf '$data'/nvmkv*; cp -a '$base/$_[0]'/nvmkv* '$data/'"); return }
sub manifest { return (glob("$data/nvmkv/$_[0]MANIFEST-*"))[0] }

# What nvmkv_dump has to say about the files of a server that has stopped.
my $has_dump = system('nvmkv_dump >/dev/null 2>&1') >> 8 == 2;

sub dump_says
{
	my ($what, $expected) = @_;
	my ($out, $err);

	return if !$has_dump;
	my $ok = IPC::Run::run([ 'nvmkv_dump', 'check', "$data/nvmkv" ], '>', \$out, '2>', \$err);
	is($ok ? 'sound' : 'not sound', defined $expected ? 'not sound' : 'sound', "$what: nvmkv_dump finds it as it is") or diag("$out$err");
	like("$out$err", $expected, "$what, says nvmkv_dump") if defined $expected;
	return;
}

# The server starts, heap tables work, foreign tables say why not, all or those of a family; nothing is changed by it.
sub refused
{
	my ($what, $expected, $table) = @_;

	$table //= 't';
	dump_says($what, $expected);
	is($node->start(fail_ok => 1), 1, "$what: the server starts");
	fails($node, "SELECT count(*) FROM $table", qr/XX001: .*not available.*$expected/s, $what);
	like($node->safe_psql('postgres', 'SELECT problem FROM nvmkv.check(), (SELECT count(*) FROM h) x'), qr/not available.*$expected/s, "$what, says the check; local tables work");
	$node->stop;
	dump_says("$what, after that start", $expected);
	return;
}

$node->stop;
save($node, 'yesterday');
$node->start;
change($node, 1);
same($node, 'in the beginning');
$node->stop;
save($node, 'today');

my $cut = qr/has lost its end, or is an earlier one: it ends with edit \d+, at log position [0-9A-F]+\/[0-9A-F]+, "[^"]*nvmkv\.anchor" says \d+ and [0-9A-F]+\/[0-9A-F]+/;
my $other_pool = qr/level0\.pool" is of another time or another server: it was opened last as generation [0-9a-f]{16}, at log position [0-9A-F]+\/[0-9A-F]+; the manifest names [0-9a-f]{16}, and has what was written up to [0-9A-F]+\/[0-9A-F]+/;
my $other_time = qr/is of another time or another server/;

truncate(manifest(''), (-s manifest('')) - 1);
refused('a manifest without its last byte', $cut);
put_back('today');
truncate(manifest(''), (-s manifest('')) - 20);
refused('a manifest without its last 20 bytes', $cut);
put_back('today');
my $size = -s manifest('');
truncate(manifest(''), $size - 30);
truncate(manifest(''), $size);
refused('a manifest whose last 30 bytes are zero', $cut);
put_back('today');
truncate(manifest('family-1/'), (-s manifest('family-1/')) - 1);
refused("a family's manifest without its last byte", $cut, 'f');
put_back('today');
sh("rm -rf '$data/nvmkv'; cp -a '$base/yesterday/nvmkv' '$data/'");
refused('the directory of yesterday', $other_time);
put_back('today');
sh("rm '$data'/nvmkv/MANIFEST* '$data/nvmkv/CURRENT'; cp -a '$base'/yesterday/nvmkv/MANIFEST* '$base/yesterday/nvmkv/CURRENT' '$data/nvmkv/'");
refused('manifest and CURRENT of yesterday', $other_time);
put_back('today');
sh("rm -rf '$data/nvmkv/family-1'; cp -a '$base/yesterday/nvmkv/family-1' '$data/nvmkv/'");
refused("a family's directory of yesterday", $other_time, 'f');
put_back('today');
sh("rm -rf '$data/nvmkv'");
refused('no directory', qr/holds no database, but there was one up to log position/);
put_back('today');
unlink "$data/nvmkv.anchor";
refused('no anchor', qr/nvmkv\.anchor" is missing/);
put_back('today');
copy("$base/yesterday/nvmkv/level0.pool", "$data/nvmkv/level0.pool");
refused('the container of yesterday', $other_pool);
put_back('today');
copy("$base/yesterday/nvmkv/family-1/level0.pool", "$data/nvmkv/family-1/level0.pool");
refused("a family's container of yesterday", $other_pool, 'f');
put_back('today');
$node->start;
same($node, 'put right');
sound($node, 'put right, it is sound');
append_to_file("$base/moved", '');
move("$data/nvmkv.anchor", "$base/moved");
like($node->safe_psql('postgres', 'SELECT * FROM nvmkv.check()'), qr/anchor "[^"]*nvmkv\.anchor" is missing/, 'the check misses the anchor');
move("$base/moved", "$data/nvmkv.anchor");
sound($node, 'and finds it');

# With nothing in the container any one will do, and it is filled anew.
change($node, 2);
$node->safe_psql('postgres', 'SELECT nvmkv.compact()');
$node->stop;
copy("$base/yesterday/nvmkv/level0.pool", "$data/nvmkv/level0.pool");
$node->start;
same($node, 'the container of yesterday, drained');
change($node, 3);
same($node, 'the container of yesterday, filled');
$node->stop('immediate');
$node->start;
same($node, 'the container of yesterday, after a crash');

# After a crash: whatever is cut off is refused, by the tree or by the rows that it concerns, or every row is there.
change($node, 4);
$node->safe_psql('postgres', 'CHECKPOINT');
change($node, 5);
$node->safe_psql('postgres', 'SELECT nvmkv.flush()');
change($node, 6);
$node->stop('immediate');
sh("rm -rf '$base/crashed'; cp -a '$data' '$base/crashed'");
my %outcomes = (rows => 0, refused => 0);
for my $bytes ($ENV{NVMKV_LONG} ? (0, 1, 40, 200, 1000) : (0, 1, 200))
{
	sh("rm -rf '$data'; cp -a '$base/crashed' '$data'");
	truncate(manifest(''), (-s manifest('')) - $bytes) if $bytes < -s manifest('');
	my $log = -s $node->logfile;
	my $result = $node->start(fail_ok => 1) ? 'rows' : 'refused';

	if ($result eq 'rows' && $node->psql('postgres', 'SELECT count(*) FROM t') != 0)
	{
		$result = 'refused';
		$node->stop;
	}
	$outcomes{$result}++;
	if ($result eq 'rows')
	{
		same($node, "after a crash, $bytes bytes cut off");
		$node->stop('immediate');
	}
	else
	{
		like(substr(slurp_file($node->logfile), $log), qr/not available: .*(has lost its end|is missing|row \d+)|ERROR: .*whose outcome is lost/,
			"after a crash, $bytes bytes cut off: refused");
	}
}
cmp_ok($outcomes{rows}, '>=', 1, 'a crash is recovered');
note("$outcomes{rows} recovered, $outcomes{refused} refused");
sh("rm -rf '$data'; cp -a '$base/crashed' '$data'");
$node->start;
same($node, 'after a crash');

# A log that was begun anew after an orderly end, a server that ran without the library.
if ($ENV{NVMKV_LONG})
{
	$node->stop;
	$node->command_ok([ 'pg_resetwal', '-x', '100000', $data ], 'the log is begun anew');
	sh("head -c 262144 /dev/zero >> '$data/pg_xact/0000'; truncate -s 262144 '$data/pg_xact/0000'");
	$node->start;
	same($node, 'after pg_resetwal');
	change($node, 7);
	$node->stop;
	$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
	$node->start;
	$node->safe_psql('postgres', 'CREATE TABLE filler AS SELECT g, repeat(md5(g::text), 20) FROM generate_series(1, 20000) g; '
		. 'SELECT pg_switch_wal(); CHECKPOINT; DROP TABLE filler; SELECT pg_switch_wal(); CHECKPOINT');
	$node->stop;
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'nvmkv_fdw'\n");
	$node->start;
	same($node, 'after a time without the library');
	change($node, 8);
	$node->stop('immediate');
	$node->start;
	same($node, 'and a crash');

	# Checkpoints of an idle server, and of one with other work only; then a crash.
	$node->safe_psql('postgres', 'CREATE TABLE other_work AS SELECT 1 AS a');
	$node->safe_psql('postgres', 'INSERT INTO other_work VALUES (2)') && $node->safe_psql('postgres', 'CHECKPOINT') for 1 .. 3;
	$node->safe_psql('postgres', 'CHECKPOINT');
	$node->stop('immediate');
	$node->start;
	same($node, 'after checkpoints of other work, and a crash');

	# Single-user mode writes, checkpoints and ends.
	$node->stop;
	my $script = "INSERT INTO h VALUES (-1, 'single')\nINSERT INTO t VALUES (-1, 'single')\nINSERT INTO f VALUES (-1, 'single')\nCHECKPOINT\n";
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'postgres', '--single', '-D', $data, 'postgres' ], '<', \$script, '>', \$out, '2>', \$err) or diag($err);
	$node->start;
	same($node, 'after single-user mode');
}

# A standby and its primary: neither takes the other's files, whichever of them was promoted.
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
change($node, 9);
$node->safe_psql('postgres', 'CHECKPOINT');
$node->wait_for_catchup($standby);
same($standby, 'on the standby');
$standby->stop;
$node->stop;
save($node, 'primary');
save($standby, 'standby');
sh("rm -rf '$data/nvmkv'; cp -a '$base/standby/nvmkv' '$data/'");
refused("the standby's directory", $other_time);
put_back('primary');
my $standby_data = $standby->data_dir;
sh("rm -rf '$standby_data/nvmkv'; cp -a '$base/primary/nvmkv' '$standby_data/'");
my $log = -s $standby->logfile;
if ($standby->start(fail_ok => 1))
{
	fails($standby, 'SELECT count(*) FROM t', qr/not available/, "the primary's directory on the standby");
	$standby->stop;
}
like(substr(slurp_file($standby->logfile), $log), $other_time, "the primary's directory on the standby is refused");
sh("rm -rf '$standby_data'/nvmkv*; cp -a '$base/standby'/nvmkv* '$standby_data/'");
$node->start;
$standby->start;
change($node, 10);
$node->wait_for_catchup($standby);
same($standby, 'the standby goes on');
$node->stop;
$standby->promote;
change($standby, 11);
same($standby, 'promoted');
$standby->stop('immediate');
$standby->start;
same($standby, 'promoted, after a crash');
$standby->stop;

# Taken as it is, on somebody's word: once.
sh("rm -rf '$data/nvmkv'; cp -a '$base/today/nvmkv' '$data/'");
refused('an old directory', $other_time);
append_to_file("$data/nvmkv.accept", '');
$node->start;
ok(!-e "$data/nvmkv.accept", 'the word is used up');
like(slurp_file($node->logfile), qr/accepted, as "[^"]*nvmkv\.accept" says: .*is of another time/, 'and logged');
cmp_ok($node->safe_psql('postgres', 'SELECT count(*) FROM t'), '>', 8000, 'its rows can be read');
$node->safe_psql('postgres', 'TRUNCATE t, f; INSERT INTO t SELECT * FROM h; INSERT INTO f SELECT * FROM h');
$node->stop('immediate');
$node->start;
same($node, 'written anew, after a crash');
$node->stop;

# The extension goes as the manual says.
$node->start;
$node->safe_psql('postgres', 'DROP FOREIGN TABLE t, f; DROP EXTENSION nvmkv_fdw CASCADE');
$node->stop;
sh("rm -r '$data/nvmkv' '$data/nvmkv.anchor'");
$node->start;
is($node->safe_psql('postgres', q{
	CREATE EXTENSION nvmkv_fdw;
	CREATE FOREIGN TABLE t (k int) SERVER nvmkv;
	INSERT INTO t VALUES (1);
	SELECT k FROM t}), '1', 'removed, it can come back');
$node->stop;

done_testing();
