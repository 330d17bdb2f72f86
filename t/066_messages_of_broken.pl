# Messages of doc/broken.md to which nothing else leads on its own: a step of the engine fails on demand (nvmkv.fail_at, in
# builds with assertions), or files of another time are put in.  Each says what doc/broken.md says, and its next step ends with every row there.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Damage;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main', autovacuum => 'off', 'nvmkv.max_column_families' => 3);
my $data = $node->data_dir;
my $base = $node->basedir;
my $rounds = 0;

plan skip_all => 'the library was built without assertions'
  if $node->psql('postgres', 'SHOW nvmkv.fail_at') != 0;
$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE t (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE TABLE t_h (k int, v text)});

sub write_some
{
	$rounds++;
	both($node, "INSERT INTO t SELECT g, md5(g::text) FROM generate_series(1000 * $rounds, 1000 * $rounds + 500) g; DELETE FROM t WHERE k % 7 = $rounds");
	return;
}

sub equal
{
	my ($what) = @_;

	is(same_rows($node, 't'), '0|0', "$what: every row is there");
	sound($node, "$what: the engine is sound");
	return;
}

# From the next start, or reload, on.
sub fail_at
{
	my ($where) = @_;

	$node->append_conf('postgresql.conf', "nvmkv.fail_at = '$where'\n");
	return;
}

sub sh { system('sh', '-c', $_[0]) == 0 or die "$_[0] failed"; return }

# The server does not start, and says so.
sub stays_down
{
	my ($what, $expected) = @_;
	my $from = -s $node->logfile;

	ok(!$node->start(fail_ok => 1), "$what: the server does not start");
	like(substr(slurp_file($node->logfile), $from), $expected, "$what: it says why");
	return;
}

# It starts, and the tables say why they are not available.
sub unavailable
{
	my ($what, $expected) = @_;

	ok($node->start(fail_ok => 1), "$what: the server starts");
	fails($node, 'SELECT * FROM t', qr/not available.*$expected/s, $what);
	return;
}

# ---- recovery, without space, without memory, and with a failure that a restart may end

write_some();
$node->safe_psql('postgres', q{
	CREATE SERVER more FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'more');
	CREATE FOREIGN TABLE m (k int) SERVER more;
	INSERT INTO m VALUES (1)});
$node->stop('immediate');
fail_at('row.data_persisted no_space startup');
stays_down('no space to flush', qr/FATAL: .*could not flush foreign-table WAL at.*no space left/s);
fail_at('port.alloc no_memory startup');
stays_down('no memory', qr/FATAL: .*could not (replay|flush) foreign-table WAL at.*memory/s);
fail_at('row.data_persisted io startup');
unavailable('recovery goes on without the engine', qr/could not flush foreign-table WAL at .*input\/output error.*HINT: .*restart/s);
fail_at('');
$node->restart;
equal('recovered');
is($node->safe_psql('postgres', 'SELECT * FROM m'), '1', 'the family, too');

# ---- WAL that is to be kept, and what is kept

write_some();
$node->stop('immediate');
sh("mv '$data/nvmkv/CURRENT' '$base/'");
for my $point ('log.create', 'log.append', 'log.sync')
{
	fail_at("$point no_space startup");
	stays_down("no space to keep WAL ($point)", qr/FATAL: .*could not keep WAL of foreign tables.*no space left.*HINT: +Make space/s);
}
fail_at('port.alloc no_memory startup');
stays_down('no memory to keep WAL', qr/FATAL: .*could not keep WAL of foreign tables.*memory.*HINT: /s);
fail_at('');
unavailable('kept', qr/CURRENT/);
ok($node->log_contains('keeping WAL of foreign tables in "nvmkv_kept"'), 'it says that it keeps it');
$node->safe_psql('postgres', 'CREATE TABLE other AS SELECT 1'); # for there to be a recovery
$node->stop('immediate');
sh("mv '$base/CURRENT' '$data/nvmkv/'");
fail_at('row.data_persisted no_space startup');
stays_down('no space to replay what was kept', qr/FATAL: .*could not replay WAL of foreign tables that was kept.*no space left/s);
fail_at('port.alloc no_memory startup');
stays_down('no memory to replay what was kept', qr/FATAL: .*could not replay WAL of foreign tables that was kept.*memory/s);

# Stopped in order, it is replayed while the server runs.
sh("mv '$data/nvmkv/CURRENT' '$base/'");
fail_at('');
$node->start;
$node->stop;
sh("mv '$base/CURRENT' '$data/nvmkv/'");
fail_at('row.data_persisted no_space background worker');
$node->start;
fails($node, 'SELECT * FROM t', qr/53100: .*not available yet.*has to be replayed first: .*no space left.*HINT: .*by itself/s, 'not available yet');
is($node->safe_psql('postgres', 'SELECT count(*) > 0 FROM t_h'), 't', 'local tables are');
fail_at('port.alloc no_memory background worker');
$node->restart;
fails($node, 'SELECT * FROM t', qr/57P03: .*not available yet.*has to be replayed first: .*memory.*HINT: .*by itself/s, 'nor without memory');
fail_at('');
my $log = -s $node->logfile;
$node->reload;
ok($node->wait_for_log(qr/WAL of foreign tables that was kept has been replayed/, $log), 'the replay goes on by itself');
equal('what was kept');

# Memtables that cannot be flushed at the end, nor kept.
write_some();
fail_at('row.data_persisted no_space');
$node->reload;
$log = -s $node->logfile;
ok($node->poll_query_until('postgres', q{SELECT current_setting('nvmkv.fail_at') <> ''}), 'the setting is there');
$node->safe_psql('postgres', 'CHECKPOINT');
like(substr(slurp_file($node->logfile), $log), qr/could not be flushed; their memtables are kept.*DETAIL: .*no space left/s, 'kept memtables');
ok($node->poll_query_until('postgres', q{SELECT last_error LIKE '%no space left' FROM nvmkv.stat_workers WHERE role = 'flush'}),
	'the worker that flushes says the same');
fails($node, q{SELECT pg_backup_start('none', true)}, qr/^(?=.*57014: ).*WARNING: .*backup has not begun.*DETAIL: .*could not be drained: .*no space left.*HINT/s,
	'a backup that cannot begin');
write_some();
fail_at('log.sync no_space');
$node->reload;
$node->psql('postgres', 'SELECT nvmkv.flush()');
fails($node, q{INSERT INTO t VALUES (0, 'refused')}, qr/writes are refused until restart: .*no space left/, 'writes are refused');
$log = -s $node->logfile;
$node->stop('fast', fail_ok => 1);
like(substr(slurp_file($node->logfile), $log), qr/stopping without a checkpoint, because foreign tables could not be flushed.*HINT: +Nothing is lost/s,
	'a stop without a checkpoint');
fail_at('');
$node->start;
equal('recovered after that');

# ---- files of another time

write_some();
$node->stop('immediate');
sh("rm -rf '$base/crashed'; cp -a '$data' '$base/crashed'");
$node->start;
write_some();
$node->stop;
sh("rm -rf '$base/stopped'; cp -a '$data' '$base/stopped'");
$node->start;
write_some();
$node->safe_psql('postgres', 'SELECT pg_switch_wal(); CHECKPOINT');
$node->stop;
sh("rm -rf '$base/later'; mkdir '$base/later'; mv '$data'/nvmkv* '$base/later/'");

my $later = qr/has what was written up to log position [0-9A-F\/]+, but the log ends at [0-9A-F\/]+: it is of a later time/;
sh("rm -rf '$data'; cp -a '$base/stopped' '$data'; rm -rf '$data'/nvmkv*; cp -a '$base'/later/nvmkv* '$data/'");
unavailable('a later directory', $later);
$node->stop;
sh("rm -rf '$data'/nvmkv*; cp -a '$base'/stopped/nvmkv* '$data/'");
$node->start;
equal('put right');
$node->stop;
sh("rm -rf '$data'; cp -a '$base/crashed' '$data'; rm -rf '$data'/nvmkv*; cp -a '$base'/later/nvmkv* '$data/'");
stays_down('a later directory after a crash', $later);
sh("rm -r '$data/nvmkv'");
unavailable('moved away', qr/holds no database, but there was one/);
$node->stop;
sh("rm -rf '$data/nvmkv' '$data/nvmkv.anchor'; cp -a '$base/crashed/nvmkv' '$base/crashed/nvmkv.anchor' '$data/'");
$node->start;
equal('and every row is there with the right one');

# ---- files that are spoilt and put back

for (['nvmkv/FAMILIES', qr/FAMILIES/], ['nvmkv.anchor', qr/nvmkv\.anchor" is not an anchor/])
{
	my ($file, $expected) = @$_;

	$node->stop;
	sh("cp -a '$data/$file' '$base/saved'");
	spoil("$data/$file", $_, "\xa5" x 40) for 0, 4096;
	unavailable("$file is spoilt", $expected);
	$node->stop;
	sh("cp -a '$base/saved' '$data/$file'");
	$node->start;
	equal("$file is put back");
}

# ---- transactions that have not been

consume_xids($node, 20);
$node->poll_query_until('postgres', 'SELECT settled = pg_snapshot_xmin(pg_current_snapshot())::text::bigint FROM nvmkv.stat_outcomes');
my $next = $node->safe_psql('postgres', 'SELECT pg_snapshot_xmax(pg_current_snapshot())');
set_next_xid($node, $next - 10);
fails($node, 'SELECT * FROM t', qr/XX001: .*not available.*foreign tables know transactions up to \d+, but the server's next one is \d+: it has gone back.*HINT: .*pg_resetwal/s,
	'transaction ids that went back');
set_next_xid($node, $next + 10);
equal('raised again');
$node->stop;

done_testing();
