# doc/limits.md is true: its examples are run on foreign tables and, word for word but for the kind of table, on heap
# tables.  A heap takes them without an error; a foreign table answers with the messages that the page shows, and
# without any to the examples that show the way round.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($page) = grep { -e } "$FindBin::RealBin/../limits.md", "$FindBin::RealBin/../doc/limits.md";
my $node = new_server('main', 'wal_level' => 'logical');

# ------------------------------------------------------------------ the page

# Sections: {title, blocks => [[line, ...], ...], shown => [file, ...]}; the blocks before the first are each example's start.
sub read_page
{
	my (@sections, $block);
	open(my $in, '<', $page) or die "$page: $!";
	push @sections, { title => 'start', blocks => [], shown => [] };
	while (<$in>)
	{
		chomp;
		if ($block && /^```/) { undef $block }
		elsif (/^```sql/) { push @{ $sections[-1]{blocks} }, $block = [] }
		elsif ($block) { push @$block, $_ }
		elsif (/^###\s+(.*)/) { push @sections, { title => $1, blocks => [], shown => [] } }
		elsif (/^Shown by (.*)/) { my $files = $1; push @{ $sections[-1]{shown} }, $files =~ /`([^`]+)`/g }
	}
	return @sections;
}

# The statements of a block for a kind of table.
sub statements
{
	my ($kind, @lines) = @_;
	my $sql = join "\n", grep { !/^(ERROR|WARNING|NOTICE|DETAIL|HINT):|^-- (heap|here):/ } @lines;

	if ($kind eq 'heap')
	{
		$sql =~ s/(FOR VALUES FROM \(\d+\) TO \(\d+\)) SERVER nvmkv OPTIONS \([^)]*\)/$1/g;
		$sql =~ s/\) SERVER nvmkv OPTIONS \(primary_key '([^']*)'\)/, PRIMARY KEY ($1))/g;
		$sql =~ s/\b(CREATE(?: TEMPORARY| UNLOGGED)?) FOREIGN TABLE/$1 TABLE/g;
		$sql =~ s/ SERVER nvmkv\b//g;
		$sql =~ s/\bFOREIGN TABLE\b/TABLE/g;
		$sql =~ s/(\bUSING |\bdefault_table_access_method = |\bACCESS METHOD )nvmkv\b/$1heap/g;
	}
	return $sql;
}

# What a block expects of a kind of table: messages, results.
sub expected
{
	my ($kind, @lines) = @_;
	my @messages = $kind eq 'heap' ? () : grep { /^(ERROR|WARNING|NOTICE|DETAIL|HINT):/ } @lines;
	my $side = $kind eq 'heap' ? 'heap' : 'here';

	return (join("\n", @messages), join("\n", map { /^-- $side: (.*)/ ? $1 : () } @lines));
}

# ------------------------------------------- answers of both, one psql each

my @sections = read_page();
my $start = shift @sections;
my @blocks = map { my $s = $_; map { [ "$s->{title}: example " . ($_ + 1), @{ $s->{blocks}[$_] } ] } 0 .. $#{ $s->{blocks} } } @sections;

sub answers
{
	my ($kind) = @_;
	my $script = '';

	$node->safe_psql('postgres', "CREATE DATABASE $kind");
	$node->safe_psql($kind, 'CREATE EXTENSION nvmkv_fdw');
	for my $n (0 .. $#blocks)
	{
		my ($title, @lines) = @{ $blocks[$n] };
		$script .= "DISCARD ALL; SET client_min_messages = warning; DROP SCHEMA IF EXISTS page CASCADE; CREATE SCHEMA page; SET search_path = page;\n"
		  . "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';\n"
		  . join("\n", map { statements($kind, @$_) } @{ $start->{blocks} })
		  . "\nRESET client_min_messages;\n\\echo ==== $n\n\\warn ==== $n\n" . statements($kind, @lines) . "\n\\echo ====\n\\warn ====\n";
	}
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'psql', '-X', '-q', '-A', '-t', '-d', $node->connstr($kind) ], '<', \$script, '>', \$out, '2>', \$err);
	my (%out, %err);
	$out{$1} = $2 while $out =~ /^==== (\d+)\n(.*?)^====$/msg;
	$err{$1} = $2 while $err =~ /^==== (\d+)\n(.*?)^====$/msg;
	return (\%out, \%err);
}

my $version = int($node->safe_psql('postgres', 'SHOW server_version_num') / 10000);

for my $kind (qw(heap nvmkv))
{
	my ($out, $err) = answers($kind);
	for my $n (0 .. $#blocks)
	{
		my ($title, @lines) = @{ $blocks[$n] };
		my ($messages, $results) = expected($kind, @lines);
		# "-- PostgreSQL 15": the last version that says so; "-- from PostgreSQL 18": the first one.
		next if grep { /^-- (from )?PostgreSQL (\d+)$/ && ($1 ? $2 > $version : $2 < $version) } @lines;
		# The way round is for foreign tables.
		next if $kind eq 'heap' && !grep { /^(ERROR|WARNING|-- heap):/ } @lines;
		my @said = grep { /^(ERROR|WARNING|NOTICE|DETAIL|HINT):/ } split /\n/, $err->{$n} // 'ERROR: not run';
		# A heap may have something to say that is not a refusal.
		@said = grep { /^ERROR/ } @said if $kind eq 'heap';
		is(join("\n", @said), $messages, "$kind: $title: messages");
		is(join("\n", split /\n/, $out->{$n} // ''), $results, "$kind: $title: results");
	}
}

# ------------------------------------------------------------------ the rest

# Each section is an example, or says which test shows it.
for my $section (@sections)
{
	ok(@{ $section->{blocks} } || @{ $section->{shown} }, "$section->{title}: has a test");
}

done_testing();
