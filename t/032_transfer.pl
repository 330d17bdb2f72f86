# Money moves between accounts while the server is killed, again and again, at moments nobody chose: every
# acknowledged transfer is there, none by halves, nothing that was not committed, and no money is made or lost.
#
# NVMKV_KILLS=n sets how often (5), NVMKV_SEED=n repeats a run's choices.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $kills = $ENV{NVMKV_KILLS} || 5;
my $seed = $ENV{NVMKV_SEED} || 1;
my $clients = 8;
my $accounts = 500;
my $start = 1000;

note("NVMKV_SEED=$seed");
srand($seed);

my $node = new_server('main', max_connections => 20, restart_after_crash => 'on', max_wal_size => '64MB', deadlock_timeout => '100ms');

# An account is a foreign row; what happened to it is told by foreign and local rows of the same transaction.
$node->safe_psql('postgres', qq{
	CREATE FOREIGN TABLE account (k int, balance bigint, pad text) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE ledger (id bigint, source int, target int, amount int) SERVER nvmkv OPTIONS (primary_key 'id');
	CREATE FOREIGN TABLE journal (id bigint) SERVER nvmkv;
	CREATE TABLE local (id bigint PRIMARY KEY);
	INSERT INTO account SELECT g, $start, repeat('p', 1000) FROM generate_series(1, $accounts + 2 * $kills) g;
});

# A transfer in SQL; n decides its kind.  Most lock accounts in their order, some do not and may be a deadlock's
# victim; then COMMIT says ROLLBACK.
sub transfer
{
	my ($id) = @_;
	my $kind = int(rand(10));
	my ($source, $target) = map { 1 + int(rand($accounts)) } 1 .. 2;
	my $amount = 1 + int(rand(100));

	$target = $source % $accounts + 1 if $source == $target;
	my @moves = (
		"UPDATE account SET balance = balance - $amount, pad = repeat('q', 800 + $id % 300) WHERE k = $source;",
		"UPDATE account SET balance = balance + $amount WHERE k = $target;");
	@moves = reverse @moves if ($source < $target) == ($kind == 0);

	my $undone = "SAVEPOINT s; UPDATE account SET balance = balance + 1000000 WHERE k IN ($source, $target); "
	  . "INSERT INTO ledger VALUES (-$id, $source, $target, 1000000); DELETE FROM account WHERE k = $target; ROLLBACK TO s;";
	my $record = "INSERT INTO ledger VALUES ($id, $source, $target, $amount); INSERT INTO journal VALUES ($id); INSERT INTO local VALUES ($id);";
	my $sql = "\\echo try $id\nBEGIN; ";

	$sql .= $undone if $kind == 1;
	$sql .= $moves[0];
	$sql .= 'SAVEPOINT t;' if $kind == 2;
	$sql .= $moves[1];
	$sql .= 'RELEASE t; SAVEPOINT u;' if $kind == 2;
	$sql .= $record;
	$sql .= $undone if $kind == 3;
	return $sql . ($kind == 4 ? 'ROLLBACK;' : 'COMMIT;') . "\n\\echo end\n";
}

# All clients of a round, as one harness: what they are told is in out.
sub start_clients
{
	my ($round) = @_;
	my %c = (out => [], err => '', timer => IPC::Run::timeout(600));
	my @commands;

	# The last one makes checkpoints, flushes and compactions happen all the time.
	for my $client (0 .. $clients)
	{
		my $first = $round * 1_000_000 + $client * 100_000;
		my $script = $node->basedir . "/client_$client.sql";

		unlink $script;
		append_to_file($script,
			$client < $clients
			? join('', map { transfer($first + $_) } 1 .. 3000)
			: "CHECKPOINT; SELECT nvmkv.flush(); SELECT nvmkv.compact();\n" x 2000);
		$c{out}[$client] = '';
		push @commands, '&' if @commands;
		push @commands, [ 'psql', '-XAt', '-f', $script, '-d', $node->connstr('postgres') ],
		  '<', \'', '>', \$c{out}[$client], '2>>', \$c{err};
	}
	$c{run} = IPC::Run::start(@commands, $c{timer});
	return \%c;
}

# What became of each transfer, as far as its client was told: the word before "end" is the transaction's.
sub told
{
	my ($c, $known) = @_;

	for my $out (@{ $c->{out} })
	{
		while ($out =~ /^try (\d+)\n((?:(?!try ).*\n?)*)/mg)
		{
			my ($id, $said) = ($1, $2);

			$known->{$id} =
			    $said =~ /^COMMIT\nend$/m   ? 'committed'
			  : $said =~ /^ROLLBACK\nend$/m ? 'rolled back'
			  :                               'unknown';
		}
	}
	return;
}

sub committed_count
{
	my ($c) = @_;
	my $n = 0;

	for my $out (@{ $c->{out} })
	{
		$n++ while $out =~ /^COMMIT\n/mg;
	}
	return $n;
}

# Kills what a round chooses, all at once where it is more than one process.
sub kill_server
{
	my ($victim) = @_;
	my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;

	if ($victim eq 'the postmaster')
	{
		$node->kill9;
	}
	elsif ($victim eq 'nobody')
	{
		my $size = -s $node->logfile;

		$node->stop('fast');
		unlike(substr(slurp_file($node->logfile), $size), qr/PANIC|abnormal|terminated by signal/, 'a fast stop under load is clean');
	}
	elsif ($victim eq 'all processes')
	{
		my @children = grep { /^\d+$/ } split /\s+/, slurp_file("/proc/$postmaster/task/$postmaster/children");

		kill 'KILL', $postmaster, @children;
		$node->kill9;
	}
	else
	{
		my @pids = split /\n/, $node->safe_psql('postgres', $victim eq 'a worker'
			? "SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'nvmkv%'"
			: "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()");

		kill 'KILL', $pids[ rand @pids ];
	}
	return;
}

my %known;

sub verify
{
	my ($how) = @_;

	is($node->safe_psql('postgres', 'SELECT count(*), sum(balance) FROM account'),
		join('|', $accounts + 2 * $kills, ($accounts + 2 * $kills) * $start), "$how: no money is made or lost");
	is($node->safe_psql('postgres', qq{
		WITH moved AS (
			SELECT k, sum(amount) AS amount
			FROM (SELECT source AS k, -amount AS amount FROM ledger UNION ALL SELECT target, amount FROM ledger) AS m GROUP BY k)
		SELECT count(*) FROM account FULL JOIN moved USING (k) WHERE balance IS DISTINCT FROM $start + coalesce(amount, 0)}),
		'0', "$how: each account is what the ledger says");
	is($node->safe_psql('postgres', q{
		SELECT count(*) FROM ledger FULL JOIN journal USING (id) FULL JOIN local USING (id)
		WHERE ledger IS NULL OR journal IS NULL OR local IS NULL}), '0', "$how: ledger, journal and the local table agree");

	my %there = map { $_ => 1 } split /\n/, $node->safe_psql('postgres', 'SELECT id FROM ledger');
	my @lost = grep { $known{$_} eq 'committed' && !$there{$_} } keys %known;
	my @ghosts = grep { !exists $known{$_} || $known{$_} eq 'rolled back' } keys %there;
	my $untold = grep { $known{$_} eq 'unknown' } keys %there;

	is("@lost", '', "$how: no acknowledged transfer is lost");
	is("@ghosts", '', "$how: nothing is there that was rolled back");
	cmp_ok($untold, '<=', $clients * $kills, "$how: what nobody was told about is one transfer a client at most");
	sound($node, "$how: the engine is sound");
	return;
}

for my $round (1 .. $kills)
{
	my $victim = ('all processes', 'nobody', 'the postmaster', 'a session', 'a worker')[ $round <= 2 ? $round - 1 : int(rand(5)) ];
	my $how = "round $round, $victim killed" . ($victim eq 'nobody' ? ', but a fast stop' : '');
	my ($source, $target, $id) = ($accounts + 2 * $round - 1, $accounts + 2 * $round, $round * 1_000_000);
	my $c = start_clients($round);
	my $until = 500 + int(rand(1500));
	my $prepare_at = int(rand($until));
	my $is_prepared = 0;

	while (committed_count($c) < $until && $c->{run}->pumpable)
	{
		$c->{run}->pump;
		next if $is_prepared || committed_count($c) < $prepare_at;

		# A transfer whose fate is decided after the kill.
		$node->safe_psql('postgres', qq{
			BEGIN;
			UPDATE account SET balance = balance - 5 WHERE k = $source;
			SAVEPOINT s;
			UPDATE account SET balance = balance + 5 WHERE k = $target;
			INSERT INTO ledger VALUES ($id, $source, $target, 5);
			INSERT INTO journal VALUES ($id);
			INSERT INTO local VALUES ($id);
			PREPARE TRANSACTION 'pending'});
		$is_prepared = 1;
	}
	cmp_ok(committed_count($c), '>=', $until, "$how: the clients get on") or diag($c->{err});
	kill_server($victim);
	eval { $c->{run}->finish };
	told($c, \%known);
	if ($victim eq 'the postmaster' || $victim eq 'all processes')
	{
		start_after_kill($node);
	}
	elsif ($victim eq 'nobody')
	{
		my $size = -s $node->logfile;

		$node->start;
		unlike(substr(slurp_file($node->logfile), $size), qr/not properly shut down/, 'nor is there anything to recover');
	}
	else
	{
		$node->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
	}

	# Prepared is neither committed nor rolled back; then it is what it is told to be.
	is($node->safe_psql('postgres', "SELECT count(*) FROM ledger WHERE id = $id"), '0', "$how: a prepared transfer is not visible");
	fails($node, "SET lock_timeout = '100ms'; UPDATE account SET balance = 0 WHERE k = $source", qr/55P03/,
		"$how: and holds its locks");
	$known{$id} = $round % 2 ? 'committed' : 'rolled back';
	$node->safe_psql('postgres', ($round % 2 ? 'COMMIT' : 'ROLLBACK') . q{ PREPARED 'pending'});
	verify($how);
}

my $acknowledged = grep { $_ eq 'committed' } values %known;
note("$acknowledged transfers were acknowledged, " . scalar(keys %known) . ' tried');
is($node->safe_psql('postgres', 'SELECT sum(files) > 0 FROM nvmkv.stat_levels'), 't', 'rows went all the way to table files');
$node->restart;
verify('after a restart');
$node->safe_psql('postgres', 'SELECT nvmkv.flush(); SELECT nvmkv.compact()');
verify('after compaction');

$node->stop;
done_testing();
