# Tables that have changed are analyzed as autovacuum analyzes heap tables: each has a twin in the heap.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main', autovacuum_naptime => '1s', deadlock_timeout => '10ms', log_autovacuum_min_duration => 0,
	max_worker_processes => 12, autovacuum_vacuum_insert_threshold => -1,
	restart_after_crash => 'on');

sub sql { return $node->safe_psql('postgres', @_) }

# How often autovacuum has analyzed each of these tables, by name.
sub counts
{
	return sql('SELECT string_agg(relname || \' \' || pg_stat_get_autoanalyze_count(oid), \', \' ORDER BY relname) FROM pg_class WHERE relname IN ('
		. join(', ', map { "'$_'" } @_) . ')');
}

sub wait_for
{
	my ($condition, $name, $database) = @_;
	ok($node->poll_query_until($database // 'postgres', "SELECT $condition"), $name);
	return;
}

sub analyzed { return "pg_stat_get_autoanalyze_count('$_[0]'::regclass) >= " . ($_[1] // 1) }

# Until all that has been changed by now has been seen by a round of both: a change that comes later is for a later round.
my $mark = 0;
sub wait_for_round
{
	$mark++;
	sql("INSERT INTO mark_f SELECT 1000000 * $mark + g FROM generate_series(1, 1000) g; INSERT INTO mark_h SELECT 1000000 * $mark + g FROM generate_series(1, 1000) g");
	wait_for(analyzed('mark_f', $mark) . ' AND ' . analyzed('mark_h', $mark), "round $mark");
	return;
}

sql(q{
	CREATE FOREIGN TABLE mark_f (k int) SERVER nvmkv OPTIONS (autovacuum_analyze_scale_factor '0');
	CREATE TABLE mark_h (k int) WITH (autovacuum_analyze_scale_factor = 0)});

# ---- which are analyzed

# Each pair has the same changes and settings.
my %pairs = (
	few => [ '', 'INSERT INTO @ SELECT g, g % 7 FROM generate_series(1, 50) g' ],
	enough => [ '', 'INSERT INTO @ SELECT g, g % 7 FROM generate_series(1, 51) g' ],
	undone => [ '', 'BEGIN; INSERT INTO @ SELECT g, g % 7 FROM generate_series(1, 500) g; ROLLBACK' ],
	updated => [ '', 'INSERT INTO @ SELECT g, 0 FROM generate_series(1, 30) g; UPDATE @ SET n = 1' ],
	deleted => [ '', 'INSERT INTO @ SELECT g, 0 FROM generate_series(1, 30) g; DELETE FROM @ WHERE k <= 21' ],
	off => [ 'autovacuum_enabled = off', 'INSERT INTO @ SELECT g, 0 FROM generate_series(1, 1000) g' ],
	toast_off => [ 'toast.autovacuum_enabled = off', 'INSERT INTO @ SELECT g, 0 FROM generate_series(1, 1000) g' ],
	early => [ 'autovacuum_analyze_threshold = 5', 'INSERT INTO @ SELECT g, 0 FROM generate_series(1, 6) g' ],
	late => [ 'autovacuum_analyze_threshold = 2000', 'INSERT INTO @ SELECT g, 0 FROM generate_series(1, 2000) g' ],
	copied => [ '', q{COPY @ (k) FROM PROGRAM 'seq 1 60'} ],
);
my @tables = map { ("$_\_f", "$_\_h") } sort keys %pairs;
my $definitions = '';
my $changes = '';
for my $name (sort keys %pairs)
{
	my ($with, $change) = @{ $pairs{$name} };
	for my $kind ('f', 'h')
	{
		my $am = $kind eq 'f' ? 'nvmkv' : 'heap';
		$definitions .= "CREATE TABLE ${name}_$kind (k int PRIMARY KEY, n int) USING $am" . ($with ne '' ? " WITH ($with)" : '') . ';';
		$changes .= $change =~ s/\@/${name}_$kind/gr . ";\n";
	}
}
sql($definitions);
sql($changes);
wait_for_round();
wait_for_round();
my $h_counts = sql(q{SELECT string_agg(replace(relname, '_h', '') || ' ' || pg_stat_get_autoanalyze_count(oid), ', ' ORDER BY relname)
	FROM pg_class WHERE relname ~ '_h$' AND relkind = 'r' AND relname <> 'mark_h'});
my $f_counts = sql(q{SELECT string_agg(replace(relname, '_f', '') || ' ' || autoanalyze_count, ', ' ORDER BY relname)
	FROM nvmkv.stat_tables WHERE relname ~ '_f$' AND relname <> 'mark_f'});
is($f_counts, $h_counts, 'the same tables are analyzed as of heap tables');
is($h_counts, 'copied 1, deleted 1, early 1, enough 1, few 0, late 0, off 0, toast_off 1, undone 0, updated 1', 'namely');

is(sql(q{SELECT analyze_count, last_analyze IS NULL, last_autoanalyze > now() - interval '1 day', n_mod_since_analyze
	FROM nvmkv.stat_tables WHERE relname = 'enough_f'}), '0|t|t|0', 'the counters say that autovacuum did it');
is(sql(q{SELECT reltuples, relpages > 0 FROM pg_class WHERE relname = 'enough_f'}), '51|t', 'and pg_class has the size');
is(sql(q{SELECT attname, n_distinct FROM pg_stats WHERE tablename = 'enough_f' ORDER BY 1}), "k|-1\nn|-0.13725491", 'there are statistics');
sql('ANALYZE enough_f');
is(sql(q{SELECT analyze_count, autoanalyze_count FROM nvmkv.stat_tables WHERE relname = 'enough_f'}), '1|1', 'an ANALYZE of somebody is another one');

# What changes next is set beside the number of rows that the last one has found.
for my $kind ('f', 'h')
{
	sql("INSERT INTO late_$kind VALUES (0, 0)");
}
wait_for_round();
wait_for_round();
is(counts('late_f', 'late_h'), 'late_f 1, late_h 1', 'one row more than the threshold');
sql("INSERT INTO late_$_ SELECT g, 0 FROM generate_series(2001, 4100) g") for 'f', 'h';
wait_for_round();
wait_for_round();
is(counts('late_f', 'late_h'), 'late_f 1, late_h 1', 'now it is the threshold and a tenth of the rows');
sql("INSERT INTO late_$_ SELECT g, 0 FROM generate_series(4101, 4250) g") for 'f', 'h';
wait_for(analyzed('late_f', 2) . ' AND ' . analyzed('late_h', 2), 'and with more than that they are analyzed again');

# ---- switches, and where they are kept

is(sql(q{SELECT ftoptions FROM pg_foreign_table WHERE ftrelid = 'off_f'::regclass}), '{autovacuum_enabled=off,primary_key=k}',
	'a storage parameter is an option of the table');
sql("ALTER TABLE off_$_ SET (autovacuum_enabled, fillfactor = 90), ALTER n SET DEFAULT 3") for 'f', 'h';
wait_for(analyzed('off_f') . ' AND ' . analyzed('off_h'), 'switched on again');
is(sql(q{SELECT ftoptions FROM pg_foreign_table WHERE ftrelid = 'off_f'::regclass}), '{autovacuum_enabled=true,primary_key=k}', 'by ALTER TABLE');
sql(q{ALTER TABLE off_f RESET (autovacuum_enabled, autovacuum_vacuum_cost_delay)});
is(sql(q{SELECT ftoptions FROM pg_foreign_table WHERE ftrelid = 'off_f'::regclass}), '{primary_key=k}', 'RESET');
sql(q{ALTER FOREIGN TABLE off_f OPTIONS (ADD autovacuum_enabled 'false', ADD autovacuum_analyze_threshold '7')});
fails($node, $_->[0], $_->[1], $_->[0]) for
	[ q{ALTER FOREIGN TABLE off_f OPTIONS (SET autovacuum_enabled 'perhaps')}, qr/22023: +invalid value for boolean option "autovacuum_enabled": perhaps/ ],
	[ q{ALTER TABLE off_f SET (autovacuum_analyze_threshold = -1)}, qr/22023: +value -1 out of bounds for option "autovacuum_analyze_threshold"/ ],
	[ q{CREATE FOREIGN TABLE x (a int) SERVER nvmkv OPTIONS (autovacuum_vacuum_threshold '5')}, qr/HV00D: +invalid option "autovacuum_vacuum_threshold"/ ];
sql(q{ALTER TABLE off_f SET ACCESS METHOD heap});
is(sql(q{SELECT reloptions FROM pg_class WHERE relname = 'off_f'}), '{autovacuum_enabled=false,autovacuum_analyze_threshold=7}',
	'a table that becomes a heap table keeps them');
sql(q{ALTER TABLE off_f SET (fillfactor = 70, autovacuum_analyze_threshold = 8), SET ACCESS METHOD nvmkv});
is(sql(q{SELECT ftoptions FROM pg_foreign_table WHERE ftrelid = 'off_f'::regclass}),
	'{primary_key=k,autovacuum_enabled=false,autovacuum_analyze_threshold=8}', 'and back');

# ---- parts, and what is not analyzed

sql(q{
	CREATE TABLE parted (k int, n int) PARTITION BY RANGE (k);
	CREATE TABLE part_f PARTITION OF parted FOR VALUES FROM (0) TO (1000) USING nvmkv;
	CREATE TABLE part_h PARTITION OF parted FOR VALUES FROM (1000) TO (2000) USING heap;
	INSERT INTO parted SELECT g, g FROM generate_series(900, 1099) g});
wait_for(analyzed('part_f') . ' AND ' . analyzed('part_h'), 'partitions');
is(counts('parted'), 'parted 0', 'not the partitioned table');

# ---- costs

# A function of an index that tells what ANALYZE goes by, in the order of the tables.
sql(q{
	CREATE FUNCTION tell(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
	BEGIN
		IF n < 0 THEN
			RAISE LOG 'costs of %: %, %', n, current_setting('vacuum_cost_delay'), current_setting('vacuum_cost_limit');
		END IF;
		RETURN n;
	END $$;
	CREATE TABLE slow_f (k int, n int) USING nvmkv WITH (autovacuum_vacuum_cost_delay = 7, autovacuum_vacuum_cost_limit = 99, autovacuum_enabled = off);
	CREATE TABLE usual_f (k int, n int) USING nvmkv WITH (autovacuum_enabled = off);
	CREATE INDEX ON slow_f (tell(n));
	CREATE INDEX ON usual_f (tell(n));
	INSERT INTO slow_f SELECT g, CASE g WHEN 1 THEN -1 ELSE g END FROM generate_series(1, 60) g;
	INSERT INTO usual_f SELECT g, CASE g WHEN 1 THEN -2 ELSE g END FROM generate_series(1, 60) g});
my $size = -s $node->logfile;
sql('ALTER TABLE slow_f RESET (autovacuum_enabled); ALTER TABLE usual_f RESET (autovacuum_enabled)');
wait_for(analyzed('slow_f') . ' AND ' . analyzed('usual_f'), 'with costs of its own, and without');
my $log = substr(slurp_file($node->logfile), $size);
like($log, qr/costs of -1: 7ms, 99/, 'those of the table');
like($log, qr/costs of -2: 2ms, 200/, q{those of autovacuum, after another table's});

# ---- an error, a lock, somebody who waits

# A function of an index that only a worker which analyzes stumbles over; a session that sleeps in it has the table locked.
sql(q{
	CREATE ROLE owner;
	CREATE FUNCTION is_worker() RETURNS bool LANGUAGE sql SECURITY DEFINER AS $$
		SELECT backend_type = 'nvmkv_fdw analyze worker' FROM pg_stat_activity WHERE pid = pg_backend_pid() $$;
	CREATE FUNCTION stumble(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
	BEGIN
		IF public.is_worker() THEN
			IF n < 0 THEN RAISE 'stumbled as %', current_user; END IF;
			PERFORM pg_sleep(3600);
		END IF;
		RETURN n;
	END $$;
	CREATE TABLE bad_f (k int, n int) USING nvmkv;
	CREATE TABLE worse_f (k int, n int) USING nvmkv;
	CREATE TABLE good_f (k int, n int) USING nvmkv;
	ALTER TABLE bad_f OWNER TO owner;
	CREATE INDEX ON bad_f (stumble(n));
	CREATE INDEX ON worse_f (stumble(n))});
$size = -s $node->logfile;
sql(q{INSERT INTO bad_f SELECT g, -g FROM generate_series(1, 100) g; INSERT INTO good_f SELECT g, g FROM generate_series(1, 100) g});
wait_for(analyzed('good_f'), 'an error with one table does not keep others from being analyzed');
wait_for_round();
$log = substr(slurp_file($node->logfile), $size);
like($log, qr/ERROR: +stumbled as owner\n.*CONTEXT:(?:.*\n)*.*automatic analyze of table "postgres\.public\.bad_f"/, 'it is told; functions run as the owner');
like($log, qr/LOG: +automatic analyze of table "postgres\.public\.good_f"\n.*system usage: CPU/, 'and so is success');
is(sql(q{SELECT pg_stat_get_mod_since_analyze('bad_f'::regclass)}), '100', 'its changes are still counted');
sql('ALTER TABLE bad_f SET (autovacuum_enabled = off)');

my $locked = $node->background_psql('postgres', on_error_stop => 1);
$locked->query_safe('BEGIN; LOCK TABLE good_f IN SHARE UPDATE EXCLUSIVE MODE');
sql(q{INSERT INTO good_f SELECT g, g FROM generate_series(1, 100) g});
$size = -s $node->logfile;
wait_for_round();
wait_for_round();
is(counts('good_f'), 'good_f 1', 'a table that is locked is left for later');
like(substr(slurp_file($node->logfile), $size), qr/LOG: +skipping analyze of "good_f" --- lock not available/, 'which is told');
$locked->query_safe('COMMIT');
$locked->quit;
wait_for(analyzed('good_f', 2), 'and comes when it is not');

sql(q{INSERT INTO worse_f SELECT g, g FROM generate_series(1, 100) g});
my $stuck = q{EXISTS (SELECT FROM pg_stat_activity AS a JOIN pg_stat_progress_analyze AS p USING (pid) WHERE a.wait_event = 'PgSleep' AND a.query ~ '^autovacuum: ANALYZE public.worse_f' AND p.relid = 'worse_f'::regclass)};
wait_for($stuck, 'its progress is shown');
$size = -s $node->logfile;
sql('ALTER TABLE worse_f ADD COLUMN m int');
pass('who wants to change the table waits no longer than deadlock_timeout');
like(substr(slurp_file($node->logfile), $size), qr/ERROR: +canceling statement due to user request\n(?:.*\n)*.*automatic analyze of table "postgres\.public\.worse_f"/,
	'ANALYZE is cancelled');

# ---- databases

# The worker is stuck in this one.
sql('ALTER TABLE worse_f SET (autovacuum_enabled = off)');
for my $how (q{DROP DATABASE}, q{CREATE DATABASE copy TEMPLATE})
{
	sql('CREATE DATABASE other');
	$node->safe_psql('other', q{
		CREATE EXTENSION nvmkv_fdw;
		CREATE FUNCTION stumble(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
		BEGIN
			IF EXISTS (SELECT FROM pg_stat_activity WHERE pid = pg_backend_pid() AND backend_type = 'nvmkv_fdw analyze worker') THEN
				PERFORM pg_sleep(3600);
			END IF;
			RETURN n;
		END $$;
		CREATE TABLE t (k int, n int) USING nvmkv;
		CREATE INDEX ON t (stumble(n));
		ALTER DATABASE other SET default_transaction_read_only = on;
		ALTER DATABASE other SET lock_timeout = '1ms';
		DO $$ BEGIN
			IF current_setting('transaction_timeout', true) IS NOT NULL THEN
				ALTER DATABASE other SET transaction_timeout = '10ms';
			END IF;
		END $$;
		INSERT INTO t SELECT g, g FROM generate_series(1, 100) g});
	$size = -s $node->logfile;
	wait_for(q{EXISTS (SELECT FROM pg_stat_activity WHERE datname = 'other' AND wait_event = 'PgSleep' AND query ~ '^autovacuum: ')}, 'another database');
	sql("$how other");
	pass("$how does not wait");
	unlike(substr(slurp_file($node->logfile), $size), qr/transaction timeout/, 'what the database sets for sessions is not for the worker');
	sql('DROP DATABASE other') if $how =~ /^CREATE/;
}
sql('CREATE DATABASE without');
$node->safe_psql('without', 'CREATE EXTENSION nvmkv_fdw; CREATE TABLE t (k int) USING nvmkv; INSERT INTO t SELECT generate_series(1, 100)');
$node->safe_psql('without', 'DROP EXTENSION nvmkv_fdw CASCADE');
$size = -s $node->logfile;
sql('INSERT INTO good_f SELECT g, g FROM generate_series(1, 100) g');
wait_for(analyzed('good_f', 3), 'workers go on');
wait_for_round();
unlike(substr(slurp_file($node->logfile), $size), qr/ERROR|FATAL/, 'also where the extension was dropped');

# ---- settings

$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->reload;
wait_for(q{NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'autovacuum launcher')}, 'autovacuum is off');
wait_for(q{state = 'idle' FROM nvmkv.stat_workers WHERE role = 'analyze'}, 'and so is ours');
my $steps = q{SELECT steps FROM nvmkv.stat_workers WHERE role = 'analyze'};
my $before = sql($steps);
sql('INSERT INTO good_f SELECT g, g FROM generate_series(1, 200) g');
$node->append_conf('postgresql.conf', "autovacuum = on\ntrack_counts = off");
$node->reload;
wait_for(q{current_setting('track_counts') = 'off'}, 'without counters');
is(sql($steps), $before, 'nothing is done meanwhile');
$node->append_conf('postgresql.conf', 'track_counts = on');
$node->reload;
wait_for(analyzed('good_f', 4), 'on again');

# ---- death, a standby, promotion

$node->backup('b');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'b', has_streaming => 1);
$standby->start;

my $launcher = sql(q{SELECT pid FROM nvmkv.stat_workers WHERE role = 'analyze'});
kill 'KILL', $launcher;
$node->poll_query_until('postgres', "SELECT pid <> $launcher FROM nvmkv.stat_workers WHERE role = 'analyze'") or die 'not restarted';
sql('CREATE TABLE after_f (k int) USING nvmkv; INSERT INTO after_f SELECT generate_series(1, 100)');
wait_for(analyzed('after_f'), 'a launcher that was killed comes back with the server');
$node->restart;
sql('INSERT INTO after_f SELECT generate_series(1, 200)');
wait_for(analyzed('after_f', 2), 'after a restart');

$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'nvmkv_fdw analyze'}), '0', 'there is none on a standby');
is($standby->safe_psql('postgres', q{SELECT reltuples FROM pg_class WHERE relname = 'after_f'}), '300', 'which has the statistics of the primary');
$node->stop;
$standby->promote;
$standby->safe_psql('postgres', 'INSERT INTO after_f SELECT generate_series(1, 400)');
ok($standby->poll_query_until('postgres', q{SELECT autoanalyze_count > 0 FROM nvmkv.stat_tables WHERE relname = 'after_f'}), 'once it is promoted it has one');
$standby->stop;
done_testing();
