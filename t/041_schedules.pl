# Random schedules of several sessions, step by step on heap tables and on nvmkv tables of one server: what they answer, who
# waits, what fails with which SQLSTATE and which rows there are at the end must be the same.  And random SERIALIZABLE
# transactions: what was committed must be what some order of them gives.
#
# The programs are in test/schedule; scripts/check.sh builds them.  NVMKV_SCHEDULE_SECONDS=n goes on for n seconds with
# each; NVMKV_SEED=n begins with that seed.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'nvmkv_schedules is not in the path: scripts/check.sh builds it'
  unless grep { -x "$_/nvmkv_schedules" } split /:/, $ENV{PATH};

my $seconds = $ENV{NVMKV_SCHEDULE_SECONDS};
my $seed = $ENV{NVMKV_SEED} // 1;
my $runs = 0;
my $node = new_server('main', fsync => 'off', autovacuum => 'off', log_statement => 'none', log_min_messages => 'fatal',
	max_prepared_transactions => 20, max_connections => 30);

# Runs one of the programs; so many schedules, or as long as is wanted.  Returns its exit code and what it said.
sub run_program
{
	my ($program, $count, @options) = @_;
	my $connstr = $node->connstr('postgres');
	my $log = "$PostgreSQL::Test::Utils::log_path/" . ++$runs . "_$program.log";

	IPC::Run::run([ $program, "--db=$connstr", "--seed=$seed", defined $count ? "--count=$count" : "--seconds=$seconds", @options ],
		'>', $log, '2>&1');
	my $rc = $? >> 8;
	my $out = slurp_file($log);

	note("$program: " . (($out =~ /^(seeds .*)$/m)[0] // "no summary") . " (@options)");
	return ($rc, $out);
}

my ($rc, $out) = run_program('nvmkv_schedules', 60, '--twin=heap');
is($rc, 0, 'heap tables answer as heap tables') or diag($out);

($rc, $out) = run_program('nvmkv_schedules', 200, '--twin=lax', '--whole', '--stop');
is($rc, 1, 'transactions that are weaker than they ask for are noticed');

($rc, $out) = run_program('nvmkv_serial', 30, '--table=heap');
is($rc, 0, 'serializable transactions on heap tables have an order') or diag($out);

($rc, $out) = run_program('nvmkv_serial', 200, '--table=lax', '--stop');
is($rc, 1, 'transactions that have none are noticed');

($rc, $out) = run_program('nvmkv_schedules', $seconds ? undef : 100);
is($rc, 0, 'nvmkv tables answer as heap tables') or diag($out);

($rc, $out) = run_program('nvmkv_serial', $seconds ? undef : 60, '--alarms');
is($rc, 0, 'serializable transactions on nvmkv tables have an order') or diag($out);

sound($node, 'the engine is sound');
$node->stop;
done_testing();
