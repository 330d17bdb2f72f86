# Changes of foreign tables in logical decoding, beside those of heap tables in the same transactions: as many, of the same
# rows, whatever became of savepoints, and with the columns of their moment.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use JSON::PP;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main', wal_level => 'logical', logical_decoding_work_mem => '64kB');

# ---- what a slot says, as transactions: of each the changes of foreign and those of heap tables, sorted.  Tables are
# ---- twins where their names differ in the first letter.

# Numbers as they were written.
sub parse
{
	my ($json) = @_;

	$json =~ s/(?<!\\)":(-?\d[-+\d.eE]*)(?=[,}])/":"$1"/g;
	return JSON::PP->new->decode($json);
}

sub row_text
{
	my ($row, $nulls) = @_;

	return '-' if !defined $row;
	return join ' ', map { "$_=" . (!defined $row->{$_} ? 'null' : ref $row->{$_} ? ($row->{$_} ? 'true' : 'false') : $row->{$_}) }
	  grep { $nulls || defined $row->{$_} } sort keys %$row;
}

# A change in the words of both: what test_decoding says of a heap's has the row before, or its key where that has changed.
sub change_text
{
	my ($table, $op, $old, $new) = @_;

	$table =~ s/^(\w+)\.[fh]/$1./;
	return join '|', $table, $op, row_text($old, 0), row_text($new, 1);
}

sub foreign_change
{
	my ($change) = @_;

	if ($change->{op} eq 'truncate')
	{
		my @flags = ($change->{restart_identity} ? 'restart_seqs' : (), $change->{cascade} ? 'cascade' : ());

		return 'truncate ' . join(' ', (sort map { "$_->{schema}." . substr $_->{table}, 1 } @{ $change->{tables} }), @flags);
	}
	my ($key, $old, $new) = @$change{qw(key old new)};

	# Of a row that stays where it is a heap has no key of its own.
	$old = $key if !defined $old && ($change->{op} eq 'delete' || ($change->{op} eq 'update' && grep { $key->{$_} ne $new->{$_} } keys %$key));
	return change_text("$change->{schema}.$change->{table}", $change->{op}, $old, $new);
}

sub heap_row
{
	my ($text) = @_;
	my %row;

	return undef if !defined $text;
	while ($text =~ /\G ?(\w+)\[[^:]*\]:('(?:[^']|'')*'|[^ ]+)/gc)
	{
		my ($column, $value) = ($1, $2);

		$value = undef if $value eq 'null';
		$value =~ s/''/'/g if defined $value && $value =~ s/^'(.*)'$/$1/s;
		$row{$column} = $value;
	}
	return \%row;
}

sub heap_change
{
	my ($tables, $rest) = @_;

	if ($rest =~ /^TRUNCATE: (.*)/)
	{
		my $flags = $1 eq '(no-flags)' ? '' : " $1";

		return 'truncate ' . join(' ', sort map { s/\.h/./r } split /, /, $tables) . $flags;
	}
	return change_text($tables, 'insert', undef, heap_row($1)) if $rest =~ /^INSERT: (.*)/s;
	return change_text($tables, 'delete', heap_row($1), undef) if $rest =~ /^DELETE: (.*)/s;
	return change_text($tables, 'update', heap_row($1), heap_row($2)) if $rest =~ /^UPDATE: (?:old-key: (.*) new-tuple: )?(.*)/s;
	die "what is $rest?";
}

# All that came since the last call.
sub transactions
{
	my ($slot, $reader) = @_;
	my @transactions;
	my $out = ($reader // $node)->safe_psql('postgres', "SELECT translate(data, E'\\n', ' ') FROM pg_logical_slot_get_changes('$slot', NULL, NULL)");

	for (split /\n/, $out)
	{
		push @transactions, { foreign => [], heap => [] } if /^BEGIN/;
		if (/^message: transactional: 1 prefix: nvmkv, sz: (\d+) content:(.*)/)
		{
			is(length $2, $1, 'its size') if length $2 != $1;
			push @{ $transactions[-1]{foreign} }, foreign_change(parse($2));
		}
		push @{ $transactions[-1]{heap} }, heap_change($1, $2) if /^table ((?!nvmkv\.)[^:]*): (.*)/;
	}
	return \@transactions;
}

# Of foreign tables alone.
sub told
{
	return [ map { @{ $_->{foreign} } } @{ transactions(@_) } ];
}

# Runs SQL that names tables T... on both twins, in one transaction; with a savepoint's statements in the order in which they
# stand.  Changes are as many as said.
my $slot = 'changes';

sub twins
{
	my ($name, $count, $sql) = @_;

	$node->safe_psql('postgres', join ' ', 'BEGIN;', (map { $sql =~ s/\bT([a-z])/$_$1/gr . ';' } 'f', 'h'), 'COMMIT;');
	my ($transaction, @more) = grep { @{ $_->{foreign} } || @{ $_->{heap} } } @{ transactions($slot) };
	my ($foreign, $heap) = map { [ sort @{ $transaction->{$_} // [] } ] } qw(foreign heap);

	is_deeply($foreign, $heap, $name);
	is(scalar @$heap . ' ' . scalar @more, "$count 0", "$name: changes");
	return;
}

$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE fa (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k', changes 'new');
	CREATE TABLE ha (k int PRIMARY KEY, v text);
	CREATE FOREIGN TABLE fwide (id uuid, n numeric, b bool, t timestamptz, y bytea, a int[], j jsonb, i interval, d float8, c char(5),
		s text GENERATED ALWAYS AS (n::text) STORED) SERVER nvmkv OPTIONS (primary_key 'id, n DESC', changes 'full');
	CREATE TABLE hwide (id uuid, n numeric, b bool, t timestamptz, y bytea, a int[], j jsonb, i interval, d float8, c char(5),
		s text GENERATED ALWAYS AS (n::text) STORED, PRIMARY KEY (id, n));
	ALTER TABLE hwide REPLICA IDENTITY FULL;
	CREATE FOREIGN TABLE fbag (a int, b text) SERVER nvmkv OPTIONS (changes 'new');
	CREATE TABLE hbag (a int, b text);
	ALTER TABLE hbag REPLICA IDENTITY FULL;
	CREATE FOREIGN TABLE flossy (k numeric, c text COLLATE "en-x-icu", v text) SERVER nvmkv OPTIONS (primary_key 'k, c', changes 'new');
	CREATE TABLE hlossy (k numeric, c text COLLATE "en-x-icu", v text, PRIMARY KEY (k, c));
	CREATE TABLE fu (k int PRIMARY KEY, u int UNIQUE, v text) USING nvmkv;
	CREATE TABLE hu (k int PRIMARY KEY, u int UNIQUE, v text);
	CREATE INDEX ON fu (v);
	ALTER FOREIGN TABLE fu OPTIONS (ADD changes 'new');
	CREATE FOREIGN TABLE fsilent (k int) SERVER nvmkv OPTIONS (primary_key 'k');
	SELECT pg_create_logical_replication_slot('changes', 'test_decoding')});

# ---- rows

twins('INSERT', 2, q{INSERT INTO Ta VALUES (1, 'one'), (2, NULL)});
twins('INSERT of many rows', 500, q{INSERT INTO Ta SELECT g, 'v' || g FROM generate_series(1000, 1499) g});
twins('UPDATE', 2, q{UPDATE Ta SET v = 'it''s "two"' WHERE k <= 2});
twins('UPDATE of the key', 2, q{UPDATE Ta SET k = k + 10 WHERE k <= 2});
twins('UPDATE of the key to that of a row that has just gone', 3, q{DELETE FROM Ta WHERE k = 11; UPDATE Ta SET k = 11 WHERE k = 12; UPDATE Ta SET v = 'last' WHERE k = 11});
twins('DELETE', 251, q{DELETE FROM Ta WHERE k = 11; DELETE FROM Ta WHERE k >= 1250});
twins('ON CONFLICT', 3, q{INSERT INTO Ta VALUES (1000, 'x'), (5, 'five') ON CONFLICT (k) DO UPDATE SET v = excluded.v || 'up';
	INSERT INTO Ta VALUES (1001, 'x'), (6, 'six') ON CONFLICT DO NOTHING});
twins('all types, with the rows before', 3, q{
	INSERT INTO Twide VALUES ('00000000-0000-0000-0000-000000000001', 1.50, true, '2025-01-02 03:04:05.678+02', '\xdeadbeef', '{1,NULL,3}',
		'{"a": [1, null, "x"]}', '1 mon 2 days 03:04', 'infinity', 'ab');
	SET LOCAL bytea_output = escape; SET LOCAL datestyle = 'SQL, DMY'; SET LOCAL intervalstyle = iso_8601;
	UPDATE Twide SET b = NULL, j = 'null', d = 1e300, a = NULL WHERE n = 1.5;
	DELETE FROM Twide});
twins('a key whose bytes do not give back its values', 6, q{INSERT INTO Tlossy VALUES (1.50, U&'\00e9', 'x'), (2, 'b', 'y');
	UPDATE Tlossy SET k = 3.00 WHERE k = 1.5; UPDATE Tlossy SET k = 3.000 WHERE k = 3; UPDATE Tlossy SET v = 'w' WHERE k = 3; DELETE FROM Tlossy WHERE k = 3});
twins('no key', 6, q{INSERT INTO Tbag VALUES (1, 'x'), (1, 'x'), (2, NULL); UPDATE Tbag SET b = 'y' WHERE a = 2; DELETE FROM Tbag WHERE a = 1});
twins('unique indexes', 6, q{INSERT INTO Tu VALUES (1, 10, 'a'), (2, 20, 'b'); UPDATE Tu SET u = 30, v = 'c' WHERE k = 1;
	INSERT INTO Tu VALUES (3, 20, 'd') ON CONFLICT (u) DO UPDATE SET v = 'was there'; UPDATE Tu SET k = 4 WHERE k = 2; DELETE FROM Tu WHERE k = 1});
twins('a table that is not told', 1, q{INSERT INTO fsilent VALUES (1), (2) ON CONFLICT DO NOTHING; INSERT INTO Ta VALUES (7, 'seven')});

# ---- transactions

twins('savepoints', 259, q{
	SAVEPOINT a; INSERT INTO Ta VALUES (20, 'a'); SAVEPOINT b; INSERT INTO Ta VALUES (21, 'b'); ROLLBACK TO b;
	INSERT INTO Ta VALUES (22, 'c'); RELEASE a; UPDATE Ta SET v = 'd' WHERE k = 20; SAVEPOINT e; DELETE FROM Ta WHERE k = 22;
	SAVEPOINT g; UPDATE Ta SET k = 23 WHERE k = 20; SAVEPOINT i; DELETE FROM Ta});
fails($node, q{BEGIN; INSERT INTO fa VALUES (30, 'x'); INSERT INTO ha VALUES (30, 'x'); SELECT 1 / 0}, qr/division by zero/, 'a transaction fails');
is_deeply(told($slot), [], 'and says nothing');

# What a function writes in a subtransaction that looks at the rows which its statement keeps back.
$node->safe_psql('postgres', q{
	CREATE FUNCTION looks(relation regclass, i int) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE n bigint;
	BEGIN
		EXECUTE format('SELECT count(*) FROM %s', relation) INTO n;
		IF i % 3 = 0 THEN RAISE EXCEPTION 'no'; END IF;
		RETURN n;
	EXCEPTION WHEN raise_exception THEN RETURN 'failed';
	END $$});
twins('rows that are written from within a subtransaction that fails', 13, q{SAVEPOINT s; INSERT INTO Ta SELECT 100 + i, looks('Ta', i) FROM generate_series(1, 12) i; SAVEPOINT t;
	INSERT INTO Ta VALUES (200, looks('Ta', 3))});
twins('COPY', 300, q{COPY Ta FROM PROGRAM 'seq 2000 2299 | sed "s/$/\tcopied/"'});

# Larger than the memory of decoding: it goes to disk, and comes back.
twins('a large transaction', 9000, q{INSERT INTO Ta SELECT g, repeat('x', 200) FROM generate_series(10001, 14000) g; SAVEPOINT s;
	UPDATE Ta SET v = v || 'y' WHERE k > 13000; ROLLBACK TO s; UPDATE Ta SET v = v || 'z' WHERE k > 13000; DELETE FROM Ta WHERE k > 10000});
is($node->safe_psql('postgres', "SELECT spill_txns > 0 FROM pg_stat_replication_slots WHERE slot_name = 'changes'"), 't', 'it was spilled');

# ---- an insertion that may never have been: it waits for a value that another one's end decides about, while its arbiter's value is
# ---- taken by somebody else.

$node->safe_psql('postgres', q{CREATE TABLE fdoubt (k int PRIMARY KEY, w int, u int) USING nvmkv; CREATE UNIQUE INDEX fdoubt_w ON fdoubt (w);
	CREATE UNIQUE INDEX fdoubt_u ON fdoubt (u); ALTER FOREIGN TABLE fdoubt OPTIONS (ADD changes 'new')});
for my $case ([ 'taken', 'ROLLBACK', ['public.doubt|insert|-|k=3 u=1 w=13'] ], [ 'free', 'ROLLBACK', ['public.doubt|insert|-|k=2 u=2 w=1'] ], [ 'refused', 'COMMIT', ['public.doubt|insert|-|k=1 u=100 w=1'] ])
{
	my ($name, $end, $expected) = @$case;
	my $u = $name eq 'taken' ? 1 : 2;
	my $first = $node->background_psql('postgres', on_error_stop => 1);

	$node->safe_psql('postgres', 'DELETE FROM fdoubt');
	transactions($slot);
	$first->query_safe('BEGIN');
	$first->query_safe('INSERT INTO fdoubt VALUES (1, 1, 100)');
	my $second = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', "INSERT INTO fdoubt VALUES (2, 1, $u) ON CONFLICT (u) DO NOTHING" ],
		'<', \undef, '>', \my $out, '2>', \my $err, IPC::Run::timeout(180));
	$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT INTO fdoubt%'}) or die;
	$node->safe_psql('postgres', 'INSERT INTO fdoubt VALUES (3, 13, 1)') if $name eq 'taken';
	$first->query_safe($end);
	$first->quit;
	is($second->finish ? 'done' : 'failed', $name eq 'refused' ? 'failed' : 'done', "$name: how it ends");
	is_deeply(told($slot), $expected, "$name: what is told");
}

# ---- definitions between

twins('columns come and go', 5, q{INSERT INTO Ta VALUES (300, 'before'); ALTER TABLE Ta ADD COLUMN w int DEFAULT 7; INSERT INTO Ta VALUES (301, 'x', 8);
	UPDATE Ta SET v = 'after' WHERE k = 300; ALTER TABLE Ta DROP COLUMN v; UPDATE Ta SET w = 9 WHERE k = 300; DELETE FROM Ta WHERE k = 301});
twins('another type, another name', 3, q{INSERT INTO Ta VALUES (310, 1); ALTER TABLE Ta ALTER w TYPE text; INSERT INTO Ta VALUES (311, 'text'); ALTER TABLE Ta RENAME w TO v;
	INSERT INTO Ta VALUES (312, 'v')});
twins('TRUNCATE', 2, q{TRUNCATE Ta, Tbag RESTART IDENTITY CASCADE; INSERT INTO Ta VALUES (1, 'again')});
twins('TRUNCATE that is taken back', 1, q{SAVEPOINT s; TRUNCATE Ta; INSERT INTO Ta VALUES (2, 'x'); ROLLBACK TO s; INSERT INTO Ta VALUES (3, 'y')});
twins('definitions that are taken back', 4, q{SAVEPOINT s; ALTER TABLE Ta ADD COLUMN gone int DEFAULT 1; INSERT INTO Ta VALUES (320, 'x'); ROLLBACK TO s;
	INSERT INTO Ta VALUES (321, 'x'); SAVEPOINT t; ALTER TABLE Ta RENAME v TO vv; UPDATE Ta SET vv = 'y' WHERE k = 321; RELEASE t; ALTER TABLE Ta RENAME vv TO v;
	UPDATE Ta SET v = 'z' WHERE k = 321; DELETE FROM Ta WHERE k = 321});
twins('a table and its types that are made, and dropped, in the transaction', 4, q{CREATE TYPE Tmood AS ENUM ('sad', 'glad'); CREATE TYPE Tpair AS (a int, b text);
	SELECT set_config('default_table_access_method', CASE 'Tx' WHEN 'fx' THEN 'nvmkv' ELSE 'heap' END, true); CREATE TABLE Tnew (k Tmood PRIMARY KEY, p Tpair, r int4range);
	DO $$ BEGIN IF 'Tx' = 'fx' THEN ALTER FOREIGN TABLE fnew OPTIONS (ADD changes 'new'); END IF; END $$;
	INSERT INTO Tnew VALUES ('sad', (1, 'x "y"'), '[1,5)'), ('glad', NULL, 'empty'); UPDATE Tnew SET k = 'glad' WHERE k = 'glad'; DELETE FROM Tnew WHERE k = 'sad'; DROP TABLE Tnew;
	DROP TYPE Tmood, Tpair});
twins('the table is dropped', 2, q{INSERT INTO Tlossy VALUES (7, 'x', 'y'); UPDATE Tlossy SET v = 'z' WHERE k = 7; DROP TABLE Tlossy});
$node->safe_psql('postgres', q{CREATE TABLE hmoves (k int PRIMARY KEY, v text); INSERT INTO hmoves VALUES (1, 'x'); SELECT nvmkv.migrate('hmoves')});
is_deeply(told($slot), [], 'a table that moves over says nothing');

# Rows that go from one partition to another.
$node->safe_psql('postgres', join '', map { my $using = $_ eq 'f' ? 'USING nvmkv' : 'USING heap'; qq{
	CREATE TABLE ${_}part (k int, v text, PRIMARY KEY (k)) PARTITION BY RANGE (k);
	CREATE TABLE ${_}low PARTITION OF ${_}part FOR VALUES FROM (0) TO (10) $using;
	CREATE TABLE ${_}high PARTITION OF ${_}part FOR VALUES FROM (10) TO (20) $using;} } 'f', 'h');
$node->safe_psql('postgres', "ALTER FOREIGN TABLE flow OPTIONS (ADD changes 'new'); ALTER FOREIGN TABLE fhigh OPTIONS (ADD changes 'new')");
twins('partitions', 4, q{INSERT INTO Tpart VALUES (1, 'x'), (11, 'y'); UPDATE Tpart SET k = 12 WHERE k = 1});

# ---- transactions that are prepared, or decoded while they run

$node->safe_psql('postgres', q{BEGIN; INSERT INTO fa VALUES (400, 'p'); INSERT INTO ha VALUES (400, 'p'); PREPARE TRANSACTION 'p'});
is_deeply(told($slot), [], 'a prepared transaction says nothing');
$node->safe_psql('postgres', q{COMMIT PREPARED 'p'; BEGIN; INSERT INTO fa VALUES (401, 'q'); INSERT INTO ha VALUES (401, 'q'); PREPARE TRANSACTION 'q'; ROLLBACK PREPARED 'q'});
is_deeply(told($slot), ['public.a|insert|-|k=400 v=p'], 'until it is committed');
$node->safe_psql('postgres', q{
	SELECT pg_create_logical_replication_slot('prepared', 'test_decoding', false, true);
	BEGIN; INSERT INTO fa VALUES (402, 'r'); SAVEPOINT s; DELETE FROM fa WHERE k = 402; ROLLBACK TO s; PREPARE TRANSACTION 'r'});
like($node->safe_psql('postgres', q{SELECT data FROM pg_logical_slot_get_changes('prepared', NULL, NULL)}),
	qr/^BEGIN \d+\nmessage: [^\n]*"key":\{"k":402\}[^\n]*\nPREPARE TRANSACTION 'r'/, 'a slot with two phases says it when it is prepared');
$node->safe_psql('postgres', q{COMMIT PREPARED 'r'; SELECT pg_drop_replication_slot('prepared')});
transactions($slot);

$node->safe_psql('postgres', q{INSERT INTO fa SELECT g, repeat('x', 100) FROM generate_series(20001, 23000) g});
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_logical_slot_peek_changes('changes', NULL, NULL, 'stream-changes', '1')
	WHERE data ~ '^streaming message: transactional: 1 prefix: nvmkv'}), '3000', 'a transaction is streamed');
is(scalar @{ told($slot) }, 3000, 'or told at its end');

# ---- what is not ours to tell

$node->safe_psql('postgres', q{CREATE DATABASE other});
$node->safe_psql('other', q{CREATE EXTENSION nvmkv_fdw; CREATE TABLE fa (k int PRIMARY KEY) USING nvmkv;
	ALTER FOREIGN TABLE fa OPTIONS (ADD changes 'new'); INSERT INTO fa VALUES (1)});
is_deeply(told($slot), [], 'another database');
$node->safe_psql('postgres', q{SELECT pg_logical_emit_message(true, 'nvmkv', '{"op":"truncate"}'), pg_logical_emit_message(false, 'nvmkv', 'x')});
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_logical_slot_get_changes('changes', NULL, NULL) WHERE data LIKE 'message%'}), '0', 'messages that others give our prefix');
$node->safe_psql('postgres', q{SELECT pg_replication_origin_create('elsewhere'); SELECT pg_replication_origin_session_setup('elsewhere');
	BEGIN; INSERT INTO fa VALUES (403, 'x'); INSERT INTO ha VALUES (403, 'x'); COMMIT});
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_logical_slot_get_changes('changes', NULL, NULL, 'only-local', '1') WHERE data ~ '^(message|table)'}), '0',
	'what was replicated from elsewhere, where that is left out');

# ---- other plugins

sub pgoutput_messages
{
	my ($messages) = @_;

	return $node->safe_psql('postgres', qq~SELECT count(*) FROM pg_logical_slot_peek_binary_changes('out', NULL, NULL, 'proto_version', '1', 'publication_names', 'p'$messages)
		WHERE get_byte(data, 0) = ascii('M') AND position(convert_to('nvmkv', 'UTF8') || '\\x00'::bytea IN data) = 11 AND position(convert_to('"new":{"k":404,', 'UTF8') IN data) > 0~);
}
$node->safe_psql('postgres', q{CREATE PUBLICATION p FOR TABLE ha; SELECT pg_create_logical_replication_slot('out', 'pgoutput'); INSERT INTO fa VALUES (404, 'x')});
is(pgoutput_messages(q{, 'messages', 'true'}), '1', 'pgoutput, when it is asked for messages');
is(pgoutput_messages(''), '0', 'and when it is not');
$node->safe_psql('postgres', q{SELECT pg_drop_replication_slot('out')});
transactions($slot);

# ---- the option

fails($node, q{ALTER FOREIGN TABLE fa OPTIONS (SET changes 'old')}, qr/22023: invalid value for option "changes": "old"/, 'what it can be');
$node->safe_psql('postgres', q{ALTER FOREIGN TABLE fa OPTIONS (DROP changes); INSERT INTO fa VALUES (500, 'x'); ALTER FOREIGN TABLE fa OPTIONS (ADD changes 'full'); UPDATE fa SET v = 'y' WHERE k = 500});
is_deeply(told($slot), ['public.a|update|k=500 v=x|k=500 v=y'], 'it holds from then on');

# ---- a slot that lags

twins('before', 1, q{INSERT INTO Ta VALUES (600, 'x')});
$node->safe_psql('postgres', q{INSERT INTO fa VALUES (601, 'first'); SELECT nvmkv.flush(); CHECKPOINT; SELECT pg_switch_wal(); DELETE FROM fa WHERE k = 601; TRUNCATE fa; SELECT nvmkv.compact(); CHECKPOINT});
$node->kill9;
start_after_kill($node);
$node->safe_psql('postgres', q{INSERT INTO fa VALUES (602, 'last'); CHECKPOINT});
$node->restart;
is_deeply(told($slot),
	[ 'public.a|insert|-|k=601 v=first', 'public.a|delete|k=601 v=first|-', 'truncate public.a', 'public.a|insert|-|k=602 v=last' ],
	'nothing is lost by checkpoints, compaction, a kill and a restart');
is($node->safe_psql('postgres', 'SELECT k, v FROM fa'), '602|last', 'and the rows are there');
# ---- a standby takes such records as others; from 16 on it has slots of its own

$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$node->safe_psql('postgres', "SELECT pg_create_physical_replication_slot('standby')");
$standby->append_conf('postgresql.conf', "hot_standby_feedback = on\nprimary_slot_name = 'standby'\n");
$standby->start;
my $decodes = $standby->can('create_logical_slot_on_standby') && $node->safe_psql('postgres', 'SHOW server_version_num') >= 160000;
if ($decodes)
{
	$node->poll_query_until('postgres', 'SELECT catalog_xmin IS NOT NULL OR xmin IS NOT NULL FROM pg_replication_slots WHERE slot_name = \'standby\'') or die;
	$standby->create_logical_slot_on_standby($node, 'there', 'postgres');
}
$node->safe_psql('postgres', q{INSERT INTO fa SELECT g, 'streamed' FROM generate_series(700, 799) g; UPDATE fa SET v = 'changed' WHERE k < 710; TRUNCATE fbag; DELETE FROM fa WHERE k >= 750});
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', 'SELECT count(*), min(k), max(k), min(v) FROM fa'), $node->safe_psql('postgres', 'SELECT count(*), min(k), max(k), min(v) FROM fa'), 'a standby has the rows');
is_deeply(told('there', $standby), told($slot), 'and tells their changes') if $decodes;
$standby->promote;
is($standby->safe_psql('postgres', "INSERT INTO fa VALUES (1, 'promoted'); SELECT count(*) FROM fa"), '52', 'it can be promoted');
sound($_, $_->name . ' is sound') for $node, $standby;

$_->stop for $standby, $node;
done_testing();
