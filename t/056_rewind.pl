# pg_rewind from a server that is written, flushed and compacted meanwhile; and what an unknown copier gets.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rounds = $ENV{NVMKV_COPY_ROUNDS} // 2;
my @nodes = (new_server('a', wal_keep_size => '1GB', wal_log_hints => 'on', 'nvmkv.l0_write_amplification' => 1.5));

make_twins($nodes[0]);
$nodes[0]->backup('base');
push @nodes, PostgreSQL::Test::Cluster->new('b');
$nodes[1]->init_from_backup($nodes[0], 'base', has_streaming => 1);
$nodes[1]->start;

# The standby takes over while the old primary goes on for a while; then that is made a standby of the new one.
my $writer;
for my $round (1 .. $rounds)
{
	my ($old, $new) = @nodes;
	my ($out, $err) = ('', '');

	$old->wait_for_catchup($new, 'replay', $old->lsn('insert'));
	$new->promote;
	$old->safe_psql('postgres', 'UPDATE f SET n = n + 1000 WHERE k % 7 = 0; CHECKPOINT; DELETE FROM f WHERE k % 11 = 0');
	$writer = start_writing($new);
	$old->stop($round % 2 == 0 ? 'immediate' : 'fast');
	if ($round % 2 == 0)
	{
		# pg_rewind would have it recover in single-user mode first; this is the same by other means.
		$old->start;
		$old->stop('fast');
	}
	my $busy = IPC::Run::start([ 'psql', '-X', '-d', $new->connstr('postgres'), '-c',
			q{DO $$BEGIN LOOP PERFORM nvmkv.compact(); END LOOP; END$$} ], '>', \$out, '2>', \$err);
	command_ok([ 'pg_rewind', '-D', $old->data_dir, '--source-server', $new->connstr('postgres'), '--no-sync' ], "round $round: pg_rewind");
	$old->append_conf('postgresql.conf', join("\n", 'port = ' . $old->port, "unix_socket_directories = '" . $old->host . "'", ''));
	$old->enable_streaming($new);
	$old->set_standby_mode;
	$old->start;
	$new->wait_for_catchup($old, 'replay', $new->lsn('insert'));
	twins_agree($old, "round $round");
	stop_writing($new, $writer);
	$busy->finish;
	$new->wait_for_catchup($old, 'replay', $new->lsn('insert'));
	is($old->safe_psql('postgres', 'SELECT count(*), sum(n), sum(length(pad)) FROM f'),
		$new->safe_psql('postgres', 'SELECT count(*), sum(n), sum(length(pad)) FROM f'), "round $round: both have the same");
	@nodes = ($new, $old);
}
$nodes[1]->stop;
$_->stop for $nodes[0];
done_testing();
