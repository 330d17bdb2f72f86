# WAL of column families that cannot be used is kept for each by itself: while others break and are put right, when the
# whole tree breaks in between, when the replay of what was kept fails, when what was kept is damaged or lost, and on a
# standby that is promoted.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Damage;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main', 'nvmkv.max_column_families' => 4, autovacuum => 'off');
my $round = 0;

# Table t is in the default family, f in the first other one, u in the second.
$node->safe_psql('postgres', q{
	CREATE SERVER one FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'one');
	CREATE SERVER two FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'two');
	CREATE FOREIGN TABLE t (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE f (k int, v text) SERVER one OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE u (k int, v text) SERVER two OPTIONS (primary_key 'k');
	CREATE TABLE t_h (k int PRIMARY KEY, v text);
	CREATE TABLE f_h (LIKE t_h INCLUDING ALL);
	CREATE TABLE u_h (LIKE t_h INCLUDING ALL)});

# One transaction, and parts of it in each table, more of each than a record holds; and one that rolls back.
sub write_to
{
	my @tables = @_;

	$round++;
	both($node, join ';', 'BEGIN',
		(map { ("INSERT INTO $_ SELECT 1000 * $round + g, repeat(md5(g::text), 4) FROM generate_series(1, 300) g",
				"UPDATE $_ SET v = v || '$round' WHERE k % 13 = 0", "DELETE FROM $_ WHERE k % 97 = $round") } @tables),
		'COMMIT', 'BEGIN', (map { "DELETE FROM $_ WHERE k % 2 = 0" } @tables), 'ROLLBACK');
	return;
}

# What is away, by the number of the family; 0: CURRENT of the tree as a whole.
sub current { my ($server, $family) = @_; return $server->data_dir . '/nvmkv/' . ($family ? "family-$family/" : '') . 'CURRENT' }

sub take_away { my ($server, $family) = @_; rename(current($server, $family), $server->basedir . "/away-$family") or die "$family: $!"; return }
sub put_back { my ($server, $family) = @_; rename($server->basedir . "/away-$family", current($server, $family)) or die "$family: $!"; return }

sub kept_files
{
	my ($server, $dir) = @_;
	my @files = glob($server->data_dir . "/nvmkv_kept/$dir*.kept");

	return @files;
}

# These tables are there, the others say why not.
sub works
{
	my ($server, $what, @tables) = @_;

	is(same_rows($server, $_), '0|0', "$what: table $_ has every row") for @tables;
	for my $table (grep { my $t = $_; !grep { $_ eq $t } @tables } qw(t f u))
	{
		fails($server, "SELECT * FROM $table", qr/foreign tables .*not available.*HINT/s, "$what: table $table");
	}
	sound($server, "$what: the engine is sound") if @tables == 3;
	return;
}

sub fail_at { $node->append_conf('postgresql.conf', "nvmkv.fail_at = '$_[0]'\n"); return }
sub crash_and_start { $node->stop('immediate'); $_[0]->(); $node->start; return }

# ---- one family after the other, then the whole tree, and back in another order

write_to(qw(t f u));
$node->safe_psql('postgres', 'CHECKPOINT');
write_to(qw(t f u));
crash_and_start(sub { take_away($node, 1) });
works($node, 'one away', qw(t u));
write_to(qw(t u));
crash_and_start(sub { take_away($node, 2) });
works($node, 'both away', qw(t));
write_to(qw(t));
crash_and_start(sub { take_away($node, 0) });
works($node, 'all away');
$node->safe_psql('postgres', 'CHECKPOINT');
crash_and_start(sub { put_back($node, 0) });
works($node, 'the tree is back', qw(t));
write_to(qw(t));
crash_and_start(sub { put_back($node, 1) });
works($node, 'one is back', qw(t f));
is(scalar(kept_files($node, 'family-1/')), 0, 'nothing of it is kept any more');
write_to(qw(t f));
crash_and_start(sub { take_away($node, 0) });
works($node, 'all away again');
crash_and_start(sub { take_away($node, 1); put_back($node, 0) });
works($node, 'the tree is back, a family is not', qw(t));
is(scalar(kept_files($node, '')), 0, 'what was kept is with the families now');
crash_and_start(sub { put_back($node, 1); put_back($node, 2) });
works($node, 'all are back', qw(t f u));
is(scalar(map { kept_files($node, "family-$_/") } 1, 2), 0, 'nothing is kept any more');

# ---- a failure in the replay is the family's, and no space is nobody's: a replay that is begun again

write_to(qw(t f u));
crash_and_start(sub { take_away($node, 1) });
write_to(qw(t u));
$node->stop('immediate');
put_back($node, 1);
SKIP:
{
	$node->start;
	skip 'the library was built without assertions', 1 if $node->psql('postgres', 'SHOW nvmkv.fail_at') != 0;
	works($node, 'put right', qw(t f u));
	write_to(qw(t f u));
	crash_and_start(sub { take_away($node, 1) });
	$node->stop;
	put_back($node, 1);
	for my $point ('row.data_persisted', 'flush.before_install')
	{
		fail_at("$point io background worker");
		$node->start;
		works($node, "failure at $point", qw(t u));
		fail_at('');
		$node->reload;
		write_to(qw(t u));
		$node->stop;
	}
	$node->start;
}
works($node, 'the failure is over', qw(t f u));

# ---- a copy that is made meanwhile says so, and has the family's files as they are

write_to(qw(t f u));
crash_and_start(sub { take_away($node, 1) });
$node->backup('meanwhile');
my $copy = PostgreSQL::Test::Cluster->new('meanwhile');
$copy->init_from_backup($node, 'meanwhile');
$copy->start;
works($copy, 'a copy', qw(t u));
like($copy->safe_psql('postgres', 'SELECT * FROM nvmkv.check()'), qr/could not be used when this copy was made/, 'the check says why');
$copy->stop;
system_or_bail('cp', $node->basedir . '/away-1', current($copy, 1));
$copy->start;
works($copy, 'a copy, put right', qw(t f u));
$copy->stop;
$node->stop;
put_back($node, 1);
$node->start;
works($node, 'and its source', qw(t f u));

# ---- what is kept is damaged, or lost: then the family is not used

write_to(qw(t f u));
crash_and_start(sub { take_away($node, 1) });
$node->stop;
put_back($node, 1);
my ($kept) = kept_files($node, 'family-1/');
my $bytes = slurp_file($kept);
spoil($kept, (-s $kept) / 2, 'rot rot rot');
$node->start;
fails($node, 'SELECT * FROM f', qr/XX001.*family-1.*damaged.*HINT/s, 'what is kept is damaged');
works($node, 'what is kept is damaged', qw(t u));
$node->stop;
spoil($kept, 0, $bytes);
rename($node->data_dir . '/nvmkv_kept/family-1', $node->basedir . '/family-1') or die;
$node->start;
fails($node, 'SELECT * FROM f', qr/XX001.*what is between is lost.*HINT/s, 'what is kept is lost');
works($node, 'what is kept is lost', qw(t u));
$node->stop;
rename($node->basedir . '/family-1', $node->data_dir . '/nvmkv_kept/family-1') or die;
$node->start;
works($node, 'it is back', qw(t f u));

# ---- a family that is given up: what is kept goes with it

write_to(qw(t f u));
crash_and_start(sub { take_away($node, 1) });
cmp_ok(scalar(kept_files($node, 'family-1/')), '>', 0, 'something is kept');
$node->safe_psql('postgres', 'DROP FOREIGN TABLE f; TRUNCATE f_h');
$node->safe_psql('postgres', q{SELECT nvmkv.drop_column_family('one')});
is(scalar(kept_files($node, 'family-1/')), 0, 'the family is dropped, and what was kept');
unlink($node->basedir . '/away-1');
$node->safe_psql('postgres', q{CREATE FOREIGN TABLE f (k int, v text) SERVER one OPTIONS (primary_key 'k')});
write_to(qw(t f u));
crash_and_start(sub { });
works($node, 'a new family of the number', qw(t f u));

# ---- a standby

$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
$standby->stop;
take_away($standby, 1);
write_to(qw(t f u));
$standby->start;
$node->wait_for_catchup($standby);
works($standby, 'standby', qw(t u));
write_to(qw(t f u));
$node->safe_psql('postgres', 'CHECKPOINT');
$node->wait_for_catchup($standby);
$standby->safe_psql('postgres', 'CHECKPOINT');
$standby->stop('immediate');
$standby->start;
write_to(qw(t f u));
$node->wait_for_catchup($standby);
works($standby, 'standby, after a restartpoint and a crash', qw(t u));
$standby->stop;
put_back($standby, 1);
$standby->start;
$node->wait_for_catchup($standby);
works($standby, 'standby, put right', qw(t f u));
is(scalar(kept_files($standby, 'family-1/')), 0, 'standby, put right: nothing is kept any more');
$standby->stop('immediate');
take_away($standby, 1);
write_to(qw(t f u));
$standby->start;
$node->wait_for_catchup($standby);
$standby->promote;
works($standby, 'promoted', qw(t u));
$node->stop;
$node = $standby;
write_to(qw(t u));
crash_and_start(sub { });
works($node, 'promoted, after a crash', qw(t u));
$node->stop;
put_back($node, 1);
$node->start;
works($node, 'promoted, put right', qw(t f u));
write_to(qw(t f u));
works($node, 'promoted, and written', qw(t f u));
$node->stop;

done_testing();
