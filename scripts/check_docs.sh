#!/bin/bash
# Does the documentation say what is there, where a machine can tell?
#
#   scripts/check_docs.sh
#
# The man pages of nvmkv_dump and nvmkv_upgrade and what they print about their use have the same commands and options.  The table of locks in
# CONTRIBUTING.md has the ranks of src/engine/port/port.h, in their order.  Versions of formats in doc/formats.md are those of the
# sources.  Files that a text names in a link are there, scripts that it names, too, and
# headings of doc/limits.md that test/upstream and test/clients name.  META.json has what PGXN asks for
# (https://pgxn.org/meta/spec.txt), and packages have the version of nvmkv_fdw.control.
# Prints what is wrong; the exit code says whether anything is.
. "$(dirname "${BASH_SOURCE[0]}")/options.sh"

parse_options -- "$@"
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
bad=0

# Complains about what is different: compare WHAT FIRST SECOND
compare() {
	local difference
	difference=$(diff <(printf '%s\n' "$2") <(printf '%s\n' "$3")) && return
	printf '%s differ:\n%s\n' "$1" "$difference"
	bad=1
}

words() { grep -oE -e "$1" | sort -u; }

program=$(sed -n '/^static const char usage/,/;$/p' tools/dump_main.c)
page=$(sed '/^.SH SEE ALSO/,$d; s/\\-/-/g' doc/nvmkv_dump.1)
compare "options of nvmkv_dump in tools/dump_main.c and doc/nvmkv_dump.1" \
	"$(words '--[a-z-]+' <<<"$program")" "$(words '--[a-z-]+' <<<"$page")"
compare "commands of nvmkv_dump in tools/dump_main.c and doc/nvmkv_dump.1" \
	"$(words 'nvmkv_dump [a-z]+' <<<"$program")" "$(words '^\.B nvmkv_dump [a-z]+' <<<"$page" | sed 's/^\.B //')"

program=$(sed -n '/^static const char usage/,/;$/p' tools/nvmkv_upgrade.c)
page=$(sed '/^.SH SEE ALSO/,$d; s/pg_upgrade --[a-z]*//; s/\\-/-/g' doc/nvmkv_upgrade.1)
compare "options of nvmkv_upgrade in tools/nvmkv_upgrade.c and doc/nvmkv_upgrade.1" \
	"$(words '--[a-z-]+' <<<"$program")" "$(words '--[a-z-]+' <<<"$page")"

compare "ranks of locks in src/engine/port/port.h and CONTRIBUTING.md" \
	"$(grep -oE '^	PORT_RANK_[A-Z_]+' src/engine/port/port.h | tr -d '\t')" \
	"$(grep -oE '^\| [0-9]+ \| `PORT_RANK_[A-Z_]+' CONTRIBUTING.md | grep -oE 'PORT_RANK_[A-Z_]+')"

compare "versions of formats in the sources and doc/formats.md" \
	"$(grep -rhoE --include='*.[ch]' '^#define [A-Z_]*_FORMAT(_VERSION)? [0-9]+' src | grep -vE ' (AT|[A-Z_]*OFFSET)_FORMAT ' | cut -d ' ' -f 2,3 | sort)" \
	"$(grep -oE '[0-9]+ `[A-Z_]*_FORMAT(_VERSION)?`' doc/formats.md | sed -E 's/^([0-9]+) `(.*)`$/\2 \1/' | sort)"

for text in README.md CONTRIBUTING.md CHANGELOG.md doc/*.md; do
	for link in $(grep -oE '\]\([^)#:]+[)#]' "$text" | sed 's/^](//; s/[)#]$//'); do
		[ -e "$(dirname "$text")/$link" ] || {
			echo "$text: there is no $link"
			bad=1
		}
	done
done

for script in $(grep -ohE '\b(scripts|bench|test/[a-z]+)/[a-z0-9_]+\.(sh|pl)\b' README.md CONTRIBUTING.md doc/*.md | sort -u); do
	[ -e "$script" ] || {
		echo "README.md, CONTRIBUTING.md or doc: there is no $script"
		bad=1
	}
done

headings=$(sed -n 's/^### //p' doc/limits.md | tr '[:upper:]' '[:lower:]' | sed 's/[^a-z0-9_ -]//g; s/ /-/g')
for heading in $( (grep -hv '^#\|^$' test/{upstream,clients}/causes | cut -f 1; grep -v '^#' test/upstream/heap_tables | cut -d ' ' -f 2) | sort -u); do
	grep -qx -e "$heading" <<<"$headings" || {
		echo "test/upstream or test/clients: doc/limits.md has no $heading"
		bad=1
	}
done

version=$(sed -n "s/^default_version = '\(.*\)'/\1/p" nvmkv_fdw.control)
compare "versions in nvmkv_fdw.control and debian/changelog" "$version" "$(sed -n '1s/.*(\(.*\)-[^-]*).*/\1/p' debian/changelog)"
compare "versions in nvmkv_fdw.control and packaging/rpm/nvmkv_fdw.spec" "$version" \
	"$(sed -n 's/^Version: *//p' packaging/rpm/nvmkv_fdw.spec)"
perl -MJSON::PP -e '
	my ($file, $control) = @ARGV;
	my ($bad, $semver, $text) = (0, qr/^\d+\.\d+\.\d+(-[A-Za-z][A-Za-z0-9-]*)?$/, qr/\S/);
	my $complain = sub { print "$file: @_\n"; $bad = 1 };
	open(my $in, "<:raw", $file) or die "$file: $!\n";
	my $meta = eval { decode_json(do { local $/; <$in> }) } or die "$file: no JSON: $@";
	my $want = sub {
		my ($of, $where, %fields) = @_;
		for my $name (sort keys %fields) {
			my $value = $of->{$name};
			$complain->("$where$name is missing, or not what it should be") if !defined $value || ref $value || $value !~ $fields{$name};
		}
	};
	$want->($meta, "", name => qr/^\w{2,}$/, version => $semver, abstract => $text, license => qr/^postgresql$/,
		maintainer => qr/^[^<>]+ <[^<>@]+@[^<>@]+>$/, release_status => qr/^(stable|testing|unstable)$/);
	$want->($meta->{"meta-spec"} // {}, "meta-spec: ", version => qr/^1\.0\.0$/, url => qr{^https?://pgxn\.org/meta/spec\.txt$});
	$complain->("it provides nothing") if !%{$meta->{provides} // {}};
	while (my ($name, $extension) = each %{$meta->{provides} // {}}) {
		$want->($extension, "$name: ", file => $text, version => $semver, abstract => $text);
		$complain->("$name: its version is not $control") if ($extension->{version} // "") !~ /^\Q$control\E\.\d+$/;
		for my $named (grep { defined } @$extension{"file", "docfile"}) {
			$complain->("$name: there is no $named") if !-e $named;
		}
	}
	while (my ($phase, $kinds) = each %{$meta->{prereqs} // {}}) {
		$complain->("unknown phase $phase") if $phase !~ /^(configure|build|test|runtime|develop)$/;
		$want->($kinds->{$_}, "$phase $_: ", map { $_ => $semver } keys %{$kinds->{$_}}) for keys %$kinds;
	}
	my %known = map { $_ => 1 } qw(name version abstract description maintainer license provides prereqs release_status resources
		tags generated_by no_index meta-spec);
	$complain->("PGXN knows no field $_") for grep { !$known{$_} && !/^x_/i } keys %$meta;
	exit $bad;
' META.json "$version" || bad=1

exit $bad
