# The container's file is truncated while the server runs: whoever reads what is gone gets an error that names the file,
# nobody crashes, everything else can be read; writers are refused, and put right nothing is lost.
use strict;
use warnings;

use File::Copy;
use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main');
my $pool = $node->data_dir . '/nvmkv/level0.pool';
my $saved = $node->data_dir . '/saved';

$node->safe_psql('postgres', q{
	CREATE TABLE h (k int PRIMARY KEY);
	INSERT INTO h SELECT generate_series(1, 10);
	CREATE FOREIGN TABLE t (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	INSERT INTO t SELECT g, repeat(md5(g::text), 4) FROM generate_series(1, 5000) g;
	SELECT nvmkv.compact();
	INSERT INTO t SELECT g, repeat(md5(g::text), 4) FROM generate_series(5001, 10000) g;
	SELECT nvmkv.flush();
});
my $started = $node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');
my $sums = 'SELECT count(*), sum(k), sum(length(v)) FROM t WHERE k <= 10000';
my $before = $node->safe_psql('postgres', $sums);

copy($pool, $saved) or die "$pool: $!";
truncate($pool, 1 << 20) or die "$pool: $!";

for my $round (1 .. 3)
{
	fails($node, 'SELECT sum(length(v)) FROM t', qr/58030: .*level0\.pool" cannot be read at \d+/s, "scan $round");
	fails($node, 'SELECT * FROM t WHERE k = 7777', qr/58030: .*level0\.pool" cannot be read at \d+/s, "lookup $round");
	is($node->safe_psql('postgres', 'SELECT length(v) FROM t WHERE k = 77'), '128', "what is in a table file, $round");
	is($node->safe_psql('postgres', 'SELECT sum(k) FROM h'), '55', "local tables, $round");
}
isnt($node->safe_psql('postgres', 'SELECT * FROM nvmkv.check()'), '', 'the check says so');
fails($node, q{INSERT INTO t VALUES (20001, 'x'); SELECT nvmkv.compact()}, qr/level0\.pool/s, 'work on such ground');
fails($node, q{INSERT INTO t VALUES (20002, 'x')}, qr/level0\.pool/s, 'writing');
is($node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()'), $started, 'the server has not restarted');
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC/, 'nobody has crashed');

# Put right.
$node->stop('immediate');
copy($saved, $pool) or die "$pool: $!";
$node->start;
is($node->safe_psql('postgres', $sums), $before, 'put right, all rows are there');
sound($node, 'put right, the engine is sound');
$node->safe_psql('postgres', q{INSERT INTO t VALUES (20003, 'x'); SELECT nvmkv.compact()});
$node->stop;

done_testing();
