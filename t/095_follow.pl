# scripts/follow.py keeps tables of another server equal, whatever ends and begins again meanwhile: from a copy of what there
# was while others went on writing, each transaction once.
#
# NVMKV_FOLLOW_ROUNDS=n: more of it; NVMKV_SEED=n repeats the writers' choices.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($script) = grep { -e } "$FindBin::RealBin/../follow.py", "$FindBin::RealBin/../scripts/follow.py";
plan(skip_all => 'python3-psycopg2 is not installed') if system('python3 -c "import psycopg2" 2>/dev/null') != 0;

my $rounds = $ENV{NVMKV_FOLLOW_ROUNDS} || 2;
my $seed = $ENV{NVMKV_SEED} || 1;
my ($source, $target) = map { new_server($_, wal_level => 'logical', logical_decoding_work_mem => '64kB') } qw(source target);
my @command = ('python3', $script, '--source', $source->connstr('postgres'), '--target', $target->connstr('postgres'));

note("NVMKV_SEED=$seed");

# Foreign tables in the source; of the target's one is, and the others are heaps.
my $columns = 'id bigint PRIMARY KEY, v text, n numeric(12,3), at timestamptz, a text[], j jsonb, b bytea, s text GENERATED ALWAYS AS (v || \'!\') STORED';
$source->safe_psql('postgres', qq{
	CREATE TABLE item ($columns) USING nvmkv;
	CREATE INDEX ON item (v);
	CREATE TABLE bag (x int, y text) USING nvmkv;
	CREATE TABLE score (k numeric, name text COLLATE "en-x-icu", points float8, UNIQUE (points), PRIMARY KEY (k, name)) USING nvmkv;
	CREATE TABLE untold (k int PRIMARY KEY) USING nvmkv;
	ALTER FOREIGN TABLE item OPTIONS (ADD changes 'new');
	ALTER FOREIGN TABLE bag OPTIONS (ADD changes 'new');
	ALTER FOREIGN TABLE score OPTIONS (ADD changes 'full');
	INSERT INTO item (id, v, n, at, a, j, b)
		SELECT g, repeat('v', g % 50), g / 7.0, '2025-01-01 00:00+00'::timestamptz + g * '1 minute'::interval, ARRAY[g::text, NULL, 'a "b"'], '{"g": [1, null]}', '\\x00ff'
		FROM generate_series(1, 2000) g;
	INSERT INTO bag SELECT g % 100, 'y' || g % 10 FROM generate_series(1, 500) g;
	CREATE PROCEDURE write(first int, steps int) LANGUAGE plpgsql AS \$\$
	DECLARE
		kind int;
		r int;
	BEGIN
		PERFORM setseed($seed / 1000.0 + first / 1000000.0);
		FOR i IN 1 .. steps LOOP
			kind := random() * 9;
			r := random() * 2000;
			IF kind = 0 THEN
				DELETE FROM item WHERE id BETWEEN r AND r + 20;
			ELSIF kind = 1 THEN
				UPDATE item SET v = v || 'u', j = 'null', a = NULL WHERE id BETWEEN r AND r + 30;
			ELSIF kind = 2 THEN
				UPDATE item SET id = id + 1000000 + first * 100 + i WHERE id = r;
			ELSIF kind = 3 THEN
				DELETE FROM bag WHERE x = r % 100 AND y = 'y1';
				UPDATE bag SET y = 'y' || r % 3 WHERE x = r % 100;
			ELSIF kind = 4 THEN
				BEGIN
					INSERT INTO item (id, v) SELECT 5000000 + first * 10000 + i * 10 + g, 'gone' FROM generate_series(1, 5) g;
					RAISE division_by_zero;
				EXCEPTION WHEN division_by_zero THEN INSERT INTO bag VALUES (i, 'rolled back');
				END;
			ELSIF kind = 5 THEN
				INSERT INTO score VALUES (r, 'n' || r % 7, first * 1000 + i) ON CONFLICT (k, name) DO UPDATE SET points = excluded.points;
			ELSIF kind = 6 THEN
				UPDATE score SET k = k + 1.50 WHERE k = (SELECT min(k) FROM score WHERE NOT EXISTS (SELECT FROM score s WHERE s.k = score.k + 1.5));
			ELSE
				INSERT INTO item (id, v, n) SELECT r + g, 'again', r / 3.0 FROM generate_series(1, 10) g ON CONFLICT (id) DO UPDATE SET v = 'upsert', n = excluded.n;
			END IF;
			IF random() < 0.1 THEN ROLLBACK; ELSE COMMIT; END IF;
		END LOOP;
	END \$\$});
$target->safe_psql('postgres', qq{
	CREATE TABLE item ($columns);
	CREATE TABLE bag (x int, y text) USING nvmkv;
	CREATE TABLE score (k numeric, name text COLLATE "en-x-icu", points float8, PRIMARY KEY (k, name))});

sub writers
{
	my ($round) = @_;

	# One that waits for the other in a circle gives up its turn.
	return map { IPC::Run::start([ 'psql', '-XAtq', '-d', $source->connstr('postgres'), '-c', 'CALL write(' . ($round * 10 + $_) . ', 150)' ],
		'<', \undef, '>', \my $out, '2>', \my $err, IPC::Run::timeout(300)) } 1, 2;
}

sub contents
{
	my ($node) = @_;

	return $node->safe_psql('postgres', join ' UNION ALL ', map { qq{SELECT '$_', count(*), md5(coalesce(string_agg(x, E'\\n' ORDER BY x COLLATE "C"), ''))
		FROM (SELECT t::text AS x FROM $_ t) r} } qw(item bag score));
}

sub follow_once
{
	my ($name) = @_;

	command_ok([ @command, '--once' ], "$name: follow");
	is(contents($target), contents($source), "$name: tables are equal");
	return;
}

# ---- the copy, while others write

my @writing = writers(0);
command_ok([ @command, '--once' ], 'the first start copies');
$_->finish for @writing;
follow_once('what came meanwhile');
is($target->safe_psql('postgres', 'SELECT slot, position IS NOT NULL FROM follow.position'), 'nvmkv_follow|t', 'the target knows where it is');

# ---- both sides, and what is between them, end in the midst

for my $round (1 .. $rounds)
{
	my ($err, $out) = ('', '');

	# Now and then from the beginning, whatever is being written.
	if ($round % 3 == 0)
	{
		command_ok([ @command, '--drop' ], "round $round: dropped");
		$target->safe_psql('postgres', 'TRUNCATE item, bag, score');
		@writing = writers($round);
		command_ok([ @command, '--once' ], "round $round: begun anew");
		$_->finish for @writing;
		follow_once("round $round");
		next;
	}
	my $following = IPC::Run::start([@command], '<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(300));
	my $before = $target->safe_psql('postgres', 'SELECT position FROM follow.position');

	@writing = writers($round);
	$target->poll_query_until('postgres', "SELECT position > '$before' FROM follow.position") or die $err;
	if ($round % 2 == 1)
	{
		$target->stop('immediate');
		$target->start;
		$_->finish for @writing;
		$source->kill9;
		start_after_kill($source);
	}
	else
	{
		$following->kill_kill;
		$_->finish for @writing;
	}
	eval { $following->signal('TERM'); $following->finish };
	follow_once("round $round");
}

# ---- large transactions, TRUNCATE, definitions

$source->safe_psql('postgres', q{BEGIN; TRUNCATE bag, score; INSERT INTO bag SELECT g, 'large' FROM generate_series(1, 20000) g; SAVEPOINT s; TRUNCATE item; ROLLBACK TO s;
	DELETE FROM item WHERE id % 2 = 0; COMMIT});
follow_once('a large transaction');

$source->safe_psql('postgres', q{ALTER TABLE item ADD COLUMN more int DEFAULT 7; INSERT INTO item (id, v) VALUES (-1, 'new column')});
command_checks_all([ @command, '--once' ], 1, [qr/^$/], [qr/follow: column "more" of table "public.item" is not in the target; ALTER TABLE there, and start again/], 'a column that the target has not');
$target->safe_psql('postgres', 'ALTER TABLE item ADD COLUMN more int DEFAULT 7');
follow_once('a column that it has now');
$source->safe_psql('postgres', q{ALTER TABLE item DROP COLUMN v CASCADE; ALTER TABLE item ALTER n TYPE text; UPDATE item SET n = 'text' WHERE id = -1});
command_checks_all([ @command, '--once' ], 1, [qr/^$/], [qr/invalid input syntax for type numeric: "text"/], 'a type that it has not');
$target->safe_psql('postgres', q{ALTER TABLE item DROP COLUMN v CASCADE; ALTER TABLE item ALTER n TYPE text});
follow_once('a type that it has now');
$target->safe_psql('postgres', 'DELETE FROM item WHERE id = -1');
$source->safe_psql('postgres', 'DELETE FROM item WHERE id = -1');
command_checks_all([ @command, '--once' ], 1, [qr/^$/], [qr/1 of 1 rows that were to be changed \(delete\) are not in table "public.item"/], 'a row that somebody has taken from the target');

# ---- the end, and another beginning

command_ok([ @command, '--drop' ], 'it is dropped');
is($source->safe_psql('postgres', 'SELECT (SELECT count(*) FROM pg_replication_slots), (SELECT count(*) FROM pg_publication)'), '0|0', 'without a trace in the source');
command_checks_all([ @command, '--once', '--table', 'item' ], 1, [qr/^$/], [qr/table "public.item" of the target has rows; TRUNCATE it/], 'what has rows is not copied to');
$target->safe_psql('postgres', 'TRUNCATE item, bag, score');
follow_once('it begins anew');

$_->stop for $source, $target;
done_testing();
