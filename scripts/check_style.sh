#!/bin/bash
# Plain habits of text: ASCII (but for SQL tests), no blanks at the end of a line, a newline at the end of a
# file; in C: indented by tabs, lines of at most 120 columns (tabs count 4) except where a string literal is
# long, no "#if 0", and versions of the server are told apart in src/fdw/compat only.
#
#   scripts/check_style.sh
#
# Prints what is wrong; the exit code says whether anything is.
. "$(dirname "${BASH_SOURCE[0]}")/options.sh"

parse_options -- "$@"
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

{
	find src bgworker test bench tools scripts sql specs t doc -type f \
		\( -name '*.[ch]' -o -name '*.sh' -o -name '*.mk' -o -name '*.sql' -o -name '*.spec' -o -name '*.p[lm]' \
		-o -name '*.md' -o -name '*.map' \) -print0
	find debian packaging doc/container -type f ! -name '*.deb' -print0
	printf '%s\0' Makefile README.md CONTRIBUTING.md CHANGELOG.md doc/nvmkv_dump.1 doc/nvmkv_upgrade.1 nvmkv_fdw.control META.json .gitignore .ci/run
} 2>/dev/null | xargs -0 perl -e '
	my $bad = 0;
	for my $file (@ARGV) {
		next unless -f $file;
		open(my $in, "<:raw", $file) or do { print "$file: $!\n"; $bad = 1; next };
		my $c = $file =~ /\.[ch]$/;
		my $last = "\n";
		my $complain = sub { print "$file:$.: $_[0]\n"; $bad = 1 };
		while (my $line = <$in>) {
			$last = $line;
			chomp $line;
			$complain->("not ASCII") if $line =~ /[^\x09\x20-\x7e]/ && $file !~ m{^sql/(?!nvmkv_fdw--)};
			$complain->("blanks at the end of the line") if $line =~ /[ \t]$/ && $file !~ /\.md$/;
			next unless $c;
			$complain->("indented by blanks") if $line =~ /^\t*    /;
			$complain->("depends on the version of the server") if $line =~ /\bPG_VERSION_NUM\b/ && $file !~ m{^src/fdw/compat/};
			$complain->("dead code") if $line =~ /^\s*#\s*if\s+0\b/;
			my $text = $line;
			$text =~ s/"(?:[^"\\]|\\.)*"/""/g;
			1 while $text =~ s/^([^\t]*)\t/$1 . " " x (4 - length($1) % 4)/e;
			$complain->(length($text) . " columns") if length($text) > 120;
		}
		$complain->("no newline at the end") if $last !~ /\n$/;
	}
	exit $bad;
'
