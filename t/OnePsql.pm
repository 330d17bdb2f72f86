# One psql for the scripts of a test: a new one for each takes longer to start than most scripts take to run.  This one
# stays, connects before each script, and leaves that connection after it, so that a server sees what it always sees.
#
# Replaces psql() and poll_query_until() of PostgreSQL::Test::Cluster.  What it could not do as a psql of its own does it
# (parameters that are not known here, commands of psql itself, data within the script, a server that does not let it in)
# is left to the original.
package OnePsql;

use strict;
use warnings;

use IO::Handle;
use IO::Select;
use IO::Socket::UNIX;
use IPC::Open3;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Symbol qw(gensym);
use Test::More;
use Time::HiRes qw(usleep);

my $psql; # the process and its three streams; undefined: there is none
my $lobby_dir = PostgreSQL::Test::Utils::tempdir_short();
my $lobby; # where it waits
my $end = '---- end ----';
my $original = \&PostgreSQL::Test::Cluster::psql;
my $original_poll = \&PostgreSQL::Test::Cluster::poll_query_until;

{
	no warnings 'redefine';
	*PostgreSQL::Test::Cluster::psql = \&psql;
	*PostgreSQL::Test::Cluster::poll_query_until = \&poll_query_until;
}

# Sends it lines, and reads what it says about them: stdout, stderr, and how it ended if the lines made it end.
sub tell_psql
{
	my ($lines) = @_;
	my %said = (out => '', err => '');
	my %open = map { $_ => $psql->{$_} } qw(out err);
	my $gone;

	local $SIG{PIPE} = 'IGNORE';
	local $?;
	print { $psql->{in} } "$lines\n\\echo '$end'\n\\warn '$end'\n";
	while (%open)
	{
		for my $stream (IO::Select->new(values %open)->can_read)
		{
			my ($which) = grep { $open{$_} == $stream } keys %open;
			my $count = sysread($stream, $said{$which}, 65536, length $said{$which});

			$gone = 1 if !$count;
			delete $open{$which} if !$count || $said{$which} =~ s/^\Q$end\E\n\z//m;
		}
	}
	return ($said{out}, $said{err}) unless $gone;
	waitpid($psql->{pid}, 0);
	undef $psql;
	return ($said{out}, $said{err}, $?);
}

# A connection for a script; false: there is none, for a reason that the original will find, too.
sub enter
{
	my ($node, $dbname) = @_;
	my $connstr = $node->connstr($dbname);
	my $connect = '';

	if (defined $psql)
	{
		$connect = "\\connect '" . $connstr =~ s/'/''/gr . "'";
	}
	else
	{
		local %ENV = $node->_get_env();
		my ($in, $out, $err) = (gensym, gensym, gensym);
		my $pid = open3($in, $out, $err, $node->installed_command('psql'), '-XAtq', '-d', $connstr, '-f', '-');

		$in->autoflush(1);
		$psql = { pid => $pid, in => $in, out => $out, err => $err };
	}
	my ($out, $err, $ended) = tell_psql($connect);
	return !defined $ended && $err eq '';
}

# Without a connection psql would end.  It waits in one to us: we let it in, and say no more.
sub leave
{
	my $startup;

	if (!defined $lobby)
	{
		$lobby = IO::Socket::UNIX->new(Local => "$lobby_dir/.s.PGSQL.1", Listen => 1) or die "cannot listen: $!";
	}
	local $SIG{PIPE} = 'IGNORE';
	print { $psql->{in} } "\\set ON_ERROR_STOP 0\n\\connect 'host=$lobby_dir port=1 dbname=x user=x'\n";
	$psql->{waiting} = $lobby->accept;
	sysread($psql->{waiting}, $startup, 10000);
	# Authenticated; a version; ready.
	syswrite($psql->{waiting}, pack('aNN aNZ*Z* aNa', 'R', 8, 0, 'S', 4 + 15 + 5, 'server_version', '15.0', 'Z', 5, 'I'));
	return;
}

sub psql
{
	my ($node, $dbname, $sql, %params) = @_;
	my %unknown = %params;
	my $extra = join ' ', @{ $params{extra_params} // [] };

	delete @unknown{qw(stdout stderr on_error_stop on_error_die extra_params)};
	return $original->(@_)
	  if %unknown || wantarray || $extra !~ /^(-v VERBOSITY=verbose)?$/ || defined $ENV{PGOPTIONS} || $sql =~ /\\|\bstdin\b/i ||
	  !enter($node, $dbname);

	# What ends without a semicolon is sent all the same, as it is at the end of a file.  After a single statement there is
	# nothing to stop; psql tells whether it failed and goes on.
	my $stop = $params{on_error_stop} // 1;
	my $single = $stop && $sql !~ /;/;
	my ($out, $err, $ended) = tell_psql(sprintf "\\set ON_ERROR_STOP %d\n\\set VERBOSITY %s\n%s\n;%s",
		$stop && !$single, $extra ? 'verbose' : 'default', $sql, $single ? "\n\\echo :ERROR" : '');
	my $failed = $single && !defined $ended && $out =~ s/^(true|false)\n\z//m && $1 eq 'true';
	leave() if defined $psql;
	$ended //= $failed ? 3 << 8 : 0;
	chomp($out, $err);
	ref $params{stdout} ? ${ $params{stdout} } = $out : print STDOUT $out;
	ref $params{stderr} ? ${ $params{stderr} } = $err : print STDERR $err;
	die "psql exited with signal " . ($ended & 127) . ": '$err'" if $ended & 127;
	die "error running SQL: '$err'\nwith sql '$sql'" if $ended && $params{on_error_die};
	return $ended >> 8;
}

sub poll_query_until
{
	my ($node, $dbname, $query, $expected) = @_;
	my ($out, $err) = ('', '');

	return $original_poll->(@_) if !defined $query;
	$expected //= 't';
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		$node->psql($dbname, $query, stdout => \$out, stderr => \$err, on_error_stop => 0);
		return 1 if $out eq $expected && $err eq '';
		usleep(100_000);
	}
	diag("waited in vain for\n$query\nto be\n$expected\nwhat it said last:\n$out\n$err");
	return 0;
}

1;
