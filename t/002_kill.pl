# A server whose processes are killed while they write: every acknowledged commit survives, no transaction by
# halves, and foreign and local tables agree.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main', restart_after_crash => 'on');

$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE account (k int NOT NULL, n bigint NOT NULL, pad text) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE TABLE ledger (writer int, round int, added bigint, PRIMARY KEY (writer, round));
	INSERT INTO account SELECT g, 0, repeat('p', 200) FROM generate_series(1, 5000) g;
	CREATE FOREIGN TABLE stock (writer int NOT NULL, k int NOT NULL, round int) SERVER nvmkv OPTIONS (primary_key 'writer, k');
	CREATE INDEX ON stock (round);
	INSERT INTO stock SELECT w, g, 0 FROM generate_series(1, 2) w, generate_series(1, 200) g;
});

# Sessions that add to random accounts and say so in the ledger, and take all of their stock away and bring the same
# number of pieces of this round, each round a transaction; a number is printed when the commit was acknowledged.
sub start_writer
{
	my ($writer, $from) = @_;
	my %w = (in => '', out => '', err => '', timer => IPC::Run::timeout(600));

	for my $round ($from .. $from + 3000)
	{
		$w{in} .= "BEGIN; WITH done AS (UPDATE account SET n = n + 1, pad = repeat('q', 150 + $round % 100) "
		  . "WHERE k % 10 = $writer AND k % 13 = $round % 13 RETURNING 1) "
		  . "INSERT INTO ledger SELECT $writer, $round, count(*) FROM done; "
		  . "DELETE FROM stock WHERE writer = $writer; "
		  . "INSERT INTO stock SELECT $writer, g + $round % 7, $round FROM generate_series(1, 200) g; "
		  . "COMMIT; SELECT 'acknowledged', $round;\n";
	}
	$w{run} = IPC::Run::start(
		[ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-f', '-', '-d', $node->connstr('postgres') ],
		'<', \$w{in}, '>', \$w{out}, '2>', \$w{err}, $w{timer});
	return \%w;
}

sub acknowledged
{
	my ($w) = @_;
	my @rounds = $w->{out} =~ /^acknowledged\|(\d+)$/mg;

	return @rounds ? $rounds[-1] : 0;
}

# Accounts and ledger agree, and no acknowledged round is missing.
sub verify
{
	my ($how, $last) = @_;

	is($node->safe_psql('postgres', 'SELECT (SELECT sum(n) FROM account) = (SELECT sum(added) FROM ledger)'), 't',
		"$how: foreign and local tables agree");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM account'), '5000', "$how: no row is missing");
	for my $writer (sort keys %$last)
	{
		my $survived = $node->safe_psql('postgres', "SELECT coalesce(max(round), 0) FROM ledger WHERE writer = $writer");
		cmp_ok($survived, '>=', $last->{$writer}, "$how: writer $writer finds its acknowledged rounds");
		is($node->safe_psql('postgres', "SELECT count(*), min(round), max(round) FROM stock WHERE writer = $writer"),
			"200|$survived|$survived", "$how: writer $writer has the stock of its last round, whole");
		is($node->safe_psql('postgres', "SELECT count(*) FROM stock WHERE round = $survived AND writer = $writer"), '200',
			"$how: and finds it by the index");
	}
	is($node->safe_psql('postgres', "SELECT count(*) FROM nvmkv.check('stock')"), '0', "$how: index and table agree");
	sound($node, "$how: the engine is sound");
	return;
}

my $round = 1;
for my $victim ('a backend', 'a worker', 'the postmaster')
{
	my @writers = map { start_writer($_, $round) } (1, 2);

	for my $w (@writers)
	{
		$w->{run}->pump until acknowledged($w) >= $round + 40 || !$w->{run}->pumpable;
		cmp_ok(acknowledged($w), '>=', $round + 40, "$victim: the writer gets on") or diag($w->{err});
	}
	if ($victim eq 'the postmaster')
	{
		$node->kill9;
	}
	else
	{
		my $which =
		  $victim eq 'a worker'
		  ? "backend_type LIKE 'nvmkv%'"
		  : "backend_type = 'client backend' AND pid <> pg_backend_pid()";
		my $pid = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE $which LIMIT 1");

		like($pid, qr/^\d+$/, "$victim: found") or next;
		kill 'KILL', $pid;
	}
	for my $w (@writers)
	{
		eval { $w->{run}->finish };
	}
	my %last = (1 => acknowledged($writers[0]), 2 => acknowledged($writers[1]));
	if ($victim eq 'the postmaster')
	{
		start_after_kill($node);
	}
	else
	{
		$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
	}
	verify("$victim killed", \%last);
	$round += 10000;
}

$node->stop;
done_testing();
