# Random statements on a foreign table and on its heap twin: rows, command tags, errors and who waits for whom must be
# the same.  One session at first, then two that get in each other's way, while memtables are flushed and columns
# are compacted.
#
# NVMKV_FUZZ_SECONDS=n goes on with new seeds for n seconds, NVMKV_SEED=n runs that one.  What was said is in the
# test's log.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IO::Select;
use IPC::Open2;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my @seeds = defined $ENV{NVMKV_SEED} ? ($ENV{NVMKV_SEED}) : (1 .. 6);
my $seconds = $ENV{NVMKV_FUZZ_SECONDS} || 0;
my $length = $ENV{NVMKV_FUZZ_STATEMENTS} || 150;

# Types of key columns: declaration, values (many of them the type's edges), and types to compare with.
my %key_types = (
	int => [ 'int', [qw(-2147483648 -2 -1 0 1 2 3 4 5 6 7 2147483647)], [ 'int', 'bigint', 'smallint', 'numeric' ], ],
	bigint => [ 'bigint', [qw(-9223372036854775808 -1 0 1 2 3 4 5 6 9223372036854775807)], [ 'bigint', 'int', 'float8' ] ],
	smallint => [ 'smallint', [qw(-32768 -1 0 1 2 3 4 32767)], [ 'smallint', 'int', 'bigint' ] ],
	text => [ 'text COLLATE "C"', [ '', 'a', 'A', 'ab', 'b', 'a b', 'zz', 'ba', 'a!', '~' ], [ 'text', 'name' ] ],
	words => [ 'text', [ '', 'a', 'A', 'ab', 'b', 'a b', 'zz', 'B' ], ['text'] ],
	varchar => [ 'varchar(10) COLLATE "C"', [ '', 'a', 'a ', 'ab', 'b', 'c', 'd' ], [ 'text', 'varchar' ] ],
	char => [ 'char(5) COLLATE "C"', [ '', 'a', 'a  ', 'ab', 'b', 'c', 'd' ], ['bpchar'] ],
	bytea => [ 'bytea', [ '', '\\x00', '\\x0000', '\\x01', '\\x00ff', '\\xff', '\\xffff', '\\x61' ], ['bytea'] ],
	numeric => [ 'numeric', [qw(NaN -Infinity Infinity 0 0.0 1 1.0 1.00 -1 1e30 -1e30 1e-30 9999.9999 10000)], [ 'numeric', 'int' ] ],
	float8 => [ 'float8', [qw(NaN -Infinity Infinity 0 -0 1 -1 0.1 1e300 -1e300 1e-300 2)], [ 'float8', 'float4', 'numeric' ] ],
	real => [ 'real', [qw(NaN -Infinity Infinity 0 -0 1 -1 0.1 1e30 2)], [ 'float8', 'float4' ] ],
	date => [ 'date', [qw(-infinity infinity 2000-01-01 1999-12-31 2024-02-29 2024-03-31 2024-10-27 0001-01-01)], [ 'date', 'timestamp', 'timestamptz' ] ],
	timestamp => [ 'timestamp', [ qw(-infinity infinity 2000-01-01 1999-12-31), '2024-03-31 02:30', '2024-10-27 02:30', '2024-10-27 00:00:00.000001' ], [ 'timestamp', 'date', 'timestamptz' ] ],
	timestamptz => [ 'timestamptz', [ qw(-infinity infinity 2000-01-01 1999-12-31), '2024-03-31 02:30', '2024-10-27 02:30', '2024-10-27 00:30' ], [ 'timestamptz', 'date', 'timestamp' ] ],
	timetz => [ 'timetz', [ '00:00+0', '01:00+1', '24:00-2', '12:00+0', '13:00+1' ], ['timetz'] ],
	uuid => [ 'uuid', [ map { sprintf '%08x-0000-0000-0000-%012x', $_ % 3, $_ } 0 .. 7 ], ['uuid'] ],
	bool => [ 'bool', [qw(f t)], ['bool'] ],
	mood => [ 'mood', [qw(sad ok happy)], ['mood'] ],
	small => [ 'small', [qw(-1 0 1 2 3 4 5)], [ 'int', 'bigint' ] ],
	name => [ 'name', [ '', 'a', 'b', 'ab', 'abc' ], [ 'name', 'text' ] ],
	money => [ 'money', [qw(-1 0 1 2 3)], ['money'] ],
	oid => [ 'oid', [qw(0 1 2 3000000000 4294967295)], ['oid'] ]);

# Columns beside the key: declaration and values.
my %value_types = (
	v => [ 'int CHECK (v < 1000)', [ qw(0 1 2 3 4 5 6 7 8 9 10 11 NULL NULL), 'least(rows(), 11)' ] ],
	w => [ 'text', [ "''", "'x'", "'yy'", "repeat('toast', 900)", "(SELECT string_agg(md5(g::text), '') FROM generate_series(1, 120) g)", 'NULL' ] ],
	n => [ 'numeric(12, 3)', [qw(0 1.5 -2.25 1e8 NULL), "'NaN'"] ],
	a => [ 'int[]', [ "'{}'", "'{1,2}'", "'{NULL,3}'", "'{{1},{2}}'", 'NULL' ] ],
	j => [ 'jsonb', [ "'{}'", q('{"a": [1, 2, {"b": null}]}'), 'NULL' ] ],
	c => [ 'pair', [ "(1, 'x')::pair", "(NULL, NULL)::pair", 'NULL' ] ],
	d => [ 'small', [qw(0 1 2 3 NULL)] ],
	m => [ 'mood', [ "'sad'", "'happy'", 'NULL' ] ],
	r => [ 'int4range', [ "'[1,5)'", "'empty'", 'NULL' ] ],
	b => [ 'bool NOT NULL', [qw(true false)] ],
	i => [ 'interval', [ "'1 day'", "'24:00'", 'NULL' ] ],
	f => [ 'float8', [ "'-0'", "'NaN'", '0.1', 'NULL' ] ]);

my $node = new_server('main',
	deadlock_timeout => '50ms', autovacuum => 'off', fsync => 'off', log_statement => 'none', log_min_messages => 'fatal');
my %sessions;
my $transcript = $node->basedir . '/said.log';

sub pick { return $_[ int rand @_ ] }
sub chance { return rand() < $_[0] }

# ---------------------------------------------------------------- sessions

# A session: psql, whose words come one after the other, each statement's followed by a marker.
sub open_session
{
	my ($name, $schema) = @_;
	my %s = (name => $name, schema => $schema, buffer => '', serial => 0, busy => 0);

	$s{psql} = open2($s{out}, $s{in}, 'sh', '-c', 'exec psql -XAt -d "$0" 2>&1', $node->connstr('postgres'));
	$s{in}->autoflush(1);
	$s{select} = IO::Select->new($s{out});
	$sessions{$name} = \%s;
	$s{pid} = ask(\%s, "\\set VERBOSITY verbose\nSELECT pg_backend_pid()");
	ask(\%s, "SET search_path = $schema, public; SET timezone = 'Europe/Berlin'; SET extra_float_digits = 1; SET client_min_messages = notice");
	return \%s;
}

sub send_to
{
	my ($s, $sql) = @_;

	$s->{serial}++;
	print { $s->{in} } $sql, $sql =~ /\n\\\.$/ ? "\n" : ";\n", "\\echo said $s->{serial}\n";
	$s->{busy} = 1;
	return;
}

# Reads what is there; true when the statement is done.
sub hear
{
	my ($s, $patience) = @_;

	return 1 unless $s->{busy};
	while ($s->{select}->can_read($patience))
	{
		my $n = sysread($s->{out}, $s->{buffer}, 65536, length $s->{buffer});

		die "psql of $s->{name} has ended: $s->{buffer}" unless $n;
		last if $s->{buffer} =~ /^said $s->{serial}$/m;
	}
	return 0 unless $s->{buffer} =~ s/\A(.*?)^said $s->{serial}\n\z//ms;
	$s->{said} = $1;
	$s->{busy} = 0;
	return 1;
}

sub ask
{
	my ($s, $sql) = @_;
	my $said = $s->{said};

	send_to($s, $sql);
	for (1 .. 600)
	{
		return $s->{said} if hear($s, 0.1);
	}
	die "no answer from $s->{name}: $sql";
}

sub is_blocked
{
	my ($s) = @_;

	return ask($sessions{control}, "SELECT cardinality(pg_blocking_pids($s->{pid})) > 0") =~ /^t/;
}

# ---------------------------------------------------------------- schema

my %t; # the table of this run: key columns, value columns

sub make_schema
{
	my ($concurrent) = @_;
	my @names = sort keys %key_types;

	@names = qw(int bigint text date numeric uuid) if $concurrent;
	%t = (keys => [], values => [], extra => 0, few => $concurrent);
	my $nkeys = chance(0.1) ? 0 : $concurrent ? pick(1, 1, 1, 1, 2) : pick(1, 1, 1, 2, 2, 3);
	for my $i (1 .. $nkeys)
	{
		my $type = pick(@names);
		push @{ $t{keys} }, { name => "k$i", type => $type, desc => chance(0.25) };
	}
	my @others = sort keys %value_types;
	for my $name ('v', grep { $_ ne 'v' && chance(0.45) } @others)
	{
		push @{ $t{values} }, { name => $name };
	}
	my @columns = (map { "$_->{name} $key_types{$_->{type}}[0]" } @{ $t{keys} });
	push @columns, map { "$_->{name} $value_types{$_->{name}}[0]" } @{ $t{values} };
	push @columns, 'g int GENERATED ALWAYS AS (v * 2 + 1) STORED' if chance(0.4);
	if (chance(0.3))
	{
		# Key columns need not come first.
		for my $i (reverse 1 .. $#columns)
		{
			my $j = int rand($i + 1);
			@columns[ $i, $j ] = @columns[ $j, $i ];
		}
	}
	my $columns = join ', ', @columns;
	my $key = join ', ', map { $_->{name} } @{ $t{keys} };
	my $definition = join ', ', map { $_->{name} . ($_->{desc} ? ' DESC' : '') } @{ $t{keys} };
	my $options = $nkeys ? "OPTIONS (primary_key '$definition')" : '';
	my $pk = $nkeys ? ", PRIMARY KEY ($key)" : '';
	my $triggers = '';

	$t{triggers} = chance($concurrent ? 0.2 : 0.3);
	$t{parts} = chance(0.2) && $nkeys && $t{keys}[0]{type} !~ /^(money|small)$/ ? pick(1, 2, 3) : 0;
	my $mixed = chance(0.3);
	for my $schema ('heap', 'fdw')
	{
		my $sql = "DROP SCHEMA IF EXISTS $schema CASCADE; CREATE SCHEMA $schema; SET search_path = $schema, public;";

		if ($t{parts})
		{
			$sql .= "CREATE TABLE t ($columns) PARTITION BY HASH ($t{keys}[0]{name});";
			for my $i (0 .. $t{parts} - 1)
			{
				my $heap = $schema eq 'heap' || $mixed && $i == 1;

				$sql .= 'CREATE ' . ($heap ? '' : 'FOREIGN ') . "TABLE t$i PARTITION OF t FOR VALUES WITH (MODULUS $t{parts}, REMAINDER $i)";
				$sql .= $heap ? "; ALTER TABLE t$i ADD PRIMARY KEY ($key);" : " SERVER nvmkv $options;";
			}
		}
		else
		{
			$sql .= $schema eq 'heap' ? "CREATE TABLE t ($columns$pk);" : "CREATE FOREIGN TABLE t ($columns) SERVER nvmkv $options;";
		}
		$sql .= 'CREATE VIEW tv AS SELECT * FROM t WHERE v IS NULL OR v < 10 WITH CHECK OPTION;';
		$sql .= "CREATE TABLE trace (op text, at text, o text, n text);
			CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
				INSERT INTO trace VALUES (tg_op, tg_when, CASE WHEN tg_op <> ''INSERT'' THEN old::text END,
					CASE WHEN tg_op <> ''DELETE'' THEN new::text END);
				IF tg_when = ''BEFORE'' AND tg_op = ''UPDATE'' AND new.v = 7 THEN new.v := 8; END IF;
				IF tg_when = ''BEFORE'' AND tg_op = ''INSERT'' AND new.v = 5 THEN RETURN NULL; END IF;
				IF tg_op = ''DELETE'' THEN RETURN old; END IF;
				RETURN new; END';
			CREATE FUNCTION rows() RETURNS int VOLATILE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM t); END';";
		if ($t{triggers})
		{
			$sql .= "CREATE TRIGGER b BEFORE INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION note();";
			$sql .= "CREATE TRIGGER a AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION note();";
		}
		$sql .= "ANALYZE t;";
		my $said = ask($sessions{control}, "SET client_min_messages = warning; $sql");
		die "$sql\n$said" if $said =~ /ERROR/;
	}
	note("t ($columns) key ($definition)" . ($t{triggers} ? ' with triggers' : '') . ($t{parts} ? " in $t{parts} partitions" : ''));
	return;
}

# ---------------------------------------------------------------- statements

sub quoted { my ($x) = @_; $x =~ s/'/''/g; return "'$x'" }

sub key_value
{
	my ($column, $type) = @_;
	my @values = @{ $key_types{ $column->{type} }[1] };
	my $value = quoted(pick($t{few} ? @values[ 2 .. 5 ] : @values));

	return defined $type ? "$value\::$type" : $value;
}

# What a volatile function says in an UPDATE that had to wait depends on when it is asked.
sub value_of
{
	my ($c) = @_;

	return pick(grep { !$t{few} || !/rows/ } @{ $value_types{ $c->{name} }[1] });
}

# A value of another type, where the key's values are values of it.
sub operand
{
	my ($column) = @_;
	my $type = pick(@{ $key_types{ $column->{type} }[2] });
	my $value = key_value($column);

	return $value if $column->{type} eq 'mood' || chance(0.4);
	return 'NULL' if chance(0.04);
	$value = quoted(pick(qw(0 1 2 3 -1))) if $type =~ /^(int|smallint|bigint)$/ && $column->{type} !~ /^small$|^int$/;
	$value = quoted(pick(qw(0 1 2 3 4 5 6))) if $type eq 'smallint';
	$value = quoted(pick(qw(0 1.5 0.1 2 100000 -3)))
	  if $type =~ /^(numeric|float8|float4)$/ && $column->{type} !~ /^(numeric|real|float8)$/;
	$value = quoted(pick(qw(0 1.5 0.1 2 NaN Infinity))) if $type =~ /^float4$/;
	$value = quoted(pick('2000-01-01', '2024-03-31', '-infinity', '2024-10-27'))
	  if $type eq 'date' && $column->{type} =~ /^timestamp/;
	return "$value\::$type";
}

sub key_condition
{
	my ($p) = @_;
	return 'true' unless @{ $t{keys} };
	my $c = $t{keys}[ chance(0.7) ? 0 : int rand @{ $t{keys} } ];
	my $kind = int rand 12;
	my $name = "$p$c->{name}";

	return "$name = " . operand($c) if $kind <= 3;
	return "$name IN (" . join(', ', map { key_value($c) } 1 .. 1 + int rand 6) . ')' if $kind == 4;
	return "$name = ANY (ARRAY[" . join(', ', map { chance(0.1) ? 'NULL' : key_value($c) } 1 .. 4) . ']::' . ($c->{type} eq 'small' ? 'int' : $key_types{ $c->{type} }[0] =~ s/ .*|\(.*//r) . '[])'
	  if $kind == 5 && $c->{type} !~ /^(char|varchar)$/;
	return "$name " . pick('<', '<=', '>', '>=', '<>') . ' ' . operand($c) if $kind <= 7;
	return "$name BETWEEN " . key_value($c) . ' AND ' . key_value($c) if $kind == 8;
	if ($kind == 9 && @{ $t{keys} } > 1)
	{
		my @all = @{ $t{keys} };
		return '(' . join(', ', map { "$p$_->{name}" } @all) . ') ' . pick('<', '<=', '>', '>=', '=') . ' (' . join(', ', map { key_value($_) } @all) . ')';
	}
	return join(' AND ', map { "$p$_->{name} = " . key_value($_) } @{ $t{keys} }) if $kind == 10;
	return "$name LIKE 'a%'" if $kind == 11 && $c->{type} eq 'text';
	return '(' . key_condition($p) . ' OR ' . key_condition($p) . ')';
}

sub value_condition
{
	my ($p) = @_;
	return pick("${p}v = " . int(rand 12), "${p}v < " . int(rand 12), "${p}v IS NULL", "${p}v % 3 = 1", "coalesce(${p}v, 0) > 4");
}

sub condition
{
	my ($p) = @_;
	my $kind = rand;

	return key_condition($p) if $kind < 0.6;
	return key_condition($p) . ' AND ' . value_condition($p) if $kind < 0.8;
	return value_condition($p) if $kind < 0.95;
	return 'true';
}

sub whole_key
{
	my ($p) = @_;
	return value_condition($p) unless @{ $t{keys} };
	return join ' AND ', map { "$p$_->{name} = " . key_value($_) } @{ $t{keys} };
}

sub column_list { return join ', ', map { $_->{name} } @{ $t{keys} }, @{ $t{values} } }
sub row { return '(' . join(', ', (map { chance(0.01) ? 'NULL' : key_value($_) } @{ $t{keys} }), (map { value_of($_) } @{ $t{values} })) . ')' }

sub set_list
{
	my @c = grep { chance(0.4) } @{ $t{values} };
	@c = ($t{values}[0]) unless @c;
	return join ', ', map {
		    $_->{name} eq 'v' && chance(0.5) ? pick('v = v + 1', 'v = coalesce(v, 0) * 2 % 500', $t{few} ? () : 'v = 999 + v')
		  : $_->{name} eq 'w' && chance(0.5) ? "w = w || 'x'"
		  : $_->{name} eq 'b' && !$t{few} && chance(0.1) ? 'b = NULL'
		  : "$_->{name} = " . value_of($_)
	} @c;
}

sub key_order
{
	my $flip = chance(0.4);
	return join ', ', map { $_->{name} . (($_->{desc} xor $flip) ? ' DESC' : '') } @{ $t{keys} };
}

sub returning
{
	my ($sql) = @_;
	return $sql if chance(0.5);
	return "WITH x AS ($sql RETURNING t.*) SELECT * FROM x" if chance(0.4);
	return "$sql RETURNING " . pick('*', 't', 'v, v + 1', 'tableoid IS NOT NULL, *');
}

sub change
{
	my ($concurrent, $snapshot) = @_;
	my $n = $concurrent ? 1 : pick(1, 1, 1, 2, 3, 20);
	my $kind = rand;
	my $keyed = @{ $t{keys} };
	my $same_key = join ' AND ', map { "x.$_->{name} = t.$_->{name}" } @{ $t{keys} };

	# A key that was deleted since the snapshot, and is inserted: a heap then shows two rows.
	$kind = 0.5 if $snapshot && $kind < 0.45;

	# With row triggers a scan locks what it finds, also what the join drops; without a key, a row the join meets
	# twice is shown to BEFORE triggers twice.
	$kind = 0.5 if $t{triggers} && $kind >= 0.78 && ($concurrent || !$keyed);

	if ($kind < 0.30)
	{
		my $sql = 'INSERT INTO t (' . column_list() . ') VALUES ' . join(', ', map { row() } 1 .. $n);
		$sql .= ' ON CONFLICT DO NOTHING' if chance(0.35);
		return returning($sql);
	}
	if ($kind < 0.45 && $keyed && !$t{parts})
	{
		my $key = join ', ', map { $_->{name} } @{ $t{keys} };
		my $sql = 'INSERT INTO t (' . column_list() . ') VALUES ' . join(', ', map { row() } 1 .. $n) . " ON CONFLICT ($key) ";
		$sql .= chance(0.2) ? 'DO NOTHING' : 'DO UPDATE SET ' . pick(set_list() =~ s/\b([vw]) = ([vw])\b/$1 = t.$2/gr =~ s/999 \+ v/999 + t.v/r =~ s/coalesce\(v,/coalesce(t.v,/r, 'v = excluded.v', 'v = excluded.v + t.v')
		  . (chance(0.4) ? ' WHERE ' . value_condition('t.') : '');
		$sql =~ s/t\.t\./t./g;
		return $t{triggers} || chance(0.5) ? $sql : "$sql RETURNING *";
	}
	return returning('UPDATE t SET ' . set_list() . ' WHERE ' . ($concurrent && chance(0.7) ? whole_key('') : condition('')))
	  if $kind < 0.68;
	return returning('DELETE FROM t WHERE ' . ($concurrent && chance(0.7) ? whole_key('') : condition('')))
	  if $kind < 0.78;
	if ($kind < 0.82 && $keyed && !($t{parts} && $t{triggers}))
	{
		my $c = pick(@{ $t{keys} });
		return returning("UPDATE t SET $c->{name} = " . key_value($c) . ' WHERE ' . whole_key(''));
	}
	return 'UPDATE t SET v = x.v + 1 FROM t x WHERE ' . ($keyed ? "$same_key AND " : 't.v = x.v AND x.v IS NULL AND ') . condition('x.')
	  if $kind < 0.86;
	return returning('DELETE FROM t USING t x WHERE ' . ($keyed ? "$same_key AND " : 't.v = x.v AND ') . condition('x.') . ' AND t.v = 3')
	  if $kind < 0.89;
	return "WITH x AS (DELETE FROM t WHERE " . condition('') . ' RETURNING *) INSERT INTO t (' . column_list() . ') SELECT ' . column_list() . ' FROM x'
	  if $kind < 0.92 && $n < 5;
	return "WITH x AS (UPDATE t SET v = 1 WHERE " . condition('') . ' RETURNING *) UPDATE t SET v = 2 WHERE ' . condition('')
	  if $kind < 0.94 && !$t{triggers};
	return 'INSERT INTO t (' . column_list() . ') SELECT ' . column_list() . ' FROM t WHERE ' . condition('') . ' ON CONFLICT DO NOTHING'
	  if $kind < 0.97 && $keyed;
	return 'INSERT INTO t (' . column_list() . ') VALUES ' . row();
}

sub dml
{
	my $sql = change(@_);

	$sql =~ s/\b(INSERT INTO|UPDATE|DELETE FROM) t\b/$1 tv AS t/ if chance(0.06) && $sql !~ /RETURNING t\b|tableoid/;
	return $sql;
}

sub query
{
	my ($concurrent) = @_;
	my $keyed = @{ $t{keys} };
	my $kind = int rand 22;
	my $k = $keyed ? $t{keys}[0]{name} : 'v';

	# Of values that are equal and do not look the same, any may stand for them all.
	my $two_faced = grep { $_->{type} =~ /^(numeric|float8|real)$/ } @{ $t{keys} };
	my $on = $keyed && chance(0.6) ? join(' AND ', map { "x.$_->{name} = t.$_->{name}" } @{ $t{keys} }) : "x.$k = t.$k";

	return 'SELECT * FROM t WHERE ' . condition('') if $kind <= 3;
	return 'SELECT ' . pick('count(*)', 'sum(v)', 'count(v), min(v), max(v)', "max(${k}::text)") . ' FROM t WHERE ' . condition('')
	  if $kind <= 5;
	return "\\ordered SELECT * FROM t WHERE " . condition('') . ' ORDER BY ' . key_order() . pick('', ' LIMIT 3', ' LIMIT 5 OFFSET 2')
	  if $kind <= 8 && $keyed;
	return "SELECT t.*, x.v FROM t " . pick('JOIN', 'LEFT JOIN', 'FULL JOIN') . " t x ON $on WHERE " . condition('t.')
	  if $kind == 9;
	return "SELECT v, (SELECT count(*) FROM t x WHERE $on AND x.v >= t.v) FROM t WHERE " . condition('') if $kind == 10;
	return 'SELECT * FROM t WHERE ' . pick('', 'NOT ') . "EXISTS (SELECT FROM t x WHERE $on AND " . value_condition('x.') . ')'
	  if $kind == 11;
	return "SELECT count(*) FROM t WHERE $k " . pick('', 'NOT ') . "IN (SELECT $k FROM t x WHERE " . value_condition('x.') . ')'
	  if $kind == 12;
	return "SELECT DISTINCT $k FROM t WHERE " . condition('') if $kind == 13 && !$two_faced;
	return "SELECT v, rank() OVER (PARTITION BY v % 3 ORDER BY v) FROM t WHERE " . condition('') if $kind == 14;
	return 'SELECT * FROM t WHERE ' . condition('') . ' FOR ' . pick('UPDATE', 'SHARE', $concurrent ? () : ('NO KEY UPDATE', 'KEY SHARE')) . pick('', '', ' NOWAIT')
	  if $kind == 15;
	return "\\ordered SELECT max($k), min($k) FROM t WHERE " . condition('')
	  if $kind == 16 && $keyed && $t{keys}[0]{type} !~ /^(bool|uuid|bytea|name|words|mood|numeric|float8|real)$/;
	return 'SELECT t, (t).v, row_to_json(t) FROM t WHERE ' . condition('') if $kind == 17;
	return "SELECT a.v, b.v FROM t a, LATERAL (SELECT x.v FROM t x WHERE x.$k = a.$k AND " . condition('x.') . ' ORDER BY x.v LIMIT 1) b'
	  if $kind == 18;
	return "SELECT $k, count(*), sum(v) FROM t GROUP BY $k HAVING count(*) > 0" if $kind == 19 && !$two_faced;
	return 'SELECT count(*) FROM t x, t y WHERE ' . condition('x.') . ' AND ' . condition('y.') if $kind == 20;
	return 'SELECT * FROM t EXCEPT SELECT * FROM t WHERE ' . condition('')
	  if $kind == 21 && !$two_faced && !grep { $_->{name} =~ /^[cif]$/ } @{ $t{values} };
	return 'SELECT * FROM t';
}

sub block
{
	my $first = dml(0);
	my $second = dml(0);
	my $inner = dml(0);

	$_ =~ s/ RETURNING .*//s for $first, $second, $inner;
	return query() if "$first$second$inner" =~ /^WITH|WITH x/;
	return "DO \$\$ BEGIN $first; BEGIN $second; $inner; RAISE EXCEPTION 'back'; EXCEPTION WHEN raise_exception OR integrity_constraint_violation OR cardinality_violation THEN RAISE NOTICE '%', left(sqlstate, 2); END; $inner; END \$\$";
}

sub copy_in
{
	my $keyed = @{ $t{keys} };
	return query() if grep { $_->{name} !~ /^[vb]$/ } @{ $t{values} };
	my @rows = map { join "\t", (map { my $x = pick(@{ $key_types{ $_->{type} }[1] }); $x =~ s/\\/\\\\/g; $x } @{ $t{keys} }), (map { $_->{name} eq 'v' ? int rand 30 : pick('t', 'f') } @{ $t{values} }) } 1 .. pick(1, 2, 5);
	my $list = column_list();
	return "COPY t ($list) FROM stdin;\n" . join("\n", @rows) . "\n\\.";
}

# A whole cursor's life.
sub cursor
{
	my $keyed = @{ $t{keys} };
	return query() unless $keyed;
	my $where = condition('');
	my $order = key_order();
	my $hold = pick('', ' WITH HOLD');
	my $list = "BEGIN; DECLARE c SCROLL CURSOR$hold FOR SELECT * FROM t WHERE $where ORDER BY $order; FETCH 2 FROM c; ";

	$list .= pick('', 'UPDATE t SET v = 1; ', 'DELETE FROM t WHERE v = 2; ', 'SAVEPOINT s; UPDATE t SET v = 4; ROLLBACK TO s; ');
	$list .= join '', map { 'FETCH ' . pick('NEXT', 'PRIOR', 'ABSOLUTE 2', 'RELATIVE -1', 'LAST', 'FIRST', '3', 'BACKWARD 2', 'ALL') . ' FROM c; ' } 1 .. 4;
	$list .= pick('COMMIT', 'ROLLBACK');
	$list .= '; FETCH 2 FROM c; FETCH PRIOR FROM c; CLOSE c' if $hold;
	return "\\ordered $list";
}

my $prepared = 0;

sub prepare
{
	my $keyed = @{ $t{keys} };
	return query() unless $keyed;
	my $c = $t{keys}[0];
	my $type = $key_types{ $c->{type} }[0] =~ s/ .*//r;
	my $name = 'p' . ++$prepared;
	my $sql = pick("SELECT * FROM t WHERE $c->{name} = \$1", "SELECT * FROM t WHERE $c->{name} > \$1 AND v >= \$2", "UPDATE t SET v = \$2 WHERE $c->{name} = \$1 RETURNING *", "DELETE FROM t WHERE $c->{name} = \$1 AND v = \$2", "SELECT count(*) FROM t WHERE $c->{name} IN (\$1, NULL)");
	my @executes = map { "EXECUTE $name (" . (chance(0.15) ? 'NULL' : key_value($c)) . ', ' . int(rand 10) . ')' } 1 .. 7;
	return "PREPARE $name ($type, int) AS $sql; " . pick('', 'SET plan_cache_mode = force_generic_plan; ', 'SET plan_cache_mode = force_custom_plan; ') . join('; ', @executes);
}

# Enough rows to fill memtables.
sub bulk
{
	my @keys = @{ $t{keys} };
	return query() if $t{triggers} || $t{parts} || !@keys || $keys[0]{type} !~ /^(int|bigint|text|words|numeric|float8|real|name|oid|smallint)$/;
	my $c = $keys[0];
	my $first = pick(0, 0, 100, 1000);
	my $last = $first + pick(200, 1000, 3000);
	my $key = "g::text::" . $key_types{ $c->{type} }[0] =~ s/ .*//r;
	my $list = join ', ', $key, map { key_value($_, $key_types{ $_->{type} }[0] =~ s/ .*//r) } @keys[ 1 .. $#keys ];
	my $range = "$c->{name} > '" . pick(1, 10, 100, 1000) . "'";

	return pick("DELETE FROM t WHERE $range", "DELETE FROM t WHERE $range AND v % 2 = 0",
		"UPDATE t SET v = v % 10 + 1 WHERE $range", "SELECT count(*), sum(v) FROM t WHERE $range") if chance(0.5);
	my %bulky = (w => "repeat(md5(g::text), g % 30)", b => 'g % 2 = 0', v => 'g % 100');
	my $values = join ', ', map { $bulky{ $_->{name} } // value_of($_) } @{ $t{values} };
	return 'INSERT INTO t (' . column_list() . ") SELECT $list, $values FROM generate_series($first, $last) g"
	  . pick(' ON CONFLICT DO NOTHING', ' ON CONFLICT (' . join(', ', map { $_->{name} } @keys) . ') DO UPDATE SET v = excluded.v');
}

sub ddl
{
	my $n = ++$t{extra};
	my @kinds = ("ALTER TABLE t ADD COLUMN e$n int DEFAULT 5", "ALTER TABLE t ADD COLUMN e$n text DEFAULT 'd'; UPDATE t SET e$n = 'z' WHERE v = 1",
		"ALTER TABLE t ADD COLUMN e$n text", "ALTER TABLE t DROP COLUMN IF EXISTS e" . ($n - 1), "ALTER TABLE t ADD COLUMN e$n int; UPDATE t SET e$n = v; ALTER TABLE t DROP COLUMN e$n",
		'TRUNCATE t', 'BEGIN; TRUNCATE t; ' . dml(0) . '; SELECT * FROM t; ROLLBACK; SELECT * FROM t', 'ANALYZE t',
		'BEGIN; ' . dml(0) . '; SAVEPOINT s; TRUNCATE t; ' . dml(0) . '; ROLLBACK TO s; ' . dml(0) . '; COMMIT',
		"ALTER TABLE t ADD CONSTRAINT x$n CHECK (v <> 11)", "ALTER TABLE t DROP CONSTRAINT IF EXISTS x" . ($n - 1),
		"ALTER TABLE t ADD COLUMN e$n small NOT NULL DEFAULT 1");
	@kinds = grep { /TRUNCATE|ANALYZE/ } @kinds if $t{parts};
	return pick(@kinds);
}

my @settings = ('enable_hashjoin', 'enable_mergejoin', 'enable_nestloop', 'enable_seqscan', 'enable_indexscan', 'enable_sort', 'enable_material', 'enable_memoize', 'enable_hashagg');

my @parallel_settings = ('min_parallel_table_scan_size', 'min_parallel_index_scan_size', 'parallel_setup_cost', 'parallel_tuple_cost');

sub statement
{
	my ($concurrent, $failed, $snapshot, $open) = @_;
	my $kind = rand;

	return chance(0.5) ? 'ROLLBACK' : 'ROLLBACK TO s' if $failed && chance(0.6);
	return dml($concurrent, $snapshot) if $kind < 0.5;
	return query($concurrent) if $kind < ($concurrent ? 0.65 : 0.75);
	if ($concurrent)
	{
		return pick('BEGIN', 'BEGIN', 'BEGIN ISOLATION LEVEL REPEATABLE READ') unless $open;
		return pick('COMMIT', 'COMMIT', 'ROLLBACK', 'SAVEPOINT s', 'ROLLBACK TO s', 'RELEASE s', 'SAVEPOINT s');
	}
	return pick('BEGIN', 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'BEGIN ISOLATION LEVEL SERIALIZABLE', 'COMMIT', 'ROLLBACK', 'COMMIT')
	  if $kind < 0.81;
	return pick('SAVEPOINT s', 'ROLLBACK TO s', 'RELEASE s') if $kind < 0.85;
	return block() if $kind < 0.88;
	return copy_in() if $kind < 0.90;
	return cursor() if $kind < 0.93;
	return prepare() if $kind < 0.95;
	return 'SET ' . pick(@settings) . ' = ' . pick('on', 'off') if $kind < 0.96;
	return join '; ', map { "SET $_ = " . ($kind < 0.961 ? 0 : 1000) } @parallel_settings if $kind < 0.9615;
	return parallel_always(pick('on', 'off', 'off')) if $kind < 0.965;
	return "BEGIN; " . dml(0) . "; PREPARE TRANSACTION 'twin_@'; SELECT count(*) FROM t; " . pick('COMMIT', 'ROLLBACK') . " PREPARED 'twin_@'"
	  if $kind < 0.972;
	return bulk() if $kind < 0.985;
	return ddl();
}

# ---------------------------------------------------------------- comparing

# What a statement says, without what may differ.
sub essence
{
	my ($said, $ordered) = @_;

	$said =~ s/^psql:.*?: //mg;
	$said =~ s/^(LOCATION|SCHEMA NAME|TABLE NAME|CONSTRAINT NAME|COLUMN NAME|DATATYPE NAME): .*\n//mg;
	$said =~ s/^CONTEXT: .*\n//mg;
	$said =~ s/\b(heap|fdw)\b/schema/g;
	$said =~ s/^((?:SQL statement|PL\/pgSQL function).*|COPY t, line.*|while .*)\n//mg;
	$said =~ s/^DETAIL:  Process .*\n(Process .*\n)*//mg;
	$said =~ s/^LINE \d+:.*\n.*\n//mg;
	$said =~ s/\bALTER FOREIGN TABLE\b/ALTER TABLE/g;
	return $said if $ordered;
	return join '', sort split /^/, $said;
}

# Several rows of one statement that fail: which one is met first is not the same.
sub first_error { return $_[0] =~ /^ERROR:  (\w{5})/m ? $1 : '' }

# Lines that only one has, in the order of each.
sub difference
{
	my ($x, $y) = @_;
	my %lines;
	my $out = '';

	$lines{$_}++ for split /^/, $x;
	$lines{$_}-- for split /^/, $y;
	for my $line (split /^/, $x) { $out .= "heap: $line" if $lines{$line} > 0 && $lines{$line}-- }
	for my $line (split /^/, $y) { $out .= "foreign: $line" if $lines{$line} < 0 && $lines{$line}++ }
	return $out eq '' ? "the same lines in another order\n$x--\n$y" : $out;
}

my $failure;
my $log;

sub agree
{
	my ($sql, $a, $b, $ordered) = @_;
	my ($x, $y) = map { essence($_->{said}, $ordered) } $a, $b;

	print $log "[$a->{name}] $sql\n$a->{said}";
	if ($x ne $y)
	{
		my ($e, $f) = (first_error($x), first_error($y));

		return 1 if $e ne '' && $f ne '' && ($e eq $f || $sql =~ /\), \(|SELECT|UPDATE/ && "$e$f" !~ /XX000|40P01/);
		print $log "!!! [$b->{name}] $sql\n$b->{said}";
		$failure = "$sql\n" . difference($x, $y);
		return 0;
	}
	return 1;
}

sub both { my ($name) = @_; return ($sessions{"heap_$name"}, $sessions{"fdw_$name"}) }

sub compare_state
{
	my ($name) = @_;
	my ($a, $b) = both($name);

	for my $sql ('SELECT * FROM t', 'SELECT count(*) FROM t', 'SELECT * FROM trace')
	{
		ask($_, $sql) for $a, $b;
		agree("state: $sql", $a, $b, 0) or return 0;
	}
	return 1;
}

sub disturb
{
	my $said = ask($sessions{control}, pick('SELECT nvmkv.flush()', 'SELECT nvmkv.flush()', 'SELECT nvmkv.compact()', 'CHECKPOINT', 'SELECT * FROM nvmkv.check()'));
	$failure = "control: $said" if $said =~ /ERROR|\|/;
	return;
}

sub run_alone
{
	my $said = '';

	for my $i (1 .. $length)
	{
		my $sql = statement(0, $said =~ /25P02/);
		my $ordered = $sql =~ s/^\\ordered //;
		my ($a, $b) = both('a');

		send_to($a, $sql =~ s/twin_@/twin_h/gr);
		send_to($b, $sql =~ s/twin_@/twin_f/gr);
		for my $s ($a, $b)
		{
			for (1 .. 600) { last if hear($s, 0.1) }
			die "no answer from $s->{name}: $sql" if $s->{busy};
		}
		agree($sql, $a, $b, $ordered) or return;
		$said = $a->{said};
		disturb() if chance(0.04);
		return if $failure;
		if ($i % 10 == 0 && $a->{said} !~ /25P02/)
		{
			compare_state('a') or return;
			ask($_, 'DELETE FROM trace') for $a, $b;
		}
	}
	ask($_, 'ROLLBACK') for both('a');
	compare_state('a');
	return;
}

# Sends to both twins; returns how it ended: done, blocked, or '' when they do not agree.
sub settle
{
	my ($name, $sql) = @_;
	my ($a, $b) = both($name);
	my $until = time + 60;
	my @state = ('', '');

	while (time < $until)
	{
		for my $i (0, 1)
		{
			my $s = ($a, $b)[$i];
			$state[$i] = hear($s, 0.005) ? 'done' : is_blocked($s) && !hear($s, 0) ? 'blocked' : $s->{busy} ? '' : 'done';
		}
		return 'deadlock' if grep { !$_->{busy} && $_->{said} =~ /40P01/ } $a, $b;
		last if $state[0] ne '' && $state[0] eq $state[1];
		sleep(0.01);
	}
	if ($state[0] ne $state[1] || $state[0] eq '')
	{
		$failure = "[$name] $sql: heap is '$state[0]', foreign is '$state[1]'\n$a->{said}\n$b->{said}";
		return '';
	}
	return $state[0];
}

# After a deadlock: who its victim was, and how far the twins have got, is a matter of moments.
sub start_over
{
	for my $name ('a', 'b')
	{
		for my $s (both($name))
		{
			ask($sessions{control}, "SELECT pg_cancel_backend($s->{pid})") if $s->{busy};
			for (1 .. 600) { last if hear($s, 0.1) }
		}
	}
	ask($_, 'ROLLBACK') for map { both($_) } 'a', 'b';
	ask($_, 'DELETE FROM t; DELETE FROM trace') for both('a');
	return;
}

sub run_together
{
	my %waiting;
	my %snapshot;
	my %open;

	for my $i (1 .. $length)
	{
		my $name = pick('a', 'b');
		$name = $name eq 'a' ? 'b' : 'a' if $waiting{$name};
		my $failed = ($sessions{"heap_$name"}{said} // '') =~ /25P02/;
		my $sql = statement(1, $failed, $snapshot{$name}, $open{$name});
		my $ordered = $sql =~ s/^\\ordered //;
		my ($a, $b) = both($name);
		my $other = $name eq 'a' ? 'b' : 'a';

		if ($waiting{$other} && chance(0.4)) { $sql = pick('COMMIT', 'ROLLBACK'); $ordered = 0 }
		$snapshot{$name} = 1 if $sql =~ /^BEGIN.*REPEATABLE/;
		$snapshot{$name} = 0 if $sql =~ /^(COMMIT|ROLLBACK)$/;
		$open{$name} = $sql =~ /^BEGIN/ ? 1 : $sql =~ /^(COMMIT|ROLLBACK)$/ ? 0 : $open{$name};
		send_to($_, $sql) for $a, $b;
		my $end = settle($name, $sql);

		return if $end eq '';
		if ($end eq 'deadlock' || $end eq 'blocked' && $waiting{$other})
		{
			print $log "[$name] $sql\ndeadlock\n";
			start_over();
			%waiting = %open = %snapshot = ();
			next;
		}
		if ($end eq 'blocked')
		{
			print $log "[$name waits] $sql\n";
			$waiting{$name} = [ $sql, $ordered ];
			next;
		}
		if ($waiting{$other})
		{
			# Does it go on?
			my ($waiting_sql, $waiting_ordered) = @{ $waiting{$other} };
			my $state = settle($other, $waiting_sql);
			return if $state eq '';
			if ($state eq 'deadlock')
			{
				start_over();
				%waiting = %open = %snapshot = ();
				next;
			}
			if ($state eq 'done')
			{
				my ($c, $d) = both($other);
				delete $waiting{$other};
				if ("$a->{said}$b->{said}$c->{said}$d->{said}" =~ /40P01/)
				{
					start_over();
					%waiting = %open = %snapshot = ();
					next;
				}
				agree("$sql", $a, $b, $ordered) or return;
				agree("(waited) $waiting_sql", $c, $d, $waiting_ordered) or return;
				next;
			}
		}
		if ("$a->{said}$b->{said}" =~ /40P01/)
		{
			start_over();
			%waiting = %open = %snapshot = ();
			next;
		}
		agree($sql, $a, $b, $ordered) or return;
		disturb() if chance(0.03);
		return if $failure;
	}
	if (%waiting)
	{
		start_over();
		return;
	}
	ask($_, 'ROLLBACK') for map { both($_) } 'a', 'b';
	compare_state('a');
	return;
}

# ---------------------------------------------------------------- runs

$node->safe_psql('postgres', q{
	CREATE DOMAIN small AS int CHECK (value < 50);
	CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
	CREATE TYPE pair AS (x int, y text);});
open($log, '>', $transcript) or die $!;
$log->autoflush(1);
open_session('control', 'public');

my $until = time + $seconds;
my $runs = 0;
my $next_seed = defined $ENV{NVMKV_SEED} ? undef : int(time);

sub next_seed
{
	return shift @seeds if @seeds;
	return defined $next_seed && time < $until ? ++$next_seed : undef;
}

while (defined(my $seed = next_seed()))
{
	my $concurrent = $seed % 2 == 0;

	srand($seed);
	$failure = undef;
	print $log "=== seed $seed\n";
	make_schema($concurrent);
	open_session("heap_$_", 'heap') && open_session("fdw_$_", 'fdw') for $concurrent ? ('a', 'b') : ('a');
	$concurrent ? run_together() : run_alone();
	for my $name (grep { $_ ne 'control' } sort keys %sessions)
	{
		my $s = delete $sessions{$name};
		kill 'TERM', $s->{psql} if $s->{busy};
		close $s->{in};
		close $s->{out};
		waitpid $s->{psql}, 0;
	}
	ok(!defined $failure, "seed $seed: the twins agree") or diag($failure);
	$runs++;
}
note("$runs runs");

# All through the runs one session has flushed and compacted; what it reads next does not find old files open.
ask($sessions{control}, 'SELECT nvmkv.compact()') for 1 .. 2;
my @deleted = grep { (readlink($_) // '') =~ /\.sst \(deleted\)$/ } glob("/proc/" . int($sessions{control}{pid}) . '/fd/*');
cmp_ok(scalar @deleted, '<', 10, 'replaced files are closed');
sound($node, 'the engine is sound');
$node->stop;
done_testing();
