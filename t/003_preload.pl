# Without shared_preload_libraries the extension can be made, and using a table says what is missing.
use strict;
use warnings;

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
