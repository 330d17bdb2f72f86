# Tables with indexes beside heap twins with the same ones: random changes, undone or not, prepared or not, by several
# sessions, over crashes and a standby.  What statements say, the rows that each index finds, and what nvmkv.check() says of
# indexes and tables.
#
# NVMKV_INDEX_SECONDS=n goes on for n seconds; NVMKV_SEED=n begins with that seed.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $seconds = $ENV{NVMKV_INDEX_SECONDS} // 0;
my $seed = $ENV{NVMKV_SEED} // 1;

note("seed $seed");
srand($seed);

my $node = new_server('main', fsync => 'off', autovacuum => 'off', max_prepared_transactions => 20);

# Each table of ours and its twin, with the same columns and indexes; "free" has no key.
$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE f (k int NOT NULL, a int, b text, c numeric, u int, p int) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE TABLE h (k int PRIMARY KEY, a int, b text, c numeric, u int, p int);
	CREATE FOREIGN TABLE f_free (k int NOT NULL, a int, b text, c numeric, u int, p int) SERVER nvmkv;
	CREATE TABLE h_free (k int NOT NULL, a int, b text, c numeric, u int, p int);
	DO $$
	DECLARE
		t text;
	BEGIN
		FOREACH t IN ARRAY ARRAY['f', 'h', 'f_free', 'h_free'] LOOP
			EXECUTE format('CREATE INDEX %1$s_a ON %1$s (a)', t);
			EXECUTE format('CREATE INDEX %1$s_c ON %1$s (c DESC NULLS LAST, a NULLS FIRST) INCLUDE (b)', t);
			EXECUTE format('CREATE INDEX %1$s_b ON %1$s (lower(b) COLLATE "C")', t);
			EXECUTE format('CREATE INDEX %1$s_p ON %1$s (p) WHERE a > 5', t);
			EXECUTE format('CREATE UNIQUE INDEX %1$s_u ON %1$s (u)', t);
		END LOOP;
	END $$;

	-- One random change to both twins; who changes has a quarter of the keys and values for himself.
	CREATE FUNCTION change(who int, suffix text) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		kind int := floor(random() * 100);
		key int := floor(random() * 200) * 4 + who;
		other int := floor(random() * 200) * 4 + who;
		val int := floor(random() * 20);
		uniq text := CASE WHEN random() < 0.2 THEN 'NULL' ELSE (floor(random() * 300) * 4 + who)::text END;
		b text := quote_nullable(CASE WHEN random() < 0.1 THEN NULL ELSE chr(60 + floor(random() * 60)::int) || repeat('x', val) END);
		c text := CASE WHEN random() < 0.1 THEN 'NULL' ELSE (floor(random() * 50) / 10)::text END;
		sql text;
		states text[];
		t text;
	BEGIN
		FOREACH t IN ARRAY ARRAY['f', 'h'] LOOP
			t := t || suffix;
			sql := CASE
				WHEN kind < 25 THEN format('INSERT INTO %s VALUES (%s, %s, %s, %s, %s, %s)', t, key, val, b, c, uniq, val)
				WHEN kind < 30 THEN format('INSERT INTO %s SELECT g, g %% 7, %s, g / 10.0, NULL, g %% 3 FROM generate_series(%s, %s, 4) g', t, b, key, key + 40)
				WHEN kind < 40 THEN format('UPDATE %s SET a = %s, p = p + 1 WHERE k = %s', t, val, key)
				WHEN kind < 45 THEN format('UPDATE %s SET p = p + 1 WHERE a = %s AND k %% 4 = %s', t, val, who)
				WHEN kind < 50 THEN format('UPDATE %s SET u = %s, b = %s WHERE k = %s', t, uniq, b, key)
				WHEN kind < 55 THEN format('UPDATE %s SET k = %s WHERE k = %s', t, other, key)
				WHEN kind < 60 THEN format('UPDATE %s SET c = %s WHERE u = %s', t, c, uniq)
				WHEN kind < 70 THEN format('DELETE FROM %s WHERE k = %s', t, key)
				WHEN kind < 73 THEN format('DELETE FROM %s WHERE a = %s AND k %% 4 = %s', t, val, who)
				WHEN kind < 80 THEN format('INSERT INTO %s AS t VALUES (%s, %s, %s, %s, %s, 1) ON CONFLICT (u) DO UPDATE SET a = t.a + 1, b = excluded.b', t, key, val, b, c, uniq)
				WHEN kind < 85 AND suffix = '' THEN format('INSERT INTO %s AS t VALUES (%s, %s, %s, %s, %s, 1) ON CONFLICT (k) DO UPDATE SET u = excluded.u', t, key, val, b, c, uniq)
				WHEN kind < 90 THEN format('INSERT INTO %s VALUES (%s, %s, %s, %s, %s, 2) ON CONFLICT DO NOTHING', t, key, val, b, c, uniq)
				ELSE format('UPDATE %s SET a = %s, b = %s, c = %s, u = %s WHERE k = %s', t, val, b, c, uniq, key)
				END;
			BEGIN
				EXECUTE sql;
				states := states || '00000'::text;
			EXCEPTION WHEN unique_violation OR cardinality_violation THEN
				states := states || SQLSTATE;
			END;
		END LOOP;
		IF states[1] <> states[2] THEN
			RAISE EXCEPTION '% on ours, % on the heap: %', states[1], states[2], sql;
		END IF;
	END
	$$;
	CREATE PROCEDURE work(who int, count int) LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN 1 .. count LOOP
			BEGIN
				FOR j IN 1 .. 1 + floor(random() * 5) LOOP
					PERFORM change(who, CASE WHEN random() < 0.3 THEN '_free' ELSE '' END);
				END LOOP;
				IF random() < 0.25 THEN RAISE division_by_zero; END IF;
			EXCEPTION WHEN division_by_zero THEN NULL;
			END;
			IF random() < 0.2 THEN ROLLBACK; ELSIF random() < 0.5 THEN COMMIT; END IF;
		END LOOP;
		COMMIT;
	END
	$$;
});

# What each index finds, by conditions that it serves; ours must be what a heap's finds.
my @questions = (
	'a = 3', 'a > 12', 'a BETWEEN 4 AND 6', 'a IS NULL', 'a IN (1, 5, 9)',
	'c = 1.5', 'c < 1', 'c IS NULL', 'c > 3 AND a < 9',
	q{lower(b) COLLATE "C" LIKE 'a%'}, q{lower(b) COLLATE "C" > 'm'},
	'p = 1 AND a > 5', 'u = 8', 'u < 40', 'u IS NULL', 'u > 600');

sub same_rows
{
	my ($server, $when) = @_;
	my $different = '';

	for my $suffix ('', '_free')
	{
		for my $where (@questions)
		{
			my $rows = $server->safe_psql('postgres', qq{
				SET enable_seqscan = off;
				(SELECT 'ours', x::text FROM f$suffix x WHERE $where EXCEPT ALL SELECT 'ours', x::text FROM h$suffix x WHERE $where)
				UNION ALL
				(SELECT 'heap', x::text FROM h$suffix x WHERE $where EXCEPT ALL SELECT 'heap', x::text FROM f$suffix x WHERE $where)
				LIMIT 3});

			$different .= "f$suffix WHERE $where: $rows\n" if $rows ne '';
		}
		# Rows that the order does not tell apart look the same.
		for my $columns ([ 'a', 'k' ], [ 'c DESC NULLS LAST', 'a NULLS FIRST', 'k' ], [ 'u', 'k' ], [ 'u DESC NULLS LAST', 'k' ])
		{
			my $order = join ', ', @$columns;
			my $shown = join ", ", map { /^(\w+)/; $1 eq "c" ? "c::float8" : $1 } @$columns; # numerics that are equal may have other digits
			my @both = map {
				$server->safe_psql('postgres', "SET enable_seqscan = off; SET enable_sort = off; SELECT $shown FROM $_$suffix ORDER BY $order LIMIT 200")
			} qw(f h);

			$different .= "f$suffix ORDER BY $order\n" if $both[0] ne $both[1];
		}
	}
	is($different, '', "$when: each index finds the rows of a heap's");
	return if $server->safe_psql('postgres', 'SELECT pg_is_in_recovery()') eq 't';
	is($server->safe_psql('postgres', "SELECT * FROM nvmkv.check('f') UNION ALL SELECT * FROM nvmkv.check('f_free')"),
		'', "$when: indexes and tables agree");
	return;
}

sub work
{
	my ($count) = @_;
	my @sessions = map {
		my ($out, $err) = ('', '');
		my $number = rand();

		[ \$out, \$err, IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'),
				'-c', "SELECT setseed($number)", '-c', "CALL work($_, $count)" ], '>', \$out, '2>', \$err) ]
	} 0 .. 3;

	for my $session (@sessions)
	{
		$session->[2]->finish;
		is(${ $session->[1] }, '', 'statements answer as on a heap');
	}
	return;
}

my $end = time + $seconds;
my $round = 0;

do
{
	$round++;
	work($seconds ? 200 : 40);
	# With RETURNING it is not the scan itself that deletes rows.
	$node->safe_psql('postgres', "DELETE FROM $_ WHERE k % 10 = $round % 10 RETURNING k") foreach qw(f h f_free h_free);
	same_rows($node, "round $round");

	# A prepared transaction over a crash.
	$node->safe_psql('postgres', "BEGIN; SELECT change(1, ''); SELECT change(2, '_free'); SELECT change(3, ''); PREPARE TRANSACTION 'p'");
	if ($round % 2 == 1)
	{
		$node->stop('immediate');
		$node->start;
	}
	$node->safe_psql('postgres', $round % 4 < 2 ? "COMMIT PREPARED 'p'" : "ROLLBACK PREPARED 'p'");
	$node->safe_psql('postgres', 'SELECT nvmkv.compact()') if $round % 3 == 0;
	same_rows($node, "round $round, after a crash");
} while (time < $end);

# Indexes made of rows that are there are those that were kept; and TRUNCATE empties them.
$node->safe_psql('postgres', 'REINDEX TABLE f; REINDEX INDEX f_free_c; DROP INDEX f_a; CREATE INDEX f_a ON f (a)');
same_rows($node, 'after REINDEX');
$node->safe_psql('postgres', 'TRUNCATE f, h');
same_rows($node, 'after TRUNCATE');
work(20);
same_rows($node, 'after TRUNCATE and new rows');
sound($node, 'the engine is sound');
$node->stop;

done_testing();
