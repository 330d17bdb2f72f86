# The extension is updated from version 1.0 to the present one: what there is afterwards is what CREATE EXTENSION makes, and
# tables keep their rows; until then the library works with what 1.0 has made.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main');
my $objects = slurp_file("$FindBin::RealBin/extension_objects.sql");
my $update = 'ALTER EXTENSION nvmkv_fdw UPDATE';

sub make_old
{
	my ($name) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $name");
	$node->safe_psql($name, q{
		CREATE EXTENSION nvmkv_fdw VERSION '1.0';
		CREATE FOREIGN TABLE f (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
		CREATE FOREIGN TABLE g (k int, v text) SERVER nvmkv;
		CREATE FOREIGN TABLE later (k int) SERVER nvmkv OPTIONS (primary_key 'k');
		INSERT INTO f SELECT n, 'v ' || n FROM generate_series(1, 100) AS n;
		INSERT INTO g TABLE f});
	return;
}

sub rows { return $node->safe_psql($_[0], q{SELECT count(*), sum(k) FROM f; SELECT count(*) FROM g; SELECT v FROM f WHERE k = 77}) }

my $expected = "100|5050\n100\nv 77";
my $stored = 'SELECT relid::regclass, storage_id, key_columns, key_types, key_collations, key_descending, column_types FROM nvmkv.storage ORDER BY relid';

# ---- the library with what 1.0 has made

make_old('old');
is(rows('old'), $expected, 'version 1.0: rows');
is($node->safe_psql('old', q{SELECT * FROM nvmkv.check(NULL); SELECT * FROM nvmkv.check('f'); SELECT nvmkv.compact(NULL)}), '',
	'functions for everything or a table');
$node->safe_psql('old', 'REFRESH MATERIALIZED VIEW nvmkv.storage; CREATE INDEX ON f (v); TRUNCATE g; INSERT INTO g TABLE f; ALTER FOREIGN TABLE g ADD COLUMN more int DEFAULT 1');
is($node->safe_psql('old', q{SELECT k FROM f WHERE v = 'v 77'; SELECT sum(more) FROM g; SELECT count(*) FROM nvmkv.stat_tables}), "77\n100\n4",
	'and DDL work');
fails($node, 'CREATE FOREIGN TABLE c (k int REFERENCES f (k)) SERVER nvmkv', qr/42883: function nvmkv\.foreign_key_check\(\) does not exist\nHINT:  .*ALTER EXTENSION nvmkv_fdw UPDATE/,
	'what 1.0 does not have', 'old');
fails($node, 'CREATE TABLE c (k int) USING nvmkv', qr/access method "nvmkv" does not exist/, 'CREATE TABLE', 'old');
SKIP:
{
	skip 'no ICU', 2 if !$node->safe_psql('old', q{SELECT count(*) FROM pg_collation WHERE collname = 'de-x-icu'});
	fails($node, q{CREATE FOREIGN TABLE c (k text COLLATE "de-x-icu") SERVER nvmkv OPTIONS (primary_key 'k')},
		qr/55000: version 1\.0 of extension nvmkv_fdw has no keys in the order of ICU's collations\nHINT:  .*ALTER EXTENSION nvmkv_fdw UPDATE/, 'sort keys', 'old');
}

# ---- what is in the way of an update

$node->safe_psql('old', 'CREATE VIEW mine AS SELECT storage_id FROM nvmkv.storage');
fails($node, $update, qr/2BP01: cannot drop .* because other objects depend on it/, 'a view of somebody', 'old');
is($node->safe_psql('old', q{SELECT extversion FROM pg_extension WHERE extname = 'nvmkv_fdw'}), '1.0', 'nothing has changed');
$node->safe_psql('old', 'DROP VIEW mine; CREATE VIEW mine AS SELECT relname, storage_id FROM nvmkv.stat_tables');
$node->safe_psql('old', q{BEGIN; TRUNCATE later; PREPARE TRANSACTION 'p'});
fails($node, "SET lock_timeout = '100ms'; $update", qr/55P03: canceling statement due to lock timeout/, 'a transaction that has made a storage', 'old');
is(rows('old'), $expected, 'nothing has changed');
$node->safe_psql('old', q{COMMIT PREPARED 'p'});

# ---- sessions beside it: one has used a table before, one comes to a table while the catalogue is locked

my $before = $node->safe_psql('old', $stored);
my @sessions;
for my $name ('user', 'updater', 'waiter')
{
	my %session = (in => '', out => '');

	$session{run} = IPC::Run::start([ 'psql', '-X', '-q', '-A', '-t', '-d', $node->connstr('old') ], '<', \$session{in}, '>&', \$session{out}, IPC::Run::timeout(600));
	push @sessions, \%session;
}

# Sends it something, and waits until it has said that.
sub say
{
	my ($session, $sql, $until) = @_;

	$session->{out} = '';
	$session->{in} .= "$sql\n";
	$session->{run}->pump until $session->{out} =~ $until;
	return $session->{out};
}

my ($user, $updater, $waiter) = @sessions;
say($user, 'SELECT count(*) FROM f;', qr/^100$/m);
say($updater, "BEGIN; $update; SELECT 'updated';", qr/^updated$/m);
$waiter->{in} .= "SELECT count(*) FROM g;\n";
$waiter->{run}->pump_nb;
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND locktype = 'relation'}), 'who looks a table up waits');
like(say($user, 'SELECT v FROM f WHERE k = 77;', qr/^v \d+$/m), qr/^v 77$/m, 'who has a table goes on');
say($updater, "COMMIT; SELECT 'committed';", qr/^committed$/m);
$waiter->{run}->pump until $waiter->{out} =~ /\n/;
is($waiter->{out}, "100\n", 'who has waited finds it');
like(say($user, "INSERT INTO f VALUES (101, 'v 101'); DELETE FROM f WHERE k = 101; SELECT count(*) FROM f;", qr/^\d+$/m), qr/^100$/m, 'and writes');
for my $session (@sessions)
{
	$session->{in} .= "\\q\n";
	$session->{run}->finish;
}

# ---- the same objects

is($node->safe_psql('old', q{SELECT extversion = (SELECT default_version FROM pg_available_extensions AS a WHERE a.name = e.extname) FROM pg_extension AS e WHERE extname = 'nvmkv_fdw'}),
	't', 'it is the present version');
is($node->safe_psql('old', $stored), $before, 'where rows are');
is($node->safe_psql('old', 'SELECT DISTINCT v FROM nvmkv.storage, unnest(key_versions) AS v'), '', 'without versions of collations');
is($node->safe_psql('old', q{SELECT relname FROM mine WHERE relname = 'f'}), 'f', 'a view of somebody on nvmkv.stat_tables');
$node->safe_psql('old', 'DROP VIEW mine');
my $made = $node->safe_psql('postgres', $objects);
cmp_ok(length $made, '>', 10000, 'objects are compared');
is($node->safe_psql('old', $objects), $made, 'an updated extension is as a new one');
is(rows('old'), $expected, 'rows');
$node->safe_psql('old', q{
	REFRESH MATERIALIZED VIEW nvmkv.storage;
	ALTER FOREIGN TABLE f ADD PRIMARY KEY (k);
	CREATE TABLE c (k int PRIMARY KEY, f int REFERENCES f) USING nvmkv;
	INSERT INTO c VALUES (1, 1)});
fails($node, 'INSERT INTO c VALUES (2, 1000)', qr/23503: /, 'a foreign key', 'old');
fails($node, 'ALTER MATERIALIZED VIEW nvmkv.storage RENAME TO other', qr/55000: cannot rename materialized view/, 'nobody else may', 'old');

# The sweep at the next start, and a crash.
$node->stop('immediate');
$node->start;
$node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'nvmkv_fdw sweep'});
is(rows('old'), $expected, 'rows after restarts');
sound($node, 'sound');

# ---- by a server without the library, and a dump of 1.0

make_old('unloaded');
my ($dump, $err) = ('', '');
IPC::Run::run([ 'pg_dump', '--include-foreign-data=nvmkv', '-d', $node->connstr('unloaded') ], '>', \$dump, '2>', \$err) or die $err;
$node->safe_psql('postgres', 'CREATE DATABASE restored');
my $script = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
append_to_file($script, $dump);
IPC::Run::run([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'), '-f', $script ], '>', \my $out, '2>', \$err) or die $err;
is(rows('restored'), $expected, 'a dump of 1.0 is restored');
is($node->safe_psql('restored', $objects), $made, 'with the present version of the extension');
$node->stop;
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "''");
$node->start;
$node->safe_psql('unloaded', $update);
$node->stop;
$node->adjust_conf('postgresql.conf', 'shared_preload_libraries', "'nvmkv_fdw'");
$node->start;
is(rows('unloaded'), $expected, 'rows after an update without the library');
is($node->safe_psql('unloaded', $objects), $made, 'the same objects');

# ---- a catalogue of no version that is known

$node->safe_psql('postgres', 'CREATE DATABASE newer');
$node->safe_psql('newer', q{
	CREATE EXTENSION nvmkv_fdw;
	CREATE FOREIGN TABLE f (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	INSERT INTO f VALUES (1, 'v');
	SET allow_system_table_mods = on;
	UPDATE pg_class SET relkind = 'r' WHERE oid = 'nvmkv.storage'::regclass;
	ALTER TABLE nvmkv.storage ADD COLUMN more int;
	UPDATE pg_class SET relkind = 'm' WHERE oid = 'nvmkv.storage'::regclass});
fails($node, $_, qr/55000: relation "storage" was made for another version of nvmkv_fdw\n.*\nHINT:  Install the library of the extension's version/,
	"a newer catalogue: $_", 'newer')
  for 'TABLE f', q{INSERT INTO f VALUES (2, 'v')}, 'TRUNCATE f';

done_testing();
