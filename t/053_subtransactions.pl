# Memory of a transaction with very many subtransactions: what the backend takes for a foreign table is bounded, whatever
# the server itself takes for subtransactions, which a heap table shows; so are background workers, while the rows are
# flushed, compacted and settled.
#
# NVMKV_MANY_SUBTRANSACTIONS: how many, default 30000.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Nvmkv;

my $count = $ENV{NVMKV_MANY_SUBTRANSACTIONS} // 30_000;
$PostgreSQL::Test::Utils::timeout_default = 7200 if $count > 500_000;
my $allowance = 8 * 1024; # kB: caches of the engine, bytes that a row needs while it is written

my $node = new_server('main', autovacuum => 'off', synchronous_commit => 'off', max_wal_size => '4GB',
	'nvmkv.write_buffer_size' => '8MB', 'nvmkv.nvm_size' => '64MB', 'nvmkv.target_file_size' => '8MB');

$node->safe_psql('postgres', q{
	CREATE TABLE h (k int, v text);
	CREATE FOREIGN TABLE f (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	ALTER TABLE h ADD PRIMARY KEY (k);
});

# Memory of the process that nobody else has, in kB: now, and that of all kinds at its highest.
sub memory
{
	my ($pid) = @_;
	my $status = slurp_file("/proc/$pid/status");

	return ($status =~ /^RssAnon:\s+(\d+)/m)[0], ($status =~ /^VmHWM:\s+(\d+)/m)[0];
}

# A third of the subtransactions is rolled back.  Returns what the backend has more at the end, and at most.
sub measure
{
	my ($table) = @_;
	my $session = $node->background_psql('postgres');
	my $pid = $session->query_safe('SELECT pg_backend_pid()');

	$session->query_safe("BEGIN; SELECT count(*) FROM $table");
	my ($before, $highest_before) = memory($pid);
	$session->query_safe(qq{
		DO \$\$
		BEGIN
			FOR i IN 1 .. $count LOOP
				BEGIN
					INSERT INTO $table VALUES (i, i);
					IF i % 3 = 1 THEN RAISE EXCEPTION 'no'; END IF;
				EXCEPTION WHEN raise_exception THEN NULL;
				END;
			END LOOP;
		END \$\$});
	my ($after, $highest) = memory($pid);
	$session->query_safe('COMMIT');
	$session->quit;
	note("$table: $count subtransactions, private memory $before kB before, $after kB after; at most $highest kB with shared");
	return $after - $before, $highest - $highest_before;
}

my $workers = "SELECT pid FROM nvmkv.stat_workers ORDER BY pid";
my %before = map { $_ => (memory($_))[0] } split /\n/, $node->safe_psql('postgres', $workers);
my ($heap, $heap_highest) = measure('h');
my ($foreign, $foreign_highest) = measure('f');

cmp_ok($foreign, '<=', $heap + $allowance, 'private memory of the backend is as for a heap table');

# What is shared counts as far as the process has touched it: memtables, container and block cache, as large as they are set.
my $shared = (4 * 8 + 64 + 64) * 1024;
cmp_ok($foreign_highest, '<=', $heap_highest + $shared + $allowance, 'and so it is at its highest');

$node->poll_query_until('postgres',
	'SELECT settled = pg_snapshot_xmin(pg_current_snapshot())::text::bigint FROM nvmkv.stat_outcomes')
  or die 'outcomes are not settled';
$node->safe_psql('postgres', 'SELECT nvmkv.compact()');
foreach my $pid (sort keys %before)
{
	my ($now) = memory($pid);

	note("worker $pid: private memory $before{$pid} kB before, $now kB after");
	cmp_ok($now, '<=', $before{$pid} + 64 * 1024, 'memory of a worker');
}
is( $node->safe_psql('postgres', 'SELECT count(*), sum(k) FROM f'),
	$node->safe_psql('postgres', 'SELECT count(*), sum(k) FROM h'),
	'the rows are those of the heap table');
$node->stop('immediate');
$node->start;
is( $node->safe_psql('postgres', 'SELECT count(*), sum(k) FROM f'),
	$node->safe_psql('postgres', 'SELECT count(*), sum(k) FROM h'),
	'the same after crash recovery');
sound($node, 'the engine is sound');
$node->stop;

done_testing();
