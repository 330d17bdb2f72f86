# A server that is killed while ALTER TABLE writes the rows of a table anew, or makes one of another kind of it, finds them
# as they were; the space of what was written goes, and so does that of the old rows when it gets to its end.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main', 'nvmkv.write_buffer_size' => '1MB');

# The index makes whoever builds it wait at a row, when another session holds the lock.
$node->safe_psql('postgres', q{
	CREATE FUNCTION wait_at(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
	BEGIN
		IF n = 777 THEN PERFORM pg_advisory_xact_lock_shared(1); END IF;
		RETURN n;
	END $$;
	CREATE FOREIGN TABLE t (k int PRIMARY KEY, n int, v text) SERVER nvmkv;
	INSERT INTO t SELECT g, g, repeat(md5(g::text), 20) FROM generate_series(1, 5000) AS g;
	CREATE INDEX t_n ON t (wait_at(n));
	CREATE INDEX t_v ON t (v);
	CREATE TABLE h AS SELECT * FROM t;
	ALTER TABLE h ADD PRIMARY KEY (k);
	CREATE INDEX h_n ON h (wait_at(n));
});

# What the table is, and its rows by the table and by an index.
sub state_of
{
	my ($table) = @_;
	return $node->safe_psql('postgres', qq{
		SELECT relkind, count(*), sum(k), sum(n), md5(string_agg(v, '' ORDER BY k)), pg_typeof(min(k)), pg_typeof(min(v)) FROM $table, pg_class WHERE oid = '$table'::regclass GROUP BY 1;
		SET enable_seqscan = off;
		SELECT k FROM $table WHERE wait_at(n) = 4000});
}
my %before = map { $_ => state_of($_) } ('t', 'h');
my $storages = q{SELECT string_agg(relid || ':' || storage_id, ' ' ORDER BY relid) FROM nvmkv.storage};
my $storages_before = $node->safe_psql('postgres', $storages);

# A query that flushes and compacts all, and says whether the storages of a list take space.
sub space_of
{
	my ($ids) = @_;
	return qq{SELECT nvmkv.flush()::text || nvmkv.compact()::text = '' AND
		(SELECT coalesce(sum(bytes), 0) FROM unnest('{$ids}'::bigint[]) AS s(id), nvmkv.storage_estimate(s.id))};
}

sub ids { return join(',', map { /:(\d+)/ } split(/ /, shift)) }

# A session that begins a statement and comes to wait in it, and one that holds what it waits for.
sub begin_waiting
{
	my ($statement) = @_;
	my $holder = $node->background_psql('postgres');
	my $changer = $node->background_psql('postgres', on_error_stop => 0);

	$holder->query_until(qr/held/, "SELECT pg_advisory_lock(1);\n\\echo held\n");
	$changer->query_until(qr/begun/, "\\echo begun\n$statement;\n\\echo ended\n");
	ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}),
		"$statement: in the middle");
	return ($holder, $changer);
}

for my $statement ('ALTER TABLE t ALTER k TYPE bigint, ALTER v TYPE bytea USING decode(v, \'hex\')', q{SELECT nvmkv.migrate('t', 'heap')},
	q{SELECT nvmkv.migrate('h')})
{
	my @sessions = begin_waiting($statement);
	my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted});

	# The session first: without the postmaster the lock it waits for may become free before it knows.
	kill 'KILL', $pid;
	$node->kill9;
	eval { $_->{run}->finish } for @sessions;
	start_after_kill($node);
	is(state_of($_), $before{$_}, "$statement, killed: table $_ is as it was") for ('t', 'h');
	is($node->safe_psql('postgres', $storages), $storages_before, "$statement, killed: and where it was");
	is($node->safe_psql('postgres', q{SELECT * FROM nvmkv.check('t')}), '', "$statement, killed: with its indexes");
}

# What is told meanwhile.
my ($holder, $changer) = begin_waiting('ALTER TABLE t ALTER n TYPE bigint USING wait_at(n)');
is($node->safe_psql('postgres', q{SELECT job, phase, keys_done FROM nvmkv.progress WHERE job_id IS NULL}), 'rewrite of t|reading|776', 'progress');
$holder->quit;
$changer->query_until(qr/ended/, '');
$changer->quit;
is($node->safe_psql('postgres', q{SELECT count(*) FROM nvmkv.progress WHERE job_id IS NULL}), '0', 'no progress when it has ended');
$storages_before = $node->safe_psql('postgres', $storages);
my ($rows) = $before{t} =~ /^f\|(\d+\|\d+)/;

$node->safe_psql('postgres', q{ALTER TABLE t ALTER k TYPE bigint, ALTER v TYPE bytea USING decode(v, 'hex')});
is($node->safe_psql('postgres', q{SELECT count(*), sum(k), md5(string_agg(encode(v, 'hex'), '' ORDER BY k)), pg_typeof(min(k)), pg_typeof(min(length(v))) FROM t}),
	$before{t} =~ s/^f\|(\d+\|\d+)\|\d+\|(\w+).*/$1|$2|bigint|integer/rs, 'written anew');
ok($node->poll_query_until('postgres', space_of(ids($storages_before)) . ' = 0'), 'the old rows and entries take no space');
is($node->safe_psql('postgres', space_of(ids($node->safe_psql('postgres', $storages))) . ' > 0'), 't', 'the new ones do');
$node->safe_psql('postgres', q{SELECT nvmkv.migrate('h')});
is(state_of('h'), $before{h} =~ s/^r/f/r, 'a heap table has become a foreign one');
$storages_before = $node->safe_psql('postgres', q{SELECT 'h:' || storage_id FROM nvmkv.storage WHERE relid = 'h'::regclass});
$node->safe_psql('postgres', q{SELECT nvmkv.migrate('h', 'heap')});
is(state_of('h'), $before{h}, 'and a heap table again');
ok($node->poll_query_until('postgres', space_of(ids($storages_before)) . ' = 0'), 'its rows take no space as a foreign one');
sound($node, 'all is sound');
$node->restart;
is($node->safe_psql('postgres', q{SELECT count(*), sum(k) FROM t}), $rows, 'after a restart, too');
is($node->safe_psql('postgres', q{SELECT * FROM nvmkv.check('t')}), '', 'with its indexes');

done_testing();
