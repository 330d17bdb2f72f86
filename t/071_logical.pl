# Logical replication beside foreign tables: publications of all tables leave them out, where their rows are stays
# each server's own affair, and heap tables are replicated as ever.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# The same statements make tables of the same OIDs on both.
my ($publisher, $subscriber) = map { new_server($_, wal_level => 'logical') } qw(publisher subscriber);
my $same = $publisher->safe_psql('postgres', q{
	CREATE TABLE h (k int PRIMARY KEY, v text);
	CREATE FOREIGN TABLE f (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE g (k int) SERVER nvmkv;
	INSERT INTO h SELECT i, 'copied' FROM generate_series(1, 10) i;
	INSERT INTO f SELECT i, 'publisher' FROM generate_series(1, 1000) i;
	INSERT INTO g SELECT i FROM generate_series(1, 1000) i;
	CREATE PUBLICATION everything FOR ALL TABLES;
	SELECT 'f'::regclass::oid, 'g'::regclass::oid});

is($publisher->safe_psql('postgres', 'SELECT schemaname, tablename FROM pg_publication_tables'), 'public|h',
	'all tables are the heap tables');
is($subscriber->safe_psql('postgres', q{
	CREATE TABLE h (k int PRIMARY KEY, v text);
	CREATE FOREIGN TABLE f (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE g (k int) SERVER nvmkv;
	INSERT INTO f SELECT i, 'subscriber' FROM generate_series(1, 2000) i;
	INSERT INTO g SELECT i FROM generate_series(1, 2000) i;
	SELECT 'f'::regclass::oid, 'g'::regclass::oid}), $same, 'the subscriber has tables of the same OIDs');

my $rows = q{SELECT (SELECT count(*) FROM f WHERE v = 'subscriber'), (SELECT count(*) FROM g), (SELECT count(*) FROM h)};

$subscriber->safe_psql('postgres',
	"CREATE SUBSCRIPTION all_of_it CONNECTION '" . $publisher->connstr . " dbname=postgres' PUBLICATION everything");
$subscriber->wait_for_subscription_sync($publisher, 'all_of_it');
is($subscriber->safe_psql('postgres', $rows), '2000|2000|10', 'after the first copy');

$publisher->safe_psql('postgres', q{
	TRUNCATE f;
	INSERT INTO f VALUES (1, 'publisher');
	DROP FOREIGN TABLE g;
	CREATE FOREIGN TABLE other (k int) SERVER nvmkv;
	ALTER FOREIGN TABLE f ADD COLUMN more int DEFAULT 1;
	INSERT INTO h VALUES (11, 'streamed');
	UPDATE h SET v = 'changed' WHERE k = 1;
	DELETE FROM h WHERE k = 2});
$publisher->wait_for_catchup('all_of_it');
is($subscriber->safe_psql('postgres', $rows), '2000|2000|10', 'after the publisher has truncated and dropped');
is($subscriber->safe_psql('postgres', q{SELECT string_agg(v, ' ' ORDER BY k) FROM h WHERE k IN (1, 11)}), 'changed streamed',
	'heap tables are replicated');
$publisher->safe_psql('postgres', q{REFRESH MATERIALIZED VIEW nvmkv.storage; INSERT INTO h VALUES (12, 'refreshed')});
$publisher->wait_for_catchup('all_of_it');
is($subscriber->safe_psql('postgres', $rows), '2000|2000|11', 'after a refresh on the publisher');

# The subscriber writes, truncates and drops as it likes, and publishes itself.
$subscriber->safe_psql('postgres', q{
	CREATE PUBLICATION everything FOR ALL TABLES;
	TRUNCATE g;
	UPDATE f SET v = 'changed' WHERE k <= 10;
	INSERT INTO g VALUES (1)});
is($subscriber->safe_psql('postgres', $rows), '1990|1|11', 'a subscriber that publishes all tables writes to its own');
$subscriber->restart;
is($subscriber->safe_psql('postgres', $rows), '1990|1|11', 'and finds them after a restart');
sound($_, $_->name . ' is sound') for $publisher, $subscriber;

# Where rows are cannot be published, nor written by a publisher that has a table of the name.
fails($publisher, 'CREATE PUBLICATION where_rows_are FOR TABLE nvmkv.storage', qr/22023: cannot add relation "storage" to publication/,
	'it cannot be published');
$publisher->safe_psql('postgres', 'CREATE DATABASE plain');
$publisher->safe_psql('plain', q{
	CREATE SCHEMA nvmkv;
	CREATE TABLE nvmkv.storage (relid oid PRIMARY KEY, dboid oid, storage_id int8);
	CREATE PUBLICATION everything FOR ALL TABLES});
fails($subscriber, "CREATE SUBSCRIPTION bad CONNECTION '" . $publisher->connstr . " dbname=plain' PUBLICATION everything",
	qr/cannot use relation "nvmkv.storage" as logical replication target/, 'nor subscribed to');

# Nor changed by hand.
for my $statement ('DELETE FROM nvmkv.storage', 'UPDATE nvmkv.storage SET storage_id = 1', 'TRUNCATE nvmkv.storage',
	'REFRESH MATERIALIZED VIEW nvmkv.storage WITH NO DATA', 'DROP MATERIALIZED VIEW nvmkv.storage')
{
	fails($publisher, $statement, qr/ERROR/, $statement);
}
$publisher->safe_psql('postgres', 'REFRESH MATERIALIZED VIEW CONCURRENTLY nvmkv.storage; VACUUM (FULL, FREEZE) nvmkv.storage; REINDEX TABLE nvmkv.storage');
is($publisher->safe_psql('postgres', 'SELECT count(*), sum(more) FROM f'), '1|1', 'what maintenance there is leaves it as it is');

# A refresh sees what others have not committed yet.
my $session = $publisher->background_psql('postgres', on_error_stop => 1);
$session->query_safe('BEGIN');
$session->query_safe('CREATE FOREIGN TABLE late (k int) SERVER nvmkv');
$session->query_safe('INSERT INTO late VALUES (1), (2)');
my $refresh = IPC::Run::start([ 'psql', '-XAtq', '-d', $publisher->connstr('postgres'), '-c', 'REFRESH MATERIALIZED VIEW nvmkv.storage' ]);
$publisher->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'REFRESH%'});
$session->query_safe('COMMIT');
$session->quit;
ok($refresh->finish, 'it waits for who is making a table');
is($publisher->safe_psql('postgres', 'SELECT count(*) FROM late'), '2', 'whose rows are there');

# A dump has nothing of it.
my $dump = $publisher->basedir . '/dump.sql';
$publisher->safe_psql('postgres', 'DROP PUBLICATION everything; CREATE DATABASE copy');
$publisher->command_ok([ 'pg_dump', '--include-foreign-data=nvmkv', '-f', $dump, '-d', $publisher->connstr('postgres') ], 'pg_dump');
unlike(slurp_file($dump), qr/storage/, 'the dump does not name it');
$publisher->command_ok([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $publisher->connstr('copy') ], 'it can be restored');
is($publisher->safe_psql('copy', 'SELECT (SELECT count(*) FROM f), (SELECT count(*) FROM late), (SELECT count(*) FROM h)'), '1|2|11',
	'with all rows');

$_->stop for $subscriber, $publisher;
done_testing();
