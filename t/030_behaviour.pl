# What operators and users take for granted of a server with foreign tables: sessions that see each other as they
# should, commands that can be cancelled, clean stops, neighbours left alone, nothing leaked.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# max_worker_processes stays at its default; values of some MB fit.
my $node = new_server('main', 'nvmkv.write_buffer_size' => '8MB', 'nvmkv.nvm_size' => '64MB', fsync => 'on');

$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE t (k bigint, n int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	INSERT INTO t SELECT g, 0, 'v' || g FROM generate_series(1, 1000) g;
});

# A session that stays; say() sends statements and returns what they print.
sub session
{
	my %s = (in => '', out => '', err => '', timer => IPC::Run::timeout(600));

	$s{run} = IPC::Run::start([ 'psql', '-XAtq', '-f', '-', '-d', $node->connstr('postgres') ],
		'<', \$s{in}, '>', \$s{out}, '2>', \$s{err}, $s{timer});
	return \%s;
}

sub say_to
{
	my ($s, $sql) = @_;

	$s->{out} = '';
	$s->{in} = "$sql;\nSELECT 'said';\n";
	$s->{run}->pump until $s->{out} =~ /^said$/m || !$s->{run}->pumpable;
	(my $out = $s->{out}) =~ s/said\n//;
	chomp $out;
	return $out;
}

sub leave
{
	my ($s) = @_;

	$s->{in} = "\\q\n";
	$s->{run}->finish;
	return;
}

# ---- sessions and each other

my $a = session();
my $b = session();

say_to($a, "BEGIN; UPDATE t SET v = 'not yet' WHERE k = 1; INSERT INTO t VALUES (2000, 0, 'not yet')");
is(say_to($b, 'SELECT v FROM t WHERE k = 1; SELECT count(*) FROM t'), "v1\n1000", 'what is not committed is not seen');
say_to($b, 'BEGIN ISOLATION LEVEL REPEATABLE READ');
is(say_to($b, 'SELECT count(*) FROM t'), '1000', 'a repeatable-read transaction reads');
say_to($a, 'COMMIT');
is(say_to($b, 'SELECT count(*) FROM t'), '1000', 'and reads the same again');
is(say_to($b, 'COMMIT; SELECT v FROM t WHERE k = 1; SELECT count(*) FROM t'), "not yet\n1001", 'the next one sees the commit');
say_to($a, "BEGIN; SELECT * FROM t WHERE k = 2 FOR UPDATE");
fails($node, "SET lock_timeout = '200ms'; UPDATE t SET v = 'x' WHERE k = 2", qr/55P03/, 'a locked row waits for its holder');
fails($node, 'SELECT * FROM t WHERE k = 2 FOR UPDATE NOWAIT', qr/55P03/, 'or says that it is locked');
is($node->safe_psql('postgres', 'SELECT count(*) FROM (SELECT * FROM t WHERE k IN (2, 3) FOR UPDATE SKIP LOCKED) x'), '1', 'or is skipped');
say_to($a, 'ROLLBACK');

# Concurrent increments: none is lost.
my $script = $node->basedir . '/increment.sql';
append_to_file($script, "UPDATE t SET n = n + 1 WHERE k = 1;\n");
$node->command_ok([ 'pgbench', '-n', '-c4', '-j2', '-t500', '-f', $script, 'postgres' ], 'four sessions add 500 each');
is($node->safe_psql('postgres', 'SELECT n FROM t WHERE k = 1'), '2000', 'no update is lost');

# A commit is on disk when it is acknowledged.
my $synced = $node->safe_psql('postgres', 'SHOW server_version_num') >= 180000
  ? q{SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal'}
  : 'SELECT wal_sync FROM pg_stat_wal';
my $before = $node->safe_psql('postgres', $synced);
$node->safe_psql('postgres', "INSERT INTO t VALUES (3000 + $_, 0, 'synced')") for 1 .. 10;
cmp_ok($node->poll_query_until('postgres', "SELECT ($synced) - $before >= 10"), '==', 1, 'each commit flushes the log');

# ---- large values, cancelled statements

my $large = q{(SELECT string_agg(md5(g::text), '') FROM generate_series(1, 2048) g)};
is($node->safe_psql('postgres', "SET statement_timeout = '300s'; INSERT INTO t VALUES (4000, 0, $large); SELECT length(v) FROM t WHERE k = 4000"),
	'65536', 'a value of 64 kB');
fails($node, "SET statement_timeout = '300ms'; INSERT INTO t SELECT g, 0, $large FROM generate_series(5000, 500000) g", qr/57014/,
	'a load that times out');
fails($node, "SET statement_timeout = '300ms'; SELECT count(*) FROM t a, t b, t c WHERE a.v < b.v", qr/57014/, 'a scan that times out');
is($node->safe_psql('postgres', 'SELECT count(*) FROM t WHERE k BETWEEN 5000 AND 500000'), '0', 'leaves nothing');
say_to($a, "SET application_name = 'loader'");
$a->{out} = '';
$a->{in} = "INSERT INTO t SELECT g, 0, 'x' FROM generate_series(5000, 50000000) g; SELECT 'said';\n";
$a->{run}->pump_nb;
my $running = q{FROM pg_stat_activity WHERE application_name = 'loader' AND state = 'active' AND query LIKE 'INSERT%'};
$node->poll_query_until('postgres', "SELECT count(*) = 1 $running");
is($node->safe_psql('postgres', "SELECT pg_cancel_backend(pid) $running"), 't', 'a load is cancelled');
$a->{run}->pump until $a->{out} =~ /^said$/m || !$a->{run}->pumpable;
like($a->{err}, qr/canceling statement due to user request/, 'at once');
is(say_to($a, 'SELECT count(*) FROM t WHERE k BETWEEN 5000 AND 50000000'), '0', 'and leaves nothing');
$a->{in} = "INSERT INTO t SELECT g, 0, 'x' FROM generate_series(5000, 50000000) g;\n";
$a->{run}->pump_nb;
$node->poll_query_until('postgres', "SELECT count(*) = 1 $running");
is($node->safe_psql('postgres', "SELECT pg_terminate_backend(pid, 20000) $running"), 't', 'a session is terminated');
eval { $a->{run}->finish };
is($node->safe_psql('postgres', 'SELECT count(*) FROM t'), '1012', 'and everybody else goes on');

# ---- leaks

my $pid = say_to($b, 'SELECT pg_backend_pid()');
my $fds = sub { scalar(() = glob("/proc/$pid/fd/*")) };
my $files = sub { scalar(() = glob($node->data_dir . '/nvmkv/*')) };
# Workers make no more files then, though some may still go.
my $rest = sub { $node->safe_psql('postgres', 'SELECT nvmkv.flush(); SELECT nvmkv.compact()') };
say_to($b, 'SELECT sum(1 / (k - 5)) FROM t; SELECT count(*) FROM t');
$rest->();
my @had = ($fds->(), $files->());
say_to($b, 'SELECT sum(1 / (k - 5)) FROM t') for 1 .. 200;
cmp_ok($fds->(), '<=', $had[0] + 2, 'failed scans leave no open files');
cmp_ok($files->(), '<=', $had[1], 'nor other files');
$rest->();
sound($node, 'nor anything that holds back compaction');
leave($b);

my $high_water = sub
{
	my ($session) = @_;
	my $p = say_to($session, 'SELECT pg_backend_pid()');

	return slurp_file("/proc/$p/status") =~ /^VmHWM:\s+(\d+)/m ? $1 : 0;
};
my $anonymous = sub
{
	my ($session) = @_;
	my $p = say_to($session, 'SELECT pg_backend_pid()');

	return slurp_file("/proc/$p/status") =~ /^RssAnon:\s+(\d+)/m ? $1 : 0;
};
my $c = session();
say_to($c, q{INSERT INTO t SELECT g, 0, 'warm up' FROM generate_series(100000, 110000) g});
my $memory = $anonymous->($c);
say_to($c, q{INSERT INTO t SELECT g, 0, 'row ' || g FROM generate_series(200001, 500000) g});
cmp_ok($anonymous->($c), '<', $memory + 16 * 1024, 'a load of 300000 rows does not grow the session');
say_to($c, q{UPDATE t SET n = n + 1 WHERE k > 200000});
cmp_ok($anonymous->($c), '<', $memory + 16 * 1024, 'nor does updating them');
say_to($c, q{SELECT count(*), max(v) FROM t});
cmp_ok($anonymous->($c), '<', $memory + 48 * 1024, 'nor reading them, apart from cached blocks');
leave($c);

# ---- definitions

$node->safe_psql('postgres', join '', map { "CREATE FOREIGN TABLE many_$_ (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k'); INSERT INTO many_$_ VALUES ($_, 'x');" } 1 .. 40);
is($node->safe_psql('postgres', 'SELECT ' . join(' + ', map { "(SELECT sum(k) FROM many_$_)" } 1 .. 40)), '820',
	'forty tables need no more workers than one');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'nvmkv%' AND backend_type <> 'nvmkv_fdw analyze worker'}),
	$node->safe_psql('postgres', 'SELECT count(*) FROM nvmkv.stat_workers'), 'as many as the view shows');
my $storages = $node->safe_psql('postgres', 'SELECT count(*) FROM nvmkv.storage');
$rest->();
@had = ($files->());
$node->safe_psql('postgres', "BEGIN; CREATE FOREIGN TABLE undone_$_ (k int) SERVER nvmkv; INSERT INTO undone_$_ VALUES (1); ROLLBACK") for 1 .. 30;
is($node->safe_psql('postgres', 'SELECT count(*) FROM nvmkv.storage'), $storages, 'tables that were rolled back leave no storage');
cmp_ok($files->(), '<=', $had[0], 'and no files');

# Another database, whose sessions nothing disturbs; what is dropped gives its space back.
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', q{
	CREATE EXTENSION nvmkv_fdw;
	CREATE FOREIGN TABLE t (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	INSERT INTO t SELECT g, repeat(md5(g::text), 10) FROM generate_series(1, 20000) g});
my $d = session();
say_to($d, '\\c other');
is(say_to($d, 'SELECT count(*) FROM t'), '20000', 'a session in another database');
fails($node, 'DROP DATABASE other', qr/55006/, 'the database in use is not dropped');
is(say_to($d, 'SELECT count(*), max(k) FROM t'), '20000|20000', 'and its session goes on');
leave($d);
$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = 'other'});
$node->safe_psql('postgres', 'DROP DATABASE other');
is($node->safe_psql('postgres', 'SELECT count(*) FROM t WHERE k <= 1000'), '1000', 'a dropped database leaves the others alone');
$node->safe_psql('postgres', 'DROP FOREIGN TABLE t; ' . join '', map { "DROP FOREIGN TABLE many_$_;" } 1 .. 40);
$node->safe_psql('postgres', 'SELECT nvmkv.flush(); SELECT nvmkv.compact()');
is($node->safe_psql('postgres', 'SELECT coalesce(sum(bytes), 0) < 1000000 FROM nvmkv.stat_levels'), 't', 'what is dropped gives its space back');

# ---- stops and neighbours

$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE t (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	INSERT INTO t VALUES (1, 'main');
	CREATE UNLOGGED TABLE unlogged (a int);
	INSERT INTO unlogged SELECT generate_series(1, 100)});
my $log_size = -s $node->logfile;
$node->stop;
my $log = substr(slurp_file($node->logfile), $log_size);
unlike($log, qr/terminated by signal|abnormal|PANIC|FATAL(?!:  terminating)/, 'no process ends badly');
like($log, qr/database system is shut down/, 'the server is shut down');
$node->start;
$log = substr(slurp_file($node->logfile), $log_size);
unlike($log, qr/not properly shut down/, 'nothing is to be recovered');
is($node->safe_psql('postgres', 'SELECT count(*) FROM unlogged'), '100', 'unlogged tables keep their rows');

my $neighbour = new_server('neighbour');
$neighbour->safe_psql('postgres', q{
	CREATE FOREIGN TABLE t (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	INSERT INTO t VALUES (1, 'neighbour')});
my $e = session();
is(say_to($e, 'SELECT v FROM t'), 'main', 'two servers on one host: each has its rows');
is($neighbour->safe_psql('postgres', 'SELECT v FROM t'), 'neighbour', 'and the other its own');
$neighbour->stop('immediate');
is(say_to($e, "UPDATE t SET v = 'still main'; SELECT v FROM t"), 'still main', 'one that stops is not noticed by the other');
leave($e);
is($node->safe_psql('postgres', 'SELECT v FROM t'), 'still main', 'nor by its new sessions');
sound($node, 'the engine is sound');

$node->stop;
done_testing();
