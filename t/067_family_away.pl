# A column family whose files are away costs its own tables only.  What the log has for it is kept, and replayed when its files
# are back; its tables can be truncated and dropped meanwhile, and the family, too; and who gives it up loses nothing else.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Damage;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main', 'nvmkv.max_column_families' => 3, autovacuum => 'off');
my $dir = $node->data_dir . '/nvmkv';
my $away = $node->basedir . '/away';
my $round = 0;

$node->safe_psql('postgres', q{
	CREATE SERVER other FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'other');
	CREATE FOREIGN TABLE t (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE f (k int, v text) SERVER other OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE u (k int, v text) SERVER other OPTIONS (primary_key 'k');
	CREATE TABLE t_h (k int PRIMARY KEY, v text);
	CREATE TABLE f_h (LIKE t_h INCLUDING ALL);
	CREATE TABLE u_h (LIKE t_h INCLUDING ALL)});

# So much that memtables of its tree are flushed.
sub write_much
{
	my ($table) = @_;

	$round++;
	both($node, "INSERT INTO $table SELECT 100000 * $round + g, repeat(md5((g + $round)::text), 16) FROM generate_series(1, 6000) g");
	return;
}

sub write_little
{
	my ($table) = @_;

	$round++;
	both($node, "INSERT INTO $table SELECT 100000 * $round + g, 'little' FROM generate_series(1, 50) g");
	return;
}

sub equal
{
	my ($what, @tables) = @_;

	is(same_rows($node, $_), '0|0', "$what: table $_ has every row") for @tables;
	sound($node, "$what: the engine is sound");
	return;
}

sub take_away { rename($_[0], $away) or die "$_[0]: $!"; return }
sub put_back { rename($away, $_[0]) or die "$_[0]: $!"; return }

my $broken = qr/column family "other" cannot be used: /;

# Batches with entries of both families, of transactions that commit, roll back, and are prepared.
sub write_across
{
	$round++;
	both($node, "BEGIN; INSERT INTO t VALUES (-$round, 'across'); INSERT INTO f VALUES (-$round, 'across'); UPDATE f SET v = v || '$round' WHERE k % 97 = 0;"
		. " UPDATE t SET v = v || '$round' WHERE k % 89 = 0; DELETE FROM u WHERE k % 83 = 0; COMMIT;"
		. " BEGIN; DELETE FROM t; DELETE FROM f; ROLLBACK;");
	return;
}

sub kept_files
{
	my @files = glob($node->data_dir . "/nvmkv_kept/$_[0]*.kept");

	return @files;
}

# While the family is away the others' tables are there at once, to read and to write.
sub away
{
	my ($what) = @_;

	write_little('t');
	is(same_rows($node, 't'), '0|0', "$what: table t has every row");
	fails($node, "SELECT count(*) FROM $_", qr/foreign tables of a column family are not available.*$broken.*HINT: /s, "$what: table $_") for qw(f u);
	fails($node, q{INSERT INTO f VALUES (0, '')}, qr/not available.*$broken/s, "$what: writing f");
	is($node->safe_psql('postgres', 'CHECKPOINT; SELECT count(*) > 0 FROM t_h'), 't', "$what: local tables work");
	return;
}

# ---- the log has something for the family, before or behind what its other tables have flushed

write_much($_) for qw(t f u);
for my $case ([ "$dir/family-1/CURRENT", sub { write_little('f'); write_across(); write_much('t') } ],
	[ "$dir/family-1/level0.pool", sub { write_much('t'); write_little('f'); write_little('t'); write_across() } ])
{
	my ($file, $write) = @$case;

	$node->safe_psql('postgres', 'CHECKPOINT');
	$write->();
	$node->safe_psql('postgres', "BEGIN; INSERT INTO t VALUES (-1000 - $round, 'p'); INSERT INTO f VALUES (-1000 - $round, 'p');"
		. " INSERT INTO t_h VALUES (-1000 - $round, 'p'); INSERT INTO f_h VALUES (-1000 - $round, 'p'); PREPARE TRANSACTION 'p'");
	$node->stop('immediate');
	take_away($file);
	for my $how ('immediate', 'immediate', 'fast', 'fast')
	{
		my $log = -s $node->logfile;

		$node->start;
		ok($node->log_contains('keeping WAL of column family "other" in "nvmkv_kept/family-1" from', $log), 'the WAL is kept') if $how eq 'immediate';
		away("away, then $how");
		$node->stop($how);
	}
	cmp_ok(scalar(kept_files('family-1/')), '>', 0, 'what is kept stays');
	is(scalar(kept_files('')), 0, 'nothing else is kept');
	put_back($file);
	$node->start;
	$node->safe_psql('postgres', "COMMIT PREPARED 'p'");
	is(scalar(kept_files('family-1/')), 0, 'nothing is kept any more');
	equal('put back', qw(t f u));
	write_across();
	$node->stop('immediate');
	$node->start;
	equal('and after one more crash', qw(t f u));
}

# ---- given up: the other trees lose nothing

$node->safe_psql('postgres', 'CHECKPOINT');
write_little('f');
write_much('t');
write_little('t');
$node->stop('immediate');
take_away("$dir/family-1/CURRENT");
$node->append_conf('postgresql.conf', "nvmkv.ignore_lost_wal = on\n");
$node->start;
ok($node->log_contains('what was written last to column family "other" is lost'), 'the log says what is lost');
is(same_rows($node, 't'), '0|0', 'other families have every row');
fails($node, 'SELECT count(*) FROM f', qr/foreign tables of a column family are not available.*$broken/s, 'the family is given up');
$node->append_conf('postgresql.conf', "nvmkv.ignore_lost_wal = off\n");
$node->restart;
is(same_rows($node, 't'), '0|0', 'and goes on to do so');

# ---- its tables are truncated and dropped, and so is the family

my ($out, $err);
fails($node, q{SELECT nvmkv.drop_column_family('other')}, qr/2BP01: .*tables are in it.*HINT/s, 'a family with tables stays');
$node->psql('postgres', 'TRUNCATE f; DROP FOREIGN TABLE u; TRUNCATE f_h, u_h', stdout => \$out, stderr => \$err, on_error_stop => 1);
like($err, qr/WARNING: .*dropped or truncated keep their space.*$broken.*HINT: .*drop_column_family.*WARNING/s, 'TRUNCATE and DROP work, with a warning');
unlike($err, qr/ERROR/, 'and no error');
fails($node, q{INSERT INTO f VALUES (1, 'x')}, qr/not available.*$broken/s, 'the table is still none to write to');
$node->stop('immediate');
$node->start;
$node->stop;
put_back("$dir/family-1/CURRENT");
$node->start;
is($node->safe_psql('postgres', 'SELECT count(*) FROM f'), '0', 'put back, the table is empty');
ok($node->poll_query_until('postgres', q{SELECT nvmkv.compact()::text = '' AND (SELECT sum(bytes) < 300000 FROM nvmkv.stat_levels WHERE column_family = 'other')}),
	'and what was in it gives its space back');
both($node, q{INSERT INTO f VALUES (1, 'x')});
equal('written again', qw(t f));

$node->stop;
take_away("$dir/family-1/CURRENT");
$node->start;
$node->safe_psql('postgres', 'DROP FOREIGN TABLE f; TRUNCATE f_h');
$node->safe_psql('postgres', q{SELECT nvmkv.drop_column_family('other')});
is($node->safe_psql('postgres', 'SELECT column_family FROM nvmkv.column_families'), 'default', 'the family is dropped');
is(join(' ', glob("$dir/family-1/*")), '', 'with its files');
$node->safe_psql('postgres', q{CREATE FOREIGN TABLE f (k int, v text) SERVER other OPTIONS (primary_key 'k')});
write_little('f');
$node->stop('immediate');
$node->start;
my $log = -s $node->logfile;
$node->restart;
equal('a new family of the name', qw(t f));
unlike(substr(slurp_file($node->logfile), $log), qr/keep their space/, 'nothing is left of the old one');
$node->stop;

done_testing();
