# A server that is killed while CREATE INDEX CONCURRENTLY fills an index: the index stays, invalid; writers keep it, nobody
# reads it, and REINDEX makes it whole.  The same for a session that is cancelled.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main');

# The index makes whoever fills it wait at a row, when another session holds the lock.
$node->safe_psql('postgres', q{
	CREATE FUNCTION wait_at(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
	BEGIN
		IF n = 3777 THEN PERFORM pg_advisory_xact_lock_shared(1); END IF;
		RETURN n;
	END $$;
	CREATE FOREIGN TABLE t (k int PRIMARY KEY, n int) SERVER nvmkv;
	INSERT INTO t SELECT g, g FROM generate_series(1, 5000) AS g});
my $kinds = q{SELECT indisready, indisvalid FROM pg_index WHERE indexrelid = 't_n'::regclass};
my $found = q{SET enable_seqscan = off; SELECT count(*), sum(k) FROM t WHERE wait_at(n) BETWEEN 10 AND 4000};

for my $end ('killed', 'cancelled')
{
	my $holder = $node->background_psql('postgres');
	my $maker = $node->background_psql('postgres', on_error_stop => 0);

	$holder->query_until(qr/held/, "SELECT pg_advisory_lock(1);\n\\echo held\n");
	$maker->query_until(qr/begun/, "\\echo begun\nCREATE INDEX CONCURRENTLY t_n ON t (wait_at(n));\n");
	ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}),
		"$end: in the middle");
	cmp_ok($node->safe_psql('postgres', q{SELECT tuples_done FROM pg_stat_progress_create_index WHERE phase LIKE 'building index%'}), '>', 1000,
		"$end: its progress is shown");

	# Writers go on, before the row and behind it.
	$node->safe_psql('postgres', q{
		UPDATE t SET n = n + 10000 WHERE k IN (20, 4020);
		DELETE FROM t WHERE k IN (30, 4030);
		INSERT INTO t VALUES (6000, 25), (6001, 5025)});
	if ($end eq 'killed')
	{
		$node->stop('immediate'); # all processes at once: the one that waits must not get the lock
		$holder->{run}->finish;
		$maker->{run}->finish;
		$node->start;
	}
	else
	{
		$node->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM pg_stat_progress_create_index});
		$maker->query_until(qr/gone/, "\\echo gone\n");
		$maker->quit;
		$holder->quit;
	}
	is($node->safe_psql('postgres', $kinds), 't|f', "$end: the index is there, and invalid");
	unlike($node->safe_psql('postgres', "SET enable_seqscan = off; EXPLAIN SELECT * FROM t WHERE wait_at(n) = 5"), qr/t_n/,
		"$end: nobody reads it");
	is($node->safe_psql('postgres', 'SELECT * FROM nvmkv.check()'), '', "$end: all is well");

	$node->safe_psql('postgres', q{
		UPDATE t SET n = n + 10000 WHERE k IN (21, 4021);
		DELETE FROM t WHERE k IN (31, 4031)});
	my $rows = $node->safe_psql('postgres', $found);
	$node->safe_psql('postgres', 'REINDEX INDEX t_n');
	is($node->safe_psql('postgres', $kinds), 't|t', "$end: REINDEX makes it valid");
	like($node->safe_psql('postgres', "SET enable_seqscan = off; EXPLAIN SELECT * FROM t WHERE wait_at(n) = 5"), qr/t_n/,
		"$end: it is read");
	is($node->safe_psql('postgres', $found), $rows, "$end: and finds the rows");
	is($node->safe_psql('postgres', q{SELECT * FROM nvmkv.check('t')}), '', "$end: index and table agree");
	$node->safe_psql('postgres', q{
		DROP INDEX t_n;
		TRUNCATE t;
		INSERT INTO t SELECT g, g FROM generate_series(1, 5000) AS g});
}
sound($node, 'the engine is sound');
$node->stop;
done_testing();
