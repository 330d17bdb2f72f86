# Foreign keys of foreign tables come through pg_dump and its restore, whole or without rows, and through a crash; so do rows of
# tables that inherit, each once.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_server('main');

# "invoice" comes before what it references in the dump.
$node->safe_psql('postgres', q{
	CREATE TABLE country (code text PRIMARY KEY);
	CREATE FOREIGN TABLE person (id int PRIMARY KEY, boss int REFERENCES person, country text REFERENCES country ON UPDATE CASCADE, email text UNIQUE) SERVER nvmkv;
	CREATE FOREIGN TABLE invoice (id int PRIMARY KEY, person int REFERENCES person ON DELETE CASCADE, email text,
		CONSTRAINT mail FOREIGN KEY (email) REFERENCES person (email) ON UPDATE CASCADE ON DELETE SET NULL) SERVER nvmkv;
	CREATE TABLE call (person int REFERENCES person, later int CONSTRAINT later REFERENCES person DEFERRABLE INITIALLY DEFERRED);
	ALTER TABLE invoice ADD CONSTRAINT unproved FOREIGN KEY (id) REFERENCES person NOT VALID;
	CREATE FOREIGN TABLE parent (a int PRIMARY KEY, b text) SERVER nvmkv;
	CREATE FOREIGN TABLE child (more int) INHERITS (parent) SERVER nvmkv;
	CREATE TABLE heap_child () INHERITS (parent) USING heap;
	INSERT INTO parent VALUES (1, 'parent');
	INSERT INTO child VALUES (2, 'child', 3);
	INSERT INTO heap_child VALUES (4, 'heap');
	CREATE TABLE area (id int PRIMARY KEY, note text) PARTITION BY RANGE (id);
	CREATE TABLE area1 PARTITION OF area FOR VALUES FROM (0) TO (10) USING nvmkv;
	CREATE TABLE area2 PARTITION OF area FOR VALUES FROM (10) TO (20);
	CREATE TABLE area3 (note text, id int PRIMARY KEY) USING nvmkv;
	ALTER TABLE area ATTACH PARTITION area3 FOR VALUES FROM (20) TO (30);
	CREATE TABLE zone (area int CONSTRAINT zone_area REFERENCES area ON UPDATE CASCADE, later int CONSTRAINT zone_later REFERENCES area DEFERRABLE INITIALLY DEFERRED) PARTITION BY LIST (area);
	CREATE TABLE zone1 PARTITION OF zone DEFAULT USING nvmkv;
	INSERT INTO area VALUES (1), (2), (11), (21), (22);
	INSERT INTO zone VALUES (1, 2), (11, NULL), (21, 22);
	INSERT INTO country VALUES ('de'), ('fr');
	INSERT INTO person SELECT i, nullif(i / 10, 0), 'de', 'p' || i FROM generate_series(1, 1000) AS i;
	INSERT INTO invoice SELECT i, i, 'p' || i FROM generate_series(1, 1000) AS i;
	INSERT INTO call SELECT i, i FROM generate_series(1, 100) AS i;
});

# What the catalogue says of them, triggers included.
sub keys_of
{
	my ($database) = @_;
	return $node->safe_psql($database, q{
		SELECT conrelid::regclass::text, conname, convalidated, pg_get_constraintdef(oid), conindid::regclass,
			(SELECT string_agg(format('%s %s %s %s', tgrelid::regclass, tgtype, tgfoid::regproc, tgdeferrable), ', ' ORDER BY tgrelid::regclass::text, tgtype, tgfoid)
			 FROM pg_trigger WHERE tgconstraint = c.oid)
		FROM pg_constraint AS c WHERE contype = 'f' ORDER BY 1, 2});
}

# Does each of them what it should?
sub holds
{
	my ($database, $what) = @_;
	my %refused = (
		"INSERT INTO person VALUES (2000, 5000)" => 'person_boss_fkey',
		"INSERT INTO person VALUES (2000, NULL, 'xx')" => 'person_country_fkey',
		"INSERT INTO invoice VALUES (1, 5000)" => 'invoice_pkey',
		"UPDATE invoice SET person = 5000 WHERE id = 1" => 'invoice_person_fkey',
		"UPDATE invoice SET id = 5000 WHERE id = 1" => 'unproved',
		"UPDATE call SET later = 5000" => 'later',
		"INSERT INTO zone VALUES (3)" => 'zone_area',
		"DELETE FROM area WHERE id = 1" => 'zone_area(_\d+|_fkey\d*)',
		"DELETE FROM area WHERE id = 11" => 'zone_area(_\d+|_fkey\d*)',
		"UPDATE area SET id = 12 WHERE id = 22" => 'zone_later',
		"ALTER TABLE area DETACH PARTITION area3" => 'zone_area(_\d+|_fkey\d*)',
		"DELETE FROM person WHERE id = 1" => '(person_boss|call_person)_fkey');
	for my $statement (sort keys %refused)
	{
		my ($rc, $out, $err) = $node->psql($database, $statement);
		like($err, qr/constraint "$refused{$statement}"/, "$what: $statement");
	}
	is($node->safe_psql($database, q{
		BEGIN;
		UPDATE country SET code = 'eu' WHERE code = 'de';
		UPDATE person SET email = 'q' || id WHERE id > 990;
		ALTER TABLE invoice DROP CONSTRAINT unproved;
		DELETE FROM person WHERE id = 1000;
		UPDATE area SET id = CASE id WHEN 1 THEN 25 WHEN 11 THEN 5 WHEN 21 THEN 15 ELSE id END;
		SELECT (SELECT count(*) FROM zone WHERE area IN (5, 15, 25)), (SELECT count(*) FROM person WHERE country = 'eu'), (SELECT count(*) FROM invoice), (SELECT count(*) FROM invoice WHERE email LIKE 'q%');
		ROLLBACK}), '3|999|999|9', "$what: cascades");
}

my $keys = keys_of('postgres');
holds('postgres', 'made');

my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '--include-foreign-data=nvmkv', '-f', $dump, '-d', $node->connstr('postgres') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d', $node->connstr('restored') ], 'restore');
is(keys_of('restored'), $keys, 'restored: the same foreign keys');
holds('restored', 'restored');
my $inherited = 'SELECT tableoid::regclass, a, b FROM parent ORDER BY a';
is($node->safe_psql('restored', $inherited), $node->safe_psql('postgres', $inherited), 'rows of tables that inherit, each once');

my $archive = $node->basedir . '/dump.custom';
$node->command_ok([ 'pg_dump', '-Fc', '-s', '-f', $archive, '-d', $node->connstr('postgres') ], 'pg_dump -Fc -s');
$node->safe_psql('postgres', 'CREATE DATABASE bare');
$node->command_ok([ 'pg_restore', '-1', '-d', $node->connstr('bare'), $archive ], 'pg_restore of definitions');
is(keys_of('bare'), $keys, 'definitions alone: the same foreign keys');

$node->stop('immediate');
$node->start;
is(keys_of('postgres'), $keys, 'after a crash: the same foreign keys');
holds('postgres', 'after a crash');

done_testing();
