# A server that is killed while ALTER TABLE writes the rows of a table anew finds them as they were; the space of what
# was written goes, and so does that of the old rows when it gets to its end.
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
});
my $state = q{SELECT count(*), sum(k), sum(n), md5(string_agg(v, '' ORDER BY k)), pg_typeof(min(k)), pg_typeof(min(v)) FROM t};
my $before = $node->safe_psql('postgres', $state);
my $storages = q{SELECT string_agg(relid || ':' || storage_id, ' ' ORDER BY relid) FROM nvmkv.storage};
my $storages_before = $node->safe_psql('postgres', $storages);

# Bytes that the storages of a list take, when all is flushed and compacted.
sub space_of
{
	my ($ids) = @_;
	return $node->safe_psql('postgres', qq{
		SELECT nvmkv.flush();
		SELECT nvmkv.compact();
		SELECT coalesce(sum(bytes), 0) > 0 FROM unnest('{$ids}'::bigint[]) AS s(id), nvmkv.storage_estimate(s.id)}) =~ s/\s//gr;
}

sub ids { return join(',', map { /:(\d+)/ } split(/ /, shift)) }

for my $change ('ALTER k TYPE bigint, ALTER v TYPE bytea USING decode(v, \'hex\')', 'DROP CONSTRAINT t_pkey')
{
	my $holder = $node->background_psql('postgres');
	my $changer = $node->background_psql('postgres', on_error_stop => 0);

	$holder->query_until(qr/held/, "SELECT pg_advisory_lock(1);\n\\echo held\n");
	$changer->query_until(qr/begun/, "\\echo begun\nALTER TABLE t $change;\n");
	ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}),
		"$change: in the middle");
	$node->kill9;
	$holder->{run}->finish;
	$changer->{run}->finish;
	start_after_kill($node);
	is($node->safe_psql('postgres', $state), $before, "$change, killed: rows are as they were");
	is($node->safe_psql('postgres', $storages), $storages_before, "$change, killed: and where they were");
	is($node->safe_psql('postgres', q{SELECT * FROM nvmkv.check('t')}), '', "$change, killed: with their indexes");
}

$node->safe_psql('postgres', q{ALTER TABLE t ALTER k TYPE bigint, ALTER v TYPE bytea USING decode(v, 'hex')});
is($node->safe_psql('postgres', q{SELECT count(*), sum(k), md5(string_agg(encode(v, 'hex'), '' ORDER BY k)), pg_typeof(min(k)), pg_typeof(min(length(v))) FROM t}),
	$before =~ s/^(\d+\|\d+)\|\d+\|(\w+).*/$1|$2|bigint|integer/r, 'written anew');
is(space_of(ids($storages_before)), 'f', 'the old rows and entries take no space');
is(space_of(ids($node->safe_psql('postgres', $storages))), 't', 'the new ones do');
sound($node, 'all is sound');
$node->restart;
is($node->safe_psql('postgres', q{SELECT count(*), sum(k) FROM t}), $before =~ s/^(\d+\|\d+).*/$1/r, 'after a restart, too');
is($node->safe_psql('postgres', q{SELECT * FROM nvmkv.check('t')}), '', 'with its indexes');

done_testing();
