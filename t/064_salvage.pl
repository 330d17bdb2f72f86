# What can be read of foreign tables from files alone: the tool writes what COPY (SELECT ...) TO would, and where
# something is damaged all but that.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run qw(run);
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'nvmkv_dump is not in the path' if system('nvmkv_dump >/dev/null 2>&1') >> 8 != 2;

my $node = new_server('main', 'nvmkv.max_column_families' => 3, autovacuum => 'off', timezone => 'UTC',
	'nvmkv.target_file_size' => '1MB');
my $data = $node->data_dir;
my $out = "$data/salvaged";

# Every key type, ascending and descending, and other types in the row.
my @types = (
	[ 'boolean', q{g % 2 = 0} ],
	[ 'smallint', q{(g - 500)::smallint} ],
	[ 'integer', q{g - 500} ],
	[ 'bigint', q{(g - 500)::bigint * 1000000007} ],
	[ 'oid', q{(g * 4000)::oid} ],
	[ '"char"', q{chr(33 + g % 90)::"char"} ],
	[ 'name', q{('n' || g)::name} ],
	[ 'text', q{E'a\\\\b\tc\n' || g || repeat('x', g % 50)} ],
	[ 'varchar(40)', q{'v' || g} ],
	[ 'char(8)', q{'c' || g} ],
	[ 'bytea', q{decode(lpad(to_hex(g), 8, '0') || '00ff', 'hex')} ],
	[ 'numeric', q{(g - 500)::numeric * 1234567.00089 / 3} ],
	[ 'real', q{(g - 500)::real / 3} ],
	[ 'double precision', q{(g - 500)::float8 * exp((g % 80)::float8 - 40)} ],
	[ 'date', q{'2000-01-01'::date + (g - 500) * 1000} ],
	[ 'time', q{'00:00'::time + g * interval '1.001 s'} ],
	[ 'timetz', q{('00:00:00'::time + g * interval '1.01 s')::text::timetz} ],
	[ 'timestamp', q{'2000-01-01'::timestamp + (g - 500) * interval '12345.678 min'} ],
	[ 'timestamptz', q{'2000-01-01 00:00+00'::timestamptz + (g - 500) * interval '12345.678 min'} ],
	[ 'uuid', q{md5(g::text)::uuid} ],
	[ 'macaddr', q{('08:00:2b:01:' || lpad(to_hex(g / 256), 2, '0') || ':' || lpad(to_hex(g % 256), 2, '0'))::macaddr} ],
	[ 'macaddr8', q{('08:00:2b:01:02:03:' || lpad(to_hex(g / 256), 2, '0') || ':' || lpad(to_hex(g % 256), 2, '0'))::macaddr8} ],
	[ 'pg_lsn', q{('1/' || to_hex(g))::pg_lsn} ],
	[ 'xid8', q{g::text::xid8} ],
	[ 'mood', q{(array['sad', 'ok', 'happy'])[g % 3 + 1]::mood} ],
	[ 'posint', q{g + 1} ],
	[ 'interval', q{(g - 500) * interval '1 day -2 hours 1 us'} ],
	[ 'text COLLATE "en-x-icu"', q{'Zz-' || chr(200 + g % 50) || g} ],
	[ 'char(8) COLLATE "en-x-icu"', q{'Zz' || g % 10} ],
	[ 'citext', q{'Ab' || g} ],
	[ 'inet', q{('10.0.' || g / 256 || '.' || g % 256 || '/' || g % 33)::inet} ],
	[ 'inet', q{('fe80:' || to_hex(g) || '::1/' || g % 129)::inet} ],
	[ 'cidr', q{network(('10.0.' || g / 256 || '.' || g % 256 || '/' || g % 33)::inet)::cidr} ],
	[ 'bit(11)', q{g::bit(11)} ],
	[ 'varbit', q{substring(g::bit(20)::varbit from 1 for g % 21)} ],
	[ 'int[]', q{array[g, null, g % 3]} ],
	[ 'text[] COLLATE "en-x-icu"', q{array['a b', 'c"d', 'e' || g]} ],
);
my @others = (
	[ 'interval', q{(g - 500) * interval '1 month 2 days 03:04:05.67'} ],
	[ 'inet', q{('10.0.' || g / 256 || '.' || g % 256 || '/16')::inet} ],
	[ 'cidr', q{'fe80::/16'::cidr} ],
	[ 'json', q{('{"a": ' || g || '}')::json} ],
	[ 'int[]', q{array[[g, null], [3, 4]]} ],
	[ 'text[]', q{array['a b', 'c"d', null, 'null', '', 'e' || g]} ],
	[ 'numeric(12,3)', q{g * 1.5} ],
	[ 'mood[]', q{array['sad', 'ok']::mood[]} ],
	[ 'text', q{repeat(md5(g::text), 40 + g % 60)} ],
	[ 'text', q{(select string_agg(md5((g * 1000 + i)::text), '') from generate_series(1, case when g % 100 = 0 then 100 else 0 end) i)} ],
);

$node->safe_psql('postgres', q{
	CREATE EXTENSION citext;
	CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
	CREATE DOMAIN posint AS int CHECK (VALUE > 0);
	CREATE SERVER fast FOREIGN DATA WRAPPER nvmkv_fdw OPTIONS (column_family 'fast', nvm 'off')});
my $columns = join ', ', map { "c$_ $others[$_][0]" } 0 .. $#others;
my $values = join ', ', map { $others[$_][1] } 0 .. $#others;
my @tables;
for my $i (0 .. $#types)
{
	my ($type, $value) = @{ $types[$i] };
	my $order = $i % 2 ? ' DESC' : '';
	my $server = $i % 5 == 4 ? 'fast' : 'nvmkv';

	# The second key column makes keys unique whatever the first is.
	$node->safe_psql('postgres', qq{
		CREATE FOREIGN TABLE k$i (k $type, n int, $columns) SERVER $server OPTIONS (primary_key 'k$order, n');
		INSERT INTO k$i SELECT $value, g, $values FROM generate_series(1, 1000, 7) g});
	push @tables, "k$i";
}

# Histories: updates, deletes, rollbacks, columns that come and go, a table that was truncated, one without a key.
$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE "Odd ""name" (k int, a text, b int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	INSERT INTO "Odd ""name" SELECT g, 'a' || g, g, md5(g::text) FROM generate_series(1, 3000) g;
	ALTER FOREIGN TABLE "Odd ""name" DROP COLUMN b;
	SELECT nvmkv.compact();
	UPDATE "Odd ""name" SET a = 'changed' WHERE k % 3 = 0;
	DELETE FROM "Odd ""name" WHERE k % 5 = 0;
	BEGIN; UPDATE "Odd ""name" SET a = 'never'; DELETE FROM "Odd ""name" WHERE k < 100; ROLLBACK;
	BEGIN; SAVEPOINT s; DELETE FROM "Odd ""name" WHERE k < 1000; ROLLBACK TO s; INSERT INTO "Odd ""name" VALUES (-1, 'x', 'y'); COMMIT;
	ALTER FOREIGN TABLE "Odd ""name" ADD COLUMN c text DEFAULT E'tab\there';
	INSERT INTO "Odd ""name" VALUES (-2, NULL, NULL, NULL);
	CREATE FOREIGN TABLE nokey (v text) SERVER nvmkv;
	INSERT INTO nokey SELECT 'old' FROM generate_series(1, 100);
	TRUNCATE nokey;
	INSERT INTO nokey SELECT 'row ' || g FROM generate_series(1, 100) g;
	CREATE FOREIGN TABLE gone (v text) SERVER nvmkv; INSERT INTO gone VALUES ('gone'); DROP FOREIGN TABLE gone});
push @tables, '"Odd ""name"', 'nokey';
$node->safe_psql('postgres', 'SELECT nvmkv.flush()') if $$ % 2;

# A damage of its own later: in files of several blocks.
$node->safe_psql('postgres', q{
	CREATE FOREIGN TABLE big (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
	INSERT INTO big SELECT g, md5(g::text) || md5((-g)::text) FROM generate_series(1, 20000) g;
	SELECT nvmkv.compact('big')});

my %expected;
for my $table (@tables, 'big')
{
	$node->safe_psql('postgres', "COPY (SELECT * FROM $table) TO '$data/expected.copy'");
	$expected{$table} = join '', sort split /(?<=\n)/, slurp_file("$data/expected.copy");
}
my $unflushed = $node->safe_psql('postgres', q{
	INSERT INTO "Odd ""name" VALUES (-3, 'kept', 'in WAL'); SELECT 1});

# What the tool finds: table => lines, sorted; and what it says.
sub salvage
{
	my (@options) = @_;
	my ($said, $errors) = ('', '');

	system('rm', '-rf', $out);
	run [ 'nvmkv_dump', 'salvage', "$data/nvmkv", '--to', $out, @options ], '>', \$said, '2>', \$errors;
	my %found;
	for my $file (glob("$out/*.copy"))
	{
		my ($table) = $file =~ m{/\d+\.public\.(.*)\.\d+\.copy$};

		$found{$table} = join '', sort split /(?<=\n)/, slurp_file($file);
	}
	return (\%found, $said, $errors);
}

sub file_name
{
	my ($table) = @_;

	$table =~ s/[^A-Za-z0-9.]/_/g;
	return $table;
}

$node->stop;
$expected{'"Odd ""name"'} = join '', sort split /(?<=\n)/, $expected{'"Odd ""name"'} . "-3\tkept\tin WAL\ttab\\there\n";
my ($found, $said, $errors) = salvage();
is($errors, '', 'nothing is damaged');
for my $table (@tables, 'big')
{
	is($found->{ file_name($table) } // 'nothing', $expected{$table}, "$table: what the server showed");
}
ok(!exists $found->{gone}, 'a table that was dropped is not there');

# The list, and one table of it.
my $list = '';
run [ 'nvmkv_dump', 'salvage', "$data/nvmkv" ], '>', \$list;
like($list, qr/^public\.nokey \(database \d+, storage \d+\): 1 columns$/m, 'the list of tables');
($found, $said, $errors) = salvage('--table', 'public.nokey');
is(join(',', keys %$found), 'nokey', 'one table');

# What it writes can be loaded.
my ($sql) = glob("$out/*nokey*.sql");
$node->start;
$node->safe_psql('postgres', 'DROP FOREIGN TABLE nokey');
$node->safe_psql('postgres', slurp_file($sql));
is($node->safe_psql('postgres', 'SELECT count(*) FROM nokey'), '100', 'the table is loaded elsewhere');

# A crash, and the container is lost: what recovery has kept is read, too, as are all other files.
$node->safe_psql('postgres', q{INSERT INTO big VALUES (30000, 'kept')});
$node->stop('immediate');
rename "$data/nvmkv/CURRENT", "$data/saved" or die;
$node->start;
is($node->safe_psql('postgres', 'SELECT 1'), '1', 'without CURRENT the server starts');
$node->stop;
$expected{big} = join '', sort split /(?<=\n)/, $expected{big} . "30000\tkept\n";
($found, $said, $errors) = salvage();
like($errors, qr/CURRENT.*all table files of the directory are/s, 'without a manifest: told');
is($found->{big} // 'nothing', $expected{big}, 'without a manifest: the table is there, with what was kept');
rename "$data/saved", "$data/nvmkv/CURRENT" or die;

# One damaged block costs the keys in it; the other tables are whole.
my ($file) = sort { -s $b <=> -s $a } grep { index(slurp_file($_), md5_of(10000)) >= 0 } glob("$data/nvmkv/*.sst");
my $at = index(slurp_file($file), md5_of(10000));
{
	open(my $f, '+<:raw', $file) or die;
	seek($f, $at, 0);
	print $f 'rot';
}
($found, $said, $errors) = salvage();
like($errors, qr/corruption: .*\.sst.*\n.*lost: rows with keys .*up to/, 'a damaged block: what is lost is told');
my %there = map { $_ => 1 } split /(?<=\n)/, $found->{big};
my @missing = grep { !$there{$_} } split /(?<=\n)/, $expected{big};
cmp_ok(scalar(@missing), '>', 0, 'a damaged block: its rows are lost');
cmp_ok(scalar(@missing), '<', 2000, 'a damaged block: not many');
is(scalar(keys %there), 20001 - @missing, 'a damaged block: all others are there, and nothing else');
for my $table (grep { $_ ne 'nokey' } @tables)
{
	is($found->{ file_name($table) } // 'nothing', $expected{$table}, "$table: untouched");
}

sub md5_of
{
	my ($text) = @_;
	my $sum = `printf %s $text | md5sum`;

	$sum =~ s/\s.*//s;
	return $sum;
}

done_testing();
