#!/usr/bin/perl
# Asks a Prometheus what scripts/monitoring_tests.sh wants to know. One line "ok - ..." or "not ok - ..." for each question.
#
#   ask.pl names  QUERIES DASHBOARD ALERTS    does every metric that is shown or alerted on come from the queries?
#   ask.pl values URL QUERIES                 has every metric of the queries a value?
#   ask.pl panels URL DASHBOARD DIR SECONDS   has every panel data? A picture of it all for gnuplot: DIR/dashboard.gp
#   ask.pl fired  URL ALERT...                has each of these alerts been active at any time?
use strict;
use warnings;

use HTTP::Tiny;
use JSON::PP;

my $failed = 0;

sub told
{
	my ($good, $what) = @_;

	print $good ? 'ok' : 'not ok', " - $what\n";
	$failed ||= !$good;
	return $good;
}

sub read_file
{
	my ($name) = @_;

	open(my $in, '<', $name) or die "$name: $!\n";
	local $/;
	return scalar <$in>;
}

# Names of metrics in queries.yaml: that of the query, and of each column but labels.
sub defined_metrics
{
	my %metrics;
	my $query;

	for (split /\n/, read_file($_[0]))
	{
		$query = $1 if /^(\w+):$/;
		$metrics{"${query}_$1"} = 1 if /^    - (\w+): \{ usage: (?!LABEL)/;
	}
	return \%metrics;
}

sub ask
{
	my ($url, $path, %parameters) = @_;
	my $http = HTTP::Tiny->new(timeout => 60);
	my $answer = $http->get("$url/api/v1/$path?" . $http->www_form_urlencode(\%parameters));
	my $result = eval { decode_json($answer->{content}) };

	die "$url: $answer->{status} $answer->{content}\n" if !$answer->{success} || !$result || $result->{status} ne 'success';
	return $result->{data}{result};
}

# An expression of the dashboard as Grafana would send it.
sub filled_in
{
	my ($expression) = @_;

	return $expression =~ s/\{instance="\$instance", /{/gr =~ s/\{instance="\$instance"\}//gr =~ s/\$__rate_interval/10s/gr;
}

sub names
{
	my ($queries, $dashboard, $alerts) = @_;
	my $defined = defined_metrics($queries);
	my $board = decode_json(read_file($dashboard));

	for my $panel (@{ $board->{panels} })
	{
		my @used = map { $_->{expr} =~ /\b(nvmkv_\w+)/g } @{ $panel->{targets} };

		told(@used && !(grep { !$defined->{$_} } @used), "panel \"$panel->{title}\": @used");
	}
	my $text = read_file($alerts);
	while ($text =~ /- alert: (\w+)\n\s+expr: (.*)/g)
	{
		my ($alert, $expression) = ($1, $2);
		my @used = $expression =~ /\b(nvmkv_\w+)/g;

		told(@used && !(grep { !$defined->{$_} } @used), "alert $alert: @used");
	}
	return;
}

sub values_of
{
	my ($url, $queries) = @_;

	for my $metric (sort keys %{ defined_metrics($queries) })
	{
		my $result = ask($url, 'query', query => $metric);

		told(scalar @$result, "$metric: " . @$result . ' series');
	}
	return;
}

# A series' name: the legend with its labels, or what the legend is.
sub legend
{
	my ($format, $labels) = @_;

	return $format =~ s/\{\{(\w+)\}\}/$labels->{$1} \/\/ ''/ger;
}

my %units = (Bps => [ 'MB/s', 1048576 ], bytes => [ 'MB', 1048576 ], percentunit => [ '%', 0.01 ], rps => [ 'rows/s', 1 ], s => [ 's/s', 1 ], none => [ '', 1 ]);

sub panels
{
	my ($url, $dashboard, $dir, $seconds) = @_;
	my $board = decode_json(read_file($dashboard));
	my $end = time();
	my $begin = $end - $seconds;
	my $columns = 3;
	my $rows = int((@{ $board->{panels} } + $columns - 1) / $columns);
	my $plots = '';
	my $file = 0;

	for my $panel (@{ $board->{panels} })
	{
		my ($unit, $factor) = @{ $units{ $panel->{fieldConfig}{defaults}{unit} } };
		my @lines;
		my $good = 1;

		for my $target (@{ $panel->{targets} })
		{
			my $result = ask($url, 'query_range', query => filled_in($target->{expr}), start => $begin, end => $end, step => 1);
			my $points = 0;

			for my $series (sort { legend($target->{legendFormat}, $a->{metric}) cmp legend($target->{legendFormat}, $b->{metric}) } @$result)
			{
				my @values = grep { $_->[1] =~ /^[-+.e\d]+$/ } @{ $series->{values} };

				next if !@values;
				$points += @values;
				$file++;
				open(my $out, '>', "$dir/$file.data") or die "$dir/$file.data: $!\n";
				printf $out "%d %g\n", $_->[0] - $begin, $_->[1] / $factor foreach @values;
				close($out) or die "$dir/$file.data: $!\n";
				push @lines, sprintf(q{'%s/%d.data' with lines lw 2 title "%s"}, $dir, $file, legend($target->{legendFormat}, $series->{metric}) =~ s/["_]/ /gr);
			}
			$good &&= $points;
			told($points, "panel \"$panel->{title}\", $target->{refId}: $points values");
		}
		$plots .= "set title \"$panel->{title}\" font ',11'\nset ylabel '$unit'\nplot " . join(', ', @lines) . "\n" if @lines;
	}
	open(my $out, '>', "$dir/dashboard.gp") or die "$dir/dashboard.gp: $!\n";
	printf $out "set terminal pngcairo size 1500,%d font 'sans,8'\nset output '%s/dashboard.png'\nset multiplot layout %d,%d\n"
	  . "set grid\nset yrange [0:*]\nset xrange [0:%d]\nset key below samplen 1 font ',7'\n%sunset multiplot\n",
	  $rows * 240, $dir, $rows, $columns, $seconds, $plots;
	close($out) or die "$dir/dashboard.gp: $!\n";
	return;
}

sub fired
{
	my ($url, @alerts) = @_;

	for my $alert (@alerts)
	{
		my $result = ask($url, 'query', query => qq{max_over_time(ALERTS{alertname="$alert"}[1h])});

		told(scalar @$result, "alert $alert was active");
	}
	return;
}

my %questions = (names => \&names, values => \&values_of, panels => \&panels, fired => \&fired);
my $question = $questions{ shift() // '' } or die "see the head of $0\n";
$question->(@ARGV);
exit $failed;
