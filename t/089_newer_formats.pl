# Files and records of a newer version: they are refused with a message that says what to do, nothing is changed or made in
# their place, and with the bytes that they had everything is there again.
use strict;
use warnings;

use Damage qw(spoil);
use Digest::MD5 qw(md5_hex);
use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @table = map { my $n = $_; $n = $n & 1 ? ($n >> 1) ^ 0x82f63b78 : $n >> 1 for 1 .. 8; $n } 0 .. 255;

sub crc32c
{
	my ($bytes) = @_;
	my $crc = 0xffffffff;

	$crc = $table[($crc ^ $_) & 0xff] ^ ($crc >> 8) for unpack 'C*', $bytes;
	return $crc ^ 0xffffffff;
}

# As the engine stores it.
sub masked
{
	my ($crc) = (crc32c($_[0]));

	return pack 'V', ((($crc >> 15) | ($crc << 17)) + 0xa282ead8) & 0xffffffff;
}

sub bytes_at
{
	my ($file, $at, $size) = @_;
	my $bytes;

	open(my $f, '<:raw', $file) or die "$file: $!";
	seek($f, $at, 0);
	read($f, $bytes, $size) == $size or die "$file is too short";
	close $f;
	return $bytes;
}

my $node = new_server('main', 'nvmkv.max_column_families' => 2, autovacuum => 'off');
my $nvmkv = $node->data_dir . '/nvmkv';

$node->safe_psql('postgres', q{
	CREATE SERVER hot FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'hot');
	CREATE FOREIGN TABLE h (k int, v text) SERVER hot OPTIONS (primary_key 'k');
	CREATE TABLE t (k int PRIMARY KEY, v text) USING nvmkv;
	INSERT INTO t SELECT n, 'in files ' || n FROM generate_series(1, 1000) AS n;
	INSERT INTO h TABLE t});
$node->safe_psql('postgres', 'SELECT nvmkv.compact()');
$node->safe_psql('postgres', q{INSERT INTO t SELECT n, 'in the container' FROM generate_series(1001, 1100) AS n});
$node->safe_psql('postgres', 'SELECT nvmkv.flush()');
$node->stop;

my $rows = q{SELECT count(*) FROM t; SELECT count(*) FROM h; SELECT * FROM nvmkv.check()};

# What is in these files of the directory.  A manifest that is known is written anew by each start, and an opened container
# gets a stamp.
sub fingerprint
{
	my ($pattern) = @_;
	my $text = '';

	for my $file (sort glob("$nvmkv/$pattern"), glob("$nvmkv/family-*/$pattern"))
	{
		$text .= "$file " . (-f $file ? md5_hex(slurp_file($file)) : '') . "\n";
	}
	return $text;
}

# With the bytes in the file, and the checksum that goes with them, these queries say that.
sub newer
{
	my ($what, $pattern, $file, $at, $bytes, $crc_at, $from, $until, $sqls, $expected) = @_;
	my $old = bytes_at($file, $at, length $bytes);
	my $old_crc = defined $crc_at ? bytes_at($file, $crc_at, 4) : '';

	spoil($file, $at, $bytes);
	spoil($file, $crc_at, masked(bytes_at($file, $from, $until - $from))) if defined $crc_at;
	my $before = fingerprint($pattern);
	$node->start;
	fails($node, $_, $expected, "$what: $_") for @$sqls;
	$node->stop;
	is(fingerprint($pattern), $before, "$what: nothing has changed");
	spoil($file, $at, $old);
	spoil($file, $crc_at, $old_crc) if defined $crc_at;
	$node->start;
	is($node->safe_psql('postgres', $rows), "1100\n1000", "$what: all is there with the format that is known");
	$node->stop;
	return;
}

my $use = qr/: use the version that wrote it, or a newer one/;
my @all = ('SELECT count(*) FROM t', q{INSERT INTO t VALUES (-1, 'new')}, 'TRUNCATE t');

chomp(my $manifest = slurp_file("$nvmkv/CURRENT"));
newer('MANIFEST', '*', "$nvmkv/$manifest", 8, pack('V', 2), 28, 0, 28, \@all, qr/log file has format 2, this version reads 1$use/);
newer('pool', '{*.sst,*.xct,FAMILIES,level0.pool}', "$nvmkv/level0.pool", 8, pack('V', 2), 60, 0, 60, \@all, qr/level0\.pool" has format 2, this version reads 1$use/);
my $families = "$nvmkv/FAMILIES";
newer('FAMILIES', '{*.sst,*.xct,FAMILIES}', $families, 8, pack('V', 3), (-s $families) - 4, 0, (-s $families) - 4, \@all, qr/FAMILIES" has format 3, this version reads 2$use/);

my ($xct) = glob("$nvmkv/*.xct");
newer('outcomes', '{*.sst,*.xct,FAMILIES}', $xct, 8, pack('V', 2), undef, 0, 0, \@all, qr/\.xct" has format 2, this version reads 1$use/);

my ($range) = Damage::row_ranges("$nvmkv/level0.pool") or die 'no row in the container';
my $row = $range->[0];
newer('row of the container', '*.sst', "$nvmkv/level0.pool", $row + 8, pack('V', 2), $row + 252, $row, $row + 252,
	['SELECT count(*) FROM t'], qr/row \d+ has format 2, this version reads 1$use/);

my ($sst) = sort { -s $b <=> -s $a } glob("$nvmkv/*.sst");
my $foot = (-s $sst) - 56;
newer('SSTable', '*.sst', $sst, $foot + 40, pack('V', 2), $foot + 44, $foot, $foot + 44, ['SELECT count(*) FROM t'],
	qr/SSTable has format 2, this version reads 1$use/);

# ---- records of the server's log

# Rows of a transaction that is in the log alone, and the record that has them: file, where, its bytes.
sub written_record
{
	for my $try (1 .. 20)
	{
		my ($start) = $node->safe_psql('postgres', 'CHECKPOINT; SELECT pg_current_wal_insert_lsn()') =~ m{/([0-9A-F]+)$};
		my $file = $node->data_dir . '/pg_wal/' . $node->safe_psql('postgres', 'SELECT pg_walfile_name(pg_current_wal_insert_lsn())');

		$node->safe_psql('postgres', "DELETE FROM t WHERE k = 5000; INSERT INTO t VALUES (5000, 'logged')");
		my $at = hex($start) & 0xffffff;
		my $page = $at >> 13;
		while ($at >> 13 == $page)
		{
			my $size = unpack 'V', bytes_at($file, $at, 4);

			last if $size < 24 || ($at + $size - 1) >> 13 != $page;
			my $record = bytes_at($file, $at, $size);
			return ($file, $at, $record) if unpack('C', substr $record, 17, 1) == 173 && index($record, 'logged') > 0;
			$at += ($size + 7) & ~7;
		}
	}
	die 'no record within a page';
}

# Puts it in its place with other bytes at that offset, and its checksum.
sub rewrite_record
{
	my ($file, $at, $record, $offset, $byte) = @_;

	substr($record, $offset, 1) = $byte;
	substr($record, 20, 4) = pack 'V', crc32c(substr($record, 24) . substr($record, 0, 20));
	spoil($file, $at, $record);
	return;
}

$node->start;
my ($file, $at, $record) = written_record();
is(crc32c(substr($record, 24) . substr($record, 0, 20)), unpack('V', substr $record, 20, 4), 'the record is understood');
$node->stop('immediate');

# Its type is unknown: recovery cannot go on, and the data directory stays as it is.
rewrite_record($file, $at, $record, 16, chr 0xe0);
my $size = -s $node->logfile;
ok(!$node->start(fail_ok => 1), 'unknown record: the server does not start');
ok($node->log_contains(qr/unknown WAL record type 224.*HINT:\s+If a newer version of nvmkv_fdw has written it, install that/s, $size), 'unknown record: what to do');
unlink $node->data_dir . '/postmaster.pid';

# Its batch is newer: recovery goes on without foreign tables, and keeps the records.
my $data = ord(substr $record, 24, 1) == 255 ? 26 : 29;
rewrite_record($file, $at, $record, $data, chr 2);
$node->start;
fails($node, $_, qr/could not replay foreign-table WAL at .*: batch has format 2, this version reads 1$use/, "newer batch: $_") for @all;
ok(scalar(glob $node->data_dir . '/nvmkv_kept/*.kept'), 'newer batch: records are kept');
$node->stop;

done_testing();
