# Tables are made, filled, truncated, altered and dropped while the server is killed: afterwards exactly the
# tables are there that transactions left, with exactly their rows.
#
# NVMKV_KILLS=n sets how often (4), NVMKV_SEED=n repeats a run's choices.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $kills = $ENV{NVMKV_KILLS} || 4;
my $seed = $ENV{NVMKV_SEED} || 1;
my $clients = 4;

note("NVMKV_SEED=$seed");
srand($seed);

my $node = new_server('main', max_wal_size => '64MB');

# What the transactions of each client left, told by local tables.
$node->safe_psql('postgres', q{
	CREATE TABLE mirror (name text PRIMARY KEY, client int, rows int, columns int);
	CREATE TABLE progress (client int PRIMARY KEY, op int);
	INSERT INTO progress SELECT g, 0 FROM generate_series(0, 9) g;
});

# The next transaction of a client that has these tables; a hash from name to number of columns.
sub operation
{
	my ($client, $op, $tables) = @_;
	my @names = sort keys %$tables;
	my $name = @names ? $names[ rand @names ] : '';
	my $kind = @names < 3 ? 0 : int(rand(7));
	my $rows = 1 + int(rand(300));
	my $undone = rand() < 0.2;
	my $insert = sub {
		"INSERT INTO $_[0] SELECT g, repeat(md5(g::text), 10) FROM generate_series((SELECT coalesce(max(k), 0) + 1 FROM $_[0]), "
		  . "(SELECT coalesce(max(k), 0) + $rows FROM $_[0])) g; ";
	};
	my $sql;

	if ($kind == 0)
	{
		$name = "t_${client}_$op";
		$sql = "CREATE FOREIGN TABLE $name (k int, v text) SERVER nvmkv" . ($op % 3 ? " OPTIONS (primary_key 'k')" : '') . '; '
		  . $insert->($name) . "INSERT INTO mirror VALUES ('$name', $client, $rows, 2); ";
		$tables->{$name} = 2 unless $undone;
	}
	elsif ($kind == 1)
	{
		$sql = "DROP FOREIGN TABLE $name; DELETE FROM mirror WHERE name = '$name'; ";
		delete $tables->{$name} unless $undone;
	}
	elsif ($kind == 2)
	{
		$sql = "TRUNCATE $name; " . $insert->($name) . "UPDATE mirror SET rows = $rows WHERE name = '$name'; ";
	}
	elsif ($kind == 3 && $tables->{$name} < 6)
	{
		$sql = "ALTER FOREIGN TABLE $name ADD COLUMN c_$op int DEFAULT 1; UPDATE mirror SET columns = columns + 1 WHERE name = '$name'; ";
		$tables->{$name}++ unless $undone;
	}
	elsif ($kind == 4)
	{
		$sql = "SAVEPOINT s; TRUNCATE $name; ROLLBACK TO s; SAVEPOINT s; DROP FOREIGN TABLE $name; ROLLBACK TO s; "
		  . $insert->($name) . "UPDATE mirror SET rows = rows + $rows WHERE name = '$name'; ";
	}
	else
	{
		$sql = $insert->($name) . "UPDATE mirror SET rows = rows + $rows WHERE name = '$name'; "
		  . "DELETE FROM $name WHERE k = (SELECT min(k) FROM $name); UPDATE mirror SET rows = rows - 1 WHERE name = '$name'; ";
	}
	return "BEGIN; $sql UPDATE progress SET op = $op WHERE client = $client;\n"
	  . ($undone ? 'ROLLBACK' : 'COMMIT')
	  . ";\n\\echo " . ($undone ? 'undone' : 'done') . " $op\n";
}

sub start_clients
{
	my ($round) = @_;
	my %c = (out => [], err => '', timer => IPC::Run::timeout(600));
	my @commands;

	for my $client (0 .. $clients)
	{
		my $script = $node->basedir . "/client_$client.sql";
		my %tables = map { split /\|/ } split /\n/,
		  $node->safe_psql('postgres', "SELECT name, columns FROM mirror WHERE client = $client");

		unlink $script;
		append_to_file($script,
			$client < $clients
			? join('', map { operation($client, $round * 10000 + $_, \%tables) } 1 .. 1000)
			: "CHECKPOINT; SELECT nvmkv.flush(); SELECT nvmkv.compact();\n" x 2000);
		$c{out}[$client] = '';
		push @commands, '&' if @commands;
		push @commands, [ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-f', $script, '-d', $node->connstr('postgres') ],
		  '<', \'', '>', \$c{out}[$client], '2>>', \$c{err};
	}
	$c{run} = IPC::Run::start(@commands, $c{timer});
	return \%c;
}

sub done_count
{
	my ($c) = @_;
	my $n = 0;

	for my $out (@{ $c->{out} })
	{
		$n++ while $out =~ /^done \d+\n/mg;
	}
	return $n;
}

sub verify
{
	my ($how, $last) = @_;

	is($node->safe_psql('postgres', q{
		SELECT count(*) FROM mirror FULL JOIN pg_foreign_table ON ftrelid = name::regclass WHERE name IS NULL OR ftrelid IS NULL}),
		'0', "$how: the tables are there that transactions left");
	my @tables = map { [ split /\|/ ] } split /\n/, $node->safe_psql('postgres', 'SELECT name, rows, columns FROM mirror ORDER BY 1');
	my $counts = join ' UNION ALL ', map {
		"SELECT '$_->[0]', count(*), (SELECT count(*) FROM pg_attribute WHERE attrelid = '$_->[0]'::regclass AND attnum > 0), "
		  . "count(v) FROM $_->[0]" } @tables;
	is($node->safe_psql('postgres', "$counts ORDER BY 1"), join("\n", map { "$_->[0]|$_->[1]|$_->[2]|$_->[1]" } @tables),
		"$how: with their rows and columns");
	my $columns = $node->safe_psql('postgres', q{
		SELECT string_agg(format('(SELECT count(*) FROM %s WHERE %I IS DISTINCT FROM 1)', attrelid::regclass, attname), ' + ')
		FROM pg_attribute JOIN pg_foreign_table ON ftrelid = attrelid WHERE attname LIKE 'c\_%'});
	is($node->safe_psql('postgres', "SELECT $columns"), '0', "$how: and the defaults of added columns") if $columns ne '';
	is($node->safe_psql('postgres', 'SELECT count(*) FROM nvmkv.storage WHERE relid NOT IN (SELECT ftrelid FROM pg_foreign_table)'),
		'0', "$how: no storage without a table");
	for my $client (sort keys %$last)
	{
		cmp_ok($node->safe_psql('postgres', "SELECT op FROM progress WHERE client = $client"), '>=', $last->{$client},
			"$how: client $client finds what was acknowledged");
	}
	sound($node, "$how: the engine is sound");
	return;
}

for my $round (1 .. $kills)
{
	my $how = "round $round";
	my $c = start_clients($round);
	my $until = 100 + int(rand(300));
	my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
	my %last;

	$c->{run}->pump while done_count($c) < $until && $c->{run}->pumpable;
	cmp_ok(done_count($c), '>=', $until, "$how: the clients get on") or diag($c->{err});
	my @children = grep { /^\d+$/ } split /\s+/, slurp_file("/proc/$postmaster/task/$postmaster/children");
	kill 'KILL', $postmaster, @children;
	$node->kill9;
	eval { $c->{run}->finish };
	for my $client (0 .. $clients - 1)
	{
		my @done = $c->{out}[$client] =~ /^done (\d+)$/mg;
		$last{$client} = $done[-1] if @done;
	}
	start_after_kill($node);
	verify($how, \%last);
}
$node->restart;
verify('after a restart', {});
is($node->safe_psql('postgres', 'SELECT name, c.* FROM mirror, LATERAL nvmkv.check(name::regclass) c'), '', 'each table is sound');
note($node->safe_psql('postgres', 'SELECT count(*), sum(rows) FROM mirror'));

# What nobody needs any more is given back.
$node->safe_psql('postgres', q{
	DO $$
	DECLARE
		name text;
	BEGIN
		FOR name IN SELECT mirror.name FROM mirror LOOP
			EXECUTE 'DROP FOREIGN TABLE ' || name;
		END LOOP;
	END $$;
	TRUNCATE mirror});
is($node->safe_psql('postgres', 'SELECT count(*) FROM nvmkv.storage'), '0', 'dropped tables have no storage');
sound($node, 'the engine is sound after dropping all');

$node->stop;
done_testing();
