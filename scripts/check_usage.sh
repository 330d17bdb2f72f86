#!/bin/bash
# Does every script tell how it is used, and does it refuse what it does not know?
#
#   scripts/check_usage.sh
#
# With -h a script prints its text and has exit code 0; with an option it does not have it says so in one line on stderr,
# does nothing, and has exit code 2.  (All read their command lines by scripts/options.sh, which knows --help, too.)
# Prints what is wrong; the exit code says whether anything is.
. "$(dirname "${BASH_SOURCE[0]}")/options.sh"

parse_options -- "$@"
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
bad=0

complain() {
	printf '%s\n' "$*"
	head -n 5 "$work/out" "$work/err" | cut -c 1-200 | sed 's/^/    | /'
	bad=1
}

# Who does not know the option might begin to work: that is ended.
run() { timeout 20 "$@" >"$work/out" 2>"$work/err" </dev/null; }

for script in scripts/*.sh scripts/*.pl bench/*.sh test/fuzz/*.sh; do
	[ -x "$script" ] || continue
	run "$script" -h || complain "$script -h: exit code $?"
	grep -qF "${script##*/}" "$work/out" || complain "$script -h: does not say how it is used"
	[ ! -s "$work/err" ] || complain "$script -h: writes to stderr"
	run "$script" --no-such-option
	rc=$?
	[ "$rc" -eq 2 ] || complain "$script --no-such-option: exit code $rc"
	[ "$(wc -l <"$work/err")" -eq 1 ] && [ ! -s "$work/out" ] || complain "$script --no-such-option: not one line on stderr"
done

exit $bad
