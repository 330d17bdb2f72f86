# Tables over several servers by postgres_fdw (doc/scaling.md, scripts/shards.sql): every statement that works beside a heap
# table on the coordinator; partitions that move while they are written; a shard that is lost; one commit on two shards.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($functions) = grep { -e } "$FindBin::RealBin/../shards.sql", "$FindBin::RealBin/../scripts/shards.sql";
my %node = map { $_ => new_server($_, 'max_prepared_transactions' => 10, 'nvmkv.nvm_size' => '16MB') } qw(coordinator shard1 shard2);

sub know
{
	my ($who, $whom) = @_;
	my ($host, $port) = ($node{$whom}->host, $node{$whom}->port);

	$node{$who}->safe_psql('postgres', qq{
		CREATE EXTENSION IF NOT EXISTS postgres_fdw;
		CREATE SERVER $whom FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'postgres', async_capable 'true', batch_size '100', use_remote_estimate 'true');
		CREATE USER MAPPING FOR PUBLIC SERVER $whom});
	return;
}
know('coordinator', $_) for qw(shard1 shard2);
know('shard1', 'shard2');
know('shard2', 'shard1');
my $coordinator = $node{coordinator};
is($coordinator->psql('postgres', '', extra_params => [ '-f', $functions ], on_error_stop => 1), 0, 'the functions are there');

my $columns = q{id int NOT NULL, of int NOT NULL, v text, n numeric};
$coordinator->safe_psql('postgres', qq{
	SELECT shards.create_table('thing', '$columns', primary_key => 'of, id', by => 'of', partitions => 4);
	SELECT shards.create_index('thing', '(n)');
	CREATE TABLE twin ($columns, PRIMARY KEY (of, id)) USING heap;
	CREATE TABLE chosen USING heap AS SELECT g AS of FROM generate_series(0, 99, 7) g});

# ------------------------------------------- statements, beside a heap table

# The same on both; what they return, and what is in the tables afterwards.
sub both
{
	my ($name, $statement) = @_;
	my %said;

	for my $table (qw(thing twin))
	{
		my $sql = $statement =~ s/TABLE/$table/gr;
		my ($rc, $out, $err) = $coordinator->psql('postgres', $sql);
		$err =~ s/^.*?(ERROR:[^\n]*).*/$1/s;
		$said{$table} = join "\n", $rc, (join "\n", sort split /\n/, $out), $err,
			$coordinator->safe_psql('postgres', "SELECT md5(string_agg(t::text, ' ' ORDER BY of, id)), count(*) FROM $table t");
	}
	is($said{thing}, $said{twin}, $name);
	return;
}

both('rows', q{INSERT INTO TABLE SELECT g, g % 100, 'v' || g, g / 7.0 FROM generate_series(1, 3000) g});
both('reads of one key', q{SELECT * FROM TABLE WHERE of = 42 AND id BETWEEN 1000 AND 1500});
both('an aggregate', q{SET enable_partitionwise_aggregate = on; SELECT of, count(*), sum(n) FROM TABLE GROUP BY of});
both('by another index', q{SELECT * FROM TABLE WHERE n BETWEEN 100 AND 101});
both('a join', q{SET enable_partitionwise_join = on; SELECT a.id, b.id FROM TABLE a JOIN TABLE b USING (of) WHERE a.id = b.id + 100 AND of < 9});
both('UPDATE that the shards do', q{UPDATE TABLE SET v = v || '!' WHERE n > 300 RETURNING id, v});
both('UPDATE with a join', q{UPDATE TABLE SET n = n + 1 FROM chosen WHERE chosen.of = TABLE.of RETURNING id, n});
both('UPDATE with a function of the coordinator', q{UPDATE TABLE SET v = current_setting('server_version_num') WHERE pg_backend_pid() > 0 AND id % 10 = 3});
both('UPDATE of the key within a partition', q{UPDATE TABLE SET id = id + 10000 WHERE id % 10 = 4});
both('DELETE that the shards do', q{DELETE FROM TABLE WHERE id % 10 = 5});
both('DELETE with a subquery', q{DELETE FROM TABLE WHERE of IN (SELECT of FROM chosen WHERE of > 50) RETURNING id});
both('ON CONFLICT DO NOTHING', q{INSERT INTO TABLE SELECT g, g % 100, 'again' FROM generate_series(1, 100) g ON CONFLICT DO NOTHING});
both('a rollback', q{BEGIN; DELETE FROM TABLE; INSERT INTO TABLE VALUES (1, 1, 'x'); ROLLBACK});
both('savepoints', q{BEGIN; DELETE FROM TABLE WHERE of < 10; SAVEPOINT s; DELETE FROM TABLE; ROLLBACK TO s; COMMIT});
both('a lock', q{BEGIN; SELECT id FROM TABLE WHERE of = 11 FOR UPDATE; ROLLBACK});
both('a row that goes to another shard', q{WITH gone AS (DELETE FROM TABLE WHERE of = 12 RETURNING *) INSERT INTO TABLE SELECT id, of + 1000, v, n FROM gone});
my (undef, undef, $error) = $coordinator->psql('postgres', q{INSERT INTO thing VALUES (11, 11, 'twice')});
like($error, qr/duplicate key value violates unique constraint/, 'a key that is there twice');
like($coordinator->safe_psql('postgres', q{SET enable_partitionwise_aggregate = on; EXPLAIN (VERBOSE, COSTS OFF) SELECT of, count(*) FROM thing GROUP BY of}), qr/Foreign Scan.*Relations: Aggregate on/s, 'an aggregate by what says where rows are is the shards\'');
like($coordinator->safe_psql('postgres', q{EXPLAIN (COSTS OFF) SELECT * FROM thing}), qr/Async Foreign Scan/, 'all shards at once');

# ------------------------------------------- partitions move

my ($moved, $from) = split /\|/, $coordinator->safe_psql('postgres', q{SELECT partition, shard FROM shards.partitions ORDER BY partition LIMIT 1});
my ($to) = grep { $_ ne $from } qw(shard1 shard2);

# One that cannot be made there: nothing has changed, and nothing is in the way of the next one.
$node{$to}->safe_psql('postgres', "CREATE VIEW $moved AS SELECT 1 AS one");
(undef, undef, $error) = $coordinator->psql('postgres', "CALL shards.move('$moved', '$to')");
like($error, qr/"$moved" is not a table/, 'a move that fails');
$node{$to}->safe_psql('postgres', "DROP VIEW $moved");
both('nothing has changed', q{UPDATE TABLE SET v = 'after' WHERE id % 10 = 6});

# A writer changes each row that it can in both tables, in one transaction.
my $writer = $coordinator->background_psql('postgres', on_error_stop => 1);
my $writes = join '', map {
	my $set = "v = 'written $_' WHERE id % 37 = " . $_ % 37;
	my $new = (20_000 + $_) . ', ' . $_ % 100;
	"BEGIN; UPDATE twin SET $set; UPDATE thing SET $set; INSERT INTO twin VALUES ($new); INSERT INTO thing VALUES ($new); COMMIT;\n"
} 1 .. 300;
$writer->query_until(qr/begun/, "\\echo begun\n$writes\\echo ended\n");
my $before = $coordinator->safe_psql('postgres', 'SELECT count(*) FROM twin');
$coordinator->safe_psql('postgres', "CALL shards.move('$moved', '$to')");
my $after = $coordinator->safe_psql('postgres', 'SELECT count(*) FROM twin');
$writer->query_until(qr/ended/, '');
is($writer->{stderr}, '', 'a writer is not disturbed');
$writer->quit;
note("rows before and after: $before, $after");
both('and what it has written is there', q{SELECT count(*) FROM TABLE});
is($coordinator->safe_psql('postgres', "SELECT shard FROM shards.partitions WHERE partition = '$moved'::regclass"), $to, 'the partition is on the other shard');
is($node{$from}->safe_psql('postgres', "SELECT count(*) FROM pg_class WHERE relname LIKE '$moved%'"), '0', 'and nothing of it on the first one');
is($node{$to}->safe_psql('postgres', "SELECT count(*) FROM pg_index WHERE indrelid = '$moved'::regclass"), '2', 'with its indexes');
is($node{$to}->safe_psql('postgres', 'SELECT count(*) FROM nvmkv.check()'), '0', 'which are sound');
$coordinator->safe_psql('postgres', "CALL shards.move('$moved', '$from')");
both('and back', q{SELECT count(*), sum(n) FROM TABLE});

# ------------------------------------------- two shards, one commit

my @accounts = split /\n/, $coordinator->safe_psql('postgres', q{SELECT DISTINCT ON (shard) shard, partition FROM thing JOIN shards.partitions AS p ON partition = thing.tableoid ORDER BY shard, partition});
for my $account (@accounts)
{
	my ($shard, $partition) = split /\|/, $account;
	$node{$shard}->safe_psql('postgres', "BEGIN; UPDATE $partition SET v = 'prepared'; PREPARE TRANSACTION 'both'");
}
$node{shard2}->stop('immediate');
$node{shard2}->start;
is($coordinator->safe_psql('postgres', q{SELECT count(*) FROM thing WHERE v = 'prepared'}), '0', 'prepared is not committed');
$node{ (split /\|/)[0] }->safe_psql('postgres', q{COMMIT PREPARED 'both'}) for @accounts;
isnt($coordinator->safe_psql('postgres', q{SELECT count(*) FROM thing WHERE v = 'prepared'}), '0', 'and outlives a crash');

# ------------------------------------------- a shard is lost

my $here = $coordinator->safe_psql('postgres', q{SELECT min(thing.of) FROM thing JOIN shards.partitions ON partition = thing.tableoid WHERE shard = 'shard1'});
my $gone = $coordinator->safe_psql('postgres', q{SELECT min(thing.of) FROM thing JOIN shards.partitions ON partition = thing.tableoid WHERE shard = 'shard2'});
$node{shard2}->stop('immediate');
isnt($coordinator->safe_psql('postgres', "SELECT count(*) FROM thing WHERE of = $here"), '0', 'the other one goes on');
for my $statement ("SELECT count(*) FROM thing WHERE of = $gone", 'SELECT count(*) FROM thing')
{
	(undef, undef, $error) = $coordinator->psql('postgres', $statement);
	like($error, qr/could not connect to server "shard2"/, 'what needs it says so');
}
$node{shard2}->start;
isnt($coordinator->safe_psql('postgres', "SELECT count(*) FROM thing WHERE of = $gone"), '0', 'until it is there again');

$_->stop for values %node;
done_testing();
