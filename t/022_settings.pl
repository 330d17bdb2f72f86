# Settings: what is out of range is refused, what changes between starts loses nothing, and values that are too
# large for a setting say which.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $default = PostgreSQL::Test::Cluster->new('default');

$default->init;
$default->append_conf('postgresql.conf', "shared_preload_libraries = 'nvmkv_fdw'\n");

# Out of range: a warning in the log, and the default holds, as with the settings of all libraries.
my @bad = (
	{
		'nvmkv.write_buffer_size' => [ '512kB', qr/WARNING: +512 kB is outside the valid range .* \(1024 /, '64MB' ],
		'nvmkv.max_write_buffers' => [ '1', qr/WARNING: +1 is outside the valid range .* \(2 \.\. 15\)/, '4' ],
		'nvmkv.nvm_size' => [ '8MB', qr/WARNING: +invalid value for parameter "nvmkv.nvm_size": 8\n.*must be 0 or at least 16MB/, '512MB' ],
		'nvmkv.target_file_size' => [ '1kB', qr/WARNING: +1 kB is outside the valid range/, '32MB' ],
		'nvmkv.block_cache_size' => [ '0', qr/WARNING: +0 is outside the valid range/, '64MB' ],
		'nvmkv.bloom_bits_per_key' => [ '33', qr/WARNING: +33 is outside the valid range/, '10' ],
		'nvmkv.value_threshold' => [ '63', qr/WARNING: +invalid value for parameter "nvmkv.value_threshold": 63\n.*must be 0 or at least 64B/, '1kB' ],
		'nvmkv.l0_write_amplification' => [ '1', qr/WARNING: +1 is outside the valid range .*l0_write_amplification/, '3' ],
		'nvmkv.compaction_workers' => [ '0', qr/WARNING: +0 is outside the valid range/, '1' ],
	},
	{
		'nvmkv.write_buffer_size' => [ '2GB', qr/WARNING: +2097152 kB is outside the valid range/, '64MB' ],
		'nvmkv.max_write_buffers' => [ '16', qr/WARNING: +16 is outside the valid range/, '4' ],
		'nvmkv.nvm_size' => [ '-1', qr/WARNING: +-1 MB is outside the valid range/, '512MB' ],
		'nvmkv.l0_write_amplification' => [ 'NaN', qr/WARNING: +.*NaN/i, '3' ],
	},
	{ 'nvmkv.write_buffer_size' => [ 'much', qr/WARNING: +invalid value for parameter "nvmkv.write_buffer_size": "much"/, '64MB' ] });
for my $bad (@bad)
{
	my $conf = slurp_file($default->data_dir . '/postgresql.conf');
	my $size = -s $default->logfile // 0;

	$default->append_conf('postgresql.conf', join '', map { "$_ = '$bad->{$_}[0]'\n" } sort keys %$bad);
	$default->start;
	my $log = substr(slurp_file($default->logfile), $size);
	for my $name (sort keys %$bad)
	{
		my ($value, $expected, $used) = @{ $bad->{$name} };

		is($default->safe_psql('postgres', "SHOW $name"), $used, "$name = $value: the default holds");
		like($log, $expected, "$name = $value: the log says why");
	}
	$default->stop;
	unlink $default->data_dir . '/postgresql.conf';
	append_to_file($default->data_dir . '/postgresql.conf', $conf);
}
$default->start;

my $node = new_server('main');
my $sums = 'SELECT count(*), sum(k), sum(length(v)), min(v), max(v) FROM t';

$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE t (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	INSERT INTO t SELECT g, repeat(md5(g::text), 8) FROM generate_series(1, 20000) g;
});

# Not while the server runs, and not by names that do not exist.
fails($node, q{SET nvmkv.write_buffer_size = '2MB'}, qr/55P02: .*cannot be changed without restarting/, 'a change at run time');
fails($node, q{SET nvmkv.nonsense = 1}, qr/42602: invalid configuration parameter name "nvmkv.nonsense"/, 'an unknown setting');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM pg_settings WHERE name LIKE 'nvmkv.%' AND (short_desc = ''
		OR context <> CASE WHEN name IN ('nvmkv.compaction_rate_limit', 'nvmkv.copy_space_limit', 'nvmkv.fail_at') THEN 'sighup' ELSE 'postmaster' END)}),
	'0', 'settings are described, and ask for a restart or a reload');

my $conf = slurp_file($node->data_dir . '/postgresql.conf');
$node->stop;

sub set_conf
{
	my (@settings) = @_;

	unlink $node->data_dir . '/postgresql.conf';
	append_to_file($node->data_dir . '/postgresql.conf', join("\n", $conf, @settings, ''));
	return;
}

# Write buffers too large for the container are smaller than asked for, and the log says so.
my $size = -s $node->logfile;
set_conf(q{nvmkv.write_buffer_size = '8MB'});
$node->start;
like(substr(slurp_file($node->logfile), $size), qr/WARNING: .*write buffers have 5461 kB.*HINT: .*nvmkv.nvm_size/s, 'write buffers too large for the container');
is($node->safe_psql('postgres', 'SELECT count(*), min(capacity) < 5600000 FROM nvmkv.stat_memtables'), '4|t', 'are smaller');
is($node->safe_psql('postgres', 'SELECT count(*) FROM t'), '20000', 'and work');
$node->stop;

# No room for the workers: an error at once, not a wait.
set_conf('max_worker_processes = 1');
$node->start;
fails($node, "SET statement_timeout = '300s'; SELECT * FROM t", qr/53400: .*background workers.*HINT: +Increase max_worker_processes/s,
	'no room for workers');
fails($node, "SET statement_timeout = '300s'; INSERT INTO t VALUES (0, 'x')", qr/53400: .*HINT: +Increase max_worker_processes/s,
	'no room for workers, writing');
is($node->safe_psql('postgres', 'CREATE TABLE h AS SELECT 1 AS one; CHECKPOINT; SELECT one FROM h'), '1', 'local tables work');
$node->stop;

# Room for the first of them only: everything works, if more slowly.
set_conf('max_worker_processes = 2');
$node->start;
$node->safe_psql('postgres', q{
	INSERT INTO t SELECT g, repeat(md5(g::text), 8) FROM generate_series(20001, 120000) g;
	CHECKPOINT;
	DELETE FROM t WHERE k > 30000});
is($node->safe_psql('postgres', 'SELECT count(*) FROM t'), '30000', 'sessions do the work of missing workers');
my $before = $node->safe_psql('postgres', $sums);
$node->stop;

# Other settings than those the rows were written with.
for my $settings (
	[ q{nvmkv.write_buffer_size = '4MB'}, 'nvmkv.max_write_buffers = 2' ],
	[ 'nvmkv.max_write_buffers = 15' ],
	[ q{nvmkv.nvm_size = '128MB'}, q{nvmkv.block_cache_size = '1MB'} ],
	[ 'nvmkv.nvm_size = 0', q{nvmkv.block_cache_size = '200MB'} ],
	[ q{nvmkv.nvm_size = '20MB'} ],
	[ 'nvmkv.bloom_bits_per_key = 0', q{nvmkv.target_file_size = '64MB'}, 'nvmkv.l0_write_amplification = 20' ],
	[ 'nvmkv.compaction_workers = 8', 'max_worker_processes = 16' ])
{
	set_conf(@$settings);
	$node->start;
	is($node->safe_psql('postgres', $sums), $before, "@$settings: all rows are there");
	my ($wanted) = (join(' ', @$settings) =~ /nvm_size = '?(\d+)/, 16);
	is($node->safe_psql('postgres', 'SELECT extents_total FROM nvmkv.stat_engine'), $wanted > 0 ? $wanted - 1 : 0, "@$settings: the container has the size wanted");
	$node->safe_psql('postgres', q{
		UPDATE t SET v = v || 'x' WHERE k % 3 = 0;
		INSERT INTO t SELECT max(k) + 1, 'y' FROM t});
	$before = $node->safe_psql('postgres', $sums);
	sound($node, "@$settings: the engine is sound");
	$node->stop('immediate');
}
set_conf();
$node->start;
is($node->safe_psql('postgres', $sums), $before, 'back to the first settings: all rows are there');
sound($node, 'back to the first settings: the engine is sound');

# Values too large for small buffers.  Nothing of them is written, and the transaction goes on from a savepoint.
my $random = q{(SELECT string_agg(md5((%d + g)::text), '') FROM generate_series(1, %d / 32) g)};
my $too_large = qr/54000: row of foreign table "t" does not fit into a memtable.*DETAIL: .*memtable holds \d+.*HINT: +Increase nvmkv.write_buffer_size/s;
my $two_mb = sprintf $random, 1, 2 << 20;
fails($node, "INSERT INTO t VALUES (-1, $two_mb)", $too_large, 'a value larger than a memtable');
fails($node, "INSERT INTO t SELECT -g, CASE g WHEN 5 THEN $two_mb ELSE 'x' END FROM generate_series(1, 9) g", $too_large, 'among others');
fails($node, "UPDATE t SET v = $two_mb WHERE k = 1", $too_large, 'by UPDATE');
fails($node, "INSERT INTO t VALUES (1, 'x') ON CONFLICT (k) DO UPDATE SET v = $two_mb", $too_large, 'by ON CONFLICT');
$node->safe_psql('postgres', qq{
	DO \$\$ BEGIN
		INSERT INTO t VALUES (-10, 'kept');
		BEGIN
			INSERT INTO t VALUES (-11, $two_mb);
		EXCEPTION WHEN program_limit_exceeded THEN
			INSERT INTO t VALUES (-12, 'instead');
		END;
	END \$\$});
is($node->safe_psql('postgres', q{SELECT string_agg(k || v, ' ' ORDER BY k) FROM t WHERE k < 0}), '-12instead -10kept',
	'nothing of what was refused is there');
my $half_mb = sprintf $random, 1, 1 << 19;
is($node->safe_psql('postgres', qq{
	INSERT INTO t SELECT -g, $half_mb FROM generate_series(100, 120) g;
	SELECT count(*), count(DISTINCT md5(v)), min(length(v)) FROM t WHERE k <= -100}),
	'21|1|' . (1 << 19), 'what fits is taken');
sound($node, 'the engine is sound after large values');
$node->stop;

# With default settings a value may have 32 MiB, and no more.
$default->safe_psql('postgres', qq{
	CREATE EXTENSION nvmkv_fdw;
	CREATE FOREIGN TABLE t (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE TABLE h (v text);
	INSERT INTO h VALUES ((@{[ sprintf $random, 7, 32 << 20 ]}));
	INSERT INTO t SELECT 1, v FROM h;
	INSERT INTO t VALUES (2, 'small');
	UPDATE t SET v = reverse(v) WHERE k = 1});
my $right = q{SELECT length(v), reverse(v) = (SELECT v FROM h) FROM t WHERE k = 1};
is($default->safe_psql('postgres', $right), (32 << 20) . '|t', 'a value of 32 MiB');
my $lsn = $default->lsn('insert');
fails($default, q{INSERT INTO t SELECT 3, v || repeat(md5(v), 32768) FROM h}, qr/54000: row of foreign table "t" takes more than the maximum/s,
	'a value of 33 MiB');
fails($default, q{UPDATE t SET v = v || repeat(md5(v), 32768) WHERE k = 1}, qr/54000: row of foreign table "t" takes more than the maximum/s,
	'a value of 33 MiB by UPDATE');
cmp_ok($default->safe_psql('postgres', "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '$lsn')"), '<', 1 << 20,
	'is refused before anything is written');
is($default->safe_psql('postgres', 'SELECT count(*) FROM t'), '2', 'and leaves no row');

# Recovery takes what was written with larger buffers.
$default->stop('immediate');
$default->append_conf('postgresql.conf', "nvmkv.write_buffer_size = '1MB'\n");
$default->start;
is($default->safe_psql('postgres', $right), (32 << 20) . '|t', 'recovery with smaller buffers than the rows need: they are there');
sound($default, 'and the engine is sound');
fails($default, 'UPDATE t SET v = v WHERE k = 1', $too_large, 'but they cannot be written again');
$default->stop;

# Flushed, they need no large buffer any more.
$default->append_conf('postgresql.conf', "nvmkv.write_buffer_size = '1MB'\n");
$default->start;
is($default->safe_psql('postgres', $right), (32 << 20) . '|t', 'after a clean stop small buffers do');
$default->stop;

done_testing();
