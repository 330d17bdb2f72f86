# What a program saw on heap tables and on nvmkv tables: compare.pl PART CAUSES HEAP NVMKV
#
# Both files have steps: a line "# NAME", and below it what was seen. A step is right if nothing in it begins with FAILED, and
# both have the same; or if a line of CAUSES says where they differ:
#
#   heading of doc/limits.md <tab> part <tab> step <tab> pattern of what is seen on heap tables <tab> of what is seen on nvmkv tables
#
# Lines that fit are left out of the step on that side, and there must be some, unless the pattern is "-".
# Prints what is wrong, and on the last line how many steps passed and failed.
use strict;
use warnings;

my ($part, $causes, @files) = @ARGV;

# Steps of a file, by name, and the names in their order.
sub steps
{
	my ($file) = @_;
	my (%step, @names, $name);
	open(my $in, '<', $file) or die "$file: $!";
	while (<$in>)
	{
		chomp;
		s/on_(heap|nvmkv)/ROLE/g;
		if (/^# (.*)/) { $name = $1; push @names, $name unless $step{$name}; $step{$name} //= [] }
		elsif (defined $name) { push @{ $step{$name} }, $_ }
	}
	return (\%step, \@names);
}

my %may;
open(my $in, '<', $causes) or die "$causes: $!";
while (<$in>)
{
	chomp;
	next if /^(#|$)/;
	my ($heading, $of, $step, @patterns) = split /\t/;
	push @{ $may{$step} }, \@patterns if $of eq $part;
}

my ($heap, $names) = steps($files[0]);
my ($nvmkv, $others) = steps($files[1]);
my ($passed, $failed) = (0, 0);
for my $name (@$names, grep { !$heap->{$_} } @$others)
{
	my @heap = @{ $heap->{$name} // ['FAILED: no such step'] };
	my @nvmkv = @{ $nvmkv->{$name} // ['FAILED: no such step'] };
	my @wrong;
	for my $patterns (@{ delete $may{$name} // [] })
	{
		for ([ heap => \@heap, $patterns->[0] ], [ nvmkv => \@nvmkv, $patterns->[1] ])
		{
			my ($side, $lines, $pattern) = @$_;
			next if $pattern eq '-';
			push @wrong, "$side: nothing fits $pattern" unless grep { /$pattern/ } @$lines;
			@$lines = grep { !/$pattern/ } @$lines;
		}
	}
	push @wrong, map { "heap:  $_" } grep { /^FAILED/ } @heap;
	push @wrong, map { "nvmkv: $_" } grep { /^FAILED/ } @nvmkv;
	if (!@wrong && join("\n", @heap) ne join("\n", @nvmkv))
	{
		my (%heap, %nvmkv);
		$heap{$_}++ for @heap;
		$nvmkv{$_}++ for @nvmkv;
		push @wrong, map { "heap:  $_" } grep { !$nvmkv{$_} } @heap;
		push @wrong, map { "nvmkv: $_" } grep { !$heap{$_} } @nvmkv;
		push @wrong, "the same lines in another order, or so many times" unless @wrong;
	}
	@wrong ? $failed++ : $passed++;
	print "$part: $name\n", map { "    | $_\n" } @wrong if @wrong;
}
for my $name (sort keys %may)
{
	print "$part: $causes knows a step \"$name\" that is not there\n";
	$failed++;
}
print "$passed $failed\n";
