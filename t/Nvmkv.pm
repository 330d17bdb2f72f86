# What the TAP tests share: servers with nvmkv_fdw preloaded.
package Nvmkv;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run;
use OnePsql;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(consume_xids fails freeze_all has_commit_log make_twins new_server parallel_always segment_start set_next_xid settings
	sound start_after_kill start_writing stop_writing twins_agree wait_for_death);

# Lines of postgresql.conf; a little memory and a small container, so that little data flushes and compacts.
# Named settings replace these: settings('nvmkv.nvm_size' => '8MB').
sub settings
{
	my %settings = (
		shared_preload_libraries => 'nvmkv_fdw',
		max_prepared_transactions => 10,
		max_standby_streaming_delay => -1, # however slow a machine is, no query is cancelled by what is replayed
		'nvmkv.write_buffer_size' => '1MB',
		'nvmkv.max_write_buffers' => 4,
		'nvmkv.nvm_size' => '16MB',
		'nvmkv.target_file_size' => '1MB',
		@_);

	return join '', map { "$_ = '$settings{$_}'\n" } sort keys %settings;
}

# Makes the cluster of a node.  A test's first ones are copies of those of NVMKV_TEMPLATE, if there are any, which takes a
# moment; they have system identifiers of their own, as those that are made by initdb.  All can hold every character, whatever
# the locale of who runs the test.
$ENV{LANG} //= 'C.UTF-8';
my @templates = defined $ENV{NVMKV_TEMPLATE} ? glob("$ENV{NVMKV_TEMPLATE}.*") : ();
my $run = \&PostgreSQL::Test::Utils::system_or_bail;

sub make_cluster
{
	my (@command) = @_;

	# Version 18 spells the options out.
	return $run->(@command)
		if !@templates || "@command" !~ /^initdb (?:-D (\S+) -A trust -N|--no-sync --pgdata (\S+) --auth trust)$/;
	return $run->('cp', '-a', shift @templates, $1 // $2);
}

{
	no warnings 'redefine';
	*PostgreSQL::Test::Utils::system_or_bail = \&make_cluster;
}

# A started server with the extension in database postgres: new_server(name, setting => value, ...)
sub new_server
{
	my ($name, %settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(allows_streaming => 1);
	$node->append_conf('postgresql.conf', settings(%settings));
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION nvmkv_fdw');
	return $node;
}

# A statement that makes the planner always choose a parallel plan ('on'), or as it likes: the setting has a new name from
# version 16 on.
sub parallel_always
{
	my ($value) = @_;

	return "SELECT set_config(name, '$value', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query')";
}

# Is this process gone, or dead and only not waited for?
sub is_dead
{
	my ($pid) = @_;
	open(my $status, '<', "/proc/$pid/status") or return 1;

	return scalar grep { /^State:\s*Z/ } <$status>;
}

# Starts a server whose postmaster was killed, as soon as the processes it left have gone.  Lock files that name a
# process nobody has waited for are removed: where there is no init process it stays in the process table.
sub start_after_kill
{
	my ($node) = @_;

	wait_for_death($node);
	$node->start;
	return;
}

sub wait_for_death
{
	my ($node) = @_;
	my $data = $node->data_dir;
	my ($pid) = slurp_file("$data/postmaster.pid") =~ /^(\d+)/;

	for (1 .. 600)
	{
		last if is_dead($pid) && !grep { (readlink($_) // '') eq $data } glob('/proc/[0-9]*/cwd');
		select(undef, undef, undef, 0.1);
	}
	unlink "$data/postmaster.pid", $node->host . '/.s.PGSQL.' . $node->port . '.lock' if is_dead($pid);
	return;
}

# A statement that must fail: what the server says, with the SQLSTATE before the message, matches.
sub fails
{
	my ($node, $sql, $expected, $name, $database) = @_;
	my ($out, $err) = ('', '');
	my $rc = $node->psql($database // 'postgres', $sql, stdout => \$out, stderr => \$err,
		extra_params => [ '-v', 'VERBOSITY=verbose' ]);

	isnt($rc, 0, "$name: refused");
	like($err, $expected, $name);
	return;
}

# Does the engine find itself sound?
sub sound
{
	my ($node, $name) = @_;

	is($node->safe_psql('postgres', 'SELECT * FROM nvmkv.check()'), '', $name);
	return;
}

# A foreign table f and a heap table h that change together, so that they are equal in every snapshot, and a procedure
# that changes them for ever, with pauses: as much as a server flushes and compacts at ease, not all that the machine can.
sub make_twins
{
	my ($node, $rows) = @_;

	$rows //= 20000;
	$node->safe_psql('postgres', qq{
		CREATE FOREIGN TABLE f (k int NOT NULL, n int, pad text) SERVER nvmkv OPTIONS (primary_key 'k');
		CREATE TABLE h (k int PRIMARY KEY, n int);
		INSERT INTO f SELECT g, 0, repeat('x', 300 + g % 10 * 150) FROM generate_series(1, $rows) g;
		INSERT INTO h SELECT g, 0 FROM generate_series(1, $rows) g;
		CREATE PROCEDURE work() LANGUAGE plpgsql AS \$\$
			DECLARE key int;
			BEGIN
				LOOP
					FOR i IN 1 .. 100 LOOP
						key := 1 + floor(random() * $rows);
						UPDATE f SET n = n + 1, pad = repeat(md5(random()::text), 10 + key % 40) WHERE k = key;
						UPDATE h SET n = n + 1 WHERE k = key;
					END LOOP;
					COMMIT;
					PERFORM pg_sleep(0.02);
				END LOOP;
			END
		\$\$;
	});
	return;
}

sub start_writing
{
	my ($node) = @_;
	my ($out, $err) = ('', '');
	my $writer = IPC::Run::start([ 'psql', '-X', '-d', $node->connstr('postgres'), '-c', 'CALL work()' ], '>', \$out, '2>', \$err);

	$node->poll_query_until('postgres', 'SELECT sum(n) > 300 FROM h') or die 'the writer does not work';
	return $writer;
}

sub stop_writing
{
	my ($node, $writer) = @_;

	$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL work%' OR backend_type = 'client backend' AND pid <> pg_backend_pid()});
	$writer->finish if defined $writer;
	return;
}

sub twins_agree
{
	my ($node, $name) = @_;

	is($node->safe_psql('postgres', 'SELECT count(*) FROM f FULL JOIN h USING (k) WHERE f.n IS DISTINCT FROM h.n'), '0', "$name: the tables agree");
	sound($node, "$name: the engine is sound");
	return;
}

# ---- transaction ids and the commit log

# The first transaction id of the file of the commit log that is so many files ahead of the next one's.
sub segment_start
{
	my ($node, $ahead) = @_;
	my $next = $node->safe_psql('postgres', 'SELECT pg_snapshot_xmax(pg_current_snapshot())');

	return (($next >> 20) + $ahead) << 20;
}

# The name of the file with this transaction.
sub segment_name
{
	my ($node, $xid) = @_;

	return sprintf '%04X', ($xid & 0xffffffff) >> 20;
}

# Is the file of the commit log with this transaction there?
sub has_commit_log
{
	my ($node, $xid) = @_;

	return -e $node->data_dir . '/pg_xact/' . segment_name($node, $xid);
}

# Restarts the server with another next transaction id; no commit log is made for those left out.
sub set_next_xid
{
	my ($node, $xid) = @_;
	my $file = $node->data_dir . '/pg_xact/' . segment_name($node, $xid);

	$node->stop;
	system_or_bail('pg_resetwal', '-x', $xid & 0xffffffff, $node->data_dir);
	append_to_file($file, "\0" x (262144 - (-s $file // 0)));
	$node->start;
	return;
}

# Transactions that do nothing.
sub consume_xids
{
	my ($node, $count) = @_;

	$node->safe_psql('postgres',
		"DO \$\$ BEGIN FOR i IN 1 .. $count LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END \$\$");
	return;
}

# Freezes all there is, once what has ended is settled: nothing keeps commit log then but what runs or is prepared.
sub freeze_all
{
	my ($node) = @_;

	$node->safe_psql('postgres', 'ALTER DATABASE template0 ALLOW_CONNECTIONS true');
	$node->poll_query_until('postgres', q{
		SELECT settled = pg_snapshot_xmin(pg_current_snapshot())::text::bigint FROM nvmkv.stat_outcomes})
	  or die 'outcomes are not settled';
	$node->safe_psql($_, 'VACUUM (FREEZE)') foreach qw(template0 template1 postgres);
	return;
}

1;
