#!/bin/bash
# Does the documentation say what is there, where a machine can tell?
#
#   scripts/check_docs.sh
#
# The man pages of nvmkv_dump and nvmkv_upgrade and what they print about their use have the same commands and options.  The table of locks in
# CONTRIBUTING.md has the ranks of src/engine/port/port.h, in their order.  Versions of formats in doc/formats.md are those of the
# sources.  Files that a text names in a link are there, scripts that it names, too, and
# headings of doc/limits.md that test/upstream and test/clients name.
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

exit $bad
