#!/usr/bin/perl
# Debian package records into files for COPY.
#
#   apt-cache dumpavail | demo_packages.pl available DIR    DIR/package.copy, DIR/dependency.copy
#   demo_packages.pl installed DIR </var/lib/dpkg/status    DIR/installed.copy
#
# A record is a paragraph of "Field: value" lines; a line that starts with a blank continues the field.
use strict;
use warnings;

my ($what, $dir) = @ARGV;
if (grep { /^(-h|--help)$/ } @ARGV)
{
	open(my $self, '<', $0) or die "$0: $!\n";
	<$self>;
	while (<$self> =~ /^# ?(.*)/) { print "$1\n" }
	exit 0;
}
if (@ARGV != 2 || $what !~ /^(available|installed)$/)
{
	print STDERR "demo_packages.pl: what to read, and where to write? (demo_packages.pl --help says more)\n";
	exit 2;
}

# A text that compares, byte by byte, as Debian versions do: [epoch:]upstream[-revision], each part an
# alternation of other characters and numbers, where ~ comes before the end, the end before letters, letters
# before the rest, and numbers count by value.
sub version_key
{
	my ($version) = @_;
	my ($epoch, $upstream, $revision) = $version =~ /^(?:(\d+):)?(.*?)(?:-([^-]*))?$/;

	return join '', map
	{
		my $part = $_;
		my $key = '';
		do
		{
			$part =~ s/^(\D*)(\d*)//;
			my ($other, $number) = ($1, $2);
			$other =~ s/([^A-Za-z~])/|$1/g;
			$other =~ tr/~/!/;
			$number =~ s/^0+//;
			$key .= $other . '"' . sprintf('%02d', length $number) . $number;
		} while $part ne '';
		$key . '"00';
	} ($epoch // '0', $upstream, $revision // '0');
}

sub copy_line
{
	return join("\t", map
		{
			my $value = $_;
			if (defined $value) { $value =~ s/\\/\\\\/g; $value =~ s/\t/ /g; $value =~ s/\n/ /g; }
			$value // '\N';
		} @_) . "\n";
}

sub write_file
{
	my ($name) = @_;
	open(my $out, '>', "$dir/$name.copy") or die "$dir/$name.copy: $!\n";
	return $out;
}

sub close_file
{
	my ($out) = @_;
	close($out) or die "cannot write to $dir: $!\n";
	return;
}

# Every architecture and version of a package has a record of its own; the newest stands for the package.
my %newest;
my @order;

local $/ = '';
while (my $record = <STDIN>)
{
	my %field;
	while ($record =~ /^([A-Za-z0-9-]+):[ \t]*(.*(?:\n[ \t].*)*)/mg)
	{
		$field{$1} = $2;
	}
	my ($name, $version) = @field{ 'Package', 'Version' };
	next unless defined $name && defined $version;
	next if $what eq 'installed' && ($field{Status} // '') !~ / installed$/;
	my $key = version_key($version);
	next if exists $newest{$name} && $newest{$name}{key} ge $key;
	push @order, $name unless exists $newest{$name};
	$newest{$name} = {
		key => $key,
		map { $_ => $field{$_} } qw(Version Section Priority Architecture Installed-Size Size Source Maintainer
			Description Pre-Depends Depends Recommends Suggests)
	};
}

if ($what eq 'installed')
{
	my $out = write_file('installed');
	for my $name (@order)
	{
		my $p = $newest{$name};
		print $out copy_line($name, $p->{Version}, $p->{key}, $p->{'Installed-Size'});
	}
	close_file($out);
	exit 0;
}

my $packages = write_file('package');
my $dependencies = write_file('dependency');
for my $name (@order)
{
	my $p = $newest{$name};
	my ($summary) = split /\n/, $p->{Description} // '';
	my ($source) = ($p->{Source} // $name) =~ /^(\S+)/;
	my $position = 0;

	print $packages copy_line($name, $p->{Version}, $p->{key}, $p->{Section}, $p->{Priority}, $p->{Architecture},
		$source, $p->{'Installed-Size'}, $p->{Size}, $p->{Maintainer}, $summary);
	for my $kind (qw(Pre-Depends Depends Recommends Suggests))
	{
		for my $clause (split /\s*,\s*/, $p->{$kind} // '')
		{
			my $alternative = 0;
			for my $choice (split /\s*\|\s*/, $clause)
			{
				my ($target, $relation, $version) =
				  $choice =~ /^\s*([^\s:(]+)(?::\S+)?\s*(?:\(\s*([<>=]+)\s*([^)]*?)\s*\))?/;
				next unless defined $target;
				print $dependencies copy_line($name, ++$position, $kind, $target, $relation, $version, ++$alternative);
			}
		}
	}
}
close_file($packages);
close_file($dependencies);
