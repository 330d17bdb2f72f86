#!/bin/bash
# Does make say in one line why it does not build, for a server that is too old or too new, or without any?
#
#   scripts/check_build.sh
#
# Nothing is compiled: the servers are a pg_config and a Makefile that tell a version, and no more.
# Prints what is wrong; the exit code says whether anything is.
. "$(dirname "${BASH_SOURCE[0]}")/options.sh"

parse_options -- "$@"
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
bad=0

# expect what pattern pg_config
expect() {
	local rc
	(cd "$work" && make -s -f "$root/Makefile" PG_CONFIG="$3") >"$work/out" 2>&1 </dev/null
	rc=$?
	if [ "$rc" -eq 0 ] || [ "$(wc -l <"$work/out")" -ne 1 ] || ! grep -qE "$2" "$work/out"; then
		printf '%s: exit code %s, and\n' "$1" "$rc"
		head -n 10 "$work/out" | cut -c 1-200 | sed 's/^/    | /'
		bad=1
	fi
}

cat >"$work/pg_config" <<EOF
#!/bin/sh
echo "$work/pgxs.mk"
EOF
chmod 755 "$work/pg_config"
for version in 14.22 13.1 19devel; do
	printf 'VERSION = %s\nMAJORVERSION = %s\nall:\n' "$version" "${version%%[.d]*}" >"$work/pgxs.mk"
	expect "make for $version" "PostgreSQL 15, 16, 17 or 18 is needed, .*/pg_config is of version $version" "$work/pg_config"
done
printf 'VERSION = 15.1\nMAJORVERSION = 15\nall:\n' >"$work/pgxs.mk"
expect "make for 15.1" 'PostgreSQL 15\.2 or a later minor release of 15 is needed' "$work/pg_config"
expect "make without a server" 'none/pg_config not found: install the package' "$work/none/pg_config"

exit $bad
