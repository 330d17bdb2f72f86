# A backup of a coordinator and its shards at one restore point, made while transactions that span the shards go on
# (scripts/shards.sql, doc/scaling.md); and a shard whose standby takes its place.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($functions) = grep { -e } "$FindBin::RealBin/../shards.sql", "$FindBin::RealBin/../scripts/shards.sql";
my @names = qw(coordinator shard1 shard2);
my %node;

# As new_server() does, but with an archive.
for my $name (@names)
{
	$node{$name} = PostgreSQL::Test::Cluster->new($name);
	$node{$name}->init(allows_streaming => 1, has_archiving => 1);
	$node{$name}->append_conf('postgresql.conf', settings('nvmkv.nvm_size' => '16MB', 'nvmkv.copy_space_limit' => 0));
	$node{$name}->start;
	$node{$name}->safe_psql('postgres', 'CREATE EXTENSION nvmkv_fdw');
}

# Tells a server where another is.
sub address
{
	my ($who, $name, $whom, $add) = @_;

	$who->safe_psql('postgres', sprintf(q{ALTER SERVER %s OPTIONS (%s host '%s', %s port '%s')}, $name, $add, $whom->host, $add, $whom->port));
	return;
}

my $coordinator = $node{coordinator};
$coordinator->safe_psql('postgres', 'CREATE EXTENSION postgres_fdw');
for my $shard (@names[ 1, 2 ])
{
	$coordinator->safe_psql('postgres', qq{CREATE SERVER $shard FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname 'postgres'); CREATE USER MAPPING FOR PUBLIC SERVER $shard});
	address($coordinator, $shard, $node{$shard}, 'ADD');
}
is($coordinator->psql('postgres', '', extra_params => [ '-f', $functions ], on_error_stop => 1), 0, 'the functions are there');

# Transfers between accounts, whose sum stays what it is; each notes its number in a row of each of the two accounts.
$coordinator->safe_psql('postgres', q{
	SELECT shards.create_table('account', 'id int NOT NULL, balance int NOT NULL, last int NOT NULL', primary_key => 'id', by => 'id', partitions => 8);
	INSERT INTO account SELECT g, 1000, 0 FROM generate_series(1, 64) g;
	INSERT INTO account VALUES (100, 0, 0); -- which takes no part
	CREATE PROCEDURE transfer() LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN 1 .. 1000000 LOOP
			UPDATE account SET balance = balance - 10, last = i WHERE id = 1 + i % 64;
			UPDATE account SET balance = balance + 10, last = i WHERE id = 1 + (i * 7 + 13) % 64;
			COMMIT;
		END LOOP;
	END $$});
my ($out, $err) = ('', '');
my $writer = IPC::Run::start([ 'psql', '-X', '-d', $coordinator->connstr('postgres'), '-c', 'CALL transfer()' ], '>', \$out, '2>', \$err);
ok($coordinator->poll_query_until('postgres', 'SELECT max(last) > 50 FROM account'), 'transfers are made');

# Copies are made one after the other, and the logs go on: what makes them one is the restore point.
$node{$_}->backup('whole') for @names;
my $before = $coordinator->safe_psql('postgres', 'SELECT max(last) FROM account');
ok($coordinator->poll_query_until('postgres', "SELECT max(last) > $before + 50 FROM account"), 'and more of them');
my %position = map { split /\|/ } split /\n/, $coordinator->safe_psql('postgres', q{SELECT * FROM shards.restore_point('evening')});
is_deeply([ sort keys %position ], [ sort @names ], 'all have the restore point');
my $since = $coordinator->safe_psql('postgres', 'SELECT max(last) FROM account');
ok($coordinator->poll_query_until('postgres', "SELECT max(last) > $since + 50 FROM account"), 'writers go on');

# It waits for those who have written and not committed.
my $open = $coordinator->background_psql('postgres', on_error_stop => 0);
$open->query_safe('BEGIN; UPDATE account SET last = last WHERE id = 100');
my (undef, undef, $error) = $coordinator->psql('postgres', q{SET lock_timeout = '100ms'; SELECT shards.restore_point('too early')});
like($error, qr/canceling statement due to lock timeout/, 'not in the midst of a transaction');
$open->query_safe('COMMIT');
$open->quit;

# ------------------------------------------- a shard's standby takes its place

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node{shard2}, 'whole', has_streaming => 1);
$standby->start;
$writer->signal('INT');
$writer->finish;
$node{shard2}->wait_for_catchup($standby, 'replay', $node{shard2}->lsn('insert'));
my $all = q{SELECT count(*), sum(balance), md5(string_agg(a::text, ' ' ORDER BY id)) FROM account a};
my $expected = $coordinator->safe_psql('postgres', $all);
my $session = $coordinator->background_psql('postgres', on_error_stop => 0);
is($session->query($all), $expected, 'before: a session that has used the shard');
$node{shard2}->stop('immediate');
(undef, undef, $error) = $coordinator->psql('postgres', $all);
like($error, qr/could not connect to server "shard2"/, 'without the shard');
$standby->promote;
address($coordinator, 'shard2', $standby, 'SET');
is($coordinator->safe_psql('postgres', $all), $expected, 'the standby has everything');
is($session->query($all), $expected, 'for the session from before, too');
$session->quit;
is($coordinator->safe_psql('postgres', 'UPDATE account SET balance = balance + 0 RETURNING 1') =~ tr/1//, 65, 'and takes writes');
$standby->safe_psql('postgres', 'SELECT nvmkv.flush()');
sound($standby, 'the standby is sound');
$_->stop for $standby, @node{qw(coordinator shard1)};

# ------------------------------------------- all of them, as they were at the restore point

my %restored;
for my $name (@names)
{
	$restored{$name} = PostgreSQL::Test::Cluster->new("restored_$name");
	$restored{$name}->init_from_backup($node{$name}, 'whole', has_restoring => 1, standby => 0);
	$restored{$name}->append_conf('postgresql.conf', "recovery_target_name = 'evening'\nrecovery_target_action = promote\narchive_mode = off\n");
	$restored{$name}->start;
	ok($restored{$name}->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()'), "$name: restored");
	sound($restored{$name}, "$name: sound");
}
address($restored{coordinator}, $_, $restored{$_}, 'SET') for @names[ 1, 2 ];
my ($sum, $last, $halves) = split /\|/, $restored{coordinator}->safe_psql('postgres', q{
	WITH newest AS (SELECT max(last) AS i FROM account)
	SELECT (SELECT sum(balance) FROM account), i,
		(SELECT count(*) FROM account WHERE last = i AND id IN (1 + i % 64, 1 + (i * 7 + 13) % 64)) FROM newest});
is($sum, 64_000, 'nothing has been lost between the shards');
cmp_ok($last, '>', $before, 'it is what was committed before the restore point');
cmp_ok($last, '<=', $since, 'and nothing after it');
is($halves, 2, 'the last transfer is there on both sides');

$_->stop for values %restored;
done_testing();
