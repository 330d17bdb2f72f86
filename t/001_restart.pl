# What was committed is there after a shutdown, an immediate stop and a kill; what was not is not.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main');
my $sums = 'SELECT count(*), sum(k), sum(length(v)) FROM t';

$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE t (k int NOT NULL, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE keyless (a int) SERVER nvmkv;
	CREATE TABLE h (k int PRIMARY KEY);
	INSERT INTO t SELECT g, repeat('x', g % 100) FROM generate_series(1, 5000) g;
	INSERT INTO keyless SELECT g % 3 FROM generate_series(1, 30) g;
});

sub same_after
{
	my ($how, $restart) = @_;
	my $before = $node->safe_psql('postgres', $sums);

	$restart->();
	is($node->safe_psql('postgres', $sums), $before, "rows are the same after $how");
	sound($node, "the engine is sound after $how");
	return;
}

same_after('a restart', sub { $node->restart });
same_after('a second restart', sub { $node->restart });

$node->safe_psql('postgres', q{
	UPDATE t SET v = v || 'y' WHERE k % 7 = 0;
	DELETE FROM t WHERE k % 11 = 0;
});
same_after('an immediate stop', sub { $node->stop('immediate'); $node->start });

# Rolled back, rolled back to a savepoint, and open when the server stops.
$node->safe_psql('postgres', q{
	BEGIN; INSERT INTO t VALUES (100001, 'gone'); ROLLBACK;
	BEGIN; INSERT INTO t VALUES (100002, 'stays'); SAVEPOINT s; INSERT INTO t VALUES (100003, 'gone');
	DELETE FROM t WHERE k = 1; ROLLBACK TO s; COMMIT;
});
my ($in, $out, $timer) = ('', '', IPC::Run::timeout(600));
my $session = IPC::Run::start(
	[ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-f', '-', '-d', $node->connstr('postgres') ],
	'<', \$in, '>', \$out, $timer);
$in = "BEGIN; INSERT INTO t VALUES (100004, 'open'); SELECT 'written';\n";
$session->pump until $out =~ /written/ || $timer->is_expired;
$node->safe_psql('postgres', 'CHECKPOINT');
$node->stop('immediate');
eval { $session->finish };
$node->start;
is($node->safe_psql('postgres', 'SELECT string_agg(k::text, \',\' ORDER BY k) FROM t WHERE k = 1 OR k > 100000'),
	'1,100002', 'only what was committed is there');
is($node->safe_psql('postgres', 'SELECT a, count(*) FROM keyless GROUP BY a ORDER BY a'),
	"0|10\n1|10\n2|10", 'rows without a key are there');
$node->safe_psql('postgres', 'INSERT INTO keyless SELECT 3 FROM generate_series(1, 10)');
is($node->safe_psql('postgres', 'SELECT count(*) FROM keyless'), '40', 'new rows without a key do not replace old ones');

# Prepared transactions outlive the server.
$node->safe_psql('postgres', q{
	BEGIN; INSERT INTO t VALUES (200001, 'p'); INSERT INTO h VALUES (1); PREPARE TRANSACTION 'one';
	BEGIN; INSERT INTO t VALUES (200002, 'p'); INSERT INTO h VALUES (2); PREPARE TRANSACTION 'two';
});
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', 'SELECT count(*) FROM t WHERE k > 200000'), '0', 'prepared is not committed');
$node->safe_psql('postgres', q{COMMIT PREPARED 'one'});
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'two'});
$node->restart;
is($node->safe_psql('postgres', 'SELECT string_agg(k::text, \',\') FROM t WHERE k > 200000'), '200001',
	'prepared transactions end as they are told, after a crash');
is($node->safe_psql('postgres', 'SELECT string_agg(k::text, \',\') FROM h'), '1', 'together with the heap');

# Definitions: dropped, truncated and rolled back, before and after crashes.
$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE gone (k int NOT NULL) SERVER nvmkv OPTIONS (primary_key 'k');
	INSERT INTO gone SELECT generate_series(1, 100);
	CREATE FOREIGN TABLE emptied (k int NOT NULL) SERVER nvmkv OPTIONS (primary_key 'k');
	INSERT INTO emptied SELECT generate_series(1, 100);
	BEGIN; TRUNCATE emptied; ROLLBACK;
	BEGIN; DROP FOREIGN TABLE gone; ROLLBACK;
});
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', 'SELECT (SELECT count(*) FROM gone), (SELECT count(*) FROM emptied)'), '100|100',
	'what was rolled back did not happen');
$node->safe_psql('postgres', 'DROP FOREIGN TABLE gone; TRUNCATE emptied; INSERT INTO emptied VALUES (7)');
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', 'SELECT k FROM emptied'), '7', 'a truncated table holds what came after');
$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE gone (k int NOT NULL) SERVER nvmkv OPTIONS (primary_key 'k')});
is($node->safe_psql('postgres', 'SELECT count(*) FROM gone'), '0', 'a table of the same name starts empty');
sound($node, 'the engine is sound at the end');

$node->stop;
done_testing();
