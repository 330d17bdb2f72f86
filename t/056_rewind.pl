# pg_rewind from a server that is written, flushed and compacted meanwhile, a primary or a standby.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $rounds = $ENV{NVMKV_COPY_ROUNDS} // 1;
# No limit of what is kept for a copy: on a busy machine pg_rewind may take long, and the tables are compacted over and over.
my @nodes = (new_server('a', wal_keep_size => '1GB', wal_log_hints => 'on', 'nvmkv.l0_write_amplification' => 1.5,
	'nvmkv.copy_space_limit' => 0));

make_twins($nodes[0]);
$nodes[0]->backup('base');
push @nodes, PostgreSQL::Test::Cluster->new('b');
$nodes[1]->init_from_backup($nodes[0], 'base', has_streaming => 1);
$nodes[1]->start;

# The standby takes over while the old primary goes on for a while; then that is made a standby of the new one, by pg_rewind
# from that one or from another standby, "third".
sub turn
{
	my ($what, $stop_mode, $third) = @_;
	my ($old, $new) = @nodes;
	my $source = $third // $new;
	my ($out, $err) = ('', '');

	$old->wait_for_catchup($new, 'replay', $old->lsn('insert'));
	$new->promote;
	$old->safe_psql('postgres', 'UPDATE f SET n = n + 1000 WHERE k % 7 = 0; CHECKPOINT; DELETE FROM f WHERE k % 11 = 0');
	if (defined $third)
	{
		# Its control file has to know the new timeline.
		$new->safe_psql('postgres', 'CHECKPOINT');
		$new->wait_for_catchup($third, 'replay', $new->lsn('insert'));
		$third->safe_psql('postgres', 'CHECKPOINT');
	}
	my $writer = start_writing($new);
	$old->stop($stop_mode);
	if ($stop_mode eq 'immediate')
	{
		# pg_rewind would have it recover in single-user mode first; this is the same by other means.
		$old->start;
		$old->stop('fast');
	}
	my $busy = IPC::Run::start([ 'psql', '-X', '-d', $source->connstr('postgres'), '-c',
			q{DO $$BEGIN LOOP PERFORM nvmkv.compact(); END LOOP; END$$} ], '>', \$out, '2>', \$err);
	ok(run_log([ 'pg_rewind', '-D', $old->data_dir, '--source-server', $source->connstr('postgres'), '--no-sync' ]), "$what: pg_rewind")
		or BAIL_OUT("$what: what pg_rewind left is no server");
	$old->append_conf('postgresql.conf', join("\n", 'port = ' . $old->port, "unix_socket_directories = '" . $old->host . "'", ''));
	$old->enable_streaming($new);
	$old->set_standby_mode;
	$old->start;
	$new->wait_for_catchup($old, 'replay', $new->lsn('insert'));
	twins_agree($old, $what);
	stop_writing($new, $writer);
	stop_writing($source) if defined $third;
	$busy->finish;
	$new->wait_for_catchup($old, 'replay', $new->lsn('insert'));
	is($old->safe_psql('postgres', 'SELECT count(*), sum(n), sum(length(pad)) FROM f'),
		$new->safe_psql('postgres', 'SELECT count(*), sum(n), sum(length(pad)) FROM f'), "$what: both have the same");
	@nodes = ($new, $old);
	return;
}

turn("round $_", $_ % 2 == 0 ? 'immediate' : 'fast') for 1 .. $rounds;

$nodes[1]->backup('third');
my $third = PostgreSQL::Test::Cluster->new('third');
$third->init_from_backup($nodes[1], 'third', has_streaming => 1);
$third->start;
turn('from a standby', 'immediate', $third);
$nodes[0]->wait_for_catchup($third, 'replay', $nodes[0]->lsn('insert'));
twins_agree($third, 'the standby it came from');
$third->stop;
$nodes[1]->stop;
$nodes[0]->stop;
done_testing();
