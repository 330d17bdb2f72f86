# scripts/sizing.sh tells what a server then has: shared memory within 3 %, files, container and log within a tenth.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($script) = grep { -e } "$FindBin::RealBin/../sizing.sh", "$FindBin::RealBin/../scripts/sizing.sh";

# What it says, in bytes by name.
sub told
{
	my @arguments = @_;
	my ($out, $err) = run_command([ 'bash', $script, '--plain', @arguments ]);

	is($err, '', "sizing.sh @arguments");
	return map { split /\t/ } split /\n/, $out;
}

sub within
{
	my ($share, $is, $expected, $name) = @_;

	ok($is >= $expected * (1 - $share) && $is <= $expected * (1 + $share), "$name: $is, expected $expected");
	return;
}

sub value
{
	my ($node, $query) = @_;

	return $node->safe_psql('postgres', $query);
}

# ------------------------------------------------------------ memory

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(extra => [ '--locale=C', '--encoding=UTF8' ]);
$node->append_conf('postgresql.conf', "shared_preload_libraries = nvmkv_fdw\nautovacuum = off\nwal_level = replica\n");
for my $case ([ 8192, 128, 1 ], [ 2048, 256, 2 ])
{
	my ($memory, $buffers, $families) = @$case;
	my %told = told('-n', 1_000_000, '-b', 100, '-m', $memory, '-s', $buffers, '-f', $families);

	# Later lines count.
	$node->append_conf('postgresql.conf', join "\n", "shared_buffers = ${buffers}MB", "nvmkv.max_column_families = $families",
		map { "$_ = " . $told{$_} / 1024 . 'kB' } qw(nvmkv.write_buffer_size nvmkv.block_cache_size nvmkv.nvm_size));
	my ($size) = run_command([ 'postgres', '-D', $node->data_dir, '-C', 'shared_memory_size' ]);
	within(0.03, $size, sprintf('%.0f', $told{shared_memory_size} / 1048576), "$memory MB, $families families: MB of shared memory");
}

# ------------------------------------------------- rows and their indexes

# Small, so that a few rows are flushed and compacted; nothing of it is about bytes a row.
$node->append_conf('postgresql.conf', "shared_buffers = '64MB'\nnvmkv.max_column_families = 1\nnvmkv.block_cache_size = '64MB'\n" . settings());
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION nvmkv_fdw');
my $n = 100_000;
for my $case (
	{ name => 'bigint and 100 bytes', columns => 'k bigint PRIMARY KEY, v text', key => 8, row => "g, left(repeat(md5(g::text), 4), 100)" },
	{ name => 'a uuid, two indexes', columns => 'k uuid PRIMARY KEY, a bigint, t text COLLATE "C", v text', key => 16, indexes => { a => 8, t => 33 },
		row => "md5(g::text)::uuid, hashint8(g), md5((-g)::text), left(repeat(md5(g::text), 4), 60)" },
	{ name => 'values apart', columns => 'k bigint PRIMARY KEY, v text', key => 8, n => 10_000, row => "g, left(repeat(md5(g::text), 50), 1500)" })
{
	my ($name, $rows, %indexes) = ($case->{name}, $case->{n} // $n, %{ $case->{indexes} // {} });

	$node->safe_psql('postgres', "DROP TABLE IF EXISTS t; CREATE TABLE t ($case->{columns}) USING nvmkv; " .
		join('', map { "CREATE INDEX ON t ($_); " } sort keys %indexes));
	my $before = value($node, q{SELECT pg_current_wal_insert_lsn() - '0/0'});
	$node->safe_psql('postgres', "INSERT INTO t SELECT $case->{row} FROM generate_series(1, $rows) g ORDER BY hashint8(g)");
	my $log = (value($node, q{SELECT pg_current_wal_insert_lsn() - '0/0'}) - $before) / $rows;
	my $bytes = value($node, 'SELECT round(avg(pg_column_size(t.*)) - 24) FROM t');
	my %told = told('-n', $rows, '-b', $bytes, '-k', $case->{key}, map { ('-x', $indexes{$_}) } sort keys %indexes);

	within(0.1, $log, $told{wal_batch}, "$name: bytes of log a row");
	$node->safe_psql('postgres', 'SELECT nvmkv.flush()');
	my $files = value($node, q{SELECT sum(size) FROM pg_ls_dir('nvmkv') AS name, pg_stat_file('nvmkv/' || name) WHERE name ~ '^[0-9]'});
	cmp_ok($files, '<=', $told{data_most}, "$name: files are not larger than what was to be reckoned with") if !defined $case->{n};
	$node->safe_psql('postgres', "SELECT nvmkv.compact('t')");
	within(0.1, value($node, q{SELECT nvmkv.table_size('t')}), $told{data}, "$name: bytes in files");
}

# A transaction for each row.
$node->safe_psql('postgres', q{
	CREATE TABLE single (k bigint PRIMARY KEY, a bigint, v text) USING nvmkv;
	CREATE INDEX ON single (a);
	CHECKPOINT});
my $before = value($node, q{SELECT pg_current_wal_insert_lsn() - '0/0'});
$node->safe_psql('postgres', q{
	SET synchronous_commit = off;
	DO $$ BEGIN FOR g IN 1 .. 5000 LOOP INSERT INTO single VALUES (hashint8(g), g, repeat('x', 100)); COMMIT; END LOOP; END $$});
my %told = told('-n', 5000, '-b', 117, '-x', 8);
within(0.1, (value($node, q{SELECT pg_current_wal_insert_lsn() - '0/0'}) - $before) / 5000, $told{wal_single}, 'bytes of log of a single row');

# The container: rows that compaction is in no hurry to take from it.
$node->safe_psql('postgres', q{SELECT nvmkv.compact()});
$node->append_conf('postgresql.conf', q{nvmkv.compaction_rate_limit = '64kB'});
$node->reload;
$node->poll_query_until('postgres', q{SELECT current_setting('nvmkv.compaction_rate_limit') = '64kB'}) or die 'no reload';
$node->safe_psql('postgres', q{
	CREATE TABLE held (k bigint PRIMARY KEY, v text) USING nvmkv;
	INSERT INTO held SELECT g, left(repeat(md5(g::text), 4), 100) FROM generate_series(1, 20000) g ORDER BY hashint8(g);
	SELECT nvmkv.flush()});
%told = told('-n', 20000, '-b', 109);
within(0.15, value($node, q{SELECT sum(bytes) / sum(keys) FROM nvmkv.stat_matrix WHERE keys > 1000}), $told{container_row},
	'bytes of a row in the container');

$node->stop;
done_testing();
