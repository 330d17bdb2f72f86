# A damaged block of a table file costs the rows in it and nothing else: other rows and tables are read and written,
# compaction, CHECKPOINT, a fast stop and restarts go on; the view, the check and errors name the table and its keys; and
# nvmkv.accept_damage(), TRUNCATE and DROP clear it.
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
my $rows = 6000;

prepare_twins($node);
$node->safe_psql('postgres', qq{
	CREATE SERVER hot FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'hot');
	CREATE FOREIGN TABLE t (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE u (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k DESC');
	CREATE FOREIGN TABLE f (k int, v text) SERVER hot OPTIONS (primary_key 'k');
	CREATE TABLE t_h (k int PRIMARY KEY, v text);
	CREATE TABLE u_h (LIKE t_h INCLUDING ALL);
	CREATE TABLE f_h (LIKE t_h INCLUDING ALL);
	CREATE ROLE watcher;
	GRANT pg_monitor TO watcher;
	CREATE ROLE nobody});

sub fill { both($node, "INSERT INTO $_[0] SELECT g, '$_[0]needle' || g || '.' || repeat(md5(g::text), 3) FROM generate_series(1, $rows) g"); return }

# Spoils the block that has the row.
sub spoil_row
{
	my ($where, $table, $key) = @_;

	$node->stop;
	my ($file, $at) = file_with("${table}needle$key.", glob("$where/*.sst"));
	spoil($file, $at + 6, 'rotten');
	$node->start;
	return $file;
}

sub view { return $node->safe_psql('postgres', "SELECT relation, state FROM nvmkv.damage GROUP BY 1, 2 ORDER BY 1, 2") }

fill($_) for qw(t u f);
$node->safe_psql('postgres', 'SELECT nvmkv.compact()');
my $file = spoil_row($dir, 't', 3000);
my $name = (split m{/}, $file)[-1];

# Found by who reads, and by the check.
fails($node, 'SELECT v FROM t WHERE k = 3000', qr/XX001: .*reading foreign table "t" failed.*DETAIL: .*\Q$name\E.*HINT: .*nvmkv\.check.*nvmkv\.accept_damage/s, 'reading the row');
fails($node, 'SELECT count(*) FROM t', qr/XX001: .*reading foreign table "t" failed/s, 'reading all rows');
my $check = $node->safe_psql('postgres', q{SELECT object FROM nvmkv.check() WHERE object LIKE 'foreign table%'});
like($check, qr/^foreign table public\.t: keys (?:from|behind) \(k\)=\(2\d\d\d\) (?:to before|up to) \(k\)=\(3\d\d\d\)$/, 'the check names table and keys');
my $of_table = q{SELECT count(*) FILTER (WHERE object LIKE 'foreign table public.t: keys %'), count(*) FILTER (WHERE object = 't' AND problem LIKE 'its rows were checked up to this: %') FROM nvmkv.check('t')};
is($node->safe_psql('postgres', $of_table), '1|1', 'so does the one of its rows');
my ($first, $last, $lost) = lost_rows($node, 't', $rows + 10);
cmp_ok($lost, '>', 0, 'the block is lost');
cmp_ok($lost, '<', 100, 'and little more');
ok($first <= 3000 && $last >= 3000, 'around the row');

# Work goes on, and compaction goes round it.
both($node, "UPDATE t SET v = v || '+' WHERE k < $first - 1; UPDATE t SET v = v || '+' WHERE k > $last");
both($node, "DELETE FROM t WHERE k % 10 = 0 AND k < $first - 100; DELETE FROM t WHERE k % 10 = 0 AND k > $last + 100");
both($node, "UPDATE u SET v = v || '+' WHERE k % 2 = 0");
both($node, "UPDATE f SET v = v || '+' WHERE k % 3 = 0");
$node->safe_psql('postgres', 'SELECT nvmkv.compact()');
is($node->safe_psql('postgres', 'SELECT count(*) FROM nvmkv.stat_matrix'), '0', 'the container is drained');
is(view(), 't|lost', 'the view has what compaction went round');
like($node->safe_psql('postgres', q{SELECT keys || ' ' || source || ' ' || column_family || ' ' || (found > now() - interval '1 hour')
		|| ' ' || (kept_bytes > 0) || ' ' || (position >= 0) || ' ' || (newest <= pg_current_wal_lsn()) || ' ' || (low < high) FROM nvmkv.damage}),
	qr/^(?:from|behind) \(k\)=\(2\d\d\d\) (?:to before|up to) \(k\)=\(3\d\d\d\) table \Q$name\E default true true true true true$/, 'and all that is known of it');
is($node->safe_psql('postgres', $of_table), '1|1', 'the check of its rows says so, too');
my ($first2, $last2, $lost2) = lost_rows($node, 't', $rows + 10);
is("$first2 $last2 $lost2", "$first $last $lost", 'no other row is lost');
is(same_rows($node, $_), '0|0', "table $_ is as it should be") for qw(u f);
is($node->safe_psql('postgres', "SELECT count(*) FROM t WHERE k < $first - 1"), $node->safe_psql('postgres', "SELECT count(*) FROM t_h WHERE k < $first - 1"),
	'the rows before it can be read as a range');
is($node->safe_psql('postgres', "SELECT count(*) FROM t WHERE k > $last"), $node->safe_psql('postgres', "SELECT count(*) FROM t_h WHERE k > $last"),
	'and those behind it');
my $told = qr/DETAIL: .*Rows with keys (?:from|behind) \(k\)=\(2\d\d\d\) (?:to before|up to) \(k\)=\(3\d\d\d\) may be lost: .*\Q$name\E.*HINT: .*nvmkv\.accept_damage/s;
fails($node, 'SELECT v FROM t WHERE k = 3000', qr/XX001: .*reading foreign table "t" failed.*$told/s, 'reading a lost row');
fails($node, 'SELECT count(*) FROM t', qr/XX001: .*reading foreign table "t" failed.*$told/s, 'reading all rows');
fails($node, "INSERT INTO t VALUES (3000, 'new')", qr/XX001: .*foreign table "t" failed.*$told/s, 'writing a lost row');
fails($node, "UPDATE t SET v = 'new' WHERE k = 3000", qr/XX001: .*foreign table "t" failed.*$told/s, 'changing a lost row');
$node->safe_psql('postgres', 'GRANT INSERT ON t TO nobody; GRANT INSERT ON t TO watcher');
my ($out, $err);
$node->psql('postgres', "SET ROLE nobody; INSERT INTO t VALUES (3000, 'new')", stderr => \$err);
like($err, qr/DETAIL:  Rows of it were in a file that is damaged, and are lost/, 'keys are not shown to who could not select them');

# Checkpoints, stops, starts.
$node->safe_psql('postgres', 'CHECKPOINT');
$node->restart;
is(view(), 't|lost', 'it is remembered');
like($node->safe_psql('postgres', q{SELECT string_agg(object, E'\n') FROM nvmkv.check()}), qr/^foreign table public\.t: keys (?:from|behind) \(k\)=\(2\d\d\d\)[^\n]*$/, 'the check has it, and nothing else');
both($node, "UPDATE u SET v = v || '-' WHERE k % 5 = 0");
$node->stop('immediate');
$node->start;
is(view(), 't|lost', 'after a crash, too');
is(same_rows($node, $_), '0|0', "table $_ is as it should be") for qw(u f);

# Who may look, and who may give up.
is($node->safe_psql('postgres', 'SET ROLE watcher; SELECT count(*) FROM nvmkv.damage'), '1', 'pg_monitor sees it');
fails($node, 'SET ROLE nobody; SELECT count(*) FROM nvmkv.damage', qr/42501: permission denied/, 'others');
fails($node, q{SET ROLE watcher; SELECT nvmkv.accept_damage('t')}, qr/42501: permission denied/, 'accepting, by who may not');
fails($node, q{SELECT nvmkv.accept_damage('t_h')}, qr/42809: "t_h" is not a foreign table of nvmkv_fdw/, 'accepting, of a table of another kind');
fails($node, q{BEGIN READ ONLY; SELECT nvmkv.accept_damage('t')}, qr/25006: /, 'accepting in a transaction that only reads');
$node->safe_psql('postgres', q{SELECT nvmkv.accept_damage('u')});
is(view(), 't|lost', 'it is accepted table by table');

# Accepted: absent from then on, whatever becomes of the transaction; and they can be written again.
$node->safe_psql('postgres', q{BEGIN; SELECT nvmkv.accept_damage('t'); ROLLBACK});
is(view(), '', 'nothing is damaged any more');
sound($node, 'says the check, too');
is($node->safe_psql('postgres', "SELECT count(*), count(*) FILTER (WHERE t.k IS NULL AND h.k BETWEEN $first AND $last), count(*) FILTER (WHERE t.v = h.v) "
	. 'FROM t_h h FULL JOIN t USING (k)'), $node->safe_psql('postgres', "SELECT count(*), $lost, count(*) - $lost FROM t_h"), 'the lost rows are absent, the others as they were');
$node->safe_psql('postgres', 'INSERT INTO t SELECT * FROM t_h WHERE NOT EXISTS (SELECT FROM t WHERE t.k = t_h.k)');
is(same_rows($node, 't'), '0|0', 'they can be written again');
$node->restart;
is(same_rows($node, 't'), '0|0', 'and are there after a restart');
ok(!-e $file, 'the damaged file is gone');

# TRUNCATE, of a table that compaction has not come to, and DROP, of one whose loss is noted, clear it.
$node->safe_psql('postgres', 'SELECT nvmkv.compact()');
spoil_row($dir, 't', 1234);
spoil_row("$dir/family-1", 'f', 4321);
fails($node, 'SELECT v FROM f WHERE k = 4321', qr/XX001: .*reading foreign table "f" failed/s, 'in a family');
both($node, "UPDATE f SET v = v || '!' WHERE k = 5");
$node->safe_psql('postgres', q{SELECT nvmkv.compact('f')});
is($node->safe_psql('postgres', q{SELECT relation, column_family FROM nvmkv.damage WHERE relation = 'f'::regclass}), 'f|hot', 'the view names the family');
both($node, 'TRUNCATE t');
fill('t');
is(same_rows($node, 't'), '0|0', 'truncated, it can be written anew');
$node->safe_psql('postgres', 'DROP FOREIGN TABLE f; DROP TABLE f_h; SELECT nvmkv.compact()');
is(view(), '', 'nothing is left of the damage');
sound($node, 'says the check');
is(same_rows($node, $_), '0|0', "table $_ is as it should be") for qw(t u);
$node->restart;
sound($node, 'after a restart, too');
$node->stop;

done_testing();
