# Without shared_preload_libraries the extension can be made, and using a table says what is missing.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;

is($node->psql('postgres', 'CREATE EXTENSION nvmkv_fdw'), 0, 'CREATE EXTENSION works');

my ($out, $err);
$node->psql('postgres', q{
	CREATE FOREIGN TABLE t (k int NOT NULL) SERVER nvmkv OPTIONS (primary_key 'k');
	INSERT INTO t VALUES (1);
	SELECT * FROM t;
}, stdout => \$out, stderr => \$err);
like($err, qr/shared_preload_libraries/, 'using a table names the setting');
is($out, '', 'and returns nothing');
is($node->safe_psql('postgres', 'SELECT 1'), '1', 'the server goes on');

my $hint = qr/55000: nvmkv_fdw is not loaded at server start.*HINT: +Add nvmkv_fdw to shared_preload_libraries/s;
for my $statement ('SELECT * FROM t', 'INSERT INTO t VALUES (1)', 'UPDATE t SET k = 2', 'DELETE FROM t', 'TRUNCATE t',
	q{COPY t FROM '/dev/null'}, 'ANALYZE t', 'SELECT * FROM nvmkv.stat_engine', 'SELECT nvmkv.flush()')
{
	fails($node, $statement, $hint, $statement);
}
is($node->psql('postgres', q{
	ALTER FOREIGN TABLE t ADD COLUMN v text;
	CREATE FOREIGN TABLE u (k int) SERVER nvmkv;
	DROP FOREIGN TABLE u}), 0, 'tables can be defined and dropped');

# With the setting the same database works.
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'nvmkv_fdw'\n");
$node->restart;
$node->safe_psql('postgres', q{
	DROP FOREIGN TABLE IF EXISTS t;
	CREATE FOREIGN TABLE t (k int NOT NULL) SERVER nvmkv OPTIONS (primary_key 'k');
	INSERT INTO t VALUES (1);
});
is($node->safe_psql('postgres', 'SELECT k FROM t'), '1', 'with the setting it works');

$node->stop;
done_testing();
