# Random queries and changes on heap tables and on nvmkv tables of one server: rows, their order where it counts, SQLSTATEs
# and warnings must be the same, and no error internal.
#
# The program is in test/query; scripts/check.sh builds it.  NVMKV_QUERY_SECONDS=n goes on for n seconds; NVMKV_SEED=n
# begins with that seed.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'nvmkv_queries is not in the path: scripts/check.sh builds it'
  unless grep { -x "$_/nvmkv_queries" } split /:/, $ENV{PATH};

my $seconds = $ENV{NVMKV_QUERY_SECONDS};
my $seed = $ENV{NVMKV_SEED} // 1;
my $runs = 0;
my $node = new_server('main', fsync => 'off', autovacuum => 'off', log_statement => 'none', log_min_messages => 'fatal',
	max_connections => 30);

# Runs the program.  Returns its exit code and what it said.
sub run_queries
{
	my (@options) = @_;
	my $connstr = $node->connstr('postgres');
	my $log = "$PostgreSQL::Test::Utils::log_path/" . ++$runs . '_queries.log';

	IPC::Run::run([ 'nvmkv_queries', "--db=$connstr", "--seed=$seed", @options ], '>', $log, '2>&1');
	my $rc = $? >> 8;
	my $out = slurp_file($log);

	note('nvmkv_queries: ' . (($out =~ /^(seeds .*)$/m)[0] // 'no summary') . " (@options)");
	return ($rc, $out);
}

my ($rc, $out) = run_queries('--count=1', '--twin=heap');
is($rc, 0, 'heap tables answer as heap tables') or diag($out);

($rc, $out) = run_queries('--count=20', '--twin=short', '--stop', '--reduce=0');
is($rc, 1, 'rows that are missing are noticed');

($rc, $out) = run_queries($seconds ? "--seconds=$seconds" : '--count=6');
is($rc, 0, 'nvmkv tables answer as heap tables') or diag($out);

sound($node, 'the engine is sound');
$node->stop;
done_testing();
