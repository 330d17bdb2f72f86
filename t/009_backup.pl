# A base backup made while foreign tables are written, flushed and compacted opens like one of a heap.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_server('primary', wal_keep_size => '1GB', 'nvmkv.copy_space_limit' => 0); # the writer does not wait for the standby
$primary->safe_psql('postgres', q{
	CREATE FOREIGN TABLE f (k int NOT NULL, n int, pad text) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE TABLE h (k int PRIMARY KEY, n int);
	INSERT INTO f SELECT g, 0, repeat('x', 300 + g % 10 * 150) FROM generate_series(1, 40000) g;
	INSERT INTO h SELECT g, 0 FROM generate_series(1, 40000) g;
	CREATE PROCEDURE work() LANGUAGE plpgsql AS $$
		DECLARE key int;
		BEGIN
			LOOP
				FOR i IN 1 .. 200 LOOP
					key := 1 + floor(random() * 40000);
					UPDATE f SET n = n + 1, pad = repeat(md5(random()::text), 10 + key % 40) WHERE k = key;
					UPDATE h SET n = n + 1 WHERE k = key;
				END LOOP;
				COMMIT;
			END LOOP;
		END
	$$;
});

my $compacted = 'SELECT flushes + columns_compacted FROM nvmkv.stat_engine';

# The tables change together, so they are equal in every snapshot.
my $differences = q{
	SELECT count(*) FROM f FULL JOIN h USING (k) WHERE f.n IS DISTINCT FROM h.n
};

my ($out, $err) = ('', '');
my $writer = IPC::Run::start([ 'psql', '-X', '-d', $primary->connstr('postgres'), '-c', 'CALL work()' ], '>', \$out, '2>', \$err);

# What happens during a backup must be something: the slow rate makes it last.
ok($primary->poll_query_until('postgres', 'SELECT sum(n) > 1000 FROM h'), 'the writer works');
for my $round (1 .. 2)
{
	my $before = $primary->safe_psql('postgres', $compacted);

	$primary->backup("live$round", backup_options => ['--max-rate=32M']);
	cmp_ok($primary->safe_psql('postgres', $compacted), '>', $before, "round $round: the engine worked during the backup");

	my $copy = PostgreSQL::Test::Cluster->new("copy$round");
	$copy->init_from_backup($primary, "live$round", $round == 2 ? (has_streaming => 1) : ());
	$copy->start;
	if ($round == 2)
	{
		$primary->wait_for_catchup($copy, 'replay', $primary->lsn('insert'));
		$copy->promote;
	}
	is($copy->safe_psql('postgres', $differences), '0', "round $round: the copy's tables agree");
	is($copy->safe_psql('postgres', 'SELECT count(*) FROM f'), '40000', "round $round: no row is missing");
	sound($copy, "round $round: its engine is sound");
	$copy->safe_psql('postgres', 'UPDATE f SET n = -1; UPDATE h SET n = -1');
	$copy->stop('immediate');
	$copy->start;
	is($copy->safe_psql('postgres', "$differences OR f.n <> -1"), '0', "round $round: it can be written and recovers");
	$copy->stop;
}

ok($primary->poll_query_until('postgres', q{SELECT count(*) = 0 FROM pg_ls_dir('nvmkv') AS name WHERE name LIKE 'BACKUP-%'}),
	'backup points go when no backup runs');
$primary->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL work%'});
$writer->finish;
is($primary->safe_psql('postgres', $differences), '0', 'the tables of the source agree');
sound($primary, 'the source is sound');
$primary->stop;
done_testing();
