# Sessions that all want the same few keys: upserts, rows that are deleted and inserted again, rows that swap their
# keys.  Nobody waits for ever, no row is lost and no update of one; a heap table is put to the same test.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# NVMKV_SAME_KEYS=n: so many transactions a client.
my $transactions = $ENV{NVMKV_SAME_KEYS} // 150;
my $dir = PostgreSQL::Test::Utils::tempdir;
my $node = new_server('main', fsync => 'off', deadlock_timeout => '20ms');

# Each keeps the rows: what is not there at its turn is left alone, and what would meet another row is undone.
my %scripts = (
	upsert => "INSERT INTO TABLE VALUES (:a, 1) ON CONFLICT (k) DO UPDATE SET v = TABLE.v + 1;\n",
	renew => "CALL renew('TABLE', :a);\n",
	swap => "CALL swap('TABLE', :a, :b, :client_id);\n");

$node->safe_psql('postgres', q{
	CREATE TABLE heap (k int PRIMARY KEY, v int);
	CREATE FOREIGN TABLE lsm (k int, v int) SERVER nvmkv OPTIONS (primary_key 'k');

	CREATE PROCEDURE renew(name text, key int) LANGUAGE plpgsql AS $$
	DECLARE
		kept int;
	BEGIN
		EXECUTE format('DELETE FROM %s WHERE k = $1 RETURNING v', name) INTO kept USING key;
		IF kept IS NOT NULL THEN
			EXECUTE format('INSERT INTO %s VALUES ($1, $2)', name) USING key, kept;
		END IF;
	END $$;

	CREATE PROCEDURE swap(name text, a int, b int, client int) LANGUAGE plpgsql AS $$
	DECLARE
		move text := format('UPDATE %s SET k = $2 WHERE k = $1', name);
	BEGIN
		EXECUTE move USING a, 100 + client;
		EXECUTE move USING b, a;
		EXECUTE move USING 100 + client, b;
	EXCEPTION WHEN unique_violation OR deadlock_detected THEN
	END $$;
});

# All scripts at once on a table with so many rows; the rows and the upserts that are in them.
sub mix
{
	my ($table, $keys) = @_;
	my ($out, $err) = ('', '');
	my @files;

	$node->safe_psql('postgres', "TRUNCATE $table; INSERT INTO $table SELECT g, 0 FROM generate_series(1, $keys) g");
	for my $name (sort keys %scripts)
	{
		my $sql = $scripts{$name} =~ s/TABLE/$table/gr;

		push @files, '-f', "$dir/$name.sql";
		append_to_file("$dir/$name.sql.new", "\\set a random(1, $keys)\n\\set b random(1, $keys)\n$sql");
		rename "$dir/$name.sql.new", "$dir/$name.sql" or die "$dir/$name.sql: $!";
	}
	local $ENV{PGOPTIONS} = '-c statement_timeout=60s';
	ok($node->run_log([ 'pgbench', '-n', '-c', 4, '-j', 1, '-t', $transactions, @files, $node->connstr('postgres') ],
		'>', \$out, '2>', \$err), "$table, keys: $keys: all sessions come to their ends") or diag("$out$err");
	my ($upserts) = $out =~ m{^SQL script \d+: \S*/upsert\.sql$(?:.*\n)*? - (\d+) transactions}m;

	is($node->safe_psql('postgres', "SELECT count(*), sum(v), max(k) <= $keys FROM $table"), "$keys|$upserts|t",
		"$table, keys: $keys: no row and no update is lost");
	return;
}

for my $keys (1, 3)
{
	mix($_, $keys) for qw(heap lsm);
}

# A unique value comes and goes while upserts look for it: the row that has it at the moment is theirs, and no other.
$node->safe_psql('postgres', q{
	CREATE TABLE heap_mail (k int PRIMARY KEY, mail int UNIQUE, v int);
	CREATE FOREIGN TABLE lsm_mail (k int, mail int, v int) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE UNIQUE INDEX ON lsm_mail (mail);

	CREATE PROCEDURE wander(name text, count int) LANGUAGE plpgsql AS $$
	DECLARE
		move text := format('UPDATE %s SET mail = 3 - mail WHERE k = 1', name);
	BEGIN
		FOR i IN 1 .. count LOOP
			BEGIN
				EXECUTE move;
			EXCEPTION WHEN unique_violation THEN
			END;
			COMMIT;
		END LOOP;
	END $$;

	CREATE PROCEDURE ask(name text, client int, count int) LANGUAGE plpgsql AS $$
	DECLARE
		upsert text := format('INSERT INTO %1$s VALUES ($1, 1, 0) ON CONFLICT (mail) DO UPDATE SET v = %1$s.v + 1 RETURNING *', name);
		key int;
		had int;
		old int;
	BEGIN
		FOR i IN 1 .. count LOOP
			EXECUTE upsert INTO key, had, old USING 100 + client;
			IF had <> 1 THEN
				RAISE 'upsert of the row with another value, %', had;
			END IF;
			EXECUTE format('DELETE FROM %s WHERE k = $1', name) USING 100 + client;
			COMMIT;
		END LOOP;
	END $$;
});
for my $table (qw(heap_mail lsm_mail))
{
	my $count = 10 * $transactions;

	$node->safe_psql('postgres', "INSERT INTO $table VALUES (1, 1, 0)");
	append_to_file("$dir/$table.sql", "\\set asks :client_id % 2\n\\if :asks\nCALL ask('$table', :client_id, $count);\n"
		. "\\else\nCALL wander('$table', 2 * $count);\n\\endif\n");
	local $ENV{PGOPTIONS} = '-c statement_timeout=60s -c synchronous_commit=off';
	$node->command_ok([ 'pgbench', '-n', '-c', 4, '-j', 1, '-t', 1, '-f', "$dir/$table.sql", $node->connstr('postgres') ],
		"$table: an upsert is for the row that has the value");
	is($node->safe_psql('postgres', "SELECT count(*) FROM $table"), '1', "$table: and leaves no other");
}
sound($node, 'the engine is sound');
$node->stop;
done_testing();
