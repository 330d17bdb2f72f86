# What README.md and the pages of doc/ show can be typed: their examples are run, in their order, on a server of each page's own database.
#
# The word after ``` says what a block is:
#   sql           a script of psql's, each in a session of its own. Lines "--> text" are what it prints, all of it but empty
#                 lines; without any nobody looks. Lines "ERROR: ..." and the like are what it complains about
#   sh            commands for a shell, on the server's machine and as its user: PGDATA is the data directory. "#> text" is printed
#   conf          lines of postgresql.conf: the server is restarted with them
#   sh system     concerns the system's own server: scripts/install_tests.sh types what README.md has of these
#   sh checkout   is typed in a checkout, and builds, starts or measures something
#   text, yaml    nothing to type
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($top) = grep { -e "$_/README.md" } "$FindBin::RealBin/..";
my @pages = map { "$top/$_" } 'README.md', map { "doc/$_.md" } qw(tables settings sizing monitoring backup durability changes);
my $archive = PostgreSQL::Test::Utils::tempdir;
my $scratch = PostgreSQL::Test::Utils::tempdir;
my $node = new_server('main', wal_level => 'logical', archive_mode => 'on', archive_command => "cp %p $archive/%f", 'nvmkv.nvm_size' => '64MB',
	'nvmkv.write_buffer_size' => '16MB');

# Blocks: {what, line, lines}; those within a list are indented.
sub blocks_of
{
	my ($page) = @_;
	my (@blocks, $block, $indent);

	open(my $in, '<', $page) or die "$page: $!";
	while (<$in>)
	{
		chomp;
		if ($block && /^\s*```$/) { undef $block }
		elsif ($block) { s/^$indent//; push @{ $block->{lines} }, $_ }
		elsif (/^(\s*)```(.*)$/)
		{
			$indent = $1;
			push @blocks, $block = { what => $2, line => $., lines => [] };
		}
	}
	ok(!$block, "$page: blocks end");
	return @blocks;
}

sub without_empty { return join "\n", grep { /\S/ } split /\n/, $_[0] }

sub run_sql
{
	my ($name, $database, @lines) = @_;
	my @shown = map { /^--> (.*)/ ? $1 : () } @lines;
	my @complaints = grep { /^(ERROR|WARNING|DETAIL|HINT):/ } @lines;
	my $script = join "\n", grep { !/^(-->|(ERROR|WARNING|DETAIL|HINT):)/ } @lines;
	my ($out, $err) = ('', '');

	IPC::Run::run([ 'psql', '-X', '-q', '-A', '-t', '-d', $node->connstr($database) ], '<', \$script, '>', \$out, '2>', \$err);
	is(join("\n", grep { /^(ERROR|WARNING|DETAIL|HINT|psql|FATAL):/ } map { s/^psql:<stdin>:\d+: //r } split /\n/, $err),
		join("\n", @complaints), "$name: complaints");
	is(without_empty($out), join("\n", @shown), "$name: what it prints") if @shown;
	return;
}

sub run_shell
{
	my ($name, $database, @lines) = @_;
	my @shown = map { /^#> (.*)/ ? $1 : () } @lines;
	my $script = join "\n", 'set -e', "cd '$scratch'", grep { !/^#>/ } @lines;
	my ($out, $err) = ('', '');

	local %ENV = ($node->_get_env(), PGDATA => $node->data_dir, PGDATABASE => $database, ARCHIVE => $archive);
	delete $ENV{PGAPPNAME};
	my $done = IPC::Run::run([ 'bash', '-c', $script ], '<', \'', '>', \$out, '2>', \$err);
	ok($done, "$name: is done") or diag("$out\n$err");
	is(without_empty($out), join("\n", @shown), "$name: what it prints") if @shown;
	return;
}

for my $page (@pages)
{
	my ($short) = $page =~ m{([^/]+)\.md$};
	my $database = lc $short;
	my $count = 0;

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, 'CREATE EXTENSION nvmkv_fdw') if $short ne 'README';
	for my $block (blocks_of($page))
	{
		my ($what, @lines) = ($block->{what}, @{ $block->{lines} });
		my $name = "$short, line $block->{line}";

		$count++ if $what =~ /^(sql|sh|conf)$/;
		if ($what eq 'sql') { run_sql($name, $database, @lines) }
		elsif ($what eq 'sh') { run_shell($name, $database, @lines) }
		elsif ($what eq 'conf')
		{
			$node->append_conf('postgresql.conf', join "\n", @lines);
			$node->restart;
			for (@lines)
			{
				my ($setting, $value) = /^\s*([\w.]+)\s*=\s*'?([^'#]*?)'?\s*(#.*)?$/ or next;

				is($node->safe_psql('postgres', "SHOW $setting"), $value, "$name: $setting")
				  if $setting ne 'shared_preload_libraries';
			}
		}
		else { like($what, qr/^(sh system|sh checkout|text|yaml)$/, "$name: says what it is") }
	}
	note("$short: $count blocks were run");
}
$node->stop;
done_testing();
