# Files that releases of the extension have written: t/release_VERSION.tar.xz, made by scripts/release_tests.sh --archive.
# They are sound, and their rows are those that heap tables had beside them.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my @archives = glob("$FindBin::RealBin/release_*.tar.xz");

sub sorted_lines { return join '', sort split /^/, slurp_file($_[0]) }

sub run_or_die
{
	my $said = '';

	IPC::Run::run([@_], '>&', \$said) or die "@_: $said";
	return $said;
}

cmp_ok(scalar @archives, '>', 0, 'there are releases');
for my $archive (@archives)
{
	my ($version) = $archive =~ /release_(.*)\.tar\.xz$/;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my ($tables, @different) = (0);

	run_or_die('tar', '-C', $dir, '-xJf', $archive);
	like(run_or_die('nvmkv_dump', 'check', "$dir/nvmkv"), qr/, rows [1-9]\d*, .*: 0 problems$/m, "$version: sound");
	mkdir "$dir/salvaged";
	run_or_die('nvmkv_dump', 'salvage', "$dir/nvmkv", '--to', "$dir/salvaged");
	for my $expected (glob("$dir/expected/*"))
	{
		my ($name) = $expected =~ m{/([^/]+)$};
		my ($salvaged) = glob("$dir/salvaged/*.ours.$name.*.copy");

		$tables++;
		push @different, $name if !defined $salvaged || sorted_lines($salvaged) ne sorted_lines($expected);
	}
	cmp_ok($tables, '>', 60, "$version: tables");
	is("@different", '', "$version: their rows");
}

done_testing();
