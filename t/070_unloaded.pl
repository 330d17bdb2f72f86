# Servers that have not loaded the library: definitions cannot be changed behind the back of rows, and what is dropped
# all the same gives its space back at the next start with it.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main');
my $unloaded = qr/55000: nvmkv_fdw is not loaded at server start.*HINT: +Add nvmkv_fdw to shared_preload_libraries/s;

# Starts the server with the library, or without.
sub start
{
	my ($how) = @_;

	$node->stop if -e $node->data_dir . '/postmaster.pid';
	$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', $how eq 'with' ? "'nvmkv_fdw'" : "''");
	$node->start;
	return;
}

# The same, once the worker that looks for what was dropped has said what it found.
sub start_and_sweep
{
	my ($expected, $name) = @_;
	my $size = -s $node->logfile;

	start('with');
	ok($node->wait_for_log($expected, $size), $name);
	return;
}

# Statements without a server process that others talk to.
sub single_user
{
	my ($settings, $sql, $database) = @_;
	my ($out, $err) = ('', '');

	$node->stop;
	IPC::Run::run([ 'postgres', '--single', '-D', $node->data_dir, (map { ('-c', $_) } @$settings), $database ],
		'<', \$sql, '>', \$out, '2>', \$err) or die $err;
	unlike($err, qr/ERROR/, 'single-user mode goes through') or diag($err);
	return;
}

# Which storages of 5000 rows still take space, deep down: 1 or 0 for each.
sub there
{
	my (@ids) = @_;

	$node->safe_psql('postgres', 'SELECT nvmkv.compact()');
	return join ' ', map { $node->safe_psql('postgres', "SELECT (entries > 4000)::int FROM nvmkv.storage_estimate($_)") } @ids;
}

sub storage
{
	my ($table, $database) = @_;

	return $node->safe_psql($database // 'postgres', "SELECT storage_id FROM nvmkv.storage WHERE relid = '$table'::regclass");
}

$node->safe_psql('postgres', q{
	CREATE DATABASE other;
	CREATE TYPE colour AS ENUM ('red', 'green');
	CREATE TYPE pair AS (a int, b int);
	CREATE DOMAIN positive AS int;
	CREATE FOREIGN TABLE kept (k int, v int, p pair, d positive, old int) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE coloured (c colour, v int) SERVER nvmkv OPTIONS (primary_key 'c');
	CREATE TABLE parent (k int, v int) PARTITION BY RANGE (k);
	CREATE FOREIGN TABLE child PARTITION OF parent FOR VALUES FROM (0) TO (1000000) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE TABLE heir (k int NOT NULL);
	CREATE FOREIGN TABLE inherits () INHERITS (heir) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE loose (k int NOT NULL, v int) SERVER nvmkv OPTIONS (primary_key 'k');
	INSERT INTO kept SELECT i, i, (i, i)::pair, i, i FROM generate_series(1, 100) i;
	INSERT INTO coloured VALUES ('red', 1);
	INSERT INTO child SELECT i, i FROM generate_series(1, 100) i;
	INSERT INTO inherits SELECT generate_series(1, 100);
	CREATE FOREIGN TABLE indexed (k int NOT NULL, v int) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE INDEX ON indexed (v);
	INSERT INTO indexed SELECT i, i % 10 FROM generate_series(1, 100) i;
	INSERT INTO loose VALUES (-1, -1)});
my @names = map { "gone_$_" } 1 .. 4;
my $make = join '', map { "CREATE FOREIGN TABLE $_ (k int, v text) SERVER nvmkv; INSERT INTO $_ SELECT i, repeat('x', 100) FROM generate_series(1, 5000) i;" } @names;
$node->safe_psql('postgres', "$make CREATE SCHEMA gone_too; CREATE FOREIGN TABLE gone_too.t (k int, v text) SERVER nvmkv; INSERT INTO gone_too.t SELECT * FROM gone_1");
$node->safe_psql('other', "CREATE EXTENSION nvmkv_fdw; $make");

# ---- what is refused, and what is not

my $rows = q{SELECT count(*), sum(v), sum((p).b), sum(d), (SELECT sum(v) FROM coloured), (SELECT sum(k) FROM child),
	(SELECT sum(k) FROM inherits), (SELECT sum(k) FROM loose) FROM kept};
my $content = $node->safe_psql('postgres', $rows);

start('without');
$node->safe_psql('postgres', 'CREATE TABLE plain (k int, v int); ALTER TABLE plain ADD c int DEFAULT 1; ALTER TABLE plain RENAME v TO w; DROP TABLE plain');
for my $statement (
	'CREATE FOREIGN TABLE n (k int) SERVER nvmkv',
	'CREATE FOREIGN TABLE n PARTITION OF parent FOR VALUES FROM (1000000) TO (2000000) SERVER nvmkv',
	'ALTER FOREIGN TABLE kept ADD COLUMN n int DEFAULT 7',
	'ALTER TABLE kept ADD COLUMN n int DEFAULT 7',
	'ALTER FOREIGN TABLE kept ALTER COLUMN v TYPE bigint',
	'ALTER FOREIGN TABLE kept ALTER COLUMN k DROP NOT NULL',
	'ALTER FOREIGN TABLE kept ALTER COLUMN v SET NOT NULL',
	'ALTER FOREIGN TABLE kept ADD CHECK (v < 0)',
	'ALTER FOREIGN TABLE kept RENAME COLUMN k TO kk',
	"ALTER FOREIGN TABLE kept OPTIONS (SET primary_key 'v')",
	'ALTER FOREIGN TABLE kept OPTIONS (DROP primary_key)',
	'ALTER TABLE parent ADD COLUMN n int DEFAULT 7',
	'ALTER TABLE parent ALTER COLUMN v TYPE bigint',
	'ALTER TABLE parent RENAME COLUMN k TO kk',
	'ALTER TABLE parent ATTACH PARTITION loose FOR VALUES FROM (-5) TO (0)',
	'ALTER TABLE heir ALTER COLUMN k TYPE bigint',
	'ALTER TABLE heir RENAME COLUMN k TO kk',
	'ALTER DOMAIN positive ADD CHECK (VALUE < 0)',
	'ALTER DOMAIN positive SET NOT NULL',
	'TRUNCATE kept')
{
	fails($node, $statement, $unloaded, $statement);
	fails($node, "SET session_replication_role = replica; $statement", $unloaded, "as a replica: $statement") if $statement =~ /^ALTER/;
}
fails($node, 'ALTER TYPE pair ALTER ATTRIBUTE b TYPE bigint', qr/0A000: cannot alter type "pair" because column "kept.p" uses it/, 'a type of a column');
fails($node, 'ALTER FOREIGN TABLE kept DROP COLUMN k', qr/55000: nvmkv_fdw is not loaded at server start/, 'dropping a key column');
fails($node, 'DROP TYPE colour CASCADE', qr/2BP01: cannot drop column "c" because it is in the primary key/, 'dropping the type of a key column');
my @forgetting = (
	'REFRESH MATERIALIZED VIEW nvmkv.storage WITH NO DATA',
	'ALTER SCHEMA nvmkv RENAME TO elsewhere',
	'ALTER MATERIALIZED VIEW nvmkv.storage SET SCHEMA public',
	'ALTER MATERIALIZED VIEW nvmkv.storage RENAME TO elsewhere',
	'ALTER TABLE nvmkv.storage RENAME TO elsewhere',
	'ALTER TABLE nvmkv.storage SET SCHEMA public',
	'ALTER INDEX nvmkv.storage_relid RENAME TO elsewhere',
	'ALTER EXTENSION nvmkv_fdw DROP MATERIALIZED VIEW nvmkv.storage');
my $forgets = qr/55000: cannot \w+ materialized view "storage" because it tells where the rows of foreign tables are/;
fails($node, $_, $forgets, "forgetting where rows are: $_") for @forgetting;
fails($node, 'DROP EVENT TRIGGER nvmkv_require_library', qr/2BP01/, 'dropping what sees to that');

# Rows are not touched by these.
$node->safe_psql('postgres', q{
	CREATE ROLE somebody;
	GRANT CREATE ON SCHEMA public TO somebody;
	ALTER FOREIGN TABLE kept OWNER TO somebody;
	ALTER FOREIGN TABLE kept RENAME TO kept_on;
	ALTER FOREIGN TABLE kept_on RENAME TO kept;
	ALTER FOREIGN TABLE kept ALTER COLUMN v SET STATISTICS 10;
	ALTER FOREIGN TABLE kept DROP COLUMN old;
	COMMENT ON FOREIGN TABLE kept IS 'kept';
	REFRESH MATERIALIZED VIEW nvmkv.storage});

# A dump can be restored but for the tables.
my $dump = $node->basedir . '/dump.sql';
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'pg_dump', '-s', '-f', $dump, '-d', $node->connstr('postgres') ], 'pg_dump');
my ($out, $err) = ('', '');
$node->psql('restored', slurp_file($dump), stdout => \$out, stderr => \$err, on_error_stop => 0);
like($err, qr/nvmkv_fdw is not loaded at server start/, 'restoring a table says what is missing');
is($node->safe_psql('restored', q{SELECT count(*) FROM pg_foreign_table}), '0', 'and leaves nothing half done');

start('with');
is($node->safe_psql('postgres', $rows), $content, 'no row has changed');
fails($node, $_, $forgets, "with the library: $_") for @forgetting;

# ---- what is dropped without the library

my @ids = map { storage($_) } @names, 'gone_too.t';
my $ids_other = join ' ', map { storage($_, 'other') } @names;
is(there(@ids, split / /, $ids_other), '1 1 1 1 1 1 1 1 1', 'the rows take space');

start('without');
($out, $err) = ('', '');
$node->psql('postgres', 'DROP FOREIGN TABLE gone_1; DROP SCHEMA gone_too CASCADE; BEGIN; DROP TABLE gone_4; ROLLBACK',
	stdout => \$out, stderr => \$err);
like($err, qr/WARNING:  rows of dropped foreign table "gone_1" keep their space for now/, 'a drop says what it leaves');
# Nobody sees this one.
$node->safe_psql('postgres', q{
	ALTER EVENT TRIGGER nvmkv_require_library DISABLE});
$node->safe_psql('postgres', 'DROP FOREIGN TABLE gone_2');
$node->safe_psql('postgres', 'ALTER EVENT TRIGGER nvmkv_require_library ENABLE ALWAYS');
# A prepared one is decided later.
$node->safe_psql('postgres', q{BEGIN; DROP FOREIGN TABLE gone_3; PREPARE TRANSACTION 'drop'});
$node->safe_psql('postgres', 'DROP DATABASE restored');

start_and_sweep(qr/removes the rows of 3 foreign tables/, 'three tables were dropped');
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'drop'});
is(there(@ids), '0 0 1 1 0', 'and have left nothing, and the others are there');
is($node->safe_psql('postgres', 'SELECT (SELECT count(*) FROM gone_3), (SELECT count(*) FROM gone_4)'), '5000|5000', 'also in SQL');
is($node->safe_psql('postgres', 'SET enable_seqscan = off; SELECT count(*) FROM indexed WHERE v = 7'), '10', 'indexes have their entries');
is($node->safe_psql('postgres', 'SELECT count(*) FROM nvmkv.storage WHERE relid NOT IN (SELECT oid FROM pg_class)'), '0',
	'nor does nvmkv.storage name what was dropped');

# In single-user mode no event trigger fires; with the library it is the usual way.
single_user([ 'shared_preload_libraries=' ], "DROP FOREIGN TABLE gone_3\n", 'postgres');
start_and_sweep(qr/removes the rows of 1 foreign tables/, 'dropped in single-user mode');
is(there(@ids), '0 0 0 1 0', 'it has left nothing');
single_user([], "DROP FOREIGN TABLE gone_4\n", 'postgres');
start('with');
is(there(@ids), '0 0 0 0 0', 'with the library it goes at once');

# Whole databases, and the extension.
start('without');
$node->safe_psql('postgres', 'DROP DATABASE other');
start_and_sweep(qr/removes the rows of 4 foreign tables.*DETAIL:  They were in databases that do not exist any more/s, 'a database was dropped');
is(there(split / /, $ids_other), '0 0 0 0', 'and has left nothing');

# ---- what a sweep must leave alone

$node->safe_psql('postgres', q{
	CREATE DATABASE original;
	CREATE DATABASE closed});
for my $database (qw(original closed))
{
	$node->safe_psql($database, q{
		CREATE EXTENSION nvmkv_fdw;
		CREATE FOREIGN TABLE a (k int) SERVER nvmkv;
		CREATE FOREIGN TABLE b (k int) SERVER nvmkv;
		INSERT INTO a SELECT generate_series(1, 1000);
		INSERT INTO b SELECT generate_series(1, 1000)});
}
$node->safe_psql('postgres', q{
	CREATE DATABASE clone TEMPLATE original;
	UPDATE pg_database SET datallowconn = false WHERE datname = 'closed'});
$node->safe_psql('clone', 'INSERT INTO a SELECT generate_series(1, 10)');

# Prepared: a table that is new, one with a new storage, one that is gone; a transaction that was left running.
$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE truncated (k int) SERVER nvmkv;
	CREATE FOREIGN TABLE dropped (k int) SERVER nvmkv;
	INSERT INTO truncated SELECT generate_series(1, 100);
	INSERT INTO dropped SELECT generate_series(1, 100);
	BEGIN;
	CREATE FOREIGN TABLE created (k int) SERVER nvmkv;
	INSERT INTO created SELECT generate_series(1, 100);
	TRUNCATE truncated;
	INSERT INTO truncated SELECT generate_series(1, 10);
	DROP FOREIGN TABLE dropped;
	PREPARE TRANSACTION 'pending'});

start('without');
$node->safe_psql('postgres', 'ALTER EVENT TRIGGER nvmkv_require_library DISABLE; DROP FOREIGN TABLE loose');
$node->safe_psql('original', 'ALTER EVENT TRIGGER nvmkv_require_library DISABLE; DROP FOREIGN TABLE b');
start_and_sweep(qr/(?:removes the rows of 1 foreign tables.*){2}/s, 'one table of the original was dropped, and one here');
is($node->safe_psql('original', 'SELECT count(*) FROM a'), '1000', 'the other has its rows');
is($node->safe_psql('clone', 'SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)'), '10|0', 'so has the clone');
$node->safe_psql('postgres', q{UPDATE pg_database SET datallowconn = true WHERE datname = 'closed'});
is($node->safe_psql('closed', 'SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)'), '1000|1000', 'and a database that nobody can connect to');
$node->safe_psql('postgres', q{COMMIT PREPARED 'pending'});
is($node->safe_psql('postgres', 'SELECT (SELECT count(*) FROM created), (SELECT count(*) FROM truncated)'), '100|10',
	'a prepared transaction finds what it made');

# Columns that were changed where nobody could see it: rows are not misread.
$content = $node->safe_psql('postgres', 'SELECT count(*), sum(v), sum((p).b), (SELECT sum(v) FROM coloured) FROM kept');
single_user([ 'shared_preload_libraries=' ],
	"ALTER FOREIGN TABLE kept ALTER COLUMN v TYPE bigint\nALTER FOREIGN TABLE coloured ADD COLUMN n int DEFAULT 7\n", 'postgres');
start('with');
my $misfit = qr/55000: definition of foreign table "kept" does not fit its stored rows.*DETAIL:  The type of column "v" was changed by .* type integer\./s;
fails($node, $_, $misfit, $_) for 'SELECT count(*) FROM kept', 'INSERT INTO kept VALUES (1000)', 'ALTER FOREIGN TABLE kept ADD COLUMN n int';
fails($node, 'SELECT count(*) FROM coloured', qr/55000: definition .*DETAIL:  Column "n" was added by .*HINT:  Drop the column and add it again/s, 'an added column');
$node->safe_psql('postgres', q{
	ALTER FOREIGN TABLE kept ALTER COLUMN v TYPE int;
	ALTER FOREIGN TABLE coloured DROP COLUMN n;
	ALTER FOREIGN TABLE coloured ADD COLUMN n int DEFAULT 7});
is($node->safe_psql('postgres', 'SELECT count(*), sum(v), sum((p).b), (SELECT sum(v) FROM coloured) FROM kept'), $content, 'all is well when it is undone');
is($node->safe_psql('postgres', 'SELECT sum(n), (SELECT sum(k) FROM child) FROM coloured'), '7|5050', 'with the library columns are added');

# Nor what could be a table's rows.
single_user([ 'shared_preload_libraries=' ], "REFRESH MATERIALIZED VIEW nvmkv.storage WITH NO DATA\n", 'original');
start_and_sweep(qr/keeps the rows of 1 foreign tables in database "original".*DETAIL:  They could be those of foreign table "a"/s,
	'what no table is known for is kept while one lacks its rows');
$node->safe_psql('original', 'TRUNCATE a');
start_and_sweep(qr/removes the rows of 1 foreign tables/, 'and removed when none does');
$node->safe_psql('original', 'INSERT INTO a SELECT generate_series(1, 2000)');
single_user([ 'shared_preload_libraries=' ], "ALTER SCHEMA nvmkv RENAME TO elsewhere\n", 'original');
start_and_sweep(qr/keeps the rows of 1 foreign tables in database "original".*DETAIL:  They could be those of foreign table "a".*HINT:  Give /s,
	'nothing is taken for dropped where nvmkv.storage has another name');
fails($node, 'SELECT count(*) FROM a', qr/55000: relation "nvmkv.storage" does not exist.*HINT: +Give it/s, 'it says what is missing', 'original');
$node->safe_psql('original', 'ALTER SCHEMA elsewhere RENAME TO nvmkv');
is($node->safe_psql('original', 'SELECT count(*) FROM a'), '2000', 'the rows are there with the name');
$node->safe_psql('original', 'DROP INDEX nvmkv.storage_relid');
is($node->safe_psql('original', 'SELECT count(*) FROM a'), '2000', 'and without an index');

# Twice the same is nothing new.
my $size = -s $node->logfile;
$node->restart;
$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'nvmkv_fdw sweep'});
unlike(substr(slurp_file($node->logfile), $size), qr/removes the rows/, 'the next start finds nothing');
sound($node, 'the engine is sound');

$node->stop;
done_testing();
