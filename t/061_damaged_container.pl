# Damage in the container costs the rows in it and nothing else: of a row's entry, of its index, of the head of an
# extent.  Flushes, compaction, CHECKPOINT and stops go on, the view and the check name table and keys, and what is lost can
# be given up.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Damage;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main', 'nvmkv.max_column_families' => 2, autovacuum => 'off');
my $dir = $node->data_dir . '/nvmkv';
my $rows = 3000;

prepare_twins($node);
$node->safe_psql('postgres', q{
	CREATE SERVER hot FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'hot');
	CREATE FOREIGN TABLE t (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE u (k int, v text) SERVER nvmkv;
	CREATE FOREIGN TABLE f (k int, v text) SERVER hot OPTIONS (primary_key 'k');
	CREATE TABLE t_h (k int PRIMARY KEY, v text);
	CREATE TABLE u_h (LIKE t_h);
	CREATE TABLE f_h (LIKE t_h INCLUDING ALL)});

# All tables anew: the odd keys in table files, all keys in the container.
sub fill
{
	$node->safe_psql('postgres', 'TRUNCATE t, u, f, t_h, u_h, f_h; SELECT nvmkv.compact()');
	for my $table (qw(t u f))
	{
		both($node, "INSERT INTO $table SELECT g, '${table}old' || g || '.' || md5(g::text) FROM generate_series(1, $rows, 2) g");
	}
	$node->safe_psql('postgres', 'SELECT nvmkv.compact()');
	for my $table (qw(t u f))
	{
		both($node, "UPDATE $table SET v = '${table}needle' || k || '.' || md5(k::text)") if $table ne 'u';
		both($node, "INSERT INTO $table SELECT g, '${table}needle' || g || '.' || md5(g::text) FROM generate_series(2, $rows, 2) g");
	}
	return;
}

# Stops, changes bytes of the container around the row's entry, starts.
sub spoil_pool
{
	my ($pool, $text, $offset, $bytes) = @_;

	$node->stop;
	my ($file, $at) = file_with($text, $pool);
	spoil($file, $offset->($at), $bytes);
	$node->start;
	return;
}

# What must be so after each damage to table $table's rows, of which at most so many are lost.
sub costs
{
	my ($what, $table, $most) = @_;
	my @others = grep { $_ ne $table } qw(t u f);

	like($node->safe_psql('postgres', 'SELECT object FROM nvmkv.check()'), qr/^foreign table public\.$table: keys /m, "$what: the check names table and keys");
	my ($first, $last, $lost) = lost_rows($node, $table, $rows + 2);
	cmp_ok($lost, '>=', 1, "$what: rows are lost");
	cmp_ok($lost, '<=', $most, "$what: not more than there must be");
	both($node, "UPDATE $_ SET v = v || '+' WHERE k % 3 = 0") for @others;
	both($node, "INSERT INTO $table VALUES ($rows + 1, 'new')");
	$node->safe_psql('postgres', 'CHECKPOINT; SELECT nvmkv.compact()');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM nvmkv.stat_matrix'), '0', "$what: the container drains");
	my ($first2, $last2, $lost2) = lost_rows($node, $table, $rows + 2);
	cmp_ok($lost2, '<=', $most, "$what: no more are lost when compaction has gone round it");
	is($node->safe_psql('postgres', 'SELECT DISTINCT relation, state FROM nvmkv.damage'), "$table|lost", "$what: the view has it");
	fails($node, "SELECT v FROM $table WHERE k = $first2", qr/XX001: .*reading foreign table "$table" failed.*Rows with keys .*may be lost/s, "$what: a lost row");
	$node->restart;
	is($node->safe_psql('postgres', 'SELECT DISTINCT relation, state FROM nvmkv.damage'), "$table|lost", "$what: after a restart, too");
	is(same_rows($node, $_), '0|0', "$what: table $_ is as it should be") for @others;
	$node->safe_psql('postgres', "SELECT nvmkv.accept_damage('$table')");
	sound($node, "$what: accepted");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM nvmkv.damage'), '0', "$what: nothing is damaged any more");
	is($node->safe_psql('postgres', "SELECT count(*) <= $most FROM (TABLE ${table}_h EXCEPT TABLE $table) x"), 't', "$what: other rows are there");
	return;
}

fill();
spoil_pool("$dir/level0.pool", 'tneedle1500.', sub { $_[0] + 5 }, 'rot');
costs('an entry', 't', 40);

fill();
spoil_pool("$dir/family-1/level0.pool", 'fneedle77.', sub { $_[0] + 3 }, 'r' x 3000);
costs('many entries, in a family', 'f', 150);

# The whole of an extent's head: the row's header and what follows.
fill();
spoil_pool("$dir/family-1/level0.pool", 'fneedle2999.', sub { $_[0] - $_[0] % 1048576 }, "\0" x 8192);
costs('the head of a row', 'f', $rows);

# DROP, before anybody has come to the damage.
fill();
spoil_pool("$dir/level0.pool", 'tneedle1500.', sub { $_[0] + 5 }, 'rot');
$node->safe_psql('postgres', 'DROP FOREIGN TABLE t; SELECT nvmkv.compact()');
sound($node, 'DROP clears it');
is($node->safe_psql('postgres', 'SELECT count(*) FROM nvmkv.damage'), '0', 'nothing is noted of a table that is gone');
is(same_rows($node, $_), '0|0', "table $_ is as it should be") for qw(u f);
$node->stop;

done_testing();
