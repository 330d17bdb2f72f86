# Damage done to the engine's files, and what of a table can still be read.
package Damage;

use strict;
use warnings;

use Exporter 'import';
use File::Basename qw(basename dirname);
use IPC::Run;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(both file_with prepare_twins lost_rows same_rows spoil);

# Writes bytes into a file that stays as long as it is.
sub spoil
{
	my ($file, $at, $bytes) = @_;

	open(my $f, '+<:raw', $file) or die "$file: $!";
	seek($f, $at, 0);
	print $f $bytes;
	close $f or die "$file: $!";
	return;
}

# What nvmkv_dump says; no server uses the files.
sub dumped
{
	my $text = '';

	IPC::Run::run([ 'nvmkv_dump', @_ ], '>', \$text) or die "nvmkv_dump @_ failed";
	return $text;
}

# Ranges of the container's file that rows take, as (from, to); of rows that are whole.
sub row_ranges
{
	my ($pool) = @_;
	my @ranges;

	for (dumped('pool', $pool, '--dir', dirname($pool)) =~ /^row \d+ \w+: entries \d+ from 0,.* extents:((?: \d+(?:-\d+)?)+)$/mg)
	{
		# The header comes first, as large as an extent.
		push @ranges, [ ($1 + 1) << 20, (($2 // $1) + 2) << 20 ] while /(\d+)(?:-(\d+))?/g;
	}
	return @ranges;
}

# Is it a table of the tree?
sub is_in_use
{
	my ($table) = @_;
	my ($state) = dumped('manifest', dirname($table)) =~ /^state\n(.*)/ms;

	return $state =~ /^ *(?:value )?table \Q@{[ basename($table, '.sst') ]}\E\b/m;
}

# The file among these, tables or a container, that has the text, and where.  What an interrupted flush or a compaction
# has left behind would not be missed: it is passed over.  The server has stopped.
sub file_with
{
	my ($text, @files) = @_;

	for my $file (@files)
	{
		my $bytes = slurp_file($file);
		my @ranges = $file =~ /\.pool$/ ? row_ranges($file) : ([ 0, length $bytes ]);

		for (my $at = index($bytes, $text); $at >= 0; $at = index($bytes, $text, $at + 1))
		{
			next if !grep { $_->[0] <= $at && $at < $_->[1] } @ranges;
			last if $file =~ /\.sst$/ && !is_in_use($file);
			return ($file, $at);
		}
	}
	die "\"$text\" is in none of @files";
}

# Tables t, u and f and their heap twins t_h, u_h and f_h do the same.
sub both
{
	my ($node, $sql) = @_;

	$node->safe_psql('postgres', join ';', map { my $s = $sql; $s =~ s/\b([tuf])\b(?!\()/$_ ? "$1_h" : $1/ge; $s } 0, 1);
	return;
}

# Functions that look up row by row, in table "name" and its heap twin "name_h": (k int, v text).
sub prepare_twins
{
	my ($node) = @_;

	$node->safe_psql('postgres', q{
		CREATE FUNCTION lookup(tab text, key int, OUT v text, OUT lost bool) LANGUAGE plpgsql AS $$
			BEGIN
				lost := false;
				EXECUTE format('SELECT v FROM %I WHERE k = $1', tab) INTO v USING key;
			EXCEPTION WHEN data_corrupted THEN
				lost := true;
			END $$;
		CREATE FUNCTION lost_keys(tab text, greatest_key int) RETURNS SETOF int LANGUAGE plpgsql AS $$
			DECLARE
				found record;
				twin text;
			BEGIN
				FOR key IN 0 .. greatest_key LOOP
					found := lookup(tab, key);
					EXECUTE format('SELECT v FROM %I WHERE k = $1', tab || '_h') INTO twin USING key;
					IF found.lost THEN
						RETURN NEXT key;
					ELSIF found.v IS DISTINCT FROM twin THEN
						RAISE EXCEPTION 'row % of % is %, not %', key, tab, found.v, twin;
					END IF;
				END LOOP;
			END $$});
	return;
}

# The keys up to the greatest that cannot be read: first, last and number; dies if another row is not its twin's.
sub lost_rows
{
	my ($node, $table, $greatest) = @_;

	return split /\|/, $node->safe_psql('postgres', "SELECT min(k), max(k), count(*) FROM lost_keys('$table', $greatest) k");
}

# How many rows of the table, read as a whole, its heap twin does not have, and the other way round: '0|0' is equal.
sub same_rows
{
	my ($node, $table) = @_;

	return $node->safe_psql('postgres', "SELECT (SELECT count(*) FROM (TABLE $table EXCEPT ALL TABLE ${table}_h) x), "
		. "(SELECT count(*) FROM (TABLE ${table}_h EXCEPT ALL TABLE $table) x)");
}

1;
