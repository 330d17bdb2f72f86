# Row locks over PREPARE and a crash: a prepared transaction's lock stands as strong as it was, also below versions
# that others have written since; what a crash ends locks nothing.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main', max_prepared_transactions => 10, autovacuum => 'off');

$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE t (k int, v int) SERVER nvmkv OPTIONS (primary_key 'k');
	CREATE FOREIGN TABLE nokey (v int) SERVER nvmkv;
	INSERT INTO t SELECT g, 0 FROM generate_series(1, 9) g;
	INSERT INTO nokey VALUES (1);
});

# The strongest lock that can be had on a row.
$node->safe_psql('postgres', q{
	CREATE FUNCTION free_for(row_name text) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		mode text;
	BEGIN
		FOREACH mode IN ARRAY ARRAY['UPDATE', 'NO KEY UPDATE', 'SHARE', 'KEY SHARE'] LOOP
			BEGIN
				EXECUTE format('SELECT 1 FROM %s FOR %s NOWAIT', row_name, mode);
				RETURN mode;
			EXCEPTION WHEN lock_not_available THEN
			END;
		END LOOP;
		RETURN 'nothing';
	END $$;
});

# The same of several, in one string.
sub free_for
{
	return $node->safe_psql('postgres', 'SELECT concat_ws(\', \', ' . join(', ', map { "free_for('$_')" } @_) . ')');
}

my %left = (
	'KEY SHARE' => 'NO KEY UPDATE',
	'SHARE' => 'SHARE',
	'NO KEY UPDATE' => 'KEY SHARE',
	'UPDATE' => 'nothing');
my @modes = sort keys %left;

for my $i (0 .. $#modes)
{
	my $k = $i + 1;
	$node->safe_psql('postgres', "BEGIN; SELECT 1 FROM t WHERE k = $k FOR $modes[$i]; PREPARE TRANSACTION 'p$k'");
}
$node->safe_psql('postgres', q{BEGIN; SELECT 1 FROM nokey FOR KEY SHARE; PREPARE TRANSACTION 'pn'});
$node->safe_psql('postgres', q{BEGIN; UPDATE t SET k = 19 WHERE k = 9; PREPARE TRANSACTION 'pm'});

# The one with the weakest lock.
my ($weak) = grep { $modes[$_ - 1] eq 'KEY SHARE' } 1 .. @modes;

sub check
{
	my ($when) = @_;
	is(free_for((map { "t WHERE k = $_" } 1 .. @modes), 'nokey', 't WHERE k = 9'),
		join(', ', (map { $left{$_} } @modes), 'NO KEY UPDATE', 'nothing'), "$when: locks stand as they were taken");
}

check('at first');

# Versions above the locks; then one that a crash undoes.
$node->safe_psql('postgres', "UPDATE t SET v = v + 1 WHERE k = $weak; UPDATE t SET v = v + 1 WHERE k = $weak; UPDATE nokey SET v = v + 1");
check('written since');
$node->safe_psql('postgres', 'SELECT nvmkv.flush()');
check('flushed');
my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN; SELECT 1 FROM t WHERE k = 8 FOR UPDATE; UPDATE t SET v = 100 WHERE k IN (7, ' . $weak . ')');
is(free_for('t WHERE k = 8'), 'nothing', 'locked by a session');

$node->stop('immediate');
$session->{run}->kill_kill;
$node->start;
is(free_for('t WHERE k = 7', 't WHERE k = 8'), 'UPDATE, UPDATE', 'what the crash has undone is free');
check('after a crash');
$node->safe_psql('postgres', 'SELECT nvmkv.compact()');
check('compacted');

$node->safe_psql('postgres', "COMMIT PREPARED 'p$_'") for 1 .. @modes;
$node->safe_psql('postgres', "ROLLBACK PREPARED '$_'") for 'pn', 'pm';
is(free_for((map { "t WHERE k = $_" } 1 .. @modes, 9), 'nokey'), join(', ', ('UPDATE') x (@modes + 2)), 'ended: all is free');
is($node->safe_psql('postgres', "SELECT v FROM t WHERE k = $weak"), '2', 'what was written upon the lock is there');

$node->stop;
done_testing();
