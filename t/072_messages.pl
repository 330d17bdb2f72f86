# Messages about settings that are too small name the setting, and the column family that it is too small for.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main', 'nvmkv.max_column_families' => 3, 'nvmkv.write_buffer_size' => '2MB', 'nvmkv.nvm_size' => '32MB');

sub make
{
	my ($family, $options) = @_;

	return "CREATE SERVER $family FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family '$family'$options); "
	  . "CREATE FOREIGN TABLE $family (k int, v text) SERVER $family OPTIONS (primary_key 'k')";
}

# What a family cannot be made with.
fails($node, make('big', q{, write_buffer_size '4MB'}),
	qr/53400: column family "big" cannot be made.*DETAIL:  column family "big": 4 write buffers of 4194304 bytes are more than what nvmkv.max_write_buffers \(4\) and nvmkv.write_buffer_size \(2097152 bytes\) reserve.*HINT:  Increase/s,
	'write buffers larger than the settings');
fails($node, make('many', q{, max_write_buffers '5'}), qr/DETAIL:  column family "many": 5 write buffers.*nvmkv.max_write_buffers \(4\)/s,
	'more write buffers than the settings');
$node->safe_psql('postgres', make('hot', '') . ';' . make('cold', q{, write_buffer_size '1MB', max_write_buffers '2'}));
fails($node, make('warm', ''), qr/53400: .*DETAIL:  there are 3 column families already, as many as nvmkv.max_column_families allows/s,
	'one family more than the setting');

# A row too large: for the setting, or for what the family was made with.
my $row = q{(SELECT string_agg(md5(g::text), '') FROM generate_series(1, %d) g)};
fails($node, 'INSERT INTO cold SELECT 1, ' . sprintf($row, 50000), qr/54000: row of foreign table "cold" does not fit.*HINT:  Column family "cold" has a write_buffer_size of 1024 kB of its own\./s,
	'a row too large for its family');
$node->safe_psql('postgres', q{CREATE FOREIGN TABLE plain (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k')});
fails($node, 'INSERT INTO plain SELECT 1, ' . sprintf($row, 100000), qr/54000: row of foreign table "plain" does not fit.*HINT:  Increase nvmkv.write_buffer_size\./s,
	'a row too large for the setting');
$node->safe_psql('postgres', q{
	INSERT INTO hot SELECT g, 'hot' FROM generate_series(1, 1000) g;
	INSERT INTO cold SELECT g, 'cold' FROM generate_series(1, 1000) g;
	INSERT INTO plain SELECT g, 'plain' FROM generate_series(1, 1000) g});

# Settings that have become too small for a family.
sub restart_with
{
	my (%settings) = @_;

	$node->stop;
	$node->adjust_conf('postgresql.conf', $_, $settings{$_}) for sort keys %settings;
	$node->start;
	return;
}

my $counts = 'SELECT (SELECT count(*) FROM hot), (SELECT count(*) FROM cold), (SELECT count(*) FROM plain)';
for my $smaller ([ 'nvmkv.max_write_buffers' => 3 ], [ 'nvmkv.write_buffer_size' => "'1MB'" ], [ 'nvmkv.max_column_families' => 2 ],
	[ 'nvmkv.max_column_families' => 1 ])
{
	restart_with(@$smaller);
	is($node->safe_psql('postgres', $counts), '1000|1000|1000', "@$smaller: families that there are work");
	fails($node, 'CREATE FOREIGN TABLE warm (k int) SERVER warm',
		qr/53400: .*DETAIL:  there are 3 column families already, as many as nvmkv.max_column_families allows/s, "@$smaller: there are no new ones");
}
restart_with('nvmkv.max_write_buffers' => 4, 'nvmkv.write_buffer_size' => "'2MB'");
restart_with('nvmkv.max_column_families' => 3);
is($node->safe_psql('postgres', $counts), '1000|1000|1000',
	'with the settings as they were all is there');
sound($node, 'and sound');

$node->stop;
done_testing();
