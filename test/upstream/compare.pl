# What PostgreSQL's own tests say of heap tables and of nvmkv tables, compared: see scripts/upstream_tests.sh.
#
#   compare.pl [--learn] [--verbose] SUITE WORK TEST...
#
# WORK/SUITE.heap and WORK/SUITE.nvmkv hold a run of each; the causes and the tables that stay heap tables are
# beside this file.  A difference belongs to a statement, or to a step of a permutation of an isolation spec: behind one
# that is more than another order or another address no further ones count, for they follow from it.  Exit code: 0 if every difference has a cause, 1 if not,
# 3 if --learn has found further tables that have to stay heap tables.
use strict;
use warnings;
use File::Temp;
use FindBin;

my $here = $FindBin::Bin;
my (%option, %log);
while (@ARGV && $ARGV[0] =~ /^--(learn|verbose)$/) { $option{$1} = 1; shift }
my ($suite, $work, @tests) = @ARGV;

# ---------------------------------------------------------------- the lists

# anchor, kind, pattern of statements, pattern of what only nvmkv tables say, suite/test: see the file's head
sub read_causes
{
	my ($file) = @_;
	my @causes;
	my %anchors;
	open(my $page, '<', "$here/../../doc/limits.md") or die "doc/limits.md: $!\n";
	while (<$page>)
	{
		next unless /^### (.*)/;
		my $slug = lc $1;
		$slug =~ s/[^\w -]//g;
		$slug =~ tr/ /-/;
		$anchors{$slug} = 1;
	}
	open(my $in, '<', $file) or die "$file: $!\n";
	while (<$in>)
	{
		chomp;
		next if /^\s*(#|$)/;
		my ($anchor, $kind, $statement, $output, $test) = split /\t+/;
		die "$file:$.: not a line of causes\n" unless defined $output && $kind =~ /^(table|here|heap|order|mask)$/;
		die "$file:$.: doc/limits.md has no $anchor\n" unless $anchors{$anchor};
		push @causes, { anchor => $anchor, kind => $kind, statement => $statement eq '-' ? undef : qr/$statement/is,
			output => $output eq '-' ? undef : qr/$output/m, test => $test, line => $., used => 0 };
	}
	return @causes;
}

# {suite/test}{table} = anchor
sub read_heap_tables
{
	my ($file) = @_;
	my %tables;
	open(my $in, '<', $file) or die "$file: $!\n";
	while (<$in>)
	{
		next if /^\s*(#|$)/;
		my ($test, $anchor, @names) = split ' ';
		$tables{$test}{$_} = $anchor for @names;
	}
	return \%tables;
}

# What the library said of tables: {test}{converted|heap|making}{table} = reason
sub read_log
{
	my ($file) = @_;
	open(my $in, '<', $file) or die "$file: $!\n";
	while (<$in>)
	{
		next unless /LOG:  upstream: (\S+) (converted|heap|making) (.+?): (.*)$/;
		$log{$1}{$2}{$3} = $4;
		push @{ $log{crash} }, $_ if /PANIC|TRAP|terminated by signal/;
	}
}

my @causes = read_causes("$here/causes");
my $heap_tables = read_heap_tables("$here/heap_tables");
read_log("$work/$suite.nvmkv/log/postmaster.log");

# --------------------------------------------------------- answers of a run

# A line without what says only which kind of table it is about.
sub plain
{
	my ($line) = @_;
	$line =~ s/\s+$//;
	$line =~ s/\bforeign table\b/table/g;
	$line =~ s/\bFOREIGN TABLE\b/TABLE/g;
	$line =~ s/^(\s*)Foreign table "/$1Table "/;
	return $line;
}

sub lines_of
{
	my ($file) = @_;
	open(my $in, '<:raw', $file) or return undef;
	return [ map { plain($_) } <$in> ];
}

# A copy without empty lines: they say nothing, and mislead "diff".
sub dense_copy
{
	my ($file) = @_;
	my $copy = File::Temp->new;
	print $copy map { "$_\n" } grep { $_ ne '' } @{ lines_of($file) || [] };
	close $copy;
	return $copy;
}

# [line, statement, lines] for each statement that says something: psql echoes its input, so what "diff" does not
# find in the input is an answer to the lines before it.
sub statements_of
{
	my ($sql, $result) = @_;
	my (@units, @answer, @input, @number);
	my $lines = lines_of($sql) || [];
	for my $i (grep { $lines->[$_] ne '' } 0 .. $#$lines)
	{
		push @input, $lines->[$i];
		push @number, $i + 1;
	}
	my ($copy, $answers) = (dense_copy($sql), dense_copy($result));
	my $line = 0;
	my $flush = sub {
		return unless @answer;
		my $from = $line > 0 ? $line - 1 : 0;
		$from-- while $from > 0 && $input[ $from - 1 ] !~ /;\s*(--.*)?$|^\\/ && $line - $from < 60;
		push @units, [ $number[ $line - 1 ], join("\n", @input[ $from .. $line - 1 ]), [@answer] ] if $line > 0;
		@answer = ();
	};
	open(my $diff, '-|', 'diff', '-a', '--old-line-format=-%L', '--unchanged-line-format= %L', '--new-line-format=+%L',
		"$copy", "$answers") or die "diff: $!\n";
	while (<$diff>)
	{
		chomp;
		if (/^\+(.*)/s) { push @answer, $1 }
		else { $flush->(); $line++ }
	}
	$flush->();
	return @units;
}

# [key, header, lines] for each permutation
sub permutations_of
{
	my ($result) = @_;
	my @units;
	my $n = 0;
	for (@{ lines_of($result) || [] })
	{
		if (/^starting permutation: /) { push @units, [ ++$n, $_, [] ] }
		elsif (@units) { push @{ $units[-1][2] }, $_ }
	}
	return @units;
}

# ------------------------------------------------------------------- causes

sub sorted { return join("\n", sort @_) }

sub masked
{
	my ($pattern, @lines) = @_;
	s/$pattern/?/g, s/\s+//g, s/-+/-/g for @lines;
	return sorted(grep { !/^[-+ ]*$/ } @lines);
}

# The cause of a difference, or undef: statement, lines of both, those only nvmkv tables say
sub cause_of
{
	my ($test, $statement, $heap, $nvmkv, $only) = @_;
	for my $cause (@causes)
	{
		next if $cause->{test} && $cause->{test} ne $test;
		next if $cause->{statement} && $statement !~ $cause->{statement};
		if ($cause->{kind} eq 'order')
		{
			next unless sorted(@$heap) eq sorted(@$nvmkv);
		}
		elsif ($cause->{kind} eq 'mask')
		{
			next unless masked($cause->{output}, @$heap) eq masked($cause->{output}, @$nvmkv);
		}
		elsif ($cause->{kind} eq 'heap')
		{
			next unless join("\n", only_in($nvmkv, $heap)) =~ $cause->{output};
		}
		elsif ($cause->{output})
		{
			next unless join("\n", @$only) =~ $cause->{output};
		}
		$cause->{used}++;
		return $cause;
	}
	return undef;
}

# What follows from earlier differences of the same test: a transaction that has failed, things that could not be made.
# The cause is theirs; $history: [cause, statement]...
sub cause_of_consequence
{
	my ($test, $history, $only) = @_;
	my $text = join "\n", @$only;
	my ($missing) = $text =~ /ERROR:  (?:\w+ )+"([^"]+)" (?:.* )?does not exist/;

	return undef unless $text =~ /^(?:\S+: )?ERROR:/m;
	if ($text =~ /ERROR:  current transaction is aborted/)
	{
		return @$history ? $history->[-1][0] : undef;
	}
	return undef unless $missing;
	$missing =~ s/.*\.//;
	for my $earlier (reverse @$history)
	{
		return $earlier->[0] if $earlier->[1] =~ /(?<!\w)\Q$missing\E(?!\w)/i;
	}
	return undef;
}

# Lines that are in the second list and not in the first, as often as they are.
sub only_in
{
	my ($other, $lines) = @_;
	my %count;
	$count{$_}++ for @$other;
	return grep { !($count{$_} && $count{$_}--) } @$lines;
}

# A permutation as lists of lines: what its setup says, and each step.
sub steps_of
{
	my ($lines) = @_;
	my @steps = ([]);
	for (@$lines)
	{
		push @steps, [] if /^step /;
		push @{ $steps[-1] }, $_;
	}
	return @steps;
}

# The steps of a permutation that differ, as [text, lines of both]: up to the one behind which it goes another way, that is
# the first one of which $harmless (called with a list of this function) is false.
sub differing_steps
{
	my ($heap, $nvmkv, $harmless) = @_;
	my @h = steps_of($heap);
	my @n = steps_of($nvmkv);
	my @found;
	while (@h || @n)
	{
		my ($h, $n) = (shift @h || [], shift @n || []);
		next if join("\n", @$h) eq join("\n", @$n);
		push @found, [ join("\n", @$n ? @$n : @$h), $h, $n ];
		last unless $harmless->(@{ $found[-1] });
	}
	return @found;
}

# Tables a statement names, made by this test, that could stay heap tables.
sub tables_to_keep
{
	my ($test, $statement, @only) = @_;
	my @tables = sort keys %{ { %{ $log{$test}{converted} || {} }, %{ $log{$test}{making} || {} } } };
	for my $text (join("\n", grep { /"/ } @only), $statement)
	{
		my @found = grep { $text =~ /(?<![\w.])(?:public\.)?\Q$_\E(?!\w)/i } @tables;
		return @found if @found;
	}
	return ();
}

# --------------------------------------------------------------------- main

my (%total, @unexplained, %learned);
for my $name (@tests)
{
	my $test = "$suite/$name";
	my @both;
	for my $flavour (qw(heap nvmkv))
	{
		my $dir = "$work/$suite.$flavour";
		push @both, [ $suite eq 'regress' ? statements_of("$dir/sql/$name.sql", "$dir/results/$name.out")
			: permutations_of("$dir/results/$name.out") ];
	}
	my (%counts, %why, @history);
	for my $flavour (grep { !-s "$work/$suite.$_/results/$name.out" } qw(heap nvmkv))
	{
		$counts{UNEXPLAINED}++;
		push @unexplained, "--- $test: no answers of $flavour tables\n";
	}
	my %nvmkv = map { $_->[0] => $_ } @{ $both[1] };
	my %heap = map { $_->[0] => $_ } @{ $both[0] };
	my %seen;
	my @keys = sort { $a <=> $b } grep { !$seen{$_}++ } (keys %heap, keys %nvmkv);
	my $said = sub { my ($units, @of) = @_; return join "\n", map { $units->{$_} ? @{ $units->{$_}[2] } : () } @of };
	@keys = grep { $said->(\%heap, $_) ne $said->(\%nvmkv, $_) } @keys if $suite eq 'regress';
	while (my $key = shift @keys)
	{
		# The same answer to two statements: "diff" has found it before different lines of the input.
		if (@keys && $suite eq 'regress' && $said->(\%heap, $key, $keys[0]) eq $said->(\%nvmkv, $key, $keys[0]))
		{
			shift @keys;
			next;
		}
		# A spec whose setup fails ends there.
		last if $suite eq 'isolation' && !$nvmkv{$key} && %counts;
		my $h = $heap{$key} ? $heap{$key}[2] : [];
		my $n = $nvmkv{$key} ? $nvmkv{$key}[2] : [];
		next if join("\n", @$h) eq join("\n", @$n);
		my $title = ($nvmkv{$key} || $heap{$key})->[1];
		my @differences = ([ $title, $h, $n ]);
		if ($suite eq 'isolation')
		{
			@differences = differing_steps($h, $n, sub {
				my ($statement, $h, $n) = @_;
				my $cause = cause_of($test, $statement, $h, $n, [ only_in($h, $n) ]);
				return $cause && $cause->{kind} =~ /^(order|mask)$/;
			});
		}
		for (@differences)
		{
			my ($statement, $h, $n) = @$_;
			my @only = only_in($h, $n);
			my $cause = cause_of($test, $statement, $h, $n, \@only);
			if ($cause && $cause->{kind} eq 'table')
			{
				$learned{$test}{$_} = $cause->{anchor} for tables_to_keep($test, $statement, @only);
			}
			my $anchor = $cause ? $cause->{anchor} : cause_of_consequence($test, \@history, \@only);
			push @history, [ $anchor, $statement ] if $anchor;
			$counts{ $anchor || 'UNEXPLAINED' }++;
			next if $anchor && !$option{verbose};
			push @unexplained, sprintf("--- %s:%d [%s]\n%s%s%s", $test, $key, $anchor || 'no cause',
				$suite eq 'isolation' ? "$title\n" : "$statement\n",
				join('', map { "  heap:  $_\n" } only_in($n, $h)), join('', map { "  nvmkv: $_\n" } @only))
				. (sorted(@$h) eq sorted(@$n) ? "  other order\n" : '');
		}
	}
	# Tables that are not what the test is to be about.
	for my $table (sort keys %{ $log{$test}{heap} || {} })
	{
		my $reason = $log{$test}{heap}{$table};
		my $anchor = $reason eq 'listed' ? $heap_tables->{$test}{$table} : undef;
		if (!$anchor)
		{
			my $cause = cause_of($test, "CREATE TABLE $table", [], ["ERROR:  $reason"], ["ERROR:  $reason"]);
			$anchor = $cause && $cause->{anchor};
		}
		push @unexplained, "--- $test: table $table stays a heap table\n  $reason\n" unless $anchor;
		$why{ $anchor || 'UNEXPLAINED' }++;
	}

	my $class = $counts{UNEXPLAINED} || $why{UNEXPLAINED} ? 'without cause' : %counts ? 'differ' : %why ? 'same in part' : 'same';
	$total{$class}++;
	my $list = sub { my %h = @_; join ', ', map { "$_ $h{$_}" } sort keys %h };
	printf "%-44s %-13s %s%s\n", $test, $class, $list->(%counts), %why ? ' [heap: ' . $list->(%why) . ']' : '';
}

print "\n", join("\n", @unexplained), "\n" if @unexplained;
if ($log{crash}) { print "the server died:\n", @{ $log{crash} }; $total{'without cause'}++ }

my $new = 0;
if ($option{learn})
{
	for my $test (sort keys %learned)
	{
		for my $table (sort keys %{ $learned{$test} })
		{
			next if $heap_tables->{$test}{$table};
			$heap_tables->{$test}{$table} = $learned{$test}{$table};
			$new++;
		}
	}
	if ($new)
	{
		open(my $out, '>', "$here/heap_tables") or die "$here/heap_tables: $!\n";
		print $out "# Tables that stay heap tables, since later something is asked of them that a foreign table cannot do:\n",
			"# test, line of doc/limits.md, tables.  Written by scripts/upstream_tests.sh --learn.\n";
		for my $test (sort keys %$heap_tables)
		{
			my %by;
			push @{ $by{ $heap_tables->{$test}{$_} } }, $_ for sort keys %{ $heap_tables->{$test} };
			print $out join(' ', $test, $_, @{ $by{$_} }), "\n" for sort keys %by;
		}
		close $out;
	}
	print "$new tables more stay heap tables\n";
}
printf "%s: %d tests: %s\n", $suite, scalar(@tests), join(', ', map { $total{$_} . " $_" } sort keys %total);
exit($new ? 3 : $total{'without cause'} ? 1 : 0);
