# A table file that is missing, or shorter than it was, costs the rows in it; put back it costs nothing.  The server
# starts, other tables are read and written, compaction goes round, and what is lost can be given up, truncated or dropped. So
# it is with the list of storages.  A standby keeps its rows.
use strict;
use warnings;

use File::Copy;
use FindBin;
use lib $FindBin::RealBin;
use Damage;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main', 'nvmkv.max_column_families' => 2, autovacuum => 'off');
my $dir = $node->data_dir . '/nvmkv';
my $base = $node->basedir;
my $rows = 6000;

prepare_twins($node);
$node->safe_psql('postgres', q{
	CREATE SERVER hot FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'hot');
	CREATE FOREIGN TABLE t (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE u (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE f (k int, v text) SERVER hot OPTIONS (primary_key 'k');
	CREATE TABLE t_h (k int PRIMARY KEY, v text);
	CREATE TABLE u_h (LIKE t_h INCLUDING ALL);
	CREATE TABLE f_h (LIKE t_h INCLUDING ALL);
	CREATE FOREIGN TABLE a (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE TABLE a_h (LIKE t_h INCLUDING ALL)});

sub fill { both($node, "INSERT INTO $_[0] SELECT g, '$_[0]needle' || g || '.' || repeat(md5(g::text), 10) FROM generate_series(1, $rows) g"); return }

# The file with the row, saved; the server has stopped.
sub take_file
{
	my ($where, $text) = @_;
	my ($file) = file_with($text, glob("$where/*.sst"));

	copy($file, "$base/saved") or die "$file: $!";
	return $file;
}

sub view { return $node->safe_psql('postgres', "SELECT relation, state FROM nvmkv.damage WHERE relation IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2") }

fill($_) for qw(t u f);
$node->safe_psql('postgres', q{
	INSERT INTO a_h SELECT g, 'aneedle' || g || '.' || repeat(md5(g::text), 40) FROM generate_series(1, 300) g;
	INSERT INTO a TABLE a_h});
$node->safe_psql('postgres', 'SELECT nvmkv.compact()');

# Missing, and then put back.
$node->stop;
my $file = take_file($dir, 'tneedle3000.');
my $name = (split m{/}, $file)[-1];
unlink $file;
$node->start;
is(view(), 't|missing', 'the view has the file that is missing');
my ($first, $last, $lost) = lost_rows($node, 't', $rows + 10);
cmp_ok($lost, '>', 500, 'its rows cannot be read');
cmp_ok($lost, '<', $rows, 'others can');
fails($node, 'SELECT v FROM t WHERE k = 3000', qr/XX001: .*reading foreign table "t" failed.*\Q$name\E.*missing.*HINT: .*nvmkv\.check/s, 'reading them');
like($node->safe_psql('postgres', q{SELECT object || ': ' || problem FROM nvmkv.check() WHERE object LIKE 'foreign table%'}),
	qr/^foreign table public\.t: keys (?:from|behind) \(k\)=\(\d+\) (?:to before|up to) \(k\)=\(\d+\): /, 'the check names table and keys');
both($node, "UPDATE $_ SET v = v || '+' WHERE k % 7 = 0") for qw(u f);
$node->safe_psql('postgres', 'CHECKPOINT');
is(same_rows($node, $_), '0|0', "table $_ is as it should be") for qw(u f);
$node->stop;
copy("$base/saved", $file) or die $!;
chmod 0600, $file;
$node->start;
is(view(), '', 'put back, nothing is missing');
is(same_rows($node, 't'), '0|0', 'and every row is there');
sound($node, 'says the check');

# A file of values apart: one range of keys, however many values.
$node->stop;
$file = take_file($dir, 'aneedle100.');
$name = (split m{/}, $file)[-1];
unlink $file;
$node->start;
fails($node, 'SELECT v FROM a WHERE k = 100', qr/XX001: .*reading foreign table "a" failed.*\Q$name\E.*missing/s, 'reading a value apart');
is(same_rows($node, $_), '0|0', "without values of another, table $_ is as it should be") for qw(t u f);
is($node->safe_psql('postgres', q{SELECT object, problem ~ 'values of 300 entries' FROM nvmkv.check() WHERE object LIKE 'foreign table%'}),
	'foreign table public.a: keys from (k)=(1) up to (k)=(300)|t', 'the check names table and keys once');
$node->stop;
my ($out, $err);
IPC::Run::run([ 'nvmkv_dump', 'check', $dir ], '>', \$out, '2>', \$err);
is(() = $err =~ /values of 300 entries with keys from/g, 1, 'so does nvmkv_dump');
copy("$base/saved", $file) or die $!;
chmod 0600, $file;
$node->start;
is(same_rows($node, 'a'), '0|0', 'put back, every value is there');
sound($node, 'says the check');

# A standby has files of its own.
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;

# Short; compaction goes round it.
$node->safe_psql('postgres', 'SELECT nvmkv.compact()');
$node->stop;
$file = take_file($dir, 'tneedle3000.');
truncate($file, (-s $file) / 2);
$node->start;
is(view(), 't|wrong size', 'the view has a file that is short');
($first, $last, $lost) = lost_rows($node, 't', $rows + 10);
both($node, "UPDATE t SET v = v || '-' WHERE k < $first - 1; UPDATE t SET v = v || '-' WHERE k > $last + 1");
both($node, "UPDATE $_ SET v = v || '-' WHERE k % 5 = 0") for qw(u f);
$node->safe_psql('postgres', 'SELECT nvmkv.compact()');
is($node->safe_psql('postgres', 'SELECT count(*) FROM nvmkv.stat_matrix'), '0', 'the container is drained');
is(view(), 't|lost', 'compaction has gone round it');
is(join('|', lost_rows($node, 't', $rows + 10)), "$first|$last|$lost", 'no other row is lost');
$node->stop;
$node->start;
is(same_rows($node, $_), '0|0', "after a stop and a start, table $_ is as it should be") for qw(u f);
fails($standby, q{SELECT nvmkv.accept_damage('t')}, qr/25006: cannot execute nvmkv\.accept_damage\(\) during recovery.*HINT: /s, 'on a standby nothing is accepted');
$node->safe_psql('postgres', q{SELECT nvmkv.accept_damage('t')});
is(view(), '', 'nothing is damaged any more');
is($node->safe_psql('postgres', 'SELECT count(*) FROM (TABLE t_h EXCEPT TABLE t) x'), $lost, 'the lost rows are absent');
$node->wait_for_catchup($standby);
is(same_rows($standby, 't'), '0|0', 'the standby has them');
$standby->stop;
$node->safe_psql('postgres', 'INSERT INTO t SELECT * FROM t_h ON CONFLICT DO NOTHING; SELECT nvmkv.compact()');
is(same_rows($node, 't'), '0|0', 'they can be written again');

# The last file: it has the list of storages, too.
$node->stop;
$file = take_file($dir, "uneedle$rows.");
unlink $file;
$node->start;
is($node->safe_psql('postgres', "SELECT count(*) FROM nvmkv.damage WHERE relation IS NULL AND storage_id = -1 AND state = 'missing'"), '1',
	'the list of storages is damaged');
is(same_rows($node, $_), '0|0', "table $_ is as it should be") for qw(t f);
both($node, "UPDATE $_ SET v = v || '=' WHERE k % 11 = 0") for qw(t f);
$node->safe_psql('postgres', 'CREATE FOREIGN TABLE w (k int) SERVER nvmkv; INSERT INTO w VALUES (1); DROP FOREIGN TABLE w; SELECT nvmkv.compact()');
both($node, 'TRUNCATE u');
fill('u');
is(same_rows($node, 'u'), '0|0', 'truncated, the table can be written anew');
$node->safe_psql('postgres', 'SELECT nvmkv.accept_damage()');
is($node->safe_psql('postgres', 'SELECT count(*) FROM nvmkv.damage'), '0', 'everything is accepted');
sound($node, 'says the check');
$node->restart;
is(same_rows($node, $_), '0|0', "table $_ is as it should be") for qw(t u f);
$node->safe_psql('postgres', 'CREATE DATABASE other TEMPLATE template0; DROP DATABASE other');

# All of a family's files: it cannot be used, its tables can be dropped, and what was in them goes once it can.
$node->safe_psql('postgres', 'SELECT nvmkv.compact()');
$node->stop;
mkdir "$base/hot";
move($_, "$base/hot/") for glob("$dir/family-1/*.sst");
$node->start;
is(same_rows($node, $_), '0|0', "without a family's files, table $_ is as it should be") for qw(t u);
fails($node, 'SELECT count(*) FROM f', qr/XX001: foreign tables of a column family are not available.*"hot" cannot be used: all \d+ table files are missing/s, 'the table in it');
my $warning;
$node->psql('postgres', 'DROP FOREIGN TABLE f', stderr => \$warning);
like($warning, qr/WARNING:  rows of a foreign table that was dropped or truncated keep their space for now/, 'it can be dropped');
$node->restart;
is(same_rows($node, $_), '0|0', "table $_ is as it should be") for qw(t u);
$node->stop;
move($_, "$dir/family-1/") for glob("$base/hot/*.sst");
my $log = -s $node->logfile;
$node->start;
ok($node->wait_for_log(qr/removes the rows of 1 foreign tables/, $log), 'put right, it gives up what was dropped');
$node->safe_psql('postgres', q{DROP SERVER hot; SELECT nvmkv.drop_column_family('hot')});
sound($node, 'nothing of it is left');
is(same_rows($node, $_), '0|0', "table $_ is as it should be") for qw(t u);
$node->stop;

done_testing();
