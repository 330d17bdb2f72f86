# What recovery has replayed is there after the next crash, too: the checkpoint at its end is held by nobody.  The workers,
# which would flush it a moment later, fail meanwhile (nvmkv.fail_at, in builds with assertions).
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main');

$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE t (k int NOT NULL, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE heap_like (v int) SERVER nvmkv;
	INSERT INTO t SELECT g, 'x' FROM generate_series(1, 1000) g;
	INSERT INTO heap_like SELECT g FROM generate_series(1, 1000) g;
	UPDATE t SET v = 'y' WHERE k % 2 = 0;
});
my $fails = $node->psql('postgres', 'SHOW nvmkv.fail_at') == 0;
$node->append_conf('postgresql.conf', "nvmkv.fail_at = 'flush.before_install no_space background worker'") if $fails;
for my $crash (1 .. 2)
{
	$node->stop('immediate');
	$node->start;
}
is($node->safe_psql('postgres', q{SELECT count(*), count(*) FILTER (WHERE v = 'y') FROM t}), '1000|500', 'every row is there');
$node->adjust_conf('postgresql.conf', 'nvmkv.fail_at', "''") if $fails;
$node->reload;
$node->safe_psql('postgres', 'INSERT INTO heap_like SELECT g FROM generate_series(1001, 2000) g');
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT v), count(DISTINCT ctid) FROM heap_like'), '2000|2000|2000',
	'row ids are used once');

$node->stop;
done_testing();
