# What keeps the commit log until the tree has settled, with workers that stand still and in single-user mode; what
# happens when it is gone all the same, because the server ran without the library; transaction ids that go back.
use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

use Nvmkv;

my $node = new_server('main', autovacuum => 'off');
my $rows = sub { $node->safe_psql('postgres', "SELECT string_agg(k::text, ' ' ORDER BY k) FROM f") };

$node->safe_psql('postgres', "CREATE FOREIGN TABLE f (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k')");

# ---- the barrier stands still

set_next_xid($node, segment_start($node, 1) - 50);
$node->safe_psql('postgres', 'INSERT INTO f VALUES (1)');
$node->poll_query_until('postgres',
	'SELECT settled = pg_snapshot_xmin(pg_current_snapshot())::text::bigint FROM nvmkv.stat_outcomes')
  or die 'outcomes are not settled';
my $barrier = $node->safe_psql('postgres', "SELECT pid FROM nvmkv.stat_workers WHERE role = 'barrier'");
my $boundary = segment_start($node, 0);
kill 'STOP', $barrier;
$node->safe_psql('postgres', "INSERT INTO f VALUES ($_)") foreach 2, 3;
$node->safe_psql('postgres', 'BEGIN; INSERT INTO f VALUES (4); ROLLBACK');
consume_xids($node, 100);
$node->safe_psql('postgres', 'ALTER DATABASE template0 ALLOW_CONNECTIONS true');
$node->safe_psql($_, 'VACUUM (FREEZE)') foreach qw(template0 template1 postgres);
ok(has_commit_log($node, $boundary), 'the commit log is kept while nothing is settled');
kill 'CONT', $barrier;
freeze_all($node);
ok(!has_commit_log($node, $boundary), 'and goes when all is');
is($rows->(), '1 2 3', 'the rows are there');

# ---- no workers at all

set_next_xid($node, segment_start($node, 1) - 50);
$boundary = segment_start($node, 0);
$node->stop;
run_log([ 'postgres', '--single', '-F', '-D', $node->data_dir, 'postgres' ],
	'<', \('INSERT INTO f VALUES (5);' . "\n" . join('', map { "SELECT pg_current_xact_id();\n" } 1 .. 100) .
		"INSERT INTO f VALUES (6);\nVACUUM (FREEZE);\n"), '>', \my $said);
$node->start;
is($rows->(), '1 2 3 5 6', 'rows of single-user mode are there');
freeze_all($node);
ok(!has_commit_log($node, $boundary), 'their commit log is gone');
$node->safe_psql('postgres', 'SELECT nvmkv.compact()');
is($rows->(), '1 2 3 5 6', 'and they still are');

# ---- the server runs without the library, and forgets

# Tables of all kinds with rows of transactions that are prepared, and then end without the library.
$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE n (k numeric, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE d (v int) SERVER nvmkv;
	CREATE FOREIGN TABLE dropped (k int) SERVER nvmkv OPTIONS (primary_key 'k');
	INSERT INTO n VALUES (1);
	CREATE ROLE writer;
	GRANT INSERT ON f TO writer;
});
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', q{
	CREATE EXTENSION nvmkv_fdw;
	CREATE FOREIGN TABLE o (k int) SERVER nvmkv OPTIONS (primary_key 'k');
});

my %xid;
my $prepare = sub {
	my ($name, $sql, $database) = @_;

	$xid{$name} = $node->safe_psql($database // 'postgres', "BEGIN; $sql; SELECT pg_current_xact_id(); PREPARE TRANSACTION '$name'");
};
$prepare->('committed', 'INSERT INTO f SELECT g FROM generate_series(10, 12) g; INSERT INTO d VALUES (1)');
$prepare->('lost', 'INSERT INTO f SELECT g FROM generate_series(20, 22) g; INSERT INTO n VALUES (2.5)');
$prepare->('kept', 'INSERT INTO f SELECT g FROM generate_series(30, 32) g; INSERT INTO dropped VALUES (1)');
$prepare->('locked', 'SELECT FROM f WHERE k = 1 FOR UPDATE');
$prepare->('made', q{CREATE FOREIGN TABLE made (k int) SERVER nvmkv OPTIONS (primary_key 'k')});
$prepare->('other', 'INSERT INTO o VALUES (1)', 'other');
my $storage = $node->safe_psql('other', q{SELECT storage_id FROM nvmkv.stat_tables WHERE relname = 'o'});
$node->safe_psql('postgres', 'SELECT nvmkv.flush()');
$node->stop;
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "''");
$node->start;
$node->safe_psql('postgres', "COMMIT PREPARED '$_'") foreach qw(committed kept locked made);
$node->safe_psql('other', q{COMMIT PREPARED 'other'});
$node->safe_psql('postgres', "ROLLBACK PREPARED 'lost'");
$node->safe_psql('postgres', 'DROP FOREIGN TABLE dropped');
$node->stop;
system_or_bail('pg_resetwal', '-x', $xid{committed} + 0x200000, $node->data_dir);
append_to_file($node->data_dir . sprintf('/pg_xact/%04X', ($xid{committed} + 0x200000) >> 20), "\0" x 262144);
$node->start;
$node->safe_psql($_, 'VACUUM (FREEZE)') foreach qw(template0 template1 postgres other);
ok(!has_commit_log($node, $xid{kept}), 'without the library the commit log goes');
$node->stop;
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "'nvmkv_fdw'");
$node->start;
$node->poll_query_until('postgres', 'SELECT unknown > 0 FROM nvmkv.stat_outcomes') or die 'nothing is lost';
like($node->safe_psql('postgres', 'SELECT unknown_ranges FROM nvmkv.stat_outcomes'), qr/^$xid{committed}-\d+$/,
	'what is lost is listed');

# Who reads such a row is told which, and what to do.
my $hint = qr/HINT:  nvmkv.check\(\) lists .*nvmkv.set_outcome\('$xid{committed}', '$xid{committed}', committed\) decides/;
my $of_committed = qr/XX001: a row of foreign table "f" was written by transaction $xid{committed}, whose outcome is lost/;
fails($node, 'SELECT * FROM f', qr/$of_committed.*DETAIL:  Key \(k\)=\(10\) may have .*$hint/s, 'a scan');
fails($node, 'SELECT * FROM f WHERE k = 11', qr/$of_committed.*Key \(k\)=\(11\) may/s, 'a lookup');
fails($node, 'SELECT * FROM f ORDER BY k DESC',
	qr/foreign table "f" was written by transaction $xid{kept}, .*Key \(k\)=\(32\) may/s, 'a scan backwards');
fails($node, parallel_always('on') . '; SELECT count(*) FROM f',
	qr/$of_committed.*Key \(k\)=\(10\) may.*CONTEXT:  parallel worker/s, 'a parallel worker');
fails($node, 'UPDATE f SET v = 1 WHERE k = 21',
	qr/foreign table "f" was written by transaction $xid{lost}, .*Key \(k\)=\(21\) may/s, 'an update');
fails($node, 'INSERT INTO f VALUES (31)',
	qr/foreign table "f" was written by transaction $xid{kept}, .*Key \(k\)=\(31\) may/s, 'an insert');
fails($node, 'SET ROLE writer; INSERT INTO f VALUES (31)',
	qr/foreign table "f" was written by transaction $xid{kept}, .*DETAIL:  It may have/s, 'an insert by who may not read');
fails($node, 'SELECT * FROM n WHERE k > 2',
	qr/foreign table "n" was written by transaction $xid{lost}, .*DETAIL:  Key \\x[0-9a-f]+ may/s, 'a key that cannot be read back');
fails($node, 'SELECT * FROM d', qr/foreign table "d" was written by transaction $xid{committed}, .*DETAIL:  Key \\x[0-9a-f]+ may/s,
	'a table without a key');
fails($node, 'ANALYZE f', $of_committed, 'ANALYZE');
fails($node, 'BEGIN; SAVEPOINT a; SELECT * FROM f; ROLLBACK', $of_committed, 'a scan in a subtransaction');
is($node->safe_psql('postgres', 'SELECT k FROM f WHERE k < 10 ORDER BY k'), "1\n2\n3\n5\n6", 'other keys are read');
is($node->safe_psql('postgres', 'SELECT k FROM n WHERE k < 2'), '1', 'other keys of other tables, too');
$node->safe_psql('postgres', q{UPDATE f SET v = 'x' WHERE k = 1});
is($node->safe_psql('postgres', 'SELECT v FROM f WHERE k = 1'), 'x', 'a row that such a transaction has locked is written');

my $lost = qr/row versions of transactions?/;
my $found = $node->safe_psql('postgres', q{SELECT * FROM nvmkv.check('f')});
like($found, qr/^f\|9 $lost $xid{committed} to $xid{kept}, whose outcomes are lost, keys \(k\)=\(10\) to \(k\)=\(32\); nvmkv.set_outcome\(\)/m,
	'check() counts them');
like($found, qr/^n\|1 $lost $xid{lost} to $xid{lost}, .* keys \\x[0-9a-f]+ to \\x[0-9a-f]+;/m, 'with a numeric key');
like($found, qr/^d\|1 $lost $xid{committed} to $xid{committed}, .* keys \\x/m, 'without a key');
like($found, qr/^storage $storage\|1 $lost $xid{other} to $xid{other}, .* keys \\x/m, "another database's");
like($found, qr/^storage \d+\|1 $lost $xid{kept} to $xid{kept}, /m, "a dropped table's");
like($found, qr/^the list of storages\|1 $lost $xid{made} to $xid{made}, /m, 'a table that was made');
$node->safe_psql('postgres', 'SELECT nvmkv.compact()');
fails($node, 'SELECT * FROM f', qr/whose outcome is lost/, 'compaction decides nothing');
is($node->safe_psql('postgres', q{SELECT problem FROM nvmkv.check() WHERE object = 'f'}), $found =~ /^f\|(.*)$/m ? $1 : '', 'and loses nothing');

# ---- somebody's word

fails($node, "SELECT nvmkv.set_outcome('9', '8', true)", qr/22023/, 'a range inside out');
fails($node, "SET ROLE writer; SELECT nvmkv.set_outcome('$xid{lost}', '$xid{lost}', true)", qr/42501/, 'not by everybody');
my ($out, $err) = ('', '');
$node->psql('postgres', "SELECT nvmkv.set_outcome('3', '3', true)", stdout => \$out, stderr => \$err);
is($out, '0', 'nothing is decided of what is known');
like($err, qr/NOTICE:  the outcomes of all these transactions are known/, 'which is said');
is($node->safe_psql('postgres', "SELECT nvmkv.set_outcome('$xid{lost}', '$xid{lost}', false)"), '1', 'somebody decides');
is($node->safe_psql('postgres', "SELECT nvmkv.set_outcome('$xid{committed}', '$xid{other}', true)"),
	$xid{other} - $xid{committed}, 'and not twice');
is($rows->(), '1 2 3 5 6 10 11 12 30 31 32', 'the rows are what was said');
sound($node, 'with a word for each that has written, the check names nobody');
cmp_ok($node->safe_psql('postgres', 'SELECT unknown FROM nvmkv.stat_outcomes'), '>', 0, 'though there are others of which nobody knows');
$node->stop('immediate');
$node->start;
is($rows->(), '1 2 3 5 6 10 11 12 30 31 32', 'after a crash, too');
$node->safe_psql('postgres', 'SELECT nvmkv.compact()');
is($rows->(), '1 2 3 5 6 10 11 12 30 31 32', 'and compacted');
is($node->safe_psql('postgres', 'SELECT string_agg(k::text, $$ $$) FROM n'), '1', 'what was said not to be there is not');
$node->safe_psql('postgres', 'INSERT INTO made VALUES (1)');
is($node->safe_psql('other', 'SELECT k FROM o'), '1', 'rows of the other database');
$node->safe_psql('postgres', "SELECT nvmkv.set_outcome('3', '100000000', false)");
is($node->safe_psql('postgres', 'SELECT unknown FROM nvmkv.stat_outcomes'), '0', 'nothing is unknown any more');
sound($node, 'the engine is sound');

# ---- transaction ids go back

consume_xids($node, 2000);
$node->poll_query_until('postgres',
	'SELECT settled = pg_snapshot_xmin(pg_current_snapshot())::text::bigint FROM nvmkv.stat_outcomes')
  or die 'outcomes are not settled';
my $next = $node->safe_psql('postgres', 'SELECT pg_snapshot_xmax(pg_current_snapshot())');
$node->stop;
system_or_bail('pg_resetwal', '-x', $next - 1000, $node->data_dir);
$node->start;
fails($node, 'SELECT * FROM f', qr/not available.*DETAIL:.*the server's next one is \d+: it has gone back/s,
	'ids that have an outcome already');
is($node->safe_psql('postgres', 'SELECT count(*) > 0 FROM pg_class'), 't', 'other tables can be used');
$node->stop;
system_or_bail('pg_resetwal', '-x', $next, $node->data_dir);
$node->start;
is($rows->(), '1 2 3 5 6 10 11 12 30 31 32', 'put right');
$node->stop;

done_testing();
