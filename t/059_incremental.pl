# An incremental backup, made while foreign tables are written and compacted, and combined with the full one it goes back
# to: heap tables come from both, foreign ones as they were for the last.  From PostgreSQL 17 on.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use Nvmkv;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_server('primary', wal_keep_size => '1GB', 'nvmkv.copy_space_limit' => 0);
plan skip_all => 'this server has no incremental backups'
  if $primary->safe_psql('postgres', 'SHOW server_version_num') < 170000;

$primary->append_conf('postgresql.conf', "summarize_wal = on\n");
$primary->reload;
make_twins($primary);

my $writer = start_writing($primary);
my @dirs;
for my $name ('full', 'first', 'second')
{
	my $before = $primary->safe_psql('postgres', 'SELECT sum(n) FROM h');

	$primary->backup($name, backup_options => [ @dirs ? ("--incremental=$dirs[-1]/backup_manifest") : () ]);
	push @dirs, $primary->backup_dir . "/$name";
	ok($primary->poll_query_until('postgres', "SELECT sum(n) > $before + 500 FROM h"), "$name: the writer works");
	$primary->safe_psql('postgres', 'SELECT nvmkv.flush()');
}
stop_writing($primary, $writer);

for my $last (1, 2)
{
	my $copy = PostgreSQL::Test::Cluster->new("copy$last");
	my $to = $primary->backup_dir . "/combined$last";

	command_ok([ 'pg_combinebackup', @dirs[ 0 .. $last ], '-o', $to ], "combined up to number $last");
	$copy->init_from_backup($primary, "combined$last");
	$copy->start;
	twins_agree($copy, "combined up to number $last");
	cmp_ok($copy->safe_psql('postgres', 'SELECT sum(n) FROM f'), '>', $last == 1 ? 500 : 1000, 'with what was written between');
	$copy->stop;
}

$primary->stop;
done_testing();
