# A damaged block of an index costs what is looked up through it: the table is read and written, and REINDEX mends it.  Where
# rows of the table are lost and given up, its indexes are not believed until they are made anew.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Damage;
use Digest::MD5 qw(md5_hex);
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main', autovacuum => 'off');
my $dir = $node->data_dir . '/nvmkv';
my $rows = 6000;
my $by_index = 'SET enable_seqscan = off; SET enable_sort = off';

# No row has the hash, so the index alone has it, and neighbours have little of it in common.
$node->safe_psql('postgres', qq{
	CREATE FOREIGN TABLE t (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE INDEX t_hash ON t (md5(k::text) COLLATE "C");
	CREATE INDEX t_v ON t (v COLLATE "C");
	INSERT INTO t SELECT g, 'row' || g || repeat('x', 100) FROM generate_series(1, $rows) g;
	ANALYZE t;
	SELECT nvmkv.compact()});

sub spoil_text
{
	my ($text) = @_;

	$node->stop;
	my ($file, $at) = file_with($text, glob("$dir/*.sst"));
	spoil($file, $at, 'rotten');
	$node->start;
	return;
}

sub by_hash { return "$by_index; SELECT k FROM t WHERE md5(k::text) COLLATE \"C\" = '" . md5_hex($_[0]) . "'" }

is($node->safe_psql('postgres', by_hash(77)), '77', 'a row is found by the index');
spoil_text(substr(md5_hex(77), 8));
fails($node, by_hash(77), qr/XX001: .*index "t_hash".*HINT: .*REINDEX/s, 'the damaged part of an index');
is($node->safe_psql('postgres', 'SELECT count(v), sum(k) FROM t'), $rows . '|' . $rows * ($rows + 1) / 2, 'the table can be read');
is($node->safe_psql('postgres', "$by_index; SELECT k FROM t WHERE v COLLATE \"C\" LIKE 'row77x%'"), '77', 'so can the other index');
$node->safe_psql('postgres', "UPDATE t SET v = 'new' || k WHERE k = 77; DELETE FROM t WHERE k = 78; INSERT INTO t VALUES (0, 'zero')");
like($node->safe_psql('postgres', q{SELECT object FROM nvmkv.check() WHERE object NOT LIKE 'table %'}), qr/^index public\.t_hash: keys /, 'the check names the index and its keys');
$node->safe_psql('postgres', 'SELECT nvmkv.compact()');
fails($node, by_hash(77), qr/XX001: .*index "t_hash"/s, 'compaction went round it');
is($node->safe_psql('postgres', q{SELECT DISTINCT relation FROM nvmkv.damage}), 't_hash', 'the view has it');

$node->safe_psql('postgres', 'REINDEX INDEX t_hash');
is($node->safe_psql('postgres', by_hash(77)), '77', 'REINDEX mends it');
is($node->safe_psql('postgres', by_hash(0)), '0', 'with the rows that have come since');
$node->safe_psql('postgres', 'SELECT nvmkv.compact()');
is($node->safe_psql('postgres', q{SELECT * FROM nvmkv.check('t')}), '', 'the check is content');
is($node->safe_psql('postgres', 'SELECT count(*) FROM nvmkv.damage'), '0', 'and the damage has gone with the old entries');

# Rows that are lost and given up: their entries are still there.
spoil_text('row3000xxx');
$node->safe_psql('postgres', 'SELECT nvmkv.compact()');
my ($out, $err);
$node->psql('postgres', q{SELECT nvmkv.accept_damage('t')}, stdout => \$out, stderr => \$err);
like($err, qr/WARNING: .*index "t_hash" is neither used nor kept any more.*HINT: .*REINDEX/s, 'indexes are not believed');
is($node->safe_psql('postgres', by_hash(3000)), '', 'the row is not there');
$node->safe_psql('postgres', "INSERT INTO t VALUES (3000, 'again')");
is($node->safe_psql('postgres', by_hash(3000)), '3000', 'and comes back without the index');
$node->safe_psql('postgres', 'REINDEX TABLE t');
is($node->safe_psql('postgres', 'SELECT count(*) FROM nvmkv.indexes WHERE is_valid'), '2', 'REINDEX makes them anew');
is($node->safe_psql('postgres', q{SELECT * FROM nvmkv.check('t')}), '', 'and they agree with the table');
is($node->safe_psql('postgres', "$by_index; SELECT count(*) FROM (SELECT FROM t WHERE md5(k::text) COLLATE \"C\" > '') x"),
	$node->safe_psql('postgres', 'SELECT count(v) FROM t'), 'row by row');
sound($node, 'the engine is sound');
$node->stop;

done_testing();
