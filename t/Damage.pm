# Damage done to the engine's files, and what of a table can still be read.
package Damage;

use strict;
use warnings;

use Exporter 'import';
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

# The file among these that has the text, and where.  The server has stopped: what it deletes later is gone.
sub file_with
{
	my ($text, @files) = @_;

	for my $file (@files)
	{
		my $at = index(slurp_file($file), $text);
		return ($file, $at) if $at >= 0;
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
