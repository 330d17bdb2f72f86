# nvmkv.storage tells where the rows of foreign tables are.  Whatever a superuser does to it, rows are not taken for those
# of dropped tables: it is refused, or they are kept.  DROP EXTENSION is meant, with the library or without.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main', autovacuum => 'off');
my $refused = qr/55000: cannot drop materialized view "storage" because it tells where the rows of foreign tables are/;

# Starts the server without the library, or with it; then once the sweep has said what is expected.
sub start
{
	my ($library, $expected, $name) = @_;
	my $size = -s $node->logfile;

	$node->stop if -e $node->data_dir . '/postmaster.pid';
	$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "'$library'");
	$node->start;
	ok($node->wait_for_log($expected, $size), $name) if defined $expected;
	return;
}

sub single_user
{
	my ($database, $sql) = @_;
	my ($out, $err) = ('', '');

	$node->stop;
	IPC::Run::run([ 'postgres', '--single', '-D', $node->data_dir, '-c', 'shared_preload_libraries=', $database ], '<', \$sql, '>', \$out, '2>', \$err)
	  or die $err;
	unlike($err, qr/ERROR/, 'single-user mode goes through') or diag($err);
	return;
}

sub prepare
{
	my ($database) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $database") if $database ne 'postgres';
	$node->safe_psql($database, q{
		CREATE EXTENSION IF NOT EXISTS nvmkv_fdw;
		CREATE FOREIGN TABLE f (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
		CREATE FOREIGN TABLE g (k int, v text) SERVER nvmkv;
		INSERT INTO f SELECT i, repeat('x', 100) FROM generate_series(1, 5000) i;
		INSERT INTO g SELECT * FROM f});
	return;
}

# Rows of both tables, as they are read.
sub rows
{
	my ($database) = @_;

	return $node->safe_psql($database // 'postgres', 'SELECT (SELECT count(v) FROM f), (SELECT count(v) FROM g)');
}

# Of the storages that are named, how many still take space.
sub there
{
	my (@ids) = @_;

	$node->safe_psql('postgres', 'SELECT nvmkv.compact()');
	return scalar grep { $node->safe_psql('postgres', "SELECT entries > 4000 FROM nvmkv.storage_estimate($_)") eq 't' } @ids;
}

sub storages { return split /\n/, $node->safe_psql($_[0], 'SELECT storage_id FROM nvmkv.storage ORDER BY 1') }

prepare($_) for qw(postgres extended detached);
$node->safe_psql('postgres', 'CREATE ROLE somebody');

# ---- what changes nothing

$node->safe_psql('postgres', $_)
  for 'VACUUM FULL nvmkv.storage', 'CLUSTER nvmkv.storage USING storage_relid', 'REFRESH MATERIALIZED VIEW nvmkv.storage',
  'REFRESH MATERIALIZED VIEW CONCURRENTLY nvmkv.storage', 'BEGIN; REFRESH MATERIALIZED VIEW nvmkv.storage; ROLLBACK',
  'REINDEX TABLE nvmkv.storage', 'ALTER MATERIALIZED VIEW nvmkv.storage RENAME COLUMN relid TO renamed',
  'ALTER MATERIALIZED VIEW nvmkv.storage RENAME COLUMN renamed TO relid',
  'BEGIN; DROP EXTENSION nvmkv_fdw CASCADE; ROLLBACK', 'ALTER MATERIALIZED VIEW nvmkv.storage OWNER TO somebody';
fails($node, 'REFRESH MATERIALIZED VIEW nvmkv.storage', qr/42501/, 'a refresh with the rights of an owner who has none');
is(rows(), '5000|5000', 'the rows are there');
$node->safe_psql('postgres', q{
	GRANT EXECUTE ON FUNCTION nvmkv.stored_tables() TO somebody;
	REFRESH MATERIALIZED VIEW nvmkv.storage;
	CREATE FOREIGN TABLE more (k int) SERVER nvmkv;
	INSERT INTO more VALUES (1);
	TRUNCATE more;
	DROP FOREIGN TABLE more});
is(rows(), '5000|5000', 'and after one with rights');

# ---- the view alone is to go

fails($node, 'DROP MATERIALIZED VIEW nvmkv.storage', $refused, 'a member of the extension');
fails($node, 'ALTER EXTENSION nvmkv_fdw DROP MATERIALIZED VIEW nvmkv.storage', qr/55000: cannot detach materialized view "storage"/, 'nor can it be detached');
$node->safe_psql('detached', q{
	-- From 17 on the types of a row, and of an array of rows, are members of their own.
	DELETE FROM pg_depend WHERE deptype = 'e' AND (objid = 'nvmkv.storage'::regclass OR
		objid IN (SELECT t.oid FROM pg_type t, pg_class c WHERE c.oid = 'nvmkv.storage'::regclass AND c.reltype IN (t.oid, t.typelem)));
	ALTER EXTENSION nvmkv_fdw DROP VIEW nvmkv.stat_tables;
	ALTER EXTENSION nvmkv_fdw DROP VIEW nvmkv.indexes;
	DROP VIEW nvmkv.stat_tables, nvmkv.indexes;
	ALTER MATERIALIZED VIEW nvmkv.storage OWNER TO somebody});
fails($node, $_, $refused, $_, 'detached')
  for 'DROP MATERIALIZED VIEW nvmkv.storage', 'DROP MATERIALIZED VIEW IF EXISTS nvmkv.storage CASCADE', 'DROP OWNED BY somebody',
  q{DO $$BEGIN EXECUTE 'DROP OWNED BY somebody'; END$$};
is(rows('detached'), '5000|5000', 'the rows are there');
start('');
fails($node, 'DROP MATERIALIZED VIEW nvmkv.storage', $refused, 'without the library', 'detached');

# ---- where nobody could refuse it

my @ids = storages('detached');
single_user('detached', "DROP MATERIALIZED VIEW nvmkv.storage\n");
start('nvmkv_fdw', qr/keeps the rows of 2 foreign tables in database "detached".*HINT:.*nvmkv_dump salvage/s, 'rows without the view are kept');
fails($node, 'SELECT count(*) FROM f', qr/55000: relation "nvmkv.storage" does not exist/, 'reading says what is missing', 'detached');
is(there(@ids), 2, 'and they are there');
$node->stop;
my $out = $node->basedir . '/out';
command_ok([ 'nvmkv_dump', 'salvage', $node->data_dir . '/nvmkv', '--to', $out ], 'salvage');
is((map { scalar(my @lines = split /\n/, slurp_file($_)) } glob("$out/*.f.$ids[0].copy"))[0], 5000, 'has all rows of a table');
start('nvmkv_fdw', qr/keeps the rows of 2 foreign tables in database "detached"/, 'the next start keeps them, too');

# ---- DROP EXTENSION

@ids = (@ids, storages('extended'));
my @other = storages('postgres');
start('');
fails($node, 'DROP EXTENSION nvmkv_fdw', qr/2BP01/, 'the extension, while there are tables', 'extended');
$node->safe_psql('extended', 'BEGIN; DROP EXTENSION nvmkv_fdw CASCADE; ROLLBACK');
$node->safe_psql('extended', 'DROP EXTENSION nvmkv_fdw CASCADE');
$node->safe_psql('detached', 'DROP EXTENSION nvmkv_fdw CASCADE');
start('nvmkv_fdw', qr/(?:removes the rows of 2 foreign tables.*){2}/s, 'dropped without the library');
is(there(@ids), 0, 'nothing is left');
is(there(@other), 2, 'but for what was not dropped');
is(rows(), '5000|5000', 'which can be read');
$node->safe_psql('postgres', 'DROP EXTENSION nvmkv_fdw CASCADE');
prepare('postgres');
is(there(@other), 0, 'dropped with the library: it is gone at once');
is(rows(), '5000|5000', 'made anew');
sound($node, 'the engine is sound');
$node->stop;
done_testing();
