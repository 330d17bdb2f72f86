# Without shared_preload_libraries the extension can be made; making or using a table says what is missing.
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

my $hint = qr/55000: nvmkv_fdw is not loaded at server start.*HINT: +Add nvmkv_fdw to shared_preload_libraries/s;
fails($node, q{CREATE FOREIGN TABLE t (k int NOT NULL) SERVER nvmkv OPTIONS (primary_key 'k')}, $hint, 'a table cannot be made');
fails($node, q{CREATE FOREIGN TABLE t (k int) SERVER nvmkv}, $hint, 'nor one without options');
is($node->safe_psql('postgres', 'SELECT 1'), '1', 'the server goes on');

# With the setting, and then without it.
sub preload
{
	my ($libraries) = @_;

	$node->append_conf('postgresql.conf', "shared_preload_libraries = '$libraries'");
	$node->restart;
	return;
}

preload('nvmkv_fdw');
$node->safe_psql('postgres', q{CREATE FOREIGN TABLE t (k int NOT NULL) SERVER nvmkv OPTIONS (primary_key 'k'); INSERT INTO t VALUES (1)});
preload('');
for my $statement ('SELECT * FROM t', 'INSERT INTO t VALUES (1)', 'UPDATE t SET k = 2', 'DELETE FROM t', 'TRUNCATE t',
	q{COPY t FROM '/dev/null'}, 'ANALYZE t', 'SELECT * FROM nvmkv.stat_engine', 'SELECT nvmkv.flush()')
{
	fails($node, $statement, $hint, $statement);
}

# With the setting the same database works.
preload('nvmkv_fdw');
is($node->safe_psql('postgres', 'SELECT k FROM t'), '1', 'with the setting it works');

$node->stop;
done_testing();
